//! How curvature is shown.

use std::fmt;

use tabled::builder::Builder;

use crate::pass::derivatives::Precision;
use crate::query::figures::{Computed, HessianFigures, StabilityFigures};

/// To nearest: these are computed in `f64`, not bounds.
fn number(value: impl Into<Computed>) -> String {
    let Computed(value) = value.into();
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) { format!("{value:.6}") } else { format!("{value:.6e}") }
}

impl fmt::Display for HessianFigures {
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
            let interval = figure.interval.map_or(String::new(), |[low, high]| format!("[{}, {}]", number(low), number(high)));
            table.push_record([label(&figure.name), &number(figure.value), &interval, &figure.method]);
        }
        for norm in &self.parameter_norms {
            table.push_record([norm.name.as_str(), &number(norm.value), "", "from the parameters"]);
        }
        if let Some(alignment) = self.alignment {
            table.push_record(["alignment of SGD's noise μ", &number(alignment), "", "descriptive"]);
        }
        if !self.figures.is_empty() {
            writeln!(f, "{}", super::screen::table(table))?;
        }
        if self.parameters.len() > 1 && self.parameters.iter().all(|row| row.trace_gauss_newton.is_some()) {
            let mut table = Builder::default();
            table.push_record(["tensor", "elements", "share of tr G"]);
            for row in &self.parameters {
                table.push_record([&row.name, &row.size.to_string(), &row.trace_gauss_newton.map_or(String::new(), number)]);
            }
            writeln!(f, "{}", super::screen::table(table))?;
        }
        if let Some(stability) = &self.stability {
            stability.fmt(f)?;
        }
        if !self.not_done.is_empty() {
            writeln!(f, "not done within the time limit: {}", self.not_done.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for StabilityFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Builder::default();
        let title = format!("SGD, η = {}, batches of {}", self.learning_rate, self.batch_size);
        table.push_record([title.as_str(), &self.verdict, self.reason.as_deref().unwrap_or_default()]);
        if let Some(exact) = self.critical_learning_rate {
            let share = format!("η/η* = {}", number(self.learning_rate / exact));
            table.push_record(["critical learning rate η*(B)", &number(exact), &share]);
        } else {
            let bracket = format!("[{}, {}]", number(self.bracket[0]), number(self.bracket[1]));
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
        writeln!(f, "{}", super::screen::table(table))?;
        writeln!(f, "about plain SGD, linearised here, with independent batches; not momentum, Adam, epochs, or generalisation")
    }
}

/// The symbol of a figure.
fn label(name: &str) -> &str {
    match name {
        "trace" => "tr H, Hessian",
        "trace_gauss_newton" => "tr G, Gauss-Newton",
        "frobenius_norm" => "‖H‖_F",
        "frobenius_norm_gauss_newton" => "‖G‖_F",
        "lambda_max" => "λ_max(H)",
        "lambda_max_gauss_newton" => "λ_max(G)",
        "interpolation" => "‖H − G‖_F/‖G‖_F",
        name => name,
    }
}

fn shortened(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let more = if names.len() > SHOWN { format!(", … ({} more)", names.len() - SHOWN) } else { String::new() };
    format!("{}{more}", names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "))
}
