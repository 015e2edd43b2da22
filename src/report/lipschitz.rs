//! What the Lipschitz pass has to tell.

use std::fmt;

use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::Style;

use crate::pass::lipschitz::{Engine, Outcome};

/// Bounds of the Lipschitz constant and what is behind them.
#[derive(Debug, Serialize)]
pub struct LipschitzSection {
    bound: String,
    norm_product: Option<String>,
    lower_bound: Option<String>,
    /// Estimate of the relaxation's optimum.
    relaxation: Option<f64>,
    engine: &'static str,
    matrix_order: usize,
    multipliers: usize,
    seconds: f64,
    notes: Vec<String>,
}

impl LipschitzSection {
    #[must_use]
    pub fn new(outcome: &Outcome) -> Self {
        let claim = &outcome.claim;
        Self {
            bound: claim.bound.to_string(),
            norm_product: claim.norm_product.as_ref().map(ToString::to_string),
            lower_bound: claim.lower_bound.as_ref().map(ToString::to_string),
            relaxation: outcome.relaxation,
            engine: outcome.engine.name(),
            matrix_order: if outcome.engine == Engine::NormProduct { 0 } else { outcome.order },
            multipliers: if outcome.engine == Engine::NormProduct { 0 } else { outcome.multipliers },
            seconds: outcome.seconds,
            notes: outcome.notes.clone(),
        }
    }
}

impl fmt::Display for LipschitzSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Builder::default();
        table.push_record(["ℓ2 Lipschitz constant", "", ""]);
        table.push_record(["certified upper bound", &self.bound, "proved"]);
        if let Some(lower) = &self.lower_bound {
            table.push_record(["certified lower bound", lower, "proved: attained by a pair of points"]);
        }
        if let Some(product) = &self.norm_product {
            table.push_record(["norm product", product, "proved"]);
        }
        if let Some(relaxation) = self.relaxation {
            table.push_record(["optimum of the relaxation", &format!("≈ {}", estimate(relaxation)), "estimated"]);
        }
        let engine = if self.matrix_order > 0 {
            format!("matrix of order {}, {} multipliers", self.matrix_order, self.multipliers)
        } else {
            "no matrix inequality gave a smaller bound".to_owned()
        };
        table.push_record(["engine", self.engine, &engine]);
        writeln!(f, "{}", table.build().with(Style::rounded()))
    }
}

/// To nearest: an estimate has no safe side.
fn estimate(value: f64) -> String {
    if (1e-3..1e7).contains(&value) { format!("{value:.6}") } else { format!("{value:.6e}") }
}
