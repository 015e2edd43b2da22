//! The network under construction: its nodes, its limits, the constants whose exact values are known, and the tensors of the
//! file behind them.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::exact;
use super::slot::{Constant, Slot, Stated};
use crate::model::ir::{MAX_ELEMENTS, Network, NetworkBuilder, NodeId, Op, ShapeError, Tensor, element_count};
use crate::model::onnx::error::NodeError;
use crate::model::onnx::proto::DataType;
use crate::model::onnx::value::Value;

/// Elements that all tensors of one network may have together.
pub const MAX_TOTAL_ELEMENTS: usize = 1 << 28;

/// Largest number of axes.
const MAX_RANK: usize = 64;
/// Largest number of multiplications in one matrix product or convolution.
const MAX_PRODUCTS: usize = 1 << 40;
/// Longest name of a node; a longer one is cut, because one node of the file may become many nodes here.
const MAX_NAME: usize = 1 << 10;

fn shortened(name: &str) -> &str {
    name.char_indices().nth(MAX_NAME).map_or(name, |(end, _)| &name[..end])
}

/// The number of elements of a tensor that may be built.
pub fn checked_count(shape: &[usize]) -> Result<usize, NodeError> {
    if shape.len() > MAX_RANK {
        return Err(NodeError::unsupported(format!("a tensor of {} axes; at most {MAX_RANK} are supported", shape.len())));
    }
    let count = element_count(shape).filter(|&count| count <= MAX_ELEMENTS);
    count.ok_or_else(|| NodeError::Shape(ShapeError::TooLarge(shape.to_vec())))
}

/// What patterns may see of a node: everything except the values of a constant.
pub struct Seen<'a> {
    /// The operation; `None` for a constant.
    pub op: Option<&'a Op>,
    pub operands: &'a [NodeId],
    pub shape: &'a [usize],
    /// Whether the input reaches it.
    pub variable: bool,
}

/// A node of the network that holds elements of a tensor of the file.
pub struct Held {
    pub node: NodeId,
    /// Name of the tensor.
    pub tensor: String,
    /// Shape of the tensor in the file.
    pub shape: Arc<[usize]>,
    /// Per element of the node its flat index in the tensor; `None` where the order is the file's.
    pub elements: Option<Arc<[u32]>>,
}

/// A tensor of the file whose values the lowering has decided on.
pub struct Frozen {
    /// Name of the tensor.
    pub tensor: String,
    /// Shape of the tensor in the file.
    pub shape: Arc<[usize]>,
    /// The first node that decided on it, and its operator.
    pub by: (String, String),
}

/// The network under construction.
#[derive(Default)]
pub struct Graph {
    builder: NetworkBuilder,
    elements: usize,
    /// Exact values of small nodes that the input does not reach.
    exact: HashMap<NodeId, Rc<[f64]>>,
    /// The nodes that hold tensors of the file.
    held: Vec<Held>,
    /// Their positions in `held`.
    holders: HashMap<NodeId, usize>,
    frozen: Vec<Frozen>,
    /// Names of the frozen tensors.
    frozen_names: HashSet<String>,
    /// The nodes whose tensors are all frozen already.
    frozen_nodes: HashSet<NodeId>,
    /// Nodes of known values that float32 arithmetic does not reach exactly.
    rounded: HashSet<NodeId>,
    /// The first thing that makes the deployed network differ by more than the rounding of its operations, in words.
    precision: Option<String>,
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
        let name = shortened(name);
        let constant = op != Op::Input && operands.iter().all(|&id| !self.builder.node(id).variable);
        let exact = if constant && count <= exact::LIMIT && !matches!(op, Op::Constant(_)) {
            let known: Option<Vec<&[f64]>> = operands.iter().map(|&id| self.known_node(id)).collect();
            known.and_then(|known| exact::apply(&op, &known))
        } else {
            None
        };
        let id = self.builder.push(name, operator, op, operands, shape)?;
        if let Some(values) = exact {
            if !exact::is_single(&values) || operands.iter().any(|&id| self.is_rounded(id)) {
                self.rounded.insert(id);
            }
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

    /// Records a floating point tensor that is not of float32.
    pub fn record_precision(&mut self, tensor: &str, element: DataType) {
        if matches!(element, DataType::Float16 | DataType::Bfloat16 | DataType::Double) {
            self.differ(|| format!("`{}` is of {element:?}", shortened(tensor).escape_debug()));
        }
    }

    fn differ(&mut self, reason: impl Fn() -> String) {
        self.builder.obstruct_float32(&reason);
        self.precision.get_or_insert_with(reason);
    }

    /// Records that a node computes by other operations than the file's, in an order that is the same on real numbers alone.
    pub fn record_rewriting(&mut self, node: &str) {
        let name = shortened(node).escape_debug();
        self.builder.obstruct_float32(|| format!("`{name}` is rewritten in a way that rounds differently"));
    }

    /// Returns the first thing, in words, that makes the deployed network differ by more than the rounding of its operations.
    pub fn precision(&self) -> Option<&str> {
        self.precision.as_deref()
    }

    /// Whether float32 arithmetic arrives at other numbers than a node's known values.
    fn is_rounded(&self, id: NodeId) -> bool {
        let stated = |values: &[f64]| values.len() <= exact::LIMIT && !exact::is_single(values);
        self.rounded.contains(&id) || matches!(&self.builder.node(id).op, Op::Constant(tensor) if stated(tensor.data()))
    }

    /// Records a decision by a node on values that float32 arithmetic does not reach exactly.
    fn check_single(&mut self, slot: &Slot, node: &str) {
        let rounded = matches!(slot, Slot::Node(id) if self.rounded.contains(id))
            || self.known(slot).is_some_and(|values| !exact::is_single(values));
        if rounded {
            self.differ(|| {
                format!("`{}` depends on the value of a constant that float32 rounds", shortened(node).escape_debug())
            });
        }
    }

    /// What patterns may see of a node.
    pub fn see(&self, id: NodeId) -> Seen<'_> {
        let node = self.builder.node(id);
        let op = (!matches!(node.op, Op::Constant(_))).then_some(&node.op);
        Seen { op, operands: &node.operands, shape: &node.shape, variable: node.variable }
    }

    /// The exact value of a slot, where it is known; only for decisions on record (see [`Graph::decide`]).
    pub(super) fn known<'s>(&'s self, slot: &'s Slot) -> Option<&'s [f64]> {
        match slot {
            Slot::Constant(constant) => constant.value.as_float().map(Tensor::data),
            Slot::Node(id) => self.known_node(*id),
            Slot::Step(_) => None,
        }
    }

    /// The same for a node.
    pub(super) fn known_node(&self, id: NodeId) -> Option<&[f64]> {
        match &self.builder.node(id).op {
            Op::Constant(tensor) => Some(tensor.data()),
            _ => self.exact.get(&id).map(|values| &**values),
        }
    }

    /// Marks every tensor of the file that a constant is made of as frozen by a node, and records where float32 arithmetic would
    /// have had another value to decide on.
    pub(super) fn freeze(&mut self, slot: &Slot, by: (&str, &str)) {
        self.check_single(slot, by.0);
        match slot {
            Slot::Constant(constant) => {
                if let Some(stated) = &constant.stated {
                    self.freeze_tensor(&constant.name, &stated.shape.clone(), by);
                }
            }
            Slot::Step(_) => {}
            Slot::Node(id) => {
                let mut pending = vec![*id];
                while let Some(id) = pending.pop() {
                    if !self.frozen_nodes.insert(id) {
                        continue;
                    }
                    pending.extend_from_slice(&self.builder.node(id).operands);
                    if let Some(&position) = self.holders.get(&id) {
                        let (tensor, shape) = (self.held[position].tensor.clone(), self.held[position].shape.clone());
                        self.freeze_tensor(&tensor, &shape, by);
                    }
                }
            }
        }
    }

    fn freeze_tensor(&mut self, tensor: &str, shape: &Arc<[usize]>, (node, operator): (&str, &str)) {
        if self.frozen_names.insert(tensor.to_owned()) {
            let by = (shortened(node).to_owned(), operator.to_owned());
            self.frozen.push(Frozen { tensor: tensor.to_owned(), shape: shape.clone(), by });
        }
    }

    /// The finished network with that output, the nodes that hold tensors of the file, and the tensors that are frozen; `None`
    /// where the network has no input.
    pub fn finish(self, output: NodeId) -> Option<(Network, Vec<Held>, Vec<Frozen>)> {
        let (network, renamed) = self.builder.finish_renamed(output)?;
        let renamed = |held: Held| Some(Held { node: renamed.get(held.node.index()).copied().flatten()?, ..held });
        Some((network, self.held.into_iter().filter_map(renamed).collect(), self.frozen))
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
            Slot::Step(step) => step.node(),
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
        if let Some(Stated { shape, elements }) = constant.stated.clone() {
            self.holders.insert(id, self.held.len());
            self.held.push(Held { node: id, tensor: constant.name.clone(), shape, elements });
        }
        Ok(id)
    }
}
