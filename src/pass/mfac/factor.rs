//! A Gram matrix and the factor that is made of it, in the memory of one matrix: beside gradients that are not much longer
//! than they are many, a second one would be felt.

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, ColMut, Mat, MatRef, Par, Side};

use super::inverse::InverseError;

/// Columns that are factored at once.
const BLOCK: usize = 128;

/// `K` of order m, and the lower Cholesky factor `L` of `M = mI + K/λ`.
pub struct Factor {
    /// `L` on and below the diagonal, `K` above it.
    matrix: Mat<f64>,
    /// Of `K`.
    diagonal: Vec<f64>,
}

impl Factor {
    /// From the lower triangle of `K`.
    ///
    /// # Errors
    /// [`InverseError::NotDefinite`].
    pub fn new(mut gram: Mat<f64>, damping: f64) -> Result<Self, InverseError> {
        let refused = || InverseError::NotDefinite { damping };
        let m = gram.nrows();
        let diagonal: Vec<f64> = (0..m).map(|i| gram[(i, i)]).collect();
        for j in 0..m {
            gram[(j, j)] = diagonal[j] / damping + m as f64;
            for i in j + 1..m {
                gram[(j, i)] = gram[(i, j)];
                gram[(i, j)] /= damping;
            }
        }
        // A factorisation of NaN does not fail.
        if !(0..m).all(|j| (j..m).all(|i| gram[(i, j)].is_finite())) {
            return Err(refused());
        }
        for first in (0..m).step_by(BLOCK) {
            factor_block(&mut gram, first).ok_or_else(refused)?;
        }
        Ok(Self { matrix: gram, diagonal })
    }

    /// `K_ij`.
    #[must_use]
    pub fn gram(&self, i: usize, j: usize) -> f64 {
        if i == j { self.diagonal[i] } else { self.matrix[(i.min(j), i.max(j))] }
    }

    /// The diagonal of `K`.
    #[must_use]
    pub fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    /// A matrix whose lower triangle is `L`.
    #[must_use]
    pub fn lower(&self) -> MatRef<'_, f64> {
        self.matrix.as_ref()
    }

    /// `M⁻¹a`.
    #[must_use]
    pub fn solve(&self, a: &[f64]) -> Vec<f64> {
        let mut solution = a.to_vec();
        solve_lower_triangular_in_place(self.lower(), ColMut::from_slice_mut(&mut solution).as_mat_mut(), Par::Seq);
        solve_upper_triangular_in_place(self.lower().transpose(), ColMut::from_slice_mut(&mut solution).as_mat_mut(), Par::Seq);
        solution
    }
}

/// Columns of `L` from `first` on, those before being there. Nothing above the diagonal is touched, which a library's routine
/// takes as room to work in.
fn factor_block(matrix: &mut Mat<f64>, first: usize) -> Option<()> {
    let (m, threads) = (matrix.nrows(), faer::get_global_parallelism());
    let width = BLOCK.min(m - first);
    let (done, mut rest) = matrix.as_mut().split_at_col_mut(first);
    let done = done.as_ref();
    let of_block = done.subrows(first, width);
    let mut block = rest.as_ref().submatrix(first, 0, width, width).to_owned();
    matmul(block.as_mut(), Accum::Add, of_block, of_block.transpose(), -1.0, threads);
    let block = block.llt(Side::Lower).ok()?;
    // Products that overflow leave NaN, which does not fail.
    if !(0..width).all(|j| block.L()[(j, j)] > 0.0 && block.L()[(j, j)].is_finite()) {
        return None;
    }
    for j in 0..width {
        (j..width).for_each(|i| rest[(first + i, j)] = block.L()[(i, j)]);
    }
    let mut below = rest.submatrix_mut(first + width, 0, m - first - width, width);
    let of_below = done.subrows(first + width, m - first - width);
    matmul(below.as_mut(), Accum::Add, of_below, of_block.transpose(), -1.0, threads);
    solve_lower_triangular_in_place(block.L(), below.transpose_mut(), threads);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gram_matrix_outlives_its_factor() {
        let (m, damping) = (2 * BLOCK + 37, 0.3);
        let rows = Mat::from_fn(m, 40, |i, j| ((i * 7 + j * j) as f64 * 0.37).sin());
        let gram = &rows * rows.transpose();
        let factor = Factor::new(gram.clone(), damping).unwrap();
        let a: Vec<f64> = (0..m).map(|i| (i as f64 * 1.3).cos()).collect();
        let x = factor.solve(&a);
        for i in 0..m {
            let product: f64 = (0..m).map(|j| gram[(i, j)] * x[j]).sum();
            assert!((product / damping + m as f64 * x[i] - a[i]).abs() < 1e-10, "{i}");
            (0..m).for_each(|j| assert_eq!(factor.gram(i, j), if i < j { gram[(j, i)] } else { gram[(i, j)] }));
        }
        assert_eq!(factor.diagonal().len(), m);
    }

    #[test]
    fn what_is_not_positive_definite_is_refused() {
        let refused =
            |value: f64| matches!(Factor::new(Mat::from_fn(2, 2, |_, _| value), 1e-3), Err(InverseError::NotDefinite { .. }));
        assert!(refused(-1.0) && refused(f64::NAN) && refused(f64::INFINITY) && !refused(1.0));
    }
}
