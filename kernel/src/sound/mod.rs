//! TRUSTED. Sound floating-point arithmetic: everything the checker's verdicts rest on.
//!
//! Every function here returns values with a stated error, never "about" a value. A `NaN` or an
//! infinity anywhere ends as an invalid enclosure, an infinite radius or a refusal, never as a
//! proof.
//!
//! What this room must not do: depend on other crates or other rooms, know about solvers, networks
//! or certificates, use `unsafe`, or rely on the platform's mathematical library. It uses only the
//! IEEE-754 binary64 operations `+ - * /` and the square root, rounded to nearest with ties to
//! even (which is what safe Rust guarantees); directed results come from stepping to the
//! neighbouring number unless an error-free transformation proves the nearest result exact.
//!
//! | file | what it holds |
//! |---|---|
//! | [`eft`] | error-free transformations: `two_sum`, `two_prod`, `split` |
//! | [`round`] | directed scalar operations, `gamma`, powers of two |
//! | [`enclosure`] | [`Enclosure`]: a double-double midpoint with a radius |
//! | [`interval`] | [`Interval`]: two ends, rounded outward |
//! | [`elementary`] | [`Enclosure`]: eˣ, ln(1 + x), tanh, erf and what activations make of them |
//! | [`row`] | [`Row`]: a double-double vector with a Euclidean radius |
//! | [`accumulator`] | [`RowAccumulator`]: linear combinations of rows |
//! | [`cholesky`] | [`prove_positive_definite`] by a floating-point Cholesky factorisation |
//! | [`decimal`] | decimal strings rounded outward |

#![forbid(unsafe_code)]
// Equality of floats is exact here, and meant.
#![allow(clippy::float_cmp)]
#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        clippy::needless_range_loop
    )
)]

pub mod accumulator;
pub mod cholesky;
pub mod decimal;
pub mod eft;
pub mod elementary;
pub mod enclosure;
pub mod gram;
pub mod interval;
pub mod round;
pub mod row;

#[cfg(test)]
pub(crate) mod testing;

pub use accumulator::RowAccumulator;
pub use cholesky::{NotProved, SymmetricMatrix, prove_positive_definite};
pub use decimal::{lower_decimal, upper_decimal};
pub use enclosure::Enclosure;
pub use gram::spectral_norm_upper;
pub use interval::Interval;
pub use row::Row;
