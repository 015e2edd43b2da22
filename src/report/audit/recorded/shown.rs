//! What a report shows of each recorded result: a sentence, figures, pictures. Rounded to nearest: nothing here is a bound.

use super::{DescriptiveFigure, Inputs, MOST_FIGURES, cut};
use crate::query::figures::{
    Computed, HessianFigure, HessianFigures, InverseFigures, PrunedTensor, PruningFigures, PruningPoint, Suspect,
    TightnessFigures,
};
use crate::report::audit::chart::{self, Chart, Mark, Series};

const BINS: usize = 48;
/// Where `2/η` lies further out than this many times the largest eigenvalue, the picture would show nothing else.
const FAR: f64 = 8.0;

pub fn about_curvature(hessian: &HessianFigures) -> String {
    format!("{} samples; loss: {}", hessian.samples, cut(&hessian.loss_convention))
}

pub fn figures_of_curvature(hessian: &HessianFigures) -> Vec<DescriptiveFigure> {
    let row = |figure: &HessianFigure| {
        let ends =
            figure.interval.and_then(|[low, high]| Some(format!(" in [{}, {}]", number(low.finite()?), number(high.finite()?))));
        let value = format!("≈ {}{}", figure.value.finite().map_or_else(|| "–".to_owned(), number), ends.unwrap_or_default());
        DescriptiveFigure { name: in_words(&cut(&figure.name)), value, how: cut(&figure.method) }
    };
    let stability = hessian.stability.iter().map(|stability| DescriptiveFigure {
        name: format!("SGD with learning rate {} and batches of {}", stability.learning_rate, stability.batch_size),
        value: cut(&stability.verdict),
        how: match (&stability.reason, stability.critical_learning_rate) {
            (Some(reason), _) => cut(reason),
            (None, Some(critical)) => format!("critical learning rate ≈ {}", number(critical)),
            (None, None) => "computed, unless a claim proves it".to_owned(),
        },
    });
    hessian.figures.iter().take(MOST_FIGURES).map(row).chain(stability).collect()
}

pub fn charts_of_curvature(hessian: &HessianFigures) -> Vec<Chart> {
    let finite = |pair: &[Computed; 2]| Some((pair[0].finite()?, pair[1].finite()?));
    let density: Vec<(f64, f64)> = hessian.density.iter().filter_map(finite).filter(|(_, weight)| *weight > 0.0).collect();
    let values = || density.iter().map(|(value, _)| *value);
    let (low, high) = (values().fold(0.0, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if density.len() < 2 || high <= low {
        return Vec::new();
    }
    let mut marks = vec![Mark { label: "largest eigenvalue".to_owned(), text: number(high), value: high }];
    let mut end = high;
    if let Some(stability) = hessian.stability.as_ref().filter(|stability| stability.learning_rate > 0.0) {
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

pub fn about_inverse(inverse: &InverseFigures) -> String {
    let (samples, gradients) = (inverse.samples, inverse.gradients);
    format!("{samples} samples, {gradients} gradients, damping {}; loss: {}", inverse.damping, cut(&inverse.loss_convention))
}

pub fn figures_of_inverse(inverse: &InverseFigures) -> Vec<DescriptiveFigure> {
    let Some(pruning) = &inverse.pruning else { return Vec::new() };
    let figure = |name: String, value: Computed| DescriptiveFigure {
        name,
        value: format!("≈ {}", value.finite().map_or_else(|| "–".to_owned(), number)),
        how: "measured on the samples".to_owned(),
    };
    vec![
        figure("loss before pruning".to_owned(), pruning.loss_before),
        figure(format!("loss with {} of {} weights removed", pruning.removed, pruning.of), pruning.loss_after),
        figure("loss without updating the other weights".to_owned(), pruning.loss_without_update),
    ]
}

pub fn charts_of_inverse(inverse: &InverseFigures, inputs: &Inputs, shape: &[usize]) -> Vec<Chart> {
    let mut charts = Vec::new();
    if let Some(pruning) = &inverse.pruning {
        charts.extend(charts_of_pruning(pruning));
    }
    let Some(data) = inverse.data.first() else { return charts };
    let image = |suspect: &Suspect| {
        let label = suspect.label.map_or(String::new(), |label| format!(", label {label}"));
        let leverage = suspect.leverage.finite().map_or(String::new(), |leverage| format!(", leverage {}", number(leverage)));
        chart::image(format!("sample {}{label}{leverage}", suspect.sample), &inputs(data, suspect.sample)?, shape)
    };
    let images: Vec<_> = inverse.suspects.iter().filter_map(image).take(chart::MOST_IMAGES).collect();
    if !images.is_empty() {
        let title = "The samples that pull hardest at the parameters: the most suspicious labels first".to_owned();
        charts.push(Chart::Images { title, images });
    }
    charts
}

fn charts_of_pruning(pruning: &PruningFigures) -> Vec<Chart> {
    let share = |removed: usize| removed as f64 / pruning.of.max(1) as f64;
    let series = |label: &str, of: fn(&PruningPoint) -> Computed| {
        let start = pruning.loss_before.finite().map(|loss| [0.0, loss]);
        let points = pruning.curve.iter().filter_map(|point| Some([share(point.removed), of(point).finite()?]));
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
    let bars: Vec<_> = pruning.parameters.iter().take(chart::MOST_BARS).map(bar).collect();
    if bars.len() > 1 {
        charts.push(Chart::Bars {
            title: format!("Where the {} removed weights lie", pruning.removed),
            unit: "share of the tensor removed".to_owned(),
            bars,
        });
    }
    charts
}

pub fn about_tightness(tightness: &TightnessFigures) -> String {
    format!("boxes of size ε = {} around {} samples, in the units of the data", tightness.perturbation.epsilon, tightness.samples)
}

pub fn charts_of_tightness(tightness: &TightnessFigures) -> Vec<Chart> {
    let mut charts = Vec::new();
    let widths = tightness.growth.iter().filter_map(|layer| {
        let value = layer.width.finite().filter(|width| *width > 0.0)?;
        Some(Mark { label: format!("{} ({})", layer.node, layer.operator), text: number(value), value })
    });
    let marks: Vec<Mark> = widths.take(chart::MOST_BARS).collect();
    if marks.len() > 1 {
        charts.push(Chart::Ladder { title: "Mean width of the boxes, from the input on".to_owned(), marks });
    }
    let lower: Vec<(f64, f64)> =
        tightness.per_sample.iter().flatten().filter_map(|bounds| Some((bounds[0].finite()?.clamp(0.0, 1.0), 1.0))).collect();
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
    use super::*;

    #[test]
    fn the_line_of_two_over_eta_is_where_it_belongs() {
        let density = |learning_rate: f64| -> HessianFigures {
            let zero = serde_json::json!({
                "loss_convention": "", "softmax_in_loss": false, "data": [], "samples": 1, "outputs": 1, "dimension": 1,
                "parameters": [], "not_parameters": [], "loss": 0.0, "accuracy": null, "gradient_norm": 0.0, "kinks": [],
                "structure": null, "figures": [], "lambda_min_hessian": null, "alignment": null, "parameter_norms": [],
                "stability": {
                    "verdict": "STABLE", "reason": null, "learning_rate": learning_rate, "batch_size": 1,
                    "critical_learning_rate": null, "bracket": [0.0, null], "gradient_descent": 0.0, "trace_condition": 0.0,
                    "wu_su": 0.0, "top_direction": 0.0, "sufficient": 0.0, "critical_batch_size": null, "critical_batch": "",
                    "edge_ratio": 0.0
                },
                "density": [[-1.0, 0.25], [0.0, 0.5], [9.0, 0.25], [null, 1.0]],
                "precision": "double", "not_done": [], "seconds": 0.0
            });
            serde_json::from_value(zero).unwrap()
        };
        let parts = |hessian: &HessianFigures| match &charts_of_curvature(hessian)[..] {
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
