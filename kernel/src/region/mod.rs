//! TRUSTED. What a network does on regions of inputs: bounds of everything that it computes, and the rules of the claims that rest on
//! them.
//!
//! | file | what it proves |
//! |---|---|
//! | [`bounds`] | interval and backward bounds in real arithmetic or float32 |
//! | `refutation` | that no point of a box satisfies some clauses |
//! | `splits` | the same by a tree of cases |
//! | `specification` | specifications |
//! | `counterexample` | that a point is unsafe |
//! | `robustness`, `neighbourhood`, `kept` | that no perturbation of a sample changes its class, or what else it is to keep |
//! | `deviation` | how far the outputs of two networks are apart, and that both prefer one class |
//! | `lipschitz` | Lipschitz bounds on a box |
//! | `tightness` | how far interval propagation is from the truth |

pub mod bounds;
mod counterexample;
mod deviation;
mod kept;
mod lipschitz;
mod neighbourhood;
mod refusal;
mod refutation;
mod robustness;
mod specification;
mod splits;
mod tightness;

pub use counterexample::{enclosed_outputs, outputs_at, prove_unsafe};
pub(crate) use deviation::check as check_deviation;
pub use deviation::{agreement, apart, classes, deviation_of, farther};
pub use kept::{Keeping, misclassified};
pub(crate) use lipschitz::check as check_lipschitz;
pub use neighbourhood::{Neighbourhood, Neighbourhoods};
pub use refusal::RegionRefusal;
pub use refutation::{Bounded, Combination, Method, Refuter, atoms};
pub(crate) use robustness::check as check_robustness;
pub use robustness::prove_lost;
pub(crate) use specification::check as check_specification;
pub use splits::{ALTERNATIVES, COMBINED, LEAF, MULTIPLIERS, Narrowed, PHASE, SLOPES};
pub(crate) use tightness::check as check_tightness;
pub use tightness::{
    MOST_OUTPUTS as MOST_TIGHTNESS_OUTPUTS, exact_boxes, is_certified, most_splits, rows as tightness_rows, stated_boxes,
};
