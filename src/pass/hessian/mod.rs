//! Curvature of the loss at the parameters of the file, and what it says about the stability of SGD there.
//!
//! Three matrices are kept apart, and named wherever a number is given: the Hessian `H` of the mean loss, the Gauss–Newton
//! matrix `G`, and the difference of the two, which vanishes where the network interpolates.

pub mod density;
pub mod estimate;
pub mod flatness;
pub mod gram;
mod moments;
pub mod random;
pub mod spectrum;
pub mod stability;

mod analysis;
mod blocks;
mod claims;
mod figures;
mod second;
mod verdict;

pub use analysis::{HessianError, HessianOptions, analyse};
pub use claims::{stability_claim, trace_claim};
pub use figures::{Analysis, Figure, Method};
pub use second::dense;
pub use verdict::{Stability, Verdict, judge, judge_by_bracket};
