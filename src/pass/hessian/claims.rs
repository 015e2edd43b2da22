//! From figures to claims: what the checker will prove again, and what remains an estimate.

use super::figures::{Analysis, Method};
use super::gram::Gram;
use super::moments::{self, Rows};
use super::spectrum::decompose;
use super::stability::{threshold, variance};
use super::verdict::Verdict;
use crate::deadline::Deadline;
use crate::kernel::curvature::{self, CurvatureRefusal, prove_trace};
use crate::kernel::proof::{
    Bits, CurvatureMatrix, HessianTraceClaim, Interval, Number, Objective, ProbeEstimate, StabilityClaim, StabilityVerdict,
    StabilityWitness, Vector,
};
use faer::Mat;

/// The claim about the trace of a matrix; where none is named, of the Hessian where that is proved or estimated, else of the
/// Gauss–Newton matrix. `checked` is the objective as the checker builds it.
///
/// # Errors
/// Why the trace cannot be proved, where it is not an estimate.
pub fn trace_claim(
    analysis: &Analysis,
    objective: &Objective,
    matrix: Option<CurvatureMatrix>,
    checked: Result<&curvature::Objective<'_>, CurvatureRefusal>,
    seed: u64,
) -> Result<HessianTraceClaim, CurvatureRefusal> {
    let claim = |matrix, lower, upper, estimate| HessianTraceClaim {
        objective: objective.clone(),
        matrix,
        trace: Interval { lower: Number::lower(lower), upper: Number::upper(upper) },
        estimate,
    };
    if matrix != Some(CurvatureMatrix::GaussNewton)
        && let Some(trace) = analysis.trace_hessian
        && let (Some((lower, upper)), Method::Probes { count, sketch, delta }) = (trace.interval, trace.method)
    {
        let confidence = Number::lower(1.0 - delta);
        let estimate = ProbeEstimate { confidence, probes: count as u32, sketch: sketch as u32, seed };
        return Ok(claim(CurvatureMatrix::Hessian, lower, upper, Some(estimate)));
    }
    let checked = checked?;
    let (matrix, found) = match (matrix, prove_trace(matrix.unwrap_or(CurvatureMatrix::Hessian), checked)) {
        (wanted, Ok(found)) => (wanted.unwrap_or(CurvatureMatrix::Hessian), found),
        (Some(_), Err(reason)) => return Err(reason),
        (None, Err(_)) => (CurvatureMatrix::GaussNewton, prove_trace(CurvatureMatrix::GaussNewton, checked)?),
    };
    Ok(claim(matrix, found.lower(), found.upper(), None))
}

/// Steps of the series for a Lyapunov matrix; it converges like `(η/η*)^k`.
const SERIES: usize = 4000;

/// The claim about stability, with a witness that the checker accepts. `None` for a verdict that claims nothing, or where no
/// witness closes.
///
/// # Errors
/// Why the checker cannot build the Gram matrix.
pub fn stability_claim(
    analysis: &Analysis,
    objective: &Objective,
    checked: &curvature::Objective<'_>,
    deadline: Deadline,
) -> Result<Option<StabilityClaim>, CurvatureRefusal> {
    let Some(stability) = &analysis.stability else { return Ok(None) };
    let (eta, batch) = (stability.learning_rate, stability.conditions.batch);
    let verdict = match stability.verdict {
        Verdict::Stable => StabilityVerdict::Stable,
        Verdict::Unstable => StabilityVerdict::Unstable,
        _ => return Ok(None),
    };
    let claim = |critical_learning_rate, witness| StabilityClaim {
        objective: objective.clone(),
        learning_rate: Bits::of(eta),
        batch_size: batch as u32,
        verdict,
        critical_learning_rate,
        witness,
    };
    if verdict == StabilityVerdict::Stable
        && let Some(triangle) = over_parameters(checked, (analysis.samples, analysis.outputs), eta, batch, deadline)
    {
        return Ok(Some(claim(None, StabilityWitness::Moments { matrix: Vector::inline(&triangle) })));
    }
    let sound = curvature::Gram::of(checked)?;
    let order = analysis.samples * analysis.outputs;
    let middle = sound.midpoints();
    let matrix = Mat::from_fn(order, order, |i, j| middle[i * order + j]);
    let Ok(gram) = Gram::from_matrix(matrix, analysis.samples, analysis.outputs) else { return Ok(None) };
    let Some(basis) = Basis::of(&gram) else { return Ok(None) };
    Ok(match verdict {
        StabilityVerdict::Unstable => {
            let Ok(Some(found)) = threshold(&gram, batch, deadline) else { return Ok(None) };
            let triangle = basis.triangle(&found.witness);
            match sound.threshold_upper(&triangle, batch) {
                Ok(bound) if bound < eta => {
                    let witness = StabilityWitness::Direction { matrix: Vector::inline(&triangle) };
                    Some(claim(Some(Number::upper(bound)), witness))
                }
                _ => None,
            }
        }
        StabilityVerdict::Stable => {
            let triangle = basis.triangle(&lyapunov(&gram, stability.conditions.p, eta, deadline));
            let proved = sound.prove_stable(&triangle, eta, batch);
            proved.is_ok().then(|| claim(None, StabilityWitness::Lyapunov { matrix: Vector::inline(&triangle) }))
        }
    })
}

/// A Lyapunov matrix over θ that the checker accepts, where there are no more parameters than rows of derivatives.
fn over_parameters(
    checked: &curvature::Objective<'_>,
    (samples, outputs): (usize, usize),
    eta: f64,
    batch: usize,
    deadline: Deadline,
) -> Option<Vec<f64>> {
    if checked.dimension() > samples * outputs {
        return None;
    }
    let sound = curvature::Moments::of(checked).ok()?;
    let values = sound.midpoints();
    let triangle = moments::lyapunov(&Rows { values: &values, samples, outputs }, eta, batch, deadline)?;
    sound.prove_stable(&triangle, eta, batch).ok().map(|()| triangle)
}

/// `P = Σ_k (½C⁻¹ηD)^k ½C⁻¹H` in the eigenbasis of `H`: then `2CP − ηDP = H`, up to the rest of the series.
fn lyapunov(gram: &Gram, p: f64, eta: f64, deadline: Deadline) -> Vec<f64> {
    let lambda = &gram.eigenvalues;
    let rank = lambda.len();
    let mut matrix: Vec<f64> = (0..rank * rank).map(|at| if at / rank == at % rank { 0.5 } else { 0.0 }).collect();
    for _ in 0..SERIES {
        let image = variance(gram, p, &matrix);
        let mut moved = 0.0f64;
        let mut size = 0.0f64;
        for (at, entry) in matrix.iter_mut().enumerate() {
            let (i, j) = (at / rank, at % rank);
            let source = if i == j { lambda[i] } else { 0.0 };
            let next = (source + eta * image[at]) / (lambda[i] + lambda[j]);
            moved = moved.max((next - *entry).abs());
            size = size.max(next.abs());
            *entry = next;
        }
        if moved <= 1e-9 * size || deadline.has_passed() {
            break;
        }
    }
    matrix
}

/// The way from matrices in the eigenbasis of `H` to matrices of order nC: `W = UΣ^{-1/2}PΣ^{-1/2}Uᵀ` gives `AᵀWA = VPVᵀ`.
struct Basis {
    /// `UΣ^{-1/2}`, nC × r.
    matrix: Mat<f64>,
}

impl Basis {
    fn of(gram: &Gram) -> Option<Self> {
        let (values, vectors) = decompose(&gram.matrix)?;
        let rank = gram.eigenvalues.len();
        let kept: Vec<usize> = (values.len() - rank..values.len()).rev().collect();
        let matrix = Mat::from_fn(values.len(), rank, |i, j| vectors[(i, kept[j])] / values[kept[j]].sqrt());
        Some(Self { matrix })
    }

    fn triangle(&self, inner: &[f64]) -> Vec<f64> {
        let rank = self.matrix.ncols();
        let inner = Mat::from_fn(rank, rank, |i, j| inner[i * rank + j]);
        let full = &self.matrix * inner * self.matrix.transpose();
        (0..full.nrows()).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| 0.5 * (full[(i, j)] + full[(j, i)])).collect()
    }
}
