//! A Lyapunov matrix over θ: second moments that decrease, for a Hessian of full rank.
//!
//! Works in the parameters' own space, so that it does not matter how many samples there are or how they depend on each other.

use faer::Mat;

use super::spectrum::decompose;
use super::stability::noise_share;
use crate::deadline::Deadline;

/// Steps of the series; it converges like `(η/η*)^k`.
const SERIES: usize = 4000;
/// An eigenvalue below this share of the largest counts as none.
const RANK: f64 = 1e-12;

/// Rows of `A`, `[samples·outputs, d]` row by row, and how they belong to samples.
pub struct Rows<'a> {
    pub values: &'a [f64],
    pub samples: usize,
    pub outputs: usize,
}

/// Returns the lower triangle of `P` with `HP + PH − ηD(P) = H`, up to the rest of its series; `None` where the Hessian does not
/// have full rank, or the time ends.
pub fn lyapunov(rows: &Rows, eta: f64, batch: usize, deadline: Deadline) -> Option<Vec<f64>> {
    let (n, p) = (rows.samples as f64, noise_share(rows.samples, batch));
    let d = rows.values.len() / (rows.samples * rows.outputs).max(1);
    let stacked = Mat::from_fn(rows.samples * rows.outputs, d, |i, j| rows.values[i * d + j]);
    let hessian = stacked.transpose() * &stacked;
    let (values, vectors) = decompose(&hessian)?;
    let lambda: Vec<f64> = values.iter().map(|value| value / n).collect();
    let largest = lambda.last().copied()?;
    // A NaN is no full rank.
    let condition = lambda.first()? / largest;
    if condition.is_nan() || condition <= RANK {
        return None;
    }
    let turned = &stacked * &vectors;
    let mut matrix = Mat::from_fn(d, d, |i, j| if i == j { 0.5 } else { 0.0 });
    for _ in 0..SERIES {
        if deadline.has_passed() {
            return None;
        }
        let images = &turned * &matrix;
        // Σ_i A_iᵀ(A_iPA_iᵀ)A_i, sample by sample.
        let mut weighted = Mat::<f64>::zeros(turned.nrows(), d);
        for sample in 0..rows.samples {
            let first = sample * rows.outputs;
            let (own, image) = (turned.subrows(first, rows.outputs), images.subrows(first, rows.outputs));
            let block = image * own.transpose();
            weighted.subrows_mut(first, rows.outputs).copy_from(block * own);
        }
        let noise = turned.transpose() * &weighted;
        let (mut moved, mut size) = (0.0f64, 0.0f64);
        let next = Mat::from_fn(d, d, |i, j| {
            let source = if i == j { lambda[i] } else { 0.0 };
            let image = (1.0 - p) * lambda[i] * matrix[(i, j)] * lambda[j] + p / n * noise[(i, j)];
            (source + eta * image) / (lambda[i] + lambda[j])
        });
        for i in 0..d {
            for j in 0..d {
                moved = moved.max((next[(i, j)] - matrix[(i, j)]).abs());
                size = size.max(next[(i, j)].abs());
            }
        }
        matrix = next;
        if moved <= 1e-9 * size || moved.is_nan() {
            break;
        }
    }
    let full = &vectors * matrix * vectors.transpose();
    let entries = (0..d).flat_map(|i| (0..=i).map(move |j| (i, j)));
    Some(entries.map(|(i, j)| 0.5 * (full[(i, j)] + full[(j, i)])).collect())
}
