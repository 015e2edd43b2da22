//! `verify MODEL --lipschitz NORM`: options of the Lipschitz pass.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::Failure;
use super::analysis::CommonArguments;
use crate::kernel::proof::{self, Sorts};
use crate::pass::lipschitz::EngineChoice;
use crate::query::{self, LipschitzQuery, Query};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Lipschitz constants")]
pub struct Arguments {
    /// Certify the network's Lipschitz constant in this norm
    #[arg(long, value_enum, value_name = "NORM", group = "pass")]
    lipschitz: Option<Norm>,
    /// Where: `LOW,HIGH` for every input, a .npz file with the arrays `lower` and `upper`, or `around:RADIUS` for a box
    /// around every sample of `--data` [default: everywhere]
    #[arg(long, value_name = "BOX", value_parser = Region::parse, requires = "lipschitz", allow_hyphen_values = true)]
    region: Option<Region>,
    /// Also bound every difference of two outputs; with `--data`, how far every sample may move before its class can change
    /// (certified accuracy at a size of perturbations is what `--robust` claims)
    #[arg(long, requires = "lipschitz")]
    per_margin: bool,
    /// What looks for multipliers
    #[arg(long, value_enum, value_name = "ENGINE", default_value_t, requires = "lipschitz")]
    engine: EngineChoice,
    /// How activations that sort enter the matrix inequality
    #[arg(long, value_enum, value_name = "FORM", default_value = "comparators", requires = "lipschitz")]
    formulation: Formulation,
}

#[derive(Clone, Copy, ValueEnum)]
enum Formulation {
    /// One multiplier per comparator of a sorting network: the tighter bound
    Comparators,
    /// One multiplier per sorted group: the smaller matrix
    Groups,
}

#[derive(Clone, Copy, ValueEnum)]
enum Norm {
    /// Sum of absolute values of inputs and of outputs; single outputs and their differences in absolute value. With it the
    /// inputs' columns are bounded: how much the outputs change together where one input alone does
    L1,
    /// Euclidean norm of inputs and outputs
    L2,
    /// Largest absolute value of inputs and outputs
    Linf,
}

/// Where a constant is wanted.
#[derive(Clone)]
pub enum Region {
    Interval(f64, f64),
    File(PathBuf),
    Around(f64),
}

impl Region {
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        if let Some(radius) = text.strip_prefix("around:") {
            let radius = number(radius).filter(|radius| *radius >= 0.0);
            return radius.map(Self::Around).ok_or_else(|| "the radius is not a number from zero up".to_owned());
        }
        match text.split_once(',').map(|(low, high)| (number(low), number(high))) {
            Some((Some(low), Some(high))) if low <= high => Ok(Self::Interval(low, high)),
            Some((Some(_), Some(_))) => Err("the lower bound is above the upper one".to_owned()),
            Some(_) if !Path::new(text).exists() => Err("`LOW,HIGH` are not two finite numbers".to_owned()),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl Arguments {
    /// # Errors
    /// Samples that are needed and missing.
    pub fn query(&self, common: &CommonArguments) -> Result<Option<Query>, Failure> {
        let Some(norm) = self.lipschitz else { return Ok(None) };
        let everywhere = self.region.is_none();
        let radii = (self.per_margin && everywhere && common.has_data()).then(|| common.samples("--per-margin")).transpose()?;
        let region = match &self.region {
            None => query::Region::Everywhere,
            Some(Region::Interval(low, high)) => query::Region::Interval { low: *low, high: *high },
            Some(Region::File(path)) => query::Region::File { path: path.clone() },
            Some(Region::Around(radius)) => {
                query::Region::Around { samples: common.samples("--region around:RADIUS")?, radius: *radius }
            }
        };
        Ok(Some(Query::Lipschitz(LipschitzQuery {
            norm: match norm {
                Norm::L1 => proof::Norm::L1,
                Norm::L2 => proof::Norm::L2,
                Norm::Linf => proof::Norm::Linf,
            },
            region,
            margins: self.per_margin,
            radii,
            engine: self.engine,
            sorts: match self.formulation {
                Formulation::Comparators => Sorts::Comparators,
                Formulation::Groups => Sorts::Groups,
            },
        })))
    }
}
