//! The report of `verify MODEL --…`: one section per pass, and what the checker established.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CheckedClaim, CheckedFile, duration};
use crate::kernel::model::onnx::Model;
use crate::kernel::proof::{Assurance, Certificate};
use crate::query::figures::Figures;

/// What the passes found and the checker established.
#[derive(Debug, Serialize, Deserialize)]
pub struct AnalysisReport {
    model: String,
    /// SHA-256 of the model.
    pub digest: String,
    input: Vec<usize>,
    output: Vec<usize>,
    parameters: usize,
    pub sections: Vec<Figures>,
    /// The claims in words.
    statements: Vec<Statement>,
    /// The claims as the certificate states them, without their witnesses.
    claims: Vec<serde_json::Value>,
    certificate: Option<String>,
    seconds: f64,
    check_milliseconds: u64,
}

/// A claim in words.
#[derive(Debug, Serialize, Deserialize)]
struct Statement {
    claim: String,
    assurance: Assurance,
    text: String,
}

impl AnalysisReport {
    /// `kept`: where the certificate was written, if it was.
    #[must_use]
    pub fn new(
        path: &Path,
        model: &Model,
        sections: Vec<Figures>,
        certificate: Option<&Certificate>,
        checked: Option<&CheckedFile>,
        kept: Option<String>,
        time: Duration,
    ) -> Self {
        let claims = certificate.into_iter().flat_map(|certificate| &certificate.claims).filter_map(|claim| {
            let mut value = serde_json::to_value(claim).ok()?;
            value.as_object_mut()?.remove("witness");
            Some(value)
        });
        let statement = |claim: &CheckedClaim| Statement {
            claim: claim.id.clone(),
            assurance: claim.assurance,
            text: claim.statement.clone(),
        };
        let checking: Duration = checked.into_iter().flat_map(|file| &file.claims).map(|claim| claim.time).sum();
        Self {
            model: path.display().to_string(),
            digest: model.digest.clone(),
            input: model.input.shape.clone(),
            output: model.output.shape.clone(),
            parameters: model.parameters,
            sections,
            statements: checked.into_iter().flat_map(|file| &file.claims).map(statement).collect(),
            claims: claims.collect(),
            certificate: kept,
            seconds: time.as_secs_f64(),
            check_milliseconds: u64::try_from(checking.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lipschitz(section) => section.fmt(f),
            Self::Robustness(section) => section.fmt(f),
            Self::Tightness(section) => section.fmt(f),
            Self::Specification(section) => section.fmt(f),
            Self::Hessian(section) => section.fmt(f),
            Self::Inverse(section) => section.fmt(f),
            Self::Deviation(section) => section.fmt(f),
        }
    }
}

impl fmt::Display for AnalysisReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {:?} → {:?}, {} parameters", super::visible(&self.model), self.input, self.output, self.parameters)?;
        for section in &self.sections {
            section.fmt(f)?;
            // Its tables hold figures that are computed; what is claimed of them is told in words.
            if matches!(section, Figures::Hessian(_)) {
                for claim in self.statements.iter().filter(|claim| ["hessian-trace", "stability"].contains(&claim.claim.as_str()))
                {
                    writeln!(f, "{}: {}", super::audit::assurance_word(claim.assurance), claim.text)?;
                }
            }
        }
        if let Some(certificate) = &self.certificate {
            let checking = duration(Duration::from_millis(self.check_milliseconds));
            let time = duration(Duration::from_secs_f64(self.seconds));
            writeln!(f, "certificate: {} (checked in {checking} of {time})", super::visible(certificate))?;
        }
        Ok(())
    }
}
