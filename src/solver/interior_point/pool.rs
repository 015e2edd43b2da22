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
        let matrix = self.reused(rows, columns).unwrap_or_else(|| Mat::zeros(rows, columns));
        Lent { matrix, pool: self }
    }

    pub fn zeros(&self, rows: usize, columns: usize) -> Lent<'_> {
        let cleared = self.reused(rows, columns).map(|mut matrix| {
            matrix.fill(0.0);
            matrix
        });
        Lent { matrix: cleared.unwrap_or_else(|| Mat::zeros(rows, columns)), pool: self }
    }

    fn reused(&self, rows: usize, columns: usize) -> Option<Mat<f64>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let found = free.iter().position(|matrix| (matrix.nrows(), matrix.ncols()) == (rows, columns))?;
        Some(free.swap_remove(found))
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
