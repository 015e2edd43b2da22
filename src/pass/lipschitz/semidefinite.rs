//! The program for Clarabel: scaled so that its numbers are near one, and only where it is predicted to fit.

use std::collections::BTreeMap;

use crate::solver::{
    Candidate, ClarabelError, ClarabelOptions, MatrixInequality, Pencil, PencilGroup, Prediction, SparseSymmetric, Stretch,
    predict, solve,
};

/// Entries of all matrices together beyond which the program is not even built.
const ENTRY_LIMIT: usize = 10_000_000;

/// The program `minimise Σ τ subject to F(τ, λ) ⪰ 0, τ, λ ≥ 0` in scaled variables.
pub struct Program {
    problem: MatrixInequality,
    /// `τ` first, then `λ`: what one unit of each variable stands for.
    units: Vec<f64>,
    /// Number of `τ`.
    inputs: usize,
    /// What one unit of the objective stands for.
    unit: f64,
}

impl Program {
    /// The program, scaled about a feasible point: each variable in units of its value there, each coordinate so that the
    /// matrix has a diagonal near one. `None` when it would be too large to build.
    #[must_use]
    pub fn new(pencil: &Pencil, start: &Candidate) -> Option<Self> {
        let entries: usize = pencil.groups.iter().map(entries_of).sum();
        if entries > ENTRY_LIMIT || start.input_multipliers.iter().any(|&value| value <= 0.0) {
            return None;
        }
        let scale = pencil.scales(start);
        let inputs = pencil.input_multipliers();
        let units: Vec<f64> = start.input_multipliers.iter().chain(&start.multipliers).copied().collect();
        let unit: f64 = start.input_multipliers.iter().sum();
        let mut diagonals = vec![SparseSymmetric::default(); inputs];
        for (i, scale) in scale.iter().enumerate().take(pencil.inputs) {
            let block = pencil.input_multiplier(i);
            diagonals[block].entries.push((index(i)?, index(i)?, units[block] * scale * scale));
        }
        let mut constant = Symmetric::default();
        pencil.outputs.iter().for_each(|row| constant.add(row, row, -1.0));
        let groups = pencil.groups.iter().zip(&units[inputs..]).map(|(group, unit)| group_matrix(group, *unit).scaled(&scale));
        let coefficients: Vec<SparseSymmetric> = diagonals.into_iter().chain(groups).collect();
        let mut objective = vec![0.0; coefficients.len()];
        objective.iter_mut().zip(&units[..inputs]).for_each(|(entry, value)| *entry = value / unit);
        let problem = MatrixInequality {
            dimension: pencil.dimension,
            constant: constant.scaled(&scale),
            nonnegative: vec![true; coefficients.len()],
            coefficients,
            objective,
        };
        Some(Self { problem, units, inputs, unit })
    }

    #[must_use]
    pub fn predict(&self) -> Prediction {
        predict(&self.problem)
    }

    /// Solves; the point is a proposal. The second value is the dual value, where the solver finished: no multipliers give
    /// less than it, up to the solver's accuracy.
    ///
    /// # Errors
    /// [`ClarabelError`].
    pub fn solve(&self, options: &ClarabelOptions) -> Result<(Candidate, Option<f64>), ClarabelError> {
        let solution = solve(&self.problem, options)?;
        let values = solution.variables.iter().zip(&self.units).map(|(value, unit)| (value * unit).max(0.0));
        let mut input_multipliers: Vec<f64> = values.collect();
        let multipliers = input_multipliers.split_off(self.inputs);
        let dual_value = (solution.status == "Solved").then_some(solution.dual_value * self.unit);
        Ok((Candidate { input_multipliers, multipliers }, dual_value))
    }
}

fn entries_of(group: &PencilGroup) -> usize {
    let arguments: usize = group
        .arguments
        .iter()
        .map(|row| row.values.len() * if group.alpha * group.beta == 0.0 { 1 } else { row.values.len() })
        .sum();
    arguments + group.results.iter().map(|row| row.values.len() * row.values.len()).sum::<usize>()
}

/// `−λ·q` for one group: what it adds to `F`.
fn group_matrix(group: &PencilGroup, multiplier: f64) -> Symmetric {
    let mut matrix = Symmetric::default();
    for row in &group.arguments {
        matrix.add(row, row, multiplier * group.alpha * group.beta);
    }
    for row in &group.results {
        matrix.add(row, row, multiplier);
    }
    // Each entry of the lower triangle gathers both v·yᵀ and y·vᵀ.
    for (v, y) in group.arguments.iter().zip(&group.results) {
        matrix.add(v, y, -0.5 * multiplier * (group.alpha + group.beta));
        matrix.add(y, v, -0.5 * multiplier * (group.alpha + group.beta));
    }
    matrix
}

/// The lower triangle of a symmetric matrix under construction.
#[derive(Default)]
struct Symmetric {
    entries: BTreeMap<(u32, u32), f64>,
}

impl Symmetric {
    fn add(&mut self, left: &Stretch, right: &Stretch, weight: f64) {
        if weight == 0.0 {
            return;
        }
        for (i, a) in left.entries() {
            for (j, b) in right.entries().take_while(|&(j, _)| j <= i) {
                if let (Some(i), Some(j)) = (index(i), index(j)) {
                    *self.entries.entry((i, j)).or_insert(0.0) += weight * a * b;
                }
            }
        }
    }

    fn scaled(self, scale: &[f64]) -> SparseSymmetric {
        let entries = self.entries.into_iter().map(|((i, j), value)| (i, j, value * scale[i as usize] * scale[j as usize]));
        SparseSymmetric { entries: entries.collect() }
    }
}

fn index(i: usize) -> Option<u32> {
    u32::try_from(i).ok()
}
