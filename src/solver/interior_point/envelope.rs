//! Symmetric matrices with a block envelope: in the rows of a block nothing stands left of some earlier block. A Cholesky
//! factor keeps the envelope, so a chain of layers, whose matrix is block tridiagonal, never pays for a dense one.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::dense::{PARALLEL, cholesky, columns_mut, transposed};
use super::pool::{Lent, Pool};

/// An envelope that covers more than this share of the matrix is not worth its smaller products.
const WORTH: f64 = 0.6;

/// The block rows of a symmetric matrix and how far to the left each reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    order: usize,
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    rows: Range<usize>,
    /// The first coordinate that these rows couple with; the start of a block.
    reach: usize,
}

impl Envelope {
    /// Of a matrix of which only coordinates within the two ranges of a coupling meet; `starts` are the first coordinates of the
    /// blocks, zero first. One block of everything where the envelope would cover most of the matrix.
    pub fn new(order: usize, starts: &[usize], couplings: &[[Range<usize>; 2]]) -> Self {
        let ends = starts.iter().skip(1).copied().chain([order]);
        let rows = starts.iter().copied().zip(ends).map(|(start, end)| start..end).filter(|rows| !rows.is_empty());
        let mut blocks: Vec<Block> = rows.map(|rows| Block { reach: rows.start, rows }).collect();
        for coupling in couplings {
            let meets = |block: &Block| coupling.iter().any(|range| range.start < block.rows.end && block.rows.start < range.end);
            let Some(first) = blocks.iter().find(|block| meets(block)).map(|block| block.rows.start) else { continue };
            blocks.iter_mut().filter(|block| meets(block)).for_each(|block| block.reach = block.reach.min(first));
        }
        let envelope = Self { order, blocks };
        if envelope.area() < WORTH * (order * order) as f64 { envelope } else { Self::full(order) }
    }

    fn full(order: usize) -> Self {
        Self { order, blocks: vec![Block { rows: 0..order, reach: 0 }] }
    }

    pub const fn is_full(&self) -> bool {
        self.blocks.len() == 1
    }

    /// Entries within the envelope, both triangles.
    fn area(&self) -> f64 {
        let of_block = |block: &Block| (block.rows.len() * (block.rows.len() + 2 * (block.rows.start - block.reach))) as f64;
        self.blocks.iter().map(of_block).sum()
    }

    /// Turns the lower triangle of a matrix within the envelope into that of its Cholesky factor; `None` where a pivot is not
    /// a positive number. What stands above the diagonal blocks is neither read nor changed.
    pub fn cholesky(&self, matrix: &mut Mat<f64>, threads: Par) -> Option<()> {
        if self.is_full() {
            return cholesky(matrix.as_mut(), threads);
        }
        for (k, block) in self.blocks.iter().enumerate() {
            let (own, reach) = (&block.rows, block.reach);
            // The row of blocks left of the diagonal.
            let mut row = matrix.submatrix(own.start, reach, own.len(), own.start - reach).to_owned();
            for left in self.blocks[..k].iter().filter(|left| left.rows.start >= reach) {
                let (done, rest) = row.as_mut().split_at_col_mut(left.rows.start - reach);
                let mut target = rest.subcols_mut(0, left.rows.len());
                let common = left.reach.max(reach);
                let known = matrix.submatrix(left.rows.start, common, left.rows.len(), left.rows.start - common);
                subtract(
                    target.as_mut(),
                    done.as_ref().subcols(common - reach, left.rows.start - common),
                    known.transpose(),
                    threads,
                );
                solve_lower_triangular_in_place(diagonal(matrix, left), target.transpose_mut(), threads);
            }
            matrix.as_mut().submatrix_mut(own.start, reach, own.len(), row.ncols()).copy_from(&row);
            let mut pivot = matrix.as_mut().submatrix_mut(own.start, own.start, own.len(), own.len());
            subtract(pivot.as_mut(), row.as_ref(), row.transpose(), threads);
            cholesky(pivot, threads)?;
        }
        Some(())
    }

    /// The inverse from a lower Cholesky factor.
    pub fn inverse<'a>(&self, factor: &Mat<f64>, pool: &'a Pool) -> Lent<'a> {
        // The inverse of the factor first; then, from the last rows to the first, that of the matrix.
        let mut result = pool.zeros(self.order, self.order);
        if self.is_full() {
            inverse_of_full(factor, &mut result, pool);
        } else {
            for block in &self.blocks {
                let (own, reach) = (&block.rows, block.reach);
                let (above, below) = result.as_mut().split_at_row_mut(own.start);
                let mut rows = below.subrows_mut(0, own.len());
                let known = above.as_ref().submatrix(reach, 0, own.start - reach, own.start);
                let coupling = factor.submatrix(own.start, reach, own.len(), own.start - reach);
                subtract(rows.as_mut().subcols_mut(0, own.start), coupling, known, PARALLEL());
                rows.as_mut().subcols_mut(own.start, own.len()).diagonal_mut().fill(1.0);
                solve_lower_triangular_in_place(diagonal(factor, block), rows.subcols_mut(0, own.end), PARALLEL());
            }
            for (k, block) in self.blocks.iter().enumerate().rev() {
                let own = &block.rows;
                let (above, below) = result.as_mut().split_at_row_mut(own.end);
                let mut rows = above.subrows_mut(own.start, own.len()).subcols_mut(0, own.end);
                for later in self.blocks[k + 1..].iter().filter(|later| later.reach <= own.start) {
                    let known = below.as_ref().submatrix(later.rows.start - own.end, 0, later.rows.len(), own.end);
                    let coupling = factor.submatrix(later.rows.start, own.start, later.rows.len(), own.len());
                    subtract(rows.as_mut(), coupling.transpose(), known, PARALLEL());
                }
                solve_upper_triangular_in_place(diagonal(factor, block).transpose(), rows, PARALLEL());
            }
        }
        // Only the lower triangle is right.
        let lower = transposed(&result, pool);
        columns_mut(result.as_mut()).for_each(|(j, column)| column[..j].copy_from_slice(&lower.col_as_slice(j)[..j]));
        result
    }

    /// `M·Z⁻¹`, from a lower Cholesky factor of `Z` and the inverse itself, whichever is the cheaper way.
    pub fn divide<'a>(&self, left: Lent<'a>, factor: &Mat<f64>, inverse: &Mat<f64>, pool: &'a Pool) -> Lent<'a> {
        if self.is_full() {
            let mut product = pool.take(left.nrows(), left.ncols());
            matmul(product.as_mut(), Accum::Replace, left.as_ref(), inverse, 1.0, PARALLEL());
            return product;
        }
        let mut result = left;
        for block in &self.blocks {
            let (own, reach) = (&block.rows, block.reach);
            let (done, rest) = result.as_mut().split_at_col_mut(own.start);
            let mut columns = rest.subcols_mut(0, own.len());
            let coupling = factor.submatrix(own.start, reach, own.len(), own.start - reach);
            subtract(columns.as_mut(), done.as_ref().subcols(reach, own.start - reach), coupling.transpose(), PARALLEL());
            solve_lower_triangular_in_place(diagonal(factor, block), columns.transpose_mut(), PARALLEL());
        }
        for (k, block) in self.blocks.iter().enumerate().rev() {
            let own = &block.rows;
            let (rest, done) = result.as_mut().split_at_col_mut(own.end);
            let mut columns = rest.subcols_mut(own.start, own.len());
            for later in self.blocks[k + 1..].iter().filter(|later| later.reach <= own.start) {
                let coupling = factor.submatrix(later.rows.start, own.start, later.rows.len(), own.len());
                let known = done.as_ref().subcols(later.rows.start - own.end, later.rows.len());
                subtract(columns.as_mut(), known, coupling, PARALLEL());
            }
            solve_upper_triangular_in_place(diagonal(factor, block).transpose(), columns.transpose_mut(), PARALLEL());
        }
        result
    }
}

/// `target − left·right`.
fn subtract(target: MatMut<f64>, left: MatRef<f64>, right: MatRef<f64>, threads: Par) {
    if left.ncols() > 0 {
        matmul(target, Accum::Add, left, right, -1.0, threads);
    }
}

fn diagonal<'a>(matrix: &'a Mat<f64>, block: &Block) -> MatRef<'a, f64> {
    matrix.submatrix(block.rows.start, block.rows.start, block.rows.len(), block.rows.len())
}

/// The lower triangle of `L⁻ᵀL⁻¹`.
fn inverse_of_full(factor: &Mat<f64>, result: &mut Mat<f64>, pool: &Pool) {
    use faer::linalg::matmul::triangular::{BlockStructure, matmul};
    let mut of_factor = pool.zeros(factor.nrows(), factor.ncols());
    invert_lower_triangular(of_factor.as_mut(), factor.as_ref(), PARALLEL());
    matmul(
        result.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Replace,
        of_factor.transpose(),
        BlockStructure::TriangularUpper,
        of_factor.as_ref(),
        BlockStructure::TriangularLower,
        1.0,
        PARALLEL(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A positive definite matrix whose entries outside the envelope vanish.
    fn matrix(envelope: &Envelope) -> Mat<f64> {
        let block_of = |i: usize| envelope.blocks.iter().find(|block| block.rows.contains(&i)).unwrap();
        Mat::from_fn(envelope.order, envelope.order, |i, j| {
            let (low, high) = (i.min(j), i.max(j));
            let wave = (1.0 + (7 * low + 13 * high) as f64).sin();
            if i == j {
                30.0 + wave
            } else if block_of(high).reach <= low {
                wave
            } else {
                0.0
            }
        })
    }

    fn largest(matrix: &Mat<f64>) -> f64 {
        (0..matrix.ncols()).flat_map(|j| matrix.col_as_slice(j)).fold(0.0, |max: f64, entry| max.max(entry.abs()))
    }

    #[test]
    fn factors_inverses_and_quotients_are_those_of_the_dense_matrix() {
        let chain = Envelope::new(22, &[0, 3, 9, 13, 18], &[[0..3, 3..9], [3..9, 9..13], [9..13, 13..18], [13..22, 13..22]]);
        // The third block also meets the first: a skip.
        let skip = Envelope::new(
            36,
            &[0, 6, 12, 18, 24, 30],
            &[[0..12, 0..12], [0..6, 12..18], [13..24, 13..24], [20..30, 20..30], [24..36, 24..36]],
        );
        assert_eq!(skip.blocks[2].reach, 0);
        assert_eq!(chain.blocks.iter().map(|block| block.reach).collect::<Vec<_>>(), [0, 0, 3, 9, 13]);
        for envelope in [chain, skip, Envelope::full(9)] {
            let z = matrix(&envelope);
            let mut factor = z.clone();
            envelope.cholesky(&mut factor, Par::Seq).unwrap();
            let lower = Mat::from_fn(z.nrows(), z.ncols(), |i, j| if i >= j { factor[(i, j)] } else { 0.0 });
            assert!(largest(&(&lower * lower.transpose() - &z)) < 1e-12);
            let pool = Pool::default();
            let inverse = envelope.inverse(&factor, &pool);
            assert!(largest(&(&*inverse * &z - Mat::<f64>::identity(z.nrows(), z.ncols()))) < 1e-12);
            let left = Mat::from_fn(z.nrows(), z.ncols(), |i, j| (i as f64 - 2.0 * j as f64).cos());
            let mut numerator = pool.take(z.nrows(), z.ncols());
            numerator.copy_from(&left);
            let quotient = envelope.divide(numerator, &factor, &inverse, &pool);
            assert!(largest(&(&*quotient * &z - &left)) < 1e-11);
        }
    }

    #[test]
    fn an_indefinite_matrix_has_no_factor() {
        let envelope = Envelope::new(10, &[0, 2, 4, 6, 8], &[[0..4, 0..4], [2..6, 2..6], [4..8, 4..8], [6..10, 6..10]]);
        assert!(!envelope.is_full());
        let mut z = matrix(&envelope);
        z[(5, 5)] = -1.0;
        assert!(envelope.cholesky(&mut z.clone(), Par::Seq).is_none());
        z[(5, 5)] = f64::NAN;
        assert!(envelope.cholesky(&mut z, Par::Seq).is_none());
    }

    #[test]
    fn a_wide_envelope_is_one_block() {
        assert!(Envelope::new(12, &[0, 4, 8], &[[0..8, 0..8], [4..12, 4..12]]).is_full());
    }
}
