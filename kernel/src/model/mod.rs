//! TRUSTED. Models: files as they are written, and the network that they mean. Nothing here knows claims or bounds.

pub mod compose;
pub mod implicit;
pub mod ir;
pub mod onnx;
