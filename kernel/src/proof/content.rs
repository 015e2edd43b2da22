//! What is wrong with the contents of a claim, whatever its family.

use crate::model::ir::EvaluationError;

/// A number, vector or file of a claim that is not there, does not fit, or does not reach what is claimed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Content {
    #[error("nothing of this kind is proved for float32 arithmetic")]
    Semantics,
    #[error("`{field}` is not a finite number with its own outward decimal")]
    Number { field: &'static str },
    #[error("`{field}` and its witness are not both present")]
    Incomplete { field: &'static str },
    #[error("the witness names a vector that the bundle does not hold")]
    MissingVector,
    #[error("it is about a file named `{name}` with SHA-256 {digest}, which was not given (`--file FILE`)")]
    MissingFile { name: String, digest: String },
    #[error("it is about a second model with SHA-256 {digest}, which was not given (`--model FILE`)")]
    MissingModel { digest: String },
    #[error("the data that it names: {0}")]
    Data(String),
    #[error("the file it is about cannot be used: {detail}")]
    File { detail: String },
    #[error("`{field}` says of how many samples or parameters the claim is, and not rightly")]
    Scope { field: &'static str },
    #[error("checking it would take more than {limit:e} multiplications")]
    Work { limit: f64 },
    #[error("the witness does not fit the network: {what}")]
    Shape { what: &'static str },
    #[error("`{field}` is {claimed:e} where {proved:e} is proved")]
    NotReached { field: &'static str, claimed: f64, proved: f64 },
    #[error("the outputs at the pair of points cannot be enclosed: {0}")]
    Evaluation(#[from] EvaluationError),
}
