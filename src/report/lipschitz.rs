//! The report of `--lipschitz`.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::Style;

use super::{CheckedFile, duration};
use crate::certificate::{Certificate, ClaimKind};
use crate::onnx::Model;
use crate::pass::lipschitz::{Engine, Outcome};

/// What the pass found and the checker established.
#[derive(Debug, Serialize)]
pub struct LipschitzReport {
    model: String,
    input: Vec<usize>,
    output: Vec<usize>,
    parameters: usize,
    bound: String,
    norm_product: Option<String>,
    lower_bound: Option<String>,
    /// Estimate of the relaxation's optimum.
    relaxation: Option<f64>,
    engine: &'static str,
    matrix_order: usize,
    multipliers: usize,
    seconds: f64,
    check_milliseconds: u64,
    certificate: String,
    notes: Vec<String>,
}

/// The report and the claims as the certificate states them, without their witnesses.
#[derive(Debug, Serialize)]
pub struct WithClaims<'a> {
    #[serde(flatten)]
    report: &'a LipschitzReport,
    claims: Vec<serde_json::Value>,
}

impl LipschitzReport {
    #[must_use]
    pub fn new(path: &Path, model: &Model, outcome: &Outcome, checked: &CheckedFile, time: Duration) -> Self {
        let claim = &outcome.claim;
        let checking: Duration = checked.claims.iter().map(|claim| claim.time).sum();
        Self {
            model: path.display().to_string(),
            input: model.input.shape.clone(),
            output: model.output.shape.clone(),
            parameters: model.parameters,
            bound: claim.bound.to_string(),
            norm_product: claim.norm_product.as_ref().map(ToString::to_string),
            lower_bound: claim.lower_bound.as_ref().map(ToString::to_string),
            relaxation: outcome.relaxation,
            engine: outcome.engine.name(),
            matrix_order: if outcome.engine == Engine::NormProduct { 0 } else { outcome.order },
            multipliers: if outcome.engine == Engine::NormProduct { 0 } else { outcome.multipliers },
            seconds: time.as_secs_f64(),
            check_milliseconds: u64::try_from(checking.as_millis()).unwrap_or(u64::MAX),
            certificate: checked.certificate.clone(),
            notes: outcome.notes.clone(),
        }
    }

    /// The report with the certificate's claims.
    #[must_use]
    pub fn with_claims(&self, certificate: &Certificate) -> WithClaims<'_> {
        let claims = certificate.claims.iter().filter_map(|claim| {
            let ClaimKind::Lipschitz(_) = &claim.kind;
            let mut value = serde_json::to_value(claim).ok()?;
            value.as_object_mut()?.remove("witness");
            Some(value)
        });
        WithClaims { report: self, claims: claims.collect() }
    }
}

impl fmt::Display for LipschitzReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {:?} → {:?}, {} parameters", self.model, self.input, self.output, self.parameters)?;
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
        let checking = duration(Duration::from_millis(self.check_milliseconds));
        let time = duration(Duration::from_secs_f64(self.seconds));
        table.push_record(["time", &time, &format!("of which {checking} for the check")]);
        writeln!(f, "{}", table.build().with(Style::rounded()))?;
        writeln!(f, "certificate: {}", self.certificate)
    }
}

/// To nearest: an estimate has no safe side.
fn estimate(value: f64) -> String {
    if (1e-3..1e7).contains(&value) { format!("{value:.6}") } else { format!("{value:.6e}") }
}
