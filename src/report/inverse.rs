//! How products with an inverse are shown.

use std::fmt;

use tabled::builder::Builder;

use crate::kernel::proof::CurvatureMatrix;
use crate::query::figures::{Computed, InverseFigures, PruningFigures};

fn number(value: impl Into<Computed>) -> String {
    let Computed(value) = value.into();
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) { format!("{value:.6}") } else { format!("{value:.6e}") }
}

impl fmt::Display for InverseFigures {
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
        writeln!(f, "{}", super::screen::table(table))?;
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
            writeln!(f, "{}", super::screen::table(table))?;
        }
        if !self.not_done.is_empty() {
            writeln!(f, "not done within the time limit: {}", self.not_done.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for PruningFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Builder::default();
        table.push_record(["tensor", "elements", "removed", "median ρ"]);
        for row in &self.parameters {
            let median = row.curve.get(4).map_or(String::new(), |value| number(*value));
            table.push_record([&row.name, &row.size.to_string(), &row.removed.to_string(), &median]);
        }
        writeln!(f, "{}", super::screen::table(table))?;
        writeln!(f, "{} of {} weights removed, at a quadratic cost of {}", self.removed, self.of, number(self.quadratic_cost))?;
        let [before, after, plain] = [self.loss_before, self.loss_after, self.loss_without_update].map(number);
        writeln!(f, "measured loss: {before} before, {after} after ({plain} without updating the other weights)")?;
        for missing in self.no_points.chunk_by(|a, b| a.reason == b.reason) {
            let shares: Vec<String> = missing.iter().map(|point| point.share.to_string()).collect();
            writeln!(f, "no point of the pruning curve at shares of {}: {}", shares.join(", "), missing[0].reason)?;
        }
        self.model.iter().try_for_each(|model| writeln!(f, "pruned model: {}", model.display()))
    }
}
