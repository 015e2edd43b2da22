//! Quantisation: `DequantizeLinear`, `QuantizeLinear`, and the operators that quantise their results.
//!
//! A quantised value is the real number that its integer is. `(q − zero point)·scale` of integers that stand in the file is exact
//! up to the product, which stays in the network; a value is quantised by a quotient, the nearest integer (the even one of two)
//! and a clip to the integers' range, which jumps. An operator on quantised tensors is the operator on what they stand for.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::{IntTensor, Value};
use super::folding::broadcast_value;
use super::graph::{Slot, integer_range};
use super::indices::{axis, product};
use super::site::Site;
use super::{activation, conv, indexing, linear, pooling, reduce};
use crate::model::ir::{Binary, Function, Tensor};

/// A scale and a zero point, as inputs of a node.
#[derive(Clone, Copy)]
struct Levels {
    scale: usize,
    zero: usize,
}

const fn levels(scale: usize) -> Levels {
    Levels { scale, zero: scale + 1 }
}

/// How the values of a parameter lie along the axes of a tensor: one for all, or one for each place along an axis.
fn spread(own: &[usize], shape: &[usize], at: usize) -> Result<Vec<usize>, NodeError> {
    match own[..] {
        [] | [1] => Ok(vec![1; shape.len()]),
        [count] if shape.get(at) == Some(&count) => Ok((0..shape.len()).map(|axis| if axis == at { count } else { 1 }).collect()),
        _ => Err(NodeError::invalid(format!("scales of shape {own:?} do not fit axis {at} of {shape:?}"))),
    }
}

/// The zero points, spread like the scales; with the type that they give the integers.
fn zero_points(site: &Site, input: usize, scales: &[usize], spread: &[usize]) -> Result<Option<(Value, DataType)>, NodeError> {
    let Some(slot) = site.optional(input) else { return Ok(None) };
    let (points, element) = slot.integers().ok_or_else(|| NodeError::invalid("its zero point is not a constant of integers"))?;
    let single = product(points.shape()) == 1 && product(scales) == 1;
    if points.shape() != scales && !single {
        return Err(NodeError::invalid("its zero points do not have the shape of the scales"));
    }
    let points = IntTensor::new(spread.to_vec(), points.data().to_vec());
    let points = points.ok_or_else(|| NodeError::invalid("a shape does not fit its values"))?;
    Ok(Some((Value::Int(points), element)))
}

/// Integers as real numbers.
fn numbers(site: &mut Site, integers: &Value) -> Result<Slot, NodeError> {
    let exact = |&i: &i64| (i.unsigned_abs() <= 1 << 53).then_some(i as f64);
    let data: Option<Vec<f64>> = integers.as_ints().unwrap_or_default().iter().map(exact).collect();
    let tensor = data.and_then(|data| Tensor::new(integers.shape().to_vec(), data));
    let tensor = tensor.ok_or_else(|| NodeError::unsupported("an integer is not exact"))?;
    site.constant(Value::Float(tensor), DataType::Float)
}

/// `(q − zero point)·scale`.
fn dequantized(site: &mut Site, x: &Slot, Levels { scale, zero }: Levels, at: usize) -> Result<Slot, NodeError> {
    let (scale, shape) = (site.input(scale)?, site.shape(x));
    let own = site.shape(&scale);
    let spread = spread(&own, &shape, at)?;
    let zero = zero_points(site, zero, &own, &spread)?;
    let differences = match x.integers() {
        Some((quantised, element)) => {
            let points = match zero {
                None => vec![0; quantised.data().len()],
                Some((_, other)) if other != element => {
                    return Err(NodeError::invalid("its zero points do not have the type of the integers"));
                }
                Some((points, _)) => broadcast_value(&points, &shape)?.as_ints().unwrap_or_default().to_vec(),
            };
            let differences: Option<Vec<i64>> = quantised.data().iter().zip(&points).map(|(q, z)| q.checked_sub(*z)).collect();
            let differences = differences.and_then(|values| IntTensor::new(shape, values));
            let differences = differences.ok_or_else(|| NodeError::unsupported("a difference of its integers is not exact"))?;
            numbers(site, &Value::Int(differences))?
        }
        None if matches!(x, Slot::Constant(_)) => return Err(NodeError::invalid("dequantises what is not made of integers")),
        None => match zero {
            None => x.clone(),
            Some((points, _)) => {
                let points = numbers(site, &points)?;
                site.binary(Binary::Sub, x, &points)?
            }
        },
    };
    let scale = site.reshape(&scale, spread)?;
    site.binary(Binary::Mul, &differences, &scale)
}

/// `clip(round(x/scale) + zero point)`; of bytes without a sign where there is no zero point, unless another type is stated.
fn quantized(
    site: &mut Site,
    x: &Slot,
    Levels { scale, zero }: Levels,
    at: usize,
    stated: Option<DataType>,
) -> Result<Slot, NodeError> {
    let (scale, shape) = (site.input(scale)?, site.shape(x));
    let own = site.shape(&scale);
    let spread = spread(&own, &shape, at)?;
    let negative = || NodeError::invalid("a scale is not positive");
    site.graph.require(&scale, |values| !values.iter().any(|&value| value <= 0.0), negative)?;
    let zero = zero_points(site, zero, &own, &spread)?;
    let element = zero.as_ref().map(|(_, element)| *element).or(stated).unwrap_or(DataType::Uint8);
    let unknown = || NodeError::unsupported(format!("it quantises to {element:?}"));
    let narrow = matches!(element, DataType::Int8 | DataType::Uint8 | DataType::Int16 | DataType::Uint16);
    let range = integer_range(element).filter(|_| narrow).ok_or_else(unknown)?;
    let scale = site.reshape(&scale, spread)?;
    let levels = site.binary(Binary::Div, x, &scale)?;
    let mut levels = site.function(Function::Round, &levels)?;
    if let Some((points, _)) = zero {
        let points = numbers(site, &points)?;
        levels = site.binary(Binary::Add, &levels, &points)?;
    }
    let [lower, upper] = [*range.start(), *range.end()].map(|bound| bound as f64);
    site.function(Function::Clip { lower, upper }, &levels)
}

pub(super) fn dequantize(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let at = channel_axis(site, &x)?;
    if let Some(output) = stated(site)? {
        site.graph.record_precision(site.name, output);
    }
    dequantized(site, &x, levels(1), at)
}

pub(super) fn quantize(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let at = channel_axis(site, &x)?;
    if !site.flag("saturate", true)? {
        return Err(NodeError::unsupported("it does not saturate"));
    }
    if site.int("precision", 0)? != 0 {
        return Err(NodeError::unsupported("it states the precision of its quotient"));
    }
    let stated = stated(site)?;
    quantized(site, &x, levels(1), at, stated)
}

/// The type that an `output_dtype` names; 0 names none.
fn stated(site: &Site) -> Result<Option<DataType>, NodeError> {
    let Some(stated) = site.optional_int("output_dtype")?.filter(|&stated| stated != 0) else { return Ok(None) };
    let known = i32::try_from(stated).ok().and_then(|stated| DataType::try_from(stated).ok());
    known.map(Some).ok_or_else(|| NodeError::attribute("output_dtype", format!("is {stated}")))
}

fn channel_axis(site: &Site, x: &Slot) -> Result<usize, NodeError> {
    if site.int("block_size", 0)? != 0 {
        return Err(NodeError::unsupported("it is quantised in blocks"));
    }
    let rank = site.shape(x).len();
    let at = site.int("axis", 1)?;
    // A tensor without a second axis has one scale for all, unless it says otherwise.
    if rank < 2 && !site.has_attribute("axis") { Ok(usize::MAX) } else { axis(at, rank) }
}

/// An operator on what quantised tensors stand for: its inputs dequantised, its result quantised.
fn between(
    site: &mut Site,
    operands: &[(usize, Levels)],
    result: Levels,
    operate: impl FnOnce(&mut Site) -> Result<Slot, NodeError>,
) -> Result<Slot, NodeError> {
    // Runtimes fold the scales into one factor, of float32 or of integers.
    site.graph.record_rewriting(site.name);
    let mut inputs = Vec::with_capacity(operands.len());
    for &(input, levels) in operands {
        let x = site.input(input)?;
        inputs.push(Some(dequantized(site, &x, levels, 0)?));
    }
    let quantised = std::mem::replace(&mut site.inputs, inputs);
    let value = operate(site)?;
    site.inputs = quantised;
    // Without a scale for the result it stays what it is.
    if site.optional(result.scale).is_none() {
        return Ok(value);
    }
    quantized(site, &value, result, 0, None)
}

/// A bias of integers on the scale of the product of two operands.
fn bias(site: &mut Site, input: usize, scales: [usize; 2]) -> Result<Option<Slot>, NodeError> {
    let Some(bias) = site.optional(input) else { return Ok(None) };
    let (integers, _) = bias.integers().ok_or_else(|| NodeError::invalid("its bias is not a constant of integers"))?;
    let integers = Value::Int(integers.clone());
    let numbers = numbers(site, &integers)?;
    let (a, b) = (site.input(scales[0])?, site.input(scales[1])?);
    let scale = site.binary(Binary::Mul, &a, &b)?;
    site.binary(Binary::Mul, &numbers, &scale).map(Some)
}

pub(super) fn quantized_convolution(site: &mut Site) -> Result<Slot, NodeError> {
    let bias = bias(site, 8, [1, 4])?;
    between(site, &[(0, levels(1)), (3, levels(4))], levels(6), |site| {
        site.inputs.push(bias);
        conv::convolution(site)
    })
}

pub(super) fn quantized_matmul(site: &mut Site) -> Result<Slot, NodeError> {
    between(site, &[(0, levels(1)), (3, levels(4))], levels(6), linear::matmul)
}

pub(super) fn quantized_gemm(site: &mut Site) -> Result<Slot, NodeError> {
    // The bias is added as it is: `beta` is one, and `alpha` is part of its scale.
    let alpha = site.float("alpha", 1.0)?;
    let mut bias = bias(site, 6, [1, 4])?;
    if let Some(bias) = bias.as_mut() {
        let alpha = site.scalar(alpha);
        *bias = site.binary(Binary::Mul, bias, &alpha)?;
    }
    let columns = usize::from(!site.flag("transB", false)?);
    let weights = site.input(3)?;
    site.graph.record_rewriting(site.name);
    let a = site.input(0)?;
    let operands = [dequantized(site, &a, levels(1), 0)?, dequantized(site, &weights, levels(4), columns)?];
    let [a, b] = operands;
    let quantised = std::mem::replace(&mut site.inputs, vec![Some(a), Some(b), bias]);
    let value = linear::gemm(site)?;
    site.inputs = quantised;
    if site.optional(7).is_none() { Ok(value) } else { quantized(site, &value, levels(7), 0, None) }
}

pub(super) fn quantized_sum(site: &mut Site) -> Result<Slot, NodeError> {
    pair(site, Binary::Add)
}

pub(super) fn quantized_product(site: &mut Site) -> Result<Slot, NodeError> {
    pair(site, Binary::Mul)
}

fn pair(site: &mut Site, binary: Binary) -> Result<Slot, NodeError> {
    between(site, &[(0, levels(1)), (3, levels(4))], levels(6), |site| {
        let (a, b) = (site.input(0)?, site.input(1)?);
        site.binary(binary, &a, &b)
    })
}

pub(super) fn quantized_average_pool(site: &mut Site) -> Result<Slot, NodeError> {
    first_channels(site)?;
    between(site, &[(0, levels(1))], levels(3), pooling::average)
}

pub(super) fn quantized_global_average_pool(site: &mut Site) -> Result<Slot, NodeError> {
    first_channels(site)?;
    between(site, &[(0, levels(1))], levels(3), pooling::global_average)
}

fn first_channels(site: &Site) -> Result<(), NodeError> {
    if site.flag("channels_last", false)? { Err(NodeError::unsupported("its channels are the last axis")) } else { Ok(()) }
}

pub(super) fn quantized_sigmoid(site: &mut Site) -> Result<Slot, NodeError> {
    between(site, &[(0, levels(1))], levels(3), activation::sigmoid)
}

pub(super) fn quantized_leaky_relu(site: &mut Site) -> Result<Slot, NodeError> {
    between(site, &[(0, levels(1))], levels(3), activation::leaky_relu)
}

pub(super) fn quantized_softmax(site: &mut Site) -> Result<Slot, NodeError> {
    // Which operator set's softmax it is stands in an attribute.
    let (own, stated) = (site.opset, site.int("opset", 13)?);
    site.opset = stated;
    let result = between(site, &[(0, levels(1))], levels(3), reduce::softmax);
    site.opset = own;
    result
}

/// Joined tensors, each on a scale of its own.
pub(super) fn quantized_concat(site: &mut Site) -> Result<Slot, NodeError> {
    let operands: Vec<(usize, Levels)> = (2..site.inputs.len()).step_by(3).map(|input| (input, levels(input + 1))).collect();
    between(site, &operands, levels(0), indexing::concat)
}
