//! The static inverse: all gradients at hand.

use std::io;

use faer::{MatMut, Par};

use super::factor::Factor;
use crate::pass::derivatives::{Panels, dot};
use crate::pass::hessian::spectrum::eigenvalues;

/// Why there is no inverse.
#[derive(Debug, thiserror::Error)]
pub enum InverseError {
    #[error("the damping λ must be positive and finite, not {0}")]
    Damping(f64),
    #[error("there are no gradients")]
    Empty,
    #[error("mI + GGᵀ/λ is not positive definite in f64: the gradients are not finite, or λ = {damping} is too small for them")]
    NotDefinite { damping: f64 },
    #[error("a temporary file of gradients failed: {0}")]
    File(#[from] io::Error),
}

/// `F⁻¹` for `F = λI + (1/m)GᵀG`, as `M = mI + GGᵀ/λ` and its Cholesky factor. Memory: `G` and `m²/2`.
pub struct Inverse {
    gradients: Panels,
    damping: f64,
    factor: Factor,
}

impl Inverse {
    /// Costs `dm²` flops for the Gram matrix and `m³/3` for the factor.
    ///
    /// # Errors
    /// [`InverseError`].
    pub fn new(gradients: Panels, damping: f64) -> Result<Self, InverseError> {
        if !(damping > 0.0 && damping.is_finite()) {
            return Err(InverseError::Damping(damping));
        }
        if gradients.rows() == 0 {
            return Err(InverseError::Empty);
        }
        let factor = Factor::new(gradients.gram()?, damping)?;
        Ok(Self { gradients, damping, factor })
    }

    /// Number of gradients m.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.gradients.rows()
    }

    /// Number of parameters d.
    #[must_use]
    pub const fn dimension(&self) -> usize {
        self.gradients.columns()
    }

    #[must_use]
    pub const fn damping(&self) -> f64 {
        self.damping
    }

    #[must_use]
    pub const fn gradients(&self) -> &Panels {
        &self.gradients
    }

    /// Squared norms of the gradients.
    #[must_use]
    pub fn squared_norms(&self) -> &[f64] {
        self.factor.diagonal()
    }

    /// The denominators of the paper's recursion, `m + g_iᵀv_i`: the diagonal of `D` in `M = L̃DL̃ᵀ`.
    #[must_use]
    pub fn denominators(&self) -> Vec<f64> {
        self.factor.lower().diagonal().into_iter().map(|l| l * l).collect()
    }

    /// `κ = λ_max(GGᵀ)/(mλ)`: a product with a vector in the span of the gradients loses `ε·κ`.
    #[must_use]
    pub fn condition(&self) -> f64 {
        // K/λ is LLᵀ − mI; on the diagonal, where that cancels, K itself is known.
        let lower = self.factor.lower().lower();
        let mut scaled = &lower * lower.transpose();
        for (i, norm) in self.squared_norms().iter().enumerate() {
            scaled[(i, i)] = norm / self.damping;
        }
        let top = eigenvalues(&scaled).and_then(|values| values.last().copied());
        // Not `max`, which would take NaN for zero.
        top.map_or(f64::NAN, |top| if top < 0.0 { 0.0 } else { top / self.count() as f64 })
    }

    pub(super) const fn factor(&self) -> &Factor {
        &self.factor
    }

    /// `F⁻¹x = x/λ − Gᵀ M⁻¹(Gx)/λ²`: reads `G` twice.
    ///
    /// # Errors
    /// Of the file that holds `G`.
    pub fn product(&self, x: &[f64]) -> io::Result<Vec<f64>> {
        let mut product = x.to_vec();
        self.product_in_place(&mut product)?;
        Ok(product)
    }

    /// [`product`](Self::product) in the place of `x`, which means nothing after an error.
    ///
    /// # Errors
    /// Of the file that holds `G`.
    pub fn product_in_place(&self, x: &mut [f64]) -> io::Result<()> {
        let weights = self.factor.solve(&self.gradients.times(x)?);
        let square = self.damping * self.damping;
        self.gradients.combine_transposed(&weights, x, |x, back| x / self.damping - back / square)
    }

    /// [`product`](Self::product), then steps of iterative refinement while they shrink the residual. Returns the product and
    /// `‖Fy − x‖/‖x‖` as it was computed.
    ///
    /// # Errors
    /// Of the file that holds `G`.
    pub fn refined_product(&self, x: &[f64], steps: usize) -> io::Result<(Vec<f64>, f64)> {
        let norm = dot(x, x).sqrt();
        let relative = |r: &[f64]| if norm == 0.0 { 0.0 } else { dot(r, r).sqrt() / norm };
        let mut best = self.product(x)?;
        let mut residual = self.residual(&best, x)?;
        for _ in 0..steps {
            let correction = self.product(&residual)?;
            let next: Vec<f64> = best.iter().zip(correction).map(|(y, c)| y + c).collect();
            let left = self.residual(&next, x)?;
            if relative(&left) >= relative(&residual) {
                break;
            }
            (best, residual) = (next, left);
        }
        let size = relative(&residual);
        Ok((best, size))
    }

    /// `‖Fy − x‖/‖x‖` as computed in `f64`.
    ///
    /// # Errors
    /// Of the file that holds `G`.
    pub fn relative_residual(&self, y: &[f64], x: &[f64]) -> io::Result<f64> {
        let (residual, norm) = (self.residual(y, x)?, dot(x, x).sqrt());
        Ok(if norm == 0.0 { 0.0 } else { dot(&residual, &residual).sqrt() / norm })
    }

    /// `x − Fy`.
    fn residual(&self, y: &[f64], x: &[f64]) -> io::Result<Vec<f64>> {
        Ok(self.forward(y)?.into_iter().zip(x).map(|(fy, x)| x - fy).collect())
    }

    /// `Fy = λy + (1/m)Gᵀ(Gy)`.
    ///
    /// # Errors
    /// Of the file that holds `G`.
    pub fn forward(&self, y: &[f64]) -> io::Result<Vec<f64>> {
        let m = self.count() as f64;
        let inner: Vec<f64> = self.gradients.times(y)?.into_iter().map(|value| value / m).collect();
        let mut product = y.to_vec();
        self.gradients.combine_transposed(&inner, &mut product, |y, back| self.damping * y + back)?;
        Ok(product)
    }

    /// `F⁻¹Gᵀa = Gᵀ(λI + GGᵀ/m)⁻¹a`: the dual form, accurate for vectors in the span of the gradients, where
    /// [`product`](Self::product) cancels.
    ///
    /// # Errors
    /// Of the file that holds `G`.
    pub fn product_in_span(&self, a: &[f64]) -> io::Result<Vec<f64>> {
        let scale = self.count() as f64 / self.damping;
        let weights: Vec<f64> = self.factor.solve(a).into_iter().map(|value| value * scale).collect();
        self.gradients.transposed_times(&weights)
    }

    /// Column `q` of `F⁻¹`.
    ///
    /// # Errors
    /// Of the file that holds `G`.
    pub fn column(&self, q: usize) -> io::Result<Vec<f64>> {
        let weights = self.factor.solve(&self.gradients.columns_at(q..q + 1)?);
        let square = self.damping * self.damping;
        let mut column: Vec<f64> = self.gradients.transposed_times(&weights)?.into_iter().map(|b| -b / square).collect();
        column[q] += 1.0 / self.damping;
        Ok(column)
    }

    /// The diagonal of `F⁻¹`.
    ///
    /// # Errors
    /// Of the file that holds `G`.
    pub fn diagonal(&self) -> io::Result<Vec<f64>> {
        let parts = self.gradients.map(|_, width, panel| {
            self.whiten(panel, width);
            let mut squares = vec![0.0; width];
            for row in panel.chunks_exact(width) {
                squares.iter_mut().zip(row).for_each(|(square, x)| *square += x * x);
            }
            squares.into_iter().map(|square| 1.0 / self.damping - square).collect::<Vec<f64>>()
        })?;
        Ok(parts.concat())
    }

    /// Turns columns of `G` into columns of `L⁻¹G/λ`.
    fn whiten(&self, panel: &mut [f64], width: usize) {
        panel.iter_mut().for_each(|value| *value /= self.damping);
        let target = MatMut::from_row_major_slice_mut(panel, self.count(), width);
        self.factor.solve_lower_in_place(target, Par::Seq);
    }

    /// Replaces `G` by the paper's `V` (each row divided by the root of its denominator), so that elements cost `O(m)`.
    ///
    /// # Errors
    /// Of the file that holds `G`.
    pub fn into_factored(self) -> Result<Factored, InverseError> {
        self.gradients.replace(|panel, width| self.whiten(panel, width))?;
        Ok(Factored { rows: self.gradients, damping: self.damping })
    }
}

/// `F⁻¹ = I/λ − WᵀW`, the rows of `W` being the paper's `v_i/√den_i`.
pub struct Factored {
    rows: Panels,
    damping: f64,
}

impl Factored {
    /// `[F⁻¹]_ab`: `O(m)`.
    ///
    /// # Errors
    /// Of the file that holds the rows.
    pub fn element(&self, a: usize, b: usize) -> io::Result<f64> {
        let (left, right) = (self.rows.columns_at(a..a + 1)?, self.rows.columns_at(b..b + 1)?);
        let own = if a == b { 1.0 / self.damping } else { 0.0 };
        Ok(own - dot(&left, &right))
    }

    /// `F⁻¹x`: `O(dm)`.
    ///
    /// # Errors
    /// Of the file that holds the rows.
    pub fn product(&self, x: &[f64]) -> io::Result<Vec<f64>> {
        let back = self.rows.transposed_times(&self.rows.times(x)?)?;
        Ok(x.iter().zip(back).map(|(x, b)| x / self.damping - b).collect())
    }
}
