//! A campaign: random networks and boxes, with no value outside its bounds.
//!
//! | test | what it shows |
//! |---|---|
//! | `sampled_values_lie_inside` | networks of every operation: intervals, backward bounds of every kind of row and slope, balls; prints how many points |
//! | `exact_values_lie_inside` | piecewise linear networks evaluated in rational numbers: not one unit in the last place outside |
//! | `float32_values_lie_inside` | dense networks evaluated in float32 in shuffled and paired order, with and without fused steps |
//! | `rows_of_any_magnitude_are_paid_for`, `means_of_many_are_paid_for` | boxes and rows over the whole range of exponents, in rational numbers |
//! | `fixed_phases_hold_where_they_are_fixed` | a point of the box whose ReLUs are on the fixed sides lies inside the bounds for them |
//! | `long_sorts_are_paid_for`, `squares_that_underflow_are_paid_for` | what only rounding and underflow can break |
//! | `cancellation_is_paid_for` | weights of 1e8 and 1e−8 that cancel; outputs exactly at a threshold |
//!
//! `NNVERIFY_CAMPAIGN` says how many points each of the first three is to have; by default they are some ten thousand.

use dashu::rational::RBig;
use nnverify::kernel::model::ir::{
    Arithmetic, Binary, ConvAxis, ConvGeometry, Function, Network, NetworkBuilder, NodeId, Op, Reduction, Source, Tensor, Values,
    evaluate,
};
use nnverify::kernel::region::bounds::{
    BoundsError, BoxRegion, Hints, LinearBounds, LinearRows, Loops, Phases, Refinement, Region, Semantics, Slopes,
    interval_bounds,
};

/// splitmix64
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn signed(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// A float32 number.
    fn weight(&mut self) -> f64 {
        f64::from(self.signed() as f32)
    }
}

fn constant(b: &mut NetworkBuilder, random: &mut Random, shape: Vec<usize>, scale: f64) -> NodeId {
    let data = (0..shape.iter().product()).map(|_| f64::from((random.weight() * scale) as f32)).collect();
    let tensor = Tensor::new(shape.clone(), data).unwrap();
    b.push("c", "", Op::Constant(tensor), &[], shape).unwrap()
}

/// How many points a test is to have.
fn points_wanted(usual: u64) -> u64 {
    std::env::var("NNVERIFY_CAMPAIGN").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

const WIDTH: usize = 6;

/// A random network of a few nodes of shape `[1, 1, 6]`; `piecewise` keeps to what rational numbers can do.
#[allow(clippy::too_many_lines)] // one arm for every operation
fn network(random: &mut Random, nodes: usize, piecewise: bool) -> Network {
    let mut b = NetworkBuilder::new();
    let shape = vec![1, 1, WIDTH];
    let mut signals = vec![b.push("x", "", Op::Input, &[], shape.clone()).unwrap()];
    for _ in 0..nodes {
        let x = signals[signals.len() - 1 - random.below(signals.len().min(3))];
        let y = signals[random.below(signals.len())];
        let linear = |b: &mut NetworkBuilder, random: &mut Random| {
            let w = constant(b, random, vec![1, WIDTH, WIDTH], 0.8);
            b.push("mm", "", Op::MatMul, &[x, w], shape.clone()).unwrap()
        };
        let call =
            |b: &mut NetworkBuilder, function: Function| b.push("f", "", Op::Function(function), &[x], shape.clone()).unwrap();
        let rows = |b: &mut NetworkBuilder, op: Op| {
            let rows = b.push("r", "", Op::Reshape, &[x], vec![2, 3]).unwrap();
            let result = b.push("g", "", op, &[rows], vec![2, 3]).unwrap();
            b.push("u", "", Op::Reshape, &[result], vec![1, 1, WIDTH]).unwrap()
        };
        let choice = random.below(if piecewise { 12 } else { 18 });
        let node = match choice {
            0..=2 => linear(&mut b, random),
            3 => call(&mut b, [Function::Relu, Function::Abs, Function::Neg][random.below(3)].clone()),
            4 => call(&mut b, [Function::Relu, Function::LeakyRelu { slope: 0.25 }][random.below(2)].clone()),
            // What jumps can turn a last digit into a whole: only exact evaluation can tell.
            5 if piecewise && random.below(2) == 0 => call(&mut b, [Function::Sign, Function::Floor][random.below(2)].clone()),
            5 => call(&mut b, Function::Clip { lower: -0.5, upper: 0.75 }),
            6 => {
                let binary = [Binary::Add, Binary::Sub, Binary::Max, Binary::Min][random.below(4)];
                b.push("b", "", Op::Binary(binary), &[x, y], shape.clone()).unwrap()
            }
            7 => {
                let c = constant(&mut b, random, shape.clone(), 1.0);
                let binary = [Binary::Add, Binary::Mul, Binary::Sub][random.below(3)];
                b.push("b", "", Op::Binary(binary), &[x, c], shape.clone()).unwrap()
            }
            8 => rows(&mut b, Op::Sort { descending: random.below(2) == 0 }),
            9 => {
                let sources = (0..WIDTH).map(|_| Source { operand: 0, element: random.below(WIDTH) as u32 }).collect();
                b.push("move", "", Op::Rearrange(sources), &[x], shape.clone()).unwrap()
            }
            10 => {
                let rows = b.push("r", "", Op::Reshape, &[x], vec![2, 3]).unwrap();
                let reduction = [Reduction::Max, Reduction::Min, Reduction::Sum][random.below(3)];
                let reduced = b.push("red", "", Op::Reduce(reduction), &[rows], vec![2]).unwrap();
                let sources = (0..WIDTH).map(|i| Source { operand: 0, element: (i % 2) as u32 }).collect();
                b.push("spread", "", Op::Rearrange(sources), &[reduced], shape.clone()).unwrap()
            }
            11 => {
                let axis = ConvAxis { input: WIDTH, output: WIDTH, kernel: 3, stride: 1, dilation: 1, pad_begin: 1 };
                let geometry = ConvGeometry {
                    transposed: random.below(2) == 0,
                    batch: 1,
                    groups: 1,
                    in_channels: 1,
                    out_channels: 1,
                    axes: vec![axis],
                };
                let w = constant(&mut b, random, vec![1, 1, 3], 0.9);
                b.push("conv", "", Op::Conv(geometry), &[x, w], shape.clone()).unwrap()
            }
            12 => {
                let smooth = [
                    Function::Sigmoid,
                    Function::Tanh,
                    Function::Softplus,
                    Function::Softsign,
                    Function::Erf,
                    Function::Gelu,
                    Function::GeluTanh,
                    Function::Silu,
                    Function::Mish,
                    Function::HardSwish,
                    Function::Sin,
                    Function::Cos,
                    Function::Elu { alpha: 1.3 },
                    Function::HardSigmoid { alpha: 0.3, beta: 0.5 },
                    Function::Exp,
                ];
                call(&mut b, smooth[random.below(smooth.len())].clone())
            }
            13 => b.push("mul", "", Op::Binary(Binary::Mul), &[x, y], shape.clone()).unwrap(),
            14 => rows(&mut b, Op::Softmax),
            15 => {
                let slope = constant(&mut b, random, shape.clone(), 1.5);
                b.push("prelu", "", Op::PRelu, &[x, slope], shape.clone()).unwrap()
            }
            16 => {
                // x·yᵀ·y of matrices [1, 2, 3].
                let a = b.push("a", "", Op::Reshape, &[x], vec![1, 2, 3]).unwrap();
                let c = b.push("c", "", Op::Reshape, &[y], vec![1, 3, 2]).unwrap();
                let product = b.push("xy", "", Op::MatMul, &[a, c], vec![1, 2, 2]).unwrap();
                let sources = (0..WIDTH).map(|i| Source { operand: 0, element: (i % 4) as u32 }).collect();
                b.push("spread", "", Op::Rearrange(sources), &[product], shape.clone()).unwrap()
            }
            _ => {
                // x / (|y| + 1)
                let size = b.push("abs", "", Op::Function(Function::Abs), &[y], shape.clone()).unwrap();
                let one = Tensor::new(shape.clone(), vec![1.0; WIDTH]).unwrap();
                let one = b.push("1", "", Op::Constant(one), &[], shape.clone()).unwrap();
                let divisor = b.push("d", "", Op::Binary(Binary::Add), &[size, one], shape.clone()).unwrap();
                b.push("div", "", Op::Binary(Binary::Div), &[x, divisor], shape.clone()).unwrap()
            }
        };
        signals.push(node);
    }
    b.finish(*signals.last().unwrap()).unwrap()
}

fn random_box(random: &mut Random) -> BoxRegion {
    let radius = [1e-3, 0.1, 0.5, 1.5][random.below(4)];
    let centre: Vec<f64> = (0..WIDTH).map(|_| random.signed()).collect();
    BoxRegion::around(&centre, radius).unwrap()
}

/// A point of a box, often at its corners.
fn point(random: &mut Random, region: &BoxRegion) -> Vec<f64> {
    let corners = random.below(3) == 0;
    let within = |(&l, &u): (&f64, &f64)| {
        let t = if corners { random.below(2) as f64 } else { random.unit() };
        (l + t * (u - l)).clamp(l, u)
    };
    region.lower().iter().zip(region.upper()).map(within).collect()
}

/// Rows, some of them sparse.
fn random_rows(random: &mut Random) -> LinearRows {
    let coefficients = (0..3 * WIDTH).map(|_| if random.below(3) == 0 { 0.0 } else { random.signed() }).collect();
    LinearRows { coefficients, constants: vec![random.signed(), 0.0, 1.0] }
}

#[test]
fn sampled_values_lie_inside() {
    let mut random = Random(11);
    let (mut points, mut networks) = (0u64, 0);
    let wanted = points_wanted(60_000);
    while points < wanted {
        let nodes = 2 + random.below(9);
        let network = network(&mut random, nodes, false);
        let region = random_box(&mut random);
        let prepared = LinearBounds::new(&network, Semantics::Real).unwrap();
        let as_region = if random.below(4) == 0 { Region::ball(&region.centre(), 0.3).unwrap() } else { region.clone().into() };
        let none = Hints::default();
        let analysis = match prepared.analyse(&as_region, &Phases::new(), Refinement::Backward, &none, &Loops) {
            Ok(analysis) => analysis,
            // Squares of squares leave every range.
            Err(BoundsError::Node { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        let rows = random_rows(&mut random);
        let mut slopes = Slopes::default();
        network.ids().for_each(|id| slopes.set(id, (0..network.node(id).size()).map(|_| random.unit() * 1.2 - 0.1).collect()));
        let usual = analysis.lower_bounds(&rows, &Hints::default(), &Loops);
        let hinted = analysis.lower_bounds(&rows, &Hints { rows: slopes, ..Hints::default() }, &Loops);
        let ball = as_region != Region::from(region.clone());
        for _ in 0..100 {
            let x = if ball {
                let d: Vec<f64> = (0..WIDTH).map(|_| random.signed()).collect();
                let norm = d.iter().map(|d| d * d).sum::<f64>().sqrt();
                region.centre().iter().zip(&d).map(|(c, d)| c + 0.2999 * d / norm).collect()
            } else {
                point(&mut random, &region)
            };
            let values = Values::<f64>::at(&network, &x).unwrap();
            for id in network.ids() {
                for (&y, bounds) in values.get(id.index()).iter().zip(analysis.node(id).iter()) {
                    let slack = 1e-11 * (1.0 + bounds.magnitude());
                    assert!(
                        bounds.lower - slack <= y && y <= bounds.upper + slack,
                        "network {networks}, node {} ({}): {y} outside {bounds:?}",
                        id.index(),
                        network.node(id).op.name()
                    );
                }
            }
            let y = values.get(network.output().index());
            for (row, (usual, hinted)) in usual.iter().zip(&hinted).enumerate() {
                let value: f64 = rows.constants[row] + (0..WIDTH).map(|j| rows.coefficients[row * WIDTH + j] * y[j]).sum::<f64>();
                let slack = 1e-11 * (1.0 + y.iter().map(|y| y.abs()).sum::<f64>());
                assert!(
                    usual - slack <= value && hinted - slack <= value,
                    "network {networks}, row {row}: {usual} {hinted} > {value}"
                );
            }
            points += 1;
        }
        networks += 1;
    }
    println!("{networks} networks, {points} points, 0 violations");
}

/// A rational number as an arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Exact(RBig);

impl Arithmetic for Exact {
    fn exact(value: f64) -> Self {
        Self(RBig::try_from(value).unwrap())
    }
    fn add(&self, other: &Self) -> Self {
        Self(&self.0 + &other.0)
    }
    fn sub(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }
    fn mul(&self, other: &Self) -> Self {
        Self(&self.0 * &other.0)
    }
    fn div(&self, other: &Self) -> Self {
        Self(&self.0 / &other.0)
    }
    fn max(&self, other: &Self) -> Self {
        Ord::max(self, other).clone()
    }
    fn min(&self, other: &Self) -> Self {
        Ord::min(self, other).clone()
    }
    fn apply(&self, function: &Function) -> Option<Self> {
        let zero = Self::exact(0.0);
        Some(match *function {
            Function::Neg => zero.sub(self),
            Function::Abs => Arithmetic::max(self, &zero.sub(self)),
            Function::Sign => Self::exact(if *self > zero { 1.0 } else { 0.0 } - if *self < zero { 1.0 } else { 0.0 }),
            Function::Floor => Self(self.0.floor().into()),
            Function::Relu => Arithmetic::max(self, &zero),
            Function::LeakyRelu { slope } if *self < zero => self.mul(&Self::exact(slope)),
            Function::LeakyRelu { .. } => self.clone(),
            Function::Clip { lower, upper } => Arithmetic::min(&Arithmetic::max(self, &Self::exact(lower)), &Self::exact(upper)),
            _ => return None,
        })
    }
}

#[test]
fn exact_values_lie_inside() {
    let mut random = Random(5);
    let mut points = 0;
    let wanted = points_wanted(900);
    while points < wanted {
        let nodes = 2 + random.below(6);
        let network = network(&mut random, nodes, true);
        let region = random_box(&mut random);
        let prepared = LinearBounds::new(&network, Semantics::Real).unwrap();
        let as_region = Region::from(region.clone());
        let none = Hints::default();
        let analysis = prepared.analyse(&as_region, &Phases::new(), Refinement::Backward, &none, &Loops).unwrap();
        let intervals = interval_bounds(&network, &region, Semantics::Real).unwrap();
        let rows = random_rows(&mut random);
        let bounds = analysis.lower_bounds(&rows, &Hints::default(), &Loops);
        for _ in 0..6 {
            let x: Vec<Exact> = point(&mut random, &region).into_iter().map(Exact::exact).collect();
            let values = Values::at(&network, &x).unwrap();
            for id in network.ids() {
                let all = values.get(id.index()).iter().zip(analysis.node(id).iter()).zip(intervals.node(id).iter());
                for ((y, refined), interval) in all {
                    for bounds in [refined, interval] {
                        assert!(Exact::exact(bounds.lower) <= *y && *y <= Exact::exact(bounds.upper), "{y:?} {bounds:?}");
                    }
                }
            }
            let y = values.get(network.output().index());
            for (row, &bound) in bounds.iter().enumerate() {
                let start = Exact::exact(rows.constants[row]);
                let value =
                    (0..WIDTH).fold(start, |sum, j| sum.add(&Exact::exact(rows.coefficients[row * WIDTH + j]).mul(&y[j])));
                assert!(Exact::exact(bound) <= value, "{bound} above the exact value");
            }
            points += 1;
        }
    }
    println!("{points} points in rational arithmetic, 0 violations");
}

/// Boxes and rows of any magnitude: coefficients that underflow on their way back meet inputs that are huge.
#[test]
fn rows_of_any_magnitude_are_paid_for() {
    let mut random = Random(6);
    let (mut judged, mut close) = (0, 0);
    for round in 0..600 {
        let nodes = 2 + random.below(6);
        let network = network(&mut random, nodes, true);
        let power = |random: &mut Random, low: i32, high: i32| {
            let exponent = low + random.below((high - low) as usize) as i32;
            2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2)
        };
        let scale = power(&mut random, -600, 950);
        let region = random_box(&mut random);
        let scaled = |values: &[f64]| values.iter().map(|x| x * scale).collect::<Vec<_>>();
        let region = BoxRegion::new(scaled(region.lower()), scaled(region.upper())).unwrap();
        let prepared = LinearBounds::new(&network, Semantics::Real).unwrap();
        let none = Hints::default();
        let as_region = Region::from(region.clone());
        let analysis = prepared.analyse(&as_region, &Phases::new(), Refinement::Backward, &none, &Loops).unwrap();
        let mut rows = random_rows(&mut random);
        let small = if round % 2 == 0 { power(&mut random, -1074, -1050) } else { power(&mut random, -1050, 50) };
        rows.coefficients.iter_mut().for_each(|coefficient| *coefficient *= small);
        rows.constants.fill(0.0);
        let bounds = analysis.lower_bounds(&rows, &Hints::default(), &Loops);
        for _ in 0..4 {
            let x: Vec<Exact> = point(&mut random, &region).into_iter().map(Exact::exact).collect();
            let values = Values::at(&network, &x).unwrap();
            let y = values.get(network.output().index());
            for (row, &bound) in bounds.iter().enumerate().filter(|(_, bound)| bound.is_finite()) {
                let row = &rows.coefficients[row * WIDTH..(row + 1) * WIDTH];
                let value = row.iter().zip(y).fold(Exact::exact(0.0), |sum, (l, y)| sum.add(&Exact::exact(*l).mul(y)));
                assert!(Exact::exact(bound) <= value, "{bound:e} above the exact value");
                judged += 1;
                close += usize::from(bound >= -1e3 * small * scale.max(1.0));
            }
        }
    }
    assert!(judged > 5_000 && close > 2_000, "{judged} {close}");
}

/// The adjoint of a mean divides every coefficient, and what underflows there is multiplied by as many inputs as there are.
#[test]
fn means_of_many_are_paid_for() {
    const LENGTH: usize = 100;
    let mut b = NetworkBuilder::new();
    let x = b.push("x", "", Op::Input, &[], vec![1, LENGTH]).unwrap();
    let y = b.push("y", "", Op::Reduce(Reduction::Mean), &[x], vec![1]).unwrap();
    let network = b.finish(y).unwrap();
    let prepared = LinearBounds::new(&network, Semantics::Real).unwrap();
    for value in [1e300, -1e300] {
        let region = Region::from(BoxRegion::new(vec![value; LENGTH], vec![value; LENGTH]).unwrap());
        let none = Hints::default();
        let analysis = prepared.analyse(&region, &Phases::new(), Refinement::Backward, &none, &Loops).unwrap();
        for quanta in [1u64, 30, 49, 51, 149, 1000] {
            for sign in [1.0, -1.0] {
                let coefficient = sign * f64::from_bits(quanta);
                let bound = analysis.backward(y, &[coefficient], &none, None, &Loops)[0];
                let exact = Exact::exact(coefficient).mul(&Exact::exact(value));
                assert!(Exact::exact(bound) <= exact, "{coefficient:e}·{value:e}: {bound:e}");
            }
        }
    }
}

/// `Σ w·x + b` in float32: in a random order, in pairs, or with fused steps.
fn float32_sum(random: &mut Random, terms: &[(f32, f32)], bias: f32) -> f32 {
    let mut terms = terms.to_vec();
    for i in (1..terms.len()).rev() {
        terms.swap(i, random.below(i + 1));
    }
    match random.below(3) {
        0 => terms.iter().fold(bias, |sum, (w, x)| sum + w * x),
        1 => terms.iter().fold(0.0f32, |sum, (w, x)| w.mul_add(*x, sum)) + bias,
        _ => {
            let mut products: Vec<f32> = terms.iter().map(|(w, x)| w * x).collect();
            while products.len() > 1 {
                products = products.chunks(2).map(|pair| pair.iter().sum()).collect();
            }
            products.first().copied().unwrap_or(0.0) + bias
        }
    }
}

#[test]
fn float32_values_lie_inside() {
    let mut random = Random(23);
    let mut outside_real = 0;
    let mut points = 0;
    let wanted = points_wanted(12_000);
    while points < wanted {
        let sizes = [5, 40, 30, 3];
        let mut b = NetworkBuilder::new();
        let mut x = b.push("x", "", Op::Input, &[], vec![1, 1, sizes[0]]).unwrap();
        let mut layers = Vec::new();
        for pair in sizes.windows(2) {
            let (k, n) = (pair[0], pair[1]);
            let weights: Vec<f64> = (0..k * n).map(|_| random.weight() * 8.0).collect();
            let biases: Vec<f64> = (0..n).map(|_| random.weight()).collect();
            let w =
                b.push("w", "", Op::Constant(Tensor::new(vec![1, k, n], weights.clone()).unwrap()), &[], vec![1, k, n]).unwrap();
            let c =
                b.push("b", "", Op::Constant(Tensor::new(vec![1, 1, n], biases.clone()).unwrap()), &[], vec![1, 1, n]).unwrap();
            let mm = b.push("mm", "", Op::MatMul, &[x, w], vec![1, 1, n]).unwrap();
            x = b.push("add", "", Op::Binary(Binary::Add), &[mm, c], vec![1, 1, n]).unwrap();
            if layers.len() + 2 < sizes.len() {
                x = b.push("relu", "", Op::Function(Function::Relu), &[x], vec![1, 1, n]).unwrap();
            }
            layers.push((k, n, weights, biases));
        }
        let network = b.finish(x).unwrap();
        let centre: Vec<f64> = (0..sizes[0]).map(|_| random.weight()).collect();
        // A tiny box, so that rounding is most of what the bounds hold.
        let region = BoxRegion::around(&centre, 0.0).unwrap();
        let float32 = interval_bounds(&network, &region, Semantics::Float32).unwrap();
        let real = interval_bounds(&network, &region, Semantics::Real).unwrap();
        let prepared = LinearBounds::new(&network, Semantics::Float32).unwrap();
        let as_region = Region::from(region);
        let none = Hints::default();
        let analysis = prepared.analyse(&as_region, &Phases::new(), Refinement::Backward, &none, &Loops).unwrap();
        let rows = LinearRows::outputs(3);
        let backward = analysis.backward(network.output(), &rows.coefficients, &Hints::default(), None, &Loops);
        for _ in 0..200 {
            let mut values: Vec<f32> = centre.iter().map(|&x| x as f32).collect();
            for (at, (k, n, weights, biases)) in layers.iter().enumerate() {
                let sum = |j: usize| {
                    let terms: Vec<(f32, f32)> = (0..*k).map(|i| (weights[i * n + j] as f32, values[i])).collect();
                    let y = float32_sum(&mut random, &terms, biases[j] as f32);
                    if at + 1 < layers.len() { y.max(0.0) } else { y }
                };
                values = (0..*n).map(sum).collect();
            }
            for (j, &y) in values.iter().enumerate() {
                let y = f64::from(y);
                assert!(float32.output().at(j).contains(y), "{y} outside {:?}", float32.output().at(j));
                assert!(backward[j] <= y && -backward[3 + j] >= y, "{y} outside [{}, {}]", backward[j], -backward[3 + j]);
                outside_real += usize::from(!real.output().at(j).contains(y));
            }
            points += 1;
        }
    }
    println!("{points} float32 evaluations, 0 violations; {outside_real} outputs differ from every real one");
    assert!(outside_real > 0, "rounding was not seen");
}

#[test]
fn fixed_phases_hold_where_they_are_fixed() {
    let mut random = Random(3);
    let (mut met, mut changed, mut better) = (0, 0, 0);
    for _ in 0..100 {
        let mut b = NetworkBuilder::new();
        let shape = vec![1, 1, WIDTH];
        let x = b.push("x", "", Op::Input, &[], shape.clone()).unwrap();
        let mut signal = x;
        let mut relus = Vec::new();
        for _ in 0..3 {
            let w = constant(&mut b, &mut random, vec![1, WIDTH, WIDTH], 1.0);
            let mm = b.push("mm", "", Op::MatMul, &[signal, w], shape.clone()).unwrap();
            signal = b.push("relu", "", Op::Function(Function::Relu), &[mm], shape.clone()).unwrap();
            relus.push((mm, signal));
        }
        let network = b.finish(signal).unwrap();
        let region = random_box(&mut random);
        let inside = point(&mut random, &region);
        let values = Values::<f64>::at(&network, &inside).unwrap();
        // The sides of three ReLUs at that point.
        let mut phases = Phases::new();
        for _ in 0..3 {
            let id =
                network.ids().filter(|&id| network.node(id).op == Op::Function(Function::Relu)).nth(random.below(3)).unwrap();
            let element = random.below(WIDTH);
            phases.insert((id, element), values.get(network.node(id).operands[0].index())[element] >= 0.0);
        }
        let prepared = LinearBounds::new(&network, Semantics::Real).unwrap();
        let as_region = Region::from(region);
        let none = Hints::default();
        let analysis = prepared.analyse(&as_region, &phases, Refinement::Backward, &none, &Loops).unwrap();
        // Phases fixed from the start, and later; no multipliers, and any.
        let later = prepared.analyse(&as_region, &Phases::new(), Refinement::Backward, &none, &Loops).unwrap();
        let later = later.with_phases(&phases).unwrap();
        let rows = random_rows(&mut random);
        let y = values.get(network.output().index());
        for _ in 0..20 {
            let multipliers: Vec<f64> = (0..3 * phases.len())
                .map(|_| match random.below(9) {
                    0 => f64::NAN,
                    1 => -random.unit(),
                    2 => f64::INFINITY,
                    3 => 1e6 * random.unit(),
                    4 => 0.0,
                    _ => random.unit(),
                })
                .collect();
            for (analysis, hints) in [
                (&analysis, Hints::default()),
                (&later, Hints::default()),
                (&analysis, Hints { multipliers: multipliers.clone(), ..Hints::default() }),
                (&later, Hints { multipliers: multipliers.clone(), ..Hints::default() }),
            ] {
                let usual = analysis.lower_bounds(&rows, &Hints::default(), &Loops);
                // Not the better of two: what the multipliers alone give.
                let alone = analysis.backward(network.output(), &rows.coefficients, &hints, None, &Loops);
                for (row, (bound, alone)) in usual.iter().zip(alone).enumerate() {
                    let value: f64 = (0..WIDTH).map(|j| rows.coefficients[row * WIDTH + j] * y[j]).sum();
                    let slack = 1e-12 * (1.0 + value.abs());
                    assert!(*bound <= rows.constants[row] + value + slack, "{bound} > {value}");
                    assert!(alone <= value + slack, "{alone} > {value}");
                    changed += usize::from(alone != *bound - rows.constants[row] && alone.is_finite());
                    better += usize::from(alone > *bound - rows.constants[row] + 1e-9);
                }
            }
        }
        met += 1;
    }
    assert_eq!(met, 100);
    assert!(changed > 5000 && better > 100, "multipliers do nothing: {changed} {better}");
}

#[test]
fn cancellation_is_paid_for() {
    // 1e8·x + 1e−8·x − 1e8·x on [1, 1]: the true value is f32(1e−8), lost in what the large terms round.
    let single = |weights: &[f64]| {
        let mut b = NetworkBuilder::new();
        let x = b.push("x", "", Op::Input, &[], vec![1, 1, 3]).unwrap();
        let w = Tensor::new(vec![1, 3, 1], weights.to_vec()).unwrap();
        let w = b.push("w", "", Op::Constant(w), &[], vec![1, 3, 1]).unwrap();
        let y = b.push("y", "", Op::MatMul, &[x, w], vec![1, 1, 1]).unwrap();
        b.finish(y).unwrap()
    };
    let tiny = f64::from(1e-8_f32);
    let network = single(&[1e8, tiny, -1e8]);
    let region = BoxRegion::new(vec![1.0; 3], vec![1.0; 3]).unwrap();
    for semantics in [Semantics::Real, Semantics::Float32] {
        let bounds = interval_bounds(&network, &region, semantics).unwrap().output().at(0);
        assert!(bounds.contains(tiny), "{bounds:?}");
        let prepared = LinearBounds::new(&network, semantics).unwrap();
        let as_region = Region::from(region.clone());
        let none = Hints::default();
        let analysis = prepared.analyse(&as_region, &Phases::new(), Refinement::Backward, &none, &Loops).unwrap();
        let rows = LinearRows { coefficients: vec![1.0], constants: vec![0.0] };
        assert!(analysis.lower_bounds(&rows, &Hints::default(), &Loops)[0] <= tiny);
        // In float32 the sum can be 0 or 8: nothing but a wide interval is true.
        if semantics == Semantics::Float32 {
            assert!(bounds.lower < -1.0 && bounds.upper > 1.0, "{bounds:?}");
        }
    }
    // Exactly at the threshold: y = x₀ − x₁ on a box where it is 0 is not proved to be positive.
    let network = single(&[1.0, -1.0, 0.0]);
    let region = BoxRegion::new(vec![0.5, 0.5, 0.0], vec![0.5, 0.5, 1.0]).unwrap();
    let bounds = interval_bounds(&network, &region, Semantics::Real).unwrap().output().at(0);
    assert!(bounds.lower <= 0.0 && bounds.upper >= 0.0, "{bounds:?}");
    assert_eq!(evaluate(&network, &[0.5, 0.5, 0.3]).unwrap(), [0.0]);
}

/// Rows of coefficients meet constants in the place of long sorts: what their sum rounds is paid for.
#[test]
fn long_sorts_are_paid_for() {
    const LENGTH: usize = 70;
    let mut b = NetworkBuilder::new();
    let x = b.push("x", "", Op::Input, &[], vec![1, LENGTH]).unwrap();
    let y = b.push("y", "", Op::Sort { descending: false }, &[x], vec![1, LENGTH]).unwrap();
    let network = b.finish(y).unwrap();
    let mut random = Random(31);
    let centre: Vec<f64> = (0..LENGTH).map(|_| random.signed()).collect();
    // A point: every element of the sort is known, and nothing but rounding is left.
    let region = Region::from(BoxRegion::new(centre.clone(), centre.clone()).unwrap());
    for semantics in [Semantics::Real, Semantics::Float32] {
        let prepared = LinearBounds::new(&network, semantics).unwrap();
        let none = Hints::default();
        let analysis = prepared.analyse(&region, &Phases::new(), Refinement::Backward, &none, &Loops).unwrap();
        assert!(analysis.relaxed(y).unwrap().deviation.iter().all(|&deviation| deviation > 0.0));
        let coefficients: Vec<f64> = (0..20 * LENGTH).map(|_| random.signed()).collect();
        let bounds = analysis.backward(y, &coefficients, &Hints::default(), None, &Loops);
        let mut sorted = centre.clone();
        sorted.sort_by(f64::total_cmp);
        for (row, bound) in coefficients.chunks(LENGTH).zip(bounds) {
            let zero = Exact::exact(0.0);
            let value = row.iter().zip(&sorted).fold(zero, |sum, (l, y)| sum.add(&Exact::exact(*l).mul(&Exact::exact(*y))));
            assert!(Exact::exact(bound) <= value && Exact::exact(bound + 1e-10) >= value, "{bound}");
        }
    }
}

/// Coefficients whose squares vanish still move a bound on a ball.
#[test]
fn squares_that_underflow_are_paid_for() {
    let mut b = NetworkBuilder::new();
    let x = b.push("x", "", Op::Input, &[], vec![1, 2]).unwrap();
    let y = b.push("y", "", Op::Function(Function::Neg), &[x], vec![1, 2]).unwrap();
    let network = b.finish(y).unwrap();
    let prepared = LinearBounds::new(&network, Semantics::Real).unwrap();
    let region = Region::ball(&[0.0, 0.0], 1.0).unwrap();
    let none = Hints::default();
    let analysis = prepared.analyse(&region, &Phases::new(), Refinement::Backward, &none, &Loops).unwrap();
    for tiny in [1e-170, 1e-200, 1e-300, f64::MIN_POSITIVE] {
        // The least value of tiny·(x₀ + x₁) on the unit ball is −√2·tiny.
        let bound = analysis.backward(y, &[tiny, tiny], &Hints::default(), None, &Loops)[0];
        assert!(bound <= -1.414 * tiny, "{tiny}: {bound}");
    }
}
