//! `verify MODEL --tightness --data D --eps E`: options of the question how tight interval propagation is.

use super::analysis::CommonArguments;
use super::{Failure, robustness};
use crate::query::{Query, TightnessQuery};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Tightness of interval propagation")]
pub struct Arguments {
    /// Measure how much wider interval propagation makes the boxes around the samples than they need be
    #[arg(long, groups = ["pass", "perturbing"], requires_all = ["data", "eps"])]
    tightness: bool,
    /// Look at the outputs themselves, not at the margins of the label merged with the last layer; a network with one output has
    /// no margins
    #[arg(long, requires = "tightness")]
    not_elided: bool,
    /// Boxes that the search for the smallest box may split, for every row and side [default: by the number of inputs]
    #[arg(long, value_name = "N", requires = "tightness")]
    splits: Option<u32>,
    /// Phases of ReLUs that the search for the smallest box may fix after that, for every row and side; 0: none [default: by the
    /// number of inputs and of samples]
    #[arg(long, value_name = "N", requires = "tightness")]
    phase_splits: Option<u32>,
}

impl Arguments {
    /// # Errors
    /// What does not fit the network's input of that shape.
    pub fn query(
        &self,
        robustness: &robustness::Arguments,
        common: &CommonArguments,
        shape: &[usize],
    ) -> Result<Option<Query>, Failure> {
        if !self.tightness {
            return Ok(None);
        }
        Ok(Some(Query::Tightness(TightnessQuery {
            samples: common.samples("--tightness")?,
            perturbation: robustness.perturbation(shape)?,
            elided: !self.not_elided,
            splits: self.splits,
            phase_splits: self.phase_splits,
        })))
    }
}
