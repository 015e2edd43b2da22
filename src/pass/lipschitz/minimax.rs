//! Multipliers that bound all columns of ℓ1's program together: the least largest column.
//!
//! For given weights `ω` of the outputs and multipliers `λ` of the groups the least multiplier of input `j`,
//! `τ_j = a_j + b_jᵀG⁻¹b_j` ([`Blocks`]), is convex in both, for it is a Schur complement. So is
//!
//! ```text
//! T·log Σ_j exp(τ_j/T) + Σ_k 1/ω_k − μ·(log det G + Σ log λ + Σ log ω)
//! ```
//!
//! which Newton's method minimises while `μ` and `T` fall; in its limit `max τ = Σ 1/ω` is the bound. What `G⁻¹` couples
//! enters through Gram matrices of the rows, as in the interior point. What comes out is a proposal.

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, MatRef, Side};

use super::blocks::{Blocks, Point};
use crate::deadline::Deadline;
use crate::solver::Pencil;

/// Newton steps, in all and for one `μ`.
const STEPS: (usize, usize) = (60, 15);
/// A step that gains less, in units of `μ`, ends the search for one `μ`.
const CENTRED: f64 = 1.0;
/// By what `μ` and `T` fall.
const FALL: (f64, f64) = (0.1, 0.2);
/// Relative gaps that `μ` and `T` leave at the end: single columns are solved for afterwards.
const GAPS: (f64, f64) = (1e-3, 5e-3);
/// Of the way to the boundary, and of the gain that Newton's model promises.
const LINE: (f64, f64) = (0.95, 0.1);
/// Added to the scaled Hessian, relative to its mean diagonal.
const RIDGE: f64 = 1e-13;

/// `product·VᵀV + mean·(VᵀY + YᵀV) + own·YᵀY` of one pair of rows, and whose multiplier it has.
struct PairForm {
    variable: usize,
    product: f64,
    mean: f64,
    own: f64,
}

/// The pairs of all groups and then, with nothing for `Y`, the outputs.
struct Program<'a> {
    pencil: &'a Pencil,
    variables: usize,
    forms: Vec<PairForm>,
    arguments: Mat<f64>,
    results: Mat<f64>,
}

/// A point inside: `λ` and then `ω`, and what follows from them.
struct State {
    values: Vec<f64>,
    columns: Vec<f64>,
    /// `G⁻¹·B`.
    solution: Mat<f64>,
    factor: Llt<f64>,
    log_determinant: f64,
}

/// Seconds that the search takes, within a small factor.
#[must_use]
#[allow(clippy::cast_precision_loss)] // an estimate
pub fn predicted_seconds(pencil: &Pencil) -> f64 {
    let pairs = pencil.groups.iter().map(|group| group.arguments.len()).sum::<usize>() + pencil.outputs.len();
    let (pairs, inputs) = (pairs as f64, pencil.inputs as f64);
    let bounded = (pencil.dimension - pencil.inputs) as f64;
    40.0 * (6.0 * pairs * pairs * (bounded + inputs) + 10.0 * pairs * bounded * (bounded + inputs)) / 1e10
}

/// The best point that Newton's method finds from feasible multipliers. `None` where they are not, or the numbers overflow.
#[must_use]
pub fn solve(pencil: &Pencil, multipliers: &[f64], deadline: Deadline) -> Option<Point> {
    let program = Program::new(pencil);
    let outputs = pencil.outputs.len();
    let mut values: Vec<f64> = multipliers.to_vec();
    values.resize(program.variables, 1.0);
    let state = program.state(values)?;
    // Both terms of the bound are alike at the best scale.
    let scale = (outputs as f64 / state.largest()).sqrt();
    let mut state = program.state(state.values.iter().map(|value| value * scale).collect())?;
    let (count, inputs) = ((program.variables + pencil.dimension - pencil.inputs) as f64, (1.0 + pencil.inputs as f64).ln());
    let (mut mu, mut temperature) = (state.largest() / count, 0.1 * state.largest() / inputs);
    let mut left = STEPS.0;
    loop {
        for _ in 0..STEPS.1.min(left) {
            if deadline.has_passed() {
                return Some(program.point(&state));
            }
            left -= 1;
            let Some((next, gain)) = program.step(&state, temperature, mu) else { break };
            state = next;
            if gain < CENTRED * mu {
                break;
            }
        }
        let bound = state.largest();
        if left == 0 || mu * count < GAPS.0 * bound && temperature * inputs <= GAPS.1 * bound {
            return Some(program.point(&state));
        }
        mu *= FALL.0;
        temperature = (temperature * FALL.1).max(0.99 * GAPS.1 * bound / inputs);
    }
}

impl<'a> Program<'a> {
    fn new(pencil: &'a Pencil) -> Self {
        let of_groups = pencil.groups.iter().enumerate().flat_map(|(variable, group)| {
            let (product, mean) = (-group.alpha * group.beta, 0.5 * (group.alpha + group.beta));
            let form = move || PairForm { variable, product, mean, own: -1.0 };
            group.arguments.iter().zip(&group.results).map(move |(v, y)| (form(), v, Some(y)))
        });
        let groups = pencil.groups.len();
        let of_outputs = pencil
            .outputs
            .iter()
            .enumerate()
            .map(|(output, row)| (PairForm { variable: groups + output, product: 1.0, mean: 0.0, own: 0.0 }, row, None));
        let all: Vec<_> = of_groups.chain(of_outputs).collect();
        let mut arguments = Mat::zeros(all.len(), pencil.dimension);
        let mut results = Mat::zeros(all.len(), pencil.dimension);
        let mut forms = Vec::with_capacity(all.len());
        for (r, (form, v, y)) in all.into_iter().enumerate() {
            v.entries().for_each(|(i, value)| arguments[(r, i)] = value);
            y.into_iter().flat_map(crate::solver::Stretch::entries).for_each(|(i, value)| results[(r, i)] = value);
            forms.push(form);
        }
        Self { pencil, variables: groups + pencil.outputs.len(), forms, arguments, results }
    }

    /// With one output its weight is one.
    fn point(&self, state: &State) -> Point {
        let (multipliers, weights) = state.values.split_at(self.pencil.groups.len());
        let unit = if let [only] = weights { *only } else { 1.0 };
        let of = |values: &[f64]| values.iter().map(|value| value / unit).collect();
        Point { weights: of(weights), multipliers: of(multipliers) }
    }

    fn state(&self, values: Vec<f64>) -> Option<State> {
        let (multipliers, weights) = values.split_at(self.pencil.groups.len());
        let point = Point { weights: weights.to_vec(), multipliers: multipliers.to_vec() };
        let blocks = Blocks::new(self.pencil, &point);
        let factor = blocks.pivot.llt(Side::Lower).ok()?;
        let solution = factor.solve(&blocks.coupling);
        let columns = blocks.least(&solution)?;
        let diagonal = factor.L().diagonal().column_vector();
        let log_determinant = 2.0 * diagonal.iter().map(|entry: &f64| entry.ln()).sum::<f64>();
        Some(State { values, columns, solution, factor, log_determinant })
    }

    fn objective(&self, state: &State, temperature: f64, mu: f64) -> f64 {
        let largest = state.largest();
        let sum: f64 = state.columns.iter().map(|tau| ((tau - largest) / temperature).exp()).sum();
        let spread: f64 = state.values[self.pencil.groups.len()..].iter().map(|weight| 1.0 / weight).sum();
        let logarithms: f64 = state.values.iter().map(|value| value.ln()).sum();
        largest + temperature * sum.ln() + spread - mu * (state.log_determinant + logarithms)
    }

    /// One of Newton's steps, as long as it gains, and what its model promised.
    fn step(&self, state: &State, temperature: f64, mu: f64) -> Option<(State, f64)> {
        let (gradient, mut hessian) = self.model(state, temperature, mu);
        // In units of the values.
        let values = &state.values;
        let count = values.len();
        for j in 0..count {
            hessian.col_as_slice_mut(j).iter_mut().zip(values).for_each(|(entry, value)| *entry *= value * values[j]);
        }
        let ridge = RIDGE * (0..count).map(|i| hessian[(i, i)]).sum::<f64>() / count.max(1) as f64;
        (0..count).for_each(|i| hessian[(i, i)] += ridge);
        let right = Mat::from_fn(count, 1, |i, _| -gradient[i] * values[i]);
        let relative = hessian.llt(Side::Lower).ok()?.solve(&right);
        let gain: f64 = (0..count).map(|i| relative[(i, 0)] * right[(i, 0)]).sum();
        let steepest = (0..count).fold(0.0, |most: f64, i| most.max(-relative[(i, 0)]));
        let mut length = if steepest > LINE.0 { LINE.0 / steepest } else { 1.0 };
        let before = self.objective(state, temperature, mu);
        while length > 1e-6 {
            let moved = values.iter().enumerate().map(|(i, value)| value * (1.0 + length * relative[(i, 0)])).collect();
            if let Some(next) = self.state(moved)
                && self.objective(&next, temperature, mu) <= before - LINE.1 * length * gain
            {
                return Some((next, gain));
            }
            length *= 0.5;
        }
        None
    }

    /// Gradient and Hessian of the objective.
    fn model(&self, state: &State, temperature: f64, mu: f64) -> (Vec<f64>, Mat<f64>) {
        let (inputs, pairs) = (self.pencil.inputs, self.forms.len());
        let bounded = self.pencil.dimension - inputs;
        let largest = state.largest();
        let raw: Vec<f64> = state.columns.iter().map(|tau| ((tau - largest) / temperature).exp()).collect();
        let total: f64 = raw.iter().sum();
        let shares: Vec<f64> = raw.into_iter().map(|share| share / total).collect();
        // The rows at the worst case of every column, and what their forms make of it.
        let at =
            |rows: &Mat<f64>| rows.submatrix(0, 0, pairs, inputs) + rows.submatrix(0, inputs, pairs, bounded) * &state.solution;
        let (v, y) = (at(&self.arguments), at(&self.results));
        let forms = &self.forms;
        let on_v = Mat::from_fn(pairs, inputs, |r, j| forms[r].product * v[(r, j)] + forms[r].mean * y[(r, j)]);
        let on_y = Mat::from_fn(pairs, inputs, |r, j| forms[r].mean * v[(r, j)] + forms[r].own * y[(r, j)]);
        let mut slopes = Mat::<f64>::zeros(self.variables, inputs);
        for j in 0..inputs {
            for (r, form) in forms.iter().enumerate() {
                slopes[(form.variable, j)] += on_v[(r, j)] * v[(r, j)] + on_y[(r, j)] * y[(r, j)];
            }
        }
        let shared = |a: &Mat<f64>| Mat::from_fn(a.nrows(), inputs, |i, j| a[(i, j)] * shares[j]);
        let (shared_v, shared_y, shared_slopes) = (shared(&on_v), shared(&on_y), shared(&slopes));
        let (p_vv, p_vy, p_yy) = (&shared_v * on_v.transpose(), &shared_v * on_y.transpose(), &shared_y * on_y.transpose());
        let inverse = state.factor.solve(Mat::<f64>::identity(bounded, bounded));
        let coupled = |rows: &'_ Mat<f64>| rows.submatrix(0, inputs, pairs, bounded) * &inverse;
        let right = |rows: &'_ Mat<f64>| -> Mat<f64> { rows.submatrix(0, inputs, pairs, bounded).to_owned() };
        let (on_arguments, on_results) = (coupled(&self.arguments), coupled(&self.results));
        let (rows_v, rows_y) = (right(&self.arguments), right(&self.results));
        let (k_vv, k_vy, k_yy) =
            (&on_arguments * rows_v.transpose(), &on_arguments * rows_y.transpose(), &on_results * rows_y.transpose());
        let mut gradient: Vec<f64> = (0..self.variables).map(|q| row_sum(shared_slopes.as_ref(), q)).collect();
        let mut hessian = &shared_slopes * slopes.transpose();
        for b in 0..self.variables {
            for a in 0..self.variables {
                hessian[(a, b)] = (hessian[(a, b)] - gradient[a] * gradient[b]) / temperature;
            }
        }
        for (s, right) in forms.iter().enumerate() {
            for (r, left) in forms.iter().enumerate() {
                let k = [[k_vv[(r, s)], k_vy[(r, s)]], [k_vy[(s, r)], k_yy[(r, s)]]];
                let p = [[p_vv[(r, s)], p_vy[(r, s)]], [p_vy[(s, r)], p_yy[(r, s)]]];
                let curvature: f64 = (0..2).map(|a| k[a][0] * p[a][0] + k[a][1] * p[a][1]).sum();
                hessian[(left.variable, right.variable)] += 2.0 * curvature + mu * left.trace(right, &k);
            }
            gradient[right.variable] +=
                mu * (right.product * k_vv[(s, s)] + 2.0 * right.mean * k_vy[(s, s)] + right.own * k_yy[(s, s)]);
        }
        for (i, &value) in state.values.iter().enumerate() {
            gradient[i] -= mu / value;
            hessian[(i, i)] += mu / (value * value);
            if i >= self.pencil.groups.len() {
                gradient[i] -= 1.0 / (value * value);
                hessian[(i, i)] += 2.0 / (value * value * value);
            }
        }
        (gradient, hessian)
    }
}

fn row_sum(matrix: MatRef<'_, f64>, row: usize) -> f64 {
    (0..matrix.ncols()).map(|j| matrix[(row, j)]).sum()
}

impl PairForm {
    /// `tr(M·K·M′·Kᵀ)` with the forms of two pairs and what `G⁻¹` couples of their rows.
    fn trace(&self, other: &Self, k: &[[f64; 2]; 2]) -> f64 {
        let by = |form: &Self, a: f64, b: f64| (form.product * a + form.mean * b, form.mean * a + form.own * b);
        let ((t00, t10), (t01, t11)) = (by(self, k[0][0], k[1][0]), by(self, k[0][1], k[1][1]));
        let ((s00, s01), (s10, s11)) = (by(other, t00, t01), by(other, t10, t11));
        s00 * k[0][0] + s01 * k[0][1] + s10 * k[1][0] + s11 * k[1][1]
    }
}

impl State {
    fn largest(&self) -> f64 {
        self.columns.iter().copied().fold(f64::MIN_POSITIVE, f64::max)
    }
}
