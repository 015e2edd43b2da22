//! Certificates as files: each in whole or not at all, and never through a link.

use std::path::{Path, PathBuf};

use crate::files;
use crate::kernel::proof::{Bundle, Certificate, bundle_path};

/// A file of a certificate that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`: {source}", path.display())]
pub struct WriteError {
    pub path: PathBuf,
    pub source: std::io::Error,
}

/// Writes a certificate, and its bundle beside it where it has one.
///
/// # Errors
/// The path that could not be written, and why.
pub fn write_certificate(certificate: &Certificate, bundle: &Bundle, path: &Path) -> Result<(), WriteError> {
    let whole =
        |path: &Path, bytes: &[u8]| files::write(path, bytes).map_err(|source| WriteError { path: path.to_owned(), source });
    let mut text =
        serde_json::to_vec_pretty(certificate).map_err(|error| WriteError { path: path.to_owned(), source: error.into() })?;
    text.push(b'\n');
    if !bundle.is_empty() {
        whole(&bundle_path(path), &bundle.to_bytes())?;
    }
    whole(path, &text)
}
