//! Dense symmetric matrices: passes over memory, by columns, on all threads.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltParams, LltRegularization, cholesky_in_place, cholesky_in_place_scratch};
use faer::{Mat, Par, Spec};
use rayon::prelude::*;

use crate::sound::gram::dot;

/// Threads of the matrix products.
#[allow(non_upper_case_globals)]
pub const PARALLEL: fn() -> Par = faer::get_global_parallelism;

/// Columns and rows of a tile of a transposition.
const TILE: usize = 32;

/// The columns of a matrix as slices, in parallel.
pub fn columns_mut(matrix: &mut Mat<f64>) -> impl IndexedParallelIterator<Item = (usize, &mut [f64])> {
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    let slices: Vec<&mut [f64]> = matrix
        .as_mut()
        .col_iter_mut()
        .map(|column| column.try_as_col_major_mut().map_or(&mut [][..], |c| c.as_slice_mut()))
        .collect();
    debug_assert!(slices.len() == columns && slices.iter().all(|slice| slice.len() == rows));
    slices.into_par_iter().enumerate()
}

/// `Σ a_ij·b_ij`.
pub fn inner(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    (0..a.ncols()).into_par_iter().map(|j| dot(a.col_as_slice(j), b.col_as_slice(j))).sum()
}

pub fn transposed(matrix: &Mat<f64>) -> Mat<f64> {
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    let mut result = Mat::zeros(columns, rows);
    let mut targets: Vec<(usize, &mut [f64])> = columns_mut(&mut result).collect();
    targets.par_chunks_mut(TILE).for_each(|chunk| {
        for block in (0..columns).step_by(TILE) {
            for j in block..(block + TILE).min(columns) {
                let source = matrix.col_as_slice(j);
                for (i, target) in &mut *chunk {
                    target[j] = source[*i];
                }
            }
        }
    });
    result
}

/// `(A + Aᵀ)/2`.
pub fn symmetric(matrix: &Mat<f64>) -> Mat<f64> {
    let mut result = transposed(matrix);
    columns_mut(&mut result).for_each(|(j, column)| {
        column.iter_mut().zip(matrix.col_as_slice(j)).for_each(|(t, a)| *t = 0.5 * (*t + a));
    });
    result
}

/// `A + step·B`.
pub fn moved(matrix: &Mat<f64>, change: &Mat<f64>, step: f64) -> Mat<f64> {
    let mut result = matrix.clone();
    columns_mut(&mut result).for_each(|(j, column)| {
        column.iter_mut().zip(change.col_as_slice(j)).for_each(|(r, c)| *r += step * c);
    });
    result
}

/// The lower Cholesky factor of the lower triangle of a matrix, or `None` where a pivot is not a positive number.
pub fn cholesky(mut matrix: Mat<f64>, threads: Par) -> Option<Mat<f64>> {
    let order = matrix.nrows();
    let parameters = Spec::<LltParams, f64>::default();
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(order, threads, parameters));
    let stack = MemStack::new(&mut memory);
    cholesky_in_place(matrix.as_mut(), LltRegularization::default(), threads, stack, parameters).ok()?;
    (0..order).all(|i| matrix[(i, i)] > 0.0 && matrix[(i, i)].is_finite()).then_some(matrix)
}
