//! The oracle: the function of an ONNX file in `f64`, for its own and for other values of its tensors.
//!
//! It is written from the definitions of the ONNX operators and shares nothing with the library but the messages of the format.

use std::collections::HashMap;

use nnverify::kernel::model::onnx::proto::{AttributeProto, DataType, ModelProto, NodeProto, TensorProto};

use super::operators;
use super::value::{Data, Found, Value};

/// One operator with its operands.
pub struct Call<'a> {
    pub operator: &'a str,
    pub attributes: &'a [AttributeProto],
    pub inputs: &'a [Option<&'a Value>],
    pub outputs: usize,
    pub opset: i64,
}

impl<'a> Call<'a> {
    pub fn optional(&self, index: usize) -> Option<&'a Value> {
        self.inputs.get(index).copied().flatten()
    }

    pub fn input(&self, index: usize) -> Found<&'a Value> {
        self.optional(index).ok_or_else(|| format!("{}: no input {index}", self.operator))
    }

    pub fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    pub fn optional_int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|attribute| attribute.i.unwrap_or(0))
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.optional_int(name).unwrap_or(default)
    }

    pub fn float(&self, name: &str, default: f32) -> f64 {
        f64::from(self.attribute(name).map_or(default, |attribute| attribute.f.unwrap_or(0.0)))
    }

    pub fn string(&self, name: &str, default: &'static str) -> &'a str {
        let text = |attribute: &'a AttributeProto| std::str::from_utf8(attribute.s.as_deref().unwrap_or_default()).unwrap_or("");
        self.attribute(name).map_or(default, text)
    }

    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    /// Integers that are an attribute in some operator sets and an input in others.
    pub fn ints_or_input(&self, name: &str, index: usize) -> Found<Option<Vec<i64>>> {
        if let Some(ints) = self.ints(name) {
            return Ok(Some(ints.to_vec()));
        }
        self.optional(index).map(|value| value.as_ints().map(<[i64]>::to_vec)).transpose()
    }
}

/// A floating point tensor of the file.
pub struct Stored {
    pub name: String,
    pub value: Value,
    slot: usize,
    /// The nodes that depend on it.
    dependents: Vec<bool>,
}

impl Stored {
    pub fn values(&self) -> &[f64] {
        self.value.as_floats().expect("stored tensors are floating point")
    }
}

struct Step {
    node: NodeProto,
    inputs: Vec<Option<usize>>,
    outputs: Vec<usize>,
}

/// A graph whose nodes stand in order, and the tensors in it.
pub struct Program {
    opset: i64,
    steps: Vec<Step>,
    /// What stands in the file, by slot.
    given: Vec<(usize, Value)>,
    slots: usize,
    input: usize,
    input_shape: Vec<usize>,
    output: usize,
    pub stored: Vec<Stored>,
}

/// Every value of one run.
pub struct Run(Vec<Option<Value>>);

impl Program {
    pub fn of(model: &ModelProto) -> Found<Self> {
        let graph = model.graph.as_ref().ok_or("no graph")?;
        let opset = model.opset_import.iter().find(|import| import.domain.is_empty()).ok_or("no opset")?.version;
        let mut slots: HashMap<String, usize> = HashMap::new();
        let mut given = Vec::new();
        let mut stored = Vec::new();
        let mut slot = |name: &str| {
            let next = slots.len();
            *slots.entry(name.to_owned()).or_insert(next)
        };
        for tensor in &graph.initializer {
            let (at, value) = (slot(&tensor.name), decoded(tensor)?);
            given.push((at, value.clone()));
            stored.push((tensor.name.clone(), at, value));
        }
        let input = graph.input.iter().find(|input| !graph.initializer.iter().any(|t| t.name == input.name));
        let input = input.ok_or("no input")?;
        let dims = &input.tensor_type().and_then(|kind| kind.shape.as_ref()).ok_or("the input has no shape")?.dim;
        let extent = |dim: &nnverify::kernel::model::onnx::proto::DimensionProto| match dim.value {
            Some(nnverify::kernel::model::onnx::proto::DimensionValue::Value(extent)) => extent.max(1) as usize,
            _ => 1,
        };
        let input_shape = dims.iter().map(extent).collect();
        let input = slot(&input.name);
        let mut steps = Vec::new();
        for node in &graph.node {
            let inputs: Vec<Option<usize>> = node.input.iter().map(|name| (!name.is_empty()).then(|| slot(name))).collect();
            let outputs: Vec<usize> = node.output.iter().map(|name| slot(name)).collect();
            if node.op_type == "Constant" {
                let value = constant(node)?;
                given.push((outputs[0], value.clone()));
                stored.push((node.output[0].clone(), outputs[0], value));
            } else {
                steps.push(Step { node: node.clone(), inputs, outputs });
            }
        }
        let output = slot(&graph.output.first().ok_or("no output")?.name);
        let slots = slots.len();
        // What the output does not need is no part of the function.
        let mut needed = vec![false; slots];
        needed[output] = true;
        let mut steps: Vec<Step> = steps
            .into_iter()
            .rev()
            .filter(|step| {
                let is_needed = step.outputs.iter().any(|&output| needed[output]);
                step.inputs.iter().flatten().for_each(|&input| needed[input] |= is_needed);
                is_needed
            })
            .collect();
        steps.reverse();
        let stored = stored.into_iter().filter(|(_, _, value)| matches!(value.data, Data::Floats(_)));
        let stored = stored.map(|(name, slot, value)| {
            let dependents = dependents(&steps, slot, slots);
            Stored { name, value, slot, dependents }
        });
        let stored = stored.collect();
        Ok(Self { opset, steps, given, slots, input, input_shape, output, stored })
    }

    /// Runs the file as it is.
    pub fn run(&self, input: &[f64]) -> Found<Run> {
        let mut values: Vec<Option<Value>> = vec![None; self.slots];
        for (slot, value) in &self.given {
            values[*slot] = Some(value.clone());
        }
        values[self.input] = Some(Value::floats(&self.input_shape, input.to_vec()));
        for step in &self.steps {
            let found = self.step(step, |slot| values[slot].as_ref())?;
            step.outputs.iter().zip(found).for_each(|(slot, value)| values[*slot] = Some(value));
        }
        Ok(Run(values))
    }

    pub fn output<'r>(&self, run: &'r Run) -> Found<&'r [f64]> {
        run.0[self.output].as_ref().ok_or("no output")?.as_floats()
    }

    /// The output with other values of a stored tensor.
    pub fn with(&self, run: &Run, tensor: &Stored, values: &[f64]) -> Found<Vec<f64>> {
        let mut changed: Vec<Option<Value>> = vec![None; self.slots];
        changed[tensor.slot] = Some(Value::floats(&tensor.value.shape, values.to_vec()));
        for (step, _) in self.steps.iter().zip(&tensor.dependents).filter(|(_, dependent)| **dependent) {
            let found = self.step(step, |slot| changed[slot].as_ref().or(run.0[slot].as_ref()))?;
            step.outputs.iter().zip(found).for_each(|(slot, value)| changed[*slot] = Some(value));
        }
        let output = changed[self.output].take().or_else(|| run.0[self.output].clone()).ok_or("no output")?;
        output.as_floats().map(<[f64]>::to_vec)
    }

    fn step<'v>(&self, step: &Step, value: impl Fn(usize) -> Option<&'v Value>) -> Found<Vec<Value>> {
        let inputs: Vec<Option<&Value>> = step.inputs.iter().map(|slot| slot.and_then(&value)).collect();
        let (operator, attributes) = (step.node.op_type.as_str(), &step.node.attribute[..]);
        operators::apply(&Call { operator, attributes, inputs: &inputs, outputs: step.outputs.len(), opset: self.opset })
    }
}

fn dependents(steps: &[Step], slot: usize, slots: usize) -> Vec<bool> {
    let mut reached = vec![false; slots];
    reached[slot] = true;
    let mut visit = |step: &Step| {
        let depends = step.inputs.iter().flatten().any(|&input| reached[input]);
        step.outputs.iter().for_each(|&output| reached[output] |= depends);
        depends
    };
    steps.iter().map(&mut visit).collect()
}

/// The value of a `Constant` node.
pub fn constant(node: &NodeProto) -> Found<Value> {
    let attribute = node.attribute.first().ok_or("a Constant without a value")?;
    let widened = || attribute.floats.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    match attribute.name.as_str() {
        "value" => decoded(attribute.t.as_ref().ok_or("a Constant without a tensor")?),
        "value_float" => Ok(Value::floats(&[], vec![f64::from(attribute.f.unwrap_or(0.0))])),
        "value_floats" => Ok(Value::floats(&[attribute.floats.len()], widened())),
        "value_int" => Ok(Value::ints(&[], vec![attribute.i.unwrap_or(0)])),
        "value_ints" => Ok(Value::ints(&[attribute.ints.len()], attribute.ints.clone())),
        other => Err(format!("Constant: {other}")),
    }
}

/// The numbers in little-endian bytes.
fn cut<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.chunks_exact(N).map(|bytes| read(bytes.try_into().expect("as many bytes"))).collect()
}

/// The values of a tensor, from the typed fields or from raw bytes.
pub fn decoded(tensor: &TensorProto) -> Found<Value> {
    let shape: Vec<usize> = tensor.dims.iter().map(|&extent| extent as usize).collect();
    let raw = tensor.raw_data.as_deref();
    let value = match (DataType::try_from(tensor.data_type), raw) {
        (Ok(DataType::Float), Some(raw)) => Data::Floats(cut(raw, |b| f64::from(f32::from_le_bytes(b)))),
        (Ok(DataType::Float), None) => Data::Floats(tensor.float_data.iter().map(|&x| f64::from(x)).collect()),
        (Ok(DataType::Double), Some(raw)) => Data::Floats(cut(raw, f64::from_le_bytes)),
        (Ok(DataType::Double), None) => Data::Floats(tensor.double_data.clone()),
        (Ok(DataType::Int64), Some(raw)) => Data::Ints(cut(raw, i64::from_le_bytes)),
        (Ok(DataType::Int64), None) => Data::Ints(tensor.int64_data.clone()),
        (Ok(DataType::Int32), Some(raw)) => Data::Ints(cut(raw, |b| i64::from(i32::from_le_bytes(b)))),
        (Ok(DataType::Int32), None) => Data::Ints(tensor.int32_data.iter().map(|&i| i64::from(i)).collect()),
        (Ok(DataType::Int8), Some(raw)) => Data::Ints(raw.iter().map(|&byte| i64::from(byte.cast_signed())).collect()),
        (Ok(DataType::Uint8), Some(raw)) => Data::Ints(raw.iter().map(|&byte| i64::from(byte)).collect()),
        (Ok(DataType::Bool), Some(raw)) => Data::Truths(raw.iter().map(|&byte| byte != 0).collect()),
        (Ok(DataType::Bool), None) => Data::Truths(tensor.int32_data.iter().map(|&i| i != 0).collect()),
        (kind, _) => return Err(format!("a tensor of type {kind:?}")),
    };
    let held = match &value {
        Data::Floats(data) => data.len(),
        Data::Ints(data) => data.len(),
        Data::Truths(data) => data.len(),
    };
    if held != super::value::count(&shape) {
        return Err(format!("{held} elements for {shape:?}"));
    }
    Ok(Value { shape, data: value })
}
