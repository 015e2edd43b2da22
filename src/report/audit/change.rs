//! What changed between two certificates, claim by claim, by the figure that each kind is judged by.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::certificate::Certificate;
use crate::policy::{Better, Reading, decisive};

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
}

impl Change {
    /// Is it worse by more than a fraction of the old value? What is no longer claimed, or changed from good to bad, is.
    #[must_use]
    pub fn regresses(&self, tolerance: f64) -> bool {
        match self.direction {
            Direction::Better | Direction::Same | Direction::Added => false,
            Direction::Removed => true,
            // A change without a share, or from zero, exceeds every fraction.
            Direction::Worse => self.relative.is_none_or(|relative| relative.is_nan() || relative.abs() > tolerance),
        }
    }
}

/// The claims of two certificates side by side, in the order of the new one, then those that it no longer makes.
#[must_use]
pub fn changes(old: &Certificate, new: &Certificate) -> Vec<Change> {
    let values = |certificate: &Certificate| -> Vec<Value> {
        certificate.claims.iter().filter_map(|claim| serde_json::to_value(claim).ok()).collect()
    };
    let (old, new) = (values(old), values(new));
    let same = |a: &Value, b: &Value| a["id"] == b["id"] && a["kind"] == b["kind"] && a["norm"] == b["norm"];
    let kept = new.iter().map(|claim| compare(old.iter().find(|other| same(other, claim)), Some(claim)));
    let gone = old.iter().filter(|claim| !new.iter().any(|other| same(other, claim))).map(|claim| compare(Some(claim), None));
    kept.chain(gone).collect()
}

fn compare(old: Option<&Value>, new: Option<&Value>) -> Change {
    let claim = new.or(old).cloned().unwrap_or_default();
    let word = |field: &str| claim[field].as_str().unwrap_or_default().to_owned();
    let rule = decisive(&word("kind"));
    let read = |claim: Option<&Value>| rule.and_then(|rule| rule.figure.read(claim?));
    let (before, after) = (read(old), read(new));
    let mut change = Change {
        claim: word("id"),
        figure: rule.map_or("", |rule| rule.name).to_owned(),
        old: before.as_ref().map(|reading| reading.text().to_owned()),
        new: after.as_ref().map(|reading| reading.text().to_owned()),
        change: None,
        relative: None,
        direction: match (old, new) {
            (None, _) => Direction::Added,
            (_, None) => Direction::Removed,
            _ => Direction::Same,
        },
    };
    match (before, after) {
        (Some(Reading::Number { value: before, .. }), Some(Reading::Number { value: after, .. })) => {
            let difference = after - before;
            let relative = difference / before.abs();
            change.relative = relative.is_finite().then_some(relative);
            change.change = Some(match change.relative {
                Some(relative) => format!("{} ({:+.2} %)", crate::report::signed(difference), relative * 100.0),
                None => crate::report::signed(difference),
            });
            change.direction = match rule.map(|rule| rule.better) {
                _ if difference == 0.0 => Direction::Same,
                Some(Better::Smaller) if difference < 0.0 => Direction::Better,
                Some(Better::Larger) if difference > 0.0 => Direction::Better,
                // What is not a number is not better.
                _ => Direction::Worse,
            };
        }
        (Some(before), Some(after)) if before != after => {
            let good = rule.and_then(|rule| rule.good);
            change.direction = if good == Some(after.text()) { Direction::Better } else { Direction::Worse };
        }
        _ => {}
    }
    change
}
