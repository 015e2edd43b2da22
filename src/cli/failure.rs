//! Why a run ended early: what is printed, the code that it ends with, and how the program exits.

use std::path::Path;

use super::ExitStatus;
use crate::codes::{self, Coded};
use crate::kernel::model::onnx::LoadError;
use crate::query::QueryError;
use crate::report::visible;

/// Why a run ended early. Whatever makes one gives it a code, by [`Coded`] or by name.
#[derive(Debug)]
pub struct Failure {
    status: ExitStatus,
    code: &'static str,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// An error that knows its code; plain text is about the command line.
    #[allow(clippy::needless_pass_by_value)] // used as a function for `map_err`
    pub fn error(error: impl Coded) -> Self {
        Self::coded(error.code(), &error)
    }

    pub fn coded(code: &'static str, message: impl std::fmt::Display) -> Self {
        Self { status: ExitStatus::Error, code, message: message.to_string(), hint: None }
    }

    pub fn model(path: &Path, error: &LoadError) -> Self {
        let hint = error.hint();
        Self { hint, ..Self::error(error).at(path) }
    }

    /// A question about a model that has no answer.
    pub fn query(path: &Path, error: &QueryError) -> Self {
        let hint = error.hint(&path.display().to_string());
        let status = error.outcome().map_or(ExitStatus::Error, ExitStatus::from);
        let failure = Self { hint, ..Self::error(error).ending(status) };
        if error.is_about_model() { failure.at(path) } else { failure }
    }

    /// A file that is not written.
    pub fn writing(path: &Path, error: &std::io::Error) -> Self {
        Self::coded(codes::WRITE, format_args!("cannot write `{}`: {error}", path.display()))
    }

    /// A step that cannot fail unless the program is wrong, or the machine gives it nothing to work with.
    #[allow(clippy::needless_pass_by_value)] // used as a function for `map_err`
    pub fn internal(error: impl std::fmt::Display) -> Self {
        Self::coded(codes::INTERNAL, error)
    }

    /// The same, named after the file that it is about.
    pub fn at(self, path: &Path) -> Self {
        Self { message: format!("{}: {}", path.display(), self.message), ..self }
    }

    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with another exit code.
    pub fn ending(self, status: ExitStatus) -> Self {
        Self { status, ..self }
    }

    /// Tells of it on standard error. A name from outside must not begin a line: runners read some lines as commands.
    pub fn tell(&self) {
        eprintln!("error: {}", visible(&self.to_string()));
        if let Some(hint) = self.hint() {
            eprintln!("hint: {}", visible(hint));
        }
    }

    pub const fn status(&self) -> ExitStatus {
        self.status
    }

    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// Without the code.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&codes::tagged(&self.message, self.code))
    }
}
