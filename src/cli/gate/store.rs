//! Certificates of the gate on disk: read and checked, written, and baselines.

use std::path::Path;

use super::super::{ExitStatus, Failure, check};
use super::shown;
use crate::certificate::{Bundle, Certificate, ReadError};
use crate::checker::Files;
use crate::codes;
use crate::onnx::Model;
use crate::report::CheckedFile;

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

/// What lies at the certificate's place.
pub fn stored(path: &Path, model: &Model, files: &Files) -> Result<Stored, Failure> {
    let name = shown(path);
    match Certificate::read(path) {
        Ok((certificate, bundle)) => {
            let checked = check::check(name, &certificate, &bundle, model, files);
            Ok(match checked.refusal.as_deref().map(|reason| codes::split(reason).1) {
                None => Stored::Accepted(Box::new(Accepted { certificate, bundle, checked })),
                // About another model, or about files that are not given.
                Some(Some("NV504" | "NV511")) => Stored::OutOfDate,
                Some(_) => Stored::Refused(checked),
            })
        }
        Err(ReadError::Io { source, path: missing }) if source.kind() == std::io::ErrorKind::NotFound => {
            if missing == path {
                return Ok(Stored::Nothing);
            }
            let reason = codes::tagged(format!("its bundle `{}` is missing", shown(&missing)), "NV503");
            Ok(Stored::Refused(CheckedFile { certificate: name, claims: Vec::new(), refusal: Some(reason) }))
        }
        Err(error @ ReadError::Io { .. }) => Err(Failure::error(error)),
        Err(error) => {
            let reason = codes::tagged(error, "NV501");
            Ok(Stored::Refused(CheckedFile { certificate: name, claims: Vec::new(), refusal: Some(reason) }))
        }
    }
}

/// A baseline counts by what it states; only that it is whole can be seen without its model.
pub fn baseline(path: &Path) -> Result<Certificate, Failure> {
    let certificate = match Certificate::read(path) {
        Ok((certificate, _)) => certificate,
        Err(error @ ReadError::Io { .. }) => return Err(Failure::coded("NV404", error)),
        Err(error) => return Err(Failure::error(error).ending(ExitStatus::Refused)),
    };
    if certificate.digest != certificate.computed_digest() || !certificate.is_known_version() {
        let failure = Failure::coded("NV503", format_args!("the baseline `{}` was altered", shown(path)));
        return Err(failure.ending(ExitStatus::Refused));
    }
    Ok(certificate)
}

pub fn write(accepted: &Accepted, path: &Path) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Failure::writing(folder, &error))?;
    }
    accepted.certificate.write(&accepted.bundle, path).map_err(Failure::error)
}

/// Keeps what a search computed beside the claims; what an earlier one left does not stay.
pub fn write_results(results: Option<&str>, path: &Path) -> Result<(), Failure> {
    let done = match results {
        Some(results) => std::fs::write(path, results),
        None => match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    };
    done.map_err(|error| Failure::writing(path, &error))
}
