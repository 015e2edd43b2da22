//! The figure of each kind of claim that decides: a rule, a comparison and a report mean the same.

use crate::kernel::proof::{ClaimKind, Number, StabilityVerdict, Verdict};

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Smaller,
    Larger,
}

/// A figure that was read off a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Its value and how it is printed: a bound keeps the decimal on its safe side.
    Number {
        value: f64,
        text: String,
    },
    Word(&'static str),
}

/// What a claim is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Decisive {
    pub name: &'static str,
    /// Nothing, where the claim does not have the figure.
    pub reading: Option<Reading>,
    /// What the figure cannot be better than, where the claim says so.
    pub best: Option<Reading>,
    pub better: Better,
    /// For words: the good one.
    pub good: Option<&'static str>,
}

/// Reads the figure that a claim is judged by.
#[must_use]
pub fn decisive(claim: &ClaimKind) -> Decisive {
    let number = |name, reading: &Number, best: Option<&Number>, better| Decisive {
        name,
        reading: Some(Reading::from(reading)),
        best: best.map(Reading::from),
        better,
        good: None,
    };
    let word = |word, good| Decisive {
        name: "verdict",
        reading: Some(Reading::Word(word)),
        best: None,
        better: Better::Larger,
        good: Some(good),
    };
    match claim {
        ClaimKind::Lipschitz(claim) => number("bound", &claim.bound, claim.lower_bound.as_ref(), Better::Smaller),
        ClaimKind::Specification(claim) => match claim.verdict {
            Verdict::Holds => word("holds", "holds"),
            Verdict::Violated => word("violated", "holds"),
        },
        ClaimKind::Robustness(claim) => Decisive {
            name: if claim.kept.needs_labels() { "certified accuracy" } else { "certified share" },
            reading: share(claim.robust.len() as f64 / f64::from(claim.samples), f64::floor),
            best: share(1.0 - claim.falsified.len() as f64 / f64::from(claim.samples), f64::ceil),
            better: Better::Larger,
            good: None,
        },
        ClaimKind::Tightness(claim) => number("tightness", &claim.tightness.lower, Some(&claim.tightness.upper), Better::Larger),
        ClaimKind::HessianTrace(claim) => number("trace", &claim.trace.upper, Some(&claim.trace.lower), Better::Smaller),
        ClaimKind::Stability(claim) => match claim.verdict {
            StabilityVerdict::Stable => word("stable", "stable"),
            StabilityVerdict::Unstable => word("unstable", "stable"),
        },
        ClaimKind::Deviation(claim) => {
            let largest = |numbers: &mut dyn Iterator<Item = &'_ Number>| {
                numbers.max_by(|a, b| a.value().total_cmp(&b.value())).map(Reading::from)
            };
            Decisive {
                name: "deviation",
                reading: largest(&mut claim.bounds.iter()),
                best: largest(&mut claim.attained.iter().map(|attained| &attained.deviation)),
                better: Better::Smaller,
                good: None,
            }
        }
        ClaimKind::InverseHessian(claim) => number("residual", &claim.residual, None, Better::Smaller),
    }
}

/// A share, printed on the safe side: what is certified rounded down, what is possible rounded up. Of no samples there is none.
fn share(value: f64, rounded: fn(f64) -> f64) -> Option<Reading> {
    value.is_finite().then(|| Reading::Number { value, text: format!("{:.4}", rounded(value * 1e4) / 1e4) })
}

impl From<&Number> for Reading {
    fn from(number: &Number) -> Self {
        Self::Number { value: number.value(), text: number.decimal.clone() }
    }
}

impl Reading {
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Number { text, .. } => text,
            Self::Word(word) => word,
        }
    }

    #[must_use]
    pub const fn number(&self) -> Option<f64> {
        match self {
            Self::Number { value, .. } => Some(*value),
            Self::Word(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_printed_on_the_safe_side() {
        let text = |reading: Option<Reading>| reading.unwrap().text().to_owned();
        assert_eq!((text(share(2.0 / 3.0, f64::floor)), text(share(2.0 / 3.0, f64::ceil))), ("0.6666".into(), "0.6667".into()));
        assert_eq!(share(f64::NAN, f64::floor), None);
    }
}
