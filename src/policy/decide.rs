//! A requirement decided on claims that the checker established.

use schemars::JsonSchema;
use serde::Serialize;

use super::figure::{Better, Reading, decisive};
use super::requirement::{Limit, Requirement};
use crate::kernel::proof::{Assurance, Claim};

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

/// A claim, and the assurance that the checker found.
#[derive(Clone, Copy, Debug)]
pub struct Established<'a> {
    pub claim: &'a Claim,
    pub assurance: Assurance,
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
    /// Decides on an established claim, against a limit that [`Limit::resolved`] made free of baselines.
    #[must_use]
    pub fn decide(&self, established: Established<'_>, limit: &Limit) -> Decision {
        let figure = decisive(&established.claim.kind);
        let Some(reading) = figure.reading else {
            return Decision::without_figure(Status::Inconclusive, "the claim does not have the figure");
        };
        let mut decision = Decision {
            status: Status::Violated,
            reading: Some(reading.clone()),
            margin: None,
            assurance: Some(established.assurance),
            settled: false,
            detail: None,
        };
        let better = match (limit, &reading) {
            (Limit::Is(word), Reading::Word(found)) => {
                decision.settled = true;
                if found == word {
                    decision.status = Status::Met;
                }
                return self.with_assurance(established.claim, decision);
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
            match figure.best.as_ref().and_then(|best| Some((best, best.number()?))) {
                Some((best, value)) if !keeps(value) => {
                    decision.settled = true;
                    let side = if better == Better::Smaller { "at least" } else { "at most" };
                    decision.detail = Some(format!("it cannot be met: the figure is {side} {}", best.text()));
                }
                _ => decision.detail = Some("no better figure was established".to_owned()),
            }
        }
        self.with_assurance(established.claim, decision)
    }

    /// What stands behind a claim may be too little to meet a rule.
    fn with_assurance(&self, claim: &Claim, mut decision: Decision) -> Decision {
        if decision.status == Status::Met && claim.vacuous && !self.allow_vacuous {
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

    use super::*;
    use crate::kernel::proof::{ClaimKind, Domain, LipschitzClaim, LipschitzWitness, Norm, Number, Semantics};
    use crate::policy::PolicyFile;

    fn claim(bound: f64, lower: f64) -> Claim {
        Claim {
            id: "lipschitz".into(),
            assurance: Assurance::Proved,
            semantics: Semantics::Real,
            domain: Domain::Global,
            vacuous: false,
            kind: ClaimKind::Lipschitz(LipschitzClaim {
                norm: Norm::L2,
                bound: Number::upper(bound),
                well_posed: false,
                lower_bound: Some(Number::lower(lower)),
                norm_product: None,
                functionals: Vec::new(),
                witness: LipschitzWitness::default(),
            }),
        }
    }

    fn requirement() -> Requirement {
        let text = "[models.m]\npath = \"m.onnx\"\n[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 2.0\n";
        PolicyFile::parse(Path::new("verify.toml"), text).unwrap().tasks.remove(0).1.remove(0).requirements.remove(0)
    }

    #[test]
    fn limits_are_compared_exactly_and_margins_have_a_sign() {
        let requirement = requirement();
        let limit = Limit::AtMost(2.0);
        let decide =
            |bound, lower| requirement.decide(Established { claim: &claim(bound, lower), assurance: Assurance::Proved }, &limit);
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
        let claim = claim(1.0, 0.5);
        let estimated = Established { claim: &claim, assurance: Assurance::Estimated };
        let decision = requirement().decide(estimated, &Limit::AtMost(2.0));
        assert_eq!(decision.status, Status::Inconclusive);
        assert!(decision.detail.unwrap().contains("estimated"));
    }
}
