//! From a solver's point to one that the checker accepts: the multipliers are inflated layer by layer, `ρ` is recomputed
//! for them, and the checker's own rule is asked.

use super::elimination::best_bound;
use crate::checker::prove_matrix;
use crate::form::{Form, Rows};
use crate::solver::{Candidate, Pencil};

/// Inflations that are tried: a solver's point violates the inequality by about its tolerance.
const INFLATIONS: [f64; 7] = [0.0, 1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6];
/// Relative margins on `ρ` itself.
const MARGINS: [f64; 6] = [1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8];

/// The best candidate near the given one that the checker accepts, or `None`.
#[must_use]
pub fn certify(form: &Form, rows: &Rows, pencil: &Pencil, candidate: &Candidate) -> Option<Candidate> {
    let deepest = pencil.groups.iter().map(|group| group.depth).max().unwrap_or(0);
    let mut inflated: Vec<Candidate> = INFLATIONS
        .iter()
        .filter_map(|&inflation| {
            // The optimum is singular in every layer, so each layer's multiplier grows more than those after it.
            let grow = |depth: u32| 1.0 + inflation * f64::from(deepest + 1 - depth) / f64::from(deepest.max(1));
            let multipliers: Vec<f64> =
                pencil.groups.iter().zip(&candidate.multipliers).map(|(group, m)| m * grow(group.depth)).collect();
            let squared_bound = best_bound(pencil, &multipliers)?;
            Some(Candidate { squared_bound, multipliers })
        })
        .collect();
    inflated.sort_by(|a, b| a.squared_bound.total_cmp(&b.squared_bound));
    let accepted = |margin: f64, candidate: &Candidate| {
        let squared_bound = candidate.squared_bound * (1.0 + margin) + f64::MIN_POSITIVE;
        let proposal = Candidate { squared_bound, multipliers: candidate.multipliers.clone() };
        prove_matrix(form, rows, squared_bound, &proposal.multipliers).ok().map(|_| proposal)
    };
    inflated.iter().find_map(|candidate| MARGINS.iter().find_map(|&margin| accepted(margin, candidate)))
}
