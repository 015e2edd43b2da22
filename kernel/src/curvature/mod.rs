//! TRUSTED. Curvature of a mean loss at data: derivatives in enclosures, and the rules of the claims that rest on them.
//!
//! | file | what it proves |
//! |---|---|
//! | `gradient`, `structure`, `trainable` | gradients over the network in any arithmetic, by the constants that are parameters |
//! | `derivative` | which derivatives exist, and enclosures of them |
//! | `objective` | the mean loss that a claim is about |
//! | `hessian_trace` | traces |
//! | `stability` | whether a minimiser is stable |
//! | `inverse_hessian` | residuals of inverse products |

mod derivative;
mod gradient;
mod hessian_trace;
mod inverse_hessian;
mod objective;
mod refusal;
mod stability;
mod structure;
mod trainable;

pub use gradient::{Differentiable, Reverse};
pub(crate) use hessian_trace::check as check_trace;
pub use hessian_trace::prove_trace;
pub(crate) use inverse_hessian::check as check_inverse;
pub use inverse_hessian::prove_residual;
pub use objective::{Objective, scope};
pub use refusal::CurvatureRefusal;
pub(crate) use stability::check as check_stability;
pub use stability::{Gram, MAX_ORDER, Moments};
pub use structure::{Structure, logits, needed, piecewise_linear};
pub use trainable::Trainable;
