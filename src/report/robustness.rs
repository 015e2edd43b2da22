//! What is told about the robustness of a classifier over a data set.

use std::fmt;

use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::Style;

use super::CleanAccuracy;
use crate::certificate::{Perturbation, RobustnessClaim, Semantics};
use crate::checker::Method;
use crate::pass::robustness::SampleOutcome;

/// Counts over the data set, and every sample.
#[derive(Debug, Serialize)]
pub struct RobustnessSection {
    perturbation: Perturbation,
    semantics: Semantics,
    samples: usize,
    clean_accuracy: CleanAccuracy,
    /// Proved: the share of samples that no perturbation can change, rounded down.
    certified_accuracy: String,
    /// Proved: one minus the share of falsified samples, rounded up.
    robust_accuracy_at_most: String,
    robust: usize,
    by_intervals: usize,
    by_backward_bounds: usize,
    by_lipschitz_margins: usize,
    falsified: usize,
    misclassified: usize,
    unknown: usize,
    /// `robust`, `falsified`, `misclassified` or `unknown`, in the order of the data.
    outcomes: Vec<&'static str>,
    seconds: f64,
}

impl RobustnessSection {
    #[must_use]
    pub fn new(
        claim: &RobustnessClaim,
        semantics: Semantics,
        outcomes: &[SampleOutcome],
        clean_accuracy: CleanAccuracy,
        seconds: f64,
    ) -> Self {
        let count = |wanted: &dyn Fn(&SampleOutcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
        let (robust, falsified) = (claim.robust.len(), claim.falsified.len());
        let word = |outcome: &SampleOutcome| match outcome {
            SampleOutcome::Robust { .. } => "robust",
            SampleOutcome::Falsified { misclassified: true, .. } => "misclassified",
            SampleOutcome::Falsified { .. } => "falsified",
            SampleOutcome::Unknown => "unknown",
        };
        let samples = outcomes.len();
        Self {
            perturbation: claim.perturbation.clone(),
            semantics,
            samples,
            clean_accuracy,
            certified_accuracy: share(robust, samples, false),
            robust_accuracy_at_most: share(samples - falsified, samples, true),
            robust,
            by_intervals: count(&|outcome| *outcome == SampleOutcome::Robust { method: Method::Intervals }),
            by_backward_bounds: count(&|outcome| *outcome == SampleOutcome::Robust { method: Method::Backward }),
            by_lipschitz_margins: count(&|outcome| *outcome == SampleOutcome::Robust { method: Method::Lipschitz }),
            falsified,
            misclassified: count(&|outcome| matches!(outcome, SampleOutcome::Falsified { misclassified: true, .. })),
            unknown: samples - robust - falsified,
            outcomes: outcomes.iter().map(word).collect(),
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

impl fmt::Display for RobustnessSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let norm = self.perturbation.norm.symbol();
        let mut table = Builder::default();
        table.push_record([
            format!("robustness, {norm}, ε = {}", self.perturbation.epsilon),
            format!("{} samples", self.samples),
            match self.semantics {
                Semantics::Real => "in real arithmetic",
                Semantics::Float32 => "in float32, any order of summation",
            }
            .to_owned(),
        ]);
        table.push_record(["clean accuracy", &self.clean_accuracy.to_string(), "computed: samples that are right as they are"]);
        table.push_record(["certified accuracy", &self.certified_accuracy, "proved"]);
        table.push_record(["robust accuracy at most", &self.robust_accuracy_at_most, "proved by counterexamples"]);
        let methods = format!(
            "{} by intervals, {} by backward bounds, {} by Lipschitz margins",
            self.by_intervals, self.by_backward_bounds, self.by_lipschitz_margins
        );
        table.push_record(["robust", &self.robust.to_string(), &methods]);
        let wrong = format!("{} of them misclassified as they are", self.misclassified);
        table.push_record(["falsified", &self.falsified.to_string(), &wrong]);
        table.push_record(["unknown", &self.unknown.to_string(), ""]);
        writeln!(f, "{}", table.build().with(Style::rounded()))
    }
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
