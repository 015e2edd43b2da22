//! Bounds of single outputs and of differences of two: for ℓ1 and ℓ∞, and for margins.

use super::columns::{self, Bounded};
use super::engine::{Found, Search, inequality};
use super::{EngineChoice, LipschitzError, affordable};
use crate::kernel::lipschitz::form::{Form, FormError, Rows};
use crate::kernel::lipschitz::{column_growth, growth_of};
use crate::kernel::model::ir::Network;
use crate::kernel::proof::{Functional, FunctionalBound, Number};
use crate::kernel::region::bounds::Intervals;
use crate::kernel::sound::round::{mul_up, sqrt_up};
use crate::solver::{Candidate, InputNorm};

/// What a feasible point is enlarged by where it becomes a start: starts lie strictly inside.
const ROOM: f64 = 1.25;

/// ℓ2 bounds of all differences of two outputs, from the whole network's bound and multipliers.
///
/// # Errors
/// When an output's difference has no form.
pub fn margins(
    network: &Network,
    bounds: Option<&Intervals>,
    bound: f64,
    whole: Option<&Candidate>,
    search: &mut Search,
) -> Result<Vec<FunctionalBound>, LipschitzError> {
    // A difference of two outputs has norm √2, so twice the whole network's point is feasible for it.
    let scaled = |values: &[f64]| values.iter().map(|value| 2.0 * ROOM * value).collect();
    let start = whole
        .map(|whole| Candidate { input_multipliers: scaled(&whole.input_multipliers), multipliers: scaled(&whole.multipliers) });
    let functionals = differences(network.output_size());
    let otherwise = |_: &Functional| Some(mul_up(sqrt_up(2.0), bound));
    bounds_of(network, bounds, InputNorm::Euclidean, &functionals, start.as_ref(), &otherwise, search).map(|found| found.0)
}

/// Bounds from ℓ∞ of all outputs and, on demand, of all differences; `growths` bound the outputs by absolute values. Also
/// what was found for the output with the largest bound.
///
/// # Errors
/// When an output has neither a form nor a growth.
pub fn from_maximum_norm(
    network: &Network,
    bounds: Option<&Intervals>,
    growths: Option<&[f64]>,
    margins: bool,
    search: &mut Search,
) -> Result<(Vec<FunctionalBound>, Found), LipschitzError> {
    let functionals = singles(network.output_size(), margins);
    let otherwise = |functional: &Functional| growth_of(functional, growths?).ok();
    bounds_of(network, bounds, InputNorm::Maximum, &functionals, None, &otherwise, search)
}

/// Bounds from ℓ1 of all outputs and, on demand, of all differences, each the largest of its columns' and at most `bound`,
/// that of the whole network; `form` is the network's, where inequalities are wanted.
///
/// # Errors
/// When the form of the functionals is too large.
pub fn from_sums(
    network: &Network,
    form: Option<&Form>,
    bound: f64,
    margins: bool,
    search: &mut Search,
) -> Result<Vec<FunctionalBound>, LipschitzError> {
    let functionals = singles(network.output_size(), margins);
    let positions: Vec<_> = functionals.iter().map(Functional::positions).collect();
    let form = form.map(|form| form.with_differences(&positions).ok_or(FormError::TooLarge)).transpose()?;
    let rows = form.as_ref().map(Rows::new).transpose()?;
    let mut all = Vec::with_capacity(functionals.len());
    for (position, functional) in functionals.iter().enumerate() {
        (search.progress)(&format!("{functional} ({} of {})", position + 1, functionals.len()));
        let known = column_growth(network, &functional.absolute(network.output_size()));
        let known = known.unwrap_or_else(|_| vec![f64::INFINITY; network.input_size()]);
        let found = match form.as_ref().zip(rows.as_ref()) {
            Some((form, rows)) => {
                let (rows, left) = (rows.with_output(position), functionals.len() - position);
                in_turn(search, left, |search| columns::bound(form, &rows, &known, functionals.len(), search))
            }
            None => Bounded::known(&known),
        };
        let better = found.bound < bound;
        all.push(FunctionalBound {
            functional: *functional,
            bound: Number::upper(if better { found.bound } else { bound }),
            inequality: None,
            columns: if better { found.inequalities } else { Vec::new() },
        });
    }
    Ok(all)
}

/// All outputs and, on demand, all differences.
fn singles(outputs: usize, margins: bool) -> Vec<Functional> {
    let mut functionals: Vec<Functional> = (0..outputs as u32).map(|plus| Functional { plus, minus: None }).collect();
    if margins {
        functionals.extend(differences(outputs));
    }
    functionals
}

fn differences(outputs: usize) -> Vec<Functional> {
    let outputs = outputs as u32;
    (0..outputs).flat_map(|plus| (plus + 1..outputs).map(move |minus| Functional { plus, minus: Some(minus) })).collect()
}

/// The better of an inequality and `otherwise` for every functional, and the findings for the largest bound.
fn bounds_of(
    network: &Network,
    bounds: Option<&Intervals>,
    norm: InputNorm,
    functionals: &[Functional],
    start: Option<&Candidate>,
    otherwise: &dyn Fn(&Functional) -> Option<f64>,
    search: &mut Search,
) -> Result<(Vec<FunctionalBound>, Found), LipschitzError> {
    let prepared = match prepare(network, bounds, functionals, search) {
        Ok(prepared) => prepared,
        // The node that has neither is what the reader must know.
        Err(error) if functionals.iter().any(|functional| otherwise(functional).is_none()) => return Err(error.into()),
        Err(error) => {
            search.notes.push(format!("no matrix inequality: {error}"));
            None
        }
    };
    let mut all: Vec<FunctionalBound> = Vec::with_capacity(functionals.len());
    let (mut largest, mut of_largest) = (f64::NEG_INFINITY, Found::default());
    for (position, functional) in functionals.iter().enumerate() {
        (search.progress)(&format!("{functional} ({} of {})", position + 1, functionals.len()));
        let plain = otherwise(functional);
        let mut found = prepared.as_ref().map_or_else(Found::default, |(form, rows)| {
            let (rows, left) = (rows.with_output(position), functionals.len() - position);
            in_turn(search, left, |search| search.find(form, &rows, norm, start.map_or(&[][..], std::slice::from_ref)))
        });
        found.candidate = found.candidate.filter(|(candidate, _)| plain.is_none_or(|p| sqrt_up(candidate.squared_bound()) < p));
        let bound = found.candidate.as_ref().map(|(candidate, _)| sqrt_up(candidate.squared_bound())).or(plain);
        let Some(bound) = bound.filter(|bound| bound.is_finite()) else {
            return Err(LipschitzError::NoBound(format!("neither an inequality nor absolute values bound {functional}")));
        };
        all.push(FunctionalBound {
            functional: *functional,
            bound: Number::upper(bound),
            inequality: found.candidate.as_ref().map(|(candidate, _)| inequality(candidate, search.options.sorts)),
            columns: Vec::new(),
        });
        if bound > largest {
            (largest, of_largest) = (bound, found);
        }
    }
    Ok((all, of_largest))
}

/// Lets one of so many programs that are left search for its share of the time: what it does not need is the others'.
fn in_turn<T>(search: &mut Search, left: usize, work: impl FnOnce(&mut Search) -> T) -> T {
    let whole = search.deadline;
    search.deadline = whole.share(1.0 / left.max(1) as f64);
    let found = work(search);
    search.deadline = whole;
    found
}

/// The form and the rows of all functionals, where an inequality is wanted and affordable.
fn prepare(
    network: &Network,
    bounds: Option<&Intervals>,
    functionals: &[Functional],
    search: &mut Search,
) -> Result<Option<(Form, Rows)>, FormError> {
    if search.options.engine == EngineChoice::Product {
        return Ok(None);
    }
    let Some(form) = affordable(network, bounds, search)? else { return Ok(None) };
    let positions: Vec<_> = functionals.iter().map(Functional::positions).collect();
    let form = form.with_differences(&positions).ok_or(FormError::TooLarge)?;
    let rows = Rows::new(&form)?;
    Ok(Some((form, rows)))
}
