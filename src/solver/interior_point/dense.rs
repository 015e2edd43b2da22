//! Dense symmetric matrices: passes over memory, by columns, on all threads.

use std::array;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltParams, LltRegularization, cholesky_in_place, cholesky_in_place_scratch};
use faer::{Mat, MatMut, Par, Spec};
use rayon::prelude::*;

use super::pool::{Lent, Pool};
use crate::kernel::sound::gram::dot;

/// Threads of the matrix products.
#[allow(non_upper_case_globals)]
pub const PARALLEL: fn() -> Par = faer::get_global_parallelism;

/// Columns of a transposed matrix that are filled together.
const TILE: usize = 32;
/// Side of what is transposed in registers.
const SQUARE: usize = 8;

/// The columns of a matrix as slices, in parallel.
pub fn columns_mut(matrix: MatMut<'_, f64>) -> impl IndexedParallelIterator<Item = (usize, &mut [f64])> {
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    let slices: Vec<&mut [f64]> =
        matrix.col_iter_mut().map(|column| column.try_as_col_major_mut().map_or(&mut [][..], |c| c.as_slice_mut())).collect();
    debug_assert!(slices.len() == columns && slices.iter().all(|slice| slice.len() == rows));
    slices.into_par_iter().enumerate()
}

/// `Σ a_ij·b_ij`.
pub fn inner(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    (0..a.ncols()).into_par_iter().map(|j| dot(a.col_as_slice(j), b.col_as_slice(j))).sum()
}

pub fn transposed<'a>(matrix: &Mat<f64>, pool: &'a Pool) -> Lent<'a> {
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    let mut result = pool.take(columns, rows);
    let sources: Vec<&[f64]> = (0..columns).map(|j| matrix.col_as_slice(j)).collect();
    let mut targets: Vec<&mut [f64]> = columns_mut(result.as_mut()).map(|(_, target)| target).collect();
    targets.par_chunks_mut(TILE).enumerate().for_each(|(chunk, targets)| {
        for (j, sources) in sources.chunks(SQUARE).enumerate().map(|(block, sources)| (block * SQUARE, sources)) {
            for (i, targets) in targets.chunks_mut(SQUARE).enumerate().map(|(i, targets)| (chunk * TILE + i * SQUARE, targets)) {
                transpose_square(sources, i, targets, j);
            }
        }
    });
    result
}

/// Entries `row..` of the sources, as many as there are targets, into entries `column..` of the targets.
fn transpose_square(sources: &[&[f64]], row: usize, targets: &mut [&mut [f64]], column: usize) {
    if sources.len() == SQUARE && targets.len() == SQUARE {
        // Of known lengths: no checks, no copies.
        let square: [&[f64; SQUARE]; SQUARE] = array::from_fn(|j| sources[j][row..].first_chunk().unwrap_or(&[0.0; SQUARE]));
        for (i, target) in targets.iter_mut().enumerate() {
            if let Some(target) = target[column..].first_chunk_mut::<SQUARE>() {
                (0..SQUARE).for_each(|j| target[j] = square[j][i]);
            }
        }
        return;
    }
    for (i, target) in targets.iter_mut().enumerate() {
        target[column..column + sources.len()].iter_mut().zip(sources).for_each(|(t, source)| *t = source[row + i]);
    }
}

/// `A += factor·B`.
pub fn add_scaled(matrix: &mut Mat<f64>, factor: f64, other: &Mat<f64>) {
    columns_mut(matrix.as_mut()).for_each(|(j, column)| {
        column.iter_mut().zip(other.col_as_slice(j)).for_each(|(a, b)| *a += factor * b);
    });
}

/// The lower triangle of `A + step·B` into that of `target`.
pub fn move_lower(target: &mut Mat<f64>, matrix: &Mat<f64>, step: f64, change: &Mat<f64>) {
    columns_mut(target.as_mut()).for_each(|(j, column)| {
        let moved = matrix.col_as_slice(j)[j..].iter().zip(&change.col_as_slice(j)[j..]);
        column[j..].iter_mut().zip(moved).for_each(|(t, (a, b))| *t = a + step * b);
    });
}

/// Copies a lower triangle.
pub fn copy_lower(target: &mut Mat<f64>, matrix: &Mat<f64>) {
    columns_mut(target.as_mut()).for_each(|(j, column)| column[j..].copy_from_slice(&matrix.col_as_slice(j)[j..]));
}

/// Turns a lower triangle into that of its Cholesky factor; `None` where a pivot is not a positive number.
pub fn cholesky(mut matrix: MatMut<f64>, threads: Par) -> Option<()> {
    let order = matrix.nrows();
    let parameters = Spec::<LltParams, f64>::default();
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(order, threads, parameters));
    let stack = MemStack::new(&mut memory);
    cholesky_in_place(matrix.as_mut(), LltRegularization::default(), threads, stack, parameters).ok()?;
    (0..order).all(|i| matrix[(i, i)] > 0.0 && matrix[(i, i)].is_finite()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposition_holds_for_whole_squares_and_for_what_is_left() {
        for (rows, columns) in [(1, 1), (SQUARE, SQUARE), (TILE + 3, 2 * SQUARE), (5, TILE + SQUARE), (41, 67)] {
            let matrix = Mat::from_fn(rows, columns, |i, j| (100 * i + j) as f64);
            let pool = Pool::default();
            assert_eq!(*transposed(&matrix, &pool), matrix.transpose().to_owned(), "{rows} × {columns}");
        }
    }
}
