//! Eigenvalues of symmetric operators: dense, and by Lanczos with full reorthogonalisation.

use faer::{Mat, Side};
use rayon::prelude::*;

use crate::deadline::{Deadline, TimedOut};
use crate::pass::derivatives::dot;

/// Eigenvalues in ascending order and their vectors, as columns. `None` where the decomposition fails.
#[must_use]
pub fn decompose(matrix: &Mat<f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let found = matrix.self_adjoint_eigen(Side::Lower).ok()?;
    let values: Vec<f64> = found.S().column_vector().iter().copied().collect();
    values.iter().all(|value| value.is_finite()).then(|| (values, found.U().to_owned()))
}

/// Eigenvalues in ascending order.
#[must_use]
pub fn eigenvalues(matrix: &Mat<f64>) -> Option<Vec<f64>> {
    let values = matrix.self_adjoint_eigenvalues(Side::Lower).ok()?;
    values.iter().all(|value| value.is_finite()).then_some(values)
}

/// A Krylov space of a symmetric operator.
pub struct Lanczos {
    diagonal: Vec<f64>,
    off_diagonal: Vec<f64>,
    basis: Vec<Vec<f64>>,
}

/// A Ritz pair: a lower bound of the largest eigenvalue (up to rounding), and how far it is from being exact.
pub struct Ritz {
    pub value: f64,
    pub vector: Vec<f64>,
    /// `‖Av − θv‖`: an eigenvalue lies this close.
    pub residual: f64,
}

/// Takes from a vector what lies in the span of orthonormal ones: classical Gram–Schmidt, in two passes over memory.
fn orthogonalise(vector: &mut [f64], basis: &[Vec<f64>]) {
    /// Numbers of a piece, which stay in cache while the basis goes by.
    const PIECE: usize = 1 << 13;
    let of_piece = |(index, piece): (usize, &[f64])| -> Vec<f64> {
        basis.iter().map(|base| dot(piece, &base[index * PIECE..][..piece.len()])).collect()
    };
    let parts: Vec<Vec<f64>> = vector.par_chunks(PIECE).enumerate().map(of_piece).collect();
    let overlaps: Vec<f64> = (0..basis.len()).map(|i| parts.iter().map(|part| part[i]).sum()).collect();
    vector.par_chunks_mut(PIECE).enumerate().for_each(|(index, piece)| {
        for (base, overlap) in basis.iter().zip(&overlaps) {
            piece.iter_mut().zip(&base[index * PIECE..]).for_each(|(x, v)| *x -= overlap * v);
        }
    });
}

impl Lanczos {
    /// Runs until `steps` steps are made, the space is exhausted, or `done` says so of the extreme Ritz values.
    pub fn run(
        mut apply: impl FnMut(&[f64]) -> Vec<f64>,
        start: Vec<f64>,
        steps: usize,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Self {
        let mut space = Self { diagonal: Vec::new(), off_diagonal: Vec::new(), basis: Vec::new() };
        let norm = dot(&start, &start).sqrt();
        let mut next: Vec<f64> = start.into_iter().map(|x| x / norm).collect();
        let mut scale = 0.0f64;
        while space.basis.len() < steps && next.iter().all(|x| x.is_finite()) {
            let mut image = apply(&next);
            let along = dot(&image, &next);
            space.diagonal.push(along);
            space.basis.push(next);
            // Twice is enough (Giraud, Langou, Rozložník, Computers & Mathematics with Applications 2005).
            (0..2).for_each(|_| orthogonalise(&mut image, &space.basis));
            let rest = dot(&image, &image).sqrt();
            scale = scale.max(along.abs()).max(rest);
            space.off_diagonal.push(rest);
            if rest <= 1e-14 * scale || done(&space) {
                break;
            }
            next = image.into_iter().map(|x| x / rest).collect();
        }
        space
    }

    /// Number of products with the operator.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.basis.len()
    }

    /// Ritz values in ascending order with the first components of their vectors.
    #[must_use]
    pub fn quadrature(&self) -> Vec<(f64, f64)> {
        let (values, vectors) = self.small();
        (0..values.len()).map(|i| (values[i], vectors[(0, i)] * vectors[(0, i)])).collect()
    }

    fn small(&self) -> (Vec<f64>, Mat<f64>) {
        let k = self.diagonal.len();
        let tridiagonal = Mat::from_fn(k, k, |i, j| match i.abs_diff(j) {
            0 => self.diagonal[i],
            1 => self.off_diagonal[i.min(j)],
            _ => 0.0,
        });
        decompose(&tridiagonal).unwrap_or((Vec::new(), Mat::zeros(k, 0)))
    }

    /// Smallest and largest Ritz value with their residual norms.
    #[must_use]
    pub fn extremes(&self) -> Option<[(f64, f64); 2]> {
        let (values, vectors) = self.small();
        let k = values.len();
        let rest = *self.off_diagonal.last()?;
        let at = |i: usize| (values[i], (rest * vectors[(k - 1, i)]).abs());
        (k > 0).then(|| [at(0), at(k - 1)])
    }

    /// The largest Ritz pair.
    #[must_use]
    pub fn largest(&self) -> Option<Ritz> {
        let (values, vectors) = self.small();
        let last = values.len().checked_sub(1)?;
        let mut vector = vec![0.0; self.basis.first()?.len()];
        for (i, basis) in self.basis.iter().enumerate() {
            let weight = vectors[(i, last)];
            vector.iter_mut().zip(basis).for_each(|(v, b)| *v += weight * b);
        }
        let residual = (self.off_diagonal.last()? * vectors[(last, last)]).abs();
        Some(Ritz { value: values[last], vector, residual })
    }
}

/// The largest eigenvalue of a symmetric operator by restarted Lanczos, to a residual of `tolerance·θ`.
///
/// # Errors
/// [`TimedOut`].
pub fn largest_eigenvalue(
    mut apply: impl FnMut(&[f64]) -> Vec<f64>,
    start: Vec<f64>,
    basis: usize,
    restarts: usize,
    tolerance: f64,
    deadline: Deadline,
) -> Result<Option<Ritz>, TimedOut> {
    let mut start = start;
    for attempt in 1..=restarts {
        let space = Lanczos::run(&mut apply, start, basis, |space| {
            deadline.has_passed()
                || space.steps().is_multiple_of(4)
                    && space.extremes().is_some_and(|[_, (value, residual)]| residual <= tolerance * value.abs())
        });
        let Some(ritz) = space.largest() else { return Ok(None) };
        if attempt == restarts || ritz.residual <= tolerance * ritz.value.abs() {
            return Ok(Some(ritz));
        }
        deadline.check()?;
        start = ritz.vector;
    }
    Ok(None)
}

/// A factor `1 − ε` with `θ_k/(1 − ε) ≥ λ_max` with probability at least `1 − δ` for a positive semidefinite operator of
/// order `d` after `k` steps from a random start (Kuczyński and Woźniakowski 1992, theorem 4.2). `None` where it says nothing.
#[must_use]
pub fn lanczos_confidence(dimension: usize, steps: usize, delta: f64) -> Option<f64> {
    let epsilon = ((1.648 * (dimension as f64).sqrt() / delta).ln() / (2.0 * steps as f64 - 1.0)).powi(2);
    (epsilon < 1.0).then_some(1.0 - epsilon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanczos_finds_the_ends_of_a_spectrum_with_a_gap() {
        let eigenvalues: Vec<f64> = (0..200).map(|i| if i == 199 { 3.0 } else { -1.0 + f64::from(i) * 0.01 }).collect();
        let apply = |x: &[f64]| -> Vec<f64> { x.iter().zip(&eigenvalues).map(|(x, l)| x * l).collect() };
        let start: Vec<f64> = (0..200).map(|i| (f64::from(i) * 0.9).sin() + 0.1).collect();
        let found = largest_eigenvalue(apply, start.clone(), 30, 20, 1e-12, Deadline::default()).unwrap().unwrap();
        assert!((found.value - 3.0).abs() < 1e-12 && found.residual < 1e-11);
        let space = Lanczos::run(apply, start, 200, |_| false);
        let [(low, _), (high, _)] = space.extremes().unwrap();
        assert!((low + 1.0).abs() < 1e-9 && (high - 3.0).abs() < 1e-12);
        let mass: f64 = space.quadrature().iter().map(|(_, weight)| weight).sum();
        assert!((mass - 1.0).abs() < 1e-12);
    }
}
