//! Forward passes over a batch of samples: values of all nodes, and their derivatives along a direction in θ.
//!
//! A node that the input reaches holds one row per sample; any other holds one row for all of them.

use super::circuit::Circuit;
use super::gemm::{Factor, accumulate};
use super::real::Real;
use super::scalar::{derivatives, extreme, order, values};
use crate::kernel::model::ir::{Binary, Node, NodeId, Op, Reduction};

/// One row per sample, or one for all.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    pub data: &'a [T],
    /// Distance between the rows of two samples: the size of the node, or zero.
    stride: usize,
    size: usize,
}

impl<'a, T> View<'a, T> {
    pub fn at(self, sample: usize) -> &'a [T] {
        &self.data[sample * self.stride..sample * self.stride + self.size]
    }

    pub const fn is_shared(&self) -> bool {
        self.stride == 0
    }
}

/// The values of all nodes at a batch of samples.
pub struct Tape<T> {
    pub samples: usize,
    values: Vec<Vec<T>>,
}

/// The derivatives of all nodes along one direction; empty where they vanish.
pub struct Tangents<'d, T> {
    /// Of the constants: the direction itself.
    direction: &'d [Vec<T>],
    rows: Vec<Vec<T>>,
}

impl<T: Real> Tape<T> {
    /// Evaluates the network; `inputs` holds one row per sample.
    pub fn new(circuit: &Circuit<'_>, inputs: &[T]) -> Self {
        let network = circuit.network;
        let samples = inputs.len() / network.input_size().max(1);
        let mut tape = Self { samples, values: vec![Vec::new(); network.nodes().len()] };
        for id in network.ids().filter(|id| circuit.needed[id.index()] && network.node(*id).variable) {
            let node = network.node(id);
            let value = if id == network.input() { inputs.to_vec() } else { tape.compute(circuit, id, node) };
            tape.values[id.index()] = value;
        }
        tape
    }

    pub fn value<'s>(&'s self, circuit: &'s Circuit<'_>, id: NodeId) -> View<'s, T> {
        let node = circuit.network.node(id);
        let size = node.size();
        if node.variable {
            View { data: &self.values[id.index()], stride: size, size }
        } else {
            View { data: T::constant(circuit, id), stride: 0, size }
        }
    }

    /// Output of the network, one row per sample.
    pub fn output<'s>(&'s self, circuit: &'s Circuit<'_>) -> &'s [T] {
        self.value(circuit, circuit.output).data
    }

    fn compute(&self, circuit: &Circuit<'_>, id: NodeId, node: &Node) -> Vec<T> {
        let operands: Vec<View<'_, T>> = node.operands.iter().map(|&operand| self.value(circuit, operand)).collect();
        let mut out = vec![T::ZERO; self.samples * node.size()];
        match (&node.op, &operands[..]) {
            (Op::MatMul | Op::Conv(_), &[a, b]) => bilinear(circuit, id, self.samples, a, b, &mut out),
            (Op::Reshape | Op::Rearrange(_) | Op::Reduce(Reduction::Sum | Reduction::Mean), _) => {
                linear(circuit, id, self.samples, &operands, &mut out);
            }
            (Op::Binary(binary), &[a, b]) => elementwise(self.samples, &mut out, |s, out| {
                let pairs = a.at(s).iter().zip(b.at(s));
                out.iter_mut().zip(pairs).for_each(|(out, (&a, &b))| *out = combine(*binary, a, b));
            }),
            (Op::Function(function), &[x]) => elementwise(self.samples, &mut out, |s, out| {
                values(function, x.at(s), out);
            }),
            (Op::PRelu, &[x, slope]) => elementwise(self.samples, &mut out, |s, out| {
                let pairs = x.at(s).iter().zip(slope.at(s));
                out.iter_mut().zip(pairs).for_each(|(out, (&x, &slope))| *out = if x < T::ZERO { slope * x } else { x });
            }),
            (Op::Reduce(reduction), &[x]) => elementwise(self.samples, &mut out, |s, out| {
                let width = x.size / out.len().max(1);
                for (out, row) in out.iter_mut().zip(x.at(s).chunks(width.max(1))) {
                    *out = row[extreme(*reduction, row)];
                }
            }),
            (Op::Sort { descending }, &[x]) => elementwise(self.samples, &mut out, |s, out| {
                let width = row_length(node);
                for (out, row) in out.chunks_mut(width).zip(x.at(s).chunks(width)) {
                    out.iter_mut().zip(order(row, *descending)).for_each(|(out, from)| *out = row[from]);
                }
            }),
            (Op::Softmax, &[x]) => elementwise(self.samples, &mut out, |s, out| {
                let width = row_length(node);
                for (out, row) in out.chunks_mut(width).zip(x.at(s).chunks(width)) {
                    softmax(row, out);
                }
            }),
            // The builder admits no other number of operands.
            _ => {}
        }
        out
    }

    /// Derivatives of all nodes along a direction in θ, which is given by node: [`Parameters::gather`](super::Parameters::gather).
    pub fn tangents<'d>(&self, circuit: &Circuit<'_>, direction: &'d [Vec<T>]) -> Tangents<'d, T> {
        let network = circuit.network;
        let mut tangents = Tangents { direction, rows: vec![Vec::new(); network.nodes().len()] };
        for id in network.ids().filter(|id| circuit.active[id.index()] && !network.node(*id).operands.is_empty()) {
            tangents.rows[id.index()] = self.tangent(circuit, id, &tangents);
        }
        tangents
    }

    fn tangent(&self, circuit: &Circuit<'_>, id: NodeId, tangents: &Tangents<'_, T>) -> Vec<T> {
        let node = circuit.network.node(id);
        let samples = if node.variable { self.samples } else { 1 };
        let value = |position: usize| self.value(circuit, node.operands[position]);
        let tangent = |position: usize| tangents.get(circuit, node.operands[position]);
        let mut out = vec![T::ZERO; samples * node.size()];
        match &node.op {
            Op::Reshape | Op::Rearrange(_) | Op::Reduce(Reduction::Sum | Reduction::Mean) => {
                let zeros: Vec<Vec<T>> = node.operands.iter().map(|&o| vec![T::ZERO; circuit.network.node(o).size()]).collect();
                let operands: Vec<View<'_, T>> = (0..node.operands.len())
                    .map(|p| tangent(p).unwrap_or(View { data: &zeros[p], stride: 0, size: zeros[p].len() }))
                    .collect();
                linear(circuit, id, samples, &operands, &mut out);
            }
            Op::MatMul | Op::Conv(_) => {
                if let Some(da) = tangent(0) {
                    bilinear(circuit, id, samples, da, value(1), &mut out);
                }
                if let Some(db) = tangent(1) {
                    bilinear(circuit, id, samples, value(0), db, &mut out);
                }
            }
            Op::Reduce(reduction) => {
                if let Some(dx) = tangent(0) {
                    let x = value(0);
                    elementwise(samples, &mut out, |s, out| {
                        let width = (x.size / out.len().max(1)).max(1);
                        let rows = x.at(s).chunks(width).zip(dx.at(s).chunks(width));
                        out.iter_mut().zip(rows).for_each(|(out, (x, dx))| *out = dx[extreme(*reduction, x)]);
                    });
                }
            }
            Op::Sort { descending } => {
                if let Some(dx) = tangent(0) {
                    let (x, width) = (value(0), row_length(node));
                    elementwise(samples, &mut out, |s, out| {
                        let rows = x.at(s).chunks(width).zip(dx.at(s).chunks(width));
                        for (out, (x, dx)) in out.chunks_mut(width).zip(rows) {
                            out.iter_mut().zip(order(x, *descending)).for_each(|(out, from)| *out = dx[from]);
                        }
                    });
                }
            }
            Op::Softmax => {
                if let Some(dx) = tangent(0) {
                    let (p, width) = (self.value(circuit, id), row_length(node));
                    elementwise(samples, &mut out, |s, out| {
                        let rows = p.at(s).chunks(width).zip(dx.at(s).chunks(width));
                        for (out, (p, dx)) in out.chunks_mut(width).zip(rows) {
                            let mean = T::of(super::gemm::dot(p, dx));
                            out.iter_mut().zip(p.iter().zip(dx)).for_each(|(out, (p, dx))| *out = *p * (*dx - mean));
                        }
                    });
                }
            }
            _ => {
                let views: Vec<View<'_, T>> = (0..node.operands.len()).map(value).collect();
                let mut partials = vec![T::ZERO; node.size()];
                for position in 0..node.operands.len() {
                    let Some(dx) = tangent(position) else { continue };
                    elementwise(samples, &mut out, |s, out| {
                        let second = views.get(1).map_or(&[][..], |view| view.at(s));
                        derivatives(&node.op, position, (views[0].at(s), second), &mut partials);
                        let terms = partials.iter().zip(dx.at(s));
                        out.iter_mut().zip(terms).for_each(|(out, (partial, dx))| *out += *partial * *dx);
                    });
                }
            }
        }
        out
    }
}

impl<T> Tangents<'_, T> {
    pub fn get<'s>(&'s self, circuit: &Circuit<'_>, id: NodeId) -> Option<View<'s, T>> {
        let node = circuit.network.node(id);
        let rows = if node.operands.is_empty() { &self.direction[id.index()] } else { &self.rows[id.index()] };
        let size = node.size();
        circuit.active[id.index()].then_some(View { data: rows, stride: if node.variable { size } else { 0 }, size })
    }

    /// Derivative of the network's output, one row per sample.
    pub fn output(&self, circuit: &Circuit<'_>) -> &[T] {
        &self.rows[circuit.output.index()]
    }
}

fn elementwise<T>(samples: usize, out: &mut [T], mut compute: impl FnMut(usize, &mut [T])) {
    let size = out.len() / samples.max(1);
    out.chunks_exact_mut(size.max(1)).enumerate().for_each(|(sample, out)| compute(sample, out));
}

/// The operations that are linear in all their operands together.
fn linear<T: Real>(circuit: &Circuit<'_>, id: NodeId, samples: usize, operands: &[View<'_, T>], out: &mut [T]) {
    elementwise(samples, out, |s, out| match &circuit.network.node(id).op {
        Op::Rearrange(_) => circuit.moves[id.index()].iter().for_each(|part| part.carry(|operand| operands[operand].at(s), out)),
        Op::Reduce(reduction) => {
            let width = (operands[0].size / out.len().max(1)).max(1);
            let scale = T::of(if *reduction == Reduction::Mean { width as f64 } else { 1.0 });
            out.iter_mut()
                .zip(operands[0].at(s).chunks(width))
                .for_each(|(out, row)| *out = row.iter().copied().sum::<T>() / scale);
        }
        _ => out.copy_from_slice(operands[0].at(s)),
    });
}

/// `out += a·b` or `out += b ∗ a`.
fn bilinear<T: Real>(circuit: &Circuit<'_>, id: NodeId, samples: usize, a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
    let node = circuit.network.node(id);
    if let Some(convolution) = &circuit.convolutions[id.index()] {
        if b.is_shared() && !a.is_shared() {
            convolution.forward(b.data, a.data, out);
        } else {
            elementwise(samples, out, |s, out| convolution.forward(b.at(s), a.at(s), out));
        }
        return;
    }
    let [batch, m, n] = node.shape[..] else { return };
    let k = a.size / (batch * m).max(1);
    if b.is_shared() && batch == 1 && !a.is_shared() {
        accumulate(out, Factor::new(a.data, samples * m, k), Factor::new(b.data, k, n));
        return;
    }
    elementwise(samples, out, |s, out| {
        for i in 0..batch {
            let (a, b) = (&a.at(s)[i * m * k..], &b.at(s)[i * k * n..]);
            accumulate(&mut out[i * m * n..], Factor::new(a, m, k), Factor::new(b, k, n));
        }
    });
}

fn combine<T: Real>(binary: Binary, a: T, b: T) -> T {
    match binary {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        // NaN if either is.
        Binary::Max => {
            if a > b || a.to_f64().is_nan() {
                a
            } else {
                b
            }
        }
        Binary::Min => {
            if a < b || a.to_f64().is_nan() {
                a
            } else {
                b
            }
        }
    }
}

pub fn softmax<T: Real>(x: &[T], out: &mut [T]) {
    let peak = x.iter().map(|x| x.to_f64()).fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = x.iter().map(|x| (x.to_f64() - peak).exp()).collect();
    let total: f64 = powers.iter().sum();
    out.iter_mut().zip(powers).for_each(|(out, power)| *out = T::of(power / total));
}

pub fn row_length(node: &Node) -> usize {
    node.shape.last().copied().unwrap_or(1).max(1)
}
