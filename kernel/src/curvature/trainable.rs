//! Which tensors of a model file count as trained: the convention that claims about all trainable parameters rest on.
//!
//! A convention, not a proof: a derivative with respect to a tensor that does not count is as true as any other. It must not ask
//! whether a tensor can be differentiated: one that is trained and cannot be is missing from every claim, and that is said.

use crate::model::ir::{Binary, Network, NodeId, Op};
use crate::model::onnx::StoredTensor;

/// Tells trained tensors from others.
pub struct Trainable {
    /// The constants that normalise the input.
    normalisation: Vec<NodeId>,
}

impl Trainable {
    #[must_use]
    pub fn of(network: &Network) -> Self {
        Self { normalisation: normalisation(network) }
    }

    /// Returns why a tensor does not count; `None` where it does.
    #[must_use]
    pub fn reason_against(&self, tensor: &StoredTensor) -> Option<&'static str> {
        if tensor.constants.is_empty() {
            return Some("it has no elements in the network");
        }
        if !tensor.initializer && tensor.shape.iter().product::<usize>() == 1 {
            return Some("one number of a `Constant` node");
        }
        let only = |role: fn(&str, usize) -> bool| {
            !tensor.readers.is_empty() && tensor.readers.iter().all(|(operator, input)| role(operator, *input))
        };
        if only(|operator, input| operator == "BatchNormalization" && input >= 3) {
            return Some("a BatchNormalization statistic");
        }
        if only(|operator, input| matches!((operator, input), ("Clip" | "Pad", 1..))) {
            return Some("a bound or padding value");
        }
        if tensor.shape.is_empty()
            && only(|operator, _| matches!(operator, "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Pow"))
        {
            return Some("a number without axes in elementwise arithmetic: part of a formula, as a rule");
        }
        if tensor.constants.iter().any(|constant| self.normalisation.contains(&constant.node)) {
            return Some("an input normalisation constant");
        }
        None
    }

    /// Returns how many numbers of the network come from integers of the file, which are no tensors that could be trained: weights
    /// that are stored as integers. Single numbers do not count.
    #[must_use]
    pub fn integers(network: &Network) -> u64 {
        let made = |operator: &str| matches!(operator, "Cast" | "CastLike" | "DequantizeLinear");
        let constants = network.nodes().iter().filter(|node| matches!(node.op, Op::Constant(_)) && made(&node.operator));
        constants.map(|node| node.size() as u64).filter(|&size| size > 1).sum()
    }

    /// Returns the trained tensors, in the order of the file, those that cannot be differentiated among them.
    pub fn select<'t>(&self, tensors: &'t [StoredTensor]) -> impl Iterator<Item = &'t StoredTensor> {
        tensors.iter().filter(|tensor| self.reason_against(tensor).is_none())
    }
}

/// The constants that normalise the input: subtrahends and divisors met before the first layer, and whatever scales or
/// shifts after them. (A factor alone may be a layer: a diagonal network begins with one.)
fn normalisation(network: &Network) -> Vec<NodeId> {
    let mut found = Vec::new();
    // Per node: does only elementwise arithmetic with constants lie between the input and it? Has it subtracted or divided?
    let mut prefix: Vec<Option<bool>> = vec![None; network.nodes().len()];
    prefix[network.input().index()] = Some(false);
    for id in network.ids() {
        let node = network.node(id);
        let reached: Vec<usize> = (0..node.operands.len()).filter(|&p| network.node(node.operands[p]).variable).collect();
        let [position] = reached[..] else { continue };
        let Some(normalised) = prefix[node.operands[position].index()] else { continue };
        prefix[id.index()] = match &node.op {
            Op::Reshape | Op::Rearrange(_) => Some(normalised),
            Op::Binary(binary) => {
                let normalises = matches!((binary, position), (Binary::Sub | Binary::Div, 0))
                    || (normalised && matches!(binary, Binary::Add | Binary::Mul));
                if normalises {
                    found.extend(origin(network, node.operands[1 - position]));
                }
                normalises.then_some(true)
            }
            _ => None,
        };
    }
    found
}

/// The constant that a node merely moves or copies.
fn origin(network: &Network, mut id: NodeId) -> Option<NodeId> {
    loop {
        let node = network.node(id);
        match (&node.op, &node.operands[..]) {
            (Op::Constant(_), _) => return Some(id),
            (Op::Reshape | Op::Rearrange(_), [only]) => id = *only,
            _ => return None,
        }
    }
}
