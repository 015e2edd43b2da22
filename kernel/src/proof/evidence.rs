//! What a claim is checked against: the network of the model, and the files that claims may name by digest. Nothing else exists here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Bundle, Content, ExternalFile, FileIdentity, ModelIdentity, Vector, digest_of};
use crate::files::token;
use crate::model::ir::Network;
use crate::model::onnx::{Model, StoredTensor};

/// Data and specification files with their names, found by what is in them; models that claims are about beside the certificate's own.
#[derive(Clone, Debug, Default)]
pub struct Files {
    files: BTreeMap<String, (Vec<String>, Vec<u8>)>,
    models: Vec<(ModelIdentity, Arc<Model>)>,
}

impl Files {
    /// Adds a file's bytes under its name, without folders, and returns their SHA-256.
    pub fn add(&mut self, name: &str, bytes: Vec<u8>) -> String {
        let digest = digest_of(&bytes);
        self.files.entry(digest.clone()).or_insert_with(|| (Vec::new(), bytes)).0.push(name.to_owned());
        digest
    }

    /// Adds a model that claims may be about beside the certificate's own.
    pub fn add_model(&mut self, model: Arc<Model>) {
        self.models.push((identity(&model), model));
    }
}

/// Returns the digests of a model and of its external data, as certificates name them.
#[must_use]
pub fn identity(model: &Model) -> ModelIdentity {
    let external = model.external.iter();
    let external = external.map(|file| ExternalFile { location: file.location.clone(), digest: file.digest.clone() });
    ModelIdentity { digest: model.digest.clone(), external: external.collect() }
}

/// Everything that a claim can be proved from.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    pub network: &'a Network,
    /// The tensors of the model file, which may be parameters.
    pub tensors: &'a [StoredTensor],
    pub bundle: &'a Bundle,
    pub files: &'a Files,
}

impl<'a> Evidence<'a> {
    /// The bytes of a file that a claim names.
    ///
    /// # Errors
    /// [`Content::MissingFile`].
    pub fn file(&self, identity: &FileIdentity) -> Result<&'a [u8], Content> {
        let missing = || Content::MissingFile { name: token(&identity.name), digest: token(&identity.digest) };
        let (names, bytes) = self.files.files.get(&identity.digest).ok_or_else(missing)?;
        // The name is printed beside what was proved: it has to be the one of the file that was given.
        if names.contains(&identity.name) { Ok(bytes) } else { Err(missing()) }
    }

    /// The network of a model that a claim is about beside the certificate's own.
    ///
    /// # Errors
    /// [`Content::MissingModel`].
    pub fn model(&self, identity: &ModelIdentity) -> Result<&'a Network, Content> {
        let found = self.files.models.iter().find(|(given, _)| given == identity);
        let missing = || Content::MissingModel { digest: token(&identity.digest) };
        found.map(|(_, model)| &model.network).ok_or_else(missing)
    }

    /// The values of a vector of a witness.
    ///
    /// # Errors
    /// [`Content::MissingVector`].
    pub fn vector(&self, vector: &Vector) -> Result<Vec<f64>, Content> {
        self.bundle.resolve(vector).ok_or(Content::MissingVector)
    }
}
