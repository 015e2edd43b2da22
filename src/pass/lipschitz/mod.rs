//! The Lipschitz pass: `verify MODEL --lipschitz l1|l2|linf`.
//!
//! It looks for multipliers of the one exact form (`engine`, `semidefinite`, `elimination`, `equilibrium`), makes them acceptable
//! (`certify`), finds the norm product (`parts`, `layerwise`) and attained quotients (`attained`), and hands over a claim with its
//! witness: for the whole network, for its outputs and for differences of two (`functionals`), for
//! ℓ1 by its columns (`columns`, `blocks`, `minimax`). What the claim is worth, the
//! checker says.

mod attained;
mod blocks;
mod certify;
mod columns;
mod elimination;
mod engine;
mod equilibrium;
mod functionals;
mod layerwise;
mod minimax;
mod parts;
mod pencil;
mod semidefinite;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::kernel::lipschitz::form::{Form, FormError, Rows, Segment};
use crate::kernel::lipschitz::{LipschitzRefusal, column_growth, form, growth, product};
use crate::kernel::model::ir::Network;
use crate::kernel::proof::{LipschitzClaim, LipschitzWitness, Norm, Number, Pair, Part, Sorts, Vector};
use crate::kernel::region::bounds::{BoundsError, BoxRegion, Intervals, Semantics, interval_bounds};
use crate::kernel::sound::round::{max_or_nan, sqrt_up};
use crate::solver::InputNorm;

pub use engine::{Engine, EngineChoice};
use engine::{Found, Search};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Of the inputs and of the outputs.
    pub norm: Norm,
    /// Where; everywhere without one.
    pub region: Option<BoxRegion>,
    /// For every difference of two outputs as well?
    pub margins: bool,
}

impl Question {
    /// The constant of the whole network, everywhere.
    #[must_use]
    pub const fn global(norm: Norm) -> Self {
        Self { norm, region: None, margins: false }
    }
}

/// What bounds the effort.
#[derive(Clone, Debug)]
pub struct LipschitzOptions {
    pub engine: EngineChoice,
    /// How sorts enter the matrix inequality.
    pub sorts: Sorts,
    /// Wall-clock limit for all semidefinite programs together.
    pub timeout: Option<Duration>,
    /// Bytes that the semidefinite program may take.
    pub memory: u64,
    /// Seed of the search for attained quotients.
    pub seed: u64,
}

impl Default for LipschitzOptions {
    fn default() -> Self {
        Self { engine: EngineChoice::Auto, sorts: Sorts::Comparators, timeout: None, memory: 3 << 30, seed: 0 }
    }
}

/// Bounded coordinates beyond which no matrix inequality is tried for the whole network.
const BOUNDED_LIMIT: usize = 6000;

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
    /// Would more memory have let an engine try for a better bound?
    pub short_of_memory: bool,
    pub seconds: f64,
}

/// Why there is no claim.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LipschitzError {
    #[error(transparent)]
    Form(#[from] FormError),
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    #[error("no bound could be certified: {0}")]
    Refused(#[from] LipschitzRefusal),
    #[error("no bound could be certified: {0}")]
    NoBound(String),
    #[error(
        "well-posedness could not be certified, so there is no bound: no multipliers were found that prove the implicit \
         equation of node `{node}` to have exactly one solution for every input"
    )]
    IllPosed { node: String },
}

/// Outputs beyond which neither ℓ∞ nor margins are bounded: every one is a program of its own.
pub const MOST_FUNCTIONALS: usize = 128;

/// Finds a bound of a Lipschitz constant, its norm product and an attained quotient.
///
/// `progress` is told what is being done.
///
/// # Errors
/// [`LipschitzError`].
pub fn certify(
    network: &Network,
    question: &Question,
    options: &LipschitzOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Outcome, LipschitzError> {
    let start = Instant::now();
    let mut notes = Vec::new();
    let bounds = match &question.region {
        Some(region) => Some(interval_bounds(network, region, Semantics::Real)?),
        None => None,
    };
    let outputs = network.output_size();
    if (question.margins || question.norm == Norm::Linf) && outputs > MOST_FUNCTIONALS {
        let why = format!("it has {outputs} outputs, each a program of its own; {MOST_FUNCTIONALS} are tried");
        return Err(LipschitzError::NoBound(why));
    }
    let deadline = Deadline::after(options.timeout);
    // The pair is proved again when the certificate is checked.
    let attained_by = deadline.share(0.9);
    let mut search = Search { options, deadline, progress, notes: &mut notes, short_of_memory: false };
    // Small programs leave cores to the search for an attained quotient, which needs nothing of them.
    let abandoned = AtomicBool::new(false);
    let (found, pair) = std::thread::scope(|scope| {
        let end = attained::End { abandoned: &abandoned, deadline: attained_by };
        let attained = move || attained::search(network, question.norm, question.region.as_ref(), options.seed, end);
        let attained = scope.spawn(move || on_own_threads(attained));
        let found = match question.norm {
            Norm::L1 => summed(network, question, bounds.as_ref(), &mut search),
            Norm::L2 => euclidean(network, question, bounds.as_ref(), &mut search),
            Norm::Linf => maximum(network, question, bounds.as_ref(), &mut search),
        };
        // Without a bound nobody wants the quotient.
        abandoned.store(found.is_err(), Ordering::Relaxed);
        (search.progress)("attained quotient");
        (found, attained.join())
    });
    let mut outcome = found.map_err(|error| match (network.implicit(), error) {
        (Some(node), LipschitzError::Refused(_) | LipschitzError::NoBound(_)) => {
            LipschitzError::IllPosed { node: node.name.clone() }
        }
        (_, error) => error,
    })?;
    outcome.short_of_memory = search.short_of_memory;
    let pair = pair.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    if pair.is_none() {
        notes.push(if attained_by.has_passed() {
            "no certified lower bound: the time ended before one was proved".to_owned()
        } else {
            "no certified lower bound: the network is too large to be evaluated in enclosures, or no two points have different outputs".to_owned()
        });
    }
    outcome.claim.lower_bound = pair.as_ref().map(|pair| Number::lower(pair.quotient));
    outcome.claim.witness.pair =
        pair.map(|pair| Pair { first: Vector::inline(&pair.first), second: Vector::inline(&pair.second) });
    outcome.notes = notes;
    outcome.seconds = start.elapsed().as_secs_f64();
    Ok(outcome)
}

/// In the common pool a solver's products would wait for whole searches; on as many threads they would share its processors.
fn on_own_threads<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads().div_ceil(2)).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}

fn euclidean(
    network: &Network,
    question: &Question,
    bounds: Option<&Intervals>,
    search: &mut Search,
) -> Result<Outcome, LipschitzError> {
    (search.progress)("norm product");
    let begun = Instant::now();
    let parts = parts::parts(network, search.remaining());
    // The check takes as long again.
    search.deadline = search.deadline.sooner(begun.elapsed());
    let norm_product = parts.as_ref().ok().map(|parts| product(&parts.iter().map(|part| part.1).collect::<Vec<_>>()));
    if let Err(refusal) = &parts {
        search.notes.push(format!("no norm product: {refusal}"));
    }
    let mut found = match whole(network, bounds, parts.as_deref().unwrap_or_default(), search) {
        Ok(found) => found,
        Err(error @ FormError::Unsupported { .. }) if norm_product.is_none() => return Err(error.into()),
        Err(error) => {
            search.notes.push(format!("no matrix inequality: {error}"));
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
    let (bound, parts) = match parts {
        Ok(parts) if found.candidate.is_none() && by_segments(bounds, search) => {
            let parts = layerwise::improve(network, &parts, search);
            let improved = product(&parts.iter().map(|part| part.1).collect::<Vec<_>>());
            if improved < bound {
                search.notes.push(format!("the bound is a product over segments; that of norms alone is {bound:.6}"));
                found.by_segments = true;
            }
            (bound.min(improved), Ok(parts))
        }
        parts => (bound, parts),
    };
    let norm_product = if found.by_segments { Some(bound) } else { norm_product };
    let functionals = if question.margins {
        functionals::margins(network, bounds, bound, found.candidate.as_ref().map(|found| &found.0), search)?
    } else {
        Vec::new()
    };
    let claim = LipschitzClaim {
        norm: Norm::L2,
        bound: Number::upper(bound),
        well_posed: network.implicit().is_some(),
        lower_bound: None,
        norm_product: norm_product.map(Number::upper),
        functionals,
        witness: LipschitzWitness {
            inequality: found.candidate.as_ref().map(|(candidate, _)| engine::inequality(candidate, search.options.sorts)),
            columns: Vec::new(),
            parts: parts.map(|parts| parts.into_iter().map(|part| part.0).collect::<Vec<Part>>()).unwrap_or_default(),
            pair: None,
        },
    };
    Ok(Outcome::new(claim, &found))
}

fn maximum(
    network: &Network,
    question: &Question,
    bounds: Option<&Intervals>,
    search: &mut Search,
) -> Result<Outcome, LipschitzError> {
    (search.progress)("absolute values");
    let growths = growth(network);
    if let Err(refusal) = &growths {
        search.notes.push(format!("no product of absolute values: {refusal}"));
    }
    let (functionals, found) =
        functionals::from_maximum_norm(network, bounds, growths.as_deref().ok(), question.margins, search)?;
    let of_outputs = functionals.iter().filter(|bound| bound.functional.minus.is_none());
    let bound = of_outputs.map(|bound| bound.bound.value()).fold(0.0, max_or_nan);
    let claim = LipschitzClaim {
        norm: Norm::Linf,
        bound: Number::upper(bound),
        well_posed: network.implicit().is_some(),
        lower_bound: None,
        norm_product: growths.ok().map(|growths| Number::upper(growths.into_iter().fold(0.0, max_or_nan))),
        functionals,
        witness: LipschitzWitness { inequality: None, columns: Vec::new(), parts: Vec::new(), pair: None },
    };
    Ok(Outcome::new(claim, &found))
}

fn summed(
    network: &Network,
    question: &Question,
    bounds: Option<&Intervals>,
    search: &mut Search,
) -> Result<Outcome, LipschitzError> {
    let outputs = network.output_size();
    (search.progress)("absolute values");
    let growth = column_growth(network, &vec![1.0; outputs]);
    if let Err(refusal) = &growth {
        search.notes.push(format!("no product of absolute values: {refusal}"));
    }
    let prepared = match columns::prepare(network, bounds, search) {
        Ok(prepared) => prepared,
        // The node that has neither is what the reader must know.
        Err(error) if growth.is_err() => return Err(error.into()),
        Err(error) => {
            search.notes.push(format!("no matrix inequality: {error}"));
            None
        }
    };
    let norm_product = growth.as_ref().ok().map(|growth| growth.iter().copied().fold(0.0, max_or_nan));
    let known = growth.unwrap_or_else(|_| vec![f64::INFINITY; network.input_size()]);
    let whole = match &prepared {
        Some((form, rows)) => columns::bound(form, rows, &known, 1, search),
        None => columns::Bounded::known(&known),
    };
    if !whole.bound.is_finite() {
        return Err(LipschitzError::NoBound("neither an inequality nor absolute values bound every column".to_owned()));
    }
    let functionals = if outputs <= MOST_FUNCTIONALS {
        let form = prepared.as_ref().map(|prepared| &prepared.0);
        functionals::from_sums(network, form, whole.bound, question.margins, search)?
    } else {
        search.notes.push(format!("no bounds of single outputs: there are {outputs}, {MOST_FUNCTIONALS} are tried"));
        Vec::new()
    };
    let claim = LipschitzClaim {
        norm: Norm::L1,
        bound: Number::upper(whole.bound),
        well_posed: network.implicit().is_some(),
        lower_bound: None,
        norm_product: norm_product.map(Number::upper),
        functionals,
        witness: LipschitzWitness { inequality: None, columns: whole.inequalities, parts: Vec::new(), pair: None },
    };
    Ok(Outcome::new(claim, &whole.found))
}

impl Outcome {
    fn new(claim: LipschitzClaim, found: &Found) -> Self {
        Self {
            claim,
            engine: match &found.candidate {
                Some((_, engine)) => *engine,
                None if found.by_segments => Engine::Layerwise,
                None => Engine::NormProduct,
            },
            order: found.order,
            multipliers: found.multipliers,
            relaxation: found.relaxation,
            notes: Vec::new(),
            short_of_memory: false,
            seconds: 0.0,
        }
    }
}

/// Whether segments are tried where the whole network has no inequality.
fn by_segments(bounds: Option<&Intervals>, search: &Search) -> bool {
    bounds.is_none() && matches!(search.options.engine, EngineChoice::Auto | EngineChoice::Layerwise)
}

/// Multipliers for the whole network that the checker accepts.
fn whole(network: &Network, bounds: Option<&Intervals>, parts: &[(Part, f64)], search: &mut Search) -> Result<Found, FormError> {
    if matches!(search.options.engine, EngineChoice::Product | EngineChoice::Layerwise) {
        return Ok(Found::default());
    }
    let Some(form) = affordable(network, bounds, search)? else { return Ok(Found::default()) };
    if form.groups.is_empty() && bounds.is_none() {
        return Ok(Found::default());
    }
    (search.progress)("matrix inequality");
    let rows = Rows::new(&form)?;
    let start = parts::chain_start(network, parts, form.groups.len()).filter(|_| bounds.is_none());
    Ok(search.find(&form, &rows, InputNorm::Euclidean, start.as_slice()))
}

/// The form of the whole network, where its matrix inequality is tried.
fn affordable(network: &Network, bounds: Option<&Intervals>, search: &mut Search) -> Result<Option<Form>, FormError> {
    // A form can be larger than the network; on a region many units stay on one side of their kink, and are no coordinates.
    if bounds.is_none() && !is_affordable(layerwise::activations(network, Segment::whole(network)), search) {
        return Ok(None);
    }
    let form = form(network, Segment::whole(network), search.options.sorts.into(), bounds)?;
    Ok(is_affordable(form.dimension - form.inputs, search).then_some(form))
}

/// Whether a matrix inequality with so many bounded coordinates is tried.
fn is_affordable(bounded: usize, search: &mut Search) -> bool {
    if bounded > BOUNDED_LIMIT {
        search.notes.push(format!(
            "the matrix inequality has {bounded} bounded coordinates, more than the {BOUNDED_LIMIT} that are tried"
        ));
    }
    bounded <= BOUNDED_LIMIT
}
