//! Optimisation engines.
//!
//! Everything here is *untrusted*: an engine proposes numbers (multipliers,
//! points), and the checker decides with its own arithmetic what they prove.
//! Nothing in this room decides a verdict, and no solver status, residual,
//! tolerance or objective value ever becomes a bound. A wrong answer from here
//! costs time or tightness, never soundness.
//!
//! | module | what it is |
//! |---|---|
//! | [`clarabel`] | semidefinite programs with one matrix inequality, by the interior-point method of the Clarabel crate; size prediction |
//! | [`linear`] | linear programs with their duals, by the same crate |
//! | [`blas`] | the eight BLAS/LAPACK symbols that Clarabel links against, on faer; the only unsafe code of the project |
//! | [`interior_point`] | Lipschitz programs by a structured primal–dual interior-point method |
//! | [`pencil`] | the data of a Lipschitz program |
//! | [`transposed`] | the same program of the transposed network |
//! | [`quiet`] | running foreign code that may panic, without its message on stderr |

pub mod blas;
pub mod clarabel;
pub mod interior_point;
pub mod linear;
pub mod pencil;
pub mod quiet;
pub mod transposed;

pub use clarabel::{
    ClarabelError, ClarabelOptions, ClarabelSolution, MatrixInequality, Prediction, SparseSymmetric, predict, solve,
};
pub use linear::{LinearProgram, LinearSolution};
pub use pencil::{Candidate, InputNorm, Pencil, PencilGroup, Stretch};
