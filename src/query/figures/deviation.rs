//! How far the outputs of two networks are apart.

use serde::{Deserialize, Serialize};

use super::Computed;
use crate::kernel::proof::Semantics;

/// Output by output, and case by case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviationFigures {
    /// The file of the network that is compared with.
    pub baseline: String,
    pub baseline_digest: String,
    pub semantics: Semantics,
    /// Whether nodes of the two were paired, so that bounds are those of differences.
    pub paired: bool,
    /// How many samples; nothing on a box.
    pub samples: Option<u32>,
    /// How far around them.
    pub epsilon: Option<String>,
    /// What was asked for.
    pub max_deviation: Option<String>,
    pub min_agreement: Option<f64>,
    /// Whether classes were compared.
    pub agreement: bool,
    pub outputs: Vec<OutputFigures>,
    /// Every sample in the order of the data, or the box.
    pub cases: Vec<CaseFigures>,
    /// Boxes that were bounded.
    pub parts: usize,
    pub seconds: f64,
}

/// One output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutputFigures {
    pub output: usize,
    /// Proved, rounded up: it differs nowhere by more.
    pub proved: Option<String>,
    /// Proved, rounded down: it differs somewhere by at least so much.
    pub attained: Option<String>,
}

/// One sample, or the box.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseFigures {
    /// The largest bound of all outputs.
    pub proved: Computed,
    /// The largest deviation that was met.
    pub attained: Computed,
    /// `same`, `different` or `open`; nothing, where classes were not compared.
    pub agreement: Option<String>,
}

impl DeviationFigures {
    /// Returns how many cases ended like this where classes were compared.
    #[must_use]
    pub fn count(&self, agreement: &str) -> usize {
        self.cases.iter().filter(|case| case.agreement.as_deref() == Some(agreement)).count()
    }
}
