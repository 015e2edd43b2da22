//! Models: files decoded, lowered, evaluated and differentiated, held to a second decoder, ONNX Runtime and an interpreter of our own.
//!
//! | file | what it holds |
//! |---|---|
//! | `onnx_decoders` | Two independent decoders of the ONNX format, ours and the one of `onnx-protobuf`, must read the same model from a file |
//! | `onnx_forward` | Loading and evaluating ONNX files against ONNX Runtime |
//! | `parameters` | Claims about derivatives are claims about the file's function |
//! | `zoo` | Files of six exporters against what ONNX Runtime computes (`cases/zoo`) |

#[path = "../common/mod.rs"]
mod common;

mod onnx_decoders;
mod onnx_forward;
mod parameters;
mod zoo;
