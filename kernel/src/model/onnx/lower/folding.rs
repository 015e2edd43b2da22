//! Arithmetic on constant integers and truth values: exact.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::{BoolTensor, IntTensor, Value};
use super::comparison::{Junction, join};
use super::graph::{Slot, checked_count, gather};
use super::indices::{broadcast_shapes, extent, flat, for_each_index, signed, source, strides};
use super::site::Site;
use crate::model::ir::{Source, Tensor};

/// The value of a constant under a larger shape.
pub(super) fn broadcast_value(value: &Value, shape: &[usize]) -> Result<Value, NodeError> {
    let own = value.shape().to_vec();
    if own == shape {
        return Ok(value.clone());
    }
    let mut sources = Vec::with_capacity(checked_count(shape)?);
    let element = broadcast_source(&[&own], shape);
    for_each_index(shape, |index| sources.push(element(0, index)));
    gather(&[value], shape, &sources).ok_or_else(|| NodeError::invalid(format!("{own:?} does not broadcast to {shape:?}")))
}

/// For operands of these shapes broadcast to `shape`: the element of an operand at an index.
pub(super) fn broadcast_source(operands: &[&[usize]], shape: &[usize]) -> impl Fn(usize, &[usize]) -> Source + use<> {
    let steps: Vec<Vec<usize>> = operands
        .iter()
        .map(|own| {
            let mut steps = vec![0; shape.len().saturating_sub(own.len())];
            steps.extend(strides(own).into_iter().zip(*own).map(|(step, &extent)| if extent == 1 { 0 } else { step }));
            steps
        })
        .collect();
    move |operand, index| source(operand, steps.get(operand).map_or(usize::MAX, |steps| flat(index, steps)))
}

/// Integer arithmetic that fails instead of wrapping around.
pub(super) type Arithmetic = fn(i64, i64) -> Option<i64>;

/// ONNX divides integers towards zero.
pub(super) fn divide(a: i64, b: i64) -> Option<i64> {
    a.checked_div(b)
}

/// Both operands, if they are integers, combined element by element.
pub(super) fn integers(site: &mut Site, a: &Slot, b: &Slot, combine: Arithmetic) -> Result<Option<Slot>, NodeError> {
    let (Some((a, element)), Some((b, other))) = (a.integers(), b.integers()) else { return Ok(None) };
    if element != other {
        return Err(NodeError::invalid(format!("its operands are {element:?} and {other:?}")));
    }
    let shape = broadcast_shapes(a.shape(), b.shape())?;
    let (a, b) = (Value::Int(a.clone()), Value::Int(b.clone()));
    let (a, b) = (broadcast_value(&a, &shape)?, broadcast_value(&b, &shape)?);
    let pairs = a.as_ints().unwrap_or_default().iter().zip(b.as_ints().unwrap_or_default());
    let data: Option<Vec<i64>> = pairs.map(|(&a, &b)| combine(a, b)).collect();
    let data = data.ok_or_else(|| NodeError::invalid("its integer arithmetic overflows or divides by zero"))?;
    site.integers(element, shape, data).map(Some)
}

pub(super) fn modulo(site: &mut Site) -> Result<Slot, NodeError> {
    let (a, b) = (site.input(0)?, site.input(1)?);
    // With `fmod` the result has the sign of the dividend, otherwise that of the divisor.
    let combine: Arithmetic = if site.flag("fmod", false)? {
        i64::checked_rem
    } else {
        |a, b| {
            let rest = a.checked_rem(b)?;
            if rest != 0 && (rest < 0) != (b < 0) { rest.checked_add(b) } else { Some(rest) }
        }
    };
    integers(site, &a, &b, combine)?
        .ok_or_else(|| NodeError::unsupported("the remainder of floating point values is discontinuous"))
}

pub(super) fn and(site: &mut Site) -> Result<Slot, NodeError> {
    logic(site, Junction::And, |a, b| a && b)
}

pub(super) fn or(site: &mut Site) -> Result<Slot, NodeError> {
    logic(site, Junction::Or, |a, b| a || b)
}

pub(super) fn xor(site: &mut Site) -> Result<Slot, NodeError> {
    logic(site, Junction::Xor, |a, b| a != b)
}

fn logic(site: &mut Site, junction: Junction, combine: fn(bool, bool) -> bool) -> Result<Slot, NodeError> {
    let (a, b) = (site.input(0)?, site.input(1)?);
    if let Some(slot) = join(site, junction, &a, &b)? {
        return Ok(slot);
    }
    let (Some(Value::Bool(a)), Some(Value::Bool(b))) = (a.discrete(), b.discrete()) else {
        return Err(NodeError::invalid("needs truth values"));
    };
    let shape = broadcast_shapes(a.shape(), b.shape())?;
    let (a, b) = (Value::Bool(a.clone()), Value::Bool(b.clone()));
    let (a, b) = (broadcast_value(&a, &shape)?, broadcast_value(&b, &shape)?);
    let pairs = a.as_bools().unwrap_or_default().iter().zip(b.as_bools().unwrap_or_default());
    let data = pairs.map(|(&a, &b)| combine(a, b)).collect();
    site.bool_constant(shape, data)
}

/// `Shape`, with its optional range of axes.
pub(super) fn shape(site: &mut Site) -> Result<Slot, NodeError> {
    let shape = site.shape(&site.input(0)?);
    let rank = signed(shape.len());
    let bound = |value: i64| if value < 0 { value.saturating_add(rank) } else { value }.clamp(0, rank);
    let start = bound(site.int("start", 0)?);
    let end = bound(site.int("end", rank)?).max(start);
    let data: Vec<i64> =
        shape.iter().skip(extent(start, "start")?).take(extent(end - start, "length")?).map(|&extent| signed(extent)).collect();
    site.integers(DataType::Int64, vec![data.len()], data)
}

pub(super) fn size(site: &mut Site) -> Result<Slot, NodeError> {
    let count = site.shape(&site.input(0)?).iter().product();
    site.integers(DataType::Int64, Vec::new(), vec![signed(count)])
}

/// `Range` of integers.
pub(super) fn range(site: &mut Site) -> Result<Slot, NodeError> {
    let mut bounds = [0i64; 3];
    for (index, bound) in bounds.iter_mut().enumerate() {
        let [value] = site.ints_input(index)?[..] else { return Err(NodeError::invalid("its bounds are not scalars")) };
        *bound = value;
    }
    let element = site.input(0)?.integers().map_or(DataType::Int64, |(_, element)| element);
    let [start, limit, delta] = bounds.map(i128::from);
    if delta == 0 {
        return Err(NodeError::invalid("its step is zero"));
    }
    let span = limit - start;
    let count = if (span < 0) == (delta < 0) { (span.abs() + delta.abs() - 1) / delta.abs() } else { 0 };
    let count = usize::try_from(count).map_err(|_| NodeError::invalid("it is too long"))?;
    site.graph.charge(&[count])?;
    let data: Option<Vec<i64>> = (0..count).map(|i| i64::try_from(start + delta * i128::try_from(i).ok()?).ok()).collect();
    let data = data.ok_or_else(|| NodeError::invalid("its values overflow"))?;
    site.integers(element, vec![count], data)
}

/// `ConstantOfShape`: one value everywhere.
pub(super) fn constant_of_shape(site: &mut Site) -> Result<Slot, NodeError> {
    let extents = site.ints_input(0)?;
    let shape = extents.iter().map(|&e| extent(e, "an extent")).collect::<Result<Vec<_>, _>>()?;
    let (fill, element) = match site.optional_tensor("value")? {
        None => (Value::Float(Tensor::scalar(0.0)), DataType::Float),
        Some(tensor) => site.decode(tensor)?,
    };
    let count = checked_count(&shape)?;
    let filled = match &fill {
        Value::Float(t) => t.data().first().and_then(|&v| Tensor::new(shape, vec![v; count])).map(Value::Float),
        Value::Int(t) => t.data().first().and_then(|&v| IntTensor::new(shape, vec![v; count])).map(Value::Int),
        Value::Bool(t) => t.data().first().and_then(|&v| BoolTensor::new(shape, vec![v; count])).map(Value::Bool),
    };
    let filled = filled.filter(|_| fill.size() == 1).ok_or_else(|| NodeError::attribute("value", "does not hold one element"))?;
    site.constant(filled, element)
}

/// `Constant`, in all its spellings.
pub(super) fn constant(site: &mut Site) -> Result<Slot, NodeError> {
    let mut given = Vec::new();
    if let Some(tensor) = site.optional_tensor("value")? {
        given.push(site.decode(tensor)?);
    }
    if let Some(value) = site.optional_float_unchecked("value_float")? {
        given.push((Value::Float(Tensor::scalar(value)), DataType::Float));
    }
    if let Some(values) = site.optional_floats("value_floats")? {
        given.extend(Tensor::new(vec![values.len()], values).map(|t| (Value::Float(t), DataType::Float)));
    }
    if let Some(value) = site.optional_int("value_int")? {
        given.extend(IntTensor::new(Vec::new(), vec![value]).map(|t| (Value::Int(t), DataType::Int64)));
    }
    if let Some(values) = site.optional_ints("value_ints")? {
        let tensor = IntTensor::new(vec![values.len()], values.to_vec());
        given.extend(tensor.map(|t| (Value::Int(t), DataType::Int64)));
    }
    match <[(Value, DataType); 1]>::try_from(given) {
        Ok([(value, element)]) => site.constant(value, element),
        Err(given) => Err(NodeError::invalid(format!("holds {} values where one is expected", given.len()))),
    }
}
