//! What the shape of a network says about its second derivatives with respect to parameters.

use crate::model::ir::{Binary, Function, Network, NodeId, Op};

/// Where a network stops being piecewise linear in each single parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// The first node that is not piecewise linear.
    pub curved: Option<String>,
    /// The first node that multiplies two quantities which depend on the same parameter.
    pub tied: Option<String>,
}

impl Structure {
    /// Of the part of the network that `output` needs; each group of constants is one parameter.
    #[must_use]
    pub fn of(network: &Network, output: NodeId, parameters: &[Vec<NodeId>]) -> Self {
        // Per node the set of parameters that it depends on, as bits; empty for none.
        let words = parameters.len().div_ceil(64);
        let mut sets: Vec<Vec<u64>> = vec![Vec::new(); network.nodes().len()];
        for (index, constant) in parameters.iter().enumerate().flat_map(|(index, nodes)| nodes.iter().map(move |n| (index, n))) {
            let set = &mut sets[constant.index()];
            set.resize(words, 0);
            set[index / 64] |= 1 << (index % 64);
        }
        let needed = needed(network, output);
        let mut found = Self { curved: None, tied: None };
        for id in network.ids().filter(|id| needed[id.index()]) {
            let node = network.node(id);
            let mut union = std::mem::take(&mut sets[id.index()]);
            for operand in node.operands.iter().filter(|operand| !sets[operand.index()].is_empty()) {
                union.resize(words, 0);
                sets[operand.index()].iter().zip(&mut union).for_each(|(from, to)| *to |= from);
            }
            if union.is_empty() {
                continue;
            }
            let name = || format!("{} ({})", node.name, node.operator);
            if found.tied.is_none()
                && matches!(node.op, Op::MatMul | Op::Conv(_) | Op::Binary(Binary::Mul) | Op::PRelu)
                && let [a, b] = node.operands[..]
                && sets[a.index()].iter().zip(&sets[b.index()]).any(|(a, b)| a & b != 0)
            {
                found.tied = Some(name());
            }
            let linear = match &node.op {
                Op::Binary(Binary::Div) => sets[node.operands[1].index()].is_empty(),
                Op::Function(function) | Op::Increment(function) => piecewise_linear(function),
                Op::Softmax | Op::Equilibrium(_) => false,
                _ => true,
            };
            if !linear && found.curved.is_none() {
                found.curved = Some(name());
            }
            sets[id.index()] = union;
        }
        found
    }

    /// Whether the output, as a function of any single parameter, is piecewise linear. Then the diagonal of the Hessian is that of
    /// the Gauss–Newton matrix wherever the loss is twice differentiable, whatever the loss: the second derivative of the
    /// output with respect to one parameter vanishes.
    #[must_use]
    pub const fn piecewise_multilinear(&self) -> bool {
        self.curved.is_none() && self.tied.is_none()
    }
}

/// Which nodes does `output` need?
#[must_use]
pub fn needed(network: &Network, output: NodeId) -> Vec<bool> {
    let mut needed = vec![false; network.nodes().len()];
    needed[output.index()] = true;
    for index in (0..=output.index()).rev() {
        if needed[index] {
            network.nodes()[index].operands.iter().for_each(|operand| needed[operand.index()] = true);
        }
    }
    needed
}

/// Whether the function is continuous and piecewise linear. Then its second derivative is zero, but at kinks.
pub const fn piecewise_linear(function: &Function) -> bool {
    matches!(
        function,
        Function::Neg
            | Function::Abs
            | Function::Relu
            | Function::LeakyRelu { .. }
            | Function::Clip { .. }
            | Function::HardSigmoid { .. }
    )
}

/// The node that a loss applies to: for cross-entropy the logits, before a Softmax that ends the network (then `true`).
#[must_use]
pub fn logits(network: &Network, cross_entropy: bool) -> (NodeId, bool) {
    let mut id = network.output();
    if cross_entropy {
        loop {
            let node = network.node(id);
            match (&node.op, &node.operands[..]) {
                (Op::Softmax, [operand]) if node.shape.last() == Some(&node.size()) => return (*operand, true),
                (Op::Reshape, [operand]) => id = *operand,
                _ => break,
            }
        }
    }
    (network.output(), false)
}
