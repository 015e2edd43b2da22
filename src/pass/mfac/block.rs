//! The blocked inverse: parameters in independent blocks of consecutive coordinates.

use faer::linalg::solvers::{DenseSolveCore, Llt, Solve};
use faer::{ColMut, Mat, MatRef, Side};

use super::factor::Factor;
use super::inverse::InverseError;
use crate::pass::derivatives::{Panels, Triangle, dot};

/// `F⁻¹` for the block diagonal of `F`. A block of at most m coordinates is inverted itself, a longer one through its
/// gradients.
pub struct BlockInverse {
    blocks: Vec<Block>,
    size: usize,
    dimension: usize,
}

enum Block {
    /// The factor of `λI + (1/m)G_bᵀG_b`.
    Primal(Llt<f64>),
    /// The block's gradients, row by row, and the factor of `mI + G_bG_bᵀ/λ`.
    Dual { gradients: Vec<f64>, factor: Factor, damping: f64 },
}

impl BlockInverse {
    /// # Errors
    /// [`InverseError`].
    pub fn new(gradients: &Panels, damping: f64, size: usize) -> Result<Self, InverseError> {
        if !(damping > 0.0 && damping.is_finite()) {
            return Err(InverseError::Damping(damping));
        }
        let (m, d) = (gradients.rows(), gradients.columns());
        if m == 0 || size == 0 {
            return Err(InverseError::Empty);
        }
        let block = |start: usize| -> Result<Block, InverseError> {
            let width = size.min(d - start);
            let own = gradients.columns_at(start..start + width)?;
            let rows = MatRef::from_row_major_slice(&own, m, width);
            if width <= m {
                let product = rows.transpose() * rows;
                let matrix = Mat::from_fn(width, width, |i, j| product[(i, j)] / m as f64 + if i == j { damping } else { 0.0 });
                let cholesky = matrix.llt(Side::Lower).map_err(|_| InverseError::NotDefinite { damping })?;
                Ok(Block::Primal(cholesky))
            } else {
                let mut gram = Triangle::zeros(m);
                gram.add_gram(rows);
                let factor = Factor::new(gram, damping)?;
                Ok(Block::Dual { gradients: own, factor, damping })
            }
        };
        let blocks = (0..d).step_by(size).map(block).collect::<Result<_, _>>()?;
        Ok(Self { blocks, size, dimension: d })
    }

    /// `F⁻¹x`.
    #[must_use]
    pub fn product(&self, x: &[f64]) -> Vec<f64> {
        self.blocks.iter().zip(x.chunks(self.size)).flat_map(|(block, x)| block.product(x)).collect()
    }

    /// The diagonal of `F⁻¹`.
    #[must_use]
    pub fn diagonal(&self) -> Vec<f64> {
        let width = |index: usize| self.size.min(self.dimension - index * self.size);
        self.blocks.iter().enumerate().flat_map(|(index, block)| block.diagonal(width(index))).collect()
    }
}

impl Block {
    fn product(&self, x: &[f64]) -> Vec<f64> {
        match self {
            Self::Primal(cholesky) => {
                let mut solution = x.to_vec();
                cholesky.solve_in_place(ColMut::from_slice_mut(&mut solution).as_mat_mut());
                solution
            }
            Self::Dual { gradients, factor, damping } => {
                let rows = || gradients.chunks_exact(x.len());
                let weights = factor.solve(&rows().map(|row| dot(row, x)).collect::<Vec<_>>());
                let mut out: Vec<f64> = x.iter().map(|x| x / damping).collect();
                for (row, weight) in rows().zip(weights) {
                    out.iter_mut().zip(row).for_each(|(out, g)| *out -= weight * g / (damping * damping));
                }
                out
            }
        }
    }

    fn diagonal(&self, width: usize) -> Vec<f64> {
        match self {
            Self::Primal(cholesky) => {
                let inverse = cholesky.inverse();
                (0..width).map(|i| inverse[(i, i)]).collect()
            }
            Self::Dual { .. } => (0..width)
                .map(|i| {
                    let mut unit = vec![0.0; width];
                    unit[i] = 1.0;
                    self.product(&unit)[i]
                })
                .collect(),
        }
    }
}
