//! Optimal Brain Surgeon on `F`: what removing weights costs, and how the others make up for it.

use std::io;

use super::factor::Factor;
use super::inverse::{Inverse, InverseError};
use crate::pass::derivatives::dot;

/// `ρ_q = w_q²/(2[F⁻¹]_qq)`: the quadratic model's cost of removing weight q and updating the others. Units of the loss.
#[must_use]
pub fn saliency(weights: &[f64], diagonal: &[f64]) -> Vec<f64> {
    weights.iter().zip(diagonal).map(|(w, d)| w * w / (2.0 * d)).collect()
}

impl Inverse {
    /// `δw = −(w_q/[F⁻¹]_qq)·F⁻¹e_q`: the update that removes weight q alone.
    ///
    /// # Errors
    /// Of the file that holds `G`.
    pub fn removal(&self, weights: &[f64], q: usize) -> io::Result<Vec<f64>> {
        let column = self.column(q)?;
        let scale = -weights[q] / column[q];
        let mut update: Vec<f64> = column.into_iter().map(|x| scale * x).collect();
        update[q] = -weights[q];
        Ok(update)
    }

    /// The update that removes a set of weights at the least quadratic cost. With `Q` removed and `R` kept it is
    /// `δw_Q = −w_Q`, `δw_R = F_RR⁻¹F_RQ w_Q`, which equals `−F⁻¹_{:,Q}(F⁻¹_QQ)⁻¹w_Q`; written through the gradients,
    /// `δw_R = (1/m)·G_Rᵀ(λI + G_RG_Rᵀ/m)⁻¹G_Qw_Q`, it never inverts anything larger than m × m.
    ///
    /// # Errors
    /// [`InverseError`].
    pub fn joint_removal(&self, weights: &[f64], removed: &[usize]) -> Result<JointRemoval, InverseError> {
        let mut kept = vec![true; self.dimension()];
        removed.iter().for_each(|&q| kept[q] = false);
        let gram = self.gradients().gram_of(|column| kept[column])?;
        let removed_weights: Vec<f64> = weights.iter().zip(&kept).map(|(w, kept)| if *kept { 0.0 } else { *w }).collect();
        let pressure = self.gradients().times(&removed_weights)?;
        let factor = Factor::new(gram, self.damping())?;
        // (λI + K/m)⁻¹/m = M⁻¹/λ.
        let inner: Vec<f64> = factor.solve(&pressure).into_iter().map(|x| x / self.damping()).collect();
        let back = self.gradients().transposed_times(&inner)?;
        let pairs = back.into_iter().zip(weights).zip(&kept);
        let update: Vec<f64> = pairs.map(|((b, w), kept)| if *kept { b } else { -w }).collect();
        let cost = 0.5 * dot(&update, &self.forward(&update)?);
        Ok(JointRemoval { update, cost })
    }
}

/// An update that removes weights, and `½δwᵀFδw`.
pub struct JointRemoval {
    pub update: Vec<f64>,
    pub cost: f64,
}
