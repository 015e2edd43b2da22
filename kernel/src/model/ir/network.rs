//! `Network`: a directed acyclic graph of a dozen operations over shaped tensors, batch size one.
//!
//! Invariant: a `Network` is well formed. Every operand precedes its node, every shape follows from its operands, every
//! index is in range; [`NetworkBuilder::push`] refuses anything else, so later rooms never check again.

use super::conv::ConvGeometry;
use super::function::Function;
use super::tensor::{Tensor, element_count};

/// Position of a node in its network; operands always have smaller ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where an element of a [`Op::Rearrange`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Which operand.
    pub operand: u32,
    /// Flat index into it.
    pub element: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
}

/// One operation. Operands are the node's inputs, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The network's input, of the node's shape.
    Input,
    Constant(Tensor),
    /// The operand's elements in their order, under another shape.
    Reshape,
    /// Any movement of elements: transposes, slices, concatenations, gathers, broadcasts, paddings, pooling windows.
    /// One source per output element.
    Rearrange(Vec<Source>),
    /// `[batch, m, k] × [batch, k, n] → [batch, m, n]`.
    MatMul,
    /// Operands: input and weights, shaped as the geometry says.
    Conv(ConvGeometry),
    /// Two operands of the same shape.
    Binary(Binary),
    Function(Function),
    /// `φ(z + δ) − φ(z)`, operands `z`, `δ` and their sum, a node of its own, all of the same shape: how far apart two copies of
    /// a function are whose arguments are `δ` apart.
    Increment(Function),
    /// Operands `x` and `slope` of the same shape: `x` for `x ≥ 0`, `slope·x` otherwise.
    PRelu,
    /// `[groups, size] → [groups]` over the last axis.
    Reduce(Reduction),
    /// `[groups, size]`: each row sorted.
    Sort {
        descending: bool,
    },
    /// `[groups, size]`: each row normalised.
    Softmax,
    /// `z = φ(z·weights + injection)`, operands `injection` of shape `[1, 1, n]`, which depends on the input, and constant
    /// `weights` of shape `[1, n, n]`: the solution `z`. That there is exactly one is for whoever makes a claim to prove.
    Equilibrium(Function),
}

/// A node: an operation, its operands, and the graph node it was made from (for messages).
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name of the node in the model file.
    pub name: String,
    /// Operator of the node in the model file.
    pub operator: String,
    pub op: Op,
    pub operands: Vec<NodeId>,
    pub shape: Vec<usize>,
    /// Whether the input reaches this node.
    pub variable: bool,
}

impl Node {
    /// Number of elements of the node's value.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Why an operation cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("operand {0} does not exist")]
    UnknownOperand(usize),
    #[error("{operation} does not accept operands of shapes {shapes:?} with result {result:?}")]
    Mismatch { operation: &'static str, shapes: Vec<Vec<usize>>, result: Vec<usize> },
    #[error("a tensor of shape {0:?} is larger than the limit of {MAX_ELEMENTS} elements")]
    TooLarge(Vec<usize>),
    #[error("a network has exactly one input")]
    SecondInput,
    #[error("the operands of an increment are two nodes and their sum")]
    Increment,
    #[error("an implicit equation has constant weights and an argument that depends on the input")]
    Loop,
    #[error("more than {MAX_NODES} nodes")]
    TooManyNodes,
}

/// Largest tensor that is ever built.
pub const MAX_ELEMENTS: usize = 1 << 27;
/// Characters of a name that are kept.
const LONGEST_NAME: usize = 200;
/// Largest number of nodes.
pub const MAX_NODES: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    nodes: Vec<Node>,
    input: NodeId,
    output: NodeId,
    /// See [`Network::float32_obstacle`].
    float32_obstacle: Option<String>,
}

impl Network {
    /// Returns the first reason, in words, why rounding this network to float32 does not give what is deployed: another precision,
    /// a decision on a constant that float32 rounds, another order of operations. Nothing about float32 holds of such a network.
    #[must_use]
    pub fn float32_obstacle(&self) -> Option<&str> {
        self.float32_obstacle.as_deref()
    }

    /// All nodes, operands before users.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    #[must_use]
    pub const fn input(&self) -> NodeId {
        self.input
    }

    #[must_use]
    pub const fn output(&self) -> NodeId {
        self.output
    }

    #[must_use]
    pub fn input_size(&self) -> usize {
        self.node(self.input).size()
    }

    #[must_use]
    pub fn output_size(&self) -> usize {
        self.node(self.output).size()
    }

    /// The first node that is an implicit equation.
    #[must_use]
    pub fn implicit(&self) -> Option<&Node> {
        self.nodes.iter().find(|node| matches!(node.op, Op::Equilibrium(_)))
    }

    /// The ids of all nodes, operands before users.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(NodeId)
    }
}

/// Builds a [`Network`] node by node.
#[derive(Default)]
pub struct NetworkBuilder {
    nodes: Vec<Node>,
    input: Option<NodeId>,
    float32_obstacle: Option<String>,
}

impl NetworkBuilder {
    /// Records why nothing about float32 holds of the network: see [`Network::float32_obstacle`].
    pub fn obstruct_float32(&mut self, reason: impl FnOnce() -> String) {
        self.float32_obstacle.get_or_insert_with(reason);
    }

    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Adds a node of the given result shape.
    ///
    /// # Errors
    /// When the operation does not map operands of these shapes to that shape, or a limit is exceeded.
    pub fn push(
        &mut self,
        name: &str,
        operator: &str,
        op: Op,
        operands: &[NodeId],
        shape: Vec<usize>,
    ) -> Result<NodeId, ShapeError> {
        if let Some(unknown) = operands.iter().find(|id| id.index() >= self.nodes.len()) {
            return Err(ShapeError::UnknownOperand(unknown.index()));
        }
        if element_count(&shape).is_none_or(|count| count > MAX_ELEMENTS) {
            return Err(ShapeError::TooLarge(shape));
        }
        let id = u32::try_from(self.nodes.len())
            .ok()
            .filter(|&id| (id as usize) < MAX_NODES)
            .map(NodeId)
            .ok_or(ShapeError::TooManyNodes)?;
        let shapes: Vec<&[usize]> = operands.iter().map(|&o| self.node(o).shape.as_slice()).collect();
        if !accepts(&op, &shapes, &shape) {
            return Err(ShapeError::Mismatch {
                operation: op.name(),
                shapes: shapes.into_iter().map(<[usize]>::to_vec).collect(),
                result: shape,
            });
        }
        let varies = |position: usize| operands.get(position).is_some_and(|&o| self.node(o).variable);
        if matches!(op, Op::Equilibrium(_)) && (!varies(0) || varies(1)) {
            return Err(ShapeError::Loop);
        }
        if matches!(op, Op::Increment(_)) {
            let sum = self.node(operands[2]);
            if sum.op != Op::Binary(Binary::Add) || sum.operands != operands[..2] {
                return Err(ShapeError::Increment);
            }
        }
        let is_input = op == Op::Input;
        if is_input && self.input.replace(id).is_some() {
            return Err(ShapeError::SecondInput);
        }
        let variable = is_input || operands.iter().any(|&o| self.node(o).variable);
        let operands = operands.to_vec();
        self.nodes.push(Node { name: printable(name), operator: printable(operator), op, operands, shape, variable });
        Ok(id)
    }

    /// The network that computes `output`, without the nodes that it does not need. `None` without an input.
    #[must_use]
    pub fn finish(self, output: NodeId) -> Option<Network> {
        self.finish_renamed(output).map(|(network, _)| network)
    }

    /// As [`finish`](Self::finish), with the new id of every node that was kept.
    #[must_use]
    pub fn finish_renamed(self, output: NodeId) -> Option<(Network, Vec<Option<NodeId>>)> {
        let input = self.input?;
        let mut needed = vec![false; self.nodes.len()];
        needed[output.index()] = true;
        needed[input.index()] = true;
        for index in (0..self.nodes.len()).rev() {
            if needed[index] {
                self.nodes[index].operands.iter().for_each(|o| needed[o.index()] = true);
            }
        }
        let mut renamed = vec![NodeId(0); self.nodes.len()];
        let mut nodes: Vec<Node> = Vec::new();
        for (index, mut node) in self.nodes.into_iter().enumerate().filter(|(index, _)| needed[*index]) {
            renamed[index] = NodeId(u32::try_from(nodes.len()).ok()?);
            node.operands.iter_mut().for_each(|o| *o = renamed[o.index()]);
            nodes.push(node);
        }
        let network = Network {
            nodes,
            input: renamed[input.index()],
            output: renamed[output.index()],
            float32_obstacle: self.float32_obstacle,
        };
        Some((network, renamed.into_iter().zip(needed).map(|(id, kept)| kept.then_some(id)).collect()))
    }
}

impl Op {
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Constant(_) => "Constant",
            Self::Reshape => "Reshape",
            Self::Rearrange(_) => "Rearrange",
            Self::MatMul => "MatMul",
            Self::Conv(_) => "Conv",
            Self::Binary(_) => "elementwise operation",
            Self::Function(function) => function.name(),
            Self::Increment(_) => "increment",
            Self::PRelu => "PRelu",
            Self::Reduce(_) => "Reduce",
            Self::Sort { .. } => "Sort",
            Self::Softmax => "Softmax",
            Self::Equilibrium(_) => "Equilibrium",
        }
    }
}

/// Names come from the file and go to terminals: no control characters, no endless lines.
fn printable(name: &str) -> String {
    name.chars().take(LONGEST_NAME).flat_map(char::escape_debug).collect()
}

/// Whether `op` maps operands of shapes `operands` to a result of shape `result`.
fn accepts(op: &Op, operands: &[&[usize]], result: &[usize]) -> bool {
    let count = |shape: &[usize]| element_count(shape).unwrap_or(usize::MAX);
    match (op, operands) {
        (Op::Input, []) => true,
        (Op::Constant(tensor), []) => tensor.shape() == result,
        (Op::Reshape, [x]) => count(x) == count(result),
        (Op::Rearrange(sources), _) => {
            sources.len() == count(result)
                && sources.iter().all(|source| {
                    operands.get(source.operand as usize).is_some_and(|shape| (source.element as usize) < count(shape))
                })
        }
        (Op::MatMul, [a, b]) => match (*a, *b, result) {
            (&[ab, am, ak], &[bb, bk, bn], &[rb, rm, rn]) => ab == bb && ak == bk && (rb, rm, rn) == (ab, am, bn),
            _ => false,
        },
        (Op::Conv(geometry), [x, w]) => {
            geometry.is_valid()
                && geometry.input_shape() == *x
                && geometry.weight_shape() == *w
                && geometry.output_shape() == result
        }
        (Op::Binary(_) | Op::PRelu, [a, b]) => *a == *b && *a == result,
        (Op::Function(_), [x]) => *x == result,
        (Op::Increment(_), [z, delta, sum]) => *z == result && *delta == result && *sum == result,
        (Op::Reduce(_), [x]) => matches!((*x, result), (&[groups, size], &[r]) if groups == r && size > 0),
        (Op::Sort { .. } | Op::Softmax, [x]) => x.len() == 2 && *x == result,
        // A linear function leaves nothing to be bounded: its equation is a linear system.
        (Op::Equilibrium(function), [x, w]) => {
            let n = x.last().copied().unwrap_or(0);
            let bent = function.slope_range().is_some_and(|slopes| slopes.lower < slopes.upper);
            bent && n > 0 && **x == [1, 1, n] && **w == [1, n, n] && *x == result
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_operations_are_refused() {
        let mut builder = NetworkBuilder::new();
        let x = builder.push("x", "", Op::Input, &[], vec![1, 2]).unwrap();
        let missing = NodeId(7);
        let sources = vec![Source { operand: 0, element: 2 }];
        for (op, operands, shape) in [
            (Op::Input, vec![], vec![1]),
            (Op::Constant(Tensor::scalar(1.0)), vec![], vec![2]),
            (Op::Reshape, vec![x], vec![3]),
            (Op::Rearrange(sources), vec![x], vec![1]),
            (Op::MatMul, vec![x, x], vec![1, 2]),
            (Op::Binary(Binary::Add), vec![x], vec![1, 2]),
            (Op::Reduce(Reduction::Sum), vec![x], vec![2]),
            (Op::Function(Function::Relu), vec![missing], vec![1, 2]),
            (Op::Reshape, vec![x], vec![usize::MAX, 2]),
        ] {
            assert!(builder.push("n", "", op.clone(), &operands, shape).is_err(), "{op:?}");
        }
    }

    #[test]
    fn an_increment_is_one_between_a_node_and_its_sum_with_another() {
        let mut builder = NetworkBuilder::new();
        let z = builder.push("z", "", Op::Input, &[], vec![2]).unwrap();
        let delta = builder.push("d", "", Op::Function(Function::Neg), &[z], vec![2]).unwrap();
        let sum = builder.push("s", "", Op::Binary(Binary::Add), &[z, delta], vec![2]).unwrap();
        let difference = builder.push("s", "", Op::Binary(Binary::Sub), &[z, delta], vec![2]).unwrap();
        let mut push = |operands: &[NodeId]| builder.push("i", "", Op::Increment(Function::Relu), operands, vec![2]).map(|_| ());
        assert_eq!(push(&[z, delta, sum]), Ok(()));
        for wrong in [[delta, z, sum], [z, delta, difference], [z, delta, delta], [z, z, sum]] {
            assert_eq!(push(&wrong), Err(ShapeError::Increment));
        }
        assert!(matches!(push(&[z, delta]), Err(ShapeError::Mismatch { .. })));
    }

    #[test]
    fn an_implicit_equation_has_constant_weights_and_depends_on_the_input() {
        let mut builder = NetworkBuilder::new();
        let x = builder.push("x", "", Op::Input, &[], vec![1, 1, 1]).unwrap();
        let weights = Op::Constant(Tensor::new(vec![1, 1, 1], vec![0.5]).unwrap());
        let w = builder.push("w", "", weights, &[], vec![1, 1, 1]).unwrap();
        let mut push =
            |function, operands: &[NodeId]| builder.push("z", "", Op::Equilibrium(function), operands, vec![1, 1, 1]).map(|_| ());
        assert_eq!(push(Function::Relu, &[x, w]), Ok(()));
        for operands in [[w, w], [x, x], [w, x]] {
            assert_eq!(push(Function::Relu, &operands), Err(ShapeError::Loop));
        }
        for function in [Function::Exp, Function::Neg, Function::LeakyRelu { slope: 1.0 }] {
            assert!(matches!(push(function, &[x, w]), Err(ShapeError::Mismatch { .. })));
        }
    }

    #[test]
    fn finishing_drops_what_the_output_does_not_need() {
        let mut builder = NetworkBuilder::new();
        let unused = builder.push("c", "", Op::Constant(Tensor::scalar(1.0)), &[], vec![]).unwrap();
        let x = builder.push("x", "", Op::Input, &[], vec![2]).unwrap();
        let y = builder.push("y", "Relu", Op::Function(Function::Relu), &[x], vec![2]).unwrap();
        assert!(!builder.node(unused).variable && builder.node(y).variable);
        let network = builder.finish(y).unwrap();
        assert_eq!(network.nodes().len(), 2);
        assert_eq!(network.node(network.output()).operands, vec![network.input()]);
    }
}
