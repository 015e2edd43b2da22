//! Operators of other domains: those that ONNX Runtime's optimiser writes, and the linear ones of `ai.onnx.ml`.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::Value;
use super::graph::Slot;
use super::site::Site;
use super::{activation, conv, linear, normalization};
use crate::model::ir::{Binary, Function, Op, Reduction, Tensor};

pub(super) fn gelu(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    site.function(Function::Gelu, &x)
}

pub(super) fn bias_gelu(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, bias) = (site.input(0)?, site.input(1)?);
    let total = site.binary(Binary::Add, &x, &bias)?;
    site.function(Function::Gelu, &total)
}

/// GELU by a hyperbolic tangent, after a bias.
pub(super) fn fast_gelu(site: &mut Site) -> Result<Slot, NodeError> {
    let mut x = site.input(0)?;
    if let Some(bias) = site.optional(1) {
        x = site.binary(Binary::Add, &x, &bias)?;
    }
    site.function(Function::GeluTanh, &x)
}

pub(super) fn quick_gelu(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, alpha) = (site.input(0)?, site.float("alpha", 1.702)?);
    activation::sigmoid_gate(site, &x, alpha)
}

/// A convolution, a further summand, an activation.
pub(super) fn fused_convolution(site: &mut Site) -> Result<Slot, NodeError> {
    let mut result = conv::convolution(site)?;
    if let Some(other) = site.optional(3) {
        result = site.binary(Binary::Add, &result, &other)?;
    }
    let parameters = site.optional_floats("activation_params")?.unwrap_or_default();
    activated(site, result, &parameters)
}

pub(super) fn fused_gemm(site: &mut Site) -> Result<Slot, NodeError> {
    let mut parameters = Vec::new();
    for name in ["activation_alpha", "activation_beta", "activation_gamma"] {
        parameters.extend(site.optional_float(name)?);
    }
    let result = linear::gemm(site)?;
    activated(site, result, &parameters)
}

/// The activation that the attribute names.
fn activated(site: &mut Site, x: Slot, parameters: &[f64]) -> Result<Slot, NodeError> {
    let function = match (site.string("activation", "")?, parameters) {
        ("", []) => return Ok(x),
        ("Relu", []) => Function::Relu,
        ("Sigmoid", []) => Function::Sigmoid,
        ("Tanh", []) => Function::Tanh,
        ("Softplus", []) => Function::Softplus,
        ("Softsign", []) => Function::Softsign,
        ("LeakyRelu", &[slope]) => Function::LeakyRelu { slope },
        ("Elu", &[alpha]) => Function::Elu { alpha },
        ("Clip", &[lower, upper]) if lower <= upper => Function::Clip { lower, upper },
        ("HardSigmoid", &[alpha, beta]) => Function::HardSigmoid { alpha, beta },
        (name, _) => {
            let reason = format!("the fused activation `{name}` with the parameters {parameters:?}");
            return Err(NodeError::unsupported(reason));
        }
    };
    site.function(function, &x)
}

/// A product of matrices, either of which may be transposed, times a number.
pub(super) fn fused_matmul(site: &mut Site) -> Result<Slot, NodeError> {
    for (input, [matrix, batch]) in [["transA", "transBatchA"], ["transB", "transBatchB"]].into_iter().enumerate() {
        if site.flag(batch, false)? {
            return Err(NodeError::unsupported(format!("`{batch}` is set")));
        }
        if site.flag(matrix, false)? {
            let x = site.input(input)?;
            let rank = site.shape(&x).len();
            if rank > 1 {
                let mut order: Vec<usize> = (0..rank).collect();
                order.swap(rank - 2, rank - 1);
                site.inputs[input] = Some(site.transpose(&x, &order)?);
            }
        }
    }
    let alpha = site.float("alpha", 1.0)?;
    let product = linear::matmul(site)?;
    linear::times(site, product, alpha)
}

/// A sum, then a normalisation of its last axis.
pub(super) fn skip_layer_normalization(site: &mut Site) -> Result<Vec<Slot>, NodeError> {
    let (x, skip, scale, shift, bias) = (site.input(0)?, site.input(1)?, site.input(2)?, site.optional(3), site.optional(4));
    let total = skipped(site, &x, &skip, bias)?;
    let epsilon = site.float("epsilon", 1e-12)?;
    let result = normalization::normalised(site, &total, 1, epsilon, (Some(scale), shift))?;
    with_total(site, result, total)
}

/// The same, divided by the root mean square alone.
pub(super) fn skip_rms_normalization(site: &mut Site) -> Result<Vec<Slot>, NodeError> {
    let (x, skip, scale, bias) = (site.input(0)?, site.input(1)?, site.input(2)?, site.optional(3));
    let total = skipped(site, &x, &skip, bias)?;
    let epsilon = site.float("epsilon", 1e-12)?;
    let result = normalization::divided_by_root_mean_square(site, &total, 1, epsilon)?;
    let result = normalization::scaled_and_shifted(site, result, Some(scale), None)?;
    with_total(site, result, total)
}

fn skipped(site: &mut Site, x: &Slot, skip: &Slot, bias: Option<Slot>) -> Result<Slot, NodeError> {
    let total = site.binary(Binary::Add, x, skip)?;
    bias.map_or(Ok(total.clone()), |bias| site.binary(Binary::Add, &total, &bias))
}

/// The outputs: the result, two statistics that are for training, and what was normalised.
fn with_total(site: &Site, result: Slot, total: Slot) -> Result<Vec<Slot>, NodeError> {
    if (1..3).any(|output| site.is_used(output)) {
        return Err(NodeError::unsupported("its mean or its deviation is used"));
    }
    Ok(vec![result.clone(), result.clone(), result, total])
}

/// Numbers of an attribute, as a constant.
fn numbers(site: &mut Site, name: &str, shape: &[usize]) -> Result<Slot, NodeError> {
    let values = site.optional_floats(name)?.ok_or_else(|| NodeError::attribute(name, "is missing"))?;
    let count = values.len();
    let misfit = || NodeError::attribute(name, format!("has {count} numbers where a tensor of shape {shape:?} is needed"));
    let tensor = Tensor::new(shape.to_vec(), values).ok_or_else(misfit)?;
    site.constant(Value::Float(tensor), DataType::Float)
}

/// The rows of a matrix, or one vector as a row.
fn rows(site: &Site, x: &Slot) -> Result<(usize, usize), NodeError> {
    match site.shape(x)[..] {
        [features] => Ok((1, features)),
        [batch, features] => Ok((batch, features)),
        ref shape => Err(NodeError::invalid(format!("its input has the shape {shape:?}, not that of a matrix"))),
    }
}

/// `(x − offset)·scale`, one of each for a feature or for all.
pub(super) fn scaler(site: &mut Site) -> Result<Slot, NodeError> {
    let mut x = site.input(0)?;
    let (_, features) = rows(site, &x)?;
    for (name, binary) in [("offset", Binary::Sub), ("scale", Binary::Mul)] {
        let count = site.optional_floats(name)?.map_or(0, |values| values.len());
        if count > 0 {
            let parameter = numbers(site, name, &[if count == 1 { 1 } else { features }])?;
            x = site.binary(binary, &x, &parameter)?;
        }
    }
    Ok(x)
}

/// Rows divided by their norms.
pub(super) fn normalizer(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let (batch, features) = rows(site, &x)?;
    let matrix = site.reshape(&x, vec![batch, features])?;
    let p = match site.string("norm", "MAX")? {
        "L1" => 1,
        "L2" => 2,
        other => return Err(NodeError::unsupported(format!("the norm `{other}`; supported are `L1` and `L2`"))),
    };
    let norm = normalization::norm(site, &matrix, p)?;
    let norm = site.reshape(&norm, vec![batch, 1])?;
    let result = site.binary(Binary::Div, &matrix, &norm)?;
    let shape = site.shape(&x);
    site.reshape(&result, shape)
}

pub(super) fn linear_regressor(site: &mut Site) -> Result<Slot, NodeError> {
    let targets = super::indices::extent(site.int("targets", 1)?, "targets")?;
    let result = scores(site, targets)?;
    transformed(site, result)
}

/// The scores of a linear classifier; its labels are discrete.
pub(super) fn linear_classifier(site: &mut Site) -> Result<Vec<Slot>, NodeError> {
    if site.is_used(0) {
        let hint = "cut the model so that its output is that of the scores or probabilities";
        return Err(NodeError::unsupported_with_hint("its labels are used, which are no numbers", hint));
    }
    let integers = site.optional_ints("classlabels_ints")?.map_or(0, <[i64]>::len);
    let classes = integers.max(site.strings("classlabels_strings")?.len());
    if classes < 2 {
        return Err(NodeError::unsupported("it does not name its classes"));
    }
    let given = site.optional_floats("intercepts")?.map_or(classes, |values| values.len());
    if given != classes {
        return Err(NodeError::unsupported(format!("it has {given} scores for {classes} classes")));
    }
    let result = scores(site, classes)?;
    let result = transformed(site, result)?;
    Ok(vec![result.clone(), result])
}

/// `x·Cᵀ + intercepts`.
fn scores(site: &mut Site, targets: usize) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let (batch, features) = rows(site, &x)?;
    let x = site.reshape(&x, vec![1, batch, features])?;
    let weights = numbers(site, "coefficients", &[targets, features])?;
    let weights = site.transpose(&weights, &[1, 0])?;
    let weights = site.reshape(&weights, vec![1, features, targets])?;
    let product = site.push(Op::MatMul, &[&x, &weights], vec![1, batch, targets])?;
    let mut result = site.reshape(&product, vec![batch, targets])?;
    if site.optional_floats("intercepts")?.is_some_and(|values| !values.is_empty()) {
        let intercepts = numbers(site, "intercepts", &[targets])?;
        result = site.binary(Binary::Add, &result, &intercepts)?;
    }
    Ok(result)
}

fn transformed(site: &mut Site, x: Slot) -> Result<Slot, NodeError> {
    match site.string("post_transform", "NONE")? {
        "NONE" => Ok(x),
        "LOGISTIC" => site.function(Function::Sigmoid, &x),
        "SOFTMAX" => {
            let shape = site.shape(&x);
            site.push(Op::Softmax, &[&x], shape)
        }
        other => Err(NodeError::unsupported(format!("the transformation `{other}`"))),
    }
}

/// Kernels at the support vectors, weighed and summed.
pub(super) fn support_vector_regressor(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let (batch, features) = rows(site, &x)?;
    let count = super::indices::extent(site.int("n_supports", 0)?, "n_supports")?;
    if count == 0 || site.flag("one_class", false)? {
        return Err(NodeError::unsupported("it has no support vectors, or is of one class"));
    }
    let parameters = site.optional_floats("kernel_params")?.unwrap_or_default();
    let [gamma, offset, _] = parameters[..] else { return Err(NodeError::attribute("kernel_params", "are not three numbers")) };
    let vectors = numbers(site, "support_vectors", &[count, features])?;
    let x = site.reshape(&x, vec![batch, 1, features])?;
    let gamma = site.scalar(gamma);
    let kernel = site.string("kernel_type", "LINEAR")?;
    let values = match kernel {
        "RBF" => {
            let difference = site.binary(Binary::Sub, &x, &vectors)?;
            let squares = site.binary(Binary::Mul, &difference, &difference)?;
            let distance = site.reduce_last(Reduction::Sum, &squares, 1)?;
            let scaled = site.binary(Binary::Mul, &distance, &gamma)?;
            let negated = site.function(Function::Neg, &scaled)?;
            site.function(Function::Exp, &negated)?
        }
        "LINEAR" | "SIGMOID" => {
            let products = site.binary(Binary::Mul, &x, &vectors)?;
            let product = site.reduce_last(Reduction::Sum, &products, 1)?;
            if kernel == "LINEAR" {
                product
            } else {
                let offset = site.scalar(offset);
                let scaled = site.binary(Binary::Mul, &product, &gamma)?;
                let shifted = site.binary(Binary::Add, &scaled, &offset)?;
                site.function(Function::Tanh, &shifted)?
            }
        }
        other => return Err(NodeError::unsupported(format!("the kernel `{other}`"))),
    };
    let weights = numbers(site, "coefficients", &[count])?;
    let weighed = site.binary(Binary::Mul, &values, &weights)?;
    let total = site.reduce_last(Reduction::Sum, &weighed, 1)?;
    let total = site.reshape(&total, vec![batch, 1])?;
    let intercept = numbers(site, "rho", &[1])?;
    let result = site.binary(Binary::Add, &total, &intercept)?;
    transformed(site, result)
}
