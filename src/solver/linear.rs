//! Linear programs by Clarabel: minimise `q·v` where `A·v = b` for the first rows and `A·v ≤ b` for the others.
//!
//! Dual values come with the point: one per row, not negative for inequalities. Both are proposals.

use ::clarabel::algebra::CscMatrix;
use ::clarabel::solver::{
    DefaultSettings, DefaultSolver, IPSolver, SolverStatus,
    SupportedConeT::{NonnegativeConeT, ZeroConeT},
};

use super::{blas, quiet::quietly};

/// A program row by row, sparse.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinearProgram {
    /// `q`, one number per variable.
    pub objective: Vec<f64>,
    /// Entries (variable, coefficient) of each row, in the order of the variables; equations come first.
    pub rows: Vec<Vec<(usize, f64)>>,
    /// `b`, one number per row.
    pub right: Vec<f64>,
    /// How many rows are equations.
    pub equations: usize,
}

/// What the engine stopped at.
#[derive(Clone, Debug, PartialEq)]
pub enum LinearSolution {
    /// A point and one dual value per row.
    Point { variables: Vec<f64>, duals: Vec<f64> },
    /// There is no point, by these multiples of the rows.
    Infeasible { duals: Vec<f64> },
}

/// Relative and absolute duality gap, and feasibility, at which to stop.
const TOLERANCE: f64 = 1e-10;

impl LinearProgram {
    /// Solves the program; `None` where the engine gives up.
    #[must_use]
    pub fn solve(&self) -> Option<LinearSolution> {
        blas::link();
        quietly(|| self.run()).ok().flatten()
    }

    fn run(&self) -> Option<LinearSolution> {
        let variables = self.objective.len();
        let mut columns: Vec<Vec<(usize, f64)>> = vec![Vec::new(); variables];
        for (row, entries) in self.rows.iter().enumerate() {
            entries.iter().filter(|entry| entry.1 != 0.0).for_each(|&(variable, value)| columns[variable].push((row, value)));
        }
        let (mut starts, mut rows, mut values) = (vec![0], Vec::new(), Vec::new());
        for column in columns {
            rows.extend(column.iter().map(|entry| entry.0));
            values.extend(column.iter().map(|entry| entry.1));
            starts.push(rows.len());
        }
        let matrix = CscMatrix::new(self.rows.len(), variables, starts, rows, values);
        let cones = [ZeroConeT(self.equations), NonnegativeConeT(self.rows.len() - self.equations)];
        let settings = DefaultSettings {
            verbose: false,
            tol_gap_abs: TOLERANCE,
            tol_gap_rel: TOLERANCE,
            tol_feas: TOLERANCE,
            presolve_enable: false,
            direct_solve_method: "qdldl".into(),
            ..DefaultSettings::default()
        };
        let quadratic = CscMatrix::zeros((variables, variables));
        let mut solver = DefaultSolver::new(&quadratic, &self.objective, &matrix, &self.right, &cones, settings).ok()?;
        solver.solve();
        let solution = solver.solution;
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        match solution.status {
            SolverStatus::PrimalInfeasible | SolverStatus::AlmostPrimalInfeasible => {
                finite(&solution.z).then_some(LinearSolution::Infeasible { duals: solution.z })
            }
            SolverStatus::DualInfeasible | SolverStatus::AlmostDualInfeasible | SolverStatus::Unsolved => None,
            _ => (finite(&solution.x) && finite(&solution.z))
                .then_some(LinearSolution::Point { variables: solution.x, duals: solution.z }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `min −x − 2y` for `x + y = 1.5`, `0 ≤ x, y ≤ 1`: `(0.5, 1)`, where the equation costs 1 and `y ≤ 1` another 1.
    #[test]
    fn a_program_is_solved_with_its_duals() {
        let row = |x: f64, y: f64| vec![(0, x), (1, y)];
        let mut program = LinearProgram {
            objective: vec![-1.0, -2.0],
            rows: vec![row(1.0, 1.0), row(1.0, 0.0), row(0.0, 1.0), row(-1.0, 0.0), row(0.0, -1.0)],
            right: vec![1.5, 1.0, 1.0, 0.0, 0.0],
            equations: 1,
        };
        let Some(LinearSolution::Point { variables, duals }) = program.solve() else { panic!("no point") };
        for (found, expected) in variables.iter().chain(&duals).zip([0.5, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-7, "{variables:?} {duals:?}");
        }
        // With x + y = 3 there is no point: the equation less both upper bounds says 1 ≤ 0.
        program.right[0] = 3.0;
        let Some(LinearSolution::Infeasible { duals }) = program.solve() else { panic!("a point") };
        let combined: f64 = duals.iter().zip(&program.right).map(|(dual, right)| dual * right).sum();
        assert!(combined < 0.0 && duals[1..].iter().all(|&dual| dual >= -1e-9), "{duals:?}");
    }
}
