//! A model, and the questions that are put to it: the library's subjects, with files that were given as bytes.

use std::path::{Path, PathBuf};

use nnverify::codes::Coded;
use nnverify::kernel::model::ir::evaluate;
use nnverify::kernel::proof::FILE_LIMIT;
use nnverify::kernel::read::data::{Dataset, Source, write_npy};
use nnverify::query::{Limits, Query, Subjects, abilities, answer, validate};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rayon::prelude::*;

use crate::answer::{Answer, Concluded};
use crate::failure::Failed;
use crate::running::attended;

/// A loaded model.
#[pyclass(frozen, module = "nnverify._core")]
pub struct Model {
    pub subjects: Subjects,
}

/// A file that a question names, given as bytes.
type Given = (PathBuf, Vec<u8>);

#[pymethods]
impl Model {
    /// Loads an ONNX file, or an implicit network as JSON.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let opened = py.detach(|| Subjects::open(&path).map_err(|error| Failed::model(&path, &error)));
        Ok(Self { subjects: opened? })
    }

    #[getter]
    fn path(&self) -> &Path {
        &self.subjects.path
    }

    /// SHA-256 of the file, decompressed.
    #[getter]
    fn digest(&self) -> &str {
        &self.subjects.model.digest
    }

    #[getter]
    fn input_shape(&self) -> Vec<usize> {
        self.subjects.model.input.shape.clone()
    }

    #[getter]
    fn output_shape(&self) -> Vec<usize> {
        self.subjects.model.output.shape.clone()
    }

    #[getter]
    fn parameters(&self) -> usize {
        self.subjects.model.parameters
    }

    #[getter]
    fn notes(&self) -> Vec<String> {
        self.subjects.model.notes.clone()
    }

    /// Every question, and why it cannot be asked, if it cannot.
    fn abilities(&self) -> Vec<(&'static str, Option<String>)> {
        abilities(&self.subjects.model).into_iter().map(|ability| (ability.question, ability.obstacle)).collect()
    }

    /// The outputs at samples, in f64, as .npy; the samples are a .npy too.
    fn evaluate<'py>(&self, py: Python<'py>, samples: Given) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.outputs(samples))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Compares a question with the model and the files, and looks for nothing.
    fn validate(&self, py: Python<'_>, query: &str, files: Vec<Given>) -> PyResult<()> {
        let query: Query = read(query)?;
        let subjects = self.with(files);
        Ok(py.detach(|| validate(&subjects, &query).map_err(|error| Failed::query(&subjects.path, &error)))?)
    }

    /// Answers a question, given as JSON with the files that it names and limits.
    #[pyo3(signature = (query, files, limits, told=None))]
    fn answer(
        &self,
        py: Python<'_>,
        query: &str,
        files: Vec<Given>,
        limits: &str,
        told: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Answer> {
        let query: Query = read(query)?;
        let limits: Limits = read(limits)?;
        let subjects = self.with(files);
        let (found, interrupted) = attended(py, told, move |progress| {
            let found = answer(&subjects, &query, &limits, progress).map_err(|error| Failed::query(&subjects.path, &error))?;
            Concluded::new(subjects, found, &limits)
        })?;
        match found {
            Ok(concluded) => Ok(Answer { concluded, interrupted }),
            // Nothing had been found yet.
            Err(_) if interrupted => Err(pyo3::exceptions::PyKeyboardInterrupt::new_err(())),
            Err(failed) => Err(failed.into()),
        }
    }
}

impl Model {
    /// Returns the subjects with more files.
    fn with(&self, files: Vec<Given>) -> Subjects {
        let mut subjects = self.subjects.clone();
        files.into_iter().for_each(|(path, bytes)| subjects.give(path, bytes));
        subjects
    }

    fn outputs(&self, (path, bytes): Given) -> Result<Vec<u8>, Failed> {
        let model = &self.subjects.model;
        let source = Source::from_bytes(&path, bytes, FILE_LIMIT).map_err(|error| Failed::new(&error))?;
        let data = Dataset::from_sources(source, None).map_err(|error| Failed::new(&error))?;
        data.check_input(&model.input.shape).map_err(|error| Failed::new(&error))?;
        let one = |sample: usize| evaluate(&model.network, &data.input(sample));
        let rows: Result<Vec<Vec<f64>>, _> = (0..data.len()).into_par_iter().map(one).collect();
        let values = rows.map_err(|error| Failed { code: Coded::code(&error), ..Failed::usage(error.to_string()) })?.concat();
        let of_sample = model.output.shape.get(1..).unwrap_or_default();
        let shape: Vec<usize> = std::iter::once(data.len()).chain(of_sample.iter().copied()).collect();
        let flat = [data.len(), model.network.output_size()];
        let shape = if shape.iter().product::<usize>() == values.len() { &shape[..] } else { &flat[..] };
        let mut bytes = Vec::new();
        write_npy(&mut bytes, shape, &values).map_err(|error| Failed::internal(error.to_string()))?;
        Ok(bytes)
    }
}

/// Reads a question or limits.
fn read<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, Failed> {
    serde_json::from_str(text).map_err(|error| Failed::usage(format!("the question makes no sense: {error}")))
}
