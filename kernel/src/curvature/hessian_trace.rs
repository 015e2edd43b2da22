//! TRUSTED. Claims of kind `hessian-trace`: the trace is computed again, in enclosures.

use super::objective::Objective;
use super::refusal::CurvatureRefusal;
use crate::proof::{Assurance, Content, CurvatureMatrix, Evidence, HessianTraceClaim, Rounding};
use crate::sound::Enclosure;

/// The assurance that a claim about a trace has. [`Assurance::Estimated`] says that nothing is established: the probes are not
/// repeated, so that the claim answers no question until the pass has run again.
///
/// # Errors
/// What is not proved, or an estimate that is not one.
pub fn check(claim: &HessianTraceClaim, evidence: &Evidence) -> Result<Assurance, CurvatureRefusal> {
    let (lower, upper) = (&claim.trace.lower, &claim.trace.upper);
    if !(lower.is_consistent(Rounding::Down) && upper.is_consistent(Rounding::Up) && lower.value() <= upper.value()) {
        return Err(Content::Number { field: "trace" }.into());
    }
    if let Some(estimate) = &claim.estimate {
        let confidence = &estimate.confidence;
        let stated = confidence.is_consistent(Rounding::Down) && (0.0..1.0).contains(&confidence.value()) && estimate.probes > 0;
        if !stated {
            return Err(Content::Number { field: "confidence" }.into());
        }
        // The figures are not computed again; that they are about these data and parameters is.
        Objective::new(&claim.objective, evidence, |_, _| 0)?;
        return Ok(Assurance::Estimated);
    }
    let proved = prove_trace(claim.matrix, &Objective::new(&claim.objective, evidence, |samples, outputs| samples * outputs)?)?;
    // A NaN is within nothing.
    if proved.lower() >= lower.value() && proved.upper() <= upper.value() {
        Ok(Assurance::Proved)
    } else {
        let (claimed, proved) = if proved.lower() >= lower.value() { (upper, proved.upper()) } else { (lower, proved.lower()) };
        Err(Content::NotReached { field: "trace", claimed: claimed.value(), proved }.into())
    }
}

/// The trace of the Gauss–Newton matrix, which is that of the Hessian where the network is piecewise linear in each
/// parameter and every sample lies inside a piece.
///
/// # Errors
/// What cannot be enclosed, or why the Hessian's trace is another.
pub fn prove_trace(matrix: CurvatureMatrix, objective: &Objective) -> Result<Enclosure, CurvatureRefusal> {
    match matrix {
        CurvatureMatrix::Hessian if !objective.piecewise_multilinear() => {
            return Err(Content::Shape { what: "the network is not piecewise linear in each parameter" }.into());
        }
        CurvatureMatrix::Hessian if !objective.is_smooth()? => {
            return Err(Content::Shape { what: "a sample lies on a kink of the network, or too close to one to tell" }.into());
        }
        CurvatureMatrix::Hessian | CurvatureMatrix::GaussNewton => {}
        CurvatureMatrix::EmpiricalFisher => {
            return Err(Content::Shape { what: "a trace is claimed of the Hessian or the Gauss-Newton matrix" }.into());
        }
    }
    let mut total = Enclosure::ZERO;
    for sample in 0..objective.count() {
        for row in objective.roots(sample)? {
            total = row.iter().fold(total, |sum, entry| sum + entry.square());
        }
    }
    Ok(total / Enclosure::exact(objective.count() as f64))
}
