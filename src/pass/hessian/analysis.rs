//! One run of the pass: which figures, by which route, exact or with an interval.

use std::io;
use std::sync::{Mutex, PoisonError};

use faer::Mat;
use rayon::prelude::*;

use super::density::spectral_density;
use super::estimate::{Estimate, Probes, frobenius_norm, trace};
use super::flatness::ParameterNorms;
use super::gram::Gram;
use super::random::Random;
use super::spectrum::{Lanczos, eigenvalues};
use super::stability::Summary;
use super::verdict::{Stability, judge, judge_by_bracket};
use crate::pass::derivatives::{DataError, Evaluation, Loss, Objective, Samples, dot};

/// What is wanted, and within which limits.
#[derive(Clone, Debug)]
pub struct HessianOptions {
    pub learning_rate: Option<f64>,
    pub batch: Option<usize>,
    /// Bytes.
    pub memory: usize,
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

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Backward passes with layer-local norms; exact up to rounding.
    Norms,
    /// The Gram matrix of the stacked Jacobian rows.
    Gram,
    /// The Hessian, column by column.
    Dense,
    /// Gaussian probes: the interval holds with the probability stated.
    Probes { count: usize, sketch: usize, delta: f64 },
    /// Lanczos: the value is a lower bound; the interval's upper end is that of a norm.
    Lanczos { steps: usize },
}

/// A number, and an interval where it is not exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub value: f64,
    pub interval: Option<(f64, f64)>,
    pub method: Method,
}

impl Figure {
    const fn exact(value: f64, method: Method) -> Self {
        Self { value, interval: None, method }
    }

    const fn estimated(found: Estimate, method: Method) -> Self {
        Self { value: found.value, interval: Some((found.lower, found.upper)), method }
    }

    /// The largest value that is not ruled out.
    #[must_use]
    pub fn upper(&self) -> f64 {
        self.interval.map_or(self.value, |(_, upper)| upper)
    }
}

/// One parameter's share of `tr G`.
#[derive(Clone, Debug)]
pub struct ParameterTrace {
    pub name: String,
    pub size: usize,
    pub trace: f64,
}

/// What the pass found.
#[derive(Clone, Debug)]
pub struct Analysis {
    pub samples: usize,
    pub outputs: usize,
    pub evaluation: Evaluation,
    pub gradient_norm: f64,
    pub trace_gauss_newton: Figure,
    pub per_parameter: Vec<ParameterTrace>,
    pub trace_hessian: Figure,
    pub frobenius_hessian: Figure,
    pub frobenius_gauss_newton: Figure,
    pub lambda_max_hessian: Figure,
    pub lambda_min_hessian: Option<f64>,
    pub lambda_max_gauss_newton: Figure,
    /// `‖H − G‖_F / ‖G‖_F`.
    pub interpolation: Figure,
    pub alignment: Option<f64>,
    pub parameter_norms: Option<ParameterNorms>,
    pub stability: Option<Stability>,
    /// Eigenvalues and weights of the Hessian's spectral density.
    pub density: Vec<(f64, f64)>,
}

/// A network counts as interpolating when `‖H − G‖_F ≤ 1 %·‖G‖_F`.
const INTERPOLATING: f64 = 0.01;
/// Estimated figures that may be printed together; δ is split over them.
const ESTIMATES: f64 = 5.0;
const LANCZOS_STEPS: usize = 60;
/// Multiplications of forward passes, over all samples and parameters, up to which the Hessian is written out.
const DENSE_WORK: f64 = 3e10;

/// Runs the pass.
///
/// # Errors
/// [`HessianError`].
pub fn analyse(
    objective: &Objective<'_>,
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
    progress("trace of the Gauss-Newton matrix");
    let per_parameter = parameter_traces(objective);
    let trace_gauss_newton = Figure::exact(per_parameter.iter().map(|own| own.trace).sum(), Method::Norms);

    let stored = (n * outputs).saturating_mul(d).saturating_mul(8);
    let gram = if n * outputs <= options.gram_limit && stored <= options.memory.saturating_mul(4) {
        progress("Gram matrix of the Jacobian rows");
        Some(Gram::of(objective, options.memory / 2)?)
    } else {
        None
    };
    let probes = Probes { count: options.probes, sketch: options.sketch, seed: options.seed };
    let delta = options.delta / ESTIMATES;
    let method = Method::Probes { count: probes.count, sketch: probes.sketch, delta };
    let gauss_newton = |x: &[f64]| objective.gauss_newton_product(x);
    let mut direction = Vec::new();
    let (frobenius_gauss_newton, lambda_max_gauss_newton) = if let Some(gram) = &gram {
        (Figure::exact(gram.frobenius_norm(), Method::Gram), Figure::exact(gram.largest_eigenvalue(), Method::Gram))
    } else {
        progress("norm and largest eigenvalue of the Gauss-Newton matrix");
        let norm = Figure::estimated(frobenius_norm(&gauss_newton, d, &probes, delta), method);
        let ends = ends(&gauss_newton, d, options.seed, norm.upper().min(trace_gauss_newton.value));
        direction = ends.vector;
        (norm, ends.largest)
    };

    let hessian = Second::of(objective, options, &probes, delta, trace_gauss_newton, progress);
    let interpolation = Figure {
        value: hessian.residual.value / frobenius_gauss_newton.value,
        interval: hessian.residual.interval.map(|(low, high)| {
            let (below, above) =
                frobenius_gauss_newton.interval.unwrap_or((frobenius_gauss_newton.value, frobenius_gauss_newton.value));
            (low / above, high / below)
        }),
        method: hessian.residual.method,
    };
    let gradient_norm = Objective::gradient_norm(&evaluation.gradient);
    let stability = match (&gram, options.learning_rate, options.batch) {
        (Some(gram), Some(eta), Some(batch)) => {
            progress("stability threshold");
            Some(judge(gram, eta, batch, objection(objective, &evaluation, &interpolation)))
        }
        (None, Some(eta), Some(batch)) => {
            progress("bracket of the stability threshold");
            let summary = Summary {
                samples: n,
                outputs,
                trace: trace_gauss_newton.value,
                squared_norm: frobenius_gauss_newton.interval.map_or(frobenius_gauss_newton.value, |(low, _)| low).powi(2),
                top: (lambda_max_gauss_newton.value, lambda_max_gauss_newton.upper()),
                ..blocks(objective, &direction)
            };
            Some(judge_by_bracket(&summary, eta, batch, objection(objective, &evaluation, &interpolation)))
        }
        _ => None,
    };
    let alignment = match (&gram, objective.loss) {
        (Some(gram), Loss::Mse) => Some(gram.alignment(&objective.residuals())),
        _ => None,
    };
    let parameter_norms = if objective.loss == Loss::Mse { ParameterNorms::of(objective.circuit, samples) } else { None };
    Ok(Analysis {
        samples: n,
        outputs,
        gradient_norm,
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
    })
}

fn parameter_traces(objective: &Objective<'_>) -> Vec<ParameterTrace> {
    let norms = objective.root_norms();
    let n = norms.len() as f64;
    let mean = |index: usize| norms.iter().map(|sample| sample[index]).sum::<f64>() / n;
    let parameters = objective.circuit.parameters.list.iter().enumerate();
    parameters.map(|(index, p)| ParameterTrace { name: p.name.clone(), size: p.size, trace: mean(index) }).collect()
}

/// Why the theory of stability at a minimiser does not apply.
fn objection(objective: &Objective<'_>, evaluation: &Evaluation, interpolation: &Figure) -> Option<String> {
    if objective.loss == Loss::CrossEntropy {
        return Some("cross-entropy on separable data has no finite minimiser".to_owned());
    }
    let hits: usize = evaluation.kinks.iter().map(|kinks| kinks.hits).sum();
    if hits > 0 {
        return Some(format!("the loss has no second derivative here: {hits} exact hits of kinks"));
    }
    if interpolation.upper() <= INTERPOLATING {
        return None;
    }
    Some(format!(
        "the network does not interpolate: the norm of H - G is {:.3} of that of G, loss {:e}",
        interpolation.value, evaluation.loss
    ))
}

/// The figures of the Hessian.
struct Second {
    trace: Figure,
    frobenius: Figure,
    largest: Figure,
    smallest: Option<f64>,
    /// `‖H − G‖_F`.
    residual: Figure,
    density: Vec<(f64, f64)>,
}

impl Second {
    fn of(
        objective: &Objective<'_>,
        options: &HessianOptions,
        probes: &Probes,
        delta: f64,
        trace_gauss_newton: Figure,
        progress: &mut dyn FnMut(&str),
    ) -> Self {
        let d = objective.circuit.dimension();
        let equal = objective.circuit.structure.piecewise_multilinear();
        // Twice as many products as parameters, each several forward passes.
        let work = objective.circuit.multiplications() * objective.count() as f64 * d as f64;
        if d <= options.dense_limit
            && work <= DENSE_WORK
            && let Some(found) = Self::dense(objective, progress)
        {
            return if equal { Self { trace: trace_gauss_newton, ..found } } else { found };
        }
        let method = Method::Probes { count: probes.count, sketch: probes.sketch, delta };
        let hessian = |x: &[f64]| objective.hessian_product(x);
        let difference = |x: &[f64]| -> Vec<f64> {
            hessian(x).into_iter().zip(objective.gauss_newton_product(x)).map(|(h, g)| h - g).collect()
        };
        progress("norm of the Hessian");
        let frobenius = Figure::estimated(frobenius_norm(&hessian, d, probes, delta), method);
        let trace = if equal {
            trace_gauss_newton
        } else {
            progress("trace of the Hessian");
            Figure::estimated(trace(&hessian, d, false, probes, delta), method)
        };
        progress("norm of the Hessian's difference from the Gauss-Newton matrix");
        let few = Probes { count: probes.count.min(20), ..*probes };
        let method = Method::Probes { count: few.count, sketch: 0, delta };
        let residual = Figure::estimated(frobenius_norm(&difference, d, &few, delta), method);
        progress("eigenvalues of the Hessian");
        let Ends { largest, smallest, .. } = ends(&hessian, d, options.seed, frobenius.upper());
        let density = spectral_density(hessian, d, 2, 30, options.seed);
        Self { trace, frobenius, largest, smallest, residual, density }
    }

    fn dense(objective: &Objective<'_>, progress: &mut dyn FnMut(&str)) -> Option<Self> {
        progress("Hessian, column by column");
        let d = objective.circuit.dimension();
        let hessian = dense(objective);
        let columns: Vec<Vec<f64>> = (0..d)
            .into_par_iter()
            .map(|j| {
                let mut unit = vec![0.0; d];
                unit[j] = 1.0;
                objective.gauss_newton_product(&unit)
            })
            .collect();
        let distance: f64 = (0..d).map(|j| (0..d).map(|i| (hessian[(i, j)] - columns[j][i]).powi(2)).sum::<f64>()).sum();
        let values = eigenvalues(&hessian)?;
        let exact = |value: f64| Figure::exact(value, Method::Dense);
        let weight = 1.0 / d as f64;
        Some(Self {
            trace: exact((0..d).map(|i| hessian[(i, i)]).sum()),
            frobenius: exact(dot(&values, &values).sqrt()),
            largest: exact(*values.last()?),
            smallest: values.first().copied(),
            residual: exact(distance.sqrt()),
            density: values.into_iter().map(|value| (value, weight)).collect(),
        })
    }
}

/// Both ends of a spectrum.
struct Ends {
    largest: Figure,
    smallest: Option<f64>,
    /// The unit vector whose quotient is `largest.value`.
    vector: Vec<f64>,
}

/// By Lanczos; the largest eigenvalue is at most `upper`.
fn ends(apply: &(impl Fn(&[f64]) -> Vec<f64> + Sync), d: usize, seed: u64, upper: f64) -> Ends {
    let start = Random::new(seed, 4 << 32).normals(d);
    let space = Lanczos::run(apply, start, LANCZOS_STEPS.min(d), |space| {
        space.steps().is_multiple_of(10)
            && space.extremes().is_some_and(|ends| ends.iter().all(|(value, residual)| *residual <= 1e-10 * value.abs()))
    });
    let smallest = space.extremes().map(|[(smallest, _), _]| smallest);
    let method = Method::Lanczos { steps: space.steps() };
    let (value, vector) = space.largest().map_or((f64::NAN, Vec::new()), |ritz| (ritz.value, ritz.vector));
    Ends { largest: Figure { value, interval: Some((value, upper.max(value))), method }, smallest, vector }
}

/// What one sample's block `A_iA_iᵀ` says.
struct Block {
    sample: usize,
    squared_norm: f64,
    largest: f64,
    /// `vᵀH_iv`.
    along: f64,
}

/// What the blocks say about the `H_i`, and the `H_i` about a direction; the rest of the summary is left open.
fn blocks(objective: &Objective<'_>, direction: &[f64]) -> Summary {
    let (n, outputs, d) = (objective.count(), objective.circuit.outputs(), objective.circuit.dimension());
    let found: Mutex<Vec<Block>> = Mutex::new(Vec::with_capacity(n));
    objective.for_each_root(|first, rows| {
        for (sample, rows) in rows.chunks_exact(outputs * d).enumerate() {
            let row = |i: usize| &rows[i * d..(i + 1) * d];
            let block = Mat::from_fn(outputs, outputs, |i, j| dot(row(i), row(j)));
            let largest = eigenvalues(&block).and_then(|values| values.last().copied()).unwrap_or(f64::NAN);
            let along = (0..outputs).map(|i| dot(row(i), direction).powi(2)).sum();
            let block = Block { sample: first + sample, squared_norm: block.norm_l2().powi(2), largest, along };
            found.lock().unwrap_or_else(PoisonError::into_inner).push(block);
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|block| block.sample);
    let mean = |sum: f64| sum / n as f64;
    let top = mean(found.iter().map(|block| block.along).sum());
    Summary {
        samples: n,
        outputs,
        trace: f64::NAN,
        squared_norm: f64::NAN,
        top: (top, f64::NAN),
        mean_squared_norm: mean(found.iter().map(|block| block.squared_norm).sum()),
        spread: mean(found.iter().map(|block| (block.along - top).powi(2)).sum()),
        // A NaN stays.
        worst: found.iter().fold(0.0, |worst: f64, block| if block.largest <= worst { worst } else { block.largest }),
    }
}

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
