//! What changed between two certificates, claim by claim, by the figure that each kind is judged by.

use schemars::JsonSchema;
use serde::Serialize;

use crate::kernel::proof::{Bundle, Certificate, Claim, ClaimKind};
use crate::policy::{Better, Decisive, Reading, decisive, differences, question};

/// One claim, before and after. The figures are as the certificates state them: what they are worth, a check says.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub claim: String,
    pub figure: String,
    pub old: Option<String>,
    pub new: Option<String>,
    /// By how much, where both are numbers.
    pub change: Option<String>,
    /// The change as a fraction of the old value.
    pub relative: Option<f64>,
    pub direction: Direction,
    /// Why they are not compared, or worse whatever the figures say.
    pub detail: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    Better,
    Same,
    Worse,
    /// Only the new certificate claims it.
    Added,
    /// Only the old one does.
    Removed,
    /// The two answer different questions, or state no figures.
    Incomparable,
}

impl Change {
    /// Is it worse by more than a fraction of the old value? What is no longer claimed, changed from good to bad, or cannot be
    /// compared, is.
    #[must_use]
    pub fn regresses(&self, tolerance: f64) -> bool {
        match self.direction {
            Direction::Better | Direction::Same | Direction::Added => false,
            Direction::Removed | Direction::Incomparable => true,
            // A change without a share, or from zero, exceeds every fraction.
            Direction::Worse => self.relative.is_none_or(|relative| relative.is_nan() || relative.abs() > tolerance),
        }
    }
}

/// A certificate and its bundle.
type Whole<'a> = (&'a Certificate, &'a Bundle);

/// The claims of two certificates side by side, in the order of the new one, then those that it no longer makes. Claims of one
/// name that answer different questions are not compared.
#[must_use]
pub fn changes(old: Whole<'_>, new: Whole<'_>) -> Vec<Change> {
    let named = |(certificate, _): Whole<'_>, id: &str| certificate.claims.iter().position(|claim| claim.id == id);
    let kept = new.0.claims.iter().map(|claim| match named(old, &claim.id) {
        Some(before) => compare((&old.0.claims[before], old.1), (claim, new.1)),
        None => alone(claim, Direction::Added),
    });
    let gone = old.0.claims.iter().filter(|claim| named(new, &claim.id).is_none());
    kept.chain(gone.map(|claim| alone(claim, Direction::Removed))).collect()
}

/// A claim that only one of the certificates makes.
fn alone(claim: &Claim, direction: Direction) -> Change {
    let figure = decisive(&claim.kind);
    let text = figure.reading.map(|reading| reading.text().to_owned());
    let (old, new) = if direction == Direction::Added { (None, text) } else { (text, None) };
    let figure = figure.name.to_owned();
    Change { claim: claim.id.clone(), figure, old, new, change: None, relative: None, direction, detail: None }
}

fn compare((old, old_bundle): (&Claim, &Bundle), (new, new_bundle): (&Claim, &Bundle)) -> Change {
    let (before, after) = (decisive(&old.kind), decisive(&new.kind));
    let text = |figure: &Decisive| figure.reading.as_ref().map(|reading| reading.text().to_owned());
    let mut change = Change {
        claim: new.id.clone(),
        figure: after.name.to_owned(),
        old: text(&before),
        new: text(&after),
        change: None,
        relative: None,
        direction: Direction::Incomparable,
        detail: None,
    };
    let different = differences(&question(old, old_bundle), &question(new, new_bundle));
    if !different.is_empty() {
        change.detail = Some(format!("it answers another question: {}", different.join(", ")));
        return change;
    }
    let (Some(first), Some(second)) = (before.reading, after.reading) else {
        change.direction = if change.old.is_some() { Direction::Worse } else { Direction::Incomparable };
        change.detail = Some("the figure is missing".to_owned());
        return change;
    };
    if weaker(old, new) {
        change.direction = Direction::Worse;
        let word = super::assurance_word;
        change.detail = Some(format!("less stands behind it: {}, before {}", word(new.assurance), word(old.assurance)));
        return change;
    }
    match (first, second) {
        (Reading::Number { value: first, .. }, Reading::Number { value: second, .. }) => {
            let difference = second - first;
            let relative = difference / first.abs();
            change.relative = relative.is_finite().then_some(relative);
            change.change = Some(match change.relative {
                Some(relative) => format!("{} ({:+.2} %)", crate::report::signed(difference), relative * 100.0),
                None => crate::report::signed(difference),
            });
            change.direction = match after.better {
                _ if difference == 0.0 => Direction::Same,
                Better::Smaller if difference < 0.0 => Direction::Better,
                Better::Larger if difference > 0.0 => Direction::Better,
                // What is not a number is not better.
                _ => Direction::Worse,
            };
        }
        (first, second) if first == second => change.direction = Direction::Same,
        (_, second) => {
            change.direction = if after.good == Some(second.text()) { Direction::Better } else { Direction::Worse };
        }
    }
    change
}

/// Whether less stands behind the new claim: assurance, and of an estimate the confidence.
fn weaker(old: &Claim, new: &Claim) -> bool {
    let confidence = |claim: &Claim| match &claim.kind {
        ClaimKind::HessianTrace(claim) => claim.estimate.as_ref().map(|estimate| estimate.confidence.value()),
        _ => None,
    };
    let less = match (confidence(old), confidence(new)) {
        (Some(old), Some(new)) => new.is_nan() || new < old,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    new.assurance < old.assurance || less
}
