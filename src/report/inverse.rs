//! What the inverse-Hessian pass has to tell.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::Style;

use crate::certificate::{CurvatureMatrix, FileIdentity, Objective};
use crate::pass::deadline::TimedOut;
use crate::pass::derivatives::{Circuit, Loss, Parameters};
use crate::pass::mfac::Inverse;

/// Products with an inverse, and what they are used for.
#[derive(Debug, Serialize)]
pub struct InverseSection {
    matrix: CurvatureMatrix,
    loss_convention: &'static str,
    data: Vec<FileIdentity>,
    samples: u32,
    dimension: usize,
    gradients: usize,
    damping: f64,
    /// `λ_max(GGᵀ)/(mλ)`.
    condition: f64,
    on_disk: bool,
    /// Relative residual as computed, and the bound that is certified.
    residual: f64,
    residual_bound: Option<String>,
    pruning: Option<PruningRow>,
    suspects: Vec<SuspectRow>,
    /// What the gradients are stored as.
    precision: &'static str,
    /// Steps that the time limit cut off.
    not_done: Vec<String>,
    seconds: f64,
}

/// What removing weights costs.
#[derive(Debug, Serialize)]
pub struct PruningRow {
    removed: usize,
    of: usize,
    /// `½δwᵀFδw` of the joint removal.
    quadratic_cost: f64,
    loss_before: f64,
    loss_after: f64,
    /// With the same weights removed and the others left as they were.
    loss_without_update: f64,
    parameters: Vec<PrunedParameter>,
    /// The same at other shares, from the least on.
    curve: Vec<PruningPoint>,
    /// Shares that have no point, and why.
    no_points: Vec<NoPoint>,
    model: PathBuf,
}

/// What the removal of a share of the weights costs.
#[derive(Clone, Debug, Serialize)]
pub struct PruningPoint {
    pub removed: usize,
    /// `½δwᵀFδw` of the joint removal.
    pub quadratic_cost: f64,
    /// Measured.
    pub loss: f64,
    pub loss_without_update: f64,
}

/// A share of the weights whose removal has no measured cost.
#[derive(Clone, Debug, Serialize)]
pub struct NoPoint {
    pub share: f64,
    pub reason: String,
}

/// One tensor's share.
#[derive(Debug, Serialize)]
struct PrunedParameter {
    name: String,
    size: usize,
    removed: usize,
    /// Saliencies ρ at the tenths of the tensor's weights, from the least on.
    curve: Vec<f64>,
}

/// A sample and its leverage.
#[derive(Debug, Serialize)]
pub struct SuspectRow {
    pub sample: usize,
    pub label: Option<usize>,
    pub leverage: f64,
}

impl PruningRow {
    /// Does the curve lack points that time would have given?
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.no_points.iter().any(|missing| missing.reason == TimedOut.to_string())
    }

    /// `point`: what the removal of `removed` costs.
    #[must_use]
    pub fn new(
        parameters: &Parameters,
        saliency: &[f64],
        removed: &[usize],
        loss_before: f64,
        point: &PruningPoint,
        (curve, no_points): (Vec<PruningPoint>, Vec<NoPoint>),
        model: PathBuf,
    ) -> Self {
        let parameters = parameters.list.iter().map(|parameter| {
            let range = parameter.offset..parameter.offset + parameter.size;
            let mut own = saliency[range.clone()].to_vec();
            own.sort_by(f64::total_cmp);
            let tenth = |tenth: usize| own[(tenth * own.len()).div_ceil(10).saturating_sub(1)];
            PrunedParameter {
                name: parameter.name.clone(),
                size: parameter.size,
                removed: removed.iter().filter(|q| range.contains(q)).count(),
                curve: if own.is_empty() { Vec::new() } else { (1..=10).map(tenth).collect() },
            }
        });
        Self {
            removed: removed.len(),
            of: saliency.len(),
            quadratic_cost: point.quadratic_cost,
            loss_before,
            loss_after: point.loss,
            loss_without_update: point.loss_without_update,
            parameters: parameters.collect(),
            curve,
            no_points,
            model,
        }
    }
}

impl InverseSection {
    /// `residual`: as computed, and as certified.
    #[must_use]
    #[allow(clippy::too_many_arguments)] // one for each part of the section
    pub fn new(
        matrix: CurvatureMatrix,
        inverse: &Inverse,
        circuit: &Circuit<'_>,
        loss: Loss,
        objective: &Objective,
        (residual, residual_bound): (f64, Option<String>),
        pruning: Option<PruningRow>,
        suspects: Vec<SuspectRow>,
        not_done: Vec<String>,
        time: Duration,
    ) -> Self {
        Self {
            matrix,
            loss_convention: loss.convention(),
            data: objective.data.clone(),
            samples: objective.samples,
            dimension: circuit.dimension(),
            gradients: inverse.count(),
            damping: inverse.damping(),
            condition: inverse.condition(),
            on_disk: inverse.gradients().on_disk(),
            residual,
            residual_bound,
            pruning,
            suspects,
            precision: inverse.gradients().precision().name(),
            not_done,
            seconds: time.as_secs_f64(),
        }
    }
}

fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) { format!("{value:.6}") } else { format!("{value:.6e}") }
}

impl fmt::Display for InverseSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matrix = match self.matrix {
            CurvatureMatrix::EmpiricalFisher => "empirical Fisher matrix: gradients of single samples",
            CurvatureMatrix::GaussNewton | CurvatureMatrix::Hessian => "Gauss-Newton matrix: rows of the Jacobians",
        };
        writeln!(f, "loss: {}", self.loss_convention)?;
        let mut table = Builder::default();
        table.push_record(["F = λI + (1/m) Σ g gᵀ", matrix, ""]);
        let stored = format!("gradients in {}{}", self.precision, if self.on_disk { ", on disk" } else { "" });
        table.push_record(["parameters d, gradients m", &format!("{}, {}", self.dimension, self.gradients), &stored]);
        table.push_record(["damping λ", &number(self.damping), ""]);
        table.push_record(["condition κ in the span", &number(self.condition), ""]);
        let (residual, how) = match &self.residual_bound {
            Some(bound) => (format!("at most {bound}"), "checked"),
            None => (number(self.residual), "computed, not certified"),
        };
        table.push_record(["residual ‖Fx − v‖/‖v‖", &residual, how]);
        writeln!(f, "{}", table.build().with(Style::rounded()))?;
        if let Some(pruning) = &self.pruning {
            pruning.fmt(f)?;
        }
        if !self.suspects.is_empty() {
            let mut table = Builder::default();
            table.push_record(["sample", "label", "leverage gᵀF⁻¹g"]);
            for row in &self.suspects {
                let label = row.label.map_or(String::new(), |label| label.to_string());
                table.push_record([&row.sample.to_string(), &label, &number(row.leverage)]);
            }
            writeln!(f, "{}", table.build().with(Style::rounded()))?;
        }
        if !self.not_done.is_empty() {
            writeln!(f, "not done within the time limit: {}", self.not_done.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for PruningRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Builder::default();
        table.push_record(["tensor", "elements", "removed", "median ρ"]);
        for row in &self.parameters {
            let median = row.curve.get(4).map_or(String::new(), |value| number(*value));
            table.push_record([&row.name, &row.size.to_string(), &row.removed.to_string(), &median]);
        }
        writeln!(f, "{}", table.build().with(Style::rounded()))?;
        writeln!(f, "{} of {} weights removed, at a quadratic cost of {}", self.removed, self.of, number(self.quadratic_cost))?;
        let [before, after, plain] = [self.loss_before, self.loss_after, self.loss_without_update].map(number);
        writeln!(f, "measured loss: {before} before, {after} after ({plain} without updating the other weights)")?;
        for missing in self.no_points.chunk_by(|a, b| a.reason == b.reason) {
            let shares: Vec<String> = missing.iter().map(|point| point.share.to_string()).collect();
            writeln!(f, "no point of the pruning curve at shares of {}: {}", shares.join(", "), missing[0].reason)?;
        }
        writeln!(f, "pruned model: {}", self.model.display())
    }
}
