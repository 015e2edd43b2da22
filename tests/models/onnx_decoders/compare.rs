//! Field by field, what two decoders read from one file.

use nnverify::kernel::model::onnx::proto::{
    DimensionValue, GraphProto, ModelProto, NodeProto, TensorProto, TypeValue, ValueInfoProto,
};
use onnx_protobuf as second;

/// `Err` with the place and both values where they differ.
macro_rules! same {
    ($place:expr, $ours:expr, $theirs:expr) => {
        match (&$ours, &$theirs) {
            (ours, theirs) if ours == theirs => {}
            (ours, theirs) => return Err(format!("{}: {:.200?} and {:.200?}", $place, ours, theirs)),
        }
    };
}

/// Compares lists of messages item by item.
fn each<A, B>(place: &str, ours: &[A], theirs: &[B], compare: impl Fn(&A, &B) -> Result<(), String>) -> Result<(), String> {
    same!(place, ours.len(), theirs.len());
    let mut pairs = ours.iter().zip(theirs).enumerate();
    pairs.try_for_each(|(index, (a, b))| compare(a, b).map_err(|error| format!("{place} {index}: {error}")))
}

/// `Err` names the first difference.
pub fn compare_models(ours: &ModelProto, theirs: &second::ModelProto) -> Result<(), String> {
    same!("ir_version", ours.ir_version, theirs.ir_version);
    same!("producer_name", ours.producer_name, theirs.producer_name);
    same!("producer_version", ours.producer_version, theirs.producer_version);
    same!("functions", ours.functions.len(), theirs.functions.len());
    each("opset_import", &ours.opset_import, &theirs.opset_import, |a, b| {
        same!("opset", (&a.domain, a.version), (&b.domain, b.version));
        Ok(())
    })?;
    match (ours.graph.as_ref(), theirs.graph.as_ref()) {
        (Some(a), Some(b)) => compare_graphs(a, b),
        (a, b) => Err(format!("graph: {} and {}", a.is_some(), b.is_some())),
    }
}

fn compare_graphs(ours: &GraphProto, theirs: &second::GraphProto) -> Result<(), String> {
    same!("name", ours.name, theirs.name);
    each("node", &ours.node, &theirs.node, compare_nodes)?;
    each("initializer", &ours.initializer, &theirs.initializer, compare_tensors)?;
    each("sparse_initializer", &ours.sparse_initializer, &theirs.sparse_initializer, |a, b| {
        match (a.values.as_ref(), b.values.as_ref()) {
            (Some(a), Some(b)) => compare_tensors(a, b),
            (a, b) => {
                same!("values", a.is_some(), b.is_some());
                Ok(())
            }
        }
    })?;
    each("input", &ours.input, &theirs.input, compare_values)?;
    each("output", &ours.output, &theirs.output, compare_values)?;
    each("value_info", &ours.value_info, &theirs.value_info, compare_values)
}

fn compare_nodes(ours: &NodeProto, theirs: &second::NodeProto) -> Result<(), String> {
    same!("name", ours.name, theirs.name);
    same!("op_type", ours.op_type, theirs.op_type);
    same!("domain", ours.domain, theirs.domain);
    same!("input", ours.input, theirs.input);
    same!("output", ours.output, theirs.output);
    each("attribute", &ours.attribute, &theirs.attribute, |a, b| {
        same!("name", a.name, b.name);
        same!("ref_attr_name", a.ref_attr_name, b.ref_attr_name);
        same!("type", a.r#type, b.type_.value());
        same!("f", a.f.unwrap_or(0.0).to_bits(), b.f.to_bits());
        same!("i", a.i.unwrap_or(0), b.i);
        same!("s", a.s.clone().unwrap_or_default(), b.s);
        same!("g", a.g.is_some(), b.g.is_some());
        same!("tp", a.tp.is_some(), b.tp.is_some());
        same!("sparse_tensor", a.sparse_tensor.is_some(), b.sparse_tensor.is_some());
        same!("graphs", a.graphs.len(), b.graphs.len());
        same!("floats", bits(&a.floats), bits(&b.floats));
        same!("ints", a.ints, b.ints);
        same!("strings", a.strings, b.strings);
        same!("t", a.t.is_some(), b.t.is_some());
        if let (Some(a), Some(b)) = (a.t.as_ref(), b.t.as_ref()) {
            compare_tensors(a, b)?;
        }
        each("tensors", &a.tensors, &b.tensors, compare_tensors)
    })
}

fn compare_tensors(ours: &TensorProto, theirs: &second::TensorProto) -> Result<(), String> {
    same!("name", ours.name, theirs.name);
    same!("dims", ours.dims, theirs.dims);
    same!("data_type", ours.data_type, theirs.data_type);
    same!("segment", ours.segment.is_some(), theirs.segment.is_some());
    same!("float_data", bits(&ours.float_data), bits(&theirs.float_data));
    same!("int32_data", ours.int32_data, theirs.int32_data);
    same!("string_data", ours.string_data, theirs.string_data);
    same!("int64_data", ours.int64_data, theirs.int64_data);
    same!("raw_data", ours.raw_data.as_deref().unwrap_or_default(), theirs.raw_data);
    let double_bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    same!("double_data", double_bits(&ours.double_data), double_bits(&theirs.double_data));
    same!("uint64_data", ours.uint64_data, theirs.uint64_data);
    same!("data_location", ours.data_location, theirs.data_location.value());
    each("external_data", &ours.external_data, &theirs.external_data, |a, b| {
        same!("entry", (&a.key, &a.value), (&b.key, &b.value));
        Ok(())
    })
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn compare_values(ours: &ValueInfoProto, theirs: &second::ValueInfoProto) -> Result<(), String> {
    use second::tensor_shape_proto::dimension::Value as Extent;
    use second::type_proto::Value as Type;
    same!("name", ours.name, theirs.name);
    same!("type", ours.r#type.is_some(), theirs.type_.is_some());
    let value = ours.r#type.as_ref().and_then(|t| t.value.as_ref());
    match (value, theirs.type_.as_ref().and_then(|t| t.value.as_ref())) {
        (Some(TypeValue::Tensor(a)), Some(Type::TensorType(b))) => {
            same!("elem_type", a.elem_type, b.elem_type);
            same!("shape", a.shape.is_some(), b.shape.is_some());
            let (a, b) = (a.shape.clone().unwrap_or_default(), b.shape.clone().unwrap_or_default());
            each("dim", &a.dim, &b.dim, |a, b| match (a.value.as_ref(), b.value.as_ref()) {
                (None, None) => Ok(()),
                (Some(DimensionValue::Value(a)), Some(Extent::DimValue(b))) if a == b => Ok(()),
                (Some(DimensionValue::Parameter(a)), Some(Extent::DimParam(b))) if a == b => Ok(()),
                (a, b) => Err(format!("{a:?} and {b:?}")),
            })
        }
        (None, None)
        | (Some(TypeValue::Sequence(_)), Some(Type::SequenceType(_)))
        | (Some(TypeValue::Map(_)), Some(Type::MapType(_)))
        | (Some(TypeValue::SparseTensor(_)), Some(Type::SparseTensorType(_)))
        | (Some(TypeValue::Optional(_)), Some(Type::OptionalType(_))) => Ok(()),
        (a, b) => Err(format!("{a:?} and {b:?}")),
    }
}
