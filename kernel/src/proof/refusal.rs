//! Why a certificate, or a claim in it, is not accepted.

use crate::lipschitz::form::{FormError, MatrixError};
use crate::sound::cholesky::NotProved;

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

/// Why one claim is not accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClaimRefusal {
    #[error("the region is not one: {0}")]
    Region(#[from] crate::region::bounds::RegionError),
    #[error("nothing is bounded on the region: {0}")]
    Bounds(#[from] crate::region::bounds::BoundsError),
    #[error("nothing of this kind is proved for float32 arithmetic")]
    Semantics,
    #[error("it states the assurance `{stated:?}` where `{found:?}` was found")]
    Assurance { stated: crate::proof::Assurance, found: crate::proof::Assurance },
    #[error("`{field}` is not a finite number with its own outward decimal")]
    Number { field: &'static str },
    #[error("`{field}` and its witness are not both present")]
    Incomplete { field: &'static str },
    #[error("the witness names a vector that the bundle does not hold")]
    MissingVector,
    #[error("it is about a file named `{name}` with SHA-256 {digest}, which was not given (`--file FILE`)")]
    MissingFile { name: String, digest: String },
    #[error("the data that it names: {0}")]
    Data(String),
    #[error(
        "`{tensor}` is no parameter: its values decide what node `{node}` ({operator}) computes, so the network's derivatives \
         with respect to it are not those of the file's function; leave it out (`--exclude`)"
    )]
    Frozen { tensor: String, node: String, operator: String },
    #[error("`{field}` says of how many samples or parameters the claim is, and not rightly")]
    Scope { field: &'static str },
    #[error(
        "{count} means or deviations where axis {axis} of the network's input {shape:?} counts the channels; \
         `--channel-axis` names another axis"
    )]
    Channels { count: usize, axis: usize, shape: Vec<usize> },
    #[error(
        "no input satisfies {empty} of the specification's disjuncts{}, which the claim does not say",
        if *vacuous { ", all of them: it is vacuous" } else { "" }
    )]
    Vacuity { empty: usize, vacuous: bool },
    #[error("checking it would take more than {limit:e} multiplications")]
    Work { limit: f64 },
    #[error("the witness does not fit the network: {what}")]
    Shape { what: &'static str },
    #[error(transparent)]
    Form(#[from] FormError),
    #[error("{what}: {reason}")]
    NoMatrix { what: String, reason: MatrixError },
    #[error("{what}: positive definiteness is not proved: {reason}")]
    NotDefinite { what: String, reason: NotProved },
    #[error("node `{node}` is an implicit equation, about which only Lipschitz constants are proved")]
    Implicit { node: String },
    #[error("node `{node}` ({operator}) has no norm rule")]
    NoRule { node: String, operator: String },
    #[error("`{field}` is {claimed:e} where {proved:e} is proved")]
    NotReached { field: &'static str, claimed: f64, proved: f64 },
    #[error("the outputs at the pair of points cannot be enclosed: {0}")]
    Evaluation(#[from] crate::model::ir::EvaluationError),
    #[error("the file it is about cannot be used: {detail}")]
    File { detail: String },
    #[error("a box is not refuted by its bounds")]
    NotRefuted,
    #[error("the point lies outside the box")]
    Outside,
    #[error("the point is not proved to be unsafe")]
    NotUnsafe,
}
