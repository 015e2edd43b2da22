//! `verify MODEL --robust --data D --eps E --norm NORM`: robustness over a data set.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::analysis::CommonArguments;
use super::constants::{self, Constants};
use super::{Failure, units};
use crate::kernel::proof::{Kept, Norm, Perturbation, Semantics, Size};
use crate::kernel::read::vnnlib::Constant;
use crate::query::{Query, RobustnessQuery};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Robustness")]
pub struct Arguments {
    /// Decide for every sample of the data whether perturbations change its class; with `--threshold` of a classifier with one output,
    /// with `--max-change` of a regression
    #[arg(long, groups = ["pass", "perturbing"], requires_all = ["data", "eps"])]
    robust: bool,
    /// Size of the perturbations, in the units of the data: a decimal or a quotient (`8/255`); in ℓ∞ also one for every value of a
    /// sample, row-major, 0 where it stays as it is, or a .npy file with them
    #[arg(long, value_name = "EPS,…|FILE", value_delimiter = ',', value_parser = constants::size, num_args = 1, allow_hyphen_values = true, requires = "perturbing")]
    eps: Vec<Constants>,
    /// The network has one output, and the class is whether that is above T: label 1 above it, label 0 not (a logit: 0; a
    /// probability: 0.5)
    #[arg(long, value_name = "T", value_parser = units::decimal, allow_hyphen_values = true, requires = "robust", conflicts_with = "max_change")]
    threshold: Option<String>,
    /// Ask whether any output moves by more than E from what the sample itself gives, for regression; labels do not enter
    #[arg(long, value_name = "E", value_parser = units::size, allow_hyphen_values = true, requires = "robust")]
    max_change: Option<String>,
    /// Norm of the perturbations
    #[arg(long, value_enum, value_name = "NORM", default_value_t = PerturbationNorm::Linf, requires = "robust")]
    norm: PerturbationNorm,
    /// The network's input is (sample − mean)/deviation: one number, or one for each channel, or a .npy file with them
    #[arg(long, value_name = "M,…|FILE", value_delimiter = ',', value_parser = constants::mean, allow_hyphen_values = true, requires = "perturbing")]
    input_mean: Vec<Constants>,
    /// See `--input-mean`
    #[arg(long, value_name = "S,…|FILE", value_delimiter = ',', value_parser = constants::deviation, requires = "perturbing")]
    input_std: Vec<Constants>,
    /// Axis of the network's input that `--input-mean` and `--input-std` count along, the batch being axis 0; negative from the
    /// end: -1 where channels come last [default: 1]
    #[arg(long, value_name = "AXIS", allow_hyphen_values = true, requires = "perturbing")]
    channel_axis: Option<i32>,
    /// Perturbed samples stay between these two
    #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',', value_parser = units::decimal, num_args = 1, allow_hyphen_values = true, requires = "perturbing")]
    clip: Vec<String>,
    /// Finished samples are kept in this file; a run that was stopped goes on from there
    #[arg(long, value_name = "FILE", requires = "robust")]
    resume: Option<PathBuf>,
    /// Write one line for every sample to this file
    #[arg(long, value_name = "FILE", requires = "robust")]
    csv: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PerturbationNorm {
    /// Largest change of a value
    Linf,
    /// Euclidean norm of the change
    L2,
}

impl Arguments {
    /// # Errors
    /// What does not fit the network's input of that shape.
    pub fn query(&self, common: &CommonArguments, shape: &[usize]) -> Result<Option<Query>, Failure> {
        if !self.robust {
            return Ok(None);
        }
        Ok(Some(Query::Robustness(RobustnessQuery {
            samples: common.samples("--robust")?,
            perturbation: self.perturbation(shape)?,
            kept: self.kept(),
            semantics: common.semantics().unwrap_or(Semantics::Real),
        })))
    }

    fn kept(&self) -> Kept {
        match (&self.threshold, &self.max_change) {
            (Some(threshold), _) => Kept::Threshold(threshold.clone()),
            (None, Some(most)) => Kept::MaxChange(most.clone()),
            (None, None) => Kept::Class,
        }
    }

    /// Where finished samples are kept.
    pub fn journal(&self) -> Option<PathBuf> {
        self.resume.clone()
    }

    /// The files with sizes, means and deviations.
    pub fn constants(&self) -> impl Iterator<Item = &Path> {
        self.eps.iter().chain(&self.input_mean).chain(&self.input_std).filter_map(Constants::file)
    }

    /// Where the lines of the samples go.
    pub fn csv(&self) -> Option<&Path> {
        self.csv.as_deref()
    }

    fn epsilon(&self) -> Result<Size, Failure> {
        let sizes = constants::decimals("--eps", &self.eps, |value| value >= 0.0)?;
        match &sizes[..] {
            [] => Err(Failure::error("`--eps` is needed")),
            [size] => Ok(Size::Uniform(size.clone())),
            _ if matches!(self.norm, PerturbationNorm::L2) => {
                let hint = "one `--eps` for all, or `--norm linf`";
                Err(Failure::error("`--eps` with a size for every value is about ℓ∞, not `--norm l2`").with_hint(hint))
            }
            _ => Ok(Size::Each(sizes)),
        }
    }

    /// What may happen to a sample.
    ///
    /// # Errors
    /// What does not fit the network's input of that shape.
    pub fn perturbation(&self, shape: &[usize]) -> Result<Perturbation, Failure> {
        let clip = match &self.clip[..] {
            [] => None,
            [low, high] => {
                let number = |text: &str| Constant::parse_quotient(text).map(|number| number.nearest);
                if number(low) > number(high) {
                    let message = format!("`--clip {low},{high}`: the lower end is above the upper one");
                    return Err(Failure::error(message).with_hint("inputs stay between two numbers: `--clip 0,1`"));
                }
                Some([low.clone(), high.clone()])
            }
            _ => return Err(Failure::error("`--clip` takes two numbers: `--clip 0,1`")),
        };
        Ok(Perturbation {
            norm: match self.norm {
                PerturbationNorm::Linf => Norm::Linf,
                PerturbationNorm::L2 => Norm::L2,
            },
            epsilon: self.epsilon()?,
            clip,
            mean: constants::decimals("--input-mean", &self.input_mean, |_| true)?,
            deviation: constants::decimals("--input-std", &self.input_std, |value| value > 0.0)?,
            channel_axis: self.channel_axis.map(|axis| channel_axis(axis, shape)).transpose()?,
        })
    }
}

/// The axis that the user means, counted from the front.
fn channel_axis(axis: i32, shape: &[usize]) -> Result<u32, Failure> {
    let rank = i32::try_from(shape.len()).map_err(Failure::internal)?;
    let from_front = if axis < 0 { axis + rank } else { axis };
    let found = u32::try_from(from_front).ok().filter(|_| (0..rank).contains(&from_front));
    found.ok_or_else(|| Failure::error(format!("`--channel-axis {axis}`: the network's input {shape:?} has {rank} axes")))
}
