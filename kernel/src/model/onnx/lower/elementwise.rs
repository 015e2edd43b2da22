//! Elementwise arithmetic.

use super::super::error::NodeError;
use super::super::value::Value;
use super::folding::{self, Arithmetic};
use super::graph::Slot;
use super::site::Site;
use super::{comparison, gates, masked};
use crate::model::ir::{Binary, Function};

pub(super) fn add(site: &mut Site) -> Result<Slot, NodeError> {
    let (a, b) = (site.input(0)?, site.input(1)?);
    sum_of(site, &a, &b)
}

fn sum_of(site: &mut Site, a: &Slot, b: &Slot) -> Result<Slot, NodeError> {
    if let Some(slot) = comparison::sum(site, a, b)? {
        return Ok(slot);
    }
    match masked::sum(site, a, b)? {
        Some(slot) => Ok(slot),
        None => arithmetic(site, a, b, Binary::Add, i64::checked_add),
    }
}

pub(super) fn subtract(site: &mut Site) -> Result<Slot, NodeError> {
    let (a, b) = (site.input(0)?, site.input(1)?);
    match comparison::difference(site, &a, &b)? {
        Some(slot) => Ok(slot),
        None => arithmetic(site, &a, &b, Binary::Sub, i64::checked_sub),
    }
}

pub(super) fn multiply(site: &mut Site) -> Result<Slot, NodeError> {
    let (a, b) = (site.input(0)?, site.input(1)?);
    if let Some(slot) = comparison::product(site, &a, &b)? {
        return Ok(slot);
    }
    match gates::product(site, &a, &b)? {
        Some(slot) => Ok(slot),
        None => arithmetic(site, &a, &b, Binary::Mul, i64::checked_mul),
    }
}

pub(super) fn divide(site: &mut Site) -> Result<Slot, NodeError> {
    let (a, b) = (site.input(0)?, site.input(1)?);
    arithmetic(site, &a, &b, Binary::Div, folding::divide)
}

fn arithmetic(site: &mut Site, a: &Slot, b: &Slot, binary: Binary, integer: Arithmetic) -> Result<Slot, NodeError> {
    match folding::integers(site, a, b, integer)? {
        Some(slot) => Ok(slot),
        None => site.binary(binary, a, b),
    }
}

pub(super) fn maximum(site: &mut Site) -> Result<Slot, NodeError> {
    variadic(site, |site, a, b| arithmetic(site, a, b, Binary::Max, |a, b| Some(a.max(b))))
}

pub(super) fn minimum(site: &mut Site) -> Result<Slot, NodeError> {
    variadic(site, |site, a, b| arithmetic(site, a, b, Binary::Min, |a, b| Some(a.min(b))))
}

pub(super) fn sum(site: &mut Site) -> Result<Slot, NodeError> {
    variadic(site, sum_of)
}

pub(super) fn mean(site: &mut Site) -> Result<Slot, NodeError> {
    let total = sum(site)?;
    if site.inputs.len() == 1 {
        return Ok(total);
    }
    #[allow(clippy::cast_precision_loss)] // a node has far fewer than 2⁵³ inputs
    let count = site.scalar(site.inputs.len() as f64);
    site.binary(Binary::Div, &total, &count)
}

fn variadic(site: &mut Site, combine: impl Fn(&mut Site, &Slot, &Slot) -> Result<Slot, NodeError>) -> Result<Slot, NodeError> {
    let inputs = site.all_inputs()?;
    let (first, rest) = inputs.split_first().ok_or_else(|| NodeError::invalid("it has no inputs"))?;
    rest.iter().try_fold(first.clone(), |result, slot| combine(site, &result, slot))
}

pub(super) fn negate(site: &mut Site) -> Result<Slot, NodeError> {
    unary(site, Function::Neg, i64::checked_neg)
}

pub(super) fn absolute(site: &mut Site) -> Result<Slot, NodeError> {
    unary(site, Function::Abs, i64::checked_abs)
}

pub(super) fn sign(site: &mut Site) -> Result<Slot, NodeError> {
    unary(site, Function::Sign, |integer| Some(integer.signum()))
}

fn unary(site: &mut Site, function: Function, integer: fn(i64) -> Option<i64>) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let Some((ints, element)) = x.integers() else { return site.function(function, &x) };
    let data: Option<Vec<i64>> = ints.data().iter().map(|&i| integer(i)).collect();
    let data = data.ok_or_else(|| NodeError::invalid("its integer arithmetic overflows"))?;
    site.integers(element, site.shape(&x), data)
}

pub(super) fn reciprocal(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, one) = (site.input(0)?, site.scalar(1.0));
    site.binary(Binary::Div, &one, &x)
}

/// Exponents up to here are products and roots of a few operations.
const LARGEST_EXPONENT: f64 = 32.0;

/// Powers whose exponent is a multiple of a quarter: products, roots and a quotient, which are exactly the same function. Where
/// the exponent is no integer the base must not be negative, as in the operator itself.
pub(super) fn power(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, exponent) = (site.input(0)?, site.input(1)?);
    let value = match exponent.discrete().and_then(Value::as_ints) {
        Some([first, rest @ ..]) if rest.iter().all(|other| other == first) => i8::try_from(*first).ok().map(f64::from),
        _ => site.decide(|reader| reader.uniform(&exponent)),
    };
    let shape = super::indices::broadcast_shapes(&site.shape(&x), &site.shape(&exponent))?;
    let x = site.broadcast(&x, &shape)?;
    let Some(value) = value else {
        return Err(NodeError::unsupported("the exponent is not one constant for all elements; write one Pow for each"));
    };
    raised_to(site, &x, value)
}

/// The power of every element with that exponent.
pub(super) fn raised_to(site: &mut Site, x: &Slot, value: f64) -> Result<Slot, NodeError> {
    let quarters = value.abs() * 4.0;
    if value == 0.0 || quarters.fract() != 0.0 || value.abs() > LARGEST_EXPONENT {
        let reason = format!("the exponent is {value}; supported are multiples of 1/4 up to 32, but not 0, with either sign");
        return Err(NodeError::unsupported(reason));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 128
    let quarters = quarters as u32;
    let mut result = whole_power(site, x, quarters / 4)?;
    if !quarters.is_multiple_of(4) {
        let root = site.function(Function::Sqrt, x)?;
        if quarters & 2 != 0 {
            result = Some(times(site, result, &root)?);
        }
        if quarters & 1 != 0 {
            let fourth_root = site.function(Function::Sqrt, &root)?;
            result = Some(times(site, result, &fourth_root)?);
        }
    }
    let result = result.ok_or_else(|| NodeError::invalid("the exponent is zero"))?;
    if value > 0.0 {
        return Ok(result);
    }
    let one = site.scalar(1.0);
    site.binary(Binary::Div, &one, &result)
}

/// `xⁿ` by repeated squares; nothing for `n = 0`.
fn whole_power(site: &mut Site, x: &Slot, mut n: u32) -> Result<Option<Slot>, NodeError> {
    let mut result = None;
    let mut square = x.clone();
    while n > 0 {
        if n & 1 == 1 {
            result = Some(times(site, result, &square)?);
        }
        n >>= 1;
        if n > 0 {
            square = arithmetic(site, &square, &square, Binary::Mul, i64::checked_mul)?;
        }
    }
    Ok(result)
}

fn times(site: &mut Site, factor: Option<Slot>, slot: &Slot) -> Result<Slot, NodeError> {
    match factor {
        None => Ok(slot.clone()),
        Some(factor) => arithmetic(site, slot, &factor, Binary::Mul, i64::checked_mul),
    }
}
