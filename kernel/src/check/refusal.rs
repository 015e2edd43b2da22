//! Why a certificate, or a claim in it, is not accepted.

use crate::curvature::CurvatureRefusal;
use crate::lipschitz::LipschitzRefusal;
use crate::proof::{Assurance, Content};
use crate::region::RegionRefusal;

/// A refusal. It says nothing about the network: the claim may be true and its witness damaged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("the certificate's schema `{found}` is not one this version reads (`{known}`)")]
    UnknownSchema { found: String, known: &'static str },
    #[error("the certificate's contents do not have the digest it states")]
    DigestMismatch,
    #[error("the bundle does not have the digest that the certificate states")]
    BundleMismatch,
    #[error("the certificate is about another model: it names {expected}, the model given is {found}")]
    AnotherModel { expected: String, found: String },
    #[error("the external data of the model is not what the certificate names")]
    AnotherExternalData,
    #[error("the certificate makes no claim")]
    NoClaims,
    #[error("the certificate makes more than {limit} claims")]
    TooManyClaims { limit: usize },
    #[error("the claim id `{id}` is not one to 64 letters, digits, dots, dashes and underscores")]
    ClaimId { id: String },
    #[error("two claims share the id `{id}`")]
    DuplicateClaim { id: String },
    #[error("claim `{id}`: {reason}")]
    Claim { id: String, reason: Box<ClaimRefusal> },
}

/// Why one claim is not accepted: by its family.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClaimRefusal {
    #[error(transparent)]
    Lipschitz(LipschitzRefusal),
    #[error(transparent)]
    Region(RegionRefusal),
    #[error(transparent)]
    Curvature(CurvatureRefusal),
    #[error("it states the assurance `{stated:?}` where `{found:?}` was found")]
    Assurance { stated: Assurance, found: Assurance },
    #[error("node `{node}` is an implicit equation, about which only Lipschitz constants are proved")]
    Implicit { node: String },
    #[error("{what}")]
    Kind { what: &'static str },
}

impl ClaimRefusal {
    /// Returns what is wrong with the claim's contents, where that is the reason.
    #[must_use]
    pub const fn content(&self) -> Option<&Content> {
        match self {
            Self::Lipschitz(LipschitzRefusal::Content(content))
            | Self::Region(RegionRefusal::Content(content) | RegionRefusal::Lipschitz(LipschitzRefusal::Content(content)))
            | Self::Curvature(CurvatureRefusal::Content(content)) => Some(content),
            _ => None,
        }
    }

    /// Whether a file that the claim names was not given: with it, the claim may be proved.
    #[must_use]
    pub const fn is_missing_file(&self) -> bool {
        matches!(self.content(), Some(Content::MissingFile { .. }))
    }
}

impl From<LipschitzRefusal> for ClaimRefusal {
    fn from(refusal: LipschitzRefusal) -> Self {
        Self::Lipschitz(refusal)
    }
}

impl From<RegionRefusal> for ClaimRefusal {
    fn from(refusal: RegionRefusal) -> Self {
        Self::Region(refusal)
    }
}

impl From<CurvatureRefusal> for ClaimRefusal {
    fn from(refusal: CurvatureRefusal) -> Self {
        Self::Curvature(refusal)
    }
}
