//! TRUSTED. The check of certificates: certificate, model, and the files that claims name; nothing else. Every claim is proved again in sound
//! arithmetic by the rule of its family, or refused with a typed reason.
//!
//! No solver, status, residual or epsilon appears here. `certificate` goes through a whole certificate; what stands here checks that it
//! is whole, and gives each claim to its rule.

mod certificate;
mod refusal;

use std::collections::HashSet;

pub use crate::proof::identity;
pub use certificate::{Checked, Verdict, check};
pub use refusal::{ClaimRefusal, Refusal};

use crate::files::token;
use crate::proof::{
    Assurance, Bundle, Certificate, Claim, ClaimKind, Domain, Evidence, ModelIdentity, SCHEMA, Semantics, digest_of,
};
use crate::{curvature, lipschitz, region};

/// A certificate with more claims is refused: each may cost minutes.
pub const MAX_CLAIMS: usize = 64;

/// Ids are printed beside what was proved, so they cannot be allowed to look like it.
fn is_identifier(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Proves one claim.
///
/// # Errors
/// Why it is not accepted.
pub fn check_claim(claim: &Claim, evidence: &Evidence) -> Result<Assurance, Refusal> {
    // Well-posedness is part of Lipschitz bounds; every other rule takes it for granted that the network is a function.
    let found = match (&claim.kind, evidence.network.implicit()) {
        (ClaimKind::Lipschitz(_), _) | (_, None) => check_kind(claim, evidence),
        (_, Some(node)) => Err(ClaimRefusal::Implicit { node: node.name.clone() }),
    };
    found
        .and_then(|found| {
            // A stated assurance that is weaker than what is found is still true.
            if claim.assurance <= found { Ok(found) } else { Err(ClaimRefusal::Assurance { stated: claim.assurance, found }) }
        })
        .map_err(|reason| Refusal::Claim { id: claim.id.clone(), reason: Box::new(reason) })
}

fn check_kind(claim: &Claim, evidence: &Evidence) -> Result<Assurance, ClaimRefusal> {
    let at_data = || {
        let fits = claim.semantics == Semantics::Real && claim.domain == Domain::Data;
        if fits { Ok(()) } else { Err(ClaimRefusal::Kind { what: "curvature is that of real arithmetic at data" }) }
    };
    if claim.vacuous && !matches!(claim.kind, ClaimKind::Specification(_)) {
        return Err(ClaimRefusal::Kind { what: "only a specification can be vacuous" });
    }
    let (semantics, domain) = (claim.semantics, &claim.domain);
    Ok(match &claim.kind {
        ClaimKind::Lipschitz(claimed) => match domain {
            Domain::Global => lipschitz::check(claimed, semantics, None, evidence)?,
            domain => region::check_lipschitz(claimed, semantics, domain, evidence)?,
        },
        ClaimKind::Robustness(claimed) => region::check_robustness(claimed, semantics, domain, evidence)?,
        ClaimKind::HessianTrace(claimed) => at_data().and_then(|()| Ok(curvature::check_trace(claimed, evidence)?))?,
        ClaimKind::Stability(claimed) => at_data().and_then(|()| Ok(curvature::check_stability(claimed, evidence)?))?,
        ClaimKind::InverseHessian(claimed) => at_data().and_then(|()| Ok(curvature::check_inverse(claimed, evidence)?))?,
        ClaimKind::Deviation(claimed) => region::check_deviation(claimed, semantics, domain, evidence)?,
        ClaimKind::Tightness(claimed) => region::check_tightness(claimed, semantics, domain, evidence)?,
        ClaimKind::Specification(claimed) => region::check_specification(claimed, claim.vacuous, semantics, domain, evidence)?,
    })
}

/// Checks that a certificate is whole and about this model; its claims are for [`check_claim`].
///
/// # Errors
/// What does not match.
pub fn check_identity(certificate: &Certificate, bundle: &Bundle, model: &ModelIdentity) -> Result<(), Refusal> {
    if !certificate.is_known_version() {
        return Err(Refusal::UnknownSchema { found: token(&certificate.schema), known: SCHEMA });
    }
    if certificate.digest != certificate.computed_digest() {
        return Err(Refusal::DigestMismatch);
    }
    let bundle_digest = (!bundle.is_empty()).then(|| digest_of(&bundle.to_bytes()));
    if certificate.bundle != bundle_digest {
        return Err(Refusal::BundleMismatch);
    }
    if certificate.model.digest != model.digest {
        let expected = token(&certificate.model.digest);
        return Err(Refusal::AnotherModel { expected, found: model.digest.clone() });
    }
    if certificate.model.external != model.external {
        return Err(Refusal::AnotherExternalData);
    }
    if certificate.claims.is_empty() {
        return Err(Refusal::NoClaims);
    }
    if certificate.claims.len() > MAX_CLAIMS {
        return Err(Refusal::TooManyClaims { limit: MAX_CLAIMS });
    }
    if let Some(claim) = certificate.claims.iter().find(|claim| !is_identifier(&claim.id)) {
        return Err(Refusal::ClaimId { id: token(&claim.id) });
    }
    let mut ids = HashSet::new();
    match certificate.claims.iter().find(|claim| !ids.insert(&claim.id)) {
        Some(duplicate) => Err(Refusal::DuplicateClaim { id: duplicate.id.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_imitate_the_report() {
        assert!(is_identifier("lipschitz-l2"));
        for forged in ["", "x` proved in 1 ms: at most 0.001\nm.json: `y", "\u{1b}[2K", "a b", "é", &"x".repeat(65)] {
            assert!(!is_identifier(forged), "{forged:?}");
        }
    }
}
