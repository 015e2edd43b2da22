//! Verdicts as text and as JSON.

use std::fmt::Write;
use std::path::PathBuf;

use nnverify_kernel::check::{Checked, Verdict};
use nnverify_kernel::proof::{Assurance, Bundle, Certificate, Claim};
use serde_json::{Value, json};

/// What came of one certificate.
pub struct Outcome {
    pub path: PathBuf,
    pub found: Found,
}

/// What a check came to.
pub enum Found {
    Checked {
        certificate: Box<Certificate>,
        bundle: Bundle,
        checked: Checked,
    },
    /// It is refused without being checked, and why.
    Unread(String),
    /// It could not be checked, and why: that says nothing about it.
    Failed(String),
}

impl Found {
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Checked { checked, .. } => checked.refusal.as_ref().map(ToString::to_string),
            Self::Unread(reason) => Some(reason.clone()),
            Self::Failed(_) => None,
        }
    }

    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) => Some(reason),
            Self::Checked { .. } | Self::Unread(_) => None,
        }
    }

    /// The claims that were accepted, with their verdicts.
    fn claims(&self) -> impl Iterator<Item = (&Claim, &Bundle, &Verdict)> {
        let found = match self {
            Self::Checked { certificate, bundle, checked } => Some((certificate, bundle, checked)),
            Self::Unread(_) | Self::Failed(_) => None,
        };
        found.into_iter().flat_map(|(certificate, bundle, checked)| {
            certificate.claims.iter().zip(&checked.verdicts).map(move |(claim, verdict)| (claim, bundle, verdict))
        })
    }

    /// Whether every claim says something that was derived again.
    pub fn is_established(&self) -> bool {
        self.refusal().is_none()
            && self.failure().is_none()
            && self.claims().all(|(claim, _, verdict)| is_established(claim, verdict))
    }
}

fn is_established(claim: &Claim, verdict: &Verdict) -> bool {
    verdict.assurance > Assurance::Estimated && !claim.vacuous
}

pub fn text(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let (mut established, mut others, mut refused) = (0_usize, 0_usize, 0_usize);
    for Outcome { path, found } in outcomes {
        let name = path.display();
        for (claim, bundle, verdict) in found.claims() {
            let assurance = match verdict.assurance {
                Assurance::Proved => "proved",
                Assurance::Checked => "checked",
                Assurance::Estimated => "an estimate, not checked",
            };
            *(if is_established(claim, verdict) { &mut established } else { &mut others }) += 1;
            let (statement, place) = (claim.kind.statement(), claim.place(bundle));
            let line = format!("{name}: `{}` {assurance}: {statement} ({place}, {})", claim.id, claim.semantics.words());
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", visible(&line));
        }
        if let Some(reason) = found.refusal() {
            refused += 1;
            let _ = writeln!(text, "{}", visible(&format!("{name}: refused: {reason}")));
        }
        if let Some(reason) = found.failure() {
            let _ = writeln!(text, "{}", visible(&format!("{name}: not checked: {reason}")));
        }
    }
    let _ = writeln!(
        text,
        "{established} claims established, {others} not (estimates, or about no input); {refused} of {} certificates refused",
        outcomes.len()
    );
    text
}

pub fn json(outcomes: &[Outcome]) -> String {
    let certificates: Vec<Value> = outcomes.iter().map(outcome).collect();
    format!("{:#}\n", json!({ "schema": "nnverify-check/1", "certificates": certificates }))
}

fn outcome(Outcome { path, found }: &Outcome) -> Value {
    let claims: Vec<Value> = found
        .claims()
        .map(|(claim, bundle, verdict)| {
            json!({
                "id": claim.id,
                "assurance": verdict.assurance,
                "established": is_established(claim, verdict),
                "vacuous": claim.vacuous,
                "semantics": claim.semantics,
                "domain": claim.place(bundle),
                "statement": claim.kind.statement(),
                "milliseconds": u64::try_from(verdict.time.as_millis()).unwrap_or(u64::MAX),
            })
        })
        .collect();
    json!({ "certificate": path.display().to_string(), "claims": claims, "refusal": found.refusal(), "failure": found.failure() })
}

/// Returns a line in which every character is seen in its place: printable ASCII and the symbols of the program's own words stand as they
/// are, everything else as a code.
pub fn visible(text: &str) -> String {
    const OWN: &str = "εℓ∞₁₂·×≤≥…θητ‖–";
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ' '..='~') || OWN.contains(c) {
            visible.push(c);
        } else {
            let _ = write!(visible, "\\u{{{:x}}}", u32::from(c));
        }
    }
    visible
}
