//! The robustness of a network over a data set.

use serde::{Deserialize, Serialize};

use super::CleanAccuracy;
use crate::kernel::proof::{Kept, Perturbation, RobustnessClaim, Semantics};
use crate::kernel::region::Method;
use crate::pass::robustness::SampleOutcome;

/// Counts over the data set, and every sample.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RobustnessFigures {
    pub perturbation: Perturbation,
    /// What robust samples keep.
    #[serde(default)]
    pub kept: Kept,
    pub semantics: Semantics,
    pub samples: usize,
    /// Nothing, where labels do not enter.
    pub clean_accuracy: Option<CleanAccuracy>,
    /// Proved: the share of samples that keep it under every perturbation, rounded down.
    pub certified_accuracy: String,
    /// Proved: one minus the share of falsified samples, rounded up.
    pub robust_accuracy_at_most: String,
    pub robust: usize,
    pub by_intervals: usize,
    pub by_backward_bounds: usize,
    pub by_lipschitz_margins: usize,
    /// By other slopes, or on parts of the box.
    #[serde(default)]
    pub by_parts: usize,
    pub falsified: usize,
    pub misclassified: usize,
    pub unknown: usize,
    /// Every sample, in the order of the data.
    pub per_sample: Vec<SampleFigures>,
    pub seconds: f64,
}

/// What became of one sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleFigures {
    /// Nothing, where labels do not enter.
    pub label: Option<u32>,
    /// `robust`, `falsified`, `misclassified` or `unknown`.
    pub outcome: String,
    /// What proved it robust.
    pub method: Option<Method>,
}

impl RobustnessFigures {
    #[must_use]
    pub fn new(
        claim: &RobustnessClaim,
        semantics: Semantics,
        outcomes: &[SampleOutcome],
        labels: Option<&[u32]>,
        clean_accuracy: Option<CleanAccuracy>,
        seconds: f64,
    ) -> Self {
        let count = |wanted: &dyn Fn(&SampleOutcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
        let (robust, falsified) = (claim.robust.len(), claim.falsified.len());
        let of_sample = |(sample, outcome): (usize, &SampleOutcome)| {
            let (word, method) = match outcome {
                SampleOutcome::Robust { method } => ("robust", Some(*method)),
                SampleOutcome::Falsified { misclassified: true, .. } => ("misclassified", None),
                SampleOutcome::Falsified { .. } => ("falsified", None),
                SampleOutcome::Unknown => ("unknown", None),
            };
            let label = labels.and_then(|labels| labels.get(sample).copied());
            SampleFigures { label, outcome: word.to_owned(), method }
        };
        let samples = outcomes.len();
        Self {
            perturbation: claim.perturbation.clone(),
            kept: claim.kept.clone(),
            semantics,
            samples,
            clean_accuracy,
            certified_accuracy: share(robust, samples, false),
            robust_accuracy_at_most: share(samples - falsified, samples, true),
            robust,
            by_intervals: count(&|outcome| *outcome == SampleOutcome::Robust { method: Method::Intervals }),
            by_backward_bounds: count(&|outcome| *outcome == SampleOutcome::Robust { method: Method::Backward }),
            by_lipschitz_margins: count(&|outcome| *outcome == SampleOutcome::Robust { method: Method::Lipschitz }),
            by_parts: count(&|outcome| *outcome == SampleOutcome::Robust { method: Method::Parts }),
            falsified,
            misclassified: count(&|outcome| matches!(outcome, SampleOutcome::Falsified { misclassified: true, .. })),
            unknown: samples - robust - falsified,
            per_sample: outcomes.iter().enumerate().map(of_sample).collect(),
            seconds,
        }
    }
}

/// A share with four digits, rounded down or up.
fn share(part: usize, whole: usize, up: bool) -> String {
    let scaled = part as u128 * 10_000;
    let whole = whole.max(1) as u128;
    let digits = if up { scaled.div_ceil(whole) } else { scaled / whole };
    format!("{}.{:04}", digits / 10_000, digits % 10_000)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_are_rounded_to_the_safe_side() {
        assert_eq!((share(2, 3, false), share(2, 3, true)), ("0.6666".to_owned(), "0.6667".to_owned()));
        assert_eq!((share(0, 0, false), share(7, 7, true)), ("0.0000".to_owned(), "1.0000".to_owned()));
    }
}
