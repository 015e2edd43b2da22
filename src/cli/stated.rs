//! Certificates that are taken for what they state: whole and possible, but not checked, for which their models would be needed.

use std::path::Path;

use super::{ExitStatus, Failure};
use crate::codes::Coded;
use crate::kernel::check::check_identity;
use crate::kernel::proof::{Bundle, Certificate, ReadError};
use crate::policy::unlikely;

/// Reads a certificate for what it states.
///
/// # Errors
/// When it cannot be read; with exit code 4 where it was altered or states what cannot be so.
pub fn read(path: &Path) -> Result<(Certificate, Bundle), Failure> {
    let refused = |code, what| Failure::coded(code, format_args!("`{}`: {what}", path.display())).ending(ExitStatus::Refused);
    let (certificate, bundle) = match Certificate::read(path) {
        Ok(whole) => whole,
        Err(error @ ReadError::Io { .. }) => return Err(Failure::error(error)),
        Err(error) => return Err(Failure::error(error).ending(ExitStatus::Refused)),
    };
    // Of its own model: digest, version and names of claims.
    check_identity(&certificate, &bundle, &certificate.model).map_err(|refusal| refused(refusal.code(), refusal.to_string()))?;
    match unlikely(&certificate, &bundle) {
        Some((claim, fault)) => Err(refused("NV513", format!("it cannot be right: `{claim}`: {fault}"))),
        None => Ok((certificate, bundle)),
    }
}
