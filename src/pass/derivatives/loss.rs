//! The losses, their derivatives at one sample, and which node of a network they apply to.
//!
//! Conventions, printed with every result: the loss is the mean over samples of
//! `ℓ = −log softmax(z)[label]` (cross-entropy) or `ℓ = ½ Σ_c (z_c − y_c)²` (mse).

use super::tape::softmax;
use crate::kernel::curvature::logits;
use crate::kernel::model::ir::{Network, NodeId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    CrossEntropy,
    Mse,
}

impl Loss {
    /// The node that the loss applies to: for cross-entropy the logits, before a Softmax that ends the network (then `true`).
    #[must_use]
    pub fn output(self, network: &Network) -> (NodeId, bool) {
        logits(network, self == Self::CrossEntropy)
    }

    /// The convention in words.
    #[must_use]
    pub const fn convention(self) -> &'static str {
        match self {
            Self::CrossEntropy => "mean over samples of -log softmax(output)[label]",
            Self::Mse => "mean over samples of 1/2 the sum over outputs of (output - target)^2",
        }
    }
}

/// What a sample should give.
#[derive(Clone, Debug)]
pub enum Targets {
    /// One class per sample.
    Labels(Vec<usize>),
    /// One row of outputs per sample.
    Values(Vec<f64>),
}

impl Targets {
    fn label(&self, sample: usize) -> usize {
        match self {
            Self::Labels(labels) => labels[sample],
            Self::Values(_) => usize::MAX,
        }
    }

    fn values(&self, sample: usize, outputs: usize) -> &[f64] {
        match self {
            Self::Values(values) => &values[sample * outputs..(sample + 1) * outputs],
            Self::Labels(_) => &[],
        }
    }
}

impl Loss {
    pub fn value(self, outputs: &[f64], targets: &Targets, sample: usize) -> f64 {
        match self {
            Self::CrossEntropy => {
                let peak = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let total: f64 = outputs.iter().map(|z| (z - peak).exp()).sum();
                total.ln() + peak - outputs[targets.label(sample)]
            }
            Self::Mse => {
                outputs.iter().zip(targets.values(sample, outputs.len())).map(|(z, y)| (z - y) * (z - y)).sum::<f64>() / 2.0
            }
        }
    }

    /// `∂ℓ/∂z`.
    pub fn gradient(self, outputs: &[f64], targets: &Targets, sample: usize, gradient: &mut [f64]) {
        match self {
            Self::CrossEntropy => {
                softmax(outputs, gradient);
                gradient[targets.label(sample)] -= 1.0;
            }
            Self::Mse => {
                let pairs = outputs.iter().zip(targets.values(sample, outputs.len()));
                gradient.iter_mut().zip(pairs).for_each(|(g, (z, y))| *g = z - y);
            }
        }
    }

    /// `∂²ℓ/∂z²·direction`.
    pub fn curvature(self, outputs: &[f64], direction: &[f64], result: &mut [f64]) {
        match self {
            Self::CrossEntropy => {
                softmax(outputs, result);
                let mean = super::gemm::dot(result, direction);
                result.iter_mut().zip(direction).for_each(|(p, d)| *p *= d - mean);
            }
            Self::Mse => result.copy_from_slice(direction),
        }
    }

    /// The columns of `L` with `∂²ℓ/∂z² = L·Lᵀ`, one after another: `√p_c(e_c − p)` for cross-entropy.
    pub fn factor(self, outputs: &[f64], columns: &mut [f64]) {
        let count = outputs.len();
        let mut p = vec![0.0; count];
        if self == Self::CrossEntropy {
            softmax(outputs, &mut p);
        }
        for (c, column) in columns.chunks_exact_mut(count).enumerate() {
            let (scale, shift) = if self == Self::CrossEntropy { (p[c].sqrt(), 1.0) } else { (1.0, 0.0) };
            column.iter_mut().zip(&p).for_each(|(entry, p)| *entry = -scale * shift * p);
            column[c] += scale;
        }
    }
}
