//! Bounds of all nodes on a region: intervals, refined by backward passes wherever a nonlinear node needs its operand.
//!
//! Only elements that a nonlinear node cannot do without are refined: unstable ReLUs, curved functions. Nodes are taken in
//! order, so that every backward pass stands on refined bounds of all nodes before it.

use std::collections::BTreeMap;

use super::adjoint::Adjoint;
use super::backward::{Backward, Scratch, Slopes, Trace};
use super::error::{BoundsError, Reason};
use super::linear::Linear;
use super::matrix::Vectorise;
use super::prepared::LinearBounds;
use super::problem::{Advisor, Hints, LinearRows, Phases, Side};
use super::propagate::{Propagator, operands, step};
use super::region::Region;
use super::relaxation::{Context, Relaxation, Relaxed, relax};
use super::rounding::Rounding;
use super::wanted::{Wanted, wanted};
use crate::model::ir::{Function, Network, Node, NodeBounds, NodeId, Op};
use crate::sound::Interval;
use crate::sound::round::{SMALLEST_SUBNORMAL, add_down, mul_down, mul_up};

/// Bounds and relaxations of all nodes on one region.
#[derive(Clone, Debug)]
pub struct Analysis<'a, 'n> {
    prepared: &'a LinearBounds<'n>,
    region: Region,
    phases: Phases,
    variables: Vec<Option<NodeBounds<'static>>>,
    relaxed: Vec<Option<Relaxed>>,
    underflow: Vec<f64>,
}

/// Entries of a matrix of rows that are held at once: what stays in the processor's caches.
const MOST_ENTRIES: usize = 1 << 16;

impl<'a, 'n> Analysis<'a, 'n> {
    pub(super) fn new(prepared: &'a LinearBounds<'n>, region: Region, phases: Phases) -> Self {
        let count = prepared.network().nodes().len();
        let (variables, relaxed) = (vec![None; count], vec![None; count]);
        Self { prepared, region, phases, variables, relaxed, underflow: vec![0.0; count] }
    }

    /// The same region where more phases are fixed. Everything that was found stays; it is narrowed where those ReLUs are.
    ///
    /// # Errors
    /// When no input satisfies the phases, or a node's bounds are none.
    pub fn with_phases(&self, phases: &Phases) -> Result<Self, BoundsError> {
        let mut narrower = self.clone();
        narrower.phases.extend(phases.iter().map(|(&relu, &active)| (relu, active)));
        let network = self.network();
        let mut fixed: Vec<NodeId> = phases.keys().map(|&(relu, _)| relu).filter(|&relu| is_relu(network, relu)).collect();
        fixed.dedup();
        for relu in fixed {
            let operand = network.node(relu).operands[0];
            let Some(bounds) = narrower.variables[operand.index()].take() else { continue };
            let bounds = narrower.inside_phases(operand, bounds)?;
            narrower.settle(operand, bounds);
            // How far apart two copies are depends on the argument of the first as well.
            let increments = self.prepared.users[operand.index()].iter().copied();
            let increments = increments.filter(|&user| matches!(network.node(user).op, Op::Increment(_)));
            for user in std::iter::once(relu).chain(increments) {
                let image = narrower.interval(user)?;
                let both = |(x, y): (Interval, Interval)| Interval::new(x.lower.max(y.lower), x.upper.min(y.upper));
                let image = NodeBounds::collect(image.iter().zip(self.node(user).iter()).map(both));
                if image.iter().any(|x| x.lower > x.upper) {
                    return Err(BoundsError::at(network.node(user), Reason::Empty));
                }
                narrower.settle(user, image);
                narrower.relax(user);
            }
        }
        Ok(narrower)
    }

    #[must_use]
    pub const fn network(&self) -> &'n Network {
        self.prepared.network()
    }

    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    #[must_use]
    pub const fn phases(&self) -> &Phases {
        &self.phases
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

    /// Elements whose lower lines are flexible (unstable ReLUs and the like), in the order of the network.
    pub fn flexible(&self) -> impl Iterator<Item = (NodeId, usize)> + '_ {
        self.network().ids().flat_map(move |id| {
            let least_slope = match self.relaxed(id).map(|relaxed| &relaxed.relaxation) {
                Some(Relaxation::Elementwise(lines)) => &lines.least_slope[..],
                _ => &[],
            };
            least_slope.iter().enumerate().filter(|(_, least)| !least.is_nan()).map(move |(element, _)| (id, element))
        })
    }

    /// Slopes, shared by all rows, from one position for each flexible element; `None` for another number of them.
    #[must_use]
    pub fn slopes(&self, positions: &[f64]) -> Option<Slopes> {
        let mut by_node: BTreeMap<NodeId, Vec<f64>> = BTreeMap::new();
        let mut count = 0;
        for ((node, element), &position) in self.flexible().zip(positions) {
            by_node.entry(node).or_insert_with(|| vec![0.0; self.node(node).len()])[element] = position;
            count += 1;
        }
        if count != positions.len() || self.flexible().count() != count {
            return None;
        }
        let mut slopes = Slopes::default();
        by_node.into_iter().for_each(|(node, positions)| slopes.set(node, positions));
        Some(slopes)
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

    /// Lower bounds of rows over the outputs; minus infinity where there is none. The better of those with the usual slopes,
    /// without multipliers, and with the hints.
    #[must_use]
    pub fn lower_bounds(&self, rows: &LinearRows, hints: &Hints, vectors: &impl Vectorise) -> Vec<f64> {
        let output = self.network().output();
        let outputs = self.network().output_size();
        let mut best = self.on_intervals(rows, outputs);
        let none = Hints::default();
        let hinted = !hints.rows.is_empty() || !hints.multipliers.is_empty();
        for hints in [&none, hints].into_iter().take(1 + usize::from(hinted)) {
            let bounds = self.backward(output, &rows.coefficients, hints, None, vectors);
            for ((best, bound), constant) in best.iter_mut().zip(bounds).zip(&rows.constants) {
                *best = best.max(add_down(bound, *constant));
            }
        }
        best.into_iter().map(|bound| if bound.is_finite() { bound } else { f64::NEG_INFINITY }).collect()
    }

    /// Lower bounds of `λ·x` for rows over the elements of a node, by one backward pass with the slopes and multipliers that
    /// hints have for rows.
    #[must_use]
    pub fn backward(
        &self,
        start: NodeId,
        lambda: &[f64],
        hints: &Hints,
        trace: Option<&mut Trace>,
        vectors: &impl Vectorise,
    ) -> Vec<f64> {
        let size = self.network().node(start).size();
        let rows = lambda.len().checked_div(size).unwrap_or(0);
        let slopes = (!hints.rows.is_empty()).then_some((&hints.rows, 0, rows));
        let multipliers = &hints.multipliers[..];
        let pass = Backward { analysis: self, vectors, slopes, multipliers, scratch: &Scratch::default() };
        pass.lower(start, rows, lambda.to_vec(), trace)
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
    pub(super) fn interval(&self, id: NodeId) -> Result<NodeBounds<'static>, BoundsError> {
        let node = self.network().node(id);
        let bounds = if id == self.network().input() {
            NodeBounds::new(self.region.bounds().lower().to_vec(), self.region.bounds().upper().to_vec())
        } else {
            step(node, &operands(node, self.prepared.propagator.constants(), &self.variables), self.rounding())?
        };
        self.inside_phases(id, bounds)
    }

    /// The fixed phases of which a pass may take multiples: operand, element, and the sign that it has there.
    pub(super) fn constraints(&self) -> impl Iterator<Item = Option<(NodeId, usize, f64)>> {
        self.phases.iter().map(|(&(relu, element), &active)| {
            let operand = is_relu(self.network(), relu).then(|| self.network().node(relu).operands[0])?;
            let node = self.network().node(operand);
            (node.variable && element < node.size()).then_some((operand, element, if active { 1.0 } else { -1.0 }))
        })
    }

    fn rounding(&self) -> Rounding {
        self.prepared.propagator.rounding()
    }

    fn inside_phases(&self, id: NodeId, bounds: NodeBounds<'static>) -> Result<NodeBounds<'static>, BoundsError> {
        if self.phases.is_empty() {
            return Ok(bounds);
        }
        let users = &self.prepared.users[id.index()];
        let node = self.network().node(id);
        let mut all: Vec<Interval> = bounds.iter().collect();
        for (&(relu, element), &active) in self.phases.iter().filter(|((relu, _), _)| users.contains(relu)) {
            let Some(x) = all.get_mut(element).filter(|_| is_relu(self.network(), relu)) else { continue };
            *x = if active { Interval::new(x.lower.max(0.0), x.upper) } else { Interval::new(x.lower, x.upper.min(0.0)) };
            if x.lower > x.upper {
                return Err(BoundsError::at(node, Reason::Empty));
            }
        }
        Ok(NodeBounds::collect(all.into_iter()))
    }

    pub(super) fn settle(&mut self, id: NodeId, bounds: NodeBounds<'static>) {
        self.variables[id.index()] = Some(bounds);
    }

    /// Nothing but the node's own box for a backward pass.
    pub(super) fn keep_box(&mut self, id: NodeId) {
        let deviation = self.node(id).iter().map(|x| mul_up(self.prepared.additions, x.magnitude())).collect();
        self.relaxed[id.index()] = Some(Relaxed { relaxation: Relaxation::Constant, deviation });
    }

    pub(super) fn relax(&mut self, id: NodeId) {
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
    pub(super) fn refine<A: Advisor>(
        &mut self,
        id: NodeId,
        mut advisor: Option<&mut A>,
        vectors: &impl Vectorise,
    ) -> Result<(), BoundsError> {
        // What is moved was refined where it came from.
        if !self.prepared.mixed[id.index()] || matches!(self.network().node(id).op, Op::Reshape | Op::Rearrange(_)) {
            return Ok(());
        }
        let settled = |id: NodeId| self.node(id);
        let wanted = wanted(self.network(), &self.prepared.users, id, self.node(id), &settled);
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
        let bounds = self.inside_phases(id, NodeBounds::collect(all.into_iter()))?;
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
            let pass = Backward { analysis: self, vectors, slopes, multipliers: &[], scratch: &scratch };
            pass.lower(id, chosen_here.len(), lambda, None)
        };
        chosen.chunks(most).enumerate().flat_map(pass).collect()
    }
}

/// The elements of phases are those of ReLUs; others fix nothing.
fn is_relu(network: &Network, id: NodeId) -> bool {
    network.node(id).op == Op::Function(Function::Relu)
}
