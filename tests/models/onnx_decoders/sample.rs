//! A model made for the tests.

use nnverify::kernel::model::onnx::proto::*;
use prost::Message;

/// A small model with every kind of field.
pub fn sample() -> Vec<u8> {
    let tensor = |name: &str, data_type: DataType, count: i64| TensorProto {
        name: name.into(),
        data_type: data_type as i32,
        dims: vec![count],
        ..Default::default()
    };
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    let attributes = vec![
        AttributeProto { name: "f".into(), r#type: 1, f: Some(0.5), ..Default::default() },
        AttributeProto { name: "i".into(), r#type: 2, i: Some(-1), ..Default::default() },
        AttributeProto { name: "s".into(), r#type: 3, s: Some(b"SAME_UPPER".to_vec()), ..Default::default() },
        AttributeProto { name: "ints".into(), r#type: 7, ints: vec![1, -300, i64::MAX], ..Default::default() },
        AttributeProto { name: "floats".into(), r#type: 6, floats: vec![1.0, f32::NAN], ..Default::default() },
        AttributeProto { name: "strings".into(), r#type: 8, strings: vec![b"a".to_vec(), vec![0xff]], ..Default::default() },
        AttributeProto {
            name: "value".into(),
            r#type: 4,
            t: Some(TensorProto { int32_data: vec![0x3c00, 7], ..tensor("h", DataType::Float16, 2) }),
            ..Default::default()
        },
    ];
    let node = NodeProto {
        input: vec!["x".into(), String::new(), "w".into()],
        output: vec!["y".into()],
        name: "n".into(),
        op_type: "Gemm".into(),
        domain: "com.example".into(),
        attribute: attributes,
    };
    let dim = |value| DimensionProto { value };
    let dims = vec![dim(Some(DimensionValue::Parameter("batch".into()))), dim(Some(DimensionValue::Value(4))), dim(None)];
    let value = |name: &str| ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(TypeValue::Tensor(TensorTypeProto { elem_type: 1, shape: Some(TensorShapeProto { dim: dims.clone() }) })),
        }),
    };
    let initializer = vec![
        TensorProto { raw_data: Some(1.5f32.to_le_bytes().to_vec()), ..tensor("w", DataType::Float, 1) },
        TensorProto { float_data: vec![1.0, -2.0], ..tensor("b", DataType::Float, 2) },
        TensorProto { double_data: vec![0.1], ..tensor("d", DataType::Double, 1) },
        TensorProto { int64_data: vec![-1, 0, 1 << 40], ..tensor("shape", DataType::Int64, 3) },
        TensorProto { uint64_data: vec![u64::MAX], ..tensor("u", DataType::Uint64, 1) },
        TensorProto {
            data_location: 1,
            external_data: vec![entry("location", "w.bin"), entry("offset", "4"), entry("length", "4")],
            ..tensor("e", DataType::Float, 1)
        },
    ];
    let graph = GraphProto {
        node: vec![node],
        name: "g".into(),
        initializer,
        input: vec![value("x")],
        output: vec![value("y")],
        value_info: vec![value("z")],
        ..Default::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 17 }];
    let producer_name = "sample".into();
    ModelProto { ir_version: 8, producer_name, graph: Some(graph), opset_import, ..Default::default() }.encode_to_vec()
}
