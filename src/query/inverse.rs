//! The question about products with the inverse of a matrix of curvature.

use std::time::Instant;

use super::answer::{Answer, Outcome, Product};
use super::error::QueryError;
use super::figures::{Computed, Figures, InverseFigures, Suspect};
use super::limits::{Limits, Watch};
use super::objective::Setting;
use super::pruning::{is_cut_off, prune};
use super::question::InverseHessianQuery;
use super::subjects::Subjects;
use crate::deadline::Deadline;
use crate::kernel::curvature::{CurvatureRefusal, prove_residual};
use crate::kernel::proof::{
    Assurance, Bits, Claim, ClaimKind, CurvatureMatrix, Domain, FILE_LIMIT, InverseHessianClaim, InverseHessianWitness, Number,
    Semantics, Vector,
};
use crate::kernel::read::data::read_npy;
use crate::pass::derivatives::{Objective, Precision, Real, Targets};
use crate::pass::mfac::{CollectError, Influence, Inverse, Rows, collect};

/// Samples that are listed, or a twentieth of all.
const SUSPECTS: usize = 20;

pub fn answer(
    subjects: &Subjects,
    query: &InverseHessianQuery,
    limits: &Limits,
    watch: &dyn Watch,
) -> Result<Answer, QueryError> {
    let start = Instant::now();
    let mut notes = Vec::new();
    let setting = Setting::new(subjects, &query.objective, &mut notes)?;
    let mut found = match query.objective.precision {
        Precision::Double => find::<f64>(&setting, query, limits, watch, start)?,
        Precision::Single => find::<f32>(&setting, query, limits, watch, start)?,
    };
    found.notes.splice(0..0, notes);
    Ok(found)
}

fn find<T: Real>(
    setting: &Setting,
    query: &InverseHessianQuery,
    limits: &Limits,
    watch: &dyn Watch,
    start: Instant,
) -> Result<Answer, QueryError> {
    let deadline = Deadline::after(limits.time);
    let memory = usize::try_from(limits.memory).unwrap_or(usize::MAX);
    let objective = Objective::<T>::new(&setting.circuit, setting.loss, &setting.samples, memory / 4)?;
    // Of the Hessian itself there are no rows.
    let rows = match query.matrix {
        CurvatureMatrix::EmpiricalFisher => Rows::Gradients,
        CurvatureMatrix::GaussNewton => Rows::Roots,
        CurvatureMatrix::Hessian => return Err(QueryError::NoRows),
    };
    let available = setting.samples.count * rows.per_sample(&objective);
    let count = query.gradients.map_or(available, |count| count as usize);
    if count > available {
        return Err(QueryError::TooFewGradients { asked: count, found: available });
    }
    let late = |step| if deadline.has_passed() { Err(QueryError::OutOfTime { step }) } else { Ok(()) };
    watch.step("gradients");
    let gradients = match collect(&objective, rows, count, memory / 2, deadline) {
        Err(CollectError::TimedOut(_)) => return Err(QueryError::OutOfTime { step: "gradients" }),
        found => found?,
    };
    late("Gram matrix and factor")?;
    watch.step("Gram matrix and factor");
    let inverse = Inverse::new(gradients, query.damping)?;
    let mut notes = Vec::new();
    if query.matrix == CurvatureMatrix::EmpiricalFisher {
        warn_of_vanishing(&inverse, &objective, deadline, &mut notes);
    }
    late("product")?;

    watch.step("product");
    let Multiplied { vector, product, residual } = multiply(query, setting, &inverse)?;
    let (mut claims, mut not_done, mut outcome) = (Vec::new(), Vec::new(), Outcome::Established);
    if deadline.has_passed() {
        not_done.push("certificate of the residual".to_owned());
    } else {
        let claim = InverseHessianClaim {
            objective: setting.identity.clone(),
            matrix: query.matrix,
            gradients: u32::try_from(count).unwrap_or(u32::MAX),
            damping: Bits::of(query.damping),
            residual: Number::upper(residual),
            witness: InverseHessianWitness { vector: Vector::inline(&vector), product: Vector::inline(&product) },
        };
        match certify(setting, claim, &vector, &product) {
            Ok(Some(found)) => claims.push(found),
            Ok(None) => notes.push("the vector is zero: its product has no relative residual".to_owned()),
            // What no claim holds is not established.
            Err(reason) => {
                outcome = Outcome::Inconclusive;
                notes.push(format!("the residual is computed, not certified: {reason}"));
            }
        }
    }

    let mut products = Vec::new();
    let mut pruning = None;
    if let Some(share) = query.pruning {
        if deadline.has_passed() {
            not_done.push("pruning".to_owned());
        } else {
            watch.step("pruning");
            let (figures, model) = prune(share, setting, &objective, &inverse, deadline)?;
            products.push(Product::PrunedModel(model));
            pruning = Some(figures);
        }
    }
    let mut suspects = Vec::new();
    if query.influence {
        if deadline.has_passed() {
            not_done.push("influence".to_owned());
        } else {
            watch.step("influence");
            suspects = by_leverage(&inverse, setting, rows.per_sample(&objective))?;
        }
    }
    if !not_done.is_empty() || pruning.as_ref().is_some_and(is_cut_off) {
        outcome = Outcome::Inconclusive;
    }
    products.push(Product::Vector(product));
    let figures = InverseFigures {
        matrix: query.matrix,
        loss_convention: setting.loss.convention().to_owned(),
        data: setting.identity.data.clone(),
        samples: setting.identity.samples,
        dimension: setting.circuit.dimension(),
        gradients: inverse.count(),
        damping: inverse.damping(),
        condition: Computed(inverse.condition()),
        on_disk: inverse.gradients().on_disk(),
        residual: Computed(residual),
        residual_bound: claims.iter().find_map(|claim: &Claim| match &claim.kind {
            ClaimKind::InverseHessian(claim) => Some(claim.residual.to_string()),
            _ => None,
        }),
        pruning,
        suspects,
        precision: inverse.gradients().precision().name().to_owned(),
        not_done,
        seconds: start.elapsed().as_secs_f64(),
    };
    let engine = format!("gradients in {}, Gram matrix and Cholesky factor in f64", T::PRECISION.name());
    let files = setting.dataset.files().iter().map(|(path, _)| path.clone()).collect();
    let figures = Figures::Inverse(Box::new(figures));
    Ok(Answer { claims, notes, files, products, ..Answer::new(figures, outcome, engine) })
}

/// Returns the claim with the residual that the checker proves; none for a vector of zeros.
fn certify(
    setting: &Setting,
    claim: InverseHessianClaim,
    vector: &[f64],
    product: &[f64],
) -> Result<Option<Claim>, CurvatureRefusal> {
    let count = claim.gradients as usize;
    let checked = setting.checked(|_, _| count)?;
    let bound = prove_residual(&checked, claim.matrix, count, claim.damping.value(), vector, product)?;
    Ok(bound.is_finite().then(|| Claim {
        id: "inverse-hessian".to_owned(),
        assurance: Assurance::Checked,
        semantics: Semantics::Real,
        domain: Domain::Data,
        vacuous: false,
        kind: ClaimKind::InverseHessian(InverseHessianClaim { residual: Number::upper(bound), ..claim }),
    }))
}

/// A network that fits its data has gradients of nearly zero, and an empirical Fisher matrix that says nothing.
fn warn_of_vanishing<T: Real>(inverse: &Inverse, objective: &Objective<'_, T>, deadline: Deadline, notes: &mut Vec<String>) {
    let m = inverse.count();
    let fisher = inverse.squared_norms().iter().sum::<f64>() / m as f64;
    let Ok(norms) = objective.root_norms(deadline) else { return };
    let gauss_newton = norms.iter().flatten().sum::<f64>() / norms.len() as f64;
    if fisher < 1e-6 * gauss_newton {
        notes.push(format!(
            "the gradients vanish (trace {fisher:e} against {gauss_newton:e} of the Gauss-Newton matrix): F is little more than λI"
        ));
        notes.push("hint: `--matrix gauss-newton` takes the rows of the Jacobians instead".to_owned());
    }
}

/// A vector, its product, and the computed relative residual.
struct Multiplied {
    vector: Vec<f64>,
    product: Vec<f64>,
    residual: f64,
}

fn multiply(query: &InverseHessianQuery, setting: &Setting, inverse: &Inverse) -> Result<Multiplied, QueryError> {
    let dimension = setting.circuit.dimension();
    if let Some(path) = &query.vector {
        let array = read_npy(&setting.subjects.read(path, FILE_LIMIT)?).and_then(|array| array.to_f64());
        let vector = array.map_err(|problem| problem.at(path))?;
        if vector.len() != dimension || !vector.iter().all(|x| x.is_finite()) {
            return Err(QueryError::VectorSize { path: path.clone(), found: vector.len(), needed: dimension });
        }
        let (product, residual) = inverse.refined_product(&vector, 3)?;
        return Ok(Multiplied { vector, product, residual });
    }
    // The mean lies in the span of the gradients, where the dual form does not cancel.
    let weights = vec![1.0 / inverse.count() as f64; inverse.count()];
    let vector = inverse.gradients().transposed_times(&weights)?;
    let product = inverse.product_in_span(&weights)?;
    let residual = inverse.relative_residual(&product, &vector)?;
    Ok(Multiplied { vector, product, residual })
}

/// Returns the samples that pull hardest at the parameters, the first hardest.
fn by_leverage(inverse: &Inverse, setting: &Setting, per_sample: usize) -> Result<Vec<Suspect>, QueryError> {
    let influence = Influence::of(inverse)?;
    let leverages: Vec<f64> = influence.leverages().chunks(per_sample).map(|own| own.iter().sum()).collect();
    let mut order: Vec<usize> = (0..leverages.len()).collect();
    order.sort_by(|&i, &j| leverages[j].total_cmp(&leverages[i]).then(i.cmp(&j)));
    let count = leverages.len();
    let label = |sample: usize| match &setting.samples.targets {
        Targets::Labels(labels) => Some(labels[sample]),
        Targets::Values(_) => None,
    };
    let first = order.into_iter().take(SUSPECTS.max(count.div_ceil(20)));
    Ok(first.map(|sample| Suspect { sample, label: label(sample), leverage: Computed(leverages[sample]) }).collect())
}
