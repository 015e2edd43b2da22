//! Normalisations: by stored statistics, and by those of the values themselves.

use super::super::error::NodeError;
use super::elementwise::raised_to;
use super::graph::Slot;
use super::indices::{axes, axis, extent, product, source};
use super::site::Site;
use crate::model::ir::{Binary, Function, Reduction};

/// `x·s + (β − μ·s)` with `s = γ/√(σ² + ε)`, one of each per channel. The arithmetic on the constants stays in the network,
/// so nothing is rounded here.
pub(super) fn batch_normalization(site: &mut Site) -> Result<Slot, NodeError> {
    if site.flag("training_mode", false)? {
        return Err(NodeError::unsupported_with_hint("it is in training mode", "export the model in inference mode"));
    }
    if !site.flag("spatial", true)? {
        return Err(NodeError::unsupported("its statistics are per element (spatial = 0), not per channel"));
    }
    if site.proto.output.iter().skip(1).any(|name| !name.is_empty()) {
        return Err(NodeError::unsupported_with_hint(
            "it has several outputs, as in training mode",
            "export the model in inference mode",
        ));
    }
    let x = site.input(0)?;
    let [scale, bias, mean, variance] = [site.input(1)?, site.input(2)?, site.input(3)?, site.input(4)?];
    let shape = site.shape(&x);
    let channels = if shape.len() < 2 { 1 } else { shape[1] };
    for slot in [&scale, &bias, &mean, &variance] {
        if site.shape(slot) != [channels] {
            let own = site.shape(slot);
            return Err(NodeError::invalid(format!("a parameter of shape {own:?} does not fit {channels} channels")));
        }
    }
    let epsilon = site.float("epsilon", 1e-5)?;
    let singular = || NodeError::invalid("a variance plus epsilon is not positive");
    site.graph.require(&variance, |values| !values.iter().any(|&value| value + epsilon <= 0.0), singular)?;
    let epsilon = site.scalar(epsilon);
    let deviation = site.binary(Binary::Add, &variance, &epsilon)?;
    let deviation = site.function(Function::Sqrt, &deviation)?;
    let factor = site.binary(Binary::Div, &scale, &deviation)?;
    let shifted = site.binary(Binary::Mul, &mean, &factor)?;
    let offset = site.binary(Binary::Sub, &bias, &shifted)?;
    let (factor, offset) = (spread(site, &factor, &shape)?, spread(site, &offset, &shape)?);
    let scaled = site.binary(Binary::Mul, &x, &factor)?;
    site.binary(Binary::Add, &scaled, &offset)
}

fn spread(site: &mut Site, values: &Slot, shape: &[usize]) -> Result<Slot, NodeError> {
    if shape.len() < 2 { site.broadcast(values, shape) } else { site.per_channel(values, shape) }
}

/// The last `count` axes of `x` as rows, less their means and divided by the root of their variances plus `epsilon`.
fn standardised(site: &mut Site, x: &Slot, count: usize, epsilon: f64) -> Result<Slot, NodeError> {
    // Runtimes take the variance as the mean of squares less the square of the mean, which rounds otherwise.
    site.graph.record_rewriting(site.name);
    let rows = as_rows(site, x, count)?;
    let mean = site.reduce_last(Reduction::Mean, &rows, 1)?;
    let mean = along_rows(site, &mean, &rows)?;
    let centred = site.binary(Binary::Sub, &rows, &mean)?;
    let deviation = root_mean_square(site, &centred, epsilon)?;
    let result = site.binary(Binary::Div, &centred, &deviation)?;
    let shape = site.shape(x);
    site.reshape(&result, shape)
}

fn as_rows(site: &mut Site, x: &Slot, count: usize) -> Result<Slot, NodeError> {
    let shape = site.shape(x);
    let (outer, inner) = shape.split_at(shape.len().saturating_sub(count));
    site.reshape(x, vec![product(outer), product(inner)])
}

/// One value for each row, spread over the rows.
fn along_rows(site: &mut Site, values: &Slot, rows: &Slot) -> Result<Slot, NodeError> {
    let shape = site.shape(rows);
    let column = site.reshape(values, vec![shape[0], 1])?;
    site.broadcast(&column, &shape)
}

/// `√(mean x² + ε)` of every row, spread over it.
fn root_mean_square(site: &mut Site, rows: &Slot, epsilon: f64) -> Result<Slot, NodeError> {
    let squares = site.binary(Binary::Mul, rows, rows)?;
    let mean = site.reduce_last(Reduction::Mean, &squares, 1)?;
    let epsilon = site.scalar(epsilon);
    let mean = site.binary(Binary::Add, &mean, &epsilon)?;
    let root = site.function(Function::Sqrt, &mean)?;
    along_rows(site, &root, rows)
}

/// `epsilon`, which must not be negative.
fn epsilon(site: &Site, default: f32) -> Result<f64, NodeError> {
    let epsilon = site.float("epsilon", default)?;
    if epsilon < 0.0 {
        return Err(NodeError::attribute("epsilon", format!("is {epsilon}, which is negative")));
    }
    Ok(epsilon)
}

/// The number of axes from `axis` on. In which precision a runtime works in between is for the semantics to say.
fn normalised_axes(site: &Site, rank: usize) -> Result<usize, NodeError> {
    if !matches!(site.int("stash_type", 1)?, 1 | 10 | 11 | 16) {
        return Err(NodeError::attribute("stash_type", "is no floating point type"));
    }
    Ok(rank - axis(site.int("axis", -1)?, rank)?)
}

/// `x·scale + bias`, both broadcast to `x`; either may be left out.
pub(super) fn scaled_and_shifted(site: &mut Site, x: Slot, scale: Option<Slot>, bias: Option<Slot>) -> Result<Slot, NodeError> {
    let shape = site.shape(&x);
    let mut result = x;
    for (binary, parameter) in [(Binary::Mul, scale), (Binary::Add, bias)] {
        if let Some(parameter) = parameter {
            let parameter = site.broadcast(&parameter, &shape)?;
            result = site.binary(binary, &result, &parameter)?;
        }
    }
    Ok(result)
}

pub(super) fn layer_normalization(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, scale, bias) = (site.input(0)?, site.input(1)?, site.optional(2));
    let count = normalised_axes(site, site.shape(&x).len())?;
    let epsilon = epsilon(site, 1e-5)?;
    normalised(site, &x, count, epsilon, (Some(scale), bias))
}

/// The last `count` axes standardised, then scaled and shifted.
pub(super) fn normalised(
    site: &mut Site,
    x: &Slot,
    count: usize,
    epsilon: f64,
    (scale, bias): (Option<Slot>, Option<Slot>),
) -> Result<Slot, NodeError> {
    let result = standardised(site, x, count, epsilon)?;
    scaled_and_shifted(site, result, scale, bias)
}

/// `x/√(mean x² + ε)·scale`.
pub(super) fn rms_normalization(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, scale) = (site.input(0)?, site.input(1)?);
    let count = normalised_axes(site, site.shape(&x).len())?;
    let epsilon = epsilon(site, 1e-5)?;
    let result = divided_by_root_mean_square(site, &x, count, epsilon)?;
    scaled_and_shifted(site, result, Some(scale), None)
}

pub(super) fn divided_by_root_mean_square(site: &mut Site, x: &Slot, count: usize, epsilon: f64) -> Result<Slot, NodeError> {
    let rows = as_rows(site, x, count)?;
    let root = root_mean_square(site, &rows, epsilon)?;
    let result = site.binary(Binary::Div, &rows, &root)?;
    let shape = site.shape(x);
    site.reshape(&result, shape)
}

/// Every channel of every sample by itself.
pub(super) fn instance_normalization(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, scale, bias) = (site.input(0)?, site.input(1)?, site.input(2)?);
    let shape = site.shape(&x);
    if shape.len() < 3 {
        return Err(NodeError::invalid(format!("its input has the shape {shape:?}, without spatial axes")));
    }
    let epsilon = epsilon(site, 1e-5)?;
    let result = standardised(site, &x, shape.len() - 2, epsilon)?;
    let (scale, bias) = (site.per_channel(&scale, &shape)?, site.per_channel(&bias, &shape)?);
    scaled_and_shifted(site, result, Some(scale), Some(bias))
}

/// Groups of channels; scale and bias are per group before operator set 21, per channel since.
pub(super) fn group_normalization(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, scale, bias) = (site.input(0)?, site.input(1)?, site.input(2)?);
    let shape = site.shape(&x);
    let groups = site.optional_int("num_groups")?.ok_or_else(|| NodeError::attribute("num_groups", "is missing"))?;
    let groups = extent(groups, "num_groups")?;
    if shape.len() < 2 || groups == 0 || !shape[1].is_multiple_of(groups) {
        return Err(NodeError::invalid(format!("{groups} groups do not divide the channels of {shape:?}")));
    }
    let epsilon = epsilon(site, 1e-5)?;
    let grouped = site.reshape(&x, vec![shape[0], groups, product(&shape[1..]) / groups])?;
    let result = standardised(site, &grouped, 1, epsilon)?;
    let result = site.reshape(&result, shape.clone())?;
    let mut spread = |parameter: Slot| {
        if site.opset >= 21 {
            return site.per_channel(&parameter, &shape);
        }
        let own = site.shape(&parameter);
        if own != [groups] {
            return Err(NodeError::invalid(format!("a parameter of shape {own:?} does not fit {groups} groups")));
        }
        let width = shape[1] / groups;
        let channels = site.rearrange(&[parameter], vec![shape[1]], |index| source(0, index[0] / width))?;
        site.per_channel(&channels, &shape)
    };
    let (scale, bias) = (spread(scale)?, spread(bias)?);
    scaled_and_shifted(site, result, Some(scale), Some(bias))
}

/// `(x − mean)/(deviation + 10⁻⁹)`, over given axes.
pub(super) fn mean_variance_normalization(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    let reduced = axes(site.optional_ints("axes")?.unwrap_or(&[0, 2, 3]), shape.len())?;
    let order: Vec<usize> = (0..shape.len()).filter(|axis| !reduced.contains(axis)).chain(reduced.iter().copied()).collect();
    let moved = site.transpose(&x, &order)?;
    site.graph.record_rewriting(site.name);
    let rows = as_rows(site, &moved, reduced.len())?;
    let mean = site.reduce_last(Reduction::Mean, &rows, 1)?;
    let mean = along_rows(site, &mean, &rows)?;
    let centred = site.binary(Binary::Sub, &rows, &mean)?;
    let deviation = root_mean_square(site, &centred, 0.0)?;
    let small = site.scalar(f64::from(1e-9f32));
    let deviation = site.binary(Binary::Add, &deviation, &small)?;
    let result = site.binary(Binary::Div, &centred, &deviation)?;
    let moved_shape = site.shape(&moved);
    let result = site.reshape(&result, moved_shape)?;
    site.transpose(&result, &inverse(&order))
}

/// Division of the vectors along an axis by their norms.
pub(super) fn lp_normalization(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    let at = axis(site.int("axis", -1)?, shape.len())?;
    let p = site.int("p", 2)?;
    let order: Vec<usize> = (0..shape.len()).filter(|&axis| axis != at).chain([at]).collect();
    let moved = site.transpose(&x, &order)?;
    let rows = as_rows(site, &moved, 1)?;
    let norm = norm(site, &rows, p)?;
    let norm = along_rows(site, &norm, &rows)?;
    let result = site.binary(Binary::Div, &rows, &norm)?;
    let moved_shape = site.shape(&moved);
    let result = site.reshape(&result, moved_shape)?;
    site.transpose(&result, &inverse(&order))
}

/// The `p`-norm along the last axis.
pub(super) fn norm(site: &mut Site, rows: &Slot, p: i64) -> Result<Slot, NodeError> {
    let magnitudes = match p {
        1 => site.function(Function::Abs, rows)?,
        2 => site.binary(Binary::Mul, rows, rows)?,
        _ => {
            let reason = format!("the norm of order {p}; supported are 1 and 2");
            return Err(NodeError::unsupported(reason));
        }
    };
    let total = site.reduce_last(Reduction::Sum, &magnitudes, 1)?;
    if p == 1 { Ok(total) } else { site.function(Function::Sqrt, &total) }
}

/// `x/(bias + α/size·Σ x²)^β`, the sum over neighbouring channels.
pub(super) fn local_response_normalization(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    let size = site.optional_int("size")?.ok_or_else(|| NodeError::attribute("size", "is missing"))?;
    let size = extent(size, "size")?;
    if shape.len() < 2 || size == 0 {
        return Err(NodeError::invalid(format!("{size} channels of an input of shape {shape:?}")));
    }
    let (alpha, beta, bias) = (site.float("alpha", 1e-4)?, site.float("beta", 0.75)?, site.float("bias", 1.0)?);
    let (channels, inner) = (shape[1], product(&shape[2..]));
    // One row for every element: its neighbours, and zeros outside. A window has no more channels than there are.
    let (before, width) = ((size - 1) / 2, size.min(2 * channels + 1));
    let before = before.min(channels);
    let squares = site.binary(Binary::Mul, &x, &x)?;
    let operands = [squares, site.scalar(0.0)];
    let reach = size - 1 - (size - 1) / 2;
    let rows = site.rearrange(&operands, vec![shape[0], channels, inner, width], |index| {
        let channel =
            (index[1] + index[3]).checked_sub(before).filter(|&channel| channel < channels && channel <= index[1] + reach);
        channel.map_or_else(|| source(1, 0), |channel| source(0, (index[0] * channels + channel) * inner + index[2]))
    })?;
    let total = site.reduce_last(Reduction::Sum, &rows, 1)?;
    let total = site.reshape(&total, shape)?;
    #[allow(clippy::cast_precision_loss)] // far below 2⁵³
    let (alpha, size, bias) = (site.scalar(alpha), site.scalar(size as f64), site.scalar(bias));
    let factor = site.binary(Binary::Div, &alpha, &size)?;
    let scaled = site.binary(Binary::Mul, &total, &factor)?;
    let base = site.binary(Binary::Add, &scaled, &bias)?;
    let divisor = raised_to(site, &base, beta)?;
    site.binary(Binary::Div, &x, &divisor)
}

/// The permutation that undoes another.
fn inverse(order: &[usize]) -> Vec<usize> {
    (0..order.len()).map(|axis| order.iter().position(|&a| a == axis).unwrap_or(axis)).collect()
}
