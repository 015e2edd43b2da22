//! Why a claim about regions of inputs is not proved.

use super::bounds::{BoundsError, RegionError};
use crate::lipschitz::LipschitzRefusal;
use crate::model::compose::ComposeError;
use crate::model::ir::EvaluationError;
use crate::proof::Content;

/// A refusal of a claim about regions. It says nothing about the network: the claim may be true and its witness damaged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RegionRefusal {
    #[error(transparent)]
    Content(#[from] Content),
    #[error(transparent)]
    Lipschitz(#[from] LipschitzRefusal),
    #[error("the region is not one: {0}")]
    Region(#[from] RegionError),
    #[error("nothing is bounded on the region: {0}")]
    Bounds(#[from] BoundsError),
    #[error(
        "{count} means or deviations where axis {axis} of the network's input {shape:?} counts the channels; \
         `--channel-axis` names another axis"
    )]
    Channels { count: usize, axis: usize, shape: Vec<usize> },
    #[error("{found} sizes of perturbations (`--eps`) where the network has {inputs} inputs: one for each, or one for all")]
    Sizes { found: usize, inputs: usize },
    #[error(
        "no input satisfies {empty} of the specification's disjuncts{}, which the claim does not say",
        if *vacuous { ", all of them: it is vacuous" } else { "" }
    )]
    Vacuity { empty: usize, vacuous: bool },
    #[error("a box is not refuted by its bounds")]
    NotRefuted,
    #[error("the point lies outside the box")]
    Outside,
    #[error("the two models are not compared: {0}")]
    Compose(#[from] ComposeError),
    #[error("the two networks are not proved to prefer different classes at the point")]
    NotDisagreeing,
    #[error("the point is not proved to be unsafe")]
    NotUnsafe,
}

impl From<EvaluationError> for RegionRefusal {
    fn from(error: EvaluationError) -> Self {
        Content::from(error).into()
    }
}
