//! Products with an inverse, and what they are used for.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Computed;
use crate::kernel::proof::{CurvatureMatrix, FileIdentity};

/// Products with an inverse, and what they are used for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InverseFigures {
    pub matrix: CurvatureMatrix,
    pub loss_convention: String,
    pub data: Vec<FileIdentity>,
    pub samples: u32,
    pub dimension: usize,
    pub gradients: usize,
    pub damping: f64,
    /// `λ_max(GGᵀ)/(mλ)`.
    pub condition: Computed,
    pub on_disk: bool,
    /// Relative residual as computed, and the bound that is certified.
    pub residual: Computed,
    pub residual_bound: Option<String>,
    pub pruning: Option<PruningFigures>,
    pub suspects: Vec<Suspect>,
    /// What the gradients are stored as.
    pub precision: String,
    /// Steps that the time limit cut off.
    pub not_done: Vec<String>,
    pub seconds: f64,
}

/// What removing weights costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PruningFigures {
    pub removed: usize,
    pub of: usize,
    /// `½δwᵀFδw` of the joint removal.
    pub quadratic_cost: Computed,
    pub loss_before: Computed,
    pub loss_after: Computed,
    /// With the same weights removed and the others left as they were.
    pub loss_without_update: Computed,
    pub parameters: Vec<PrunedTensor>,
    /// The same at other shares, from the least on.
    pub curve: Vec<PruningPoint>,
    /// Shares that have no point, and why.
    pub no_points: Vec<NoPoint>,
    /// Where the pruned model lies, once it is written.
    pub model: Option<PathBuf>,
}

/// What the removal of a share of the weights costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PruningPoint {
    pub removed: usize,
    /// `½δwᵀFδw` of the joint removal.
    pub quadratic_cost: Computed,
    /// Measured.
    pub loss: Computed,
    pub loss_without_update: Computed,
}

/// A share of the weights whose removal has no measured cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NoPoint {
    pub share: f64,
    pub reason: String,
}

/// One tensor's share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrunedTensor {
    pub name: String,
    pub size: usize,
    pub removed: usize,
    /// Saliencies ρ at the tenths of the tensor's weights, from the least on.
    pub curve: Vec<Computed>,
}

/// A sample and its leverage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Suspect {
    pub sample: usize,
    pub label: Option<usize>,
    pub leverage: Computed,
}
