//! The spectral density by stochastic Lanczos quadrature: descriptive, for pictures.

use super::random::Random;
use super::spectrum::Lanczos;
use crate::deadline::{Deadline, TimedOut};

/// A discrete measure close to the density of eigenvalues: `(eigenvalue, weight)`, weights adding up to one.
///
/// # Errors
/// [`TimedOut`]: a measure that was cut off is of another matrix.
pub fn spectral_density(
    apply: impl Fn(&[f64]) -> Vec<f64>,
    dimension: usize,
    probes: usize,
    steps: usize,
    seed: u64,
    deadline: Deadline,
) -> Result<Vec<(f64, f64)>, TimedOut> {
    let mut measure = Vec::new();
    for probe in 0..probes {
        let start = Random::new(seed, (5 << 32) + probe as u64).normals(dimension);
        let space = Lanczos::run(&apply, start, steps.min(dimension), |_| deadline.has_passed());
        deadline.check()?;
        measure.extend(space.quadrature().into_iter().map(|(value, weight)| (value, weight / probes as f64)));
    }
    measure.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(measure)
}
