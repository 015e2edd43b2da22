//! ONNX files: read, decode with limits, and lower to an [`ir::Network`](crate::model::ir::Network).
//!
//! Everything a file can say is either understood exactly or refused with an error that names the file, tensor or node.
//! Loading is total: no input makes it panic, recurse without bound, or allocate without a limit. It must not know what the
//! network is used for.

mod decode;
mod error;
mod external;
mod lower;
mod model;
pub mod proto;
mod source;
mod value;

pub use decode::{MAX_MODEL_BYTES, decode_model};
pub use error::{ExternalError, FormatError, GraphError, LoadError, NodeError, TensorError};
pub use external::{ExternalBytes, ExternalData, ExternalFile};
pub use lower::{GraphNode, Port, StoredConstant, StoredTensor, supported_operators};
pub use model::{Model, load, load_bytes, load_source};
pub use source::ModelSource;
pub use value::{BoolTensor, IntTensor, Value, decode_tensor};
