//! `verify MODEL --inverse-hessian`: options of the inverse-Hessian pass.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;

use super::analysis::{Context, Findings};
use super::objective::{self, Setting};
use super::{ExitStatus, Failure};
use crate::certificate::{
    Assurance, Bits, Claim, ClaimKind, CurvatureMatrix, Domain, InverseHessianClaim, InverseHessianWitness, Number, Semantics,
    Vector, read_file,
};
use crate::checker::{ClaimRefusal, prove_residual};
use crate::data::{read_npy, write_npy};
use crate::onnx::{Model, load_bytes, patch_initializer};
use crate::pass::deadline::{Deadline, TimedOut};
use crate::pass::derivatives::{Circuit, Objective, Parameters, Precision, Real};
use crate::pass::mfac::{CollectError, Influence, Inverse, Rows, collect, saliency};
use crate::report::{InverseSection, NoPoint, PruningPoint, PruningRow, Section, SuspectRow};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Curvature")]
pub struct Arguments {
    /// Products with the inverse of F = λI + (1/m) Σ g gᵀ (M-FAC)
    #[arg(long, group = "pass", requires = "damping")]
    inverse_hessian: bool,
    /// The damping λ; it is never raised silently
    #[arg(long, value_name = "LAMBDA", requires = "inverse_hessian", value_parser = super::hessian::positive)]
    damping: Option<f64>,
    /// What the g are
    #[arg(long, value_enum, value_name = "MATRIX", default_value = "empirical-fisher", requires = "inverse_hessian")]
    matrix: Matrix,
    /// How many of them, from the first on [default: all]
    #[arg(long, value_name = "M", requires = "inverse_hessian", value_parser = clap::value_parser!(u32).range(1..))]
    gradients: Option<u32>,
    /// The vector to multiply, over all parameters in the file's order; `-o` writes the product as .npy [default: the mean of the g]
    #[arg(long, value_name = "V.NPY", requires = "inverse_hessian")]
    product: Option<PathBuf>,
    /// Remove this share of the weights where the quadratic model says it costs least, and update the others
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.25", requires = "inverse_hessian", value_parser = super::units::share)]
    pruning: Option<f64>,
    /// Where to write the pruned model [default: beside the model, `.pruned.onnx`]
    #[arg(long, value_name = "FILE", requires = "pruning")]
    pruned_model: Option<PathBuf>,
    /// Leverage of every sample, the most suspicious labels first
    #[arg(long, requires = "inverse_hessian")]
    influence: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Matrix {
    /// Gradients of the samples' losses
    EmpiricalFisher,
    /// Rows of the Jacobians, weighted by the loss: for networks that interpolate, whose gradients vanish
    GaussNewton,
}

impl Matrix {
    const fn rows(self) -> (Rows, CurvatureMatrix) {
        match self {
            Self::EmpiricalFisher => (Rows::Gradients, CurvatureMatrix::EmpiricalFisher),
            Self::GaussNewton => (Rows::Roots, CurvatureMatrix::GaussNewton),
        }
    }
}

impl Arguments {
    pub const fn requested(&self) -> bool {
        self.inverse_hessian
    }

    /// The file that is written, by its option.
    pub fn written(&self) -> [(&'static str, Option<&Path>); 1] {
        [("--pruned-model", self.pruned_model.as_deref())]
    }

    /// The vector that is read.
    pub fn vector(&self) -> Option<&Path> {
        self.product.as_deref()
    }
}

/// Samples that are listed, or a twentieth of all.
const SUSPECTS: usize = 20;
/// Shares of the weights at which the cost of pruning is also measured, while the gradients fit into memory.
const CURVE: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

pub fn run(arguments: &Arguments, shared: &objective::Arguments, context: &Context) -> Result<Findings, Failure> {
    let start = Instant::now();
    let setting = shared.setting(context, "--inverse-hessian")?;
    match shared.precision() {
        Precision::Double => find::<f64>(arguments, &setting, context, start),
        Precision::Single => find::<f32>(arguments, &setting, context, start),
    }
}

fn find<T: Real>(arguments: &Arguments, setting: &Setting, context: &Context, start: Instant) -> Result<Findings, Failure> {
    let deadline = Deadline::after(context.timeout);
    let damping = arguments.damping.ok_or_else(|| Failure::error("`--inverse-hessian` needs `--damping`"))?;
    let memory = usize::try_from(context.memory).unwrap_or(usize::MAX);
    let objective = Objective::<T>::new(&setting.circuit, setting.loss, &setting.samples, memory / 4).map_err(Failure::error)?;
    let (rows, matrix) = arguments.matrix.rows();
    let available = setting.samples.count * rows.per_sample(&objective);
    let count = arguments.gradients.map_or(available, |count| count as usize);
    if count > available {
        return Err(Failure::error(format!("--gradients {count}: the data give {available}")));
    }
    context.step("gradients");
    let gradients = match collect(&objective, rows, count, memory / 2, deadline) {
        Err(CollectError::TimedOut(stop)) => return Err(late(stop, "gradients")),
        found => found.map_err(Failure::error)?,
    };
    deadline.check().map_err(|stop| late(stop, "Gram matrix and factor"))?;
    context.step("Gram matrix and factor");
    let inverse = Inverse::new(gradients, damping).map_err(|error| {
        Failure::error(error)
            .ending(ExitStatus::Inconclusive)
            .with_hint("a larger `--damping` makes F better conditioned; it is another matrix then")
    })?;
    if matrix == CurvatureMatrix::EmpiricalFisher {
        warn_of_vanishing(&inverse, &objective, deadline, context);
    }
    deadline.check().map_err(|stop| late(stop, "product"))?;

    context.step("product");
    let (vector, product, residual) = multiply(arguments, setting, &inverse)?;
    let mut claims = Vec::new();
    let mut not_done = Vec::new();
    let mut status = ExitStatus::Established;
    if deadline.has_passed() {
        not_done.push("certificate of the residual".to_owned());
    } else {
        let claim = InverseHessianClaim {
            objective: setting.identity.clone(),
            matrix,
            gradients: u32::try_from(count).map_err(Failure::internal)?,
            damping: Bits::of(damping),
            residual: Number::upper(residual),
            witness: InverseHessianWitness { vector: Vector::inline(&vector), product: Vector::inline(&product) },
        };
        match certify(setting, context, claim, &vector, &product) {
            Ok(found) => claims.extend(found),
            // What no claim holds is not established.
            Err(reason) => {
                status = ExitStatus::Inconclusive;
                context.output.note(&format!("the residual is computed, not certified: {reason}"));
            }
        }
    }

    let pruning = match arguments.pruning {
        Some(share) if !deadline.has_passed() => {
            context.step("pruning");
            Some(prune(arguments, share, context, setting, &objective, &inverse, deadline)?)
        }
        Some(_) => {
            not_done.push("pruning".to_owned());
            None
        }
        None => None,
    };
    let suspects = if arguments.influence && !deadline.has_passed() {
        context.step("influence");
        suspects(&inverse, setting, rows.per_sample(&objective))?
    } else {
        not_done.extend(arguments.influence.then(|| "influence".to_owned()));
        Vec::new()
    };
    if !not_done.is_empty() || pruning.as_ref().is_some_and(PruningRow::is_cut_off) {
        status = ExitStatus::Inconclusive;
    }
    let result_file = arguments.product.is_some().then(|| npy(&product)).transpose()?;
    let bound = claims.iter().find_map(|claim| match &claim.kind {
        ClaimKind::InverseHessian(claim) => Some(claim.residual.to_string()),
        _ => None,
    });
    let section = InverseSection::new(
        matrix,
        &inverse,
        &setting.circuit,
        setting.loss,
        &setting.identity,
        (residual, bound),
        pruning,
        suspects,
        not_done,
        start.elapsed(),
    );
    Ok(Findings {
        claims,
        section: Section::Inverse(Box::new(section)),
        engine: format!("gradients in {}, Gram matrix and Cholesky factor in f64", T::PRECISION.name()),
        status,
        files: setting.dataset.files().iter().map(|(path, _)| path.clone()).collect(),
        result_file,
        beside: Vec::new(),
    })
}

/// The claim with the residual that the checker proves; none for a vector of zeros.
fn certify(
    setting: &Setting,
    context: &Context,
    claim: InverseHessianClaim,
    vector: &[f64],
    product: &[f64],
) -> Result<Option<Claim>, ClaimRefusal> {
    let count = claim.gradients as usize;
    let checked = setting.checked(context, |_, _| count)?;
    let bound = prove_residual(&checked, claim.matrix, count, claim.damping.value(), vector, product)?;
    if !bound.is_finite() {
        context.output.note("the vector is zero: its product has no relative residual");
        return Ok(None);
    }
    Ok(Some(Claim {
        id: "inverse-hessian".to_owned(),
        assurance: Assurance::Checked,
        semantics: Semantics::Real,
        domain: Domain::Data,
        vacuous: false,
        kind: ClaimKind::InverseHessian(InverseHessianClaim { residual: Number::upper(bound), ..claim }),
    }))
}

/// Nothing is found yet: every result needs the factor.
fn late(stop: TimedOut, step: &str) -> Failure {
    Failure::coded("NV605", format_args!("{stop}; not done: {step} and all that follows"))
        .ending(ExitStatus::Inconclusive)
        .with_hint("raise `--timeout`, or take fewer rows with `--gradients`")
}

/// A network that fits its data has gradients of nearly zero, and an empirical Fisher matrix that says nothing.
fn warn_of_vanishing<T: Real>(inverse: &Inverse, objective: &Objective<'_, T>, deadline: Deadline, context: &Context) {
    let m = inverse.count();
    let fisher = inverse.squared_norms().iter().sum::<f64>() / m as f64;
    let Ok(norms) = objective.root_norms(deadline) else { return };
    let gauss_newton = norms.iter().flatten().sum::<f64>() / norms.len() as f64;
    if fisher < 1e-6 * gauss_newton {
        context.output.note(&format!(
            "the gradients vanish (trace {fisher:e} against {gauss_newton:e} of the Gauss-Newton matrix): F is little more than λI"
        ));
        context.output.note("hint: `--matrix gauss-newton` takes the rows of the Jacobians instead");
    }
}

fn npy(vector: &[f64]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &[vector.len()], vector).map_err(Failure::error)?;
    Ok(bytes)
}

/// The vector, its product, and the computed relative residual.
fn multiply(arguments: &Arguments, setting: &Setting, inverse: &Inverse) -> Result<(Vec<f64>, Vec<f64>, f64), Failure> {
    let dimension = setting.circuit.dimension();
    if let Some(path) = &arguments.product {
        let named = |code, problem: &dyn std::fmt::Display| Failure::coded(code, problem).at(path);
        let array = read_npy(&read_file(path).map_err(|error| Failure::coded("NV201", error))?);
        let vector = array.and_then(|array| array.to_f64()).map_err(|problem| named("NV201", &problem))?;
        if vector.len() != dimension || !vector.iter().all(|x| x.is_finite()) {
            return Err(named(
                "NV202",
                &format!("{} values, where {dimension} finite ones are needed, one per parameter", vector.len()),
            ));
        }
        let (product, residual) = inverse.refined_product(&vector, 3).map_err(Failure::error)?;
        return Ok((vector, product, residual));
    }
    // The mean lies in the span of the gradients, where the dual form does not cancel.
    let weights = vec![1.0 / inverse.count() as f64; inverse.count()];
    let vector = inverse.gradients().transposed_times(&weights).map_err(Failure::error)?;
    let product = inverse.product_in_span(&weights).map_err(Failure::error)?;
    let residual = inverse.relative_residual(&product, &vector).map_err(Failure::error)?;
    Ok((vector, product, residual))
}

fn prune<T: Real>(
    arguments: &Arguments,
    share: f64,
    context: &Context,
    setting: &Setting,
    objective: &Objective<'_, T>,
    inverse: &Inverse,
    deadline: Deadline,
) -> Result<PruningRow, Failure> {
    let circuit = &setting.circuit;
    let weights = circuit.parameters.values(circuit.network);
    let diagonal = inverse.diagonal().map_err(Failure::error)?;
    let saliency = saliency(&weights, &diagonal);
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&i, &j| saliency[i].total_cmp(&saliency[j]).then(i.cmp(&j)));
    let before = objective.summary().map_err(Failure::error)?;
    let bytes = crate::files::read(context.path, crate::onnx::MAX_MODEL_BYTES);
    let bytes = bytes.map_err(|error| Failure::coded("NV101", error).at(context.path))?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(Failure::coded("NV140", "a pruned model is written from a file that is not compressed"));
    }
    let write = |theta: &[f64]| -> Result<Vec<u8>, Failure> {
        let mut bytes = bytes.clone();
        for parameter in &circuit.parameters.list {
            let own = &theta[parameter.offset..parameter.offset + parameter.size];
            patch_initializer(&mut bytes, &parameter.name, own).map_err(Failure::error)?;
        }
        Ok(bytes)
    };
    // Measured on the files themselves, with the rounding to float32 that they have. With other values a file may be lowered to
    // other nodes: nothing of the circuit is taken over.
    let measure = |bytes: &[u8]| -> Result<f64, Failure> {
        let model: Model = load_bytes(bytes).map_err(Failure::error)?;
        let parameters = Parameters { list: Vec::new(), excluded: Vec::new(), dimension: 0 };
        let (output, _) = setting.loss.output(&model.network);
        let circuit = Circuit::new(&model.network, output, parameters).map_err(Failure::error)?;
        let objective = Objective::<T>::new(&circuit, setting.loss, &setting.samples, 0).map_err(Failure::error)?;
        Ok(objective.summary().map_err(Failure::error)?.loss)
    };
    let of_share = |share: f64| &order[..((weights.len() as f64 * share).round() as usize).clamp(1, weights.len())];
    let remove = |removed: &[usize]| -> Result<(PruningPoint, Vec<u8>), Failure> {
        let joint = inverse.joint_removal(&weights, removed).map_err(Failure::error)?;
        let mut updated: Vec<f64> = weights.iter().zip(&joint.update).map(|(w, u)| w + u).collect();
        let mut masked = weights.clone();
        for &q in removed {
            (updated[q], masked[q]) = (0.0, 0.0);
        }
        let (pruned, plain) = (write(&updated)?, write(&masked)?);
        let (loss, loss_without_update) = (measure(&pruned)?, measure(&plain)?);
        Ok((PruningPoint { removed: removed.len(), quadratic_cost: joint.cost, loss, loss_without_update }, pruned))
    };
    let removed = of_share(share);
    let (point, pruned) = remove(removed)?;
    let (mut curve, mut no_points) = (vec![point.clone()], Vec::new());
    for share in CURVE {
        let found = if inverse.gradients().on_disk() {
            Err("the gradients are on disk".to_owned())
        } else if let Err(stop) = deadline.check() {
            Err(stop.to_string())
        } else {
            remove(of_share(share)).map_err(|failure| failure.message().to_owned())
        };
        match found {
            Ok((point, _)) => curve.push(point),
            Err(reason) => no_points.push(NoPoint { share, reason }),
        }
    }
    curve.sort_by_key(|point| point.removed);
    curve.dedup_by_key(|point| point.removed);
    let path = arguments.pruned_model.clone().unwrap_or_else(|| pruned_path(context.path));
    super::output::write(&path, &pruned)?;
    Ok(PruningRow::new(&circuit.parameters, &saliency, removed, before.loss, &point, (curve, no_points), path))
}

/// `model.onnx` → `model.pruned.onnx`.
fn pruned_path(model: &Path) -> PathBuf {
    model.with_extension("pruned.onnx")
}

fn suspects(inverse: &Inverse, setting: &Setting, per_sample: usize) -> Result<Vec<SuspectRow>, Failure> {
    let influence = Influence::of(inverse).map_err(Failure::error)?;
    let leverages: Vec<f64> = influence.leverages().chunks(per_sample).map(|own| own.iter().sum()).collect();
    let mut order: Vec<usize> = (0..leverages.len()).collect();
    order.sort_by(|&i, &j| leverages[j].total_cmp(&leverages[i]).then(i.cmp(&j)));
    let count = leverages.len();
    let label = |sample: usize| match &setting.samples.targets {
        crate::pass::derivatives::Targets::Labels(labels) => Some(labels[sample]),
        crate::pass::derivatives::Targets::Values(_) => None,
    };
    let first = order.into_iter().take(SUSPECTS.max(count.div_ceil(20)));
    Ok(first.map(|sample| SuspectRow { sample, label: label(sample), leverage: leverages[sample] }).collect())
}
