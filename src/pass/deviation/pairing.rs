//! Nodes of two networks that do the same with what is paired already: from the input on, looking through reshapes. Nothing of it has to
//! be right; bounds are best where all of a network is paired.

use std::collections::{BTreeMap, HashSet};

use crate::kernel::model::ir::{Network, NodeId, Op};
use crate::kernel::proof::NodePair;

/// Pairs nodes of two networks with the same inputs.
#[must_use]
pub fn pairing(first: &Network, second: &Network) -> Vec<NodePair> {
    let (roots_of_first, roots_of_second) = (roots(first), roots(second));
    // Nodes of the first by what they are computed from.
    let mut users: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for id in first.ids().filter(|&id| is_candidate(first, id)) {
        let sources: HashSet<NodeId> = variables(first, id).map(|operand| roots_of_first[operand.index()]).collect();
        sources.into_iter().for_each(|source| users.entry(source).or_default().push(id));
    }
    let mut partners: BTreeMap<NodeId, NodeId> = BTreeMap::from([(second.input(), first.input())]);
    let mut taken = HashSet::new();
    let mut pairs = Vec::new();
    for id in second.ids().filter(|&id| is_candidate(second, id)) {
        let partner_of = |operand: NodeId| partners.get(&roots_of_second[operand.index()]).copied();
        let Some(source) = variables(second, id).next().and_then(partner_of) else { continue };
        let node = second.node(id);
        let fits = |other: NodeId| {
            let one = first.node(other);
            let fit = |(&a, &b): (&NodeId, &NodeId)| match (first.node(a).variable, second.node(b).variable) {
                (true, true) => partner_of(b) == Some(roots_of_first[a.index()]),
                (false, false) => first.node(a).size() == second.node(b).size(),
                _ => false,
            };
            one.op == node.op
                && one.size() == node.size()
                && one.operands.len() == node.operands.len()
                && one.operands.iter().zip(&node.operands).all(fit)
        };
        let found = users.get(&source).into_iter().flatten().copied().find(|&other| !taken.contains(&other) && fits(other));
        if let Some(other) = found {
            taken.insert(other);
            partners.insert(id, other);
            pairs.push(NodePair { first: other.index() as u32, second: id.index() as u32 });
        }
    }
    pairs
}

/// Whether a node computes something from the input.
fn is_candidate(network: &Network, id: NodeId) -> bool {
    let node = network.node(id);
    node.variable && !matches!(node.op, Op::Input | Op::Reshape)
}

fn variables(network: &Network, id: NodeId) -> impl Iterator<Item = NodeId> {
    network.node(id).operands.iter().copied().filter(|&operand| network.node(operand).variable)
}

/// What every node is a reshape of.
fn roots(network: &Network) -> Vec<NodeId> {
    let mut roots: Vec<NodeId> = Vec::with_capacity(network.nodes().len());
    for id in network.ids() {
        let node = network.node(id);
        roots.push(if node.op == Op::Reshape { roots[node.operands[0].index()] } else { id });
    }
    roots
}
