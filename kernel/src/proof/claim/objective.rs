//! The mean loss that claims about curvature are about.

use serde::{Deserialize, Serialize};

use super::FileIdentity;

/// A mean loss over the samples of a data set, as a function of the parameters θ at the values of the model file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// The file with the inputs and, where the targets are in another, that one.
    pub data: Vec<FileIdentity>,
    /// The first this many samples.
    pub samples: u32,
    pub loss: LossName,
    /// Names of the tensors that count as parameters, in the order of the model file: that of θ.
    pub parameters: Vec<String>,
    /// What part of the data and of the model this is; certificates of versions before 1.2 do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// How much of a data set and of a model a claim is about. Every number is recomputed when the claim is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Samples in the data.
    pub available: u32,
    /// Elements of the tensors that count as parameters: the length of θ.
    pub parameters: u64,
    /// Elements of the tensors of the model that count as trained (`docs/proved.md` says which do), also of those that cannot be
    /// differentiated.
    pub trainable: u64,
    /// Elements of all floating point tensors of the model that its output needs, and numbers that it makes of integers.
    pub stored: u64,
    /// Whether the parameters are exactly the trained tensors, nothing comes from integers, and most of what is stored is trained.
    pub complete: bool,
}

/// The loss of one sample; always its mean over samples is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LossName {
    /// `−log softmax(output)[label]`; a Softmax that ends the network belongs to the loss.
    CrossEntropy,
    /// `½ Σ (output − target)²`.
    Mse,
}

/// A matrix of curvature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CurvatureMatrix {
    /// The Hessian of the mean loss.
    Hessian,
    /// `G = (1/n) Σ A_iᵀA_i`, `A_i = L_iᵀJ_i`, `L_iL_iᵀ` the loss's second derivative with respect to the output.
    GaussNewton,
    /// `(1/m) Σ g_i g_iᵀ`, `g_i` the gradients of the samples' losses.
    EmpiricalFisher,
}
