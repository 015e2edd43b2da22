//! Tightness of interval bound propagation over a data set. The boxes and the tightness intervals are proved in
//! [`crate::kernel::region::bounds`] and by the checker; propagation tightness, ReLU states, invariance and predictions are *descriptive*:
//! computed in `f64`, about the network's arithmetic near a sample, and no bound of anything.

mod frozen;
mod invariance;
mod optimal;
mod samples;

pub use frozen::{Frozen, Pattern, PropagationTightness, Unfrozen};
pub use invariance::{Break, Invariance, predicted_tightness, propagation_invariance};
pub use optimal::{FoundEnd, PhaseSearch, enclose_ends};
pub use samples::{LayerStates, LayerWidth, SampleFigures, TightnessError, TightnessOptions, measure};
