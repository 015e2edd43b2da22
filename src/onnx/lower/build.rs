//! The network under construction: its nodes, its limits, and the constants whose exact values are known.

use std::collections::HashMap;
use std::rc::Rc;

use super::super::error::NodeError;
use super::super::value::Value;
use super::exact;
use super::slot::{Constant, Slot, Stated};
use crate::ir::{MAX_ELEMENTS, NetworkBuilder, NodeId, Op, ShapeError, element_count};

/// Elements that all tensors of one network may have together.
pub(super) const MAX_TOTAL_ELEMENTS: usize = 1 << 28;

/// How many movements a pattern looks through.
pub(super) const MAX_MOVES: usize = 16;

/// Largest number of axes.
const MAX_RANK: usize = 64;
/// Largest number of multiplications in one matrix product or convolution.
const MAX_PRODUCTS: usize = 1 << 40;
/// Longest name of a node; a longer one is cut, because one node of the file may become many nodes here.
const MAX_NAME: usize = 1 << 10;

/// The number of elements of a tensor that may be built.
pub(super) fn checked_count(shape: &[usize]) -> Result<usize, NodeError> {
    if shape.len() > MAX_RANK {
        return Err(NodeError::unsupported(format!("a tensor of {} axes; at most {MAX_RANK} are supported", shape.len())));
    }
    let count = element_count(shape).filter(|&count| count <= MAX_ELEMENTS);
    count.ok_or_else(|| NodeError::Shape(ShapeError::TooLarge(shape.to_vec())))
}

/// The network under construction.
#[derive(Default)]
pub(super) struct Graph {
    pub builder: NetworkBuilder,
    elements: usize,
    /// Exact values of small nodes that the input does not reach.
    exact: HashMap<NodeId, Rc<[f64]>>,
    /// The constants that stand in the file: their nodes, the names of their tensors, and how they stand there.
    pub stated: Vec<(NodeId, String, Stated)>,
    /// The rectified sides of a reflection, shared by its two halves.
    pub rectified: HashMap<(NodeId, bool), Slot>,
}

impl Graph {
    /// Counts a tensor of that shape against the limits.
    pub fn charge(&mut self, shape: &[usize]) -> Result<usize, NodeError> {
        let count = checked_count(shape)?;
        self.elements = self.elements.saturating_add(count);
        if self.elements > MAX_TOTAL_ELEMENTS {
            let reason = format!("the tensors of the network have more than {MAX_TOTAL_ELEMENTS} elements together");
            return Err(NodeError::unsupported(reason));
        }
        Ok(count)
    }

    pub fn push(
        &mut self,
        (name, operator): (&str, &str),
        op: Op,
        operands: &[NodeId],
        shape: Vec<usize>,
    ) -> Result<NodeId, NodeError> {
        let count = self.charge(&shape)?;
        self.check_work(&op, operands, count)?;
        let name = name.char_indices().nth(MAX_NAME).map_or(name, |(end, _)| &name[..end]);
        let constant = op != Op::Input && operands.iter().all(|&id| !self.builder.node(id).variable);
        let exact = if constant && count <= exact::LIMIT && !matches!(op, Op::Constant(_)) {
            let known: Option<Vec<&[f64]>> = operands.iter().map(|&id| self.exact(id)).collect();
            known.and_then(|known| exact::apply(&op, &known))
        } else {
            None
        };
        let id = self.builder.push(name, operator, op, operands, shape)?;
        if let Some(values) = exact {
            self.exact.insert(id, values.into());
        }
        Ok(id)
    }

    /// A few small tensors can ask for more multiplications than anyone waits for.
    fn check_work(&self, op: &Op, operands: &[NodeId], outputs: usize) -> Result<(), NodeError> {
        let shape = |index: usize| operands.get(index).map_or(&[][..], |&id| &self.builder.node(id).shape);
        let each = match op {
            Op::MatMul => shape(0).last().copied().unwrap_or(0),
            Op::Conv(geometry) => {
                let taps = geometry.axes.iter().fold(1usize, |n, axis| n.saturating_mul(axis.kernel).saturating_mul(axis.output));
                checked_count(&[taps])?;
                let kernel = geometry.axes.iter().fold(1usize, |n, axis| n.saturating_mul(axis.kernel));
                kernel.saturating_mul(geometry.in_channels.checked_div(geometry.groups).unwrap_or(0))
            }
            _ => return Ok(()),
        };
        if outputs.saturating_mul(each) > MAX_PRODUCTS {
            return Err(NodeError::unsupported(format!("it needs more than {MAX_PRODUCTS} multiplications")));
        }
        Ok(())
    }

    /// The exact value of a node, where it is known.
    pub fn exact(&self, id: NodeId) -> Option<&[f64]> {
        match &self.builder.node(id).op {
            Op::Constant(tensor) => Some(tensor.data()),
            _ => self.exact.get(&id).map(|values| &**values),
        }
    }

    /// The exactly known values that a node merely moves or copies.
    pub fn origin(&self, mut id: NodeId) -> Option<&[f64]> {
        for _ in 0..MAX_MOVES {
            if let Some(values) = self.exact(id) {
                return Some(values);
            }
            let node = self.builder.node(id);
            match (&node.op, &node.operands[..]) {
                (Op::Reshape | Op::Rearrange(_), [only]) => id = *only,
                _ => return None,
            }
        }
        None
    }

    pub fn shape(&self, slot: &Slot) -> Vec<usize> {
        match slot {
            Slot::Constant(constant) => constant.value.shape().to_vec(),
            Slot::Node(id) => self.builder.node(*id).shape.clone(),
            Slot::Step(step) => step.shape().to_vec(),
        }
    }

    /// The node of a slot; a constant becomes one now.
    pub fn node(&mut self, slot: &Slot) -> Result<NodeId, NodeError> {
        match slot {
            Slot::Node(id) => Ok(*id),
            Slot::Step(step) => Err(step.refusal()),
            Slot::Constant(constant) => match constant.node.get() {
                Some(id) => Ok(id),
                None => self.push_constant(constant),
            },
        }
    }

    fn push_constant(&mut self, constant: &Constant) -> Result<NodeId, NodeError> {
        let Value::Float(tensor) = &constant.value else {
            let (kind, name) = (constant.value.kind(), &constant.name);
            return Err(NodeError::unsupported(format!("`{name}` is {kind} where a floating point tensor is needed")));
        };
        if let Some(position) = tensor.data().iter().position(|value| !value.is_finite()) {
            let (value, name) = (tensor.data()[position], &constant.name);
            return Err(NodeError::unsupported(format!("element {position} of the tensor `{name}` is {value}")));
        }
        let (op, shape) = (Op::Constant(tensor.clone()), tensor.shape().to_vec());
        let id = self.push((&constant.name, &constant.operator), op, &[], shape)?;
        constant.node.set(Some(id));
        if let Some(stated) = &constant.stated {
            self.stated.push((id, constant.name.clone(), stated.clone()));
        }
        Ok(id)
    }
}
