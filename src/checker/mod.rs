//! TRUSTED. The checker: certificate, model, and the files that claims name; nothing else (`evidence`). It lowers the model itself, builds every matrix itself and
//! proves every claim in sound arithmetic, or refuses with a typed reason.
//!
//! No solver, status, residual or epsilon appears here, and no pass is known. Passes may call the rules here to find out
//! what will be accepted; never the reverse.
//!
//! `check` goes through a whole certificate. One file per kind of claim (`lipschitz`, `specification`, `robustness`, `hessian_trace`, `stability`,
//! `inverse_hessian`, `tightness`), on top of what they share: mean losses (`objective`), derivatives in enclosures (`derivative`), matrix inequalities
//! (`inequality`; of columns for ℓ1: `columns`), chains of parts (`parts`), norm rules (`rules`, `convolution`), absolute values (`growth`, `column_growth`), attained
//! quotients (`pair`), refuted boxes (`refutation`, `splits`), certified radii (`margins`), unsafe points (`counterexample`), perturbed samples (`neighbourhood`).

mod check;
mod column_growth;
mod columns;
mod convolution;
mod counterexample;
mod derivative;
mod evidence;
mod growth;
mod hessian_trace;
mod inequality;
mod inverse_hessian;
mod lipschitz;
mod margins;
mod neighbourhood;
mod objective;
mod pair;
mod parts;
mod refusal;
mod refutation;
mod robustness;
mod rules;
mod specification;
mod splits;
mod stability;
mod threads;
mod tightness;

use std::collections::HashSet;

pub use check::{Checked, Verdict, check, identity};
pub use column_growth::column_growth;
pub use columns::prove_columns;
pub use convolution::convolution_work;
pub use counterexample::{enclosed_outputs, outputs_at, prove_unsafe};
pub use evidence::{Evidence, Files};
pub use growth::{growth, growth_of};
pub use hessian_trace::prove_trace;
pub use inequality::{MatrixRefusal, form, prove_functionals, prove_inequality, prove_matrix};
pub use inverse_hessian::prove_residual;
pub use margins::Margins;
pub use neighbourhood::{Neighbourhood, Neighbourhoods, misclassified};
pub use objective::{Objective, scope};
pub use pair::attained_quotient;
pub use parts::{constants, product, prove_part, prove_parts};
pub use refusal::{ClaimRefusal, Refusal};
pub use refutation::{Bounded, Combination, Method, Refuter, atoms};
pub use robustness::{is_within_radius, prove_misclassified};
pub use rules::{LinearNorm, Rules, linear_layers};
pub use splits::{ALTERNATIVES, COMBINED, LEAF, MULTIPLIERS, Narrowed, PHASE, SLOPES};
pub use stability::{Gram, MAX_ORDER, Moments};
pub use threads::allow_threads;
pub use tightness::{exact_boxes, is_certified, most_splits, rows as tightness_rows, stated_boxes};

use crate::certificate::{Assurance, Bundle, Certificate, Claim, ClaimKind, Domain, ModelIdentity, SCHEMA, Semantics, digest_of};
use crate::files::token;

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
        if fits { Ok(()) } else { Err(ClaimRefusal::Shape { what: "curvature is that of real arithmetic at data" }) }
    };
    if claim.vacuous && !matches!(claim.kind, ClaimKind::Specification(_)) {
        return Err(ClaimRefusal::Shape { what: "only a specification can be vacuous" });
    }
    match &claim.kind {
        ClaimKind::Lipschitz(lipschitz) => lipschitz::check(lipschitz, claim.semantics, &claim.domain, evidence),
        ClaimKind::Robustness(claimed) => robustness::check(claimed, claim.semantics, &claim.domain, evidence),
        ClaimKind::HessianTrace(claimed) => at_data().and_then(|()| hessian_trace::check(claimed, evidence)),
        ClaimKind::Stability(claimed) => at_data().and_then(|()| stability::check(claimed, evidence)),
        ClaimKind::InverseHessian(claimed) => at_data().and_then(|()| inverse_hessian::check(claimed, evidence)),
        ClaimKind::Tightness(claimed) => tightness::check(claimed, claim.semantics, &claim.domain, evidence),
        ClaimKind::Specification(claimed) => {
            specification::check(claimed, claim.vacuous, claim.semantics, &claim.domain, evidence)
        }
    }
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
