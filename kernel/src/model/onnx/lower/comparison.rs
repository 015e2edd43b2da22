//! Comparisons. Between constants they fold; a comparison of values that depend on the input is a step function, which is
//! discontinuous: it stays a [`Step`] until a pattern proves that the steps cancel, and is the node that jumps for any other use.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::Value;
use super::folding::{broadcast_source, broadcast_value};
use super::graph::Slot;
use super::householder::{self, same};
use super::indices::broadcast_shapes;
use super::masked::{self, Masked};
use super::piecewise;
use super::site::Site;
use crate::model::ir::{Binary, Function, NodeId, Tensor};

/// A condition on values that depend on the input.
#[derive(Clone)]
pub(super) struct Condition {
    pub shape: Vec<usize>,
    /// The node that is 1 where it holds and 0 elsewhere.
    pub indicator: NodeId,
    /// What it compares, if it is one comparison.
    pub compared: Option<Compared>,
    /// Where it is true, if it compares with zero.
    pub side: Option<Side>,
}

/// `left` compared with `right`, before they are broadcast.
#[derive(Clone)]
pub(super) struct Compared {
    pub left: Slot,
    pub right: Slot,
    pub relation: Relation,
}

/// One side of zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Side {
    pub subject: NodeId,
    /// The side above zero.
    pub positive: bool,
    /// Whether zero itself is included.
    pub zero: bool,
}

impl Side {
    pub fn complement(self) -> Self {
        Self { positive: !self.positive, zero: !self.zero, ..self }
    }
}

/// What a condition has been made into so far. It waits for a pattern whose steps cancel; without one it is the node that jumps.
pub(super) enum Step {
    Truth(Condition),
    /// 1 where true, 0 elsewhere.
    Indicator(Condition),
    /// A value where true, 0 elsewhere.
    Gated {
        value: NodeId,
        condition: Condition,
        product: NodeId,
    },
    /// No condition at all, but values that no node can hold.
    Masked(Masked),
}

impl Step {
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Truth(condition) | Self::Indicator(condition) | Self::Gated { condition, .. } => &condition.shape,
            Self::Masked(masked) => &masked.shape,
        }
    }

    /// The node that holds its numbers.
    ///
    /// # Errors
    /// When it is a truth value, not a number, or infinite.
    pub fn node(&self) -> Result<NodeId, NodeError> {
        match self {
            Self::Truth(_) => Err(NodeError::unsupported_with_hint(
                "a truth value that depends on the input is used otherwise than by Where, Cast, And, Or, Not or Xor",
                "choose between values with Where, or cast the truth value to float32",
            )),
            Self::Indicator(condition) => Ok(condition.indicator),
            Self::Gated { product, .. } => Ok(*product),
            Self::Masked(_) => Err(Masked::refusal()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
        }
    }

    pub fn swapped(self) -> Self {
        match self {
            Self::Equal => Self::Equal,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    /// The relation that holds where this one does not; none for equality.
    const fn negated(self) -> Option<Self> {
        match self {
            Self::Equal => None,
            Self::Less => Some(Self::GreaterOrEqual),
            Self::LessOrEqual => Some(Self::Greater),
            Self::Greater => Some(Self::LessOrEqual),
            Self::GreaterOrEqual => Some(Self::Less),
        }
    }

    fn side(self, subject: NodeId) -> Option<Side> {
        let positive = matches!(self, Self::Greater | Self::GreaterOrEqual);
        let zero = matches!(self, Self::LessOrEqual | Self::GreaterOrEqual);
        (self != Self::Equal).then_some(Side { subject, positive, zero })
    }
}

pub(super) fn equal(site: &mut Site) -> Result<Slot, NodeError> {
    compare(site, Relation::Equal)
}

pub(super) fn less(site: &mut Site) -> Result<Slot, NodeError> {
    compare(site, Relation::Less)
}

pub(super) fn less_or_equal(site: &mut Site) -> Result<Slot, NodeError> {
    compare(site, Relation::LessOrEqual)
}

pub(super) fn greater(site: &mut Site) -> Result<Slot, NodeError> {
    compare(site, Relation::Greater)
}

pub(super) fn greater_or_equal(site: &mut Site) -> Result<Slot, NodeError> {
    compare(site, Relation::GreaterOrEqual)
}

fn compare(site: &mut Site, relation: Relation) -> Result<Slot, NodeError> {
    let (a, b) = (site.input(0)?, site.input(1)?);
    let shape = broadcast_shapes(&site.shape(&a), &site.shape(&b))?;
    if site.is_constant(&a) && site.is_constant(&b) {
        match constants(site, relation, &a, &b, &shape)? {
            Some(truths) => return site.bool_constant(shape, truths),
            None if matches!((&a, &b), (Slot::Constant(_), Slot::Constant(_))) => {
                return Err(NodeError::invalid("compares tensors of different types"));
            }
            None => {}
        }
    }
    let side = site.decide(|reader| {
        let zero = |slot: &Slot| reader.uniform(slot) == Some(0.0);
        match (&a, &b) {
            (Slot::Node(subject), other) if zero(other) => relation.side(*subject),
            (other, Slot::Node(subject)) if zero(other) => relation.swapped().side(*subject),
            _ => None,
        }
    });
    let side = side.filter(|side| site.graph.see(side.subject).shape == shape);
    let indicator = match side {
        Some(side) => indicator_of_side(site, side)?,
        None => indicator(site, relation, &a, &b)?,
    };
    let compared = Some(Compared { left: a, right: b, relation });
    let condition = Condition { shape, indicator: site.graph.node(&indicator)?, compared, side };
    Ok(Slot::Step(Step::Truth(condition).into()))
}

/// 1 where the relation holds and 0 elsewhere: of the sign of a difference.
fn indicator(site: &mut Site, relation: Relation, a: &Slot, b: &Slot) -> Result<Slot, NodeError> {
    if relation == Relation::Equal {
        let difference = site.binary(Binary::Sub, a, b)?;
        let sign = site.function(Function::Sign, &difference)?;
        let apart = site.function(Function::Abs, &sign)?;
        return complemented(site, &apart);
    }
    let above = matches!(relation, Relation::Greater | Relation::LessOrEqual);
    let difference = if above { site.binary(Binary::Sub, a, b)? } else { site.binary(Binary::Sub, b, a)? };
    let positive = is_positive(site, &difference)?;
    let strict = matches!(relation, Relation::Greater | Relation::Less);
    if strict { Ok(positive) } else { complemented(site, &positive) }
}

fn indicator_of_side(site: &mut Site, side: Side) -> Result<Slot, NodeError> {
    let subject = Slot::Node(side.subject);
    // The strict side is that of the subject or of its negative.
    let positive = if side.positive == side.zero { site.function(Function::Neg, &subject)? } else { subject };
    let strict = is_positive(site, &positive)?;
    if side.zero { complemented(site, &strict) } else { Ok(strict) }
}

/// 1 where `x > y` and 0 elsewhere.
pub(super) fn above(site: &mut Site, x: &Slot, y: &Slot) -> Result<Slot, NodeError> {
    indicator(site, Relation::Greater, x, y)
}

/// `max(sign x, 0)`.
fn is_positive(site: &mut Site, x: &Slot) -> Result<Slot, NodeError> {
    let sign = site.function(Function::Sign, x)?;
    site.function(Function::Relu, &sign)
}

fn complemented(site: &mut Site, indicator: &Slot) -> Result<Slot, NodeError> {
    let one = site.scalar(1.0);
    site.binary(Binary::Sub, &one, indicator)
}

/// The relation between two constants, element by element, where both are known.
fn constants(site: &mut Site, relation: Relation, a: &Slot, b: &Slot, shape: &[usize]) -> Result<Option<Vec<bool>>, NodeError> {
    let floats = |value: Option<Vec<f64>>, shape: Vec<usize>| value.and_then(|value| Tensor::new(shape, value)).map(Value::Float);
    let (a, b) = match (a.discrete().cloned(), b.discrete().cloned()) {
        (None, None) => {
            let known = site.decide(|reader| Some((reader.exact(a)?, reader.exact(b)?)));
            let (x, y) = known.map_or((None, None), |(x, y)| (Some(x), Some(y)));
            (floats(x, site.shape(a)), floats(y, site.shape(b)))
        }
        pair => pair,
    };
    let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
    Ok(match (&broadcast_value(&a, shape)?, &broadcast_value(&b, shape)?) {
        (Value::Int(a), Value::Int(b)) => Some(pairwise(relation, a.data(), b.data())),
        (Value::Bool(a), Value::Bool(b)) => Some(pairwise(relation, a.data(), b.data())),
        (Value::Float(a), Value::Float(b)) => Some(pairwise(relation, a.data(), b.data())),
        _ => None,
    })
}

fn pairwise<T: PartialOrd>(relation: Relation, a: &[T], b: &[T]) -> Vec<bool> {
    a.iter().zip(b).map(|(a, b)| relation.holds(a, b)).collect()
}

/// `Not` of constants and of conditions.
pub(super) fn not(site: &mut Site) -> Result<Slot, NodeError> {
    match site.input(0)? {
        Slot::Step(step) => match &*step {
            Step::Truth(condition) => Ok(Slot::Step(Step::Truth(complement(site, condition)?).into())),
            _ => Err(NodeError::invalid("negates a tensor that is not boolean")),
        },
        slot => {
            let truths = slot.discrete().and_then(Value::as_bools).ok_or_else(|| NodeError::invalid("needs truth values"))?;
            site.bool_constant(site.shape(&slot), truths.iter().map(|truth| !truth).collect())
        }
    }
}

fn complement(site: &mut Site, condition: &Condition) -> Result<Condition, NodeError> {
    let indicator = complemented(site, &Slot::Node(condition.indicator))?;
    let negated = |compared: &Compared| Some(Compared { relation: compared.relation.negated()?, ..compared.clone() });
    Ok(Condition {
        shape: condition.shape.clone(),
        indicator: site.graph.node(&indicator)?,
        compared: condition.compared.as_ref().and_then(negated),
        side: condition.side.map(Side::complement),
    })
}

/// How two truth values become one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Junction {
    And,
    Or,
    Xor,
}

/// Of truth values of which at least one depends on the input; `None` if neither does.
pub(super) fn join(site: &mut Site, junction: Junction, a: &Slot, b: &Slot) -> Result<Option<Slot>, NodeError> {
    if !matches!(a, Slot::Step(_)) && !matches!(b, Slot::Step(_)) {
        return Ok(None);
    }
    let (a, b) = (truth(site, a)?, truth(site, b)?);
    let joined = match junction {
        Junction::And => site.binary(Binary::Min, &a, &b)?,
        Junction::Or => site.binary(Binary::Max, &a, &b)?,
        Junction::Xor => {
            let difference = site.binary(Binary::Sub, &a, &b)?;
            site.function(Function::Abs, &difference)?
        }
    };
    let indicator = site.graph.node(&joined)?;
    let condition = Condition { shape: site.shape(&joined), indicator, compared: None, side: None };
    Ok(Some(Slot::Step(Step::Truth(condition).into())))
}

/// 1 and 0 for truth values.
fn truth(site: &mut Site, slot: &Slot) -> Result<Slot, NodeError> {
    let needed = || NodeError::invalid("needs truth values");
    match slot {
        Slot::Step(step) => match &**step {
            Step::Truth(condition) => Ok(Slot::Node(condition.indicator)),
            _ => Err(needed()),
        },
        slot => {
            let truths = slot.discrete().and_then(Value::as_bools).ok_or_else(needed)?;
            let numbers = truths.iter().map(|&truth| f64::from(u8::from(truth))).collect();
            let tensor = Tensor::new(site.shape(slot), numbers).ok_or_else(needed)?;
            site.constant(Value::Float(tensor), DataType::Float)
        }
    }
}

/// `x·[u ≤ 0]`, or `None` if neither factor is an indicator.
pub(super) fn product(site: &mut Site, a: &Slot, b: &Slot) -> Result<Option<Slot>, NodeError> {
    let ((Slot::Step(step), value) | (value, Slot::Step(step))) = (a, b) else { return Ok(None) };
    let Step::Indicator(condition) = &**step else { return Ok(None) };
    let value = site.graph.node(value)?;
    if site.graph.see(value).shape != condition.shape {
        return Ok(None);
    }
    if let Some(side) = condition.side
        && site.decide(|reader| same(reader, side.subject, value).then_some(())).is_some()
    {
        let function = if side.positive { Function::Relu } else { Function::Clip { lower: f64::NEG_INFINITY, upper: 0.0 } };
        return site.function(function, &Slot::Node(value)).map(Some);
    }
    let product = site.binary(Binary::Mul, &Slot::Node(condition.indicator), &Slot::Node(value))?;
    let product = site.graph.node(&product)?;
    Ok(Some(Slot::Step(Step::Gated { value, condition: condition.clone(), product }.into())))
}

/// `z·[u ≤ 0] + R·[u > 0]`, or `None` if that is not what is added, or not known to be continuous.
pub(super) fn sum(site: &mut Site, a: &Slot, b: &Slot) -> Result<Option<Slot>, NodeError> {
    let (Slot::Step(a), Slot::Step(b)) = (a, b) else { return Ok(None) };
    if let (Step::Gated { value: x, condition: when, .. }, Step::Gated { value: y, condition: otherwise, .. }) = (&**a, &**b)
        && let (Some(side), Some(rest)) = (when.side, otherwise.side)
        && rest == side.complement()
    {
        return householder::select(site, side, *x, *y);
    }
    Ok(None)
}

/// `1 − [u ≤ 0]`, or `None` if that is not what is subtracted.
pub(super) fn difference(site: &mut Site, a: &Slot, b: &Slot) -> Result<Option<Slot>, NodeError> {
    let Slot::Step(step) = b else { return Ok(None) };
    let Step::Indicator(condition) = &**step else { return Ok(None) };
    let own = site.shape(a);
    if own.iter().any(|&extent| extent != 1) || broadcast_shapes(&own, &condition.shape)? != condition.shape {
        return Ok(None);
    }
    let one = site.decide(|reader| (reader.uniform(a)? == 1.0).then_some(()));
    if one.is_none() {
        return Ok(None);
    }
    Ok(Some(Slot::Step(Step::Indicator(complement(site, condition)?).into())))
}

/// A choice between two values: by a constant condition a movement of elements, by any other one of the functions that
/// [`piecewise`] knows, or a sum weighed with indicators, which jumps.
pub(super) fn choose(site: &mut Site) -> Result<Slot, NodeError> {
    let (condition, a, b) = (site.input(0)?, site.input(1)?, site.input(2)?);
    let shape = broadcast_shapes(&broadcast_shapes(&site.shape(&condition), &site.shape(&a))?, &site.shape(&b))?;
    if let Slot::Step(step) = &condition {
        let Step::Truth(condition) = &**step else { return Err(NodeError::invalid("its condition is not a truth value")) };
        return branches(site, condition, &a, &b, &shape);
    }
    let Some(condition @ Value::Bool(_)) = condition.discrete() else {
        return Err(NodeError::unsupported("its condition is not known before the network runs"));
    };
    let condition = broadcast_value(condition, &shape)?;
    if let Some(slot) = masked::choose(site, condition.as_bools().unwrap_or_default(), &a, &b, &shape)? {
        return Ok(slot);
    }
    let (from_a, from_b) = (site.shape(&a), site.shape(&b));
    let mut truths = condition.as_bools().unwrap_or_default().iter();
    let element = broadcast_source(&[&from_a, &from_b], &shape);
    site.rearrange(&[a, b], shape, |index| element(usize::from(truths.next() != Some(&true)), index))
}

fn branches(site: &mut Site, condition: &Condition, a: &Slot, b: &Slot, shape: &[usize]) -> Result<Slot, NodeError> {
    if let Some(slot) = piecewise::select(site, condition, a, b, shape)? {
        return Ok(slot);
    }
    let (a, b) = (site.broadcast(a, shape)?, site.broadcast(b, shape)?);
    if let Some(side) = condition.side.filter(|_| condition.shape == shape) {
        let (x, y) = (site.graph.node(&a)?, site.graph.node(&b)?);
        if let Some(slot) = householder::select(site, side, x, y)? {
            return Ok(slot);
        }
    }
    let indicator = site.broadcast(&Slot::Node(condition.indicator), shape)?;
    let otherwise = complemented(site, &indicator)?;
    let first = site.binary(Binary::Mul, &indicator, &a)?;
    let second = site.binary(Binary::Mul, &otherwise, &b)?;
    site.binary(Binary::Add, &first, &second)
}
