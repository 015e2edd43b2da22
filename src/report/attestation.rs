//! An audit as an in-toto statement: the models by their digests, and a test result about them (predicate `test-result`, version
//! 0.1). It is the payload that a tool for signatures takes; nothing here signs.

use serde::Serialize;

use super::audit::Audit;
use crate::kernel::proof::Assurance;
use crate::policy::Status;

/// The version of statements and of the predicate that are written.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://in-toto.io/attestation/test-result/v0.1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Resource>,
    predicate_type: &'static str,
    predicate: TestResult,
}

#[derive(Serialize)]
struct Resource {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Annotations>,
}

#[derive(Serialize)]
struct Digest {
    sha256: String,
}

/// What a certificate states is identified by a digest of its own, which is not that of its file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Annotations {
    statement_digest: String,
    command: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TestResult {
    result: &'static str,
    configuration: Vec<Resource>,
    passed_tests: Vec<String>,
    warned_tests: Vec<String>,
    failed_tests: Vec<String>,
}

/// The audit as a statement. Rules are the tests where there is a policy, claims where there is none.
#[must_use]
pub fn render(audit: &Audit) -> Statement {
    let file = |name: &str, sha256: &str| Resource {
        name: name.to_owned(),
        digest: Some(Digest { sha256: sha256.to_owned() }),
        annotations: None,
    };
    let subject = audit.models.iter().flat_map(|model| {
        let external = model.external.iter().map(|external| file(&external.location, &external.digest));
        std::iter::once(file(&model.path, &model.digest)).chain(external)
    });
    let certificates = audit.certificates().map(|certificate| Resource {
        name: certificate.path.clone(),
        digest: None,
        annotations: Some(Annotations { statement_digest: certificate.digest.clone(), command: certificate.recheck.clone() }),
    });
    let policy = audit.policy.iter().map(|policy| file(&policy.path, &policy.digest));
    let mut predicate = TestResult {
        result: word(audit.verdict.status),
        configuration: policy.chain(certificates).collect(),
        passed_tests: Vec::new(),
        warned_tests: Vec::new(),
        failed_tests: Vec::new(),
    };
    let mut add = |name: String, status: Status| match word(status) {
        "PASSED" => predicate.passed_tests.push(name),
        "WARNED" => predicate.warned_tests.push(name),
        _ => predicate.failed_tests.push(name),
    };
    match &audit.policy {
        Some(policy) => policy.rules.iter().for_each(|rule| add(rule.id.clone(), rule.status)),
        None => {
            for certificate in audit.certificates() {
                for claim in &certificate.claims {
                    let status = match claim {
                        claim if claim.violation => Status::Violated,
                        claim if claim.vacuous || claim.assurance == Assurance::Estimated => Status::Inconclusive,
                        _ => Status::Met,
                    };
                    add(format!("{} {}", certificate.path, claim.id), status);
                }
            }
        }
    }
    for (_, certificate, _) in audit.untold_refusals() {
        add(certificate.path.clone(), Status::Refused);
    }
    Statement { kind: STATEMENT, subject: subject.collect(), predicate_type: PREDICATE, predicate }
}

/// The word of the predicate for a status.
const fn word(status: Status) -> &'static str {
    match status {
        Status::Met => "PASSED",
        Status::Inconclusive => "WARNED",
        Status::Violated | Status::Refused | Status::Error => "FAILED",
    }
}
