//! Lipschitz programs by a structured primal–dual interior-point method.
//!
//! ```text
//! minimise Σ τ   subject to   Z = F(τ, λ) ⪰ 0,  λ ≥ 0;        X, s ⪰ 0 are the primal matrix and the slacks of λ
//! ```
//!
//! HKM direction with Mehrotra's predictor and corrector (Helmberg, Rendl, Vanderbei, Wolkowicz, SIAM J. Optim. 1996;
//! Todd, Acta Numerica 2001, section 6). The matrices of the multipliers have low rank, so the Schur matrix comes from Gram
//! matrices of their rows (`schur`), products with a search direction from the images of the rows (`program`), and `Z` is
//! factored within its envelope (`envelope`): that of a chain of layers is block tridiagonal.
//!
//! The start is feasible and `Z` stays so: stopped at any time, the point is a proposal that can be certified. Nothing
//! here is a proof.

mod dense;
mod envelope;
mod pool;
mod program;
mod schur;

use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{ColMut, Mat, Par};
use rayon::prelude::*;

use super::pencil::{Candidate, Pencil};
use crate::deadline::Deadline;
use crate::kernel::sound::gram::dot;
use dense::{PARALLEL, add_scaled, cholesky, columns_mut, copy_lower, inner, move_lower, transposed};
use pool::Lent;
use program::{Images, Program, Variables};
use schur::{Gram, products, schur};

/// When to stop.
#[derive(Clone, Debug)]
pub struct InteriorPointOptions {
    /// Relative gap between the bound and the primal value.
    pub tolerance: f64,
    /// The point at hand is returned when this has passed.
    pub deadline: Deadline,
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
const STEPS: [f64; 16] = [1.0, 0.97, 0.94, 0.9, 0.85, 0.79, 0.72, 0.65, 0.57, 0.48, 0.39, 0.3, 0.2, 0.1, 0.04, 0.01];
/// A step must stay inside even when it is longer by this factor.
const MARGIN: f64 = 1.03;
/// Least centering: less leaves the neighbourhood of the central path, and the steps after it are short.
const CENTERING: f64 = 0.03;
/// Orders up to which threads cost more than they bring: one solves alone.
const ALONE: usize = 400;
/// Where the bound starts, in units of the feasible point.
const START: f64 = 1.02;

/// Bytes that a solve takes: a dozen matrices of the order of `Z`, half a dozen of the number of pairs.
#[must_use]
#[allow(clippy::cast_precision_loss)] // an estimate
pub fn predicted_bytes(pencil: &Pencil) -> f64 {
    let n = pencil.dimension as f64;
    let pairs = pencil.groups.iter().map(|group| group.arguments.len()).sum::<usize>() as f64;
    8.0 * (12.0 * n * n + 6.0 * n * pairs + 6.0 * pairs * pairs)
}

/// Seconds that a solve takes, within a small factor: some twelve `N³` operations in each of sixteen iterations.
#[must_use]
#[allow(clippy::cast_precision_loss)] // an estimate
pub fn predicted_seconds(order: usize) -> f64 {
    16.0 * 12.0 * (order as f64).powi(3) / 5e10
}

/// Solves from a strictly feasible start. `None` when the start is not feasible to working precision.
#[must_use]
pub fn solve(pencil: &Pencil, start: &Candidate, options: &InteriorPointOptions) -> Option<InteriorPointSolution> {
    let run = || run(pencil, start, options);
    if pencil.dimension <= ALONE
        && let Ok(alone) = rayon::ThreadPoolBuilder::new().num_threads(1).build()
    {
        return alone.install(run);
    }
    run()
}

fn run(pencil: &Pencil, start: &Candidate, options: &InteriorPointOptions) -> Option<InteriorPointSolution> {
    let program = Program::new(pencil, start)?;
    let mut state = State::new(&program)?;
    let mut path = vec![program.candidate(&state.point)];
    let (mut iterations, mut converged, mut mu) = (0, false, state.mu());
    while iterations < MAX_ITERATIONS && !options.deadline.has_passed() {
        let Some(progress) = state.step(&program, mu) else { break };
        iterations += 1;
        path.push(program.candidate(&state.point));
        mu = state.mu();
        let gap = state.relative_gap(&program, mu);
        converged = gap <= options.tolerance;
        if converged || progress < STALLED {
            break;
        }
    }
    path.drain(..path.len().saturating_sub(PATH));
    Some(InteriorPointSolution { path, dual_bound: program.in_units(state.primal_value(&program)), iterations, converged })
}

/// The iterate.
struct State<'a> {
    point: Variables,
    /// Slacks of the multipliers.
    slack: Vec<f64>,
    x: Lent<'a>,
    z: Lent<'a>,
    /// Of `z`, on and below the diagonal.
    factor: Lent<'a>,
    /// Indices of the last steps, primal and dual.
    longest: [usize; 2],
}

/// A search direction in the primal matrix, the slacks and the point.
struct Direction<'a> {
    point: Variables,
    slack: Vec<f64>,
    x: Lent<'a>,
}

/// What both directions of a step need.
struct System<'a> {
    program: &'a Program,
    inverse: Lent<'a>,
    of_x: Images<'a>,
    of_inverse: Images<'a>,
    /// Of the Schur matrix, on and below the diagonal.
    factor: Lent<'a>,
    /// `⟨A_i, Z⁻¹⟩`, and `1/λ` where there is a slack.
    barrier: Variables,
}

/// The second-order term of a predictor: `(ΔX·ΔZ)`, its inner products, and those of the slacks.
struct Second<'a> {
    matrix: Lent<'a>,
    products: Variables,
    slack: Vec<f64>,
}

impl<'a> State<'a> {
    /// On the central path of the start as far as the point goes: `X = μZ⁻¹`, scaled to the objective.
    fn new(program: &'a Program) -> Option<Self> {
        let mut point = vec![1.0; program.order()];
        point[..program.objective.len()].fill(START);
        let z = program.matrix(&point);
        let mut factor = program.pool.zeros(z.nrows(), z.ncols());
        copy_lower(&mut factor, &z);
        program.envelope.cholesky(&mut factor, PARALLEL())?;
        let mut x = program.envelope.inverse(&factor, &program.pool);
        let trace: f64 = (0..program.inputs).map(|i| x[(i, i)]).sum();
        let mu = 1.0 / trace;
        columns_mut(x.as_mut()).for_each(|(_, column)| column.iter_mut().for_each(|entry| *entry *= mu));
        (mu.is_finite() && mu > 0.0).then(|| Self { slack: vec![mu; program.multipliers], point, x, z, factor, longest: [0; 2] })
    }

    fn multipliers(&self) -> &[f64] {
        &self.point[self.point.len() - self.slack.len()..]
    }

    /// `⟨cost, X⟩` with `X` brought to `⟨D_j, X⟩ ≤ b_j`.
    fn primal_value(&self, program: &Program) -> f64 {
        let mut traces = vec![0.0; program.objective.len()];
        program.input_multiplier.iter().enumerate().for_each(|(i, &j)| traces[j] += self.x[(i, i)]);
        let largest = traces.iter().zip(&program.objective).fold(0.0, |max: f64, (trace, b)| max.max(trace / b));
        program.times_cost(&self.x) / largest
    }

    fn order(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)] // counts far below 2⁵³
        let order = (self.z.nrows() + self.slack.len()) as f64;
        order
    }

    fn mu(&self) -> f64 {
        (inner(&self.x, &self.z) + dot(&self.slack, self.multipliers())) / self.order()
    }

    /// The larger of the complementarity gap and the difference of the two values.
    fn relative_gap(&self, program: &Program, mu: f64) -> f64 {
        let value = program.value(&self.point);
        let difference = (value - self.primal_value(program)).abs();
        (mu * self.order()).max(difference) / value.abs().max(f64::MIN_POSITIVE)
    }

    /// One predictor–corrector step; the larger of the two step lengths, or `None` when the arithmetic gives out.
    fn step(&mut self, program: &'a Program, mu: f64) -> Option<f64> {
        let system = self.system(program)?;
        let predictor = self.direction(&system, 0.0, None)?;
        let (centering, second) = self.second_order(&system, &predictor, mu);
        drop(predictor);
        let corrector = self.direction(&system, centering * mu, Some(&second))?;
        drop((second, system));
        self.advance(program, &corrector)
    }

    fn system(&self, program: &'a Program) -> Option<System<'a>> {
        let inverse = program.envelope.inverse(&self.factor, &program.pool);
        let (of_x, of_inverse) = (program.images(&self.x), program.images(&inverse));
        let (gram_x, gram_inverse) = (Gram::new(program, &self.x, &of_x), Gram::new(program, &inverse, &of_inverse));
        let mut matrix = schur(program, &gram_x, &gram_inverse);
        let mut barrier = gram_inverse.products();
        drop((gram_x, gram_inverse));
        let first = program.objective.len();
        for (i, (slack, multiplier)) in self.slack.iter().zip(self.multipliers()).enumerate() {
            matrix[(first + i, first + i)] += slack / multiplier;
            barrier[first + i] += 1.0 / multiplier;
        }
        Some(System { program, inverse, of_x, of_inverse, factor: factor_schur(program, matrix)?, barrier })
    }

    /// Solves for a direction towards `XZ = μI`, with the second-order term of the predictor where there is one.
    fn direction(&self, system: &System<'a>, mu: f64, second: Option<&Second>) -> Option<Direction<'a>> {
        let (program, first) = (system.program, system.program.objective.len());
        let cross = |i: usize| second.map_or(0.0, |second| second.slack[i]);
        let multipliers = self.multipliers();
        let right = |i: usize| mu * system.barrier[i] - second.map_or(0.0, |second| second.products[i]);
        let mut point: Variables = (0..program.order()).map(right).collect();
        for (entry, b) in point.iter_mut().zip(&program.objective) {
            *entry -= b;
        }
        for (i, multiplier) in multipliers.iter().enumerate() {
            point[first + i] -= cross(i) / multiplier;
        }
        divide(&system.factor, &mut point);
        if point.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut left = program.times_combination(&self.x, &system.of_x, &point);
        if let Some(second) = second {
            columns_mut(left.as_mut()).for_each(|(j, column)| {
                column.iter_mut().zip(second.matrix.col_as_slice(j)).for_each(|(l, m)| *l += m);
            });
        }
        let product = program.envelope.divide(left, &self.factor, &system.inverse, &program.pool);
        // The symmetric part of the quotient is taken from μZ⁻¹ − X.
        let mut x = transposed(&product, &program.pool);
        columns_mut(x.as_mut()).for_each(|(j, column)| {
            let known = system.inverse.col_as_slice(j).iter().zip(self.x.col_as_slice(j));
            let across = product.col_as_slice(j);
            column.iter_mut().zip(across).zip(known).for_each(|((entry, across), (inverse, x))| {
                *entry = mu * inverse - x - 0.5 * (*entry + across);
            });
        });
        let slack = (0..self.slack.len())
            .map(|i| (mu - cross(i) - self.slack[i] * point[first + i]) / multipliers[i] - self.slack[i])
            .collect();
        Some(Direction { point, slack, x })
    }

    /// The centering that a predictor suggests, and its second-order term.
    fn second_order(&self, system: &System<'a>, predictor: &Direction, mu: f64) -> (f64, Second<'a>) {
        let program = system.program;
        let images = program.images(&predictor.x);
        let matrix = program.times_combination(&predictor.x, &images, &predictor.point);
        let change = &predictor.point[program.objective.len()..];
        let slack: Vec<f64> = predictor.slack.iter().zip(change).map(|(s, l)| s * l).collect();
        // After a full step the complementarity is that of the second order alone.
        let trace: f64 = (0..matrix.nrows()).map(|i| matrix[(i, i)]).sum();
        let reached = (trace + slack.iter().sum::<f64>()) / self.order();
        let centering = (reached.abs() / mu).min(1.0).powi(2).clamp(CENTERING, 0.5);
        let products = products(program, &transposed(&matrix, &program.pool), &system.inverse, &system.of_inverse);
        (centering, Second { matrix, products, slack })
    }

    /// Takes the longest steps that stay inside, and tells the longer one. The matrix is rebuilt from the point, so that it
    /// stays exactly feasible.
    fn advance(&mut self, program: &'a Program, direction: &Direction) -> Option<f64> {
        let first = program.objective.len();
        let positive = |values: &[f64], changes: &[f64], step: f64| values.iter().zip(changes).all(|(v, d)| v + step * d > 0.0);
        // Two dense searches go on beside each other; beside a chain's the primal one may take all threads.
        let threads = if program.envelope.is_full() { Par::Seq } else { PARALLEL() };
        let n = self.z.nrows();
        let primal = || {
            // Zeros above the diagonal: leftovers of other matrices there might slow products of whole blocks.
            let mut trial = program.pool.zeros(n, n);
            longest(self.longest[0], |step| {
                move_lower(&mut trial, &self.x, step, &direction.x);
                positive(&self.slack, &direction.slack, step) && cholesky(trial.as_mut(), threads).is_some()
            })
        };
        let change = program.combine(&direction.point);
        // The factor at hand is no longer needed: its memory serves the trials.
        let (trial, z) = (&mut self.factor, &self.z);
        let (multipliers, last) = (&self.point[first..], self.longest[1]);
        let dual = || {
            longest(last, |step| {
                move_lower(trial, z, step, &change);
                positive(multipliers, &direction.point[first..], step) && program.envelope.cholesky(trial, Par::Seq).is_some()
            })
        };
        let (primal, dual) = rayon::join(primal, dual);
        self.longest = [primal, dual];
        let [primal, dual] = self.longest.map(|index| STEPS.get(index).copied().unwrap_or(0.0));
        let point: Variables = self.point.iter().zip(&direction.point).map(|(y, d)| y + dual * d).collect();
        let z = program.matrix(&point);
        copy_lower(&mut self.factor, &z);
        program.envelope.cholesky(&mut self.factor, PARALLEL())?;
        self.z = z;
        self.point = point;
        add_scaled(&mut self.x, primal, &direction.x);
        self.slack.iter_mut().zip(&direction.slack).for_each(|(s, d)| *s += primal * d);
        Some(primal.max(dual))
    }
}

/// The index of the longest step that is inside, the number of steps where none is. The inside is convex: where a step fits,
/// every shorter one does. Steps change little from one iteration to the next: the search gallops away from the last one.
fn longest(last: usize, mut inside: impl FnMut(f64) -> bool) -> usize {
    // No step before the first of these fits, and the second does.
    let (mut first, mut fitting) = (0, STEPS.len());
    let (mut next, mut stride) = (last.min(STEPS.len() - 1), 1);
    while first < fitting {
        if inside(MARGIN * STEPS[next]) {
            fitting = next;
            next = next.saturating_sub(stride).max(first);
        } else {
            first = next + 1;
            next = (next + stride).min(fitting.saturating_sub(1));
        }
        stride *= 2;
    }
    fitting
}

/// The Cholesky factor of the Schur matrix; a tiny multiple of its diagonal is added where rounding made it indefinite.
fn factor_schur<'a>(program: &'a Program, mut matrix: Lent<'a>) -> Option<Lent<'a>> {
    let mut factor = program.pool.zeros(matrix.nrows(), matrix.ncols());
    let found = [1.0, 1.0 + 1e-15, 1.0 + 1e-13, 1.0 + 1e-11].into_iter().any(|larger| {
        (0..matrix.nrows()).for_each(|i| matrix[(i, i)] *= larger);
        copy_lower(&mut factor, &matrix);
        cholesky(factor.as_mut(), PARALLEL()).is_some()
    });
    found.then_some(factor)
}

/// `L⁻ᵀL⁻¹·values` for a lower factor `L`.
fn divide(factor: &Mat<f64>, values: &mut [f64]) {
    let mut column = ColMut::from_slice_mut(values).as_mat_mut();
    solve_lower_triangular_in_place(factor.as_ref(), column.as_mut(), Par::Seq);
    solve_upper_triangular_in_place(factor.transpose(), column, Par::Seq);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_step_is_found_from_wherever_the_search_starts() {
        for (last, expected) in (0..=STEPS.len()).flat_map(|last| (0..=STEPS.len()).map(move |expected| (last, expected))) {
            let reach = STEPS.get(expected).map_or(0.0, |step| MARGIN * step);
            assert_eq!(longest(last, |step| step <= reach), expected, "from {last}");
        }
    }
}
