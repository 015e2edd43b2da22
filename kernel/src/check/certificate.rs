//! The check of a whole certificate: that it is whole and about this model, then every claim, in order.

use std::time::{Duration, Instant};

use super::refusal::Refusal;
use super::{check_claim, check_identity};
use crate::model::onnx::Model;
use crate::proof::{Assurance, Bundle, Certificate, Evidence, Files, identity};

/// One claim that was accepted: the assurance that was found, which for an estimate is that nothing was repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The claim's id.
    pub id: String,
    pub assurance: Assurance,
    /// What its check took.
    pub time: Duration,
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The claims in the order of the certificate, up to the first that is refused.
    pub verdicts: Vec<Verdict>,
    /// Why the certificate is refused, where it is: then none of it counts.
    pub refusal: Option<Refusal>,
}

/// Checks a certificate against a model and the files that its claims name, up to the first refusal.
#[must_use]
pub fn check(certificate: &Certificate, bundle: &Bundle, model: &Model, files: &Files) -> Checked {
    let mut verdicts = Vec::new();
    let refusal = check_identity(certificate, bundle, &identity(model)).err().or_else(|| {
        let evidence = Evidence { network: &model.network, tensors: &model.tensors, bundle, files };
        certificate.claims.iter().find_map(|claim| {
            let start = Instant::now();
            match check_claim(claim, &evidence) {
                Ok(assurance) => {
                    verdicts.push(Verdict { id: claim.id.clone(), assurance, time: start.elapsed() });
                    None
                }
                Err(refusal) => Some(refusal),
            }
        })
    });
    Checked { verdicts, refusal }
}
