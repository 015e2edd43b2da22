//! Images of boxes under matrix products and convolutions, with every rounding accounted for.
//!
//! For a sum of `n` products in any order, `|fl(s) − s| ≤ γ_n·Σ|w||x| + nη`, `γ_n = nu/(1 − nu)`, `u = 2⁻⁵³`, `η = 2⁻¹⁰⁷⁴`
//! (Higham, *Accuracy and Stability of Numerical Algorithms*, §3.1; Rump, *Acta Numerica* 2010, §10.1 for midpoints and
//! radii). With an operand in `c ± r` and exact weights, `Σ w x` is within `Σ|w|·ρ` of `fl(Σ w c)`, where
//! `ρ = r + g·(|c| + r)` and `g` is the growth of both the computation here and the deployed one: two passes in all.

use super::error::Reason;
use super::linear::Linear;
use super::rounding::Rounding;
use crate::model::ir::NodeBounds;
use crate::sound::round::{SMALLEST_SUBNORMAL, add_down, add_up, gamma, max_or_nan, mul_up};

/// Bounds of the products of two operands, of which at least one depends on the input.
pub(super) fn image(
    linear: Linear,
    left: &NodeBounds,
    right: &NodeBounds,
    size: usize,
    rounding: Rounding,
) -> Result<NodeBounds<'static>, Reason> {
    if right.is_exact() {
        let ball = Ball::new(left, linear.terms(), rounding)?;
        return ball.image(size, |x, map, out| match map {
            Map::Identity => linear.accumulate(x, |x| x, right.lower(), |w| w, out),
            Map::Magnitude => linear.accumulate(x, |x| x, right.lower(), f64::abs, out),
        });
    }
    if left.is_exact() {
        let ball = Ball::new(right, linear.terms(), rounding)?;
        return ball.image(size, |x, map, out| match map {
            Map::Identity => linear.accumulate(left.lower(), |w| w, x, |x| x, out),
            Map::Magnitude => linear.accumulate(left.lower(), f64::abs, x, |x| x, out),
        });
    }
    products_of_intervals(linear, left, right, size, rounding)
}

/// How the weights enter a pass.
enum Map {
    Identity,
    Magnitude,
}

/// The operand that is not exact, as midpoints and radii that include the growth of rounding errors.
struct Ball {
    centre: Vec<f64>,
    radius: Vec<f64>,
    /// What a pass over the radii may lose, relative.
    inflation: f64,
    /// What underflows may lose, absolute.
    shift: f64,
    rounding: Rounding,
}

impl Ball {
    fn new(x: &NodeBounds, terms: usize, rounding: Rounding) -> Result<Self, Reason> {
        let (growth, shift) = rounding.sum(terms)?;
        // Two more than the number of products: for the rounded magnitude and the sum with the deployed growth.
        let growth = add_up(growth, gamma(terms + 2));
        let split = |l: f64, u: f64| {
            if l == u {
                return (l, mul_up(growth, l.abs()));
            }
            let centre = l / 2.0 + u / 2.0;
            let radius = max_or_nan(add_up(u, -centre), add_up(centre, -l));
            (centre, add_up(radius, mul_up(growth, add_up(centre.abs(), radius))))
        };
        let (centre, radius) = x.iter().map(|x| split(x.lower, x.upper)).unzip();
        // fl(Σ) ≥ (1 − γ_n)Σ − nη, and 1/(1 − γ_n) ≤ 1 + γ_2n.
        let inflation = gamma(2 * terms + 2);
        if !inflation.is_finite() {
            return Err(Reason::TooManyTerms);
        }
        let underflow = mul_up(2.0 * terms as f64 + 2.0, SMALLEST_SUBNORMAL);
        Ok(Self { centre, radius, inflation, shift: add_up(shift, underflow), rounding })
    }

    fn image(&self, size: usize, pass: impl Fn(&[f64], Map, &mut [f64])) -> Result<NodeBounds<'static>, Reason> {
        let (mut centre, mut radius) = (vec![0.0; size], vec![0.0; size]);
        pass(&self.centre, Map::Identity, &mut centre);
        pass(&self.radius, Map::Magnitude, &mut radius);
        let factor = add_up(1.0, self.inflation);
        let mut overflow = false;
        for (c, r) in centre.iter_mut().zip(&mut radius) {
            let reach = add_up(mul_up(add_up(*r, self.shift), factor), self.shift);
            // The radius is at least the growth times every partial sum.
            overflow |= self.rounding.overflows(reach) || !c.is_finite();
            (*c, *r) = (add_down(*c, -reach), add_up(*c, reach));
        }
        if overflow { Err(Reason::Overflow) } else { Ok(NodeBounds::new(centre, radius)) }
    }
}

/// Both operands vary: the hull of the four products of their ends, term by term.
fn products_of_intervals(
    linear: Linear,
    left: &NodeBounds,
    right: &NodeBounds,
    size: usize,
    rounding: Rounding,
) -> Result<NodeBounds<'static>, Reason> {
    let (growth, shift) = rounding.sum(linear.terms())?;
    let (mut lower, mut upper, mut magnitude) = (vec![0.0; size], vec![0.0; size], vec![0.0; size]);
    linear.for_each_product(|out, l, r| {
        let (a, b) = (left.at(l), right.at(r));
        let ends = [a.lower * b.lower, a.lower * b.upper, a.upper * b.lower, a.upper * b.upper];
        let greatest = ends[1..].iter().fold(ends[0], |m, &p| max_or_nan(m, p));
        let least = ends[1..].iter().fold(ends[0], |m, &p| -max_or_nan(-m, -p));
        lower[out] += least;
        upper[out] += greatest;
        magnitude[out] += max_or_nan(least.abs(), greatest.abs());
    });
    // Products and sums of `terms` numbers lose γ_n of their magnitude, and the sum of magnitudes itself γ_n.
    let terms = linear.terms() + 2;
    let growth = add_up(growth, gamma(2 * terms));
    let shift = add_up(shift, mul_up(2.0 * terms as f64, SMALLEST_SUBNORMAL));
    let mut overflow = !growth.is_finite();
    for ((l, u), m) in lower.iter_mut().zip(&mut upper).zip(&magnitude) {
        let lost = add_up(mul_up(growth, *m), shift);
        overflow |= rounding.overflows(*m) || !lost.is_finite();
        (*l, *u) = (add_down(*l, -lost), add_up(*u, lost));
    }
    if overflow { Err(Reason::Overflow) } else { Ok(NodeBounds::new(lower, upper)) }
}
