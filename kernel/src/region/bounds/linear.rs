//! Matrix products and convolutions in plain `f64`: which element meets which weight, run by run.
//!
//! Nothing here bounds anything; [`super::affine`] adds the error terms, which hold for any order of summation.

use crate::model::ir::{ConvGeometry, Node, Op};

/// A bilinear operation of a left and a right operand.
#[derive(Clone, Copy, Debug)]
pub enum Linear<'n> {
    /// `[batch, m, k] × [batch, k, n]`.
    MatMul { batch: usize, m: usize, k: usize, n: usize },
    /// Input on the left, weights on the right.
    Conv(&'n ConvGeometry),
}

impl<'n> Linear<'n> {
    /// The operation of a node, if it is bilinear. `left` is the number of elements of its left operand.
    #[must_use]
    pub fn of(node: &'n Node, left: usize) -> Option<Self> {
        match (&node.op, &node.shape[..]) {
            (Op::MatMul, &[batch, m, n]) => Some(Self::MatMul { batch, m, k: left.checked_div(batch * m).unwrap_or(0), n }),
            (Op::Conv(geometry), _) => Some(Self::Conv(geometry)),
            _ => None,
        }
    }

    /// Most products that are added in one output element.
    #[must_use]
    pub fn terms(&self) -> usize {
        match self {
            Self::MatMul { k, .. } => *k,
            Self::Conv(geometry) => {
                let kernel: usize = geometry.axes.iter().map(|axis| axis.kernel).product();
                kernel * (geometry.in_channels / geometry.groups)
            }
        }
    }

    /// Adds the products to `out`, in `f64`. The operands are mapped element by element first.
    pub fn accumulate(
        &self,
        left: &[f64],
        map_left: impl Fn(f64) -> f64,
        right: &[f64],
        map_right: impl Fn(f64) -> f64,
        out: &mut [f64],
    ) {
        match *self {
            Self::MatMul { m, k, n, .. } if n > 0 && k > 0 => {
                for (row, out) in out.chunks_exact_mut(n).enumerate() {
                    let right = &right[row / m * k * n..];
                    for (&a, b) in left[row * k..(row + 1) * k].iter().zip(right.chunks_exact(n)) {
                        let a = map_left(a);
                        if a != 0.0 {
                            out.iter_mut().zip(b).for_each(|(out, &b)| *out += a * map_right(b));
                        }
                    }
                }
            }
            Self::MatMul { .. } => {}
            Self::Conv(geometry) => geometry.for_each_run(|weight, run| {
                let w = map_right(right[weight]);
                if w == 0.0 {
                    return;
                }
                if run.input_stride == 1 && run.output_stride == 1 {
                    let input = &left[run.input..run.input + run.count];
                    let output = &mut out[run.output..run.output + run.count];
                    output.iter_mut().zip(input).for_each(|(o, &x)| *o += w * map_left(x));
                } else {
                    for i in 0..run.count {
                        out[run.output + i * run.output_stride] += w * map_left(left[run.input + i * run.input_stride]);
                    }
                }
            }),
        }
    }

    /// Calls `visit(output element, left element, right element)` for every product.
    pub fn for_each_product(&self, mut visit: impl FnMut(usize, usize, usize)) {
        match *self {
            Self::MatMul { batch, m, k, n } => {
                for row in 0..batch * m {
                    for inner in 0..k {
                        for column in 0..n {
                            visit(row * n + column, row * k + inner, (row / m * k + inner) * n + column);
                        }
                    }
                }
            }
            Self::Conv(geometry) => geometry.for_each_run(|weight, run| {
                for i in 0..run.count {
                    visit(run.output + i * run.output_stride, run.input + i * run.input_stride, weight);
                }
            }),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::ir::ConvAxis;

    pub fn geometries() -> Vec<ConvGeometry> {
        let axis = |input, kernel, stride, dilation, pad: usize| ConvAxis {
            input,
            output: ConvAxis::output_extent(input, kernel, stride, dilation, (pad, pad)).unwrap(),
            kernel,
            stride,
            dilation,
            pad_begin: pad,
        };
        let up = |input: usize, kernel: usize, stride: usize, pad: usize| ConvAxis {
            input,
            output: stride * (input - 1) + kernel - 2 * pad,
            kernel,
            stride,
            dilation: 1,
            pad_begin: pad,
        };
        let conv =
            |transposed, groups, axes| ConvGeometry { transposed, batch: 2, groups, in_channels: 4, out_channels: 6, axes };
        vec![
            conv(false, 1, vec![axis(5, 3, 1, 1, 1), axis(6, 3, 2, 1, 1)]),
            conv(false, 2, vec![axis(7, 2, 2, 2, 0), axis(5, 3, 1, 2, 2)]),
            conv(false, 1, vec![axis(9, 4, 3, 1, 2)]),
            conv(true, 2, vec![up(3, 3, 2, 1), up(4, 2, 1, 0)]),
            conv(true, 1, vec![up(3, 4, 3, 1)]),
            conv(false, 1, vec![axis(3, 2, 1, 1, 0), axis(3, 2, 1, 1, 1), axis(4, 3, 2, 1, 1)]),
        ]
    }

    /// The runs meet exactly the taps of the IR's own index arithmetic.
    #[test]
    fn runs_are_the_taps_of_the_geometry() {
        for geometry in geometries() {
            let mut expected = Vec::new();
            geometry.for_each_output(|output, taps| expected.extend(taps.iter().map(|tap| (output, tap.input, tap.weight))));
            let mut found = Vec::new();
            Linear::Conv(&geometry).for_each_product(|output, input, weight| found.push((output, input, weight)));
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected, "{geometry:?}");
        }
    }

    #[test]
    fn products_are_accumulated_once() {
        let linear = Linear::MatMul { batch: 2, m: 2, k: 3, n: 2 };
        let value = |i: usize| (i as f64 * 0.7).sin();
        let (a, b): (Vec<f64>, Vec<f64>) = ((0..12).map(value).collect(), (20..32).map(value).collect());
        let mut out = vec![0.0; 8];
        linear.accumulate(&a, |x| x, &b, f64::abs, &mut out);
        let mut expected = vec![0.0; 8];
        linear.for_each_product(|o, l, r| expected[o] += a[l] * b[r].abs());
        out.iter().zip(&expected).for_each(|(x, y)| assert!((x - y).abs() < 1e-14));
    }
}
