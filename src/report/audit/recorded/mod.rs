//! Results that certificates do not hold: what passes computed in `f64` and wrote as JSON (`--output-format json`), read back
//! for a report. Nothing of it is a claim and nobody checks it, so it is told apart from everything that is established.
//!
//! Reading is total: any bytes give results or a reason, within a limit of size. What is not known is left out.

mod shown;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chart::Chart;
use crate::certificate::{FileIdentity, Perturbation, digest_of};
use crate::files::{self, json_problem};

/// A file of results holds figures, not data.
const MAX_BYTES: u64 = 1 << 26;
/// Longest text of a file of results that a report repeats, in characters.
const LONGEST: usize = 200;
/// The most figures of a pass that a report repeats.
const MOST_FIGURES: usize = 32;

/// Reads the first [`LONGEST`] characters of a text.
fn short<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(cut)
}

/// Reads a text as [`short`] does, where there is one.
fn short_if_any<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(cut))
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

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
    #[error("`{}` does not hold results as `--output-format json` writes them: {detail}", path.display())]
    Format { path: PathBuf, detail: String },
    #[error("`{}` is about another model than the one of the report", path.display())]
    AnotherModel { path: PathBuf },
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
        let path = path.to_owned();
        let bytes = match files::read(&path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(files::ReadError::Io(source)) => return Err(ResultsError::Io { path, source }),
            Err(files::ReadError::TooLarge { .. }) => return Err(ResultsError::TooLarge { path }),
        };
        let recorded: Recorded = match serde_json::from_slice(&bytes) {
            Ok(recorded) => recorded,
            Err(error) => return Err(ResultsError::Format { path, detail: json_problem(&bytes, &error, "nnverify-") }),
        };
        if recorded.digest != model {
            return Err(ResultsError::AnotherModel { path });
        }
        Ok(Self { digest: digest_of(&bytes), recorded })
    }

    /// The data files that each pass read.
    pub fn data(&self) -> impl Iterator<Item = &[FileIdentity]> {
        self.recorded.sections.iter().filter_map(|section| match section {
            Section::Hessian(Hessian { data, .. })
            | Section::Inverse(Inverse { data, .. })
            | Section::Tightness(Tightness { data, .. }) => Some(data.as_slice()),
            Section::Other => None,
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
    #[serde(deserialize_with = "short")]
    loss_convention: String,
    data: Vec<FileIdentity>,
    samples: usize,
    figures: Vec<HessianFigure>,
    density: Vec<[Option<f64>; 2]>,
    stability: Option<Stability>,
}

#[derive(Debug, Deserialize)]
struct HessianFigure {
    #[serde(deserialize_with = "short")]
    name: String,
    value: Option<f64>,
    interval: Option<[Option<f64>; 2]>,
    #[serde(deserialize_with = "short")]
    method: String,
}

#[derive(Debug, Deserialize)]
struct Stability {
    #[serde(deserialize_with = "short")]
    verdict: String,
    #[serde(default, deserialize_with = "short_if_any")]
    reason: Option<String>,
    learning_rate: f64,
    batch_size: usize,
    critical_learning_rate: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Inverse {
    #[serde(deserialize_with = "short")]
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
        assert_eq!(cut("é".repeat(LONGEST + 1)), format!("{}…", "é".repeat(LONGEST)));
        assert_eq!(cut("short".to_owned()), "short");
        // A pass without pictures is left out.
        let known = results("{\"digest\": \"aa\", \"sections\": [{\"pass\": \"lipschitz\", \"bounds\": []}]}").unwrap();
        assert!(known.sections("r.json", &|_, _| None, &[1, 4]).is_empty());
    }
}
