//! From a file to a [`Model`]: read, decode, lower. JSON that describes an implicit network is a model too.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::decode::decode_model;
use super::error::LoadError;
use super::external::ExternalFile;
use super::lower::{Port, StoredTensor, lower};
use super::source::{ModelSource, hexadecimal};
use crate::model::implicit::{Description, is_description};
use crate::model::ir::{Network, Op};

/// A model file as everything else sees it.
#[derive(Clone, Debug)]
pub struct Model {
    pub network: Network,
    /// SHA-256 of the model file, decompressed.
    pub digest: String,
    /// The external files that hold some of its tensors.
    pub external: Vec<ExternalFile>,
    /// Version of the default operator set; none where the file is no ONNX file.
    pub opset: Option<i64>,
    /// Version of the ONNX format.
    pub ir_version: Option<i64>,
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

impl Model {
    /// Returns one SHA-256 for the model with its weights: that of the file where it is all, else that of the lines of the file's
    /// digest and of the names and digests of its external files, each ended by a line feed.
    #[must_use]
    pub fn whole_digest(&self) -> String {
        if self.external.is_empty() {
            return self.digest.clone();
        }
        let lines = self.external.iter().map(|file| format!("{} {}\n", file.digest, file.location));
        let text: String = std::iter::once(format!("{}\n", self.digest)).chain(lines).collect();
        hexadecimal(&Sha256::digest(text.as_bytes()))
    }
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
    if is_description(source.bytes()) {
        return described(source.bytes(), digest);
    }
    let model = decode_model(source.bytes())?;
    drop(source);
    let ir_version = model.ir_version;
    let producer = [model.producer_name.trim(), model.producer_version.trim()].join(" ").trim().to_owned();
    let lowered = lower(model, &mut external)?;
    Ok(Model {
        network: lowered.network,
        digest,
        external: external.files(),
        opset: Some(lowered.opset),
        ir_version: Some(ir_version),
        producer,
        operators: lowered.operators,
        parameters: lowered.parameters,
        tensors: lowered.tensors,
        input: lowered.input,
        output: lowered.output,
        notes: lowered.notes,
    })
}

/// The model that a description of an implicit network is.
fn described(bytes: &[u8], digest: String) -> Result<Model, LoadError> {
    let description = Description::parse(bytes)?;
    let network = description.network()?;
    let mut operators: Vec<(String, usize)> = Vec::new();
    for node in network.nodes().iter().filter(|node| !matches!(node.op, Op::Input | Op::Constant(_) | Op::Reshape)) {
        match operators.iter_mut().find(|(name, _)| *name == node.operator) {
            Some((_, count)) => *count += 1,
            None => operators.push((node.operator.clone(), 1)),
        }
    }
    operators.sort();
    let port = |name: &str, size: usize| Port { name: name.to_owned(), shape: vec![1, size] };
    Ok(Model {
        digest,
        external: Vec::new(),
        opset: None,
        ir_version: None,
        producer: description.producer.chars().take(200).flat_map(char::escape_debug).collect(),
        operators,
        parameters: description.parameters(),
        tensors: Vec::new(),
        input: port("x", description.inputs()),
        output: port("y", description.outputs()),
        notes: vec!["an implicit network: its numbers are read as the nearest f64, for which claims hold".to_owned()],
        network,
    })
}
