//! What a question came to: the library's answer, sealed, and what the checker made of it before anybody sees it.

use std::path::PathBuf;

use nnverify::codes::Coded;
use nnverify::files;
use nnverify::kernel::proof::Files;
use nnverify::query::{self, Limits, Outcome, Product, QueryError, Subjects, evidence, seal};
use nnverify::report::audit::{Audit, Results};
use nnverify::report::{AnalysisReport, CheckedFile, ReportFormat, cards, json};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::Serialize;

use crate::certificate::{Certificate, npy};
use crate::failure::Failed;
use crate::running::attended;

/// An answer, its certificate, and what its check found.
#[derive(Clone)]
pub struct Concluded {
    subjects: Subjects,
    answer: std::sync::Arc<query::Answer>,
    certificate: Option<Certificate>,
    checked: Option<std::sync::Arc<CheckedFile>>,
    files: Files,
}

impl Concluded {
    /// Seals the claims and has them checked, from the model's file.
    ///
    /// # Errors
    /// Files that cannot be read, or a claim that the checker refuses: then nothing is established.
    pub fn new(subjects: Subjects, answer: query::Answer, limits: &Limits) -> Result<Self, Failed> {
        let answers = [answer];
        let files = evidence(&subjects, &answers).map_err(|error| Failed::new(&error))?;
        let sealed = seal(&subjects, &answers, limits);
        let certificate = sealed.map(|(certificate, bundle)| Certificate { certificate, bundle });
        let checked = certificate.as_ref().map(|sealed| sealed.checked(&subjects.path, &files)).transpose()?;
        let checked = checked.map(|(checked, _)| checked);
        if let Some(refused) = checked.as_ref().and_then(|checked| checked.refusal.as_ref()) {
            let message = format!("the checker refused what a pass found, so nothing is established: {refused}");
            let hint = "this is a defect of the pass; please report it with the model".to_owned();
            return Err(Failed { code: "NV604", message, hint: Some(hint) });
        }
        let [answer] = answers;
        Ok(Self { subjects, answer: answer.into(), certificate, checked: checked.map(Into::into), files })
    }

    /// Tells everything, as the command line's report does.
    fn audit(&self) -> Result<Audit, Failed> {
        let Some(certificate) = &self.certificate else {
            return Err(Failed::usage("nothing is claimed, so there is nothing to report"));
        };
        let (checked, model) = certificate.checked(&self.subjects.path, &self.files)?;
        let path = &self.subjects.path;
        let figures = vec![self.answer.figures.clone()];
        let sealed = Some(&certificate.certificate);
        let report = AnalysisReport::new(path, &model, figures, sealed, Some(&checked), None, self.answer.spent);
        let text = json(&report).map_err(|error| Failed::internal(error.to_string()))?;
        let results = Results::from_json(text.as_bytes(), "the answer".into(), &model.digest);
        let results = results.map_err(|error| Failed::internal(error.to_string()))?;
        let descriptive = results.sections("the answer", &|_, _| None, &model.input.shape);
        Ok(certificate.audit((&checked, &model, path), &self.files, &self.answer.files, descriptive))
    }
}

/// An answer as Python sees it.
#[pyclass(frozen, module = "nnverify._core")]
pub struct Answer {
    pub concluded: Concluded,
    /// Whether an interrupt ended the search.
    #[pyo3(get)]
    pub interrupted: bool,
}

/// Everything of an answer that is no array and no file.
#[derive(Serialize)]
struct Told<'a> {
    outcome: &'static str,
    figures: &'a query::figures::Figures,
    notes: &'a [String],
    unclaimed: &'a [String],
    failures: Vec<Failure<'a>>,
    engine: &'a str,
    seconds: f64,
    short_of_memory: bool,
    checked: Option<&'a CheckedFile>,
    model: &'a str,
    files: Vec<PathBuf>,
}

/// What was asked for beside the claims and could not be done.
#[derive(Serialize)]
struct Failure<'a> {
    code: &'a str,
    message: String,
}

impl<'a> Failure<'a> {
    fn new(error: &'a QueryError) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}

#[pymethods]
impl Answer {
    /// Outcome, figures, notes and what the check found, as JSON.
    fn json(&self) -> PyResult<String> {
        let Concluded { answer, checked, subjects, .. } = &self.concluded;
        let told = Told {
            outcome: match answer.outcome {
                Outcome::Established => "established",
                Outcome::Violated => "violated",
                Outcome::Inconclusive => "inconclusive",
            },
            figures: &answer.figures,
            notes: &answer.notes,
            unclaimed: &answer.unclaimed,
            failures: answer.failures.iter().map(Failure::new).collect(),
            engine: &answer.engine,
            seconds: answer.spent.as_secs_f64(),
            short_of_memory: answer.short_of_memory,
            checked: checked.as_deref(),
            model: &subjects.model.digest,
            files: answer.files.clone(),
        };
        Ok(serde_json::to_string(&told).map_err(|error| Failed::internal(error.to_string()))?)
    }

    /// The certificate; nothing, where nothing is claimed.
    #[getter]
    fn certificate(&self) -> Option<Certificate> {
        self.concluded.certificate.clone()
    }

    /// Proves the claims again, from the model's file; what was found, as JSON.
    fn check(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let Some(certificate) = self.concluded.certificate.clone() else { return Ok(None) };
        let concluded = self.concluded.clone();
        let (found, _) =
            attended(py, None, move |_| certificate.checked(&concluded.subjects.path, &concluded.files).map(|found| found.0))?;
        Ok(Some(serde_json::to_string(&found?).map_err(|error| Failed::internal(error.to_string()))?))
    }

    /// Writes the report, in the format that the path's name asks for. The claims are checked for it.
    fn report(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let format = ReportFormat::of_path(&path).ok_or_else(|| unknown_format(&path))?;
        let concluded = self.concluded.clone();
        let (audit, _) = attended(py, None, move |_| concluded.audit())?;
        Ok(write_report(&audit?, format, &path)?)
    }

    /// The report's cards as a page.
    fn cards(&self, py: Python<'_>) -> PyResult<String> {
        let concluded = self.concluded.clone();
        let (audit, _) = attended(py, None, move |_| concluded.audit())?;
        Ok(cards(&audit?))
    }

    /// The product of an inverse with a vector, as .npy.
    fn vector<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = self.concluded.answer.products.iter().find_map(|product| match product {
            Product::Vector(values) => Some(values),
            _ => None,
        });
        let Some(values) = found else { return Ok(None) };
        Ok(Some(PyBytes::new(py, &npy(values)?)))
    }

    /// The pruned model, an ONNX file.
    fn pruned_model<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.concluded.answer.products.iter().find_map(|product| match product {
            Product::PrunedModel(bytes) => Some(PyBytes::new(py, bytes)),
            _ => None,
        })
    }

    /// The result file of a specification.
    fn result_file(&self) -> Option<&str> {
        self.concluded.answer.products.iter().find_map(|product| match product {
            Product::ResultFile(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Returns what is said of a report whose name asks for no format.
pub fn unknown_format(path: &std::path::Path) -> Failed {
    Failed::usage(format!("`{}`: the name does not end in .html, .md, .json, .sarif, .xml, .intoto.json or .txt", path.display()))
}

/// Writes a report.
///
/// # Errors
/// A file that cannot be written.
pub fn write_report(audit: &Audit, format: ReportFormat, path: &std::path::Path) -> Result<(), Failed> {
    let text = format.render(audit).map_err(|error| Failed::internal(error.to_string()))?;
    files::write(path, text.as_bytes()).map_err(|error| Failed::writing(path, &error))
}
