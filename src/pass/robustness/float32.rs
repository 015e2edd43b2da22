//! The network as it is deployed: a forward pass in `float32`.
//!
//! Every operation rounds once to binary32. Sums run from the first term to the last, starting at zero, products rounded
//! before they are added: the order of the textbook, one of those that runtimes use. Library functions are evaluated in
//! `f64` and rounded once. Constants that the graph folds were folded in `f64` and are rounded here. Nothing here is a
//! proof; [`crate::kernel::region::bounds`] bounds what any other order gives.

use crate::kernel::model::ir::{Arithmetic, EvaluationError, Function, Network, Values};

/// A binary32 number that the network can be evaluated in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Single(pub f32);

impl Arithmetic for Single {
    fn exact(value: f64) -> Self {
        Self(value as f32)
    }
    fn add(&self, other: &Self) -> Self {
        Self(self.0 + other.0)
    }
    fn sub(&self, other: &Self) -> Self {
        Self(self.0 - other.0)
    }
    fn mul(&self, other: &Self) -> Self {
        Self(self.0 * other.0)
    }
    fn div(&self, other: &Self) -> Self {
        Self(self.0 / other.0)
    }
    /// NaN if either is.
    fn max(&self, other: &Self) -> Self {
        if self.0 > other.0 || self.0.is_nan() { *self } else { *other }
    }
    fn min(&self, other: &Self) -> Self {
        if self.0 < other.0 || self.0.is_nan() { *self } else { *other }
    }
    fn apply(&self, function: &Function) -> Option<Self> {
        Some(Self(function.value(f64::from(self.0)) as f32))
    }
}

/// Forward passes of one network, whose constants are rounded once.
pub struct Deployed<'n> {
    network: &'n Network,
    constants: Values<Single>,
}

impl<'n> Deployed<'n> {
    /// # Errors
    /// [`EvaluationError`].
    pub fn new(network: &'n Network) -> Result<Self, EvaluationError> {
        Values::constants(network).map(|constants| Self { network, constants })
    }

    /// The output at an input, each coordinate of which is rounded to float32.
    ///
    /// # Errors
    /// [`EvaluationError::InputSize`].
    pub fn output(&self, input: &[f64]) -> Result<Vec<f32>, EvaluationError> {
        let input: Vec<Single> = input.iter().map(|&x| Single(x as f32)).collect();
        let values = self.constants.at_input(self.network, &input)?;
        Ok(values.get(self.network.output().index()).iter().map(|y| y.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::model::ir::{NetworkBuilder, Op, Tensor};

    #[test]
    fn sums_round_after_every_term_in_order() {
        let mut builder = NetworkBuilder::new();
        let x = builder.push("x", "", Op::Input, &[], vec![1, 1, 3]).unwrap();
        let w = Tensor::new(vec![1, 3, 1], vec![1.0, 1.0, -1.0]).unwrap();
        let w = builder.push("w", "", Op::Constant(w), &[], vec![1, 3, 1]).unwrap();
        let y = builder.push("y", "", Op::MatMul, &[x, w], vec![1, 1, 1]).unwrap();
        let network = builder.finish(y).unwrap();
        let deployed = Deployed::new(&network).unwrap();
        // (2²⁴ + 1) − 2²⁴: the one is lost in float32.
        assert_eq!(deployed.output(&[16_777_216.0, 1.0, 16_777_216.0]).unwrap(), [0.0]);
        assert_eq!(deployed.output(&[1.0, 16_777_216.0, 16_777_216.0]).unwrap(), [0.0]);
        assert_eq!(deployed.output(&[0.1, 0.0, 0.0]).unwrap(), [0.1_f32]);
        assert!(deployed.output(&[1.0]).is_err());
    }
}
