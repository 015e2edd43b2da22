//! Parts of random networks: choices, elementary functions, normalisations, places, quantisation, recurrent layers.

use super::blocks::{partner, raised, swapped, uniform, width};
use super::builder::{Builder, Id, NONE, float, int, ints, string};
use super::value::Value;

/// Values between −½ and ½.
fn small(builder: &mut Builder, row: Id) -> Id {
    let bounded = builder.node("Tanh", &[row], vec![]);
    let half = builder.exactly(&[], &[0.5], 1);
    builder.node("Mul", &[bounded, half], vec![])
}

pub fn elementary(builder: &mut Builder, row: Id) -> Id {
    match builder.random.below(11) {
        0 | 1 => {
            let positive = raised(builder, row);
            builder.node("Log", &[positive], vec![])
        }
        2 => {
            let inner = builder.node("Sigmoid", &[row], vec![]);
            builder.node("Log", &[inner], vec![])
        }
        3 => {
            // Above one whatever its constants are.
            let positive = builder.node("Softplus", &[row], vec![]);
            let above = builder.node("Exp", &[positive], vec![]);
            builder.node("Acosh", &[above], vec![])
        }
        4 => builder.node("Round", &[row], vec![]),
        5 => builder.node("Erfc", &[row], vec![]),
        6 => {
            let alpha = builder.random.uniform(-0.5, 0.9) as f32;
            builder.node("ThresholdedRelu", &[row], vec![float("alpha", alpha)])
        }
        7..=9 if builder.opset >= 24 => {
            let alpha = builder.random.uniform(0.5, 2.0) as f32;
            builder.node("Swish", &[row], vec![float("alpha", alpha)])
        }
        _ => {
            let inner = small(builder, row);
            let operator = builder.random.of(&["Sinh", "Cosh", "Tan", "Atanh"]);
            builder.node(operator, &[inner], vec![])
        }
    }
}

/// Choices by comparisons: functions that are continuous, and others.
pub fn choice(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let zero = uniform(builder, row, 0.0);
    let relation = builder.random.of(&["Greater", "GreaterOrEqual"]);
    match builder.random.below(8) {
        0 => {
            let positive = builder.node(relation, &[row, zero], vec![]);
            let shape = partner(builder, n);
            let slope = builder.any(&shape);
            let inputs = swapped(builder, row, slope);
            let below = builder.node("Mul", &inputs, vec![]);
            builder.node("Where", &[positive, row, below], vec![])
        }
        1 => {
            let bound = builder.used_number();
            let bound = uniform(builder, row, bound);
            let above = builder.node(relation, &[row, bound], vec![]);
            builder.node("Where", &[above, row, bound], vec![])
        }
        2 => {
            let (positive, one) = (builder.node(relation, &[row, zero], vec![]), uniform(builder, row, 1.0));
            let alpha = builder.used_number();
            let alpha = uniform(builder, row, alpha);
            let bounded = builder.node("Where", &[positive, zero, row], vec![]);
            let power = builder.node("Exp", &[bounded], vec![]);
            let less = builder.node("Sub", &[power, one], vec![]);
            let below = builder.node("Mul", &[less, alpha], vec![]);
            builder.node("Where", &[positive, row, below], vec![])
        }
        3 => {
            let positive = builder.node("Less", &[zero, row], vec![]);
            let mask = builder.node("Cast", &[positive], vec![int("to", 1)]);
            let inputs = swapped(builder, row, mask);
            builder.node("Mul", &inputs, vec![])
        }
        4 => {
            let shape = partner(builder, n);
            let other = builder.any(&shape);
            let larger = builder.node(relation, &[row, other], vec![]);
            builder.node("Where", &[larger, row, other], vec![])
        }
        5 => {
            let (threshold, shift) = (builder.used_number(), builder.any(&[]));
            let threshold = uniform(builder, row, threshold);
            let above = builder.node(relation, &[row, threshold], vec![]);
            let shifted = builder.node("Add", &[row, shift], vec![]);
            builder.node("Where", &[above, shifted, row], vec![])
        }
        _ => {
            let (low, high) = (builder.any(&[]), builder.any(&[]));
            let (above, below) = (builder.node(relation, &[row, low], vec![]), builder.node("LessOrEqual", &[row, high], vec![]));
            let operator = builder.random.of(&["And", "Or", "Xor"]);
            let inside = builder.node(operator, &[above, below], vec![]);
            let inside = if builder.random.chance(0.3) { builder.node("Not", &[inside], vec![]) } else { inside };
            builder.node("Where", &[inside, row, high], vec![])
        }
    }
}

pub fn normalised(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let epsilon = float("epsilon", 0.125);
    let image = builder.reshaped(row, &[1, n, 1, 1]);
    match builder.random.below(7) {
        0 if builder.opset >= 17 => {
            let (scale, bias) = (builder.any(&[n]), builder.any(&[n]));
            builder.node("LayerNormalization", &[row, scale, bias], vec![epsilon])
        }
        1 if builder.opset >= 23 => {
            let scale = builder.any(&[n]);
            builder.node("RMSNormalization", &[row, scale], vec![epsilon])
        }
        2 if n.is_multiple_of(2) => {
            let planes = builder.reshaped(row, &[1, 2, n / 2]);
            let (scale, bias) = (builder.any(&[2]), builder.any(&[2]));
            builder.node("InstanceNormalization", &[planes, scale, bias], vec![epsilon])
        }
        3 if n.is_multiple_of(2) && builder.opset >= 18 => {
            let count = if builder.opset >= 21 { n } else { 2 };
            let (scale, bias) = (builder.any(&[count]), builder.any(&[count]));
            builder.node("GroupNormalization", &[image, scale, bias], vec![epsilon, int("num_groups", 2)])
        }
        4 => {
            let positive = raised(builder, row);
            let p = 1 + builder.random.below(2) as i64;
            builder.node("LpNormalization", &[positive], vec![int("axis", -1), int("p", p)])
        }
        5 => {
            // Elements that differ, so that the deviation is not zero.
            let steps: Vec<f64> = (0..n).map(|i| i as f64 * 2.0).collect();
            let steps = builder.exactly(&[1, n], &steps, 1);
            let bounded = small(builder, row);
            let apart = builder.node("Add", &[bounded, steps], vec![]);
            if n < 2 { apart } else { builder.node("MeanVarianceNormalization", &[apart], vec![ints("axes", &[1])]) }
        }
        _ => builder.node("LRN", &[image], vec![int("size", 3), float("alpha", 0.5)]),
    }
}

pub fn reduced(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let positive = raised(builder, row);
    match builder.random.below(8) {
        0 => builder.node("ReduceL2", &[positive], vec![]),
        1 => builder.node("ReduceLogSum", &[positive], vec![]),
        2 => builder.node("ReduceLogSumExp", &[row], vec![]),
        3 => {
            let bounded = builder.node("Tanh", &[row], vec![]);
            builder.node("ReduceProd", &[bounded], vec![])
        }
        4 => builder.node("LogSoftmax", &[row], vec![int("axis", -1)]),
        5 => {
            let image = builder.reshaped(positive, &[1, 1, n]);
            builder.node("GlobalLpPool", &[image], vec![int("p", 2)])
        }
        6 if n >= 2 => {
            let image = builder.reshaped(positive, &[1, 1, n]);
            builder.node("LpPool", &[image], vec![ints("kernel_shape", &[2])])
        }
        _ => {
            let axis = builder.integers(&[], &[1], 1);
            let reverse = builder.random.below(2) as i64;
            builder.node("CumSum", &[row, axis], vec![int("reverse", reverse)])
        }
    }
}

pub fn places(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let pick = builder.random.below(n) as i64;
    match builder.random.below(6) {
        0 => {
            let picks: Vec<i64> = (0..n).map(|_| builder.random.below(n) as i64).collect();
            let picks = builder.integers(&[1, n], &picks, 2);
            builder.node("GatherElements", &[row, picks], vec![int("axis", 1)])
        }
        1 => {
            let picks = builder.integers(&[2, 2], &[0, pick, 0, -1], 2);
            builder.node("GatherND", &[row, picks], vec![])
        }
        2 => {
            let (picks, update) = (builder.integers(&[1, 2], &[0, pick], 2), builder.any(&[1]));
            builder.node("ScatterND", &[row, picks, update], vec![])
        }
        3 => {
            let (picks, update) = (builder.integers(&[1, 1], &[pick], 2), builder.any(&[1, 1]));
            let reduction = if builder.opset >= 16 { vec![string("reduction", "add")] } else { vec![] };
            builder.node("ScatterElements", &[row, picks, update], [vec![int("axis", 1)], reduction].concat())
        }
        4 => {
            let picks: Vec<i64> = (0..n).map(|_| builder.random.below(2) as i64).collect();
            let (picks, depth, values) = (builder.integers(&[n], &picks, 2), builder.integers(&[], &[2], 1), builder.any(&[2]));
            let matrix = builder.node("OneHot", &[picks, depth, values], vec![]);
            builder.node("MatMul", &[row, matrix], vec![])
        }
        _ if n.is_multiple_of(2) => {
            let matrix = builder.reshaped(row, &[2, n / 2]);
            builder.node("Trilu", &[matrix], vec![int("upper", builder.opset % 2)])
        }
        _ => row,
    }
}

pub fn resized(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let image = builder.reshaped(row, &[1, 1, 1, n]);
    if builder.opset >= 16 && builder.random.chance(0.25) {
        let places: Vec<f64> = (0..8).map(|_| f64::from(builder.random.uniform(-0.9, 0.9) as f32)).collect();
        let grid = builder.exactly(&[1, 2, 2, 2], &places, 2);
        return builder.node("GridSample", &[image, grid], vec![]);
    }
    let factor = builder.random.of(&[2.0, 1.5]);
    let scales = builder.exactly(&[4], &[1.0, 1.0, 1.0, factor], 2);
    let mode = string("mode", builder.random.of(&["linear", "nearest"]));
    if builder.random.chance(0.3) {
        return builder.node("Upsample", &[image, scales], vec![mode]);
    }
    let coordinates = string("coordinate_transformation_mode", "asymmetric");
    if builder.random.chance(0.3) {
        let sizes = builder.integers(&[4], &[1, 1, 1, 2 * n as i64], 2);
        return builder.node("Resize", &[image, NONE, NONE, sizes], vec![mode, coordinates]);
    }
    builder.node("Resize", &[image, NONE, scales], vec![mode, coordinates])
}

pub fn contracted(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let m = 1 + builder.random.below(2);
    let (equation, shape) =
        builder.random.of(&[("ij,jk->ik", [n, m]), ("ij,kj->ki", [m, n]), ("ij,ij->ij", [1, n]), ("ij,jk->jk", [n, m])]);
    let weights = builder.any(&shape);
    builder.node("Einsum", &[row, weights], vec![string("equation", equation)])
}

/// Integers of a type: 2 for bytes without a sign, 3 for those with one.
fn bytes(builder: &mut Builder, shape: &[usize], values: &[i64], kind: i64) -> Id {
    let integers = builder.integers(shape, values, 1);
    builder.node("Cast", &[integers], vec![int("to", kind)])
}

pub fn quantised(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let scale = |builder: &mut Builder| {
        let step = builder.random.uniform(0.02, 0.2);
        builder.store(Value::floats(&[], vec![f64::from(step as f32)]))
    };
    let (own, result) = (scale(builder), scale(builder));
    let zero = bytes(builder, &[], &[100], 2);
    let levels = builder.node("QuantizeLinear", &[row, own, zero], vec![]);
    if builder.random.chance(0.5) {
        return builder.node("DequantizeLinear", &[levels, own, zero], vec![]);
    }
    let weights: Vec<i64> = (0..n).map(|_| builder.random.below(200) as i64 - 100).collect();
    let (factor, none) = (scale(builder), bytes(builder, &[], &[0], 3));
    let levels = if builder.random.chance(0.5) {
        let weights = bytes(builder, &[n, 1], &weights, 3);
        builder.node("QLinearMatMul", &[levels, own, zero, weights, factor, none, result, zero], vec![])
    } else {
        let image = builder.reshaped(levels, &[1, 1, n]);
        let kernel = bytes(builder, &[1, 1, 1], &weights[..1], 3);
        builder.node("QLinearConv", &[image, own, zero, kernel, factor, none, result, zero], vec![])
    };
    builder.node("DequantizeLinear", &[levels, result, zero], vec![])
}

pub fn recurrent(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let (operator, gates) = builder.random.of(&[("RNN", 1), ("GRU", 3), ("LSTM", 4)]);
    let sequence = builder.reshaped(row, &[n, 1, 1]);
    let (weights, recurrence) = (builder.any(&[1, gates, 1]), builder.any(&[1, gates, 1]));
    let mut inputs = vec![sequence, weights, recurrence];
    if builder.random.chance(0.6) {
        inputs.push(builder.any(&[1, 2 * gates]));
    }
    let mut attributes = vec![int("hidden_size", 1)];
    if builder.random.chance(0.3) {
        attributes.push(string("direction", "reverse"));
    }
    if operator == "GRU" && builder.random.chance(0.5) {
        attributes.push(int("linear_before_reset", 1));
    }
    builder.node(operator, &inputs, attributes)
}
