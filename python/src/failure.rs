//! Errors as `nnverify.NnverifyError`, with the code that `verify explain` explains. No error is made up here but those of a
//! caller that gives what cannot be read at all.

use std::path::Path;

use nnverify::cli::Failure;
use nnverify::codes::{self, Coded};
use nnverify::kernel::model::onnx::LoadError;
use nnverify::query::QueryError;
use pyo3::prelude::*;

/// Why nothing was found: code, message and remedy.
#[derive(Clone, Debug)]
pub struct Failed {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

impl Failed {
    /// Takes an error that knows its code.
    pub fn new(error: &impl Coded) -> Self {
        Self { code: error.code(), message: error.to_string(), hint: None }
    }

    /// Tells of an argument that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: codes::USAGE, message: message.into(), hint: None }
    }

    /// Tells of a step that cannot fail unless the program is wrong.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { code: codes::INTERNAL, message: message.into(), hint: None }
    }

    /// Tells of a model that cannot be loaded.
    pub fn model(path: &Path, error: &LoadError) -> Self {
        Self::from(&Failure::model(path, error))
    }

    /// Tells of a question that has no answer.
    pub fn query(path: &Path, error: &QueryError) -> Self {
        Self::from(&Failure::query(path, error))
    }

    /// Tells of a file that is not written.
    pub fn writing(path: &Path, error: &std::io::Error) -> Self {
        Self { code: codes::WRITE, message: format!("cannot write `{}`: {error}", path.display()), hint: None }
    }
}

impl From<&Failure> for Failed {
    fn from(failure: &Failure) -> Self {
        Self { code: failure.code(), message: failure.message().to_owned(), hint: failure.hint().map(str::to_owned) }
    }
}

impl From<Failed> for PyErr {
    fn from(failed: Failed) -> Self {
        let raised = |py: Python<'_>| -> PyResult<Self> {
            let class = py.import("nnverify.errors")?.getattr("NnverifyError")?;
            Ok(Self::from_value(class.call1((failed.code, failed.message, failed.hint))?))
        };
        Python::attach(|py| raised(py).unwrap_or_else(|error| error))
    }
}
