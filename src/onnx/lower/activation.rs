//! Scalar activations. Default parameters are the `f32` values of the ONNX definition.

use super::super::error::NodeError;
use super::graph::Slot;
use super::indices::broadcast_shapes;
use super::site::Site;
use crate::ir::{Binary, Function, Op};

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
    hard_swish => HardSwish, sine => Sin, cosine => Cos, exponential => Exp, floor => Floor,
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

/// `Shrink` where it is continuous: `relu(x − λ) − relu(−x − λ)`.
pub(super) fn shrink(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let (bias, threshold) = (site.float("bias", 0.0)?, site.float("lambd", 0.5)?);
    if bias != threshold || threshold < 0.0 {
        let reason = format!("it jumps: its bias is {bias} and its threshold (`lambd`) {threshold}");
        let hint = "where both are the same number, not negative, it is continuous";
        return Err(NodeError::unsupported_with_hint(reason, hint));
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
