//! Enclosures as an arithmetic for the evaluation of networks: constants and points without rounding that is not accounted for.

use super::equilibrium;
use crate::model::ir::{Arithmetic, Function};
use crate::sound::Enclosure;

impl Arithmetic for Enclosure {
    fn exact(value: f64) -> Self {
        Self::exact(value)
    }
    fn add(&self, other: &Self) -> Self {
        *self + *other
    }
    fn sub(&self, other: &Self) -> Self {
        *self - *other
    }
    fn mul(&self, other: &Self) -> Self {
        *self * *other
    }
    fn div(&self, other: &Self) -> Self {
        *self / *other
    }

    /// The larger of the two where their order is known, otherwise what contains both possibilities.
    fn max(&self, other: &Self) -> Self {
        if self.lower() >= other.upper() {
            *self
        } else if other.lower() >= self.upper() {
            *other
        } else {
            hull(self.lower().max(other.lower()), self.upper().max(other.upper()), self, other)
        }
    }

    fn min(&self, other: &Self) -> Self {
        -Arithmetic::max(&-*self, &-*other)
    }

    fn apply(&self, function: &Function) -> Option<Self> {
        let zero = Self::ZERO;
        let clip = |x: &Self, lower: f64, upper: f64| {
            let raised = if lower == f64::NEG_INFINITY { *x } else { Arithmetic::max(x, &Self::exact(lower)) };
            if upper == f64::INFINITY { raised } else { Arithmetic::min(&raised, &Self::exact(upper)) }
        };
        let leaky = |slope: f64| Arithmetic::max(self, &zero) + Self::exact(slope) * Arithmetic::min(self, &zero);
        Some(match *function {
            Function::Neg => -*self,
            Function::Abs => self.abs(),
            Function::Relu => Arithmetic::max(self, &zero),
            Function::LeakyRelu { slope } => leaky(slope),
            Function::Clip { lower, upper } => clip(self, lower, upper),
            Function::HardSigmoid { alpha, beta } => clip(&(Self::exact(alpha) * *self + Self::exact(beta)), 0.0, 1.0),
            Function::HardSwish => *self * clip(&(*self / Self::exact(6.0) + Self::exact(0.5)), 0.0, 1.0),
            Function::Sqrt => self.sqrt(),
            // Monotone: between the values at both ends.
            Function::Sign | Function::Floor | Function::Round => {
                match (function.value(self.lower()), function.value(self.upper())) {
                    (lower, upper) if self.is_valid() => Self::from_bounds(lower, upper),
                    _ => Self::INVALID,
                }
            }
            Function::Sin => self.sin(),
            Function::Cos => self.cos(),
            Function::Exp => self.exp(),
            Function::Log => self.ln(),
            Function::Elu { alpha } => elu(self, alpha),
            Function::Selu { alpha, gamma } => Self::exact(gamma) * elu(self, alpha),
            // alpha·(e^{x/alpha} − 1) has the sign of x, whatever the sign of alpha.
            Function::Celu { alpha } => {
                let alpha = Self::exact(alpha);
                Arithmetic::max(self, &zero) + alpha * (Arithmetic::min(self, &zero) / alpha).exp_m1()
            }
            Function::Sigmoid => self.sigmoid(),
            Function::Tanh => self.tanh(),
            Function::Softplus => self.softplus(),
            Function::Softsign => self.softsign(),
            Function::Erf => self.erf(),
            // 1 + erf(s) = erfc(−s), which does not cancel.
            Function::Gelu => (*self * (-*self * Self::exact(0.5).sqrt()).erfc()).mul_pow2(-1),
            Function::ErfGate { divisor } => *self * (-*self / Self::exact(divisor)).erfc(),
            // (1 + tanh u)/2 = sigmoid(2u), and 2√(2/π) = √(8/π).
            Function::GeluTanh => {
                let coefficient = Self::exact(44_715.0) / Self::exact(1_000_000.0);
                let inner = *self + coefficient * *self * self.square();
                *self * ((Self::exact(8.0) / Self::PI).sqrt() * inner).sigmoid()
            }
            Function::TanhGate { scale, cubic } => {
                let inner = *self + Self::exact(cubic) * *self * self.square();
                *self * ((Self::exact(scale) * inner).mul_pow2(1).sigmoid()).mul_pow2(1)
            }
            Function::Silu => *self * self.sigmoid(),
            Function::Mish => *self * self.tanh_softplus(),
        })
    }

    /// Around one solution: that it is the only one is not proved here.
    fn fixed_point(function: &Function, weights: &[Self], injection: &[Self]) -> Option<Vec<Self>> {
        equilibrium::enclose(function, weights, injection)
    }
}

fn elu(x: &Enclosure, alpha: f64) -> Enclosure {
    let zero = Enclosure::ZERO;
    Arithmetic::max(x, &zero) + Enclosure::exact(alpha) * Arithmetic::min(x, &zero).exp_m1()
}

/// `[lower, upper]`, or invalid where an operand is.
fn hull(lower: f64, upper: f64, a: &Enclosure, b: &Enclosure) -> Enclosure {
    if a.is_valid() && b.is_valid() { Enclosure::from_bounds(lower, upper) } else { Enclosure::INVALID }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use dashu::base::Abs;
    use dashu::float::DBig;
    use dashu::rational::RBig;

    use super::*;

    #[test]
    fn an_undecided_maximum_contains_both() {
        let a = Enclosure::from_bounds(0.0, 2.0);
        let b = Enclosure::from_bounds(1.0, 3.0);
        let max = Arithmetic::max(&a, &b);
        assert!(max.lower() <= 1.0 && max.upper() >= 3.0);
        let min = Arithmetic::min(&a, &b);
        assert!(min.lower() <= 0.0 && min.upper() >= 2.0);
    }

    #[test]
    fn an_invalid_operand_stays_invalid() {
        let max = Arithmetic::max(&Enclosure::INVALID, &Enclosure::exact(1.0));
        assert!(!max.is_valid() || max.upper().is_infinite());
    }

    /// From mpmath 1.3 with 1200 digits; parameters are the `f64`, √2, π and 0.044715 the real numbers.
    #[test]
    fn functions_are_enclosed_tightly() {
        let anchors = [
            (Function::Exp, -3.25, "3.87742078317220098868998352675961432601441e-2"),
            (Function::Exp, 20.5, "7.99902177475505406704598837283990083454401e8"),
            (Function::Log, 3.0, "1.09861228866810969139524523692252570464749"),
            (Function::Elu { alpha: 1.7 }, -2.5, "-1.5604555023393720074481864863426360218691"),
            (Function::Elu { alpha: 1.7 }, 3.5, "3.5"),
            (Function::Elu { alpha: -0.3 }, -0.75, "1.58290034177695582000678017624332990979484e-1"),
            (
                Function::Selu { alpha: 1.673_263_192_176_818_8, gamma: 1.050_701_022_148_132_3 },
                -40.0,
                "-1.75809934634303032615909245854472735899756",
            ),
            (
                Function::Selu { alpha: 1.673_263_192_176_818_8, gamma: 1.050_701_022_148_132_3 },
                1.5,
                "1.576051533222198486328125",
            ),
            (Function::Celu { alpha: 0.7 }, -1.25, "-5.82625925873742012188930931530683139299813e-1"),
            (Function::Celu { alpha: 0.7 }, 800.0, "8.0e2"),
            (Function::Celu { alpha: -0.7 }, -1.25, "-3.474686817745736346199687450961745626673"),
            (Function::Celu { alpha: -0.7 }, 2.0, "2.0"),
            (Function::Sigmoid, -30.0, "9.35762296883929895383956265328498411157574e-14"),
            (Function::Tanh, 0.001_953_125, "1.95312251647692391413010475955608427426513e-3"),
            (Function::Softplus, -12.5, "3.72664622812399031271529126294178868267765e-6"),
            (Function::Softsign, -6.0, "-8.57142857142857142857142857142857142857143e-1"),
            (Function::Erf, -1.125, "-8.88388231701707764069578446927163476783844e-1"),
            (Function::Gelu, -0.75, "-1.69970514282651149495296627037607308826799e-1"),
            (Function::Gelu, -20.0, "-5.507248237212467390151245561714930665615e-88"),
            (Function::Gelu, 2.5, "2.48447583668555966208255473856451944718026"),
            (Function::Gelu, 35.0, "3.5e1"),
            (Function::GeluTanh, -0.75, "-1.70039444834379695815855803013500293288232e-1"),
            (Function::GeluTanh, -15.0, "-1.55847699372740549650145033246695487391404e-114"),
            (Function::GeluTanh, 2.5, "2.48491573391000141792050767754228928698541"),
            (Function::GeluTanh, 35.0, "3.5e1"),
            (Function::ErfGate { divisor: -0.3 }, -0.5, "-9.90788937272950497150889060185551070637238e-1"),
            (Function::ErfGate { divisor: -0.3 }, 1.75, "2.7816836250484403245271226930094464760377e-16"),
            (Function::ErfGate { divisor: std::f64::consts::SQRT_2 }, -8.0, "-9.95353691883489880416436180771990214897493e-15"),
            (Function::Silu, -45.5, "-7.89973403810634100051145738396336313034048e-19"),
            (Function::Silu, 0.625, "4.07096790416283902263249184284349107538383e-1"),
            (Function::Mish, -45.5, "-7.89973403810634100058003518382360040142483e-19"),
            (Function::Mish, -1.0, "-3.03401461374108918074389275378365229674294e-1"),
            (Function::Mish, 4.0, "3.99741280697623852434551942600427207772562"),
        ];
        let rational = |x: f64| RBig::try_from(x).unwrap();
        let decimal = |digits: &str| RBig::try_from(DBig::from_str(digits).unwrap()).unwrap();
        for (function, x, digits) in anchors {
            let result = Enclosure::exact(x).apply(&function).unwrap();
            let value = decimal(digits);
            let size = value.clone().abs();
            let distance = (&value - rational(result.hi()) - rational(result.lo())).abs();
            assert!(distance <= rational(result.radius()) + &size * decimal("1e-41"), "{function:?} at {x}: {result:?}");
            assert!(result.radius() <= result.magnitude() * 2.0_f64.powi(-88), "{function:?} at {x}: {result:?}");
        }
    }

    fn smooth() -> Vec<Function> {
        vec![
            Function::Exp,
            Function::Elu { alpha: 1.3 },
            Function::Elu { alpha: -0.3 },
            Function::Selu { alpha: 1.673_263_192_176_818_8, gamma: 1.050_701_022_148_132_3 },
            Function::Celu { alpha: 0.7 },
            Function::Celu { alpha: -0.7 },
            Function::Sigmoid,
            Function::Tanh,
            Function::Softplus,
            Function::Softsign,
            Function::Erf,
            Function::Gelu,
            Function::GeluTanh,
            Function::ErfGate { divisor: std::f64::consts::SQRT_2 },
            Function::ErfGate { divisor: -0.3 },
            Function::TanhGate { scale: 0.797_884_583_473_205_6, cubic: 0.044_714_998_453_855_515 },
            Function::Silu,
            Function::Mish,
        ]
    }

    /// What the `f64` value may be off by: `GeluTanh` cancels there.
    fn error(function: &Function, x: f64, value: f64) -> f64 {
        let cancelled =
            if matches!(function, Function::GeluTanh | Function::TanhGate { .. }) { 1e-15 * x.abs().min(100.0) } else { 0.0 };
        1e-12 * value.abs() + cancelled + 1e-300
    }

    /// The `f64` values are near enclosures of points and, up to their own errors, in enclosures of intervals.
    #[test]
    fn enclosures_agree_with_the_evaluation() {
        for function in smooth() {
            for i in -400..=400 {
                let x = f64::from(i) * 0.099;
                let point = Enclosure::exact(x).apply(&function).unwrap();
                let value = function.value(x);
                let slack = error(&function, x, value);
                assert!(
                    point.lower() - slack <= value && value <= point.upper() + slack,
                    "{function:?} at {x}: {value} {point:?}"
                );
                for radius in [1e-9, 0.01, 1.5] {
                    let interval = Enclosure::from_parts(x, 0.0, radius).apply(&function).unwrap();
                    for inside in [x - radius, x - 0.3 * radius, x, x + 0.9 * radius, x + radius] {
                        let value = function.value(inside);
                        let slack = error(&function, inside, value);
                        let contained = interval.lower() - slack <= value && value <= interval.upper() + slack;
                        assert!(contained, "{function:?} at {inside}: {value} {interval:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn far_arguments_and_bad_parameters_prove_nothing_wrong() {
        for function in smooth() {
            for x in [0.0, 1e-310, 27.0, 38.5, 745.5, 1e4, 1e150, f64::MAX] {
                for x in [x, -x] {
                    let result = Enclosure::exact(x).apply(&function).unwrap();
                    let value = function.value(x);
                    if value.is_finite() && result.is_valid() {
                        let slack = error(&function, x, value);
                        let contained = result.lower() - slack <= value && value <= result.upper() + slack;
                        assert!(contained, "{function:?} at {x}: {value} {result:?}");
                    }
                }
            }
            assert!(!Enclosure::INVALID.apply(&function).unwrap().is_valid(), "{function:?}");
        }
        let x = Enclosure::exact(-1.0);
        for function in [Function::Elu { alpha: f64::NAN }, Function::Celu { alpha: 0.0 }, Function::ErfGate { divisor: 0.0 }] {
            assert!(!x.apply(&function).unwrap().is_valid(), "{function:?}");
        }
    }
}
