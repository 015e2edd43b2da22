//! Influence and leverage: how much single samples pull at the parameters.

use std::io;

use faer::Mat;

use super::inverse::Inverse;

/// Products `g_iᵀF⁻¹g_j` of all pairs of gradients: `K(λI + K/m)⁻¹`, from one m × m solve.
pub struct Influence {
    pairs: Mat<f64>,
}

impl Influence {
    /// # Errors
    /// Of the file that holds the gradients.
    pub fn of(inverse: &Inverse) -> io::Result<Self> {
        let m = inverse.count();
        let scale = m as f64 / inverse.damping();
        let mut pairs = inverse.gradients().gram()?.symmetric();
        inverse.factor().solve_in_place(pairs.as_mut(), faer::get_global_parallelism());
        Ok(Self { pairs: Mat::from_fn(m, m, |i, j| 0.5 * scale * (pairs[(i, j)] + pairs[(j, i)])) })
    }

    /// `g_iᵀF⁻¹g_i`: the leverage of a sample, and, up to sign, its influence on its own loss.
    #[must_use]
    pub fn leverages(&self) -> Vec<f64> {
        (0..self.pairs.nrows()).map(|i| self.pairs[(i, i)]).collect()
    }

    /// `−g_jᵀF⁻¹g_i`: how the loss of sample j moves when sample i gains weight.
    #[must_use]
    pub fn between(&self, i: usize, j: usize) -> f64 {
        -self.pairs[(i, j)]
    }

    /// `−g_testᵀF⁻¹g_i` for all i, where `g_test` is the gradient of something else.
    ///
    /// # Errors
    /// Of the file that holds the gradients.
    pub fn on(inverse: &Inverse, gradient: &[f64]) -> io::Result<Vec<f64>> {
        let product = inverse.refined_product(gradient, 2)?.0;
        Ok(inverse.gradients().times(&product)?.into_iter().map(|x| -x).collect())
    }

    /// Samples by leverage, largest first.
    #[must_use]
    pub fn ranking(&self) -> Vec<usize> {
        let leverages = self.leverages();
        let mut order: Vec<usize> = (0..leverages.len()).collect();
        order.sort_by(|&i, &j| leverages[j].total_cmp(&leverages[i]));
        order
    }
}
