//! Values of which some are −∞, as the masks of attention write them: known only to a softmax, where they are zeros.

use std::rc::Rc;

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::Value;
use super::comparison::Step;
use super::folding::broadcast_source;
use super::graph::Slot;
use super::indices::{broadcast_shapes, flat, for_each_index, source, strides};
use super::site::Site;
use crate::model::ir::{Binary, NodeId, Op, Tensor};

/// A tensor with −∞ in some places.
#[derive(Clone)]
pub(super) struct Masked {
    /// The values; what stands in the places of −∞ does not matter.
    node: NodeId,
    pub shape: Vec<usize>,
    /// Where it is −∞.
    mask: Rc<[bool]>,
}

impl Masked {
    pub fn refusal() -> NodeError {
        NodeError::unsupported_with_hint(
            "−∞ stands in a tensor that is used otherwise than by a Softmax of its last axis",
            "mask attention right before its Softmax, or mask with a large finite number such as −10⁴",
        )
    }
}

/// Where a constant is −∞, and its other values; `None` where it is not known, or finite. It steers the lowering: the tensor
/// is frozen.
fn infinite(site: &mut Site, slot: &Slot) -> Option<(Vec<bool>, Vec<f64>)> {
    if !matches!(slot, Slot::Constant(_)) {
        return None;
    }
    site.decide(|reader| {
        let values = reader.exact(slot)?;
        let mask: Vec<bool> = values.iter().map(|&value| value == f64::NEG_INFINITY).collect();
        mask.contains(&true).then(|| {
            let finite = values.iter().map(|&value| if value == f64::NEG_INFINITY { 0.0 } else { value }).collect();
            (mask, finite)
        })
    })
}

/// A choice by a constant condition between values and −∞.
pub(super) fn choose(
    site: &mut Site,
    condition: &[bool],
    a: &Slot,
    b: &Slot,
    shape: &[usize],
) -> Result<Option<Slot>, NodeError> {
    let sides = [(a, b, true), (b, a, false)];
    let Some((mask, other, chosen)) = sides.into_iter().find_map(|(constant, other, chosen)| {
        let (mask, _) = infinite(site, constant)?;
        mask.iter().all(|&infinite| infinite).then_some((mask, other, chosen))
    }) else {
        return Ok(None);
    };
    if mask.is_empty() || matches!(other, Slot::Step(_)) {
        return Ok(None);
    }
    let values = site.broadcast(other, shape)?;
    let mask = condition.iter().map(|&truth| truth == chosen).collect();
    masked(site, &values, mask).map(Some)
}

/// A sum of values and a constant with −∞ in some places.
pub(super) fn sum(site: &mut Site, a: &Slot, b: &Slot) -> Result<Option<Slot>, NodeError> {
    for (constant, other) in [(a, b), (b, a)] {
        if site.is_constant(other) || matches!(other, Slot::Step(_)) {
            continue;
        }
        let Some((mask, finite)) = infinite(site, constant) else { continue };
        let (own, rest) = (site.shape(constant), site.shape(other));
        let shape = broadcast_shapes(&own, &rest)?;
        let misfit = || NodeError::invalid("a shape does not fit its values");
        let finite = Tensor::new(own.clone(), finite).ok_or_else(misfit)?;
        let finite = site.constant(Value::Float(finite), DataType::Float)?;
        let values = site.binary(Binary::Add, other, &finite)?;
        let element = broadcast_source(&[&own], &shape);
        let mut spread = Vec::with_capacity(mask.len());
        for_each_index(&shape, |index| spread.push(mask.get(element(0, index).element as usize).copied().unwrap_or(false)));
        return masked(site, &values, spread).map(Some);
    }
    Ok(None)
}

fn masked(site: &mut Site, values: &Slot, mask: Vec<bool>) -> Result<Slot, NodeError> {
    let shape = site.shape(values);
    if mask.iter().all(|masked| !masked) {
        return Ok(values.clone());
    }
    let node = site.graph.node(values)?;
    Ok(Slot::Step(Step::Masked(Masked { node, shape, mask: mask.into() }).into()))
}

/// The softmax of rows of which some elements are −∞: of the others, and zeros.
pub(super) fn softmax(site: &mut Site, masked: &Masked) -> Result<Slot, NodeError> {
    let width = masked.shape.last().copied().unwrap_or(1).max(1);
    let rows: Vec<&[bool]> = masked.mask.chunks(width).collect();
    let kept = |row: &[bool]| row.iter().filter(|masked| !**masked).count();
    if rows.iter().any(|row| kept(row) == 0) {
        return Err(NodeError::unsupported("a row of its input is −∞ throughout, of which the softmax is undefined"));
    }
    let mut counts: Vec<usize> = rows.iter().map(|row| kept(row)).collect();
    counts.sort_unstable();
    counts.dedup();
    let values = Slot::Node(masked.node);
    let mut operands = vec![site.scalar(0.0)];
    // Where each element of the result comes from.
    let mut from = vec![source(0, 0); masked.mask.len()];
    for count in counts {
        let mut taken = Vec::new();
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| kept(row) == count) {
            for (column, _) in row.iter().enumerate().filter(|(_, masked)| !**masked) {
                from[index * width + column] = source(operands.len(), taken.len());
                taken.push(index * width + column);
            }
        }
        let shape = vec![taken.len() / count, count];
        let part = site.rearrange(std::slice::from_ref(&values), shape.clone(), |index| {
            source(0, taken.get(index[0] * count + index[1]).copied().unwrap_or(usize::MAX))
        })?;
        operands.push(site.push(Op::Softmax, &[&part], shape)?);
    }
    let steps = strides(&masked.shape);
    site.rearrange(&operands, masked.shape.clone(), |index| from.get(flat(index, &steps)).copied().unwrap_or(source(0, 0)))
}
