//! Certificates in memory and as files, their check, and the audit that tells of one. What a certificate is worth, the kernel
//! says.

use std::path::{Path, PathBuf};

use nnverify::cli::recheck;
use nnverify::kernel::check::check;
use nnverify::kernel::model::onnx::{self, Model};
use nnverify::kernel::proof::{self, Bundle, Files, Vector};
use nnverify::kernel::read::data::write_npy;
use nnverify::query::write_certificate;
use nnverify::report::CheckedFile;
use nnverify::report::audit::{Audit, CertificateSection, DescriptiveSection, ModelSection};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::failure::Failed;
use crate::running::attended;

/// A certificate and its bundle.
#[pyclass(frozen, module = "nnverify._core")]
#[derive(Clone)]
pub struct Certificate {
    pub certificate: proof::Certificate,
    pub bundle: Bundle,
}

#[pymethods]
impl Certificate {
    /// Reads a file, with its bundle beside it.
    #[staticmethod]
    fn read(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let found = py.detach(|| proof::Certificate::read(&path));
        let (certificate, bundle) = found.map_err(|error| Failed::new(&error))?;
        Ok(Self { certificate, bundle })
    }

    /// Writes it, with its bundle beside it.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let written = py.detach(|| write_certificate(&self.certificate, &self.bundle, &path));
        Ok(written.map_err(|error| Failed::new(&error))?)
    }

    /// SHA-256 of what it states.
    #[getter]
    fn digest(&self) -> &str {
        &self.certificate.digest
    }

    /// As the file has it.
    fn json(&self) -> PyResult<String> {
        Ok(serde_json::to_string(&self.certificate).map_err(|error| Failed::internal(error.to_string()))?)
    }

    /// A vector of the bundle, as .npy; nothing, where there is none.
    fn vector<'py>(&self, py: Python<'py>, position: u32) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Some(values) = self.bundle.resolve(&Vector::Bundled { vector: position }) else { return Ok(None) };
        Ok(Some(PyBytes::new(py, &npy(&values)?)))
    }

    /// Proves the claims again, from the model's file; what was found, as JSON.
    fn check(&self, py: Python<'_>, model: PathBuf, files: Vec<(String, Vec<u8>)>) -> PyResult<String> {
        let this = self.clone();
        let (found, _) = attended(py, None, move |_| {
            let mut evidence = Files::default();
            for (name, bytes) in files {
                evidence.add(&name, bytes);
            }
            this.checked(&model, &evidence).map(|(checked, _)| checked)
        })?;
        Ok(serde_json::to_string(&found?).map_err(|error| Failed::internal(error.to_string()))?)
    }
}

impl Certificate {
    /// Checks it against the model's file, which is read again.
    ///
    /// # Errors
    /// A model that cannot be loaded.
    pub fn checked(&self, model: &Path, files: &Files) -> Result<(CheckedFile, Model), Failed> {
        let again = onnx::load(model).map_err(|error| Failed::model(model, &error))?;
        let checked = check(&self.certificate, &self.bundle, &again, files);
        Ok((CheckedFile::new(NAME.to_owned(), &self.certificate, &self.bundle, &checked), again))
    }

    /// Tells what it states and what a check of it found. `files` are those that its claims name, and where they lie.
    pub fn audit(
        &self,
        (checked, model, path): (&CheckedFile, &Model, &Path),
        files: &Files,
        paths: &[PathBuf],
        descriptive: Vec<DescriptiveSection>,
    ) -> Audit {
        let command = recheck(Path::new(NAME), path, paths.iter().cloned());
        let section = CertificateSection::new(&self.certificate, &self.bundle, checked, model, command, Some(files));
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut section = ModelSection::new(name, path.display().to_string(), model, vec![section]);
        section.descriptive = descriptive;
        Audit::new(vec![section], None)
    }
}

/// What messages call a certificate that was not written.
pub const NAME: &str = "certificate.json";

/// Returns numbers as .npy.
///
/// # Errors
/// Never, unless the program is wrong.
pub fn npy(values: &[f64]) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &[values.len()], values).map_err(|error| Failed::internal(error.to_string()))?;
    Ok(bytes)
}
