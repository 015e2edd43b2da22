//! Why a claim about curvature is not proved.

use crate::model::ir::EvaluationError;
use crate::proof::Content;
use crate::sound::cholesky::NotProved;

/// A refusal of a claim about curvature. It says nothing about the network: the claim may be true and its witness damaged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CurvatureRefusal {
    #[error(transparent)]
    Content(#[from] Content),
    #[error(
        "`{tensor}` is no parameter: its values decide what node `{node}` ({operator}) computes, so the network's derivatives \
         with respect to it are not those of the file's function; leave it out (`--exclude`)"
    )]
    Frozen { tensor: String, node: String, operator: String },
    #[error("{what}: positive definiteness is not proved: {reason}")]
    NotDefinite { what: String, reason: NotProved },
}

impl From<EvaluationError> for CurvatureRefusal {
    fn from(error: EvaluationError) -> Self {
        Content::from(error).into()
    }
}
