//! Quantised constants: `DequantizeLinear` of integers that stand in the file, `(q − zero point)·scale`.
//!
//! The difference of integers is exact, and the product stays in the network. Quantised activations are not lowered here: they
//! round, and what rounds is no identity.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::{IntTensor, Value};
use super::folding::broadcast_value;
use super::graph::Slot;
use super::indices::axis;
use super::site::Site;
use crate::ir::{Binary, Tensor};

pub(super) fn dequantize(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, scale) = (site.input(0)?, site.input(1)?);
    if site.int("block_size", 0)? != 0 {
        return Err(NodeError::unsupported("it is quantised in blocks"));
    }
    if let Some(output) = site.optional_int("output_dtype")? {
        let output = i32::try_from(output).ok().and_then(|output| DataType::try_from(output).ok());
        site.graph.record_precision(site.name, output.unwrap_or(DataType::Undefined));
    }
    let Some((quantised, element)) = x.integers() else {
        let hint = "take the float model, or quantise its weights alone";
        return Err(NodeError::unsupported_with_hint(
            "what it reads is not a constant of integers: activations are quantised",
            hint,
        ));
    };
    let shape = quantised.shape().to_vec();
    let levels = site.shape(&scale);
    // One scale for all, or one for each place along an axis.
    let spread = match levels[..] {
        [] | [1] => vec![1; shape.len()],
        [count] => {
            let at = axis(site.int("axis", 1)?, shape.len())?;
            if shape[at] != count {
                return Err(NodeError::invalid(format!("{count} scales do not fit axis {at} of {shape:?}")));
            }
            (0..shape.len()).map(|axis| if axis == at { count } else { 1 }).collect()
        }
        _ => return Err(NodeError::invalid(format!("scales of shape {levels:?}"))),
    };
    let zero = match site.optional(2) {
        None => vec![0; quantised.data().len()],
        Some(zero) => {
            let (points, other) =
                zero.integers().ok_or_else(|| NodeError::invalid("its zero point is not a constant of integers"))?;
            if other != element || points.shape() != levels {
                return Err(NodeError::invalid(
                    "its zero points do not have the type of the integers and the shape of the scales",
                ));
            }
            let points = IntTensor::new(spread.clone(), points.data().to_vec());
            let points = points.ok_or_else(|| NodeError::invalid("a shape does not fit its values"))?;
            broadcast_value(&Value::Int(points), &shape)?.as_ints().unwrap_or_default().to_vec()
        }
    };
    // Both are at most 32 bits wide in what exporters write; what is not exact in `f64` is refused.
    let exact = |(&q, &z): (&i64, &i64)| q.checked_sub(z).filter(|d| d.unsigned_abs() <= 1 << 53).map(|d| d as f64);
    let differences: Option<Vec<f64>> = quantised.data().iter().zip(&zero).map(exact).collect();
    let differences = differences.and_then(|values| Tensor::new(shape, values));
    let differences = differences.ok_or_else(|| NodeError::unsupported("a difference of its integers is not exact"))?;
    let differences = site.constant(Value::Float(differences), DataType::Float)?;
    let scale = site.reshape(&scale, spread)?;
    site.binary(Binary::Mul, &differences, &scale)
}
