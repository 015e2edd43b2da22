//! Certificates of the gate on disk: read and checked, and written.

use std::path::Path;

use super::super::Failure;
use super::decision::Stop;
use super::repository::{Kept, Repository, stopped};
use super::shown;
use crate::files;
use crate::kernel::check::{Refusal, check};
use crate::kernel::model::onnx::Model;
use crate::kernel::proof::{Bundle, Certificate, Files};
use crate::report::{CheckedFile, Refused};

/// A certificate that the checker accepted.
pub struct Accepted {
    pub certificate: Certificate,
    pub bundle: Bundle,
    pub checked: CheckedFile,
}

/// What lies in the place of a certificate.
pub enum Stored {
    Nothing,
    OutOfDate,
    Refused(CheckedFile),
    Accepted(Box<Accepted>),
}

/// What lies at the certificate's place, relative to the policy.
pub fn stored(repository: &Repository, path: &Path, model: &Model, files: &Files) -> Result<Stored, Stop> {
    let name = shown(&repository.file.folder().join(path));
    Ok(match repository.certificate(path).map_err(|error| stopped(&error))? {
        Kept::Nothing => Stored::Nothing,
        Kept::Damaged { reason, code } => Stored::Refused(CheckedFile::unreadable(name, Refused { code, reason })),
        Kept::Whole(whole) => {
            let (certificate, bundle) = *whole;
            let found = check(&certificate, &bundle, model, files);
            let checked = CheckedFile::new(name, &certificate, &bundle, &found);
            match &found.refusal {
                None => Stored::Accepted(Box::new(Accepted { certificate, bundle, checked })),
                Some(refusal) if is_out_of_date(refusal) => Stored::OutOfDate,
                Some(_) => Stored::Refused(checked),
            }
        }
    })
}

/// Whether a certificate is about another model, or about files that are not given.
fn is_out_of_date(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::AnotherModel { .. } | Refusal::AnotherExternalData => true,
        Refusal::Claim { reason, .. } => reason.is_missing_file(),
        _ => false,
    }
}

pub fn write(accepted: &Accepted, path: &Path) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        files::create_folder(folder).map_err(|error| Failure::writing(folder, &error))?;
    }
    crate::query::write_certificate(&accepted.certificate, &accepted.bundle, path).map_err(Failure::error)
}

/// Keeps what a search computed beside the claims; what an earlier one left does not stay.
pub fn write_results(results: Option<&str>, path: &Path) -> Result<(), Failure> {
    let done = match results {
        Some(results) => files::write(path, results.as_bytes()),
        None => files::remove(path),
    };
    done.map_err(|error| Failure::writing(path, &error))
}
