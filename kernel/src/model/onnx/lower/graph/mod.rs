//! The network under construction, and the constants whose values only decisions on record may read.
//!
//! Invariant: no floating point value of a constant leaves this room except through [`Graph::decide`], which marks every tensor
//! of the file behind it as frozen. So whatever the lowering writes into a function, a pattern or an integer instead of keeping
//! it as a node is known by name, and no derivative is claimed with respect to it. It must not know any operator.

mod build;
mod exact;
mod reading;
mod slot;

pub(super) use build::{Frozen, Graph, Held, checked_count};
pub(super) use exact::combine as exact_combine;
pub(super) use reading::{MAX_MOVES, Reader};
pub(super) use slot::{CONSTANT, Constant, INITIALIZER, Slot, gather, integer_range};
