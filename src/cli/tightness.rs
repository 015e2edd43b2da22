//! `verify MODEL --tightness --data D --eps E`: tightness of interval bound propagation over a data set.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::analysis::{Context, Findings};
use super::data::{identities, paths};
use super::robustness::{self, check_clip, clean_accuracy};
use super::{ExitStatus, Failure};
use crate::bounds::{BoxRegion, LinearBounds, Semantics, Splits, mean_tightness};
use crate::certificate::{
    Assurance, Bits, Claim, ClaimKind, Domain, Norm, Number, Optimum, TightnessClaim, TightnessFigures, TightnessInterval, Vector,
};
use crate::checker::{Neighbourhoods, exact_boxes, is_certified, most_splits, stated_boxes, tightness_rows};
use crate::pass::ibp::{
    FoundEnd, PhaseSearch, PropagationTightness, SampleFigures, TightnessOptions, measure, predicted_tightness,
    propagation_invariance,
};
use crate::report::{Section, TightnessSection};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Tightness of interval propagation")]
pub struct Arguments {
    /// Measure how much wider interval propagation makes the boxes around the samples than they need be
    #[arg(long, groups = ["pass", "perturbing"], requires_all = ["data", "eps"])]
    tightness: bool,
    /// Look at the outputs themselves, not at the margins of the label merged with the last layer; a network with one output has
    /// no margins
    #[arg(long, requires = "tightness")]
    not_elided: bool,
    /// Boxes that the search for the smallest box may split, for every row and side [default: by the number of inputs]
    #[arg(long, value_name = "N", requires = "tightness")]
    splits: Option<u32>,
    /// Phases of ReLUs that the search for the smallest box may fix after that, for every row and side; 0: none [default: by the
    /// number of inputs and of samples]
    #[arg(long, value_name = "N", requires = "tightness")]
    phase_splits: Option<u32>,
}

/// Splitting inputs pays where there are few of them.
const FEW_INPUTS: usize = 8;
const SPLITS: u32 = 2000;
/// Splits of phases, for every row and side; fewer where there are many of them.
const PHASE_SPLITS: u32 = 400;
const ALL_PHASE_SPLITS: usize = 10_000;

impl Arguments {
    pub const fn requested(&self) -> bool {
        self.tightness
    }
}

pub fn run(arguments: &Arguments, robustness: &robustness::Arguments, context: &Context) -> Result<Findings, Failure> {
    let start = Instant::now();
    let network = &context.model.network;
    let data = context.data("--tightness")?;
    let count = context.samples(&data);
    let labels = data.labels(network.output_size()).map_err(Failure::error)?;
    let perturbation = robustness.perturbation(&context.model.input.shape)?;
    if perturbation.norm != Norm::Linf {
        return Err(Failure::error("interval propagation starts from boxes: `--tightness` needs `--norm linf`"));
    }
    check_clip(&perturbation, &data, count, context)?;
    let shape = &context.model.input.shape;
    let neighbourhoods = Neighbourhoods::new(&perturbation, shape, Semantics::Real).map_err(Failure::error)?;
    let sample = |index: usize| -> Result<(Vec<f64>, BoxRegion, usize), Failure> {
        let neighbourhood = neighbourhoods.of(&data.input(index)).map_err(Failure::error)?;
        Ok((neighbourhood.centre, neighbourhood.region.bounds().clone(), labels[index] as usize))
    };
    let samples: Vec<_> = (0..count).map(sample).collect::<Result<_, _>>()?;
    let prepared = LinearBounds::new(network, Semantics::Real).map_err(|error| Failure::error(error).at(context.path))?;
    let elided = !arguments.not_elided && network.output_size() > 1;
    let rows = tightness_rows(network.output_size(), 0, elided).constants.len();
    let most = most_splits(count, rows).ok_or_else(|| {
        let message =
            format!("{count} samples with {rows} rows each are more than the checker searches; take fewer with `--samples`");
        Failure::error(message)
    })?;
    let usual = if network.input_size() <= FEW_INPUTS { SPLITS } else { 0 };
    let splits = arguments.splits.unwrap_or(usual.min(most));
    if splits > most {
        let message = format!("`--splits {splits}` is more than the checker makes for {count} samples with {rows} rows each");
        return Err(Failure::error(message).with_hint(format!("at most `--splits {most}`, or fewer samples")));
    }
    let fair = u32::try_from(ALL_PHASE_SPLITS / (2 * rows * count).max(1)).unwrap_or(PHASE_SPLITS);
    let phases = PhaseSearch {
        splits: arguments.phase_splits.unwrap_or(PHASE_SPLITS.min(fair)),
        deadline: context.timeout.and_then(|timeout| start.checked_add(timeout)),
    };
    let options = TightnessOptions { elided, splits: Splits(splits), phases };
    let finished = AtomicUsize::new(0);
    let told = || {
        let finished = finished.fetch_add(1, Ordering::Relaxed) + 1;
        context.progress.step(&format!("{finished} of {count} samples"));
    };
    let figures = measure(&prepared, &samples, options, &told).map_err(|error| Failure::error(error).at(context.path))?;
    let extents: Vec<_> = figures.iter().map(|figures| figures.extents.clone()).collect();
    let tightness = mean_tightness(&extents).ok_or_else(|| {
        let why = "no sample has a tightness: interval propagation gives every row a box without width, as for ε = 0";
        Failure::coded("NV140", why).at(context.path)
    })?;
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
        perturbation,
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
        descriptive: TightnessFigures {
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
    let clean = clean_accuracy(&data, &claim.perturbation, &labels[..count], context)?;
    let section = TightnessSection::new(&claim, &figures, &invariance, prediction, clean, start.elapsed().as_secs_f64());
    Ok(Findings {
        claims: vec![Claim {
            id: "tightness".to_owned(),
            assurance: Assurance::Proved,
            semantics: Semantics::Real,
            domain: Domain::Samples,
            vacuous: false,
            kind: ClaimKind::Tightness(claim),
        }],
        section: Section::Tightness(section),
        engine: "intervals, backward bounds, corners, linear programs over phases".to_owned(),
        status: ExitStatus::Established,
        files: paths(&data),
        result_file: None,
        beside: Vec::new(),
    })
}

/// The mean over the samples that have one.
fn mean(figures: &[SampleFigures], of: impl Fn(&SampleFigures) -> Option<&PropagationTightness>) -> Option<Bits> {
    let means: Vec<f64> = figures.iter().filter_map(|figures| of(figures)?.mean()).collect();
    (!means.is_empty()).then(|| Bits::of(means.iter().sum::<f64>() / means.len() as f64))
}
