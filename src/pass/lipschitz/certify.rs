//! From a solver's points to one that the checker accepts.
//!
//! The optimum is singular in every layer, so `ρ` alone cannot be enlarged: with `F` at the answer, and `F_(k)` the form of
//! the first `k` layers alone, `F(ρ(1+2δ), λ_k(1+δ(L+1−k)/L))` is `F` plus positive multiples of `ρI` and of every `F_(k)`,
//! and `F_(k)` dominates the squares of the next layer's arguments. Earlier points of a solver's path lie deeper inside, too.

use super::elimination::best_inputs;
use super::pencil::pencil;
use crate::kernel::lipschitz::form::{Form, Rows};
use crate::kernel::lipschitz::prove_matrix;
use crate::kernel::proof::Norm;
use crate::solver::{Candidate, InputNorm, Pencil};

/// Inflations `δ` that are tried: a solver's point violates the inequality by about its tolerance.
pub const INFLATIONS: [f64; 8] = [1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6];
/// Inflations beyond which recomputing `ρ` gains nothing.
const RECOMPUTED: f64 = 1e-10;

/// A candidate that the checker accepts on or near a path of candidates, the last of which is the solver's answer: the best
/// one, as far as what is accepted lies above what is refused.
#[must_use]
pub fn certify(form: &Form, rows: &Rows, norm: InputNorm, path: &[Candidate]) -> Option<Candidate> {
    let accepts = |candidate: &Candidate| prove(rows, norm, candidate).is_some();
    let (answer, earlier) = path.split_last()?;
    // A path comes from an engine that stays inside: its answer needs no room.
    let inside = !earlier.is_empty();
    if inside && accepts(answer) {
        return Some(answer.clone());
    }
    let mut proposals = inflated(&pencil(form, rows, norm), answer, !inside);
    proposals.extend(earlier.iter().cloned());
    proposals.sort_by(|a, b| a.squared_bound().total_cmp(&b.squared_bound()));
    let accepted = first_accepted(proposals.len(), |index| accepts(&proposals[index]))?;
    proposals.into_iter().nth(accepted)
}

/// The first of `count` indices that is accepted, where what is accepted lies behind what is refused; in any case one that
/// was. Proofs of large matrices take seconds: the search gallops from the front until one goes through, then bisects.
fn first_accepted(count: usize, mut accepts: impl FnMut(usize) -> bool) -> Option<usize> {
    let (mut first, mut accepted, mut stride) = (0, None, 1);
    while first < accepted.unwrap_or(count) {
        let next = match accepted {
            Some(end) => usize::midpoint(first, end),
            None => (first + stride - 1).min(count - 1),
        };
        if accepts(next) {
            accepted = Some(next);
        } else {
            first = next + 1;
            stride *= 2;
        }
    }
    accepted
}

/// The constant that the checker finds for a candidate.
#[must_use]
pub fn prove(rows: &Rows, norm: InputNorm, candidate: &Candidate) -> Option<f64> {
    let norm = match norm {
        InputNorm::Euclidean => Norm::L2,
        InputNorm::Maximum => Norm::Linf,
    };
    prove_matrix(rows, norm, &candidate.input_multipliers, &candidate.multipliers).ok()
}

/// An answer moved inside by each inflation; where it may lie outside by its solver's tolerance, also with inputs' multipliers
/// of its own.
fn inflated(pencil: &Pencil, answer: &Candidate, recompute: bool) -> Vec<Candidate> {
    let mut proposals = Vec::new();
    for inflation in INFLATIONS {
        let multipliers = grown(pencil, &answer.multipliers, inflation);
        let enlarged = |inputs: &[f64]| inputs.iter().map(|tau| tau * (1.0 + 2.0 * inflation) + f64::MIN_POSITIVE).collect();
        // The best bound for the answer's multipliers is better or safer than the answer's own.
        if recompute
            && inflation <= RECOMPUTED
            && let Some(best) = best_inputs(pencil, &multipliers, Some(&answer.input_multipliers))
        {
            proposals.push(Candidate { input_multipliers: enlarged(&best), multipliers: multipliers.clone() });
        }
        proposals.push(Candidate { input_multipliers: enlarged(&answer.input_multipliers), multipliers });
    }
    proposals
}

/// The multipliers of the groups, enlarged the more the less deep they are.
pub fn grown(pencil: &Pencil, multipliers: &[f64], inflation: f64) -> Vec<f64> {
    let deepest = pencil.groups.iter().map(|group| group.depth).max().unwrap_or(0);
    let grow = |depth: u32| 1.0 + inflation * f64::from(deepest + 1 - depth) / f64::from(deepest.max(1));
    pencil.groups.iter().zip(multipliers).map(|(group, m)| m * grow(group.depth)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_accepted_proposal_is_found_with_few_proofs() {
        for count in 0..40 {
            for first in 0..=count {
                let mut proofs = 0;
                let found = first_accepted(count, |index| {
                    proofs += 1;
                    index >= first
                });
                assert_eq!(found, (first < count).then_some(first), "of {count}");
                assert!(proofs <= 10, "{proofs} proofs for {first} of {count}");
            }
        }
        // Whatever the order, nothing that was refused is taken.
        assert_eq!(first_accepted(9, |index| index == 6), Some(6));
        assert_eq!(first_accepted(9, |index| index == 3), None);
    }
}
