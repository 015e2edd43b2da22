//! VNN-LIB specifications: the *unsafe* region of a network's inputs and outputs, in version 1.0 as the competitions use it
//! and the core of version 2.0 (one network, one input, one output, linear atoms).
//!
//! Reading is total and sound in both directions: a decimal that is no `f64` is kept as an enclosure, so that what is proved
//! empty contains the region of the file, and what counts as a witness lies in it. Disjunctions over inputs and over outputs
//! stay a product; only disjuncts that constrain inputs become [`Case`]s of their own. It must not know any network.
//!
//! Sources: the VNN-COMP rules; the VNN-LIB standard (<https://www.vnnlib.org>), version 2.0.

mod error;
mod formula;
mod lexer;
mod number;
mod parse;
mod specification;

pub use error::SpecificationError;
pub use number::Constant;
pub use specification::{Atom, Case, Clause, ElementType, InputBox, Specification, Term, Terms};
