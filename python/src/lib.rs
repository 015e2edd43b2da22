//! The extension module `nnverify._core`: the library's [`Query`](nnverify::query::Query) and
//! [`Answer`](nnverify::query::Answer) as the Python package sees them.
//!
//! | module | what it is |
//! |---|---|
//! | `model` | a model, and the questions that are put to it |
//! | `answer` | what was found and what the checker established, with its report |
//! | `certificate` | certificates in memory and as files, and their check |
//! | `gate` | a policy applied |
//! | `running` | work beside the interpreter: its lock is released, interrupts end the search, progress is told |
//! | `failure` | errors as exceptions with their codes |
//!
//! Questions and answers cross as JSON in the names of the library's own types, arrays as .npy. Nothing here parses options
//! or printed text, validates what the library validates, or decides anything.

mod answer;
mod certificate;
mod failure;
mod gate;
mod model;
mod running;

use std::ffi::OsString;

use nnverify::codes;
use pyo3::prelude::*;

use failure::Failed;

/// Returns title, explanation and remedy of a code; nothing, where there is no such code.
#[pyfunction]
fn explain(code: &str) -> Option<(&'static str, &'static str, &'static str)> {
    codes::find(code).map(|found| (found.title, found.explanation, found.remedy))
}

/// Runs the command line and returns its exit code.
#[pyfunction]
fn command_line(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| nnverify::cli::ended(arguments) as u8)
}

/// Sets how many threads everything uses; before the first question alone.
#[pyfunction]
fn set_threads(count: u16) -> PyResult<()> {
    if count == 0 {
        return Err(Failed::usage("`threads`: at least 1").into());
    }
    nnverify::cli::set_threads(Some(count)).map_err(|error| Failed::from(&error).into())
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<model::Model>()?;
    module.add_class::<answer::Answer>()?;
    module.add_class::<certificate::Certificate>()?;
    module.add_class::<gate::Gate>()?;
    module.add_function(wrap_pyfunction!(explain, module)?)?;
    module.add_function(wrap_pyfunction!(command_line, module)?)?;
    module.add_function(wrap_pyfunction!(set_threads, module)?)?;
    module.add_function(wrap_pyfunction!(gate::gate, module)?)?;
    module.add_function(wrap_pyfunction!(gate::rules, module)?)
}
