//! A network made ready for backward bounds: its weights arranged, its rounding counted, once for all regions.

use super::adjoint::Adjoint;
use super::analysis::Analysis;
use super::error::{BoundsError, Reason};
use super::linear::Linear;
use super::matrix::{Loops, Vectorise};
use super::problem::{Advisor, Hints, Phases, Refinement, Subproblem};
use super::propagate::Propagator;
use super::region::Region;
use super::relaxation::{central_weights, products_into_operand};
use super::structure::{mixing, tail};
use crate::model::ir::{Network, Node, NodeId, Op};
use crate::proof::Semantics;
use crate::sound::round::gamma;

/// A network made ready for backward bounds on many regions.
#[derive(Clone, Debug)]
pub struct LinearBounds<'n> {
    pub(super) propagator: Propagator<'n>,
    pub(super) adjoints: Vec<Option<Adjoint>>,
    pub(super) users: Vec<Vec<NodeId>>,
    /// Whether a backward pass can be better than intervals at this node.
    pub(super) mixed: Vec<bool>,
    /// Linear nodes from which the output is reached without another matrix product or convolution.
    tail: Vec<bool>,
    /// `γ_n` for all `n` additions to a row's constant or its loss in a pass, in any order.
    pub(super) additions: f64,
    /// Operations that may underflow, per row and node.
    pub(super) operations: Vec<usize>,
    pub(super) growth: f64,
}

/// How many elements of its operands meet an element of a node, at most, beside those of elementwise operations: what a
/// backward pass multiplies there.
fn factors(node: &Node, left: usize) -> usize {
    match &node.op {
        Op::Reduce(_) => left.checked_div(node.size()).unwrap_or(0),
        Op::Sort { .. } | Op::Softmax => node.shape.last().copied().unwrap_or(1),
        Op::Increment(_) => 2,
        _ => Linear::of(node, left).map_or(0, |linear| linear.terms()),
    }
}

impl<'n> LinearBounds<'n> {
    /// Encloses the constants of a network and arranges its weights.
    ///
    /// # Errors
    /// When a constant is undefined or overflows.
    pub fn new(network: &'n Network, semantics: Semantics) -> Result<Self, BoundsError> {
        let propagator = Propagator::new(network, semantics)?;
        let mut users = vec![Vec::new(); network.nodes().len()];
        let mut products = vec![1usize; network.nodes().len()];
        let mut adjoints = vec![None; network.nodes().len()];
        let mut terms = 64usize;
        let mut operations = vec![0; network.nodes().len()];
        for id in network.ids().filter(|&id| network.node(id).variable) {
            let node = network.node(id);
            let left = node.operands.first().map_or(0, |&o| network.node(o).size());
            let meeting = products_into_operand(node, left);
            let mut seen = Vec::new();
            for &operand in &node.operands {
                products[operand.index()] = products[operand.index()].saturating_add(meeting);
                if !seen.contains(&operand) {
                    users[operand.index()].push(id);
                    seen.push(operand);
                }
            }
            let linear = Linear::of(node, left);
            operations[id.index()] = node.size().saturating_mul(2 * factors(node, left) + 2);
            let bilinear = node.operands.iter().all(|&o| network.node(o).variable);
            terms = terms.saturating_add(if bilinear { operations[id.index()] } else { 4 * node.size() });
            if let (Some(linear), [a, b]) = (linear, &node.operands[..]) {
                let constant = usize::from(network.node(*a).variable);
                if let Some(weights) = propagator.constant([*a, *b][constant]) {
                    adjoints[id.index()] = Some(Adjoint::new(linear, constant, central_weights(weights)));
                }
            }
        }
        let most = products.into_iter().max().unwrap_or(1);
        let mixed = mixing(network);
        let growth = gamma(most.saturating_add(8));
        let tail = tail(network);
        Ok(Self { propagator, adjoints, users, mixed, tail, additions: gamma(terms), operations, growth })
    }

    #[must_use]
    pub const fn network(&self) -> &'n Network {
        self.propagator.network()
    }

    #[must_use]
    pub const fn propagator(&self) -> &Propagator<'n> {
        &self.propagator
    }

    /// Lower bounds of a subproblem's rows, in plain loops: what a checker does.
    ///
    /// # Errors
    /// [`BoundsError`], naming the node.
    pub fn lower_bounds(&self, problem: &Subproblem, hints: &Hints) -> Result<Vec<f64>, BoundsError> {
        let analysis = self.analyse(&problem.region, &problem.phases, Refinement::Backward, hints, &Loops)?;
        Ok(analysis.lower_bounds(&problem.rows, hints, &Loops))
    }

    /// Bounds and relaxations of every node on a region.
    ///
    /// # Errors
    /// [`BoundsError`], naming the node.
    pub fn analyse<'a>(
        &'a self,
        region: &Region,
        phases: &Phases,
        refinement: Refinement,
        mut advisor: impl Advisor,
        vectors: &impl Vectorise,
    ) -> Result<Analysis<'a, 'n>, BoundsError> {
        let (given, expected) = (region.bounds().lower().len(), self.network().input_size());
        if given != expected {
            return Err(BoundsError::InputSize { given, expected });
        }
        let mut analysis = Analysis::new(self, region.clone(), phases.clone());
        for id in self.network().ids().filter(|&id| self.network().node(id).variable) {
            let intervals = analysis.interval(id)?;
            analysis.settle(id, intervals);
            if refinement == Refinement::Backward {
                analysis.refine(id, None::<&mut &Hints>, vectors)?;
                analysis.refine(id, Some(&mut advisor), vectors)?;
            }
            if vectors.interrupted() {
                return Err(BoundsError::at(self.network().node(id), Reason::Interrupted));
            }
            if refinement == Refinement::Boxes && !self.tail[id.index()] {
                analysis.keep_box(id);
            } else {
                analysis.relax(id);
            }
        }
        Ok(analysis)
    }

    /// Whether this node is linear, and the output is reached from it without another matrix product or convolution.
    #[must_use]
    pub fn is_tail(&self, id: NodeId) -> bool {
        self.tail[id.index()]
    }

    /// The sizes of all matrix products and convolutions but the last.
    #[must_use]
    pub fn hidden_widths(&self) -> Vec<usize> {
        let nodes = self.network().nodes().iter().filter(|node| node.variable);
        let mut widths: Vec<usize> = nodes.filter(|n| matches!(n.op, Op::MatMul | Op::Conv(_))).map(Node::size).collect();
        widths.pop();
        widths
    }
}
