//! The report of `verify MODEL --…`: one section per pass, and what the checker established.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::{
    CheckedFile, HessianSection, InverseSection, LipschitzSection, RobustnessSection, SpecificationSection, TightnessSection,
    duration,
};
use crate::certificate::Certificate;
use crate::onnx::Model;

/// What the passes found and the checker established.
#[derive(Debug, Serialize)]
pub struct AnalysisReport {
    model: String,
    digest: String,
    input: Vec<usize>,
    output: Vec<usize>,
    parameters: usize,
    sections: Vec<Section>,
    /// The claims as the certificate states them, without their witnesses.
    claims: Vec<serde_json::Value>,
    certificate: Option<String>,
    seconds: f64,
    check_milliseconds: u64,
}

/// What one pass has to tell.
#[derive(Debug, Serialize)]
#[serde(tag = "pass", rename_all = "kebab-case")]
pub enum Section {
    Lipschitz(LipschitzSection),
    Robustness(RobustnessSection),
    Tightness(TightnessSection),
    Specification(SpecificationSection),
    Hessian(Box<HessianSection>),
    Inverse(Box<InverseSection>),
}

impl Section {
    /// Does it hold figures that no certificate does?
    #[must_use]
    pub const fn is_descriptive(&self) -> bool {
        match self {
            Self::Tightness(_) | Self::Hessian(_) | Self::Inverse(_) => true,
            Self::Lipschitz(_) | Self::Robustness(_) | Self::Specification(_) => false,
        }
    }

    /// Did the pass leave something untried for want of memory?
    #[must_use]
    pub const fn is_short_of_memory(&self) -> bool {
        matches!(self, Self::Lipschitz(section) if section.is_short_of_memory())
    }
}

impl AnalysisReport {
    #[must_use]
    pub fn new(
        path: &Path,
        model: &Model,
        sections: Vec<Section>,
        certificate: Option<&Certificate>,
        checked: Option<&CheckedFile>,
        time: Duration,
    ) -> Self {
        let claims = certificate.into_iter().flat_map(|certificate| &certificate.claims).filter_map(|claim| {
            let mut value = serde_json::to_value(claim).ok()?;
            value.as_object_mut()?.remove("witness");
            Some(value)
        });
        let checking: Duration = checked.into_iter().flat_map(|file| &file.claims).map(|claim| claim.time).sum();
        Self {
            model: path.display().to_string(),
            digest: model.digest.clone(),
            input: model.input.shape.clone(),
            output: model.output.shape.clone(),
            parameters: model.parameters,
            sections,
            claims: claims.collect(),
            certificate: checked.map(|file| file.certificate.clone()),
            seconds: time.as_secs_f64(),
            check_milliseconds: u64::try_from(checking.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lipschitz(section) => section.fmt(f),
            Self::Robustness(section) => section.fmt(f),
            Self::Tightness(section) => section.fmt(f),
            Self::Specification(section) => section.fmt(f),
            Self::Hessian(section) => section.fmt(f),
            Self::Inverse(section) => section.fmt(f),
        }
    }
}

impl fmt::Display for AnalysisReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {:?} → {:?}, {} parameters", super::visible(&self.model), self.input, self.output, self.parameters)?;
        self.sections.iter().try_for_each(|section| section.fmt(f))?;
        if let Some(certificate) = &self.certificate {
            let checking = duration(Duration::from_millis(self.check_milliseconds));
            let time = duration(Duration::from_secs_f64(self.seconds));
            writeln!(f, "certificate: {} (checked in {checking} of {time})", super::visible(certificate))?;
        }
        Ok(())
    }
}
