//! The data set that passes are about: `--data`, `--labels`, `--samples`.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::certificate::FileIdentity;
use crate::data::Dataset;
use crate::onnx::Model;

#[derive(clap::Args)]
#[command(next_help_heading = "Data")]
pub struct DataArguments {
    /// Samples and labels: .npz, .npy (`x.npy,y.npy`), IDX or CSV, possibly gzipped
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// A file with the labels, where they are in another one
    #[arg(long, value_name = "FILE", requires = "data")]
    labels: Option<PathBuf>,
    /// Only the first N samples
    #[arg(long, value_name = "N", requires = "data")]
    samples: Option<usize>,
}

impl DataArguments {
    /// Reads the data set, whose samples must be inputs of the model.
    ///
    /// # Errors
    /// When there is none, or it does not fit.
    pub fn dataset(&self, model: &Model) -> Result<Dataset, Failure> {
        let path = self.data.as_deref().ok_or_else(|| Failure {
            hint: Some("`--data FILE` names the samples".to_owned()),
            ..Failure::error("a data set is needed")
        })?;
        let data = Dataset::open(path, self.labels.as_deref()).map_err(Failure::error)?;
        data.check_input(&model.input.shape).map_err(Failure::error)?;
        if data.is_empty() {
            return Err(Failure::error(format!("`{}`: there are no samples", path.display())));
        }
        Ok(data)
    }

    /// How many of the samples are meant.
    pub fn count(&self, data: &Dataset) -> usize {
        self.samples.map_or(data.len(), |samples| samples.min(data.len()))
    }
}

/// The files of a data set as claims name them.
pub fn identities(data: &Dataset) -> Vec<FileIdentity> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    data.files().iter().map(|(path, digest)| FileIdentity { name: name(path), digest: digest.clone() }).collect()
}

/// Where the files of a data set lie.
pub fn paths(data: &Dataset) -> Vec<PathBuf> {
    data.files().iter().map(|(path, _)| path.clone()).collect()
}
