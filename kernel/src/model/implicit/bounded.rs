//! Arrays that are no longer than what can be used: the limit comes before the memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::MAX_ORDER;

struct Bounded<T>(Vec<T>);

struct Elements<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
    type Value = Bounded<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of at most {MAX_ORDER} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            if elements.len() == MAX_ORDER {
                return Err(A::Error::custom(format_args!("an array has more than {MAX_ORDER} elements")));
            }
            elements.push(element);
        }
        Ok(Bounded(elements))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bounded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

pub fn matrix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<f64>>, D::Error> {
    let rows = Bounded::<Bounded<f64>>::deserialize(deserializer)?;
    Ok(rows.0.into_iter().map(|row| row.0).collect())
}

pub fn vector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<f64>>, D::Error> {
    Bounded::deserialize(deserializer).map(|elements| Some(elements.0))
}
