//! The factor that is made of a Gram matrix, in its memory.

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, ColMut, Mat, MatMut, Par, Side};

use super::inverse::InverseError;
use crate::pass::derivatives::{BLOCK, Triangle};

/// The lower Cholesky factor `L` of `M = mI + K/λ`, and the diagonal of `K`, of order m.
pub struct Factor {
    lower: Triangle,
    diagonal: Vec<f64>,
}

impl Factor {
    /// From `K`.
    ///
    /// # Errors
    /// [`InverseError::NotDefinite`].
    pub fn new(gram: Triangle, damping: f64) -> Result<Self, InverseError> {
        let refused = || InverseError::NotDefinite { damping };
        let (m, diagonal, mut lower) = (gram.order(), gram.diagonal(), gram);
        for block in lower.blocks_mut() {
            for j in 0..block.ncols() {
                let entries = &mut block.col_as_slice_mut(j)[j..];
                entries.iter_mut().for_each(|entry| *entry /= damping);
                entries[0] += m as f64;
                // A factorisation of NaN does not fail.
                if !entries.iter().all(|entry| entry.is_finite()) {
                    return Err(refused());
                }
            }
        }
        for index in 0..lower.blocks().len() {
            let (done, rest) = lower.blocks_mut().split_at_mut(index);
            factor_block(done, &mut rest[0]).ok_or_else(refused)?;
        }
        Ok(Self { lower, diagonal })
    }

    /// The diagonal of `K`.
    #[must_use]
    pub fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    /// `L`.
    #[must_use]
    pub const fn lower(&self) -> &Triangle {
        &self.lower
    }

    /// `M⁻¹a`.
    #[must_use]
    pub fn solve(&self, a: &[f64]) -> Vec<f64> {
        let mut solution = a.to_vec();
        self.solve_in_place(ColMut::from_slice_mut(&mut solution).as_mat_mut(), Par::Seq);
        solution
    }

    /// `A ← M⁻¹A`.
    pub fn solve_in_place(&self, mut right: MatMut<f64>, threads: Par) {
        self.solve_lower_in_place(right.as_mut(), threads);
        for (index, block) in self.lower.blocks().iter().enumerate().rev() {
            let (top, below) = block.split_at_row(block.ncols());
            let (_, rest) = right.as_mut().split_at_row_mut(index * BLOCK);
            let (mut own, rest) = rest.split_at_row_mut(block.ncols());
            matmul(own.as_mut(), Accum::Add, below.transpose(), rest.as_ref(), -1.0, threads);
            solve_upper_triangular_in_place(top.transpose(), own, threads);
        }
    }

    /// `A ← L⁻¹A`.
    pub fn solve_lower_in_place(&self, mut right: MatMut<f64>, threads: Par) {
        for (index, block) in self.lower.blocks().iter().enumerate() {
            let (top, below) = block.split_at_row(block.ncols());
            let (_, rest) = right.as_mut().split_at_row_mut(index * BLOCK);
            let (mut own, rest) = rest.split_at_row_mut(block.ncols());
            solve_lower_triangular_in_place(top, own.as_mut(), threads);
            matmul(rest, Accum::Add, below, own.as_ref(), -1.0, threads);
        }
    }
}

/// A block of `L` out of that of `M`; those before it are there.
fn factor_block(done: &[Mat<f64>], block: &mut Mat<f64>) -> Option<()> {
    let threads = faer::get_global_parallelism();
    let width = block.ncols();
    for (left, known) in done.iter().enumerate() {
        let rows = known.subrows((done.len() - left) * BLOCK, block.nrows());
        matmul(block.as_mut(), Accum::Add, rows, rows.subrows(0, width).transpose(), -1.0, threads);
    }
    let (mut top, below) = block.as_mut().split_at_row_mut(width);
    let factor = top.as_ref().llt(Side::Lower).ok()?;
    // Products that overflow leave NaN, which does not fail.
    if !(0..width).all(|j| factor.L()[(j, j)] > 0.0 && factor.L()[(j, j)].is_finite()) {
        return None;
    }
    top.copy_from(factor.L());
    solve_lower_triangular_in_place(factor.L(), below.transpose_mut(), threads);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gram(rows: &Mat<f64>) -> Triangle {
        let mut gram = Triangle::zeros(rows.nrows());
        gram.add_gram(rows.as_ref());
        gram
    }

    #[test]
    fn solutions_agree_with_the_definition() {
        for (m, damping) in [(1, 2.0), (BLOCK, 0.1), (2 * BLOCK + 37, 0.3)] {
            let rows = Mat::from_fn(m, 40, |i, j| ((i * 7 + j * j) as f64 * 0.37).sin());
            let gram = gram(&rows);
            let matrix = gram.symmetric();
            let factor = Factor::new(gram, damping).unwrap();
            let a: Vec<f64> = (0..m).map(|i| (i as f64 * 1.3).cos()).collect();
            let x = factor.solve(&a);
            for i in 0..m {
                let product: f64 = (0..m).map(|j| matrix[(i, j)] * x[j]).sum();
                assert!((product / damping + m as f64 * x[i] - a[i]).abs() < 1e-10, "{i}");
                assert_eq!(factor.diagonal()[i], matrix[(i, i)]);
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_refused() {
        let refused = |value: f64| {
            let mut gram = Triangle::zeros(2);
            gram.blocks_mut()[0] = Mat::from_fn(2, 2, |_, _| value);
            matches!(Factor::new(gram, 1e-3), Err(InverseError::NotDefinite { .. }))
        };
        assert!(refused(-1.0) && refused(f64::NAN) && refused(f64::INFINITY) && !refused(1.0));
    }
}
