//! Forward evaluation over any arithmetic: `f64` for predictions, enclosures for proofs about a point or a constant.
//! It must not know what the values are used for.

use std::sync::Arc;

use super::equilibrium::fixed_point;
use super::function::Function;
use super::network::{Binary, Network, Node, Op, Reduction};
use super::runs::Run;
use super::sorting::comparators;

/// Numbers that a network can be evaluated in.
pub trait Arithmetic: Clone {
    /// The number itself.
    fn exact(value: f64) -> Self;
    fn add(&self, other: &Self) -> Self;
    fn sub(&self, other: &Self) -> Self;
    fn mul(&self, other: &Self) -> Self;
    fn div(&self, other: &Self) -> Self;
    fn max(&self, other: &Self) -> Self;
    fn min(&self, other: &Self) -> Self;
    /// `None` when this arithmetic does not know the function.
    fn apply(&self, function: &Function) -> Option<Self>;
    /// A solution of `z = φ(z·weights + injection)`; `None` where this arithmetic finds none.
    fn fixed_point(_function: &Function, _weights: &[Self], _injection: &[Self]) -> Option<Vec<Self>> {
        None
    }
}

impl Arithmetic for f64 {
    fn exact(value: f64) -> Self {
        value
    }
    fn add(&self, other: &Self) -> Self {
        self + other
    }
    fn sub(&self, other: &Self) -> Self {
        self - other
    }
    fn mul(&self, other: &Self) -> Self {
        self * other
    }
    fn div(&self, other: &Self) -> Self {
        self / other
    }
    /// NaN if either is.
    fn max(&self, other: &Self) -> Self {
        if self > other || self.is_nan() { *self } else { *other }
    }
    fn min(&self, other: &Self) -> Self {
        if self < other || self.is_nan() { *self } else { *other }
    }
    fn apply(&self, function: &Function) -> Option<Self> {
        Some(function.value(*self))
    }
    fn fixed_point(function: &Function, weights: &[Self], injection: &[Self]) -> Option<Vec<Self>> {
        fixed_point(function, weights, injection)
    }
}

/// The values of all nodes at one input, or of the constant nodes alone.
#[derive(Clone)]
pub struct Values<A> {
    values: Vec<Option<Arc<[A]>>>,
}

/// Why a network has no value in an arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    #[error("the input has {given} values where the network expects {expected}")]
    InputSize { given: usize, expected: usize },
    #[error("node `{node}` ({operator}): this arithmetic does not know the function")]
    UnknownFunction { node: String, operator: String },
    #[error("node `{node}` ({operator}): no solution of the implicit equation was found; it may have none, or several")]
    NoFixedPoint { node: String, operator: String },
}

impl<A: Arithmetic> Values<A> {
    /// Evaluates the constant part of the network: every node that the input does not reach.
    ///
    /// # Errors
    /// [`EvaluationError::UnknownFunction`].
    pub fn constants(network: &Network) -> Result<Self, EvaluationError> {
        let mut values = Self { values: vec![None; network.nodes().len()] };
        for id in network.ids().filter(|&id| !network.node(id).variable) {
            values.compute(network.node(id), id.index())?;
        }
        Ok(values)
    }

    /// Evaluates the whole network at `input`, in row-major order.
    ///
    /// # Errors
    /// [`EvaluationError`].
    pub fn at(network: &Network, input: &[A]) -> Result<Self, EvaluationError> {
        Self::constants(network)?.at_input(network, input)
    }

    /// Evaluates the rest of the network at `input`, where the constants are at hand.
    ///
    /// # Errors
    /// [`EvaluationError`].
    pub fn at_input(&self, network: &Network, input: &[A]) -> Result<Self, EvaluationError> {
        if input.len() != network.input_size() {
            return Err(EvaluationError::InputSize { given: input.len(), expected: network.input_size() });
        }
        let mut values = self.clone();
        values.values[network.input().index()] = Some(input.into());
        for id in network.ids().filter(|&id| network.node(id).variable && id != network.input()) {
            values.compute(network.node(id), id.index())?;
        }
        Ok(values)
    }

    /// The value of a node; empty for a node that was not evaluated.
    #[must_use]
    pub fn get(&self, index: usize) -> &[A] {
        self.values[index].as_deref().unwrap_or_default()
    }

    fn compute(&mut self, node: &Node, index: usize) -> Result<(), EvaluationError> {
        let operands: Vec<&[A]> = node.operands.iter().map(|o| self.get(o.index())).collect();
        let (name, operator) = (|| node.name.clone(), || node.operator.clone());
        let value = apply(node, &operands).ok_or_else(|| match node.op {
            Op::Equilibrium(_) => EvaluationError::NoFixedPoint { node: name(), operator: operator() },
            _ => EvaluationError::UnknownFunction { node: name(), operator: operator() },
        })?;
        self.values[index] = Some(value.into());
        Ok(())
    }
}

/// Output of the network in `f64` at one input.
///
/// # Errors
/// [`EvaluationError::InputSize`].
pub fn evaluate(network: &Network, input: &[f64]) -> Result<Vec<f64>, EvaluationError> {
    Values::at(network, input).map(|values| values.get(network.output().index()).to_vec())
}

fn apply<A: Arithmetic>(node: &Node, operands: &[&[A]]) -> Option<Vec<A>> {
    Some(match (&node.op, operands) {
        (Op::Constant(tensor), _) => tensor.data().iter().map(|&v| A::exact(v)).collect(),
        (Op::Reshape, [x]) => x.to_vec(),
        (Op::Rearrange(sources), _) => sources.iter().map(|s| operands[s.operand as usize][s.element as usize].clone()).collect(),
        (Op::MatMul, [a, b]) => matmul(node, a, b),
        (Op::Conv(geometry), [x, w]) => {
            let mut out = vec![A::exact(0.0); node.size()];
            geometry.for_each_run(|weight, run| convolve(&w[weight], x, &mut out, run));
            out
        }
        (Op::Binary(binary), [a, b]) => {
            let combine = match binary {
                Binary::Add => A::add,
                Binary::Sub => A::sub,
                Binary::Mul => A::mul,
                Binary::Div => A::div,
                Binary::Max => A::max,
                Binary::Min => A::min,
            };
            a.iter().zip(*b).map(|(a, b)| combine(a, b)).collect()
        }
        (Op::Function(function), [x]) => x.iter().map(|x| x.apply(function)).collect::<Option<_>>()?,
        (Op::Increment(function), [z, _, sum]) => {
            let increment = |(z, sum): (&A, &A)| Some(sum.apply(function)?.sub(&z.apply(function)?));
            z.iter().zip(*sum).map(increment).collect::<Option<_>>()?
        }
        (Op::PRelu, [x, slope]) => x.iter().zip(*slope).map(|(x, slope)| prelu(x, slope)).collect(),
        (Op::Reduce(reduction), [x]) => {
            let size = x.len() / node.size().max(1);
            x.chunks(size.max(1)).map(|row| reduce(*reduction, row)).collect::<Option<_>>()?
        }
        (Op::Sort { descending }, [x]) => sorted(x, row_length(node), *descending),
        (Op::Softmax, [x]) => {
            x.chunks(row_length(node)).map(softmax).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect()
        }
        (Op::Equilibrium(function), [injection, weights]) => A::fixed_point(function, weights, injection)?,
        // The builder admits no other number of operands; the input's value is never computed.
        _ => return None,
    })
}

fn row_length(node: &Node) -> usize {
    node.shape.last().copied().unwrap_or(1).max(1)
}

fn matmul<A: Arithmetic>(node: &Node, a: &[A], b: &[A]) -> Vec<A> {
    let [batch, m, n] = node.shape[..] else { return Vec::new() };
    let k = a.len().checked_div(batch * m).unwrap_or(0);
    let mut out = vec![A::exact(0.0); batch * m * n];
    if n == 0 {
        return out;
    }
    for (row, out) in out.chunks_exact_mut(n).enumerate() {
        let a = &a[row * k..(row + 1) * k];
        let b = &b[row / m * k * n..];
        for (a, b) in a.iter().zip(b.chunks_exact(n)) {
            out.iter_mut().zip(b).for_each(|(out, b)| *out = out.add(&a.mul(b)));
        }
    }
    out
}

fn convolve<A: Arithmetic>(weight: &A, x: &[A], out: &mut [A], run: Run) {
    if run.input_stride == 1 && run.output_stride == 1 {
        let (x, out) = (&x[run.input..run.input + run.count], &mut out[run.output..run.output + run.count]);
        out.iter_mut().zip(x).for_each(|(out, x)| *out = out.add(&weight.mul(x)));
    } else {
        for i in 0..run.count {
            let out = &mut out[run.output + i * run.output_stride];
            *out = out.add(&weight.mul(&x[run.input + i * run.input_stride]));
        }
    }
}

/// `x` or `slope·x` by the sign of `x`; written with max and min so that it holds for enclosures too.
fn prelu<A: Arithmetic>(x: &A, slope: &A) -> A {
    let zero = A::exact(0.0);
    x.max(&zero).add(&slope.mul(&x.min(&zero)))
}

/// `None` only for an empty row.
fn reduce<A: Arithmetic>(reduction: Reduction, row: &[A]) -> Option<A> {
    let (first, rest) = row.split_first()?;
    let sum = || rest.iter().fold(first.clone(), |sum, x| sum.add(x));
    Some(match reduction {
        Reduction::Sum => sum(),
        #[allow(clippy::cast_precision_loss)] // a row has fewer than 2⁵³ elements
        Reduction::Mean => sum().div(&A::exact(row.len() as f64)),
        Reduction::Max => rest.iter().fold(first.clone(), |max, x| max.max(x)),
        Reduction::Min => rest.iter().fold(first.clone(), |min, x| min.min(x)),
    })
}

/// Every row by a sorting network of minima and maxima: correct for enclosures too, whose order may be unknown.
fn sorted<A: Arithmetic>(rows: &[A], length: usize, descending: bool) -> Vec<A> {
    let comparators = comparators(length);
    let mut sorted = rows.to_vec();
    for row in sorted.chunks_exact_mut(length) {
        for &(i, j) in &comparators {
            (row[i], row[j]) = (row[i].min(&row[j]), row[i].max(&row[j]));
        }
        if descending {
            row.reverse();
        }
    }
    sorted
}

fn softmax<A: Arithmetic>(row: &[A]) -> Option<Vec<A>> {
    let peak = reduce(Reduction::Max, row)?;
    let powers: Vec<A> = row.iter().map(|x| x.sub(&peak).apply(&Function::Exp)).collect::<Option<_>>()?;
    let total = reduce(Reduction::Sum, &powers)?;
    Some(powers.iter().map(|power| power.div(&total)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::network::NetworkBuilder;
    use super::super::tensor::Tensor;
    use super::*;

    fn unary(op: Op, input: Vec<usize>, output: Vec<usize>, x: &[f64]) -> Vec<f64> {
        let mut builder = NetworkBuilder::new();
        let id = builder.push("x", "", Op::Input, &[], input).unwrap();
        let y = builder.push("y", "", op, &[id], output).unwrap();
        evaluate(&builder.finish(y).unwrap(), x).unwrap()
    }

    #[test]
    fn sort_and_reduce_work_row_by_row() {
        let x = [3.0, 1.0, 2.0, -1.0, 5.0, 0.0];
        assert_eq!(unary(Op::Sort { descending: false }, vec![2, 3], vec![2, 3], &x), [1.0, 2.0, 3.0, -1.0, 0.0, 5.0]);
        assert_eq!(unary(Op::Sort { descending: true }, vec![2, 3], vec![2, 3], &x), [3.0, 2.0, 1.0, 5.0, 0.0, -1.0]);
        assert_eq!(unary(Op::Reduce(Reduction::Mean), vec![2, 3], vec![2], &x), [2.0, 4.0 / 3.0]);
        assert_eq!(unary(Op::Reduce(Reduction::Min), vec![2, 3], vec![2], &x), [1.0, -1.0]);
    }

    #[test]
    fn softmax_does_not_overflow() {
        assert_eq!(unary(Op::Softmax, vec![1, 2], vec![1, 2], &[1e4, 1e4]), [0.5, 0.5]);
    }

    #[test]
    fn batched_products_use_their_own_right_factor() {
        let mut builder = NetworkBuilder::new();
        let x = builder.push("x", "", Op::Input, &[], vec![2, 1, 2]).unwrap();
        let weights = Tensor::new(vec![2, 2, 1], vec![1.0, 10.0, 100.0, 1000.0]).unwrap();
        let w = builder.push("w", "", Op::Constant(weights), &[], vec![2, 2, 1]).unwrap();
        let y = builder.push("y", "MatMul", Op::MatMul, &[x, w], vec![2, 1, 1]).unwrap();
        let network = builder.finish(y).unwrap();
        assert_eq!(evaluate(&network, &[1.0, 2.0, 3.0, 4.0]).unwrap(), [21.0, 4300.0]);
        assert!(evaluate(&network, &[1.0]).is_err());
    }
}
