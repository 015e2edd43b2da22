//! The table of operators of other domains than ONNX's own.

use super::super::error::NodeError;
use super::graph::Slot;
use super::operators::{ANY, Lower, Operator, checked, one, unsupported};
use super::site::Site;
use super::{contrib, quantization, trees};

const MICROSOFT: &str = "com.microsoft";
pub(super) const LEARNING: &str = "ai.onnx.ml";

const fn foreign(
    name: &'static str,
    inputs: (usize, usize),
    attributes: &'static [&'static str],
    lower: fn(&mut Site) -> Result<Slot, NodeError>,
) -> Operator {
    one(name, 1, inputs, attributes, lower)
}

/// Operators of other domains.
static FOREIGN: &[(&str, Operator)] = &[
    (MICROSOFT, foreign("BiasGelu", (2, 2), &[], contrib::bias_gelu)),
    (MICROSOFT, foreign("DequantizeLinear", (2, 3), &["axis", "block_size"], quantization::dequantize)),
    (MICROSOFT, foreign("FastGelu", (1, 2), &[], contrib::fast_gelu)),
    (
        MICROSOFT,
        foreign(
            "FusedConv",
            (2, 4),
            &["activation", "activation_params", "auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"],
            contrib::fused_convolution,
        ),
    ),
    (
        MICROSOFT,
        foreign(
            "FusedGemm",
            (2, 3),
            &["activation", "activation_alpha", "activation_beta", "activation_gamma", "alpha", "beta", "transA", "transB"],
            contrib::fused_gemm,
        ),
    ),
    (
        MICROSOFT,
        foreign("FusedMatMul", (2, 2), &["alpha", "transA", "transB", "transBatchA", "transBatchB"], contrib::fused_matmul),
    ),
    (MICROSOFT, foreign("Gelu", (1, 1), &[], contrib::gelu)),
    (MICROSOFT, foreign("QGemm", (6, 9), &["alpha", "transA", "transB"], quantization::quantized_gemm)),
    (MICROSOFT, foreign("QLinearAdd", (7, 8), &[], quantization::quantized_sum)),
    (
        MICROSOFT,
        foreign(
            "QLinearAveragePool",
            (4, 5),
            &["auto_pad", "ceil_mode", "channels_last", "count_include_pad", "kernel_shape", "pads", "strides"],
            quantization::quantized_average_pool,
        ),
    ),
    (MICROSOFT, foreign("QLinearConcat", (5, ANY), &["axis"], quantization::quantized_concat)),
    (MICROSOFT, foreign("QLinearGlobalAveragePool", (5, 5), &["channels_last"], quantization::quantized_global_average_pool)),
    (MICROSOFT, foreign("QLinearLeakyRelu", (4, 5), &["alpha"], quantization::quantized_leaky_relu)),
    (MICROSOFT, foreign("QLinearMul", (7, 8), &[], quantization::quantized_product)),
    (MICROSOFT, foreign("QLinearSigmoid", (4, 5), &[], quantization::quantized_sigmoid)),
    (MICROSOFT, foreign("QLinearSoftmax", (5, 5), &["axis", "opset"], quantization::quantized_softmax)),
    (MICROSOFT, foreign("QuantizeLinear", (2, 3), &["axis", "block_size"], quantization::quantize)),
    (MICROSOFT, foreign("QuickGelu", (1, 1), &["alpha"], contrib::quick_gelu)),
    (
        MICROSOFT,
        Operator {
            name: "SkipLayerNormalization",
            since: 1,
            inputs: (3, 5),
            attributes: &["epsilon"],
            lower: Lower::Many(contrib::skip_layer_normalization),
        },
    ),
    (
        MICROSOFT,
        Operator {
            name: "SkipSimplifiedLayerNormalization",
            since: 1,
            inputs: (3, 4),
            attributes: &["epsilon"],
            lower: Lower::Many(contrib::skip_rms_normalization),
        },
    ),
    (
        LEARNING,
        Operator {
            name: "LinearClassifier",
            since: 1,
            inputs: (1, 1),
            attributes: &[
                "classlabels_ints",
                "classlabels_strings",
                "coefficients",
                "intercepts",
                "multi_class",
                "post_transform",
            ],
            lower: Lower::Many(contrib::linear_classifier),
        },
    ),
    (
        LEARNING,
        foreign(
            "LinearRegressor",
            (1, 1),
            &["coefficients", "intercepts", "post_transform", "targets"],
            contrib::linear_regressor,
        ),
    ),
    (LEARNING, foreign("Normalizer", (1, 1), &["norm"], contrib::normalizer)),
    (
        LEARNING,
        foreign(
            "SVMRegressor",
            (1, 1),
            &[
                "coefficients",
                "kernel_params",
                "kernel_type",
                "n_supports",
                "one_class",
                "post_transform",
                "rho",
                "support_vectors",
            ],
            contrib::support_vector_regressor,
        ),
    ),
    (
        LEARNING,
        foreign(
            "TreeEnsembleRegressor",
            (1, 1),
            &[
                "aggregate_function",
                "base_values",
                "n_targets",
                "nodes_falsenodeids",
                "nodes_featureids",
                "nodes_hitrates",
                "nodes_missing_value_tracks_true",
                "nodes_modes",
                "nodes_nodeids",
                "nodes_treeids",
                "nodes_truenodeids",
                "nodes_values",
                "post_transform",
                "target_ids",
                "target_nodeids",
                "target_treeids",
                "target_weights",
            ],
            trees::regressor,
        ),
    ),
    (LEARNING, foreign("Scaler", (1, 1), &["offset", "scale"], contrib::scaler)),
];

/// The operator of that name in a domain other than the default one, after checking the node's attributes and number of inputs.
pub(super) fn find(
    domain: &str,
    name: &str,
    opset: i64,
    given: usize,
    attributes: &[&str],
) -> Result<&'static Operator, NodeError> {
    let found = FOREIGN.iter().find(|(own, operator)| *own == domain && operator.name == name);
    let (_, operator) = found.ok_or_else(|| unsupported(name, domain))?;
    checked(operator, domain, opset, given, attributes)
}
