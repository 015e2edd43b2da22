//! Why a question has no answer.

use std::path::PathBuf;

use super::answer::Outcome;
use super::patch::PatchError;
use crate::kernel::check::MAX_CLAIMS;
use crate::kernel::curvature::{CurvatureRefusal, MAX_ORDER};
use crate::kernel::model::compose::ComposeError;
use crate::kernel::model::ir::EvaluationError;
use crate::kernel::model::onnx::LoadError;
use crate::kernel::read::data::DataError;
use crate::kernel::read::vnnlib::SpecificationError;
use crate::kernel::region::RegionRefusal;
use crate::kernel::region::bounds::{BoundsError, RegionError};
use crate::pass::derivatives::{self, ParameterError};
use crate::pass::hessian::HessianError;
use crate::pass::ibp::TightnessError;
use crate::pass::lipschitz::LipschitzError;
use crate::pass::mfac::{CollectError, InverseError};
use crate::pass::robustness::RobustnessError;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Specification(#[from] SpecificationError),
    #[error("`--region`: {0}")]
    Region(#[from] RegionError),
    #[error(transparent)]
    Lipschitz(#[from] LipschitzError),
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    #[error(transparent)]
    Robustness(#[from] RobustnessError),
    #[error(transparent)]
    Tightness(#[from] TightnessError),
    #[error(transparent)]
    Hessian(#[from] HessianError),
    #[error(transparent)]
    Objective(#[from] derivatives::DataError),
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    #[error(transparent)]
    Collect(#[from] CollectError),
    #[error(transparent)]
    Inverse(#[from] InverseError),
    #[error(transparent)]
    Curvature(#[from] CurvatureRefusal),
    #[error(transparent)]
    Kernel(#[from] RegionRefusal),
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// The model with its weights removed.
    #[error("the pruned model: {0}")]
    Pruned(#[from] LoadError),
    #[error("a temporary file: {0}")]
    TemporaryFile(#[from] std::io::Error),

    #[error("`{}`: {error}", path.display())]
    Baseline { path: PathBuf, error: LoadError },
    #[error("`{}` computes another function: {error}", path.display())]
    Compose { path: PathBuf, error: ComposeError },
    #[error("`{}` is about two networks: the first, `{name}`, is given with `--network {name}=FILE`", path.display())]
    NoFirstNetwork { path: PathBuf, name: String },
    #[error("`--network {found}=…`: `{}` does not declare a network of that name first{}", path.display(), expected.as_ref().map_or_else(|| ": it is about one network alone".to_owned(), |name| format!(", but `{name}`")))]
    AnotherNetwork { path: PathBuf, found: String, expected: Option<String> },
    #[error("one output has no classes: `--min-agreement` compares the largest of several")]
    OneClass,
    #[error("`--max-deviation {text}` is not a number from zero up")]
    Limit { text: String },
    #[error("`--min-agreement {least}` is not a share between 0 and 1")]
    Share { least: f64 },
    #[error("two networks are compared on a box: `LOW,HIGH` or a .npz file with `lower` and `upper`, or around samples")]
    NoRegion,
    #[error("two networks are compared on boxes around samples: perturbations are those of ℓ∞")]
    NotABoxAround,
    #[error("a network cannot be evaluated")]
    NoValues,
    #[error("`--samples {asked}`: `{}` holds {found} samples", path.display())]
    TooFewSamples { asked: usize, path: PathBuf, found: usize },
    #[error("`{question}` cannot treat node `{node}` ({operator}), an implicit equation")]
    Implicit { question: &'static str, node: String, operator: String },
    #[error("`--robust` compares outputs of classes; the network has one output")]
    OneOutput,
    #[error("`--threshold` is about networks with one output; this one has {outputs}")]
    NotOneOutput { outputs: usize },
    #[error("the network has one output, whose softmax is 1 whatever its weights: the cross-entropy is always 0")]
    OneLogit,
    #[error("no parameters are proved stable for the cross-entropy: it has no finite minimiser on separable data")]
    NoMinimiser,
    #[error(
        "stability is proved for at most {MAX_ORDER} samples times outputs, or {MAX_ORDER} parameters: {samples} samples with {outputs} \
         outputs and {parameters} parameters are more"
    )]
    TooLargeToProve { samples: usize, outputs: usize, parameters: u64 },
    #[error("`{}`: `{key}` has {found} elements, the network {inputs} inputs", path.display())]
    RegionSize { path: PathBuf, key: &'static str, found: usize, inputs: usize },
    #[error("`--region around:RADIUS`: {samples} samples are {samples} claims, a certificate has at most {MAX_CLAIMS}")]
    TooManyClaims { samples: usize },
    #[error("`{}`: sample {sample}, element {element}: {value} lies outside `--clip`", path.display())]
    OutsideClip { path: PathBuf, sample: usize, element: usize, value: f64 },
    #[error("interval propagation starts from boxes: `--tightness` needs `--norm linf`")]
    NotABox,
    #[error("{samples} samples with {rows} rows each are more than the checker searches; take fewer with `--samples`")]
    TooManyRows { samples: usize, rows: usize },
    #[error("`--splits {splits}` is more than the checker makes for {samples} samples with {rows} rows each")]
    TooManySplits { splits: u32, samples: usize, rows: usize, most: u32 },
    #[error("no sample has a tightness: interval propagation gives every row a box without width, as for ε = 0")]
    NoTightness,
    #[error("`--gradients {asked}`: the data give {found}")]
    TooFewGradients { asked: usize, found: usize },
    #[error("the Hessian is no sum of products of rows: `--matrix empirical-fisher` and `gauss-newton` are")]
    NoRows,
    #[error("{}: {found} values, where {needed} finite ones are needed, one per parameter", path.display())]
    VectorSize { path: PathBuf, found: usize, needed: usize },
    #[error("a pruned model is written from a file that is not compressed")]
    CompressedModel,
    #[error("the time limit was reached; not done: {step} and all that follows")]
    OutOfTime { step: &'static str },
    #[error("`{}` holds samples of another model, data set or perturbation", path.display())]
    AnotherJournal { path: PathBuf },
    #[error("finished samples cannot be kept in `{}`: {source}", path.display())]
    Journal { path: PathBuf, source: std::io::Error },
}

impl QueryError {
    /// Returns how a run ends that ends with this; `None` where the question itself, the model or a file is at fault.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Lipschitz(LipschitzError::Refused(_) | LipschitzError::NoBound(_) | LipschitzError::IllPosed { .. })
            | Self::Inverse(InverseError::NotDefinite { .. })
            | Self::Collect(CollectError::TimedOut(_))
            | Self::OutOfTime { .. } => Some(Outcome::Inconclusive),
            _ => None,
        }
    }

    /// Whether the model is what stands in the way, so that a message begins with its name.
    #[must_use]
    pub const fn is_about_model(&self) -> bool {
        matches!(
            self,
            Self::Lipschitz(_)
                | Self::Bounds(_)
                | Self::Robustness(_)
                | Self::Tightness(_)
                | Self::Implicit { .. }
                | Self::OneLogit
                | Self::NoTightness
        )
    }

    /// Returns what would help, where the message does not say it. `model` is the model's name in commands.
    #[must_use]
    pub fn hint(&self, model: &str) -> Option<String> {
        let text = match self {
            Self::Lipschitz(_) => return Some(format!("`verify inspect {model}` shows what can be certified")),
            Self::Implicit { .. } => "`--lipschitz l2`, `l1` or `linf` certifies it, and that it is well posed",
            Self::OneOutput => {
                "`--threshold T` asks about a classifier whose class is whether the output is above T; `--max-change E` how far outputs move"
            }
            Self::NotOneOutput { .. } => {
                "leave it out: the class is then the largest output; `--max-change E` asks how far outputs move"
            }
            Self::OneLogit => "the logit of a binary classifier becomes two classes where the export appends an output that is 0",
            Self::NoMinimiser => "ask about the mean squared error (`mse`)",
            Self::TooLargeToProve { .. } => "ask about fewer `samples`, or name the `parameters` that are meant",
            Self::TooManyClaims { .. } => return Some(format!("look at fewer with `--samples {MAX_CLAIMS}`")),
            Self::TooManySplits { most, .. } => return Some(format!("at most `--splits {most}`, or fewer samples")),
            Self::Inverse(InverseError::NotDefinite { .. }) => {
                "a larger `--damping` makes F better conditioned; it is another matrix then"
            }
            Self::OutOfTime { .. } | Self::Collect(CollectError::TimedOut(_)) => {
                "raise `--timeout`, or take fewer rows with `--gradients`"
            }
            Self::AnotherJournal { .. } => "name another file, or remove it",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
