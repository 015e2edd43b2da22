//! Specifications and robustness over data sets: falsification by gradients, verification by bounds, branching over inputs.
//!
//! [`verify_specification`] decides a VNN-LIB file, [`verify_dataset`] the samples of a data set. Whatever is found is a witness that the checker proves again: an unsafe point, or trees of splits whose leaves bounds close.
//!
//! | file | what it holds |
//! |---|---|
//! | `problem` | one question as a value: a box, clauses, the points that a witness may have |
//! | `attack` | projected gradient descent with restarts |
//! | `float32` | the forward pass of the deployed network |
//! | `branching` | input splitting with a proof tree |
//! | `specification` | a VNN-LIB file, case by case |
//! | `dataset` | the samples of a data set, in parallel; what is left open, by Lipschitz bounds of margins |

mod attack;
mod branching;
mod dataset;
mod float32;
mod problem;
mod specification;

pub use dataset::{DatasetOptions, SampleOutcome, verify_dataset};
pub use float32::{Deployed, Single};
pub use problem::{Ball, Lattice, Problem, Subproblem};
pub use specification::{Counterexample, SpecificationOptions, SpecificationVerdict, semantics, verify_specification};

use std::time::Instant;

use crate::bounds::BoundsError;
use crate::checker::Refuter;
use crate::pass::bounds::Wide;

/// Multiplications a second that backward bounds surely reach.
const SLOWEST: f64 = 1e9;

/// Will backward bounds of one region, so many times, be done before the deadline? They cannot be interrupted.
fn in_time(refuter: &Refuter<Wide>, deadline: Option<Instant>, times: f64) -> bool {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).as_secs_f64());
    left.is_none_or(|left| times * refuter.cost() / SLOWEST <= left.max(0.5))
}

/// Why nothing can be tried.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RobustnessError {
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    #[error("the network cannot be evaluated")]
    Evaluation,
    #[error("{0}")]
    Data(String),
    #[error("the specification is about a network of another shape")]
    Shape,
    #[error("the specification is about a network in float64: nothing is proved for that; ask with `Real`")]
    Float64,
}
