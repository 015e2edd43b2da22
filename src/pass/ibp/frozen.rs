//! Propagation tightness: how much wider interval propagation makes a box than the network's linearisation does, with the
//! activation pattern frozen (Mao et al., 2024, definition 3.2).
//!
//! `τ_loc = |C·W_L·D_{L−1}·…·W_1|·r / (|C·W_L|·D_{L−1}·|W_{L−1}|·…·|W_1|·r)`, with `D` the activations' slopes at a point (a
//! ReLU at exactly 0 counts as active) or the identity. It is neither an upper nor a lower bound of the tightness.

// One arm for every operation.
#![allow(clippy::match_same_arms)]

use std::collections::BTreeMap;

use crate::kernel::model::ir::{Binary, EvaluationError, Function, Node, NodeId, Op, Reduction, Values};
use crate::kernel::region::bounds::{Linear, LinearBounds, LinearRows, NodeBounds};

/// Where the slopes of the activations come from.
#[derive(Clone, Copy, Debug)]
pub enum Pattern<'a> {
    /// The network's own at a point.
    At(&'a [f64]),
    /// All one: the tightness of the deep linear network.
    Identity,
}

/// Why a network has no frozen pattern.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unfrozen {
    #[error("node `{node}` ({operator}) is neither linear nor an activation: it has no propagation tightness")]
    Operator { node: String, operator: String },
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}

/// One number per row; `None` where interval propagation gives width zero.
#[derive(Clone, Debug, PartialEq)]
pub struct PropagationTightness {
    pub rows: Vec<Option<f64>>,
}

impl PropagationTightness {
    /// The mean over the rows that have one.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let rows: Vec<f64> = self.rows.iter().copied().flatten().collect();
        (!rows.is_empty()).then(|| rows.iter().sum::<f64>() / rows.len() as f64)
    }
}

/// A network with the slopes of its activations frozen.
pub struct Frozen<'a, 'n> {
    prepared: &'a LinearBounds<'n>,
    slopes: BTreeMap<usize, Vec<f64>>,
}

impl<'a, 'n> Frozen<'a, 'n> {
    /// Freezes the activations.
    ///
    /// # Errors
    /// [`Unfrozen`], naming the node.
    pub fn new(prepared: &'a LinearBounds<'n>, pattern: Pattern) -> Result<Self, Unfrozen> {
        let network = prepared.network();
        let values = match pattern {
            Pattern::At(point) => Some(Values::at(network, point)?),
            Pattern::Identity => None,
        };
        let mut slopes = BTreeMap::new();
        for id in network.ids().filter(|&id| network.node(id).variable) {
            let node = network.node(id);
            if let Op::Function(function) = &node.op {
                let slope = |&x: &f64| if x == 0.0 && *function == Function::Relu { 1.0 } else { function.derivative(x) };
                let own = match &values {
                    Some(values) => values.get(node.operands[0].index()).iter().map(slope).collect(),
                    None if *function == Function::Neg => vec![-1.0; node.size()],
                    None => vec![1.0; node.size()],
                };
                slopes.insert(id.index(), own);
            } else if !is_linear(prepared, node) {
                return Err(Unfrozen::Operator { node: node.name.clone(), operator: node.operator.clone() });
            }
        }
        Ok(Self { prepared, slopes })
    }

    /// The propagation tightness of rows over the outputs, on a box with these half widths.
    #[must_use]
    pub fn tightness(&self, rows: &LinearRows, radius: &[f64]) -> PropagationTightness {
        let count = rows.constants.len();
        let network = self.prepared.network();
        let jacobian = self.backward(rows, count, |_| false).remove(&network.input().index());
        let radii = self.radii(radius);
        // The last linear layer is merged with the rows; before it, absolute values.
        let merged = self.backward(rows, count, |id| !self.prepared.is_tail(id));
        let row = |index: usize| {
            let along = |lambda: &[f64], radius: &[f64]| {
                let size = radius.len();
                lambda[index * size..(index + 1) * size].iter().zip(radius).map(|(l, r)| l.abs() * r).sum::<f64>()
            };
            let exact = jacobian.as_ref().map_or(0.0, |jacobian| along(jacobian, radius));
            let propagated: f64 = merged.iter().map(|(node, lambda)| along(lambda, &radii[*node])).sum();
            (propagated > 0.0).then(|| exact / propagated)
        };
        PropagationTightness { rows: (0..count).map(row).collect() }
    }

    /// Coefficients `[rows, elements]` of the nodes where `stop` says so, and of the input.
    fn backward(&self, rows: &LinearRows, count: usize, stop: impl Fn(NodeId) -> bool) -> BTreeMap<usize, Vec<f64>> {
        let network = self.prepared.network();
        let mut pending: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        pending.insert(network.output().index(), rows.coefficients.clone());
        let mut stopped = BTreeMap::new();
        for id in network.ids().collect::<Vec<_>>().into_iter().rev() {
            let Some(lambda) = pending.remove(&id.index()) else { continue };
            let node = network.node(id);
            if id == network.input() || stop(id) {
                stopped.insert(id.index(), lambda);
                continue;
            }
            for (position, &operand) in node.operands.iter().enumerate() {
                let from = network.node(operand);
                if !from.variable {
                    continue;
                }
                let sum = pending.entry(operand.index()).or_insert_with(|| vec![0.0; count * from.size()]);
                self.each_partial(id, position, |to, source, partial| {
                    for row in 0..count {
                        sum[row * from.size() + source] += partial * lambda[row * node.size() + to];
                    }
                });
            }
        }
        stopped
    }

    /// The half widths that interval propagation gives every node, with frozen slopes.
    fn radii(&self, radius: &[f64]) -> Vec<Vec<f64>> {
        let network = self.prepared.network();
        let mut radii: Vec<Vec<f64>> = vec![Vec::new(); network.nodes().len()];
        for id in network.ids().filter(|&id| network.node(id).variable) {
            let node = network.node(id);
            if id == network.input() {
                radii[id.index()] = radius.to_vec();
                continue;
            }
            let mut own = vec![0.0; node.size()];
            for (position, &operand) in node.operands.iter().enumerate().filter(|(_, o)| network.node(**o).variable) {
                let from = &radii[operand.index()];
                self.each_partial(id, position, |to, source, partial| own[to] += partial.abs() * from[source]);
            }
            radii[id.index()] = own;
        }
        radii
    }

    /// Calls `visit(element, operand's element, slope)` for every nonzero slope with respect to one operand.
    fn each_partial(&self, id: NodeId, position: usize, mut visit: impl FnMut(usize, usize, f64)) {
        let network = self.prepared.network();
        let node = network.node(id);
        let constant = |position: usize| self.constant(node.operands[position]);
        match &node.op {
            Op::Reshape => (0..node.size()).for_each(|i| visit(i, i, 1.0)),
            Op::Function(_) => {
                let slopes = self.slopes.get(&id.index()).map_or(&[][..], Vec::as_slice);
                slopes.iter().enumerate().filter(|(_, s)| **s != 0.0).for_each(|(i, &s)| visit(i, i, s));
            }
            Op::Rearrange(sources) => {
                let mine = sources.iter().enumerate().filter(|(_, s)| s.operand as usize == position);
                mine.for_each(|(to, source)| visit(to, source.element as usize, 1.0));
            }
            Op::Binary(Binary::Add) => (0..node.size()).for_each(|i| visit(i, i, 1.0)),
            Op::Binary(Binary::Sub) => (0..node.size()).for_each(|i| visit(i, i, if position == 0 { 1.0 } else { -1.0 })),
            Op::Binary(Binary::Mul) => constant(1 - position).iter().enumerate().for_each(|(i, &c)| visit(i, i, c)),
            Op::Binary(Binary::Div) => constant(1).iter().enumerate().for_each(|(i, &c)| visit(i, i, 1.0 / c)),
            Op::Reduce(reduction) => {
                let inputs = network.node(node.operands[0]).size().checked_div(node.size()).unwrap_or(0);
                let slope = if *reduction == Reduction::Mean { 1.0 / inputs as f64 } else { 1.0 };
                (0..node.size() * inputs).for_each(|from| visit(from / inputs, from, slope));
            }
            Op::MatMul | Op::Conv(_) => {
                let left = network.node(node.operands[0]).size();
                let weights = constant(1 - position);
                if let Some(linear) = Linear::of(node, left) {
                    linear.for_each_product(|to, l, r| {
                        let (from, weight) = if position == 0 { (l, r) } else { (r, l) };
                        visit(to, from, weights[weight]);
                    });
                }
            }
            _ => {}
        }
    }

    fn constant(&self, id: NodeId) -> Vec<f64> {
        let middle = |bounds: &NodeBounds| bounds.iter().map(|x| x.lower / 2.0 + x.upper / 2.0).collect();
        self.prepared.propagator().constant(id).map_or_else(Vec::new, middle)
    }
}

fn is_linear(prepared: &LinearBounds, node: &Node) -> bool {
    let network = prepared.network();
    let variables = node.operands.iter().filter(|&&o| network.node(o).variable).count();
    match &node.op {
        Op::Input | Op::Reshape | Op::Rearrange(_) | Op::Binary(Binary::Add | Binary::Sub) => true,
        Op::Reduce(Reduction::Sum | Reduction::Mean) => true,
        Op::MatMul | Op::Conv(_) | Op::Binary(Binary::Mul) => variables == 1,
        Op::Binary(Binary::Div) => !network.node(node.operands[1]).variable,
        _ => false,
    }
}
