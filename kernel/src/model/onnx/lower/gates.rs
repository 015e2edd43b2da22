//! Products that are gated activations: `x·σ(kx)`, `x·(1 + erf(x/c))`, `x·(1 + tanh(k(x + cx³)))`, `x·tanh(softplus(x))`,
//! `x·clip(x + 3, 0, 6)`.
//!
//! A product of two values that both depend on the input has no bounded slope, the gated activation has; so a product is
//! replaced where it is exactly that function. Constant factors may stand on either side; they are applied afterwards.

use super::super::error::NodeError;
use super::graph::{Reader, Slot};
use super::householder::same;
use super::site::Site;
use crate::model::ir::{Binary, Function, NodeId, Op, is_near_gelu};

/// A multiplication with, or a division by, a node that the input does not reach.
type Factor = (Binary, NodeId);

/// A value after taking off constant factors: `id` times (or divided by) every one of `factors`.
struct Stage {
    id: NodeId,
    factors: Vec<Factor>,
}

/// The gated activation `function(inner)`, times (or divided by) a constant.
struct Gate {
    inner: NodeId,
    function: Function,
    factor: Option<Factor>,
}

/// How the argument of a gate relates to the gated value: equal, times a constant, divided by one.
enum Scale {
    Same,
    Times(NodeId),
    Over(NodeId),
}

const MAX_FACTORS: usize = 4;

pub(super) fn product(site: &mut Site, a: &Slot, b: &Slot) -> Result<Option<Slot>, NodeError> {
    let (Slot::Node(a), Slot::Node(b)) = (a, b) else { return Ok(None) };
    if site.graph.see(*a).shape != site.graph.see(*b).shape {
        return Ok(None);
    }
    let found = site.decide(|reader| find(reader, *a, *b).or_else(|| find(reader, *b, *a)));
    let Some((gate, factors)) = found else { return Ok(None) };
    if factors.len() > usize::from(gate.factor.is_some()) {
        // The factors are applied after the activation here, before it there: an intermediate result may overflow or vanish.
        site.graph.record_rewriting(site.name);
    }
    let gated = build(site, &gate)?;
    let apply = |x: Slot, (binary, factor): Factor| site.binary(binary, &x, &Slot::Node(factor));
    factors.into_iter().try_fold(gated, apply).map(Some)
}

/// The gated activation that `value · gate` is, and the factors that remain.
fn find(reader: &Reader, value: NodeId, gate: NodeId) -> Option<(Gate, Vec<Factor>)> {
    let values = stages(reader, value);
    stages(reader, gate).into_iter().find_map(|gate| {
        values.iter().find_map(|value| {
            let found = recognise(reader, value.id, gate.id)?;
            let factors = found.factor.into_iter().chain(value.factors.iter().copied()).chain(gate.factors.iter().copied());
            let factors = factors.collect();
            Some((found, factors))
        })
    })
}

/// `x·clip(αx + 1/2, 0, 1) = hardswish(6αx)/(6α)` and `x·clip(x + 3, 0, 6) = 6·hardswish(x)`.
fn build(site: &mut Site, gate: &Gate) -> Result<Slot, NodeError> {
    let inner = Slot::Node(gate.inner);
    match gate.function {
        Function::HardSigmoid { alpha, .. } => {
            // Six times an `f32` is exact.
            let six = site.scalar(6.0 * alpha);
            let scaled = site.binary(Binary::Mul, &inner, &six)?;
            let gated = site.function(Function::HardSwish, &scaled)?;
            site.binary(Binary::Div, &gated, &six)
        }
        Function::Clip { .. } => {
            let gated = site.function(Function::HardSwish, &inner)?;
            let six = site.scalar(6.0);
            site.binary(Binary::Mul, &gated, &six)
        }
        _ => site.function(gate.function.clone(), &inner),
    }
}

fn stages(reader: &Reader, id: NodeId) -> Vec<Stage> {
    let mut stages = vec![Stage { id, factors: Vec::new() }];
    while stages.len() <= MAX_FACTORS
        && let Some(last) = stages.last()
        && let Some((id, factor)) = constant_factor(reader, last.id)
    {
        let factors = last.factors.iter().copied().chain([factor]).collect();
        stages.push(Stage { id, factors });
    }
    stages
}

/// A product with, or a quotient by, something that the input does not reach.
fn constant_factor(reader: &Reader, id: NodeId) -> Option<(NodeId, Factor)> {
    let node = reader.see(id);
    let variable = |id: NodeId| reader.see(id).variable;
    match (node.op?, node.operands) {
        (Op::Binary(Binary::Mul), &[a, b]) if variable(a) && !variable(b) => Some((a, (Binary::Mul, b))),
        (Op::Binary(Binary::Mul), &[a, b]) if variable(b) && !variable(a) => Some((b, (Binary::Mul, a))),
        (Op::Binary(Binary::Div), &[a, b]) if variable(a) && !variable(b) => Some((a, (Binary::Div, b))),
        _ => None,
    }
}

/// Whether `value · gate` is a gated activation.
fn recognise(reader: &Reader, value: NodeId, gate: NodeId) -> Option<Gate> {
    let node = reader.see(gate);
    let operand = node.operands.first().copied()?;
    match node.op? {
        Op::Function(Function::Sigmoid) => Some(rescaled(operand, &scale(reader, operand, value)?, Function::Silu)),
        Op::Function(Function::HardSigmoid { alpha, beta: 0.5 }) if *alpha > 0.0 && same(reader, operand, value) => {
            Some(Gate { inner: operand, function: Function::HardSigmoid { alpha: *alpha, beta: 0.5 }, factor: None })
        }
        Op::Function(Function::Tanh) => {
            let inner = reader.see(operand);
            let matching = inner.op == Some(&Op::Function(Function::Softplus)) && same(reader, *inner.operands.first()?, value);
            matching.then_some(Gate { inner: value, function: Function::Mish, factor: None })
        }
        Op::Function(function @ Function::Clip { lower: 0.0, upper: 6.0 }) => {
            let inner = reader.see(operand);
            let (Some(Op::Binary(Binary::Add)), &[a, b]) = (inner.op, inner.operands) else { return None };
            let raised = |x: NodeId, three: NodeId| same(reader, x, value) && uniform(reader, three) == Some(3.0);
            let function = function.clone();
            (raised(a, b) || raised(b, a)).then_some(Gate { inner: value, function, factor: None })
        }
        Op::Binary(Binary::Add) => {
            error_function_gate(reader, value, node.operands).or_else(|| tangent_gate(reader, value, node.operands))
        }
        _ => None,
    }
}

/// `1 + erf(…)`.
fn error_function_gate(reader: &Reader, value: NodeId, operands: &[NodeId]) -> Option<Gate> {
    let &[a, b] = operands else { return None };
    let error = [(a, b), (b, a)].into_iter().find_map(|(one, error)| {
        let is_error = reader.see(error).op == Some(&Op::Function(Function::Erf));
        (is_error && uniform(reader, one) == Some(1.0)).then_some(error)
    })?;
    let argument = reader.see(error).operands.first().copied()?;
    let gate = |divisor: f64| Gate { inner: value, function: Function::ErfGate { divisor }, factor: None };
    Some(match scale(reader, argument, value)? {
        Scale::Same => gate(1.0),
        Scale::Over(c) if uniform(reader, c).is_some() => gate(uniform(reader, c)?),
        Scale::Times(k) if uniform(reader, k).is_some_and(has_exact_reciprocal) => gate(1.0 / uniform(reader, k)?),
        scale => rescaled(argument, &scale, Function::ErfGate { divisor: 1.0 }),
    })
}

/// `1 + tanh(k(x + c·x³))`, also as `1 + tanh(k·x·(1 + c·x²))`, with the numbers of GELU.
fn tangent_gate(reader: &Reader, value: NodeId, operands: &[NodeId]) -> Option<Gate> {
    let &[a, b] = operands else { return None };
    let tangent = [(a, b), (b, a)].into_iter().find_map(|(one, tangent)| {
        let is_tangent = reader.see(tangent).op == Some(&Op::Function(Function::Tanh));
        (is_tangent && uniform(reader, one) == Some(1.0)).then_some(tangent)
    })?;
    let argument = reader.see(reader.see(tangent).operands.first().copied()?);
    let (Some(Op::Binary(Binary::Mul)), &[a, b]) = (argument.op, argument.operands) else { return None };
    let monomial = |id: NodeId| monomial(reader, id, value, MAX_FACTORS);
    let (scale, cubic) = [(a, b), (b, a)].into_iter().find_map(|(factor, sum)| {
        let sum = reader.see(sum);
        let (Some(Op::Binary(Binary::Add)), &[p, q]) = (sum.op, sum.operands) else { return None };
        let (Some(scale), degree) = monomial(factor)? else { return None };
        let terms = [(monomial(p)?, monomial(q)?), (monomial(q)?, monomial(p)?)];
        terms.into_iter().find_map(|pair| match (degree, pair) {
            (0, ((None, 1), (Some(cubic), 3))) => Some((scale, cubic)),
            (1, ((Some(one), 0), (Some(cubic), 2))) => (one.to_bits() == 1f64.to_bits()).then_some((scale, cubic)),
            _ => None,
        })
    })?;
    is_near_gelu(scale, cubic).then_some(Gate { inner: value, function: Function::TanhGate { scale, cubic }, factor: None })
}

/// A product of copies of `x` and at most one known number: that number, and how many copies.
fn monomial(reader: &Reader, id: NodeId, x: NodeId, depth: usize) -> Option<(Option<f64>, usize)> {
    if same(reader, id, x) {
        return Some((None, 1));
    }
    if !reader.see(id).variable {
        return uniform(reader, id).map(|number| (Some(number), 0));
    }
    let depth = depth.checked_sub(1)?;
    let seen = reader.see(id);
    let (Some(Op::Binary(Binary::Mul)), &[a, b]) = (seen.op, seen.operands) else { return None };
    let ((first, m), (second, n)) = (monomial(reader, a, x, depth)?, monomial(reader, b, x, depth)?);
    (first.is_none() || second.is_none()).then_some((first.or(second), m + n))
}

/// With `f(u) = u·g(u)`: `x·g(kx) = f(kx)/k` and `x·g(x/c) = c·f(x/c)`.
fn rescaled(argument: NodeId, scale: &Scale, function: Function) -> Gate {
    let factor = match *scale {
        Scale::Same => None,
        Scale::Times(k) => Some((Binary::Div, k)),
        Scale::Over(c) => Some((Binary::Mul, c)),
    };
    Gate { inner: argument, function, factor }
}

/// Powers of two, away from the ends of the range.
fn has_exact_reciprocal(value: f64) -> bool {
    value.is_normal() && (1.0 / value).is_normal() && value.to_bits().trailing_zeros() >= 52
}

/// How `argument` is made from `value`, with constants known to be different from zero.
fn scale(reader: &Reader, argument: NodeId, value: NodeId) -> Option<Scale> {
    if same(reader, argument, value) {
        return Some(Scale::Same);
    }
    let (inner, (binary, factor)) = constant_factor(reader, argument)?;
    if !reader.is_nonzero(factor) || !same(reader, inner, value) {
        return None;
    }
    Some(if binary == Binary::Mul { Scale::Times(factor) } else { Scale::Over(factor) })
}

fn uniform(reader: &Reader, id: NodeId) -> Option<f64> {
    reader.uniform(&Slot::Node(id))
}
