//! Lowering: from the graph of an ONNX file to a [`Network`].
//!
//! Invariants: nothing is guessed — an operator, attribute or pattern that is not fully understood is an error that names its
//! node; nothing is rounded — constants are moved and integers folded, but floating point arithmetic on constants becomes
//! nodes of the network. Only what the output depends on is lowered, in one pass without recursion.

mod activation;
mod attributes;
mod cast;
mod comparison;
mod contrib;
mod conv;
mod einsum;
mod elementwise;
mod folding;
mod foreign;
mod gates;
mod graph;
mod grid;
mod householder;
mod indexing;
mod indices;
mod interface;
mod linear;
mod masked;
mod movement;
mod normalization;
mod operators;
mod order;
mod piecewise;
mod pooling;
mod quantization;
mod ratio;
mod recurrent;
mod reduce;
mod resize;
mod scatter;
mod site;
#[cfg(test)]
mod tests;
mod trees;
mod versions;
mod windows;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::error::{FormatError, GraphError, LoadError, NodeError};
use super::external::ExternalData;
use super::proto::{DataType, ModelProto, NodeProto, TensorProto};
use super::value::decode_tensor;
use crate::model::ir::{Network, NodeId, Op};
use graph::{CONSTANT, Frozen, Graph, Held, INITIALIZER, Slot};
use operators::Lower;
use order::{Origin, Plan, label};
use site::Site;

/// Returns the names of all operators that are understood, in alphabetical order.
pub fn supported_operators() -> impl Iterator<Item = &'static str> {
    operators::names()
}

/// A name and a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub shape: Vec<usize>,
}

/// A floating point tensor of the file, and where it stands in the network.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    /// Name of the initialiser, or of the value that a `Constant` node makes.
    pub name: String,
    /// Shape in the file.
    pub shape: Vec<usize>,
    /// Whether it is an initialiser, not the value of a `Constant` node.
    pub initializer: bool,
    /// The operators that read it directly, and as which of their inputs (from 0).
    pub readers: Vec<(String, usize)>,
    /// The nodes of the network that hold its elements; together they hold no element twice.
    pub constants: Vec<StoredConstant>,
    /// The node whose lowering its values decided, if there is one. The network need not depend on the tensor the way the file
    /// does, and derivatives of the network with respect to it mean nothing.
    pub frozen_by: Option<GraphNode>,
}

/// A node of the file's graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphNode {
    pub name: String,
    pub operator: String,
}

impl StoredTensor {
    /// Whether derivatives of the network with respect to its elements are those of the file's function.
    #[must_use]
    pub const fn is_differentiable(&self) -> bool {
        self.frozen_by.is_none() && !self.constants.is_empty()
    }
}

/// A node that holds elements of a tensor of the file.
#[derive(Clone, Debug)]
pub struct StoredConstant {
    pub node: NodeId,
    /// Per element of the node its flat index in the tensor; `None` where the node holds the whole tensor in its order.
    pub elements: Option<Arc<[u32]>>,
}

/// What a model was lowered to.
pub(super) struct Lowered {
    pub network: Network,
    pub opset: i64,
    pub operators: Vec<(String, usize)>,
    pub parameters: usize,
    pub tensors: Vec<StoredTensor>,
    pub input: Port,
    pub output: Port,
    pub notes: Vec<String>,
}

pub(super) fn lower(model: ModelProto, external: &mut ExternalData) -> Result<Lowered, LoadError> {
    if let Some(function) = model.functions.first() {
        let (domain, name) = (function.domain.clone(), function.name.clone());
        return Err(FormatError::Functions { domain, name }.into());
    }
    let opset = interface::opset(&model.opset_import)?;
    let mut graph = model.graph.ok_or(FormatError::NoGraph)?;
    if let Some(sparse) = graph.sparse_initializer.first() {
        let name = sparse.values.as_ref().map(|values| values.name.clone()).unwrap_or_default();
        return Err(GraphError::SparseInitializer { name }.into());
    }
    let tensors: Vec<Option<TensorProto>> = std::mem::take(&mut graph.initializer).into_iter().map(Some).collect();
    let names: HashSet<&str> = tensors.iter().flatten().map(|tensor| tensor.name.as_str()).collect();
    let input = interface::input(&graph, &names)?;
    let output = interface::output(&graph)?;
    let (shape, mut notes) = interface::shape(input)?;
    let plan = order::plan(&graph, &tensors, &[&input.name], &output.name)?;
    let element = interface::element(input);
    let input = Port { name: input.name.clone(), shape };

    let foreign = model.opset_import.iter().filter(|import| !interface::is_default(&import.domain));
    let foreign = foreign.map(|import| (import.domain.clone(), import.version)).collect();
    let mut walk = Walk { opset, foreign, slots: HashMap::new(), remaining: plan.uses.clone(), tensors, built: Graph::default() };
    walk.push_input(&input)?;
    walk.built.record_precision(&input.name, element);
    for &index in &plan.order {
        walk.step(&graph.node[index], &plan, external)?;
    }
    let output_name = &output.name;
    let constant = || GraphError::ConstantOutput { value: output_name.clone() };
    let slot = walk.read(output_name, &plan, external)?.ok_or_else(constant)?;
    let producer = match plan.origins.get(output_name) {
        Some(Origin::Node(index)) => graph.node.get(*index),
        _ => None,
    };
    let id = match walk.built.node(&slot) {
        Ok(id) if walk.built.see(id).variable => id,
        Err(error) if matches!(slot, Slot::Step(_)) => return Err(at(producer, opset, error)),
        _ => return Err(constant().into()),
    };
    let output = Port { name: output_name.clone(), shape: walk.built.see(id).shape.to_vec() };
    if output.shape.contains(&0) {
        let reason = format!("is empty: its shape is {:?}", output.shape);
        return Err(GraphError::Value { role: "output", value: output.name, reason, hint: None }.into());
    }
    if let Some(reason) = walk.built.precision().filter(|_| element == DataType::Float) {
        notes.push(format!("{reason}: its values are taken as real numbers"));
    }
    let (network, held, frozen) = walk.built.finish(id).ok_or(GraphError::NoInput)?;
    let tensors = stored(held, frozen, &plan, &graph.node);
    let mut operators = BTreeMap::new();
    for &index in &plan.order {
        *operators.entry(graph.node[index].op_type.clone()).or_insert(0) += 1;
    }
    let parameters = parameters(&network);
    let operators = operators.into_iter().collect();
    Ok(Lowered { network, opset, operators, parameters, tensors, input, output, notes })
}

/// Elements of the constants that stand in the file.
fn parameters(network: &Network) -> usize {
    let stated = |operator: &str| matches!(operator, INITIALIZER | CONSTANT);
    let constants = network.nodes().iter().filter(|node| matches!(node.op, Op::Constant(_)) && stated(&node.operator));
    constants.map(crate::model::ir::Node::size).sum()
}

/// The floating point tensors of the file that the network needs, or whose values decided what it is, in the order of the file.
fn stored(held: Vec<Held>, frozen: Vec<Frozen>, plan: &Plan, nodes: &[NodeProto]) -> Vec<StoredTensor> {
    let mut found: BTreeMap<(bool, usize, String), StoredTensor> = BTreeMap::new();
    let mut tensor = |name: String, shape: &[usize], change: &mut dyn FnMut(&mut StoredTensor)| {
        let key = match plan.origins.get(&name) {
            Some(Origin::Initializer(index)) => (false, *index, name.clone()),
            Some(Origin::Node(index)) => (true, *index, name.clone()),
            _ => (true, usize::MAX, name.clone()),
        };
        let (initializer, shape) = (!key.0, shape.to_vec());
        change(found.entry(key).or_insert_with(|| StoredTensor {
            name,
            shape,
            initializer,
            readers: Vec::new(),
            constants: Vec::new(),
            frozen_by: None,
        }));
    };
    for Held { node, tensor: name, shape, elements } in held {
        tensor(name, &shape, &mut |tensor| tensor.constants.push(StoredConstant { node, elements: elements.clone() }));
    }
    for Frozen { tensor: name, shape, by: (node, operator) } in frozen {
        let by = GraphNode { name: node, operator };
        tensor(name, &shape, &mut |tensor| tensor.frozen_by = Some(by.clone()));
    }
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut tensors: Vec<StoredTensor> = found.into_values().collect();
    for (position, tensor) in tensors.iter().enumerate() {
        positions.insert(tensor.name.clone(), position);
    }
    for &index in &plan.order {
        for (input, value) in nodes[index].input.iter().enumerate() {
            if let Some(&position) = positions.get(value) {
                tensors[position].readers.push((nodes[index].op_type.clone(), input));
            }
        }
    }
    tensors
}

fn at(node: Option<&NodeProto>, opset: i64, error: NodeError) -> LoadError {
    match node {
        Some(node) => LoadError::node(label(node), &node.op_type, opset, error),
        None => LoadError::node("", "", opset, error),
    }
}

/// The walk over the nodes.
struct Walk {
    opset: i64,
    /// The versions of other domains.
    foreign: HashMap<String, i64>,
    slots: HashMap<String, Slot>,
    /// How often each value is still to be read; then its slot is dropped.
    remaining: HashMap<String, usize>,
    tensors: Vec<Option<TensorProto>>,
    built: Graph,
}

impl Walk {
    fn push_input(&mut self, input: &Port) -> Result<(), LoadError> {
        let refuse = |error: NodeError| GraphError::Value {
            role: "input",
            value: input.name.clone(),
            reason: error.to_string(),
            hint: None,
        };
        let id = self.built.push((&input.name, "Input"), Op::Input, &[], input.shape.clone()).map_err(refuse)?;
        self.slots.insert(input.name.clone(), Slot::Node(id));
        Ok(())
    }

    /// The slot of a value, for one of its readers; an initialiser is decoded when it is first read.
    fn read(&mut self, value: &str, plan: &Plan, external: &mut ExternalData) -> Result<Option<Slot>, LoadError> {
        let slot = match self.slots.get(value) {
            Some(slot) => slot.clone(),
            None => match plan.origins.get(value) {
                Some(Origin::Initializer(index)) => {
                    let Some(tensor) = self.tensors.get_mut(*index).and_then(Option::take) else { return Ok(None) };
                    let decoded = decode_tensor(&tensor, external).map_err(|kind| LoadError::tensor(&tensor.name, kind))?;
                    let element = DataType::try_from(tensor.data_type).unwrap_or(DataType::Undefined);
                    self.built.record_precision(value, element);
                    let slot = Slot::constant(decoded, element, value, INITIALIZER);
                    self.keep(value, &slot, plan);
                    slot
                }
                _ => return Ok(None),
            },
        };
        if let Some(remaining) = self.remaining.get_mut(value) {
            *remaining = remaining.saturating_sub(1);
            if *remaining == 0 {
                self.slots.remove(value);
            }
        }
        Ok(Some(slot))
    }

    fn keep(&mut self, value: &str, slot: &Slot, plan: &Plan) {
        if let Slot::Constant(constant) = slot
            && plan.uses.get(value).is_some_and(|&uses| uses > 1)
        {
            constant.share();
        }
        self.slots.insert(value.to_owned(), slot.clone());
    }

    fn step(&mut self, node: &NodeProto, plan: &Plan, external: &mut ExternalData) -> Result<(), LoadError> {
        let mut inputs = Vec::with_capacity(node.input.len());
        for value in &node.input {
            inputs.push(if value.is_empty() { None } else { self.read(value, plan, external)? });
        }
        let read = |value: &String| !value.is_empty() && plan.uses.contains_key(value);
        let used = node.output.iter().map(read).collect();
        let outputs = self
            .apply(node, inputs, used, external)
            .map_err(|error| LoadError::node(label(node), &node.op_type, self.opset, error))?;
        for (position, value) in node.output.iter().enumerate() {
            if value.is_empty() || !plan.uses.contains_key(value) {
                continue;
            }
            let Some(slot) = outputs.get(position) else {
                let reason = format!("its output {} (`{value}`) is used", position + 1);
                let error = NodeError::unsupported(reason);
                return Err(LoadError::node(label(node), &node.op_type, self.opset, error));
            };
            self.keep(value, slot, plan);
        }
        Ok(())
    }

    fn apply(
        &mut self,
        node: &NodeProto,
        inputs: Vec<Option<Slot>>,
        used: Vec<bool>,
        external: &mut ExternalData,
    ) -> Result<Vec<Slot>, NodeError> {
        let attributes: Vec<&str> = node.attribute.iter().map(|attribute| attribute.name.as_str()).collect();
        // Trailing omitted inputs are as good as none.
        let given = inputs.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let (operator, opset) = if interface::is_default(&node.domain) {
            (operators::find(&node.op_type, self.opset, given, &attributes)?, self.opset)
        } else {
            let opset = self.foreign.get(&node.domain).copied().unwrap_or(1);
            (foreign::find(&node.domain, &node.op_type, opset, given, &attributes)?, opset)
        };
        let name = match (operator.name, node.output.first()) {
            (CONSTANT, Some(output)) => output,
            _ => label(node),
        };
        let mut site = Site { proto: node, name, opset, used, inputs, graph: &mut self.built, external };
        match operator.lower {
            Lower::One(lower) => lower(&mut site).map(|slot| vec![slot]),
            Lower::Many(lower) => lower(&mut site),
        }
    }
}
