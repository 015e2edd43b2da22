//! Data files as claims name them.

use std::path::{Path, PathBuf};

use crate::certificate::FileIdentity;
use crate::data::Dataset;

/// The files of a data set as claims name them.
pub fn identities(data: &Dataset) -> Vec<FileIdentity> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    data.files().iter().map(|(path, digest)| FileIdentity { name: name(path), digest: digest.clone() }).collect()
}

/// Where the files of a data set lie.
pub fn paths(data: &Dataset) -> Vec<PathBuf> {
    data.files().iter().map(|(path, _)| path.clone()).collect()
}
