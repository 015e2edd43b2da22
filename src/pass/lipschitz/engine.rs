//! Engines and their choice: multipliers for one form that the checker accepts.

use std::time::Instant;

use super::LipschitzOptions;
use super::certify::certify;
use super::elimination;
use super::pencil::pencil;
use super::semidefinite::Program;
use crate::certificate::{Inequality, Sorts, Vector};
use crate::form::{Form, Rows};
use crate::solver::interior_point::{self, InteriorPointOptions};
use crate::solver::{Candidate, ClarabelOptions, InputNorm, Pencil};

/// Which engine looks for multipliers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineChoice {
    /// Clarabel for small programs, the interior point for the rest, by predicted time and memory
    #[default]
    Auto,
    /// Clarabel, a general conic solver
    Clarabel,
    /// The structured interior-point method
    InteriorPoint,
    /// None: the product of norms
    Product,
}

/// Seconds that Clarabel may be predicted to take where the choice is free.
const QUICK: f64 = 0.1;
/// Seconds that the interior point may be predicted to take where nobody asked for it and nobody limits it.
const PATIENCE: f64 = 300.0;
/// Relative gap at which the interior point stops.
const GAP: f64 = 1e-6;

/// What found the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Clarabel,
    InteriorPoint,
    /// The multipliers that the engines start from.
    Start,
    NormProduct,
}

impl Engine {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clarabel => "clarabel",
            Self::InteriorPoint => "interior point",
            Self::Start => "feasible start",
            Self::NormProduct => "norm product",
        }
    }
}

/// What came of a matrix inequality.
#[derive(Default)]
pub struct Found {
    pub candidate: Option<(Candidate, Engine)>,
    /// Order of the matrix after compression, and number of multipliers; 0 where there was nothing to solve.
    pub order: usize,
    pub multipliers: usize,
    /// Square root of the program's dual value.
    pub relaxation: Option<f64>,
}

/// A candidate as a witness; sorts are written as comparators.
#[must_use]
pub fn inequality(candidate: &Candidate) -> Inequality {
    Inequality {
        sorts: Sorts::Comparators,
        input_multipliers: Vector::inline(&candidate.input_multipliers),
        multipliers: Vector::inline(&candidate.multipliers),
    }
}

/// The limits of a search, and who is told about it.
pub struct Search<'a> {
    pub options: &'a LipschitzOptions,
    pub progress: &'a mut dyn FnMut(&str),
    pub notes: &'a mut Vec<String>,
}

impl Search<'_> {
    /// Multipliers for a form that the checker accepts; `starts` are tried beside backward elimination.
    pub fn find(&mut self, form: &Form, rows: &Rows, norm: InputNorm, starts: Vec<Candidate>) -> Found {
        let mut found = Found::default();
        let pencil = pencil(form, rows, norm);
        (found.order, found.multipliers) = (pencil.dimension, pencil.groups.len());
        let mut starts = starts;
        starts.extend(elimination::feasible(&pencil));
        starts.sort_by(|a, b| a.squared_bound().total_cmp(&b.squared_bound()));
        let Some(start) = starts.into_iter().find(|start| interior_point::is_feasible(&pencil, start)) else {
            self.notes.push("no feasible multipliers were found to start from".to_owned());
            return found;
        };
        let choice = self.options.engine;
        let by_clarabel = match choice {
            EngineChoice::Auto | EngineChoice::Clarabel => self.clarabel(&pencil, &start),
            EngineChoice::InteriorPoint | EngineChoice::Product => None,
        };
        let by_interior_point = match choice {
            EngineChoice::Auto if by_clarabel.is_some() => None,
            EngineChoice::Auto | EngineChoice::InteriorPoint => self.interior_point(&pencil, &start),
            EngineChoice::Clarabel | EngineChoice::Product => None,
        };
        let mut proposals = Vec::new();
        for (path, relaxation, engine) in by_clarabel.into_iter().chain(by_interior_point) {
            found.relaxation = relaxation.map(|value| value.max(0.0).sqrt()).filter(|value| value.is_finite());
            proposals.push((path, engine));
        }
        proposals.push((vec![start], Engine::Start));
        (self.progress)("certification");
        found.candidate = proposals
            .into_iter()
            .find_map(|(proposal, engine)| certify(form, rows, &pencil, &proposal).map(|candidate| (candidate, engine)));
        found
    }

    /// Multipliers from Clarabel and its dual value, where it is predicted to fit the limits.
    fn clarabel(&mut self, pencil: &Pencil, start: &Candidate) -> Option<Proposal> {
        let chosen = self.options.engine == EngineChoice::Clarabel;
        let program = Program::new(pencil, start);
        let prediction = program.as_ref().map(Program::predict);
        let (Some(program), Some(prediction)) = (program, prediction) else {
            if chosen {
                self.notes.push(not_solved(pencil, "Clarabel", "it would be too large to build"));
            }
            return None;
        };
        if !chosen && prediction.predicted_seconds > QUICK {
            return None;
        }
        if prediction.predicted_bytes > self.options.memory {
            let needs = format!("it is predicted to need {:.1} GB", gigabytes(prediction.predicted_bytes));
            self.notes.push(not_solved(pencil, "Clarabel", &needs));
            return None;
        }
        (self.progress)("semidefinite program (Clarabel)");
        let time_limit = self.options.timeout.map(|limit| limit.as_secs_f64());
        let settings = ClarabelOptions { time_limit, memory_limit: self.options.memory, ..ClarabelOptions::default() };
        match program.solve(&settings) {
            Ok((candidate, dual_value)) => Some((vec![candidate], dual_value, Engine::Clarabel)),
            Err(error) => {
                self.notes.push(format!("no multipliers from Clarabel: {error}"));
                None
            }
        }
    }

    /// Multipliers from the interior point and its primal value, where it is predicted to fit the memory.
    fn interior_point(&mut self, pencil: &Pencil, start: &Candidate) -> Option<Proposal> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; saturates
        let bytes = interior_point::predicted_bytes(pencil) as u64;
        if bytes > self.options.memory {
            let needs = format!("it is predicted to need {:.1} GB", gigabytes(bytes));
            self.notes.push(not_solved(pencil, "the interior point", &needs));
            return None;
        }
        let seconds = interior_point::predicted_seconds(pencil);
        if self.options.engine == EngineChoice::Auto && self.options.timeout.is_none() && seconds > PATIENCE {
            let needs =
                format!("it is predicted to need {seconds:.0} s; ask for it with `--engine interior-point` or `--timeout`");
            self.notes.push(not_solved(pencil, "the interior point", &needs));
            return None;
        }
        (self.progress)("semidefinite program (interior point)");
        let deadline = self.options.timeout.and_then(|limit| Instant::now().checked_add(limit));
        let settings = InteriorPointOptions { tolerance: GAP, deadline };
        let solution = interior_point::solve(pencil, start, &settings);
        if solution.is_none() {
            self.notes.push("the interior point found no feasible start".to_owned());
        }
        let solution = solution?;
        if !solution.converged {
            let after = solution.iterations;
            self.notes.push(format!(
                "the interior point stopped after {after} iterations: the bound is not the best of the relaxation"
            ));
        }
        let optimum = solution.converged.then_some(solution.dual_bound);
        Some((solution.path, optimum, Engine::InteriorPoint))
    }
}

/// A path of candidates, the optimum of the relaxation where the engine reached it, and the engine.
type Proposal = (Vec<Candidate>, Option<f64>, Engine);

fn not_solved(pencil: &Pencil, engine: &str, why: &str) -> String {
    let (order, multipliers) = (pencil.dimension, pencil.groups.len());
    format!("the program (order {order}, {multipliers} multipliers) was not given to {engine}: {why}")
}

#[allow(clippy::cast_precision_loss)] // printed with one digit
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}
