//! Products that are gated activations: `x·σ(kx)`, `x·(1 + erf(x/c))`, `x·tanh(softplus(x))`, `x·clip(x + 3, 0, 6)`.
//!
//! A product of two values that both depend on the input has no bounded slope, the gated activation has; so a product is
//! replaced where it is exactly that function. Constant factors may stand on either side; they are applied afterwards.

use super::super::error::NodeError;
use super::build::Graph;
use super::exact;
use super::householder::same;
use super::site::Site;
use super::slot::Slot;
use crate::ir::{Binary, Function, NodeId, Op};

/// A value after taking off constant factors: `id` times (or divided by) every one of `factors`.
struct Stage {
    id: NodeId,
    factors: Vec<(Binary, NodeId)>,
}

/// The gated activation `function(inner)`, times (or divided by) a constant.
struct Gate {
    inner: NodeId,
    function: Function,
    factor: Option<(Binary, NodeId)>,
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
    if site.graph.builder.node(*a).shape != site.graph.builder.node(*b).shape {
        return Ok(None);
    }
    for (value, gate) in [(*a, *b), (*b, *a)] {
        for gate in stages(site.graph, gate) {
            for value in stages(site.graph, value) {
                let Some(found) = recognise(site.graph, value.id, gate.id) else { continue };
                let factors: Vec<(Binary, NodeId)> = found.factor.into_iter().chain(value.factors).chain(gate.factors).collect();
                let gated = build(site, &found)?;
                let apply = |x: Slot, (binary, factor): (Binary, NodeId)| site.binary(binary, &x, &Slot::Node(factor));
                return factors.into_iter().try_fold(gated, apply).map(Some);
            }
        }
    }
    Ok(None)
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

fn stages(graph: &Graph, id: NodeId) -> Vec<Stage> {
    let mut stages = vec![Stage { id, factors: Vec::new() }];
    while stages.len() <= MAX_FACTORS
        && let Some(last) = stages.last()
        && let Some((id, factor)) = constant_factor(graph, last.id)
    {
        let factors = last.factors.iter().copied().chain([factor]).collect();
        stages.push(Stage { id, factors });
    }
    stages
}

/// A product with, or a quotient by, something that the input does not reach.
fn constant_factor(graph: &Graph, id: NodeId) -> Option<(NodeId, (Binary, NodeId))> {
    let node = graph.builder.node(id);
    let variable = |id: NodeId| graph.builder.node(id).variable;
    match (&node.op, &node.operands[..]) {
        (Op::Binary(Binary::Mul), &[a, b]) if variable(a) && !variable(b) => Some((a, (Binary::Mul, b))),
        (Op::Binary(Binary::Mul), &[a, b]) if variable(b) && !variable(a) => Some((b, (Binary::Mul, a))),
        (Op::Binary(Binary::Div), &[a, b]) if variable(a) && !variable(b) => Some((a, (Binary::Div, b))),
        _ => None,
    }
}

/// Is `value · gate` a gated activation?
fn recognise(graph: &Graph, value: NodeId, gate: NodeId) -> Option<Gate> {
    let node = graph.builder.node(gate);
    let operand = node.operands.first().copied()?;
    match &node.op {
        Op::Function(Function::Sigmoid) => Some(rescaled(operand, &scale(graph, operand, value)?, Function::Silu)),
        Op::Function(Function::HardSigmoid { alpha, beta: 0.5 }) if *alpha > 0.0 && same(graph, operand, value) => {
            Some(Gate { inner: operand, function: Function::HardSigmoid { alpha: *alpha, beta: 0.5 }, factor: None })
        }
        Op::Function(Function::Tanh) => {
            let inner = graph.builder.node(operand);
            let matching = inner.op == Op::Function(Function::Softplus) && same(graph, *inner.operands.first()?, value);
            matching.then_some(Gate { inner: value, function: Function::Mish, factor: None })
        }
        Op::Function(function @ Function::Clip { lower: 0.0, upper: 6.0 }) => {
            let inner = graph.builder.node(operand);
            let (Op::Binary(Binary::Add), &[a, b]) = (&inner.op, &inner.operands[..]) else { return None };
            let raised = |x: NodeId, three: NodeId| same(graph, x, value) && uniform(graph, three) == Some(3.0);
            let function = function.clone();
            (raised(a, b) || raised(b, a)).then_some(Gate { inner: value, function, factor: None })
        }
        Op::Binary(Binary::Add) => error_function_gate(graph, value, &node.operands),
        _ => None,
    }
}

/// `1 + erf(…)`.
fn error_function_gate(graph: &Graph, value: NodeId, operands: &[NodeId]) -> Option<Gate> {
    let &[a, b] = operands else { return None };
    let error = [(a, b), (b, a)].into_iter().find_map(|(one, error)| {
        let is_error = graph.builder.node(error).op == Op::Function(Function::Erf);
        (is_error && uniform(graph, one) == Some(1.0)).then_some(error)
    })?;
    let argument = graph.builder.node(error).operands.first().copied()?;
    let gate = |divisor: f64| Gate { inner: value, function: Function::ErfGate { divisor }, factor: None };
    Some(match scale(graph, argument, value)? {
        Scale::Same => gate(1.0),
        Scale::Over(c) if uniform(graph, c).is_some() => gate(uniform(graph, c)?),
        Scale::Times(k) if uniform(graph, k).is_some_and(has_exact_reciprocal) => gate(1.0 / uniform(graph, k)?),
        scale => rescaled(argument, &scale, Function::ErfGate { divisor: 1.0 }),
    })
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
fn scale(graph: &Graph, argument: NodeId, value: NodeId) -> Option<Scale> {
    if same(graph, argument, value) {
        return Some(Scale::Same);
    }
    let (inner, (binary, factor)) = constant_factor(graph, argument)?;
    let known = graph.origin(factor).is_some_and(|values| values.iter().all(|&v| v != 0.0 && v.is_finite()));
    if !known || !same(graph, inner, value) {
        return None;
    }
    Some(if binary == Binary::Mul { Scale::Times(factor) } else { Scale::Over(factor) })
}

fn uniform(graph: &Graph, id: NodeId) -> Option<f64> {
    exact::uniform(graph.origin(id)?)
}
