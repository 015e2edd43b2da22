//! Semidefinite programs by Clarabel.
//!
//! | module | what it is |
//! |---|---|
//! | [`problem`](MatrixInequality) | minimise `c·t` subject to one linear matrix inequality |
//! | [`predict`](predict()) | memory and time, before anything is built |
//! | `chordal` | the clique sizes behind the prediction |
//! | `scaling` | units for coordinates and variables; what to do when the engine gets stuck |
//!
//! A solution is a proposal: the point may violate the inequality by about the
//! tolerance, and the caller establishes what it proves. Primal and dual value
//! are in the units of the objective and are for progress messages only.
//!
//! # Form
//!
//! Clarabel solves `min q·x, A·x + s = b, s ∈ K`. Here x = t, q = c, and K is the
//! semidefinite cone followed by a nonnegative orthant (units aside): `s = svec(F(t))`, so
//! `b = svec(F₀)` and column i of A is `−svec(Fᵢ)`, then −1 for a bounded tᵢ.
//! svec stacks the columns of the upper triangle, entries off the diagonal times
//! √2. Source: P. Goulart and Y. Chen, "Clarabel: An interior-point solver for
//! conic programs with quadratic objectives", 2024.

mod chordal;
mod predict;
mod problem;
mod scaling;

use std::time::Instant;

use ::clarabel::algebra::CscMatrix;
use ::clarabel::solver::{
    DefaultSettings, DefaultSolver, IPSolver, SolverStatus,
    SupportedConeT::{self, NonnegativeConeT, PSDTriangleConeT},
};
use thiserror::Error;

use super::{blas, quiet::quietly};

use scaling::Scaling;

pub use predict::{Prediction, predict};
pub use problem::{MatrixInequality, SparseSymmetric};

/// Powers of two by which the constant matrix is made smaller when the engine
/// calls the problem infeasible: it does so when the optimal variables are about
/// 1e9 or more in its units.
const FALLBACK_EXPONENTS: [i32; 2] = [20, 40];

/// How often the problem is scaled anew at the point where the engine got stuck.
const RESCALINGS: usize = 4;

/// How to solve.
#[derive(Debug, Clone, PartialEq)]
pub struct ClarabelOptions {
    /// Seconds; looked at between iterations, so one iteration and the set-up may
    /// overrun it. `None`: no limit.
    pub time_limit: Option<f64>,
    /// Exploit sparsity of the matrix by chordal decomposition.
    pub chordal: bool,
    /// Relative and absolute duality gap, and feasibility, at which to stop.
    pub tolerance: f64,
    /// Refuse a problem that is predicted to need more bytes than this.
    pub memory_limit: u64,
}

impl Default for ClarabelOptions {
    fn default() -> Self {
        Self { time_limit: None, chordal: true, tolerance: 1e-9, memory_limit: 4 << 30 }
    }
}

/// A point that the engine stopped at. Nothing about it is guaranteed but that
/// its variables are finite.
#[derive(Debug, Clone, PartialEq)]
pub struct ClarabelSolution {
    /// t, m numbers.
    pub variables: Vec<f64>,
    /// `c·t` as the engine reports it; may be NaN.
    pub primal_value: f64,
    /// The dual objective, in the same units; may be NaN.
    pub dual_value: f64,
    /// The engine's own word for how it ended, such as `Solved` or `MaxTime`.
    pub status: String,
    /// Interior-point iterations of the attempt that gave the point.
    pub iterations: u32,
    /// Wall-clock seconds, set-up included.
    pub seconds: f64,
}

/// Why there is no point.
#[derive(Debug, Clone, Error, PartialEq)]
pub enum ClarabelError {
    /// The problem is not well formed.
    #[error("malformed semidefinite program: {0}")]
    Malformed(String),
    /// An option is out of range.
    #[error("option `{0}` of the semidefinite solver must be a positive number")]
    Option(&'static str),
    /// The prediction exceeds the memory limit; nothing was built.
    #[error(
        "a semidefinite block of order {largest_clique} is predicted to need {predicted_bytes} \
         bytes, more than the limit of {memory_limit}"
    )]
    TooLarge {
        /// Predicted peak memory.
        predicted_bytes: u64,
        /// The limit that was given.
        memory_limit: u64,
        /// Order of the largest block.
        largest_clique: usize,
    },
    /// The engine refused the problem or its settings.
    #[error("Clarabel refused the problem: {0}")]
    Refused(String),
    /// The engine panicked.
    #[error("Clarabel panicked: {0}")]
    Panicked(String),
    /// It ended without a usable point: infeasible, unbounded, or not finite.
    #[error("Clarabel ended with status `{status}` and no usable point")]
    NoPoint {
        /// The engine's own word for how it ended.
        status: String,
    },
}

/// Solves the problem; every status that leaves a finite point returns it.
///
/// # Errors
///
/// See [`ClarabelError`]. An infeasible or unbounded problem is
/// [`ClarabelError::NoPoint`]: the engine then holds a ray, not a point.
pub fn solve(problem: &MatrixInequality, options: &ClarabelOptions) -> Result<ClarabelSolution, ClarabelError> {
    let start = Instant::now();
    problem.validate()?;
    let settings = settings(options)?;
    refuse_too_large(problem, options)?;

    blas::link();
    let once = |scaling: &Scaling| -> Result<Ended, ClarabelError> {
        let mut settings = settings.clone();
        if let Some(limit) = options.time_limit {
            settings.time_limit = (limit - start.elapsed().as_secs_f64()).max(0.0);
        }
        quietly(|| run(problem, scaling, settings)).map_err(ClarabelError::Panicked)?
    };
    let ended = rescaled(problem, once)?;
    Ok(ClarabelSolution {
        variables: ended.x,
        primal_value: ended.obj_val,
        dual_value: ended.obj_val_dual,
        status: ended.status.to_string(),
        iterations: ended.iterations,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Solves in the units that the data suggest, and anew in better ones as long as
/// the engine gets stuck.
///
/// Where it is stuck, rounding stopped it: the point found shows better units,
/// in which its own account of the gap is worth more, too. Where it calls the
/// problem infeasible, a smaller constant matrix may lead to a point; a solve
/// with the full one, in the units of that point, has to confirm it.
fn rescaled(problem: &MatrixInequality, once: impl Fn(&Scaling) -> Result<Ended, ClarabelError>) -> Result<Ended, ClarabelError> {
    let mut scaling = Scaling::of(problem);
    let mut best: Option<Ended> = None;
    let mut status = SolverStatus::Unsolved;
    for _ in 0..=RESCALINGS {
        let mut ended = once(&scaling)?;
        if ended.usable() {
            let interrupted = matches!(ended.status, SolverStatus::MaxTime | SolverStatus::MaxIterations);
            if interrupted && best.is_some() {
                // A solve cut short says less than the complete one before it.
                break;
            }
            let done = interrupted || ended.status == SolverStatus::Solved;
            scaling = Scaling::at_point(problem, &ended.x);
            best = Some(ended);
            if done {
                break;
            }
            continue;
        }
        status = ended.status;
        for exponent in FALLBACK_EXPONENTS {
            ended = once(&scaling.shrunk(exponent))?;
            if ended.usable() {
                break;
            }
        }
        if !ended.usable() {
            break;
        }
        scaling = Scaling::at_point(problem, &ended.x);
    }
    let status = status.to_string();
    best.ok_or(ClarabelError::NoPoint { status })
}

/// Translates the options.
///
/// `complete_dual` is off because only t is used, not the dual matrix; `faer` is
/// many times faster here than the default factorisation.
fn settings(options: &ClarabelOptions) -> Result<DefaultSettings<f64>, ClarabelError> {
    let positive = |value: f64| value > 0.0 && value.is_finite();
    if !positive(options.tolerance) {
        return Err(ClarabelError::Option("tolerance"));
    }
    if !options.time_limit.is_none_or(positive) {
        return Err(ClarabelError::Option("time_limit"));
    }
    Ok(DefaultSettings {
        verbose: false,
        time_limit: options.time_limit.unwrap_or(f64::INFINITY),
        tol_gap_abs: options.tolerance,
        tol_gap_rel: options.tolerance,
        tol_feas: options.tolerance,
        direct_solve_method: "faer".into(),
        presolve_enable: false,
        chordal_decomposition_enable: options.chordal,
        chordal_decomposition_merge_method: "clique_graph".into(),
        chordal_decomposition_compact: true,
        chordal_decomposition_complete_dual: false,
        ..DefaultSettings::default()
    })
}

fn refuse_too_large(problem: &MatrixInequality, options: &ClarabelOptions) -> Result<(), ClarabelError> {
    let prediction = if options.chordal { predict(problem) } else { Prediction::dense(problem) };
    if prediction.predicted_bytes <= options.memory_limit {
        return Ok(());
    }
    Err(ClarabelError::TooLarge {
        predicted_bytes: prediction.predicted_bytes,
        memory_limit: options.memory_limit,
        largest_clique: prediction.cliques.first().copied().unwrap_or(0),
    })
}

/// What the engine leaves behind.
struct Ended {
    x: Vec<f64>,
    status: SolverStatus,
    obj_val: f64,
    obj_val_dual: f64,
    iterations: u32,
}

impl Ended {
    /// Whether `x` is a finite point; an infeasible status leaves a ray.
    fn usable(&self) -> bool {
        let ray = matches!(
            self.status,
            SolverStatus::PrimalInfeasible
                | SolverStatus::AlmostPrimalInfeasible
                | SolverStatus::DualInfeasible
                | SolverStatus::AlmostDualInfeasible
                | SolverStatus::Unsolved
        );
        !ray && self.x.iter().all(|t| t.is_finite())
    }
}

fn run(problem: &MatrixInequality, scaling: &Scaling, settings: DefaultSettings<f64>) -> Result<Ended, ClarabelError> {
    let (matrix, right) = constraints(problem, scaling);
    let pairs = problem.objective.iter().zip(&scaling.variables);
    let objective: Vec<f64> = pairs.map(|(c, s)| c * s * scaling.objective).collect();
    let variables = problem.objective.len();
    let quadratic = CscMatrix::zeros((variables, variables));
    let cones = cones(problem);
    let mut solver = DefaultSolver::new(&quadratic, &objective, &matrix, &right, &cones, settings)
        .map_err(|error| ClarabelError::Refused(error.to_string()))?;
    solver.solve();
    let solution = solver.solution;
    let pairs = solution.x.iter().zip(&scaling.variables);
    Ok(Ended {
        x: pairs.map(|(tau, s)| tau * s).collect(),
        status: solution.status,
        obj_val: solution.obj_val / scaling.objective,
        obj_val_dual: solution.obj_val_dual / scaling.objective,
        iterations: solution.iterations,
    })
}

fn cones(problem: &MatrixInequality) -> Vec<SupportedConeT<f64>> {
    let bounded = problem.nonnegative.iter().filter(|&&sign| sign).count();
    let mut cones = vec![PSDTriangleConeT(problem.dimension)];
    if bounded > 0 {
        cones.push(NonnegativeConeT(bounded));
    }
    cones
}

/// Position of the lower-triangle entry in svec: column `row` of the upper triangle.
fn svec_index(row: u32, column: u32) -> usize {
    let row = row as usize;
    row * (row + 1) / 2 + column as usize
}

fn svec_value(row: u32, column: u32, value: f64) -> f64 {
    if row == column { value } else { value * std::f64::consts::SQRT_2 }
}

/// A and b of the engine's form; entries of a column ascend because the entries
/// of a valid matrix ascend by (row, column), and so does their svec index.
fn constraints(problem: &MatrixInequality, scaling: &Scaling) -> (CscMatrix<f64>, Vec<f64>) {
    let triangle = problem.dimension * (problem.dimension + 1) / 2;
    let (mut starts, mut rows, mut values) = (vec![0], Vec::new(), Vec::new());
    let mut bounded = 0;
    for (index, matrix) in problem.coefficients.iter().enumerate() {
        for &entry in matrix.entries.iter().filter(|entry| entry.2 != 0.0) {
            let (row, column, _) = entry;
            let value = scaling.entry(entry, scaling.variables[index]);
            rows.push(svec_index(row, column));
            values.push(-svec_value(row, column, value));
        }
        if problem.nonnegative[index] {
            rows.push(triangle + bounded);
            values.push(-1.0);
            bounded += 1;
        }
        starts.push(rows.len());
    }
    let mut right = vec![0.0; triangle + bounded];
    for &entry in &problem.constant.entries {
        let (row, column, _) = entry;
        right[svec_index(row, column)] = svec_value(row, column, scaling.entry(entry, 1.0));
    }
    let columns = problem.objective.len();
    let matrix = CscMatrix::new(right.len(), columns, starts, rows, values);
    (matrix, right)
}

#[cfg(test)]
mod lipsdp;
#[cfg(test)]
mod tests;
