//! Claims of kind `lipschitz`.

use super::column_growth::column_growth;
use super::columns::Columns;
use super::growth::{growth, growth_of};
use super::inequality::{prove_functionals, prove_inequality};
use super::pair::attained_quotient;
use super::parts::{product, prove_parts};
use super::refusal::LipschitzRefusal;
use crate::lipschitz::form::Segment;
use crate::model::ir::{Intervals, Network};
use crate::proof::{
    Assurance, Content, Evidence, Functional, FunctionalBound, LipschitzClaim, Norm, Number, Rounding, Semantics,
};
use crate::sound::round::{max_or_nan, mul_up, sqrt_up};

/// A claim about more functionals is refused: each may cost minutes.
const MAX_FUNCTIONALS: usize = 4096;

/// The inputs that a claim is about, where these are not all: what lies between two corners.
pub(crate) struct Within<'a> {
    pub lower: &'a [f64],
    pub upper: &'a [f64],
    /// Proved ranges of the values of all nodes on these inputs.
    pub ranges: &'a Intervals<'a>,
}

impl Within<'_> {
    fn contains(&self, point: &[f64]) -> bool {
        let ends = self.lower.iter().zip(self.upper);
        point.len() == self.lower.len() && point.iter().zip(ends).all(|(x, (lower, upper))| lower <= x && x <= upper)
    }
}

/// Proves everything that a Lipschitz claim says, of all inputs or of those within a region.
///
/// # Errors
/// The first thing that is not proved.
pub(crate) fn check(
    claim: &LipschitzClaim,
    semantics: Semantics,
    within: Option<&Within>,
    evidence: &Evidence,
) -> Result<Assurance, LipschitzRefusal> {
    if semantics != Semantics::Real {
        return Err(Content::Semantics.into());
    }
    if claim.well_posed != evidence.network.implicit().is_some() {
        return Err(Content::Shape { what: "it claims well-posedness exactly where there are implicit equations" }.into());
    }
    if !claim.bound.is_consistent(Rounding::Up) {
        return Err(Content::Number { field: "bound" }.into());
    }
    let bounds = within.map(|within| within.ranges);
    let columns = claim.functionals.iter().map(|bound| &bound.columns).chain([&claim.witness.columns]).map(Vec::len);
    let columns: usize = columns.sum();
    if columns > MAX_FUNCTIONALS || (columns > 0 && claim.norm != Norm::L1) {
        return Err(Content::Shape { what: "too many inequalities of columns, or such for another norm than ℓ1" }.into());
    }
    match claim.norm {
        Norm::L1 => summed(claim, bounds, evidence)?,
        Norm::L2 => euclidean(claim, bounds, evidence)?,
        Norm::Linf => maximum(claim, bounds, evidence)?,
    }
    // After the bound: it proves that the solutions that are enclosed there are the only ones.
    lower_bound(claim, within, evidence)?;
    Ok(Assurance::Proved)
}

fn euclidean(claim: &LipschitzClaim, bounds: Option<&Intervals>, evidence: &Evidence) -> Result<(), LipschitzRefusal> {
    let witness = &claim.witness;
    let (network, bundle) = (evidence.network, evidence.bundle);
    let product = match &claim.norm_product {
        Some(number) => {
            let proved = product(&prove_parts(network, &witness.parts, bundle)?);
            at_most("norm_product", proved, number)?;
            Some(proved)
        }
        None if witness.parts.is_empty() => None,
        None => return Err(Content::Incomplete { field: "norm_product" }.into()),
    };
    let bound = match &witness.inequality {
        Some(inequality) => prove_inequality(network, Segment::whole(network), bounds, inequality, bundle)?,
        None => product.ok_or(Content::Incomplete { field: "bound" })?,
    };
    at_most("bound", bound, &claim.bound)?;
    // A unit functional has norm 1, a difference of two √2.
    functionals(claim, bounds, evidence, &|functional| {
        Ok(if functional.minus.is_some() { mul_up(sqrt_up(2.0), bound) } else { bound })
    })
    .map(drop)
}

fn summed(claim: &LipschitzClaim, bounds: Option<&Intervals>, evidence: &Evidence) -> Result<(), LipschitzRefusal> {
    let (witness, network) = (&claim.witness, evidence.network);
    let of_another_norm = |bound: &FunctionalBound| bound.inequality.is_some();
    if witness.inequality.is_some() || !witness.parts.is_empty() || claim.functionals.iter().any(of_another_norm) {
        return Err(Content::Shape { what: "an ℓ1 bound is proved by inequalities of columns" }.into());
    }
    let whole = Columns { functional: None, inequalities: &witness.columns };
    if let Some(number) = &claim.norm_product {
        let growth = column_growth(network, &whole.weights(network))?;
        at_most("norm_product", growth.into_iter().fold(0.0, max_or_nan), number)?;
    }
    let bound = whole.prove(network, bounds, evidence.bundle)?;
    at_most("bound", bound, &claim.bound)?;
    all_fit(claim, network)?;
    for stated in &claim.functionals {
        let columns = Columns { functional: Some(stated.functional), inequalities: &stated.columns };
        // No output and no difference of two changes by more than all together.
        let proved = match columns.prove(network, bounds, evidence.bundle) {
            Ok(proved) if proved < bound => proved,
            Err(refusal) if !stated.columns.is_empty() => return Err(refusal),
            _ => bound,
        };
        at_most("functionals", proved, &stated.bound)?;
    }
    Ok(())
}

fn maximum(claim: &LipschitzClaim, bounds: Option<&Intervals>, evidence: &Evidence) -> Result<(), LipschitzRefusal> {
    if claim.witness.inequality.is_some() || !claim.witness.parts.is_empty() {
        return Err(Content::Shape { what: "an ℓ∞ bound is the largest of its functionals'" }.into());
    }
    let by_growth = growth(evidence.network);
    if let Some(number) = &claim.norm_product {
        let growth = by_growth.as_ref().map_err(Clone::clone)?;
        at_most("norm_product", growth.iter().copied().fold(0.0, max_or_nan), number)?;
    }
    let proved =
        functionals(claim, bounds, evidence, &|functional| growth_of(functional, by_growth.as_ref().map_err(Clone::clone)?))?;
    if evidence.network.output_size() == 0 {
        return Err(Content::Incomplete { field: "bound" }.into());
    }
    for output in 0..evidence.network.output_size() {
        let of_output = |(functional, bound): (&Functional, &f64)| {
            (functional.positions() == (output, None) && *bound <= claim.bound.value()).then_some(())
        };
        let found = claim.functionals.iter().map(|bound| &bound.functional).zip(&proved).find_map(of_output);
        found.ok_or(Content::Incomplete { field: "bound" })?;
    }
    Ok(())
}

/// Refuses functionals of outputs that do not exist, and too many.
fn all_fit(claim: &LipschitzClaim, network: &Network) -> Result<(), LipschitzRefusal> {
    let exists = |position: u32| (position as usize) < network.output_size();
    let fits = |f: &Functional| exists(f.plus) && f.minus.is_none_or(exists);
    if claim.functionals.len() > MAX_FUNCTIONALS || !claim.functionals.iter().all(|bound| fits(&bound.functional)) {
        return Err(Content::Shape { what: "too many functionals, or of outputs that do not exist" }.into());
    }
    Ok(())
}

/// Proves the bounds of all functionals, those without an inequality by `otherwise`.
fn functionals(
    claim: &LipschitzClaim,
    bounds: Option<&Intervals>,
    evidence: &Evidence,
    otherwise: &dyn Fn(&Functional) -> Result<f64, LipschitzRefusal>,
) -> Result<Vec<f64>, LipschitzRefusal> {
    all_fit(claim, evidence.network)?;
    let with_inequality: Vec<_> = claim
        .functionals
        .iter()
        .filter_map(|bound| bound.inequality.as_ref().map(|inequality| (bound.functional, inequality)))
        .collect();
    let mut proved = prove_functionals(evidence.network, bounds, claim.norm, &with_inequality, evidence.bundle)?.into_iter();
    let mut all = Vec::with_capacity(claim.functionals.len());
    for stated in &claim.functionals {
        let bound = match &stated.inequality {
            Some(_) => proved.next().unwrap_or(f64::NAN),
            None => otherwise(&stated.functional)?,
        };
        at_most("functionals", bound, &stated.bound)?;
        all.push(bound);
    }
    Ok(all)
}

fn lower_bound(claim: &LipschitzClaim, within: Option<&Within>, evidence: &Evidence) -> Result<(), LipschitzRefusal> {
    match (&claim.lower_bound, &claim.witness.pair) {
        (Some(number), Some(pair)) => {
            if !number.is_consistent(Rounding::Down) {
                return Err(Content::Number { field: "lower_bound" }.into());
            }
            let (first, second) = (evidence.vector(&pair.first)?, evidence.vector(&pair.second)?);
            if within.is_some_and(|within| !within.contains(&first) || !within.contains(&second)) {
                return Err(Content::Shape { what: "the pair of points does not lie in the region" }.into());
            }
            let proved = attained_quotient(evidence.network, claim.norm, &first, &second)?;
            if proved >= number.value() {
                Ok(())
            } else {
                Err(Content::NotReached { field: "lower_bound", claimed: number.value(), proved }.into())
            }
        }
        (None, None) => Ok(()),
        _ => Err(Content::Incomplete { field: "lower_bound" }.into()),
    }
}

/// Written so that a NaN proves nothing.
fn at_most(field: &'static str, proved: f64, claimed: &Number) -> Result<(), LipschitzRefusal> {
    if !claimed.is_consistent(Rounding::Up) {
        return Err(Content::Number { field }.into());
    }
    if proved <= claimed.value() { Ok(()) } else { Err(Content::NotReached { field, claimed: claimed.value(), proved }.into()) }
}
