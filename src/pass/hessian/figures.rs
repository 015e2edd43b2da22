//! What the pass found: numbers, how they were found, and between which bounds they lie.

use super::estimate::Estimate;
use super::flatness::ParameterNorms;
use super::verdict::Stability;
use crate::pass::derivatives::Evaluation;

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Backward passes with layer-local norms; exact up to rounding.
    Norms,
    /// The Gram matrix of the stacked Jacobian rows.
    Gram,
    /// The Hessian, column by column.
    Dense,
    /// Gaussian probes: the interval holds with the probability stated.
    Probes { count: usize, sketch: usize, delta: f64 },
    /// Lanczos: the value is a lower bound; the interval's upper end is that of a norm.
    Lanczos { steps: usize },
}

/// A number, and an interval where it is not exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub value: f64,
    pub interval: Option<(f64, f64)>,
    pub method: Method,
}

impl Figure {
    #[must_use]
    pub const fn exact(value: f64, method: Method) -> Self {
        Self { value, interval: None, method }
    }

    #[must_use]
    pub const fn estimated(found: Estimate, method: Method) -> Self {
        Self { value: found.value, interval: Some((found.lower, found.upper)), method }
    }

    /// The smallest value that is not ruled out.
    #[must_use]
    pub fn lower(&self) -> f64 {
        self.interval.map_or(self.value, |(lower, _)| lower)
    }

    /// The largest value that is not ruled out.
    #[must_use]
    pub fn upper(&self) -> f64 {
        self.interval.map_or(self.value, |(_, upper)| upper)
    }
}

/// What the pass found. What is missing is named in `not_done`.
#[derive(Clone, Debug)]
pub struct Analysis {
    pub samples: usize,
    pub outputs: usize,
    pub evaluation: Evaluation,
    pub gradient_norm: f64,
    pub trace_gauss_newton: Option<Figure>,
    /// Every parameter's share of `tr G`; empty where that was cut off.
    pub per_parameter: Vec<f64>,
    pub trace_hessian: Option<Figure>,
    pub frobenius_hessian: Option<Figure>,
    pub frobenius_gauss_newton: Option<Figure>,
    pub lambda_max_hessian: Option<Figure>,
    pub lambda_min_hessian: Option<f64>,
    pub lambda_max_gauss_newton: Option<Figure>,
    /// `‖H − G‖_F / ‖G‖_F`.
    pub interpolation: Option<Figure>,
    pub alignment: Option<f64>,
    pub parameter_norms: Option<ParameterNorms>,
    pub stability: Option<Stability>,
    /// Eigenvalues and weights of the Hessian's spectral density.
    pub density: Vec<(f64, f64)>,
    /// The steps that the time limit cut off.
    pub not_done: Vec<String>,
}
