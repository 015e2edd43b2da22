//! Batch normalisation at inference.

use super::super::error::NodeError;
use super::graph::Slot;
use super::site::Site;
use crate::ir::{Binary, Function};

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
