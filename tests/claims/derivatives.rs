//! Derivatives by parameters, for every operation of the IR and every function, against central differences of the loss that
//! are computed in double-double enclosures: gradients, Hessian- and Gauss–Newton-products in `f64` and `f32`, and the
//! enclosed rows that the checker rests on.

use nnverify::deadline::Deadline;
use nnverify::kernel::curvature::Reverse;
use nnverify::kernel::model::ir::{
    Binary, ConvAxis, ConvGeometry, Function, Network, NetworkBuilder, NodeId, Op, Reduction, Source, Tensor, Values,
};
use nnverify::kernel::model::onnx::StoredConstant;
use nnverify::kernel::sound::Enclosure;
use nnverify::pass::derivatives::{Circuit, Loss, Objective, Parameter, Parameters, Real, Samples, Targets, dot};

/// What stands in the middle of the network.
enum Middle {
    Function(Function),
    /// Of positive arguments.
    Positive(Function),
    Binary(Binary),
    PRelu,
    Reshape,
    Rearrange,
    MatMul,
    Conv {
        transposed: bool,
    },
    Reduce(Reduction),
    Sort {
        descending: bool,
    },
    Softmax,
}

fn middles() -> Vec<(String, Middle)> {
    let functions = [
        Function::Neg,
        Function::Abs,
        Function::Relu,
        Function::LeakyRelu { slope: 0.1 },
        Function::Clip { lower: -1.0, upper: 2.0 },
        Function::Elu { alpha: 1.7 },
        Function::Selu { alpha: 1.673_263_192_176_818_8, gamma: 1.050_701_022_148_132_3 },
        Function::Celu { alpha: 0.7 },
        Function::Sigmoid,
        Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Function::Tanh,
        Function::Softplus,
        Function::Softsign,
        Function::Erf,
        Function::Gelu,
        Function::GeluTanh,
        Function::ErfGate { divisor: 1.5 },
        Function::Silu,
        Function::HardSwish,
        Function::Mish,
        Function::Sin,
        Function::Cos,
        Function::Exp,
        Function::Sign,
        Function::Floor,
    ];
    let binaries = [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Max, Binary::Min];
    let reductions = [Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Min];
    let sorts = [false, true];
    let mut all: Vec<(String, Middle)> = functions.map(|f| (format!("{f:?}"), Middle::Function(f))).into();
    all.push(("Sqrt".to_owned(), Middle::Positive(Function::Sqrt)));
    all.extend(binaries.map(|b| (format!("{b:?}"), Middle::Binary(b))));
    all.extend(reductions.map(|r| (format!("{r:?}"), Middle::Reduce(r))));
    all.extend(sorts.map(|descending| (format!("Sort, {descending}"), Middle::Sort { descending })));
    all.extend(sorts.map(|transposed| (format!("Conv, {transposed}"), Middle::Conv { transposed })));
    let others = [
        ("PRelu", Middle::PRelu),
        ("Reshape", Middle::Reshape),
        ("Rearrange", Middle::Rearrange),
        ("MatMul", Middle::MatMul),
        ("Softmax", Middle::Softmax),
    ];
    all.extend(others.map(|(name, middle)| (name.to_owned(), middle)));
    all
}

/// Elements of the middle.
const SIZE: usize = 6;
const OUTPUTS: usize = 2;

/// A network `v·middle(w∘x + b, u∘x)` whose parameters are read off θ one after another, and where they lie in it.
fn build(middle: &Middle, theta: &[f64]) -> (Network, Parameters) {
    let mut builder = NetworkBuilder::new();
    let mut rest = theta;
    let mut sizes = Vec::new();
    let mut parameter = |builder: &mut NetworkBuilder, name: &'static str, shape: &[usize]| -> NodeId {
        let (own, others) = rest.split_at(shape.iter().product());
        rest = others;
        sizes.push((name, shape.to_vec()));
        builder.push(name, "", Op::Constant(Tensor::new(shape.to_vec(), own.to_vec()).unwrap()), &[], shape.to_vec()).unwrap()
    };
    let row = vec![1, SIZE];
    let b = |op: Op, operands: &[NodeId], shape: &[usize], builder: &mut NetworkBuilder| {
        builder.push("n", "", op, operands, shape.to_vec()).unwrap()
    };
    let x = builder.push("x", "", Op::Input, &[], row.clone()).unwrap();
    let w = parameter(&mut builder, "w", &row);
    let bias = parameter(&mut builder, "b", &row);
    let u = parameter(&mut builder, "u", &row);
    let scaled = b(Op::Binary(Binary::Mul), &[x, w], &row, &mut builder);
    let first = b(Op::Binary(Binary::Add), &[scaled, bias], &row, &mut builder);
    let second = b(Op::Binary(Binary::Mul), &[x, u], &row, &mut builder);
    let groups = b(Op::Reshape, &[first], &[2, 3], &mut builder);
    let (found, size) = match middle {
        Middle::Function(function) => (b(Op::Function(function.clone()), &[first], &row, &mut builder), SIZE),
        Middle::Positive(function) => {
            let positive = b(Op::Function(Function::Exp), &[first], &row, &mut builder);
            (b(Op::Function(function.clone()), &[positive], &row, &mut builder), SIZE)
        }
        Middle::Binary(binary) => (b(Op::Binary(*binary), &[first, second], &row, &mut builder), SIZE),
        Middle::PRelu => {
            let slope = parameter(&mut builder, "s", &row);
            (b(Op::PRelu, &[first, slope], &row, &mut builder), SIZE)
        }
        Middle::Reshape => (groups, SIZE),
        Middle::Rearrange => {
            let source = |operand: u32, element: u32| Source { operand, element };
            let sources = vec![source(0, 3), source(1, 0), source(0, 3), source(1, 5), source(0, 0)];
            (b(Op::Rearrange(sources), &[first, second], &[1, 5], &mut builder), 5)
        }
        Middle::MatMul => {
            let left = b(Op::Reshape, &[first], &[1, 2, 3], &mut builder);
            let right = b(Op::Reshape, &[second], &[1, 3, 2], &mut builder);
            (b(Op::MatMul, &[left, right], &[1, 2, 2], &mut builder), 4)
        }
        Middle::Conv { transposed } => {
            let axis =
                ConvAxis { input: 3, output: if *transposed { 4 } else { 2 }, kernel: 2, stride: 1, dilation: 1, pad_begin: 0 };
            let axes = vec![axis];
            let geometry = ConvGeometry { transposed: *transposed, batch: 1, groups: 1, in_channels: 2, out_channels: 3, axes };
            let kernel = parameter(&mut builder, "k", &geometry.weight_shape());
            let image = b(Op::Reshape, &[first], &geometry.input_shape(), &mut builder);
            let shape = geometry.output_shape();
            (b(Op::Conv(geometry), &[image, kernel], &shape, &mut builder), shape.iter().product())
        }
        Middle::Reduce(reduction) => (b(Op::Reduce(*reduction), &[groups], &[2], &mut builder), 2),
        Middle::Sort { descending } => (b(Op::Sort { descending: *descending }, &[groups], &[2, 3], &mut builder), SIZE),
        Middle::Softmax => (b(Op::Softmax, &[groups], &[2, 3], &mut builder), SIZE),
    };
    let flat = b(Op::Reshape, &[found], &[1, 1, size], &mut builder);
    let v = parameter(&mut builder, "v", &[1, size, OUTPUTS]);
    let output = b(Op::MatMul, &[flat, v], &[1, 1, OUTPUTS], &mut builder);
    let network = builder.finish(output).unwrap();
    let mut parameters = Parameters { list: Vec::new(), excluded: Vec::new(), dimension: 0 };
    for (name, shape) in sizes {
        // What the output does not need is dropped.
        let node = network.ids().find(|id| network.node(*id).name == name);
        let constants = node.map(|node| StoredConstant { node, elements: None }).into_iter().collect();
        let size = shape.iter().product();
        let offset = parameters.dimension;
        parameters.list.push(Parameter { name: name.to_owned(), shape, offset, size, constants });
        parameters.dimension += size;
    }
    (network, parameters)
}

/// Multiples of 2⁻¹², so that moving by multiples of 2⁻³² is exact.
fn grid(count: usize, phase: f64, scale: f64) -> Vec<f64> {
    (0..count).map(|i| ((i as f64 * 1.7 + phase).sin() * scale * 4096.0).round() / 4096.0).collect()
}

/// Outputs of all samples in enclosures.
fn outputs(middle: &Middle, theta: &[f64], samples: &Samples) -> Vec<Enclosure> {
    let (network, _) = build(middle, theta);
    let inputs = samples.inputs.chunks_exact(SIZE);
    inputs
        .flat_map(|x| {
            let x: Vec<Enclosure> = x.iter().map(|x| Enclosure::exact(*x)).collect();
            Values::<Enclosure>::at(&network, &x).unwrap().get(network.output().index()).to_vec()
        })
        .collect()
}

fn loss(middle: &Middle, theta: &[f64], samples: &Samples) -> Enclosure {
    let Targets::Values(targets) = &samples.targets else { unreachable!() };
    let squares = outputs(middle, theta, samples).into_iter().zip(targets).map(|(z, y)| (z - Enclosure::exact(*y)).square());
    squares.fold(Enclosure::ZERO, |sum, square| sum + square) / Enclosure::exact(2.0 * samples.count as f64)
}

const STEP: f64 = 1.0 / (1u32 << 20) as f64;

/// `θ + (s·u + t·v)·h`, exactly.
fn moved(theta: &[f64], u: &[f64], v: &[f64], (s, t): (f64, f64)) -> Vec<f64> {
    theta.iter().zip(u.iter().zip(v)).map(|(x, (u, v))| x + STEP * (s * u + t * v)).collect()
}

/// Relative to the size of what is compared.
#[track_caller]
fn close(name: &str, what: &str, found: f64, expected: f64, scale: f64, tolerance: f64) {
    let off = (found - expected).abs();
    assert!(off <= tolerance * (scale + expected.abs()), "{name}: {what} is {found}, by differences {expected}: off by {off:e}");
}

#[test]
fn every_operation_agrees_with_differences_in_higher_precision() {
    let (count, mut rounded) = (middles().len(), 0);
    for (name, middle) in middles() {
        // As many as the longest list needs; what is left over is not read.
        let all = grid(64, 0.3, 2.5);
        let dimension = build(&middle, &all).1.dimension;
        let theta = &all[..dimension];
        let (u, v) = (grid(dimension, 1.1, 1.0), grid(dimension, 2.9, 1.0));
        let samples =
            Samples { inputs: grid(3 * SIZE, 0.8, 1.5), targets: Targets::Values(grid(3 * OUTPUTS, 0.1, 1.0)), count: 3 };

        let at = |s: f64, t: f64| loss(&middle, &moved(theta, &u, &v, (s, t)), &samples);
        let two_steps = Enclosure::exact(2.0 * STEP);
        let slope = ((at(1.0, 0.0) - at(-1.0, 0.0)) / two_steps).mid();
        let mixed = at(1.0, 1.0) - at(1.0, -1.0) - at(-1.0, 1.0) + at(-1.0, -1.0);
        let bend = (mixed / two_steps.square()).mid();
        let along = |u: &[f64]| -> Vec<f64> {
            let [high, low] = [1.0, -1.0].map(|s| outputs(&middle, &moved(theta, u, u, (s, 0.0)), &samples));
            high.into_iter().zip(low).map(|(a, b)| ((a - b) / two_steps).mid()).collect()
        };
        let gauss_newton = dot(&along(&u), &along(&v)) / samples.count as f64;

        let (network, parameters) = build(&middle, theta);
        let circuit = Circuit::new(&network, network.output(), parameters.clone()).unwrap();
        let found = figures::<f64>(&circuit, &samples, &u, &v);
        let scale = found.size;
        close(&name, "the gradient", found.slope, slope, scale, 1e-9);
        close(&name, "the Hessian", found.bend, bend, scale, 1e-8);
        close(&name, "the Gauss-Newton matrix", found.gauss_newton, gauss_newton, scale, 1e-9);
        let single = figures::<f32>(&circuit, &samples, &u, &v);
        close(&name, "the gradient in f32", single.slope, slope, scale, 1e-5);
        close(&name, "the Hessian in f32", single.bend, bend, scale, 1e-4);
        close(&name, "the Gauss-Newton matrix in f32", single.gauss_newton, gauss_newton, scale, 1e-5);
        rounded += usize::from(single.size != found.size);

        let enclosed = enclosed_slope(&network, &parameters, &samples, &u);
        assert!(enclosed.is_valid() && enclosed.radius() < 1e-20 * (1.0 + enclosed.magnitude()), "{name}: {enclosed:?}");
        close(&name, "the enclosed gradient", enclosed.mid(), slope, scale, 1e-9);
    }
    // The same arithmetic twice would agree to the last bit.
    assert!(2 * rounded > count, "{rounded} of {count}");
}

/// Batches are added in their order, however many are computed at a time.
#[test]
fn threads_do_not_change_a_bit() {
    const COUNT: usize = 40;
    let middle = Middle::MatMul;
    let all = grid(64, 0.3, 2.5);
    let dimension = build(&middle, &all).1.dimension;
    let (network, parameters) = build(&middle, &all[..dimension]);
    let circuit = Circuit::new(&network, network.output(), parameters).unwrap();
    let targets = Targets::Values(grid(COUNT * OUTPUTS, 0.1, 1.0));
    let samples = Samples { inputs: grid(COUNT * SIZE, 0.8, 1.5), targets, count: COUNT };
    let direction = grid(dimension, 1.1, 1.0);
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let objective = Objective::<f32>::new(&circuit, Loss::Mse, &samples, 0).unwrap();
            let found = [objective.gradient(), objective.hessian_product(&direction), objective.gauss_newton_product(&direction)];
            found.map(|vector| vector.into_iter().map(f64::to_bits).collect::<Vec<_>>())
        })
    };
    let alone = bits(1);
    [2, 3, 5].into_iter().for_each(|threads| assert_eq!(bits(threads), alone, "{threads} threads"));
}

struct Figures {
    slope: f64,
    bend: f64,
    gauss_newton: f64,
    /// Norm of the gradient and of the Jacobian.
    size: f64,
}

fn figures<T: Real>(circuit: &Circuit<'_>, samples: &Samples, u: &[f64], v: &[f64]) -> Figures {
    let objective = Objective::<T>::new(circuit, Loss::Mse, samples, 1 << 20).unwrap();
    let gradient = objective.gradient();
    let norms = objective.root_norms(Deadline::NONE).unwrap();
    let size = dot(&gradient, &gradient).sqrt() + norms.iter().flatten().sum::<f64>().sqrt();
    Figures {
        slope: dot(&gradient, u),
        bend: dot(u, &objective.hessian_product(v)),
        gauss_newton: dot(u, &objective.gauss_newton_product(v)),
        size,
    }
}

/// The derivative of the loss along `u`, as the checker encloses gradients.
fn enclosed_slope(network: &Network, parameters: &Parameters, samples: &Samples, u: &[f64]) -> Enclosure {
    let Targets::Values(targets) = &samples.targets else { unreachable!() };
    let wanted: Vec<NodeId> = parameters.list.iter().flat_map(|p| p.constants.iter().map(|c| c.node)).collect();
    let reverse = Reverse::new(network, network.output(), &wanted);
    let mut slope = Enclosure::ZERO;
    for (x, y) in samples.inputs.chunks_exact(SIZE).zip(targets.chunks_exact(OUTPUTS)) {
        let x: Vec<Enclosure> = x.iter().map(|x| Enclosure::exact(*x)).collect();
        let values = Values::<Enclosure>::at(network, &x).unwrap();
        let z = values.get(network.output().index());
        let seed = z.iter().zip(y).map(|(z, y)| *z - Enclosure::exact(*y)).collect();
        let adjoints = reverse.pull(&values, seed).unwrap();
        for parameter in &parameters.list {
            for constant in &parameter.constants {
                let own = u[parameter.offset..parameter.offset + parameter.size].iter();
                let terms = own.zip(&adjoints[constant.node.index()]).map(|(u, g)| Enclosure::exact(*u) * *g);
                slope = terms.fold(slope, |sum, term| sum + term);
            }
        }
    }
    slope / Enclosure::exact(samples.count as f64)
}
