//! One run of the pass: which figures, by which route, within which limits.

use std::io;

use super::blocks::blocks;
use super::estimate::{Probes, frobenius_norm};
use super::figures::{Analysis, Figure, Method};
use super::flatness::ParameterNorms;
use super::gram::{Gram, GramError};
use super::second::{Ends, Route, Second};
use super::stability::{Summary, critical_batch, threshold};
use super::verdict::{Stability, judge_by_bracket, judge_with};
use crate::deadline::{Deadline, TimedOut};
use crate::pass::derivatives::{DataError, Evaluation, Loss, Objective, Real, Samples, squared_norm};

/// What is wanted, and within which limits.
#[derive(Clone, Debug)]
pub struct HessianOptions {
    pub learning_rate: Option<f64>,
    pub batch: Option<usize>,
    /// Bytes.
    pub memory: usize,
    pub deadline: Deadline,
    pub seed: u64,
    /// Probability with which any of the estimated intervals may fail.
    pub delta: f64,
    /// Probes per estimated figure, and of the sketch.
    pub probes: usize,
    pub sketch: usize,
    /// Largest number of parameters for which the Hessian is written out.
    pub dense_limit: usize,
    /// Largest nC for which the Gram matrix is.
    pub gram_limit: usize,
}

impl Default for HessianOptions {
    fn default() -> Self {
        Self {
            learning_rate: None,
            batch: None,
            memory: 3 << 30,
            deadline: Deadline::default(),
            seed: 0,
            delta: 0.05,
            probes: 60,
            sketch: 20,
            dense_limit: 3000,
            gram_limit: 6000,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum HessianError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("a temporary file of Jacobian rows failed: {0}")]
    File(#[from] io::Error),
    #[error("the batch size {batch} is not between 1 and the {samples} samples")]
    Batch { batch: usize, samples: usize },
}

/// A network counts as interpolating when `‖H − G‖_F ≤ 1 %·‖G‖_F`.
const INTERPOLATING: f64 = 0.01;
/// Estimated figures that may be printed together; δ is split over them.
const ESTIMATES: f64 = 5.0;
pub const LANCZOS_STEPS: usize = 60;
/// Multiplications of forward passes, over all samples and parameters, up to which the Hessian is written out.
const DENSE_WORK: f64 = 3e10;
/// Matrices of order nC, and of order d, that are held at once.
const GRAM_COPIES: usize = 7;
const DENSE_COPIES: usize = 4;

/// The steps of a run: those that the time limit cuts off are named.
pub struct Stages<'p> {
    deadline: Deadline,
    progress: &'p mut dyn FnMut(&str),
    not_done: Vec<String>,
}

impl Stages<'_> {
    /// What the step computes, or nothing where it is cut off.
    pub fn run<R>(&mut self, name: &str, compute: impl FnOnce(Deadline) -> Result<R, TimedOut>) -> Option<R> {
        (self.progress)(name);
        let found = self.deadline.check().and_then(|()| compute(self.deadline)).ok();
        if found.is_none() {
            self.not_done.push(name.to_owned());
        }
        found
    }
}

/// Runs the pass.
///
/// # Errors
/// [`HessianError`].
pub fn analyse<T: Real>(
    objective: &Objective<'_, T>,
    samples: &Samples,
    options: &HessianOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Analysis, HessianError> {
    let (n, outputs, d) = (objective.count(), objective.circuit.outputs(), objective.circuit.dimension());
    if let Some(batch) = options.batch.filter(|batch| !(1..=n).contains(batch)) {
        return Err(HessianError::Batch { batch, samples: n });
    }
    progress("loss and gradient");
    let evaluation = objective.summary()?;
    let mut stages = Stages { deadline: options.deadline, progress, not_done: Vec::new() };
    let per_parameter =
        stages.run("trace of the Gauss-Newton matrix", |deadline| parameter_traces(objective, deadline)).unwrap_or_default();
    let sum = per_parameter.iter().sum();
    let trace_gauss_newton = (!per_parameter.is_empty()).then(|| Figure::exact(sum, Method::Norms));

    let gram = if gram_fits(n * outputs, d, options) {
        let found =
            stages.run("Gram matrix of the Jacobian rows", |deadline| match Gram::of(objective, options.memory / 2, deadline) {
                Err(GramError::TimedOut(stop)) => Err(stop),
                Err(GramError::File(error)) => Ok(Err(error)),
                Ok(gram) => Ok(Ok(gram)),
            });
        found.transpose()?
    } else {
        None
    };
    // Vectors over θ: the bases of Lanczos, sketches, and what the threads work with.
    let vectors = (options.memory / 2 / (8 * d)).max(2);
    let sketch = options.sketch.min(vectors / 2);
    let probes = Probes { count: options.probes, sketch, seed: options.seed };
    let delta = options.delta / ESTIMATES;
    let gauss_newton = |x: &[f64]| objective.gauss_newton_product(x);
    let mut direction = Vec::new();
    let (frobenius_gauss_newton, lambda_max_gauss_newton) = if let Some(gram) = &gram {
        let exact = |value| Some(Figure::exact(value, Method::Gram));
        (exact(gram.frobenius_norm()), exact(gram.largest_eigenvalue()))
    } else {
        let method = Method::Probes { count: probes.count, sketch: 0, delta };
        let norm =
            stages.run("norm of the Gauss-Newton matrix", |deadline| frobenius_norm(&gauss_newton, d, &probes, delta, deadline));
        let norm = norm.map(|found| Figure::estimated(found, method));
        let known = [&norm, &trace_gauss_newton].into_iter().flatten().map(Figure::upper).fold(f64::INFINITY, f64::min);
        let ends = stages.run("largest eigenvalue of the Gauss-Newton matrix", |deadline| {
            Ends::of(&gauss_newton, d, options.seed, known, LANCZOS_STEPS.min(vectors), deadline)
        });
        let largest = ends.map(|ends| {
            direction = ends.vector;
            ends.largest
        });
        (norm, largest)
    };

    // Twice as many products as parameters, each several forward passes.
    let work = objective.circuit.multiplications() * n as f64 * d as f64;
    let dense = d <= options.dense_limit && work <= DENSE_WORK && DENSE_COPIES * 8 * d * d <= options.memory;
    let route = Route { dense, probes, delta, seed: options.seed, vectors };
    let hessian = Second::of(objective, &route, trace_gauss_newton, &mut stages);
    let interpolation = hessian.residual.zip(frobenius_gauss_newton).map(|(residual, norm)| Figure {
        value: residual.value / norm.value,
        interval: residual.interval.map(|(low, high)| (low / norm.upper(), high / norm.lower())),
        method: residual.method,
    });
    let mut known = Known { objective, evaluation: &evaluation, interpolation, options, stages: &mut stages };
    let stability = match (&gram, trace_gauss_newton, frobenius_gauss_newton, lambda_max_gauss_newton) {
        (Some(gram), ..) => known.stability(gram),
        (None, Some(trace), Some(norm), Some(top)) => {
            known.bracket(trace.value, norm.lower(), (top.value, top.upper()), &direction)
        }
        _ => None,
    };
    if stability.is_none() && options.learning_rate.is_some() && options.batch.is_some() {
        stages.not_done.push("verdict on stability".to_owned());
    }
    let alignment = match (&gram, objective.loss) {
        (Some(gram), Loss::Mse) => Some(gram.alignment(&objective.residuals())),
        _ => None,
    };
    let parameter_norms = if objective.loss == Loss::Mse { ParameterNorms::of(objective.circuit, samples) } else { None };
    Ok(Analysis {
        samples: n,
        outputs,
        gradient_norm: squared_norm(&evaluation.gradient).sqrt(),
        trace_gauss_newton,
        per_parameter,
        trace_hessian: hessian.trace,
        frobenius_hessian: hessian.frobenius,
        frobenius_gauss_newton,
        lambda_max_hessian: hessian.largest,
        lambda_min_hessian: hessian.smallest,
        lambda_max_gauss_newton,
        interpolation,
        alignment,
        parameter_norms,
        stability,
        density: hessian.density,
        evaluation,
        not_done: stages.not_done,
    })
}

/// Whether the Gram matrix of `order` rows is affordable.
fn gram_fits(order: usize, d: usize, options: &HessianOptions) -> bool {
    let stored = order.saturating_mul(d).saturating_mul(8);
    let matrices = GRAM_COPIES.saturating_mul(8).saturating_mul(order.saturating_mul(order));
    order <= options.gram_limit && stored <= options.memory.saturating_mul(4) && matrices <= options.memory
}

/// Every parameter's share of `tr G`.
fn parameter_traces<T: Real>(objective: &Objective<'_, T>, deadline: Deadline) -> Result<Vec<f64>, TimedOut> {
    let norms = objective.root_norms(deadline)?;
    let mean = |index: usize| norms.iter().map(|sample| sample[index]).sum::<f64>() / norms.len() as f64;
    Ok((0..objective.circuit.parameters.list.len()).map(mean).collect())
}

/// What the verdict rests on.
struct Known<'k, 'p, T> {
    objective: &'k Objective<'k, T>,
    evaluation: &'k Evaluation,
    interpolation: Option<Figure>,
    options: &'k HessianOptions,
    stages: &'k mut Stages<'p>,
}

impl<T: Real> Known<'_, '_, T> {
    /// Whether the theory of stability at a minimiser applies; `None` where that is not known.
    fn applies(&self) -> Option<Result<(), String>> {
        if self.objective.loss == Loss::CrossEntropy {
            return Some(Err("cross-entropy on separable data has no finite minimiser".to_owned()));
        }
        let hits: usize = self.evaluation.kinks.iter().map(|kinks| kinks.hits).sum();
        if hits > 0 {
            return Some(Err(format!("the loss has no second derivative here: {hits} exact hits of kinks")));
        }
        let interpolation = self.interpolation?;
        // A NaN is not small.
        Some(if interpolation.upper() <= INTERPOLATING {
            Ok(())
        } else {
            let (share, loss) = (interpolation.value, self.evaluation.loss);
            Err(format!("the network does not interpolate: the norm of H - G is {share:.3} of that of G, loss {loss:e}"))
        })
    }

    /// From the whole Gram matrix.
    fn stability(&mut self, gram: &Gram) -> Option<Stability> {
        let (eta, batch, reason) = (self.options.learning_rate?, self.options.batch?, self.applies()?.err());
        let found = self.stages.run("stability threshold", |deadline| threshold(gram, batch, deadline)).flatten();
        let critical = self.stages.run("critical batch size", |deadline| critical_batch(gram, eta, deadline)).flatten();
        Some(judge_with(gram, eta, batch, reason, found, critical))
    }

    /// From its blocks. `norm`: a lower bound of `‖G‖_F`; `top`: both bounds of the largest eigenvalue, the lower one
    /// along `direction`.
    fn bracket(&mut self, trace: f64, norm: f64, top: (f64, f64), direction: &[f64]) -> Option<Stability> {
        let (eta, batch, reason) = (self.options.learning_rate?, self.options.batch?, self.applies()?.err());
        let objective = self.objective;
        let own = self.stages.run("bracket of the stability threshold", |deadline| blocks(objective, direction, deadline))?;
        let summary = Summary { trace, squared_norm: norm.powi(2), top, ..own };
        Some(judge_by_bracket(&summary, eta, batch, reason))
    }
}
