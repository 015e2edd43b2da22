//! TRUSTED. Derivatives in enclosures: every number encloses the derivative and, at a kink, every value between its sides.

use crate::autodiff::Differentiable;
use crate::ir::{Arithmetic, Binary, Function, Network, NodeId, Op, Reduction, Values};
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
            Function::Sign | Function::Floor if smooth_at(function, self) => zero,
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
            Function::Selu { alpha, gamma } => sides(self, exact(gamma) * exact(alpha) * self.exp(), exact(gamma)),
            Function::Sigmoid => self.sigmoid() * (-*self).sigmoid(),
            Function::Tanh => one - self.tanh().square(),
            Function::Softplus => self.sigmoid(),
            Function::Softsign => (one + self.abs()).square().reciprocal(),
            Function::Silu => self.sigmoid() * (one + *self * (-*self).sigmoid()),
            Function::Exp => self.exp(),
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
            _ => return None,
        })
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

/// Is the network, as far as `output` needs it and in a neighbourhood of these values, smooth? What the parameters do not
/// reach is not asked.
#[must_use]
pub fn is_smooth(network: &Network, output: NodeId, wanted: &[NodeId], values: &Values<Enclosure>) -> bool {
    let mut reached = vec![false; network.nodes().len()];
    wanted.iter().for_each(|id| reached[id.index()] = true);
    let needed = crate::autodiff::needed(network, output);
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
            Op::Sort { .. } => false,
            _ => true,
        };
        if !smooth {
            return false;
        }
    }
    true
}

/// Written so that an invalid enclosure is smooth nowhere.
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
        Function::Abs
        | Function::Relu
        | Function::LeakyRelu { .. }
        | Function::Elu { .. }
        | Function::Selu { .. }
        | Function::Celu { .. }
        | Function::Softsign
        | Function::Sign
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
            Function::Sign,
            Function::Floor,
        ];
        for function in functions {
            for i in -40..40 {
                let x = f64::from(i) * 0.137 + 0.011;
                let (found, computed) = (exact(x).derivative(&function).unwrap(), function.derivative(x));
                let slack = 1e-14 * (1.0 + computed.abs());
                assert!(found.lower() <= computed + slack && found.upper() >= computed - slack, "{function:?} at {x}");
                assert!(found.upper() - found.lower() < 1e-12, "{function:?} at {x}: {found:?}");
            }
        }
        let relu = exact(0.0).derivative(&Function::Relu).unwrap();
        assert!(relu.lower() <= 0.0 && relu.upper() >= 1.0);
        let jumps = |function: &Function, x: f64| exact(x).derivative(function).is_none();
        assert!(jumps(&Function::Sign, 0.0) && jumps(&Function::Floor, -2.0) && !jumps(&Function::Floor, 0.5));
        assert!(!smooth_at(&Function::Relu, &exact(0.0)) && !smooth_at(&Function::Relu, &Enclosure::INVALID));
    }
}
