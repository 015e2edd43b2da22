//! The increment of a function, `Δ = φ(z + δ) − φ(z)`: how far apart two copies of it are whose arguments are `δ` apart. Its image
//! on a box, and planes below and above it.
//!
//! Two things are known of it. By the increment: with all slopes of `φ` between the arguments in `[α, β]`, `Δ` lies between `αδ` and
//! `βδ`, whose maximum is convex in `δ` and below its chord (the minimum above its own). Independently: `Δ` is at most what is
//! above `φ(z + δ)` less what is below `φ(z)`. The first is good where `δ` is small beside `z`, the second where it is not.

use super::image::image;
use super::lines::{Line, Lines, lines};
use crate::model::ir::{Function, SlopeRange, slopes_within};
use crate::sound::Interval;
use crate::sound::round::{add_down, add_up, mul_down, mul_up};

/// One element of an increment: the function, and where `z`, `δ` and `z + δ` are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Increment<'a> {
    pub function: &'a Function,
    pub z: Interval,
    pub delta: Interval,
    pub sum: Interval,
}

/// `slopes·(z, δ, z + δ) + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plane {
    pub slopes: [f64; 3],
    pub offset: f64,
}

/// A plane that is nowhere above an increment, and one that is nowhere below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Planes {
    pub lower: Plane,
    pub upper: Plane,
}

impl Plane {
    const fn constant(offset: f64) -> Self {
        Self { slopes: [0.0; 3], offset }
    }

    const fn of_delta(line: Line) -> Self {
        Self { slopes: [0.0, line.slope, 0.0], offset: line.offset }
    }

    fn negated(self) -> Self {
        Self { slopes: self.slopes.map(|slope| -slope), offset: -self.offset }
    }

    fn is_finite(&self) -> bool {
        self.offset.is_finite() && self.slopes.iter().all(|slope| slope.is_finite())
    }
}

impl Increment<'_> {
    /// Returns an interval that contains all values; infinite where none is known.
    pub fn image(self) -> Interval {
        let apart = image(self.function, self.sum).sub(image(self.function, self.z));
        let together = self.slopes().map(|slopes| Interval::new(slopes.lower, slopes.upper).mul(self.difference()));
        match together {
            // All values lie in both; written so that a NaN narrows nothing.
            Some(together) if together.is_finite() => {
                let lower = if together.lower > apart.lower || apart.lower.is_nan() { together.lower } else { apart.lower };
                let upper = if together.upper < apart.upper || apart.upper.is_nan() { together.upper } else { apart.upper };
                Interval::new(lower, upper)
            }
            _ => apart,
        }
    }

    /// Returns planes below and above all values, which lie in `own`.
    pub fn planes(self, own: Interval) -> Planes {
        let (below, above) = (self.below(), self.above());
        Planes {
            lower: self.greatest(below.into_iter().map(Plane::negated), -own.lower).negated(),
            upper: self.greatest(above.into_iter(), own.upper),
        }
    }

    /// Returns the plane above that is lowest in the middle of the box, of these and a constant one.
    fn greatest(&self, planes: impl Iterator<Item = Plane>, constant: f64) -> Plane {
        let middle = [self.z, self.delta, self.sum].map(|x| x.lower / 2.0 + x.upper / 2.0);
        let height = |plane: &Plane| plane.offset + plane.slopes.iter().zip(middle).map(|(slope, x)| slope * x).sum::<f64>();
        let lower = |best: Plane, plane: Plane| if height(&plane) < height(&best) { plane } else { best };
        planes.filter(Plane::is_finite).fold(Plane::constant(constant), lower)
    }

    /// Planes above.
    fn above(&self) -> Vec<Plane> {
        let mut planes = Vec::new();
        let delta = self.difference();
        if let Some(slopes) = self.slopes() {
            planes.push(Plane::of_delta(steepest(slopes, delta)));
        }
        let (of_sum, of_z) = (self.lines(self.sum), self.lines(self.z));
        planes.extend(self.supports(self.z, of_z.lower).map(|below| apart(of_sum.upper, below, add_up)));
        planes
    }

    /// Planes below.
    fn below(&self) -> Vec<Plane> {
        let mut planes = Vec::new();
        let delta = self.difference();
        if let Some(SlopeRange { lower, upper }) = self.slopes() {
            let Line { slope, offset } = steepest(SlopeRange { lower: -upper, upper: -lower }, delta);
            planes.push(Plane::of_delta(Line { slope, offset }).negated());
        }
        let (of_sum, of_z) = (self.lines(self.sum), self.lines(self.z));
        planes.extend(self.supports(self.sum, of_sum.lower).map(|below| apart(below, of_z.upper, add_down)));
        planes
    }

    /// Lines below the function on `x`, of which one is known. Below a ReLU is every line through the origin with a slope
    /// between 0 and 1.
    fn supports(&self, x: Interval, line: Line) -> impl Iterator<Item = Line> {
        let unstable = *self.function == Function::Relu && x.lower < 0.0 && x.upper > 0.0;
        let other = unstable.then_some(Line { slope: 1.0 - line.slope, offset: 0.0 });
        std::iter::once(line).chain(other)
    }

    fn lines(&self, x: Interval) -> Lines {
        lines(self.function, x, image(self.function, x))
    }

    /// Where `δ` is, as all three operands say.
    fn difference(&self) -> Interval {
        let other = self.sum.sub(self.z);
        let lower = if other.lower > self.delta.lower { other.lower } else { self.delta.lower };
        let upper = if other.upper < self.delta.upper { other.upper } else { self.delta.upper };
        Interval::new(lower, upper)
    }

    /// The slopes between any two points of both arguments; `None` where they are unbounded or unknown.
    fn slopes(&self) -> Option<SlopeRange> {
        let Interval { lower, upper } = self.z.hull(self.sum);
        if !(lower.is_finite() && upper.is_finite()) {
            return None;
        }
        let one = |slope: f64| Some(SlopeRange { lower: slope, upper: slope });
        match *self.function {
            Function::Relu | Function::LeakyRelu { .. } if lower >= 0.0 => one(1.0),
            Function::Relu if upper <= 0.0 => one(0.0),
            Function::LeakyRelu { slope } if upper <= 0.0 => one(slope),
            _ => slopes_within(self.function, lower, upper),
        }
    }
}

/// A line above `max(αδ, βδ)`: convex less a line is convex, so what is above it at both ends is above it between them.
fn steepest(slopes: SlopeRange, delta: Interval) -> Line {
    let SlopeRange { lower: least, upper: greatest } = slopes;
    if delta.lower >= 0.0 {
        return Line { slope: greatest, offset: 0.0 };
    }
    if delta.upper <= 0.0 {
        return Line { slope: least, offset: 0.0 };
    }
    let (left, right) = (mul_up(least, delta.lower), mul_up(greatest, delta.upper));
    let slope = if least == greatest { least } else { (right - left) / (delta.upper - delta.lower) };
    let gap = |end: f64, value: f64| add_up(value, -mul_down(slope, end));
    // At the origin, between the ends, the maximum is zero.
    Line { slope, offset: gap(delta.lower, left).max(gap(delta.upper, right)) }
}

/// A line over the sum less one over `z`.
fn apart(of_sum: Line, of_z: Line, add: fn(f64, f64) -> f64) -> Plane {
    Plane { slopes: [-of_z.slope, 0.0, of_sum.slope], offset: add(of_sum.offset, -of_z.offset) }
}

#[cfg(test)]
mod tests {
    use super::super::image::tests::functions;
    use super::*;
    use crate::sound::testing::Rng;

    /// On boxes of every size, where the bounds of the sum are its own too, values lie in the image and between the planes.
    #[test]
    fn increments_lie_in_their_images_and_between_their_planes() {
        let mut rng = Rng::new(5);
        let mut unit = || f64::midpoint(rng.uniform(), 1.0);
        for function in functions() {
            for round in 0..400 {
                let width = [1e-9, 1e-3, 0.3, 2.0, 7.0][round % 5];
                let reach = [0.0, 1e-8, 1e-2, 0.5, 4.0][round / 5 % 5];
                let corner = (unit() - 0.5) * 8.0;
                let z = Interval::new(corner, corner + width);
                let shift = if round % 3 == 0 { 0.0 } else { (unit() - 0.5) * 3.0 * reach };
                let delta = Interval::new(shift - reach * unit(), shift + reach * unit());
                let hull = z.add(delta);
                // Half of the time the sum is known more narrowly than from its parts.
                let sum = if round % 2 == 0 {
                    hull
                } else {
                    let (l, u) = (hull.lower + 0.3 * (hull.upper - hull.lower), hull.upper - 0.1 * (hull.upper - hull.lower));
                    Interval::new(l, u)
                };
                let increment = Increment { function: &function, z, delta, sum };
                let own = increment.image();
                let Planes { lower, upper } = increment.planes(own);
                for step in 0..400 {
                    let share = |x: Interval, t: f64| (x.lower + (x.upper - x.lower) * t).clamp(x.lower, x.upper);
                    let ends = |t: f64| if step % 4 == 0 { t.round() } else { t };
                    let (at, by) = (share(z, ends(unit())), share(delta, ends(unit())));
                    let to = at + by;
                    if !sum.contains(to) {
                        continue;
                    }
                    let value = function.value(to) - function.value(at);
                    // A sum to nearest may be off by a bit, over which a jump would tell.
                    if function.jumps() && function.value(to.next_up()) != function.value(to.next_down()) {
                        continue;
                    }
                    let slack = 1e-14 * (1.0 + function.value(to).abs() + function.value(at).abs());
                    assert!(own.lower - slack <= value && value <= own.upper + slack, "{function:?} {at} {by}: {value} {own:?}");
                    for (plane, sign) in [(lower, 1.0), (upper, -1.0)] {
                        let terms = [plane.slopes[0] * at, plane.slopes[1] * by, plane.slopes[2] * to, plane.offset];
                        let slack = slack + 1e-14 * terms.iter().map(|term| term.abs()).sum::<f64>();
                        let height = terms.iter().sum::<f64>();
                        assert!(sign * (value - height) >= -slack, "{function:?} {increment:?} {at} {by}: {value} {plane:?}");
                    }
                }
            }
        }
    }

    /// Where nothing bends, or the arguments are no apart, nothing is lost.
    #[test]
    fn what_is_linear_is_exact() {
        let of = |z: (f64, f64), delta: (f64, f64)| {
            let (z, delta) = (Interval::new(z.0, z.1), Interval::new(delta.0, delta.1));
            let increment = Increment { function: &Function::Relu, z, delta, sum: z.add(delta) };
            increment.planes(increment.image())
        };
        let both = of((1.0, 9.0), (-0.5, 0.25));
        assert_eq!((both.lower, both.upper), (both.upper, Plane { slopes: [0.0, 1.0, 0.0], offset: 0.0 }));
        let neither = of((-9.0, -1.0), (-0.5, 0.25));
        assert_eq!((neither.lower, neither.upper), (Plane::constant(0.0), Plane::constant(0.0)));
        let same = of((-9.0, 9.0), (0.0, 0.0));
        assert_eq!((same.lower.offset, same.upper.offset), (0.0, 0.0));
    }

    #[test]
    fn what_is_not_a_number_bounds_nothing() {
        let nan = Interval::new(f64::NAN, 1.0);
        let one = Interval::new(0.0, 1.0);
        for function in [Function::Relu, Function::Tanh, Function::Exp] {
            for (z, delta, sum) in [(nan, one, one), (one, one, nan)] {
                assert!(!Increment { function: &function, z, delta, sum }.image().is_finite(), "{function:?}");
            }
        }
    }
}
