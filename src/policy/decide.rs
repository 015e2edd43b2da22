//! A requirement decided on claims that the checker established.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::figure::{Better, Reading};
use super::requirement::{Expected, Limit, Requirement};
use crate::certificate::{Assurance, Claim};

/// What became of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Met,
    Violated,
    /// Nothing is established either way: no claim, or a search that ended early.
    Inconclusive,
    /// A certificate was refused.
    Refused,
    /// The model or a file cannot be used.
    Error,
}

/// A claim that the checker established, as JSON, and the assurance that it found.
#[derive(Clone, Debug)]
pub struct Established {
    pub id: String,
    pub assurance: Assurance,
    pub value: Value,
}

impl Established {
    /// `None` where the claim cannot be written as JSON.
    #[must_use]
    pub fn new(claim: &Claim, assurance: Assurance) -> Option<Self> {
        Some(Self { id: claim.id.clone(), assurance, value: serde_json::to_value(claim).ok()? })
    }
}

/// How a requirement was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub status: Status,
    pub reading: Option<Reading>,
    /// The room between figure and limit; negative where the limit is broken.
    pub margin: Option<f64>,
    pub assurance: Option<Assurance>,
    /// Would more effort change nothing?
    pub settled: bool,
    pub detail: Option<String>,
}

impl Decision {
    #[must_use]
    pub fn without_figure(status: Status, detail: impl Into<String>) -> Self {
        Self { status, reading: None, margin: None, assurance: None, settled: true, detail: Some(detail.into()) }
    }
}

impl Requirement {
    /// The claim that answers the requirement: of its kind, about what it names. Digests are those of the task's files.
    #[must_use]
    pub fn answered_by<'a>(&self, claims: &'a [Established], digests: &BTreeMap<PathBuf, String>) -> Option<&'a Established> {
        let holds = |claim: &&Established| {
            claim.value.get("kind").and_then(Value::as_str) == Some(self.kind)
                && self.conditions.iter().all(|condition| {
                    let found = claim.value.pointer(condition.pointer);
                    match &condition.expected {
                        Expected::Value(value) => found == Some(value),
                        Expected::SameAs(other) => found.is_some() && found == claim.value.pointer(other),
                        Expected::Absent => found.is_none(),
                        Expected::Names(names) => found.and_then(Value::as_array).is_some_and(|found| are(found, names)),
                        Expected::DigestOf(path) => {
                            digests.get(path).is_some_and(|digest| found.and_then(Value::as_str) == Some(digest))
                        }
                    }
                })
        };
        claims.iter().find(holds)
    }

    /// Decides on an established claim, against a limit that [`Limit::resolved`] made free of baselines.
    #[must_use]
    pub fn decide(&self, claim: &Established, limit: &Limit) -> Decision {
        let Some(reading) = self.figure.read(&claim.value) else {
            return Decision::without_figure(Status::Inconclusive, "the claim does not have the figure");
        };
        let mut decision = Decision {
            status: Status::Violated,
            reading: Some(reading.clone()),
            margin: None,
            assurance: Some(claim.assurance),
            settled: false,
            detail: None,
        };
        let better = match (limit, &reading) {
            (Limit::Is(word), Reading::Word(found)) => {
                decision.settled = true;
                if found == word {
                    decision.status = Status::Met;
                }
                return self.with_assurance(claim, decision);
            }
            (Limit::AtMost(_), Reading::Number { .. }) => Better::Smaller,
            (Limit::AtLeast(_), Reading::Number { .. }) => Better::Larger,
            _ => return Decision::without_figure(Status::Inconclusive, "the figure cannot be compared with the limit"),
        };
        let (Limit::AtMost(limit) | Limit::AtLeast(limit)) = limit else { return decision };
        let keeps = |value: f64| match better {
            Better::Smaller => value <= *limit,
            Better::Larger => value >= *limit,
        };
        if let Some(value) = reading.number() {
            decision.margin = Some(better.margin(value, *limit));
            if keeps(value) {
                decision.status = Status::Met;
                decision.settled = true;
            }
        }
        if decision.status == Status::Violated {
            let best = self.best.and_then(|best| best.read(&claim.value));
            match best.as_ref().and_then(|best| Some((best, best.number()?))) {
                Some((best, value)) if !keeps(value) => {
                    decision.settled = true;
                    let side = if better == Better::Smaller { "at least" } else { "at most" };
                    decision.detail = Some(format!("it cannot be met: the figure is {side} {}", best.text()));
                }
                _ => decision.detail = Some("no better figure was established".to_owned()),
            }
        }
        self.with_assurance(claim, decision)
    }

    /// What stands behind a claim may be too little to meet a rule.
    fn with_assurance(&self, claim: &Established, mut decision: Decision) -> Decision {
        let vacuous = claim.value.get("vacuous").and_then(Value::as_bool).unwrap_or(false);
        if decision.status == Status::Met && vacuous && !self.allow_vacuous {
            decision.status = Status::Inconclusive;
            decision.detail =
                Some("the claim is vacuous: its assertions contradict each other (`allow-vacuous = true` accepts it)".to_owned());
        }
        if decision.status == Status::Met && decision.assurance.is_none_or(|found| found < self.assurance) {
            decision.status = Status::Inconclusive;
            decision.detail = Some(format!(
                "the claim is {}, and the rule asks for {}",
                decision.assurance.map_or("nothing", word),
                word(self.assurance)
            ));
        }
        decision
    }
}

/// Whether a list holds these names, each once, and no others.
fn are(list: &[Value], names: &[String]) -> bool {
    list.len() == names.len() && names.iter().all(|name| list.iter().any(|found| found.as_str() == Some(name)))
}

const fn word(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::Estimated => "estimated",
        Assurance::Checked => "checked",
        Assurance::Proved => "proved",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::policy::PolicyFile;

    fn number(value: f64) -> Value {
        json!({"decimal": format!("{value}"), "bits": format!("{:016x}", value.to_bits()), "rounding": "up"})
    }

    fn claim(norm: &str, bound: f64, lower: f64, assurance: Assurance) -> Established {
        let value = json!({
            "kind": "lipschitz", "norm": norm, "domain": "global", "semantics": "real",
            "bound": number(bound), "lower_bound": number(lower)
        });
        Established { id: "lipschitz".into(), assurance, value }
    }

    fn requirement() -> Requirement {
        let text = "[models.m]\npath = \"m.onnx\"\n[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 2.0\n";
        PolicyFile::parse(Path::new("verify.toml"), text).unwrap().tasks.remove(0).1.remove(0).requirements.remove(0)
    }

    #[test]
    fn limits_are_compared_exactly_and_margins_have_a_sign() {
        let requirement = requirement();
        let limit = Limit::AtMost(2.0);
        let decide = |bound, lower| requirement.decide(&claim("l2", bound, lower, Assurance::Proved), &limit);
        let met = decide(2.0, 1.0);
        assert_eq!((met.status, met.margin, met.settled), (Status::Met, Some(0.0), true));
        let open = decide(2.0_f64.next_up(), 1.0);
        assert_eq!((open.status, open.settled), (Status::Violated, false));
        let hopeless = decide(3.5, 3.0);
        assert_eq!((hopeless.status, hopeless.margin, hopeless.settled), (Status::Violated, Some(-1.5), true));
        // Nothing that is not a number meets anything.
        assert_eq!(decide(f64::NAN, 1.0).status, Status::Violated);
        assert_eq!(decide(f64::INFINITY, 1.0).status, Status::Violated);
    }

    #[test]
    fn an_estimate_does_not_meet_a_rule_that_asks_for_proof() {
        let requirement = requirement();
        let decision = requirement.decide(&claim("l2", 1.0, 0.5, Assurance::Estimated), &Limit::AtMost(2.0));
        assert_eq!(decision.status, Status::Inconclusive);
        assert!(decision.detail.unwrap().contains("estimated"));
    }

    #[test]
    fn a_claim_about_something_else_is_no_answer() {
        let requirement = requirement();
        let claims = [claim("linf", 1.0, 0.5, Assurance::Proved)];
        assert!(requirement.answered_by(&claims, &BTreeMap::new()).is_none());
        let mut boxed = claim("l2", 1.0, 0.5, Assurance::Proved);
        boxed.value["domain"] = json!({"box": {"lower": [], "upper": []}});
        assert!(requirement.answered_by(&[boxed], &BTreeMap::new()).is_none());
    }
}
