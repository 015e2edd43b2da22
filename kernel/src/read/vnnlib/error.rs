//! Why a specification cannot be used, with line and column.

use std::path::PathBuf;

use crate::files::token;
use crate::read::data::DataError;

/// Why a specification cannot be used. One line without control characters.
#[derive(Debug, thiserror::Error)]
pub enum SpecificationError {
    #[error(transparent)]
    Read(#[from] DataError),
    /// Something at a place of the text; both counts begin at 1, columns count bytes.
    #[error("`{}`:{line}:{column}: {detail}", token(&path.to_string_lossy()))]
    Text { path: PathBuf, line: usize, column: usize, detail: String },
    /// Something about the whole.
    #[error("`{}`: {detail}", token(&path.to_string_lossy()))]
    Whole { path: PathBuf, detail: String },
}
