//! Two networks as one: over one input, with the outputs of the first and then of the second.
//!
//! Nodes may be *paired*: a node of the second network with one of the first. Then the second's values are the first's plus a
//! difference `δ`, and it is `δ` that is computed from the differences of the operands: exactly, by linear operations whose weights
//! are differences of weights, and by [`Op::Increment`] where a function bends. Whatever is paired, `δ` is the difference; a pairing that fits badly
//! only makes bounds worse. Where no rule applies, the second's node is computed as it stands and the first's subtracted.
//!
//! Nothing here knows claims or searches for a pairing.

use super::ir::{Binary, Function, Network, NetworkBuilder, Node, NodeId, Op, Reduction, ShapeError, Source, Tensor};

/// Reshapes, and operations of constants, that are looked through.
const MOST_STEPS: usize = 64;

/// Why two networks are not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    #[error("the {port}s have the shapes {first:?} and {second:?}, which differ by more than axes of one")]
    Interface { port: &'static str, first: Vec<usize>, second: Vec<usize> },
    #[error("node {0} of the first network and node {1} of the second cannot be paired: {2}")]
    Pair(usize, usize, &'static str),
    #[error("node `{node}` ({operator}) is an implicit equation, of which no differences are known")]
    Implicit { node: String, operator: String },
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error("nothing is computed")]
    Empty,
}

/// Composes two networks with these pairs of nodes, of the first and of the second: positions in each network, every node at most
/// once. The output is flat.
///
/// # Errors
/// When the networks have other inputs or outputs, a pair is none, or the whole is too large.
pub fn compose(first: &Network, second: &Network, pairs: &[(usize, usize)]) -> Result<Network, ComposeError> {
    for (port, of) in [("input", Network::input as fn(&Network) -> NodeId), ("output", Network::output)] {
        let shape = |network: &Network| network.node(of(network)).shape.clone();
        let (first, second) = (shape(first), shape(second));
        if squeezed(&first) != squeezed(&second) {
            return Err(ComposeError::Interface { port, first, second });
        }
    }
    if let Some(node) = first.implicit().or(second.implicit()) {
        return Err(ComposeError::Implicit { node: node.name.clone(), operator: node.operator.clone() });
    }
    let partners = partners(first, second, pairs)?;
    let mut composer = Composer::new(first, second)?;
    for id in second.ids() {
        composer.add(id, partners[id.index()])?;
    }
    composer.finish(!pairs.is_empty())
}

/// Shapes that are the same but for extents of one are those of the same numbers in the same order.
fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&extent| extent != 1).collect()
}

/// The partner of every node of the second network.
fn partners(first: &Network, second: &Network, pairs: &[(usize, usize)]) -> Result<Vec<Option<NodeId>>, ComposeError> {
    let ids: Vec<NodeId> = first.ids().collect();
    let mut taken = vec![false; ids.len()];
    let mut partners = vec![None; second.nodes().len()];
    for &(a, b) in pairs {
        let wrong = |why| Err(ComposeError::Pair(a, b, why));
        let (Some(&id), Some(of_second)) = (ids.get(a), second.nodes().get(b)) else {
            return wrong("there is no such node");
        };
        let of_first = first.node(id);
        if std::mem::replace(&mut taken[a], true) || partners[b].is_some() {
            return wrong("one of them is paired already");
        }
        if !(of_first.variable && of_second.variable) || of_first.op == Op::Input || of_second.op == Op::Input {
            return wrong("one of them is constant, or the input");
        }
        if of_first.size() != of_second.size() {
            return wrong("they have different numbers of elements");
        }
        partners[b] = Some(id);
    }
    Ok(partners)
}

/// How far a node of the second network is from one of the first, in the shape of the second's.
#[derive(Clone, Copy)]
enum Difference {
    Zero,
    Node(NodeId),
}

struct Composer<'n> {
    first: &'n Network,
    second: &'n Network,
    builder: NetworkBuilder,
    /// The nodes of the first network.
    firsts: Vec<NodeId>,
    /// Values of the nodes of the second, where they were needed.
    values: Vec<Option<NodeId>>,
    /// For nodes of the second, what they are the difference from.
    differences: Vec<Option<(NodeId, Difference)>>,
}

impl<'n> Composer<'n> {
    /// The first network as it is.
    fn new(first: &'n Network, second: &'n Network) -> Result<Self, ComposeError> {
        let mut builder = NetworkBuilder::new();
        let mut firsts = Vec::with_capacity(first.nodes().len());
        for node in first.nodes() {
            let operands: Vec<NodeId> = node.operands.iter().map(|o| firsts[o.index()]).collect();
            firsts.push(builder.push(&node.name, &node.operator, node.op.clone(), &operands, node.shape.clone())?);
        }
        for network in [first, second] {
            if let Some(obstacle) = network.float32_obstacle() {
                builder.obstruct_float32(|| obstacle.to_owned());
            }
        }
        let count = second.nodes().len();
        Ok(Self { first, second, builder, firsts, values: vec![None; count], differences: vec![None; count] })
    }

    /// Adds a node of the second network: its difference from its partner, or its value.
    fn add(&mut self, id: NodeId, partner: Option<NodeId>) -> Result<(), ComposeError> {
        let node = self.second.node(id);
        if node.op == Op::Input {
            let input = self.first.input();
            self.values[id.index()] = Some(self.shaped(self.firsts[input.index()], &node.shape, node)?);
            self.differences[id.index()] = Some((input, Difference::Zero));
            return Ok(());
        }
        let Some(partner) = partner else {
            self.compute(id)?;
            return Ok(());
        };
        let difference = if let Some(difference) = self.difference(partner, id)? {
            difference
        } else {
            let (value, other) = (self.compute(id)?, self.shaped(self.firsts[partner.index()], &node.shape, node)?);
            self.push(node, Op::Binary(Binary::Sub), &[value, other], &node.shape)?
        };
        self.differences[id.index()] = Some((partner, difference));
        Ok(())
    }

    /// The node as it stands in the second network.
    fn compute(&mut self, id: NodeId) -> Result<NodeId, ComposeError> {
        let node = self.second.node(id);
        let operands: Vec<NodeId> = node.operands.iter().map(|&o| self.value(o)).collect::<Result<_, _>>()?;
        let value = self.builder.push(&node.name, &node.operator, node.op.clone(), &operands, node.shape.clone())?;
        self.values[id.index()] = Some(value);
        Ok(value)
    }

    /// The value of a node of the second network that was added: where it has only a difference, what it differs from plus that.
    fn value(&mut self, id: NodeId) -> Result<NodeId, ComposeError> {
        if let Some(value) = self.values[id.index()] {
            return Ok(value);
        }
        let node = self.second.node(id);
        let value = match self.differences[id.index()] {
            Some((partner, difference)) => {
                let base = self.shaped(self.firsts[partner.index()], &node.shape, node)?;
                match difference {
                    Difference::Zero => base,
                    Difference::Node(difference) => self.builder.push(
                        &node.name,
                        &node.operator,
                        Op::Binary(Binary::Add),
                        &[base, difference],
                        node.shape.clone(),
                    )?,
                }
            }
            None => return self.compute(id),
        };
        self.values[id.index()] = Some(value);
        Ok(value)
    }

    /// A node under another shape.
    fn shaped(&mut self, id: NodeId, shape: &[usize], named: &Node) -> Result<NodeId, ComposeError> {
        if self.builder.node(id).shape == shape {
            return Ok(id);
        }
        Ok(self.builder.push(&named.name, &named.operator, Op::Reshape, &[id], shape.to_vec())?)
    }

    fn push(&mut self, named: &Node, op: Op, operands: &[NodeId], shape: &[usize]) -> Result<Difference, ComposeError> {
        Ok(Difference::Node(self.builder.push(&named.name, &named.operator, op, operands, shape.to_vec())?))
    }

    /// How far a node of the second network is from one of the first, where that is known: both are constants, or paired, as they
    /// stand or under other shapes.
    fn between(&mut self, mut first: NodeId, second: NodeId) -> Result<Option<Difference>, ComposeError> {
        let node = self.second.node(second);
        let (one, mut other) = (self.first.node(first), second);
        if !one.variable && !node.variable {
            if self.is_same(first, second, MOST_STEPS) {
                return Ok(Some(Difference::Zero));
            }
            if one.size() != node.size() {
                return Ok(None);
            }
            let (value, base) = (self.value(second)?, self.shaped(self.firsts[first.index()], &node.shape, node)?);
            return self.push(node, Op::Binary(Binary::Sub), &[value, base], &node.shape).map(Some);
        }
        for _ in 0..MOST_STEPS {
            if let Some((partner, difference)) = self.differences[other.index()]
                && partner == first
            {
                return Ok(Some(match difference {
                    Difference::Zero => Difference::Zero,
                    Difference::Node(id) => Difference::Node(self.shaped(id, &node.shape, node)?),
                }));
            }
            if self.second.node(other).op == Op::Reshape {
                other = self.second.node(other).operands[0];
            } else if self.first.node(first).op == Op::Reshape {
                first = self.first.node(first).operands[0];
            } else {
                break;
            }
        }
        Ok(None)
    }

    /// Whether two constants are the same for sure.
    fn is_same(&self, first: NodeId, second: NodeId, steps: usize) -> bool {
        let (a, b) = (self.first.node(first), self.second.node(second));
        let Some(steps) = steps.checked_sub(1) else { return false };
        a.shape == b.shape
            && a.op == b.op
            && a.operands.len() == b.operands.len()
            && a.operands.len() <= 2
            && a.operands.iter().zip(&b.operands).all(|(&a, &b)| self.is_same(a, b, steps))
    }

    /// How far a node of the second network is from its partner, by the differences of their operands; `None` where no rule says it.
    fn difference(&mut self, partner: NodeId, id: NodeId) -> Result<Option<Difference>, ComposeError> {
        let (one, other) = (self.first.node(partner), self.second.node(id));
        if one.operands.len() != other.operands.len() {
            return Ok(None);
        }
        let shapes = one.operands.iter().zip(&other.operands);
        let same_shapes =
            shapes.clone().all(|(&a, &b)| self.first.node(a).shape == self.second.node(b).shape) && one.shape == other.shape;
        let same_sizes = shapes.clone().all(|(&a, &b)| self.first.node(a).size() == self.second.node(b).size());
        // What is done element by element does not depend on shapes.
        let elementwise = matches!(one.op, Op::Reshape | Op::Rearrange(_) | Op::Binary(_) | Op::Function(_) | Op::PRelu);
        if !(same_shapes || elementwise && same_sizes) {
            return Ok(None);
        }
        let mut found = Vec::with_capacity(one.operands.len());
        for (&a, &b) in one.operands.iter().zip(&other.operands) {
            let Some(difference) = self.between(a, b)? else { return Ok(None) };
            found.push(difference);
        }
        // The same of the same is the same.
        if one.op == other.op && found.iter().all(|difference| matches!(difference, Difference::Zero)) {
            return Ok(Some(Difference::Zero));
        }
        let (bases, shape) = (&one.operands, other.shape.clone());
        match (&one.op, &other.op, &found[..]) {
            (Op::MatMul, Op::MatMul, &[a, b]) => self.product(&Op::MatMul, bases, other, [a, b]),
            (Op::Conv(one), Op::Conv(two), &[a, b]) if one == two => self.product(&other.op, bases, other, [a, b]),
            (Op::Binary(Binary::Mul), Op::Binary(Binary::Mul), &[a, b]) => self.product(&other.op, bases, other, [a, b]),
            (Op::Binary(one @ (Binary::Add | Binary::Sub)), Op::Binary(two), &[a, b]) if one == two => Ok(Some(match (a, b) {
                (a, Difference::Zero) => a,
                (Difference::Zero, b) if *one == Binary::Add => b,
                (Difference::Zero, Difference::Node(b)) => self.push(other, Op::Function(Function::Neg), &[b], &shape)?,
                (Difference::Node(a), Difference::Node(b)) => self.push(other, Op::Binary(*one), &[a, b], &shape)?,
            })),
            (Op::Binary(Binary::Div), Op::Binary(Binary::Div), &[Difference::Node(a), Difference::Zero]) => {
                let divisor = self.value(other.operands[1])?;
                self.push(other, other.op.clone(), &[a, divisor], &shape).map(Some)
            }
            (Op::Reshape, Op::Reshape, &[Difference::Node(a)]) => Ok(Some(Difference::Node(self.shaped(a, &shape, other)?))),
            (Op::Rearrange(one), Op::Rearrange(two), _) if one == two => self.moved(other, &found).map(Some),
            (Op::Reduce(one @ (Reduction::Sum | Reduction::Mean)), Op::Reduce(two), &[Difference::Node(a)]) if one == two => {
                self.push(other, other.op.clone(), &[a], &shape).map(Some)
            }
            (Op::Function(Function::Neg), Op::Function(Function::Neg), &[Difference::Node(a)]) => {
                self.push(other, other.op.clone(), &[a], &shape).map(Some)
            }
            (Op::Function(one), Op::Function(two), &[Difference::Node(delta)]) if one == two => {
                let z = self.shaped(self.firsts[bases[0].index()], &shape, other)?;
                let sum = self.builder.push(&other.name, &other.operator, Op::Binary(Binary::Add), &[z, delta], shape.clone())?;
                self.push(other, Op::Increment(two.clone()), &[z, delta, sum], &shape).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// `(a + α)·(b + β) − a·b = α·(b + β) + a·β` for a bilinear operation.
    fn product(
        &mut self,
        op: &Op,
        bases: &[NodeId],
        node: &Node,
        [alpha, beta]: [Difference; 2],
    ) -> Result<Option<Difference>, ComposeError> {
        let by_left = match alpha {
            Difference::Zero => None,
            Difference::Node(alpha) => {
                let right = self.value(node.operands[1])?;
                Some(self.builder.push(&node.name, &node.operator, op.clone(), &[alpha, right], node.shape.clone())?)
            }
        };
        let by_right = match beta {
            Difference::Zero => None,
            Difference::Node(beta) => {
                let shape = self.second.node(node.operands[0]).shape.clone();
                let left = self.shaped(self.firsts[bases[0].index()], &shape, node)?;
                Some(self.builder.push(&node.name, &node.operator, op.clone(), &[left, beta], node.shape.clone())?)
            }
        };
        Ok(Some(match (by_left, by_right) {
            (None, None) => Difference::Zero,
            (Some(one), None) | (None, Some(one)) => Difference::Node(one),
            (Some(a), Some(b)) => self.push(node, Op::Binary(Binary::Add), &[a, b], &node.shape)?,
        }))
    }

    /// The differences, moved as the node moves its operands.
    fn moved(&mut self, node: &Node, differences: &[Difference]) -> Result<Difference, ComposeError> {
        let mut operands = Vec::with_capacity(differences.len());
        for (difference, &operand) in differences.iter().zip(&node.operands) {
            operands.push(match difference {
                Difference::Node(id) => *id,
                Difference::Zero => {
                    let shape = self.second.node(operand).shape.clone();
                    let zeros = vec![0.0; self.second.node(operand).size()];
                    let zeros = Tensor::new(shape.clone(), zeros).ok_or(ComposeError::Empty)?;
                    self.builder.push(&node.name, &node.operator, Op::Constant(zeros), &[], shape)?
                }
            });
        }
        self.push(node, node.op.clone(), &operands, &node.shape)
    }

    /// Both outputs, one after the other. What is computed from differences says nothing of what a deployed network rounds.
    fn finish(mut self, paired: bool) -> Result<Network, ComposeError> {
        if paired {
            self.builder.obstruct_float32(|| "the second network is computed from its differences from the first".to_owned());
        }
        let outputs = [self.firsts[self.first.output().index()], self.value(self.second.output())?];
        let count = self.first.output_size();
        let source = |operand| (0..count).map(move |element| Source { operand, element: element as u32 });
        let sources: Vec<Source> = source(0).chain(source(1)).collect();
        let output = self.builder.push("outputs", "", Op::Rearrange(sources), &outputs, vec![2 * count])?;
        self.builder.finish(output).ok_or(ComposeError::Empty)
    }
}
