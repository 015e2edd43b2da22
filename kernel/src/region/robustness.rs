//! Claims of kind `robustness`.

use std::collections::HashMap;
use std::path::Path;

use super::counterexample::{enclosed, outputs_at};
use super::kept::Keeping;
use super::neighbourhood::Neighbourhoods;
use super::refusal::RegionRefusal;
use super::refutation::Refuter;
use super::specification::hints;
use super::splits::LEAF;
use crate::lipschitz::Margins;
use crate::proof::{Assurance, CaseSlopes, Content, Domain, Evidence, Norm, RobustnessClaim, Semantics, Vector};
use crate::read::data::{Dataset, Source};
use crate::read::vnnlib::Clause;
use crate::region::bounds::{Hints, Propagator};

/// Proves that the samples that are called robust are, and those that are called falsified are not.
///
/// # Errors
/// The first thing that is not proved.
pub fn check(
    claim: &RobustnessClaim,
    semantics: Semantics,
    domain: &Domain,
    evidence: &Evidence,
) -> Result<Assurance, RegionRefusal> {
    if *domain != Domain::Samples {
        return Err(Content::Shape { what: "its domain is not that of samples" }.into());
    }
    // Lipschitz bounds are proved for real arithmetic alone.
    if semantics != Semantics::Real && claim.witness.margins.is_some() {
        return Err(Content::Semantics.into());
    }
    let network = evidence.network;
    let data = dataset(&claim.data, evidence)?;
    let unusable = |error: crate::read::data::DataError| RegionRefusal::Content(Content::File { detail: error.to_string() });
    data.check_input(&network.node(network.input()).shape).map_err(unusable)?;
    let keeping = Keeping::new(&claim.kept, network.output_size())?;
    let labels = keeping.labels(&data).map_err(unusable)?;
    let neighbourhoods = Neighbourhoods::new(&claim.perturbation, &network.node(network.input()).shape, semantics)?;
    if claim.samples == 0 {
        return Err(Content::Shape { what: "without a sample nothing is robust" }.into());
    }
    let named = claim.robust.iter().chain(&claim.falsified);
    if claim.samples as usize > data.len() || named.clone().any(|&sample| sample >= claim.samples) {
        return Err(Content::Shape { what: "the claim names samples that the data do not have" }.into());
    }
    if claim.available.is_some_and(|available| available as usize != data.len()) {
        return Err(Content::Scope { field: "available" }.into());
    }
    // Counted twice, one sample would count for two.
    let distinct: std::collections::HashSet<u32> = named.copied().collect();
    if distinct.len() != claim.robust.len() + claim.falsified.len() {
        return Err(Content::Shape { what: "a sample is named twice" }.into());
    }
    if distinct.iter().any(|&sample| neighbourhoods.outside_clip(&data.input(sample as usize)).is_some()) {
        return Err(Content::Shape { what: "a sample lies outside the clip range" }.into());
    }
    let refuter = Refuter::new(network, semantics)?;
    let propagator = Propagator::new(network, semantics)?;
    let margins = claim.witness.margins.as_deref();
    let margins = margins.map(|margins| Margins::prove(margins, neighbourhoods.norm(), evidence)).transpose()?;
    let trees: HashMap<u32, &Vector> = claim.witness.splits.iter().map(|splits| (splits.case, &splits.tree)).collect();
    let slopes: HashMap<u32, &CaseSlopes> = claim.witness.slopes.iter().map(|slopes| (slopes.case, slopes)).collect();
    for &sample in &claim.robust {
        let (input, label) = (data.input(sample as usize), labels[sample as usize] as usize);
        let neighbourhood = neighbourhoods.of(&input)?;
        let is_within = |margins| keeping.is_within(margins, &propagator, &neighbourhoods, (&input, &neighbourhood), label);
        if margins.as_ref().is_some_and(is_within) {
            continue;
        }
        let lost = keeping.lost(&propagator, &neighbourhoods, &input, label)?;
        let (tree, slopes) = (trees.get(&sample), slopes.get(&sample));
        if tree.is_none() && slopes.is_none() {
            if !refuter.bound(&neighbourhood.region, &[lost])?.refuted {
                return Err(RegionRefusal::NotRefuted);
            }
            continue;
        }
        let tree = tree.map_or_else(|| Ok(vec![LEAF]), |tree| evidence.vector(tree))?;
        let hints = slopes.map_or_else(|| Ok(Hints::default()), |slopes| hints(slopes, evidence))?;
        // A ball lies in its box.
        refuter.refute(neighbourhood.region.bounds(), &[lost], &tree, &hints)?;
    }
    let points = evidence.vector(&claim.witness.points)?;
    if points.len() != claim.falsified.len().saturating_mul(network.input_size()) {
        return Err(Content::Shape { what: "there is not one point for each falsified sample" }.into());
    }
    for (&sample, point) in claim.falsified.iter().zip(points.chunks_exact(network.input_size().max(1))) {
        let (input, label) = (data.input(sample as usize), labels[sample as usize] as usize);
        let lost = keeping.lost(&propagator, &neighbourhoods, &input, label)?;
        prove_lost(&propagator, &neighbourhoods, &input, &lost, point)?;
    }
    Ok(Assurance::Proved)
}

/// Proves that an input is a perturbation of a sample, and that what the sample is to keep is lost there.
///
/// # Errors
/// When it is not among the perturbations, or that is not proved.
pub fn prove_lost(
    propagator: &Propagator,
    neighbourhoods: &Neighbourhoods,
    sample: &[f64],
    lost: &Clause,
    point: &[f64],
) -> Result<(), RegionRefusal> {
    // A float32 network has float32 inputs.
    if propagator.semantics() == Semantics::Float32 && point.iter().any(|&x| f64::from(x as f32) != x) {
        return Err(RegionRefusal::Outside);
    }
    let neighbourhood = neighbourhoods.of(sample)?;
    let region = enclosed(&neighbourhood.input_box, point, propagator.semantics(), |index, lower, upper| {
        neighbourhoods.is_fixed(index) && lower == upper
    })?;
    // In a ball a point stands for itself alone: it has to lie between the bounds that `f64` numbers can have.
    let (lower, upper) = neighbourhood.input_box.inner();
    let inside = point.iter().zip(lower.iter().zip(&upper)).all(|(x, (l, u))| l <= x && x <= u);
    if !neighbourhoods.reaches(sample, point) || (neighbourhoods.norm() == Norm::L2 && !inside) {
        return Err(RegionRefusal::Outside);
    }
    let outputs = outputs_at(propagator, &region)?;
    let unsafe_here = lost.alternatives.iter().any(|atoms| atoms.iter().all(|atom| atom.surely_holds(&[], &outputs)));
    if unsafe_here { Ok(()) } else { Err(RegionRefusal::NotUnsafe) }
}

/// The data set that a claim names: one file, or inputs and labels.
pub(super) fn dataset(files: &[crate::proof::FileIdentity], evidence: &Evidence) -> Result<Dataset, RegionRefusal> {
    let unusable = |error: crate::read::data::DataError| RegionRefusal::Content(Content::File { detail: error.to_string() });
    let source = |identity: &crate::proof::FileIdentity| {
        let bytes = evidence.file(identity)?.to_vec();
        Source::from_bytes(Path::new(&identity.name), bytes, Source::LIMIT).map_err(unusable)
    };
    match files {
        [inputs] => Dataset::from_sources(source(inputs)?, None),
        [inputs, targets] => Dataset::from_sources(source(inputs)?, Some(source(targets)?)),
        _ => return Err(Content::Shape { what: "it names neither one nor two data files" }.into()),
    }
    .map_err(unusable)
}
