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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TightnessClaim {
    /// The file with the inputs, then the one with the labels where it is another.
    pub data: Vec<FileIdentity>,
    pub perturbation: Perturbation,
    /// How many samples were looked at, from the first.
    pub samples: u32,
    /// How many samples the data have; certificates of versions before 1.2 do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<u32>,
    pub elided: bool,
    /// Boxes that the search for the smallest box may split, for every row and side.
    pub splits: u32,
    /// Proved: the mean tightness over the samples lies between these two.
    pub tightness: TightnessInterval,
    /// Proved, only where elided: samples whose rows interval propagation alone shows to be positive.
    pub certified: Option<u32>,
    /// Proved: all values of the rows lie within; `[samples, rows, 2]`, lower bounds first.
    pub boxes: Vector,
    /// What else is known of the ends of smallest boxes, each at most once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optima: Vec<Optimum>,
    /// Proved: rows, over all samples, and samples with all their rows, whose smallest box is known to one millionth of its
    /// width.
    #[serde(default)]
    pub exact_rows: u32,
    #[serde(default)]
    pub exact_samples: u32,
    /// Descriptive figures: nobody checks them.
    pub descriptive: TightnessFigures,
}

/// One end of the smallest box of one row, enclosed: nothing is beyond a bound, and a point comes close to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Optimum {
    pub sample: u32,
    pub row: u32,
    pub end: End,
    /// No value of the row is beyond.
    pub bound: Bits,
    /// Splits whose leaves prove that, as in a specification.
    pub tree: Vector,
    /// An input in the sample's box, row-major: what the row is there is attained.
    pub point: Vector,
}

/// An end of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum End {
    Lower,
    Upper,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TightnessInterval {
    pub lower: Number,
    pub upper: Number,
}

/// Propagation tightness, means over rows and samples, in `f64`. It is no bound of the tightness, from either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TightnessFigures {
    /// With the activation pattern at the sample, at the centre of its box, and with all slopes one.
    pub propagation_tightness: Option<Bits>,
    pub propagation_tightness_at_centre: Option<Bits>,
    pub linear_tightness: Option<Bits>,
}

impl TightnessClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        let optima = self.optima.iter_mut().flat_map(|optimum| [&mut optimum.tree, &mut optimum.point]);
        std::iter::once(&mut self.boxes).chain(optima).collect()
    }
}
