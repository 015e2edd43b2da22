//! Claims of kind `specification`.

use std::path::Path;

use super::counterexample::prove_unsafe;
use super::refusal::RegionRefusal;
use super::refutation::Refuter;
use super::splits::LEAF;
use crate::model::compose::compose;
use crate::proof::{
    Assurance, BUNDLE_LIMIT, CaseSlopes, Content, Domain, Evidence, Semantics, SlopesTarget, SpecificationClaim, Verdict,
};
use crate::read::data::Source;
use crate::read::vnnlib::{ElementType, Specification};
use crate::region::bounds::{BoxRegion, Hints, Propagator};

/// Proves that the unsafe region of a specification is empty, or that a point lies in it.
///
/// # Errors
/// The first thing that is not proved.
pub fn check(
    claim: &SpecificationClaim,
    vacuous: bool,
    semantics: Semantics,
    domain: &Domain,
    evidence: &Evidence,
) -> Result<Assurance, RegionRefusal> {
    if *domain != Domain::Specification {
        return Err(Content::Shape { what: "its domain is not that of a specification" }.into());
    }
    let file = |error: &dyn std::fmt::Display| Content::File { detail: error.to_string() };
    let bytes = evidence.file(&claim.file)?.to_vec();
    let source = Source::from_bytes(Path::new(&claim.file.name), bytes, Specification::LIMIT).map_err(|error| file(&error))?;
    let specification = Specification::from_source(&source).map_err(|error| file(&error))?;
    if vacuous != specification.is_vacuous() || u64::from(claim.empty_cases) != specification.empty_cases() as u64 {
        return Err(RegionRefusal::Vacuity { empty: specification.empty_cases(), vacuous: specification.is_vacuous() });
    }
    let networks = match (&claim.first, &specification.second) {
        (None, None) => None,
        (Some(first), Some(_)) => {
            let other = evidence.model(&first.model)?;
            let composed = compose(other, evidence.network, &first.pairs())?;
            // Counterexamples are those of both networks as they are.
            Some((other, composed, compose(other, evidence.network, &[])?))
        }
        _ => return Err(Content::Shape { what: "it is about another number of networks than the specification" }.into()),
    };
    for network in [Some(evidence.network), networks.as_ref().map(|networks| networks.0)].into_iter().flatten() {
        let shape = |id| &network.node(id).shape;
        specification.check_network(shape(network.input()), shape(network.output())).map_err(|error| file(&error))?;
    }
    let (bounded, apart) = networks.as_ref().map_or((evidence.network, evidence.network), |(_, bounded, apart)| (bounded, apart));
    let evidence = &Evidence { network: bounded, ..*evidence };
    // A query about float32 networks is not answered by exact arithmetic. One that names no element type may be asked about either.
    match (specification.element, semantics) {
        (ElementType::Real, _) | (ElementType::Float32, Semantics::Float32) => {}
        _ => return Err(Content::Semantics.into()),
    }
    match (claim.verdict, &claim.witness.counterexample) {
        (Verdict::Holds, None) => holds(claim, semantics, &specification, evidence)?,
        (Verdict::Violated, Some(point)) => {
            let input = evidence.vector(&point.input)?;
            if semantics == Semantics::Float32 && input.iter().any(|&x| f64::from(x as f32) != x) {
                return Err(RegionRefusal::Outside);
            }
            let propagator = Propagator::new(apart, semantics)?;
            prove_unsafe(&propagator, &specification, point.case as usize, &input)?;
        }
        _ => return Err(Content::Incomplete { field: "counterexample" }.into()),
    }
    Ok(Assurance::Proved)
}

/// Every case is refuted, whole or along its tree.
fn holds(
    claim: &SpecificationClaim,
    semantics: Semantics,
    specification: &Specification,
    evidence: &Evidence,
) -> Result<(), RegionRefusal> {
    let refuter = Refuter::new(evidence.network, semantics)?;
    let mut trees = vec![None; specification.cases.len()];
    for splits in &claim.witness.splits {
        let slot = trees.get_mut(splits.case as usize).ok_or(Content::Shape { what: "there is no such case" })?;
        *slot = Some(&splits.tree);
    }
    let mut slopes = vec![None; specification.cases.len()];
    for case in &claim.witness.slopes {
        let slot = slopes.get_mut(case.case as usize).ok_or(Content::Shape { what: "there is no such case" })?;
        *slot = Some(case);
    }
    for ((case, tree), slopes) in specification.cases.iter().zip(trees).zip(slopes) {
        let no_box = Content::Shape { what: "a case without its box" };
        let (lower, upper) = specification.boxes.get(case.region).ok_or(no_box)?.outer();
        let region = BoxRegion::new(lower, upper)?;
        let tree = tree.map_or_else(|| Ok(vec![LEAF]), |tree| evidence.vector(tree))?;
        let hints = slopes.map_or_else(|| Ok(Hints::default()), |slopes| hints(slopes, evidence))?;
        refuter.refute(&region, &case.clauses, &tree, &hints)?;
    }
    Ok(())
}

/// Slopes of a case, at most.
const NUMBERS: usize = BUNDLE_LIMIT as usize / size_of::<f64>();

/// The slopes of a case by the nodes of the network.
pub(super) fn hints(case: &CaseSlopes, evidence: &Evidence) -> Result<Hints, RegionRefusal> {
    let ids: Vec<_> = evidence.network.ids().collect();
    let node = |index: u32| ids.get(index as usize).copied().ok_or(Content::Shape { what: "slopes of a node that is none" });
    let mut hints = Hints::default();
    // A vector may be named again and again: what is at hand at once is no more than all vectors of a certificate.
    let mut left = NUMBERS;
    for slopes in &case.slopes {
        let target = match slopes.target {
            SlopesTarget::Rows => &mut hints.rows,
            SlopesTarget::Upper(bounded) => hints.upper.entry(node(bounded)?).or_default(),
            SlopesTarget::Lower(bounded) => hints.lower.entry(node(bounded)?).or_default(),
        };
        let positions = evidence.vector(&slopes.positions)?;
        left = left.checked_sub(positions.len()).ok_or(Content::Shape { what: "more slopes than a certificate holds" })?;
        target.set(node(slopes.node)?, positions);
    }
    Ok(hints)
}
