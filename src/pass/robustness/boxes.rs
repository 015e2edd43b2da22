//! Which input of a box is halved.

use super::problem::Problem;
use crate::kernel::region::bounds::Trace;
use crate::kernel::region::{Bounded, Refuter, atoms};
use crate::pass::bounds::Wide;
use crate::search::branch::Division;

/// What is known of a box that bounds leave open.
pub struct Choice<'a> {
    pub refuter: &'a Refuter<'a, Wide>,
    pub problem: &'a Problem,
    pub judged: &'a Bounded,
    /// Of the pass over all rows, with the usual slopes: those that are searched for one row make worse splits.
    pub trace: &'a Trace,
}

impl Choice<'_> {
    /// Returns the middle of the widest input.
    #[must_use]
    pub fn widest(problem: &Problem) -> Option<Division> {
        best(problem, |_| 1.0).into_iter().next().map(|(_, division)| division)
    }

    /// Returns the input that the bound depends on most, and its middle; `None` where no box is left to halve.
    #[must_use]
    pub fn division(&self) -> Option<Division> {
        let slopes = self.slopes();
        let mean = slopes.iter().map(|slope| slope.abs()).sum::<f64>() / slopes.len().max(1) as f64;
        // A vanishing slope does not make an input irrelevant.
        let weight = |input: usize| slopes.get(input).map_or(0.0, |slope| slope.abs()) + 0.05 * mean + f64::MIN_POSITIVE;
        best(self.problem, weight).into_iter().next().map(|(_, division)| division)
    }

    /// Returns how the bound depends on the inputs.
    fn slopes(&self) -> Vec<f64> {
        let network = self.refuter.linear_bounds().network();
        let inputs = network.input_size();
        let Some(all) = self.trace.coefficients.get(&network.input().index()) else { return vec![1.0; inputs] };
        let usable = self.refuter.usable(&self.problem.clauses);
        let row = self.critical().and_then(|atom| usable.iter().position(|&position| position == atom)).unwrap_or(0);
        all.get(row * inputs..(row + 1) * inputs).map_or_else(|| vec![1.0; inputs], <[f64]>::to_vec)
    }

    /// Returns how far the nearest clause is from being contradicted.
    #[must_use]
    pub fn slack(&self) -> f64 {
        let all: Vec<_> = atoms(&self.problem.clauses).collect();
        self.critical().map_or(f64::NEG_INFINITY, |at| self.judged.lower[at] - all[at].bound.nearest)
    }

    /// Returns the atom that decides: of the clause that is nearest to a contradiction, the nearest atom of the alternative
    /// that is farthest from it.
    fn critical(&self) -> Option<usize> {
        let mut next = 0;
        let mut found: Option<(f64, usize)> = None;
        for clause in &self.problem.clauses {
            let mut worst: Option<(f64, usize)> = None;
            for alternative in &clause.alternatives {
                let slack = |at: usize| self.judged.lower[next + at] - alternative[at].bound.nearest;
                let best = (0..alternative.len()).map(|at| (slack(at), next + at)).max_by(|a, b| a.0.total_cmp(&b.0));
                worst = best.into_iter().chain(worst).min_by(|a, b| a.0.total_cmp(&b.0));
                next += alternative.len();
            }
            found = worst.into_iter().chain(found).max_by(|a, b| a.0.total_cmp(&b.0));
        }
        found.map(|(_, at)| at)
    }
}

/// Returns the inputs that can be halved, those with the largest product of width and weight first.
fn best(problem: &Problem, weight: impl Fn(usize) -> f64) -> Vec<(f64, Division)> {
    let ends = problem.region.lower().iter().zip(problem.region.upper());
    let halved = |(input, (&lower, &upper)): (usize, (&f64, &f64))| {
        let cut = lower / 2.0 + upper / 2.0;
        (lower < cut && cut < upper).then(|| ((upper - lower) * weight(input), Division::Input { input, cut }))
    };
    let mut found: Vec<(f64, Division)> = ends.enumerate().filter_map(halved).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found
}
