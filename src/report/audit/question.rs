//! Claims as answers to questions: what was asked, in words; the outcome; one number with its unit; one sentence that says what it
//! means. Claims that answer one question at several sizes, or by several certificates, stand together.

use schemars::JsonSchema;
use serde::Serialize;

use super::{CertificateSection, Chart, ClaimSection, RuleOutcome};
use crate::kernel::proof::{
    Assurance, Claim, ClaimKind, CurvatureMatrix, DeviationClaim, LipschitzClaim, Norm, RobustnessClaim, Size, StabilityVerdict,
    Verdict,
};
use crate::kernel::read::vnnlib::Constant;
use crate::kernel::sound::round::mul_up;
use crate::kernel::sound::upper_decimal;
use crate::policy::Status;

/// What a question came to. It decides the colour; how much stands behind it is another matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A property does not hold, a rule is broken.
    Violated,
    /// Nothing is established either way, or nothing about this model.
    Open,
    /// A number, and no rule that says whether it is good.
    NoLimit,
    /// A property holds, every rule about it is met.
    Holds,
}

/// The one number of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Headline {
    pub value: String,
    /// What the value counts.
    pub unit: String,
}

/// A question about a model, and its answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub question: String,
    pub outcome: Outcome,
    /// How much stands behind the headline.
    pub assurance: Assurance,
    pub headline: Headline,
    pub sentence: String,
    /// The claims that answer it: position of the certificate among those of the model, and of the claim in it. The first is
    /// the one of the headline.
    pub claims: Vec<[usize; 2]>,
    /// The rules of the policy that it decides, by their ids.
    pub rules: Vec<String>,
    /// Pictures that take all of its claims.
    pub charts: Vec<Chart>,
}

/// What a claim gives to its question.
#[derive(Clone, Debug)]
pub struct Part {
    /// Claims with the same key answer one question.
    pub key: String,
    pub question: String,
    pub outcome: Outcome,
    pub headline: Headline,
    pub sentence: String,
    /// The least of a question stands in its headline.
    pub rank: f64,
}

impl Part {
    /// Tells what a claim answers. `domain` is where it holds, in words; `right` counts samples that are classified as labelled
    /// before any change.
    #[must_use]
    pub fn new(claim: &Claim, domain: &str, right: Option<usize>) -> Self {
        let mut part = match &claim.kind {
            ClaimKind::Lipschitz(found) => lipschitz(found, domain),
            ClaimKind::Robustness(found) => robustness(found, claim, right),
            ClaimKind::Specification(found) => {
                let name = found.file.name.escape_debug();
                let (outcome, value, unit, sentence) = match found.verdict {
                    Verdict::Holds => (
                        Outcome::Holds,
                        "holds",
                        "for every input that it names",
                        "No input that the specification names gives an output that it forbids.",
                    ),
                    Verdict::Violated => (
                        Outcome::Violated,
                        "violated",
                        "by an input that it names",
                        "An input that the specification names gives an output that it forbids: the counterexample.",
                    ),
                };
                let question = format!("Does the specification `{name}` hold?");
                Self::alone(claim, question, outcome, (value, unit), sentence)
            }
            ClaimKind::Tightness(found) => {
                let value = format!("≥ {}", found.tightness.lower);
                let sentence = format!(
                    "On average over {} samples the smallest box around the outputs is at least {} and at most {} times as wide as \
                     the box of interval propagation, for changes of at most {} in each input value.",
                    found.samples, found.tightness.lower, found.tightness.upper, found.perturbation.epsilon
                );
                let question = "How tight is interval propagation?".to_owned();
                Self::alone(claim, question, Outcome::NoLimit, (&value, "mean tightness; 1 is the smallest box"), &sentence)
            }
            ClaimKind::Deviation(found) => deviation(found, claim, domain),
            ClaimKind::HessianTrace(found) => {
                let matrix = match found.matrix {
                    CurvatureMatrix::Hessian => "Hessian",
                    CurvatureMatrix::GaussNewton => "Gauss-Newton matrix",
                    CurvatureMatrix::EmpiricalFisher => "empirical Fisher matrix",
                };
                let value = format!("≤ {}", found.trace.upper);
                let unit = format!("trace of the {matrix}");
                let sentence = format!(
                    "The curvature of the mean loss over {} samples, summed over all directions of the parameters, lies between {} and {}.",
                    found.objective.samples, found.trace.lower, found.trace.upper
                );
                let question = "How curved is the loss at these parameters?".to_owned();
                Self::alone(claim, question, Outcome::NoLimit, (&value, &unit), &sentence)
            }
            ClaimKind::Stability(found) => {
                let (outcome, value, verb) = match found.verdict {
                    StabilityVerdict::Stable => (Outcome::Holds, "stable", "stays near"),
                    StabilityVerdict::Unstable => (Outcome::NoLimit, "unstable", "leaves"),
                };
                let sentence = format!(
                    "Plain SGD with learning rate {} and batches of {} {verb} this minimum, in the mean square and to first order.",
                    found.learning_rate.value(),
                    found.batch_size
                );
                Self::alone(
                    claim,
                    "Would SGD stay at this minimum?".to_owned(),
                    outcome,
                    (value, "in the mean square"),
                    &sentence,
                )
            }
            ClaimKind::InverseHessian(found) => {
                let value = format!("≤ {}", found.residual);
                let sentence = format!(
                    "The product of the inverse with a vector, damped by {}, is right up to this share of the vector.",
                    found.damping.value()
                );
                let question = "How exact is the product with the inverse Hessian?".to_owned();
                Self::alone(claim, question, Outcome::NoLimit, (&value, "relative residual"), &sentence)
            }
        };
        if claim.vacuous {
            part.outcome = Outcome::Open;
            "vacuous".clone_into(&mut part.headline.value);
            part.headline.unit.clear();
            "No input satisfies what it assumes: it holds of every network and says nothing about this one."
                .clone_into(&mut part.sentence);
        }
        part
    }

    /// A claim that answers a question of its own.
    fn alone(claim: &Claim, question: String, outcome: Outcome, (value, unit): (&str, &str), sentence: &str) -> Self {
        let what = match &claim.kind {
            ClaimKind::Specification(found) => found.file.digest.as_str(),
            _ => "",
        };
        let key = format!("{} {} {:?} {what}", claim.kind.name(), claim.id, claim.semantics);
        let headline = Headline { value: value.to_owned(), unit: unit.to_owned() };
        Self { key, question, outcome, headline, sentence: sentence.to_owned(), rank: 0.0 }
    }
}

fn deviation(found: &DeviationClaim, claim: &Claim, domain: &str) -> Part {
    let decisive = crate::policy::decisive(&claim.kind);
    let text = |reading: &Option<crate::policy::Reading>| {
        reading.as_ref().map_or_else(|| "nothing".to_owned(), |reading| reading.text().to_owned())
    };
    let (most, met) = (text(&decisive.reading), text(&decisive.best));
    let classes = match (&found.around, found.agreeing.len(), found.disagreeing.len()) {
        (_, 0, 0) => String::new(),
        (Some(around), same, others) => {
            format!(
                " Around {same} of {} samples both prefer one class; near {others} some input tells them apart.",
                around.samples
            )
        }
        (None, _, 0) => " Both prefer one class for every input.".to_owned(),
        (None, ..) => " For some input they prefer different classes.".to_owned(),
    };
    let digest: String = found.baseline.model.digest.chars().take(12).collect();
    let sentence = format!(
        "No output differs by more than {most} from that of the model with SHA-256 {digest}…, {domain}; an input is known \
         where one differs by {met}.{classes}"
    );
    let question = "How far are the outputs from those of the other model?".to_owned();
    Part::alone(claim, question, Outcome::NoLimit, (&format!("≤ {most}"), "largest difference of an output"), &sentence)
}

fn lipschitz(found: &LipschitzClaim, domain: &str) -> Part {
    let symbol = found.norm.symbol();
    let bound = found.bound.value();
    let moves = upper_decimal(mul_up(0.01, bound), 3);
    let size = match found.norm {
        Norm::L1 => "the absolute changes of the inputs add up to at most 0.01",
        Norm::L2 => "the inputs move by at most 0.01 in Euclidean distance",
        Norm::Linf => "every input changes by at most 0.01",
    };
    let place = if domain == crate::kernel::proof::EVERYWHERE { String::new() } else { format!(", {domain}") };
    let attained = found
        .lower_bound
        .as_ref()
        .map_or(String::new(), |lower| format!(" Two inputs attain {lower} per unit, so no bound below that is true."));
    let solvable = if found.well_posed { " The implicit equations have exactly one solution for every input." } else { "" };
    let place_of = if place.is_empty() { String::new() } else { format!(" {domain}") };
    Part {
        key: format!("lipschitz {symbol} {domain}"),
        question: format!("How much can the output change per unit of the input ({symbol}){place_of}?"),
        outcome: Outcome::NoLimit,
        headline: Headline { value: format!("≤ {}", found.bound), unit: format!("{symbol} Lipschitz constant") },
        sentence: format!("When {size}{place}, no output moves by more than {moves}.{attained}{solvable}"),
        rank: bound,
    }
}

fn robustness(found: &RobustnessClaim, claim: &Claim, right: Option<usize>) -> Part {
    let (samples, robust, falsified) = (found.samples as usize, found.robust.len(), found.falsified.len());
    let open = samples.saturating_sub(robust + falsified);
    let epsilon = &found.perturbation.epsilon;
    let kept = &found.kept;
    let change = match found.perturbation.norm {
        Norm::Linf => format!("every change of at most {epsilon} in each input value"),
        Norm::L1 | Norm::L2 => format!("every change of Euclidean size at most {epsilon}"),
    };
    let undecided = if open > 0 { format!(", {open} are not decided") } else { String::new() };
    let clean = right.map_or(String::new(), |right| {
        format!(" Without any change {right} of {samples} are classified as labelled (computed, not proved).")
    });
    // The question without its size: several sizes make a curve.
    let mut asked = found.perturbation.clone();
    asked.epsilon = "".into();
    let files: String = found.data.iter().map(|file| file.digest.as_str()).collect();
    let norm = found.perturbation.norm.symbol();
    Part {
        key: format!("robustness {kept:?} {asked:?} {files} {samples} {:?}", claim.semantics),
        question: format!("How many samples {kept} when the input changes ({norm})?"),
        outcome: Outcome::NoLimit,
        headline: Headline { value: percent(robust, samples), unit: format!("of {samples} samples {kept} at ε = {epsilon}") },
        sentence: format!("Under {change}, {robust} of {samples} samples {kept}, {falsified} do not{undecided}.{clean}"),
        rank: match epsilon {
            Size::Uniform(size) => Constant::parse_quotient(size).map_or(0.0, |size| -size.nearest),
            Size::Each(_) => 0.0,
        },
    }
}

/// A share in per cent with one digit, rounded down.
pub(super) fn percent(part: usize, whole: usize) -> String {
    let tenths = part as u128 * 1000 / whole.max(1) as u128;
    if tenths.is_multiple_of(10) { format!("{} %", tenths / 10) } else { format!("{}.{} %", tenths / 10, tenths % 10) }
}

/// A claim and its place: position of the certificate, and of the claim in it.
type Member<'a> = ([usize; 2], &'a ClaimSection);

/// The questions that the claims of certificates answer: violated ones first, then open ones, each kind in the order of the
/// certificates.
#[must_use]
pub fn questions(certificates: &[CertificateSection]) -> Vec<Question> {
    let mut groups: Vec<(&str, Vec<Member<'_>>)> = Vec::new();
    for (at, certificate) in certificates.iter().enumerate() {
        for (of, claim) in certificate.claims.iter().enumerate() {
            let member = ([at, of], claim);
            match groups.iter_mut().find(|(key, _)| *key == claim.part.key) {
                Some((_, members)) => members.push(member),
                None => groups.push((&claim.part.key, vec![member])),
            }
        }
    }
    let mut questions: Vec<Question> = groups.into_iter().map(|(_, members)| of_group(members)).collect();
    questions.sort_by_key(|question| question.outcome);
    questions
}

fn of_group(mut members: Vec<Member<'_>>) -> Question {
    members.sort_by(|(_, a), (_, b)| a.part.rank.total_cmp(&b.part.rank));
    let outcome = members.iter().map(|(_, claim)| claim.part.outcome).min().unwrap_or(Outcome::Open);
    let all: Vec<&ClaimSection> = members.iter().map(|(_, claim)| *claim).collect();
    let charts = super::chart::of_question(&all);
    // The group has a member: it was made of one.
    let leading = &members[0].1;
    let others = members[1..].iter().filter(|(_, claim)| claim.kind == "robustness").map(|(_, claim)| {
        let epsilon = claim.part.headline.unit.rsplit_once(" at ").map_or("", |(_, epsilon)| epsilon);
        format!("{} at {epsilon}", claim.part.headline.value)
    });
    let others: Vec<String> = others.collect();
    let more = if others.is_empty() { String::new() } else { format!(" At smaller sizes: {}.", others.join(", ")) };
    Question {
        question: leading.part.question.clone(),
        outcome,
        assurance: leading.assurance,
        headline: leading.part.headline.clone(),
        sentence: format!("{}{more}", leading.part.sentence),
        claims: members.iter().map(|(place, _)| *place).collect(),
        rules: Vec::new(),
        charts,
    }
}

impl Question {
    /// Takes what the rules of a policy make of its claims: they know what is good.
    pub(super) fn judge(&mut self, certificates: &[CertificateSection], rules: &[RuleOutcome]) {
        let decides = |rule: &&RuleOutcome| {
            self.claims.iter().any(|&[at, of]| {
                let certificate = &certificates[at];
                rule.certificate.as_deref() == Some(&certificate.path)
                    && rule.claim.as_deref() == Some(&certificate.claims[of].id)
            })
        };
        let found: Vec<&RuleOutcome> = rules.iter().filter(decides).collect();
        let of = |status| match status {
            Status::Met => Outcome::Holds,
            Status::Violated | Status::Refused | Status::Error => Outcome::Violated,
            Status::Inconclusive => Outcome::Open,
        };
        let own = (self.outcome != Outcome::NoLimit).then_some(self.outcome);
        if let Some(outcome) = found.iter().map(|rule| of(rule.status)).chain(own).min() {
            self.outcome = outcome;
        }
        self.rules = found.iter().map(|rule| rule.id.clone()).collect();
    }

    /// The outcome in a few words.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match (self.outcome, self.rules.is_empty()) {
            (Outcome::Violated, _) => "violated",
            (Outcome::Open, _) => "open",
            (Outcome::NoLimit, _) => "no limit set",
            (Outcome::Holds, true) => "holds",
            (Outcome::Holds, false) => "within its limit",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares_are_rounded_down() {
        assert_eq!((percent(2, 3), percent(1, 1), percent(0, 0)), ("66.6 %".to_owned(), "100 %".to_owned(), "0 %".to_owned()));
    }
}
