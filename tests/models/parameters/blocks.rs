//! Parts of random networks: each takes a row of the network's values and returns another.

use super::builder::{Builder, Id, float, int, ints, string};
use super::constants::DEPTH;
use super::value::Value;
use super::{gates, newer};

type Block = fn(&mut Builder, Id) -> Id;

/// Every part, with how often it is taken.
pub const BLOCKS: &[(&str, usize, Block)] = &[
    ("gemm", 3, gemm),
    ("matmul", 3, matmul),
    ("arithmetic", 6, arithmetic),
    ("function", 5, function),
    ("prelu", 2, prelu),
    ("convolution", 2, convolution),
    ("normalisation", 2, normalisation),
    ("pooling", 1, pooling),
    ("reduction", 2, reduction),
    ("softmax", 1, softmax),
    ("sort", 2, sort),
    ("variadic", 2, variadic),
    ("movement", 4, movement),
    ("pad", 2, pad),
    ("concat", 2, concat),
    ("select", 3, select),
    ("clip", 6, gates::clip),
    ("hard swish gate", 4, gates::hard_swish_gate),
    ("erf gate", 5, gates::erf_gate),
    ("tangent gate", 2, gates::tangent_gate),
    ("sigmoid gate", 3, gates::sigmoid_gate),
    ("other gate", 2, gates::other_gate),
    ("power", 4, gates::power),
    ("householder", 4, gates::householder),
    ("image", 1, image),
    ("range", 1, range),
    ("dropout", 1, dropout),
    ("elementary", 3, newer::elementary),
    ("choice", 5, newer::choice),
    ("normalised", 4, newer::normalised),
    ("reduced", 3, newer::reduced),
    ("places", 3, newer::places),
    ("resized", 2, newer::resized),
    ("contracted", 1, newer::contracted),
    ("quantised", 2, newer::quantised),
    ("recurrent", 2, newer::recurrent),
];

/// A random part; the values stay small.
pub fn any(builder: &mut Builder, row: Id) -> Id {
    let total: usize = BLOCKS.iter().map(|(_, weight, _)| weight).sum();
    let mut left = builder.random.below(total);
    let chosen = BLOCKS.iter().find(|(_, weight, _)| {
        let taken = left < *weight;
        left = left.saturating_sub(*weight);
        taken
    });
    let (_, _, block) = chosen.expect("a part");
    let found = block(builder, row);
    let size = builder.value(found).size();
    let row = builder.reshaped(found, &[1, size]);
    let row = if size > 6 { builder.sliced(row, 1, 0, 6) } else { row };
    let largest = builder.floats(row).iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
    if largest > 8.0 { builder.node("Tanh", &[row], vec![]) } else { row }
}

pub fn width(builder: &Builder, row: Id) -> usize {
    builder.value(row).size()
}

/// A shape that broadcasts to that of a row.
pub fn partner(builder: &mut Builder, size: usize) -> Vec<usize> {
    match builder.random.below(5) {
        0 => vec![],
        1 => vec![1],
        2 => vec![size],
        3 => vec![1, 1],
        _ => vec![1, size],
    }
}

/// Where a known number stands: without axes, or with axes of extent 1.
pub fn scalar_shape(builder: &mut Builder) -> Vec<usize> {
    let rank = builder.random.below(3);
    vec![1; rank]
}

/// A constant with one value for a whole row.
pub fn uniform(builder: &mut Builder, row: Id, value: f64) -> Id {
    let size = width(builder, row);
    let shape = partner(builder, size);
    let values = vec![value; shape.iter().product()];
    builder.exactly(&shape, &values, DEPTH)
}

pub fn swapped(builder: &mut Builder, a: Id, b: Id) -> [Id; 2] {
    if builder.random.chance(0.5) { [a, b] } else { [b, a] }
}

pub fn gemm(builder: &mut Builder, row: Id) -> Id {
    let (n, m) = (width(builder, row), 1 + builder.random.below(3));
    let mut attributes = Vec::new();
    let weights = if builder.random.chance(0.5) {
        attributes.push(int("transB", 1));
        builder.any(&[m, n])
    } else {
        builder.any(&[n, m])
    };
    if builder.random.chance(0.3) {
        attributes.push(float("alpha", 0.5));
        attributes.push(float("beta", 2.0));
    }
    if builder.random.chance(0.3) {
        return builder.node("Gemm", &[row, weights], attributes);
    }
    let shape = partner(builder, m);
    let bias = builder.any(&shape);
    builder.node("Gemm", &[row, weights, bias], attributes)
}

fn matmul(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    match builder.random.below(3) {
        0 if n.is_multiple_of(2) => {
            // Weights on the left.
            let matrix = builder.reshaped(row, &[n / 2, 2]);
            let weights = builder.any(&[2, n / 2]);
            builder.node("MatMul", &[weights, matrix], vec![])
        }
        1 => {
            let weights = builder.any(&[n]);
            builder.node("MatMul", &[row, weights], vec![])
        }
        _ => {
            let m = 1 + builder.random.below(3);
            let weights = builder.any(&[n, m]);
            builder.node("MatMul", &[row, weights], vec![])
        }
    }
}

fn arithmetic(builder: &mut Builder, row: Id) -> Id {
    let size = width(builder, row);
    let shape = partner(builder, size);
    match builder.random.below(8) {
        0 | 1 => {
            let other = builder.any(&shape);
            let inputs = swapped(builder, row, other);
            builder.node("Add", &inputs, vec![])
        }
        2 => {
            let other = builder.any(&shape);
            let inputs = swapped(builder, row, other);
            builder.node("Sub", &inputs, vec![])
        }
        3 | 4 => {
            let other = builder.any(&shape);
            let inputs = swapped(builder, row, other);
            builder.node("Mul", &inputs, vec![])
        }
        5 => {
            let other = builder.positive(&shape);
            builder.node("Div", &[row, other], vec![])
        }
        6 => {
            let positive = raised(builder, row);
            let other = builder.any(&shape);
            builder.node("Div", &[other, positive], vec![])
        }
        _ => {
            let operator = builder.random.of(&["Max", "Min"]);
            let other = builder.any(&shape);
            let inputs = swapped(builder, row, other);
            builder.node(operator, &inputs, vec![])
        }
    }
}

/// Values above one half.
pub fn raised(builder: &mut Builder, row: Id) -> Id {
    let positive = builder.node("Softplus", &[row], vec![]);
    let half = builder.exactly(&[], &[0.5], 1);
    builder.node("Add", &[positive, half], vec![])
}

fn function(builder: &mut Builder, row: Id) -> Id {
    let plain = [
        "Relu",
        "Sigmoid",
        "Tanh",
        "Softplus",
        "Softsign",
        "Erf",
        "HardSwish",
        "Sin",
        "Cos",
        "Abs",
        "Neg",
        "Selu",
        "Elu",
        "Celu",
        "LeakyRelu",
        "HardSigmoid",
        "Identity",
    ];
    match builder.random.below(26) {
        0 => {
            let small = builder.node("Tanh", &[row], vec![]);
            builder.node("Exp", &[small], vec![])
        }
        1 => {
            let positive = raised(builder, row);
            let operator = builder.random.of(&["Sqrt", "Reciprocal"]);
            builder.node(operator, &[positive], vec![])
        }
        2 if builder.opset >= 20 => {
            let approximate = builder.random.of(&["none", "tanh"]);
            builder.node("Gelu", &[row], vec![string("approximate", approximate)])
        }
        3 if builder.opset >= 18 => builder.node("Mish", &[row], vec![]),
        4 => {
            let operator = builder.random.of(&["Floor", "Ceil", "Sign"]);
            builder.node(operator, &[row], vec![])
        }
        5 => {
            let alpha = builder.random.uniform(0.1, 0.9) as f32;
            let operator = builder.random.of(&["Elu", "Celu", "LeakyRelu", "HardSigmoid", "Selu"]);
            builder.node(operator, &[row], vec![float("alpha", alpha)])
        }
        6 => {
            let like = builder.node("Neg", &[row], vec![]);
            if builder.opset >= 15 { builder.node("CastLike", &[row, like], vec![]) } else { like }
        }
        7 => {
            let threshold = builder.random.uniform(0.1, 0.9) as f32;
            builder.node("Shrink", &[row], vec![float("lambd", threshold), float("bias", threshold)])
        }
        at => {
            let operator = plain[at % plain.len()];
            if operator == "HardSwish" && builder.opset < 14 {
                return row;
            }
            builder.node(operator, &[row], vec![])
        }
    }
}

fn prelu(builder: &mut Builder, row: Id) -> Id {
    let size = width(builder, row);
    let shape = partner(builder, size);
    let slope = builder.any(&shape);
    builder.node("PRelu", &[row, slope], vec![])
}

fn convolution(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let channels = if n.is_multiple_of(2) && builder.random.chance(0.5) { 2 } else { 1 };
    let image = builder.reshaped(row, &[1, channels, n / channels]);
    let features = 1 + builder.random.below(2);
    let kernel = 1 + builder.random.below(2.min(n / channels));
    let transposed = builder.random.chance(0.4);
    let weights =
        if transposed { builder.any(&[channels, features, kernel]) } else { builder.any(&[features, channels, kernel]) };
    let mut inputs = vec![image, weights];
    if builder.random.chance(0.6) {
        inputs.push(builder.any(&[features]));
    }
    let pads = if kernel > 1 && builder.random.chance(0.3) { vec![ints("pads", &[1, 0])] } else { vec![] };
    builder.node(if transposed { "ConvTranspose" } else { "Conv" }, &inputs, pads)
}

fn normalisation(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let channels = if n.is_multiple_of(2) { 2 } else { n };
    let image = builder.reshaped(row, &[1, channels, n / channels]);
    let parameters = [builder.any(&[channels]), builder.any(&[channels]), builder.any(&[channels])];
    let variance = builder.positive(&[channels]);
    let [scale, bias, mean] = parameters;
    builder.node("BatchNormalization", &[image, scale, bias, mean, variance], vec![])
}

fn pooling(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let image = builder.reshaped(row, &[1, 1, n]);
    match builder.random.below(4) {
        0 => builder.node("GlobalAveragePool", &[image], vec![]),
        1 => builder.node("GlobalMaxPool", &[image], vec![]),
        2 if n >= 2 => builder.node("MaxPool", &[image], vec![ints("kernel_shape", &[2])]),
        _ if n >= 2 => {
            let include = builder.random.below(2) as i64;
            let attributes = vec![ints("kernel_shape", &[2]), ints("pads", &[1, 0]), int("count_include_pad", include)];
            builder.node("AveragePool", &[image], attributes)
        }
        _ => row,
    }
}

fn reduction(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let rows = if n.is_multiple_of(2) { 2 } else { 1 };
    let matrix = builder.reshaped(row, &[rows, n / rows]);
    let operator = builder.random.of(&["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceSumSquare"]);
    let since = if operator == "ReduceSum" { 13 } else { 18 };
    let (at, keep) = (builder.random.below(2) as i64, int("keepdims", builder.random.below(2) as i64));
    if builder.opset >= since {
        let axes = builder.integers(&[1], &[at], 2);
        return builder.node(operator, &[matrix, axes], vec![keep]);
    }
    builder.node(operator, &[matrix], vec![keep, ints("axes", &[at])])
}

fn softmax(builder: &mut Builder, row: Id) -> Id {
    builder.node("Softmax", &[row], vec![int("axis", -1)])
}

fn sort(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let count = builder.integers(&[1], &[n as i64], 2);
    let largest = int("largest", builder.random.below(2) as i64);
    builder.node("TopK", &[row, count], vec![largest, int("axis", 1)])
}

fn variadic(builder: &mut Builder, row: Id) -> Id {
    let size = width(builder, row);
    let operator = builder.random.of(&["Sum", "Mean", "Max", "Min"]);
    let (first, second) = (partner(builder, size), partner(builder, size));
    let inputs = [builder.any(&first), row, builder.any(&second)];
    builder.node(operator, &inputs, vec![])
}

fn movement(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    match builder.random.below(7) {
        0 => {
            let keep = 1 + builder.random.below(n) as i64;
            builder.sliced(row, 1, 0, keep)
        }
        1 => {
            let picks: Vec<i64> = (0..n).map(|_| builder.random.below(n) as i64).collect();
            let picks = builder.integers(&[n], &picks, 2);
            builder.node("Gather", &[row, picks], vec![int("axis", 1)])
        }
        2 if n >= 2 => {
            let parts = builder.integers(&[2], &[1, n as i64 - 1], 2);
            let parts = builder.nodes("Split", &[row, parts], vec![int("axis", 1)], 2);
            builder.node("Concat", &[parts[1], parts[0]], vec![int("axis", 1)])
        }
        3 => {
            let wanted = builder.integers(&[2], &[2, n as i64], 2);
            let expanded = builder.node("Expand", &[row, wanted], vec![]);
            let weights = builder.any(&[1, 2]);
            builder.node("MatMul", &[weights, expanded], vec![])
        }
        4 if n <= 3 => {
            let repeats = builder.integers(&[2], &[1, 2], 2);
            builder.node("Tile", &[row, repeats], vec![])
        }
        5 if n.is_multiple_of(2) => {
            let matrix = builder.reshaped(row, &[2, n / 2]);
            builder.node("Transpose", &[matrix], vec![])
        }
        _ => {
            // Backwards.
            let bounds = [-1, -1 - n as i64, 1, -1].map(|bound| builder.integers(&[1], &[bound], 1));
            builder.node("Slice", &[row, bounds[0], bounds[1], bounds[2], bounds[3]], vec![])
        }
    }
}

fn pad(builder: &mut Builder, row: Id) -> Id {
    let pads = builder.integers(&[4], &[0, 1, 0, 1], 2);
    if width(builder, row) > 1 && builder.random.chance(0.2) {
        return builder.node("Pad", &[row, pads], vec![string("mode", "reflect")]);
    }
    let fill = builder.any(&[]);
    builder.node("Pad", &[row, pads, fill], vec![])
}

fn concat(builder: &mut Builder, row: Id) -> Id {
    let extra = builder.random.below(3) + 1;
    let other = if builder.random.chance(0.2) {
        let shape = builder.integers(&[2], &[1, extra as i64], 2);
        builder.node("ConstantOfShape", &[shape], vec![])
    } else {
        builder.any(&[1, extra])
    };
    let inputs = swapped(builder, row, other);
    builder.node("Concat", &inputs, vec![int("axis", 1)])
}

fn select(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let truths: Vec<bool> = (0..n).map(|_| builder.random.chance(0.6)).collect();
    let condition = builder.truths(&[1, n], &truths);
    let shape = partner(builder, n);
    let other = builder.any(&shape);
    builder.node("Where", &[condition, row, other], vec![])
}

fn image(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    if !n.is_multiple_of(4) {
        return row;
    }
    let operator = builder.random.of(&["DepthToSpace", "SpaceToDepth"]);
    let shape = if operator == "DepthToSpace" { [1, 4, 1, n / 4] } else { [1, 1, 2, n / 2] };
    let image = builder.reshaped(row, &shape);
    builder.node(operator, &[image], vec![int("blocksize", 2)])
}

fn range(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let [start, limit, step] = [0, n as i64, 1 + builder.random.below(2) as i64].map(|bound| builder.integers(&[], &[bound], 2));
    let picks = builder.node("Range", &[start, limit, step], vec![]);
    builder.node("Gather", &[row, picks], vec![int("axis", 1)])
}

fn dropout(builder: &mut Builder, row: Id) -> Id {
    let ratio = builder.any(&[]);
    let training =
        if builder.random.chance(0.5) { builder.truths(&[1], &[false]) } else { builder.store(Value::truths(&[], vec![false])) };
    let training = builder.reshaped(training, &[1]);
    builder.node("Dropout", &[row, ratio, training], vec![])
}
