//! The Gauss–Newton matrix through its Gram matrix: `K = A·Aᵀ` of the stacked rows `A_i`, nC × nC, has the same nonzero
//! eigenvalues as `nG`, and its diagonal blocks those of `H_i = A_iᵀA_i`.

use std::io;

use faer::Mat;

use super::spectrum::{decompose, eigenvalues};
use crate::deadline::{Deadline, TimedOut};
use crate::pass::derivatives::{Objective, Panels, Real, dot};

/// Why there is no Gram matrix.
#[derive(Debug, thiserror::Error)]
pub enum GramError {
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Everything about `G` and the `H_i` that stability needs.
pub struct Gram {
    /// Number of samples n.
    pub samples: usize,
    /// Number of outputs C.
    pub outputs: usize,
    /// Nonzero eigenvalues of `G`, largest first.
    pub eigenvalues: Vec<f64>,
    /// `B = [B_1 … B_n]`, r × nC: the coordinates of the columns of `A_iᵀ` in the eigenbasis of `G`.
    pub coordinates: Mat<f64>,
    /// `tr H_i`.
    pub traces: Vec<f64>,
    /// `‖H_i‖_F²`.
    pub frobenius: Vec<f64>,
    /// `λ_max(H_i)`.
    pub largest: Vec<f64>,
    /// `vᵀH_iv` along the top eigenvector of `G`.
    pub along_top: Vec<f64>,
    /// `K = A·Aᵀ`.
    pub matrix: Mat<f64>,
    /// Relative cut below which eigenvalues count as zero.
    pub cut: f64,
}

/// Eigenvalues below this share of the largest are rounding.
const CUT: f64 = 1e-13;

impl Gram {
    /// `memory`: bytes of rows kept in memory before they go to disk.
    ///
    /// # Errors
    /// [`GramError`]: of the temporary file, `InvalidData` where an eigenvalue decomposition fails, or the time limit.
    pub fn of<T: Real>(objective: &Objective<'_, T>, memory: usize, deadline: Deadline) -> Result<Self, GramError> {
        let (samples, outputs) = (objective.count(), objective.circuit.outputs());
        let rows = Panels::new(samples * outputs, objective.circuit.dimension(), T::PRECISION, memory)?;
        let failed = std::sync::Mutex::new(None);
        objective.for_each_root(deadline, |first, roots| {
            if let Err(error) = rows.write(first * outputs, roots)
                && let Ok(mut failed) = failed.lock()
            {
                *failed = Some(error);
            }
        })?;
        if let Some(error) = failed.into_inner().ok().flatten() {
            return Err(error.into());
        }
        deadline.check()?;
        let gram = rows.gram()?.symmetric();
        drop(rows);
        deadline.check()?;
        Ok(Self::from_matrix(gram, samples, outputs)?)
    }

    /// From `K = A·Aᵀ`.
    ///
    /// # Errors
    /// `InvalidData` where an eigenvalue decomposition fails.
    pub fn from_matrix(gram: Mat<f64>, samples: usize, outputs: usize) -> io::Result<Self> {
        let failed = || io::Error::new(io::ErrorKind::InvalidData, "an eigenvalue decomposition failed");
        let (values, vectors) = decompose(&gram).ok_or_else(failed)?;
        let size = values.len();
        let top = values.last().copied().unwrap_or(0.0);
        let rank = values.iter().filter(|&&value| value > CUT * top).count();
        let kept: Vec<usize> = (size - rank..size).rev().collect();
        let coordinates = Mat::from_fn(rank, size, |i, j| values[kept[i]].sqrt() * vectors[(j, kept[i])]);
        let (mut traces, mut frobenius, mut largest) = (Vec::new(), Vec::new(), Vec::new());
        for sample in 0..samples {
            let at = sample * outputs;
            let block = Mat::from_fn(outputs, outputs, |i, j| gram[(at + i, at + j)]);
            traces.push((0..outputs).map(|i| block[(i, i)]).sum());
            frobenius.push((0..outputs).flat_map(|i| (0..outputs).map(move |j| (i, j))).map(|at| block[at].powi(2)).sum());
            largest.push(if outputs == 1 {
                block[(0, 0)]
            } else {
                *eigenvalues(&block).ok_or_else(failed)?.last().unwrap_or(&0.0)
            });
        }
        let along_top = (0..samples)
            .map(|sample| {
                let piece = (sample * outputs..(sample + 1) * outputs).map(|j| if rank == 0 { 0.0 } else { coordinates[(0, j)] });
                piece.map(|x| x * x).sum()
            })
            .collect();
        let eigenvalues = kept.iter().map(|&i| values[i] / samples as f64).collect();
        Ok(Self { samples, outputs, eigenvalues, coordinates, traces, frobenius, largest, along_top, matrix: gram, cut: CUT })
    }

    /// The alignment `μ = tr(ΣG)/(2L‖G‖_F²)` of the noise of SGD with the curvature, for mse: descriptive. `residuals` holds
    /// one row `f(x_i) − y_i` per sample; then `g_i = A_iᵀr_i`.
    #[must_use]
    pub fn alignment(&self, residuals: &[f64]) -> f64 {
        let (n, outputs) = (self.samples as f64, self.outputs);
        let size = self.matrix.nrows();
        // Column i of K restricted to sample i's rows, times r_i: the products of all rows with g_i.
        let along = |sample: usize| -> Vec<f64> {
            let own = sample * outputs..(sample + 1) * outputs;
            (0..size).map(|row| own.clone().map(|j| self.matrix[(row, j)] * residuals[j]).sum()).collect()
        };
        let (mut second, mut mean) = (0.0, vec![0.0; size]);
        for sample in 0..self.samples {
            let products = along(sample);
            second += dot(&products, &products) / n;
            mean.iter_mut().zip(&products).for_each(|(mean, x)| *mean += x / n);
        }
        let loss = dot(residuals, residuals) / (2.0 * n);
        let noise = (second - dot(&mean, &mean)) / n;
        noise / (2.0 * loss * self.frobenius_norm().powi(2))
    }

    /// `tr G`.
    #[must_use]
    pub fn trace(&self) -> f64 {
        self.traces.iter().sum::<f64>() / self.samples as f64
    }

    /// `‖G‖_F`.
    #[must_use]
    pub fn frobenius_norm(&self) -> f64 {
        dot(&self.eigenvalues, &self.eigenvalues).sqrt()
    }

    /// `λ_max(G)`.
    #[must_use]
    pub fn largest_eigenvalue(&self) -> f64 {
        self.eigenvalues.first().copied().unwrap_or(0.0)
    }
}
