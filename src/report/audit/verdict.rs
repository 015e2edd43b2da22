//! The verdict of a report: what its claims, or the rules of a policy about them, come to together.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ModelSection, PolicySection};
use crate::kernel::proof::Assurance;
use crate::policy::Status;

/// The answer in three sentences.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    pub status: Status,
    pub title: String,
    pub meaning: String,
    /// What it is about and what it is not about.
    pub scope: String,
}

impl Verdict {
    /// Tells what claims, or the rules of a policy about them, come to together.
    pub(super) fn new(models: &[ModelSection], policy: Option<&PolicySection>) -> Self {
        let certificates = || models.iter().flat_map(|model| &model.certificates);
        let refused = certificates().filter(|certificate| certificate.refusal.is_some()).count();
        let claims: Vec<_> = certificates().flat_map(|certificate| &certificate.claims).collect();
        let count = |assurance| claims.iter().filter(|claim| claim.assurance == assurance).count();
        let counts = [("proved", Assurance::Proved), ("checked", Assurance::Checked), ("estimated", Assurance::Estimated)];
        let counts = counts.map(|(word, assurance)| format!("{} {word}", count(assurance))).join(", ");
        let status = match policy {
            // A refused certificate counts, whether a rule asks for it or not.
            Some(policy) => {
                let refused = (refused > 0).then_some(Status::Refused);
                worst(policy.rules.iter().map(|rule| rule.status).chain(refused))
            }
            None if refused > 0 => Status::Refused,
            None if claims.iter().any(|claim| claim.violation) => Status::Violated,
            // An estimate is repeated by no check, and what holds of every network says nothing about this one.
            None if claims.is_empty() || count(Assurance::Estimated) > 0 || claims.iter().any(|claim| claim.vacuous) => {
                Status::Inconclusive
            }
            None => Status::Met,
        };
        let (title, meaning) = match (status, policy) {
            (Status::Met, Some(policy)) => {
                let rules = match policy.rules.len() {
                    1 => "The one rule of the policy is".to_owned(),
                    count => format!("Each of the {count} rules of the policy is"),
                };
                ("Policy met", format!("{rules} met by a claim that the checker established again for this report."))
            }
            (Status::Met, None) => {
                ("Claims established", "The checker established every claim below again, from the model file, for this report.".to_owned())
            }
            (Status::Violated, None) => {
                ("Violation proved", "The checker established every claim below again, from the model file, for this report; at least one says that a property is violated.".to_owned())
            }
            (Status::Violated, Some(policy)) => {
                let broken = policy.rules.iter().filter(|rule| rule.status == Status::Violated).count();
                let rules = match (broken, policy.rules.len()) {
                    (1, 1) => "The one rule of the policy is".to_owned(),
                    (1, whole) => format!("1 of the {whole} rules of the policy is"),
                    (_, whole) => format!("{broken} of the {whole} rules of the policy are"),
                };
                ("Policy violated", format!("{rules} violated; the table says by how much."))
            }
            (Status::Inconclusive, None) => {
                ("Inconclusive", "At least one claim is an estimate, which no check repeats, or vacuous, or there is no claim. What is called proved or checked the checker established again for this report.".to_owned())
            }
            (Status::Inconclusive, Some(_)) => {
                ("Inconclusive", "Nothing contradicts the policy, but at least one rule is not established: time, memory, or too little assurance.".to_owned())
            }
            (Status::Refused, _) => {
                ("Certificate refused", "The checker refused at least one certificate: nothing that it claims counts. The model may still be as claimed.".to_owned())
            }
            (Status::Error, _) => ("Not applicable", "A model or a file of the policy cannot be used, so the policy is not applied in full.".to_owned()),
        };
        let scope = format!(
            "Claims: {counts}. Each holds for its model file (by SHA-256), its domain and its arithmetic, as stated with the claim, and for nothing else."
        );
        Self { status, title: title.to_owned(), meaning, scope }
    }
}

/// How bad a status is.
pub(super) const fn rank(status: Status) -> u8 {
    match status {
        Status::Met => 0,
        Status::Inconclusive => 1,
        Status::Violated => 2,
        Status::Refused => 3,
        Status::Error => 4,
    }
}

/// The status of several rules together.
#[must_use]
pub fn worst(statuses: impl IntoIterator<Item = Status>) -> Status {
    statuses.into_iter().max_by_key(|&status| rank(status)).unwrap_or(Status::Inconclusive)
}

/// The status in one word.
#[must_use]
pub const fn status_word(status: Status) -> &'static str {
    match status {
        Status::Met => "met",
        Status::Violated => "violated",
        Status::Inconclusive => "inconclusive",
        Status::Refused => "refused",
        Status::Error => "error",
    }
}
