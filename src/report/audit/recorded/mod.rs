//! Results that certificates do not hold: what passes computed in `f64` and wrote as JSON (`--output-format json`), read back
//! for a report. Nothing of it is a claim and nobody checks it, so it is told apart from everything that is established.
//!
//! Reading is total: any bytes give results or a reason, within a limit of size. They are the types that were written; texts are cut.

mod shown;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::chart::Chart;
use crate::files::{self, json_problem};
use crate::kernel::proof::{FileIdentity, digest_of};
use crate::query::figures::Figures;
use crate::report::AnalysisReport;

/// A file of results holds figures, not data.
const MAX_BYTES: u64 = 1 << 26;
/// Longest text of a file of results that a report repeats, in characters.
const LONGEST: usize = 200;
/// The most figures of a pass that a report repeats.
const MOST_FIGURES: usize = 32;

/// The first [`LONGEST`] characters of a text: whoever wrote the file may have written anything.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
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
    recorded: AnalysisReport,
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
        Self::from_json(&bytes, path, model)
    }

    /// Reads results that are no file, or were read. `path` is what messages call them.
    ///
    /// # Errors
    /// [`ResultsError`].
    pub fn from_json(bytes: &[u8], path: PathBuf, model: &str) -> Result<Self, ResultsError> {
        let recorded: AnalysisReport = match serde_json::from_slice(bytes) {
            Ok(recorded) => recorded,
            Err(error) => return Err(ResultsError::Format { path, detail: json_problem(bytes, &error, "nnverify-") }),
        };
        if recorded.digest != model {
            return Err(ResultsError::AnotherModel { path });
        }
        Ok(Self { digest: digest_of(bytes), recorded })
    }

    /// The data files that each pass read.
    pub fn data(&self) -> impl Iterator<Item = &[FileIdentity]> {
        self.recorded.sections.iter().filter_map(|figures| match figures {
            Figures::Hessian(hessian) => Some(hessian.data.as_slice()),
            Figures::Inverse(inverse) => Some(inverse.data.as_slice()),
            Figures::Tightness(tightness) => Some(tightness.data.as_slice()),
            Figures::Lipschitz(_) | Figures::Robustness(_) | Figures::Specification(_) | Figures::Deviation(_) => None,
        })
    }

    /// The data files whose samples are named, to be shown.
    pub fn sampled(&self) -> impl Iterator<Item = &FileIdentity> {
        self.recorded.sections.iter().filter_map(|figures| match figures {
            Figures::Inverse(inverse) if !inverse.suspects.is_empty() => inverse.data.first(),
            _ => None,
        })
    }

    /// What a report tells of them. `path` is where they lie, in words; `shape` that of the model's input.
    #[must_use]
    pub fn sections(&self, path: &str, inputs: &Inputs, shape: &[usize]) -> Vec<DescriptiveSection> {
        let of = |figures: &Figures| {
            let (title, data, about, figures, charts) = match figures {
                Figures::Hessian(hessian) => (
                    "Curvature at the parameters",
                    &hessian.data,
                    shown::about_curvature(hessian),
                    shown::figures_of_curvature(hessian),
                    shown::charts_of_curvature(hessian),
                ),
                Figures::Inverse(inverse) => (
                    "Pruning and suspicious samples",
                    &inverse.data,
                    shown::about_inverse(inverse),
                    shown::figures_of_inverse(inverse),
                    shown::charts_of_inverse(inverse, inputs, shape),
                ),
                Figures::Tightness(tightness) => (
                    "Interval propagation, layer by layer",
                    &tightness.data,
                    shown::about_tightness(tightness),
                    Vec::new(),
                    shown::charts_of_tightness(tightness),
                ),
                Figures::Lipschitz(_) | Figures::Robustness(_) | Figures::Specification(_) | Figures::Deviation(_) => {
                    return None;
                }
            };
            let (path, digest) = (path.to_owned(), self.digest.clone());
            let data = data.clone();
            Some(DescriptiveSection { title: title.to_owned(), results: path, digest, data, about, figures, charts })
        };
        self.recorded.sections.iter().filter_map(of).collect()
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
        for (text, words) in [("{", "does not hold results"), ("{\"schema\": 1}", "missing field")] {
            let error = results(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let report = |digest: &str, sections: &str| {
            format!(
                "{{\"model\": \"m\", \"digest\": \"{digest}\", \"input\": [], \"output\": [], \"parameters\": 0, \"sections\": \
                 [{sections}], \"statements\": [], \"claims\": [], \"certificate\": null, \"seconds\": 0, \"check_milliseconds\": 0}}"
            )
        };
        assert!(matches!(results(&report("bb", "")), Err(ResultsError::AnotherModel { .. })));
        assert!(matches!(Results::open(Path::new("none.json"), "aa"), Err(ResultsError::Io { .. })));
        assert_eq!(cut(&"é".repeat(LONGEST + 1)), format!("{}…", "é".repeat(LONGEST)));
        assert_eq!(cut("short"), "short");
        // A pass without pictures is left out.
        let known = results(&report("aa", "{\"pass\": \"lipschitz\", \"bounds\": []}")).unwrap();
        assert!(known.sections("r.json", &|_, _| None, &[1, 4]).is_empty());
    }
}
