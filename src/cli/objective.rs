//! What `--hessian-trace` and `--inverse-hessian` share: data, loss and parameters.

use clap::ValueEnum;

use super::Failure;
use super::analysis::Context;
use crate::certificate::{self, FileIdentity, LossName};
use crate::checker;
use crate::data::Dataset;
use crate::pass::derivatives::{Circuit, Loss, Parameters, Precision, Samples, Selection, Targets};

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

/// A mean loss over the samples that were given.
pub struct Setting<'a> {
    pub circuit: Circuit<'a>,
    pub loss: Loss,
    pub samples: Samples,
    /// Does a Softmax of the network belong to the loss?
    pub softmax: bool,
    /// As claims say it.
    pub identity: certificate::Objective,
    pub dataset: Dataset,
}

impl Arguments {
    pub const fn precision(&self) -> Precision {
        match self.precision {
            PrecisionChoice::Double => Precision::Double,
            PrecisionChoice::Single => Precision::Single,
        }
    }

    /// # Errors
    /// Data, a loss or parameters that are missing or do not fit.
    pub fn setting<'a>(&self, context: &Context<'a>, pass: &str) -> Result<Setting<'a>, Failure> {
        let loss = match self.loss {
            Some(LossChoice::CrossEntropy) => Loss::CrossEntropy,
            Some(LossChoice::Mse) => Loss::Mse,
            None => return Err(Failure::error(format!("`{pass}` needs a loss: `--loss cross-entropy` or `--loss mse`"))),
        };
        let dataset = context.data(pass)?;
        let count = context.samples(&dataset);
        let network = &context.model.network;
        let selection = Selection { only: self.only.clone(), include: self.include.clone(), exclude: self.exclude.clone() };
        let parameters = Parameters::of(context.model, &selection).map_err(Failure::error)?;
        let (output, softmax) = loss.output(network);
        let outputs = network.node(output).size();
        if loss == Loss::CrossEntropy && outputs < 2 {
            let message =
                format!("`{pass}`: the network has one output, whose softmax is 1 whatever its weights: the loss is always 0");
            let hint = "the logit of a binary classifier becomes two classes where the export appends an output that is 0";
            return Err(Failure::coded("NV140", message).at(context.path).with_hint(hint));
        }
        let targets = match loss {
            Loss::CrossEntropy => {
                let labels = dataset.labels(outputs).map_err(Failure::error)?;
                Targets::Labels(labels.iter().take(count).map(|&label| label as usize).collect())
            }
            Loss::Mse => {
                let mut values = dataset.target_values(outputs).map_err(Failure::error)?;
                values.truncate(count * outputs);
                Targets::Values(values)
            }
        };
        let inputs = (0..count).flat_map(|sample| dataset.input(sample)).collect();
        let names: Vec<String> = parameters.list.iter().map(|parameter| parameter.name.clone()).collect();
        let identity = certificate::Objective {
            data: dataset.files().iter().map(|(path, digest)| identity(path, digest)).collect(),
            samples: u32::try_from(count).map_err(Failure::internal)?,
            loss: match loss {
                Loss::CrossEntropy => LossName::CrossEntropy,
                Loss::Mse => LossName::Mse,
            },
            scope: Some(checker::scope(dataset.len(), network, &context.model.tensors, &names)),
            parameters: names,
        };
        let circuit = Circuit::new(network, output, parameters).map_err(Failure::error)?;
        Ok(Setting { circuit, loss, samples: Samples { inputs, targets, count }, softmax, identity, dataset })
    }
}

impl Setting<'_> {
    /// The same as the checker builds it.
    ///
    /// # Errors
    /// What the checker would refuse.
    pub fn checked<'c>(
        &self,
        context: &Context<'c>,
        passes: impl FnOnce(usize, usize) -> usize,
    ) -> Result<checker::Objective<'c>, checker::ClaimRefusal> {
        let model = context.model;
        checker::Objective::from_data(&self.identity, self.dataset.clone(), &model.network, &model.tensors, passes)
    }
}

fn identity(path: &std::path::Path, digest: &str) -> FileIdentity {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    FileIdentity { name, digest: digest.to_owned() }
}
