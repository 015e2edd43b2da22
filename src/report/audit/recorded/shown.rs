//! What a report shows of each recorded result: a sentence, figures, pictures. Rounded to nearest: nothing here is a bound.

use super::{
    DescriptiveFigure, Hessian, HessianFigure, Inputs, Inverse, MOST_FIGURES, PrunedTensor, Pruning, PruningPoint, Suspect,
    Tightness,
};
use crate::report::audit::chart::{self, Chart, Mark, Series};

const BINS: usize = 48;
/// Where `2/η` lies further out than this many times the largest eigenvalue, the picture would show nothing else.
const FAR: f64 = 8.0;

impl Hessian {
    pub(super) fn about(&self) -> String {
        format!("{} samples; loss: {}", self.samples, self.loss_convention)
    }

    pub(super) fn figures(&self) -> Vec<DescriptiveFigure> {
        let row = |figure: &HessianFigure| {
            let ends = figure.interval.and_then(|[low, high]| Some(format!(" in [{}, {}]", number(low?), number(high?))));
            let value = format!("≈ {}{}", figure.value.map_or_else(|| "–".to_owned(), number), ends.unwrap_or_default());
            DescriptiveFigure { name: in_words(&figure.name), value, how: figure.method.clone() }
        };
        let stability = self.stability.iter().map(|stability| DescriptiveFigure {
            name: format!("SGD with learning rate {} and batches of {}", stability.learning_rate, stability.batch_size),
            value: stability.verdict.clone(),
            how: match (&stability.reason, stability.critical_learning_rate) {
                (Some(reason), _) => reason.clone(),
                (None, Some(critical)) => format!("critical learning rate ≈ {}", number(critical)),
                (None, None) => "computed, unless a claim proves it".to_owned(),
            },
        });
        self.figures.iter().take(MOST_FIGURES).map(row).chain(stability).collect()
    }

    pub(super) fn charts(&self) -> Vec<Chart> {
        let finite = |pair: &[Option<f64>; 2]| Some((pair[0]?, pair[1]?));
        let density: Vec<(f64, f64)> = self.density.iter().filter_map(finite).filter(|(_, weight)| *weight > 0.0).collect();
        let values = || density.iter().map(|(value, _)| *value);
        let (low, high) = (values().fold(0.0, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        if density.len() < 2 || high <= low {
            return Vec::new();
        }
        let mut marks = vec![Mark { label: "largest eigenvalue".to_owned(), text: number(high), value: high }];
        let mut end = high;
        if let Some(stability) = self.stability.as_ref().filter(|stability| stability.learning_rate > 0.0) {
            let edge = 2.0 / stability.learning_rate;
            let label = "2/η, above which gradient descent on the full batch is unstable".to_owned();
            marks.push(Mark { label, text: number(edge), value: edge });
            if edge <= FAR * high {
                end = end.max(edge);
            }
        }
        // Room at the right, so that a mark at the end is seen.
        let end = low + (end - low) * 1.04;
        vec![Chart::Histogram {
            title: "Spectral density of the Hessian".to_owned(),
            x: "eigenvalue".to_owned(),
            low,
            high: end,
            shares: chart::shares(&density, low, end, BINS),
            logarithmic: true,
            marks,
        }]
    }
}

impl Inverse {
    pub(super) fn about(&self) -> String {
        let (samples, gradients) = (self.samples, self.gradients);
        format!("{samples} samples, {gradients} gradients, damping {}; loss: {}", self.damping, self.loss_convention)
    }

    pub(super) fn figures(&self) -> Vec<DescriptiveFigure> {
        let Some(pruning) = &self.pruning else { return Vec::new() };
        let figure = |name: String, value: Option<f64>| DescriptiveFigure {
            name,
            value: format!("≈ {}", value.map_or_else(|| "–".to_owned(), number)),
            how: "measured on the samples".to_owned(),
        };
        vec![
            figure("loss before pruning".to_owned(), pruning.loss_before),
            figure(format!("loss with {} of {} weights removed", pruning.removed, pruning.of), pruning.loss_after),
            figure("loss without updating the other weights".to_owned(), pruning.loss_without_update),
        ]
    }

    pub(super) fn charts(&self, inputs: &Inputs, shape: &[usize]) -> Vec<Chart> {
        let mut charts = Vec::new();
        if let Some(pruning) = &self.pruning {
            charts.extend(pruning.charts());
        }
        let Some(data) = self.data.first() else { return charts };
        let image = |suspect: &Suspect| {
            let label = suspect.label.map_or(String::new(), |label| format!(", label {label}"));
            let leverage = suspect.leverage.map_or(String::new(), |leverage| format!(", leverage {}", number(leverage)));
            chart::image(format!("sample {}{label}{leverage}", suspect.sample), &inputs(data, suspect.sample)?, shape)
        };
        let images: Vec<_> = self.suspects.iter().filter_map(image).take(chart::MOST_IMAGES).collect();
        if !images.is_empty() {
            let title = "The samples that pull hardest at the parameters: the most suspicious labels first".to_owned();
            charts.push(Chart::Images { title, images });
        }
        charts
    }
}

impl Pruning {
    fn charts(&self) -> Vec<Chart> {
        let share = |removed: usize| removed as f64 / self.of.max(1) as f64;
        let series = |label: &str, of: fn(&PruningPoint) -> Option<f64>| {
            let start = self.loss_before.map(|loss| [0.0, loss]);
            let points = self.curve.iter().filter_map(|point| Some([share(point.removed), of(point)?]));
            Series { label: label.to_owned(), points: start.into_iter().chain(points).collect() }
        };
        let curves = vec![
            series("other weights updated", |point| point.loss),
            series("other weights as they were", |point| point.loss_without_update),
        ];
        let mut charts = Vec::new();
        if curves.iter().any(|series| series.points.len() > 2) {
            charts.push(Chart::Curve {
                title: "Pruning: measured loss against the share of weights removed".to_owned(),
                x: "share of weights removed".to_owned(),
                y: "loss".to_owned(),
                logarithmic: true,
                series: curves,
            });
        }
        let bar = |tensor: &PrunedTensor| chart::Bar {
            label: tensor.name.clone(),
            value: tensor.removed as f64 / tensor.size.max(1) as f64,
        };
        let bars: Vec<_> = self.parameters.iter().take(chart::MOST_BARS).map(bar).collect();
        if bars.len() > 1 {
            charts.push(Chart::Bars {
                title: format!("Where the {} removed weights lie", self.removed),
                unit: "share of the tensor removed".to_owned(),
                bars,
            });
        }
        charts
    }
}

impl Tightness {
    pub(super) fn about(&self) -> String {
        format!("boxes of size ε = {} around {} samples, in the units of the data", self.perturbation.epsilon, self.samples)
    }

    pub(super) fn charts(&self) -> Vec<Chart> {
        let mut charts = Vec::new();
        let widths = self.growth.iter().filter_map(|layer| {
            let value = layer.width.filter(|width| *width > 0.0 && width.is_finite())?;
            Some(Mark { label: format!("{} ({})", layer.node, layer.operator), text: number(value), value })
        });
        let marks: Vec<Mark> = widths.take(chart::MOST_BARS).collect();
        if marks.len() > 1 {
            charts.push(Chart::Ladder { title: "Mean width of the boxes, from the input on".to_owned(), marks });
        }
        let lower: Vec<(f64, f64)> =
            self.per_sample.iter().flatten().filter_map(|bounds| Some((bounds[0]?.clamp(0.0, 1.0), 1.0))).collect();
        if lower.len() > 1 {
            charts.push(Chart::Histogram {
                title: format!("Tightness of {} samples: lower bounds", lower.len()),
                x: "tightness".to_owned(),
                low: 0.0,
                high: 1.0,
                shares: chart::shares(&lower, 0.0, 1.0, 20),
                logarithmic: false,
                marks: vec![Mark {
                    label: "mean".to_owned(),
                    text: number(lower.iter().map(|pair| pair.0).sum::<f64>() / lower.len() as f64),
                    value: lower.iter().map(|pair| pair.0).sum::<f64>() / lower.len() as f64,
                }],
            });
        }
        charts
    }
}

/// The name of a figure of curvature for people.
fn in_words(name: &str) -> String {
    let (matrix, name) = match name.strip_suffix("_gauss_newton") {
        Some(name) => (" of the Gauss–Newton matrix", name),
        None => ("", name),
    };
    let name = match name {
        "lambda_max" => "largest eigenvalue".to_owned(),
        "frobenius_norm" => "Frobenius norm".to_owned(),
        name => name.replace('_', " "),
    };
    name + matrix
}

/// To nearest, six digits: nothing here is a bound.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if (1e-3..1e6).contains(&size) => {
            let digits = 5_i32.saturating_sub(size.log10().floor() as i32).clamp(0, 8) as usize;
            let text = format!("{value:.digits$}");
            if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
        }
        _ => format!("{value:.5e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Stability;
    use super::*;

    #[test]
    fn the_line_of_two_over_eta_is_where_it_belongs() {
        let density = |learning_rate: f64| Hessian {
            loss_convention: String::new(),
            data: Vec::new(),
            samples: 1,
            figures: Vec::new(),
            density: vec![[Some(-1.0), Some(0.25)], [Some(0.0), Some(0.5)], [Some(9.0), Some(0.25)], [None, Some(1.0)]],
            stability: Some(Stability {
                verdict: "STABLE".into(),
                reason: None,
                learning_rate,
                batch_size: 1,
                critical_learning_rate: None,
            }),
        };
        let parts = |hessian: &Hessian| match &hessian.charts()[..] {
            [Chart::Histogram { low, high, shares, marks, .. }] => (*low, *high, shares.clone(), marks.clone()),
            other => panic!("{other:?}"),
        };
        let (low, high, shares, marks) = parts(&density(0.1));
        assert_eq!((low, marks[1].value), (-1.0, 20.0));
        assert!(high > 20.0 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(shares[0], 0.25);
        // Far away it does not squeeze the spectrum.
        let (_, high, _, marks) = parts(&density(1e-3));
        assert!(high < 10.0 && marks[1].value == 2000.0);
    }

    #[test]
    fn numbers_keep_six_digits() {
        for (value, text) in [(0.0, "0"), (1.0, "1"), (123456.7, "123457"), (0.0123456789, "0.0123457"), (1e-9, "1.00000e-9")] {
            assert_eq!(number(value), text);
        }
    }
}
