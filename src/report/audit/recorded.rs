//! Results that certificates do not hold: what passes computed in `f64` and wrote as JSON (`--output-format json`), read back
//! for a report. Nothing of it is a claim and nobody checks it, so it is told apart from everything that is established.
//!
//! Reading is total: any bytes give results or a reason, within a limit of size. What is not known is left out.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chart::{self, Chart, Mark, Series};
use crate::certificate::{FileIdentity, Perturbation, digest_of};

/// A file of results holds figures, not data.
const MAX_BYTES: u64 = 1 << 26;
const BINS: usize = 48;
/// Where `2/η` lies further out than this many times the largest eigenvalue, the picture would show nothing else.
const FAR: f64 = 8.0;

/// What a pass computed and nobody checks.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DescriptiveSection {
    pub title: String,
    /// The file of results.
    pub results: String,
    /// SHA-256 of it.
    pub digest: String,
    /// The data that the pass read, by the digests of that run.
    pub data: Vec<FileIdentity>,
    /// What it is about, in words.
    pub about: String,
    pub figures: Vec<DescriptiveFigure>,
    pub charts: Vec<Chart>,
}

/// One figure that nobody checks.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DescriptiveFigure {
    pub name: String,
    pub value: String,
    /// Where it comes from: exact up to rounding, or a statistic with its confidence.
    pub how: String,
}

/// Why a file of results cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    #[error("`{}` cannot be read: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("`{}` has more than {MAX_BYTES} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("`{}` does not hold results as `--output-format json` writes them: {source}", path.display())]
    Format { path: PathBuf, source: serde_json::Error },
    #[error("`{}` is about another model: its SHA-256 is {found}", path.display())]
    AnotherModel { path: PathBuf, found: String },
}

/// Results of one run of passes.
#[derive(Debug)]
pub struct Results {
    digest: String,
    recorded: Recorded,
}

/// Gives the input of a sample of a data file, where that is at hand.
pub type Inputs<'a> = dyn Fn(&FileIdentity, usize) -> Option<Vec<f64>> + 'a;

impl Results {
    /// Results about the model with this SHA-256.
    ///
    /// # Errors
    /// [`ResultsError`].
    pub fn open(path: &Path, model: &str) -> Result<Self, ResultsError> {
        use std::io::Read;
        let path = path.to_owned();
        let io = |source| ResultsError::Io { path: path.clone(), source };
        let mut bytes = Vec::new();
        std::fs::File::open(&path).map_err(io)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(ResultsError::TooLarge { path });
        }
        let recorded: Recorded = match serde_json::from_slice(&bytes) {
            Ok(recorded) => recorded,
            Err(source) => return Err(ResultsError::Format { path, source }),
        };
        if recorded.digest != model {
            return Err(ResultsError::AnotherModel { path, found: recorded.digest });
        }
        Ok(Self { digest: digest_of(&bytes), recorded })
    }

    /// The data files that the passes read.
    pub fn data(&self) -> impl Iterator<Item = &FileIdentity> {
        self.recorded.sections.iter().flat_map(|section| match section {
            Section::Hessian(Hessian { data, .. })
            | Section::Inverse(Inverse { data, .. })
            | Section::Tightness(Tightness { data, .. }) => data.as_slice(),
            Section::Other => &[],
        })
    }

    /// The data files whose samples are named, to be shown.
    pub fn sampled(&self) -> impl Iterator<Item = &FileIdentity> {
        self.recorded.sections.iter().filter_map(|section| match section {
            Section::Inverse(Inverse { data, suspects, .. }) if !suspects.is_empty() => data.first(),
            _ => None,
        })
    }

    /// What a report tells of them. `path` is where they lie, in words; `shape` that of the model's input.
    #[must_use]
    pub fn sections(&self, path: &str, inputs: &Inputs, shape: &[usize]) -> Vec<DescriptiveSection> {
        let of = |section: &Section| {
            let (title, data, about, figures, charts) = match section {
                Section::Hessian(hessian) => {
                    ("Curvature at the parameters", &hessian.data, hessian.about(), hessian.figures(), hessian.charts())
                }
                Section::Inverse(inverse) => {
                    let charts = inverse.charts(inputs, shape);
                    ("Pruning and suspicious samples", &inverse.data, inverse.about(), inverse.figures(), charts)
                }
                Section::Tightness(tightness) => {
                    let about = tightness.about();
                    ("Interval propagation, layer by layer", &tightness.data, about, Vec::new(), tightness.charts())
                }
                Section::Other => return None,
            };
            let (path, digest) = (path.to_owned(), self.digest.clone());
            let data = data.clone();
            Some(DescriptiveSection { title: title.to_owned(), results: path, digest, data, about, figures, charts })
        };
        self.recorded.sections.iter().filter_map(of).collect()
    }
}

// The parts of `AnalysisReport` that pictures take. What JSON cannot say (NaN, infinity) is `null` there and `None` here.

#[derive(Debug, Deserialize)]
struct Recorded {
    digest: String,
    sections: Vec<Section>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "pass", rename_all = "kebab-case")]
enum Section {
    Hessian(Hessian),
    Inverse(Inverse),
    Tightness(Tightness),
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Hessian {
    loss_convention: String,
    data: Vec<FileIdentity>,
    samples: usize,
    figures: Vec<HessianFigure>,
    density: Vec<[Option<f64>; 2]>,
    stability: Option<Stability>,
}

#[derive(Debug, Deserialize)]
struct HessianFigure {
    name: String,
    value: Option<f64>,
    interval: Option<[Option<f64>; 2]>,
    method: String,
}

#[derive(Debug, Deserialize)]
struct Stability {
    verdict: String,
    reason: Option<String>,
    learning_rate: f64,
    batch_size: usize,
    critical_learning_rate: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Inverse {
    loss_convention: String,
    data: Vec<FileIdentity>,
    samples: u32,
    gradients: usize,
    damping: f64,
    pruning: Option<Pruning>,
    suspects: Vec<Suspect>,
}

#[derive(Debug, Deserialize)]
struct Pruning {
    removed: usize,
    of: usize,
    loss_before: Option<f64>,
    loss_after: Option<f64>,
    loss_without_update: Option<f64>,
    parameters: Vec<PrunedTensor>,
    curve: Vec<PruningPoint>,
}

#[derive(Debug, Deserialize)]
struct PrunedTensor {
    name: String,
    size: usize,
    removed: usize,
}

#[derive(Debug, Deserialize)]
struct PruningPoint {
    removed: usize,
    loss: Option<f64>,
    loss_without_update: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Suspect {
    sample: usize,
    label: Option<usize>,
    leverage: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Tightness {
    data: Vec<FileIdentity>,
    perturbation: Perturbation,
    samples: u32,
    growth: Vec<Width>,
    per_sample: Vec<Option<[Option<f64>; 2]>>,
}

#[derive(Debug, Deserialize)]
#[allow(clippy::struct_field_names)] // the name that the results have
struct Width {
    node: String,
    operator: String,
    width: Option<f64>,
}

impl Hessian {
    fn about(&self) -> String {
        format!("{} samples; loss: {}", self.samples, self.loss_convention)
    }

    fn figures(&self) -> Vec<DescriptiveFigure> {
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
        self.figures.iter().map(row).chain(stability).collect()
    }

    fn charts(&self) -> Vec<Chart> {
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
    fn about(&self) -> String {
        let (samples, gradients) = (self.samples, self.gradients);
        format!("{samples} samples, {gradients} gradients, damping {}; loss: {}", self.damping, self.loss_convention)
    }

    fn figures(&self) -> Vec<DescriptiveFigure> {
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

    fn charts(&self, inputs: &Inputs, shape: &[usize]) -> Vec<Chart> {
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
    fn about(&self) -> String {
        format!("boxes of size ε = {} around {} samples, in the units of the data", self.perturbation.epsilon, self.samples)
    }

    fn charts(&self) -> Vec<Chart> {
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
    use super::*;

    fn results(text: &str) -> Result<Results, ResultsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        std::fs::write(&path, text).unwrap();
        Results::open(&path, "aa")
    }

    #[test]
    fn what_is_no_result_is_said() {
        for (text, words) in [
            ("{", "does not hold results"),
            ("{\"schema\": 1}", "missing field"),
            ("{\"digest\": \"bb\", \"sections\": []}", "another model"),
        ] {
            let error = results(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(matches!(Results::open(Path::new("none.json"), "aa"), Err(ResultsError::Io { .. })));
        // A pass without pictures is left out.
        let known = results("{\"digest\": \"aa\", \"sections\": [{\"pass\": \"lipschitz\", \"bounds\": []}]}").unwrap();
        assert!(known.sections("r.json", &|_, _| None, &[1, 4]).is_empty());
    }

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
