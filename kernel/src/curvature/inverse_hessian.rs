//! TRUSTED. Claims of kind `inverse-hessian`: the residual, from gradients derived again in enclosures.

use super::objective::Objective;
use super::refusal::CurvatureRefusal;
use crate::proof::{Assurance, Content, CurvatureMatrix, Evidence, InverseHessianClaim, Rounding};
use crate::sound::Enclosure;
use crate::sound::round::{div_up, sqrt_down, sqrt_up};

/// The residual that a claim states, proved again. A residual says how well an equation is solved; the assurance is
/// [`Assurance::Checked`].
///
/// # Errors
/// What does not fit or is not reached.
pub fn check(claim: &InverseHessianClaim, evidence: &Evidence) -> Result<Assurance, CurvatureRefusal> {
    if !claim.residual.is_consistent(Rounding::Up) {
        return Err(Content::Number { field: "residual" }.into());
    }
    let count = claim.gradients as usize;
    let objective = Objective::new(&claim.objective, evidence, |_, _| count)?;
    let (vector, product) = (evidence.vector(&claim.witness.vector)?, evidence.vector(&claim.witness.product)?);
    let proved = prove_residual(&objective, claim.matrix, count, claim.damping.value(), &vector, &product)?;
    if proved <= claim.residual.value() {
        Ok(Assurance::Checked)
    } else {
        Err(Content::NotReached { field: "residual", claimed: claim.residual.value(), proved }.into())
    }
}

/// An upper bound of `‖Fx − v‖/‖v‖`, `F = λI + (1/m) Σ g_i g_iᵀ` over the first m gradients or rows.
///
/// # Errors
/// What does not fit or cannot be enclosed.
pub fn prove_residual(
    objective: &Objective,
    matrix: CurvatureMatrix,
    count: usize,
    damping: f64,
    vector: &[f64],
    product: &[f64],
) -> Result<f64, CurvatureRefusal> {
    let per_sample = match matrix {
        CurvatureMatrix::EmpiricalFisher => 1,
        CurvatureMatrix::GaussNewton => objective.outputs(),
        CurvatureMatrix::Hessian => return Err(Content::Shape { what: "gradients do not make the Hessian" }.into()),
    };
    let available = objective.count().saturating_mul(per_sample);
    if !(1..=available).contains(&count) || [vector.len(), product.len()] != [objective.dimension(); 2] {
        return Err(Content::Shape { what: "the vectors do not have the length of θ, or there are fewer gradients" }.into());
    }
    let finite = damping.is_finite() && vector.iter().chain(product).all(|x| x.is_finite());
    if damping <= 0.0 || !finite {
        return Err(Content::Number { field: "damping" }.into());
    }
    let x: Vec<Enclosure> = product.iter().map(|&x| Enclosure::exact(x)).collect();
    let mut sum = vec![Enclosure::ZERO; x.len()];
    for sample in 0..count.div_ceil(per_sample) {
        let rows = match matrix {
            CurvatureMatrix::EmpiricalFisher => vec![objective.gradient(sample)?],
            _ => objective.roots(sample)?,
        };
        for row in rows.iter().take(count - sample * per_sample) {
            let inner = row.iter().zip(&x).fold(Enclosure::ZERO, |sum, (g, x)| sum + *g * *x);
            sum.iter_mut().zip(row).for_each(|(sum, g)| *sum = *sum + *g * inner);
        }
    }
    let (damping, m) = (Enclosure::exact(damping), Enclosure::exact(count as f64));
    let terms = sum.iter().zip(&x).zip(vector);
    let squared =
        terms.fold(Enclosure::ZERO, |total, ((sum, x), v)| total + (damping * *x + *sum / m - Enclosure::exact(*v)).square());
    let norm = vector.iter().fold(Enclosure::ZERO, |total, &v| total + Enclosure::exact(v).square());
    Ok(div_up(sqrt_up(squared.upper()), sqrt_down(norm.lower().max(0.0))))
}
