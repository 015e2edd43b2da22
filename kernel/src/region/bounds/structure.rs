//! What the graph alone says about where bounds can be won: computed once for all regions.

use std::collections::HashSet;

use crate::model::ir::{Binary, Function, Network, NodeId, Op, Reduction, Source};

/// Nodes where dependencies between elements matter: what is computed from a linear image of independent elements.
pub(super) fn mixing(network: &Network) -> Vec<bool> {
    // 0: independent elements; 1: a linear image of them, whose intervals are exact; 2: anything else.
    let mut level = vec![0u8; network.nodes().len()];
    for id in network.ids().filter(|&id| network.node(id).variable) {
        let node = network.node(id);
        let operands: Vec<NodeId> = node.operands.iter().copied().filter(|&o| network.node(o).variable).collect();
        let most = operands.iter().map(|o| level[o.index()]).max().unwrap_or(0);
        level[id.index()] = match (&node.op, operands.len()) {
            (_, 2..) => 2,
            (Op::Input | Op::Reshape | Op::Function(_) | Op::PRelu | Op::Binary(_), _) => most,
            // What is copied is no longer independent.
            (Op::Rearrange(sources), _) if most == 0 => u8::from(has_copies(sources)),
            (Op::Rearrange(_), _) => most,
            (Op::MatMul | Op::Conv(_) | Op::Reduce(Reduction::Sum | Reduction::Mean), _) if most == 0 => 1,
            _ => 2,
        };
    }
    level.into_iter().map(|level| level == 2).collect()
}

/// See [`super::LinearBounds::is_tail`].
pub(super) fn tail(network: &Network) -> Vec<bool> {
    let mut tail = vec![false; network.nodes().len()];
    let mut reached = vec![false; network.nodes().len()];
    // Behind a product on some way to the output.
    let mut behind = vec![false; network.nodes().len()];
    reached[network.output().index()] = true;
    for id in network.ids().collect::<Vec<_>>().into_iter().rev().filter(|id| network.node(*id).variable) {
        let node = network.node(id);
        if !reached[id.index()] {
            continue;
        }
        let variables = node.operands.iter().filter(|&&o| network.node(o).variable).count();
        let product = matches!(node.op, Op::MatMul | Op::Conv(_));
        let linear = match &node.op {
            Op::Input | Op::Reshape | Op::Rearrange(_) | Op::Function(Function::Neg) => true,
            Op::Reduce(Reduction::Sum | Reduction::Mean) | Op::Binary(Binary::Add | Binary::Sub) => true,
            Op::Binary(Binary::Mul) | Op::MatMul | Op::Conv(_) => variables == 1,
            Op::Binary(Binary::Div) => !network.node(node.operands[1]).variable,
            _ => false,
        };
        tail[id.index()] = linear && !behind[id.index()];
        for operand in &node.operands {
            reached[operand.index()] = true;
            behind[operand.index()] |= product || !tail[id.index()];
        }
    }
    tail
}

fn has_copies(sources: &[Source]) -> bool {
    let mut seen = HashSet::new();
    !sources.iter().all(|source| seen.insert((source.operand, source.element)))
}
