//! The question how tight interval bound propagation is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::answer::{Answer, Outcome};
use super::error::QueryError;
use super::figures::{Figures, TightnessFigures};
use super::limits::{Limits, Watch};
use super::perturbed::{Prepared, clean_accuracy, identities};
use super::question::TightnessQuery;
use super::subjects::Subjects;
use crate::deadline::Deadline;
use crate::kernel::proof::{
    self, Assurance, Bits, Claim, ClaimKind, Domain, Norm, Number, Optimum, TightnessClaim, TightnessInterval, Vector,
};
use crate::kernel::region::bounds::{BoxRegion, LinearBounds, Semantics, Splits, mean_tightness};
use crate::kernel::region::{Neighbourhoods, exact_boxes, is_certified, most_splits, stated_boxes, tightness_rows};
use crate::pass::ibp::{
    FoundEnd, PhaseSearch, PropagationTightness, SampleFigures, TightnessOptions, measure, predicted_tightness,
    propagation_invariance,
};

/// Splitting inputs pays where there are few of them.
const FEW_INPUTS: usize = 8;
const SPLITS: u32 = 2000;
/// Splits of phases, for every row and side; fewer where there are many of them.
const PHASE_SPLITS: u32 = 400;
const ALL_PHASE_SPLITS: usize = 10_000;

pub fn answer(subjects: &Subjects, query: &TightnessQuery, limits: &Limits, watch: &dyn Watch) -> Result<Answer, QueryError> {
    let start = Instant::now();
    let network = &subjects.model.network;
    let perturbation = &query.perturbation;
    let Prepared { data, labels, mut notes } = prepare(subjects, query)?;
    let (count, shape) = (labels.len(), &subjects.model.input.shape);
    let neighbourhoods = Neighbourhoods::new(perturbation, shape, Semantics::Real)?;
    let sample = |index: usize| -> Result<(Vec<f64>, BoxRegion, usize), QueryError> {
        let neighbourhood = neighbourhoods.of(&data.input(index))?;
        Ok((neighbourhood.centre, neighbourhood.region.bounds().clone(), labels[index] as usize))
    };
    let samples: Vec<_> = (0..count).map(sample).collect::<Result<_, _>>()?;
    let prepared = LinearBounds::new(network, Semantics::Real)?;
    let elided = query.elided && network.output_size() > 1;
    let rows = tightness_rows(network.output_size(), 0, elided).constants.len();
    let most = most_splits(count, rows).ok_or(QueryError::TooManyRows { samples: count, rows })?;
    let usual = if network.input_size() <= FEW_INPUTS { SPLITS } else { 0 };
    let splits = query.splits.unwrap_or(usual.min(most));
    if splits > most {
        return Err(QueryError::TooManySplits { splits, samples: count, rows, most });
    }
    let fair = u32::try_from(ALL_PHASE_SPLITS / (2 * rows * count).max(1)).unwrap_or(PHASE_SPLITS);
    let phases =
        PhaseSearch { splits: query.phase_splits.unwrap_or(PHASE_SPLITS.min(fair)), deadline: Deadline::after(limits.time) };
    let options = TightnessOptions { elided, splits: Splits(splits), phases };
    let finished = AtomicUsize::new(0);
    let told = || {
        watch.finished(finished.fetch_add(1, Ordering::Relaxed) + 1, count);
    };
    let mut figures = measure(&prepared, &samples, options, &told)?;
    // Rounding gives points a width, which is none.
    if neighbourhoods.is_point() {
        figures.iter_mut().flat_map(|figures| &mut figures.extents).for_each(|extent| extent.point = true);
    }
    let extents: Vec<_> = figures.iter().map(|figures| figures.extents.clone()).collect();
    let tightness = mean_tightness(&extents).ok_or(QueryError::NoTightness)?;
    let (exact_rows, exact_samples) = exact_boxes(&extents);
    let optimum = |(sample, found): (usize, &FoundEnd)| Optimum {
        sample: sample as u32,
        row: found.row as u32,
        end: found.end,
        bound: Bits::of(found.bound),
        tree: Vector::inline(&found.tree),
        point: Vector::inline(&found.point),
    };
    let ends = figures.iter().enumerate().flat_map(|(sample, figures)| figures.ends.iter().map(move |end| (sample, end)));
    let claim = TightnessClaim {
        data: identities(&data),
        perturbation: perturbation.clone(),
        samples: count as u32,
        available: u32::try_from(data.len()).ok(),
        elided: options.elided,
        splits,
        tightness: TightnessInterval { lower: Number::lower(tightness.lower), upper: Number::upper(tightness.upper) },
        certified: options.elided.then(|| extents.iter().filter(|extents| is_certified(extents)).count() as u32),
        boxes: Vector::inline(&stated_boxes(&extents)),
        optima: ends.map(optimum).collect(),
        exact_rows,
        exact_samples,
        descriptive: proof::TightnessFigures {
            propagation_tightness: mean(&figures, |figures| figures.at_sample.as_ref()),
            propagation_tightness_at_centre: mean(&figures, |figures| figures.at_centre.as_ref()),
            linear_tightness: mean(&figures, |figures| figures.linear.as_ref()),
        },
    };
    let invariance = propagation_invariance(&prepared);
    let prediction = prepared.hidden_widths().into_iter().min().map(|width| {
        let layers = prepared.hidden_widths().len() + 1;
        (width, layers, predicted_tightness(width, layers))
    });
    let clean = clean_accuracy(subjects, &data, perturbation, (&labels, None), &mut notes)?;
    let figures = TightnessFigures::new(&claim, &figures, &invariance, prediction, clean, start.elapsed().as_secs_f64());
    let claim = Claim {
        id: "tightness".to_owned(),
        assurance: Assurance::Proved,
        semantics: Semantics::Real,
        domain: Domain::Samples,
        vacuous: false,
        kind: ClaimKind::Tightness(claim),
    };
    let engine = "intervals, backward bounds, corners, linear programs over phases";
    let files = data.files().iter().map(|(path, _)| path.clone()).collect();
    Ok(Answer { claims: vec![claim], notes, files, ..Answer::new(Figures::Tightness(figures), Outcome::Established, engine) })
}

/// # Errors
/// What does not fit the model.
pub fn prepare(subjects: &Subjects, query: &TightnessQuery) -> Result<Prepared, QueryError> {
    if query.perturbation.norm != Norm::Linf {
        return Err(QueryError::NotABox);
    }
    let classes = subjects.model.network.output_size();
    Prepared::new(subjects, &query.samples, &query.perturbation, |data| data.labels(classes))
}

/// The mean over the samples that have one.
fn mean(figures: &[SampleFigures], of: impl Fn(&SampleFigures) -> Option<&PropagationTightness>) -> Option<Bits> {
    let means: Vec<f64> = figures.iter().filter_map(|figures| of(figures)?.mean()).collect();
    (!means.is_empty()).then(|| Bits::of(means.iter().sum::<f64>() / means.len() as f64))
}
