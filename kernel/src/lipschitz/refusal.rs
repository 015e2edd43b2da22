//! Why a Lipschitz bound is not proved.

use super::form::{FormError, MatrixError};
use crate::model::ir::EvaluationError;
use crate::proof::Content;
use crate::sound::cholesky::NotProved;

/// A refusal of a Lipschitz claim. It says nothing about the network: the claim may be true and its witness damaged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LipschitzRefusal {
    #[error(transparent)]
    Content(#[from] Content),
    #[error(transparent)]
    Form(#[from] FormError),
    #[error("{what}: {reason}")]
    NoMatrix { what: String, reason: MatrixError },
    #[error("{what}: positive definiteness is not proved: {reason}")]
    NotDefinite { what: String, reason: NotProved },
    #[error("node `{node}` ({operator}) has no norm rule")]
    NoRule { node: String, operator: String },
}

impl From<EvaluationError> for LipschitzRefusal {
    fn from(error: EvaluationError) -> Self {
        Content::from(error).into()
    }
}
