//! The model's boundary: its operator sets, its one input and its one output.

use std::collections::HashSet;

use super::super::error::GraphError;
use super::super::proto::{DataType, DimensionProto, DimensionValue, GraphProto, OperatorSetIdProto, ValueInfoProto};
use super::operators::OPSETS;

/// The version of the default operator set.
pub(super) fn opset(imports: &[OperatorSetIdProto]) -> Result<i64, GraphError> {
    let mut versions = imports.iter().filter(|import| is_default(&import.domain)).map(|import| import.version);
    let domain = || "ai.onnx".to_owned();
    let version = versions.next().ok_or_else(|| GraphError::NoOpset { domain: domain() })?;
    // Tools that cut models apart repeat the import.
    if versions.any(|other| other != version) {
        return Err(GraphError::DuplicateOpset { domain: domain() });
    }
    if !OPSETS.contains(&version) {
        let (lowest, highest) = (*OPSETS.start(), *OPSETS.end());
        return Err(GraphError::UnsupportedOpset { domain: domain(), version, lowest, highest });
    }
    Ok(version)
}

pub(super) fn is_default(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The graph inputs that are not initialisers: exactly one.
pub(super) fn input<'a>(graph: &'a GraphProto, initializers: &HashSet<&str>) -> Result<&'a ValueInfoProto, GraphError> {
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(|input| !initializers.contains(input.name.as_str())).collect();
    match inputs[..] {
        [] => Err(GraphError::NoInput),
        [input] => Ok(input),
        _ => Err(GraphError::SeveralInputs { names: inputs.iter().map(|input| input.name.clone()).collect() }),
    }
}

pub(super) fn output(graph: &GraphProto) -> Result<&ValueInfoProto, GraphError> {
    match &graph.output[..] {
        [] => Err(GraphError::NoOutput),
        [output] => Ok(output),
        several => Err(GraphError::SeveralOutputs { names: several.iter().map(|output| output.name.clone()).collect() }),
    }
}

/// The type of the input's elements.
pub(super) fn element(input: &ValueInfoProto) -> DataType {
    let stated = input.tensor_type().map_or(0, |tensor| tensor.elem_type);
    DataType::try_from(stated).unwrap_or(DataType::Undefined)
}

/// The input's shape with a batch of one, and notes on what was decided.
pub(super) fn shape(input: &ValueInfoProto) -> Result<(Vec<usize>, Vec<String>), GraphError> {
    let name = &input.name;
    let refuse = |reason: String, hint: Option<&str>| GraphError::Value {
        role: "input",
        value: name.clone(),
        reason,
        hint: hint.map(str::to_owned),
    };
    let tensor = input.tensor_type().ok_or_else(|| refuse("is not a tensor".to_owned(), None))?;
    let element = element(input);
    let narrow = matches!(element, DataType::Float16 | DataType::Bfloat16);
    if !narrow && !matches!(element, DataType::Float | DataType::Double) {
        let remedy = match element {
            DataType::Int32 | DataType::Int64 => "cut the model behind the embedding or cast that reads it",
            _ => "cast the model to float32",
        };
        return Err(refuse(format!("inputs of {element:?} are not supported"), Some(remedy)));
    }
    let fix = "export the model with a fixed input shape";
    let dims = &tensor.shape.as_ref().ok_or_else(|| refuse("its shape is not stated".to_owned(), Some(fix)))?.dim;
    let mut notes = Vec::new();
    let mut shape = Vec::with_capacity(dims.len());
    for (axis, dim) in dims.iter().enumerate() {
        let known = match &dim.value {
            Some(DimensionValue::Value(extent)) => usize::try_from(*extent).ok().filter(|&extent| extent > 0),
            _ => None,
        };
        shape.push(match known {
            Some(extent) => extent,
            None if axis == 0 => {
                notes.push(format!("batch dimension {}of input `{name}` fixed to 1", named(dim)));
                1
            }
            None => {
                return Err(refuse(format!("dimension {axis} {}is not fixed", named(dim)), Some(fix)));
            }
        });
    }
    if narrow {
        notes.push(format!("input `{name}` is {element:?}: its values are taken as real numbers"));
    }
    if let Some(&batch) = shape.first()
        && batch > 1
        && shape.len() > 1
    {
        notes.push(format!("input `{name}` has a batch of {batch}: the whole batch is one input"));
    }
    Ok((shape, notes))
}

fn named(dim: &DimensionProto) -> String {
    match &dim.value {
        Some(DimensionValue::Parameter(name)) if !name.is_empty() => format!("`{name}` "),
        Some(DimensionValue::Value(extent)) => format!("{extent} "),
        _ => String::new(),
    }
}
