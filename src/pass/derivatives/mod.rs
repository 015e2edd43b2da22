//! Batched differentiation with respect to parameters: gradients of single samples, Jacobian rows, Hessian- and
//! Gauss–Newton-vector products, in `f64` or `f32`, with convolutions as matrix products.
//!
//! The matrices are named: the *Hessian* of the mean loss; the *Gauss–Newton matrix* `G = (1/n) Σ A_iᵀA_i` with
//! `A_i = L_iᵀJ_i`, where `J_i` is the Jacobian of the network's output and `L_iL_iᵀ` the loss's second derivative there;
//! the *empirical Fisher matrix* `(1/n) Σ g_i g_iᵀ` of the samples' gradients. Nothing here is a proof.

mod circuit;
mod convolution;
mod gemm;
mod kinks;
mod loss;
mod moves;
mod objective;
mod panels;
mod parameters;
mod pulled;
mod real;
mod reverse;
mod scalar;
mod tape;
mod triangle;
mod vectors;

pub use crate::kernel::curvature::Structure;
pub use circuit::Circuit;
pub use gemm::{Factor, accumulate, dot, squared_norm};
pub use kinks::Kinks;
pub use loss::{Loss, Targets};
pub use objective::{DataError, Evaluation, Objective, Samples};
pub use panels::{Panels, Precision};
pub use parameters::{Excluded, Parameter, ParameterError, Parameters, Selection};
pub use real::Real;
pub use triangle::{BLOCK, Triangle};
