//! Derivatives with respect to the input over the IR, in `f64`, one point at a time.
//!
//! At a kink the derivative of [`Function::derivative`](crate::kernel::model::ir::Function::derivative) is used; ties in a maximum or a sort go to the first element.
//! Nothing here is a proof.

mod elementwise;
mod kinks;
mod second;

pub use second::second_derivative;

use std::collections::HashMap;

use elementwise::Partial;

use crate::kernel::model::ir::{EvaluationError, Network, Node, NodeId, Op, Reduction, Resolvent, Run, Values, arguments};
use crate::kernel::sound::gram::dot;

/// Change of a singular value from one power iteration to the next, relative to it, at which it counts as found.
const SETTLED: f64 = 1e-8;

/// A network linearised at a point.
pub struct Linearisation<'a> {
    network: &'a Network,
    values: Values<f64>,
    /// Of the operations that act on each element by itself, by node.
    partials: Vec<Vec<Partial>>,
    /// Of the implicit equations, by node.
    loops: HashMap<usize, Loop>,
}

/// An implicit equation linearised at its solution: `Δz = (I − D·A)⁻¹·D·Δu`.
struct Loop {
    slopes: Vec<f64>,
    resolvent: Resolvent,
}

/// `[batch, m, k] × [batch, k, n]` with a constant right side.
struct RightFactor<'a> {
    batch: usize,
    m: usize,
    k: usize,
    n: usize,
    weights: &'a [f64],
}

impl RightFactor<'_> {
    /// The weights of element `inner` of row `row` of the left operand.
    fn weights(&self, row: usize, inner: usize) -> &[f64] {
        &self.weights[(row / self.m * self.k + inner) * self.n..][..self.n]
    }

    /// Adds `left·weights`. Most rows are sparse: a rectifier's derivative vanishes for half of its units.
    fn add_times(&self, left: &[f64], target: &mut [f64]) {
        for (row, target) in target.chunks_exact_mut(self.n.max(1)).enumerate() {
            let scales = left[row * self.k..][..self.k].iter().enumerate().filter(|(_, scale)| **scale != 0.0);
            let mut gathered = [(0.0, &[][..]); 4];
            let mut count = 0;
            for (inner, &scale) in scales {
                gathered[count] = (scale, self.weights(row, inner));
                count += 1;
                // Four at once read and write the sums a quarter as often.
                if count == 4 {
                    let [(a, u), (b, v), (c, w), (d, x)] = gathered;
                    let weights = u.iter().zip(v).zip(w.iter().zip(x));
                    target.iter_mut().zip(weights).for_each(|(t, ((u, v), (w, x)))| *t += (a * u + b * v) + (c * w + d * x));
                    count = 0;
                }
            }
            for (scale, weights) in &gathered[..count] {
                target.iter_mut().zip(*weights).for_each(|(t, w)| *t += scale * w);
            }
        }
    }

    /// Adds `right·weightsᵀ`.
    fn add_transposed_times(&self, right: &[f64], target: &mut [f64]) {
        for row in 0..self.batch * self.m {
            let right = &right[row * self.n..][..self.n];
            let target = target[row * self.k..][..self.k].iter_mut();
            target.enumerate().for_each(|(inner, target)| *target += dot(right, self.weights(row, inner)));
        }
    }
}

/// What the results of a run pass back to its operands.
fn pull_back_run(weight: f64, run: Run, adjoint: &[f64], operand: &mut [f64]) {
    if run.input_stride == 1 && run.output_stride == 1 {
        let (from, to) = (&adjoint[run.output..run.output + run.count], &mut operand[run.input..run.input + run.count]);
        to.iter_mut().zip(from).for_each(|(to, from)| *to += weight * from);
    } else {
        for i in 0..run.count {
            operand[run.input + i * run.input_stride] += weight * adjoint[run.output + i * run.output_stride];
        }
    }
}

impl<'a> Linearisation<'a> {
    /// At an input; `constants` are those of [`Values::constants`].
    ///
    /// # Errors
    /// [`EvaluationError`].
    pub fn new(network: &'a Network, constants: &Values<f64>, input: &[f64]) -> Result<Self, EvaluationError> {
        let values = constants.at_input(network, input)?;
        let mut loops = HashMap::new();
        for id in network.ids() {
            let node = network.node(id);
            if let (Op::Equilibrium(function), [injection, weights]) = (&node.op, &node.operands[..]) {
                let weights = values.get(weights.index());
                let at = arguments(weights, values.get(injection.index()), values.get(id.index()));
                let slopes: Vec<f64> = at.into_iter().map(|v| function.derivative(v)).collect();
                let failed = || EvaluationError::NoFixedPoint { node: node.name.clone(), operator: node.operator.clone() };
                let resolvent = Resolvent::new(weights, &slopes).ok_or_else(failed)?;
                loops.insert(id.index(), Loop { slopes, resolvent });
            }
        }
        let partials = network.ids().map(|id| elementwise::partials(network, id, &values)).collect();
        Ok(Self { network, values, partials, loops })
    }

    /// The network's output at the point.
    #[must_use]
    pub fn output(&self) -> &[f64] {
        self.value(self.network.output())
    }

    /// The constant right factor of a matrix product, the case that dominates the cost of most networks.
    fn right_factor(&self, node: &Node) -> Option<RightFactor<'_>> {
        let (Op::MatMul, [batch, m, n]) = (&node.op, &node.shape[..]) else { return None };
        let [left, right] = node.operands[..] else { return None };
        let constant = self.network.node(left).variable && !self.network.node(right).variable;
        let weights = self.value(right);
        constant.then(|| RightFactor { m: *m, n: *n, k: weights.len() / (batch * n).max(1), batch: *batch, weights })
    }

    fn value(&self, id: NodeId) -> &[f64] {
        self.values.get(id.index())
    }

    /// `J·direction`: forward mode.
    #[must_use]
    pub fn forward(&self, direction: &[f64]) -> Vec<f64> {
        let mut tangents = self.room();
        self.push_forward(direction, &mut tangents);
        tangents.swap_remove(self.network.output().index())
    }

    /// `Jᵀ·cotangent`: reverse mode.
    #[must_use]
    pub fn backward(&self, cotangent: &[f64]) -> Vec<f64> {
        let mut adjoints = self.room();
        adjoints[self.network.output().index()] = cotangent.to_vec();
        self.pull_back(&mut adjoints);
        adjoints.swap_remove(self.network.input().index())
    }

    /// The largest singular value of `J`, from below, and its right singular vector, by power iterations from a start. `None`
    /// where the start is zero or something overflows.
    #[must_use]
    pub fn spectral_norm(&self, start: Vec<f64>, iterations: usize) -> Option<(f64, Vec<f64>)> {
        let norm = |vector: &[f64]| dot(vector, vector).sqrt();
        let (input, output) = (self.network.input().index(), self.network.output().index());
        let (mut direction, mut size, mut room) = (start, 0.0, self.room());
        for _ in 0..iterations {
            let length = norm(&direction);
            if !(length > 0.0 && length.is_finite()) {
                return None;
            }
            direction.iter_mut().for_each(|d| *d /= length);
            self.push_forward(&direction, &mut room);
            let next = norm(&room[output]);
            let settled = (next - size).abs() <= SETTLED * next;
            size = next;
            if settled {
                break;
            }
            // The image stays where it is; elsewhere the room is needed anew.
            room.iter_mut().enumerate().filter(|(node, _)| *node != output).for_each(|(_, adjoint)| adjoint.fill(0.0));
            self.pull_back(&mut room);
            direction.copy_from_slice(&room[input]);
        }
        let length = norm(&direction);
        direction.iter_mut().for_each(|d| *d /= length);
        (size.is_finite() && length > 0.0).then_some((size, direction))
    }

    /// Zero for every element of every variable node.
    fn room(&self) -> Vec<Vec<f64>> {
        self.network.nodes().iter().map(|node| if node.variable { vec![0.0; node.size()] } else { Vec::new() }).collect()
    }

    /// The derivatives of all variable nodes along a direction of the input, in place of whatever the room held.
    fn push_forward(&self, direction: &[f64], tangents: &mut [Vec<f64>]) {
        tangents[self.network.input().index()].copy_from_slice(direction);
        for id in self.network.ids().filter(|&id| self.network.node(id).variable && id != self.network.input()) {
            let node = self.network.node(id);
            let mut tangent = std::mem::take(&mut tangents[id.index()]);
            if let Some(equation) = self.loops.get(&id.index()) {
                let moved = tangents[node.operands[0].index()].iter().zip(&equation.slopes).map(|(t, d)| t * d);
                tangent = equation.resolvent.solve(&moved.collect::<Vec<_>>());
            } else {
                tangent.fill(0.0);
                if let Some(factor) = self.right_factor(node) {
                    factor.add_times(&tangents[node.operands[0].index()], &mut tangent);
                } else if node.op == Op::Softmax {
                    self.add_softmax_product(id, &tangents[node.operands[0].index()], &mut tangent);
                } else {
                    for partial in &self.partials[id.index()] {
                        partial.add_product(&tangents[partial.operand().index()], &mut tangent);
                    }
                    self.for_each_partial(node, |operand, from, to, partial| {
                        if let Some(value) = tangents[operand.index()].get(from) {
                            tangent[to] += partial * value;
                        }
                    });
                }
            }
            tangents[id.index()] = tangent;
        }
    }

    /// Adds to every node's adjoint what the nodes after it pass back.
    fn pull_back(&self, adjoints: &mut [Vec<f64>]) {
        for id in self.network.ids().rev() {
            let node = self.network.node(id);
            if !node.variable || id == self.network.input() {
                continue;
            }
            let adjoint = std::mem::take(&mut adjoints[id.index()]);
            if let Some(equation) = self.loops.get(&id.index()) {
                let solved = equation.resolvent.solve_transposed(&adjoint);
                let operand = &mut adjoints[node.operands[0].index()];
                operand.iter_mut().zip(solved.iter().zip(&equation.slopes)).for_each(|(o, (s, d))| *o += s * d);
            } else if let Some(factor) = self.right_factor(node) {
                factor.add_transposed_times(&adjoint, &mut adjoints[node.operands[0].index()]);
            } else if node.op == Op::Softmax {
                self.add_softmax_product(id, &adjoint, &mut adjoints[node.operands[0].index()]);
            } else if let (Op::Conv(geometry), false) =
                (&node.op, node.operands.get(1).is_none_or(|&w| self.network.node(w).variable))
            {
                let weights = self.value(node.operands[1]);
                let operand = &mut adjoints[node.operands[0].index()];
                geometry.for_each_run(|weight, run| pull_back_run(weights[weight], run, &adjoint, operand));
            } else {
                for partial in &self.partials[id.index()] {
                    partial.add_product(&adjoint, &mut adjoints[partial.operand().index()]);
                }
                self.for_each_partial(node, |operand, from, to, partial| {
                    if let Some(target) = adjoints[operand.index()].get_mut(from) {
                        *target += partial * adjoint[to];
                    }
                });
            }
            adjoints[id.index()] = adjoint;
        }
    }

    /// Calls `visit(operand, element of the operand, element of the result, ∂result/∂operand)` for every partial
    /// derivative with respect to a variable operand that is not known to vanish, where an operation mixes elements.
    fn for_each_partial(&self, node: &Node, mut visit: impl FnMut(NodeId, usize, usize, f64)) {
        let operands = &node.operands;
        let variable = |position: usize| self.network.node(operands[position]).variable;
        let value = |position: usize| self.value(operands[position]);
        match &node.op {
            // Implicit equations have no partial derivatives of their own: their loops are solved. Those of a softmax are applied
            // row by row. The others act on each element by itself.
            Op::Input
            | Op::Constant(_)
            | Op::Equilibrium(_)
            | Op::Softmax
            | Op::Reshape
            | Op::Binary(_)
            | Op::Function(_)
            | Op::Increment(_)
            | Op::PRelu => {}
            Op::Rearrange(sources) => {
                for (to, source) in sources.iter().enumerate() {
                    let operand = source.operand as usize;
                    if variable(operand) {
                        visit(operands[operand], source.element as usize, to, 1.0);
                    }
                }
            }
            Op::MatMul => self.matmul_partials(node, visit),
            Op::Conv(geometry) => geometry.for_each_output(|to, taps| {
                for tap in taps {
                    if variable(0) {
                        visit(operands[0], tap.input, to, value(1)[tap.weight]);
                    }
                    if variable(1) {
                        visit(operands[1], tap.weight, to, value(0)[tap.input]);
                    }
                }
            }),
            Op::Reduce(reduction) => {
                let size = value(0).len() / node.size().max(1);
                for (to, row) in value(0).chunks(size.max(1)).enumerate() {
                    let chosen = |better: fn(f64, f64) -> bool| {
                        row.iter().enumerate().fold(0, |best, (i, &x)| if better(x, row[best]) { i } else { best })
                    };
                    match reduction {
                        Reduction::Sum => (0..size).for_each(|i| visit(operands[0], to * size + i, to, 1.0)),
                        #[allow(clippy::cast_precision_loss)] // a row has fewer than 2⁵³ elements
                        Reduction::Mean => (0..size).for_each(|i| visit(operands[0], to * size + i, to, 1.0 / size as f64)),
                        Reduction::Max => visit(operands[0], to * size + chosen(|a, b| a > b), to, 1.0),
                        Reduction::Min => visit(operands[0], to * size + chosen(|a, b| a < b), to, 1.0),
                    }
                }
            }
            Op::Sort { descending } => {
                let size = node.shape.last().copied().unwrap_or(1).max(1);
                let mut order: Vec<usize> = Vec::with_capacity(size);
                for (row, values) in value(0).chunks(size).enumerate() {
                    order.clear();
                    order.extend(0..values.len());
                    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
                    if *descending {
                        order.reverse();
                    }
                    order.iter().enumerate().for_each(|(to, &from)| visit(operands[0], row * size + from, row * size + to, 1.0));
                }
            }
        }
    }

    /// Adds `(diag(p) − p·pᵀ)·vector` for every row `p` of a softmax: its derivative, which is symmetric.
    fn add_softmax_product(&self, id: NodeId, vector: &[f64], target: &mut [f64]) {
        let size = self.network.node(id).shape.last().copied().unwrap_or(1).max(1);
        let rows = self.value(id).chunks(size).zip(vector.chunks(size));
        for (target, (p, vector)) in target.chunks_mut(size).zip(rows) {
            let mean = dot(p, vector);
            target.iter_mut().zip(p.iter().zip(vector)).for_each(|(target, (p, x))| *target += p * (x - mean));
        }
    }

    fn matmul_partials(&self, node: &Node, mut visit: impl FnMut(NodeId, usize, usize, f64)) {
        let [batch, m, n] = node.shape[..] else { return };
        let (left, right) = (node.operands[0], node.operands[1]);
        let (a, b) = (self.value(left), self.value(right));
        let k = a.len() / (batch * m).max(1);
        for row in 0..batch * m {
            for inner in 0..k {
                let from_left = row * k + inner;
                for column in 0..n {
                    let from_right = (row / m * k + inner) * n + column;
                    let to = row * n + column;
                    if self.network.node(left).variable {
                        visit(left, from_left, to, b[from_right]);
                    }
                    if self.network.node(right).variable {
                        visit(right, from_right, to, a[from_left]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::model::ir::{Binary, ConvAxis, ConvGeometry, Function, NetworkBuilder, Source, Tensor, evaluate};

    /// One network with every differentiable operation in it.
    fn everything() -> Network {
        let mut b = NetworkBuilder::new();
        let weights = |n: usize| (0..n).map(|i| (i as f64 * 1.7 + 0.3).sin()).collect::<Vec<_>>();
        let constant = |b: &mut NetworkBuilder, shape: Vec<usize>| {
            let tensor = Tensor::new(shape.clone(), weights(shape.iter().product())).unwrap();
            b.push("c", "", Op::Constant(tensor), &[], shape).unwrap()
        };
        let x = b.push("x", "", Op::Input, &[], vec![1, 1, 6]).unwrap();
        let axis = ConvAxis { input: 6, output: 6, kernel: 3, stride: 1, dilation: 1, pad_begin: 1 };
        let geometry = ConvGeometry { transposed: false, batch: 1, groups: 1, in_channels: 1, out_channels: 2, axes: vec![axis] };
        let w = constant(&mut b, vec![2, 1, 3]);
        let conv = b.push("conv", "", Op::Conv(geometry), &[x, w], vec![1, 2, 6]).unwrap();
        let tanh = b.push("tanh", "", Op::Function(Function::Tanh), &[conv], vec![1, 2, 6]).unwrap();
        let flat = b.push("flat", "", Op::Reshape, &[tanh], vec![1, 1, 12]).unwrap();
        let w = constant(&mut b, vec![1, 12, 6]);
        let y = b.push("mm", "", Op::MatMul, &[flat, w], vec![1, 1, 6]).unwrap();
        let product = b.push("mul", "", Op::Binary(Binary::Mul), &[x, y], vec![1, 1, 6]).unwrap();
        let slope = constant(&mut b, vec![1, 1, 6]);
        let prelu = b.push("prelu", "", Op::PRelu, &[product, slope], vec![1, 1, 6]).unwrap();
        let max = b.push("max", "", Op::Binary(Binary::Max), &[prelu, x], vec![1, 1, 6]).unwrap();
        let rows = b.push("rows", "", Op::Reshape, &[max], vec![2, 3]).unwrap();
        let sort = b.push("sort", "", Op::Sort { descending: true }, &[rows], vec![2, 3]).unwrap();
        let soft = b.push("softmax", "", Op::Softmax, &[rows], vec![2, 3]).unwrap();
        let quotient = b.push("div", "", Op::Binary(Binary::Div), &[sort, soft], vec![2, 3]).unwrap();
        let mean = b.push("mean", "", Op::Reduce(Reduction::Mean), &[quotient], vec![2]).unwrap();
        let top = b.push("top", "", Op::Reduce(Reduction::Max), &[sort], vec![2]).unwrap();
        let sources =
            vec![Source { operand: 0, element: 1 }, Source { operand: 1, element: 0 }, Source { operand: 0, element: 0 }];
        let out = b.push("out", "", Op::Rearrange(sources), &[mean, top], vec![3]).unwrap();
        b.finish(out).unwrap()
    }

    #[test]
    fn forward_mode_agrees_with_central_differences_and_with_reverse_mode() {
        let network = everything();
        let x = [0.3, -1.1, 0.7, 0.2, -0.4, 0.9];
        let constants = Values::constants(&network).unwrap();
        let at = Linearisation::new(&network, &constants, &x).unwrap();
        let d = [0.5, -0.2, 0.1, 0.9, -0.7, 0.3];
        let shifted = |h: f64| {
            let point: Vec<f64> = x.iter().zip(&d).map(|(x, d)| x + h * d).collect();
            evaluate(&network, &point).unwrap()
        };
        let (plus, minus) = (shifted(1e-6), shifted(-1e-6));
        let forward = at.forward(&d);
        for ((p, m), f) in plus.iter().zip(&minus).zip(&forward) {
            assert!(((p - m) / 2e-6 - f).abs() < 1e-7 * (1.0 + f.abs()), "{p} {m} {f}");
        }
        let u = [0.4, -1.3, 0.8];
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!((dot(&forward, &u) - dot(&at.backward(&u), &d)).abs() < 1e-12);
    }

    #[test]
    fn the_spectral_norm_is_the_largest_singular_value() {
        let network = everything();
        let constants = Values::constants(&network).unwrap();
        let at = Linearisation::new(&network, &constants, &[0.3, -1.1, 0.7, 0.2, -0.4, 0.9]).unwrap();
        let norm = |vector: &[f64]| dot(vector, vector).sqrt();
        let (size, direction) = at.spectral_norm(vec![1.0, -0.3, 0.2, 0.5, 0.1, -0.7], 500).unwrap();
        assert!((norm(&direction) - 1.0).abs() < 1e-12);
        let image = at.forward(&direction);
        assert!((norm(&image) - size).abs() < 1e-7 * size, "{size}");
        // A value that has settled to 1e-8 leaves its vector the square root of that.
        for (pulled, d) in at.backward(&image).iter().zip(&direction) {
            assert!((pulled - size * size * d).abs() < 1e-3 * size * size, "a singular vector: {pulled} {d}");
        }
        for k in 0..200 {
            let other: Vec<f64> = (0..6).map(|i| f64::from(17 * k + 5 * i).sin()).collect();
            assert!(norm(&at.forward(&other)) <= size * norm(&other) * (1.0 + 1e-6));
        }
        assert!(at.spectral_norm(vec![0.0; 6], 3).is_none());
    }
}
