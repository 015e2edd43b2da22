//! How far the outputs of two networks are apart, and where both prefer one class: a pairing of their nodes, inputs where they differ, and
//! trees of splits on which bounds of differences prove the rest. Whatever is found is a witness that the checker proves again.
//!
//! | file | what it holds |
//! |---|---|
//! | `pairing` | nodes of two networks that do the same |
//! | `attained` | inputs where outputs are far apart, by gradients |
//! | `bounded` | bounds of one case, by halving its box |
//! | `agreement` | whether both prefer one class on a case |

mod agreement;
mod attained;
mod bounded;
mod pairing;

pub use agreement::{Agreed, Classes};
pub use attained::{Attained, Searcher};
pub use bounded::{Bounds, Goal, bounded};
pub use pairing::pairing;
