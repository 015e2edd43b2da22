//! The figures of the Hessian itself: column by column where it is small, else by products.

use faer::Mat;
use rayon::prelude::*;

use super::analysis::{LANCZOS_STEPS, Stages};
use super::density::spectral_density;
use super::estimate::{Probes, frobenius_norm, trace};
use super::figures::{Figure, Method};
use super::random::Random;
use super::spectrum::{Lanczos, eigenvalues};
use crate::deadline::{Deadline, TimedOut};
use crate::pass::derivatives::{Objective, Real, squared_norm};

/// The figures of the Hessian; what is missing was cut off.
#[derive(Default)]
pub struct Second {
    pub trace: Option<Figure>,
    pub frobenius: Option<Figure>,
    pub largest: Option<Figure>,
    pub smallest: Option<f64>,
    /// `‖H − G‖_F`.
    pub residual: Option<Figure>,
    pub density: Vec<(f64, f64)>,
}

/// How they are to be found.
pub struct Route {
    /// Write the Hessian out?
    pub dense: bool,
    pub probes: Probes,
    /// Of one estimate.
    pub delta: f64,
    pub seed: u64,
    /// Vectors over θ that may be held at once.
    pub vectors: usize,
}

impl Second {
    pub fn of<T: Real>(
        objective: &Objective<'_, T>,
        route: &Route,
        trace_gauss_newton: Option<Figure>,
        stages: &mut Stages<'_>,
    ) -> Self {
        let equal = objective.circuit.structure.piecewise_multilinear();
        if route.dense
            && let Some(Some(found)) = stages.run("Hessian, column by column", |deadline| Self::dense(objective, deadline))
        {
            return if equal { Self { trace: trace_gauss_newton, ..found } } else { found };
        }
        let d = objective.circuit.dimension();
        let (probes, delta) = (&route.probes, route.delta);
        let method = |probes: &Probes, sketch: usize| Method::Probes { count: probes.count, sketch, delta };
        let hessian = |x: &[f64]| objective.hessian_product(x);
        let difference = |x: &[f64]| -> Vec<f64> {
            hessian(x).into_iter().zip(objective.gauss_newton_product(x)).map(|(h, g)| h - g).collect()
        };
        let mut found = Self::default();
        let estimate = |deadline| frobenius_norm(&hessian, d, probes, delta, deadline);
        found.frobenius = stages.run("norm of the Hessian", estimate).map(|e| Figure::estimated(e, method(probes, 0)));
        found.trace = if equal {
            trace_gauss_newton
        } else {
            let estimate = |deadline| trace(&hessian, d, false, probes, delta, deadline);
            stages.run("trace of the Hessian", estimate).map(|e| Figure::estimated(e, method(probes, probes.sketch)))
        };
        let few = Probes { count: probes.count.min(20), ..*probes };
        let estimate = |deadline| frobenius_norm(&difference, d, &few, delta, deadline);
        found.residual = stages
            .run("norm of the Hessian's difference from the Gauss-Newton matrix", estimate)
            .map(|e| Figure::estimated(e, method(&few, 0)));
        let upper = found.frobenius.map_or(f64::INFINITY, |norm| norm.upper());
        let steps = LANCZOS_STEPS.min(route.vectors);
        let ends = |deadline| Ends::of(&hessian, d, route.seed, upper, steps, deadline);
        if let Some(ends) = stages.run("eigenvalues of the Hessian", ends) {
            (found.largest, found.smallest) = (Some(ends.largest), ends.smallest);
        }
        let steps = 30.min(route.vectors);
        let density = |deadline| spectral_density(hessian, d, 2, steps, route.seed, deadline);
        found.density = stages.run("spectral density of the Hessian", density).unwrap_or_default();
        found
    }

    /// `None` where a decomposition fails.
    fn dense<T: Real>(objective: &Objective<'_, T>, deadline: Deadline) -> Result<Option<Self>, TimedOut> {
        let d = objective.circuit.dimension();
        let hessian = dense(objective, deadline)?;
        let squares = columns(d, deadline, |unit, j| {
            let column = objective.gauss_newton_product(unit);
            (0..d).map(|i| (hessian[(i, j)] - column[i]).powi(2)).sum::<f64>()
        })?;
        let Some(values) = eigenvalues(&hessian) else { return Ok(None) };
        let exact = |value: f64| Some(Figure::exact(value, Method::Dense));
        let weight = 1.0 / d as f64;
        Ok(Some(Self {
            trace: exact((0..d).map(|i| hessian[(i, i)]).sum()),
            frobenius: exact(squared_norm(&values).sqrt()),
            largest: values.last().copied().and_then(exact),
            smallest: values.first().copied(),
            residual: exact(squares.into_iter().sum::<f64>().sqrt()),
            density: values.into_iter().map(|value| (value, weight)).collect(),
        }))
    }
}

/// The Hessian by one product per parameter, made symmetric.
///
/// # Errors
/// [`TimedOut`].
pub fn dense<T: Real>(objective: &Objective<'_, T>, deadline: Deadline) -> Result<Mat<f64>, TimedOut> {
    let d = objective.circuit.dimension();
    let columns = columns(d, deadline, |unit, _| objective.hessian_product(unit))?;
    Ok(Mat::from_fn(d, d, |i, j| 0.5 * (columns[j][i] + columns[i][j])))
}

/// `compute(e_j, j)` for all j.
fn columns<R: Send>(d: usize, deadline: Deadline, compute: impl Fn(&[f64], usize) -> R + Sync) -> Result<Vec<R>, TimedOut> {
    let column = |j: usize| {
        deadline.check()?;
        let mut unit = vec![0.0; d];
        unit[j] = 1.0;
        Ok(compute(&unit, j))
    };
    (0..d).into_par_iter().map(column).collect()
}

/// Both ends of a spectrum.
pub struct Ends {
    pub largest: Figure,
    pub smallest: Option<f64>,
    /// The unit vector whose quotient is `largest.value`.
    pub vector: Vec<f64>,
}

impl Ends {
    /// By Lanczos; the largest eigenvalue is at most `upper`. Fewer steps than wanted only widen the interval.
    ///
    /// # Errors
    /// [`TimedOut`] before the first step.
    pub fn of(
        apply: &impl Fn(&[f64]) -> Vec<f64>,
        d: usize,
        seed: u64,
        upper: f64,
        steps: usize,
        deadline: Deadline,
    ) -> Result<Self, TimedOut> {
        deadline.check()?;
        let start = Random::new(seed, 4 << 32).normals(d);
        let space = Lanczos::run(apply, start, steps.min(d), |space| {
            deadline.has_passed()
                || space.steps().is_multiple_of(10)
                    && space.extremes().is_some_and(|ends| ends.iter().all(|(value, residual)| *residual <= 1e-10 * value.abs()))
        });
        let smallest = space.extremes().map(|[(smallest, _), _]| smallest);
        let method = Method::Lanczos { steps: space.steps() };
        let (value, vector) = space.largest().map_or((f64::NAN, Vec::new()), |ritz| (ritz.value, ritz.vector));
        Ok(Self { largest: Figure { value, interval: Some((value, upper.max(value))), method }, smallest, vector })
    }
}
