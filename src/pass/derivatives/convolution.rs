//! Convolutions as matrix products: one table of taps per geometry, windows gathered sample by sample.

use super::gemm::{Factor, accumulate, multiply};
use super::real::Real;
use crate::kernel::model::ir::ConvGeometry;

/// Consecutive elements of a window matrix that are consecutive elements of a plane.
struct Run {
    to: usize,
    from: usize,
    length: usize,
}

/// A geometry prepared for matrix products. Per group: weights `[out, in·kernel]`, windows `[in·kernel, positions]`.
pub struct Convolution {
    batch: usize,
    groups: usize,
    /// Channels per group.
    inputs: usize,
    outputs: usize,
    kernel: usize,
    positions: usize,
    plane: usize,
    transposed: bool,
    /// Where the elements of `[kernel, positions]` come from; what no run covers is padding.
    runs: Vec<Run>,
}

impl Convolution {
    pub fn new(geometry: &ConvGeometry) -> Self {
        let kernel = geometry.axes.iter().map(|axis| axis.kernel).product();
        let spatial = geometry.spatial_taps();
        let mut taps: Vec<(usize, usize)> = Vec::new();
        for (position, met) in spatial.iter().enumerate() {
            taps.extend(met.iter().map(|&(input, weight)| (weight * spatial.len() + position, input)));
        }
        taps.sort_unstable();
        let mut runs: Vec<Run> = Vec::new();
        for (to, from) in taps {
            match runs.last_mut() {
                Some(run) if run.to + run.length == to && run.from + run.length == from => run.length += 1,
                _ => runs.push(Run { to, from, length: 1 }),
            }
        }
        Self {
            batch: geometry.batch,
            groups: geometry.groups,
            inputs: geometry.in_channels / geometry.groups,
            outputs: geometry.out_channels / geometry.groups,
            kernel,
            positions: spatial.len(),
            plane: geometry.axes.iter().map(|axis| axis.input).product(),
            transposed: geometry.transposed,
            runs,
        }
    }

    /// Rows of the window matrix.
    const fn depth(&self) -> usize {
        self.inputs * self.kernel
    }

    /// Calls `visit(group, elements of the input, elements of the output)` for every block.
    fn blocks(&self, mut visit: impl FnMut(usize, std::ops::Range<usize>, std::ops::Range<usize>)) {
        let (from, to) = (self.inputs * self.plane, self.outputs * self.positions);
        for block in 0..self.batch * self.groups {
            visit(block % self.groups, block * from..(block + 1) * from, block * to..(block + 1) * to);
        }
    }

    /// Writes what runs cover; the rest of `windows` must be zero, and stays so.
    fn windows<T: Real>(&self, input: &[T], windows: &mut [T]) {
        let rows = windows.chunks_exact_mut(self.kernel * self.positions);
        for (plane, rows) in input.chunks_exact(self.plane).zip(rows) {
            for run in &self.runs {
                rows[run.to..run.to + run.length].copy_from_slice(&plane[run.from..run.from + run.length]);
            }
        }
    }

    /// The adjoint of [`windows`](Self::windows).
    fn fold<T: Real>(&self, windows: &[T], input: &mut [T]) {
        let rows = windows.chunks_exact(self.kernel * self.positions);
        for (plane, rows) in input.chunks_exact_mut(self.plane).zip(rows) {
            for run in &self.runs {
                let target = plane[run.from..run.from + run.length].iter_mut();
                target.zip(&rows[run.to..run.to + run.length]).for_each(|(target, value)| *target += *value);
            }
        }
    }

    /// The weights of all groups as `[groups, out, in·kernel]`.
    fn matrices<'w, T: Real>(&self, weights: &'w [T]) -> std::borrow::Cow<'w, [T]> {
        if !self.transposed {
            return weights.into();
        }
        let mut matrices = vec![T::ZERO; weights.len()];
        self.for_each_transposed(|file, matrix| matrices[matrix] = weights[file]);
        matrices.into()
    }

    /// Pairs of positions in `[groups·in, out, kernel]` and in `[groups, out, in·kernel]`.
    fn for_each_transposed(&self, mut visit: impl FnMut(usize, usize)) {
        for group in 0..self.groups {
            for input in 0..self.inputs {
                for output in 0..self.outputs {
                    for k in 0..self.kernel {
                        visit(
                            ((group * self.inputs + input) * self.outputs + output) * self.kernel + k,
                            (group * self.outputs + output) * self.depth() + input * self.kernel + k,
                        );
                    }
                }
            }
        }
    }

    /// Numbers of one sample's input and output, at least one.
    fn sizes(&self) -> (usize, usize) {
        let blocks = self.batch * self.groups;
        ((blocks * self.inputs * self.plane).max(1), (blocks * self.outputs * self.positions).max(1))
    }

    /// `output += weights ∗ input`, row by row.
    pub fn forward<T: Real>(&self, weights: &[T], inputs: &[T], outputs: &mut [T]) {
        let weights = self.matrices(weights);
        let mut windows = vec![T::ZERO; self.depth() * self.positions];
        let (input, output) = self.sizes();
        for (input, output) in inputs.chunks_exact(input).zip(outputs.chunks_exact_mut(output)) {
            self.blocks(|group, from, to| {
                self.windows(&input[from], &mut windows);
                let matrix = &weights[group * self.outputs * self.depth()..];
                let windows = Factor::new(&windows, self.depth(), self.positions);
                accumulate(&mut output[to], Factor::new(matrix, self.outputs, self.depth()), windows);
            });
        }
    }

    /// The adjoint with respect to the input: rows of `inputs` grow by what those of `adjoints` pull back.
    pub fn to_input<T: Real>(&self, weights: &[T], adjoints: &[T], inputs: &mut [T]) {
        let weights = self.matrices(weights);
        let mut windows = vec![T::ZERO; self.depth() * self.positions];
        let (input, output) = self.sizes();
        for (adjoint, input) in adjoints.chunks_exact(output).zip(inputs.chunks_exact_mut(input)) {
            self.blocks(|group, from, to| {
                let matrix = &weights[group * self.outputs * self.depth()..];
                let adjoint = Factor::new(&adjoint[to], self.outputs, self.positions);
                multiply(&mut windows, Factor::new(matrix, self.outputs, self.depth()).transposed(), adjoint);
                self.fold(&windows, &mut input[from]);
            });
        }
    }

    /// The adjoint with respect to the weights, for several seeds a sample, whose inputs are `input(sample)`: `visit(sample, seed, contribution)`, in the order
    /// of the weights in the network.
    pub fn to_weights<'i, T: Real>(
        &self,
        input: impl Fn(usize) -> &'i [T],
        adjoints: &[T],
        seeds: usize,
        mut visit: impl FnMut(usize, usize, &[T]),
    ) {
        let count = self.groups * self.outputs * self.depth();
        // The windows of all blocks, gathered once for all seeds.
        let block = self.depth() * self.positions;
        let mut windows = vec![T::ZERO; self.batch * self.groups * block];
        let mut gradient = vec![T::ZERO; count];
        let mut reordered = vec![T::ZERO; if self.transposed { count } else { 0 }];
        let output = self.sizes().1;
        for (sample, adjoints) in adjoints.chunks_exact((seeds * output).max(1)).enumerate() {
            let mut index = 0;
            self.blocks(|_, from, _| {
                self.windows(&input(sample)[from], &mut windows[index * block..(index + 1) * block]);
                index += 1;
            });
            for (seed, adjoint) in adjoints.chunks_exact(output).enumerate() {
                gradient.fill(T::ZERO);
                let mut index = 0;
                self.blocks(|group, _, to| {
                    let target = &mut gradient[group * self.outputs * self.depth()..][..self.outputs * self.depth()];
                    let windows = Factor::new(&windows[index * block..], self.depth(), self.positions).transposed();
                    accumulate(target, Factor::new(&adjoint[to], self.outputs, self.positions), windows);
                    index += 1;
                });
                if self.transposed {
                    self.for_each_transposed(|file, matrix| reordered[file] = gradient[matrix]);
                    visit(sample, seed, &reordered);
                } else {
                    visit(sample, seed, &gradient);
                }
            }
        }
    }
}
