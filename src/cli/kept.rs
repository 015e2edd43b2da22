//! Where the certificate of an analysis goes: standard output, or a file, whose earlier claims about the same model are kept.
//!
//! What would be lost is found before the work begins.

use std::path::{Path, PathBuf};

use super::Failure;
use super::output::{Output, print, saved_elsewhere};
use crate::codes::{Coded, WRITE};
use crate::kernel::check::{MAX_CLAIMS, check_identity};
use crate::kernel::proof::{Bundle, Certificate, ModelIdentity, ReadError};

/// Where a certificate goes.
pub enum Target {
    /// Standard output: all in one document.
    Standard,
    File {
        path: PathBuf,
        /// The certificate about the same model that lies there, with all its vectors.
        earlier: Option<Box<Certificate>>,
    },
}

impl Target {
    /// Looks at what lies at the path, and whether it can be written. With `fresh`, a certificate there is replaced.
    ///
    /// # Errors
    /// A file that is no certificate, or an altered one that is not to be replaced.
    pub fn open(path: &Path, model: &ModelIdentity, fresh: bool, output: &Output) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Standard);
        }
        // A terminal or a pipe keeps nothing.
        if path.exists() && !std::fs::metadata(path).is_ok_and(|found| found.is_file()) {
            return Ok(Self::File { path: path.to_owned(), earlier: None });
        }
        let shown = path.display();
        let earlier = match Certificate::read(path) {
            Err(ReadError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound && !path.exists() => None,
            Err(error @ ReadError::Malformed { .. }) => {
                return Err(Failure::error(format!("`--certificate`: {error}, and would be replaced"))
                    .with_hint("name another file, or remove it"));
            }
            Err(_) | Ok(_) if fresh => None,
            Err(error) => return Err(Failure::error(error).with_hint(FRESH)),
            Ok((earlier, bundle)) => match check_identity(&earlier, &bundle, &earlier.model) {
                Ok(()) if earlier.model == *model => {
                    let whole = earlier.inlined(&bundle).ok_or_else(|| {
                        Failure::coded(
                            "NV503",
                            format_args!("the bundle of `{shown}` lacks a vector, so its claims cannot be kept"),
                        )
                        .with_hint(FRESH)
                    });
                    Some(Box::new(whole?))
                }
                Ok(()) => {
                    output.note(&format!("`{shown}` is about another model, or an earlier version of this one, and is replaced"));
                    None
                }
                Err(refusal) => {
                    let message = format!("`{shown}` would be refused, so its claims cannot be kept: {refusal}");
                    return Err(Failure::coded(refusal.code(), message).with_hint(FRESH));
                }
            },
        };
        Ok(Self::File { path: path.to_owned(), earlier })
    }

    /// What the certificate is called.
    pub fn name(&self) -> String {
        match self {
            Self::Standard => "standard output".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }

    /// Writes a certificate that was checked, and says which earlier claims were kept. One that cannot be written is saved
    /// elsewhere.
    ///
    /// # Errors
    /// When it is not where it was wanted.
    pub fn keep(self, certificate: &Certificate, bundle: &Bundle, output: &Output) -> Result<(), Failure> {
        let (path, earlier) = match self {
            Self::Standard => {
                let alone = certificate.clone().inlined(bundle).map(Certificate::seal_alone);
                let alone = alone.ok_or_else(|| Failure::internal("a vector of the certificate is not in its bundle"))?;
                return print(&crate::report::json(&alone).map_err(Failure::error)?);
            }
            Self::File { path, earlier } => (path, earlier),
        };
        let joined = earlier.and_then(|earlier| join(*earlier, certificate, bundle));
        let (written, kept) = match &joined {
            Some(Joined { certificate, bundle, kept }) if certificate.claims.len() <= MAX_CLAIMS => {
                ((certificate, bundle), kept.as_slice())
            }
            Some(_) => {
                let why = format!("with the claims in `{}` there are more than {MAX_CLAIMS}", path.display());
                return Err(not_kept(certificate, bundle, &path, &why).with_hint(format!("{ELSEWHERE}, or {FRESH}")));
            }
            None => ((certificate, bundle), &[][..]),
        };
        if let Err(error) = crate::query::write_certificate(written.0, written.1, &path) {
            return Err(not_kept(certificate, bundle, &path, &error.to_string()).with_hint(ELSEWHERE));
        }
        if !kept.is_empty() {
            output.note(&format!("`{}` keeps earlier claims: {}", path.display(), kept.join(", ")));
        }
        Ok(())
    }
}

const ELSEWHERE: &str = "say where to write it with `--certificate FILE`";
const FRESH: &str = "`--fresh` replaces what lies there";

/// Two certificates in one.
struct Joined {
    certificate: Certificate,
    bundle: Bundle,
    /// The earlier claims that nothing replaced.
    kept: Vec<String>,
}

/// Joins the claims of an earlier certificate, but those of which there are new ones, with new claims about the same model.
fn join(mut earlier: Certificate, certificate: &Certificate, bundle: &Bundle) -> Option<Joined> {
    let mut joined = certificate.clone().inlined(bundle)?;
    let is_new = |id: &String| certificate.claims.iter().any(|claim| claim.id == *id);
    earlier.claims.retain(|claim| !is_new(&claim.id));
    let kept: Vec<String> = earlier.claims.iter().map(|claim| claim.id.clone()).collect();
    if let (Some(run), Some(before)) = (&mut joined.run, earlier.run) {
        run.engines.extend(before.engines.into_iter().filter(|(id, _)| kept.contains(id)));
    }
    joined.claims.splice(0..0, earlier.claims);
    let (certificate, bundle) = joined.seal();
    Some(Joined { certificate, bundle, kept })
}

/// Saves a certificate elsewhere, and says why and where.
fn not_kept(certificate: &Certificate, bundle: &Bundle, path: &Path, why: &str) -> Failure {
    let message = format!("the claims hold, but their certificate was not written: {why}");
    let saved = saved_elsewhere(path, |other| crate::query::write_certificate(certificate, bundle, other).is_ok());
    let saved = saved.map_or_else(String::new, |other| format!("; it was saved as `{}`", other.display()));
    Failure::coded(WRITE, message + &saved)
}
