//! Claims about how tight interval bound propagation is on the samples of a data set.

use serde::{Deserialize, Serialize};

use super::super::number::{Bits, Number};
use super::{FileIdentity, Perturbation, Vector};

/// The boxes of interval propagation around samples, and how much wider they are than the smallest ones.
///
/// Rows are the differences `y_label − y_j` (elided: merged with the last linear layer) or the outputs. The tightness of a
/// row is the width of the smallest box over the width of the propagated one; of a sample, its mean over the rows whose
/// propagated box has a width. Every box of inputs is the smallest in `f64` that holds all perturbations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TightnessClaim {
    /// The file with the inputs, then the one with the labels where it is another.
    pub data: Vec<FileIdentity>,
    pub perturbation: Perturbation,
    /// How many samples were looked at, from the first.
    pub samples: u32,
    pub elided: bool,
    /// Boxes that the search for the smallest box may split, for every row and side.
    pub splits: u32,
    /// Proved: the mean tightness over the samples lies between these two.
    pub tightness: TightnessInterval,
    /// Proved, only where elided: samples whose rows interval propagation alone shows to be positive.
    pub certified: Option<u32>,
    /// Proved: all values of the rows lie within; `[samples, rows, 2]`, lower bounds first.
    pub boxes: Vector,
    /// Descriptive figures: nobody checks them.
    pub descriptive: TightnessFigures,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TightnessInterval {
    pub lower: Number,
    pub upper: Number,
}

/// Propagation tightness, means over rows and samples, in `f64`. It is no bound of the tightness, from either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TightnessFigures {
    /// With the activation pattern at the sample, at the centre of its box, and with all slopes one.
    pub propagation_tightness: Option<Bits>,
    pub propagation_tightness_at_centre: Option<Bits>,
    pub linear_tightness: Option<Bits>,
}

impl TightnessClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        vec![&mut self.boxes]
    }
}
