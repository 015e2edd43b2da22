//! Claims of kind `lipschitz`.

use super::evidence::Evidence;
use super::inequality::prove_inequality;
use super::pair::attained_quotient;
use super::parts::{product, prove_parts};
use super::refusal::ClaimRefusal;
use crate::certificate::{Assurance, Domain, LipschitzClaim, Norm, Number, Rounding, Semantics};
use crate::form::Segment;

/// Proves everything that a Lipschitz claim says.
///
/// # Errors
/// The first thing that is not proved.
pub fn check(
    claim: &LipschitzClaim,
    semantics: Semantics,
    domain: &Domain,
    evidence: &Evidence,
) -> Result<Assurance, ClaimRefusal> {
    let (Semantics::Real, Domain::Global, Norm::L2) = (semantics, domain, claim.norm) else {
        return Err(ClaimRefusal::Semantics);
    };
    let (network, bundle) = (evidence.network, evidence.bundle);
    let witness = &claim.witness;
    if !claim.bound.is_consistent(Rounding::Up) {
        return Err(ClaimRefusal::Number { field: "bound" });
    }
    let product = match &claim.norm_product {
        Some(number) => {
            if !number.is_consistent(Rounding::Up) {
                return Err(ClaimRefusal::Number { field: "norm_product" });
            }
            let proved = product(&prove_parts(network, &witness.parts, bundle)?);
            at_most("norm_product", proved, number)?;
            Some(proved)
        }
        None if witness.parts.is_empty() => None,
        None => return Err(ClaimRefusal::Incomplete { field: "norm_product" }),
    };
    let bound = match &witness.inequality {
        Some(inequality) => prove_inequality(network, Segment::whole(network), inequality, bundle)?,
        None => product.ok_or(ClaimRefusal::Incomplete { field: "bound" })?,
    };
    at_most("bound", bound, &claim.bound)?;
    match (&claim.lower_bound, &witness.pair) {
        (Some(number), Some(pair)) => {
            if !number.is_consistent(Rounding::Down) {
                return Err(ClaimRefusal::Number { field: "lower_bound" });
            }
            let proved = attained_quotient(network, &evidence.vector(&pair.first)?, &evidence.vector(&pair.second)?)?;
            if proved >= number.value() {
                Ok(Assurance::Proved)
            } else {
                Err(ClaimRefusal::NotReached { field: "lower_bound", claimed: number.value(), proved })
            }
        }
        (None, None) => Ok(Assurance::Proved),
        _ => Err(ClaimRefusal::Incomplete { field: "lower_bound" }),
    }
}

/// Written so that a NaN proves nothing.
fn at_most(field: &'static str, proved: f64, claimed: &Number) -> Result<(), ClaimRefusal> {
    if proved <= claimed.value() { Ok(()) } else { Err(ClaimRefusal::NotReached { field, claimed: claimed.value(), proved }) }
}
