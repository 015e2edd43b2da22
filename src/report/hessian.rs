//! What the curvature pass has to tell.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::Style;

use crate::certificate::{Assurance, Claim, FileIdentity};
use crate::pass::derivatives::{Circuit, Loss, Precision};
use crate::pass::hessian::flatness::ParameterNorms;
use crate::pass::hessian::stability::CriticalBatch;
use crate::pass::hessian::{Analysis, Figure, Method, Stability, Verdict};

/// Curvature at the parameters of the file.
#[derive(Debug, Serialize)]
pub struct HessianSection {
    loss_convention: &'static str,
    /// Is the network's last Softmax part of the loss?
    softmax_in_loss: bool,
    data: Vec<FileIdentity>,
    samples: usize,
    outputs: usize,
    dimension: usize,
    parameters: Vec<ParameterRow>,
    not_parameters: Vec<ExcludedRow>,
    loss: f64,
    accuracy: Option<f64>,
    gradient_norm: f64,
    kinks: Vec<KinkRow>,
    /// Why the trace of the Hessian is not that of the Gauss–Newton matrix in general, if it is not.
    structure: Option<String>,
    figures: Vec<FigureRow>,
    lambda_min_hessian: Option<f64>,
    alignment: Option<f64>,
    parameter_norms: Vec<(&'static str, f64)>,
    stability: Option<StabilityRow>,
    /// What is certified, in words.
    certified: Vec<String>,
    /// Eigenvalues and weights: the density of the Hessian's spectrum, exact or by stochastic Lanczos quadrature.
    density: Vec<(f64, f64)>,
    /// Bits of the arithmetic of derivatives.
    precision: &'static str,
    /// Steps that the time limit cut off.
    not_done: Vec<String>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct ParameterRow {
    name: String,
    size: usize,
    /// Share of the trace of the Gauss–Newton matrix.
    trace_gauss_newton: Option<f64>,
}

#[derive(Debug, Serialize)]
struct ExcludedRow {
    name: String,
    reason: String,
}

#[derive(Debug, Serialize)]
struct KinkRow {
    node: String,
    hits: usize,
}

#[derive(Debug, Serialize)]
struct FigureRow {
    name: &'static str,
    #[serde(skip)]
    label: &'static str,
    value: f64,
    interval: Option<(f64, f64)>,
    method: String,
}

#[derive(Debug, Serialize)]
struct StabilityRow {
    verdict: &'static str,
    reason: Option<String>,
    learning_rate: f64,
    batch_size: usize,
    /// `η*(B)`.
    critical_learning_rate: Option<f64>,
    bracket: (f64, f64),
    gradient_descent: f64,
    trace_condition: f64,
    wu_su: f64,
    top_direction: f64,
    sufficient: f64,
    /// From which batch size on the learning rate is stable; `0` for all, `null` for none or unknown.
    critical_batch_size: Option<f64>,
    #[serde(skip)]
    critical_batch: String,
    edge_ratio: f64,
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

impl HessianSection {
    #[must_use]
    #[allow(clippy::too_many_arguments)] // one for each part of the section
    pub fn new(
        analysis: &Analysis,
        circuit: &Circuit<'_>,
        loss: Loss,
        softmax_in_loss: bool,
        data: &[FileIdentity],
        claims: &[Claim],
        precision: Precision,
        time: Duration,
    ) -> Self {
        let row = |name, label, figure: Option<Figure>| {
            figure.map(|figure| FigureRow {
                name,
                label,
                value: figure.value,
                interval: figure.interval,
                method: method(figure.method),
            })
        };
        let figures = [
            row("trace", "tr H, Hessian", analysis.trace_hessian),
            row("trace_gauss_newton", "tr G, Gauss-Newton", analysis.trace_gauss_newton),
            row("frobenius_norm", "‖H‖_F", analysis.frobenius_hessian),
            row("frobenius_norm_gauss_newton", "‖G‖_F", analysis.frobenius_gauss_newton),
            row("lambda_max", "λ_max(H)", analysis.lambda_max_hessian),
            row("lambda_max_gauss_newton", "λ_max(G)", analysis.lambda_max_gauss_newton),
            row("interpolation", "‖H − G‖_F/‖G‖_F", analysis.interpolation),
        ];
        let structure = &circuit.structure;
        let parameter_norms = match analysis.parameter_norms {
            Some(ParameterNorms::TwoLayerRelu { path_norm, weighted_path_norm, .. }) => vec![
                ("path norm", path_norm),
                ("data-weighted path norm (at most half the trace)", weighted_path_norm),
                ("least trace over rescalings of the neurons", 2.0 * weighted_path_norm),
            ],
            Some(ParameterNorms::DiagonalLinear { rescaled_trace, .. }) => {
                vec![("least trace over rescalings of the coordinates", rescaled_trace)]
            }
            None => Vec::new(),
        };
        Self {
            loss_convention: loss.convention(),
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
                .map(|(index, own)| ParameterRow {
                    name: own.name.clone(),
                    size: own.size,
                    trace_gauss_newton: analysis.per_parameter.get(index).copied(),
                })
                .collect(),
            not_parameters: circuit
                .parameters
                .excluded
                .iter()
                .map(|excluded| ExcludedRow { name: excluded.name.clone(), reason: excluded.reason.clone() })
                .collect(),
            loss: analysis.evaluation.loss,
            accuracy: analysis.evaluation.accuracy,
            gradient_norm: analysis.gradient_norm,
            kinks: analysis.evaluation.kinks.iter().map(|k| KinkRow { node: k.node.clone(), hits: k.hits }).collect(),
            structure: match (&structure.curved, &structure.tied) {
                (Some(node), _) => Some(format!("not piecewise linear: {node}")),
                (None, Some(node)) => Some(format!("tied weights: {node}")),
                (None, None) => None,
            },
            figures: figures.into_iter().flatten().collect(),
            lambda_min_hessian: analysis.lambda_min_hessian,
            alignment: analysis.alignment,
            parameter_norms,
            stability: analysis.stability.as_ref().map(StabilityRow::new),
            certified: claims.iter().map(certified).collect(),
            density: analysis.density.clone(),
            precision: precision.name(),
            not_done: analysis.not_done.clone(),
            seconds: time.as_secs_f64(),
        }
    }
}

impl StabilityRow {
    fn new(stability: &Stability) -> Self {
        let conditions = &stability.conditions;
        let (critical_batch, critical_batch_size) = match stability.critical_batch {
            None => ("not computed".to_owned(), None),
            Some(CriticalBatch::One) => ("stable for every batch size".to_owned(), Some(0.0)),
            Some(CriticalBatch::From(batch)) => (format!("stable from batches of {batch:.2} on"), Some(batch)),
            Some(CriticalBatch::Never) => ("unstable even for full batches".to_owned(), None),
        };
        Self {
            verdict: stability.verdict.name(),
            reason: match &stability.verdict {
                Verdict::NotApplicable(reason) => Some(reason.clone()),
                _ => None,
            },
            learning_rate: stability.learning_rate,
            batch_size: conditions.batch,
            critical_learning_rate: stability.exact,
            bracket: stability.bracket,
            gradient_descent: conditions.gradient_descent,
            trace_condition: conditions.trace,
            wu_su: conditions.wu_su,
            top_direction: conditions.top_direction,
            sufficient: conditions.sufficient,
            critical_batch_size,
            critical_batch,
            edge_ratio: stability.edge_ratio,
        }
    }
}

fn certified(claim: &Claim) -> String {
    let assurance = match claim.assurance {
        Assurance::Proved => "proved",
        Assurance::Checked => "checked",
        Assurance::Estimated => "estimated",
    };
    format!("{assurance}: {}", super::check::statement(&claim.kind))
}

/// To nearest: these are computed in `f64`, not bounds.
fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) { format!("{value:.6}") } else { format!("{value:.6e}") }
}

impl fmt::Display for HessianSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.precision != Precision::Double.name() {
            writeln!(f, "derivatives in {}", self.precision)?;
        }
        let softmax = if self.softmax_in_loss { "; the network's Softmax is part of it" } else { "" };
        let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        writeln!(f, "loss: {}{softmax}", self.loss_convention)?;
        writeln!(f, "parameters: {} in {} tensors: {}", self.dimension, names.len(), shortened(&names))?;
        for excluded in &self.not_parameters {
            writeln!(f, "  not a parameter: {} ({})", excluded.name, excluded.reason)?;
        }
        let accuracy = self.accuracy.map_or(String::new(), |share| format!(", accuracy {share:.4}"));
        let (loss, gradient) = (number(self.loss), number(self.gradient_norm));
        writeln!(f, "{} samples, {} outputs: loss {loss}{accuracy}, gradient norm {gradient}", self.samples, self.outputs)?;
        if let Some(structure) = &self.structure {
            writeln!(f, "tr H is not tr G in general: {structure}")?;
        }
        let hits: usize = self.kinks.iter().map(|kinks| kinks.hits).sum();
        if hits > 0 {
            writeln!(
                f,
                "{hits} exact hits of kinks: there relu'(0) = 0 and ties go to the first, so H is a convention, not a derivative"
            )?;
        }
        let mut table = Builder::default();
        table.push_record(["curvature", "value", "interval", "how"]);
        for figure in &self.figures {
            let interval = figure.interval.map_or(String::new(), |(low, high)| format!("[{}, {}]", number(low), number(high)));
            table.push_record([figure.label, &number(figure.value), &interval, &figure.method]);
        }
        for (label, value) in &self.parameter_norms {
            table.push_record([*label, &number(*value), "", "from the parameters"]);
        }
        if let Some(alignment) = self.alignment {
            table.push_record(["alignment of SGD's noise μ", &number(alignment), "", "descriptive"]);
        }
        if !self.figures.is_empty() {
            writeln!(f, "{}", table.build().with(Style::rounded()))?;
        }
        if self.parameters.len() > 1 && self.parameters.iter().all(|row| row.trace_gauss_newton.is_some()) {
            let mut table = Builder::default();
            table.push_record(["tensor", "elements", "share of tr G"]);
            for row in &self.parameters {
                table.push_record([&row.name, &row.size.to_string(), &row.trace_gauss_newton.map_or(String::new(), number)]);
            }
            writeln!(f, "{}", table.build().with(Style::rounded()))?;
        }
        if let Some(stability) = &self.stability {
            stability.fmt(f)?;
        }
        if !self.not_done.is_empty() {
            writeln!(f, "not done within the time limit: {}", self.not_done.join(", "))?;
        }
        self.certified.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for StabilityRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Builder::default();
        let title = format!("SGD, η = {}, batches of {}", self.learning_rate, self.batch_size);
        table.push_record([title.as_str(), self.verdict, self.reason.as_deref().unwrap_or_default()]);
        if let Some(exact) = self.critical_learning_rate {
            let share = format!("η/η* = {}", number(self.learning_rate / exact));
            table.push_record(["critical learning rate η*(B)", &number(exact), &share]);
        } else {
            let bracket = format!("[{}, {}]", number(self.bracket.0), number(self.bracket.1));
            table.push_record(["bracket of η*(B)", &bracket, ""]);
        }
        table.push_record([
            "gradient descent, necessary",
            &number(self.gradient_descent),
            &format!("edge ratio ηλ/2 = {}", number(self.edge_ratio)),
        ]);
        table.push_record(["trace, necessary", &number(self.trace_condition), "Mulayoff-Michaeli (16)"]);
        table.push_record(["trace, necessary", &number(self.wu_su), "Wu-Su, for these outputs and batches"]);
        table.push_record(["top direction, necessary", &number(self.top_direction), "Mulayoff-Michaeli (15)"]);
        table.push_record(["sufficient", &number(self.sufficient), ""]);
        table.push_record(["critical batch size", &self.critical_batch, ""]);
        writeln!(f, "{}", table.build().with(Style::rounded()))?;
        writeln!(f, "about plain SGD, linearised here, with independent batches; not momentum, Adam, epochs, or generalisation")
    }
}

fn shortened(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let more = if names.len() > SHOWN { format!(", … ({} more)", names.len() - SHOWN) } else { String::new() };
    format!("{}{more}", names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "))
}
