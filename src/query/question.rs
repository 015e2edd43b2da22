//! What can be asked of a network, as plain data: whoever asks (the command line, a policy, a program) builds one of these.
//!
//! Nothing here reads a file or knows a network: files are named, and read when the question is answered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kernel::proof::{CurvatureMatrix, Kept, LossName, Norm, Perturbation, Semantics, Sorts};
use crate::pass::derivatives::{Precision, Selection};
use crate::pass::lipschitz::EngineChoice;

/// A question about one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "question", rename_all = "kebab-case")]
pub enum Query {
    Lipschitz(LipschitzQuery),
    Specification(SpecificationQuery),
    Robustness(RobustnessQuery),
    Tightness(TightnessQuery),
    HessianTrace(HessianTraceQuery),
    Stability(StabilityQuery),
    InverseHessian(InverseHessianQuery),
    Deviation(DeviationQuery),
}

/// How much do the outputs change for each unit that the input changes?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LipschitzQuery {
    /// Of the inputs and of the outputs.
    pub norm: Norm,
    pub region: Region,
    /// Whether every difference of two outputs is bounded as well.
    pub margins: bool,
    /// Labelled samples of which is told how far they may move before their class can change; needs `margins` and the region
    /// everywhere.
    pub radii: Option<Samples>,
    pub engine: EngineChoice,
    /// How activations that sort enter the matrix inequality.
    pub sorts: Sorts,
}

impl LipschitzQuery {
    /// Asks for the constant of the whole network, everywhere.
    #[must_use]
    pub const fn everywhere(norm: Norm) -> Self {
        Self {
            norm,
            region: Region::Everywhere,
            margins: false,
            radii: None,
            engine: EngineChoice::Auto,
            sorts: Sorts::Comparators,
        }
    }
}

/// Where a Lipschitz constant is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "where", rename_all = "kebab-case")]
pub enum Region {
    Everywhere,
    /// Every input between the same two numbers.
    Interval {
        low: f64,
        high: f64,
    },
    /// Bounds of every input, row-major.
    Box {
        lower: Vec<f64>,
        upper: Vec<f64>,
    },
    /// A .npz file with the arrays `lower` and `upper`.
    File {
        path: PathBuf,
    },
    /// One box around every sample.
    Around {
        samples: Samples,
        radius: f64,
    },
}

/// Does the property of a VNN-LIB file hold?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecificationQuery {
    pub file: PathBuf,
    /// `None`: as the file says.
    pub semantics: Option<Semantics>,
    /// Whether a property that no input is asked about counts as established.
    pub allow_vacuous: bool,
    /// Where the file is about two networks: the first that it declares. The model is the second.
    pub first: Option<FirstNetwork>,
}

/// A network by the name that a specification gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstNetwork {
    pub name: String,
    pub model: PathBuf,
}

/// Which samples keep their class, or what else is asked, under every perturbation?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobustnessQuery {
    /// With labels, where what is kept depends on them.
    pub samples: Samples,
    pub perturbation: Perturbation,
    pub kept: Kept,
    pub semantics: Semantics,
}

/// How far are the outputs from those of another network, and where do both prefer one class?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviationQuery {
    /// The model that is compared with.
    pub baseline: PathBuf,
    pub inputs: Inputs,
    /// No output is to differ by more: a decimal or a quotient. Without it, bounds are made as tight as time allows.
    pub max_deviation: Option<String>,
    /// Whether classes are compared.
    pub agreement: bool,
    /// The share of the samples around which both are to prefer one class; needs `agreement`.
    pub min_agreement: Option<f64>,
    pub semantics: Semantics,
}

/// For which inputs two networks are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "inputs", rename_all = "kebab-case")]
pub enum Inputs {
    /// Those of one box: an interval, bounds, or a file with them.
    Region { region: Region },
    /// Those around samples, in ℓ∞; labels do not enter.
    Samples { samples: Samples, perturbation: Perturbation },
}

/// How much wider does interval propagation make the boxes around the samples than they need be?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TightnessQuery {
    /// With labels.
    pub samples: Samples,
    /// In ℓ∞.
    pub perturbation: Perturbation,
    /// Whether the rows are the margins of the label merged with the last layer, and not the outputs. A network with one output
    /// has no margins.
    pub elided: bool,
    /// Boxes that the search for the smallest box may split, for every row and side; `None`: by the number of inputs.
    pub splits: Option<u32>,
    /// Phases of ReLUs that it may fix after that; `None`: by the number of inputs and of samples.
    pub phase_splits: Option<u32>,
}

/// What are the traces, norms and eigenvalues of the Hessian and the Gauss-Newton matrix of a loss?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HessianTraceQuery {
    pub objective: ObjectiveQuery,
    /// The matrix whose trace is claimed; `None`: the Hessian where that is proved or estimated, else the Gauss-Newton matrix.
    pub matrix: Option<CurvatureMatrix>,
    /// Whether SGD is stable here is asked as well.
    pub sgd: Option<Sgd>,
}

/// Is SGD mean-square stable at the parameters of the model?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StabilityQuery {
    pub objective: ObjectiveQuery,
    pub sgd: Sgd,
}

/// Stochastic gradient descent with independent batches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sgd {
    pub learning_rate: f64,
    pub batch_size: u32,
}

/// Products with the inverse of `F = λI + (1/m) Σ g gᵀ`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InverseHessianQuery {
    pub objective: ObjectiveQuery,
    /// What the g are: gradients (the empirical Fisher matrix) or rows of the Jacobians (the Gauss-Newton matrix).
    pub matrix: CurvatureMatrix,
    /// λ.
    pub damping: f64,
    /// How many of the g, from the first on; `None`: all.
    pub gradients: Option<u32>,
    /// A .npy file with the vector to multiply, over all parameters in the file's order; `None`: the mean of the g.
    pub vector: Option<PathBuf>,
    /// The share of the weights to remove where the quadratic model says it costs least.
    pub pruning: Option<f64>,
    /// Whether the samples' leverage is wanted.
    pub influence: bool,
}

/// A mean loss over samples, as a function of parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveQuery {
    /// With targets.
    pub samples: Samples,
    pub loss: LossName,
    pub parameters: Selection,
    /// Arithmetic of the pass; what is claimed is derived again by the checker.
    pub precision: Precision,
}

/// Samples of a data set, from the first on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// .npz, .npy, IDX or CSV, possibly gzipped.
    pub data: PathBuf,
    /// Targets, where they are a file of their own.
    pub labels: Option<PathBuf>,
    /// How many; `None`: all.
    pub count: Option<u32>,
}

impl Query {
    /// Returns the option of the command line that asks this: what messages call it.
    #[must_use]
    pub const fn option(&self) -> &'static str {
        match self {
            Self::Lipschitz(_) => "--lipschitz",
            Self::Specification(_) => "--spec",
            Self::Robustness(_) => "--robust",
            Self::Tightness(_) => "--tightness",
            Self::HessianTrace(_) | Self::Stability(_) => "--hessian-trace",
            Self::InverseHessian(_) => "--inverse-hessian",
            Self::Deviation(_) => "compare",
        }
    }

    /// Returns the time that a search takes at most where nobody limits it; nothing for Lipschitz constants, each of whose
    /// programs has a limit of its own. Of robustness, splitting one sample takes ten seconds of it at most.
    #[must_use]
    pub const fn usual_time(&self) -> Option<Duration> {
        match self {
            Self::Lipschitz(_) => None,
            Self::Specification(_) | Self::Deviation(_) => Some(Duration::from_secs(300)),
            Self::Robustness(_) | Self::Tightness(_) | Self::HessianTrace(_) | Self::Stability(_) | Self::InverseHessian(_) => {
                Some(Duration::from_secs(3600))
            }
        }
    }

    /// Returns the samples that the question is about.
    #[must_use]
    pub const fn samples(&self) -> Option<&Samples> {
        match self {
            Self::Lipschitz(LipschitzQuery { region: Region::Around { samples, .. }, .. })
            | Self::Deviation(DeviationQuery { inputs: Inputs::Samples { samples, .. }, .. }) => Some(samples),
            Self::Lipschitz(query) => query.radii.as_ref(),
            Self::Specification(_) | Self::Deviation(_) => None,
            Self::Robustness(query) => Some(&query.samples),
            Self::Tightness(query) => Some(&query.samples),
            Self::HessianTrace(HessianTraceQuery { objective, .. })
            | Self::Stability(StabilityQuery { objective, .. })
            | Self::InverseHessian(InverseHessianQuery { objective, .. }) => Some(&objective.samples),
        }
    }

    /// Returns the files beside the model that the question names.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let own = match self {
            Self::Lipschitz(LipschitzQuery { region: Region::File { path }, .. })
            | Self::Deviation(DeviationQuery { inputs: Inputs::Region { region: Region::File { path } }, .. }) => Some(path),
            Self::Specification(query) => Some(&query.file),
            Self::InverseHessian(query) => query.vector.as_ref(),
            _ => None,
        };
        let baseline = match self {
            Self::Deviation(query) => Some(query.baseline.as_path()),
            Self::Specification(query) => query.first.as_ref().map(|first| first.model.as_path()),
            _ => None,
        };
        let samples = self.samples().into_iter().flat_map(Samples::files).chain(baseline);
        samples.chain(own.map(PathBuf::as_path)).collect()
    }
}

impl Samples {
    /// Returns the file with the inputs and, where there is one, that with the targets.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.data), self.labels.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }
}
