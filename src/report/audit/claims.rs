//! Certificates and their claims as a report tells them: figures by their names in the certificate, and pictures.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::chart::{self, Chart};
use crate::certificate::{Assurance, Bundle, Certificate, ClaimKind, Run, Semantics, Tool, Verdict};
use crate::onnx::Model;
use crate::policy::{Figure, decisive};
use crate::report::CheckedFile;

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
    /// What found the witness; not part of what is proved.
    pub engine: Option<String>,
}

/// One figure of a claim.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FigureRow {
    /// Its name in the certificate, with dots where it is nested.
    pub name: String,
    /// `≤`, `≥` or `=`: which side the printed value is on.
    pub relation: String,
    pub value: String,
    pub number: Option<f64>,
}

impl CertificateSection {
    /// `pictures`: are the data of pictures wanted? Some take work of the order of a check.
    #[must_use]
    pub fn new(
        certificate: &Certificate,
        bundle: &Bundle,
        checked: &CheckedFile,
        model: &Model,
        recheck: String,
        pictures: bool,
    ) -> Self {
        let claims = certificate.claims.iter().zip(&checked.claims).map(|(claim, checked)| {
            let value = serde_json::to_value(claim).unwrap_or_default();
            let engines = certificate.run.as_ref().map(|run| &run.engines);
            ClaimSection {
                id: claim.id.clone(),
                kind: value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned(),
                assurance: checked.assurance,
                semantics: claim.semantics,
                domain: checked.domain.clone(),
                vacuous: checked.vacuous,
                violation: is_violation(&claim.kind),
                statement: checked.statement.clone(),
                figures: figures(&value),
                descriptive: descriptive(&value),
                charts: if pictures { chart::of_claim(claim, bundle, model) } else { Vec::new() },
                engine: engines.and_then(|engines: &BTreeMap<_, _>| engines.get(&claim.id)).cloned(),
            }
        });
        Self {
            path: checked.certificate.clone(),
            digest: certificate.digest.clone(),
            tool: Some(certificate.tool.clone()),
            claims: claims.collect(),
            refusal: checked.refusal.as_ref().map(|reason| RefusalText::new(reason)),
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
            refusal: checked.refusal.as_ref().map(|reason| RefusalText::new(reason)),
            run: None,
            recheck,
        }
    }
}

impl RefusalText {
    /// From a refusal as the check prints it, which ends with its code.
    fn new(text: &str) -> Self {
        let (reason, code) = crate::codes::split(text);
        Self { code: code.unwrap_or_default().to_owned(), reason: reason.to_owned() }
    }
}

/// Whether a claim says that a property is violated. That some samples are not robust is a figure, not a violation.
fn is_violation(kind: &ClaimKind) -> bool {
    matches!(kind, ClaimKind::Specification(claim) if claim.verdict == Verdict::Violated)
}

/// What every claim has, and what is told apart from its figures.
const APART: [&str; 8] = ["id", "kind", "assurance", "semantics", "domain", "vacuous", "witness", "descriptive"];
/// The share of samples that are not proved to be misled.
pub(super) const POSSIBLE_ACCURACY: &str = "possible_accuracy";
/// Entries of a list that are shown.
const SHOWN: usize = 12;

/// All figures of a claim, whatever its kind, in the order of their names.
#[must_use]
pub fn figures(claim: &Value) -> Vec<FigureRow> {
    let mut rows = Vec::new();
    for (name, value) in claim.as_object().into_iter().flatten().filter(|(name, _)| !APART.contains(&name.as_str())) {
        collect(name, value, &mut rows);
    }
    // What the kind is judged by may be computed from others.
    let kind = claim.get("kind").and_then(Value::as_str).unwrap_or_default();
    if let Some(rule) = decisive(kind)
        && matches!(rule.figure, Figure::Share { .. } | Figure::Rest { .. })
        && let Some(reading) = rule.figure.read(claim)
    {
        let row = FigureRow {
            name: rule.name.replace(' ', "_"),
            relation: "≥".to_owned(),
            value: reading.text().to_owned(),
            number: reading.number(),
        };
        rows.insert(0, row);
        if let Some(reading) = rule.limit.and_then(|limit| limit.read(claim)) {
            let (relation, value, number) = ("≤".to_owned(), reading.text().to_owned(), reading.number());
            rows.insert(1, FigureRow { name: POSSIBLE_ACCURACY.to_owned(), relation, value, number });
        }
    }
    rows
}

/// Figures that nobody checks, by the name that claims give them.
fn descriptive(claim: &Value) -> Vec<FigureRow> {
    let mut rows = Vec::new();
    for (name, value) in claim.get("descriptive").and_then(Value::as_object).into_iter().flatten() {
        collect(name, value, &mut rows);
    }
    rows.iter_mut().for_each(|row| "≈".clone_into(&mut row.relation));
    rows
}

fn collect(name: &str, value: &Value, rows: &mut Vec<FigureRow>) {
    let mut push = |relation: &str, text: String, number| {
        rows.push(FigureRow { name: name.to_owned(), relation: relation.to_owned(), value: text, number });
    };
    match value {
        Value::Null => {}
        Value::Bool(value) => push("=", value.to_string(), None),
        Value::String(_) | Value::Number(_) => {
            let reading = Figure::At("/x").read(&serde_json::json!({ "x": value }));
            if let Some(reading) = reading {
                push("=", reading.text().to_owned(), reading.number());
            }
        }
        Value::Array(items) => {
            let plain: Option<Vec<String>> = items.iter().take(SHOWN).map(scalar).collect();
            let more = if items.len() > SHOWN { ", …" } else { "" };
            match plain {
                _ if items.is_empty() => push("=", "none".to_owned(), None),
                Some(plain) if items.len() <= SHOWN => push("=", plain.join(", "), None),
                // Indices tell something; the start of a long vector does not.
                Some(plain) if items.iter().all(Value::is_u64) => {
                    push("=", format!("{} entries: {}{more}", items.len(), plain.join(", ")), None);
                }
                Some(_) | None => push("=", format!("{} entries", items.len()), None),
            }
        }
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("vector") => {
            push("=", "in the bundle".to_owned(), None);
        }
        Value::Object(fields) => {
            let rounding = fields.get("rounding").and_then(Value::as_str);
            match (rounding, Figure::At("/x").read(&serde_json::json!({ "x": value }))) {
                (Some(rounding), Some(reading)) => {
                    let relation = if rounding == "up" { "≤" } else { "≥" };
                    push(relation, reading.text().to_owned(), reading.number());
                }
                _ => fields.iter().filter(|(key, _)| key.as_str() != "witness").for_each(|(key, value)| {
                    collect(&format!("{name}.{key}"), value, rows);
                }),
            }
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(_) | Value::Number(_) => {
            let reading = Figure::At("/x").read(&serde_json::json!({ "x": value }))?;
            Some(reading.text().to_owned())
        }
        Value::Bool(value) => Some(value.to_string()),
        // A file that the claim is about.
        Value::Object(fields) => {
            let text = |name: &str| fields.get(name).and_then(Value::as_str);
            let digest: String = text("digest")?.chars().take(12).collect();
            Some(format!("{} (SHA-256 {digest}…)", text("name")?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_of_any_kind_of_claim_are_listed() {
        let number = |value: f64, rounding: &str| json!({"decimal": format!("{value}"), "bits": format!("{:016x}", value.to_bits()), "rounding": rounding});
        let claim = json!({
            "id": "x", "kind": "new-kind", "assurance": "proved", "witness": {"y": [1]},
            "trace": {"lower": number(1.5, "down"), "upper": number(2.5, "up")},
            "learning_rate": format!("{:016x}", 0.25_f64.to_bits()),
            "robust": [1, 2, 3], "falsified": [], "batch_size": 8, "nothing": null
        });
        let rows = figures(&claim);
        let row = |name: &str| rows.iter().find(|row| row.name == name).map(|row| format!("{} {}", row.relation, row.value));
        assert_eq!(row("trace.lower").as_deref(), Some("≥ 1.5"));
        assert_eq!(row("trace.upper").as_deref(), Some("≤ 2.5"));
        assert_eq!(row("learning_rate").as_deref(), Some("= 0.25"));
        assert_eq!(row("robust").as_deref(), Some("= 1, 2, 3"));
        assert_eq!(row("falsified").as_deref(), Some("= none"));
        assert_eq!(row("batch_size").as_deref(), Some("= 8"));
        assert_eq!(rows.len(), 6, "{rows:?}");
    }
}
