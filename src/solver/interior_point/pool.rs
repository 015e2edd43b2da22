//! Matrices that are no longer needed, kept for those that will be: an iteration makes dozens of the same few shapes, and
//! memory that is fresh from the system costs more than a pass over it.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use faer::Mat;

#[derive(Default)]
pub struct Pool {
    free: Mutex<Vec<Mat<f64>>>,
}

/// A matrix that goes back to its pool.
pub struct Lent<'a> {
    matrix: Mat<f64>,
    pool: &'a Pool,
}

impl Pool {
    /// A matrix whose entries mean nothing.
    pub fn take(&self, rows: usize, columns: usize) -> Lent<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let found = free.iter().position(|matrix| (matrix.nrows(), matrix.ncols()) == (rows, columns));
        let matrix = found.map(|at| free.swap_remove(at));
        drop(free);
        Lent { matrix: matrix.unwrap_or_else(|| Mat::zeros(rows, columns)), pool: self }
    }

    pub fn zeros(&self, rows: usize, columns: usize) -> Lent<'_> {
        let mut matrix = self.take(rows, columns);
        matrix.fill(0.0);
        matrix
    }
}

impl Deref for Lent<'_> {
    type Target = Mat<f64>;

    fn deref(&self) -> &Mat<f64> {
        &self.matrix
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Mat<f64> {
        &mut self.matrix
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let matrix = std::mem::replace(&mut self.matrix, Mat::new());
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(matrix);
    }
}
