//! The figure of each kind of claim that decides, and how it is read off a claim.
//!
//! Claims are read as JSON, by the names that certificates show, so that a rule, a comparison and a report mean the same.

use serde_json::Value;

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Smaller,
    Larger,
}

/// Where a figure stands in a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// At this JSON pointer.
    At(&'static str),
    /// The length of a list, as a share of a number.
    Share { of: &'static str, among: &'static str },
    /// One minus such a share.
    Rest { of: &'static str, among: &'static str },
}

/// A figure that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Its value and how it is printed: a bound keeps the decimal on its safe side.
    Number {
        value: f64,
        text: String,
    },
    Word(String),
}

/// What a kind of claim is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Decisive {
    pub name: &'static str,
    pub figure: Figure,
    /// What the figure cannot be better than, where the claim says so.
    pub limit: Option<Figure>,
    pub better: Better,
    /// For words: the good one.
    pub good: Option<&'static str>,
}

/// The decisive figure of a kind of claim.
#[must_use]
pub fn decisive(kind: &str) -> Option<Decisive> {
    let number = |name, figure, limit, better| Decisive { name, figure, limit, better, good: None };
    let word = |good| Decisive { good: Some(good), ..number("verdict", Figure::At("/verdict"), None, Better::Larger) };
    Some(match kind {
        "lipschitz" => number("bound", Figure::At("/bound"), Some(Figure::At("/lower_bound")), Better::Smaller),
        "specification" => word("holds"),
        "robustness" => number(
            "certified accuracy",
            Figure::Share { of: "/robust", among: "/samples" },
            Some(Figure::Rest { of: "/falsified", among: "/samples" }),
            Better::Larger,
        ),
        "tightness" => number("tightness", Figure::At("/tightness/lower"), Some(Figure::At("/tightness/upper")), Better::Larger),
        "hessian-trace" => number("trace", Figure::At("/trace/upper"), Some(Figure::At("/trace/lower")), Better::Smaller),
        "stability" => word("stable"),
        "inverse-hessian" => number("residual", Figure::At("/residual"), None, Better::Smaller),
        _ => return None,
    })
}

impl Figure {
    /// Reads the figure off a claim; `None` where the claim does not have it.
    #[must_use]
    pub fn read(self, claim: &Value) -> Option<Reading> {
        let count = |pointer| claim.pointer(pointer)?.as_array().map(Vec::len);
        let number = |pointer| claim.pointer(pointer)?.as_f64();
        // Printed on the safe side: what is certified rounded down, what is possible rounded up.
        let share =
            |value: f64, text: f64| value.is_finite().then(|| Reading::Number { value, text: format!("{:.4}", text / 1e4) });
        match self {
            Self::At(pointer) => read(claim.pointer(pointer)?),
            Self::Share { of, among } => {
                let value = count(of)? as f64 / number(among)?;
                share(value, (value * 1e4).floor())
            }
            Self::Rest { of, among } => {
                let value = 1.0 - count(of)? as f64 / number(among)?;
                share(value, (value * 1e4).ceil())
            }
        }
    }
}

/// A number with its outward decimal, a number by its bits, a plain number, or a word.
fn read(value: &Value) -> Option<Reading> {
    let of_bits = |text: &str| (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten().map(f64::from_bits);
    match value {
        Value::Object(fields) => {
            let value = of_bits(fields.get("bits")?.as_str()?)?;
            Some(Reading::Number { value, text: fields.get("decimal")?.as_str()?.to_owned() })
        }
        Value::String(text) => Some(match of_bits(text) {
            Some(value) => Reading::Number { value, text: format!("{value}") },
            None => Reading::Word(text.clone()),
        }),
        Value::Number(number) => number.as_f64().map(|value| Reading::Number { value, text: number.to_string() }),
        _ => None,
    }
}

impl Reading {
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Number { text, .. } | Self::Word(text) => text,
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
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_read_by_their_names() {
        let claim = json!({
            "bound": {"decimal": "1.50000001", "bits": format!("{:016x}", 1.5_f64.to_bits()), "rounding": "up"},
            "verdict": "holds", "robust": [0, 2, 3], "samples": 4, "witness": {"bound": 0}
        });
        let number = |figure: Figure| figure.read(&claim).and_then(|reading| reading.number());
        assert_eq!(number(Figure::At("/bound")), Some(1.5));
        assert_eq!(Figure::At("/bound").read(&claim).unwrap().text(), "1.50000001");
        assert_eq!(Figure::At("/verdict").read(&claim), Some(Reading::Word("holds".into())));
        assert_eq!(number(Figure::Share { of: "/robust", among: "/samples" }), Some(0.75));
        assert_eq!(number(Figure::Rest { of: "/robust", among: "/samples" }), Some(0.25));
        assert_eq!(number(Figure::At("/lower_bound")), None);
        assert_eq!(number(Figure::Share { of: "/robust", among: "/nothing" }), None);
    }
}
