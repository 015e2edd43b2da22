//! A policy applied: the audit that `verify gate` prints.

use std::path::PathBuf;

use nnverify::cli::{Settings, audit};
use nnverify::policy::{PolicyError, PolicyFile, discover};
use nnverify::report::audit::Audit;
use nnverify::report::{ReportFormat, cards, json};
use pyo3::prelude::*;

use crate::answer::{unknown_format, write_report};
use crate::failure::Failed;
use crate::running::attended;

/// What became of a policy's rules.
#[pyclass(frozen, module = "nnverify._core")]
pub struct Gate {
    audit: Audit,
}

#[pymethods]
impl Gate {
    /// The audit (`verify schema report`).
    fn json(&self) -> PyResult<String> {
        Ok(json(&self.audit).map_err(|error| Failed::internal(error.to_string()))?)
    }

    /// Writes the report, in the format that the path's name asks for.
    fn report(&self, path: PathBuf) -> PyResult<()> {
        let format = ReportFormat::of_path(&path).ok_or_else(|| unknown_format(&path))?;
        Ok(write_report(&self.audit, format, &path)?)
    }

    /// The report's cards as a page.
    fn cards(&self) -> String {
        cards(&self.audit)
    }
}

/// Applies a policy, or the nearest `verify.toml`. Rules that an interrupt left open are inconclusive.
#[pyfunction]
#[pyo3(signature = (path, fresh, check_only, allow_outside))]
pub fn gate(py: Python<'_>, path: Option<PathBuf>, fresh: bool, check_only: bool, allow_outside: bool) -> PyResult<(Gate, bool)> {
    let settings = Settings { fresh, check_only, allow_outside, pictures: true };
    let (audit, interrupted) =
        attended(py, None, move |_| audit(path.as_deref(), settings).map_err(|error| Failed::from(&error)))?;
    Ok((Gate { audit: audit? }, interrupted))
}

/// Returns the ids of a policy's rules, in its order.
#[pyfunction]
pub fn rules(path: Option<PathBuf>) -> PyResult<Vec<String>> {
    let failed = |error: PolicyError| Failed { hint: error.hint(), ..Failed::new(&error) };
    let path = path.map_or_else(|| discover(&std::env::current_dir().unwrap_or_default()), Ok).map_err(failed)?;
    let file = PolicyFile::open(&path).map_err(failed)?;
    let rules = file.tasks.iter().flat_map(|(_, tasks)| tasks).flat_map(|task| &task.requirements);
    Ok(rules.map(|rule| rule.id.clone()).collect())
}
