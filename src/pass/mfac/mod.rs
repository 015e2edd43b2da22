//! M-FAC (Frantar, Kurtic, Alistarh, NeurIPS 2021): products with the inverse of `F = λI + (1/m) Σ g_i g_iᵀ`.
//!
//! The recursion of the paper is the unpivoted `LDLᵀ` factorisation of `M = mI + GGᵀ/λ`; computed as a Gram matrix and a
//! Cholesky factor it gives the same numbers. Which matrix the `g_i` make is the caller's to name: gradients of samples give
//! the damped empirical Fisher matrix, rows of `A_i` the damped Gauss–Newton matrix. The damping is never raised here.

mod factor;
mod gradients;
mod influence;
mod inverse;
mod pruning;

pub use gradients::{CollectError, Rows, collect};
pub use influence::Influence;
pub use inverse::{Factored, Inverse, InverseError};
pub use pruning::{JointRemoval, saliency};
