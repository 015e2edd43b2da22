//! Casts: identities on real numbers, exact conversions of constants, refusals of everything that would round or step.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::Value;
use super::comparison::Step;
use super::graph::{Slot, integer_range};
use super::site::Site;
use crate::model::ir::Tensor;

pub(super) fn cast(site: &mut Site) -> Result<Slot, NodeError> {
    let to = site.optional_int("to")?.ok_or_else(|| NodeError::attribute("to", "is missing"))?;
    let target = i32::try_from(to).ok().and_then(|to| DataType::try_from(to).ok()).unwrap_or(DataType::Undefined);
    convert(site, target)
}

pub(super) fn cast_like(site: &mut Site) -> Result<Slot, NodeError> {
    match site.input(1)? {
        // What type the node has is not kept: float32, unless something of the network is not.
        Slot::Node(_) if site.graph.precision().is_none() || matches!(site.input(0)?, Slot::Node(_)) => {
            convert(site, DataType::Float)
        }
        Slot::Node(_) => Err(NodeError::unsupported_with_hint(
            "a constant is cast to the type of a value that may not be float32",
            "write a Cast",
        )),
        _ => Err(NodeError::unsupported("the type that it casts to is not known")),
    }
}

fn convert(site: &mut Site, target: DataType) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    // In real arithmetic a value is what it is, whatever it is stored as; that another precision is deployed is recorded.
    let floating = matches!(target, DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16);
    site.graph.record_precision(site.name, target);
    match &x {
        Slot::Node(_) if floating => Ok(x),
        Slot::Node(_) => match discretised(site, &x)? {
            Some(value) => constant(site, &value, target),
            None => Err(NodeError::unsupported(format!(
                "a cast of floating point values to {target:?} rounds, so it is discontinuous"
            ))),
        },
        Slot::Step(step) => match &**step {
            Step::Truth(condition) if floating => Ok(Slot::Step(Step::Indicator(condition.clone()).into())),
            Step::Truth(_) if target == DataType::Bool => Ok(x),
            Step::Indicator(_) | Step::Gated { .. } if floating => Ok(x),
            _ => Err(NodeError::unsupported(format!("a cast of a comparison of values to {target:?} is used as integers"))),
        },
        Slot::Constant(_) => match x.discrete() {
            Some(value) => constant(site, &value.clone(), target),
            // Moving a tensor through a cast must not separate it from its other uses.
            None if floating => {
                let rounds = || NodeError::unsupported(format!("a cast of a constant to {target:?} would round"));
                site.graph.require(&x, |values| fits(values, target), rounds)?;
                Ok(x)
            }
            None => match discretised(site, &x)? {
                Some(value) => constant(site, &value, target),
                None => Err(NodeError::unsupported(format!("a cast to {target:?} would round"))),
            },
        },
    }
}

/// The known value of a floating point constant that becomes integers or truth values.
fn discretised(site: &mut Site, x: &Slot) -> Result<Option<Value>, NodeError> {
    let shape = site.shape(x);
    let Some(values) = site.decide(|reader| reader.exact(x)) else { return Ok(None) };
    let tensor = Tensor::new(shape, values).ok_or_else(|| NodeError::invalid("a shape does not fit its values"))?;
    Ok(Some(Value::Float(tensor)))
}

/// Whether all values can be stored in the type without rounding.
fn fits(values: &[f64], target: DataType) -> bool {
    // Bits of the significand, and the exponents of the smallest subnormal and of the largest number.
    let (bits, least, largest) = match target {
        DataType::Float16 => (11, -24, 15),
        DataType::Bfloat16 => (8, -133, 127),
        DataType::Float => (24, -149, 127),
        _ => return target == DataType::Double,
    };
    let narrow = |value: f64| {
        if value == 0.0 || !value.is_finite() {
            return true;
        }
        // The exponents of the first and of the last bit that is set; subnormal f64 numbers are far too small.
        let exponent = i32::try_from((value.to_bits() >> 52) & 0x7ff).map_or(0, |field| field - 1023);
        let last = exponent - 52 + i32::try_from((value.to_bits() | 1 << 52).trailing_zeros()).unwrap_or(0);
        value.is_normal() && exponent <= largest && last >= least && exponent - last < bits
    };
    values.iter().all(|&value| narrow(value))
}

fn constant(site: &mut Site, value: &Value, target: DataType) -> Result<Slot, NodeError> {
    let shape = value.shape().to_vec();
    if integer_range(target).is_some() {
        let data: Option<Vec<i64>> = match value {
            Value::Float(t) => t.data().iter().map(|&value| truncated(value)).collect(),
            Value::Int(t) => Some(t.data().to_vec()),
            Value::Bool(t) => Some(t.data().iter().map(|&truth| i64::from(truth)).collect()),
        };
        let out_of_range = || NodeError::unsupported(format!("a value is out of range for {target:?}"));
        return site.integers(target, shape, data.ok_or_else(out_of_range)?);
    }
    if target == DataType::Bool {
        let data = match value {
            Value::Float(t) => t.data().iter().map(|&value| value != 0.0).collect(),
            Value::Int(t) => t.data().iter().map(|&value| value != 0).collect(),
            Value::Bool(t) => t.data().to_vec(),
        };
        return site.bool_constant(shape, data);
    }
    if !matches!(target, DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16) {
        return Err(NodeError::unsupported(format!("a cast to {target:?} would round")));
    }
    let data: Option<Vec<f64>> = match value {
        // Floating point constants stay what they are, so that it remains known which tensors they come from.
        Value::Float(_) => None,
        Value::Int(t) => t.data().iter().map(|&value| widened(value)).collect(),
        Value::Bool(t) => Some(t.data().iter().map(|&truth| f64::from(u8::from(truth))).collect()),
    };
    let tensor = data.filter(|data| fits(data, target)).and_then(|data| Tensor::new(shape, data));
    let tensor = tensor.ok_or_else(|| NodeError::unsupported(format!("a cast of a constant to {target:?} would round")))?;
    site.constant(Value::Float(tensor), target)
}

/// Towards zero, as ONNX defines it; only where the result is exact.
fn truncated(value: f64) -> Option<i64> {
    let whole = value.trunc();
    #[allow(clippy::cast_possible_truncation)] // within ±2⁵³
    (whole.abs() <= 9_007_199_254_740_992.0).then_some(whole as i64)
}

fn widened(value: i64) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)] // within ±2⁵³
    (value.unsigned_abs() <= 1 << 53).then_some(value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fit_where_a_conversion_changes_nothing() {
        let single = [
            0.0,
            1.0,
            -0.1,
            f64::from(0.1f32),
            f64::from(f32::MAX),
            f64::from(f32::MIN_POSITIVE) / 8.0,
            1e39,
            2f64.powi(-149),
            2f64.powi(-150),
            16_777_217.0,
        ];
        for value in single {
            assert_eq!(fits(&[value], DataType::Float), f64::from(value as f32) == value, "{value}");
        }
        let half = [
            (65504.0, true),
            (65536.0, false),
            (2049.0, false),
            (2050.0, true),
            (2f64.powi(-24), true),
            (2f64.powi(-25), false),
            (3.0 * 2f64.powi(-24), true),
        ];
        assert!(half.iter().all(|&(value, expected)| fits(&[value], DataType::Float16) == expected));
        assert!(
            fits(&[f64::INFINITY, f64::NAN], DataType::Bfloat16)
                && fits(&[0.1], DataType::Double)
                && !fits(&[0.1], DataType::Bfloat16)
        );
    }
}
