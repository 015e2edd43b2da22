//! The search for slopes of backward bounds (α-CROWN: Xu et al., *Fast and Complete*, ICLR 2021) and for multipliers of fixed
//! phases (β-CROWN: Wang et al., NeurIPS 2021), by projected gradient ascent or, where networks are small, by linear programs. What is found here are hints: [`crate::kernel::region::bounds`] proves whatever bound they give.

mod dual;
mod joint;
mod multipliers;
mod primal;
mod program;
mod slopes;
mod wide;

pub use joint::{Joint, raise_jointly};
pub use multipliers::{Raised, raise};
pub use program::{Combined, Program, Solved};
pub use slopes::{Effort, Optimised, optimise};
pub use wide::Wide;
