//! The tightness of interval bound propagation.

use serde::{Deserialize, Serialize};

use super::{CleanAccuracy, Computed};
use crate::kernel::proof::{Bits, FileIdentity, Perturbation, TightnessClaim};
use crate::kernel::region::bounds::{Extent, Interval};
use crate::pass::ibp::{self, Invariance, SampleFigures};

/// Proved intervals and descriptive figures, apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TightnessFigures {
    pub data: Vec<FileIdentity>,
    pub perturbation: Perturbation,
    pub samples: u32,
    pub clean_accuracy: CleanAccuracy,
    /// Are the rows margins merged with the last linear layer?
    pub elided: bool,
    /// Proved: the mean tightness lies between these, rounded outward.
    pub tightness_at_least: String,
    pub tightness_at_most: String,
    /// Proved: samples whose margins interval propagation alone shows to be positive.
    pub certified: Option<u32>,
    /// Proved: how many of the rows, and of the samples with all their rows, have a smallest box that is known to a millionth
    /// of its width.
    pub exact_rows: u32,
    pub rows: u32,
    pub exact_samples: u32,
    /// Descriptive, all below.
    pub propagation_tightness: Option<f64>,
    pub propagation_tightness_at_centre: Option<f64>,
    pub linear_tightness: Option<f64>,
    /// Mean width of the rows' boxes over the difference of the two largest outputs.
    pub normalised_box_size: Option<f64>,
    pub layers: Vec<LayerFigures>,
    /// Width of the boxes of interval propagation, from the input on.
    pub growth: Vec<LayerWidth>,
    /// Bounds of the tightness of each sample, means over its rows; none where no row has a width.
    pub per_sample: Vec<Option<[Computed; 2]>>,
    pub invariance: Vec<InvarianceFigures>,
    /// Expected at initialisation: least hidden width, linear layers, tightness.
    pub predicted_at_initialisation: Option<(usize, usize, f64)>,
    pub seconds: f64,
}

/// Means over the samples of one activation layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerFigures {
    pub node: String,
    pub dead: f64,
    pub active: f64,
    pub unstable: f64,
    pub width: Computed,
}

/// Mean over the samples of the width after one operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerWidth {
    pub node: String,
    pub operator: String,
    pub width: Computed,
}

/// Two consecutive linear layers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InvarianceFigures {
    pub first: String,
    pub second: String,
    pub entries: usize,
    pub broken: usize,
    /// Broken entries as (output, input, two hidden elements that disagree).
    pub examples: Vec<[usize; 4]>,
}

impl TightnessFigures {
    #[must_use]
    pub fn new(
        claim: &TightnessClaim,
        figures: &[SampleFigures],
        invariance: &[Invariance],
        predicted_at_initialisation: Option<(usize, usize, f64)>,
        clean_accuracy: CleanAccuracy,
        seconds: f64,
    ) -> Self {
        let value = |bits: Option<Bits>| bits.map(Bits::value);
        let sizes: Vec<f64> = figures.iter().filter_map(|figures| figures.normalised_size).collect();
        let layers = figures.first().map_or(&[][..], |figures| &figures.states);
        let layer = |index: usize| {
            let mean = |of: &dyn Fn(&SampleFigures) -> f64| figures.iter().map(of).sum::<f64>() / figures.len() as f64;
            LayerFigures {
                node: layers[index].node.clone(),
                dead: mean(&|figures| figures.states[index].dead as f64),
                active: mean(&|figures| figures.states[index].active as f64),
                unstable: mean(&|figures| figures.states[index].unstable as f64),
                width: Computed(mean(&|figures| figures.states[index].width)),
            }
        };
        let pair = |pair: &Invariance| InvarianceFigures {
            first: pair.first.clone(),
            second: pair.second.clone(),
            entries: pair.entries,
            broken: pair.broken,
            examples: pair.examples.iter().map(|e| [e.output, e.input, e.through[0], e.through[1]]).collect(),
        };
        Self {
            data: claim.data.clone(),
            perturbation: claim.perturbation.clone(),
            samples: claim.samples,
            clean_accuracy,
            elided: claim.elided,
            tightness_at_least: claim.tightness.lower.decimal.clone(),
            tightness_at_most: claim.tightness.upper.decimal.clone(),
            certified: claim.certified,
            exact_rows: claim.exact_rows,
            rows: figures.iter().map(|figures| figures.extents.len() as u32).sum(),
            exact_samples: claim.exact_samples,
            propagation_tightness: value(claim.descriptive.propagation_tightness),
            propagation_tightness_at_centre: value(claim.descriptive.propagation_tightness_at_centre),
            linear_tightness: value(claim.descriptive.linear_tightness),
            normalised_box_size: (!sizes.is_empty()).then(|| sizes.iter().sum::<f64>() / sizes.len() as f64),
            layers: (0..layers.len()).map(layer).collect(),
            growth: growth(figures),
            per_sample: figures.iter().map(of_sample).collect(),
            invariance: invariance.iter().map(pair).collect(),
            predicted_at_initialisation,
            seconds,
        }
    }
}

fn growth(figures: &[SampleFigures]) -> Vec<LayerWidth> {
    let first = figures.first().map_or(&[][..], |figures| &figures.growth);
    let row = |(index, layer): (usize, &ibp::LayerWidth)| LayerWidth {
        node: layer.node.clone(),
        operator: layer.operator.clone(),
        width: Computed(figures.iter().map(|figures| figures.growth[index].width).sum::<f64>() / figures.len() as f64),
    };
    first.iter().enumerate().map(row).collect()
}

fn of_sample(figures: &SampleFigures) -> Option<[Computed; 2]> {
    let rows: Vec<_> = figures.extents.iter().filter_map(Extent::tightness).collect();
    let mean = |of: fn(&Interval) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
    (!rows.is_empty()).then(|| [Computed(mean(|row| row.lower)), Computed(mean(|row| row.upper))])
}
