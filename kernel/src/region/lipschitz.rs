//! Claims of kind `lipschitz` on a box: the slopes that activations have there, by the intervals of all nodes.

use super::bounds::{BoxRegion, interval_bounds};
use super::refusal::RegionRefusal;
use crate::lipschitz::{Within, check as check_within};
use crate::proof::{Assurance, Content, Domain, Evidence, LipschitzClaim, Semantics};

/// Proves everything that a Lipschitz claim says of the inputs in a box.
///
/// # Errors
/// The first thing that is not proved.
pub fn check(
    claim: &LipschitzClaim,
    semantics: Semantics,
    domain: &Domain,
    evidence: &Evidence,
) -> Result<Assurance, RegionRefusal> {
    let Domain::Box { lower, upper } = domain else {
        return Err(Content::Shape { what: "its domain is that of another kind" }.into());
    };
    // Nothing is proved in float32, whatever the intervals are.
    if semantics != Semantics::Real {
        return Err(Content::Semantics.into());
    }
    let region = BoxRegion::new(evidence.vector(lower)?, evidence.vector(upper)?)?;
    let ranges = interval_bounds(evidence.network, &region, semantics)?;
    let within = Within { lower: region.lower(), upper: region.upper(), ranges: &ranges };
    Ok(check_within(claim, semantics, Some(&within), evidence)?)
}
