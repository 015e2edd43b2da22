//! What is told about the tightness of interval bound propagation.

use std::fmt;

use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::Style;

use super::CleanAccuracy;
use crate::bounds::{Extent, Interval};
use crate::certificate::{Bits, FileIdentity, Perturbation, TightnessClaim};
use crate::pass::ibp::{Invariance, LayerWidth, SampleFigures};

/// Proved intervals and descriptive figures, apart.
#[derive(Debug, Serialize)]
pub struct TightnessSection {
    data: Vec<FileIdentity>,
    perturbation: Perturbation,
    samples: u32,
    clean_accuracy: CleanAccuracy,
    /// Are the rows margins merged with the last linear layer?
    elided: bool,
    /// Proved: the mean tightness lies between these, rounded outward.
    tightness_at_least: String,
    tightness_at_most: String,
    /// Proved: samples whose margins interval propagation alone shows to be positive.
    certified: Option<u32>,
    /// Proved: how many of the rows, and of the samples with all their rows, have a smallest box that is known to a millionth
    /// of its width.
    exact_rows: u32,
    rows: u32,
    exact_samples: u32,
    /// Descriptive, all below.
    propagation_tightness: Option<f64>,
    propagation_tightness_at_centre: Option<f64>,
    linear_tightness: Option<f64>,
    /// Mean width of the rows' boxes over the difference of the two largest outputs.
    normalised_box_size: Option<f64>,
    layers: Vec<LayerRow>,
    /// Width of the boxes of interval propagation, from the input on.
    growth: Vec<WidthRow>,
    /// Bounds of the tightness of each sample, means over its rows; none where no row has a width.
    per_sample: Vec<Option<[f64; 2]>>,
    invariance: Vec<InvarianceRow>,
    /// Expected at initialisation: least hidden width, linear layers, tightness.
    predicted_at_initialisation: Option<(usize, usize, f64)>,
    seconds: f64,
}

/// Means over the samples of one activation layer.
#[derive(Debug, Serialize)]
struct LayerRow {
    node: String,
    dead: f64,
    active: f64,
    unstable: f64,
    width: f64,
}

/// Mean over the samples of the width after one operation.
#[derive(Debug, Serialize)]
struct WidthRow {
    node: String,
    operator: String,
    width: f64,
}

/// Two consecutive linear layers.
#[derive(Debug, Serialize)]
struct InvarianceRow {
    first: String,
    second: String,
    entries: usize,
    broken: usize,
    /// Broken entries as (output, input, two hidden elements that disagree).
    examples: Vec<[usize; 4]>,
}

impl TightnessSection {
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
            LayerRow {
                node: layers[index].node.clone(),
                dead: mean(&|figures| figures.states[index].dead as f64),
                active: mean(&|figures| figures.states[index].active as f64),
                unstable: mean(&|figures| figures.states[index].unstable as f64),
                width: mean(&|figures| figures.states[index].width),
            }
        };
        let pair = |pair: &Invariance| InvarianceRow {
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

fn growth(figures: &[SampleFigures]) -> Vec<WidthRow> {
    let first = figures.first().map_or(&[][..], |figures| &figures.growth);
    let row = |(index, layer): (usize, &LayerWidth)| WidthRow {
        node: layer.node.clone(),
        operator: layer.operator.clone(),
        width: figures.iter().map(|figures| figures.growth[index].width).sum::<f64>() / figures.len() as f64,
    };
    first.iter().enumerate().map(row).collect()
}

fn of_sample(figures: &SampleFigures) -> Option<[f64; 2]> {
    let rows: Vec<_> = figures.extents.iter().filter_map(Extent::tightness).collect();
    let mean = |of: fn(&Interval) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
    (!rows.is_empty()).then(|| [mean(|row| row.lower), mean(|row| row.upper)])
}

impl fmt::Display for TightnessSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Builder::default();
        table.push_record([
            format!("tightness of interval propagation, ℓ∞, ε = {}", self.perturbation.epsilon),
            format!("{} samples", self.samples),
            if self.elided { "margins" } else { "outputs" }.to_owned(),
        ]);
        table.push_record(["clean accuracy", &self.clean_accuracy.to_string(), "computed: samples that are right as they are"]);
        let interval = format!("[{}, {}]", self.tightness_at_least, self.tightness_at_most);
        table.push_record(["tightness τ, mean", &interval, "proved"]);
        if let Some(certified) = self.certified {
            table.push_record(["robust by intervals alone", &certified.to_string(), "proved"]);
        }
        let exact = format!("{} of {} rows, {} of {} samples", self.exact_rows, self.rows, self.exact_samples, self.samples);
        table.push_record(["smallest box known to 1e-6", &exact, "proved"]);
        let mut describe = |name: &str, value: Option<f64>, note: &str| {
            let value = value.map_or_else(|| "none".to_owned(), |value| format!("{value:.4}"));
            table.push_record([name, &value, note]);
        };
        describe("propagation tightness", self.propagation_tightness, "descriptive: at the samples, no bound of τ");
        describe("", self.propagation_tightness_at_centre, "descriptive: at the centres of the boxes");
        describe("", self.linear_tightness, "descriptive: all slopes one");
        if let Some((width, layers, predicted)) = self.predicted_at_initialisation {
            let note = format!("expected at initialisation: {layers} layers, width {width}");
            describe("", Some(predicted), &note);
        }
        describe("normalised box size", self.normalised_box_size, "descriptive");
        for layer in &self.layers {
            let states = format!("{:.1} dead, {:.1} active, {:.1} unstable", layer.dead, layer.active, layer.unstable);
            table.push_record([format!("`{}`", layer.node), states, format!("mean width {:.4}", layer.width)]);
        }
        for pair in &self.invariance {
            let names = format!("`{}`, `{}`", pair.first, pair.second);
            let share = format!("{} of {} entries mix signs", pair.broken, pair.entries);
            let first = pair.examples.first().map_or_else(
                || "propagation invariant".to_owned(),
                |[output, input, one, other]| format!("first: output {output}, input {input} through {one} and {other}"),
            );
            table.push_record([names, share, first]);
        }
        writeln!(f, "{}", table.build().with(Style::rounded()))
    }
}
