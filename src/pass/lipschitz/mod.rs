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

use crate::certificate::{Bits, Inequality, LipschitzClaim, LipschitzWitness, Norm, Number, Pair, Part, Sorts, Vector};
use crate::checker::{ClaimRefusal, product};
use crate::form::{Form, FormError, Rows, Segment, SortForm};
use crate::ir::Network;
use crate::solver::ClarabelOptions;
use crate::sound::round::sqrt_up;

use elimination::Candidate;
use pencil::Pencil;
use semidefinite::Program;

/// What bounds the effort.
#[derive(Clone, Debug)]
pub struct LipschitzOptions {
    /// Wall-clock limit for the semidefinite program.
    pub timeout: Option<Duration>,
    /// Bytes that the semidefinite program may take.
    pub memory: u64,
    /// Seed of the search for attained quotients.
    pub seed: u64,
}

impl Default for LipschitzOptions {
    fn default() -> Self {
        Self { timeout: None, memory: 3 << 30, seed: 0 }
    }
}

/// Seconds that the default engine may be predicted to take.
const QUICK: f64 = 90.0;
/// Orders beyond which backward elimination is not tried.
const ELIMINATION_LIMIT: usize = 3000;

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
    Elimination,
    NormProduct,
}

impl Engine {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clarabel => "clarabel",
            Self::Elimination => "backward elimination",
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
    let mut found = match inequality(network, options, progress, &mut notes) {
        Ok(found) => found,
        Err(error @ FormError::Unsupported { .. }) if norm_product.is_none() => return Err(error.into()),
        Err(error) => {
            notes.push(format!("no matrix inequality: {error}"));
            Found::default()
        }
    };
    found.candidate = found.candidate.filter(|(candidate, _)| norm_product.is_none_or(|p| sqrt_up(candidate.squared_bound) < p));
    let bound = found.candidate.as_ref().map(|(candidate, _)| sqrt_up(candidate.squared_bound)).or(norm_product);
    let Some(bound) = bound.filter(|bound| bound.is_finite()) else {
        return Err(match parts {
            Err(refusal) => refusal.into(),
            Ok(_) => LipschitzError::NoBound("every bound overflows".to_owned()),
        });
    };
    progress("attained quotient");
    let pair = attained::search(network, options.seed);
    if pair.is_none() {
        notes.push("no certified lower bound: the network is too large or has an operator without enclosures".to_owned());
    }
    let engine = found.candidate.as_ref().map_or(Engine::NormProduct, |(_, engine)| *engine);
    let claim = LipschitzClaim {
        norm: Norm::L2,
        bound: Number::upper(bound),
        lower_bound: pair.as_ref().map(|pair| Number::lower(pair.quotient)),
        norm_product: norm_product.map(Number::upper),
        witness: LipschitzWitness {
            inequality: found.candidate.map(|(candidate, _)| Inequality {
                sorts: found.sorts,
                squared_bound: Bits::of(candidate.squared_bound),
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
    options: &LipschitzOptions,
    progress: &mut dyn FnMut(&str),
    notes: &mut Vec<String>,
) -> Result<Found, FormError> {
    let mut found = Found::default();
    let form = Form::new(network, Segment::whole(network), SortForm::Comparators)?;
    if form.groups.is_empty() || form.dimension - form.inputs > ELIMINATION_LIMIT {
        if !form.groups.is_empty() {
            notes.push(format!(
                "the matrix inequality has {} bounded coordinates, more than the {ELIMINATION_LIMIT} that are tried",
                form.dimension - form.inputs
            ));
        }
        return Ok(found);
    }
    progress("matrix inequality");
    let rows = Rows::new(&form)?;
    let pencil = Pencil::new(&form, &rows);
    found.order = pencil.dimension;
    found.multipliers = pencil.groups.len();
    let Some(start) = elimination::feasible(&pencil) else {
        notes.push("backward elimination found no multipliers".to_owned());
        return Ok(found);
    };
    let mut proposals = vec![(start.clone(), Engine::Elimination)];
    match Program::new(&pencil, &start) {
        None => notes.push(too_large(&pencil, "it would be too large to build")),
        Some(program) => {
            let prediction = program.predict();
            if prediction.predicted_bytes > options.memory || prediction.predicted_seconds > QUICK {
                let needs = format!(
                    "it is predicted to need {:.1} GB and {:.0} s",
                    bytes_as_gb(prediction.predicted_bytes),
                    prediction.predicted_seconds
                );
                notes.push(too_large(&pencil, &needs));
            } else {
                progress("semidefinite program");
                let time_limit = options.timeout.map(|limit| limit.as_secs_f64());
                let settings = ClarabelOptions { time_limit, memory_limit: options.memory, ..ClarabelOptions::default() };
                match program.solve(&settings) {
                    Ok((candidate, dual_value)) => {
                        found.relaxation = Some(dual_value.max(0.0).sqrt()).filter(|value| value.is_finite());
                        proposals.insert(0, (candidate, Engine::Clarabel));
                    }
                    Err(error) => notes.push(format!("no multipliers from Clarabel: {error}")),
                }
            }
        }
    }
    progress("certification");
    found.candidate = proposals
        .into_iter()
        .find_map(|(proposal, engine)| certify::certify(&form, &rows, &pencil, &proposal).map(|candidate| (candidate, engine)));
    Ok(found)
}

fn too_large(pencil: &Pencil, why: &str) -> String {
    format!("the semidefinite program (order {}, {} multipliers) was not solved: {why}", pencil.dimension, pencil.groups.len())
}

#[allow(clippy::cast_precision_loss)] // printed with one digit
fn bytes_as_gb(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}
