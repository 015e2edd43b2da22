//! The binary bundle beside a certificate: vectors too long for JSON.

use prost::Message;

use super::claim::{Claim, Vector};
use super::{Certificate, digest_of};

/// Vectors longer than this go to the bundle.
const INLINE_LIMIT: usize = 1024;
/// A bundle larger than this is refused unread.
pub const BUNDLE_LIMIT: u64 = 1 << 26;

/// The long vectors of a certificate.
#[derive(Clone, PartialEq, Message)]
pub struct Bundle {
    #[prost(message, repeated, tag = "1")]
    vectors: Vec<Values>,
}

#[derive(Clone, PartialEq, Message)]
struct Values {
    #[prost(double, repeated, tag = "1")]
    values: Vec<f64>,
}

impl Bundle {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// # Errors
    /// A message when the bytes are not a bundle.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        Self::decode(bytes).map_err(|error| error.to_string())
    }

    /// The values of a vector, or `None` where the bundle has no such vector.
    #[must_use]
    pub fn resolve(&self, vector: &Vector) -> Option<Vec<f64>> {
        match vector {
            Vector::Inline(bits) => Some(bits.iter().map(|bits| bits.value()).collect()),
            Vector::Bundled { vector } => self.vectors.get(*vector as usize).map(|vector| vector.values.clone()),
        }
    }

    /// Moves the long vectors of a certificate here and records the bundle's digest in it.
    pub(super) fn extract(certificate: &mut Certificate) -> Self {
        let mut bundle = Self::default();
        certificate.claims.iter_mut().flat_map(Claim::vectors_mut).for_each(|vector| bundle.take(vector));
        if !bundle.is_empty() {
            certificate.bundle = Some(digest_of(&bundle.to_bytes()));
        }
        bundle
    }

    fn take(&mut self, vector: &mut Vector) {
        if let Vector::Inline(bits) = vector
            && bits.len() > INLINE_LIMIT
        {
            let values = bits.iter().map(|bits| bits.value()).collect();
            let position = u32::try_from(self.vectors.len()).unwrap_or(u32::MAX);
            self.vectors.push(Values { values });
            *vector = Vector::Bundled { vector: position };
        }
    }
}
