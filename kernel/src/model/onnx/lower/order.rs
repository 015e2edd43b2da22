//! Which nodes the output needs, and in which order: every node after those that it reads.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::super::error::GraphError;
use super::super::proto::{GraphProto, NodeProto, TensorProto};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Input,
    Initializer(usize),
    Node(usize),
}

pub(super) struct Plan {
    pub origins: HashMap<String, Origin>,
    /// The needed nodes; in file order wherever that is possible.
    pub order: Vec<usize>,
    /// How often the needed nodes, and the graph output, read each value.
    pub uses: HashMap<String, usize>,
}

/// The name of a node for messages: its own, or that of its first output.
pub(super) fn label(node: &NodeProto) -> &str {
    if !node.name.is_empty() {
        return &node.name;
    }
    node.output.iter().find(|name| !name.is_empty()).unwrap_or(&node.op_type)
}

pub(super) fn plan(
    graph: &GraphProto,
    initializers: &[Option<TensorProto>],
    inputs: &[&str],
    output: &str,
) -> Result<Plan, GraphError> {
    let origins = origins(graph, initializers, inputs)?;
    let missing = || GraphError::MissingOutput { value: output.to_owned() };
    let mut needed = HashSet::new();
    let mut uses = HashMap::from([(output.to_owned(), 1)]);
    let mut pending: Vec<usize> = match origins.get(output).ok_or_else(missing)? {
        Origin::Node(index) => vec![*index],
        _ => Vec::new(),
    };
    let mut readers: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut waiting: HashMap<usize, usize> = HashMap::new();
    while let Some(index) = pending.pop() {
        if !needed.insert(index) {
            continue;
        }
        let mut sources = 0;
        for value in graph.node[index].input.iter().filter(|value| !value.is_empty()) {
            *uses.entry(value.clone()).or_insert(0) += 1;
            let origin = origins.get(value).ok_or_else(|| GraphError::MissingValue {
                value: value.clone(),
                node: label(&graph.node[index]).to_owned(),
                operator: graph.node[index].op_type.clone(),
            })?;
            if let Origin::Node(source) = origin {
                readers.entry(*source).or_default().push(index);
                sources += 1;
                pending.push(*source);
            }
        }
        waiting.insert(index, sources);
    }
    let order = sorted(&mut waiting, &readers);
    if order.len() < needed.len() {
        waiting.retain(|_, count| *count > 0);
        return Err(GraphError::Cycle { nodes: cycle(graph, &origins, &waiting) });
    }
    Ok(Plan { origins, order, uses })
}

fn origins(
    graph: &GraphProto,
    initializers: &[Option<TensorProto>],
    inputs: &[&str],
) -> Result<HashMap<String, Origin>, GraphError> {
    let mut origins: HashMap<String, Origin> = HashMap::new();
    let describe = |origin: Origin| match origin {
        Origin::Input => "a graph input".to_owned(),
        Origin::Initializer(_) => "an initialiser".to_owned(),
        Origin::Node(index) => format!("node `{}` ({})", label(&graph.node[index]), graph.node[index].op_type),
    };
    let tensors = initializers.iter().enumerate();
    let from_tensors = tensors.filter_map(|(i, t)| Some((t.as_ref()?.name.as_str(), Origin::Initializer(i))));
    let from_nodes = graph.node.iter().enumerate().flat_map(|(i, n)| n.output.iter().map(move |v| (v.as_str(), Origin::Node(i))));
    let all = inputs.iter().map(|&name| (name, Origin::Input)).chain(from_tensors).chain(from_nodes);
    for (value, origin) in all.filter(|(value, _)| !value.is_empty()) {
        if let Some(first) = origins.insert(value.to_owned(), origin) {
            return Err(GraphError::DuplicateValue { value: value.to_owned(), first: describe(first), second: describe(origin) });
        }
    }
    Ok(origins)
}

/// Repeatedly takes the first node in the file that waits for nothing. What remains waiting lies on or behind a cycle.
fn sorted(waiting: &mut HashMap<usize, usize>, readers: &HashMap<usize, Vec<usize>>) -> Vec<usize> {
    let mut ready: BinaryHeap<Reverse<usize>> =
        waiting.iter().filter(|(_, count)| **count == 0).map(|(index, _)| Reverse(*index)).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for reader in readers.get(&index).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(reader) {
                *count -= 1;
                if *count == 0 {
                    ready.push(Reverse(*reader));
                }
            }
        }
    }
    order
}

/// The nodes of one cycle among those that still wait: each of them reads another.
fn cycle(graph: &GraphProto, origins: &HashMap<String, Origin>, waiting: &HashMap<usize, usize>) -> Vec<String> {
    let Some(&start) = waiting.keys().min() else { return Vec::new() };
    let mut path = vec![start];
    let mut places = HashMap::from([(start, 0)]);
    let mut current = start;
    loop {
        let source = graph.node[current].input.iter().find_map(|value| match origins.get(value) {
            Some(Origin::Node(index)) if waiting.contains_key(index) => Some(*index),
            _ => None,
        });
        let Some(source) = source else { break };
        if let Some(&place) = places.get(&source) {
            path.drain(..place);
            break;
        }
        places.insert(source, path.len());
        path.push(source);
        current = source;
    }
    path.iter().rev().map(|&index| label(&graph.node[index]).to_owned()).collect()
}
