//! The figures of one sample after another, in parallel.

use rayon::prelude::*;

use super::frozen::{Frozen, Pattern, PropagationTightness, Unfrozen};
use super::optimal::{FoundEnd, PhaseSearch, enclose_ends};
use crate::kernel::model::ir::{Function, Op};
use crate::kernel::region::bounds::{BoundsError, BoxRegion, Extent, LinearBounds, NodeBounds, Splits, extents};
use crate::kernel::region::tightness_rows;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct TightnessOptions {
    /// Merge the last linear layer with the rows `y_label − y_j`; otherwise the outputs are looked at one by one.
    pub elided: bool,
    pub splits: Splits,
    /// Afterwards, the search over phases.
    pub phases: PhaseSearch,
}

/// One ReLU layer over the box of interval propagation: `upper < 0`, `lower > 0`, neither.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerStates {
    pub node: String,
    pub dead: usize,
    pub active: usize,
    pub unstable: usize,
    /// Mean width of the operand's box.
    pub width: f64,
}

/// The box of interval propagation after one operation.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWidth {
    pub node: String,
    pub operator: String,
    /// Mean over the elements.
    pub width: f64,
}

/// Everything about one sample.
#[derive(Clone, Debug)]
pub struct SampleFigures {
    /// Proved.
    pub extents: Vec<Extent>,
    /// What proves the extents where splits of inputs do not.
    pub ends: Vec<FoundEnd>,
    /// Descriptive: at the sample, at the centre of its box, and with all slopes one.
    pub at_sample: Option<PropagationTightness>,
    pub at_centre: Option<PropagationTightness>,
    pub linear: Option<PropagationTightness>,
    pub states: Vec<LayerStates>,
    /// From the input on, every operation that can change a width.
    pub growth: Vec<LayerWidth>,
    /// Mean width of the rows' boxes over the difference between the two largest outputs at the sample; `None` for a tie.
    pub normalised_size: Option<f64>,
}

/// Why a sample has no figures.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TightnessError {
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    #[error("the label {label} is not one of {outputs} outputs")]
    Label { label: usize, outputs: usize },
}

/// The figures of every sample: its point, its box, its label. `told` is called after each, in no order.
///
/// # Errors
/// The first [`TightnessError`] in the order of the samples.
pub fn measure(
    prepared: &LinearBounds,
    samples: &[(Vec<f64>, BoxRegion, usize)],
    options: TightnessOptions,
    told: &(dyn Fn() + Sync),
) -> Result<Vec<SampleFigures>, TightnessError> {
    let linear = Frozen::new(prepared, Pattern::Identity).ok();
    let one = |(point, region, label): &(Vec<f64>, BoxRegion, usize)| {
        let figures = sample(prepared, point, region, *label, options, linear.as_ref());
        told();
        figures
    };
    samples.par_iter().map(one).collect()
}

fn sample(
    prepared: &LinearBounds,
    point: &[f64],
    region: &BoxRegion,
    label: usize,
    options: TightnessOptions,
    linear: Option<&Frozen>,
) -> Result<SampleFigures, TightnessError> {
    let network = prepared.network();
    let outputs = network.output_size();
    if label >= outputs {
        return Err(TightnessError::Label { label, outputs });
    }
    let rows = tightness_rows(outputs, label, options.elided);
    let mut extents = extents(prepared, region, &rows, options.splits)?;
    let ends = enclose_ends(prepared, region, &rows, &mut extents, options.phases);
    let radius: Vec<f64> = region.lower().iter().zip(region.upper()).map(|(l, u)| (u - l) / 2.0).collect();
    let frozen = |point: &[f64]| -> Result<PropagationTightness, Unfrozen> {
        Ok(Frozen::new(prepared, Pattern::At(point))?.tightness(&rows, &radius))
    };
    let intervals = prepared.propagator().intervals(region)?;
    let (mut states, mut growth) = (Vec::new(), Vec::new());
    for id in network.ids().filter(|&id| network.node(id).variable) {
        let node = network.node(id);
        if !matches!(node.op, Op::Reshape | Op::Rearrange(_)) {
            let (node, operator) = (node.name.clone(), node.operator.clone());
            // What a node of the file was lowered to ends with its own result.
            if growth.last().is_some_and(|last: &LayerWidth| last.node == node) {
                growth.pop();
            }
            growth.push(LayerWidth { node, operator, width: mean_width(intervals.node(id)) });
        }
        if node.op != Op::Function(Function::Relu) {
            continue;
        }
        let bounds = intervals.node(node.operands[0]);
        let dead = bounds.iter().filter(|x| x.upper < 0.0).count();
        let active = bounds.iter().filter(|x| x.lower > 0.0).count();
        let (unstable, width) = (bounds.len() - dead - active, mean_width(bounds));
        states.push(LayerStates { node: node.name.clone(), dead, active, unstable, width });
    }
    let size = extents.iter().map(|e| e.propagated.upper - e.propagated.lower).sum::<f64>() / extents.len().max(1) as f64;
    let mut values = crate::kernel::model::ir::evaluate(network, point).unwrap_or_default();
    values.sort_by(|a, b| b.total_cmp(a));
    let margin = values.first().zip(values.get(1)).map(|(first, second)| first - second);
    Ok(SampleFigures {
        extents,
        ends,
        at_sample: frozen(point).ok(),
        at_centre: frozen(&region.centre()).ok(),
        linear: linear.map(|linear| linear.tightness(&rows, &radius)),
        states,
        growth,
        normalised_size: margin.filter(|margin| *margin > 0.0).map(|margin| size / margin),
    })
}

fn mean_width(bounds: &NodeBounds) -> f64 {
    bounds.iter().map(|x| x.upper - x.lower).sum::<f64>() / bounds.len().max(1) as f64
}
