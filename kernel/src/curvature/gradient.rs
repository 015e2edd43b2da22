//! Reverse mode over any arithmetic, one sample at a time: derivatives with respect to constants of the network.
//!
//! With enclosures every number encloses the true derivative, and at a kink every value that a convention could choose.

use std::ops::RangeInclusive;

use super::structure::needed;
use crate::model::ir::{Arithmetic, Binary, EvaluationError, Function, Network, Node, NodeId, Op, Reduction, Values};

/// An arithmetic that knows derivatives.
pub trait Differentiable: Arithmetic {
    /// `φ′` here; `None` when this arithmetic does not know it.
    fn derivative(&self, function: &Function) -> Option<Self>;
    /// The partial derivatives of the maximum of a row.
    fn selection(row: &[Self]) -> Vec<Self>;
    /// The places that each element of a row can take in the sorted row.
    fn ranks(row: &[Self], descending: bool) -> Vec<RangeInclusive<usize>>;
    /// The derivative of `max(x, 0)`.
    fn step(&self) -> Self;
    /// Whether this is exactly zero.
    fn is_zero(&self) -> bool;
}

impl Differentiable for f64 {
    fn derivative(&self, function: &Function) -> Option<Self> {
        Some(function.derivative(*self))
    }

    /// A tie goes to the first.
    fn selection(row: &[Self]) -> Vec<Self> {
        let best = (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
        (0..row.len()).map(|i| Self::from(u8::from(i == best))).collect()
    }

    /// Equal elements keep their order.
    fn ranks(row: &[Self], descending: bool) -> Vec<RangeInclusive<usize>> {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&i, &j| if descending { row[j].total_cmp(&row[i]) } else { row[i].total_cmp(&row[j]) });
        let mut ranks = vec![0..=0; row.len()];
        order.into_iter().enumerate().for_each(|(rank, element)| ranks[element] = rank..=rank);
        ranks
    }

    fn step(&self) -> Self {
        Self::from(u8::from(*self > 0.0))
    }

    fn is_zero(&self) -> bool {
        *self == 0.0
    }
}

/// Which nodes a reverse pass visits.
pub struct Reverse<'a> {
    network: &'a Network,
    output: NodeId,
    /// Whether the node depends on a wanted constant.
    active: Vec<bool>,
}

impl<'a> Reverse<'a> {
    /// Derivatives of the node `output` with respect to the constants `wanted`.
    #[must_use]
    pub fn new(network: &'a Network, output: NodeId, wanted: &[NodeId]) -> Self {
        let mut active = needed(network, output);
        let mut reached = vec![false; active.len()];
        wanted.iter().for_each(|id| reached[id.index()] = true);
        for id in network.ids() {
            reached[id.index()] |= network.node(id).operands.iter().any(|operand| reached[operand.index()]);
            active[id.index()] &= reached[id.index()];
        }
        Self { network, output, active }
    }

    /// `Jᵀ·cotangent`, per node; empty where nothing was wanted.
    ///
    /// # Errors
    /// [`EvaluationError::UnknownFunction`] for a derivative that the arithmetic does not know.
    pub fn pull<A: Differentiable>(&self, values: &Values<A>, cotangent: Vec<A>) -> Result<Vec<Vec<A>>, EvaluationError> {
        let mut adjoints: Vec<Vec<A>> = vec![Vec::new(); self.network.nodes().len()];
        adjoints[self.output.index()] = cotangent;
        for id in self.network.ids().collect::<Vec<_>>().into_iter().rev() {
            let node = self.network.node(id);
            if !self.active[id.index()] || node.operands.is_empty() {
                continue;
            }
            let adjoint = std::mem::take(&mut adjoints[id.index()]);
            if adjoint.is_empty() {
                continue;
            }
            for position in 0..node.operands.len() {
                let operand = node.operands[position];
                if self.active[operand.index()] {
                    let mut target = std::mem::take(&mut adjoints[operand.index()]);
                    target.resize(self.network.node(operand).size(), A::exact(0.0));
                    let pulled = pull_to(values, id, node, position, &adjoint, &mut target);
                    pulled.ok_or_else(|| EvaluationError::UnknownFunction {
                        node: node.name.clone(),
                        operator: node.operator.clone(),
                    })?;
                    adjoints[operand.index()] = target;
                }
            }
        }
        Ok(adjoints)
    }
}

fn add_to<A: Arithmetic>(target: &mut A, value: &A) {
    *target = target.add(value);
}

fn pull_to<A: Differentiable>(
    values: &Values<A>,
    id: NodeId,
    node: &Node,
    position: usize,
    adjoint: &[A],
    target: &mut [A],
) -> Option<()> {
    let value = |position: usize| values.get(node.operands[position].index());
    match &node.op {
        Op::Input | Op::Constant(_) => {}
        Op::Reshape => target.iter_mut().zip(adjoint).for_each(|(t, a)| add_to(t, a)),
        Op::Rearrange(sources) => {
            for (source, a) in sources.iter().zip(adjoint).filter(|(source, _)| source.operand as usize == position) {
                add_to(&mut target[source.element as usize], a);
            }
        }
        Op::MatMul => matmul(node, position, value(1 - position), adjoint, target),
        Op::Conv(geometry) => {
            let other = value(1 - position);
            geometry.for_each_output(|output, taps| {
                if !adjoint[output].is_zero() {
                    for tap in taps {
                        let (own, factor) = if position == 0 { (tap.input, tap.weight) } else { (tap.weight, tap.input) };
                        add_to(&mut target[own], &other[factor].mul(&adjoint[output]));
                    }
                }
            });
        }
        Op::Binary(binary) => {
            for (i, (t, a)) in target.iter_mut().zip(adjoint).enumerate() {
                let (x, y) = (&value(0)[i], &value(1)[i]);
                add_to(t, &a.mul(&binary_partial(*binary, position, x, y)));
            }
        }
        Op::Function(function) => {
            for ((t, a), x) in target.iter_mut().zip(adjoint).zip(value(0)) {
                if !a.is_zero() {
                    add_to(t, &a.mul(&x.derivative(function)?));
                }
            }
        }
        Op::PRelu => {
            let zero = A::exact(0.0);
            for (i, (t, a)) in target.iter_mut().zip(adjoint).enumerate() {
                let (x, slope) = (&value(0)[i], &value(1)[i]);
                let partial = if position == 0 {
                    // slope + (1 − slope)·step
                    slope.add(&A::exact(1.0).sub(slope).mul(&x.step()))
                } else {
                    x.min(&zero)
                };
                add_to(t, &a.mul(&partial));
            }
        }
        Op::Reduce(reduction) => {
            let width = (target.len() / adjoint.len().max(1)).max(1);
            for ((target, row), a) in target.chunks_mut(width).zip(value(0).chunks(width)).zip(adjoint) {
                let partials = match reduction {
                    Reduction::Sum => vec![A::exact(1.0); row.len()],
                    Reduction::Mean => vec![A::exact(1.0).div(&A::exact(row.len() as f64)); row.len()],
                    Reduction::Max => A::selection(row),
                    Reduction::Min => A::selection(&row.iter().map(|x| A::exact(0.0).sub(x)).collect::<Vec<_>>()),
                };
                target.iter_mut().zip(&partials).for_each(|(t, partial)| add_to(t, &a.mul(partial)));
            }
        }
        Op::Softmax => {
            let width = node.shape.last().copied().unwrap_or(1).max(1);
            let rows = values.get(id.index()).chunks(width).zip(adjoint.chunks(width));
            for (target, (p, a)) in target.chunks_mut(width).zip(rows) {
                let mean = p.iter().zip(a).fold(A::exact(0.0), |sum, (p, a)| sum.add(&p.mul(a)));
                target.iter_mut().zip(p.iter().zip(a)).for_each(|(t, (p, a))| add_to(t, &p.mul(&a.sub(&mean))));
            }
        }
        Op::Equilibrium(_) | Op::Increment(_) => return None,
        Op::Sort { descending } => {
            let width = node.shape.last().copied().unwrap_or(1).max(1);
            // What a convention could choose for a place that is not certain.
            let share = A::exact(0.0).step();
            let rows = value(0).chunks(width).zip(adjoint.chunks(width));
            for (target, (row, a)) in target.chunks_mut(width).zip(rows) {
                for (t, rank) in target.iter_mut().zip(A::ranks(row, *descending)) {
                    if rank.start() == rank.end() {
                        add_to(t, &a[*rank.start()]);
                    } else {
                        a[rank].iter().for_each(|a| add_to(t, &share.mul(a)));
                    }
                }
            }
        }
    }
    Some(())
}

fn binary_partial<A: Differentiable>(binary: Binary, position: usize, x: &A, y: &A) -> A {
    let one = || A::exact(1.0);
    let of_first = |step: A| if position == 0 { step } else { one().sub(&step) };
    match (binary, position) {
        (Binary::Add, _) | (Binary::Sub, 0) => one(),
        (Binary::Sub, _) => A::exact(-1.0),
        (Binary::Mul, 0) => y.clone(),
        (Binary::Mul, _) => x.clone(),
        (Binary::Div, 0) => one().div(y),
        (Binary::Div, _) => A::exact(0.0).sub(&x.div(&y.mul(y))),
        (Binary::Max, _) => of_first(A::selection(&[x.clone(), y.clone()])[0].clone()),
        (Binary::Min, _) => {
            let negative = |x: &A| A::exact(0.0).sub(x);
            of_first(A::selection(&[negative(x), negative(y)])[0].clone())
        }
    }
}

fn matmul<A: Differentiable>(node: &Node, position: usize, other: &[A], adjoint: &[A], target: &mut [A]) {
    let [batch, m, n] = node.shape[..] else { return };
    let k = if position == 0 { target.len() / (batch * m).max(1) } else { other.len() / (batch * m).max(1) };
    for row in 0..batch * m {
        for column in 0..n {
            let a = &adjoint[row * n + column];
            if a.is_zero() {
                continue;
            }
            for inner in 0..k {
                let (left, right) = (row * k + inner, (row / m * k + inner) * n + column);
                let (own, factor) = if position == 0 { (left, right) } else { (right, left) };
                add_to(&mut target[own], &other[factor].mul(a));
            }
        }
    }
}
