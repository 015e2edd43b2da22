//! The walk over a graph: what it accepts, what it refuses, and that it stays total.

use super::super::error::{GraphError, LoadError, NodeError};
use super::super::external::ExternalData;
use super::super::proto::{
    AttributeProto, AttributeType, DataType, DimensionProto, DimensionValue, FunctionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, SparseTensorProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};
use super::{Lowered, lower};
use crate::model::ir::{Binary, Op, evaluate};

fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let strings = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    NodeProto { op_type: operator.to_owned(), input: strings(inputs), output: strings(outputs), ..Default::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: AttributeType::Int as i32, i: Some(value), ..Default::default() }
}

fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        float_data: values.to_vec(),
        ..Default::default()
    }
}

fn ints(name: &str, values: &[i64]) -> TensorProto {
    let dims = vec![i64::try_from(values.len()).unwrap()];
    TensorProto {
        name: name.to_owned(),
        dims,
        data_type: DataType::Int64 as i32,
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

fn port(name: &str, element: DataType, dims: &[Option<DimensionValue>]) -> ValueInfoProto {
    let dim = dims.iter().map(|value| DimensionProto { value: value.clone() }).collect();
    let tensor = TensorTypeProto { elem_type: element as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }) }
}

fn fixed(name: &str, dims: &[i64]) -> ValueInfoProto {
    port(name, DataType::Float, &dims.iter().map(|&dim| Some(DimensionValue::Value(dim))).collect::<Vec<_>>())
}

/// A model of operator set 13 from an input `x` of shape `[1, 4]` to an output `y`.
fn model(nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let graph = GraphProto {
        node: nodes,
        initializer,
        input: vec![fixed("x", &[1, 4])],
        output: vec![ValueInfoProto { name: "y".to_owned(), r#type: None }],
        ..Default::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 13 }];
    ModelProto { ir_version: 8, graph: Some(graph), opset_import, ..Default::default() }
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

fn lowered(model: ModelProto) -> Lowered {
    lower(model, &mut ExternalData::new(None)).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(model: ModelProto) -> LoadError {
    match lower(model, &mut ExternalData::new(None)) {
        Err(error) => error,
        Ok(_) => panic!("the model was accepted"),
    }
}

fn relu() -> Vec<NodeProto> {
    vec![node("Relu", &["x"], &["y"])]
}

#[test]
fn nodes_may_stand_in_any_order() {
    let nodes = vec![node("Relu", &["h"], &["y"]), node("Neg", &["x"], &["h"])];
    let network = lowered(model(nodes, Vec::new())).network;
    assert_eq!(evaluate(&network, &[1.0, -2.0, 3.0, -4.0]).unwrap(), [0.0, 2.0, 0.0, 4.0]);
}

#[test]
fn a_cycle_is_named() {
    let nodes = vec![
        node("Relu", &["c"], &["y"]),
        node("Add", &["x", "c"], &["a"]),
        node("Relu", &["a"], &["b"]),
        node("Neg", &["b"], &["c"]),
    ];
    let LoadError::Graph(GraphError::Cycle { nodes }) = refused(model(nodes, Vec::new())) else { panic!("another error") };
    assert_eq!(nodes.len(), 3);
    assert!(["a", "b", "c"].iter().all(|name| nodes.iter().any(|node| node == name)));
    let own = vec![node("Add", &["x", "y"], &["y"])];
    assert!(matches!(refused(model(own, Vec::new())), LoadError::Graph(GraphError::Cycle { nodes }) if nodes == ["y"]));
}

#[test]
fn what_the_output_does_not_need_is_ignored() {
    let mut nodes = relu();
    nodes.push(node("Nonsense", &["nowhere"], &["z"]));
    let lowered = lowered(model(nodes, vec![floats("unused", &[1], &[f32::NAN])]));
    assert_eq!((lowered.operators, lowered.parameters), (vec![("Relu".to_owned(), 1)], 0));
}

#[test]
fn the_interface_is_one_input_and_one_output() {
    let mut listed = model(relu(), vec![floats("w", &[1], &[1.0])]);
    graph(&mut listed).input.insert(0, fixed("w", &[1]));
    assert!(lower(listed, &mut ExternalData::new(None)).is_ok());

    let mut several = model(relu(), Vec::new());
    graph(&mut several).input.push(fixed("second", &[1, 4]));
    assert!(matches!(refused(several), LoadError::Graph(GraphError::SeveralInputs { names }) if names == ["x", "second"]));

    let mut several = model(relu(), Vec::new());
    graph(&mut several).output.push(fixed("x", &[1, 4]));
    assert!(matches!(refused(several), LoadError::Graph(GraphError::SeveralOutputs { .. })));

    let mut none = model(relu(), Vec::new());
    graph(&mut none).input.clear();
    assert!(matches!(refused(none), LoadError::Graph(GraphError::NoInput)));
}

#[test]
fn only_the_batch_dimension_may_be_open() {
    let name = |name: &str| Some(DimensionValue::Parameter(name.to_owned()));
    for batch in [name("N"), name(""), None, Some(DimensionValue::Value(0)), Some(DimensionValue::Value(-1))] {
        let mut open = model(relu(), Vec::new());
        graph(&mut open).input = vec![port("x", DataType::Float, &[batch, Some(DimensionValue::Value(4))])];
        let lowered = lowered(open);
        assert_eq!((lowered.input.shape, lowered.notes.len()), (vec![1, 4], 1));
    }
    let one = Some(DimensionValue::Value(1));
    for (element, dims, word) in [
        (DataType::Float, vec![one.clone(), name("width")], "`width`"),
        (DataType::Float, vec![one.clone(), Some(DimensionValue::Value(0))], "0 is not fixed"),
        (DataType::Int64, vec![one], "Int64"),
    ] {
        let mut wrong = model(relu(), Vec::new());
        graph(&mut wrong).input = vec![port("x", element, &dims)];
        assert!(refused(wrong).to_string().contains(word));
    }
    let mut untyped = model(relu(), Vec::new());
    graph(&mut untyped).input[0].r#type = None;
    assert!(matches!(refused(untyped), LoadError::Graph(GraphError::Value { .. })));
}

#[test]
fn operator_sets_must_be_one_known_version() {
    let mut repeated = model(relu(), Vec::new());
    repeated.opset_import.push(OperatorSetIdProto { domain: "ai.onnx".to_owned(), version: 13 });
    repeated.opset_import.push(OperatorSetIdProto { domain: "ai.onnx.ml".to_owned(), version: 2 });
    assert_eq!(lowered(repeated.clone()).opset, 13);
    repeated.opset_import[1].version = 14;
    assert!(matches!(refused(repeated), LoadError::Graph(GraphError::DuplicateOpset { .. })));
    let mut none = model(relu(), Vec::new());
    none.opset_import.clear();
    assert!(matches!(refused(none), LoadError::Graph(GraphError::NoOpset { .. })));
}

#[test]
fn other_domains_functions_subgraphs_and_sparse_tensors_are_named() {
    let mut foreign = relu();
    foreign[0].domain = "com.microsoft".to_owned();
    assert!(refused(model(foreign, Vec::new())).to_string().contains("com.microsoft"));
    let mut function = model(relu(), Vec::new());
    function.functions.push(FunctionProto { name: "Relu".to_owned(), domain: String::new() });
    assert!(refused(function).to_string().contains("Relu"));
    let mut sparse = model(relu(), Vec::new());
    graph(&mut sparse).sparse_initializer.push(SparseTensorProto { values: Some(floats("s", &[1], &[1.0])) });
    assert!(matches!(refused(sparse), LoadError::Graph(GraphError::SparseInitializer { name }) if name == "s"));
    assert!(refused(model(vec![node("If", &["x"], &["y"])], Vec::new())).to_string().contains("subgraphs"));
}

#[test]
fn attributes_have_the_type_that_their_operator_defines() {
    let mut wrong = int("axis", 1);
    wrong.r#type = AttributeType::Float as i32;
    let error = refused(model(vec![with(node("Flatten", &["x"], &["y"]), wrong)], Vec::new()));
    assert!(matches!(error, LoadError::Node { kind, .. } if matches!(*kind, NodeError::Attribute { .. })));
    // Some writers omit a value of zero but state its type.
    let mut omitted = int("axis", 0);
    omitted.i = None;
    let flat = lowered(model(vec![with(node("Flatten", &["x"], &["y"]), omitted.clone())], Vec::new()));
    assert_eq!(flat.output.shape, [1, 4]);
    omitted.r#type = AttributeType::Undefined as i32;
    refused(model(vec![with(node("Flatten", &["x"], &["y"]), omitted)], Vec::new()));
}

#[test]
fn a_weight_that_is_used_twice_stays_one_constant() {
    let nodes = vec![node("MatMul", &["x", "w"], &["h"]), node("Transpose", &["w"], &["t"]), node("MatMul", &["h", "t"], &["y"])];
    let lowered = lowered(model(nodes, vec![floats("w", &[4, 1], &[1.0, 2.0, 3.0, 4.0])]));
    assert_eq!(lowered.parameters, 4);
    let constants = lowered.network.nodes().iter().filter(|node| matches!(node.op, Op::Constant(_)));
    assert_eq!(constants.count(), 1);
}

/// A weight with one reader is moved into place in the constant, so that no arithmetic or movement is left at run time.
#[test]
fn a_weight_that_is_used_once_is_moved_in_place() {
    let mut gemm = node("Gemm", &["x", "w"], &["y"]);
    gemm.attribute.push(int("transB", 1));
    let network = lowered(model(vec![gemm], vec![floats("w", &[1, 4], &[1.0, 2.0, 3.0, 4.0])])).network;
    assert!(network.nodes().iter().all(|node| !matches!(node.op, Op::Rearrange(_))));
}

#[test]
fn floating_point_arithmetic_on_constants_is_not_carried_out() {
    let nodes = vec![node("Add", &["a", "b"], &["c"]), node("Mul", &["x", "c"], &["y"])];
    let constants = vec![floats("a", &[4], &[0.1; 4]), floats("b", &[4], &[0.2; 4])];
    let network = lowered(model(nodes, constants)).network;
    let kept = |node: &&crate::model::ir::Node| node.op == Op::Binary(Binary::Add) && !node.variable;
    assert_eq!(network.nodes().iter().filter(kept).count(), 1);
}

#[test]
fn long_chains_neither_overflow_the_stack_nor_take_long() {
    let length = 100_000;
    for operator in ["Relu", "Identity"] {
        let name = |i: usize| if i == 0 { "x".to_owned() } else { format!("v{i}") };
        let mut nodes: Vec<NodeProto> = (0..length).rev().map(|i| node(operator, &[&name(i)], &[&name(i + 1)])).collect();
        nodes.push(node("Neg", &[&name(length)], &["y"]));
        assert_eq!(lowered(model(nodes, Vec::new())).operators.len(), 2);
    }
    let many = vec!["x"; length];
    lowered(model(vec![node("Max", &many, &["y"])], Vec::new()));
}

#[test]
fn elements_and_axes_are_limited() {
    let mut built = super::graph::Graph::default();
    assert!((0..4).all(|_| built.charge(&[1 << 26]).is_ok()));
    assert!(built.charge(&[1]).unwrap_err().to_string().contains("together"));
    let axes = ints("s", &(0..100).collect::<Vec<_>>());
    assert!(refused(model(vec![node("Unsqueeze", &["x", "s"], &["y"])], vec![axes])).to_string().contains("axes"));
}

#[test]
fn a_long_name_is_not_copied_to_every_node() {
    let name = "n".repeat(1 << 20);
    let mut long = node("Max", &["x"; 50], &["y"]);
    long.name = name;
    let network = lowered(model(vec![long], Vec::new())).network;
    assert!(network.nodes().iter().all(|node| node.name.len() <= 1 << 10));
}

#[test]
fn an_empty_output_is_refused() {
    let nodes = vec![node("Slice", &["x", "zero", "zero", "one"], &["y"])];
    let error = refused(model(nodes, vec![ints("zero", &[0]), ints("one", &[1])]));
    assert!(matches!(error, LoadError::Graph(GraphError::Value { .. } | GraphError::ConstantOutput { .. })));
}
