//! TRUSTED. The checker: certificate, model, nothing else. It lowers the model itself, builds every matrix itself and
//! proves every claim in sound arithmetic, or refuses with a typed reason.
//!
//! No solver, status, residual or epsilon appears here, and no pass is known. Passes may call the rules here to find out
//! what will be accepted; never the reverse.
//!
//! One file per kind of claim (`lipschitz`), on top of what they share: matrix inequalities (`inequality`), chains of parts
//! (`parts`), norm rules (`rules`), attained quotients (`pair`).

mod inequality;
mod lipschitz;
mod pair;
mod parts;
mod refusal;
mod rules;

use std::collections::HashSet;

pub use inequality::{MatrixRefusal, prove_inequality, prove_matrix};
pub use pair::attained_quotient;
pub use parts::{product, prove_part, prove_parts};
pub use refusal::{ClaimRefusal, Refusal};
pub use rules::{Rules, linear_layers};

use crate::certificate::{Assurance, Bundle, Certificate, Claim, ClaimKind, ModelIdentity, SCHEMA, digest_of};
use crate::ir::Network;

/// Proves one claim about a network.
///
/// # Errors
/// Why it is not accepted.
pub fn check_claim(claim: &Claim, network: &Network, bundle: &Bundle) -> Result<Assurance, Refusal> {
    let ClaimKind::Lipschitz(lipschitz) = &claim.kind;
    lipschitz::check(lipschitz, network, bundle)
        .and_then(|found| {
            // A stated assurance that is weaker than what is found is still true.
            if claim.assurance <= found { Ok(found) } else { Err(ClaimRefusal::Assurance { stated: claim.assurance, found }) }
        })
        .map_err(|reason| Refusal::Claim { id: claim.id.clone(), reason: Box::new(reason) })
}

/// Checks that a certificate is whole and about this model; its claims are for [`check_claim`].
///
/// # Errors
/// What does not match.
pub fn check_identity(certificate: &Certificate, bundle: &Bundle, model: &ModelIdentity) -> Result<(), Refusal> {
    if !certificate.is_known_version() {
        return Err(Refusal::UnknownSchema { found: certificate.schema.clone(), known: SCHEMA });
    }
    if certificate.digest != certificate.computed_digest() {
        return Err(Refusal::DigestMismatch);
    }
    let bundle_digest = (!bundle.is_empty()).then(|| digest_of(&bundle.to_bytes()));
    if certificate.bundle != bundle_digest {
        return Err(Refusal::BundleMismatch);
    }
    if certificate.model.digest != model.digest {
        return Err(Refusal::AnotherModel { expected: certificate.model.digest.clone(), found: model.digest.clone() });
    }
    if certificate.model.external != model.external {
        return Err(Refusal::AnotherExternalData);
    }
    if certificate.claims.is_empty() {
        return Err(Refusal::NoClaims);
    }
    let mut ids = HashSet::new();
    match certificate.claims.iter().find(|claim| !ids.insert(&claim.id)) {
        Some(duplicate) => Err(Refusal::DuplicateClaim { id: duplicate.id.clone() }),
        None => Ok(()),
    }
}
