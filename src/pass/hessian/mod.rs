//! Curvature of the loss at the given parameters, and what it says about the stability of SGD there.

pub mod gram;
pub mod spectrum;
pub mod stability;

use faer::Mat;
use rayon::prelude::*;

use crate::pass::derivatives::Objective;

/// The Hessian by one product per parameter, made symmetric.
#[must_use]
pub fn dense(objective: &Objective<'_>) -> Mat<f64> {
    let d = objective.circuit.dimension();
    let column = |j: usize| {
        let mut unit = vec![0.0; d];
        unit[j] = 1.0;
        objective.hessian_product(&unit)
    };
    let columns: Vec<Vec<f64>> = (0..d).into_par_iter().map(column).collect();
    Mat::from_fn(d, d, |i, j| 0.5 * (columns[j][i] + columns[i][j]))
}
