//! Why a specification cannot be used, with line and column.

use std::path::PathBuf;

use crate::data::DataError;

/// Why a specification cannot be used. One line without control characters.
#[derive(Debug, thiserror::Error)]
pub enum SpecificationError {
    #[error(transparent)]
    Read(#[from] DataError),
    /// Something at a place of the text; both counts begin at 1, columns count bytes.
    #[error("`{}`:{line}:{column}: {detail}", printable(&path.to_string_lossy()))]
    Text { path: PathBuf, line: usize, column: usize, detail: String },
    /// Something about the whole.
    #[error("`{}`: {detail}", printable(&path.to_string_lossy()))]
    Whole { path: PathBuf, detail: String },
}

/// Longest piece of a file that a message shows.
const LONGEST_NAME: usize = 80;

/// A piece of the text, without control or formatting characters and not arbitrarily long.
pub(super) fn printable(text: &str) -> String {
    let shown: String = text.chars().take(LONGEST_NAME).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST_NAME).is_some() { shown + "…" } else { shown }
}
