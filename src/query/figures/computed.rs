//! Numbers that nobody checks.

use serde::{Deserialize, Deserializer, Serialize};

/// A number that was computed and that nobody checks. In JSON it is `null` where it is no finite number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Computed(pub f64);

impl Computed {
    /// Returns the number, where it is one.
    #[must_use]
    pub fn finite(self) -> Option<f64> {
        Some(self.0).filter(|value| value.is_finite())
    }
}

impl From<f64> for Computed {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl<'de> Deserialize<'de> for Computed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<f64>::deserialize(deserializer).map(|value| Self(value.unwrap_or(f64::NAN)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_null() {
        let text = serde_json::to_string(&[Computed(0.5), Computed(f64::INFINITY)]).unwrap();
        assert_eq!(text, "[0.5,null]");
        let back: Vec<Computed> = serde_json::from_str(&text).unwrap();
        assert_eq!((back[0].finite(), back[1].finite()), (Some(0.5), None));
    }
}
