//! What is told beside claims: figures that passes compute, typed once, written as JSON and read back as the same types.
//!
//! What a figure is worth stands with it: a proved one repeats a claim, every other is computed and nobody checks it. How
//! figures are shown is the business of `report`.

mod accuracy;
mod computed;
mod deviation;
mod hessian;
mod inverse;
mod lipschitz;
mod robustness;
mod specification;
mod tightness;

use serde::{Deserialize, Serialize};

pub use accuracy::CleanAccuracy;
pub use computed::Computed;
pub use deviation::{CaseFigures, DeviationFigures, OutputFigures};
pub use hessian::{ExcludedTensor, HessianFigure, HessianFigures, KinkHits, ParameterFigures, StabilityFigures};
pub use inverse::{InverseFigures, NoPoint, PrunedTensor, PruningFigures, PruningPoint, Suspect};
pub use lipschitz::{LipschitzBound, LipschitzFigures};
pub use robustness::{RobustnessFigures, SampleFigures};
pub use specification::{Assignment, SpecificationFigures, result_file};
pub use tightness::{InvarianceFigures, LayerFigures, LayerWidth, TightnessFigures};

/// What one answer has to tell.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "pass", rename_all = "kebab-case")]
pub enum Figures {
    Lipschitz(LipschitzFigures),
    Robustness(RobustnessFigures),
    Tightness(TightnessFigures),
    Specification(SpecificationFigures),
    Hessian(Box<HessianFigures>),
    Inverse(Box<InverseFigures>),
    Deviation(Box<DeviationFigures>),
}

impl Figures {
    /// Whether there are figures that no certificate holds.
    #[must_use]
    pub const fn is_descriptive(&self) -> bool {
        match self {
            Self::Tightness(_) | Self::Hessian(_) | Self::Inverse(_) => true,
            Self::Lipschitz(_) | Self::Robustness(_) | Self::Specification(_) | Self::Deviation(_) => false,
        }
    }
}
