//! Slopes of functions between two points of an interval: narrower there than everywhere.
//!
//! Between two points of an interval every difference quotient is a value of the derivative in it (or, at kinks, between
//! one-sided ones), so what bounds the derivative there bounds the slopes.

use std::f64::consts::FRAC_2_SQRT_PI;

use super::function::{Function, SlopeRange};
use crate::sound::Enclosure;

/// A range that contains every slope of `function` between points of `[lower, upper]`, or `None` where none is known. Its
/// ends are as large as those of any [`SlopeRange`], however flat the function is there.
#[must_use]
pub fn slopes_within(function: &Function, lower: f64, upper: f64) -> Option<SlopeRange> {
    let everywhere = function.slope_range();
    if function.jumps() {
        return is_level(function, lower, upper).then(|| SlopeRange::new(0.0, 0.0));
    }
    let Some((least, greatest)) = derivatives(function, lower, upper) else { return everywhere };
    let (mut least, mut greatest) = (least.lower(), greatest.upper());
    if least.is_nan() || greatest.is_nan() || least > greatest {
        return everywhere;
    }
    if let Some(everywhere) = everywhere {
        least = least.max(everywhere.lower);
        greatest = greatest.min(everywhere.upper);
    }
    (least.is_finite() && greatest.is_finite() && least <= greatest).then(|| SlopeRange::new(least, greatest)).or(everywhere)
}

/// Whether a function that jumps between constants does not jump on `[lower, upper]`. It is monotone.
#[allow(clippy::float_cmp)] // levels are told apart exactly
fn is_level(function: &Function, lower: f64, upper: f64) -> bool {
    lower <= upper && function.value(lower) == function.value(upper)
}

/// Enclosures of the least and the greatest derivative on `[lower, upper]`, for functions whose derivative is monotone or
/// falls away from zero on both sides.
fn derivatives(function: &Function, lower: f64, upper: f64) -> Option<(Enclosure, Enclosure)> {
    let (a, b) = (Enclosure::exact(lower), Enclosure::exact(upper));
    let falling = |derivative: &dyn Fn(Enclosure) -> Enclosure| {
        let nearest = if lower > 0.0 {
            a
        } else if upper < 0.0 {
            b
        } else {
            Enclosure::ZERO
        };
        let farthest = if lower.abs() > upper.abs() { a } else { b };
        Some((derivative(farthest), derivative(nearest)))
    };
    match function {
        Function::Tanh => falling(&|x| Enclosure::ONE - x.tanh().square()),
        Function::Sigmoid => falling(&|x| {
            let s = x.abs().sigmoid();
            s * (Enclosure::ONE - s)
        }),
        Function::Softsign => falling(&|x| (Enclosure::ONE + x.abs()).square().reciprocal()),
        Function::Erf => falling(&|x| Enclosure::exact(FRAC_2_SQRT_PI).widened(1e-15) * (-x.square()).exp()),
        Function::Softplus => Some((a.sigmoid(), b.sigmoid())),
        Function::Exp => Some((a.exp(), b.exp())),
        Function::Log if lower > 0.0 => Some((b.reciprocal(), a.reciprocal())),
        Function::Sqrt if lower > 0.0 => {
            let derivative = |x: Enclosure| (x.sqrt() + x.sqrt()).reciprocal();
            Some((derivative(b), derivative(a)))
        }
        // Its smooth branch αeˣ ends at α, where a kink follows.
        Function::Elu { alpha } if *alpha > 0.0 && upper <= 0.0 => {
            let alpha = Enclosure::exact(*alpha);
            Some((alpha * a.exp(), alpha * b.exp()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ir::SMALLEST_SLOPE;
    use crate::sound::testing::Rng;

    #[test]
    fn ends_are_zero_or_not_tiny_however_flat_the_function_is() {
        let smooth = [Function::Tanh, Function::Sigmoid, Function::Softsign, Function::Erf, Function::Softplus, Function::Exp];
        for function in smooth.iter().chain(&[Function::Elu { alpha: 1e-200 }, Function::Elu { alpha: 1e200 }]) {
            for centre in [-1e300, -1e60, -750.0, -745.2, -700.0, -512.0, -93.0, -30.0, 30.0, 93.0, 400.0, 700.0, 750.0, 1e60] {
                let Some(range) = slopes_within(function, centre - 1.0, centre + 1.0) else { continue };
                let held = |end: f64| end == 0.0 || end.abs() >= SMALLEST_SLOPE;
                assert!(held(range.lower) && held(range.upper), "{function:?} {centre}: {range:?}");
                let slope = function.derivative(centre);
                assert!(range.lower - 1e-15 <= slope && slope <= range.upper + 1e-15, "{function:?} {centre}: {range:?}");
            }
        }
        // e⁻⁷⁰⁰ is 1e-304: the range must not end at zero, and not below what a matrix holds.
        let range = slopes_within(&Function::Exp, -701.0, -700.0).unwrap();
        assert_eq!((range.lower, range.upper), (0.0, SMALLEST_SLOPE));
    }

    #[test]
    fn functions_that_jump_are_level_between_their_jumps() {
        let level = Some(SlopeRange::new(0.0, 0.0));
        assert_eq!(slopes_within(&Function::Sign, 1e-300, 5.0), level);
        assert_eq!(slopes_within(&Function::Floor, 1.0, 2.0_f64.next_down()), level);
        assert_eq!(slopes_within(&Function::Round, 0.5, 1.25), None);
        assert_eq!(slopes_within(&Function::Round, 0.625, 1.25), level);
        assert_eq!(slopes_within(&Function::Sign, -1.0, 0.0), None);
        assert_eq!(slopes_within(&Function::Floor, f64::NAN, f64::NAN), None);
    }

    #[test]
    fn slopes_between_points_of_an_interval_lie_in_its_range() {
        let functions = [
            Function::Tanh,
            Function::Sigmoid,
            Function::Softsign,
            Function::Erf,
            Function::Softplus,
            Function::Exp,
            Function::Log,
            Function::Sqrt,
            Function::Elu { alpha: 0.7 },
            Function::Gelu,
        ];
        let mut random = Rng::new(3);
        let mut narrower = 0;
        for function in &functions {
            for _ in 0..300 {
                let centre: f64 = 3.0 * random.uniform();
                let width = 2.0 * random.uniform().abs();
                let (lower, upper) = if matches!(function, Function::Sqrt | Function::Log) {
                    (0.1 + centre.abs(), 0.1 + centre.abs() + width)
                } else {
                    (centre, centre + width)
                };
                let range = slopes_within(function, lower, upper).unwrap();
                narrower +=
                    usize::from(function.slope_range().is_none_or(|all| range.upper - range.lower < all.upper - all.lower));
                for _ in 0..20 {
                    let (x, y) = (lower + width * random.uniform().abs(), lower + width * random.uniform().abs());
                    if (x - y).abs() > 1e-3 {
                        let slope = (function.value(x) - function.value(y)) / (x - y);
                        assert!(
                            slope > range.lower - 1e-11 && slope < range.upper + 1e-11,
                            "{function:?} {lower} {upper}: {slope} {range:?}"
                        );
                    }
                }
            }
        }
        assert!(narrower > 1500, "{narrower}");
    }
}
