//! The spectral density by stochastic Lanczos quadrature: descriptive, for pictures.

use super::random::Random;
use super::spectrum::Lanczos;

/// A discrete measure close to the density of eigenvalues: `(eigenvalue, weight)`, weights adding up to one.
#[must_use]
pub fn spectral_density(
    apply: impl Fn(&[f64]) -> Vec<f64>,
    dimension: usize,
    probes: usize,
    steps: usize,
    seed: u64,
) -> Vec<(f64, f64)> {
    let mut measure: Vec<(f64, f64)> = (0..probes)
        .flat_map(|probe| {
            let start = Random::new(seed, (5 << 32) + probe as u64).normals(dimension);
            Lanczos::run(&apply, start, steps.min(dimension), |_| false).quadrature()
        })
        .map(|(value, weight)| (value, weight / probes as f64))
        .collect();
    measure.sort_by(|a, b| a.0.total_cmp(&b.0));
    measure
}
