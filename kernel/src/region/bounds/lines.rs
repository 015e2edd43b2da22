//! Lines below and above a function on an interval: the relaxation of backward bounds (Zhang et al., *CROWN*, 2018; Singh et
//! al., *DeepPoly*, 2019), for every function of the IR by one rule.
//!
//! A slope is chosen where the lower (upper) convex hull of the graph crosses the middle of the interval, from the values on
//! a few points; any slope would be sound. The offset is then *proved*: between two neighbouring points without a kink,
//! `φ(x) − a·x` is within `M·h²/8` of its linear interpolation, `M ≥ |φ″|` (checked by the unit tests).

use super::image::{kinks, value};
use crate::model::ir::{Function, is_near_gelu};
use crate::sound::Interval;
use crate::sound::round::{add_down, add_up, div_up, max_or_nan, mul_up, scale_pow2};

/// `slope·x + offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    pub slope: f64,
    pub offset: f64,
}

/// A line that is nowhere above a function on an interval, and one that is nowhere below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lines {
    pub lower: Line,
    pub upper: Line,
}

impl Lines {
    /// The lines of slope zero.
    pub(super) const fn constant(y: Interval) -> Self {
        Self { lower: Line { slope: 0.0, offset: y.lower }, upper: Line { slope: 0.0, offset: y.upper } }
    }

    const fn exact(slope: f64, offset: f64) -> Self {
        let line = Line { slope, offset };
        Self { lower: line, upper: line }
    }

    /// Of a function that stays within one of its argument, where that is less than its own range.
    fn staircase(function: &Function, x: Interval, y: Interval) -> Option<Self> {
        let (below, above) = match function {
            Function::Floor => (-1.0, 0.0),
            Function::Round => (-0.5, 0.5),
            _ => return None,
        };
        let line = |offset: f64| Line { slope: 1.0, offset };
        (y.upper - y.lower > 1.0 && (x.upper - x.lower).is_finite()).then(|| Self { lower: line(below), upper: line(above) })
    }

    /// The function `max(x, 0)`: exact where it is stable; else the chord above, and below the line through the origin of
    /// slope 1 exactly where that loses the smaller area, `u > −l`.
    pub(super) fn relu(x: Interval) -> Self {
        if x.lower >= 0.0 {
            return Self::exact(1.0, 0.0);
        }
        if x.upper <= 0.0 {
            return Self::exact(0.0, 0.0);
        }
        let slope = if x.upper > -x.lower { 1.0 } else { 0.0 };
        Self { lower: Line { slope, offset: 0.0 }, upper: relu_chord(x) }
    }
}

/// The chord of `max(x, 0)` over `[l, u]`, `l < 0 < u`, rounded up: `s ≥ u/(u − l)` and `t ≥ −s·l` give `s·l + t ≥ 0` and
/// `s·u + t ≥ s·(u − l) ≥ u`, and between the ends the function is convex.
pub(super) fn relu_chord(x: Interval) -> Line {
    let slope = div_up(x.upper, add_down(x.upper, -x.lower));
    Line { slope, offset: mul_up(slope, -x.lower) }
}

/// Lines for `function` on `x`, whose image is within `y`.
#[must_use]
pub fn lines(function: &Function, x: Interval, y: Interval) -> Lines {
    if *function == Function::Relu {
        return Lines::relu(x);
    }
    if x.lower >= x.upper || !x.is_finite() || !y.is_finite() {
        return Lines::constant(y);
    }
    if let Some(lines) = Lines::staircase(function, x, y) {
        return lines;
    }
    let Some(graph) = Graph::new(function, x) else { return Lines::constant(y) };
    let (lower, upper) = (graph.below(), graph.above());
    let constant = Lines::constant(y);
    let finite = |line: Line| line.slope.is_finite() && line.offset.is_finite();
    Lines { lower: if finite(lower) { lower } else { constant.lower }, upper: if finite(upper) { upper } else { constant.upper } }
}

/// Points of a function's graph, and how far it may bend between them.
struct Graph {
    points: Vec<(f64, Interval)>,
    /// Upper bound of the distance from the linear interpolation, between neighbours.
    bend: f64,
    middle: f64,
}

impl Graph {
    fn new(function: &Function, x: Interval) -> Option<Self> {
        let middle = x.lower / 2.0 + x.upper / 2.0;
        let width = x.upper - x.lower;
        if !width.is_finite() {
            return None;
        }
        let curved = curvature(function, x)? > 0.0;
        let pieces = match width {
            _ if !curved => 1,
            _ if width < 0.02 => 2,
            _ if width < 0.5 => 4,
            _ if width < 4.0 => 8,
            _ => 16,
        };
        let step = width / f64::from(pieces);
        // Both ends are among the points, whatever the steps round to.
        let mut at: Vec<f64> = (1..pieces).map(|i| x.lower + f64::from(i) * step).chain([x.lower, x.upper]).collect();
        let (kinks, blur) = kinks(function);
        at.extend(kinks.into_iter().filter(|&kink| x.lower < kink && kink < x.upper));
        at.retain(|&at| x.lower <= at && at <= x.upper);
        at.sort_by(f64::total_cmp);
        at.dedup();
        let points: Vec<(f64, Interval)> = at.into_iter().map(|at| (at, value(function, at))).collect();
        let mut bend = blur;
        for pair in points.windows(2) {
            let h = add_up(pair[1].0, -pair[0].0);
            let most = curvature(function, Interval::new(pair[0].0, pair[1].0))?;
            // Zero times what overflows is a NaN, but where nothing bends no width matters.
            if most > 0.0 {
                bend = max_or_nan(bend, add_up(mul_up(mul_up(most, mul_up(h, h)), 0.125), blur));
            }
        }
        points.iter().all(|(_, y)| y.is_finite()).then_some(Self { points, bend: bend.next_up(), middle })
    }

    fn below(&self) -> Line {
        let slope = self.hull_slope(|y| y.lower, 1.0);
        let gaps = self.points.iter().map(|&(x, y)| -add_up(mul_up(slope, x), -y.lower));
        Line { slope, offset: add_down(gaps.fold(f64::INFINITY, f64::min), -self.bend) }
    }

    fn above(&self) -> Line {
        let slope = self.hull_slope(|y| -y.upper, -1.0);
        let gaps = self.points.iter().map(|&(x, y)| add_up(y.upper, mul_up(-slope, x)));
        Line { slope, offset: add_up(gaps.fold(f64::NEG_INFINITY, f64::max), self.bend) }
    }

    /// Slope of the edge of the lower convex hull that crosses the middle; `sign` turns it back for the upper hull.
    fn hull_slope(&self, height: impl Fn(Interval) -> f64, sign: f64) -> f64 {
        let (mut best, mut slope) = (f64::INFINITY, 0.0);
        for (i, &(a, ya)) in self.points.iter().enumerate() {
            for &(b, yb) in &self.points[i + 1..] {
                // An edge that ends in the middle says nothing about what follows.
                if a > self.middle || b <= self.middle {
                    continue;
                }
                let edge = (height(yb) - height(ya)) / (b - a);
                let at_middle = height(ya) + edge * (self.middle - a);
                if at_middle < best {
                    (best, slope) = (at_middle, edge);
                }
            }
        }
        sign * slope
    }
}

/// An upper bound of `|φ″|` between the kinks of an interval; `None` where there is none.
fn curvature(function: &Function, x: Interval) -> Option<f64> {
    // Distance from zero, in the argument's own unit.
    let distance = |scale: f64| if x.contains(0.0) { 0.0 } else { x.lower.abs().min(x.upper.abs()) / scale * 0.999 };
    // e^−d ≤ 2^−⌊1.44d⌋ since 1.44 < log₂e. Never zero: however far out, a smooth function bends, and intervals there may be
    // as wide as its curvature is small.
    let decay = |d: f64| scale_pow2(1.0, -(1.44 * d.min(700.0)).floor() as i32);
    Some(match *function {
        Function::Neg | Function::Abs | Function::Relu | Function::LeakyRelu { .. } => 0.0,
        Function::Clip { .. } | Function::HardSigmoid { .. } => 0.0,
        Function::HardSwish => 0.334,
        Function::Elu { alpha } => alpha.abs(),
        Function::Selu { alpha, gamma } => mul_up(alpha.abs(), gamma.abs()),
        Function::Celu { alpha } if alpha > 0.0 => div_up(1.0, alpha),
        Function::Celu { .. } => return None,
        // |2t(1 − t²)| ≤ 4/(3√3), and 1 − t² ≤ 4e^−2|x|.
        Function::Tanh => 0.77_f64.min(8.0 * decay(2.0 * distance(1.0))),
        Function::Sigmoid => 0.0963_f64.min(decay(distance(1.0))),
        Function::Softplus => 0.25_f64.min(decay(distance(1.0))),
        Function::Softsign => (2.0 / (1.0 + distance(1.0)).powi(3) * 1.001).max(f64::MIN_POSITIVE),
        // 4/√π·|x|e^−x² and |x|e^−x² ≤ e^−|x| for |x| ≥ 1.
        Function::Erf if distance(1.0) >= 1.0 => 2.26 * decay(distance(1.0)),
        Function::Erf => 0.97,
        // (2 − x²)·e^{−x²/2}/√2π, whose tail falls faster than e^−|x| from 2 on.
        Function::Gelu if distance(1.0) >= 2.0 => 0.22 * decay(distance(1.0) - 2.0),
        Function::Gelu => 0.798,
        // 4/√π·(1 − s²)e^−s² over the divisor, s = x/divisor; the tail from 1.5 on.
        Function::ErfGate { divisor } if divisor != 0.0 => {
            let s = distance(divisor.abs());
            let most = if s >= 1.5 { 0.54 * decay(s - 1.5) } else { 2.26 };
            div_up(most, divisor.abs())
        }
        Function::ErfGate { .. } => return None,
        Function::GeluTanh => 0.81_f64.min(4.0 * (distance(1.0) + 2.0) * decay(distance(1.0))),
        // Twice those of GeluTanh; near numbers move them by less than a hundredth.
        Function::TanhGate { scale, cubic } if is_near_gelu(scale, cubic) => {
            1.63_f64.min(8.1 * (distance(1.0) + 2.0) * decay(distance(1.0)))
        }
        Function::TanhGate { .. } => return None,
        Function::Silu => 0.501_f64.min((distance(1.0) + 2.0) * decay(distance(1.0))),
        Function::Mish => 0.7_f64.min(4.0 * (distance(1.0) + 2.0) * decay(distance(1.0))),
        Function::Sin | Function::Cos => 1.0,
        Function::Exp => value(function, x.upper).upper,
        // 1/(4x√x)
        Function::Sqrt if x.lower > 0.0 => {
            let root = value(function, x.lower).lower;
            div_up(div_up(0.2501, x.lower), root)
        }
        // 1/x²
        Function::Log if x.lower > 0.0 => div_up(div_up(1.0001, x.lower), x.lower),
        Function::Log | Function::Sqrt | Function::Sign | Function::Floor | Function::Round => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::image::image;
    use super::super::image::tests::functions;
    use super::*;

    #[test]
    fn second_differences_stay_below_the_stated_curvature() {
        let h = 1e-3;
        for function in functions() {
            let (kinks, _) = kinks(&function);
            for i in -15_000..15_000 {
                let x = f64::from(i) * h + 0.3e-3;
                let piece = Interval::new(x - h, x + h);
                if kinks.iter().any(|&k| piece.contains(k)) {
                    continue;
                }
                let Some(most) = curvature(&function, piece) else { continue };
                let bend = (function.value(x - h) - 2.0 * function.value(x) + function.value(x + h)) / (h * h);
                let noise = 1e-9 * (1.0 + function.value(x).abs());
                assert!(bend.abs() <= most * 1.0001 + noise, "{function:?} at {x}: {bend} > {most}");
            }
        }
    }

    #[test]
    fn lines_stay_on_their_side() {
        for function in functions() {
            for (start, width) in (-40..40).flat_map(|i| [1e-7, 0.1, 1.3, 7.0].map(|w| (f64::from(i) * 0.31, w))) {
                let x = Interval::new(start, start + width);
                let Lines { lower, upper } = lines(&function, x, image(&function, x));
                for step in 0..=200 {
                    let at = (start + width * f64::from(step) / 200.0).min(x.upper);
                    let v = function.value(at);
                    let slack = 1e-14 * (1.0 + v.abs() + (lower.slope * at).abs() + (upper.slope * at).abs());
                    assert!(lower.slope * at + lower.offset <= v + slack, "{function:?} at {at} in {x:?}: {lower:?} above {v}");
                    assert!(upper.slope * at + upper.offset >= v - slack, "{function:?} at {at} in {x:?}: {upper:?} below {v}");
                }
            }
        }
    }

    /// A logarithm between positive numbers.
    #[test]
    fn logarithms_lie_between_their_lines() {
        for (lower, width) in
            [1e-30, 1e-3, 0.2, 0.9, 1.0, 7.0, 1e6].into_iter().flat_map(|l| [1e-9, 0.1, 3.0, 100.0].map(|w| (l, w)))
        {
            let x = Interval::new(lower, lower + width);
            let y = image(&Function::Log, x);
            let Lines { lower: below, upper: above } = lines(&Function::Log, x, y);
            for step in 0..=200 {
                let at = (lower + width * f64::from(step) / 200.0).min(x.upper);
                let v = at.ln();
                let slack = 1e-14 * (1.0 + v.abs() + (below.slope * at).abs() + (above.slope * at).abs());
                assert!(y.lower - slack <= v && v <= y.upper + slack, "{at} in {x:?}: {y:?}");
                assert!(below.slope * at + below.offset <= v + slack, "{at} in {x:?}: {below:?} above {v}");
                assert!(above.slope * at + above.offset >= v - slack, "{at} in {x:?}: {above:?} below {v}");
            }
        }
        for x in [Interval::new(0.0, 1.0), Interval::new(-1.0, 1.0), Interval::new(-2.0, -1.0)] {
            assert!(!image(&Function::Log, x).is_finite(), "{x:?}");
        }
        let near = Interval::new(1.0, 1.25);
        let Lines { lower, upper } = lines(&Function::Log, near, image(&Function::Log, near));
        assert!((upper.slope - lower.slope) * 1.125 + upper.offset - lower.offset < 0.02);
    }

    /// Widths that are no `f64` number, and values that are none, leave constants.
    #[test]
    fn overflowing_widths_leave_constants() {
        for function in functions() {
            let x = Interval::new(-f64::MAX, f64::MAX);
            let Lines { lower, upper } = lines(&function, x, Interval::new(-1.0, 1.0));
            let most = |line: Line| line.slope.is_finite() && line.offset.is_finite();
            assert!(most(lower) && most(upper), "{function:?}: {lower:?} {upper:?}");
            if function.slope_range().is_none() || !function.value(f64::MAX).is_finite() {
                assert_eq!((lower.slope, upper.slope), (0.0, 0.0), "{function:?}");
            }
        }
        let wide = lines(&Function::Tanh, Interval::new(-f64::MAX, f64::MAX), Interval::new(-1.0, 1.0));
        assert_eq!(wide, Lines::constant(Interval::new(-1.0, 1.0)));
    }

    /// On narrow intervals the lines are as close as the curvature allows; on piecewise linear functions they touch.
    #[test]
    fn lines_are_tight() {
        let gap = |function: &Function, x: Interval| {
            let Lines { lower, upper } = lines(function, x, image(function, x));
            let m = f64::midpoint(x.lower, x.upper);
            (upper.slope - lower.slope) * m + upper.offset - lower.offset
        };
        for function in functions().iter().filter(|f| **f != Function::Exp && !f.jumps()) {
            let x = Interval::new(0.4, 0.41);
            assert!(gap(function, x) < 1e-4, "{function:?} {}", gap(function, x));
        }
        assert!((gap(&Function::Relu, Interval::new(-1.0, 2.0)) - 0.5).abs() < 1e-15);
        assert!(gap(&Function::Sigmoid, Interval::new(-1.0, 1.0)) < 0.1);
        assert!(gap(&Function::Tanh, Interval::new(1.0, 3.0)) < 0.12);
    }
}
