//! Claims of kind `inverse-hessian`.

use serde::{Deserialize, Serialize};

use super::{CurvatureMatrix, Objective, Vector};
use crate::proof::number::{Bits, Number};

/// `‖Fx − v‖ ≤ residual·‖v‖` for `F = λI + (1/m) Σ g_i g_iᵀ`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InverseHessianClaim {
    pub objective: Objective,
    /// What the `g_i` are: gradients of samples, or rows of the `A_i`, sample by sample.
    pub matrix: CurvatureMatrix,
    /// m: the first this many of them.
    pub gradients: u32,
    /// λ.
    pub damping: Bits,
    pub residual: Number,
    pub witness: InverseHessianWitness,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InverseHessianWitness {
    /// v, over θ.
    pub vector: Vector,
    /// x, over θ.
    pub product: Vector,
}

impl InverseHessianClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        vec![&mut self.witness.vector, &mut self.witness.product]
    }
}
