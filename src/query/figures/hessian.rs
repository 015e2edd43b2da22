//! Curvature at the parameters of a model.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Computed;
use crate::kernel::proof::FileIdentity;
use crate::pass::derivatives::{Circuit, Loss, Precision};
use crate::pass::hessian::flatness::ParameterNorms;
use crate::pass::hessian::stability::CriticalBatch;
use crate::pass::hessian::{Analysis, Figure, Method, Stability, Verdict};

/// Curvature at the parameters of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HessianFigures {
    pub loss_convention: String,
    /// Is the network's last Softmax part of the loss?
    pub softmax_in_loss: bool,
    pub data: Vec<FileIdentity>,
    pub samples: usize,
    pub outputs: usize,
    pub dimension: usize,
    pub parameters: Vec<ParameterFigures>,
    pub not_parameters: Vec<ExcludedTensor>,
    pub loss: Computed,
    pub accuracy: Option<f64>,
    pub gradient_norm: Computed,
    pub kinks: Vec<KinkHits>,
    /// Why the trace of the Hessian is not that of the Gauss–Newton matrix in general, if it is not.
    pub structure: Option<String>,
    pub figures: Vec<HessianFigure>,
    pub lambda_min_hessian: Option<f64>,
    pub alignment: Option<f64>,
    pub parameter_norms: Vec<NamedFigure>,
    pub stability: Option<StabilityFigures>,
    /// Eigenvalues and weights: the density of the Hessian's spectrum, exact or by stochastic Lanczos quadrature.
    pub density: Vec<[Computed; 2]>,
    /// Bits of the arithmetic of derivatives.
    pub precision: String,
    /// Steps that the time limit cut off.
    pub not_done: Vec<String>,
    pub seconds: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParameterFigures {
    pub name: String,
    pub size: usize,
    /// Share of the trace of the Gauss–Newton matrix.
    pub trace_gauss_newton: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExcludedTensor {
    pub name: String,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KinkHits {
    pub node: String,
    pub hits: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HessianFigure {
    pub name: String,
    pub value: Computed,
    pub interval: Option<[Computed; 2]>,
    pub method: String,
}

/// A figure from the parameters alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedFigure {
    pub name: String,
    pub value: Computed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StabilityFigures {
    pub verdict: String,
    pub reason: Option<String>,
    pub learning_rate: f64,
    pub batch_size: usize,
    /// `η*(B)`.
    pub critical_learning_rate: Option<f64>,
    pub bracket: [Computed; 2],
    pub gradient_descent: Computed,
    pub trace_condition: Computed,
    pub wu_su: Computed,
    pub top_direction: Computed,
    pub sufficient: Computed,
    /// From which batch size on the learning rate is stable; `0` for all, `null` for none or unknown.
    pub critical_batch_size: Option<f64>,
    /// The same in words.
    pub critical_batch: String,
    pub edge_ratio: Computed,
}

fn method(method: Method) -> String {
    match method {
        Method::Norms => "exact up to rounding: backward passes".to_owned(),
        Method::Gram => "exact up to rounding: Gram matrix".to_owned(),
        Method::Dense => "exact up to rounding: column by column".to_owned(),
        Method::Probes { count, sketch, delta } => {
            format!("estimated: {count} probes, sketch of {sketch}, confidence {}", 1.0 - delta)
        }
        Method::Lanczos { steps } => format!("lower end: {steps} Lanczos steps; upper end: a norm"),
    }
}

impl HessianFigures {
    #[must_use]
    pub fn new(
        analysis: &Analysis,
        circuit: &Circuit<'_>,
        loss: Loss,
        softmax_in_loss: bool,
        data: &[FileIdentity],
        precision: Precision,
        time: Duration,
    ) -> Self {
        let row = |name: &str, figure: Option<Figure>| {
            figure.map(|figure| HessianFigure {
                name: name.to_owned(),
                value: Computed(figure.value),
                interval: figure.interval.map(|(low, high)| [Computed(low), Computed(high)]),
                method: method(figure.method),
            })
        };
        let figures = [
            row("trace", analysis.trace_hessian),
            row("trace_gauss_newton", analysis.trace_gauss_newton),
            row("frobenius_norm", analysis.frobenius_hessian),
            row("frobenius_norm_gauss_newton", analysis.frobenius_gauss_newton),
            row("lambda_max", analysis.lambda_max_hessian),
            row("lambda_max_gauss_newton", analysis.lambda_max_gauss_newton),
            row("interpolation", analysis.interpolation),
        ];
        let structure = &circuit.structure;
        let named = |name: &str, value: f64| NamedFigure { name: name.to_owned(), value: Computed(value) };
        let parameter_norms = match analysis.parameter_norms {
            Some(ParameterNorms::TwoLayerRelu { path_norm, weighted_path_norm, .. }) => vec![
                named("path norm", path_norm),
                named("data-weighted path norm (at most half the trace)", weighted_path_norm),
                named("least trace over rescalings of the neurons", 2.0 * weighted_path_norm),
            ],
            Some(ParameterNorms::DiagonalLinear { rescaled_trace, .. }) => {
                vec![named("least trace over rescalings of the coordinates", rescaled_trace)]
            }
            None => Vec::new(),
        };
        Self {
            loss_convention: loss.convention().to_owned(),
            softmax_in_loss,
            data: data.to_vec(),
            samples: analysis.samples,
            outputs: analysis.outputs,
            dimension: circuit.dimension(),
            parameters: circuit
                .parameters
                .list
                .iter()
                .enumerate()
                .map(|(index, own)| ParameterFigures {
                    name: own.name.clone(),
                    size: own.size,
                    trace_gauss_newton: analysis.per_parameter.get(index).copied(),
                })
                .collect(),
            not_parameters: circuit
                .parameters
                .excluded
                .iter()
                .map(|excluded| ExcludedTensor { name: excluded.name.clone(), reason: excluded.reason.clone() })
                .collect(),
            loss: Computed(analysis.evaluation.loss),
            accuracy: analysis.evaluation.accuracy,
            gradient_norm: Computed(analysis.gradient_norm),
            kinks: analysis.evaluation.kinks.iter().map(|k| KinkHits { node: k.node.clone(), hits: k.hits }).collect(),
            structure: match (&structure.curved, &structure.tied) {
                (Some(node), _) => Some(format!("not piecewise linear: {node}")),
                (None, Some(node)) => Some(format!("tied weights: {node}")),
                (None, None) => None,
            },
            figures: figures.into_iter().flatten().collect(),
            lambda_min_hessian: analysis.lambda_min_hessian,
            alignment: analysis.alignment,
            parameter_norms,
            stability: analysis.stability.as_ref().map(StabilityFigures::new),
            density: analysis.density.iter().map(|&(value, weight)| [Computed(value), Computed(weight)]).collect(),
            precision: precision.name().to_owned(),
            not_done: analysis.not_done.clone(),
            seconds: time.as_secs_f64(),
        }
    }
}

impl StabilityFigures {
    fn new(stability: &Stability) -> Self {
        let conditions = &stability.conditions;
        let (critical_batch, critical_batch_size) = match stability.critical_batch {
            None => ("not computed".to_owned(), None),
            Some(CriticalBatch::One) => ("stable for every batch size".to_owned(), Some(0.0)),
            Some(CriticalBatch::From(batch)) => (format!("stable from batches of {batch:.2} on"), Some(batch)),
            Some(CriticalBatch::Never) => ("unstable even for full batches".to_owned(), None),
        };
        Self {
            verdict: stability.verdict.name().to_owned(),
            reason: match &stability.verdict {
                Verdict::NotApplicable(reason) => Some(reason.clone()),
                _ => None,
            },
            learning_rate: stability.learning_rate,
            batch_size: conditions.batch,
            critical_learning_rate: stability.exact,
            bracket: [Computed(stability.bracket.0), Computed(stability.bracket.1)],
            gradient_descent: Computed(conditions.gradient_descent),
            trace_condition: Computed(conditions.trace),
            wu_su: Computed(conditions.wu_su),
            top_direction: Computed(conditions.top_direction),
            sufficient: Computed(conditions.sufficient),
            critical_batch_size,
            critical_batch,
            edge_ratio: Computed(stability.edge_ratio),
        }
    }
}
