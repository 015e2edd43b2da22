//! Exact linear combinations of atoms. Every coefficient is the true one: an operation that would have to round returns
//! `None` and the caller names the result as a new atom instead.

use crate::sound::eft::{two_prod, two_sum};

/// A scalar that combinations are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    /// A coordinate of the quadratic form: an input, or the output of a bounded part.
    Coordinate(u32),
    /// An output of a linear layer.
    Linear(u32),
    /// A constant; it counts when signals are compared and vanishes from every increment.
    Constant(u32),
}

/// `Σ coefficient · atom`, sorted by atom, no zero coefficients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Combination {
    terms: Vec<(Atom, f64)>,
}

/// `a·b` where it needs no rounding.
#[must_use]
pub fn exact_product(a: f64, b: f64) -> Option<f64> {
    if a == 0.0 || b == 0.0 {
        return Some(0.0);
    }
    let (product, error) = two_prod(a, b);
    // Below 2⁻⁹⁰⁰ the error of a product may itself underflow to zero.
    (error == 0.0 && product.is_finite() && product.abs() > 2f64.powi(-900)).then_some(product)
}

/// `a + b` where it needs no rounding.
#[must_use]
pub fn exact_sum(a: f64, b: f64) -> Option<f64> {
    let (sum, error) = two_sum(a, b);
    (error == 0.0 && sum.is_finite()).then_some(sum)
}

/// `a/b` where it needs no rounding.
#[must_use]
pub fn exact_quotient(a: f64, b: f64) -> Option<f64> {
    let quotient = a / b;
    (b != 0.0 && exact_product(quotient, b) == Some(a)).then_some(quotient)
}

impl Combination {
    #[must_use]
    pub fn atom(atom: Atom) -> Self {
        Self { terms: vec![(atom, 1.0)] }
    }

    #[must_use]
    pub fn terms(&self) -> &[(Atom, f64)] {
        &self.terms
    }

    /// Terms that an increment of the input can change.
    pub fn varying(&self) -> impl Iterator<Item = (Atom, f64)> + '_ {
        self.terms.iter().copied().filter(|(atom, _)| !matches!(atom, Atom::Constant(_)))
    }

    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.varying().next().is_none()
    }

    /// `self + factor·other`.
    #[must_use]
    pub fn plus_scaled(&self, factor: f64, other: &Self) -> Option<Self> {
        let mut terms = Vec::with_capacity(self.terms.len() + other.terms.len());
        let (mut left, mut right) = (self.terms.iter().peekable(), other.terms.iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.cmp(b),
            };
            let taken_left = if order.is_le() { left.next() } else { None };
            let taken_right = if order.is_ge() { right.next() } else { None };
            let scaled = taken_right.map_or(Some(0.0), |&(_, c)| exact_product(factor, c))?;
            let sum = exact_sum(taken_left.map_or(0.0, |&(_, c)| c), scaled)?;
            if sum != 0.0
                && let Some(&(atom, _)) = taken_left.or(taken_right)
            {
                terms.push((atom, sum));
            }
        }
        Some(Self { terms })
    }

    /// `factor·self`.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Option<Self> {
        Self::default().plus_scaled(factor, self)
    }

    /// `Σ weightᵢ·partᵢ`.
    #[must_use]
    pub fn sum<'a>(parts: impl IntoIterator<Item = (f64, &'a Self)>) -> Option<Self> {
        let mut scaled = Vec::new();
        for (weight, part) in parts {
            for &(atom, coefficient) in &part.terms {
                scaled.push((atom, exact_product(weight, coefficient)?));
            }
        }
        scaled.sort_by_key(|&(atom, _)| atom);
        let mut terms: Vec<(Atom, f64)> = Vec::with_capacity(scaled.len());
        for (atom, coefficient) in scaled {
            match terms.last_mut() {
                Some((last, sum)) if *last == atom => *sum = exact_sum(*sum, coefficient)?,
                _ => terms.push((atom, coefficient)),
            }
        }
        terms.retain(|&(_, coefficient)| coefficient != 0.0);
        Some(Self { terms })
    }

    /// The exact factor `r` with `self = r·other`, if there is one.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> Option<f64> {
        let (&(_, mine), &(_, theirs)) = (self.terms.first()?, other.terms.first()?);
        let ratio = exact_quotient(mine, theirs)?;
        let proportional = self.terms.len() == other.terms.len()
            && self.terms.iter().zip(&other.terms).all(|((a, x), (b, y))| a == b && exact_product(ratio, *y) == Some(*x));
        proportional.then_some(ratio)
    }

    /// The atoms alone: combinations that are multiples of each other agree on them.
    #[must_use]
    pub fn support(&self) -> Vec<Atom> {
        self.terms.iter().map(|&(atom, _)| atom).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x(index: u32) -> Combination {
        Combination::atom(Atom::Coordinate(index))
    }

    #[test]
    fn equal_terms_cancel_exactly() {
        let difference = x(0).plus_scaled(-1.0, &x(1)).unwrap();
        let back = difference.plus_scaled(1.0, &x(1)).unwrap();
        assert_eq!(back, x(0));
        assert!(x(3).plus_scaled(-1.0, &x(3)).unwrap().terms().is_empty());
    }

    #[test]
    fn rounding_is_refused() {
        assert_eq!(x(0).scaled(0.1).and_then(|y| y.scaled(0.1)), None);
        assert_eq!(x(0).plus_scaled(2f64.powi(-60), &x(0)), None);
        assert_eq!(x(0).scaled(f64::MAX).and_then(|y| y.scaled(2.0)), None);
        assert_eq!(x(0).scaled(2f64.powi(-800)).and_then(|y| y.scaled(2f64.powi(-800))), None);
        assert_eq!(x(0).scaled(f64::NAN), None);
    }

    #[test]
    fn ratios_are_exact_or_absent() {
        let u = x(0).plus_scaled(-3.0, &x(1)).unwrap();
        assert_eq!(u.scaled(-2.5).unwrap().ratio_to(&u), Some(-2.5));
        assert_eq!(u.ratio_to(&u.scaled(3.0).unwrap()), None, "one third is not a binary fraction");
        assert_eq!(u.ratio_to(&x(0)), None);
        assert_eq!(u.ratio_to(&x(0).plus_scaled(-3.0, &x(2)).unwrap()), None);
    }
}
