//! Lipschitz programs by a structured primal–dual interior-point method.
//!
//! ```text
//! minimise ρ   subject to   Z = F(ρ, λ) ⪰ 0,  λ ≥ 0;        X, s ⪰ 0 are the primal matrix and the slacks of λ
//! ```
//!
//! HKM direction with Mehrotra's predictor and corrector (Helmberg, Rendl, Vanderbei, Wolkowicz, SIAM J. Optim. 1996;
//! Todd, Acta Numerica 2001, section 6). The matrices of the multipliers have low rank, so the Schur matrix comes from Gram
//! matrices of their rows (`schur`); one iteration is a dozen products of the order of `Z`.
//!
//! The start is feasible and `Z` stays so: stopped at any time, the point is a proposal that can be certified. Nothing
//! here is a proof.

mod program;
mod schur;

use std::time::Instant;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltParams, LltRegularization, cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::solvers::{DenseSolveCore, Llt, Solve};
use faer::{Mat, Par, Side, Spec};

use super::pencil::{Candidate, Pencil};
use program::{Program, Variables};
use schur::{Gram, products, schur};

/// When to stop.
#[derive(Clone, Debug)]
pub struct InteriorPointOptions {
    /// Relative gap between the bound and the primal value.
    pub tolerance: f64,
    /// The point at hand is returned when this has passed.
    pub deadline: Option<Instant>,
}

/// Where it stopped.
#[derive(Clone, Debug)]
pub struct InteriorPointSolution {
    /// Strictly feasible points with decreasing bounds; the last is the answer, the others lie deeper inside.
    pub path: Vec<Candidate>,
    /// The primal value: no multipliers give less, up to the primal infeasibility.
    pub dual_bound: f64,
    pub iterations: u32,
    /// Did the gap fall below the tolerance?
    pub converged: bool,
}

const MAX_ITERATIONS: u32 = 150;
/// A step shorter than this is no progress.
const STALLED: f64 = 1e-6;
/// Points of the path that are kept: the gap falls about tenfold from one to the next.
const PATH: usize = 10;
/// Fractions of a step that are tried.
const STEPS: [f64; 16] = [1.0, 0.96, 0.92, 0.86, 0.8, 0.73, 0.65, 0.55, 0.45, 0.35, 0.25, 0.17, 0.1, 0.05, 0.02, 0.005];
/// Fractions of a predictor step, which only sets the centering.
const PREDICTED_STEPS: [f64; 7] = [1.0, 0.9, 0.8, 0.65, 0.5, 0.3, 0.1];
/// A step must stay inside even when it is longer by this factor.
const MARGIN: f64 = 1.03;

/// Bytes that a solve takes: a dozen matrices of the order of `Z`, half a dozen of the number of pairs.
#[must_use]
#[allow(clippy::cast_precision_loss)] // an estimate
pub fn predicted_bytes(pencil: &Pencil) -> f64 {
    let n = pencil.dimension as f64;
    let pairs = pencil.groups.iter().map(|group| group.arguments.len()).sum::<usize>() as f64;
    8.0 * (14.0 * n * n + 8.0 * n * pairs + 14.0 * pairs * pairs)
}

/// Seconds that a solve takes, within a small factor: some thirty `N³` multiplications in each of twenty iterations.
#[must_use]
pub fn predicted_seconds(pencil: &Pencil) -> f64 {
    20.0 * 30.0 * (pencil.dimension as f64).powi(3) / 3e10
}

/// Is the point strictly feasible to working precision?
#[must_use]
pub fn is_feasible(pencil: &Pencil, start: &Candidate) -> bool {
    State::new(&Program::new(pencil, start)).is_some()
}

/// Solves from a strictly feasible start. `None` when the start is not feasible to working precision.
#[must_use]
pub fn solve(pencil: &Pencil, start: &Candidate, options: &InteriorPointOptions) -> Option<InteriorPointSolution> {
    let program = Program::new(pencil, start);
    let mut state = State::new(&program)?;
    let mut path = vec![program.candidate(&state.point)];
    let (mut iterations, mut converged) = (0, false);
    while iterations < MAX_ITERATIONS && options.deadline.is_none_or(|deadline| Instant::now() < deadline) {
        let Some(progress) = state.step(&program) else { break };
        iterations += 1;
        path.push(program.candidate(&state.point));
        converged = state.relative_gap(&program) <= options.tolerance;
        if converged || progress < STALLED {
            break;
        }
    }
    path.drain(..path.len().saturating_sub(PATH));
    Some(InteriorPointSolution { path, dual_bound: program.in_units(state.primal_value(&program)), iterations, converged })
}

/// The iterate.
struct State {
    point: Variables,
    /// Slacks of the multipliers.
    slack: Vec<f64>,
    x: Mat<f64>,
    z: Mat<f64>,
    factor: Llt<f64>,
}

/// A search direction in the primal matrix, the slacks and the point.
struct Direction {
    point: Variables,
    slack: Vec<f64>,
    x: Mat<f64>,
    z: Mat<f64>,
}

impl State {
    /// On the central path of the start as far as the point goes: `X = μZ⁻¹` with `tr(I_x X) = 1`.
    fn new(program: &Program) -> Option<Self> {
        let point = Variables { bound: 1.02, multipliers: vec![1.0; program.multipliers] };
        let z = program.matrix(&point);
        let factor = z.llt(Side::Lower).ok()?;
        let mut x = factor.inverse();
        let trace: f64 = (0..program.inputs).map(|i| x[(i, i)]).sum();
        let mu = 1.0 / trace;
        scale(&mut x, mu);
        (mu.is_finite() && mu > 0.0).then(|| Self { slack: vec![mu; point.multipliers.len()], point, x, z, factor })
    }

    /// `⟨cost, X⟩` with the trace brought to one.
    fn primal_value(&self, program: &Program) -> f64 {
        let trace: f64 = (0..program.inputs).map(|i| self.x[(i, i)]).sum();
        inner(&program.cost, &self.x) / trace
    }

    fn mu(&self) -> f64 {
        let complementarity: f64 = self.slack.iter().zip(&self.point.multipliers).map(|(s, l)| s * l).sum();
        #[allow(clippy::cast_precision_loss)] // counts far below 2⁵³
        let order = (self.z.nrows() + self.slack.len()) as f64;
        (inner(&self.x, &self.z) + complementarity) / order
    }

    /// The larger of the complementarity gap and the difference of the two values.
    fn relative_gap(&self, program: &Program) -> f64 {
        #[allow(clippy::cast_precision_loss)] // counts far below 2⁵³
        let order = (self.z.nrows() + self.slack.len()) as f64;
        let difference = (self.point.bound - self.primal_value(program)).abs();
        (self.mu() * order).max(difference) / self.point.bound.abs().max(f64::MIN_POSITIVE)
    }

    /// One predictor–corrector step; the larger of the two step lengths, or `None` when the arithmetic gives out.
    fn step(&mut self, program: &Program) -> Option<f64> {
        let inverse = symmetric(&self.factor.inverse());
        let (of_x, of_inverse) = (Gram::new(program, &self.x), Gram::new(program, &inverse));
        let mut matrix = schur(program, &self.x, &inverse, &of_x, &of_inverse);
        for (i, (slack, multiplier)) in self.slack.iter().zip(&self.point.multipliers).enumerate() {
            matrix[(i + 1, i + 1)] += slack / multiplier;
        }
        let system = factor_schur(&matrix)?;
        let barrier = Variables {
            bound: (0..program.inputs).map(|i| inverse[(i, i)]).sum(),
            multipliers: of_inverse.products(program).iter().zip(&self.point.multipliers).map(|(p, l)| p + 1.0 / l).collect(),
        };
        let mu = self.mu();
        let predictor = self.direction(program, &inverse, &system, &barrier, 0.0, None)?;
        let (primal, dual) = self.lengths(&predictor, &PREDICTED_STEPS);
        let reached = self.mu_after(&predictor, primal, dual);
        let centering = (reached / mu).clamp(0.0, 1.0).powi(2).clamp(1e-5, 0.9);
        let corrector = self.direction(program, &inverse, &system, &barrier, centering * mu, Some(&predictor))?;
        let (primal, dual) = self.lengths(&corrector, &STEPS);
        self.advance(program, &corrector, primal, dual)?;
        Some(primal.max(dual))
    }

    /// Solves for a direction towards `XZ = μI`, with the second-order term of the predictor where there is one.
    fn direction(
        &self,
        program: &Program,
        inverse: &Mat<f64>,
        system: &Llt<f64>,
        barrier: &Variables,
        mu: f64,
        predictor: Option<&Direction>,
    ) -> Option<Direction> {
        let second = predictor.map(|predictor| &(&predictor.x * &predictor.z) * inverse);
        let second_products = second.as_ref().map(|second| products(program, second));
        let mut right = Mat::zeros(program.multipliers + 1, 1);
        right[(0, 0)] = mu * barrier.bound - 1.0 - second_products.as_ref().map_or(0.0, |p| p.bound);
        for i in 0..program.multipliers {
            let cross = predictor.map_or(0.0, |p| p.slack[i] * p.point.multipliers[i] / self.point.multipliers[i]);
            let correction = second_products.as_ref().map_or(0.0, |p| p.multipliers[i]) + cross;
            right[(i + 1, 0)] = mu * barrier.multipliers[i] - correction;
        }
        let solved = system.solve(&right);
        let point =
            Variables { bound: solved[(0, 0)], multipliers: (0..program.multipliers).map(|i| solved[(i + 1, 0)]).collect() };
        let z = program.combine(&point);
        let product = &(&self.x * &z) * inverse;
        let change = |i: usize, j: usize| {
            let symmetrised = |matrix: &Mat<f64>| 0.5 * (matrix[(i, j)] + matrix[(j, i)]);
            mu * inverse[(i, j)] - self.x[(i, j)] - symmetrised(&product) - second.as_ref().map_or(0.0, symmetrised)
        };
        let x = Mat::from_fn(program.dimension, program.dimension, change);
        let slack = (0..program.multipliers)
            .map(|i| {
                let cross = predictor.map_or(0.0, |p| p.slack[i] * p.point.multipliers[i]);
                (mu - cross - self.slack[i] * point.multipliers[i]) / self.point.multipliers[i] - self.slack[i]
            })
            .collect();
        point.bound.is_finite().then_some(Direction { point, slack, x, z })
    }

    /// The longest of the given steps that stay inside: primal, dual.
    fn lengths(&self, direction: &Direction, steps: &[f64]) -> (f64, f64) {
        rayon::join(
            || longest_step((&self.slack, &direction.slack), (&self.x, &direction.x), steps),
            || longest_step((&self.point.multipliers, &direction.point.multipliers), (&self.z, &direction.z), steps),
        )
    }

    fn mu_after(&self, direction: &Direction, primal: f64, dual: f64) -> f64 {
        let matrices = inner(&moved(&self.x, &direction.x, primal), &moved(&self.z, &direction.z, dual));
        let slacks: f64 = (0..self.slack.len())
            .map(|i| {
                let multiplier = self.point.multipliers[i] + dual * direction.point.multipliers[i];
                (self.slack[i] + primal * direction.slack[i]) * multiplier
            })
            .sum();
        #[allow(clippy::cast_precision_loss)] // counts far below 2⁵³
        let order = (self.z.nrows() + self.slack.len()) as f64;
        (matrices + slacks) / order
    }

    /// Takes the step; the matrix is rebuilt from the point, so that it stays exactly feasible. `None` leaves the state.
    fn advance(&mut self, program: &Program, direction: &Direction, primal: f64, dual: f64) -> Option<()> {
        let mut point = self.point.clone();
        point.bound += dual * direction.point.bound;
        point.multipliers.iter_mut().zip(&direction.point.multipliers).for_each(|(l, d)| *l += dual * d);
        let z = program.matrix(&point);
        self.factor = z.llt(Side::Lower).ok()?;
        self.z = z;
        self.point = point;
        self.x = moved(&self.x, &direction.x, primal);
        self.slack.iter_mut().zip(&direction.slack).for_each(|(s, d)| *s += primal * d);
        Some(())
    }
}

/// The longest of the descending `steps` along which positive numbers stay positive and a definite matrix definite.
fn longest_step(numbers: (&[f64], &[f64]), matrices: (&Mat<f64>, &Mat<f64>), steps: &[f64]) -> f64 {
    let order = matrices.0.nrows();
    let parameters = Spec::<LltParams, f64>::default();
    // One thread: the two searches run beside each other, and small factorisations do not gain from more.
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(order, Par::Seq, parameters));
    let mut inside = |step: f64| {
        let step = MARGIN * step;
        if !numbers.0.iter().zip(numbers.1).all(|(value, change)| value + step * change > 0.0) {
            return false;
        }
        let mut factor = moved(matrices.0, matrices.1, step);
        let stack = MemStack::new(&mut memory);
        let done = cholesky_in_place(factor.as_mut(), LltRegularization::default(), Par::Seq, stack, parameters);
        done.is_ok() && (0..order).all(|i| factor[(i, i)] > 0.0 && factor[(i, i)].is_finite())
    };
    // The inside is convex: where a step fits, every shorter one does.
    steps.get(steps.partition_point(|&step| !inside(step))).copied().unwrap_or(0.0)
}

/// A factor of the Schur matrix; a tiny multiple of its diagonal is added where rounding made it indefinite.
fn factor_schur(matrix: &Mat<f64>) -> Option<Llt<f64>> {
    [0.0, 1e-15, 1e-13, 1e-11].into_iter().find_map(|shift| {
        let order = matrix.nrows();
        let shifted = Mat::from_fn(order, order, |i, j| {
            let value = 0.5 * (matrix[(i, j)] + matrix[(j, i)]);
            if i == j { value * (1.0 + shift) } else { value }
        });
        shifted.llt(Side::Lower).ok()
    })
}

fn inner(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    let column = |j: usize| a.col_as_slice(j).iter().zip(b.col_as_slice(j)).map(|(a, b)| a * b).sum::<f64>();
    (0..a.ncols()).map(column).sum()
}

fn moved(matrix: &Mat<f64>, change: &Mat<f64>, step: f64) -> Mat<f64> {
    let mut result = matrix.clone();
    for j in 0..result.ncols() {
        result.col_as_slice_mut(j).iter_mut().zip(change.col_as_slice(j)).for_each(|(r, c)| *r += step * c);
    }
    result
}

fn symmetric(matrix: &Mat<f64>) -> Mat<f64> {
    Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| 0.5 * (matrix[(i, j)] + matrix[(j, i)]))
}

fn scale(matrix: &mut Mat<f64>, factor: f64) {
    for j in 0..matrix.ncols() {
        matrix.col_as_slice_mut(j).iter_mut().for_each(|value| *value *= factor);
    }
}
