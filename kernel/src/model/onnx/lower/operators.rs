//! The table of operators: what is supported, and why some others cannot be.

use super::super::error::NodeError;
use super::graph::Slot;
use super::site::Site;
use super::versions::{NEWER_ATTRIBUTES, OLDER_ATTRIBUTES};
use super::{
    activation, cast, comparison, conv, einsum, elementwise, folding, foreign, grid, indexing, linear, movement, normalization,
    pooling, quantization, recurrent, reduce, resize, scatter,
};

/// The operator sets of the default domain that are understood.
pub(super) const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;

pub(super) struct Operator {
    pub name: &'static str,
    /// The operator set that introduced it; 7 stands for "before".
    pub since: i64,
    pub inputs: (usize, usize),
    /// Every attribute that the operator may have in any supported set; each is read, or cannot change the values.
    pub attributes: &'static [&'static str],
    pub lower: Lower,
}

pub(super) enum Lower {
    One(fn(&mut Site) -> Result<Slot, NodeError>),
    Many(fn(&mut Site) -> Result<Vec<Slot>, NodeError>),
}

pub(super) const fn one(
    name: &'static str,
    since: i64,
    inputs: (usize, usize),
    attributes: &'static [&'static str],
    lower: fn(&mut Site) -> Result<Slot, NodeError>,
) -> Operator {
    Operator { name, since, inputs, attributes, lower: Lower::One(lower) }
}

pub(super) const ANY: usize = usize::MAX;
const WINDOW: &[&str] = &["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"];
const REDUCTION: &[&str] = &["axes", "keepdims", "noop_with_empty_axes"];

const RECURRENT: &[&str] = &[
    "activation_alpha",
    "activation_beta",
    "activations",
    "clip",
    "direction",
    "hidden_size",
    "input_forget",
    "layout",
    "linear_before_reset",
];

/// In alphabetical order.
static OPERATORS: &[Operator] = &[
    one("Abs", 7, (1, 1), &[], elementwise::absolute),
    one("Acosh", 9, (1, 1), &[], activation::inverse_hyperbolic_cosine),
    one("Add", 7, (2, 2), &[], elementwise::add),
    one("And", 7, (2, 2), &[], folding::and),
    one("Atanh", 9, (1, 1), &[], activation::inverse_hyperbolic_tangent),
    one(
        "AveragePool",
        7,
        (1, 1),
        &["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"],
        pooling::average,
    ),
    one(
        "BatchNormalization",
        7,
        (5, 5),
        &["epsilon", "momentum", "spatial", "training_mode"],
        normalization::batch_normalization,
    ),
    one("Cast", 7, (1, 1), &["to", "saturate"], cast::cast),
    one("CastLike", 15, (2, 2), &["saturate"], cast::cast_like),
    one("Ceil", 7, (1, 1), &[], activation::ceiling),
    one("Celu", 12, (1, 1), &["alpha"], activation::celu),
    one("Clip", 7, (1, 3), &["max", "min"], activation::clip),
    one("Concat", 7, (1, ANY), &["axis"], indexing::concat),
    one("Constant", 7, (0, 0), &["value", "value_float", "value_floats", "value_int", "value_ints"], folding::constant),
    one("ConstantOfShape", 9, (1, 1), &["value"], folding::constant_of_shape),
    one("Conv", 7, (2, 3), &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"], conv::convolution),
    one(
        "ConvTranspose",
        7,
        (2, 3),
        &["auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads", "strides"],
        conv::transposed,
    ),
    one("Cos", 7, (1, 1), &[], activation::cosine),
    one("Cosh", 9, (1, 1), &[], activation::hyperbolic_cosine),
    one("CumSum", 11, (2, 2), &["exclusive", "reverse"], scatter::cumulative_sum),
    one("DepthToSpace", 7, (1, 1), &["blocksize", "mode"], movement::depth_to_space),
    one("DequantizeLinear", 10, (2, 3), &["axis", "block_size", "output_dtype"], quantization::dequantize),
    one("Div", 7, (2, 2), &[], elementwise::divide),
    one("Dropout", 7, (1, 3), &["ratio", "seed"], movement::dropout),
    one("Einsum", 12, (1, ANY), &["equation"], einsum::einsum),
    one("Elu", 7, (1, 1), &["alpha"], activation::elu),
    one("Equal", 7, (2, 2), &[], comparison::equal),
    one("Erf", 9, (1, 1), &[], activation::erf),
    one("Erfc", 7, (1, 1), &[], activation::complementary_error),
    one("Exp", 7, (1, 1), &[], activation::exponential),
    one("Expand", 8, (2, 2), &[], movement::expand),
    one("Flatten", 7, (1, 1), &["axis"], movement::flatten),
    one("Floor", 7, (1, 1), &[], activation::floor),
    Operator { name: "GRU", since: 7, inputs: (3, 6), attributes: RECURRENT, lower: Lower::Many(recurrent::gru) },
    one("Gather", 7, (2, 2), &["axis"], indexing::gather),
    one("GatherElements", 11, (2, 2), &["axis"], scatter::gather_elements),
    one("GatherND", 11, (2, 2), &["batch_dims"], scatter::gather_nd),
    one("Gelu", 20, (1, 1), &["approximate"], activation::gelu),
    one("Gemm", 7, (2, 3), &["alpha", "beta", "transA", "transB"], linear::gemm),
    one("GlobalAveragePool", 7, (1, 1), &[], pooling::global_average),
    one("GlobalLpPool", 7, (1, 1), &["p"], pooling::global_norm),
    one("GlobalMaxPool", 7, (1, 1), &[], pooling::global_max),
    one("Greater", 7, (2, 2), &[], comparison::greater),
    one("GreaterOrEqual", 12, (2, 2), &[], comparison::greater_or_equal),
    one("GridSample", 16, (2, 2), &["align_corners", "mode", "padding_mode"], grid::grid_sample),
    one("GroupNormalization", 18, (3, 3), &["epsilon", "num_groups", "stash_type"], normalization::group_normalization),
    one("HardSigmoid", 7, (1, 1), &["alpha", "beta"], activation::hard_sigmoid),
    one("HardSwish", 14, (1, 1), &[], activation::hard_swish),
    one("Identity", 7, (1, 1), &[], movement::identity),
    one("InstanceNormalization", 7, (3, 3), &["epsilon"], normalization::instance_normalization),
    one("LRN", 7, (1, 1), &["alpha", "beta", "bias", "size"], normalization::local_response_normalization),
    Operator { name: "LSTM", since: 7, inputs: (3, 8), attributes: RECURRENT, lower: Lower::Many(recurrent::lstm) },
    one("LayerNormalization", 17, (2, 3), &["axis", "epsilon", "stash_type"], normalization::layer_normalization),
    one("LeakyRelu", 7, (1, 1), &["alpha"], activation::leaky_relu),
    one("Less", 7, (2, 2), &[], comparison::less),
    one("LessOrEqual", 12, (2, 2), &[], comparison::less_or_equal),
    one("Log", 7, (1, 1), &[], activation::logarithm),
    one("LogSoftmax", 7, (1, 1), &["axis"], reduce::log_softmax),
    one("LpNormalization", 7, (1, 1), &["axis", "p"], normalization::lp_normalization),
    one("LpPool", 7, (1, 1), &["auto_pad", "ceil_mode", "dilations", "kernel_shape", "p", "pads", "strides"], pooling::norm),
    one("MatMul", 7, (2, 2), &[], linear::matmul),
    one("Max", 7, (1, ANY), &[], elementwise::maximum),
    one("MaxPool", 7, (1, 1), WINDOW, pooling::max),
    one("Mean", 7, (1, ANY), &[], elementwise::mean),
    one("MeanVarianceNormalization", 9, (1, 1), &["axes"], normalization::mean_variance_normalization),
    one("Min", 7, (1, ANY), &[], elementwise::minimum),
    one("Mish", 18, (1, 1), &[], activation::mish),
    one("Mod", 10, (2, 2), &["fmod"], folding::modulo),
    one("Mul", 7, (2, 2), &[], elementwise::multiply),
    one("Neg", 7, (1, 1), &[], elementwise::negate),
    one("Not", 7, (1, 1), &[], comparison::not),
    one("OneHot", 9, (3, 3), &["axis"], scatter::one_hot),
    one("Or", 7, (2, 2), &[], folding::or),
    one("PRelu", 7, (2, 2), &[], activation::parametric_relu),
    one("Pad", 7, (1, 4), &["mode", "pads", "value"], indexing::pad),
    one("Pow", 7, (2, 2), &[], elementwise::power),
    one(
        "QLinearConv",
        10,
        (8, 9),
        &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"],
        quantization::quantized_convolution,
    ),
    one("QLinearMatMul", 10, (8, 8), &[], quantization::quantized_matmul),
    one("QuantizeLinear", 10, (2, 3), &["axis", "block_size", "output_dtype", "precision", "saturate"], quantization::quantize),
    one("RMSNormalization", 23, (2, 2), &["axis", "epsilon", "stash_type"], normalization::rms_normalization),
    Operator { name: "RNN", since: 7, inputs: (3, 6), attributes: RECURRENT, lower: Lower::Many(recurrent::rnn) },
    one("Range", 11, (3, 3), &[], folding::range),
    one("Reciprocal", 7, (1, 1), &[], elementwise::reciprocal),
    one("ReduceL1", 7, (1, 2), REDUCTION, reduce::sum_of_magnitudes),
    one("ReduceL2", 7, (1, 2), REDUCTION, reduce::norm),
    one("ReduceLogSum", 7, (1, 2), REDUCTION, reduce::log_sum),
    one("ReduceLogSumExp", 7, (1, 2), REDUCTION, reduce::log_sum_exp),
    one("ReduceMax", 7, (1, 2), REDUCTION, reduce::max),
    one("ReduceMean", 7, (1, 2), REDUCTION, reduce::mean),
    one("ReduceMin", 7, (1, 2), REDUCTION, reduce::min),
    one("ReduceProd", 7, (1, 2), REDUCTION, reduce::prod),
    one("ReduceSum", 7, (1, 2), REDUCTION, reduce::sum),
    one("ReduceSumSquare", 7, (1, 2), REDUCTION, reduce::sum_of_squares),
    one("Relu", 7, (1, 1), &[], activation::relu),
    one("Reshape", 7, (2, 2), &["allowzero"], movement::reshape),
    one(
        "Resize",
        10,
        (2, 4),
        &[
            "antialias",
            "axes",
            "coordinate_transformation_mode",
            "cubic_coeff_a",
            "exclude_outside",
            "extrapolation_value",
            "keep_aspect_ratio_policy",
            "mode",
            "nearest_mode",
        ],
        resize::resize,
    ),
    one("Round", 11, (1, 1), &[], activation::round),
    one("ScatterElements", 11, (3, 3), &["axis", "reduction"], scatter::scatter_elements),
    one("ScatterND", 11, (3, 3), &["reduction"], scatter::scatter_nd),
    one("Selu", 7, (1, 1), &["alpha", "gamma"], activation::selu),
    one("Shape", 7, (1, 1), &["end", "start"], folding::shape),
    one("Shrink", 9, (1, 1), &["bias", "lambd"], activation::shrink),
    one("Sigmoid", 7, (1, 1), &[], activation::sigmoid),
    one("Sign", 9, (1, 1), &[], elementwise::sign),
    one("Sin", 7, (1, 1), &[], activation::sine),
    one("Sinh", 9, (1, 1), &[], activation::hyperbolic_sine),
    one("Size", 7, (1, 1), &[], folding::size),
    one("Slice", 7, (1, 5), &["axes", "ends", "starts"], indexing::slice),
    one("Softmax", 7, (1, 1), &["axis"], reduce::softmax),
    one("Softplus", 7, (1, 1), &[], activation::softplus),
    one("Softsign", 7, (1, 1), &[], activation::softsign),
    one("SpaceToDepth", 7, (1, 1), &["blocksize"], movement::space_to_depth),
    Operator {
        name: "Split",
        since: 7,
        inputs: (1, 2),
        attributes: &["axis", "num_outputs", "split"],
        lower: Lower::Many(indexing::split),
    },
    one("Sqrt", 7, (1, 1), &[], activation::square_root),
    one("Squeeze", 7, (1, 2), &["axes"], movement::squeeze),
    one("Sub", 7, (2, 2), &[], elementwise::subtract),
    one("Sum", 7, (1, ANY), &[], elementwise::sum),
    one("Swish", 24, (1, 1), &["alpha"], activation::swish),
    one("Tan", 7, (1, 1), &[], activation::tangent),
    one("Tanh", 7, (1, 1), &[], activation::tanh),
    one("ThresholdedRelu", 10, (1, 1), &["alpha"], activation::thresholded_relu),
    one("Tile", 7, (2, 2), &[], movement::tile),
    Operator {
        name: "TopK",
        since: 7,
        inputs: (1, 2),
        attributes: &["axis", "k", "largest", "sorted"],
        lower: Lower::Many(reduce::top_k),
    },
    one("Transpose", 7, (1, 1), &["perm"], movement::transpose),
    one("Trilu", 14, (1, 2), &["upper"], scatter::triangle),
    one("Unsqueeze", 7, (1, 2), &["axes"], movement::unsqueeze),
    one("Upsample", 7, (1, 2), &["mode", "scales"], resize::upsample),
    one("Where", 9, (3, 3), &[], comparison::choose),
    one("Xor", 7, (2, 2), &[], folding::xor),
];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|operator| operator.name)
}

/// The operator of that name in that operator set, after checking the node's attributes and number of inputs.
pub(super) fn find(name: &str, opset: i64, given: usize, attributes: &[&str]) -> Result<&'static Operator, NodeError> {
    let found = OPERATORS.binary_search_by(|operator| operator.name.cmp(name)).ok();
    let operator = found.and_then(|index| OPERATORS.get(index)).ok_or_else(|| unsupported(name, "ai.onnx"))?;
    checked(operator, "", opset, given, attributes)
}

/// The operator, after checking a node's attributes and number of inputs.
pub(super) fn checked(
    operator: &'static Operator,
    domain: &str,
    opset: i64,
    given: usize,
    attributes: &[&str],
) -> Result<&'static Operator, NodeError> {
    let name = operator.name;
    if opset < operator.since {
        let since = operator.since;
        return Err(NodeError::invalid(format!("the operator exists only since operator set {since}")));
    }
    let (least, most) = operator.inputs;
    if !(least..=most).contains(&given) {
        let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
        return Err(NodeError::invalid(format!("it has {given} inputs where {range} are defined")));
    }
    // The tables are those of the default domain.
    let versions = |table: &[(&str, &str, i64)], attribute: &str| {
        let mut rows = table.iter().filter(|_| domain.is_empty());
        rows.find(|(operator, own, _)| *operator == name && *own == attribute).map(|(_, _, version)| *version)
    };
    for attribute in attributes {
        if !operator.attributes.contains(attribute) {
            return Err(NodeError::attribute(attribute, "is not known, so it might change what the operator computes"));
        }
        if let Some(since) = versions(NEWER_ATTRIBUTES, attribute).filter(|&since| opset < since) {
            return Err(NodeError::attribute(attribute, format!("exists only since operator set {since}")));
        }
        if let Some(until) = versions(OLDER_ATTRIBUTES, attribute).filter(|&until| opset >= until) {
            return Err(NodeError::attribute(attribute, format!("does not exist since operator set {until}")));
        }
    }
    Ok(operator)
}

/// The error for an operator that is not in the table.
pub(super) fn unsupported(name: &str, domain: &str) -> NodeError {
    let (detail, hint) = match name {
        _ if domain.starts_with("com.microsoft") => (
            Some("it is ONNX Runtime's own"),
            "save the model as it was exported, without ONNX Runtime's optimisations beyond `basic`",
        ),
        _ if domain == foreign::LEARNING => (
            Some("of this domain the linear models, regressors by trees and support vectors, Scaler and Normalizer are"),
            "cut the model before this node, or export the estimator as a neural network",
        ),
        _ if domain != "ai.onnx" => (
            Some("only operators of the default domain are"),
            "export the model with operators of the default domain, or cut it before this node",
        ),
        "If" | "Loop" | "Scan" | "SequenceMap" => (Some("it has subgraphs"), "export the model without control flow"),
        "Hardmax" | "ArgMax" | "ArgMin" => (
            Some("it is discontinuous; of such operators Ceil, Floor, Round, Sign and comparisons are supported"),
            "cut the model before this node",
        ),
        "Bernoulli" | "Multinomial" | "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike" => {
            (Some("its output is random"), "export the model in inference mode")
        }
        "DynamicQuantizeLinear" | "ConvInteger" | "MatMulInteger" => (
            Some("its scales depend on the values that it quantises"),
            "quantise the model statically, take the float model, or quantise its weights alone",
        ),
        _ => (
            None,
            "export it as operators that are supported (`README.md` names them by kind), or cut the model before this node",
        ),
    };
    NodeError::UnsupportedOperator {
        operator: name.to_owned(),
        domain: domain.to_owned(),
        detail: detail.map(str::to_owned),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_without_duplicates() {
        assert!(OPERATORS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn attributes_are_held_to_their_operator_sets() {
        assert!(find("Clip", 10, 1, &["min"]).is_ok() && find("Clip", 11, 1, &["min"]).is_err());
        assert!(find("TopK", 11, 2, &["largest"]).is_ok() && find("TopK", 10, 2, &["largest"]).is_err());
        assert!(find("Relu", 13, 1, &["alpha"]).is_err() && find("Relu", 13, 2, &[]).is_err());
        assert!(find("Gelu", 19, 1, &[]).is_err() && find("Nothing", 19, 1, &[]).is_err());
    }
}
