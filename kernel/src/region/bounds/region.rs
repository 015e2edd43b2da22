//! Regions of inputs.

use super::error::RegionError;
use crate::sound::round::{add_down, add_up};

/// A box of inputs, row-major. Invariant: all bounds are finite and `lower ≤ upper`; the two may be equal.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxRegion {
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl BoxRegion {
    /// The box of the given corners.
    ///
    /// # Errors
    /// When a bound is not finite, the lower one is above the upper, or the lengths differ.
    pub fn new(lower: Vec<f64>, upper: Vec<f64>) -> Result<Self, RegionError> {
        if lower.len() != upper.len() {
            return Err(RegionError::Lengths { lower: lower.len(), upper: upper.len() });
        }
        let wrong = |(l, u): (&f64, &f64)| !(l.is_finite() && u.is_finite() && l <= u);
        match lower.iter().zip(&upper).position(wrong) {
            Some(index) => Err(RegionError::Bounds { index, lower: lower[index], upper: upper[index] }),
            None => Ok(Self { lower, upper }),
        }
    }

    /// Everything within `radius` of `centre` in ℓ∞, rounded outward.
    ///
    /// # Errors
    /// When the radius is negative or a bound is not finite.
    pub fn around(centre: &[f64], radius: f64) -> Result<Self, RegionError> {
        if !(radius.is_finite() && radius >= 0.0) {
            return Err(RegionError::Radius(radius));
        }
        let lower = centre.iter().map(|&c| add_down(c, -radius)).collect();
        let upper = centre.iter().map(|&c| add_up(c, radius)).collect();
        Self::new(lower, upper)
    }

    /// The part of the box between two values: pixels that stay pixels.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn clipped(&self, least: f64, greatest: f64) -> Result<Self, RegionError> {
        let lower = self.lower.iter().map(|l| l.max(least)).collect();
        let upper = self.upper.iter().map(|u| u.min(greatest)).collect();
        Self::new(lower, upper)
    }

    #[must_use]
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }

    #[must_use]
    pub fn upper(&self) -> &[f64] {
        &self.upper
    }

    /// A point of the box: its centre, rounded to nearest.
    #[must_use]
    pub fn centre(&self) -> Vec<f64> {
        self.lower.iter().zip(&self.upper).map(|(l, u)| (l / 2.0 + u / 2.0).clamp(*l, *u)).collect()
    }

    #[must_use]
    pub fn contains(&self, point: &[f64]) -> bool {
        point.len() == self.lower.len()
            && point.iter().zip(self.lower.iter().zip(&self.upper)).all(|(x, (l, u))| l <= x && x <= u)
    }
}

/// Where the inputs are: in a box and, if there is a ball, within an ℓ2 distance of its centre as well.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    bounds: BoxRegion,
    ball: Option<Ball>,
}

/// Everything within `radius` of `centre` in ℓ2.
#[derive(Clone, Debug, PartialEq)]
pub struct Ball {
    pub(super) centre: Vec<f64>,
    pub(super) radius: f64,
}

impl From<BoxRegion> for Region {
    fn from(bounds: BoxRegion) -> Self {
        Self { bounds, ball: None }
    }
}

impl Region {
    /// A ball in ℓ2.
    ///
    /// # Errors
    /// When the radius is negative or a bound is not finite.
    pub fn ball(centre: &[f64], radius: f64) -> Result<Self, RegionError> {
        let bounds = BoxRegion::around(centre, radius)?;
        Ok(Self { bounds, ball: Some(Ball { centre: centre.to_vec(), radius }) })
    }

    /// The part of the region with all inputs between two values.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn clipped(&self, least: f64, greatest: f64) -> Result<Self, RegionError> {
        Ok(Self { bounds: self.bounds.clipped(least, greatest)?, ball: self.ball.clone() })
    }

    /// The part of the region in a box.
    ///
    /// # Errors
    /// When nothing is left, or the sizes differ.
    pub fn within(&self, bounds: &BoxRegion) -> Result<Self, RegionError> {
        let (mine, other) = (&self.bounds, bounds);
        if mine.lower.len() != other.lower.len() {
            return Err(RegionError::Lengths { lower: mine.lower.len(), upper: other.upper.len() });
        }
        let lower = mine.lower.iter().zip(&other.lower).map(|(a, b)| a.max(*b)).collect();
        let upper = mine.upper.iter().zip(&other.upper).map(|(a, b)| a.min(*b)).collect();
        Ok(Self { bounds: BoxRegion::new(lower, upper)?, ball: self.ball.clone() })
    }

    /// A box that contains the region.
    #[must_use]
    pub const fn bounds(&self) -> &BoxRegion {
        &self.bounds
    }

    pub(super) const fn as_ball(&self) -> Option<&Ball> {
        self.ball.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_box_is_refused() {
        assert!(BoxRegion::new(vec![0.0], vec![]).is_err());
        assert!(BoxRegion::new(vec![1.0], vec![0.0]).is_err());
        assert!(BoxRegion::new(vec![f64::NAN], vec![0.0]).is_err());
        assert!(BoxRegion::new(vec![f64::NEG_INFINITY], vec![0.0]).is_err());
        assert!(BoxRegion::around(&[0.0], -1.0).is_err());
        assert!(BoxRegion::around(&[f64::MAX], f64::MAX).is_err());
        assert!(BoxRegion::around(&[2.0], 0.5).unwrap().clipped(0.0, 1.0).is_err());
    }

    #[test]
    fn a_box_around_a_point_is_rounded_outward() {
        let region = BoxRegion::around(&[1.0], 1e-20).unwrap();
        assert!(region.lower()[0] < 1.0 && region.upper()[0] > 1.0);
        assert!(region.contains(&region.centre()) && !region.contains(&[2.0]) && !region.contains(&[]));
        let degenerate = BoxRegion::new(vec![0.1], vec![0.1]).unwrap();
        assert_eq!(degenerate.centre(), [0.1]);
    }
}
