//! Parts of random networks that the lowering recognises by constants: bounds, gates, powers and reflections.

use super::blocks::{partner, raised, scalar_shape, swapped, uniform, width};
use super::builder::{Builder, Id, NONE, float, int};
use super::constants::DEPTH;

pub fn clip(builder: &mut Builder, row: Id) -> Id {
    let bound = |builder: &mut Builder, lower: bool| {
        if builder.random.chance(0.25) {
            return NONE;
        }
        let shape = scalar_shape(builder);
        match builder.random.below(4) {
            // Of any constant, through which its value may not be known.
            0 => builder.any(&shape),
            1 => {
                let value = builder.random.uniform(0.2, 2.0) * if lower { -1.0 } else { 1.0 };
                builder.exactly(&shape, &[value], DEPTH)
            }
            _ => {
                let value = builder.used_number();
                builder.exactly(&shape, &[value], DEPTH)
            }
        }
    };
    let (lower, upper) = (bound(builder, true), bound(builder, false));
    if upper == NONE {
        return if lower == NONE { builder.node("Clip", &[row], vec![]) } else { builder.node("Clip", &[row, lower], vec![]) };
    }
    builder.node("Clip", &[row, lower, upper], vec![])
}

/// `value·gate`, with a constant factor in one of three places.
fn gated(builder: &mut Builder, value: Id, gate: Id, factor: Option<f64>) -> Id {
    let Some(factor) = factor else {
        let inputs = swapped(builder, value, gate);
        return builder.node("Mul", &inputs, vec![]);
    };
    let divides = builder.random.chance(0.3);
    let scale = |builder: &mut Builder, of: Id| {
        let (operator, number) = if divides { ("Div", 1.0 / factor) } else { ("Mul", factor) };
        let number = uniform(builder, of, f64::from(number as f32));
        builder.node(operator, &[of, number], vec![])
    };
    let (mut value, mut gate) = (value, gate);
    match builder.random.below(3) {
        0 => value = scale(builder, value),
        1 => gate = scale(builder, gate),
        _ => {
            let inputs = swapped(builder, value, gate);
            let product = builder.node("Mul", &inputs, vec![]);
            return scale(builder, product);
        }
    }
    let inputs = swapped(builder, value, gate);
    builder.node("Mul", &inputs, vec![])
}

fn some_factor(builder: &mut Builder) -> Option<f64> {
    builder.random.chance(0.6).then(|| builder.random.of(&[0.5, 2.0, 0.25, 1.0, 0.75]))
}

pub fn hard_swish_gate(builder: &mut Builder, row: Id) -> Id {
    let numbers = if builder.random.chance(0.85) { [3.0, 0.0, 6.0] } else { [2.5, 0.0, 6.0] };
    let three = uniform(builder, row, numbers[0]);
    let inputs = swapped(builder, row, three);
    let raised = builder.node("Add", &inputs, vec![]);
    let bounds = [numbers[1], numbers[2]].map(|bound| {
        let shape = scalar_shape(builder);
        builder.exactly(&shape, &[bound], DEPTH)
    });
    let gate = builder.node("Clip", &[raised, bounds[0], bounds[1]], vec![]);
    let factor = if builder.random.chance(0.5) { Some(1.0 / 6.0) } else { some_factor(builder) };
    gated(builder, row, gate, factor.map(|factor| f64::from(factor as f32)))
}

/// The argument of a gate: the row, times or divided by a constant.
fn argument(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let operator = builder.random.of(&["Mul", "Div"]);
    match builder.random.below(5) {
        0 => row,
        1 => {
            let shape = partner(builder, n);
            let by = builder.positive(&shape);
            builder.node(operator, &[row, by], vec![])
        }
        2 => {
            let by = builder.random.of(&[0.5, 2.0, -0.25, f64::from(std::f32::consts::FRAC_1_SQRT_2)]);
            let by = uniform(builder, row, by);
            builder.node("Mul", &[row, by], vec![])
        }
        _ => {
            let by = builder.random.of(&[f64::from(std::f32::consts::SQRT_2), 2.0, 0.5, -1.0, 1.0, 0.75]);
            let by = uniform(builder, row, by);
            builder.node("Div", &[row, by], vec![])
        }
    }
}

pub fn erf_gate(builder: &mut Builder, row: Id) -> Id {
    let argument = argument(builder, row);
    let error = builder.node("Erf", &[argument], vec![]);
    let one = if builder.random.chance(0.9) { 1.0 } else { builder.used_number() };
    let one = uniform(builder, row, one);
    let inputs = swapped(builder, error, one);
    let gate = builder.node("Add", &inputs, vec![]);
    let factor = some_factor(builder);
    gated(builder, row, gate, factor)
}

/// GELU by a hyperbolic tangent; now and then with other numbers, of which the gate is no known function.
pub fn tangent_gate(builder: &mut Builder, row: Id) -> Id {
    let numbers = if builder.random.chance(0.9) { [0.797_884_6f32, 0.044_715] } else { [0.75, 0.05] };
    let [root, cubic] = numbers.map(|number| uniform(builder, row, f64::from(number)));
    let square = builder.node("Mul", &[row, row], vec![]);
    let cube = builder.node("Mul", &[square, row], vec![]);
    let scaled = builder.node("Mul", &[cubic, cube], vec![]);
    let inputs = swapped(builder, row, scaled);
    let sum = builder.node("Add", &inputs, vec![]);
    let argument = builder.node("Mul", &[sum, root], vec![]);
    let tangent = builder.node("Tanh", &[argument], vec![]);
    let one = uniform(builder, row, 1.0);
    let inputs = swapped(builder, tangent, one);
    let gate = builder.node("Add", &inputs, vec![]);
    let factor = some_factor(builder);
    gated(builder, row, gate, factor)
}

pub fn sigmoid_gate(builder: &mut Builder, row: Id) -> Id {
    let argument = argument(builder, row);
    let gate = builder.node("Sigmoid", &[argument], vec![]);
    let factor = some_factor(builder);
    gated(builder, row, gate, factor)
}

pub fn other_gate(builder: &mut Builder, row: Id) -> Id {
    let gate = if builder.random.chance(0.5) {
        let soft = builder.node("Softplus", &[row], vec![]);
        builder.node("Tanh", &[soft], vec![])
    } else {
        let attributes = if builder.random.chance(0.5) { vec![] } else { vec![float("alpha", 0.125)] };
        builder.node("HardSigmoid", &[row], attributes)
    };
    let factor = some_factor(builder);
    gated(builder, row, gate, factor)
}

pub fn power(builder: &mut Builder, row: Id) -> Id {
    let whole = builder.random.chance(0.5);
    let base = if whole { row } else { raised(builder, row) };
    let exponent =
        if whole { builder.random.of(&[1.0, 2.0, 3.0]) } else { builder.random.of(&[0.5, 1.5, 0.25, -1.0, 2.0, 0.75]) };
    let exponent = if whole && builder.random.chance(0.3) {
        builder.integers(&[], &[exponent as i64], 2)
    } else {
        uniform(builder, row, exponent)
    };
    builder.node("Pow", &[base, exponent], vec![])
}

/// A Householder activation of the halves of a row, written with comparisons.
pub fn householder(builder: &mut Builder, row: Id) -> Id {
    let n = width(builder, row);
    let row = if n.is_multiple_of(2) { row } else { builder.node("Concat", &[row, row], vec![int("axis", 1)]) };
    let half = width(builder, row) / 2;
    let parts = builder.integers(&[2], &[half as i64, half as i64], 2);
    let halves = builder.nodes("Split", &[row, parts], vec![int("axis", 1)], 2);
    let (a, b) = (halves[0], halves[1]);
    let shape = builder.random.of(&[0, 1, 2]);
    let shape = [vec![], vec![1], vec![1, half]][shape].clone();
    let angles: Vec<f64> = (0..shape.iter().product()).map(|_| builder.used_number()).collect();
    let phi = builder.exactly(&shape, &angles, 2);
    let theta = match builder.random.below(4) {
        0 => {
            let two = builder.exactly(&[], &[2.0], 2);
            builder.node("Mul", &[phi, two], vec![])
        }
        1 => builder.node("Add", &[phi, phi], vec![]),
        _ => {
            let doubled: Vec<f64> = angles.iter().map(|angle| 2.0 * angle).collect();
            builder.exactly(&shape, &doubled, 2)
        }
    };
    let [sine, cosine] = ["Sin", "Cos"].map(|wave| builder.node(wave, &[phi], vec![]));
    let [double_sine, double_cosine] = ["Sin", "Cos"].map(|wave| builder.node(wave, &[theta], vec![]));
    let product = |builder: &mut Builder, value: Id, wave: Id| {
        let inputs = swapped(builder, value, wave);
        builder.node("Mul", &inputs, vec![])
    };
    let combined = |builder: &mut Builder, operator: &str, waves: [Id; 2]| {
        let terms = [product(builder, a, waves[0]), product(builder, b, waves[1])];
        builder.node(operator, &terms, vec![])
    };
    let u = combined(builder, "Sub", [sine, cosine]);
    let first = combined(builder, "Add", [double_cosine, double_sine]);
    let second = combined(builder, "Sub", [double_sine, double_cosine]);
    let zero = uniform(builder, a, 0.0);
    let (operator, above) =
        builder.random.of(&[("Greater", true), ("LessOrEqual", false), ("GreaterOrEqual", true), ("Less", false)]);
    let truth = if builder.random.chance(0.7) {
        builder.node(operator, &[u, zero], vec![])
    } else {
        let turned = match operator {
            "Greater" => "Less",
            "Less" => "Greater",
            "LessOrEqual" => "GreaterOrEqual",
            _ => "LessOrEqual",
        };
        builder.node(turned, &[zero, u], vec![])
    };
    let indicator = builder.random.chance(0.4);
    let mut chosen = Vec::new();
    for (kept, reflected) in [(a, first), (b, second)] {
        let (inside, outside) = if above { (reflected, kept) } else { (kept, reflected) };
        chosen.push(if indicator {
            let inside_weight = builder.node("Cast", &[truth], vec![int("to", 1)]);
            let shape = scalar_shape(builder);
            let one = builder.exactly(&shape, &[1.0], 2);
            let outside_weight = builder.node("Sub", &[one, inside_weight], vec![]);
            let terms = [product(builder, inside, inside_weight), product(builder, outside, outside_weight)];
            builder.node("Add", &terms, vec![])
        } else {
            builder.node("Where", &[truth, inside, outside], vec![])
        });
    }
    builder.node("Concat", &chosen, vec![int("axis", 1)])
}
