//! Claims of kind `hessian-trace`.

use serde::{Deserialize, Serialize};

use super::{CurvatureMatrix, Objective};
use crate::proof::number::Number;

/// `trace.lower ≤ tr ≤ trace.upper`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HessianTraceClaim {
    pub objective: Objective,
    pub matrix: CurvatureMatrix,
    pub trace: Interval,
    /// How the interval was estimated; without this it is proved.
    pub estimate: Option<ProbeEstimate>,
}

/// An interval of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Interval {
    pub lower: Number,
    pub upper: Number,
}

/// An interval from Gaussian probes whose number was fixed beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProbeEstimate {
    /// Probability, over the probes, with which the interval contains the trace.
    pub confidence: Number,
    pub probes: u32,
    /// Independent probes of the subspace that is treated exactly.
    pub sketch: u32,
    pub seed: u64,
}
