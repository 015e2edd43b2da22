//! Specifications and robustness over data sets: falsification by gradients, verification by bounds, branching over inputs.
//!
//! [`verify_specification`] decides a VNN-LIB file, [`verify_dataset`] the samples of a data set. Whatever is found is a witness that the checker proves again: an unsafe point, or trees of splits whose leaves bounds close.
//!
//! | file | what it holds |
//! |---|---|
//! | `problem` | one question as a value: a box, clauses, the points that a witness may have |
//! | `attack` | projected gradient descent with restarts |
//! | `float32` | the forward pass of the deployed network |
//! | `parts` | the parts of a problem for branch and bound: boxes, or phases of ReLUs |
//! | `boxes` | which input of a box is halved |
//! | `together` | atoms that all hold at once: slopes, multipliers and weights, searched together |
//! | `closing` | boxes with few unstable ReLUs, closed by linear programs over their phases |
//! | `proof` | how a run ends |
//! | `specification` | a VNN-LIB file, case by case |
//! | `dataset` | the samples of a data set, in parallel; what is left open, by Lipschitz bounds of margins |

mod attack;
mod boxes;
mod closing;
mod dataset;
mod float32;
mod parts;
mod problem;
mod proof;
mod specification;
mod together;

pub(crate) use attack::Random;
pub use attack::{Attack, Effort};
pub use dataset::{DatasetOptions, RobustnessProofs, SampleOutcome, verify_dataset};
pub use float32::{Deployed, Single};
pub use parts::Parts;
pub use problem::{Ball, Lattice, Problem};
pub use proof::Branched;
pub use specification::{
    Counterexample, SpecificationOptions, SpecificationVerdict, semantics, verify_composed, verify_specification,
};

use crate::kernel::region::RegionRefusal;
use crate::kernel::region::bounds::BoundsError;

/// Why nothing can be tried.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RobustnessError {
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    #[error("the network cannot be evaluated")]
    Evaluation,
    /// Data, perturbation and network do not fit.
    #[error(transparent)]
    Data(#[from] RegionRefusal),
    #[error("the specification is about a network of another shape")]
    Shape,
    #[error("the specification is about a network in float64: nothing is proved for that; ask with `Real`")]
    Float64,
    #[error("the specification is about a network in float32: `--semantics real` proves nothing for that")]
    Float32,
}
