//! Scalar activations. Default parameters are the `f32` values of the ONNX definition.

use super::super::error::NodeError;
use super::comparison;
use super::graph::Slot;
use super::indices::broadcast_shapes;
use super::site::Site;
use crate::model::ir::{Binary, Function, NodeId, Op};

/// An activation without parameters.
macro_rules! plain {
    ($($name:ident => $function:ident),* $(,)?) => {
        $(pub(super) fn $name(site: &mut Site) -> Result<Slot, NodeError> {
            apply(site, Function::$function)
        })*
    };
}

plain! {
    relu => Relu, sigmoid => Sigmoid, tanh => Tanh, softplus => Softplus, softsign => Softsign, erf => Erf, mish => Mish,
    hard_swish => HardSwish, sine => Sin, cosine => Cos, exponential => Exp, floor => Floor, round => Round,
}

fn apply(site: &mut Site, function: Function) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    site.function(function, &x)
}

/// `⌈x⌉ = −⌊−x⌋`.
pub(super) fn ceiling(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let negated = site.function(Function::Neg, &x)?;
    let floor = site.function(Function::Floor, &negated)?;
    site.function(Function::Neg, &floor)
}

pub(super) fn square_root(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let negative = || NodeError::invalid("takes the square root of a constant that is negative");
    site.graph.require(&x, |values| !values.iter().any(|&value| value < 0.0), negative)?;
    site.function(Function::Sqrt, &x)
}

pub(super) fn logarithm(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    logarithm_of(site, &x)
}

/// `ln x`; that of a logistic function is `−softplus(−u)`, which has bounded slopes.
pub(super) fn logarithm_of(site: &mut Site, x: &Slot) -> Result<Slot, NodeError> {
    let improper = || NodeError::invalid("takes the logarithm of a constant that is not positive");
    site.graph.require(x, |values| !values.iter().any(|&value| value <= 0.0), improper)?;
    if let Slot::Node(id) = x {
        let seen = site.graph.see(*id);
        if let (Some(Op::Function(Function::Sigmoid)), &[inner]) = (seen.op, seen.operands) {
            site.graph.record_rewriting(site.name);
            let negated = site.function(Function::Neg, &Slot::Node(inner))?;
            let softplus = site.function(Function::Softplus, &negated)?;
            return site.function(Function::Neg, &softplus);
        }
    }
    site.function(Function::Log, x)
}

/// `1 − erf x`.
pub(super) fn complementary_error(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, one) = (site.input(0)?, site.scalar(1.0));
    let negated = negative(site, &x)?;
    let error = site.function(Function::Erf, &negated)?;
    site.binary(Binary::Add, &one, &error)
}

/// `−x`, where `x` is a negative or a multiple of one without a second sign.
fn negative(site: &mut Site, x: &Slot) -> Result<Slot, NodeError> {
    let inner = |site: &Site, id: NodeId| match (site.graph.see(id).op, site.graph.see(id).operands) {
        (Some(Op::Function(Function::Neg)), &[inner]) => Some(Slot::Node(inner)),
        _ => None,
    };
    if let Slot::Node(id) = x {
        if let Some(inner) = inner(site, *id) {
            return Ok(inner);
        }
        let seen = site.graph.see(*id);
        if let (Some(&Op::Binary(binary @ (Binary::Mul | Binary::Div))), &[a, b]) = (seen.op, seen.operands)
            && let Some(inner) = inner(site, a)
        {
            return site.binary(binary, &inner, &Slot::Node(b));
        }
    }
    site.function(Function::Neg, x)
}

/// `(eˣ − e⁻ˣ)/2`.
pub(super) fn hyperbolic_sine(site: &mut Site) -> Result<Slot, NodeError> {
    exponentials(site, Binary::Sub)
}

/// `(eˣ + e⁻ˣ)/2`.
pub(super) fn hyperbolic_cosine(site: &mut Site) -> Result<Slot, NodeError> {
    exponentials(site, Binary::Add)
}

fn exponentials(site: &mut Site, combine: Binary) -> Result<Slot, NodeError> {
    site.graph.record_rewriting(site.name);
    let (x, half) = (site.input(0)?, site.scalar(0.5));
    let negated = site.function(Function::Neg, &x)?;
    let (rising, falling) = (site.function(Function::Exp, &x)?, site.function(Function::Exp, &negated)?);
    let combined = site.binary(combine, &rising, &falling)?;
    site.binary(Binary::Mul, &combined, &half)
}

/// `sin x/cos x`.
pub(super) fn tangent(site: &mut Site) -> Result<Slot, NodeError> {
    site.graph.record_rewriting(site.name);
    let x = site.input(0)?;
    let (sine, cosine) = (site.function(Function::Sin, &x)?, site.function(Function::Cos, &x)?);
    site.binary(Binary::Div, &sine, &cosine)
}

/// `(ln(1 + x) − ln(1 − x))/2`.
pub(super) fn inverse_hyperbolic_tangent(site: &mut Site) -> Result<Slot, NodeError> {
    site.graph.record_rewriting(site.name);
    let (x, one, half) = (site.input(0)?, site.scalar(1.0), site.scalar(0.5));
    let (above, below) = (site.binary(Binary::Add, &one, &x)?, site.binary(Binary::Sub, &one, &x)?);
    let (above, below) = (logarithm_of(site, &above)?, logarithm_of(site, &below)?);
    let difference = site.binary(Binary::Sub, &above, &below)?;
    site.binary(Binary::Mul, &difference, &half)
}

/// `ln(x + √(x² − 1))`.
pub(super) fn inverse_hyperbolic_cosine(site: &mut Site) -> Result<Slot, NodeError> {
    site.graph.record_rewriting(site.name);
    let (x, one) = (site.input(0)?, site.scalar(1.0));
    let square = site.binary(Binary::Mul, &x, &x)?;
    let rest = site.binary(Binary::Sub, &square, &one)?;
    let root = site.function(Function::Sqrt, &rest)?;
    let total = site.binary(Binary::Add, &x, &root)?;
    logarithm_of(site, &total)
}

/// `x·sigmoid(αx) = silu(αx)/α`, or `x/2` for `α = 0`.
pub(super) fn swish(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, alpha) = (site.input(0)?, site.float("alpha", 1.0)?);
    sigmoid_gate(site, &x, alpha)
}

pub(super) fn sigmoid_gate(site: &mut Site, x: &Slot, alpha: f64) -> Result<Slot, NodeError> {
    #[allow(clippy::float_cmp)] // exactly one changes nothing
    if alpha == 1.0 {
        return site.function(Function::Silu, x);
    }
    if alpha == 0.0 {
        let half = site.scalar(0.5);
        return site.binary(Binary::Mul, x, &half);
    }
    site.graph.record_rewriting(site.name);
    let alpha = site.scalar(alpha);
    let scaled = site.binary(Binary::Mul, x, &alpha)?;
    let gated = site.function(Function::Silu, &scaled)?;
    site.binary(Binary::Div, &gated, &alpha)
}

/// `x` where it is above `α`, and 0 elsewhere: it jumps unless `α` is zero.
pub(super) fn thresholded_relu(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, alpha) = (site.input(0)?, site.float("alpha", 1.0)?);
    if alpha == 0.0 {
        return site.function(Function::Relu, &x);
    }
    let alpha = site.scalar(alpha);
    let above = comparison::above(site, &x, &alpha)?;
    site.binary(Binary::Mul, &above, &x)
}

pub(super) fn leaky_relu(site: &mut Site) -> Result<Slot, NodeError> {
    let slope = site.float("alpha", 0.01)?;
    apply(site, Function::LeakyRelu { slope })
}

pub(super) fn elu(site: &mut Site) -> Result<Slot, NodeError> {
    let alpha = site.float("alpha", 1.0)?;
    apply(site, Function::Elu { alpha })
}

pub(super) fn selu(site: &mut Site) -> Result<Slot, NodeError> {
    let alpha = site.float("alpha", 1.673_263_2)?;
    let gamma = site.float("gamma", 1.050_701)?;
    apply(site, Function::Selu { alpha, gamma })
}

pub(super) fn celu(site: &mut Site) -> Result<Slot, NodeError> {
    let alpha = site.float("alpha", 1.0)?;
    if alpha == 0.0 {
        return Err(NodeError::attribute("alpha", "is zero, by which the operator divides"));
    }
    apply(site, Function::Celu { alpha })
}

pub(super) fn hard_sigmoid(site: &mut Site) -> Result<Slot, NodeError> {
    let alpha = site.float("alpha", 0.2)?;
    let beta = site.float("beta", 0.5)?;
    apply(site, Function::HardSigmoid { alpha, beta })
}

pub(super) fn gelu(site: &mut Site) -> Result<Slot, NodeError> {
    let function = match site.string("approximate", "none")? {
        "none" => Function::Gelu,
        "tanh" => Function::GeluTanh,
        other => return Err(NodeError::attribute("approximate", format!("is `{other}`"))),
    };
    apply(site, function)
}

/// `x + bias` below `−λ`, `x − bias` above `λ`, and 0 between: where it is continuous, `relu(x − λ) − relu(−x − λ)`.
pub(super) fn shrink(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let (bias, threshold) = (site.float("bias", 0.0)?, site.float("lambd", 0.5)?);
    if threshold < 0.0 {
        return Err(NodeError::attribute("lambd", format!("is {threshold}, which is negative")));
    }
    #[allow(clippy::float_cmp)] // the same number or not
    if bias != threshold {
        let (bias, threshold) = (site.scalar(bias), site.scalar(threshold));
        let negated = site.function(Function::Neg, &x)?;
        let (above, below) = (comparison::above(site, &x, &threshold)?, comparison::above(site, &negated, &threshold)?);
        let (lowered, raised) = (site.binary(Binary::Sub, &x, &bias)?, site.binary(Binary::Add, &x, &bias)?);
        let (upper, lower) = (site.binary(Binary::Mul, &above, &lowered)?, site.binary(Binary::Mul, &below, &raised)?);
        return site.binary(Binary::Add, &upper, &lower);
    }
    let threshold = site.scalar(threshold);
    let above = site.binary(Binary::Sub, &x, &threshold)?;
    let negated = site.function(Function::Neg, &x)?;
    let below = site.binary(Binary::Sub, &negated, &threshold)?;
    let (above, below) = (site.function(Function::Relu, &above)?, site.function(Function::Relu, &below)?);
    site.binary(Binary::Sub, &above, &below)
}

/// `PRelu`: the slope broadcasts to the input, not the other way.
pub(super) fn parametric_relu(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, slope) = (site.input(0)?, site.input(1)?);
    let shape = site.shape(&x);
    let slope = site.broadcast(&slope, &shape)?;
    site.push(Op::PRelu, &[&x, &slope], shape)
}

/// `Clip`; a bound that is not given does not clip, one that is not exactly known clips by a maximum or minimum.
pub(super) fn clip(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    if site.opset < 11 {
        let bound = |name: &str, open: f64| Ok::<_, NodeError>(site.optional_float_unchecked(name)?.unwrap_or(open));
        let (lower, upper) = (bound("min", f64::NEG_INFINITY)?, bound("max", f64::INFINITY)?);
        return clipped(site, &x, lower, upper);
    }
    let (min, max) = (site.optional(1), site.optional(2));
    let shape = site.shape(&x);
    for bound in [&min, &max].into_iter().flatten() {
        if site.shape(bound).iter().any(|&extent| extent != 1) || broadcast_shapes(&shape, &site.shape(bound))? != shape {
            return Err(NodeError::invalid("its bounds are not scalars"));
        }
    }
    let limits = site.decide(|reader| {
        let known = |slot: &Option<Slot>, open: f64| slot.as_ref().map_or(Some(open), |slot| reader.uniform(slot));
        Some((known(&min, f64::NEG_INFINITY)?, known(&max, f64::INFINITY)?))
    });
    if let Some((lower, upper)) = limits {
        return clipped(site, &x, lower, upper);
    }
    let raised = match min {
        Some(min) => site.binary(Binary::Max, &x, &min)?,
        None => x,
    };
    match max {
        Some(max) => site.binary(Binary::Min, &raised, &max),
        None => Ok(raised),
    }
}

fn clipped(site: &mut Site, x: &Slot, lower: f64, upper: f64) -> Result<Slot, NodeError> {
    if lower.is_nan() || upper.is_nan() || lower == f64::INFINITY || upper == f64::NEG_INFINITY {
        return Err(NodeError::invalid(format!("clips to [{lower}, {upper}]")));
    }
    if lower == f64::NEG_INFINITY && upper == f64::INFINITY {
        return Ok(x.clone());
    }
    site.function(Function::Clip { lower, upper }, x)
}
