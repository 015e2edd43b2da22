//! What `--hessian-trace` and `--inverse-hessian` share: data, loss and parameters.

use clap::ValueEnum;

use super::Failure;
use super::analysis::CommonArguments;
use crate::kernel::proof::LossName;
use crate::pass::derivatives::{Precision, Selection};
use crate::query::ObjectiveQuery;

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Curvature")]
pub struct Arguments {
    /// The loss, always its mean over the samples of `--data`
    #[arg(long, value_enum, value_name = "LOSS")]
    loss: Option<LossChoice>,
    /// Count these tensors alone as parameters (`*` stands for any characters); may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "include")]
    only: Vec<String>,
    /// Count this tensor as a parameter (`*` stands for any characters)
    #[arg(long, value_name = "NAME")]
    include: Vec<String>,
    /// Do not count this tensor as a parameter (`*` stands for any characters)
    #[arg(long, value_name = "NAME")]
    exclude: Vec<String>,
    /// Arithmetic of derivatives; what is certified is derived again by the checker
    #[arg(long, value_enum, value_name = "PRECISION", default_value = "double")]
    precision: PrecisionChoice,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionChoice {
    /// f64
    Double,
    /// f32: faster, half the memory; sums over samples are in f64
    Single,
}

#[derive(Clone, Copy, ValueEnum)]
enum LossChoice {
    /// -log softmax(output)[label]; a Softmax that ends the network belongs to the loss
    CrossEntropy,
    /// Half the sum of squared errors
    Mse,
}

impl Arguments {
    /// # Errors
    /// A loss or samples that are missing.
    pub fn query(&self, common: &CommonArguments, pass: &str) -> Result<ObjectiveQuery, Failure> {
        let loss = match self.loss {
            Some(LossChoice::CrossEntropy) => LossName::CrossEntropy,
            Some(LossChoice::Mse) => LossName::Mse,
            None => return Err(Failure::error(format!("`{pass}` needs a loss: `--loss cross-entropy` or `--loss mse`"))),
        };
        Ok(ObjectiveQuery {
            samples: common.samples(pass)?,
            loss,
            parameters: Selection { only: self.only.clone(), include: self.include.clone(), exclude: self.exclude.clone() },
            precision: match self.precision {
                PrecisionChoice::Double => Precision::Double,
                PrecisionChoice::Single => Precision::Single,
            },
        })
    }
}
