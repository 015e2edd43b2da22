//! Why data cannot be used: every message names the file, and within it the key, row or byte.

use std::path::{Path, PathBuf};

use crate::files::{ReadError, token};

/// Why data cannot be used. One line without control characters, whatever names the file contains.
#[derive(Debug, thiserror::Error)]
#[error("`{}`{}: {problem}", token(&path.to_string_lossy()), key.as_deref().map(|key| format!(", key `{}`", token(key))).unwrap_or_default())]
pub struct DataError {
    pub path: PathBuf,
    /// The array within an archive.
    pub key: Option<String>,
    pub problem: Problem,
}

/// What is wrong, without the place.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("larger than the limit of {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the compressed data are damaged: {0}")]
    Compression(String),
    #[error("not {format}: {detail}")]
    Malformed { format: &'static str, detail: String },
    #[error("element type `{0}` is not supported: expected f2, f4, f8, i1 to i8, u1 to u8 or b1")]
    UnsupportedType(String),
    #[error("shape {shape:?} needs {expected} bytes of data, found {found}")]
    Length { shape: Vec<usize>, expected: String, found: usize },
    #[error("no array for the {what}: expected a key among {expected}; the keys are {}", list(found))]
    MissingKey { what: &'static str, expected: String, found: Vec<String> },
    #[error("more than one array could be the {what}: {}", list(found))]
    AmbiguousKey { what: &'static str, found: Vec<String> },
    #[error("there is no array of this name; the keys are {}", list(.0))]
    NoSuchKey(Vec<String>),
    #[error("line {line}{}: {detail}", column.map(|column| format!(", column {column}")).unwrap_or_default())]
    Text { line: usize, column: Option<usize>, detail: String },
    #[error("a data set needs a first axis that counts samples; the shape is {0:?}")]
    NoSamples(Vec<usize>),
    #[error("sample {row}, element {element}: {value} is not a finite number")]
    NotFinite { row: usize, element: usize, value: f64 },
    #[error("integer {0} cannot be represented exactly")]
    Inexact(String),
    #[error("{inputs} inputs but targets of shape {targets:?}")]
    TargetCount { inputs: usize, targets: Vec<usize> },
    #[error("samples of shape {found:?} ({} values) where the network expects {expected:?} ({} values){hint}",
        found.iter().product::<usize>(), expected.iter().product::<usize>())]
    InputShape { found: Vec<usize>, expected: Vec<usize>, hint: &'static str },
    #[error("samples of shape {found:?} where the network expects {expected:?}: as many values in another layout; {remedy}")]
    Layout { found: Vec<usize>, expected: Vec<usize>, remedy: String },
    #[error("there are no samples")]
    Empty,
    #[error("there are no targets{0}")]
    NoTargets(&'static str),
    #[error("sample {row}: the target {value} is not a class among 0 to {}", classes.saturating_sub(1))]
    Label { row: usize, value: String, classes: usize },
    #[error("targets with {found} values a sample where {expected} are expected{hint}")]
    TargetShape { found: usize, expected: usize, hint: &'static str },
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::Io(error),
            ReadError::TooLarge { limit } => Self::TooLarge { limit },
        }
    }
}

impl Problem {
    /// The problem with its place.
    #[must_use]
    pub fn at(self, path: &Path) -> DataError {
        DataError { path: path.to_owned(), key: None, problem: self }
    }

    /// The problem with an array of an archive.
    #[must_use]
    pub fn at_key(self, path: &Path, key: &str) -> DataError {
        DataError { path: path.to_owned(), key: Some(key.to_owned()), problem: self }
    }

    pub(super) fn malformed(format: &'static str, detail: impl Into<String>) -> Self {
        Self::Malformed { format, detail: detail.into() }
    }
}

fn list(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(16).map(|name| format!("`{}`", token(name))).collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count > 16 => format!("{} and {} more", shown.join(", "), count - 16),
        _ => shown.join(", "),
    }
}
