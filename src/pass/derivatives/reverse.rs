//! Reverse passes: cotangents at the output pulled back to the parameters, for a batch of samples with several seeds each.
//!
//! Adjoints of a node that the input reaches hold one row per sample and seed, in that order. What happens to the others,
//! which all samples share, is the caller's choice: a sum, one row per sample and seed, or no more than squared norms.

use super::circuit::Circuit;
use super::gemm::{Factor, accumulate, dot, squared_norm};
use super::pulled::{Keep, Pulled};
use super::real::Real;
use super::scalar::{derivative_changes, derivatives, extreme, order};
use super::tape::{Tangents, Tape, View, row_length};
use crate::kernel::model::ir::{Binary, Node, NodeId, Op, Reduction};

/// Whether the partial derivatives themselves are meant, or how they change along a direction.
#[derive(Clone, Copy)]
enum Order<'t, T> {
    First,
    Second(&'t Tangents<'t, T>),
}

struct Reverse<'a, T> {
    circuit: &'a Circuit<'a>,
    tape: &'a Tape<T>,
    seeds: usize,
    keep: Keep,
    /// Whether the parameters themselves are pulled back to.
    leaves: bool,
}

/// Pulls back `cotangents`, one row per sample and seed.
pub fn pull<T: Real>(circuit: &Circuit<'_>, tape: &Tape<T>, cotangents: Vec<T>, seeds: usize, keep: Keep) -> Pulled<T> {
    let reverse = Reverse { circuit, tape, seeds, keep, leaves: true };
    let mut adjoints = vec![Vec::new(); circuit.network.nodes().len()];
    adjoints[circuit.output.index()] = cotangents;
    for id in reverse.order() {
        let adjoint = std::mem::take(&mut adjoints[id.index()]);
        reverse.last_step(id, adjoint, &mut adjoints);
    }
    Pulled { keep, rows: tape.samples * seeds, adjoints }
}

/// The derivative of [`pull`] with one seed and a sum, along a direction: of the cotangents, which change by `change`, and
/// of everything that they are multiplied with.
pub fn pull_change<T: Real>(
    circuit: &Circuit<'_>,
    tape: &Tape<T>,
    tangents: &Tangents<'_, T>,
    cotangents: Vec<T>,
    change: Vec<T>,
) -> Pulled<T> {
    let reverse = Reverse { circuit, tape, seeds: 1, keep: Keep::Sum, leaves: true };
    // The gradient itself is not asked for.
    let inner = Reverse { leaves: false, ..reverse };
    let mut adjoints = vec![Vec::new(); circuit.network.nodes().len()];
    let mut changes = adjoints.clone();
    adjoints[circuit.output.index()] = cotangents;
    changes[circuit.output.index()] = change;
    for id in reverse.order() {
        let adjoint = std::mem::take(&mut adjoints[id.index()]);
        let change = std::mem::take(&mut changes[id.index()]);
        reverse.step(id, &adjoint, Order::Second(tangents), &mut changes);
        reverse.last_step(id, change, &mut changes);
        inner.last_step(id, adjoint, &mut adjoints);
    }
    Pulled { keep: Keep::Sum, rows: 1, adjoints: changes }
}

/// Where adjoints are added up: a row per sample and seed, or one row.
struct Target<'t, T> {
    data: &'t mut [T],
    size: usize,
    shared: bool,
    seeds: usize,
}

impl<T> Target<'_, T> {
    fn at(&mut self, sample: usize, seed: usize) -> &mut [T] {
        let row = if self.shared { 0 } else { sample * self.seeds + seed };
        &mut self.data[row * self.size..(row + 1) * self.size]
    }
}

impl<T: Real> Reverse<'_, T> {
    /// The nodes that have something to pull back to, last first.
    fn order(&self) -> Vec<NodeId> {
        let circuit = self.circuit;
        let inner = |id: &NodeId| circuit.active[id.index()] && !circuit.network.node(*id).operands.is_empty();
        let mut order: Vec<NodeId> = circuit.network.ids().filter(inner).collect();
        order.reverse();
        order
    }

    /// Rows that the adjoint of a node has: samples and seeds.
    fn rows(&self, node: &Node) -> (usize, usize) {
        if node.variable || self.keep != Keep::Sum { (self.tape.samples, self.seeds) } else { (1, 1) }
    }

    /// Whether anything is pulled back to the node.
    fn is_wanted(&self, id: NodeId) -> bool {
        self.circuit.active[id.index()] && (self.leaves || !self.circuit.network.node(id).operands.is_empty())
    }

    fn step(&self, id: NodeId, adjoint: &[T], order: Order<'_, T>, adjoints: &mut [Vec<T>]) {
        (0..self.circuit.network.node(id).operands.len()).for_each(|p| self.step_to(id, p, adjoint, order, adjoints));
    }

    /// As a [`step`](Self::step) of first order; an operand inherits the adjoint, where one can, instead of a copy.
    fn last_step(&self, id: NodeId, mut adjoint: Vec<T>, adjoints: &mut [Vec<T>]) {
        let node = self.circuit.network.node(id);
        let variable = |id: NodeId| self.circuit.network.node(id).variable;
        let heir = match node.op {
            Op::Reshape | Op::Function(_) | Op::Binary(Binary::Add) => {
                node.operands.iter().position(|&operand| variable(operand) && self.is_wanted(operand))
            }
            _ => None,
        };
        let others = (0..node.operands.len()).filter(|&position| Some(position) != heir);
        others.for_each(|position| self.step_to(id, position, &adjoint, Order::First, adjoints));
        let Some(position) = heir else { return };
        let operand = node.operands[position];
        if !adjoints[operand.index()].is_empty() {
            return self.step_to(id, position, &adjoint, Order::First, adjoints);
        }
        if matches!(node.op, Op::Function(_)) {
            let (size, x) = (node.size().max(1), self.tape.value(self.circuit, operand));
            let mut slopes = vec![T::ZERO; size];
            for (s, rows) in adjoint.chunks_exact_mut(self.seeds * size).enumerate() {
                derivatives(&node.op, 0, (x.at(s), &[]), &mut slopes);
                for row in rows.chunks_exact_mut(size) {
                    row.iter_mut().zip(&slopes).for_each(|(adjoint, slope)| *adjoint = *adjoint * *slope);
                }
            }
        }
        adjoints[operand.index()] = adjoint;
    }

    fn step_to(&self, id: NodeId, position: usize, adjoint: &[T], order: Order<'_, T>, adjoints: &mut [Vec<T>]) {
        let node = self.circuit.network.node(id);
        let operand = node.operands[position];
        if adjoint.is_empty() || !self.is_wanted(operand) {
            return;
        }
        let mut data = std::mem::take(&mut adjoints[operand.index()]);
        let only_norm = self.keep == Keep::Norms && self.circuit.layers[operand.index()];
        let target_node = self.circuit.network.node(operand);
        let (samples, seeds) = self.rows(target_node);
        let size = if only_norm { 1 } else { target_node.size() };
        if data.is_empty() {
            data = vec![T::ZERO; samples * seeds * size];
        }
        let shared = !target_node.variable && self.keep == Keep::Sum;
        let target = Target { data: &mut data, size, shared, seeds };
        if only_norm {
            self.weight_norms(id, node, adjoint, target);
        } else {
            self.pull_to(id, position, adjoint, order, target);
        }
        adjoints[operand.index()] = data;
    }

    fn pull_to(&self, id: NodeId, position: usize, adjoint: &[T], order_of: Order<'_, T>, mut target: Target<'_, T>) {
        let node = self.circuit.network.node(id);
        let size = node.size();
        let (samples, seeds) = self.rows(node);
        let value = |p: usize| self.tape.value(self.circuit, node.operands[p]);
        let row = |s: usize, r: usize| &adjoint[(s * seeds + r) * size..(s * seeds + r + 1) * size];
        let each = || (0..samples).flat_map(|s| (0..seeds).map(move |r| (s, r)));
        match &node.op {
            Op::MatMul | Op::Conv(_) => {
                let other = node.operands[1 - position];
                let factor = match order_of {
                    Order::First => Some(self.tape.value(self.circuit, other)),
                    Order::Second(tangents) => tangents.get(self.circuit, other),
                };
                if let Some(factor) = factor {
                    self.bilinear(id, position, (samples, seeds), adjoint, factor, &mut target);
                }
            }
            Op::Softmax => self.softmax(id, adjoint, order_of, &mut target),
            // They have no second derivatives.
            Op::Reshape | Op::Rearrange(_) | Op::Reduce(_) | Op::Sort { .. } if matches!(order_of, Order::Second(_)) => {}
            Op::Rearrange(_) => {
                let moves = &self.circuit.moves[id.index()];
                each().for_each(|(s, r)| moves.iter().for_each(|part| part.pull(position, row(s, r), target.at(s, r))));
            }
            Op::Reshape | Op::Reduce(_) | Op::Sort { .. } => {
                for (s, r) in each() {
                    route(node, value(0).at(s), row(s, r), target.at(s, r));
                }
            }
            op => {
                let operand = |p: usize| node.operands.get(p).map(|&operand| self.tape.value(self.circuit, operand));
                let moved = |p: usize| match order_of {
                    Order::First => None,
                    Order::Second(tangents) => node.operands.get(p).and_then(|&operand| tangents.get(self.circuit, operand)),
                };
                let (operands, moved) = ([operand(0), operand(1)], [moved(0), moved(1)]);
                let mut coefficients = vec![T::ZERO; size];
                for s in 0..samples {
                    let given = pair(operands, s);
                    match order_of {
                        Order::First => derivatives(op, position, given, &mut coefficients),
                        Order::Second(_) => {
                            if !derivative_changes(op, position, given, pair(moved, s), &mut coefficients) {
                                return;
                            }
                        }
                    }
                    for r in 0..seeds {
                        let terms = row(s, r).iter().zip(&coefficients);
                        target.at(s, r).iter_mut().zip(terms).for_each(|(target, (adjoint, c))| *target += *adjoint * *c);
                    }
                }
            }
        }
    }

    fn bilinear(
        &self,
        id: NodeId,
        position: usize,
        (samples, seeds): (usize, usize),
        adjoint: &[T],
        factor: View<'_, T>,
        target: &mut Target<'_, T>,
    ) {
        let node = self.circuit.network.node(id);
        let size = node.size();
        let row = |s: usize, r: usize| &adjoint[(s * seeds + r) * size..(s * seeds + r + 1) * size];
        if let Some(convolution) = &self.circuit.convolutions[id.index()] {
            if position == 1 {
                convolution.to_weights(
                    |s| factor.at(s),
                    adjoint,
                    seeds,
                    |s, r, gradient| {
                        target.at(s, r).iter_mut().zip(gradient).for_each(|(target, value)| *target += *value);
                    },
                );
            } else if factor.is_shared() && !target.shared {
                convolution.to_input(factor.data, adjoint, target.data);
            } else {
                let rows = (0..samples).flat_map(|s| (0..seeds).map(move |r| (s, r)));
                rows.for_each(|(s, r)| convolution.to_input(factor.at(s), row(s, r), target.at(s, r)));
            }
            return;
        }
        let [batch, m, n] = node.shape[..] else { return };
        let k = self.circuit.network.node(node.operands[0]).size() / (batch * m).max(1);
        let rows = samples * seeds * m;
        if position == 0 && batch == 1 && factor.is_shared() && !target.shared {
            let (adjoint, factor) = (Factor::new(adjoint, rows, n), Factor::new(factor.data, k, n));
            return accumulate(target.data, adjoint, factor.transposed());
        }
        if position == 1 && batch == 1 && seeds == 1 && !factor.is_shared() && target.shared {
            let (adjoint, factor) = (Factor::new(adjoint, rows, n), Factor::new(factor.data, rows, k));
            return accumulate(target.data, factor.transposed(), adjoint);
        }
        for (s, r) in (0..samples).flat_map(|s| (0..seeds).map(move |r| (s, r))) {
            for i in 0..batch {
                let adjoint = Factor::new(&row(s, r)[i * m * n..], m, n);
                if position == 0 {
                    let factor = Factor::new(&factor.at(s)[i * k * n..], k, n);
                    accumulate(&mut target.at(s, r)[i * m * k..], adjoint, factor.transposed());
                } else {
                    let factor = Factor::new(&factor.at(s)[i * m * k..], m, k);
                    accumulate(&mut target.at(s, r)[i * k * n..], factor.transposed(), adjoint);
                }
            }
        }
    }

    /// Squared norms of the gradients of a layer's weights: `‖aᵀδ‖²`, which is `‖a‖²‖δ‖²` for one row.
    fn weight_norms(&self, id: NodeId, node: &Node, adjoint: &[T], mut target: Target<'_, T>) {
        let (samples, seeds, size) = (self.tape.samples, self.seeds, node.size());
        let input = self.tape.value(self.circuit, node.operands[0]);
        let row = |s: usize, r: usize| &adjoint[(s * seeds + r) * size..(s * seeds + r + 1) * size];
        if let Some(convolution) = &self.circuit.convolutions[id.index()] {
            convolution.to_weights(
                |s| input.at(s),
                adjoint,
                seeds,
                |s, r, gradient| {
                    target.at(s, r)[0] += T::of(squared_norm(gradient));
                },
            );
            return;
        }
        let [batch, m, n] = node.shape[..] else { return };
        let k = input.at(0).len() / (batch * m).max(1);
        let mut product = vec![T::ZERO; if m == 1 { 0 } else { k * n }];
        for s in 0..samples {
            for i in 0..batch {
                let a = &input.at(s)[i * m * k..(i + 1) * m * k];
                let own = squared_norm(a);
                for r in 0..seeds {
                    let delta = &row(s, r)[i * m * n..(i + 1) * m * n];
                    target.at(s, r)[0] += if m == 1 {
                        T::of(own * squared_norm(delta))
                    } else {
                        product.fill(T::ZERO);
                        accumulate(&mut product, Factor::new(a, m, k).transposed(), Factor::new(delta, m, n));
                        T::of(squared_norm(&product))
                    };
                }
            }
        }
    }

    fn softmax(&self, id: NodeId, adjoint: &[T], order: Order<'_, T>, target: &mut Target<'_, T>) {
        let node = self.circuit.network.node(id);
        let (size, width) = (node.size(), row_length(node));
        let p = self.tape.value(self.circuit, id);
        let change = match order {
            Order::First => None,
            Order::Second(tangents) => match tangents.get(self.circuit, id) {
                None => return,
                change => change,
            },
        };
        let (samples, seeds) = self.rows(node);
        for (s, r) in (0..samples).flat_map(|s| (0..seeds).map(move |r| (s, r))) {
            let row = &adjoint[(s * seeds + r) * size..(s * seeds + r + 1) * size];
            let target = target.at(s, r);
            for (start, delta) in row.chunks(width).enumerate().map(|(i, delta)| (i * width, delta)) {
                let p = &p.at(s)[start..start + width];
                let mean = T::of(dot(p, delta));
                let target = target[start..start + width].iter_mut();
                match &change {
                    None => target.zip(p.iter().zip(delta)).for_each(|(t, (p, delta))| *t += *p * (*delta - mean)),
                    Some(change) => {
                        let dp = &change.at(s)[start..start + width];
                        let moved = T::of(dot(dp, delta));
                        let terms = p.iter().zip(dp).zip(delta);
                        target.zip(terms).for_each(|(t, ((p, dp), delta))| *t += *dp * (*delta - mean) - *p * moved);
                    }
                }
            }
        }
    }
}

/// The rows of one sample; empty where there is no view.
fn pair<'v, T>([first, second]: [Option<View<'v, T>>; 2], sample: usize) -> (&'v [T], &'v [T]) {
    let at = |view: Option<View<'v, T>>| view.map_or(&[][..], |view| view.at(sample));
    (at(first), at(second))
}

/// Adjoints of operations that only move, add up or select elements.
fn route<T: Real>(node: &Node, value: &[T], adjoint: &[T], target: &mut [T]) {
    match &node.op {
        Op::Reduce(reduction) => {
            let width = (target.len() / adjoint.len().max(1)).max(1);
            for ((target, value), adjoint) in target.chunks_mut(width).zip(value.chunks(width)).zip(adjoint) {
                match reduction {
                    Reduction::Sum => target.iter_mut().for_each(|target| *target += *adjoint),
                    Reduction::Mean => target.iter_mut().for_each(|target| *target += *adjoint / T::of(width as f64)),
                    Reduction::Max | Reduction::Min => target[extreme(*reduction, value)] += *adjoint,
                }
            }
        }
        Op::Sort { descending } => {
            let width = row_length(node);
            for ((target, value), adjoint) in target.chunks_mut(width).zip(value.chunks(width)).zip(adjoint.chunks(width)) {
                order(value, *descending).into_iter().zip(adjoint).for_each(|(from, adjoint)| target[from] += *adjoint);
            }
        }
        _ => target.iter_mut().zip(adjoint).for_each(|(target, adjoint)| *target += *adjoint),
    }
}
