//! Certificates and their claims as a report tells them: figures by their names in the certificate, and pictures.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::chart::{self, Chart};
use super::example::{self, Example, Read};
use super::figures::{FigureRow, descriptive, figures};
use super::question::{Outcome, Part};
use crate::kernel::model::onnx::Model;
use crate::kernel::proof::{
    Assurance, Bundle, Certificate, ClaimKind, Domain, Files, Kept, Norm, Run, Semantics, Size, Tool, Verdict,
};
use crate::kernel::read::vnnlib::Constant;
use crate::policy::decisive;
use crate::report::{CheckedFile, Refused};

/// A certificate and what the checker says about it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateSection {
    pub path: String,
    /// What the certificate states, over all but its `run`.
    pub digest: String,
    pub tool: Option<Tool>,
    /// The claims that were established.
    pub claims: Vec<ClaimSection>,
    pub refusal: Option<RefusalText>,
    pub run: Option<Run>,
    /// The command that checks it again.
    pub recheck: String,
}

/// Why a certificate is refused.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusalText {
    pub code: String,
    pub reason: String,
}

/// A claim that the checker established.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimSection {
    pub id: String,
    pub kind: String,
    pub assurance: Assurance,
    pub semantics: Semantics,
    /// Where it holds, in words.
    pub domain: String,
    /// Whether nothing lies there.
    pub vacuous: bool,
    /// Whether it says that a property is violated.
    pub violation: bool,
    /// The claim in words.
    pub statement: String,
    pub figures: Vec<FigureRow>,
    /// What the certificate also states and nobody checks.
    pub descriptive: Vec<FigureRow>,
    pub charts: Vec<Chart>,
    /// Counterexamples, the most telling first.
    pub examples: Vec<Example>,
    /// Samples that are classified as labelled before any change, computed and not proved, where the data are at hand.
    pub right_unchanged: Option<usize>,
    /// What it gives to the answer of its question.
    #[serde(skip)]
    pub part: Part,
    /// Where it stands in a curve of accuracy against the size of perturbations.
    #[serde(skip)]
    pub accuracy: Option<AccuracyPoint>,
    /// What found the witness; not part of what is proved.
    pub engine: Option<String>,
}

impl CertificateSection {
    /// `pictures`: the files that claims name, where pictures and counterexamples are wanted. Some take work of the order of a
    /// check.
    #[must_use]
    pub fn new(
        certificate: &Certificate,
        bundle: &Bundle,
        checked: &CheckedFile,
        model: &Model,
        recheck: String,
        pictures: Option<&Files>,
    ) -> Self {
        let claims = certificate.claims.iter().zip(&checked.claims).map(|(claim, checked)| {
            let engines = certificate.run.as_ref().map(|run| &run.engines);
            let Read { examples, right } =
                pictures.map(|files| example::of_claim(claim, bundle, model, files)).unwrap_or_default();
            let mut part = Part::new(claim, &checked.domain, right);
            if checked.assurance == Assurance::Estimated {
                part.outcome = Outcome::Open;
            }
            // Two boxes are two questions, however alike they look in words.
            if matches!(claim.domain, Domain::Box { .. }) {
                part.key = format!("{} {} {}", part.key, certificate.digest, claim.id);
            }
            ClaimSection {
                id: claim.id.clone(),
                kind: claim.kind.name().to_owned(),
                assurance: checked.assurance,
                semantics: claim.semantics,
                domain: checked.domain.clone(),
                vacuous: checked.vacuous,
                violation: is_violation(&claim.kind),
                statement: checked.statement.clone(),
                figures: figures(&claim.kind),
                descriptive: descriptive(&claim.kind),
                accuracy: AccuracyPoint::of(&claim.kind, right),
                charts: if pictures.is_some() { chart::of_claim(claim, bundle, model) } else { Vec::new() },
                examples,
                right_unchanged: right,
                part,
                engine: engines.and_then(|engines: &BTreeMap<_, _>| engines.get(&claim.id)).cloned(),
            }
        });
        Self {
            path: checked.certificate.clone(),
            digest: certificate.digest.clone(),
            tool: Some(certificate.tool.clone()),
            claims: claims.collect(),
            refusal: checked.refusal.as_ref().map(RefusalText::new),
            run: certificate.run.clone(),
            recheck,
        }
    }

    /// A file that could not even be read as a certificate.
    #[must_use]
    pub fn unreadable(checked: &CheckedFile, recheck: String) -> Self {
        Self {
            path: checked.certificate.clone(),
            digest: String::new(),
            tool: None,
            claims: Vec::new(),
            refusal: checked.refusal.as_ref().map(RefusalText::new),
            run: None,
            recheck,
        }
    }
}

impl RefusalText {
    fn new(refused: &Refused) -> Self {
        Self { code: refused.code.to_owned(), reason: refused.reason.clone() }
    }
}

/// Whether a claim says that a property is violated. That some samples are not robust is a figure, not a violation.
fn is_violation(kind: &ClaimKind) -> bool {
    matches!(kind, ClaimKind::Specification(claim) if claim.verdict == Verdict::Violated)
}

/// What a claim about robustness gives to a curve over sizes of perturbations.
#[derive(Clone, Debug, PartialEq)]
pub struct AccuracyPoint {
    pub norm: Norm,
    pub epsilon: f64,
    /// Proved: the share of samples that keep their class, and the share of those that are not proved to lose it.
    pub certified: f64,
    pub possible: f64,
    /// Computed: the share that is classified as labelled before any change.
    pub clean: Option<f64>,
}

impl AccuracyPoint {
    fn of(claim: &ClaimKind, right: Option<usize>) -> Option<Self> {
        let figure = decisive(claim);
        let ClaimKind::Robustness(found) = claim else { return None };
        // Of one number for all values, and of classes, there are curves.
        let (Size::Uniform(epsilon), Kept::Class) = (&found.perturbation.epsilon, &found.kept) else { return None };
        Some(Self {
            norm: found.perturbation.norm,
            epsilon: Constant::parse_quotient(epsilon)?.nearest,
            certified: figure.reading?.number()?,
            possible: figure.best?.number()?,
            clean: right.map(|right| right as f64 / f64::from(found.samples.max(1))),
        })
    }
}
