//! Convolutions run by run: all elements that meet one weight along the last axis, at once.

use super::conv::{ConvAxis, ConvGeometry};

/// Elements that meet one weight: `output[output + i·output_stride] += w·input[input + i·input_stride]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub input: usize,
    pub input_stride: usize,
    pub output: usize,
    pub output_stride: usize,
    pub count: usize,
}

impl ConvGeometry {
    /// Calls `visit(weight, run)` so that every product is met exactly once. The terms of an output element come in the order of
    /// [`ConvGeometry::for_each_output`].
    pub fn for_each_run(&self, visit: impl FnMut(usize, Run)) {
        walk(self, visit);
    }
}

fn walk(geometry: &ConvGeometry, mut visit: impl FnMut(usize, Run)) {
    let runs = plane_runs(geometry);
    let input_size: usize = geometry.axes.iter().map(|axis| axis.input).product();
    let output_size: usize = geometry.axes.iter().map(|axis| axis.output).product();
    let (inputs, outputs) = (geometry.in_channels / geometry.groups, geometry.out_channels / geometry.groups);
    for batch in 0..geometry.batch {
        for out_channel in 0..geometry.out_channels {
            let group = out_channel / outputs;
            let output_plane = (batch * geometry.out_channels + out_channel) * output_size;
            for local in 0..inputs {
                let in_channel = group * inputs + local;
                let input_plane = (batch * geometry.in_channels + in_channel) * input_size;
                let kernel =
                    if geometry.transposed { in_channel * outputs + out_channel % outputs } else { out_channel * inputs + local };
                for (offset, line) in runs.iter().enumerate() {
                    for run in line {
                        let shifted = Run { input: input_plane + run.input, output: output_plane + run.output, ..*run };
                        visit(kernel * runs.len() + offset, shifted);
                    }
                }
            }
        }
    }
}

/// For every position of the kernel, row-major, the runs of one input plane and one output plane.
fn plane_runs(geometry: &ConvGeometry) -> Vec<Vec<Run>> {
    let one = Run { input: 0, input_stride: 1, output: 0, output_stride: 1, count: 1 };
    let Some((last, outer)) = geometry.axes.split_last() else { return vec![vec![one]] };
    // Pairs (input, output) along all axes but the last, per position of the kernel along them.
    let mut pairs: Vec<Vec<(usize, usize)>> = vec![vec![(0, 0)]];
    for axis in outer {
        let along: Vec<Vec<(usize, usize)>> = (0..axis.kernel).map(|k| meetings(axis, k, geometry.transposed)).collect();
        let extend = |outer: &[(usize, usize)], inner: &[(usize, usize)]| {
            let join = |&(i, o): &(usize, usize)| inner.iter().map(move |(x, y)| (i * axis.input + x, o * axis.output + y));
            outer.iter().flat_map(join).collect()
        };
        pairs = pairs.iter().flat_map(|outer| along.iter().map(move |inner| extend(outer, inner))).collect();
    }
    let lines: Vec<Option<Run>> = (0..last.kernel)
        .map(|k| {
            let met = meetings(last, k, geometry.transposed);
            let &(input, output) = met.first()?;
            let (input_stride, output_stride) = if geometry.transposed { (1, last.stride) } else { (last.stride, 1) };
            Some(Run { input, input_stride, output, output_stride, count: met.len() })
        })
        .collect();
    let place = |pairs: &[(usize, usize)], line: &Option<Run>| -> Vec<Run> {
        let at = |run: &Run| {
            let run = *run;
            pairs.iter().map(move |(i, o)| Run { input: i * last.input + run.input, output: o * last.output + run.output, ..run })
        };
        line.iter().flat_map(at).collect()
    };
    pairs.iter().flat_map(|pairs| lines.iter().map(move |line| place(pairs, line))).collect()
}

/// The pairs (input, output) that meet position `k` of the kernel along one axis, in order; each step moves both by a
/// constant stride.
fn meetings(axis: &ConvAxis, k: usize, transposed: bool) -> Vec<(usize, usize)> {
    let (moving, fixed) = if transposed { (axis.input, axis.output) } else { (axis.output, axis.input) };
    (0..moving)
        .filter_map(|i| {
            let other = (i * axis.stride + k * axis.dilation).checked_sub(axis.pad_begin)?;
            (other < fixed).then_some(if transposed { (i, other) } else { (other, i) })
        })
        .collect()
}
