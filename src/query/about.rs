//! Which claims answer a question: those of its kind that are about all that it names.
//!
//! Every part of a question is compared with the claim, by type; a claim about less, or about something else, is no answer. What
//! a claim is worth is not looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::question::{
    HessianTraceQuery, LipschitzQuery, ObjectiveQuery, Query, Region, RobustnessQuery, Samples, Sgd, SpecificationQuery,
    TightnessQuery,
};
use crate::kernel::proof::{
    Bits, Bundle, Claim, ClaimKind, Domain, FileIdentity, HessianTraceClaim, LipschitzClaim, Objective, RobustnessClaim,
    Semantics, SpecificationClaim, StabilityClaim, TightnessClaim,
};

/// SHA-256 of the files that questions name, by their paths.
pub type Digests = BTreeMap<PathBuf, String>;

/// What is known of the files that a question names.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub digests: Digests,
    /// The arithmetic that a specification's file asks about.
    pub semantics: Option<Semantics>,
}

impl Query {
    /// Whether a claim of a certificate with this bundle is about what is asked.
    #[must_use]
    pub fn is_answered_by(&self, claim: &Claim, bundle: &Bundle, named: &Named) -> bool {
        let digests = &named.digests;
        let real = claim.semantics == Semantics::Real;
        match (self, &claim.kind) {
            (Self::Lipschitz(query), ClaimKind::Lipschitz(found)) => {
                real && lipschitz(query, found) && is_region(&query.region, &claim.domain, bundle)
            }
            (Self::Specification(query), ClaimKind::Specification(found)) => {
                let asked = query.semantics.or(named.semantics);
                specification(query, found, digests) && asked.is_none_or(|asked| claim.semantics == asked)
            }
            (Self::Robustness(query), ClaimKind::Robustness(found)) => {
                claim.semantics == query.semantics && robustness(query, found, digests)
            }
            (Self::Tightness(query), ClaimKind::Tightness(found)) => real && tightness(query, found, digests),
            (Self::HessianTrace(query), ClaimKind::HessianTrace(found)) => real && trace(query, found, digests),
            (Self::Stability(query), ClaimKind::Stability(found)) => {
                real && objective(&query.objective, &found.objective, digests) && sgd(query.sgd, found)
            }
            // A claim about a product does not say where its vector is from.
            _ => false,
        }
    }
}

fn lipschitz(query: &LipschitzQuery, claim: &LipschitzClaim) -> bool {
    query.norm == claim.norm && (!query.margins || !claim.functionals.is_empty())
}

fn is_region(region: &Region, domain: &Domain, bundle: &Bundle) -> bool {
    let values = |vector| bundle.resolve(vector);
    match (region, domain) {
        (Region::Everywhere, Domain::Global) => true,
        (Region::Interval { low, high }, Domain::Box { lower, upper }) => {
            let all = |vector, bound: &f64| {
                values(vector).is_some_and(|found| !found.is_empty() && found.iter().all(|value| value == bound))
            };
            all(lower, low) && all(upper, high)
        }
        (Region::Box { lower, upper }, Domain::Box { lower: low, upper: high }) => {
            values(low).as_ref() == Some(lower) && values(high).as_ref() == Some(upper)
        }
        // Neither a file of bounds nor samples stand in a claim about a box.
        _ => false,
    }
}

fn specification(query: &SpecificationQuery, claim: &SpecificationClaim, digests: &Digests) -> bool {
    // A claim about two networks names the other by what it is decompressed, which nobody knows of a file here.
    query.first.is_none() && claim.first.is_none() && is_file(&query.file, &claim.file, digests)
}

fn robustness(query: &RobustnessQuery, claim: &RobustnessClaim, digests: &Digests) -> bool {
    samples(&query.samples, &claim.data, claim.samples, claim.available, digests)
        && query.perturbation == claim.perturbation
        && query.kept == claim.kept
}

fn tightness(query: &TightnessQuery, claim: &TightnessClaim, digests: &Digests) -> bool {
    samples(&query.samples, &claim.data, claim.samples, claim.available, digests)
        && query.perturbation == claim.perturbation
        && query.elided == claim.elided
}

fn trace(query: &HessianTraceQuery, claim: &HessianTraceClaim, digests: &Digests) -> bool {
    objective(&query.objective, &claim.objective, digests) && query.matrix.is_none_or(|matrix| matrix == claim.matrix)
}

fn sgd(asked: Sgd, claim: &StabilityClaim) -> bool {
    Bits::of(asked.learning_rate) == claim.learning_rate && asked.batch_size == claim.batch_size
}

fn objective(query: &ObjectiveQuery, claim: &Objective, digests: &Digests) -> bool {
    let available = claim.scope.map(|scope| scope.available);
    let of_all = || claim.scope.is_some_and(|scope| scope.complete);
    let selection = &query.parameters;
    let parameters = if !selection.include.is_empty() || !selection.exclude.is_empty() {
        // Patterns are about a model: nothing here knows one.
        false
    } else if selection.only.is_empty() {
        of_all()
    } else {
        are(&claim.parameters, &selection.only)
    };
    samples(&query.samples, &claim.data, claim.samples, available, digests) && query.loss == claim.loss && parameters
}

/// Whether a claim is about these samples: their file, that of their labels, none where the question names none (else inputs
/// could be their own targets), and as many of them.
fn samples(query: &Samples, data: &[FileIdentity], count: u32, available: Option<u32>, digests: &Digests) -> bool {
    let asked: Vec<&Path> = query.files().collect();
    let files = asked.len() == data.len() && asked.iter().zip(data).all(|(path, file)| is_file(path, file, digests));
    files && query.count.map_or(available == Some(count), |asked| asked == count)
}

fn is_file(path: &Path, found: &FileIdentity, digests: &Digests) -> bool {
    digests.get(path).is_some_and(|digest| *digest == found.digest)
}

/// Whether a list holds these names, each once, and no others.
fn are(list: &[String], names: &[String]) -> bool {
    list.len() == names.len() && names.iter().all(|name| list.contains(name)) && list.iter().all(|name| names.contains(name))
}
