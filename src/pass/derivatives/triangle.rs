//! The lower triangle of a symmetric matrix by columns of blocks, in half of the matrix's memory: beside gradients that are
//! not much longer than they are many, a whole one would be felt.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

/// Columns of a block; the last may have fewer.
pub const BLOCK: usize = 64;

/// A symmetric matrix, or a lower triangular one.
pub struct Triangle {
    order: usize,
    /// Block b holds columns from `b·BLOCK` on, each from row `b·BLOCK` down; what stands above the diagonal means nothing.
    blocks: Vec<Mat<f64>>,
}

impl Triangle {
    #[must_use]
    pub fn zeros(order: usize) -> Self {
        let block = |first: usize| Mat::zeros(order - first, BLOCK.min(order - first));
        Self { order, blocks: (0..order).step_by(BLOCK).map(block).collect() }
    }

    #[must_use]
    pub const fn order(&self) -> usize {
        self.order
    }

    /// From left to right.
    #[must_use]
    pub fn blocks(&self) -> &[Mat<f64>] {
        &self.blocks
    }

    pub fn blocks_mut(&mut self) -> &mut [Mat<f64>] {
        &mut self.blocks
    }

    /// The entry of row i and column j ≤ i.
    #[must_use]
    pub fn at(&self, i: usize, j: usize) -> f64 {
        let block = j / BLOCK;
        self.blocks[block][(i - block * BLOCK, j - block * BLOCK)]
    }

    #[must_use]
    pub fn diagonal(&self) -> Vec<f64> {
        (0..self.order).map(|i| self.at(i, i)).collect()
    }

    /// Adds `R·Rᵀ`; blocks in parallel.
    pub fn add_gram(&mut self, rows: MatRef<f64>) {
        self.blocks.par_iter_mut().enumerate().for_each(|(index, block)| {
            let width = block.ncols();
            let rows = rows.subrows(index * BLOCK, block.nrows());
            let (own, below) = (rows.subrows(0, width), rows.subrows(width, rows.nrows() - width));
            let (mut top, mut rest) = block.as_mut().split_at_row_mut(width);
            triangular::matmul(
                top.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Add,
                own,
                BlockStructure::Rectangular,
                own.transpose(),
                BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
            matmul(rest.as_mut(), Accum::Add, below, own.transpose(), 1.0, Par::Seq);
        });
    }

    pub fn add(&mut self, other: &Self) {
        self.blocks.iter_mut().zip(&other.blocks).for_each(|(block, other)| *block += other);
    }

    /// The symmetric matrix, both triangles.
    #[must_use]
    pub fn symmetric(&self) -> Mat<f64> {
        Mat::from_fn(self.order, self.order, |i, j| self.at(i.max(j), i.min(j)))
    }

    /// The lower triangular matrix.
    #[must_use]
    pub fn lower(&self) -> Mat<f64> {
        Mat::from_fn(self.order, self.order, |i, j| if i < j { 0.0 } else { self.at(i, j) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_squares_agree_with_the_definition() {
        for order in [1, BLOCK, 2 * BLOCK + 37] {
            let rows = Mat::from_fn(order, 20, |i, j| ((i * 7 + j * j) as f64 * 0.37).sin());
            let mut triangle = Triangle::zeros(order);
            triangle.add_gram(rows.subcols(0, 11));
            let mut other = Triangle::zeros(order);
            other.add_gram(rows.subcols(11, 9));
            triangle.add(&other);
            let (expected, found) = (&rows * rows.transpose(), triangle.symmetric());
            for (i, j) in (0..order).flat_map(|i| (0..order).map(move |j| (i, j))) {
                assert!((found[(i, j)] - expected[(i, j)]).abs() < 1e-12, "{i} {j}");
                assert_eq!(triangle.lower()[(i, j)], if i < j { 0.0 } else { found[(i, j)] });
            }
        }
    }
}
