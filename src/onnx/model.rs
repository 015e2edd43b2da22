//! From a file to a [`Model`]: read, decode, lower.

use std::path::Path;

use super::decode::decode_model;
use super::error::LoadError;
use super::external::ExternalFile;
use super::lower::{Port, StoredTensor, lower};
use super::source::ModelSource;
use crate::ir::Network;

/// A model file as everything else sees it.
#[derive(Clone, Debug)]
pub struct Model {
    pub network: Network,
    /// SHA-256 of the model file, decompressed.
    pub digest: String,
    /// The external files that hold some of its tensors.
    pub external: Vec<ExternalFile>,
    /// Version of the default operator set.
    pub opset: i64,
    pub ir_version: i64,
    /// Name and version of the program that wrote the file.
    pub producer: String,
    /// The operators that the output needs, with the number of their nodes, sorted by name.
    pub operators: Vec<(String, usize)>,
    /// Elements of the floating point constants of the file that the output needs.
    pub parameters: usize,
    /// The floating point tensors of the file that the output needs, and where they stand in the network.
    pub tensors: Vec<StoredTensor>,
    pub input: Port,
    pub output: Port,
    /// Decisions that the file left open.
    pub notes: Vec<String>,
}

/// Loads a model file, compressed with gzip or not.
///
/// # Errors
/// [`LoadError`], which names the file, tensor or node.
pub fn load(path: &Path) -> Result<Model, LoadError> {
    load_source(ModelSource::open(path)?)
}

/// Loads a model from memory; it cannot have external data.
///
/// # Errors
/// [`LoadError`].
pub fn load_bytes(bytes: &[u8]) -> Result<Model, LoadError> {
    load_source(ModelSource::from_bytes(bytes)?)
}

/// Loads a model that was read already.
///
/// # Errors
/// [`LoadError`].
pub fn load_source(source: ModelSource) -> Result<Model, LoadError> {
    let mut external = source.external_data();
    let digest = source.digest().to_owned();
    let model = decode_model(source.bytes())?;
    drop(source);
    let ir_version = model.ir_version;
    let producer = [model.producer_name.trim(), model.producer_version.trim()].join(" ").trim().to_owned();
    let lowered = lower(model, &mut external)?;
    Ok(Model {
        network: lowered.network,
        digest,
        external: external.files(),
        opset: lowered.opset,
        ir_version,
        producer,
        operators: lowered.operators,
        parameters: lowered.parameters,
        tensors: lowered.tensors,
        input: lowered.input,
        output: lowered.output,
        notes: lowered.notes,
    })
}
