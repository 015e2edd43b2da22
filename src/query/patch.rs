//! Writing values into a model file: same bytes but for the contents of named initialisers.
//!
//! The file is walked, not decoded and encoded again, so that nothing in it is lost. Only tensors whose values stand in the
//! file as `raw_data` or `float_data`/`double_data` of float32 or float64 can be written; those of files beside it are put in
//! first ([`embed_external`]).

use std::ops::Range;
use std::path::Path;

use prost::Message;

use crate::kernel::model::onnx::proto::{DataType, TensorProto};
use crate::kernel::model::onnx::{ExternalData, ExternalError};

/// Why values cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    #[error("the bytes are not a model file")]
    Malformed,
    #[error("the model has no initializer `{0}`")]
    Missing(String),
    #[error("the values of `{0}` do not stand in the file as float32 or float64: in an external file, or of another type")]
    Elsewhere(String),
    #[error("`{name}` has {found} elements in the file, not {given}")]
    Size { name: String, found: usize, given: usize },
    #[error("with its external data the model has more bytes than one file of its kind may have")]
    TooLarge,
    #[error(transparent)]
    External(#[from] ExternalError),
}

const GRAPH: u64 = 7;
const INITIALIZER: u64 = 5;
/// Bytes of a protocol buffer.
const MOST_BYTES: usize = i32::MAX as usize;

/// Returns a model whose initialisers all stand in it; those of files in `folder` are read from there.
///
/// # Errors
/// [`PatchError`].
pub fn embed_external(model: &[u8], folder: &Path) -> Result<Vec<u8>, PatchError> {
    const EXTERNAL_DATA: u64 = 13;
    const DATA_LOCATION: u64 = 14;
    const RAW_DATA: u64 = 9;
    let mut external = ExternalData::new(Some(folder.to_owned()));
    let mut embedded = |tensor: Range<usize>| -> Result<Vec<u8>, PatchError> {
        let decoded = TensorProto::decode(&model[tensor.clone()]).map_err(|_| PatchError::Malformed)?;
        if decoded.external_data.is_empty() {
            return Ok(model[tensor].to_vec());
        }
        let elements = decoded.dims.iter().fold(1_usize, |n, &extent| n.saturating_mul(usize::try_from(extent).unwrap_or(0)));
        let values = external.read(&decoded.external_data, elements)?;
        let mut bytes = Vec::new();
        for Field { number, whole, .. } in whole_fields(model, tensor).ok_or(PatchError::Malformed)? {
            if number != EXTERNAL_DATA && number != DATA_LOCATION {
                bytes.extend_from_slice(&model[whole]);
            }
        }
        push_field(&mut bytes, RAW_DATA, values.as_slice());
        Ok(bytes)
    };
    let mut bytes = Vec::new();
    for Field { number, content, whole } in whole_fields(model, 0..model.len()).ok_or(PatchError::Malformed)? {
        if number != GRAPH {
            bytes.extend_from_slice(&model[whole]);
            continue;
        }
        let mut graph = Vec::new();
        for Field { number, content, whole } in whole_fields(model, content).ok_or(PatchError::Malformed)? {
            if number == INITIALIZER {
                push_field(&mut graph, INITIALIZER, &embedded(content)?);
            } else {
                graph.extend_from_slice(&model[whole]);
            }
            if graph.len() > MOST_BYTES {
                return Err(PatchError::TooLarge);
            }
        }
        push_field(&mut bytes, GRAPH, &graph);
    }
    if bytes.len() > MOST_BYTES { Err(PatchError::TooLarge) } else { Ok(bytes) }
}

/// Appends a field with that content.
fn push_field(bytes: &mut Vec<u8>, number: u64, content: &[u8]) {
    prost::encoding::encode_varint(number << 3 | 2, bytes);
    prost::encoding::encode_varint(content.len() as u64, bytes);
    bytes.extend_from_slice(content);
}

/// Replaces the values of an initialiser; float32 tensors get the nearest float32.
///
/// # Errors
/// [`PatchError`]; the bytes are unchanged then.
pub fn patch_initializer(model: &mut [u8], name: &str, values: &[f64]) -> Result<(), PatchError> {
    let graphs = fields(model, 0..model.len()).ok_or(PatchError::Malformed)?;
    let (_, graph) = graphs.into_iter().find(|(field, _)| *field == GRAPH).ok_or(PatchError::Malformed)?;
    for (_, tensor) in fields(model, graph).ok_or(PatchError::Malformed)?.into_iter().filter(|(field, _)| *field == INITIALIZER) {
        if let Some((element, range)) = stored(model, tensor, name)? {
            let size = if element == DataType::Float { 4 } else { 8 };
            if range.len() != values.len() * size {
                return Err(PatchError::Size { name: name.to_owned(), found: range.len() / size, given: values.len() });
            }
            for (bytes, value) in model[range].chunks_exact_mut(size).zip(values) {
                if size == 4 {
                    bytes.copy_from_slice(&(*value as f32).to_le_bytes());
                } else {
                    bytes.copy_from_slice(&value.to_le_bytes());
                }
            }
            return Ok(());
        }
    }
    Err(PatchError::Missing(name.to_owned()))
}

/// Type and place of the values of a tensor of that name; `None` for another name.
fn stored(model: &[u8], tensor: Range<usize>, name: &str) -> Result<Option<(DataType, Range<usize>)>, PatchError> {
    const DATA_TYPE: u64 = 2;
    const FLOAT_DATA: u64 = 4;
    const NAME: u64 = 8;
    const RAW_DATA: u64 = 9;
    const DOUBLE_DATA: u64 = 10;
    let found = fields(model, tensor).ok_or(PatchError::Malformed)?;
    let last = |field: u64| found.iter().rev().find(|(number, _)| *number == field).map(|(_, range)| range.clone());
    if last(NAME).is_none_or(|range| &model[range] != name.as_bytes()) {
        return Ok(None);
    }
    let elsewhere = || PatchError::Elsewhere(name.to_owned());
    let kind = last(DATA_TYPE).and_then(|range| varint(model, range.start)).ok_or_else(elsewhere)?.0;
    let element = i32::try_from(kind).ok().and_then(|kind| DataType::try_from(kind).ok()).ok_or_else(elsewhere)?;
    let packed = match element {
        DataType::Float => FLOAT_DATA,
        DataType::Double => DOUBLE_DATA,
        _ => return Err(elsewhere()),
    };
    // Several pieces of one field are legal and unheard of.
    let single = |field: u64| found.iter().filter(|(number, _)| *number == field).count() == 1;
    let field = [RAW_DATA, packed].into_iter().find(|&field| last(field).is_some_and(|range| !range.is_empty()));
    let field = field.filter(|&field| single(field)).ok_or_else(elsewhere)?;
    Ok(last(field).map(|range| (element, range)))
}

/// A field of a message.
struct Field {
    number: u64,
    content: Range<usize>,
    /// With its key and length.
    whole: Range<usize>,
}

/// The fields of a message: numbers and contents (for a varint: where it stands).
fn fields(bytes: &[u8], message: Range<usize>) -> Option<Vec<(u64, Range<usize>)>> {
    let found = whole_fields(bytes, message)?;
    Some(found.into_iter().map(|field| (field.number, field.content)).collect())
}

/// The same, each also with where it stands, its key and length included.
fn whole_fields(bytes: &[u8], message: Range<usize>) -> Option<Vec<Field>> {
    let mut found = Vec::new();
    let mut at = message.start;
    while at < message.end {
        let (key, next) = varint(bytes, at)?;
        let (start, end) = match key & 7 {
            0 => (next, varint(bytes, next)?.1),
            1 => (next, next.checked_add(8)?),
            2 => {
                let (length, start) = varint(bytes, next)?;
                (start, start.checked_add(usize::try_from(length).ok()?)?)
            }
            5 => (next, next.checked_add(4)?),
            _ => return None,
        };
        if end > message.end {
            return None;
        }
        found.push(Field { number: key >> 3, content: start..end, whole: at..end });
        at = end;
    }
    Some(found)
}

fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::kernel::model::onnx::proto::{GraphProto, ModelProto, StringStringEntryProto, TensorProto};

    #[test]
    fn only_the_named_values_change() {
        let tensor = |name: &str| TensorProto {
            name: name.to_owned(),
            data_type: DataType::Float.into(),
            dims: vec![2],
            raw_data: Some([1.0f32, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect()),
            ..TensorProto::default()
        };
        let graph = GraphProto { initializer: vec![tensor("a"), tensor("b")], ..GraphProto::default() };
        let original = ModelProto { graph: Some(graph), ..ModelProto::default() }.encode_to_vec();
        let mut bytes = original.clone();
        patch_initializer(&mut bytes, "b", &[3.0, 0.0]).unwrap();
        assert_eq!(bytes.len(), original.len());
        let changed = bytes.iter().zip(&original).filter(|(a, b)| a != b).count();
        assert!(changed > 0 && changed <= 8);
        let graph = ModelProto::decode(&bytes[..]).unwrap().graph.unwrap();
        assert_eq!(graph.initializer[0], tensor("a"));
        assert_eq!(graph.initializer[1].raw_data.as_deref().unwrap()[..4], 3.0f32.to_le_bytes());
        assert!(matches!(patch_initializer(&mut bytes, "c", &[]), Err(PatchError::Missing(_))));
        assert!(matches!(patch_initializer(&mut bytes, "a", &[1.0]), Err(PatchError::Size { .. })));
        for end in 0..original.len() {
            let _ = patch_initializer(&mut original[..end].to_vec(), "b", &[3.0, 0.0]);
            let _ = embed_external(&original[..end], Path::new(""));
        }
    }

    #[test]
    fn values_of_other_files_are_put_in() {
        let entry = |key: &str, value: &str| StringStringEntryProto { key: key.to_owned(), value: value.to_owned() };
        let values: Vec<u8> = [1.0f32, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let inside = TensorProto {
            name: "a".to_owned(),
            data_type: DataType::Float.into(),
            dims: vec![2],
            raw_data: Some(values.clone()),
            ..TensorProto::default()
        };
        let place = vec![entry("location", "w.bin"), entry("offset", "4"), entry("length", "8")];
        let outside = TensorProto { raw_data: None, external_data: place, data_location: 1, ..inside.clone() };
        let graph = GraphProto { initializer: vec![outside, inside.clone()], ..GraphProto::default() };
        let model = ModelProto { graph: Some(graph), producer_name: "p".to_owned(), ..ModelProto::default() }.encode_to_vec();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w.bin"), [&[9; 4], &values[..]].concat()).unwrap();
        let embedded = ModelProto::decode(&embed_external(&model, folder.path()).unwrap()[..]).unwrap();
        assert_eq!((embedded.producer_name.as_str(), embedded.graph.unwrap().initializer), ("p", vec![inside.clone(), inside]));
        assert!(matches!(embed_external(&model, Path::new("nowhere")), Err(PatchError::External(_))));
    }
}
