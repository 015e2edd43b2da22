//! Sums Σ wₖ·rowₖ in double-double with a proved Euclidean radius.

use std::ops::Range;

use super::eft::{PRODUCT_EXACT_ABOVE, split, two_sum};
use super::enclosure::Enclosure;
use super::round::{add_up, count, mul_up, scale_pow2, sum_up};
use super::row::Row;

/// Terms between two renormalisations of the accumulator: m in the error analysis.
const BLOCK: usize = 8;

/// More terms than this make the result invalid, so that (1 + u)ⁿ stays below 1 + 2⁻²⁰.
const MAX_TERMS: usize = 1 << 26;

/// Bound of what one coordinate of one product and its additions can lose to underflow.
const UNDERFLOW_PER_TERM: f64 = f64::from_bits((1023 - 1010) << 52);

/// The sum Σₖ wₖ·rowₖ, accumulated in double-double.
///
/// # Error bound
///
/// Per coordinate, with u = 2⁻⁵³, n terms, midpoints xₖ + yₖ of the rows (|yₖ| <= u|xₖ|) and
/// vₖ + zₖ of the weights (|zₖ| <= u|vₖ|), P = Σ|vₖxₖ| and ε standing for factors within
/// 1 + 2⁻¹⁰ (covering all powers (1 + u)ⁿ, n <= 2²⁶). The state is a pair (s, l), the value s + l.
///
/// Step k computes p = fl(vx), its residual e = vx − p by Dekker's product (exact barring
/// underflow), (s', t) = TwoSum(s, p) exactly, then
/// d = fl(t + fl(e + fl(fl(vy) + fl(zx)))) and l' = fl(l + d). Dropped: zy, at most u²|vx|. After
/// every m = 8 terms (s, l) is replaced by TwoSum(s, l), an exact step with |l| <= u|s| after it
/// (coordinates that none of the terms touched satisfy this already).
///
/// 1. *s stays below εP.* A step adds p with one rounding, a renormalisation adds an l that by (2)
///    is at most (m + 4)uεP; both multiply to (1 + u)ⁿ(1 + 2(m + 4)u)^(n/m + 1).
/// 2. *l.* |t| <= u|s'| <= uεP, |e| <= u|vx|, |vy|, |zx| <= u|vx|: so D = |t| + |e| + |vy| + |zx|
///    is at most uεP + 3u|vx|, and |d| <= εD. From |l| <= uεP, at most m steps lead to
///    |l| <= ε(uP + muP + 3uP) = (m + 4)uεP.
/// 3. *Rounding of d.* Five roundings, each at most uεD: over all terms 5u²ε(nP + 3P); the dropped
///    zy add u²P.
/// 4. *Rounding of l.* n roundings of at most u(m + 4)uεP each.
///
/// Together u²ε(n(m + 9) + 16)P = u²ε(17n + 16)P. Taking norms over the coordinates, ‖P‖₂ is at
/// most Σ|vₖ|‖xₖ‖₂ by the triangle inequality.
///
/// *Underflow.* Where |p| < 2⁻⁹⁶⁰ the residual may be wrong, but all its intermediates are below
/// 2⁻⁹⁸⁴ and four roundings lose at most 2⁻¹⁰³⁵; the other products lose at most 2⁻¹⁰⁷⁵ each.
/// 2⁻¹⁰¹⁰ per coordinate and term covers that and its passage through the bounds above.
///
/// *Radii.* w·row − (v + z)(x + y) has norm at most |w|·radius(row) + radius(w)·‖x + y‖₂
/// <= |w|·radius(row) + radius(w)·norm(row), |w| bounded over its enclosure.
///
/// *Overflow.* A non-finite value in a step makes s or l non-finite for good (`TwoSum` and Dekker
/// turn an infinity into `NaN`), which [`RowAccumulator::finish`] turns into an invalid row.
#[derive(Clone, Debug)]
pub struct RowAccumulator {
    start: usize,
    hi: Vec<f64>,
    lo: Vec<f64>,
    terms: usize,
    /// Terms since the last renormalisation, and the coordinates they touched: everywhere else
    /// `|lo| <= u|hi|` still holds.
    since_renormalised: usize,
    touched: Range<usize>,
    /// Σ |wₖ|·radiusₖ + radius(wₖ)·normₖ.
    inherited: f64,
    /// Σ |wₖ|·‖hiₖ‖.
    mass: f64,
    /// Nothing was added yet, or a single term that is an exact multiple of its row.
    exact: bool,
}

impl RowAccumulator {
    /// The empty sum. Rows are expected to lie in `span`; the span grows if one does not.
    #[must_use]
    pub fn new(span: Range<usize>) -> Self {
        let length = span.len();
        Self {
            start: span.start,
            hi: vec![0.0; length],
            lo: vec![0.0; length],
            terms: 0,
            since_renormalised: 0,
            touched: 0..0,
            inherited: 0.0,
            mass: 0.0,
            exact: true,
        }
    }

    /// Adds `weight * row`.
    pub fn add_scaled(&mut self, weight: &Enclosure, row: &Row) {
        if let Some(exact) = weight.to_f64_exact() {
            self.add_scaled_exact(exact, row);
            return;
        }
        let size = weight.magnitude();
        self.account(size, weight.radius(), row);
        self.exact = false;
        if !row.is_empty() {
            let (hi, lo) = self.window(row);
            general_step(weight.hi(), weight.lo(), row, hi, lo);
        }
    }

    /// Adds `weight * row` for an exact weight: the fast path, fastest for weights of at most 26
    /// significant bits, as every `f32` has.
    pub fn add_scaled_exact(&mut self, weight: f64, row: &Row) {
        if weight == 0.0 && row.is_valid() {
            return;
        }
        self.account(weight.abs(), 0.0, row);
        self.exact = self.exact && self.terms == 1 && scales_exactly(weight, row);
        if row.is_empty() {
            return;
        }
        let (hi, lo) = self.window(row);
        if split(weight).1 == 0.0 {
            short_step(weight, row, hi, lo);
        } else {
            general_step(weight, 0.0, row, hi, lo);
        }
    }

    /// Counts a term and adds up what the radius needs.
    fn account(&mut self, size: f64, weight_radius: f64, row: &Row) {
        self.terms = self.terms.saturating_add(1);
        self.since_renormalised += 1;
        if self.since_renormalised > BLOCK {
            self.renormalise();
            self.since_renormalised = 1;
        }
        let inherited = [self.inherited, mul_up(size, row.radius()), mul_up(weight_radius, row.norm_upper())];
        self.inherited = sum_up(inherited);
        self.mass = add_up(self.mass, mul_up(size, row.hi_norm_upper()));
    }

    /// The part of the accumulator over the row's span, grown if need be.
    fn window(&mut self, row: &Row) -> (&mut [f64], &mut [f64]) {
        if self.hi.is_empty() {
            self.start = row.start();
        }
        if row.start() < self.start {
            let missing = self.start - row.start();
            self.hi.splice(0..0, std::iter::repeat_n(0.0, missing));
            self.lo.splice(0..0, std::iter::repeat_n(0.0, missing));
            self.start = row.start();
        }
        let offset = row.start() - self.start;
        let end = offset + row.len();
        if end > self.hi.len() {
            self.hi.resize(end, 0.0);
            self.lo.resize(end, 0.0);
        }
        self.touched = if self.touched.is_empty() {
            row.start()..row.end()
        } else {
            self.touched.start.min(row.start())..self.touched.end.max(row.end())
        };
        (&mut self.hi[offset..end], &mut self.lo[offset..end])
    }

    /// (s, l) becomes TwoSum(s, l) wherever terms were added since the last time.
    fn renormalise(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        if touched.is_empty() {
            return;
        }
        let offsets = touched.start - self.start..touched.end - self.start;
        let low = self.lo[offsets.clone()].iter_mut();
        for (high, low) in self.hi[offsets].iter_mut().zip(low) {
            (*high, *low) = two_sum(*high, *low);
        }
    }

    /// The sum with its radius.
    #[must_use]
    pub fn finish(mut self) -> Row {
        self.renormalise();
        let mut radius = self.inherited;
        if !self.exact {
            // u²·(17n + 16)·(1 + 2⁻¹⁰) <= u²·(17n + 16)·1.001
            let factor = mul_up(count(self.terms.saturating_mul(17).saturating_add(16)), 1.001);
            let factor = scale_pow2(factor, -106);
            let entries = count(self.terms.saturating_mul(self.hi.len()));
            radius = sum_up([radius, mul_up(factor, self.mass), mul_up(UNDERFLOW_PER_TERM, entries)]);
        }
        if self.terms > MAX_TERMS {
            radius = f64::INFINITY;
        }
        Row::checked(self.start, self.hi, self.lo, radius)
    }
}

/// True if `weight` is a power of two up to sign and every product with the row is exact.
fn scales_exactly(weight: f64, row: &Row) -> bool {
    let fraction = weight.to_bits() & ((1 << 52) - 1);
    let exact = |&value: &f64| {
        let product = value * weight;
        value == 0.0 || product.abs() >= PRODUCT_EXACT_ABOVE
    };
    weight.is_normal() && fraction == 0 && row.hi().iter().all(exact) && row.lo().iter().all(exact)
}

/// One term with a weight of at most 26 significant bits: Dekker's product with the weight unsplit
/// (26 + 26 bits fit, so both partial products are exact).
fn short_step(weight: f64, row: &Row, hi: &mut [f64], lo: &mut [f64]) {
    let source = row.hi().iter().zip(row.lo());
    for ((high, low), (&x, &y)) in hi.iter_mut().zip(lo).zip(source) {
        let (x_high, x_low) = split(x);
        let product = weight * x;
        let residual = (weight * x_high - product) + weight * x_low;
        let (sum, error) = two_sum(*high, product);
        *high = sum;
        *low += error + (residual + weight * y);
    }
}

/// One term with any double-double weight.
fn general_step(weight: f64, weight_low: f64, row: &Row, hi: &mut [f64], lo: &mut [f64]) {
    let (w_high, w_low) = split(weight);
    let source = row.hi().iter().zip(row.lo());
    for ((high, low), (&x, &y)) in hi.iter_mut().zip(lo).zip(source) {
        let (x_high, x_low) = split(x);
        let product = weight * x;
        let residual = w_low * x_low - (((product - w_high * x_high) - w_low * x_high) - w_high * x_low);
        let (sum, error) = two_sum(*high, product);
        *high = sum;
        *low += error + (residual + (weight * y + weight_low * x));
    }
}

#[cfg(test)]
mod tests;
