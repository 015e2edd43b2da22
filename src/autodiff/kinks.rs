//! Where the Jacobian of a piecewise linear network grows: its derivative with kinks rounded off.
//!
//! A direction for a search, never more: nothing here is a proof.

use super::Linearisation;
use crate::kernel::model::ir::{Binary, Op, arguments};
use crate::kernel::sound::gram::dot;

impl Linearisation<'_> {
    /// The gradient of `cotangentᵀ·J(x)·direction` by the input `x`, with every kink spread over arguments of up to `width`
    /// times their root mean square: slopes of functions, also in implicit equations, and of maxima of two, and exchanges of neighbours in a sort.
    #[must_use]
    pub fn slope_gradient(&self, direction: &[f64], cotangent: &[f64], width: f64) -> Vec<f64> {
        let [mut tangents, mut adjoints, mut seeds] = std::array::from_fn(|_| self.room());
        self.push_forward(direction, &mut tangents);
        adjoints[self.network.output().index()] = cotangent.to_vec();
        self.pull_back(&mut adjoints);
        for id in self.network.ids().filter(|&id| self.network.node(id).variable) {
            let (node, adjoint) = (self.network.node(id), &adjoints[id.index()]);
            let mut seed = |operand: usize, element: usize, value: f64| {
                if let Some(target) = seeds[node.operands[operand].index()].get_mut(element) {
                    *target += value;
                }
            };
            let value = |operand: usize| self.value(node.operands[operand]);
            let tangent = |operand: usize, i: usize| tangents[node.operands[operand].index()].get(i).copied().unwrap_or(0.0);
            match &node.op {
                Op::Function(function) => {
                    let reach = width * size(value(0).iter().copied());
                    for (i, &x) in value(0).iter().enumerate() {
                        let change = function.derivative(x + reach) - function.derivative(x - reach);
                        seed(0, i, adjoint[i] * tangent(0, i) * change / (2.0 * reach));
                    }
                }
                Op::PRelu => {
                    let reach = width * size(value(0).iter().copied());
                    for (i, (_, slope)) in value(0).iter().zip(value(1)).enumerate().filter(|(_, (x, _))| x.abs() < reach) {
                        seed(0, i, adjoint[i] * tangent(0, i) * (1.0 - slope) / (2.0 * reach));
                    }
                }
                Op::Binary(binary @ (Binary::Max | Binary::Min)) => {
                    let sign = if *binary == Binary::Max { 1.0 } else { -1.0 };
                    let differences = || value(0).iter().zip(value(1)).map(|(a, b)| a - b);
                    let reach = width * size(differences());
                    for (i, _) in differences().enumerate().filter(|(_, difference)| difference.abs() < reach) {
                        let change = sign * adjoint[i] * (tangent(0, i) - tangent(1, i)) / (2.0 * reach);
                        seed(0, i, change);
                        seed(1, i, -change);
                    }
                }
                Op::Equilibrium(function) => {
                    let Some(equation) = self.loops.get(&id.index()) else { continue };
                    let weights = value(1);
                    let at = arguments(weights, value(0), self.value(id));
                    let moved = arguments(weights, &tangents[node.operands[0].index()], &tangents[id.index()]);
                    let reach = width * size(at.iter().copied());
                    // The adjoint behind the loop, then what it gains where an argument v = A·z + u moves.
                    let behind = equation.resolvent.solve_transposed(adjoint);
                    let change = |v: f64| (function.derivative(v + reach) - function.derivative(v - reach)) / (2.0 * reach);
                    let gains: Vec<f64> =
                        at.iter().zip(behind.iter().zip(&moved)).map(|(&v, (s, m))| s * m * change(v)).collect();
                    // dv = (I + A(I − D·A)⁻¹D)·du.
                    let back: Vec<f64> = weights.chunks_exact(gains.len()).map(|row| dot(row, &gains)).collect();
                    let looped = equation.resolvent.solve_transposed(&back);
                    for (i, gain) in gains.iter().enumerate() {
                        seed(0, i, gain + equation.slopes[i] * looped[i]);
                    }
                }
                Op::Sort { descending } => {
                    let length = node.shape.last().copied().unwrap_or(1).max(1);
                    let reach = width * size(value(0).iter().copied());
                    for (row, values) in value(0).chunks(length).enumerate() {
                        let at = |i: usize| row * length + i;
                        let mut order: Vec<usize> = (0..values.len()).collect();
                        order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
                        if *descending {
                            order.reverse();
                        }
                        let neighbours = order.windows(2).enumerate().map(|(to, pair)| (to, pair[0], pair[1]));
                        for (to, i, j) in neighbours.filter(|&(_, i, j)| (values[i] - values[j]).abs() < reach) {
                            let gain = (adjoint[at(to)] - adjoint[at(to + 1)]) * (tangent(0, at(i)) - tangent(0, at(j)));
                            // Of moving the two further apart in their present order.
                            let change = gain * if *descending { 1.0 } else { -1.0 } / (2.0 * reach);
                            seed(0, at(i), change);
                            seed(0, at(j), -change);
                        }
                    }
                }
                _ => {}
            }
        }
        self.pull_back(&mut seeds);
        seeds.swap_remove(self.network.input().index())
    }
}

/// The root mean square, or one where everything vanishes.
#[allow(clippy::cast_precision_loss)] // counts far below 2⁵³
fn size(values: impl Iterator<Item = f64>) -> f64 {
    let (count, squares) = values.fold((0_usize, 0.0), |(count, squares), x| (count + 1, squares + x * x));
    if squares > 0.0 && f64::is_finite(squares) { (squares / count as f64).sqrt() } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::model::ir::{Function, Network, NetworkBuilder, Tensor, Values};

    fn network(activation: Op, shape: &[usize]) -> Network {
        let mut b = NetworkBuilder::new();
        let matrix = |n: usize, phase: f64| (0..n).map(|i| (i as f64 * 2.3 + phase).sin()).collect::<Vec<_>>();
        let x = b.push("x", "", Op::Input, &[], vec![1, 1, 3]).unwrap();
        let first = Op::Constant(Tensor::new(vec![1, 3, 4], matrix(12, 0.4)).unwrap());
        let first = b.push("w", "", first, &[], vec![1, 3, 4]).unwrap();
        let hidden = b.push("h", "", Op::MatMul, &[x, first], vec![1, 1, 4]).unwrap();
        let rows = b.push("r", "", Op::Reshape, &[hidden], shape.to_vec()).unwrap();
        let active = b.push("a", "", activation, &[rows], shape.to_vec()).unwrap();
        let flat = b.push("f", "", Op::Reshape, &[active], vec![1, 1, 4]).unwrap();
        let last = Op::Constant(Tensor::new(vec![1, 4, 2], matrix(8, 1.1)).unwrap());
        let last = b.push("v", "", last, &[], vec![1, 4, 2]).unwrap();
        let output = b.push("y", "", Op::MatMul, &[flat, last], vec![1, 1, 2]).unwrap();
        b.finish(output).unwrap()
    }

    fn quotient(network: &Network, x: &[f64], direction: &[f64], cotangent: &[f64]) -> f64 {
        let constants = Values::constants(network).unwrap();
        let image = Linearisation::new(network, &constants, x).unwrap().forward(direction);
        image.iter().zip(cotangent).map(|(a, b)| a * b).sum()
    }

    /// Of a smooth network it is the derivative of the product; the width is the step of the difference.
    #[test]
    fn of_a_smooth_function_it_is_the_second_derivative() {
        let network = network(Op::Function(Function::Tanh), &[1, 1, 4]);
        let (x, direction, cotangent) = ([0.3, -0.2, 0.5], [1.0, -0.5, 0.2], [0.7, -0.4]);
        let constants = Values::constants(&network).unwrap();
        let at = Linearisation::new(&network, &constants, &x).unwrap();
        let gradient = at.slope_gradient(&direction, &cotangent, 1e-5);
        for i in 0..3 {
            let moved = |h: f64| {
                let mut point = x;
                point[i] += h;
                quotient(&network, &point, &direction, &cotangent)
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((gradient[i] - difference).abs() < 1e-6, "{i}: {} {difference}", gradient[i]);
        }
    }

    #[test]
    fn of_an_implicit_equation_too() {
        let mut b = NetworkBuilder::new();
        let matrix = |n: usize, phase: f64| (0..n).map(|i| 0.6 * (i as f64 * 2.3 + phase).sin()).collect::<Vec<_>>();
        let constant = |b: &mut NetworkBuilder, shape: [usize; 3], phase: f64| {
            let tensor = Tensor::new(shape.to_vec(), matrix(shape.iter().product(), phase)).unwrap();
            b.push("c", "", Op::Constant(tensor), &[], shape.to_vec()).unwrap()
        };
        let x = b.push("x", "", Op::Input, &[], vec![1, 1, 3]).unwrap();
        let input = constant(&mut b, [1, 3, 4], 0.4);
        let injection = b.push("u", "", Op::MatMul, &[x, input], vec![1, 1, 4]).unwrap();
        let weights = constant(&mut b, [1, 4, 4], 1.7);
        let z = b.push("z", "", Op::Equilibrium(Function::Tanh), &[injection, weights], vec![1, 1, 4]).unwrap();
        let output = constant(&mut b, [1, 4, 2], 1.1);
        let y = b.push("y", "", Op::MatMul, &[z, output], vec![1, 1, 2]).unwrap();
        let network = b.finish(y).unwrap();
        let (x, direction, cotangent) = ([0.3, -0.2, 0.5], [1.0, -0.5, 0.2], [0.7, -0.4]);
        let constants = Values::constants(&network).unwrap();
        let at = Linearisation::new(&network, &constants, &x).unwrap();
        let (forward, backward) = (at.forward(&direction), at.backward(&cotangent));
        let (a, b): (f64, f64) = (dot(&forward, &cotangent), dot(&backward, &direction));
        assert!((a - b).abs() < 1e-14, "{a} {b}");
        let moved = |i: usize, h: f64| {
            let mut point = x;
            point[i] += h;
            point
        };
        let gradient = at.slope_gradient(&direction, &cotangent, 1e-5);
        for i in 0..3 {
            let value = |h: f64| quotient(&network, &moved(i, h), &direction, &cotangent);
            let difference = (value(1e-5) - value(-1e-5)) / 2e-5;
            assert!((gradient[i] - difference).abs() < 1e-6, "{i}: {} {difference}", gradient[i]);
            let output = |h: f64| crate::kernel::model::ir::evaluate(&network, &moved(i, h)).unwrap();
            let slope: f64 = output(1e-6).iter().zip(output(-1e-6)).zip(&cotangent).map(|((p, m), c)| (p - m) / 2e-6 * c).sum();
            assert!((slope - backward[i]).abs() < 1e-8, "{i}: {slope} {}", backward[i]);
        }
    }

    /// Following it over kinks increases the product, as a rule: a kink may be crossed that others outweigh.
    #[test]
    fn it_points_over_the_kink_to_the_larger_product() {
        for (activation, shape) in [
            (Op::Function(Function::Relu), &[1, 1, 4][..]),
            (Op::Sort { descending: true }, &[2, 2]),
            (Op::Sort { descending: false }, &[2, 2]),
        ] {
            let network = network(activation.clone(), shape);
            let constants = Values::constants(&network).unwrap();
            let (mut gained, mut lost, cotangent) = (0, 0, [0.7, -0.4]);
            for k in 0..400 {
                let x: [f64; 3] = std::array::from_fn(|i| (f64::from(k) * 1.7 + i as f64 * 2.9).sin());
                let direction: [f64; 3] = std::array::from_fn(|i| (f64::from(k) * 0.9 + i as f64 * 1.3).cos());
                let at = Linearisation::new(&network, &constants, &x).unwrap();
                let gradient = at.slope_gradient(&direction, &cotangent, 0.2);
                let length = size(gradient.iter().copied());
                if gradient.iter().all(|&g| g == 0.0) {
                    continue;
                }
                let along = |step: f64| -> Vec<f64> { x.iter().zip(&gradient).map(|(x, g)| x + step * g / length).collect() };
                let change = quotient(&network, &along(0.05), &direction, &cotangent)
                    - quotient(&network, &along(-0.05), &direction, &cotangent);
                gained += u32::from(change > 1e-12);
                lost += u32::from(change < -1e-12);
            }
            assert!(gained > 10 && gained > 8 * lost, "{activation:?}: {gained} {lost}");
        }
    }
}
