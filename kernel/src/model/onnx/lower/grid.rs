//! `GridSample` with a constant grid: a product with a matrix of weights.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::Value;
use super::graph::{Slot, exact_combine};
use super::site::Site;
use crate::model::ir::{Binary, Op, Tensor};

/// The elements along one axis that meet at a coordinate, with their weights.
type Taps = Vec<(usize, f64)>;

#[derive(Clone, Copy)]
struct Along {
    extent: usize,
    linear: bool,
    /// Whether what lies outside is the nearest element, not zero.
    border: bool,
    aligned: bool,
}

pub(super) fn grid_sample(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, grid) = (site.input(0)?, site.input(1)?);
    let (shape, places) = (site.shape(&x), site.shape(&grid));
    let (&[batch, channels, height, width], &[own, rows, columns, 2]) = (&shape[..], &places[..]) else {
        return Err(NodeError::unsupported(format!("a grid of shape {places:?} for an input of shape {shape:?}")));
    };
    if own != batch || shape.contains(&0) {
        return Err(NodeError::invalid(format!("a grid of shape {places:?} does not fit {shape:?}")));
    }
    let linear = match site.string("mode", "linear")? {
        "linear" | "bilinear" => true,
        "nearest" => false,
        other => return Err(NodeError::unsupported(format!("the mode `{other}`"))),
    };
    let border = match site.string("padding_mode", "zeros")? {
        "zeros" => false,
        "border" => true,
        other => return Err(NodeError::unsupported(format!("the padding mode `{other}`"))),
    };
    let aligned = site.flag("align_corners", false)?;
    let Some(grid) = site.decide(|reader| reader.exact(&grid)) else {
        return Err(NodeError::unsupported("its grid is not known before the network runs"));
    };
    let along = |extent: usize| Along { extent, linear, border, aligned };
    let (across, down) = (along(width), along(height));
    let (inputs, outputs) = (height * width, rows * columns);
    let matrix = [batch, inputs, outputs];
    let count = site.graph.charge(&matrix)?;
    site.graph.charge(&matrix)?;
    // A weight is the product of two, which the network forms.
    let (mut horizontal, mut vertical) = (vec![0.0; count], vec![0.0; count]);
    for (index, pair) in grid.chunks_exact(2).enumerate() {
        let (sample, place) = (index / outputs, index % outputs);
        for (row, weight) in down.taps(pair[1])? {
            for (column, other) in across.taps(pair[0])? {
                let at = (sample * inputs + row * width + column) * outputs + place;
                if horizontal[at] != 0.0 || vertical[at] != 0.0 {
                    return Err(NodeError::unsupported("two of its weights meet in one element at the border"));
                }
                (horizontal[at], vertical[at]) = (other, weight);
            }
        }
    }
    // Runtimes compute the weights from coordinates that float32 rounds.
    site.graph.record_rewriting(site.name);
    let mut constant = |values: Vec<f64>| {
        let tensor = Tensor::new(matrix.to_vec(), values).ok_or_else(|| NodeError::invalid("a shape does not fit its values"))?;
        site.constant(Value::Float(tensor), DataType::Float)
    };
    let (horizontal, vertical) = (constant(horizontal)?, constant(vertical)?);
    let weights = site.binary(Binary::Mul, &horizontal, &vertical)?;
    let planes = site.reshape(&x, vec![batch, channels, inputs])?;
    let result = site.push(Op::MatMul, &[&planes, &weights], vec![batch, channels, outputs])?;
    site.reshape(&result, vec![batch, channels, rows, columns])
}

impl Along {
    /// Of a coordinate from −1 to 1.
    fn taps(self, at: f64) -> Result<Taps, NodeError> {
        let inexact = || NodeError::unsupported("a coordinate of its grid is not exact in f64");
        let exact = |binary, a, b| exact_combine(binary, a, b).ok_or_else(inexact);
        #[allow(clippy::cast_precision_loss)] // extents are far below 2⁵³
        let extent = self.extent as f64;
        let raised = exact(Binary::Add, at, 1.0)?;
        let scaled = if self.aligned {
            exact(Binary::Mul, raised, extent - 1.0)?
        } else {
            let whole = exact(Binary::Mul, raised, extent)?;
            exact(Binary::Sub, whole, 1.0)?
        };
        let mut place = scaled / 2.0;
        if self.border {
            place = place.clamp(0.0, extent - 1.0);
        }
        if !self.linear && (place - place.floor() - 0.5).abs() < 1e-4 {
            return Err(NodeError::unsupported(
                "a place lies halfway between two elements, and runtimes disagree on the nearest",
            ));
        }
        let below = if self.linear { place.floor() } else { place.round_ties_even() };
        let part = exact(Binary::Sub, place, below)?;
        let weights: &[(f64, f64)] =
            if self.linear { &[(below, exact(Binary::Sub, 1.0, part)?), (below + 1.0, part)] } else { &[(below, 1.0)] };
        let inside = |&(place, weight): &(f64, f64)| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the axis
            (weight != 0.0 && (0.0..extent).contains(&place)).then_some((place as usize, weight))
        };
        Ok(weights.iter().filter_map(inside).collect())
    }
}
