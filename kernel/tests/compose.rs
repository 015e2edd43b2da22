//! Two networks as one: what is composed computes both, whatever is paired, and its bounds hold of sampled points.

use nnverify_kernel::model::compose::{ComposeError, compose};
use nnverify_kernel::model::ir::{Binary, Function, Network, NetworkBuilder, NodeId, Op, Tensor, evaluate};
use nnverify_kernel::proof::Semantics;
use nnverify_kernel::region::bounds::{BoxRegion, Hints, LinearBounds, LinearRows, Loops, Phases, Refinement};

/// Reproducible numbers in (−1, 1).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Few bits, so that weights are float32 numbers.
        ((self.0 >> 48) as f64 / 32_768.0) - 1.0
    }

    fn list(&mut self, count: usize, size: f64) -> Vec<f64> {
        (0..count).map(|_| size * self.next()).collect()
    }
}

const WIDTHS: [usize; 4] = [3, 6, 6, 2];

/// The weights and biases of all layers.
type Layers = Vec<(Vec<f64>, Vec<f64>)>;

fn layers(numbers: &mut Numbers) -> Layers {
    WIDTHS.windows(2).map(|w| (numbers.list(w[0] * w[1], 1.0), numbers.list(w[1], 0.5))).collect()
}

/// The same with a third of all weights moved.
fn moved(layers: &Layers, numbers: &mut Numbers, by: f64) -> Layers {
    let mut move_all = |values: &[f64]| -> Vec<f64> {
        values
            .iter()
            .map(|v| if numbers.next() > 0.3 { v + (by * numbers.next() * 1024.0).round() / 1024.0 } else { *v })
            .collect()
    };
    layers.iter().map(|(weights, biases)| (move_all(weights), move_all(biases))).collect()
}

/// A network, and its nodes that may be paired. A residual connection and a reshape are on the way.
fn network(layers: &Layers, function: &Function, flat: bool) -> (Network, Vec<usize>) {
    let mut b = NetworkBuilder::new();
    let mut paired = Vec::new();
    let constant = |b: &mut NetworkBuilder, shape: Vec<usize>, values: &[f64]| {
        let tensor = Tensor::new(shape.clone(), values.to_vec()).unwrap();
        b.push("w", "", Op::Constant(tensor), &[], shape).unwrap()
    };
    let shape = if flat { vec![WIDTHS[0]] } else { vec![1, 1, WIDTHS[0]] };
    let mut x = b.push("x", "", Op::Input, &[], shape).unwrap();
    if flat {
        x = b.push("r", "Reshape", Op::Reshape, &[x], vec![1, 1, WIDTHS[0]]).unwrap();
    }
    let mut kept: Option<NodeId> = None;
    for (index, (weights, biases)) in layers.iter().enumerate() {
        let shape = vec![1, 1, WIDTHS[index + 1]];
        let w = constant(&mut b, vec![1, WIDTHS[index], WIDTHS[index + 1]], weights);
        let product = b.push("m", "MatMul", Op::MatMul, &[x, w], shape.clone()).unwrap();
        let bias = constant(&mut b, shape.clone(), biases);
        let mut sum = b.push("a", "Add", Op::Binary(Binary::Add), &[product, bias], shape.clone()).unwrap();
        paired.extend([product, sum]);
        if let Some(kept) = kept.take() {
            sum = b.push("a", "Add", Op::Binary(Binary::Add), &[sum, kept], shape.clone()).unwrap();
            paired.push(sum);
        }
        x = sum;
        if index + 1 < layers.len() {
            x = b.push("f", "Function", Op::Function(function.clone()), &[sum], shape).unwrap();
            paired.push(x);
            kept = (index == 0).then_some(x);
        }
    }
    let (network, ids) = b.finish_renamed(x).unwrap();
    (network, paired.into_iter().map(|id| ids[id.index()].unwrap().index()).collect())
}

#[test]
fn what_is_composed_computes_both_and_its_bounds_hold() {
    let mut numbers = Numbers(1);
    let mut narrower = 0;
    let functions = [Function::Relu, Function::Tanh, Function::LeakyRelu { slope: 0.1 }, Function::Gelu, Function::Sigmoid];
    for round in 0..30 {
        let function = &functions[round % functions.len()];
        let weights = layers(&mut numbers);
        let changed = moved(&weights, &mut numbers, [0.02, 0.3, 1.0][round % 3]);
        let ((f, of_f), (g, of_g)) = (network(&weights, function, false), network(&changed, function, round % 2 == 0));
        let all: Vec<(usize, usize)> = of_f.iter().copied().zip(of_g.iter().copied()).collect();
        // A pairing that makes no sense, one with holes, and none.
        let sized = |network: &Network, at: usize| network.nodes()[at].size();
        let shuffled = all.iter().zip(all.iter().rev()).map(|(a, b)| (a.0, b.1));
        let shuffled: Vec<(usize, usize)> = shuffled.filter(|&(a, b)| sized(&f, a) == sized(&g, b)).collect();
        let holes: Vec<(usize, usize)> = all.iter().enumerate().filter(|(i, _)| i % 3 != 1).map(|(_, pair)| *pair).collect();
        let centre = numbers.list(3, 0.5);
        let region = BoxRegion::around(&centre, 0.2).unwrap();
        let mut widths = Vec::new();
        for pairs in [&all, &shuffled, &holes, &Vec::new()] {
            let both = compose(&f, &g, pairs).unwrap();
            assert_eq!(both.float32_obstacle().is_some(), !pairs.is_empty());
            let bounds = LinearBounds::new(&both, Semantics::Real).unwrap();
            let analysis =
                bounds.analyse(&region.clone().into(), &Phases::new(), Refinement::Backward, &Hints::default(), &Loops).unwrap();
            // Both outputs, and their differences.
            let mut rows = LinearRows::outputs(4);
            rows.coefficients.extend([1.0, 0.0, -1.0, 0.0, -1.0, 0.0, 1.0, 0.0]);
            rows.constants.extend([0.0, 0.0]);
            let lower = analysis.lower_bounds(&rows, &Hints::default(), &Loops);
            widths.push(-lower[8] - lower[9]);
            for sample in 0..200 {
                let corner = |x: f64| if sample % 4 == 0 { x.signum() } else { x };
                let x: Vec<f64> = centre.iter().map(|c| c + 0.2 * corner(numbers.next())).collect();
                let found = evaluate(&both, &x).unwrap();
                let expected = [evaluate(&f, &x).unwrap(), evaluate(&g, &x).unwrap()].concat();
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-12, "{function:?} {pairs:?}: {found} {expected}");
                }
                for (row, bound) in rows.coefficients.chunks(4).zip(&lower) {
                    let value: f64 = row.iter().zip(&expected).map(|(l, y)| l * y).sum();
                    assert!(*bound <= value + 1e-12, "{function:?} {pairs:?}: {value} below {bound}");
                }
            }
        }
        narrower += u32::from(round % 3 == 0 && widths[0] < 0.5 * widths[3]);
    }
    // Of ten pairs of networks that are nearly the same.
    assert!(narrower >= 8, "{narrower}");
}

/// What a phase fixes of the first network is no more than what its points have.
#[test]
fn bounds_inside_phases_hold_of_the_points_that_have_them() {
    let mut numbers = Numbers(7);
    for _ in 0..10 {
        let weights = layers(&mut numbers);
        let changed = moved(&weights, &mut numbers, 0.3);
        let ((f, of_f), (g, of_g)) = (network(&weights, &Function::Relu, false), network(&changed, &Function::Relu, false));
        let pairs: Vec<(usize, usize)> = of_f.into_iter().zip(of_g).collect();
        let both = compose(&f, &g, &pairs).unwrap();
        let bounds = LinearBounds::new(&both, Semantics::Real).unwrap();
        let region = BoxRegion::around(&[0.0; 3], 0.5).unwrap();
        let base = bounds.analyse(&region.into(), &Phases::new(), Refinement::Backward, &Hints::default(), &Loops).unwrap();
        let relu = both.ids().find(|&id| both.node(id).op == Op::Function(Function::Relu)).unwrap();
        let mut rows = LinearRows::outputs(4);
        rows.coefficients.extend([1.0, 0.0, -1.0, 0.0]);
        rows.constants.push(0.0);
        for (element, active) in (0..6).flat_map(|element| [(element, false), (element, true)]) {
            let Ok(inside) = base.with_phases(&Phases::from([((relu, element), active)])) else { continue };
            let lower = inside.lower_bounds(&rows, &Hints::default(), &Loops);
            for _ in 0..200 {
                let x = numbers.list(3, 0.5);
                let z = (0..3).map(|i| x[i] * weights[0].0[i * 6 + element]).sum::<f64>() + weights[0].1[element];
                if (z > 0.0) != active {
                    continue;
                }
                let y = evaluate(&both, &x).unwrap();
                for (row, bound) in rows.coefficients.chunks(4).zip(&lower) {
                    let value: f64 = row.iter().zip(&y).map(|(l, y)| l * y).sum();
                    assert!(*bound <= value + 1e-12, "{value} below {bound}");
                }
            }
        }
    }
}

#[test]
fn pairs_that_are_none_are_refused() {
    let mut numbers = Numbers(3);
    let weights = layers(&mut numbers);
    let (f, nodes) = network(&weights, &Function::Relu, false);
    let pair = nodes[0];
    let refused = |pairs: &[(usize, usize)]| matches!(compose(&f, &f, pairs), Err(ComposeError::Pair(..)));
    assert!(refused(&[(pair, 1000)]) && refused(&[(1000, pair)]) && refused(&[(pair, pair), (pair, pair)]));
    assert!(refused(&[(0, 0)]), "the input");
    assert!(refused(&[(nodes[0], nodes[nodes.len() - 1])]), "of another size");
    assert!(compose(&f, &f, &[(pair, pair)]).is_ok());
}

#[test]
fn other_interfaces_are_refused_but_for_axes_of_one() {
    let of = |shape: Vec<usize>| {
        let mut b = NetworkBuilder::new();
        let x = b.push("x", "", Op::Input, &[], shape.clone()).unwrap();
        let y = b.push("y", "Relu", Op::Function(Function::Relu), &[x], shape).unwrap();
        b.finish(y).unwrap()
    };
    assert!(compose(&of(vec![1, 4]), &of(vec![4, 1, 1]), &[]).is_ok());
    for other in [vec![4, 2], vec![2, 2], vec![1]] {
        assert!(matches!(compose(&of(vec![1, 4]), &of(other), &[]), Err(ComposeError::Interface { port: "input", .. })));
    }
}
