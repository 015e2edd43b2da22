//! The format of `verify.toml`, one structure per table. Paths are relative to the file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::kernel::proof::{Assurance, CurvatureMatrix, LossName, Norm, Semantics};

/// What a repository asks of its models.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// The folder where certificates are kept between runs.
    #[serde(default = "certificates")]
    pub certificates: PathBuf,
    #[serde(default = "limits")]
    #[schemars(with = "Limits")]
    pub limits: Spanned<Limits>,
    /// Whether there must be a lock file with the digests of all files that the policy names, as `verify gate --lock` writes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lock: bool,
    /// SHA-256 of files that the policy names, by their paths: data, labels, specifications, baselines, external data, as
    /// they lie on disk, and models, decompressed. Another file in the place of one violates the policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub sha256: BTreeMap<String, Spanned<String>>,
    /// The models, each under a name of letters, digits, dots, dashes and underscores.
    #[schemars(with = "BTreeMap<String, ModelPolicy>")]
    pub models: BTreeMap<String, Spanned<ModelPolicy>>,
}

fn certificates() -> PathBuf {
    PathBuf::from("certificates")
}

fn limits() -> Spanned<Limits> {
    Spanned::new(0..0, Limits::default())
}

/// What the search for one rule's claims may take.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Seconds of wall-clock time.
    pub timeout: f64,
    /// Gigabytes.
    pub memory: f64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: 300.0, memory: 3.0, seed: 0 }
    }
}

/// One model and its rules; every kind of rule may be given several times.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelPolicy {
    /// The ONNX file.
    pub path: PathBuf,
    /// SHA-256 of the (decompressed) model file, with external data that which `verify inspect` prints for the whole: another model
    /// in its place violates the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("pattern" = "^[0-9a-f]{64}$"))]
    pub sha256: Option<Spanned<String>>,
    /// The certificate of an earlier version, which regressions are measured against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<PathBuf>,
    /// The model of that certificate, where it is kept: the baseline is then checked, and not only read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_model: Option<PathBuf>,
    /// How samples become the network's input.
    #[serde(default, skip_serializing_if = "Input::is_identity")]
    pub input: Input,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<LipschitzRule>")]
    pub lipschitz: Vec<Spanned<LipschitzRule>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<SpecificationRule>")]
    pub specification: Vec<Spanned<SpecificationRule>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<RobustnessRule>")]
    pub robustness: Vec<Spanned<RobustnessRule>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<AccuracyRule>")]
    pub accuracy: Vec<Spanned<AccuracyRule>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<RadiusRule>")]
    pub radius: Vec<Spanned<RadiusRule>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<TightnessRule>")]
    pub tightness: Vec<Spanned<TightnessRule>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<HessianTraceRule>")]
    pub hessian_trace: Vec<Spanned<HessianTraceRule>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<StabilityRule>")]
    pub stability: Vec<Spanned<StabilityRule>>,
}

/// The network's input is `(sample − mean)/std`; perturbed samples stay in the range `clip`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Input {
    /// Nothing, one number, or one for each channel.
    pub mean: Vec<f64>,
    pub std: Vec<f64>,
    /// Axis of the network's input that `mean` and `std` count along, the batch being axis 0 [default: 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_axis: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<[f64; 2]>,
}

impl Input {
    fn is_identity(&self) -> bool {
        *self == Self::default()
    }
}

/// The Lipschitz constant is bounded: everywhere, or on a box.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LipschitzRule {
    pub norm: Norm,
    /// Where the network's inputs lie; everywhere where this is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BoxRule>")]
    pub region: Option<Spanned<BoxRule>>,
    /// The certified bound is at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub max_bound: Option<Spanned<f64>>,
    /// The certified bound exceeds the baseline's by at most this fraction of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub max_regression: Option<Spanned<f64>>,
    /// How much must stand behind the claim.
    #[serde(default = "proved")]
    pub assurance: Assurance,
}

/// A box of inputs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, expecting = "two numbers, or `{ lower = [..], upper = [..] }` with a number for every input")]
pub enum BoxRule {
    /// Every input lies between these two numbers.
    Interval([f64; 2]),
    /// Every input lies between numbers of its own, row-major.
    Each(Corners),
}

/// The corners of a box of inputs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Corners {
    pub lower: Vec<f64>,
    pub upper: Vec<f64>,
}

/// A size of perturbations, in the units of the data.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, expecting = "a number, or a list with one for every value of a sample")]
pub enum SizeRule {
    /// In the norm of the perturbations.
    Uniform(f64),
    /// Of every value of a sample by itself, row-major; in ℓ∞ alone. What is 0 stays as it is.
    Each(Vec<f64>),
}

/// The property of a VNN-LIB file holds.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SpecificationRule {
    /// The VNN-LIB file.
    pub file: PathBuf,
    /// Whether a specification that no input satisfies meets the rule.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_vacuous: bool,
    /// Arithmetic of the network: `real` or `float32`; without it, what the file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semantics: Option<Semantics>,
    /// How much must stand behind the claim.
    #[serde(default = "proved")]
    pub assurance: Assurance,
}

/// Enough of the samples keep their class under every perturbation, or move no output too far.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RobustnessRule {
    /// Samples with their labels: .npz, .npy, IDX or CSV.
    pub data: PathBuf,
    /// Labels, where they are a file of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// How many samples, from the first; all of them where this is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    /// Norm of the perturbations: `l2` or `linf`.
    pub norm: Norm,
    /// Their size, in the units of the data.
    pub epsilon: SizeRule,
    /// Arithmetic of the network: `real` or `float32`.
    #[serde(default = "real", skip_serializing_if = "is_real")]
    pub semantics: Semantics,
    /// The network has one output, and the class is whether that is above this number: label 1 above it, label 0 not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Robust is a sample that moves no output by more than this, whatever its label, in place of one that keeps its class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_change: Option<f64>,
    /// The share of samples that are classified rightly under every perturbation (with `max-change`: that move no output too
    /// far) is at least this.
    #[schemars(with = "f64")]
    pub min_certified_accuracy: Spanned<f64>,
    /// How much must stand behind the claim.
    #[serde(default = "proved")]
    pub assurance: Assurance,
}

/// Enough of the samples are classified rightly as they are.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AccuracyRule {
    /// Samples with their labels: .npz, .npy, IDX or CSV.
    pub data: PathBuf,
    /// Labels, where they are a file of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// How many samples, from the first; all of them where this is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    /// Arithmetic of the network: `real` or `float32`.
    #[serde(default = "real", skip_serializing_if = "is_real")]
    pub semantics: Semantics,
    /// The network has one output, and the class is whether that is above this number: label 1 above it, label 0 not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The share of samples that are proved to be classified rightly is at least this.
    #[schemars(with = "f64")]
    pub min_clean_accuracy: Spanned<f64>,
    /// How much must stand behind the claim.
    #[serde(default = "proved")]
    pub assurance: Assurance,
}

/// Enough of the samples may move as far as this before their class can change.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RadiusRule {
    /// Samples with their labels: .npz, .npy, IDX or CSV.
    pub data: PathBuf,
    /// Labels, where they are a file of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// How many samples, from the first; all of them where this is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    /// Norm of the distance: `l2` or `linf`.
    pub norm: Norm,
    /// No sample that counts has another class within this distance, in the units of the data.
    #[schemars(with = "f64")]
    pub min_radius: Spanned<f64>,
    /// The least share of samples that count: 0.5 asks about the median radius; all of them where this is not given.
    #[serde(default = "all")]
    #[schemars(with = "f64")]
    pub share: Spanned<f64>,
    /// Arithmetic of the network: `real` or `float32`.
    #[serde(default = "real", skip_serializing_if = "is_real")]
    pub semantics: Semantics,
    /// The network has one output, and the class is whether that is above this number: label 1 above it, label 0 not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How much must stand behind the claim.
    #[serde(default = "proved")]
    pub assurance: Assurance,
}

/// Interval propagation is tight enough on the samples.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TightnessRule {
    /// Samples with their labels: .npz, .npy, IDX or CSV.
    pub data: PathBuf,
    /// Labels, where they are a file of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// How many samples, from the first; all of them where this is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    /// Size of the perturbations of each value, in the units of the data.
    pub epsilon: SizeRule,
    /// The mean tightness over the samples (its proved lower bound) is at least this.
    #[schemars(with = "f64")]
    pub min_tightness: Spanned<f64>,
    /// How much must stand behind the claim.
    #[serde(default = "proved")]
    pub assurance: Assurance,
}

/// The trace of a matrix of curvature is small enough.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HessianTraceRule {
    /// Samples with their targets: .npz, .npy, IDX or CSV.
    pub data: PathBuf,
    /// Targets, where they are a file of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// How many samples, from the first; all of them where this is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    pub loss: LossName,
    /// `hessian`, or `gauss-newton`: a claim about the one does not answer a rule about the other.
    #[serde(default = "hessian")]
    pub matrix: CurvatureMatrix,
    /// The tensors that count as parameters, by name; all trained ones where this is not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    /// The upper limit of the trace (proved, or of its confidence interval) is at most this.
    #[schemars(with = "f64")]
    pub max_trace: Spanned<f64>,
    /// How much must stand behind the claim.
    #[serde(default = "proved")]
    pub assurance: Assurance,
}

/// SGD with these settings is mean-square stable at the parameters of the model.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StabilityRule {
    /// Samples with their targets: .npz, .npy, IDX or CSV.
    pub data: PathBuf,
    /// Targets, where they are a file of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// How many samples, from the first; all of them where this is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    pub loss: LossName,
    /// The tensors that count as parameters, by name; all trained ones where this is not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    pub learning_rate: f64,
    pub batch_size: u32,
    /// How much must stand behind the claim.
    #[serde(default = "proved")]
    pub assurance: Assurance,
}

fn all() -> Spanned<f64> {
    Spanned::new(0..0, 1.0)
}

const fn hessian() -> CurvatureMatrix {
    CurvatureMatrix::Hessian
}

const fn real() -> Semantics {
    Semantics::Real
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks for it
const fn is_real(semantics: &Semantics) -> bool {
    matches!(semantics, Semantics::Real)
}

const fn proved() -> Assurance {
    Assurance::Proved
}
