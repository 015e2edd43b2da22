//! A graph under construction, of which every value at the file's tensors and at one input is known.

use nnverify::kernel::model::onnx::proto::{
    AttributeProto, AttributeType, DataType, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};

use super::operators;
use super::oracle::Call;
use super::random::Random;
use super::value::{Data, Value};

/// A value of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(usize);

/// The graph's input.
pub const INPUT: Id = Id(0);

/// An optional input that is left out.
pub const NONE: Id = Id(usize::MAX);

struct Known {
    name: String,
    value: Value,
    /// Whether the input reaches it.
    variable: bool,
}

pub struct Builder {
    pub random: Random,
    pub opset: i64,
    /// How many integers are being computed, each for another.
    pub nesting: usize,
    graph: GraphProto,
    values: Vec<Known>,
}

impl Builder {
    /// A graph of an operator set, with an input `x` of shape `[1, n]`.
    pub fn new(seed: u64, opset: i64, input: &[f64]) -> Self {
        let value = Value::floats(&[1, input.len()], input.to_vec());
        let graph = GraphProto { input: vec![port("x", Some(&value.shape))], ..GraphProto::default() };
        let values = vec![Known { name: "x".to_owned(), value, variable: true }];
        Self { random: Random::new(seed), opset, nesting: 0, graph, values }
    }

    pub fn value(&self, id: Id) -> &Value {
        &self.values[id.0].value
    }

    pub fn shape(&self, id: Id) -> Vec<usize> {
        self.value(id).shape.clone()
    }

    pub fn floats(&self, id: Id) -> &[f64] {
        self.value(id).as_floats().expect("floating point")
    }

    /// The floating point constants so far.
    pub fn constants(&self) -> Vec<Id> {
        let constant = |known: &Known| !known.variable && matches!(known.value.data, Data::Floats(_));
        (0..self.values.len()).filter(|&at| constant(&self.values[at])).map(Id).collect()
    }

    /// The floating point tensors of the file so far.
    pub fn stored(&self) -> Vec<Id> {
        self.constants().into_iter().filter(|id| self.values[id.0].name.starts_with('p')).collect()
    }

    /// Appends a node with one output.
    pub fn node(&mut self, operator: &str, inputs: &[Id], attributes: Vec<AttributeProto>) -> Id {
        self.nodes(operator, inputs, attributes, 1)[0]
    }

    /// Appends a node.
    pub fn nodes(&mut self, operator: &str, inputs: &[Id], attributes: Vec<AttributeProto>, outputs: usize) -> Vec<Id> {
        let given: Vec<Option<&Value>> = inputs.iter().map(|id| (*id != NONE).then(|| self.value(*id))).collect();
        let call = Call { operator, attributes: &attributes, inputs: &given, outputs, opset: self.opset };
        let found = operators::apply(&call).unwrap_or_else(|error| panic!("{operator}: {error} in\n{:?}", self.graph.node));
        let variable = inputs.iter().any(|id| *id != NONE && self.values[id.0].variable);
        let first = self.values.len();
        for value in found {
            self.values.push(Known { name: format!("v{}", self.values.len()), value, variable });
        }
        let names = |ids: &[Id]| ids.iter().map(|id| self.name(*id)).collect();
        let ids: Vec<Id> = (first..first + outputs).map(Id).collect();
        let node = NodeProto {
            input: names(inputs),
            output: names(&ids),
            name: format!("n{}", self.graph.node.len()),
            op_type: operator.to_owned(),
            attribute: attributes,
            domain: String::new(),
        };
        self.graph.node.push(node);
        ids
    }

    fn name(&self, id: Id) -> String {
        self.values.get(id.0).map_or_else(String::new, |known| known.name.clone())
    }

    /// Stores a tensor in the file: an initializer in `f32` or `f64`, or a `Constant` node in one of its spellings.
    pub fn store(&mut self, value: Value) -> Id {
        let id = Id(self.values.len());
        let floating = matches!(value.data, Data::Floats(_));
        let name = format!("{}{}", if floating { "p" } else { "k" }, id.0);
        let spelling = self.random.below(10);
        let mut tensor = encoded(&value, spelling == 0, self.random.chance(0.5));
        let attribute = match (&value.data, &value.shape[..]) {
            _ if spelling < 7 => None,
            (Data::Floats(data), []) if spelling == 7 => Some(float("value_float", data[0] as f32)),
            (Data::Floats(data), [_]) if spelling == 7 => Some(AttributeProto {
                floats: data.iter().map(|&x| x as f32).collect(),
                ..attribute("value_floats", AttributeType::Floats)
            }),
            (Data::Ints(data), []) if spelling == 7 => Some(int("value_int", data[0])),
            (Data::Ints(data), [_]) if spelling == 7 => Some(ints("value_ints", data)),
            _ => Some(AttributeProto { t: Some(tensor.clone()), ..attribute("value", AttributeType::Tensor) }),
        };
        self.values.push(Known { name: name.clone(), value, variable: false });
        match attribute {
            None => {
                tensor.name = name;
                self.graph.initializer.push(tensor);
            }
            Some(value) => self.graph.node.push(NodeProto {
                output: vec![name],
                name: format!("n{}", self.graph.node.len()),
                op_type: "Constant".to_owned(),
                attribute: vec![value],
                ..NodeProto::default()
            }),
        }
        id
    }

    /// The model with that output.
    pub fn finish(mut self, output: Id) -> ModelProto {
        self.graph.output = vec![port(&self.name(output), None)];
        model(self.graph, self.opset)
    }
}

/// A model around a graph.
pub fn model(graph: GraphProto, opset: i64) -> ModelProto {
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: opset }];
    ModelProto { ir_version: 8, graph: Some(graph), opset_import, ..ModelProto::default() }
}

/// A floating point input or output.
pub fn port(name: &str, shape: Option<&[usize]>) -> ValueInfoProto {
    let dim = |&extent: &usize| DimensionProto { value: Some(DimensionValue::Value(extent as i64)) };
    let shape = shape.map(|shape| TensorShapeProto { dim: shape.iter().map(dim).collect() });
    let tensor = TensorTypeProto { elem_type: DataType::Float.into(), shape };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }) }
}

/// A tensor message; `double`: floating point values in `f64`, `raw`: as bytes.
pub fn encoded(value: &Value, double: bool, raw: bool) -> TensorProto {
    let dims = value.shape.iter().map(|&extent| extent as i64).collect();
    let tensor = |kind: DataType| TensorProto { dims, data_type: kind.into(), ..TensorProto::default() };
    match &value.data {
        Data::Floats(data) if double => TensorProto { double_data: data.clone(), ..tensor(DataType::Double) },
        Data::Floats(data) => {
            let data: Vec<f32> = data.iter().map(|&x| x as f32).collect();
            if raw {
                let bytes = data.iter().flat_map(|x| x.to_le_bytes()).collect();
                return TensorProto { raw_data: Some(bytes), ..tensor(DataType::Float) };
            }
            TensorProto { float_data: data, ..tensor(DataType::Float) }
        }
        Data::Ints(data) => TensorProto { int64_data: data.clone(), ..tensor(DataType::Int64) },
        Data::Truths(data) => {
            TensorProto { int32_data: data.iter().map(|&truth| i32::from(truth)).collect(), ..tensor(DataType::Bool) }
        }
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind.into(), ..AttributeProto::default() }
}

pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

pub fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}
