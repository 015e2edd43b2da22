//! Claims of kind `tightness`.

use super::evidence::Evidence;
use super::neighbourhood::Neighbourhoods;
use super::refusal::ClaimRefusal;
use crate::bounds::{Extent, Interval, LinearBounds, LinearRows, Splits, extents, mean_tightness};
use crate::certificate::{Assurance, Domain, Norm, Rounding, Semantics, TightnessClaim};

/// Rows that a claim may have, times the boxes that it may split for each.
const MOST_WORK: u64 = 1 << 18;
/// Outputs of a network whose rows are built.
const MOST_OUTPUTS: usize = 1 << 12;

/// Propagates every box again, searches as far as the claim says, and compares.
///
/// # Errors
/// The first thing that is not proved.
pub fn check(
    claim: &TightnessClaim,
    semantics: Semantics,
    domain: &Domain,
    evidence: &Evidence,
) -> Result<Assurance, ClaimRefusal> {
    if *domain != Domain::Samples {
        return Err(ClaimRefusal::Shape { what: "its domain is not that of samples" });
    }
    if semantics != Semantics::Real {
        return Err(ClaimRefusal::Semantics);
    }
    if claim.perturbation.norm != Norm::Linf {
        return Err(ClaimRefusal::Shape { what: "interval propagation starts from boxes: the norm must be ℓ∞" });
    }
    let network = evidence.network;
    let unusable = |error: crate::data::DataError| ClaimRefusal::File { detail: error.to_string() };
    let data = super::robustness::dataset(&claim.data, evidence)?;
    let shape = &network.node(network.input()).shape;
    data.check_input(shape).map_err(unusable)?;
    let labels = data.labels(network.output_size()).map_err(unusable)?;
    let neighbourhoods = Neighbourhoods::new(&claim.perturbation, shape, semantics)?;
    let boxes = evidence.vector(&claim.boxes)?;
    if network.output_size() > MOST_OUTPUTS {
        return Err(ClaimRefusal::Shape { what: "the network has too many outputs" });
    }
    let count = rows(network.output_size(), 0, claim.elided).constants.len();
    let samples = claim.samples as usize;
    if samples > data.len() || samples.checked_mul(2 * count) != Some(boxes.len()) {
        return Err(ClaimRefusal::Shape { what: "there is not one box for each sample and row" });
    }
    if claim.splits > most_splits(samples, count).unwrap_or(0) || most_splits(samples, count).is_none() {
        return Err(ClaimRefusal::Shape { what: "it takes more splits than a checker makes" });
    }
    if (0..samples).any(|sample| neighbourhoods.outside_clip(&data.input(sample)).is_some()) {
        return Err(ClaimRefusal::Shape { what: "a sample lies outside the clip range" });
    }
    let prepared = LinearBounds::new(network, semantics)?;
    let mut found = Vec::with_capacity(samples);
    let mut certified = 0;
    for (sample, stated) in boxes.chunks_exact((2 * count).max(1)).enumerate().take(samples) {
        let region = neighbourhoods.of(&data.input(sample))?.region;
        let rows = rows(network.output_size(), labels[sample] as usize, claim.elided);
        let extents = extents(&prepared, region.bounds(), &rows, Splits(claim.splits))?;
        for (extent, stated) in extents.iter().zip(stated.chunks_exact(2)) {
            let proved = extent.propagated;
            // NaN is within nothing.
            if !(stated[0] <= proved.lower && proved.upper <= stated[1]) {
                return Err(ClaimRefusal::NotReached { field: "boxes", claimed: stated[0], proved: proved.lower });
            }
        }
        certified += u32::from(is_certified(&extents));
        found.push(extents);
    }
    if claim.certified.is_some_and(|stated| !claim.elided || stated > certified) {
        return Err(ClaimRefusal::Shape { what: "interval propagation certifies fewer samples than it states" });
    }
    let proved = mean_tightness(&found).ok_or(ClaimRefusal::Shape { what: "no sample has a tightness" })?;
    let (lower, upper) = (&claim.tightness.lower, &claim.tightness.upper);
    if !lower.is_consistent(Rounding::Down) || !upper.is_consistent(Rounding::Up) {
        return Err(ClaimRefusal::Number { field: "tightness" });
    }
    // Written so that a NaN proves nothing.
    for (stated, proved, holds) in [
        (lower.value(), proved.lower, lower.value() <= proved.lower),
        (upper.value(), proved.upper, upper.value() >= proved.upper),
    ] {
        if !holds {
            return Err(ClaimRefusal::NotReached { field: "tightness", claimed: stated, proved });
        }
    }
    Ok(Assurance::Proved)
}

/// The most boxes that a search for each of so many samples and rows may split; `None` where they are too many as it is.
#[must_use]
pub fn most_splits(samples: usize, rows: usize) -> Option<u32> {
    let searches = (samples as u64).saturating_mul(rows as u64).max(1);
    let most = (MOST_WORK / searches).checked_sub(1)?;
    Some(u32::try_from(most).unwrap_or(u32::MAX))
}

/// Is every row proved to be positive by interval propagation alone?
#[must_use]
pub fn is_certified(extents: &[Extent]) -> bool {
    extents.iter().all(|extent| extent.propagated.lower > 0.0)
}

/// The rows that a tightness is about: `y_label − y_j`, or the outputs.
#[must_use]
pub fn rows(outputs: usize, label: usize, elided: bool) -> LinearRows {
    if elided && outputs > 1 {
        return LinearRows::margins(outputs, label);
    }
    let coefficients = (0..outputs).flat_map(|i| (0..outputs).map(move |j| f64::from(u8::from(i == j)))).collect();
    LinearRows { coefficients, constants: vec![0.0; outputs] }
}

/// The propagated boxes of samples as a claim states them.
#[must_use]
pub fn stated_boxes(samples: &[Vec<Extent>]) -> Vec<f64> {
    let ends = |x: Interval| [x.lower, x.upper];
    samples.iter().flatten().flat_map(|extent| ends(extent.propagated)).collect()
}
