//! Pruning by the quadratic model of M-FAC: which weights go, what the others become, and what it costs, measured on the file
//! that is made.

use std::path::Path;

use super::error::QueryError;
use super::figures::{Computed, NoPoint, PrunedTensor, PruningFigures, PruningPoint};
use super::objective::Setting;
use super::patch::{embed_external, patch_initializer};
use crate::deadline::{Deadline, TimedOut};
use crate::kernel::model::onnx::{Model, load_bytes};
use crate::pass::derivatives::{Circuit, Objective, Parameter, Parameters, Real};
use crate::pass::mfac::{Inverse, saliency};

/// Shares of the weights at which the cost of pruning is also measured, while the gradients fit into memory.
const CURVE: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// Removes a share of the weights and updates the others. Returns what it costs, and the ONNX file.
///
/// # Errors
/// A file that is compressed or cannot be patched, or a loss that cannot be measured.
pub fn prune<T: Real>(
    share: f64,
    setting: &Setting,
    objective: &Objective<'_, T>,
    inverse: &Inverse,
    deadline: Deadline,
) -> Result<(PruningFigures, Vec<u8>), QueryError> {
    let circuit = &setting.circuit;
    let weights = circuit.parameters.values(circuit.network);
    let diagonal = inverse.diagonal()?;
    let saliency = saliency(&weights, &diagonal);
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&i, &j| saliency[i].total_cmp(&saliency[j]).then(i.cmp(&j)));
    let before = objective.summary()?;
    let bytes = setting.subjects.read(&setting.subjects.path, crate::kernel::model::onnx::MAX_MODEL_BYTES)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(QueryError::CompressedModel);
    }
    // The pruned model stands alone: what lay beside the original is in it.
    let folder = setting.subjects.path.parent().unwrap_or(Path::new(""));
    let bytes = if setting.subjects.model.external.is_empty() { bytes } else { embed_external(&bytes, folder)? };
    let write = |theta: &[f64]| -> Result<Vec<u8>, QueryError> {
        let mut bytes = bytes.clone();
        for parameter in &circuit.parameters.list {
            let own = &theta[parameter.offset..parameter.offset + parameter.size];
            patch_initializer(&mut bytes, &parameter.name, own)?;
        }
        Ok(bytes)
    };
    // Measured on the files themselves, with the rounding to float32 that they have. With other values a file may be lowered to
    // other nodes: nothing of the circuit is taken over.
    let measure = |bytes: &[u8]| -> Result<f64, QueryError> {
        let model: Model = load_bytes(bytes)?;
        let parameters = Parameters { list: Vec::new(), excluded: Vec::new(), dimension: 0 };
        let (output, _) = setting.loss.output(&model.network);
        let circuit = Circuit::new(&model.network, output, parameters)?;
        let objective = Objective::<T>::new(&circuit, setting.loss, &setting.samples, 0)?;
        Ok(objective.summary()?.loss)
    };
    let of_share = |share: f64| &order[..((weights.len() as f64 * share).round() as usize).clamp(1, weights.len())];
    let remove = |removed: &[usize]| -> Result<(PruningPoint, Vec<u8>), QueryError> {
        let joint = inverse.joint_removal(&weights, removed)?;
        let mut updated: Vec<f64> = weights.iter().zip(&joint.update).map(|(w, u)| w + u).collect();
        let mut masked = weights.clone();
        for &q in removed {
            (updated[q], masked[q]) = (0.0, 0.0);
        }
        let (pruned, plain) = (write(&updated)?, write(&masked)?);
        let (loss, loss_without_update) = (measure(&pruned)?, measure(&plain)?);
        let point = PruningPoint {
            removed: removed.len(),
            quadratic_cost: Computed(joint.cost),
            loss: Computed(loss),
            loss_without_update: Computed(loss_without_update),
        };
        Ok((point, pruned))
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
            remove(of_share(share)).map_err(|error| error.to_string())
        };
        match found {
            Ok((point, _)) => curve.push(point),
            Err(reason) => no_points.push(NoPoint { share, reason }),
        }
    }
    curve.sort_by_key(|point| point.removed);
    curve.dedup_by_key(|point| point.removed);
    let of_tensor = |parameter: &Parameter| {
        let range = parameter.offset..parameter.offset + parameter.size;
        let mut own = saliency[range.clone()].to_vec();
        own.sort_by(f64::total_cmp);
        let tenth = |tenth: usize| Computed(own[(tenth * own.len()).div_ceil(10).saturating_sub(1)]);
        PrunedTensor {
            name: parameter.name.clone(),
            size: parameter.size,
            removed: removed.iter().filter(|q| range.contains(q)).count(),
            curve: if own.is_empty() { Vec::new() } else { (1..=10).map(tenth).collect() },
        }
    };
    let figures = PruningFigures {
        removed: removed.len(),
        of: saliency.len(),
        quadratic_cost: point.quadratic_cost,
        loss_before: Computed(before.loss),
        loss_after: point.loss,
        loss_without_update: point.loss_without_update,
        parameters: circuit.parameters.list.iter().map(of_tensor).collect(),
        curve,
        no_points,
        model: None,
    };
    Ok((figures, pruned))
}

/// Whether the curve lacks points that time would have given.
pub fn is_cut_off(figures: &PruningFigures) -> bool {
    figures.no_points.iter().any(|missing| missing.reason == TimedOut.to_string())
}
