//! What the integration tests share: the shared folder, certificates by way of the library, tiny ONNX files.
#![allow(dead_code)] // each test binary uses some of it

pub mod schema;
pub mod tiny;
pub mod xsd;
pub mod zoo;

use std::path::{Path, PathBuf};

use nnverify::kernel::check::{Refusal, check_claim, check_identity};
use nnverify::kernel::model::onnx::{Model, load};
use nnverify::kernel::proof::{
    Assurance, Bundle, Certificate, Claim, ClaimKind, Domain, Evidence, ExternalFile, Files, LipschitzClaim, ModelIdentity, Norm,
    Semantics,
};
use nnverify::pass::lipschitz::{self, LipschitzOptions, Outcome, Question};

/// The folder that `NNVERIFY_SHARED` names, or `None`, said aloud. A folder that is named must exist.
pub fn shared() -> Option<PathBuf> {
    let Some(path) = std::env::var_os("NNVERIFY_SHARED").map(PathBuf::from) else {
        println!("skipped: NNVERIFY_SHARED is not set");
        return None;
    };
    assert!(path.is_dir(), "NNVERIFY_SHARED names `{}`, which is not a folder", path.display());
    Some(path)
}

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn identity(model: &Model) -> ModelIdentity {
    let external = model.external.iter();
    ModelIdentity {
        digest: model.digest.clone(),
        external: external.map(|file| ExternalFile { location: file.location.clone(), digest: file.digest.clone() }).collect(),
    }
}

/// The claim as the command line writes it, sealed.
pub fn sealed(model: &Model, claim: LipschitzClaim) -> (Certificate, Bundle) {
    let claim = Claim {
        id: "lipschitz-l2".to_owned(),
        assurance: Assurance::Proved,
        semantics: Semantics::Real,
        domain: Domain::Global,
        vacuous: false,
        kind: ClaimKind::Lipschitz(claim),
    };
    Certificate::new(identity(model), vec![claim], None).seal()
}

/// Everything that `verify check` does, without the words.
pub fn check(certificate: &Certificate, bundle: &Bundle, model: &Model) -> Result<(), Refusal> {
    check_identity(certificate, bundle, &identity(model))?;
    let files = Files::default();
    let evidence = Evidence { network: &model.network, tensors: &model.tensors, bundle, files: &files };
    certificate.claims.iter().try_for_each(|claim| check_claim(claim, &evidence).map(drop))
}

/// Finds a bound, writes the certificate to a file, reads it back, loads the model again, and has the claim proved.
pub fn certify(path: &Path) -> Result<Outcome, String> {
    certify_with(path, &LipschitzOptions::default())
}

/// The same with options.
pub fn certify_with(path: &Path, options: &LipschitzOptions) -> Result<Outcome, String> {
    let model = load(path).map_err(|error| error.to_string())?;
    let outcome = lipschitz::certify(&model.network, &Question::global(Norm::L2), options, &mut |_| ())
        .map_err(|error| error.to_string())?;
    let (certificate, bundle) = sealed(&model, outcome.claim.clone());
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = directory.path().join("c.json");
    nnverify::query::write_certificate(&certificate, &bundle, &file).map_err(|error| error.to_string())?;
    let (certificate, bundle) = Certificate::read(&file).map_err(|error| error.to_string())?;
    let again = load(path).map_err(|error| error.to_string())?;
    check(&certificate, &bundle, &again).map_err(|refusal| format!("refused: {refusal}"))?;
    Ok(outcome)
}
