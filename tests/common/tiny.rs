//! Tiny ONNX files, built with the crate's own message types: what a test needs and nothing else.

use nnverify::kernel::model::onnx::proto::{
    AttributeProto, AttributeType, DataType, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};
use prost::Message;

/// A graph under construction; `x` is its input, and its last node's result is the output.
pub struct Tiny {
    graph: GraphProto,
    seed: u64,
}

impl Tiny {
    /// A graph whose input is `x` of shape `[1, inputs]`.
    pub fn new(inputs: usize, seed: u64) -> Self {
        let graph = GraphProto { name: "tiny".into(), input: vec![value("x", &[1, inputs])], ..GraphProto::default() };
        Self { graph, seed }
    }

    /// The next pseudo-random number in `(−1, 1)`, exact in `f32`.
    fn next(&mut self) -> f32 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[allow(clippy::cast_precision_loss)] // 20 bits
        let value = (self.seed >> 44) as f32;
        value / 524_288.0 - 1.0
    }

    /// Any node; its result has its name.
    pub fn node(mut self, name: &str, operator: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> Self {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: operator.to_owned(),
            attribute: attributes,
            domain: String::new(),
        });
        self
    }

    /// `name = W·input + b` with pseudo-random weights of spectral norm about one.
    pub fn gemm(mut self, name: &str, input: &str, inputs: usize, outputs: usize) -> Self {
        #[allow(clippy::cast_precision_loss)] // small
        let scale = (inputs.max(outputs) as f32).sqrt().recip();
        let weights: Vec<f32> = (0..inputs * outputs).map(|_| scale * self.next()).collect();
        let bias: Vec<f32> = (0..outputs).map(|_| self.next()).collect();
        let (w, b) = (format!("{name}.weight"), format!("{name}.bias"));
        self.graph.initializer.push(tensor(&w, &[outputs, inputs], weights));
        self.graph.initializer.push(tensor(&b, &[outputs], bias));
        let transposed =
            AttributeProto { name: "transB".into(), r#type: AttributeType::Int.into(), i: Some(1), ..AttributeProto::default() };
        self.node(name, "Gemm", &[input, &w, &b], vec![transposed])
    }

    /// `name = (max(a, b), min(a, b))` over the halves of `input`.
    pub fn maxmin(mut self, name: &str, input: &str) -> Self {
        let part = |suffix: &str| format!("{name}.{suffix}");
        let axis = |axis: i64| AttributeProto {
            name: "axis".into(),
            r#type: AttributeType::Int.into(),
            i: Some(axis),
            ..AttributeProto::default()
        };
        self.graph.node.push(NodeProto {
            input: vec![input.to_owned()],
            output: vec![part("a"), part("b")],
            name: part("split"),
            op_type: "Split".into(),
            attribute: vec![axis(1)],
            domain: String::new(),
        });
        let halves = [part("a"), part("b")];
        let halves = [halves[0].as_str(), halves[1].as_str()];
        let (max, min) = (part("max"), part("min"));
        self.node(&max, "Max", &halves, vec![]).node(&min, "Min", &halves, vec![]).node(
            name,
            "Concat",
            &[&max, &min],
            vec![axis(1)],
        )
    }

    /// The graph so far, to be damaged.
    pub fn graph(&mut self) -> &mut GraphProto {
        &mut self.graph
    }

    /// The file, with `output` as the graph's output.
    pub fn finish(mut self, output: &str) -> Vec<u8> {
        self.graph.output = vec![ValueInfoProto { name: output.to_owned(), ..value(output, &[]) }];
        if let Some(output) = self.graph.output.first_mut() {
            // Only the element type: the shape follows from the nodes.
            output.r#type = Some(tensor_type(None));
        }
        file(self.graph)
    }
}

/// A file of opset 13 around a graph.
pub fn file(graph: GraphProto) -> Vec<u8> {
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 13 }];
    ModelProto { ir_version: 8, graph: Some(graph), opset_import, ..ModelProto::default() }.encode_to_vec()
}

/// An `f32` initialiser.
pub fn tensor(name: &str, dims: &[usize], values: Vec<f32>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.iter().map(|&extent| i64::try_from(extent).unwrap()).collect(),
        data_type: DataType::Float.into(),
        float_data: values,
        ..TensorProto::default()
    }
}

fn value(name: &str, dims: &[usize]) -> ValueInfoProto {
    ValueInfoProto { name: name.to_owned(), r#type: Some(tensor_type(Some(dims))) }
}

fn tensor_type(dims: Option<&[usize]>) -> TypeProto {
    let dimension = |&extent: &usize| DimensionProto { value: Some(DimensionValue::Value(i64::try_from(extent).unwrap())) };
    let shape = dims.map(|dims| TensorShapeProto { dim: dims.iter().map(dimension).collect() });
    TypeProto { value: Some(TypeValue::Tensor(TensorTypeProto { elem_type: DataType::Float.into(), shape })) }
}

/// Gemm, `ReLU`, Gemm, `MaxMin`, Gemm: 3 → 6 → 4 → 2.
pub fn mixed() -> Vec<u8> {
    Tiny::new(3, 1)
        .gemm("first", "x", 3, 6)
        .node("relu", "Relu", &["first"], vec![])
        .gemm("second", "relu", 6, 4)
        .maxmin("sorted", "second")
        .gemm("third", "sorted", 4, 2)
        .finish("third")
}

/// One linear layer: its bound is a norm, without a matrix inequality for the whole.
pub fn linear() -> Vec<u8> {
    Tiny::new(3, 2).gemm("only", "x", 3, 4).finish("only")
}

/// So many inputs that the points of the lower bound go to the bundle.
pub fn wide() -> Vec<u8> {
    Tiny::new(1100, 3)
        .gemm("first", "x", 1100, 5)
        .node("relu", "Relu", &["first"], vec![])
        .gemm("second", "relu", 5, 2)
        .finish("second")
}
