//! STABLE, UNSTABLE or neither: what the thresholds say about one step size and batch size.

use super::gram::Gram;
use super::stability::{Conditions, CriticalBatch, Summary, Threshold, critical_batch, threshold};
use crate::deadline::Deadline;

/// What can be said about plain SGD at a step size and batch size: its linearised dynamics, i.i.d. batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Mean-square stable.
    Stable,
    /// Mean-square unstable.
    Unstable,
    /// The step size lies within the bracket of the threshold.
    Undecided,
    /// The setting is not the one of the theory; numbers are printed as a heuristic.
    NotApplicable(String),
}

impl Verdict {
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stable => "STABLE",
            Self::Unstable => "UNSTABLE",
            Self::Undecided => "UNDECIDED",
            Self::NotApplicable(_) => "NOT-APPLICABLE",
        }
    }
}

/// Everything about stability at one step size and batch size.
#[derive(Clone, Debug)]
pub struct Stability {
    pub learning_rate: f64,
    pub conditions: Conditions,
    /// `η*(B)`, where it was computed.
    pub exact: Option<f64>,
    /// Bracket of `η*(B)`: the sufficient condition and the least necessary one, or the exact value and its residual.
    pub bracket: (f64, f64),
    pub critical_batch: Option<CriticalBatch>,
    /// `ηλ_max/2`: the edge of stability is at one.
    pub edge_ratio: f64,
    pub verdict: Verdict,
    /// The matrix S of the exact threshold, r × r in the eigenbasis of `G`.
    pub witness: Option<Vec<f64>>,
}

/// Judges a step size. `reason`: why the theory does not apply, if it does not.
#[must_use]
pub fn judge(gram: &Gram, learning_rate: f64, batch: usize, reason: Option<String>) -> Stability {
    let until = Deadline::default();
    let found = threshold(gram, batch, until).ok().flatten();
    judge_with(gram, learning_rate, batch, reason, found, critical_batch(gram, learning_rate, until).ok().flatten())
}

/// The same from a threshold and a critical batch size that are known, or not.
#[must_use]
pub fn judge_with(
    gram: &Gram,
    learning_rate: f64,
    batch: usize,
    reason: Option<String>,
    found: Option<Threshold>,
    critical_batch: Option<CriticalBatch>,
) -> Stability {
    let conditions = Conditions::of(gram, batch);
    let exact = found.as_ref().map(|found| found.value);
    let bracket = match &found {
        // An eigenvalue lies within the residual of the Ritz value; rounding of the matrix itself is of order ε·λ_max.
        Some(found) => {
            let slack = found.residual + 1e-12;
            (found.value / (1.0 + slack), found.value / (1.0 - slack))
        }
        None => (conditions.sufficient, conditions.necessary()),
    };
    let verdict = match reason {
        Some(reason) => Verdict::NotApplicable(reason),
        None if learning_rate <= bracket.0.max(conditions.sufficient * (1.0 - 1e-12)) => Verdict::Stable,
        None if learning_rate > bracket.1.min(conditions.necessary() * (1.0 + 1e-12)) => Verdict::Unstable,
        None => Verdict::Undecided,
    };
    Stability {
        learning_rate,
        edge_ratio: learning_rate * gram.largest_eigenvalue() / 2.0,
        exact,
        bracket,
        critical_batch,
        verdict,
        witness: found.map(|found| found.witness),
        conditions,
    }
}

/// The same for data whose Gram matrix is too large: by the bracket alone.
#[must_use]
pub fn judge_by_bracket(summary: &Summary, learning_rate: f64, batch: usize, reason: Option<String>) -> Stability {
    let conditions = Conditions::from_summary(summary, batch);
    let bracket = (conditions.sufficient, conditions.necessary());
    let verdict = match reason {
        Some(reason) => Verdict::NotApplicable(reason),
        None if learning_rate <= bracket.0 => Verdict::Stable,
        None if learning_rate > bracket.1 => Verdict::Unstable,
        None => Verdict::Undecided,
    };
    Stability {
        learning_rate,
        edge_ratio: learning_rate * summary.top.0 / 2.0,
        exact: None,
        bracket,
        critical_batch: None,
        verdict,
        witness: None,
        conditions,
    }
}
