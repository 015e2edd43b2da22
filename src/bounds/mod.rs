//! TRUSTED. Bounds of everything that a network computes on a region of inputs.
//!
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
//! | `interval` | [`Interval`]: scalar arithmetic rounded outward |
//! | `image` | images of intervals under the IR's functions |
//! | `rounding` | what float32 may lose |
//! | `linear` | matrix products and convolutions in plain `f64`, without dense matrices |
//! | `affine` | their images with rigorous error terms |
//! | `propagate` | [`Propagator`] and [`Intervals`]: node by node |

mod affine;
mod error;
mod image;
mod interval;
mod linear;
mod propagate;
mod region;
mod rounding;
mod values;

pub use crate::certificate::Semantics;
pub use error::{BoundsError, Reason, RegionError};
pub use image::image;
pub use interval::Interval;
pub use linear::Linear;
pub use propagate::{Intervals, Propagator, interval_bounds};
pub use region::BoxRegion;
pub use values::NodeBounds;
