//! Requirements: a limit on the figure that answers a question.

use super::figure::Better;
use crate::kernel::proof::Assurance;

/// One line of the policy's table.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// `model.rule.threshold`, unique within the policy.
    pub id: String,
    /// What is limited, in words.
    pub what: String,
    /// Line of the policy with the limit, from 1.
    pub line: usize,
    pub limit: Limit,
    /// The weakest assurance that will do.
    pub assurance: Assurance,
    /// Whether a claim about no input will do.
    pub allow_vacuous: bool,
}

/// What is asked of the figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    Is(&'static str),
    /// Worse than the baseline's figure by at most this fraction of it; smaller is better.
    Regression(f64),
}

impl Limit {
    /// The limit with the baseline's figure put in.
    #[must_use]
    pub fn resolved(&self, baseline: Option<f64>) -> Option<Self> {
        match self {
            Self::Regression(fraction) => baseline.map(|baseline| Self::AtMost(baseline * (1.0 + fraction))),
            limit => Some(limit.clone()),
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
            Self::Is(word) => f.write_str(word),
            Self::Regression(fraction) => write!(f, "baseline + {} %", fraction * 100.0),
        }
    }
}

impl Better {
    /// By how much a figure leaves room below or above a limit; negative where it breaks it.
    #[must_use]
    pub fn margin(self, value: f64, limit: f64) -> f64 {
        match self {
            Self::Smaller => limit - value,
            Self::Larger => value - limit,
        }
    }
}
