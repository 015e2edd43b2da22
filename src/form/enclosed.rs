//! Enclosures as an arithmetic for the evaluation of networks: constants and points without rounding that is not accounted for.

use crate::ir::{Arithmetic, Function};
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
            Function::Sin => self.sin(),
            Function::Cos => self.cos(),
            Function::Exp => self.exp(),
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
            Function::Silu => *self * self.sigmoid(),
            Function::Mish => *self * self.tanh_softplus(),
        })
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
}
