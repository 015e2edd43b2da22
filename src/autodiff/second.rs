//! Second derivatives of scalar functions.

use crate::kernel::model::ir::Function;

/// `φ″(x)`; zero at a kink.
#[must_use]
pub fn second_derivative(function: &Function, x: f64) -> f64 {
    const FRAC_2_SQRT_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI;
    match *function {
        Function::Neg
        | Function::Abs
        | Function::Relu
        | Function::LeakyRelu { .. }
        | Function::Clip { .. }
        | Function::HardSigmoid { .. }
        | Function::Sign
        | Function::Floor
        | Function::Round => 0.0,
        Function::Elu { alpha } => left(x, || alpha * x.exp()),
        Function::Selu { alpha, gamma } => left(x, || gamma * alpha * x.exp()),
        Function::Celu { alpha } => left(x, || (x / alpha).exp() / alpha),
        Function::Sigmoid => sigmoid_second(x),
        Function::Tanh => {
            let t = x.tanh();
            -2.0 * t * (1.0 - t * t)
        }
        Function::Softplus => sigmoid(x) * sigmoid(-x),
        Function::Softsign => {
            if x == 0.0 {
                0.0
            } else {
                -2.0 * x.signum() / (1.0 + x.abs()).powi(3)
            }
        }
        Function::Erf => -2.0 * x * FRAC_2_SQRT_PI * (-x * x).exp(),
        // d/dx of Φ(x) + x·φ(x), and of 1 + erf(s) + s·erf′(s) with s = x/divisor.
        Function::Gelu => (2.0 - x * x) * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt(),
        Function::ErfGate { divisor } => {
            let s = x / divisor;
            FRAC_2_SQRT_PI * (-s * s).exp() * (2.0 - 2.0 * s * s) / divisor
        }
        Function::GeluTanh => cubic_gate_second(x, (2.0 / std::f64::consts::PI).sqrt(), 0.044715),
        Function::TanhGate { scale, cubic } => 2.0 * cubic_gate_second(x, scale, cubic),
        Function::Silu => 2.0 * sigmoid(x) * sigmoid(-x) + x * sigmoid_second(x),
        Function::HardSwish => {
            if x.abs() < 3.0 {
                1.0 / 3.0
            } else {
                0.0
            }
        }
        Function::Mish => {
            let t = Function::Softplus.value(x).tanh();
            let (s, rest) = (sigmoid(x), 1.0 - t * t);
            let first = rest * s;
            2.0 * first + x * (rest * s * sigmoid(-x) - 2.0 * t * first * s)
        }
        Function::Sin => -x.sin(),
        Function::Cos => -x.cos(),
        Function::Exp => x.exp(),
        Function::Log => -1.0 / (x * x),
        Function::Sqrt => -0.25 / (x * x.sqrt()),
    }
}

/// Of `x·σ(v)` with `v = 2·scale·(x + cubic·x³)`.
fn cubic_gate_second(x: f64, scale: f64, cubic: f64) -> f64 {
    let v = 2.0 * scale * (x + cubic * x * x * x);
    let (first, second) = (2.0 * scale * (1.0 + 3.0 * cubic * x * x), 2.0 * scale * 6.0 * cubic * x);
    let slope = sigmoid(v) * sigmoid(-v);
    2.0 * slope * first + x * (sigmoid_second(v) * first * first + slope * second)
}

fn left(x: f64, value: impl Fn() -> f64) -> f64 {
    if x < 0.0 { value() } else { 0.0 }
}

fn sigmoid(x: f64) -> f64 {
    Function::Sigmoid.value(x)
}

fn sigmoid_second(x: f64) -> f64 {
    sigmoid(x) * sigmoid(-x) * (1.0 - 2.0 * sigmoid(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_central_differences_of_the_first_derivative() {
        let functions = [
            Function::Relu,
            Function::Elu { alpha: 1.7 },
            Function::Selu { alpha: 1.673_263_192_176_818_8, gamma: 1.050_701_022_148_132_3 },
            Function::Celu { alpha: 0.7 },
            Function::Sigmoid,
            Function::Tanh,
            Function::Softplus,
            Function::Softsign,
            Function::Erf,
            Function::Gelu,
            Function::GeluTanh,
            Function::ErfGate { divisor: -0.7 },
            Function::TanhGate { scale: 0.797_884_583_473_205_6, cubic: 0.044_714_998_453_855_515 },
            Function::Silu,
            Function::HardSwish,
            Function::Mish,
            Function::Sin,
            Function::Cos,
            Function::Exp,
        ];
        let h = 1e-5;
        let check = |function: &Function, x: f64| {
            let central = (function.derivative(x + h) - function.derivative(x - h)) / (2.0 * h);
            let exact = second_derivative(function, x);
            assert!((central - exact).abs() < 1e-8 * (1.0 + exact.abs()), "{function:?} at {x}: {central} {exact}");
        };
        for function in functions {
            (-40..40).for_each(|i| check(&function, f64::from(i) * 0.137 + 0.011));
        }
        (1..40).for_each(|i| check(&Function::Sqrt, f64::from(i) * 0.3));
        (1..40).for_each(|i| check(&Function::Log, f64::from(i) * 0.3));
    }
}
