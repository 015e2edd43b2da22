//! What a check of a certificate found.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::certificate::{Assurance, Claim, ClaimKind, Domain, Norm, Semantics};

/// One certificate and what the checker says about it.
#[derive(Debug, Serialize)]
pub struct CheckedFile {
    pub certificate: String,
    /// The claims that were established, in order.
    pub claims: Vec<CheckedClaim>,
    /// Why the certificate is refused, if it is.
    pub refusal: Option<String>,
}

/// One claim that the checker established.
#[derive(Debug, Serialize)]
pub struct CheckedClaim {
    pub id: String,
    pub assurance: Assurance,
    pub semantics: Semantics,
    pub domain: Domain,
    /// The claim in words.
    pub statement: String,
    #[serde(skip)]
    pub time: Duration,
    pub milliseconds: u64,
}

impl CheckedClaim {
    #[must_use]
    pub fn new(claim: &Claim, assurance: Assurance, time: Duration) -> Self {
        Self {
            id: claim.id.clone(),
            assurance,
            semantics: claim.semantics,
            domain: claim.domain.clone(),
            statement: statement(&claim.kind),
            time,
            milliseconds: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A claim in words.
fn statement(kind: &ClaimKind) -> String {
    match kind {
        ClaimKind::Lipschitz(claim) => {
            let Norm::L2 = claim.norm;
            let lower = claim.lower_bound.as_ref().map_or(String::new(), |lower| format!(", and at least {lower}"));
            format!("the ℓ2 Lipschitz constant is at most {}{lower}", claim.bound)
        }
    }
}

impl fmt::Display for CheckedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for claim in &self.claims {
            let Domain::Global = claim.domain;
            let assurance = match claim.assurance {
                Assurance::Proved => "proved",
                Assurance::Checked => "checked",
                Assurance::Estimated => "estimated",
            };
            let scope = match claim.semantics {
                Semantics::Real => "everywhere, in real arithmetic on the file's weights",
                Semantics::Float32 => "everywhere, in float32 with any summation order",
            };
            let time = super::duration(claim.time);
            writeln!(f, "{}: `{}` {assurance} in {time}: {} ({scope})", self.certificate, claim.id, claim.statement)?;
        }
        match &self.refusal {
            Some(refusal) => writeln!(f, "{}: refused: {refusal}", self.certificate),
            None => Ok(()),
        }
    }
}
