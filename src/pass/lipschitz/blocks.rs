//! The form of ℓ1's program as far as columns need it: each input alone with all other coordinates.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use super::elimination::for_each_product;
use crate::solver::{Pencil, Stretch};

/// Weights of the outputs and multipliers of the groups.
pub struct Point {
    pub weights: Vec<f64>,
    pub multipliers: Vec<f64>,
}

/// `Cᵀ·diag(ω)·C + Σ_g λ_g·Q_g` as its diagonal on the inputs, what couples these with the other coordinates, and its negative
/// on those.
pub struct Blocks {
    diagonal: Vec<f64>,
    pub coupling: Mat<f64>,
    pub pivot: Mat<f64>,
}

impl Blocks {
    pub fn new(pencil: &Pencil, point: &Point) -> Self {
        let (inputs, bounded) = (pencil.inputs, pencil.dimension - pencil.inputs);
        let mut blocks =
            Self { diagonal: vec![0.0; inputs], coupling: Mat::zeros(bounded, inputs), pivot: Mat::zeros(bounded, bounded) };
        for (row, &weight) in pencil.outputs.iter().zip(&point.weights) {
            blocks.add(row, row, weight);
        }
        for (group, &multiplier) in pencil.groups.iter().zip(&point.multipliers) {
            for_each_product(group, multiplier, |left, right, weight| blocks.add(left, right, weight));
        }
        blocks
    }

    fn add(&mut self, left: &Stretch, right: &Stretch, weight: f64) {
        if weight == 0.0 {
            return;
        }
        let inputs = self.diagonal.len();
        let bounded = left.values.get(inputs.saturating_sub(left.start)..).unwrap_or_default();
        let first = left.start.saturating_sub(inputs);
        for (j, value) in right.entries() {
            let (target, weight) = if let Some(j) = j.checked_sub(inputs) {
                (self.pivot.col_as_slice_mut(j), -weight * value)
            } else {
                self.diagonal[j] += weight * value * left.at(j);
                (self.coupling.col_as_slice_mut(j), weight * value)
            };
            target[first..].iter_mut().zip(bounded).for_each(|(entry, a)| *entry += weight * a);
        }
    }

    /// Where the form is at its largest, for each input at one. `None` unless the pivot is positive definite.
    pub fn solution(&self) -> Option<Mat<f64>> {
        Some(self.pivot.llt(Side::Lower).ok()?.solve(&self.coupling))
    }

    /// The form's maximum over all other coordinates there: the least multiplier of each input. `None` where one overflows.
    pub fn least(&self, solution: &Mat<f64>) -> Option<Vec<f64>> {
        let gain = |j: usize| (0..solution.nrows()).map(|i| self.coupling[(i, j)] * solution[(i, j)]).sum::<f64>();
        let least: Vec<f64> = self.diagonal.iter().enumerate().map(|(j, own)| own + gain(j)).collect();
        least.iter().all(|value| value.is_finite()).then_some(least)
    }

    /// What each input's least multiplier gains there where the pivot loses `share` of its diagonal, to first order: so much
    /// rounding may take.
    pub fn room(&self, solution: &Mat<f64>, share: f64) -> Vec<f64> {
        let gain = |j: usize| (0..solution.nrows()).map(|i| self.pivot[(i, i)] * solution[(i, j)].powi(2)).sum::<f64>();
        (0..self.diagonal.len()).map(|j| share * gain(j)).collect()
    }
}
