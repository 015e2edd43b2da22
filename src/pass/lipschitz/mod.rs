//! The Lipschitz pass: `verify MODEL --lipschitz l2`.
//!
//! It looks for multipliers of the one exact form (`semidefinite`, `elimination`), makes them acceptable (`certify`),
//! finds the norm product (`parts`) and attained quotients (`attained`), and hands over a claim with its witness. What the
//! claim is worth, the checker says.

mod attained;
mod certify;
mod elimination;
mod parts;
mod pencil;
mod semidefinite;

use std::time::{Duration, Instant};

use crate::certificate::{Inequality, LipschitzClaim, LipschitzWitness, Norm, Number, Pair, Part, Sorts, Vector};
use crate::checker::{ClaimRefusal, product};
use crate::form::{Form, FormError, Rows, Segment, SortForm};
use crate::ir::Network;
use crate::solver::interior_point::{self, InteriorPointOptions};
use crate::solver::{Candidate, ClarabelOptions, InputNorm, Pencil};
use crate::sound::round::sqrt_up;

use pencil::pencil;
use semidefinite::Program;

/// What bounds the effort.
#[derive(Clone, Debug)]
pub struct LipschitzOptions {
    pub engine: EngineChoice,
    /// Wall-clock limit for the semidefinite program.
    pub timeout: Option<Duration>,
    /// Bytes that the semidefinite program may take.
    pub memory: u64,
    /// Seed of the search for attained quotients.
    pub seed: u64,
}

impl Default for LipschitzOptions {
    fn default() -> Self {
        Self { engine: EngineChoice::Auto, timeout: None, memory: 3 << 30, seed: 0 }
    }
}

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
/// Bounded coordinates beyond which no matrix inequality is tried for the whole network.
const BOUNDED_LIMIT: usize = 3000;

/// What the pass found.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub claim: LipschitzClaim,
    /// The engine behind the bound.
    pub engine: Engine,
    /// Order of the matrix after compression, and number of multipliers; 0 where no form was built.
    pub order: usize,
    pub multipliers: usize,
    /// Square root of the program's dual value: what no multipliers of this form can beat. An estimate.
    pub relaxation: Option<f64>,
    /// What the reader should know: why an engine was not used, what is missing.
    pub notes: Vec<String>,
    pub seconds: f64,
}

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

/// Why there is no claim.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LipschitzError {
    #[error(transparent)]
    Form(#[from] FormError),
    #[error("no bound could be certified: {0}")]
    Refused(#[from] ClaimRefusal),
    #[error("no bound could be certified: {0}")]
    NoBound(String),
}

/// Finds a bound of the global ℓ2 Lipschitz constant, its norm product and an attained quotient.
///
/// `progress` is told what is being done.
///
/// # Errors
/// [`LipschitzError`].
pub fn certify_l2(
    network: &Network,
    options: &LipschitzOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Outcome, LipschitzError> {
    let start = Instant::now();
    let mut notes = Vec::new();
    progress("norm product");
    let parts = parts::parts(network);
    let norm_product = parts.as_ref().ok().map(|parts| product(&parts.iter().map(|part| part.1).collect::<Vec<_>>()));
    if let Err(refusal) = &parts {
        notes.push(format!("no norm product: {refusal}"));
    }
    let mut found = match inequality(network, parts.as_deref().unwrap_or_default(), options, progress, &mut notes) {
        Ok(found) => found,
        Err(error @ FormError::Unsupported { .. }) if norm_product.is_none() => return Err(error.into()),
        Err(error) => {
            notes.push(format!("no matrix inequality: {error}"));
            Found::default()
        }
    };
    found.candidate =
        found.candidate.filter(|(candidate, _)| norm_product.is_none_or(|p| sqrt_up(candidate.squared_bound()) < p));
    let bound = found.candidate.as_ref().map(|(candidate, _)| sqrt_up(candidate.squared_bound())).or(norm_product);
    let Some(bound) = bound.filter(|bound| bound.is_finite()) else {
        return Err(match parts {
            Err(refusal) => refusal.into(),
            Ok(_) => LipschitzError::NoBound("every bound overflows".to_owned()),
        });
    };
    progress("attained quotient");
    let pair = attained::search(network, options.seed);
    if pair.is_none() {
        notes.push("no certified lower bound: the network is too large to be evaluated in enclosures, or no two points have different outputs".to_owned());
    }
    let engine = found.candidate.as_ref().map_or(Engine::NormProduct, |(_, engine)| *engine);
    let claim = LipschitzClaim {
        norm: Norm::L2,
        bound: Number::upper(bound),
        lower_bound: pair.as_ref().map(|pair| Number::lower(pair.quotient)),
        norm_product: norm_product.map(Number::upper),
        functionals: Vec::new(),
        witness: LipschitzWitness {
            inequality: found.candidate.map(|(candidate, _)| Inequality {
                sorts: found.sorts,
                input_multipliers: Vector::inline(&candidate.input_multipliers),
                multipliers: Vector::inline(&candidate.multipliers),
            }),
            parts: parts.map(|parts| parts.into_iter().map(|part| part.0).collect::<Vec<Part>>()).unwrap_or_default(),
            pair: pair.map(|pair| Pair { first: Vector::inline(&pair.first), second: Vector::inline(&pair.second) }),
        },
    };
    Ok(Outcome {
        claim,
        engine,
        order: found.order,
        multipliers: found.multipliers,
        relaxation: found.relaxation,
        notes,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// What came of the matrix inequality.
struct Found {
    candidate: Option<(Candidate, Engine)>,
    sorts: Sorts,
    order: usize,
    multipliers: usize,
    relaxation: Option<f64>,
}

impl Default for Found {
    fn default() -> Self {
        Self { candidate: None, sorts: Sorts::Comparators, order: 0, multipliers: 0, relaxation: None }
    }
}

/// Multipliers for the whole network that the checker accepts.
fn inequality(
    network: &Network,
    parts: &[(Part, f64)],
    options: &LipschitzOptions,
    progress: &mut dyn FnMut(&str),
    notes: &mut Vec<String>,
) -> Result<Found, FormError> {
    let mut found = Found::default();
    if options.engine == EngineChoice::Product {
        return Ok(found);
    }
    let form = Form::new(network, Segment::whole(network), SortForm::Comparators)?;
    let bounded = form.dimension - form.inputs;
    if bounded > BOUNDED_LIMIT {
        notes.push(format!(
            "the matrix inequality has {bounded} bounded coordinates, more than the {BOUNDED_LIMIT} that are tried"
        ));
    }
    if form.groups.is_empty() || bounded > BOUNDED_LIMIT {
        return Ok(found);
    }
    progress("matrix inequality");
    let rows = Rows::new(&form)?;
    let pencil = pencil(&form, &rows, InputNorm::Euclidean);
    found.order = pencil.dimension;
    found.multipliers = pencil.groups.len();
    let mut starts: Vec<Candidate> =
        [elimination::feasible(&pencil), parts::chain_start(network, parts, pencil.groups.len())].into_iter().flatten().collect();
    starts.sort_by(|a, b| a.squared_bound().total_cmp(&b.squared_bound()));
    let Some(start) = starts.into_iter().find(|start| interior_point::is_feasible(&pencil, start)) else {
        notes.push("no feasible multipliers were found to start from".to_owned());
        return Ok(found);
    };
    let mut proposals = Vec::new();
    let by_clarabel = match options.engine {
        EngineChoice::Auto | EngineChoice::Clarabel => clarabel(&pencil, &start, options, progress, notes),
        EngineChoice::InteriorPoint | EngineChoice::Product => None,
    };
    let by_interior_point = match options.engine {
        EngineChoice::Auto if by_clarabel.is_some() => None,
        EngineChoice::Auto | EngineChoice::InteriorPoint => by_interior_point(&pencil, &start, options, progress, notes),
        EngineChoice::Clarabel | EngineChoice::Product => None,
    };
    for (path, relaxation, engine) in by_clarabel.into_iter().chain(by_interior_point) {
        found.relaxation = relaxation.map(|value| value.max(0.0).sqrt()).filter(|value| value.is_finite());
        proposals.push((path, engine));
    }
    proposals.push((vec![start], Engine::Start));
    progress("certification");
    found.candidate = proposals
        .into_iter()
        .find_map(|(proposal, engine)| certify::certify(&form, &rows, &pencil, &proposal).map(|candidate| (candidate, engine)));
    Ok(found)
}

/// A path of candidates, the optimum of the relaxation where the engine reached it, and the engine.
type Proposal = (Vec<Candidate>, Option<f64>, Engine);

/// Multipliers from Clarabel and its dual value, where it is predicted to fit the limits.
fn clarabel(
    pencil: &Pencil,
    start: &Candidate,
    options: &LipschitzOptions,
    progress: &mut dyn FnMut(&str),
    notes: &mut Vec<String>,
) -> Option<Proposal> {
    let chosen = options.engine == EngineChoice::Clarabel;
    let program = Program::new(pencil, start);
    let prediction = program.as_ref().map(Program::predict);
    let (Some(program), Some(prediction)) = (program, prediction) else {
        if chosen {
            notes.push(not_solved(pencil, "Clarabel", "it would be too large to build"));
        }
        return None;
    };
    if !chosen && prediction.predicted_seconds > QUICK {
        return None;
    }
    if prediction.predicted_bytes > options.memory {
        let needs = format!("it is predicted to need {:.1} GB", gigabytes(prediction.predicted_bytes));
        notes.push(not_solved(pencil, "Clarabel", &needs));
        return None;
    }
    progress("semidefinite program (Clarabel)");
    let time_limit = options.timeout.map(|limit| limit.as_secs_f64());
    let settings = ClarabelOptions { time_limit, memory_limit: options.memory, ..ClarabelOptions::default() };
    match program.solve(&settings) {
        Ok((candidate, dual_value)) => Some((vec![candidate], dual_value, Engine::Clarabel)),
        Err(error) => {
            notes.push(format!("no multipliers from Clarabel: {error}"));
            None
        }
    }
}

/// Multipliers from the interior point and its primal value, where it is predicted to fit the memory.
fn by_interior_point(
    pencil: &Pencil,
    start: &Candidate,
    options: &LipschitzOptions,
    progress: &mut dyn FnMut(&str),
    notes: &mut Vec<String>,
) -> Option<Proposal> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; saturates
    let bytes = interior_point::predicted_bytes(pencil) as u64;
    if bytes > options.memory {
        let needs = format!("it is predicted to need {:.1} GB", gigabytes(bytes));
        notes.push(not_solved(pencil, "the interior point", &needs));
        return None;
    }
    let seconds = interior_point::predicted_seconds(pencil);
    if options.engine == EngineChoice::Auto && options.timeout.is_none() && seconds > PATIENCE {
        let needs = format!("it is predicted to need {seconds:.0} s; ask for it with `--engine interior-point` or `--timeout`");
        notes.push(not_solved(pencil, "the interior point", &needs));
        return None;
    }
    progress("semidefinite program (interior point)");
    let deadline = options.timeout.and_then(|limit| Instant::now().checked_add(limit));
    let settings = InteriorPointOptions { tolerance: GAP, deadline };
    let solution = interior_point::solve(pencil, start, &settings);
    if solution.is_none() {
        notes.push("the interior point found no feasible start".to_owned());
    }
    let solution = solution?;
    if !solution.converged {
        let after = solution.iterations;
        notes.push(format!("the interior point stopped after {after} iterations: the bound is not the best of the relaxation"));
    }
    let optimum = solution.converged.then_some(solution.dual_bound);
    Some((solution.path, optimum, Engine::InteriorPoint))
}

fn not_solved(pencil: &Pencil, engine: &str, why: &str) -> String {
    let (order, multipliers) = (pencil.dimension, pencil.groups.len());
    format!("the program (order {order}, {multipliers} multipliers) was not given to {engine}: {why}")
}

#[allow(clippy::cast_precision_loss)] // printed with one digit
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}
