//! From a solver's points to one that the checker accepts.
//!
//! The optimum is singular in every layer, so `ρ` alone cannot be enlarged: with `F` at the answer, and `F_(k)` the form of
//! the first `k` layers alone, `F(ρ(1+2δ), λ_k(1+δ(L+1−k)/L))` is `F` plus positive multiples of `ρI` and of every `F_(k)`,
//! and `F_(k)` dominates the squares of the next layer's arguments. Earlier points of a solver's path lie deeper inside, too.

use super::elimination::best_inputs;
use super::pencil::pencil;
use crate::certificate::Norm;
use crate::checker::prove_matrix;
use crate::form::{Form, Rows};
use crate::solver::{Candidate, InputNorm, Pencil};

/// Inflations `δ` that are tried: a solver's point violates the inequality by about its tolerance.
pub const INFLATIONS: [f64; 8] = [1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6];
/// Inflations beyond which recomputing `ρ` gains nothing.
const RECOMPUTED: f64 = 1e-10;

/// The best candidate that the checker accepts on or near a path of candidates, the last of which is the solver's answer.
#[must_use]
pub fn certify(form: &Form, rows: &Rows, norm: InputNorm, path: &[Candidate]) -> Option<Candidate> {
    let accepts = |candidate: &Candidate| prove(form, rows, norm, candidate).is_some();
    let (answer, earlier) = path.split_last()?;
    // A path comes from an engine that stays inside: its answer needs no room.
    if !earlier.is_empty() && accepts(answer) {
        return Some(answer.clone());
    }
    let mut proposals = inflated(&pencil(form, rows, norm), answer);
    proposals.extend(earlier.iter().cloned());
    proposals.sort_by(|a, b| a.squared_bound().total_cmp(&b.squared_bound()));
    proposals.into_iter().find(accepts)
}

/// The constant that the checker finds for a candidate.
#[must_use]
pub fn prove(form: &Form, rows: &Rows, norm: InputNorm, candidate: &Candidate) -> Option<f64> {
    let norm = match norm {
        InputNorm::Euclidean => Norm::L2,
        InputNorm::Maximum => Norm::Linf,
    };
    prove_matrix(form, rows, norm, &candidate.input_multipliers, &candidate.multipliers).ok()
}

fn inflated(pencil: &Pencil, answer: &Candidate) -> Vec<Candidate> {
    let mut proposals = Vec::new();
    for inflation in INFLATIONS {
        let multipliers = grown(pencil, &answer.multipliers, inflation);
        let enlarged = |inputs: &[f64]| inputs.iter().map(|tau| tau * (1.0 + 2.0 * inflation) + f64::MIN_POSITIVE).collect();
        // The answer may lie inside, or outside by its tolerance: the best bound for its multipliers is better or safer.
        if inflation <= RECOMPUTED
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
