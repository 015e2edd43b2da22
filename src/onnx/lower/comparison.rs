//! Comparisons. Between constants they fold; a comparison of values that depend on the input is a step function, which is
//! discontinuous: it stays a [`Step`] until a pattern proves that the steps cancel, and any other use is refused.

use super::super::error::NodeError;
use super::super::value::Value;
use super::folding::{broadcast_source, broadcast_value};
use super::graph::Slot;
use super::householder;
use super::indices::broadcast_shapes;
use super::site::Site;
use crate::ir::{NodeId, Tensor};

/// A comparison whose operands depend on the input.
#[derive(Clone)]
pub(super) struct Comparison {
    node: String,
    operator: String,
    pub shape: Vec<usize>,
    /// Where it is true, if it compares with zero.
    pub side: Option<Side>,
}

/// One side of zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Side {
    pub subject: NodeId,
    /// The side above zero.
    pub positive: bool,
    /// Is zero itself included?
    pub zero: bool,
}

impl Side {
    pub fn complement(self) -> Self {
        Self { positive: !self.positive, zero: !self.zero, ..self }
    }
}

/// What a comparison has been made into so far.
pub(super) enum Step {
    Truth(Comparison),
    /// 1 where true, 0 elsewhere.
    Indicator(Comparison),
    /// A value where true, 0 elsewhere.
    Gated(NodeId, Comparison),
}

impl Step {
    fn comparison(&self) -> &Comparison {
        match self {
            Self::Truth(comparison) | Self::Indicator(comparison) | Self::Gated(_, comparison) => comparison,
        }
    }

    pub fn shape(&self) -> &[usize] {
        &self.comparison().shape
    }

    pub fn refusal(&self) -> NodeError {
        let Comparison { node, operator, .. } = self.comparison();
        NodeError::unsupported_with_hint(
            format!(
                "it uses the comparison `{node}` ({operator}) of values that depend on the input: a step function is \
                 discontinuous and has no Lipschitz constant"
            ),
            "only the Householder activation may compare, and only where both sides agree exactly at zero (θ = 2φ): its sines and \
             cosines must stand in the graph, so export it without constant folding or simplification",
        )
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

    fn swapped(self) -> Self {
        match self {
            Self::Equal => Self::Equal,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
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
    if let (Slot::Constant(_), Slot::Constant(_)) = (&a, &b) {
        let truths = constants(site, relation, &a, &b, &shape)?;
        return site.bool_constant(shape, truths);
    }
    let side = match (&a, &b) {
        (Slot::Step(step), _) | (_, Slot::Step(step)) => return Err(step.refusal()),
        (a, b) => site.decide(|reader| {
            let zero = |slot: &Slot| reader.uniform(slot) == Some(0.0);
            match (a, b) {
                (Slot::Node(subject), other) if zero(other) => relation.side(*subject),
                (other, Slot::Node(subject)) if zero(other) => relation.swapped().side(*subject),
                _ => None,
            }
        }),
    };
    let side = side.filter(|side| site.graph.see(side.subject).shape == shape);
    let comparison = Comparison { node: site.name.to_owned(), operator: site.proto.op_type.clone(), shape, side };
    Ok(Slot::Step(Step::Truth(comparison).into()))
}

/// The relation between two constants, element by element.
fn constants(site: &mut Site, relation: Relation, a: &Slot, b: &Slot, shape: &[usize]) -> Result<Vec<bool>, NodeError> {
    let value = |site: &mut Site, slot: &Slot| match slot.discrete() {
        Some(value) => Some(value.clone()),
        None => Tensor::new(site.shape(slot), site.decide(|reader| reader.exact(slot))?).map(Value::Float),
    };
    let types = || NodeError::invalid("compares tensors of different types");
    let (a, b) = (value(site, a).ok_or_else(types)?, value(site, b).ok_or_else(types)?);
    match (&broadcast_value(&a, shape)?, &broadcast_value(&b, shape)?) {
        (Value::Int(a), Value::Int(b)) => Ok(pairwise(relation, a.data(), b.data())),
        (Value::Bool(a), Value::Bool(b)) => Ok(pairwise(relation, a.data(), b.data())),
        (Value::Float(a), Value::Float(b)) => Ok(pairwise(relation, a.data(), b.data())),
        _ => Err(types()),
    }
}

fn pairwise<T: PartialOrd>(relation: Relation, a: &[T], b: &[T]) -> Vec<bool> {
    a.iter().zip(b).map(|(a, b)| relation.holds(a, b)).collect()
}

/// `Not` of constants and of comparisons.
pub(super) fn not(site: &mut Site) -> Result<Slot, NodeError> {
    match site.input(0)? {
        Slot::Step(step) => match &*step {
            Step::Truth(comparison) => Ok(Slot::Step(Step::Truth(complement(comparison)).into())),
            _ => Err(NodeError::invalid("negates a tensor that is not boolean")),
        },
        slot => {
            let truths = slot.discrete().and_then(Value::as_bools).ok_or_else(|| NodeError::invalid("needs truth values"))?;
            site.bool_constant(site.shape(&slot), truths.iter().map(|truth| !truth).collect())
        }
    }
}

fn complement(comparison: &Comparison) -> Comparison {
    Comparison { side: comparison.side.map(Side::complement), ..comparison.clone() }
}

/// `x·[u ≤ 0]`, or `None` if neither factor is an indicator.
pub(super) fn product(site: &mut Site, a: &Slot, b: &Slot) -> Result<Option<Slot>, NodeError> {
    let ((Slot::Step(step), value) | (value, Slot::Step(step))) = (a, b) else { return Ok(None) };
    let Step::Indicator(comparison) = &**step else { return Err(step.refusal()) };
    let value = site.graph.node(value)?;
    if site.graph.see(value).shape != comparison.shape {
        return Err(step.refusal());
    }
    Ok(Some(Slot::Step(Step::Gated(value, comparison.clone()).into())))
}

/// `z·[u ≤ 0] + R·[u > 0]`, or `None` if neither summand is gated.
pub(super) fn sum(site: &mut Site, a: &Slot, b: &Slot) -> Result<Option<Slot>, NodeError> {
    let ((Slot::Step(step), other) | (other, Slot::Step(step))) = (a, b) else { return Ok(None) };
    if let (Step::Gated(x, when), Slot::Step(other)) = (&**step, other)
        && let Step::Gated(y, otherwise) = &**other
        && let (Some(side), Some(rest)) = (when.side, otherwise.side)
        && rest == side.complement()
        && let Some(slot) = householder::select(site, side, *x, *y)?
    {
        return Ok(Some(slot));
    }
    Err(step.refusal())
}

/// `1 − [u ≤ 0]`, or `None` if there is no indicator.
pub(super) fn difference(site: &mut Site, a: &Slot, b: &Slot) -> Result<Option<Slot>, NodeError> {
    let Slot::Step(step) = b else {
        let Slot::Step(step) = a else { return Ok(None) };
        return Err(step.refusal());
    };
    let Step::Indicator(comparison) = &**step else { return Err(step.refusal()) };
    let one = site.decide(|reader| (reader.uniform(a)? == 1.0).then_some(()));
    let own = site.shape(a);
    if one.is_none() || own.iter().any(|&extent| extent != 1) || broadcast_shapes(&own, &comparison.shape)? != comparison.shape {
        return Err(step.refusal());
    }
    Ok(Some(Slot::Step(Step::Indicator(complement(comparison)).into())))
}

/// A choice between two values: by a constant condition a movement of elements, by a comparison only in a known pattern.
pub(super) fn choose(site: &mut Site) -> Result<Slot, NodeError> {
    let (condition, a, b) = (site.input(0)?, site.input(1)?, site.input(2)?);
    let shape = broadcast_shapes(&broadcast_shapes(&site.shape(&condition), &site.shape(&a))?, &site.shape(&b))?;
    if let Slot::Step(step) = &condition {
        let Step::Truth(Comparison { side: Some(side), shape: own, .. }) = &**step else { return Err(step.refusal()) };
        if [own, &site.shape(&a), &site.shape(&b)].iter().any(|own| **own != shape) {
            return Err(step.refusal());
        }
        let (a, b) = (site.graph.node(&a)?, site.graph.node(&b)?);
        return householder::select(site, *side, a, b)?.ok_or_else(|| step.refusal());
    }
    let Some(condition @ Value::Bool(_)) = condition.discrete() else {
        return Err(NodeError::unsupported("its condition is not known before the network runs"));
    };
    let condition = broadcast_value(condition, &shape)?;
    let (from_a, from_b) = (site.shape(&a), site.shape(&b));
    let mut truths = condition.as_bools().unwrap_or_default().iter();
    let element = broadcast_source(&[&from_a, &from_b], &shape);
    site.rearrange(&[a, b], shape, |index| element(usize::from(truths.next() != Some(&true)), index))
}
