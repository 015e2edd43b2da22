//! Claims of kind `tightness`.

use std::sync::Arc;

use super::neighbourhood::Neighbourhoods;
use super::refusal::RegionRefusal;
use super::refutation::Refuter;
use crate::proof::{Assurance, Content, Domain, End, Evidence, Norm, Optimum, Rounding, Semantics, TightnessClaim};
use crate::read::vnnlib::{Atom, Clause, Constant, Term, Terms};
use crate::region::bounds::{BoxRegion, Extent, Hints, Interval, LinearRows, Splits, attained, extents, mean_tightness};
use crate::sound::round::{add_up, mul_down, sub_down};

/// Rows that a claim may have, times the boxes that it may split for each.
const MOST_WORK: u64 = 1 << 18;
/// Outputs of a network whose rows are built.
pub const MOST_OUTPUTS: usize = 1 << 12;
/// A smallest box is exact where it is known to this part of its width.
const EXACT: f64 = 1e-6;

/// Propagates every box again, searches as far as the claim says, proves what it knows of ends, and compares.
///
/// # Errors
/// The first thing that is not proved.
pub fn check(
    claim: &TightnessClaim,
    semantics: Semantics,
    domain: &Domain,
    evidence: &Evidence,
) -> Result<Assurance, RegionRefusal> {
    if *domain != Domain::Samples {
        return Err(Content::Shape { what: "its domain is not that of samples" }.into());
    }
    if semantics != Semantics::Real {
        return Err(Content::Semantics.into());
    }
    if claim.perturbation.norm != Norm::Linf {
        return Err(Content::Shape { what: "interval propagation starts from boxes: the norm must be ℓ∞" }.into());
    }
    let network = evidence.network;
    let unusable = |error: crate::read::data::DataError| Content::File { detail: error.to_string() };
    let data = super::robustness::dataset(&claim.data, evidence)?;
    let shape = &network.node(network.input()).shape;
    data.check_input(shape).map_err(unusable)?;
    let labels = data.labels(network.output_size()).map_err(unusable)?;
    let neighbourhoods = Neighbourhoods::new(&claim.perturbation, shape, semantics)?;
    let boxes = evidence.vector(&claim.boxes)?;
    if network.output_size() > MOST_OUTPUTS {
        return Err(Content::Shape { what: "the network has too many outputs" }.into());
    }
    if claim.elided && network.output_size() < 2 {
        return Err(Content::Shape { what: "a network with one output has no margins" }.into());
    }
    let count = rows(network.output_size(), 0, claim.elided).constants.len();
    if claim.available.is_some_and(|available| available as usize != data.len()) {
        return Err(Content::Scope { field: "available" }.into());
    }
    let samples = claim.samples as usize;
    if samples > data.len() || samples.checked_mul(2 * count) != Some(boxes.len()) {
        return Err(Content::Shape { what: "there is not one box for each sample and row" }.into());
    }
    if claim.splits > most_splits(samples, count).unwrap_or(0) || most_splits(samples, count).is_none() {
        return Err(Content::Shape { what: "it takes more splits than a checker makes" }.into());
    }
    if (0..samples).any(|sample| neighbourhoods.outside_clip(&data.input(sample)).is_some()) {
        return Err(Content::Shape { what: "a sample lies outside the clip range" }.into());
    }
    if claim.optima.len() > boxes.len() || claim.optima.iter().any(|optimum| optimum.sample >= claim.samples) {
        return Err(Content::Shape { what: "it knows of more ends than there are" }.into());
    }
    let refuter = Refuter::new(network, semantics)?;
    let mut found = Vec::with_capacity(samples);
    let mut certified = 0;
    for (sample, stated) in boxes.chunks_exact((2 * count).max(1)).enumerate().take(samples) {
        let region = neighbourhoods.of(&data.input(sample))?.region;
        let rows = rows(network.output_size(), labels[sample] as usize, claim.elided);
        let mut extents = extents(refuter.linear_bounds(), region.bounds(), &rows, Splits(claim.splits))?;
        for optimum in claim.optima.iter().filter(|optimum| optimum.sample as usize == sample) {
            let row = optimum.row as usize;
            let extent = extents.get_mut(row).ok_or(Content::Shape { what: "it knows of more ends than there are" })?;
            enclose(extent, optimum, &rows.row(row), region.bounds(), &refuter, evidence)?;
        }
        extents.iter_mut().for_each(|extent| extent.point |= neighbourhoods.is_point());
        for (extent, stated) in extents.iter().zip(stated.chunks_exact(2)) {
            let proved = extent.propagated;
            // NaN is within nothing.
            if !(stated[0] <= proved.lower && proved.upper <= stated[1]) {
                return Err(Content::NotReached { field: "boxes", claimed: stated[0], proved: proved.lower }.into());
            }
        }
        certified += u32::from(is_certified(&extents));
        found.push(extents);
    }
    if claim.certified.is_some_and(|stated| !claim.elided || stated > certified) {
        return Err(Content::Shape { what: "interval propagation certifies fewer samples than it states" }.into());
    }
    let (exact_rows, exact_samples) = exact_boxes(&found);
    if claim.exact_rows > exact_rows || claim.exact_samples > exact_samples {
        return Err(Content::Shape { what: "fewer smallest boxes are exact than it states" }.into());
    }
    let proved = mean_tightness(&found).ok_or(Content::Shape { what: "no sample has a tightness" })?;
    let (lower, upper) = (&claim.tightness.lower, &claim.tightness.upper);
    if !lower.is_consistent(Rounding::Down) || !upper.is_consistent(Rounding::Up) {
        return Err(Content::Number { field: "tightness" }.into());
    }
    // Written so that a NaN proves nothing.
    for (stated, proved, holds) in [
        (lower.value(), proved.lower, lower.value() <= proved.lower),
        (upper.value(), proved.upper, upper.value() >= proved.upper),
    ] {
        if !holds {
            return Err(Content::NotReached { field: "tightness", claimed: stated, proved }.into());
        }
    }
    Ok(Assurance::Proved)
}

/// Narrows what is known of one end of a row by its tree and its point.
fn enclose(
    extent: &mut Extent,
    optimum: &Optimum,
    row: &LinearRows,
    region: &BoxRegion,
    refuter: &Refuter,
    evidence: &Evidence,
) -> Result<(), RegionRefusal> {
    let (sign, row) = match optimum.end {
        End::Lower => (1.0, row.clone()),
        End::Upper => (-1.0, row.negated()),
    };
    let least = sign * optimum.bound.value();
    if !least.is_finite() {
        return Err(Content::Number { field: "bound" }.into());
    }
    refuter.refute(region, &[beyond(&row, least)], &evidence.vector(&optimum.tree)?, &Hints::default())?;
    let point = evidence.vector(&optimum.point)?;
    if !region.contains(&point) {
        return Err(RegionRefusal::Outside);
    }
    let met = attained(refuter.linear_bounds(), &row, &point)?;
    match optimum.end {
        End::Lower => {
            extent.outer.lower = extent.outer.lower.max(least);
            extent.attained.lower = extent.attained.lower.min(met);
        }
        End::Upper => {
            extent.outer.upper = extent.outer.upper.min(-least);
            extent.attained.upper = extent.attained.upper.max(-met);
        }
    }
    Ok(())
}

/// The values of a row (one without a constant, as all of [`rows`]) below a number, as what has to be refuted.
fn beyond(row: &LinearRows, least: f64) -> Arc<Clause> {
    let nonzero = row.coefficients.iter().enumerate().filter(|(_, coefficient)| **coefficient != 0.0);
    let outputs = nonzero.map(|(index, &coefficient)| Term { index, coefficient: Constant::exact(coefficient) });
    let outputs = Terms::new(outputs.collect());
    let atom = Atom { inputs: Terms::default(), outputs, bound: Constant::exact(least), strict: true };
    Arc::new(Clause { alternatives: vec![vec![atom]] })
}

/// How many rows, and how many samples with all their rows, have a smallest box that is known to a millionth of its width, or
/// that has none: whose propagated box is a point, or the inputs are one.
#[must_use]
pub fn exact_boxes(samples: &[Vec<Extent>]) -> (u32, u32) {
    // Written so that a NaN is not exact.
    let is_exact = |extent: &&Extent| {
        let (outer, attained) = (extent.outer, extent.attained);
        // What is attained lies within what is possible: neither difference is negative.
        let unknown = add_up(add_up(attained.lower, -outer.lower), add_up(outer.upper, -attained.upper));
        let none = extent.point || extent.propagated.lower >= extent.propagated.upper;
        none || unknown <= mul_down(EXACT, sub_down(attained.upper, attained.lower))
    };
    let rows = samples.iter().flatten().filter(is_exact).count();
    let whole = samples.iter().filter(|rows| !rows.is_empty() && rows.iter().all(|row| is_exact(&row))).count();
    (u32::try_from(rows).unwrap_or(u32::MAX), u32::try_from(whole).unwrap_or(u32::MAX))
}

/// The most boxes that a search for each of so many samples and rows may split; `None` where they are too many as it is.
#[must_use]
pub fn most_splits(samples: usize, rows: usize) -> Option<u32> {
    let searches = (samples as u64).saturating_mul(rows as u64).max(1);
    let most = (MOST_WORK / searches).checked_sub(1)?;
    Some(u32::try_from(most).unwrap_or(u32::MAX))
}

/// Whether every row is proved to be positive by interval propagation alone.
#[must_use]
pub fn is_certified(extents: &[Extent]) -> bool {
    extents.iter().all(|extent| extent.propagated.lower > 0.0)
}

/// The rows that a tightness is about: `y_label − y_j` of two outputs or more, or the outputs.
#[must_use]
pub fn rows(outputs: usize, label: usize, elided: bool) -> LinearRows {
    if elided {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_exact_to_a_millionth_and_never_for_a_nan() {
        let interval = |lower, upper| Interval { lower, upper };
        let extent = |outer: (f64, f64), attained: (f64, f64)| Extent {
            propagated: interval(-10.0, 10.0),
            outer: interval(outer.0, outer.1),
            attained: interval(attained.0, attained.1),
            constant: false,
            point: false,
        };
        let (close, far) = (extent((0.0, 1.0 + 9e-7), (0.0, 1.0)), extent((0.0, 1.0 + 1.1e-6), (0.0, 1.0)));
        assert_eq!(exact_boxes(&[vec![close], vec![close, far], vec![]]), (2, 1));
        // A width is one however large the numbers are; a point has none.
        let large = 2f64.powi(50);
        let known = |width: f64| Extent {
            propagated: interval(large, large + width),
            outer: interval(large, large + width),
            attained: interval(large + width, large),
            constant: true,
            point: false,
        };
        assert_eq!(exact_boxes(&[vec![known(1.0)]]), (0, 0));
        assert_eq!(exact_boxes(&[vec![known(0.0)]]), (1, 1));
        // Rounding gives a point a width, which is none.
        let rounded = Extent { point: true, ..known(1.0) };
        assert_eq!((exact_boxes(&[vec![rounded]]), rounded.tightness()), ((1, 1), Some(Interval::point(1.0))));
        let (nan, infinity) = (f64::NAN, f64::INFINITY);
        for unknown in [
            extent((nan, 1.0), (0.0, 1.0)),
            extent((0.0, nan), (0.0, 1.0)),
            extent((0.0, 1.0), (nan, 1.0)),
            extent((0.0, 1.0), (0.0, nan)),
            extent((-infinity, 1.0), (0.0, 1.0)),
            extent((0.0, infinity), (0.0, 1.0)),
            extent((-infinity, infinity), (infinity, -infinity)),
        ] {
            assert_eq!(exact_boxes(&[vec![unknown]]), (0, 0), "{unknown:?}");
        }
    }
}
