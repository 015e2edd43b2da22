//! Adjoints of products with constant weights: `λ_x = Wᵀ·λ_y` for many rows `λ_y` at once.
//!
//! Rows of convolutions are mostly empty (a neuron sees its receptive field, dead neurons see nothing): only positions with
//! an entry are gathered, multiplied by the kernels of all channels at once, and scattered.

use std::ops::Range;

use super::linear::Linear;
use super::matrix::{Kernel, Vectorise, add_multiple, add_sparse_product};
use crate::model::ir::ConvGeometry;

/// Constant weights, arranged for backward passes.
#[derive(Clone, Debug)]
pub(super) enum Adjoint {
    /// One matrix on the right, transposed: `[n, k]`.
    Matrix {
        k: usize,
        n: usize,
        transposed: Vec<f64>,
    },
    Kernels(Kernels),
    /// Anything else, product by product; the constant is on the given side.
    Products {
        constant: usize,
        weights: Vec<f64>,
    },
}

/// A convolution seen from its outputs.
#[derive(Clone, Debug)]
pub(super) struct Kernels {
    /// Per output channel `[kernel, in_per_group]`.
    weights: Vec<f64>,
    groups: usize,
    batch: usize,
    in_channels: usize,
    out_channels: usize,
    input_size: usize,
    output_size: usize,
    kernel: usize,
    /// Per output position the (input position, kernel position) that meet.
    taps: Vec<Vec<(u32, u32)>>,
}

/// Positions that are multiplied at once.
const BLOCK: usize = 64;

impl Adjoint {
    pub fn new(linear: Linear, constant: usize, weights: Vec<f64>) -> Self {
        match linear {
            Linear::MatMul { batch: 1, k, n, .. } if constant == 1 => {
                let mut transposed = vec![0.0; k * n];
                for (inner, row) in weights.chunks_exact(n.max(1)).enumerate() {
                    row.iter().enumerate().for_each(|(column, &w)| transposed[column * k + inner] = w);
                }
                Self::Matrix { k, n, transposed }
            }
            Linear::Conv(geometry) if constant == 1 => Self::Kernels(Kernels::new(geometry, &weights)),
            _ => Self::Products { constant, weights },
        }
    }

    /// Adds `Wᵀ·λ` to `out`, row by row: `[rows, results]` and `[rows, operand]`.
    pub fn add(&self, linear: Linear, vectors: &impl Vectorise, rows: usize, lambda: &[f64], out: &mut [f64]) {
        match self {
            Self::Matrix { k, n, transposed } => {
                let m = lambda.len().checked_div(*n).unwrap_or(0);
                add_sparse_product(vectors, [m, *n, *k], lambda, transposed, out);
            }
            Self::Kernels(kernels) => kernels.add(vectors, rows, lambda, out),
            Self::Products { constant, weights } => {
                let (results, operand) = (lambda.len() / rows.max(1), out.len() / rows.max(1));
                linear.for_each_product(|to, left, right| {
                    let (from, weight) = if *constant == 1 { (left, weights[right]) } else { (right, weights[left]) };
                    if weight != 0.0 {
                        for row in 0..rows {
                            out[row * operand + from] += weight * lambda[row * results + to];
                        }
                    }
                });
            }
        }
    }
}

impl Kernels {
    fn new(geometry: &ConvGeometry, weights: &[f64]) -> Self {
        let kernel: usize = geometry.axes.iter().map(|axis| axis.kernel).product();
        let (inputs, outputs) = (geometry.in_channels / geometry.groups, geometry.out_channels / geometry.groups);
        let source = |out_channel: usize, k: usize, local: usize| {
            let in_channel = out_channel / outputs * inputs + local;
            let pair =
                if geometry.transposed { in_channel * outputs + out_channel % outputs } else { out_channel * inputs + local };
            pair * kernel + k
        };
        let index = (0..geometry.out_channels).flat_map(|o| (0..kernel).map(move |k| (o, k)));
        let index = index.flat_map(|(o, k)| (0..inputs).map(move |i| source(o, k, i)));
        let arranged = index.map(|at| weights[at]).collect();
        let output_size: usize = geometry.axes.iter().map(|axis| axis.output).product();
        let mut taps = vec![Vec::new(); output_size];
        let plane = ConvGeometry { batch: 1, groups: 1, in_channels: 1, out_channels: 1, ..geometry.clone() };
        plane.for_each_run(|k, run| {
            for i in 0..run.count {
                let (input, output) = (run.input + i * run.input_stride, run.output + i * run.output_stride);
                taps[output].push((input as u32, k as u32));
            }
        });
        Self {
            weights: arranged,
            groups: geometry.groups,
            batch: geometry.batch,
            in_channels: geometry.in_channels,
            out_channels: geometry.out_channels,
            input_size: geometry.axes.iter().map(|axis| axis.input).product(),
            output_size,
            kernel,
            taps,
        }
    }

    fn add(&self, vectors: &impl Vectorise, rows: usize, lambda: &[f64], out: &mut [f64]) {
        let (inputs, outputs) = (self.in_channels / self.groups, self.out_channels / self.groups);
        let patch = inputs * self.kernel;
        let mut places = Vec::with_capacity(self.output_size);
        let mut gathered = vec![0.0; BLOCK * outputs];
        let mut patches = vec![0.0; BLOCK * patch];
        let mut bits = vec![0u64; self.output_size];
        // One row's image, position by position with all channels, so that every tap is one stretch of memory.
        let mut image = vec![0.0; self.input_size * inputs];
        let from = lambda.chunks_exact((outputs * self.output_size).max(1));
        let to = out.chunks_exact_mut((inputs * self.input_size).max(1));
        for (index, (lambda, out)) in from.zip(to).take(rows * self.batch * self.groups).enumerate() {
            let group = index % self.groups;
            let weights = &self.weights[group * outputs * patch..(group + 1) * outputs * patch];
            self.occupied(lambda, &mut bits, &mut places);
            let Some(reach) = self.reach(&places) else { continue };
            image[reach.start * inputs..reach.end * inputs].fill(0.0);
            for block in places.chunks(BLOCK) {
                let gathered = &mut gathered[..block.len() * outputs];
                for (values, &place) in gathered.chunks_exact_mut(outputs).zip(block) {
                    let channels = lambda.chunks_exact(self.output_size);
                    values.iter_mut().zip(channels).for_each(|(value, plane)| *value = plane[place]);
                }
                let patches = &mut patches[..block.len() * patch];
                patches.fill(0.0);
                add_sparse_product(vectors, [block.len(), outputs, patch], gathered, weights, patches);
                vectors.run(Scatter { taps: &self.taps, inputs, block, patches, image: &mut image });
            }
            for (local, plane) in out.chunks_exact_mut(self.input_size).enumerate() {
                let values = image[reach.start * inputs..].iter().skip(local).step_by(inputs);
                plane[reach.clone()].iter_mut().zip(values).for_each(|(out, value)| *out += value);
            }
        }
    }

    /// Output positions where any channel has an entry.
    fn occupied(&self, lambda: &[f64], bits: &mut [u64], places: &mut Vec<usize>) {
        places.clear();
        bits.fill(0);
        for plane in lambda.chunks_exact(self.output_size) {
            bits.iter_mut().zip(plane).for_each(|(bits, value)| *bits |= value.to_bits());
        }
        // The sign of a zero does not count.
        places.extend(bits.iter().enumerate().filter(|(_, bits)| **bits << 1 != 0).map(|(place, _)| place));
    }

    /// The input positions between the first and the last that these output positions meet.
    fn reach(&self, places: &[usize]) -> Option<Range<usize>> {
        let met = || places.iter().flat_map(|&place| &self.taps[place]).map(|&(input, _)| input as usize);
        Some(met().min()?..met().max()? + 1)
    }
}

/// Adds patches to the positions that they are about.
struct Scatter<'a> {
    taps: &'a [Vec<(u32, u32)>],
    inputs: usize,
    block: &'a [usize],
    patches: &'a [f64],
    image: &'a mut [f64],
}

impl Kernel for Scatter<'_> {
    #[inline(always)]
    fn run(self) {
        let patch = self.patches.len() / self.block.len().max(1);
        for (&place, patch) in self.block.iter().zip(self.patches.chunks_exact(patch.max(1))) {
            for &(input, k) in &self.taps[place] {
                let (to, from) = (input as usize * self.inputs, k as usize * self.inputs);
                add_multiple(&mut self.image[to..to + self.inputs], 1.0, &patch[from..from + self.inputs]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::linear::tests::geometries;
    use super::super::matrix::Loops;
    use super::*;

    /// `⟨W x, λ⟩ = ⟨x, Wᵀ λ⟩` for every geometry, with sparse and full rows.
    #[test]
    fn adjoints_are_adjoint() {
        let value = |i: usize| (i as f64 * 0.73 + 0.2).sin();
        let matmul = Linear::MatMul { batch: 1, m: 3, k: 5, n: 4 };
        let batched = Linear::MatMul { batch: 2, m: 3, k: 5, n: 4 };
        let all = geometries();
        let convolutions = all.iter().map(|g| {
            let size = |shape: Vec<usize>| shape.iter().product::<usize>();
            (Linear::Conv(g), size(g.input_shape()), size(g.weight_shape()), size(g.output_shape()))
        });
        for (linear, left, right, results) in convolutions.chain([(matmul, 15, 20, 12), (batched, 30, 40, 24)]) {
            let a: Vec<f64> = (0..left).map(value).collect();
            let b: Vec<f64> = (100..100 + right).map(value).collect();
            let mut image = vec![0.0; results];
            linear.accumulate(&a, |x| x, &b, |w| w, &mut image);
            for constant in [0, 1] {
                let (weights, variable) = if constant == 1 { (&b, &a) } else { (&a, &b) };
                let adjoint = Adjoint::new(linear, constant, weights.clone());
                let rows = 3;
                let lambda: Vec<f64> =
                    (0..rows * results).map(|i| if i % 5 < 2 || i < results { value(i) } else { 0.0 }).collect();
                let mut out = vec![0.0; rows * variable.len()];
                adjoint.add(linear, &Loops, rows, &lambda, &mut out);
                for (lambda, out) in lambda.chunks(results).zip(out.chunks(variable.len())) {
                    let forward: f64 = image.iter().zip(lambda).map(|(y, l)| y * l).sum();
                    let backward: f64 = variable.iter().zip(out).map(|(x, l)| x * l).sum();
                    assert!((forward - backward).abs() < 1e-10, "{linear:?} {constant}");
                }
            }
        }
    }
}
