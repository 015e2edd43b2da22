//! Why a model cannot be loaded: typed, and every message names the file, tensor or node it is about.

use std::path::PathBuf;

use crate::model::implicit::ImplicitError;
use crate::model::ir::ShapeError;

/// Why a model cannot be loaded. `Display` is one line without control characters, whatever names the file contains;
/// [`LoadError::hint`] is the remedy, where there is one.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{}", line(format_args!("cannot read `{}`: {error}", path.display())))]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{}", line(format_args!("{_0}")))]
    Format(FormatError),
    #[error("{}", line(format_args!("tensor `{tensor}`: {kind}")))]
    Tensor { tensor: String, kind: Box<TensorError> },
    #[error("{}", line(format_args!("{_0}")))]
    Graph(GraphError),
    /// `opset` is the version of the node's domain that the model imports.
    #[error("{}", line(format_args!("node `{node}` ({operator}, opset {opset}): {kind}")))]
    Node { node: String, operator: String, opset: i64, kind: Box<NodeError> },
    #[error("{}", line(format_args!("JSON, but not an implicit network: {_0}")))]
    Implicit(#[from] ImplicitError),
}

/// The file is not a readable ONNX model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("the model file is empty")]
    Empty,
    #[error("not an ONNX file: it looks like {what}")]
    NotOnnx { what: &'static str, hint: Option<&'static str> },
    #[error("not a readable ONNX file, it may be truncated or damaged: {detail}")]
    Damaged { detail: String },
    #[error("cannot decompress the model: {detail}")]
    Compression { detail: String },
    #[error("{what} exceeds the limit of {limit} {unit}")]
    Limit { what: &'static str, limit: u64, unit: &'static str },
    /// A field that holds one value occurs twice; decoders merge them, or keep the last.
    #[error("a {message} states its field {field} twice, so its meaning depends on the reader")]
    Ambiguous { message: &'static str, field: u32 },
    #[error("node `{node}` ({operator}) states the attribute `{attribute}` twice")]
    DuplicateAttribute { node: String, operator: String, attribute: String },
    #[error("the model contains no graph")]
    NoGraph,
    /// Model-local functions; this is the first.
    #[error("the model defines its own function `{domain}::{name}`")]
    Functions { domain: String, name: String },
}

/// What is wrong with one tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    #[error("the data type `{0}` is not supported")]
    UnsupportedType(String),
    #[error("it has {rank} dimensions, more than the limit of {limit}")]
    TooManyDimensions { rank: usize, limit: usize },
    #[error("dimension {axis} is {extent}, which is negative")]
    NegativeDimension { axis: usize, extent: i64 },
    #[error("a tensor of dimensions {dims:?} exceeds the limit of {limit} elements")]
    TooLarge { dims: Vec<i64>, limit: usize },
    #[error("dimensions {dims:?} need {expected} {unit} but the tensor holds {found}")]
    Length { dims: Vec<i64>, expected: usize, found: usize, unit: &'static str },
    #[error("values are stored in `{first}` and in `{second}` at once")]
    Conflict { first: &'static str, second: &'static str },
    #[error("values of type `{data_type}` cannot be stored in `{field}`")]
    WrongField { data_type: &'static str, field: &'static str },
    #[error("element {index} is {value}, out of range for `{data_type}`")]
    OutOfRange { index: usize, value: String, data_type: &'static str },
    #[error("the tensors of the model together exceed the limit of {limit} elements")]
    Budget { limit: u64 },
    #[error("it is split into segments, which is not supported")]
    Segmented,
    #[error("unknown data location {0}")]
    UnknownLocation(i32),
    #[error(transparent)]
    External(#[from] ExternalError),
}

/// What is wrong with the external data of one tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    #[error("external data without a `{0}`")]
    MissingKey(&'static str),
    #[error("external data states `{0}` twice")]
    DuplicateKey(String),
    #[error("external data `{key}` is `{value}`, not a number of bytes")]
    NotANumber { key: &'static str, value: String },
    #[error("the external data file `{location}` is not allowed: {reason}")]
    Location { location: String, reason: &'static str },
    #[error("the external data file `{location}` is missing")]
    Missing { location: String },
    #[error("the external data file `{location}` cannot be read: {detail}")]
    Read { location: String, detail: String },
    #[error("the model was not read from a file, so its external data file `{location}` cannot be found")]
    NoDirectory { location: String },
    #[error("bytes {offset}..{offset}+{length} lie outside the external data file `{location}` of {size} bytes")]
    OutOfFile { location: String, offset: u64, length: u64, size: u64 },
    #[error("the external data files exceed the limit of {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the external data file `{location}` does not have the checksum that the model states")]
    Checksum { location: String },
}

/// What is wrong with the graph as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    #[error("the graph has a cycle through {}", list(.nodes))]
    Cycle { nodes: Vec<String> },
    #[error("the value `{value}` is defined twice: by {first} and by {second}")]
    DuplicateValue { value: String, first: String, second: String },
    #[error("node `{node}` ({operator}) reads `{value}`, which nothing defines")]
    MissingValue { value: String, node: String, operator: String },
    #[error("nothing defines the graph output `{value}`")]
    MissingOutput { value: String },
    #[error("the graph has no input")]
    NoInput,
    #[error("the graph has {} inputs ({}) where one is expected", .names.len(), list(.names))]
    SeveralInputs { names: Vec<String> },
    #[error("the graph has no output")]
    NoOutput,
    #[error("the graph has {} outputs ({}) where one is expected", .names.len(), list(.names))]
    SeveralOutputs { names: Vec<String> },
    #[error("the graph {role} `{value}`: {reason}")]
    Value { role: &'static str, value: String, reason: String, hint: Option<String> },
    #[error("the graph output `{value}` does not depend on the input")]
    ConstantOutput { value: String },
    #[error("the model imports no operator set for the domain `{domain}`")]
    NoOpset { domain: String },
    #[error("the model imports the operator set `{domain}` twice")]
    DuplicateOpset { domain: String },
    #[error("version {version} of the operator set `{domain}` is not supported (supported: {lowest} to {highest})")]
    UnsupportedOpset { domain: String, version: i64, lowest: i64, highest: i64 },
    #[error("the sparse initialiser `{name}` is not supported")]
    SparseInitializer { name: String },
    #[error("the graph is too large: {0}")]
    TooLarge(String),
}

/// What is wrong with one node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The operator, or its whole domain, is unknown.
    #[error("the operator `{operator}` of the domain `{}` is not supported{}", domain_name(.domain), suffix(.detail.as_deref()))]
    UnsupportedOperator { operator: String, domain: String, detail: Option<String>, hint: &'static str },
    /// The operator is known, but not used like this.
    #[error("not supported: {reason}")]
    Unsupported { reason: String, hint: Option<String> },
    /// The file contradicts the operator's definition: wrong number of inputs, shapes that do not fit, ….
    #[error("{reason}")]
    Invalid { reason: String },
    #[error("attribute `{attribute}`: {reason}")]
    Attribute { attribute: String, reason: String },
    #[error("{0}")]
    Shape(#[from] ShapeError),
    #[error("{0}")]
    Tensor(#[from] TensorError),
}

impl From<FormatError> for LoadError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<GraphError> for LoadError {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

impl LoadError {
    /// An error about a tensor.
    #[must_use]
    pub fn tensor(tensor: &str, kind: TensorError) -> Self {
        Self::Tensor { tensor: tensor.to_owned(), kind: Box::new(kind) }
    }

    /// An error about a node; `opset` is the version of the node's domain that the model imports.
    #[must_use]
    pub fn node(node: &str, operator: &str, opset: i64, kind: impl Into<NodeError>) -> Self {
        Self::Node { node: node.to_owned(), operator: operator.to_owned(), opset, kind: Box::new(kind.into()) }
    }

    /// The remedy, without the word `hint:`; one line.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Io { .. } => None,
            Self::Format(error) => error.hint(),
            Self::Tensor { kind, .. } => kind.hint(),
            Self::Graph(error) => error.hint(),
            Self::Node { kind, .. } => kind.hint(),
            Self::Implicit(_) => {
                Some("`verify schema implicit-model` prints the format; if it is no model, give the model first".to_owned())
            }
        };
        hint.map(line)
    }
}

impl FormatError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotOnnx { hint, .. } => return hint.map(str::to_owned),
            Self::Damaged { .. } => "compare the file's size and digest with the original; `onnx.checker` shows more",
            Self::Functions { .. } => "inline the functions with `onnx.inliner.inline_local_functions(model)`",
            Self::Limit { .. } => "a network of this size is beyond what can be verified",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl TensorError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::External(error) => return error.hint(),
            Self::UnsupportedType(_) => "export the network with float32 weights",
            Self::Segmented => "save the model again with `onnx.save`",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl ExternalError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { location } => Some(format!("put `{location}` beside the model, where the exporter wrote it")),
            Self::NoDirectory { .. } | Self::Location { .. } => {
                Some("save the model in one file: `onnx.save(onnx.load(path), path, save_as_external_data=False)`".to_owned())
            }
            Self::OutOfFile { location, .. } | Self::Checksum { location } => {
                Some(format!("`{location}` may be truncated or belong to another model; export them together"))
            }
            _ => None,
        }
    }
}

impl GraphError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Value { hint, .. } => return hint.clone(),
            Self::SeveralInputs { .. } => "export a network with one input; concatenate the others into it",
            Self::SeveralOutputs { .. } => "cut the model with `onnx.utils.extract_model` so that one output remains",
            Self::Cycle { .. } | Self::MissingValue { .. } | Self::MissingOutput { .. } | Self::DuplicateValue { .. } => {
                "the file is not a valid ONNX model; `onnx.checker.check_model` shows more"
            }
            Self::SparseInitializer { .. } => "store the weights as dense initialisers",
            Self::UnsupportedOpset { .. } => "convert the model with `onnx.version_converter.convert_version`",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl NodeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnsupportedOperator { hint, .. } => Some((*hint).to_owned()),
            Self::Unsupported { hint, .. } => hint.clone(),
            Self::Tensor(error) => error.hint(),
            _ => None,
        }
    }

    /// A use of a known operator that is not supported.
    #[must_use]
    pub fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported { reason: reason.into(), hint: None }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn unsupported_with_hint(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unsupported { reason: reason.into(), hint: Some(hint.into()) }
    }

    /// A node that contradicts its operator's definition.
    #[must_use]
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }

    /// An attribute of the wrong type or with a value that the operator does not allow.
    #[must_use]
    pub fn attribute(attribute: &str, reason: impl Into<String>) -> Self {
        Self::Attribute { attribute: attribute.to_owned(), reason: reason.into() }
    }
}

/// Most characters of a line.
const MAX_LINE: usize = 2000;

/// One line: control and formatting characters escaped, and the middle left out where it is too long. Names in a model can
/// contain anything; a message must not let them write to the terminal or forge another line.
fn line(text: impl std::fmt::Display) -> String {
    let text = text.to_string();
    let mut shown = String::with_capacity(text.len().min(4 * MAX_LINE));
    let length = text.chars().count();
    let left_out = if length > MAX_LINE { MAX_LINE / 2..length - MAX_LINE / 2 } else { 0..0 };
    for (index, character) in text.chars().enumerate() {
        if index == left_out.start && !left_out.is_empty() {
            shown.push('…');
        }
        if left_out.contains(&index) {
            continue;
        }
        if character.is_control() || is_formatting(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Characters that are invisible or change the direction or lines of the text around them.
const fn is_formatting(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The default domain has no name in the file.
const fn domain_name(domain: &str) -> &str {
    if domain.is_empty() { "ai.onnx" } else { domain }
}

/// Names in back-ticks, at most eight of them.
fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(shown.len());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &rest
}

fn suffix(detail: Option<&str>) -> String {
    detail.map(|detail| format!(": {detail}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_forge_lines_or_reach_the_terminal() {
        let name = "a\n\u{1b}[32mproved\u{202e}";
        let error = LoadError::node(name, "Relu\r", 13, NodeError::unsupported_with_hint("x", "line\nline"));
        let text = error.to_string();
        assert_eq!(text, "node `a\\u{a}\\u{1b}[32mproved\\u{202e}` (Relu\\u{d}, opset 13): not supported: x");
        assert_eq!(error.hint().unwrap(), "line\\u{a}line");
        let cycle = LoadError::from(GraphError::Cycle { nodes: vec!["\n".into(); 20] });
        assert!(!cycle.to_string().contains('\n') && cycle.to_string().ends_with("and 12 more"));
    }

    #[test]
    fn long_names_keep_the_end_of_the_message() {
        let error = LoadError::tensor(&"é".repeat(1 << 20), TensorError::Segmented);
        let text = error.to_string();
        assert_eq!(text.chars().count(), MAX_LINE + 1);
        assert!(text.starts_with("tensor `é") && text.ends_with("split into segments, which is not supported"));
    }

    #[test]
    fn an_unsupported_operator_is_named_with_its_remedy() {
        let kind = NodeError::UnsupportedOperator {
            operator: "LSTM".into(),
            domain: String::new(),
            detail: None,
            hint: "export it otherwise",
        };
        let error = LoadError::node("n1", "LSTM", 17, kind);
        let expected = "node `n1` (LSTM, opset 17): the operator `LSTM` of the domain `ai.onnx` is not supported";
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.hint().unwrap(), "export it otherwise");
    }
}
