//! Bytes to messages, within limits that hold before anything is allocated.

mod wire;

use std::collections::HashSet;

use prost::Message;

use super::error::FormatError;
use super::proto::{GraphProto, ModelProto};
use crate::model::ir::MAX_NODES;

/// Largest model file, decompressed.
pub const MAX_MODEL_BYTES: u64 = 2 << 30;

/// Decodes a model. It has a graph, no functions of its own, and no attribute twice on one node; nothing else is known of it.
///
/// # Errors
/// [`FormatError`].
pub fn decode_model(bytes: &[u8]) -> Result<ModelProto, FormatError> {
    if bytes.is_empty() {
        return Err(FormatError::Empty);
    }
    if bytes.len() as u64 > MAX_MODEL_BYTES {
        return Err(FormatError::Limit { what: "the model file", limit: MAX_MODEL_BYTES, unit: "bytes" });
    }
    // Other formats are looked for only now: nothing that is a model is refused for how it begins.
    let other = |error| recognise(bytes).unwrap_or(error);
    wire::check(bytes).map_err(other)?;
    let model = ModelProto::decode(bytes).map_err(|error| other(FormatError::Damaged { detail: error.to_string() }))?;
    match &model.graph {
        None => return Err(other(FormatError::NoGraph)),
        Some(graph) => check_graph(graph)?,
    }
    match model.functions.first() {
        Some(function) => Err(FormatError::Functions { domain: function.domain.clone(), name: function.name.clone() }),
        None => Ok(model),
    }
}

fn check_graph(graph: &GraphProto) -> Result<(), FormatError> {
    if graph.node.len() > MAX_NODES {
        return Err(FormatError::Limit { what: "the graph", limit: MAX_NODES as u64, unit: "nodes" });
    }
    for node in &graph.node {
        let mut names = HashSet::new();
        if let Some(twice) = node.attribute.iter().find(|attribute| !names.insert(attribute.name.as_str())) {
            let (node, operator) = (node.name.clone(), node.op_type.clone());
            return Err(FormatError::DuplicateAttribute { node, operator, attribute: twice.name.clone() });
        }
    }
    Ok(())
}

/// What a file that is no ONNX model is instead, as far as its first bytes tell.
fn recognise(bytes: &[u8]) -> Option<FormatError> {
    const EXPORT_TORCH: &str = "export the network with `torch.onnx.export(model, input, \"model.onnx\")`";
    const EXPORT_KERAS: &str = "export the network with `tf2onnx`: `python -m tf2onnx.convert`";
    const LFS: &str = "fetch the file itself with `git lfs pull`";
    const ARGUMENT: &str = "give the `.onnx` file first";
    const DECOMPRESS: &str = "decompress it first; only gzip is read directly";
    const SIGNATURES: &[(&[u8], &str, Option<&str>)] = &[
        (b"PK\x03\x04", "a zip archive (a PyTorch checkpoint, a Keras model, or an `.npz` file)", Some(EXPORT_TORCH)),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file (a Keras model)", Some(EXPORT_KERAS)),
        (b"version https://git-lfs", "a git-lfs pointer", Some(LFS)),
        (b"\x93NUMPY", "a NumPy array", Some(ARGUMENT)),
        (b"\x89PNG\r\n\x1a\n", "a PNG image", None),
        (b"\xff\xd8\xff", "a JPEG image", None),
        (b"GIF8", "a GIF image", None),
        (b"%PDF", "a PDF document", None),
        (b"\x7fELF", "a program", None),
        (b"GGUF", "a GGUF file", None),
        (b"\x1f\x8b", "a file compressed twice with gzip", Some(DECOMPRESS)),
        (b"BZh", "a file compressed with bzip2", Some(DECOMPRESS)),
        (b"\xfd7zXZ\0", "a file compressed with xz", Some(DECOMPRESS)),
        (b"\x28\xb5\x2f\xfd", "a file compressed with zstd", Some(DECOMPRESS)),
    ];
    const TEXTS: &[(&[u8], &str, Option<&str>)] = &[
        (b"ir_version", "an ONNX model in text form", Some("save it in binary form with `onnx.save`")),
        (b"<!doctype", "a web page", Some("download the file itself, not the page about it")),
        (b"<html", "a web page", Some("download the file itself, not the page about it")),
        (b"(", "a VNN-LIB specification or another S-expression", Some(ARGUMENT)),
        (b";", "a VNN-LIB specification or another S-expression", Some(ARGUMENT)),
        (b"{", "JSON", Some(ARGUMENT)),
        (b"[", "JSON", Some(ARGUMENT)),
    ];
    let text = bytes.trim_ascii_start();
    let text_starts = |prefix: &[u8]| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let pickle = bytes.first() == Some(&0x80) && bytes.get(1).is_some_and(|version| (2..=5).contains(version));
    let (what, hint) = if let Some((_, what, hint)) = SIGNATURES.iter().find(|(start, ..)| bytes.starts_with(start)) {
        (*what, *hint)
    } else if pickle {
        ("a Python pickle (an old PyTorch checkpoint)", Some(EXPORT_TORCH))
    } else if bytes.starts_with(&[8, 1, 0x12]) && bytes.windows(5).take(1 << 20).any(|window| window == b"serve") {
        ("a TensorFlow SavedModel", Some(EXPORT_KERAS))
    } else if bytes.get(4..8) == Some(b"TFL3") {
        ("a TensorFlow Lite model", Some(EXPORT_KERAS))
    } else if bytes.get(8..10) == Some(b"{\"") && bytes.get(6..8) == Some(&[0, 0]) {
        ("a safetensors file, which has weights but no graph", Some(EXPORT_TORCH))
    } else if bytes.get(257..262) == Some(b"ustar") {
        ("a tar archive", Some("extract the model from it first"))
    } else if let Some((_, what, hint)) = TEXTS.iter().find(|(start, ..)| text_starts(start)) {
        (*what, *hint)
    } else if bytes.iter().take(512).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        ("a text file", None)
    } else {
        return None;
    };
    Some(FormatError::NotOnnx { what, hint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::onnx::proto::{AttributeProto, FunctionProto, NodeProto};

    fn model() -> ModelProto {
        let node = NodeProto { op_type: "Relu".into(), input: vec!["x".into()], output: vec!["y".into()], ..Default::default() };
        ModelProto { ir_version: 8, graph: Some(GraphProto { node: vec![node], ..Default::default() }), ..Default::default() }
    }

    #[test]
    fn a_model_comes_back() {
        assert_eq!(decode_model(&model().encode_to_vec()), Ok(model()));
    }

    #[test]
    fn every_truncation_is_an_error_and_no_panic() {
        let bytes = model().encode_to_vec();
        for length in 0..bytes.len() {
            assert!(decode_model(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn empty_files_and_models_without_a_graph_are_named() {
        assert_eq!(decode_model(&[]), Err(FormatError::Empty));
        let bytes = ModelProto { graph: None, ..model() }.encode_to_vec();
        assert_eq!(decode_model(&bytes), Err(FormatError::NoGraph));
    }

    #[test]
    fn functions_and_repeated_attributes_are_refused() {
        let function = FunctionProto { name: "f".into(), domain: "d".into() };
        let with_function = ModelProto { functions: vec![function], ..model() };
        assert!(matches!(decode_model(&with_function.encode_to_vec()), Err(FormatError::Functions { .. })));
        let mut twice = model();
        let attribute = AttributeProto { name: "axis".into(), ..Default::default() };
        twice.graph.as_mut().unwrap().node[0].attribute = vec![attribute.clone(), attribute];
        assert!(matches!(decode_model(&twice.encode_to_vec()), Err(FormatError::DuplicateAttribute { .. })));
    }

    #[test]
    fn other_formats_are_recognised() {
        let tar: Vec<u8> = [&[b'a'; 257][..], b"ustar\0"].concat();
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], "PNG"),
            (b"PK\x03\x04\x14\0archive/data.pkl", "zip"),
            (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "pickle"),
            (b"\x89HDF\r\n\x1a\n\0\0\0\0", "HDF5"),
            (b"  {\"graph\": {}}", "JSON"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git-lfs"),
            (b"\x93NUMPY\x01\0v\0{'descr'", "NumPy"),
            (b"\x20\0\0\0TFL3\0\0", "Lite"),
            (b"\x08\x01\x12\x09\x0a\x07\x22\x05serve", "SavedModel"),
            (b"\x28\0\0\0\0\0\0\0{\"weight\":{}}", "safetensors"),
            (b"\n<!DOCTYPE html><html>", "web page"),
            (b"; a property\n(declare-const X_0 Real)", "VNN-LIB"),
            (b"ir_version: 8\nproducer_name: \"pytorch\"", "text form"),
            (b"just words", "text file"),
            (&tar, "tar"),
        ] {
            let message = decode_model(bytes).unwrap_err().to_string();
            assert!(message.contains("not an ONNX file") && message.contains(expected), "{message}");
        }
        assert!(matches!(decode_model(&[0xff; 64]), Err(FormatError::Damaged { .. })));
    }
}
