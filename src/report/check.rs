//! What a check of a certificate found.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::visible;
use crate::codes::{Coded, tagged};
use crate::kernel::check::{self, Checked};
use crate::kernel::proof::{Assurance, Bundle, Certificate, Claim, ClaimKind, Semantics};

/// One certificate and what the checker says about it.
#[derive(Debug, Serialize)]
pub struct CheckedFile {
    pub certificate: String,
    /// The claims up to the first that is refused, in order.
    pub claims: Vec<CheckedClaim>,
    /// Why the certificate is refused, if it is.
    pub refusal: Option<Refused>,
}

/// Why a certificate is refused, or cannot be read as one. In JSON it is its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: &'static str,
    pub reason: String,
}

impl Refused {
    #[must_use]
    pub fn new(error: &impl Coded) -> Self {
        Self { code: error.code(), reason: error.to_string() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tagged(&self.reason, self.code))
    }
}

impl Serialize for Refused {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl CheckedFile {
    /// Tells what a check of the certificate of this name found.
    #[must_use]
    pub fn new(name: String, certificate: &Certificate, bundle: &Bundle, checked: &Checked) -> Self {
        let claims = certificate.claims.iter().zip(&checked.verdicts);
        Self {
            certificate: name,
            claims: claims.map(|(claim, verdict)| CheckedClaim::new(claim, bundle, verdict)).collect(),
            refusal: checked.refusal.as_ref().map(Refused::new),
        }
    }

    /// Tells of a file that is no certificate.
    #[must_use]
    pub const fn unreadable(name: String, refused: Refused) -> Self {
        Self { certificate: name, claims: Vec::new(), refusal: Some(refused) }
    }
}

/// One claim that the checker established, or, where it is an estimate, only found to be well formed.
#[derive(Debug, Serialize)]
pub struct CheckedClaim {
    pub id: String,
    pub assurance: Assurance,
    /// Whether the checker derived the claim again. An estimate it does not repeat.
    pub established: bool,
    pub semantics: Semantics,
    /// Where it holds, in words.
    pub domain: String,
    /// Whether nothing lies there.
    pub vacuous: bool,
    /// The claim in words.
    pub statement: String,
    /// Whether it is about data or a specification, not about the model alone.
    #[serde(skip)]
    pub about_files: bool,
    #[serde(skip)]
    pub time: Duration,
    pub milliseconds: u64,
}

impl CheckedClaim {
    fn new(claim: &Claim, bundle: &Bundle, verdict: &check::Verdict) -> Self {
        let check::Verdict { assurance, time, .. } = *verdict;
        Self {
            id: claim.id.clone(),
            assurance,
            established: assurance > Assurance::Estimated,
            semantics: claim.semantics,
            domain: claim.place(bundle),
            vacuous: claim.vacuous,
            statement: claim.kind.statement(),
            about_files: !matches!(claim.kind, ClaimKind::Lipschitz(_)),
            time,
            milliseconds: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl fmt::Display for CheckedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for claim in &self.claims {
            let semantics = claim.semantics.words();
            let found = match claim.assurance {
                Assurance::Proved => format!("proved in {}", super::duration(claim.time)),
                Assurance::Checked => format!("checked in {}", super::duration(claim.time)),
                Assurance::Estimated => "not checked, an estimate that only another run of the pass repeats".to_owned(),
            };
            writeln!(
                f,
                "{}: `{}` {found}: {} ({}, {semantics})",
                visible(&self.certificate),
                visible(&claim.id),
                visible(&claim.statement),
                claim.domain
            )?;
        }
        match &self.refusal {
            Some(refusal) => writeln!(f, "{}: refused: {}", visible(&self.certificate), visible(&refusal.to_string())),
            None => Ok(()),
        }
    }
}
