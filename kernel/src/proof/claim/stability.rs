//! Claims of kind `stability` and their witnesses.

use serde::{Deserialize, Serialize};

use super::{Objective, Vector};
use crate::proof::number::{Bits, Number};

/// Mean-square stability of `θ ← θ − η·mean over a batch of A_iᵀA_i θ`, batches of `batch_size` of the n samples drawn
/// independently, each without replacement: SGD linearised at parameters that interpolate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StabilityClaim {
    pub objective: Objective,
    pub learning_rate: Bits,
    pub batch_size: u32,
    pub verdict: StabilityVerdict,
    /// The largest stable learning rate is at most this; only where it is unstable.
    pub critical_learning_rate: Option<Number>,
    pub witness: StabilityWitness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StabilityVerdict {
    Stable,
    Unstable,
}

/// What shows the verdict. Matrices are lower triangles, row by row. Those of order nC stand for `Aᵀ·matrix·A` with `A` the
/// stacked rows `A_i`; those over θ stand for themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StabilityWitness {
    /// `P ≻ 0` on the range of H with `2C(P) − ηD(P) ≻ 0`: the second moments decrease in the norm that it defines.
    Lyapunov { matrix: Vector },
    /// The same P over θ, for a Hessian that has full rank.
    Moments { matrix: Vector },
    /// `S` with `η⟨S, DS⟩ > 2⟨S, CS⟩`.
    Direction { matrix: Vector },
}

impl StabilityClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        match &mut self.witness {
            StabilityWitness::Lyapunov { matrix }
            | StabilityWitness::Moments { matrix }
            | StabilityWitness::Direction { matrix } => {
                vec![matrix]
            }
        }
    }
}
