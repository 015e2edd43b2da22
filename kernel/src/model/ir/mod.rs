//! The intermediate representation: [`Network`], a graph of a dozen operations, and its evaluation.
//!
//! Model formats are lowered to it and every pass reads it. It must not know any file format, pass or solver. Weights are
//! nodes of their own, so weight tying and arithmetic on constants stay visible; constants that the model file computes
//! (`γ/√(σ²+ε)`) stay operations, so that a checker can enclose them instead of trusting a rounded value.

mod conv;
mod equilibrium;
mod evaluate;
mod function;
mod intervals;
mod network;
mod runs;
mod slopes;
mod sorting;
mod tensor;

pub use conv::{ConvAxis, ConvGeometry, Tap};
pub use equilibrium::{Resolvent, arguments, fixed_point};
pub use evaluate::{Arithmetic, EvaluationError, Values, evaluate};
pub use function::{Function, SMALLEST_SLOPE, SlopeRange, is_near_gelu};
pub use intervals::{Intervals, NodeBounds};
pub use network::{Binary, MAX_ELEMENTS, MAX_NODES, Network, NetworkBuilder, Node, NodeId, Op, Reduction, ShapeError, Source};
pub use runs::Run;
pub use slopes::slopes_within;
pub use sorting::comparators;
pub use tensor::{Tensor, element_count};
