//! The images of intervals under the IR's functions.
//!
//! Every function is monotone between its turning points and continuous there, or monotone everywhere, so an image is the hull of the values at both ends
//! and at the turning points between them. Values are enclosed in double-double arithmetic, or exact.

use std::f64::consts::{FRAC_PI_2, PI};

use crate::model::ir::{Arithmetic, Function, is_near_gelu};
use crate::sound::round::{SMALLEST_SUBNORMAL, add_down, add_up, mul_up};
use crate::sound::{Enclosure, Interval};

/// Half the width of an interval around a turning point that is known to twelve digits.
const LOCATED: f64 = 1e-10;
/// `|φ″| ≤ 1` within [`LOCATED`] of the turning points below, so the value there is within `LOCATED²` of the extremum.
const FLAT: f64 = 1e-19;

/// The image of `x`, or something infinite where the function is undefined or overflows somewhere on it.
///
/// The upper bound is at most a few units in the last place too high, the lower too low.
#[must_use]
pub fn image(function: &Function, x: Interval) -> Interval {
    if !x.is_finite() || x.lower > x.upper {
        return Interval::new(f64::NEG_INFINITY, f64::INFINITY);
    }
    match function {
        Function::Sin => return circular(x, FRAC_PI_2, function),
        Function::Cos => return circular(x, 0.0, function),
        // Where it turns is known of near numbers alone.
        &Function::TanhGate { scale, cubic } if !is_near_gelu(scale, cubic) => {
            return Interval::new(f64::NEG_INFINITY, f64::INFINITY);
        }
        _ => {}
    }
    let first = value(function, x.lower);
    if x.lower == x.upper {
        return first;
    }
    let ends = first.hull(value(function, x.upper));
    let Some(Turn { at, within, flat }) = turn(function) else { return ends };
    if add_up(at, within) < x.lower || add_down(at, -within) > x.upper {
        return ends;
    }
    let extremum = value(function, at).widened(flat);
    // A turning point that is only near may lie outside; its value is then attained at neither end, but close to both.
    ends.hull(extremum)
}

/// The one point where a function turns: within `within` of `at`, where its value is within `flat` of the value at `at`.
struct Turn {
    at: f64,
    within: f64,
    flat: f64,
}

fn turn(function: &Function) -> Option<Turn> {
    let kink = |at: f64| Some(Turn { at, within: 0.0, flat: 0.0 });
    let smooth = |at: f64| Some(Turn { at, within: LOCATED, flat: FLAT });
    match *function {
        Function::Abs | Function::LeakyRelu { .. } | Function::Elu { .. } | Function::Selu { .. } | Function::Celu { .. } => {
            kink(0.0)
        }
        // x(x/6 + 1/2) has its minimum −3/8 there.
        Function::HardSwish => kink(-1.5),
        Function::Gelu => smooth(-0.751_791_524_693_564_5),
        Function::GeluTanh => smooth(-0.752_461_422_071_016_3),
        // Where GeluTanh turns the slope moves by less than 2e-6 and its own slope is above ½; |φ″| ≤ 1.63.
        Function::TanhGate { .. } => Some(Turn { at: -0.752_461_422_071_016_3, within: 1e-5, flat: 2e-10 }),
        Function::Silu => smooth(-1.278_464_542_761_074),
        Function::Mish => smooth(-1.192_431_214_515_495_2),
        // divisor·g(x/divisor) with g(s) = s(1 + erf s), whose |g″| ≤ 2.
        Function::ErfGate { divisor } => {
            let scale = divisor.abs();
            // A product that underflows moves the place, and the value there, by at most the smallest number.
            let around = |size: f64| add_up(mul_up(size, scale), SMALLEST_SUBNORMAL);
            Some(Turn { at: -0.531_596_885_149_393_2 * divisor, within: around(LOCATED), flat: around(4.0 * FLAT) })
        }
        _ => None,
    }
}

/// Where a function is not smooth, and how much an inexact place may hide.
pub(super) fn kinks(function: &Function) -> (Vec<f64>, f64) {
    match *function {
        Function::Abs | Function::Relu | Function::LeakyRelu { .. } => (vec![0.0], 0.0),
        Function::Elu { .. } | Function::Selu { .. } | Function::Celu { .. } => (vec![0.0], 0.0),
        // The second derivative jumps there.
        Function::Softsign => (vec![0.0], 0.0),
        Function::Clip { lower, upper } => (vec![lower, upper], 0.0),
        Function::HardSwish => (vec![-3.0, 3.0], 0.0),
        Function::HardSigmoid { alpha, beta } if alpha != 0.0 => {
            let places = [-beta / alpha, (1.0 - beta) / alpha];
            let most = places[0].abs().max(places[1].abs());
            // The kink lies within two units in the last place of one of three neighbours; the function and a line of its
            // slopes move by at most 2|alpha| times that.
            let blur = 16.0 * f64::EPSILON * (alpha.abs() * most + f64::MIN_POSITIVE);
            (places.iter().flat_map(|&p| [p.next_down(), p, p.next_up()]).collect(), blur)
        }
        _ => (Vec::new(), 0.0),
    }
}

/// Sine and cosine: `peak` is where the function is 1.
fn circular(x: Interval, peak: f64, function: &Function) -> Interval {
    let far = 16.0;
    if x.lower < -far || x.upper > far || x.upper - x.lower > 6.3 {
        return Interval::new(-1.0, 1.0);
    }
    let ends = value(function, x.lower).hull(value(function, x.upper));
    // Within 16 of zero there are eleven turning points; each is known to 1e-14.
    let turns = (-6_i32..=6).filter(|&k| {
        let at = peak + f64::from(k) * PI;
        at >= x.lower - 1e-12 && at <= x.upper + 1e-12
    });
    let hull = turns.fold(ends, |hull, k| hull.hull(Interval::point(if k % 2 == 0 { 1.0 } else { -1.0 })));
    Interval::new(hull.lower.max(-1.0), hull.upper.min(1.0))
}

/// Encloses the value at one point.
pub(super) fn value(function: &Function, x: f64) -> Interval {
    match *function {
        Function::Neg => Interval::point(-x),
        Function::Abs => Interval::point(x.abs()),
        Function::Relu => Interval::point(x.max(0.0)),
        Function::LeakyRelu { .. } | Function::Elu { .. } | Function::Celu { .. } if x >= 0.0 => Interval::point(x),
        Function::LeakyRelu { slope } => Interval::point(slope).mul(Interval::point(x)),
        Function::Clip { lower, upper } => Interval::point(x.max(lower).min(upper)),
        Function::Sign | Function::Floor | Function::Round => Interval::point(function.value(x)),
        _ => match Enclosure::exact(x).apply(function) {
            Some(enclosure) if enclosure.is_valid() => bounded(function, enclosure.into()),
            _ => Interval::new(f64::NEG_INFINITY, f64::INFINITY),
        },
    }
}

/// Without what the rounding added beyond a function's range.
fn bounded(function: &Function, y: Interval) -> Interval {
    let (least, greatest) = match function {
        Function::Sigmoid => (0.0, 1.0),
        Function::Tanh | Function::Erf | Function::Softsign => (-1.0, 1.0),
        Function::Exp | Function::Softplus | Function::Sqrt => (0.0, f64::INFINITY),
        _ => return y,
    };
    Interval::new(y.lower.max(least), y.upper.min(greatest))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn functions() -> Vec<Function> {
        vec![
            Function::Neg,
            Function::Abs,
            Function::Relu,
            Function::LeakyRelu { slope: 0.1 },
            Function::LeakyRelu { slope: -0.5 },
            Function::LeakyRelu { slope: 2.5 },
            Function::Clip { lower: -1.0, upper: 2.0 },
            Function::Elu { alpha: 1.7 },
            Function::Elu { alpha: -0.3 },
            Function::Selu { alpha: 1.673_263_192_176_818_8, gamma: 1.050_701_022_148_132_3 },
            Function::Selu { alpha: 1.6, gamma: -1.05 },
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
            Function::Exp,
            Function::Sign,
            Function::Floor,
            Function::Round,
        ]
    }

    /// On intervals of every width and place the image contains the values on a grid, and little more: no function here
    /// moves by more than 41 times the grid's step.
    #[test]
    fn images_contain_all_values_and_little_more() {
        for function in functions() {
            for (start, width) in (-40..40).flat_map(|i| [1e-9, 0.1, 1.3, 7.0].map(|w| (f64::from(i) * 0.31, w))) {
                let x = Interval::new(start, start + width);
                let y = image(&function, x);
                let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
                let steps = 2000;
                for step in 0..=steps {
                    let at = (start + width * f64::from(step) / f64::from(steps)).min(x.upper);
                    let v = function.value(at);
                    let slack = 4e-15 * v.abs().max(1.0);
                    assert!(v >= y.lower - slack && v <= y.upper + slack, "{function:?} at {at}: {v} outside {y:?}");
                    least = least.min(v);
                    greatest = greatest.max(v);
                }
                if function.jumps() {
                    // A jump is attained, or nearly: at both ends.
                    assert_eq!([y.lower, y.upper], [x.lower, x.upper].map(|end| function.value(end)), "{function:?} on {x:?}");
                    continue;
                }
                let growth = if function == Function::Exp { x.upper.exp() } else { 2.6 };
                let step = width / f64::from(steps) * growth + 1e-14 * greatest.abs().max(1.0);
                assert!(least - y.lower <= step && y.upper - greatest <= step, "{function:?} on {x:?}: {y:?} {least} {greatest}");
            }
        }
    }

    /// At a distance of [`LOCATED`] on either side of each smooth turning point the value is above the one at it: the turn
    /// lies between. (The differences, about 2e-21, are far below `f64` and far above an enclosure's radius.)
    #[test]
    fn turning_points_lie_where_they_are_said_to() {
        let gate = Function::TanhGate { scale: 0.797_885_3, cubic: 0.044_714_96 };
        let near = [gate, Function::Gelu, Function::GeluTanh, Function::Silu, Function::Mish, Function::ErfGate { divisor: 1.0 }];
        for function in near {
            let Some(Turn { at, within, flat }) = turn(&function) else { panic!("{function:?} does not turn") };
            let value = |x: f64| Enclosure::exact(x).apply(&function).unwrap();
            let middle = value(at);
            for side in [at - within, at + within] {
                let rise = value(side) - middle;
                assert!(rise.lower() > 0.0 && rise.upper() < flat, "{function:?} at {side}: {rise:?}");
            }
        }
    }

    #[test]
    fn what_is_undefined_or_overflows_is_infinite() {
        assert!(!image(&Function::Sqrt, Interval::new(-1.0, 1.0)).is_finite());
        assert!(!image(&Function::Exp, Interval::new(0.0, 1e4)).is_finite());
        assert!(!image(&Function::Relu, Interval::new(f64::NAN, 1.0)).is_finite());
        assert!(!image(&Function::Tanh, Interval::new(0.0, f64::INFINITY)).is_finite());
        assert_eq!(image(&Function::Sqrt, Interval::new(0.0, 4.0)), Interval::new(0.0, 2.0));
    }
}
