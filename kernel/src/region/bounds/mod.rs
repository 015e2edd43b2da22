//! TRUSTED. Bounds of everything that a network computes on a region of inputs.
//!
//! [`LinearBounds`] are backward linear bounds (CROWN / DeepPoly) in the same semantics.
//! [`Propagator::intervals`] is interval bound propagation over the whole IR, in two semantics: [`Semantics::Real`] is exact
//! arithmetic on the weights of the file, [`Semantics::Float32`] the deployed network, which rounds (`rounding` says how).
//!
//! There is no directed rounding in safe Rust: everything is computed to nearest and what the rounding can have lost is
//! added. NaN and infinity end as an error that names the node, never as a bound. This room must not know any pass,
//! engine, thread pool or linear algebra library; the checker recomputes bounds here and takes none from a certificate.
//!
//! | file | what it holds |
//! |---|---|
//! | `region` | [`BoxRegion`]: where the inputs are |
//! | `image` | images of intervals under the IR's functions |
//! | `rounding` | what float32 may lose |
//! | `linear` | matrix products and convolutions in plain `f64`, without dense matrices |
//! | `affine` | their images with rigorous error terms |
//! | `propagate` | [`Propagator`]: node by node |
//! | `lines` | [`Lines`] below and above a function on an interval |
//! | `increment` | how far apart two copies of a function are: images, planes |
//! | `relaxation`, `groups` | linear bounds of every node in terms of its operands, with deviations |
//! | `matrix`, `adjoint` | transposed products of many rows at once; [`Vectorise`] says how their loops are compiled |
//! | `lanes`, `sums` | loops over rows, and what they add up |
//! | `backward` | one backward pass; [`Slopes`] are its only hints |
//! | `tightness` | how far interval propagation is from the truth: boxes, tighter bounds, attained values |
//! | `structure`, `wanted` | where a backward pass can win, and where its bounds are of use |
//! | `problem` | [`Subproblem`]: a region, fixed phases, rows to bound; [`Hints`] |
//! | `prepared`, `analysis` | [`LinearBounds`] and [`Analysis`]: bounds of all nodes, refined where it matters |

// One arm for every operation, each with its own reason.
#![allow(clippy::match_same_arms)]
// Kernels are compiled once for every set of vector instructions, which only what is inlined in them gets.
#![allow(clippy::inline_always)]

mod adjoint;
mod affine;
mod analysis;
mod backward;
mod error;
mod groups;
mod image;
mod increment;
mod lanes;
mod linear;
mod lines;
mod matrix;
mod prepared;
mod problem;
mod propagate;
mod region;
mod relaxation;
mod rounding;
mod structure;
mod sums;
mod tightness;
mod wanted;

pub use crate::model::ir::{Intervals, NodeBounds};
pub use crate::proof::Semantics;
pub use crate::sound::Interval;
pub use analysis::Analysis;
pub use backward::{Slopes, Trace, flexible_slope};
pub use error::{BoundsError, Reason, RegionError};
pub use image::image;
pub use linear::Linear;
pub use lines::{Line, Lines, lines};
pub use matrix::{Kernel, Loops, Vectorise};
pub use prepared::LinearBounds;
pub use problem::{Advisor, Hints, LinearRows, Phases, Refinement, Side, Subproblem};
pub use propagate::{Propagator, interval_bounds};
pub use region::{Ball, BoxRegion, Region};
pub use relaxation::{Elementwise, Groups, Relaxation, Relaxed};
pub use tightness::{Extent, Splits, attained, extents, mean_tightness};
