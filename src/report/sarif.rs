//! An audit as SARIF 2.1.0: a rule for each diagnostic code that occurs, a result for each rule of the policy that is not met
//! and each certificate that is refused. Results point to the line of the policy that asks, and name the model beside it; a
//! model has no lines, so none are made up.
//!
//! GitHub tells results apart by rule, file and a hash of the line, which its upload computes. Every limit of a policy stands on
//! a line of its own; a result without a line brings its own hash, for GitHub computes none.

use std::fmt::Write;

use serde_json::{Value, json};

use super::audit::{Audit, CertificateSection, ClaimSection, ModelSection, RuleOutcome};
use super::visible;
use crate::codes;
use crate::kernel::proof::digest_of;
use crate::policy::Status;

/// The audit as a SARIF log.
#[must_use]
pub fn render(audit: &Audit) -> Value {
    let mut results: Vec<(String, Value)> = Vec::new();
    for rule in audit.policy.iter().flat_map(|policy| &policy.rules).filter(|rule| rule.status != Status::Met) {
        results.push(of_rule(audit, rule));
    }
    for (model, certificate, refusal) in audit.untold_refusals() {
        let message = format!("the certificate is refused: {}", refusal.reason);
        let fingerprint = digest_of(format!("{}\n{}", refusal.code, certificate.path).as_bytes());
        let result = json!({
            "ruleId": refusal.code,
            "level": "error",
            "message": {"text": visible(&message)},
            "locations": [location(&certificate.path, None)],
            "relatedLocations": [location(&model.path, None)],
            "partialFingerprints": {"nnverify/v1": fingerprint, "primaryLocationLineHash": format!("{}:1", &fingerprint[..16])},
        });
        results.push((refusal.code.clone(), result));
    }
    if audit.policy.is_none() {
        results.extend(audit.models.iter().flat_map(of_violations));
    }
    let notes: Vec<Value> = audit.policy.iter().flat_map(|policy| &policy.notes).map(|note| notification(note)).collect();
    let mut rules: Vec<&codes::Diagnostic> = results.iter().filter_map(|result| codes::find(&result.0)).collect();
    rules.sort_by_key(|rule| rule.code);
    rules.dedup_by_key(|rule| rule.code);
    let position = |id: &str| rules.iter().position(|rule| rule.code == id);
    let results: Vec<Value> = results
        .into_iter()
        .map(|(id, mut result)| {
            if let Some(position) = position(&id) {
                result["ruleIndex"] = json!(position);
            }
            result
        })
        .collect();
    let artifacts: Vec<Value> = audit.models.iter().map(artifact).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": audit.tool.name,
                "semanticVersion": audit.tool.version,
                "rules": rules.iter().copied().map(rule).collect::<Vec<Value>>(),
            }},
            "invocations": [{
                "executionSuccessful": audit.verdict.status != Status::Error,
                "endTimeUtc": audit.generated,
                "toolExecutionNotifications": notes,
            }],
            "artifacts": artifacts,
            "results": results,
            "columnKind": "unicodeCodePoints",
        }],
    })
}

/// The claims about a model that say that a property is violated.
fn of_violations(model: &ModelSection) -> Vec<(String, Value)> {
    let claims =
        model.certificates.iter().flat_map(|certificate| certificate.claims.iter().map(move |claim| (certificate, claim)));
    let of = |(certificate, claim): (&CertificateSection, &ClaimSection)| {
        let fingerprint = digest_of(format!("{VIOLATED}\n{}\n{}", certificate.path, claim.id).as_bytes());
        let result = json!({
            "ruleId": VIOLATED,
            "level": "error",
            "message": {"text": visible(&claim.statement)},
            "locations": [location(&model.path, None)],
            "relatedLocations": [location(&certificate.path, None)],
            "partialFingerprints": {"nnverify/v1": fingerprint, "primaryLocationLineHash": format!("{}:1", &fingerprint[..16])},
        });
        (VIOLATED.to_owned(), result)
    };
    claims.filter(|(_, claim)| claim.violation).map(of).collect()
}

/// A property that a claim shows to be violated, where no policy asks about it.
const VIOLATED: &str = "NV606";

fn of_rule(audit: &Audit, outcome: &RuleOutcome) -> (String, Value) {
    let code = outcome.code.clone().unwrap_or_else(|| "NV602".to_owned());
    let level = if outcome.status == Status::Inconclusive { "warning" } else { "error" };
    let value = outcome.value.as_deref().unwrap_or("nothing is established");
    let margin = outcome.room.as_ref().map_or(String::new(), |room| format!(" (margin {room})"));
    let detail = outcome.detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
    let text = format!("{}: {} where {} is asked for{margin}{detail}", outcome.what, value, outcome.limit);
    let policy = audit.policy.as_ref().map_or("verify.toml", |policy| policy.path.as_str());
    let model = audit.models.iter().find(|model| model.name.split(", ").any(|name| name == outcome.model));
    let related: Vec<Value> = model.iter().map(|model| location(&model.path, None)).collect();
    let result = json!({
        "ruleId": code,
        "level": level,
        "message": {"text": visible(&text)},
        "locations": [location(policy, Some(outcome.line))],
        "relatedLocations": related,
        "partialFingerprints": {"nnverify/v1": digest_of(format!("{code}\n{}", outcome.id).as_bytes())},
        "properties": {
            "policyRule": outcome.id,
            "limit": outcome.limit,
            "value": outcome.value,
            "margin": outcome.margin.filter(|margin| margin.is_finite()),
        },
    });
    (code, result)
}

fn rule(diagnostic: &codes::Diagnostic) -> Value {
    json!({
        "id": diagnostic.code,
        "shortDescription": {"text": diagnostic.title},
        "fullDescription": {"text": diagnostic.explanation},
        "help": {"text": diagnostic.remedy},
    })
}

fn notification(note: &str) -> Value {
    json!({"level": "note", "message": {"text": visible(note)}})
}

fn artifact(model: &ModelSection) -> Value {
    json!({
        "location": {"uri": uri(&model.path)},
        "hashes": {"sha-256": model.digest},
        "roles": ["analysisTarget"],
    })
}

fn location(path: &str, line: Option<usize>) -> Value {
    let mut place = json!({"artifactLocation": {"uri": uri(path)}});
    if let Some(line) = line {
        place["region"] = json!({"startLine": line});
    }
    json!({"physicalLocation": place})
}

/// A path as a URI reference: every byte that is not plainly part of a path is a percent code.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    path.bytes().fold(scheme.to_owned(), |mut uri, b| {
        match b {
            b'\\' => uri.push('/'),
            b if plain(b) => uri.push(char::from(b)),
            // Writing to a string cannot fail.
            b => drop(write!(uri, "%{b:02X}")),
        }
        uri
    })
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("models/a b#1.onnx"), "models/a%20b%231.onnx");
        assert_eq!(uri("./x.onnx"), "x.onnx");
        assert_eq!(uri("/x/é"), "file:///x/%C3%A9");
    }
}
