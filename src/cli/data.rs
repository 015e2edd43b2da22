//! Data files as claims name them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::certificate::{FileIdentity, digest_of};
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

/// How many of the first samples of a data set are copies of others, in words; nothing, where all differ. A figure over copies
/// says less than it seems.
pub fn copies(data: &Dataset, samples: usize) -> Option<String> {
    let count = samples.min(data.len());
    let digest = |sample: usize| {
        // Adding zero makes one number of the two zeros.
        let bytes: Vec<u8> = data.input(sample).iter().flat_map(|value| (value + 0.0).to_bits().to_le_bytes()).collect();
        digest_of(&bytes)
    };
    let different: HashSet<String> = (0..count).map(digest).collect();
    let copies = count - different.len();
    (copies > 0).then(|| format!("{copies} of {count} samples are copies of others"))
}
