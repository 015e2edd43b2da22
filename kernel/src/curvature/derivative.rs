//! TRUSTED. Derivatives in enclosures: every number encloses the derivative and, at a kink, every value between its sides.

use std::ops::RangeInclusive;

use crate::curvature::Differentiable;
use crate::model::ir::{Arithmetic, Binary, Function, Network, NodeId, Op, Reduction, Values};
use crate::sound::Enclosure;

fn exact(value: f64) -> Enclosure {
    Enclosure::exact(value)
}

/// `below` for negative arguments, `above` for positive ones, everything between where that is not known.
fn sides(x: &Enclosure, below: Enclosure, above: Enclosure) -> Enclosure {
    if x.lower() > 0.0 {
        above
    } else if x.upper() < 0.0 {
        below
    } else {
        hull(below, above)
    }
}

fn hull(a: Enclosure, b: Enclosure) -> Enclosure {
    // An invalid enclosure has infinite bounds, and makes an invalid hull.
    Enclosure::from_bounds(a.lower().min(b.lower()), a.upper().max(b.upper()))
}

impl Differentiable for Enclosure {
    fn derivative(&self, function: &Function) -> Option<Self> {
        let (zero, one) = (Self::ZERO, Self::ONE);
        Some(match *function {
            Function::Neg => -one,
            // Where it may jump there is none.
            Function::Sign | Function::Floor | Function::Round if smooth_at(function, self) => zero,
            Function::Abs => sides(self, -one, one),
            Function::Relu => sides(self, zero, one),
            Function::LeakyRelu { slope } => sides(self, exact(slope), one),
            Function::Clip { lower, upper } => {
                if self.lower() > lower && self.upper() < upper {
                    one
                } else if self.upper() < lower || self.lower() > upper {
                    zero
                } else {
                    hull(zero, one)
                }
            }
            Function::HardSigmoid { alpha, beta } => {
                let inner = exact(alpha) * *self + exact(beta);
                if inner.lower() > 0.0 && inner.upper() < 1.0 {
                    exact(alpha)
                } else if inner.upper() < 0.0 || inner.lower() > 1.0 {
                    zero
                } else {
                    hull(zero, exact(alpha))
                }
            }
            Function::Elu { alpha } => sides(self, exact(alpha) * self.exp(), one),
            // The slopes of both sides agree at 0.
            Function::Celu { alpha } => sides(self, (*self / exact(alpha)).exp(), one),
            Function::Selu { alpha, gamma } => sides(self, exact(gamma) * exact(alpha) * self.exp(), exact(gamma)),
            Function::Sigmoid => self.sigmoid() * (-*self).sigmoid(),
            Function::Tanh => one - self.tanh().square(),
            Function::Softplus => self.sigmoid(),
            Function::Softsign => (one + self.abs()).square().reciprocal(),
            Function::Silu => self.sigmoid() * (one + *self * (-*self).sigmoid()),
            Function::Exp => self.exp(),
            Function::Log => self.reciprocal(),
            Function::Sin => self.cos(),
            Function::Cos => -self.sin(),
            Function::Sqrt => (exact(2.0) * self.sqrt()).reciprocal(),
            Function::Erf => exact(2.0) / Self::PI.sqrt() * (-self.square()).exp(),
            Function::Gelu => {
                // Φ(x) + x·φ(x), Φ(x) = (1 + erf(x/√2))/2.
                let scaled = *self / exact(2.0).sqrt();
                let erf = scaled.apply(&Function::Erf)?;
                let density = (-(self.square() / exact(2.0))).exp() / (exact(2.0) * Self::PI).sqrt();
                (one + erf) / exact(2.0) + *self * density
            }
            // s = x/divisor: 1 + erf(s) + s·erf′(s), with 1 + erf(s) = erfc(−s).
            Function::ErfGate { divisor } => {
                let s = *self / exact(divisor);
                (-s).erfc() + s * exact(2.0) / Self::PI.sqrt() * (-s.square()).exp()
            }
            // σ(v) + x·σ(v)σ(−v)·v′ with v = √(8/π)(x + cx³), c = 0.044715.
            Function::GeluTanh => {
                let (scale, c) = ((exact(8.0) / Self::PI).sqrt(), exact(44_715.0) / exact(1_000_000.0));
                let v = scale * (*self + c * *self * self.square());
                let slope = scale * (one + exact(3.0) * c * self.square());
                v.sigmoid() + *self * v.sigmoid() * (-v).sigmoid() * slope
            }
            // 2σ(v) + 2x·σ(v)σ(−v)·v′ with v = 2·scale·(x + cubic·x³).
            Function::TanhGate { scale, cubic } => {
                let (scale, cubic) = (exact(2.0) * exact(scale), exact(cubic));
                let v = scale * (*self + cubic * *self * self.square());
                let slope = scale * (one + exact(3.0) * cubic * self.square());
                exact(2.0) * (v.sigmoid() + *self * v.sigmoid() * (-v).sigmoid() * slope)
            }
            // t + x(1 − t²)σ(x) with t = tanh(softplus(x)).
            Function::Mish => {
                let t = self.tanh_softplus();
                t + *self * (one - t.square()) * self.sigmoid()
            }
            // x/3 + 1/2 within [−3, 3], constant outside; −1/2 and 3/2 meet 0 and 1 at the kinks.
            Function::HardSwish => {
                let line = |x: Self| x / exact(3.0) + exact(0.5);
                if self.upper() < -3.0 {
                    zero
                } else if self.lower() > 3.0 {
                    one
                } else if self.lower() > -3.0 && self.upper() < 3.0 {
                    line(*self)
                } else if self.is_valid() {
                    let inner = line(Self::from_bounds(self.lower().max(-3.0), self.upper().min(3.0)));
                    let left = if self.lower() <= -3.0 { hull(inner, zero) } else { inner };
                    if self.upper() >= 3.0 { hull(left, one) } else { left }
                } else {
                    Self::INVALID
                }
            }
            Function::Sign | Function::Floor | Function::Round => return None,
        })
    }

    /// Certainly before are those whose enclosures lie before; what is not certain may stand on either side.
    fn ranks(row: &[Self], descending: bool) -> Vec<RangeInclusive<usize>> {
        let ends = |end: fn(&Self) -> f64| {
            let mut ends: Vec<f64> = row.iter().map(end).collect();
            ends.sort_by(f64::total_cmp);
            ends
        };
        let (lower, upper) = (ends(Self::lower), ends(Self::upper));
        row.iter()
            .map(|x| {
                let below = upper.partition_point(|end| *end < x.lower());
                let above = row.len() - lower.partition_point(|end| *end <= x.upper());
                let (first, after) = if descending { (above, below) } else { (below, above) };
                first..=row.len() - 1 - after
            })
            .collect()
    }

    fn selection(row: &[Self]) -> Vec<Self> {
        let above = |i: usize, j: usize| row[i].lower() > row[j].upper();
        (0..row.len())
            .map(|i| {
                let others = || (0..row.len()).filter(move |&j| j != i);
                if others().any(|j| above(j, i)) {
                    Self::ZERO
                } else if others().all(|j| above(i, j)) {
                    Self::ONE
                } else {
                    hull(Self::ZERO, Self::ONE)
                }
            })
            .collect()
    }

    fn step(&self) -> Self {
        sides(self, Self::ZERO, Self::ONE)
    }

    fn is_zero(&self) -> bool {
        self.upper() == 0.0 && self.lower() == 0.0
    }
}

/// Whether the network, as far as `output` needs it and in a neighbourhood of these values, is smooth. What the parameters do not
/// reach is not asked.
#[must_use]
pub fn is_smooth(network: &Network, output: NodeId, wanted: &[NodeId], values: &Values<Enclosure>) -> bool {
    let mut reached = vec![false; network.nodes().len()];
    wanted.iter().for_each(|id| reached[id.index()] = true);
    let needed = crate::curvature::needed(network, output);
    for id in network.ids() {
        let node = network.node(id);
        reached[id.index()] |= node.operands.iter().any(|operand| reached[operand.index()]);
        if !(reached[id.index()] && needed[id.index()]) || node.operands.is_empty() {
            continue;
        }
        let value = |position: usize| values.get(node.operands[position].index());
        let certain = |partials: &[Enclosure]| partials.iter().all(Enclosure::is_exact);
        let smooth = match &node.op {
            Op::Function(function) => value(0).iter().all(|x| smooth_at(function, x)),
            Op::PRelu => value(0).iter().all(|x| !x.contains_zero()),
            Op::Binary(Binary::Max | Binary::Min) => {
                value(0).iter().zip(value(1)).all(|(a, b)| certain(&Enclosure::selection(&[*a, *b])))
            }
            Op::Reduce(reduction @ (Reduction::Max | Reduction::Min)) => {
                let width = (value(0).len() / node.size().max(1)).max(1);
                let signed = |x: &Enclosure| if *reduction == Reduction::Min { -*x } else { *x };
                value(0).chunks(width).all(|row| certain(&Enclosure::selection(&row.iter().map(signed).collect::<Vec<_>>())))
            }
            Op::Sort { descending } => {
                let width = node.shape.last().copied().unwrap_or(1).max(1);
                let ranks = |row| Enclosure::ranks(row, *descending);
                value(0).chunks(width).all(|row| ranks(row).iter().all(|rank| rank.start() == rank.end()))
            }
            _ => true,
        };
        if !smooth {
            return false;
        }
    }
    true
}

/// Written so that an invalid enclosure avoids no kink.
fn smooth_at(function: &Function, x: &Enclosure) -> bool {
    let avoids = |kink: f64| x.lower() > kink || x.upper() < kink;
    match *function {
        Function::Clip { lower, upper } => avoids(lower) && avoids(upper),
        Function::HardSigmoid { alpha, beta } => {
            let inner = exact(alpha) * *x + exact(beta);
            (inner.lower() > 0.0 && inner.upper() < 1.0) || inner.upper() < 0.0 || inner.lower() > 1.0
        }
        Function::HardSwish => avoids(-3.0) && avoids(3.0),
        Function::Floor => x.lower() > x.lower().floor() && x.lower().floor() == x.upper().floor(),
        // A half between two integers lies between the points half a step away.
        Function::Round => {
            let (lower, upper) = (x.lower() + 0.5, x.upper() + 0.5);
            lower > lower.floor() && lower.floor() == upper.floor()
        }
        Function::Abs
        | Function::Relu
        | Function::LeakyRelu { .. }
        | Function::Elu { .. }
        | Function::Selu { .. }
        | Function::Celu { .. }
        | Function::Softsign
        | Function::Sign
        | Function::Log
        | Function::Sqrt => avoids(0.0),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enclosed_derivatives_contain_the_computed_ones_and_are_narrow() {
        let functions = [
            Function::Neg,
            Function::Abs,
            Function::Relu,
            Function::LeakyRelu { slope: 0.1 },
            Function::Clip { lower: -1.0, upper: 2.0 },
            Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
            Function::Elu { alpha: 1.7 },
            Function::Selu { alpha: 1.673_263_192_176_818_8, gamma: 1.050_701_022_148_132_3 },
            Function::Sigmoid,
            Function::Tanh,
            Function::Softplus,
            Function::Softsign,
            Function::Silu,
            Function::Exp,
            Function::Sin,
            Function::Cos,
            Function::Erf,
            Function::Gelu,
            Function::GeluTanh,
            Function::ErfGate { divisor: std::f64::consts::SQRT_2 },
            Function::ErfGate { divisor: -0.3 },
            Function::TanhGate { scale: 0.797_884_583_473_205_6, cubic: 0.044_714_998_453_855_515 },
            Function::Celu { alpha: 0.7 },
            Function::Celu { alpha: -0.7 },
            Function::HardSwish,
            Function::Mish,
            Function::Sign,
            Function::Floor,
            Function::Round,
        ];
        for function in &functions {
            for i in -40..40 {
                let x = f64::from(i) * 0.137 + 0.011;
                let (found, computed) = (exact(x).derivative(function).unwrap(), function.derivative(x));
                let slack = 1e-14 * (1.0 + computed.abs());
                assert!(found.lower() <= computed + slack && found.upper() >= computed - slack, "{function:?} at {x}");
                assert!(found.upper() - found.lower() < 1e-12, "{function:?} at {x}: {found:?}");
            }
        }
        // By the mean value theorem a difference quotient is a slope between its ends.
        for function in functions.iter().filter(|function| !function.jumps()) {
            for i in -48..48 {
                let (a, b) = (f64::from(i) * 0.125 - 0.03125, f64::from(i) * 0.125 + 0.03125);
                let value = |x: f64| Arithmetic::apply(&exact(x), function).unwrap();
                let quotient = (value(b) - value(a)) / exact(b - a);
                let slopes = Enclosure::from_bounds(a, b).derivative(function).unwrap();
                assert!(
                    slopes.lower() <= quotient.lower() && quotient.upper() <= slopes.upper(),
                    "{function:?} on [{a}, {b}]: {quotient:?} {slopes:?}"
                );
            }
        }
        for kink in [-3.0, 3.0] {
            let slope = exact(kink).derivative(&Function::HardSwish).unwrap();
            let inner = kink / 3.0 + 0.5;
            assert!(slope.lower() <= inner.min(0.5 + kink / 6.0) && slope.upper() >= inner.max(0.5 + kink / 6.0));
            assert!(!smooth_at(&Function::HardSwish, &exact(kink)));
        }
        let relu = exact(0.0).derivative(&Function::Relu).unwrap();
        assert!(relu.lower() <= 0.0 && relu.upper() >= 1.0);
        let jumps = |function: &Function, x: f64| exact(x).derivative(function).is_none();
        assert!(jumps(&Function::Sign, 0.0) && jumps(&Function::Floor, -2.0) && !jumps(&Function::Floor, 0.5));
        assert!(!smooth_at(&Function::Relu, &exact(0.0)) && !smooth_at(&Function::Relu, &Enclosure::INVALID));
    }

    /// Elements whose order is certain have one rank, as they have in `f64`; ties may take every rank among them.
    #[test]
    fn ranks_are_those_of_a_sort_and_all_that_a_tie_allows() {
        let row = [3.0, -1.0, 2.5, 7.0, 0.0];
        for descending in [false, true] {
            let enclosed = Enclosure::ranks(&row.map(exact), descending);
            assert_eq!(enclosed, <f64 as Differentiable>::ranks(&row, descending));
            for (x, rank) in row.iter().zip(enclosed) {
                let before = row.iter().filter(|y| if descending { *y > x } else { *y < x }).count();
                assert_eq!(rank, before..=before);
            }
        }
        let tied = [1.0, 5.0, 1.0].map(exact);
        assert_eq!(Enclosure::ranks(&tied, false), [0..=1, 2..=2, 0..=1]);
        assert_eq!(Enclosure::ranks(&tied, true), [1..=2, 0..=0, 1..=2]);
        let unknown = [exact(1.0), Enclosure::INVALID, Enclosure::from_bounds(0.5, 2.0)];
        assert_eq!(Enclosure::ranks(&unknown, false), [0..=2, 0..=2, 0..=2]);
    }
}
