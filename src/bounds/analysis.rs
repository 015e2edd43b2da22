//! Bounds of all nodes on a region: intervals, refined by backward passes wherever a nonlinear node needs its operand.
//!
//! Only elements that a nonlinear node cannot do without are refined: unstable ReLUs, curved functions. Nodes are taken in
//! order, so that every backward pass stands on refined bounds of all nodes before it.

use std::collections::BTreeMap;

use super::adjoint::Adjoint;
use super::backward::{Backward, Scratch, Slopes, Trace};
use super::error::{BoundsError, Reason};
use super::interval::Interval;
use super::linear::Linear;
use super::matrix::{Loops, Vectorise};
use super::propagate::{Propagator, operands, step};
use super::region::Region;
use super::relaxation::{Context, Relaxation, Relaxed, central_weights, products_into_operand, relax};
use super::rounding::Rounding;
use super::structure::{mixing, tail};
use super::values::NodeBounds;
use super::wanted::{Wanted, wanted};
use crate::certificate::Semantics;
use crate::ir::{Function, Network, Node, NodeId, Op};
use crate::sound::round::{SMALLEST_SUBNORMAL, add_down, gamma, mul_down, mul_up};

/// A network made ready for backward bounds on many regions.
#[derive(Clone, Debug)]
pub struct LinearBounds<'n> {
    propagator: Propagator<'n>,
    adjoints: Vec<Option<Adjoint>>,
    users: Vec<Vec<NodeId>>,
    /// Can a backward pass be better than intervals at this node?
    mixed: Vec<bool>,
    /// Linear nodes from which the output is reached without another matrix product or convolution.
    tail: Vec<bool>,
    /// `γ_n` for all `n` additions to a row's constant or its loss in a pass, in any order.
    additions: f64,
    /// Operations that may underflow, per row and node.
    operations: Vec<usize>,
    growth: f64,
}

/// Linear functions `coefficients·y + constant` of the network's outputs, one per row.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearRows {
    /// `[rows, outputs]`
    pub coefficients: Vec<f64>,
    /// `[rows]`
    pub constants: Vec<f64>,
}

impl LinearRows {
    /// `y_label − y_j` for every other output `j`, in order.
    #[must_use]
    pub fn margins(outputs: usize, label: usize) -> Self {
        let mut coefficients = Vec::new();
        for other in (0..outputs).filter(|&other| other != label) {
            coefficients.extend((0..outputs).map(|j| f64::from(u8::from(j == label)) - f64::from(u8::from(j == other))));
        }
        Self { coefficients, constants: vec![0.0; outputs.saturating_sub(1)] }
    }

    /// Every output, then the negative of every output.
    #[must_use]
    pub fn outputs(outputs: usize) -> Self {
        let unit = |sign: f64, i: usize| (0..outputs).map(move |j| if i == j { sign } else { 0.0 });
        let rows = [1.0, -1.0].into_iter().flat_map(|sign| (0..outputs).map(move |i| (sign, i)));
        Self { coefficients: rows.flat_map(|(sign, i)| unit(sign, i)).collect(), constants: vec![0.0; 2 * outputs] }
    }
}

/// ReLUs whose side is fixed: (node of the ReLU, element, active?).
pub type Phases = BTreeMap<(NodeId, usize), bool>;

/// A node of a search: where the inputs are, which phases are fixed, and the rows whose lower bounds are asked for.
#[derive(Clone, Debug)]
pub struct Subproblem {
    pub region: Region,
    pub phases: Phases,
    pub rows: LinearRows,
}

/// Slopes that are worth trying: for the rows, and for the refinement of single nodes from above and from below, shared by
/// all elements or one row for each element that is refined.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    pub rows: Slopes,
    pub upper: BTreeMap<NodeId, Slopes>,
    pub lower: BTreeMap<NodeId, Slopes>,
}

/// Which bound of a node's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Upper,
    Lower,
}

/// Where the refinement of a node gets its second slopes from, after the usual ones: from a certificate, or from a search.
pub trait Advisor {
    /// Slopes for bounding `elements` of a node on one side; `None` for no second pass.
    fn slopes(&mut self, analysis: &Analysis, node: NodeId, elements: &[usize], side: Side) -> Option<Slopes>;
}

impl Advisor for &Hints {
    fn slopes(&mut self, _: &Analysis, node: NodeId, _: &[usize], side: Side) -> Option<Slopes> {
        match side {
            Side::Upper => self.upper.get(&node).cloned(),
            Side::Lower => self.lower.get(&node).cloned(),
        }
    }
}

/// How much is spent on the bounds of inner nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refinement {
    /// Intervals only, and a backward pass goes no further than through the last linear layer: interval propagation with
    /// the rows merged into that layer (*elision*).
    Boxes,
    /// Intervals only.
    Intervals,
    /// Backward passes for what is unstable.
    #[default]
    Backward,
}

/// Bounds and relaxations of all nodes on one region.
#[derive(Clone, Debug)]
pub struct Analysis<'a, 'n> {
    prepared: &'a LinearBounds<'n>,
    region: &'a Region,
    variables: Vec<Option<NodeBounds<'static>>>,
    relaxed: Vec<Option<Relaxed>>,
    underflow: Vec<f64>,
}

/// Entries of a matrix of rows that are held at once: what stays in the processor's caches.
const MOST_ENTRIES: usize = 1 << 16;

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
            let products = linear.map_or(2, |linear| 2 * linear.terms() + 2).max(2);
            operations[id.index()] = node.size().saturating_mul(products);
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
        Ok(analysis.lower_bounds(&problem.rows, Some(&hints.rows), &Loops))
    }

    /// Bounds and relaxations of every node on a region.
    ///
    /// # Errors
    /// [`BoundsError`], naming the node.
    pub fn analyse<'a>(
        &'a self,
        region: &'a Region,
        phases: &Phases,
        refinement: Refinement,
        mut advisor: impl Advisor,
        vectors: &impl Vectorise,
    ) -> Result<Analysis<'a, 'n>, BoundsError> {
        let mut analysis = self.start(region)?;
        for id in self.network().ids().filter(|&id| self.network().node(id).variable) {
            let intervals = analysis.interval(id, phases)?;
            analysis.settle(id, intervals);
            if refinement == Refinement::Backward {
                analysis.refine(id, phases, None::<&mut &Hints>, vectors)?;
                analysis.refine(id, phases, Some(&mut advisor), vectors)?;
            }
            if refinement == Refinement::Boxes && !self.tail[id.index()] {
                analysis.keep_box(id);
            } else {
                analysis.relax(id);
            }
        }
        Ok(analysis)
    }

    /// Is this node linear, and the output reached from it without another matrix product or convolution?
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

    fn start<'a>(&'a self, region: &'a Region) -> Result<Analysis<'a, 'n>, BoundsError> {
        let (given, expected) = (region.bounds().lower().len(), self.network().input_size());
        if given != expected {
            return Err(BoundsError::InputSize { given, expected });
        }
        let count = self.network().nodes().len();
        Ok(Analysis {
            prepared: self,
            region,
            variables: vec![None; count],
            relaxed: vec![None; count],
            underflow: vec![0.0; count],
        })
    }
}

impl<'n> Analysis<'_, 'n> {
    #[must_use]
    pub const fn network(&self) -> &'n Network {
        self.prepared.network()
    }

    #[must_use]
    pub const fn region(&self) -> &Region {
        self.region
    }

    /// The network's constants.
    #[must_use]
    pub const fn propagator(&self) -> &Propagator<'n> {
        &self.prepared.propagator
    }

    /// The bounds of a node, row-major.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &NodeBounds<'_> {
        self.variables[id.index()].as_ref().or(self.prepared.propagator.constant(id)).unwrap_or(NodeBounds::nothing())
    }

    /// What a backward pass puts in the place of a node; `None` for constants.
    #[must_use]
    pub fn relaxed(&self, id: NodeId) -> Option<&Relaxed> {
        self.relaxed[id.index()].as_ref()
    }

    pub(super) fn additions(&self) -> f64 {
        self.prepared.additions
    }

    pub(super) fn underflow(&self, id: NodeId) -> f64 {
        self.underflow[id.index()]
    }

    pub(super) fn adjoint(&self, id: NodeId) -> Option<(&Adjoint, Linear<'_>, NodeId)> {
        let node = self.network().node(id);
        let adjoint = self.prepared.adjoints[id.index()].as_ref()?;
        let linear = Linear::of(node, self.network().node(node.operands[0]).size())?;
        let operand = node.operands.iter().copied().find(|&o| self.network().node(o).variable)?;
        Some((adjoint, linear, operand))
    }

    /// Lower bounds of rows over the outputs; minus infinity where there is none. With slopes the better of the usual ones
    /// and the given.
    #[must_use]
    pub fn lower_bounds(&self, rows: &LinearRows, slopes: Option<&Slopes>, vectors: &impl Vectorise) -> Vec<f64> {
        let output = self.network().output();
        let outputs = self.network().output_size();
        let mut best = self.on_intervals(rows, outputs);
        let hinted = slopes.filter(|slopes| !slopes.is_empty());
        for slopes in [None, hinted].into_iter().take(1 + usize::from(hinted.is_some())) {
            let bounds = self.backward(output, &rows.coefficients, slopes, None, vectors);
            for ((best, bound), constant) in best.iter_mut().zip(bounds).zip(&rows.constants) {
                *best = best.max(add_down(bound, *constant));
            }
        }
        best.into_iter().map(|bound| if bound.is_finite() { bound } else { f64::NEG_INFINITY }).collect()
    }

    /// Lower bounds of `λ·x` for rows over the elements of a node, by one backward pass with the given slopes.
    #[must_use]
    pub fn backward(
        &self,
        start: NodeId,
        lambda: &[f64],
        slopes: Option<&Slopes>,
        trace: Option<&mut Trace>,
        vectors: &impl Vectorise,
    ) -> Vec<f64> {
        let size = self.network().node(start).size();
        let rows = lambda.len().checked_div(size).unwrap_or(0);
        let slopes = slopes.map(|slopes| (slopes, 0, rows));
        Backward { analysis: self, vectors, slopes, scratch: &Scratch::default() }.lower(start, rows, lambda.to_vec(), trace)
    }

    fn on_intervals(&self, rows: &LinearRows, outputs: usize) -> Vec<f64> {
        let bounds = self.node(self.network().output());
        let least = |(row, &constant): (&[f64], &f64)| {
            let term = |(&l, y): (&f64, Interval)| mul_down(l, if l >= 0.0 { y.lower } else { y.upper });
            row.iter().zip(bounds.iter()).filter(|(l, _)| **l != 0.0).map(term).fold(constant, add_down)
        };
        rows.coefficients.chunks_exact(outputs.max(1)).zip(&rows.constants).map(least).collect()
    }

    /// The bounds of a node by intervals, inside the fixed phases.
    fn interval(&self, id: NodeId, phases: &Phases) -> Result<NodeBounds<'static>, BoundsError> {
        let node = self.network().node(id);
        let bounds = if id == self.network().input() {
            NodeBounds::new(self.region.bounds().lower().to_vec(), self.region.bounds().upper().to_vec())
        } else {
            step(node, &operands(node, self.prepared.propagator.constants(), &self.variables), self.rounding())?
        };
        self.inside_phases(id, bounds, phases)
    }

    fn rounding(&self) -> Rounding {
        self.prepared.propagator.rounding()
    }

    fn inside_phases(
        &self,
        id: NodeId,
        bounds: NodeBounds<'static>,
        phases: &Phases,
    ) -> Result<NodeBounds<'static>, BoundsError> {
        if phases.is_empty() {
            return Ok(bounds);
        }
        let users = &self.prepared.users[id.index()];
        let node = self.network().node(id);
        let mut all: Vec<Interval> = bounds.iter().collect();
        for ((relu, element), &active) in phases.iter().filter(|((relu, _), _)| users.contains(relu)) {
            let is_relu = self.network().node(*relu).op == Op::Function(Function::Relu);
            let Some(x) = all.get_mut(*element).filter(|_| is_relu) else { continue };
            *x = if active { Interval::new(x.lower.max(0.0), x.upper) } else { Interval::new(x.lower, x.upper.min(0.0)) };
            if x.lower > x.upper {
                return Err(BoundsError::at(node, Reason::Empty));
            }
        }
        Ok(NodeBounds::collect(all.into_iter()))
    }

    fn settle(&mut self, id: NodeId, bounds: NodeBounds<'static>) {
        self.variables[id.index()] = Some(bounds);
    }

    /// Nothing but the node's own box for a backward pass.
    fn keep_box(&mut self, id: NodeId) {
        let deviation = self.node(id).iter().map(|x| mul_up(self.prepared.additions, x.magnitude())).collect();
        self.relaxed[id.index()] = Some(Relaxed { relaxation: Relaxation::Constant, deviation });
    }

    fn relax(&mut self, id: NodeId) {
        let network = self.network();
        let node = network.node(id);
        let variable: Vec<bool> = node.operands.iter().map(|&o| network.node(o).variable).collect();
        let sole = |(at, o): (usize, &NodeId)| self.prepared.users[o.index()].len() <= 1 && !node.operands[..at].contains(o);
        let alone = node.operands.iter().enumerate().all(sole);
        let context =
            Context { rounding: self.rounding(), growth: self.prepared.growth, additions: self.prepared.additions, alone };
        let relaxed = {
            let operands = operands(node, self.prepared.propagator.constants(), &self.variables);
            let largest = operands.iter().flat_map(|o| o.iter()).map(Interval::magnitude).fold(1.0, f64::max);
            let count = 4.0 * self.prepared.operations[id.index()] as f64 + 4.0;
            self.underflow[id.index()] = mul_up(mul_up(count, SMALLEST_SUBNORMAL), largest);
            relax(node, &operands, &variable, self.node(id), context)
        };
        self.relaxed[id.index()] = Some(relaxed);
    }

    /// Backward bounds of the elements of a node that its users cannot do without; with the usual slopes or an advisor's.
    fn refine<A: Advisor>(
        &mut self,
        id: NodeId,
        phases: &Phases,
        mut advisor: Option<&mut A>,
        vectors: &impl Vectorise,
    ) -> Result<(), BoundsError> {
        // What is moved was refined where it came from.
        if !self.prepared.mixed[id.index()] || matches!(self.network().node(id).op, Op::Reshape | Op::Rearrange(_)) {
            return Ok(());
        }
        let wanted = wanted(self.network(), &self.prepared.users, id, self.node(id));
        let mut chosen: Vec<usize> = (0..wanted.len()).filter(|&j| wanted[j] != Wanted::Nothing).collect();
        // The node's own relaxation is what its operands' bounds make of it.
        self.relax(id);
        let mut all: Vec<Interval> = self.node(id).iter().collect();
        for side in [Side::Upper, Side::Lower] {
            if side == Side::Lower {
                chosen.retain(|&j| wanted[j] == Wanted::Both || all[j].upper > 0.0);
            }
            if chosen.is_empty() {
                continue;
            }
            let slopes = match &mut advisor {
                None => None,
                Some(advisor) => match advisor.slopes(self, id, &chosen, side) {
                    Some(slopes) => Some(slopes),
                    None => continue,
                },
            };
            let sign = if side == Side::Upper { -1.0 } else { 1.0 };
            let bounds = self.unit_rows(id, &chosen, sign, slopes.as_ref(), vectors);
            for (&j, bound) in chosen.iter().zip(bounds) {
                match side {
                    Side::Upper => all[j].upper = all[j].upper.min(-bound),
                    Side::Lower => all[j].lower = all[j].lower.max(bound),
                }
            }
        }
        if all.iter().any(|x| x.lower > x.upper) {
            return Err(BoundsError::at(self.network().node(id), Reason::Empty));
        }
        let bounds = self.inside_phases(id, NodeBounds::collect(all.into_iter()), phases)?;
        self.settle(id, bounds);
        Ok(())
    }

    /// Lower bounds of `sign·x_j` for the chosen elements of a node.
    fn unit_rows(&self, id: NodeId, chosen: &[usize], sign: f64, slopes: Option<&Slopes>, vectors: &impl Vectorise) -> Vec<f64> {
        let largest = self.network().nodes().iter().filter(|node| node.variable).map(Node::size).max().unwrap_or(1);
        let most = (MOST_ENTRIES / largest.max(1)).max(16);
        let size = self.network().node(id).size();
        let scratch = Scratch::default();
        let pass = |(chunk, chosen_here): (usize, &[usize])| {
            let mut lambda = scratch.zeros(chosen_here.len() * size);
            chosen_here.iter().enumerate().for_each(|(row, &j)| lambda[row * size + j] = sign);
            let slopes = slopes.map(|slopes| (slopes, chunk * most, chosen.len()));
            Backward { analysis: self, vectors, slopes, scratch: &scratch }.lower(id, chosen_here.len(), lambda, None)
        };
        chosen.chunks(most).enumerate().flat_map(pass).collect()
    }
}
