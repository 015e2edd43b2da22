//! A walk over the protobuf wire format that builds nothing: what it accepts can be decoded within known memory.
//!
//! Invariants of an accepted file: every length stays inside its message, no field that holds one message occurs twice
//! (decoders differ on what that means), there are no groups (the format has none), and decoding allocates at most
//! [`MAX_DECODED_BYTES`]. A message of two bytes on the wire takes hundreds in memory, so the size of the file is no limit.

use std::mem::size_of;

use crate::model::onnx::error::FormatError;
use crate::model::onnx::proto;

/// Bound on the memory of a decoded model.
pub const MAX_DECODED_BYTES: u64 = 4 << 30;
/// Bound on the part of it that is not contents: messages (nodes, attributes, dimensions, …) and the heads of texts.
pub const MAX_STRUCTURE_BYTES: u64 = 1 << 30;

/// The messages that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    OperatorSet,
    Function,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    Entry,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dimension,
}

/// What is behind a tag.
enum Field {
    /// At most one message. The number is the same for alternatives that exclude each other.
    One(Kind, u32),
    Many(Kind),
    /// Another alternative of a field that holds one message, kept as bytes.
    Bytes(u32),
    /// Packed numbers; how many bytes of memory a byte on the wire may become.
    Packed(u64),
    /// Text, bytes, a number, or a field that is not read.
    Plain,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::OperatorSet => "operator set",
            Self::Function => "function",
            Self::Graph => "graph",
            Self::Node => "node",
            Self::Attribute => "attribute",
            Self::Tensor => "tensor",
            Self::SparseTensor => "sparse tensor",
            Self::Entry => "key and value",
            Self::ValueInfo => "value description",
            Self::Type => "type",
            Self::TensorType => "tensor type",
            Self::Shape => "shape",
            Self::Dimension => "dimension",
        }
    }

    /// Memory of one decoded message without its contents.
    const fn size(self) -> usize {
        match self {
            Self::Model => size_of::<proto::ModelProto>(),
            Self::OperatorSet => size_of::<proto::OperatorSetIdProto>(),
            Self::Function => size_of::<proto::FunctionProto>(),
            Self::Graph => size_of::<proto::GraphProto>(),
            Self::Node => size_of::<proto::NodeProto>(),
            Self::Attribute => size_of::<proto::AttributeProto>(),
            Self::Tensor => size_of::<proto::TensorProto>(),
            Self::SparseTensor => size_of::<proto::SparseTensorProto>(),
            Self::Entry => size_of::<proto::StringStringEntryProto>(),
            Self::ValueInfo => size_of::<proto::ValueInfoProto>(),
            Self::Type => size_of::<proto::TypeProto>(),
            Self::TensorType => size_of::<proto::TensorTypeProto>(),
            Self::Shape => size_of::<proto::TensorShapeProto>(),
            Self::Dimension => size_of::<proto::DimensionProto>(),
        }
    }

    /// The fields of `proto.rs`. The nesting of kinds ends, so the walk's recursion does.
    const fn field(self, tag: u32) -> Field {
        match (self, tag) {
            (Self::Model, 7) => Field::One(Self::Graph, 0),
            (Self::Model, 8) => Field::Many(Self::OperatorSet),
            (Self::Model, 25) => Field::Many(Self::Function),
            (Self::Graph, 1) => Field::Many(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 10) => Field::Many(Self::Tensor),
            (Self::Graph, 15) => Field::Many(Self::SparseTensor),
            (Self::Graph, 11..=13) => Field::Many(Self::ValueInfo),
            (Self::Node, 5) => Field::Many(Self::Attribute),
            (Self::Attribute, 5) | (Self::SparseTensor, 1) => Field::One(Self::Tensor, 0),
            // Kept as bytes: subgraph, type, sparse tensor.
            (Self::Attribute, 6) => Field::Bytes(1),
            (Self::Attribute, 14) => Field::Bytes(2),
            (Self::Attribute, 22) => Field::Bytes(3),
            // Floats; varints of one byte become an `i64`, or an `i32`, and a growing vector twice that.
            (Self::Attribute, 7) | (Self::Tensor, 4 | 10) => Field::Packed(2),
            (Self::Attribute, 8) | (Self::Tensor, 1 | 7 | 11) => Field::Packed(16),
            (Self::Tensor, 5) => Field::Packed(8),
            (Self::Tensor, 13) => Field::Many(Self::Entry),
            (Self::ValueInfo, 2) => Field::One(Self::Type, 0),
            (Self::Type, 1) => Field::One(Self::TensorType, 0),
            // A segment; types that are no tensor.
            (Self::Tensor, 3) | (Self::Type, 4 | 5 | 8 | 9) => Field::Bytes(0),
            (Self::TensorType, 2) => Field::One(Self::Shape, 0),
            (Self::Shape, 1) => Field::Many(Self::Dimension),
            _ => Field::Plain,
        }
    }
}

/// Checks the bytes of a model before they are decoded.
///
/// # Errors
/// [`FormatError::Damaged`], [`FormatError::Ambiguous`], [`FormatError::Limit`].
pub fn check(bytes: &[u8]) -> Result<(), FormatError> {
    let mut walk = Walk::default();
    walk.message(Kind::Model, bytes, 0)
}

/// Upper bounds on the memory that decoding what was seen so far takes.
#[derive(Default)]
struct Walk {
    structure: u64,
    contents: u64,
}

impl Walk {
    /// Walks a message that starts at byte `base` of the file.
    fn message(&mut self, kind: Kind, bytes: &[u8], base: usize) -> Result<(), FormatError> {
        self.structure(kind.size())?;
        let mut seen = 0u32;
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = base + (bytes.len() - rest.len());
            let (tag, wire_type) = key(&mut rest).ok_or_else(|| damaged(kind, at, "a field's key is malformed"))?;
            match wire_type {
                0 => {
                    varint(&mut rest).ok_or_else(|| damaged(kind, at, "a number is malformed"))?;
                    self.allocate(16)?;
                }
                1 | 5 => {
                    let size = if wire_type == 1 { 8 } else { 4 };
                    rest = rest.get(size..).ok_or_else(|| damaged(kind, at, "it ends inside a number"))?;
                    self.allocate(16)?;
                }
                2 => {
                    let length = varint(&mut rest).ok_or_else(|| damaged(kind, at, "a length is malformed"))?;
                    let left = rest.len();
                    let (contents, after) = usize::try_from(length)
                        .ok()
                        .and_then(|length| rest.split_at_checked(length))
                        .ok_or_else(|| damaged(kind, at, &format!("field {tag} states {length} bytes where {left} are left")))?;
                    rest = after;
                    let start = base + (bytes.len() - rest.len() - contents.len());
                    self.contents(kind, tag, contents, start, &mut seen)?;
                }
                _ => return Err(damaged(kind, at, &format!("wire type {wire_type} does not occur in ONNX"))),
            }
        }
        Ok(())
    }

    fn contents(&mut self, kind: Kind, tag: u32, contents: &[u8], start: usize, seen: &mut u32) -> Result<(), FormatError> {
        let mut once = |number: u32| {
            let bit = 1 << number;
            let first = *seen & bit == 0;
            *seen |= bit;
            if first { Ok(()) } else { Err(FormatError::Ambiguous { message: kind.name(), field: tag }) }
        };
        let length = contents.len() as u64;
        match kind.field(tag) {
            Field::One(child, number) => {
                once(number)?;
                self.message(child, contents, start)
            }
            Field::Many(child) => self.message(child, contents, start),
            Field::Bytes(number) => {
                once(number)?;
                self.allocate(length)
            }
            Field::Packed(factor) => self.allocate(length.saturating_mul(factor)),
            Field::Plain => {
                self.structure(size_of::<Vec<u8>>())?;
                self.allocate(length)
            }
        }
    }

    /// Counts an item of a vector, twice: one that grows may hold twice what it needs.
    fn structure(&mut self, bytes: usize) -> Result<(), FormatError> {
        self.structure = self.structure.saturating_add(2 * bytes as u64);
        if self.structure > MAX_STRUCTURE_BYTES {
            return Err(FormatError::Limit { what: "the decoded graph", limit: MAX_STRUCTURE_BYTES, unit: "bytes" });
        }
        Ok(())
    }

    fn allocate(&mut self, bytes: u64) -> Result<(), FormatError> {
        self.contents = self.contents.saturating_add(bytes);
        if self.contents > MAX_DECODED_BYTES - MAX_STRUCTURE_BYTES {
            return Err(FormatError::Limit { what: "the decoded model", limit: MAX_DECODED_BYTES, unit: "bytes" });
        }
        Ok(())
    }
}

fn damaged(kind: Kind, at: usize, detail: &str) -> FormatError {
    FormatError::Damaged { detail: format!("in a {} at byte {at}: {detail}", kind.name()) }
}

/// Tag and wire type of the next field.
fn key(bytes: &mut &[u8]) -> Option<(u32, u8)> {
    let key = u32::try_from(varint(bytes)?).ok()?;
    let tag = key >> 3;
    u8::try_from(key & 7).ok().filter(|_| tag > 0).map(|wire_type| (tag, wire_type))
}

/// The next number of at most 64 bits, seven to a byte.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let low = u64::from(byte & 0x7f);
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= low << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(bytes: &[u8]) -> String {
        check(bytes).unwrap_err().to_string()
    }

    #[test]
    fn varints_are_read_up_to_64_bits_and_no_further() {
        let read = |bytes: &[u8]| varint(&mut &bytes[..]);
        assert_eq!(read(&[0x7f]), Some(127));
        assert_eq!(read(&[0x80, 1]), Some(128));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Some(u64::MAX));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
        assert_eq!(read(&[0x80; 11]), None);
        assert_eq!(read(&[0x80]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn lengths_cannot_leave_their_message() {
        // A graph of two bytes whose node claims five: the bytes are there, but they belong to the model.
        assert!(detail(&[0x3a, 2, 0x0a, 5, 0, 0, 0, 0, 0]).contains("in a graph at byte 2: field 1 states 5 bytes"));
        let mut huge = vec![0x3a];
        huge.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
        assert!(detail(&huge).contains("where 0 are left"));
    }

    #[test]
    fn groups_and_tag_zero_are_refused() {
        assert!(detail(&[0x0b]).contains("wire type 3"));
        assert!(detail(&[0x00, 0x00]).contains("key is malformed"));
    }

    #[test]
    fn a_second_graph_is_refused() {
        assert_eq!(check(&[0x3a, 0, 0x3a, 0]), Err(FormatError::Ambiguous { message: "model", field: 7 }));
        // Tensor type and sequence type at once, in the description of an input.
        let both = [0x3a, 8, 0x5a, 6, 0x12, 4, 0x0a, 0, 0x22, 0];
        assert_eq!(check(&both), Err(FormatError::Ambiguous { message: "type", field: 4 }));
    }

    #[test]
    fn small_messages_in_great_numbers_meet_a_limit() {
        // Empty nodes, empty attributes, empty texts: two bytes each.
        for (kind, tag) in [(Kind::Graph, 0x0a), (Kind::Node, 0x2a), (Kind::Node, 0x0a)] {
            let near = Walk { structure: MAX_STRUCTURE_BYTES - (1 << 20), contents: 0 };
            let walk = |count: usize| Walk { ..near }.message(kind, &[tag, 0].repeat(count), 0);
            assert_eq!(walk(100), Ok(()));
            assert!(matches!(walk(1 << 16), Err(FormatError::Limit { what: "the decoded graph", .. })));
        }
    }

    #[test]
    fn packed_numbers_count_by_their_memory() {
        let mut walk = Walk::default();
        walk.contents(Kind::Tensor, 7, &[0; 100], 0, &mut 0).unwrap();
        assert_eq!((walk.structure, walk.contents), (0, 1600));
        walk.contents = MAX_DECODED_BYTES - MAX_STRUCTURE_BYTES;
        assert!(matches!(walk.allocate(1), Err(FormatError::Limit { what: "the decoded model", .. })));
    }
}
