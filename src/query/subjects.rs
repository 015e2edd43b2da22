//! What a question is about: a model, and the files that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::QueryError;
use super::perturbed::copies;
use super::question::Samples;
use crate::files;
use crate::kernel::model::onnx::{LoadError, Model};
use crate::kernel::proof::{FILE_LIMIT, Files};
use crate::kernel::read::data::{DataError, Dataset, Problem, Source};

/// A model and the files beside it. What was given is used as it is; other files are read where they lie.
#[derive(Clone, Debug)]
pub struct Subjects {
    pub model: Arc<Model>,
    /// Where the model lies, for messages and to read it again.
    pub path: PathBuf,
    given: BTreeMap<PathBuf, Vec<u8>>,
}

impl Subjects {
    /// Loads a model.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        Ok(Self::new(path.to_owned(), crate::kernel::model::onnx::load(path)?))
    }

    /// Takes a model that was loaded.
    #[must_use]
    pub fn new(path: PathBuf, model: impl Into<Arc<Model>>) -> Self {
        Self { model: model.into(), path, given: BTreeMap::new() }
    }

    /// Gives a file that was read: nobody reads it from disk again.
    pub fn give(&mut self, path: PathBuf, bytes: Vec<u8>) {
        self.given.insert(path, bytes);
    }

    /// The bytes of a file, as they lie on disk.
    ///
    /// # Errors
    /// A file that cannot be read, or that is larger than `limit`.
    pub(super) fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
        match self.given.get(path) {
            Some(bytes) if bytes.len() as u64 > limit => Err(Problem::TooLarge { limit }.at(path)),
            Some(bytes) => Ok(bytes.clone()),
            None => files::read(path, limit).map_err(|error| Problem::from(error).at(path)),
        }
    }

    /// A file, decompressed.
    pub(super) fn source(&self, path: &Path, limit: u64) -> Result<Source, DataError> {
        Source::from_bytes(path, self.read(path, limit)?, limit)
    }

    /// The samples of a question, which must fit the model's input, and how many of them are asked about; what the reader should
    /// know about them is added to `notes`.
    ///
    /// # Errors
    /// Data that cannot be read, do not fit, or are fewer than was asked for.
    pub(super) fn dataset(&self, samples: &Samples, notes: &mut Vec<String>) -> Result<(Dataset, usize), QueryError> {
        let source = |path: &PathBuf| self.source(path, Source::LIMIT);
        let dataset = Dataset::from_sources(source(&samples.data)?, samples.labels.as_ref().map(source).transpose()?)?;
        dataset.check_input(&self.model.input.shape)?;
        let count = samples.count.map_or(dataset.len(), |count| count as usize);
        if count > dataset.len() {
            return Err(QueryError::TooFewSamples { asked: count, path: samples.data.clone(), found: dataset.len() });
        }
        notes.extend(copies(&dataset, count).map(|copies| format!("`{}`: {copies}", samples.data.display())));
        Ok((dataset, count))
    }

    /// Reads the files that claims name, for the checker.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn evidence<'a>(&self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<Files, DataError> {
        let mut files = Files::default();
        for path in paths {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            files.add(&name, self.read(path, FILE_LIMIT)?);
        }
        Ok(files)
    }
}
