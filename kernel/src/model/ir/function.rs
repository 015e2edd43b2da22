//! Scalar functions of one real variable and the exact ranges of their slopes.
//!
//! A slope range is a claim that every certificate stands on: `[α, β]` must contain every difference quotient of the
//! function. Ranges found on a grid are widened; the unit tests bound what lies between the grid points.

use crate::sound::round::{mul_down, mul_up};

/// An elementwise function. Parameters are the exact values of the model file.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    Neg,
    Abs,
    Relu,
    /// `x` for `x ≥ 0`, `slope·x` otherwise.
    LeakyRelu {
        slope: f64,
    },
    /// `min(max(x, lower), upper)`.
    Clip {
        lower: f64,
        upper: f64,
    },
    /// `x` for `x ≥ 0`, `alpha·(eˣ − 1)` otherwise.
    Elu {
        alpha: f64,
    },
    /// `gamma·x` for `x ≥ 0`, `gamma·alpha·(eˣ − 1)` otherwise.
    Selu {
        alpha: f64,
        gamma: f64,
    },
    /// `max(0, x) + min(0, alpha·(e^{x/alpha} − 1))`.
    Celu {
        alpha: f64,
    },
    Sigmoid,
    /// `max(0, min(1, alpha·x + beta))`.
    HardSigmoid {
        alpha: f64,
        beta: f64,
    },
    Tanh,
    Softplus,
    Softsign,
    Erf,
    /// `x·(1 + erf(x/√2))/2`.
    Gelu,
    /// `x·(1 + tanh(√(2/π)(x + 0.044715x³)))/2`.
    GeluTanh,
    /// `x·(1 + erf(x/divisor))`: GELU as exporters build it from `Erf`, without the factor ½.
    ErfGate {
        divisor: f64,
    },
    /// `x·(1 + tanh(scale·(x + cubic·x³)))`: GELU as exporters build it from `Tanh`, without the factor ½. The numbers must be
    /// near those of [`Function::GeluTanh`]; of any others nothing is known.
    TanhGate {
        scale: f64,
        cubic: f64,
    },
    /// `x·sigmoid(x)`.
    Silu,
    /// `x·max(0, min(1, x/6 + 1/2))`.
    HardSwish,
    /// `x·tanh(softplus(x))`.
    Mish,
    Sin,
    Cos,
    Exp,
    /// The natural logarithm.
    Log,
    Sqrt,
    /// −1, 0 or 1.
    Sign,
    /// The largest integer that is not above.
    Floor,
    /// The nearest integer, the even one of two.
    Round,
}

/// Ends of slope ranges are zero or at least this.
///
/// A matrix inequality holds a multiplier times the sum, and times the product, of the ends: with ends of this size neither
/// comes near underflow, their product being at least 1e-80 and a sum that does not vanish at least 2⁻⁵³ of 1e-40. A wider
/// range is as true, and costs an honest model nothing: a slope of 1e-40 is none.
pub const SMALLEST_SLOPE: f64 = 1e-40;

/// `[α, β]` containing every difference quotient `(φ(a) − φ(b))/(a − b)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlopeRange {
    pub lower: f64,
    pub upper: f64,
}

impl SlopeRange {
    /// A range that contains the given one: ends that are not zero but below [`SMALLEST_SLOPE`] move outward, to zero or to
    /// that size.
    #[must_use]
    pub const fn new(lower: f64, upper: f64) -> Self {
        Self { lower: -raised(-lower), upper: raised(upper) }
    }

    /// The range of `c·φ`.
    fn scaled(self, factor: f64) -> Self {
        let (a, b) = if factor < 0.0 { (self.upper, self.lower) } else { (self.lower, self.upper) };
        Self::new(mul_down(factor, a), mul_up(factor, b))
    }
}

/// The least end that is not below this one, and not tiny.
const fn raised(end: f64) -> f64 {
    if end > 0.0 && end < SMALLEST_SLOPE {
        SMALLEST_SLOPE
    } else if end < 0.0 && end > -SMALLEST_SLOPE {
        0.0
    } else {
        end
    }
}

impl Function {
    /// The smallest range known to contain every slope, or `None` where slopes are unbounded.
    ///
    /// Sources: closed forms; for SiLU, GELU, Mish the extrema of the derivative to ten digits, widened by 1e-9.
    #[must_use]
    pub fn slope_range(&self) -> Option<SlopeRange> {
        if self.parameters().iter().any(|p| !p.is_finite()) && !matches!(self, Self::Clip { .. }) {
            return None;
        }
        let range = match *self {
            Self::Neg => SlopeRange::new(-1.0, -1.0),
            Self::Abs | Self::Sin | Self::Cos => SlopeRange::new(-1.0, 1.0),
            Self::Relu | Self::Clip { .. } | Self::Tanh | Self::Softplus | Self::Softsign => SlopeRange::new(0.0, 1.0),
            Self::LeakyRelu { slope } => SlopeRange::new(slope.min(1.0), slope.max(1.0)),
            Self::Elu { alpha } => SlopeRange::new(alpha.min(0.0), alpha.max(1.0)),
            Self::Selu { alpha, gamma } => SlopeRange::new(alpha.min(0.0), alpha.max(1.0)).scaled(gamma),
            Self::Celu { alpha } if alpha > 0.0 => SlopeRange::new(0.0, 1.0),
            Self::Sigmoid => SlopeRange::new(0.0, 0.25),
            Self::HardSigmoid { alpha, .. } => SlopeRange::new(alpha.min(0.0), alpha.max(0.0)),
            // 2/√π, rounded up.
            Self::Erf => SlopeRange::new(0.0, std::f64::consts::FRAC_2_SQRT_PI.next_up()),
            Self::Gelu => GELU,
            Self::GeluTanh => SlopeRange::new(-0.128_993_069_7, 1.128_993_069_7),
            // With s = x/divisor the slope is 1 + erf(s) + s·erf′(s): twice GELU's, whatever the divisor.
            Self::ErfGate { divisor } if divisor != 0.0 => GELU.scaled(2.0),
            // Twice GeluTanh's. The slope is g′(s) at s = scale·x with g(s) = s·(1 + tanh(s + γs³)) and γ = cubic/scale², where
            // |∂g′/∂γ| ≤ 4e^−2|s|·(4|s|³ + 2|s|⁴ + 6γ|s|⁶) < 9, and near numbers move γ by less than 2.2e-7.
            Self::TanhGate { scale, cubic } if is_near_gelu(scale, cubic) => {
                SlopeRange::new(2.0 * -0.128_993_069_7 - 2e-6, 2.0 * 1.128_993_069_7 + 2e-6)
            }
            Self::Silu => SlopeRange::new(-0.099_839_321_1, 1.099_839_321_1),
            Self::HardSwish => SlopeRange::new(-0.5, 1.5),
            Self::Mish => SlopeRange::new(-0.112_526_123_4, 1.088_498_162_3),
            Self::Celu { .. }
            | Self::ErfGate { .. }
            | Self::TanhGate { .. }
            | Self::Exp
            | Self::Log
            | Self::Sqrt
            | Self::Sign
            | Self::Floor
            | Self::Round => return None,
        };
        (range.lower.is_finite() && range.upper.is_finite()).then_some(range)
    }

    fn parameters(&self) -> [f64; 2] {
        match *self {
            Self::LeakyRelu { slope } => [slope, 0.0],
            Self::Clip { lower, upper } => [lower, upper],
            Self::Elu { alpha } | Self::Celu { alpha } => [alpha, 0.0],
            Self::Selu { alpha, gamma } => [alpha, gamma],
            Self::HardSigmoid { alpha, beta } => [alpha, beta],
            Self::ErfGate { divisor } => [divisor, 0.0],
            Self::TanhGate { scale, cubic } => [scale, cubic],
            _ => [0.0, 0.0],
        }
    }

    /// Value in `f64`, to a few units in the last place.
    #[must_use]
    pub fn value(&self, x: f64) -> f64 {
        match *self {
            Self::Neg => -x,
            Self::Abs => x.abs(),
            Self::Relu => relu(x),
            Self::LeakyRelu { slope } => {
                if x < 0.0 {
                    slope * x
                } else {
                    x
                }
            }
            Self::Clip { lower, upper } => clip(x, lower, upper),
            Self::Elu { alpha } => elu(x, alpha),
            Self::Selu { alpha, gamma } => gamma * elu(x, alpha),
            Self::Celu { alpha } => relu(x) + (alpha * (x / alpha).exp_m1()).min(0.0),
            Self::Sigmoid => sigmoid(x),
            Self::HardSigmoid { alpha, beta } => clip(alpha * x + beta, 0.0, 1.0),
            Self::Tanh => x.tanh(),
            Self::Softplus => softplus(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Erf => libm::erf(x),
            Self::Gelu => 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
            Self::GeluTanh => {
                // (1 + tanh u)/2 = sigmoid(2u), which does not cancel for negative u.
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                x * sigmoid(2.0 * inner)
            }
            Self::ErfGate { divisor } => x * libm::erfc(-x / divisor),
            Self::TanhGate { scale, cubic } => 2.0 * x * sigmoid(2.0 * scale * (x + cubic * x * x * x)),
            Self::Silu => x * sigmoid(x),
            Self::HardSwish => x * clip(x / 6.0 + 0.5, 0.0, 1.0),
            Self::Mish => x * softplus(x).tanh(),
            Self::Sin => x.sin(),
            Self::Cos => x.cos(),
            Self::Exp => x.exp(),
            Self::Log => x.ln(),
            Self::Sqrt => x.sqrt(),
            Self::Sign => sign(x),
            Self::Floor => x.floor(),
            Self::Round => x.round_ties_even(),
        }
    }

    /// Whether the function jumps. It has a slope of zero elsewhere.
    #[must_use]
    pub const fn jumps(&self) -> bool {
        matches!(self, Self::Sign | Self::Floor | Self::Round)
    }

    /// The derivative in `f64`; at a kink the one from the right, except `relu′(0) = 0` and its kin; zero where the function jumps.
    #[must_use]
    pub fn derivative(&self, x: f64) -> f64 {
        let step = |inside: bool| f64::from(u8::from(inside));
        match *self {
            Self::Neg => -1.0,
            Self::Abs => {
                if x == 0.0 {
                    0.0
                } else {
                    x.signum()
                }
            }
            Self::Relu => step(x > 0.0),
            Self::LeakyRelu { slope } => {
                if x > 0.0 {
                    1.0
                } else {
                    slope
                }
            }
            Self::Clip { lower, upper } => step(x > lower && x < upper),
            Self::Elu { alpha } => elu_slope(x, alpha),
            Self::Selu { alpha, gamma } => gamma * elu_slope(x, alpha),
            Self::Celu { alpha } => {
                if x > 0.0 {
                    1.0
                } else {
                    (x / alpha).exp()
                }
            }
            Self::Sigmoid => sigmoid(x) * sigmoid(-x),
            Self::HardSigmoid { alpha, beta } => {
                let inner = alpha * x + beta;
                alpha * step(inner > 0.0 && inner < 1.0)
            }
            Self::Tanh => 1.0 - x.tanh().powi(2),
            Self::Softplus => sigmoid(x),
            Self::Softsign => (1.0 + x.abs()).powi(-2),
            Self::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
            Self::Gelu => 0.5 * erf_gate_slope(x * std::f64::consts::FRAC_1_SQRT_2),
            Self::GeluTanh => {
                let root = (2.0 / std::f64::consts::PI).sqrt();
                let inner = (root * (x + 0.044715 * x * x * x)).tanh();
                let growth = root * (1.0 + 3.0 * 0.044715 * x * x);
                0.5 * (1.0 + inner) + 0.5 * x * (1.0 - inner * inner) * growth
            }
            Self::ErfGate { divisor } => erf_gate_slope(x / divisor),
            Self::TanhGate { scale, cubic } => {
                let inner = (scale * (x + cubic * x * x * x)).tanh();
                1.0 + inner + x * (1.0 - inner * inner) * scale * (1.0 + 3.0 * cubic * x * x)
            }
            Self::Silu => sigmoid(x) * (1.0 + x * sigmoid(-x)),
            Self::HardSwish => {
                if x.abs() < 3.0 {
                    x / 3.0 + 0.5
                } else {
                    step(x > 0.0)
                }
            }
            Self::Mish => {
                let t = softplus(x).tanh();
                t + x * (1.0 - t * t) * sigmoid(x)
            }
            Self::Sin => x.cos(),
            Self::Cos => -x.sin(),
            Self::Exp => x.exp(),
            Self::Log => 1.0 / x,
            Self::Sqrt => 0.5 / x.sqrt(),
            Self::Sign | Self::Floor | Self::Round => 0.0,
        }
    }

    /// A name for messages and reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Neg => "Neg",
            Self::Abs => "Abs",
            Self::Relu => "Relu",
            Self::LeakyRelu { .. } => "LeakyRelu",
            Self::Clip { .. } => "Clip",
            Self::Elu { .. } => "Elu",
            Self::Selu { .. } => "Selu",
            Self::Celu { .. } => "Celu",
            Self::Sigmoid => "Sigmoid",
            Self::HardSigmoid { .. } => "HardSigmoid",
            Self::Tanh => "Tanh",
            Self::Softplus => "Softplus",
            Self::Softsign => "Softsign",
            Self::Erf => "Erf",
            Self::Gelu | Self::ErfGate { .. } => "Gelu",
            Self::GeluTanh | Self::TanhGate { .. } => "Gelu (tanh)",
            Self::Silu => "SiLU",
            Self::HardSwish => "HardSwish",
            Self::Mish => "Mish",
            Self::Sin => "Sin",
            Self::Cos => "Cos",
            Self::Exp => "Exp",
            Self::Log => "Log",
            Self::Sqrt => "Sqrt",
            Self::Sign => "Sign",
            Self::Floor => "Floor",
            Self::Round => "Round",
        }
    }
}

const GELU: SlopeRange = SlopeRange::new(-0.128_904_146_2, 1.128_904_146_2);

/// Whether the numbers of a [`Function::TanhGate`] are √(2/π) and 0.044715, to one part in a million.
#[must_use]
pub fn is_near_gelu(scale: f64, cubic: f64) -> bool {
    let near = |found: f64, wanted: f64| (found / wanted - 1.0).abs() <= 1e-6;
    near(scale, (2.0 / std::f64::consts::PI).sqrt()) && near(cubic, 0.044715)
}

/// Keeps a NaN, which `f64::max` would drop.
fn relu(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

/// Keeps a NaN.
fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

/// Keeps a NaN in `x`; like ONNX, the upper limit wins when the limits cross.
fn clip(x: f64, lower: f64, upper: f64) -> f64 {
    let raised = if x < lower { lower } else { x };
    if raised > upper { upper } else { raised }
}

fn elu(x: f64, alpha: f64) -> f64 {
    if x < 0.0 { alpha * x.exp_m1() } else { x }
}

fn elu_slope(x: f64, alpha: f64) -> f64 {
    if x > 0.0 { 1.0 } else { alpha * x.exp() }
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

fn softplus(x: f64) -> f64 {
    relu(x) + (-x.abs()).exp().ln_1p()
}

/// `d/ds` of `s·(1 + erf(s))`, the derivative of [`Function::ErfGate`] at `x = divisor·s`.
fn erf_gate_slope(s: f64) -> f64 {
    libm::erfc(-s) + s * std::f64::consts::FRAC_2_SQRT_PI * (-s * s).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound::testing::Rng;

    fn all() -> Vec<Function> {
        vec![
            Function::Neg,
            Function::Abs,
            Function::Relu,
            Function::LeakyRelu { slope: 0.1 },
            Function::LeakyRelu { slope: 2.5 },
            Function::LeakyRelu { slope: -0.5 },
            Function::Clip { lower: -1.0, upper: 2.0 },
            Function::Elu { alpha: 1.0 },
            Function::Elu { alpha: 1.7 },
            Function::Elu { alpha: -0.3 },
            Function::Selu { alpha: 1.673_263_192_176_818_8, gamma: 1.050_701_022_148_132_3 },
            Function::Celu { alpha: 0.7 },
            Function::Sigmoid,
            Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
            Function::HardSigmoid { alpha: -0.2, beta: 0.5 },
            Function::Tanh,
            Function::Softplus,
            Function::Softsign,
            Function::Erf,
            Function::Gelu,
            Function::GeluTanh,
            Function::ErfGate { divisor: std::f64::consts::SQRT_2 },
            Function::ErfGate { divisor: -0.3 },
            Function::TanhGate { scale: 0.797_884_583_473_205_6, cubic: 0.044_714_998_453_855_515 },
            Function::TanhGate { scale: 0.797_885_3, cubic: 0.044_715_04 },
            Function::Silu,
            Function::HardSwish,
            Function::Mish,
            Function::Sin,
            Function::Cos,
        ]
    }

    /// Every function above has |φ″| ≤ 13 (the largest is ErfGate with divisor 0.3) wherever it has no kink, so a slope
    /// between grid points exceeds those on the grid by at most 13·h/2. The grid is finest where the extrema lie.
    #[test]
    fn slope_ranges_contain_every_difference_quotient() {
        let step = 1.0 / 4096.0;
        for function in all() {
            let range = function.slope_range().unwrap();
            let mut previous = function.value(-12.0);
            for i in 1..=24 * 4096 {
                let x = -12.0 + f64::from(i) * step;
                let value = function.value(x);
                let quotient = (value - previous) / step;
                assert!(
                    quotient >= range.lower - 1e-10 && quotient <= range.upper + 1e-10,
                    "{function:?} at {x}: {quotient} outside {range:?}"
                );
                previous = value;
            }
        }
    }

    /// The four smooth non-monotone ranges are proved: with |φ‴| ≤ 6 near its extrema and a grid of 1e-5 around them the
    /// derivative cannot exceed the grid's maximum by more than 6·(0.5e-5)²/2 < 1e-10, which the widening covers.
    #[test]
    fn ranges_of_smooth_gates_cover_their_extrema_and_are_tight() {
        for function in [Function::Silu, Function::Gelu, Function::GeluTanh, Function::Mish] {
            let range = function.slope_range().unwrap();
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for i in -1_200_000..=1_200_000 {
                let slope = function.derivative(f64::from(i) * 1e-5);
                low = low.min(slope);
                high = high.max(slope);
            }
            assert!(range.lower <= low - 1e-10 && low - range.lower < 5e-9, "{function:?} {low} {range:?}");
            assert!(range.upper >= high + 1e-10 && range.upper - high < 5e-9, "{function:?} {high} {range:?}");
        }
    }

    #[test]
    fn derivatives_agree_with_central_differences() {
        for function in all() {
            for i in -40..40 {
                let x = f64::from(i) * 0.137 + 0.011;
                let h = 1e-5;
                let central = (function.value(x + h) - function.value(x - h)) / (2.0 * h);
                assert!((central - function.derivative(x)).abs() < 1e-8, "{function:?} at {x}");
            }
        }
    }

    #[test]
    fn functions_without_bounded_slope_have_no_range() {
        let far = Function::TanhGate { scale: 0.8, cubic: 0.044715 };
        let without = [far, Function::Exp, Function::Log, Function::Sqrt, Function::Sign, Function::Floor, Function::Round];
        for function in without.into_iter().chain([Function::Celu { alpha: -1.0 }, Function::ErfGate { divisor: 0.0 }]) {
            assert_eq!(function.slope_range(), None);
        }
        assert_eq!(Function::LeakyRelu { slope: f64::NAN }.slope_range(), None);
    }

    #[test]
    fn tiny_ends_of_ranges_move_outward() {
        let tiny = [f64::from_bits(1), 1e-310, 1e-224, 9.9e-41];
        for end in tiny {
            assert_eq!(SlopeRange::new(0.0, end), SlopeRange { lower: 0.0, upper: SMALLEST_SLOPE });
            assert_eq!(SlopeRange::new(-end, end), SlopeRange { lower: -SMALLEST_SLOPE, upper: SMALLEST_SLOPE });
            assert_eq!(SlopeRange::new(end, 1.0), SlopeRange { lower: 0.0, upper: 1.0 });
            assert_eq!(SlopeRange::new(-1.0, -end), SlopeRange { lower: -1.0, upper: 0.0 });
            let range = Function::HardSigmoid { alpha: end, beta: 0.5 }.slope_range().unwrap();
            assert_eq!((range.lower, range.upper), (0.0, SMALLEST_SLOPE));
        }
        for (lower, upper) in [(0.0, 1.0), (-1e-40, 1e-40), (1e-40, 2e-40), (-0.5, 0.25), (0.0, 0.0)] {
            assert_eq!(SlopeRange::new(lower, upper), SlopeRange { lower, upper });
        }
    }

    /// `γ·x` and `αγ·eˣ`: also where the product of the parameters underflows, to nothing or to few bits.
    #[test]
    fn products_of_parameters_are_inside_their_ranges() {
        use dashu::rational::RBig;
        let exact = |x: f64| RBig::try_from(x).unwrap();
        let mut random = Rng::new(21);
        let mut tiny = 0;
        for _ in 0..20_000 {
            let (alpha, gamma) = (random.spread(-1074, 1023), random.spread(-1074, 1023));
            let Some(range) = (Function::Selu { alpha, gamma }).slope_range() else { continue };
            let product = exact(alpha) * exact(gamma);
            tiny += usize::from(alpha * gamma == 0.0);
            for slope in [product, exact(gamma), RBig::ZERO] {
                assert!(exact(range.lower) <= slope && slope <= exact(range.upper), "{alpha:e} {gamma:e}: {range:?}");
            }
        }
        assert!(tiny > 1000, "{tiny}");
    }

    #[test]
    fn nan_goes_through() {
        for function in all() {
            assert!(function.value(f64::NAN).is_nan(), "{function:?}");
        }
    }
}
