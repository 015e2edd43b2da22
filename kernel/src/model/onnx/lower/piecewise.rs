//! Piecewise functions written as choices: `Where(x > t, A(x), B(x))` whose branches meet at `t`.
//!
//! Such a choice is a continuous function of the IR, whose slopes are known; a sum weighed with indicators would jump. It is
//! replaced only where both branches and the place where they meet are exactly known, so which side `t` itself belongs to does
//! not matter.

use super::super::error::NodeError;
use super::comparison::{Compared, Condition, Relation};
use super::graph::{Reader, Slot, exact_combine};
use super::householder::same;
use super::site::Site;
use crate::model::ir::{Binary, Function, NodeId, Op};

/// How deep a branch is read.
const DEPTH: usize = 8;

/// What a choice is.
enum Found {
    /// A function of the subject; `plain` where float32 computes its branches as it computes the function.
    Function {
        function: Function,
        plain: bool,
    },
    /// `slope·x` below zero, `x` above.
    Leaky(NodeId),
    /// `relu` of a branch, or what of a branch is not above zero.
    Rectified {
        branch: NodeId,
        positive: bool,
    },
    /// A branch, and beyond the threshold a multiple of the distance from it.
    Bent {
        branch: NodeId,
        slope: f64,
        threshold: f64,
    },
    /// One branch, and `relu` of the other.
    Beside {
        branch: NodeId,
        rectified: NodeId,
    },
    Extremum(Binary),
}

impl Found {
    const fn clip(lower: f64, upper: f64) -> Self {
        Self::Function { function: Function::Clip { lower, upper }, plain: true }
    }
}

/// A choice between `above` for `x > threshold` and `below` for `x < threshold`.
struct Choice {
    x: NodeId,
    threshold: f64,
    above: Slot,
    below: Slot,
}

/// `a` where the condition holds and `b` elsewhere, if that is a continuous function that is known.
pub(super) fn select(
    site: &mut Site,
    condition: &Condition,
    a: &Slot,
    b: &Slot,
    shape: &[usize],
) -> Result<Option<Slot>, NodeError> {
    let Some(Compared { left, right, relation }) = &condition.compared else { return Ok(None) };
    if *relation == Relation::Equal || condition.shape != shape {
        return Ok(None);
    }
    // Constants have no node before they are needed, and are read by their slots.
    let [a, b] = [a, b].map(|slot| match slot {
        Slot::Step(step) => step.node().map(Slot::Node),
        slot => Ok(slot.clone()),
    });
    let (a, b) = (a?, b?);
    let greater = matches!(relation, Relation::Greater | Relation::GreaterOrEqual);
    let found = site.decide(|reader| {
        let by_threshold = || {
            let (x, threshold, greater) = match (left, right) {
                (Slot::Node(x), other) if reader.see(*x).shape == shape => (*x, reader.uniform(other)?, greater),
                (other, Slot::Node(x)) if reader.see(*x).shape == shape => (*x, reader.uniform(other)?, !greater),
                _ => return None,
            };
            let (above, below) = if greater { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) };
            let choice = Choice { x, threshold, above, below };
            Some((Some(x), choice.recognise(reader)?))
        };
        by_threshold().or_else(|| Some((None, Found::Extremum(extremum(reader, [left, right], [&a, &b], greater)?))))
    });
    let Some((x, found)) = found else { return Ok(None) };
    build(site, x, found, &a, &b).map(Some)
}

/// Whether the larger or the smaller of what is compared is chosen.
fn extremum(reader: &Reader, [left, right]: [&Slot; 2], [a, b]: [&Slot; 2], greater: bool) -> Option<Binary> {
    let equal = |s: &Slot, t: &Slot| match (s, t) {
        (Slot::Node(s), Slot::Node(t)) => same(reader, *s, *t),
        (Slot::Constant(s), Slot::Constant(t)) => std::rc::Rc::ptr_eq(s, t),
        _ => false,
    };
    if equal(left, a) && equal(right, b) {
        return Some(if greater { Binary::Max } else { Binary::Min });
    }
    (equal(left, b) && equal(right, a)).then_some(if greater { Binary::Min } else { Binary::Max })
}

fn build(site: &mut Site, x: Option<NodeId>, found: Found, a: &Slot, b: &Slot) -> Result<Slot, NodeError> {
    match (found, x) {
        (Found::Extremum(extremum), _) => site.binary(extremum, a, b),
        (Found::Function { function, plain }, Some(x)) => {
            if !plain {
                site.graph.record_rewriting(site.name);
            }
            site.function(function, &Slot::Node(x))
        }
        (Found::Leaky(slope), Some(x)) => {
            let x = Slot::Node(x);
            let shape = site.shape(&x);
            let slope = site.broadcast(&Slot::Node(slope), &shape)?;
            site.push(Op::PRelu, &[&x, &slope], shape)
        }
        // The deployed network may round the branch to the other side of zero than its subject is of the threshold.
        (Found::Rectified { branch, positive }, _) => {
            site.graph.record_rewriting(site.name);
            let below = Function::Clip { lower: f64::NEG_INFINITY, upper: 0.0 };
            site.function(if positive { Function::Relu } else { below }, &Slot::Node(branch))
        }
        (Found::Bent { branch, slope, threshold }, Some(x)) => {
            site.graph.record_rewriting(site.name);
            let (threshold, slope) = (site.scalar(threshold), site.scalar(slope));
            let beyond = site.binary(Binary::Sub, &Slot::Node(x), &threshold)?;
            let beyond = site.function(Function::Relu, &beyond)?;
            let bent = site.binary(Binary::Mul, &beyond, &slope)?;
            site.binary(Binary::Add, &Slot::Node(branch), &bent)
        }
        (Found::Beside { branch, rectified }, _) => {
            site.graph.record_rewriting(site.name);
            let rectified = site.function(Function::Relu, &Slot::Node(rectified))?;
            site.binary(Binary::Add, &Slot::Node(branch), &rectified)
        }
        // Everything else has a subject.
        (_, None) => Err(NodeError::invalid("chooses by no value")),
    }
}

impl Choice {
    fn recognise(&self, reader: &Reader) -> Option<Found> {
        let affine = |slot: &Slot| affine(reader, slot, self.x, DEPTH);
        let (above, below) = (affine(&self.above), affine(&self.below));
        if let (Some(above), Some(below)) = (above, below) {
            return self.linear(reader, above, below);
        }
        match (above, below) {
            (Some(IDENTITY), None) if self.threshold == 0.0 => {
                self.leaky(reader).or_else(|| exponential(reader, &self.below, self.x))
            }
            // A clip that does nothing at the threshold, where the other branch is the threshold.
            (Some(Line { slope: 0.0, offset }), None) if offset == self.threshold => {
                let (lower, upper) = clip_of(reader, &self.below, self.x)?;
                (lower..=upper).contains(&offset).then_some(Found::clip(lower, offset))
            }
            (None, Some(Line { slope: 0.0, offset })) if offset == self.threshold => {
                let (lower, upper) = clip_of(reader, &self.above, self.x)?;
                (lower..=upper).contains(&offset).then_some(Found::clip(offset, upper))
            }
            (Some(above), None) => self.beside(reader, above),
            _ => None,
        }
    }

    /// Both branches are lines that meet at the threshold.
    fn linear(&self, reader: &Reader, above: Line, below: Line) -> Option<Found> {
        let meeting = above.at(self.threshold)?;
        #[allow(clippy::float_cmp)] // both are exact
        if meeting != below.at(self.threshold)? {
            return None;
        }
        let plain = self.is_plain(reader, &self.above) && self.is_plain(reader, &self.below);
        let function = |function| Some(Found::Function { function, plain });
        match (above, below) {
            (IDENTITY, Line { slope: 0.0, offset: 0.0 }) => function(Function::Relu),
            (IDENTITY, Line { slope: -1.0, offset: 0.0 }) => function(Function::Abs),
            (IDENTITY, Line { slope: 0.0, offset }) => function(Function::Clip { lower: offset, upper: f64::INFINITY }),
            (Line { slope: 0.0, offset }, IDENTITY) => function(Function::Clip { lower: f64::NEG_INFINITY, upper: offset }),
            (IDENTITY, Line { slope, offset: 0.0 }) => function(Function::LeakyRelu { slope }),
            // Where one branch is zero, the other is zero at the threshold.
            (Line { slope, .. }, Line { slope: 0.0, offset: 0.0 }) => {
                Some(Found::Rectified { branch: node(&self.above)?, positive: slope > 0.0 })
            }
            (Line { slope: 0.0, offset: 0.0 }, Line { slope, .. }) => {
                Some(Found::Rectified { branch: node(&self.below)?, positive: slope < 0.0 })
            }
            _ => {
                let slope = exact_combine(Binary::Sub, above.slope, below.slope)?;
                Some(Found::Bent { branch: node(&self.below)?, slope, threshold: self.threshold })
            }
        }
    }

    /// Whether a branch is the subject, a constant, or one product or quotient of both, or the subject's negative.
    fn is_plain(&self, reader: &Reader, slot: &Slot) -> bool {
        let Some(id) = node(slot) else { return true };
        let simple = |id: NodeId| same(reader, id, self.x) || !reader.see(id).variable;
        let seen = reader.see(id);
        let once = matches!(seen.op, Some(Op::Binary(Binary::Mul | Binary::Div) | Op::Function(Function::Neg)));
        simple(id) || once && seen.operands.iter().all(|&operand| simple(operand))
    }

    /// `k·x` below zero, for a constant that need not be one number.
    fn leaky(&self, reader: &Reader) -> Option<Found> {
        let seen = reader.see(node(&self.below)?);
        let (Op::Binary(Binary::Mul), &[a, b]) = (seen.op?, seen.operands) else { return None };
        let constant = |x: NodeId, k: NodeId| same(reader, x, self.x) && !reader.see(k).variable;
        [(a, b), (b, a)].into_iter().find_map(|(x, k)| constant(x, k).then_some(Found::Leaky(k)))
    }

    /// A rising line above its zero, beside a branch that vanishes there: `min(L, 0)` with a rising line `L`.
    fn beside(&self, reader: &Reader, above: Line) -> Option<Found> {
        let branch = node(&self.below)?;
        let seen = reader.see(branch);
        let Op::Function(Function::Clip { lower: f64::NEG_INFINITY, upper: 0.0 }) = seen.op? else { return None };
        let inner = affine(reader, &Slot::Node(*seen.operands.first()?), self.x, DEPTH)?;
        let vanishes = inner.slope > 0.0 && inner.at(self.threshold)? >= 0.0;
        let rises = above.slope > 0.0 && above.at(self.threshold)? == 0.0;
        (vanishes && rises).then_some(Found::Beside { branch, rectified: node(&self.above)? })
    }
}

/// `slope·x + offset`, exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    slope: f64,
    offset: f64,
}

const IDENTITY: Line = Line { slope: 1.0, offset: 0.0 };

impl Line {
    fn at(self, x: f64) -> Option<f64> {
        exact_combine(Binary::Add, exact_combine(Binary::Mul, self.slope, x)?, self.offset)
    }

    /// Each coefficient combined with the other line's.
    fn with(self, binary: Binary, other: Self) -> Option<Self> {
        Some(Self {
            slope: exact_combine(binary, self.slope, other.slope)?,
            offset: exact_combine(binary, self.offset, other.offset)?,
        })
    }
}

const fn node(slot: &Slot) -> Option<NodeId> {
    match slot {
        Slot::Node(id) => Some(*id),
        _ => None,
    }
}

/// The line that a value is as a function of `x`, if its constants are known.
fn affine(reader: &Reader, slot: &Slot, x: NodeId, depth: usize) -> Option<Line> {
    let Some(id) = node(slot).filter(|id| reader.see(*id).variable) else {
        return reader.uniform(slot).filter(|offset| offset.is_finite()).map(|offset| Line { slope: 0.0, offset });
    };
    if same(reader, id, x) {
        return Some(IDENTITY);
    }
    let depth = depth.checked_sub(1)?;
    let seen = reader.see(id);
    let operand = |position: usize| affine(reader, &Slot::Node(*seen.operands.get(position)?), x, depth);
    match seen.op? {
        Op::Function(Function::Neg) => {
            let line = operand(0)?;
            Some(Line { slope: -line.slope, offset: -line.offset })
        }
        Op::Binary(binary @ (Binary::Add | Binary::Sub)) => operand(0)?.with(*binary, operand(1)?),
        Op::Binary(binary @ (Binary::Mul | Binary::Div)) => {
            let (a, b) = (operand(0)?, operand(1)?);
            let (line, factor) = match (a.slope == 0.0, b.slope == 0.0) {
                (_, true) => (a, b.offset),
                (true, false) if *binary == Binary::Mul => (b, a.offset),
                _ => return None,
            };
            line.with(*binary, Line { slope: factor, offset: factor })
        }
        _ => None,
    }
}

/// The bounds of a clip of `x`.
fn clip_of(reader: &Reader, slot: &Slot, x: NodeId) -> Option<(f64, f64)> {
    let seen = reader.see(node(slot)?);
    let (Op::Function(function), &[inner]) = (seen.op?, seen.operands) else { return None };
    match *function {
        Function::Clip { lower, upper } if same(reader, inner, x) => Some((lower, upper)),
        Function::Relu if same(reader, inner, x) => Some((0.0, f64::INFINITY)),
        _ => None,
    }
}

/// The function, which float32 rounds otherwise than these parts of it, for `α(eˣ − 1)` or `α(e^{x/α} − 1)`; the power may be of `min(x, 0)`.
fn exponential(reader: &Reader, slot: &Slot, x: NodeId) -> Option<Found> {
    let uniform = |id: NodeId| reader.uniform(&Slot::Node(id));
    let pair = |id: NodeId, binary: Binary| {
        let seen = reader.see(id);
        match (seen.op?, seen.operands) {
            (Op::Binary(found), &[a, b]) if *found == binary => Some((a, b)),
            _ => None,
        }
    };
    let id = node(slot)?;
    let (factor, power) = match pair(id, Binary::Mul) {
        Some((a, b)) => match (uniform(a), uniform(b)) {
            (Some(factor), None) => (factor, b),
            (None, Some(factor)) => (factor, a),
            _ => return None,
        },
        None => (1.0, id),
    };
    let (power, one) = pair(power, Binary::Sub)?;
    let seen = reader.see(power);
    let (Op::Function(Function::Exp), &[argument]) = (seen.op?, seen.operands) else { return None };
    if uniform(one) != Some(1.0) || !factor.is_finite() {
        return None;
    }
    let is_subject = |id: NodeId| {
        let clipped = clip_of(reader, &Slot::Node(id), x);
        same(reader, id, x) || clipped.is_some_and(|(lower, upper)| lower == f64::NEG_INFINITY && upper >= 0.0)
    };
    if is_subject(argument) {
        return Some(Found::Function { function: Function::Elu { alpha: factor }, plain: false });
    }
    let (scaled, divisor) = pair(argument, Binary::Div)?;
    let celu = is_subject(scaled) && uniform(divisor) == Some(factor) && factor > 0.0;
    celu.then_some(Found::Function { function: Function::Celu { alpha: factor }, plain: false })
}
