//! From a network to its form: pushes every signal symbolically through the graph.
//!
//! Exact as long as possible: data movement, sums, and products with short constants stay combinations of atoms; weights
//! define linear layers (`linear`); nonlinear functions define groups (`nonlinear`). An operation without a sound rule is
//! refused by name.

mod linear;
mod nonlinear;

use std::collections::HashMap;
use std::ops::Range;

use super::combination::{Atom, Combination};
use super::group::Groups;
use super::layer::{LinearLayer, LinearMap, Weights};
use super::{Form, FormError, SortForm};
use crate::model::ir::{EvaluationError, Intervals, Network, Node, NodeId, Op, SlopeRange, Values};
use crate::sound::Enclosure;

/// Terms and elements of all signals together: 1 GiB.
const TERM_LIMIT: usize = 1 << 26;
/// Coordinates of a form.
const DIMENSION_LIMIT: u32 = 1 << 22;

/// The part of a network between two nodes: `to` must depend on the input only through `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub from: NodeId,
    pub to: NodeId,
}

impl Segment {
    /// From the network's input to its output.
    #[must_use]
    pub const fn whole(network: &Network) -> Self {
        Self { from: network.input(), to: network.output() }
    }
}

pub(super) fn build(
    network: &Network,
    segment: Segment,
    sorts: SortForm,
    bounds: Option<&Intervals<'_>>,
) -> Result<Form, FormError> {
    let inputs = u32::try_from(network.node(segment.from).size()).map_err(|_| FormError::TooLarge)?;
    let mut builder = Builder {
        network,
        sorts,
        bounds,
        constants: Values::constants(network)?,
        signals: vec![Vec::new(); network.nodes().len()],
        groups: Groups::new(inputs),
        layers: Vec::new(),
        linear_depth: Vec::new(),
        coordinate_depth: vec![0; inputs as usize],
        constant_atoms: HashMap::new(),
        terms: 0,
    };
    let needed = needed(network, segment)?;
    builder.signals[segment.from.index()] = (0..inputs).map(|i| Combination::atom(Atom::Coordinate(i))).collect();
    for id in needed {
        let signal = builder.node(id)?;
        builder.terms += signal.iter().map(|s| s.terms().len() + 1).sum::<usize>();
        if builder.terms > TERM_LIMIT || builder.groups.dimension > DIMENSION_LIMIT {
            return Err(FormError::TooLarge);
        }
        builder.signals[id.index()] = signal;
    }
    let outputs = std::mem::take(&mut builder.signals[segment.to.index()]);
    Ok(Form {
        inputs: inputs as usize,
        dimension: builder.groups.dimension as usize,
        layers: builder.layers,
        groups: builder.groups.list,
        outputs,
    })
}

/// The variable nodes between the ends, operands first.
fn needed(network: &Network, segment: Segment) -> Result<Vec<NodeId>, FormError> {
    let mut wanted = vec![false; network.nodes().len()];
    wanted[segment.to.index()] = true;
    let mut order = Vec::new();
    for id in network.ids().collect::<Vec<_>>().into_iter().rev() {
        if !wanted[id.index()] || id == segment.from || !network.node(id).variable {
            continue;
        }
        if id < segment.from || network.node(id).op == Op::Input {
            return Err(FormError::NotACut { node: network.node(segment.from).name.clone() });
        }
        order.push(id);
        network.node(id).operands.iter().for_each(|o| wanted[o.index()] = true);
    }
    order.reverse();
    Ok(order)
}

struct Builder<'a> {
    network: &'a Network,
    sorts: SortForm,
    /// Of every node's elements, where the form is local.
    bounds: Option<&'a Intervals<'a>>,
    constants: Values<Enclosure>,
    signals: Vec<Vec<Combination>>,
    groups: Groups,
    layers: Vec<LinearLayer>,
    linear_depth: Vec<u32>,
    coordinate_depth: Vec<u32>,
    constant_atoms: HashMap<ConstantKey, u32>,
    terms: usize,
}

/// What makes two constants the same: their exact value, or the place they were computed at.
#[derive(PartialEq, Eq, Hash)]
enum ConstantKey {
    Value(u64),
    Computed { node: usize, element: usize },
}

impl Builder<'_> {
    fn node(&mut self, id: NodeId) -> Result<Vec<Combination>, FormError> {
        let node = self.network.node(id);
        let operand = |position: usize| node.operands.get(position).copied().unwrap_or(id);
        let is_variable = |position: usize| self.network.node(operand(position)).variable;
        match &node.op {
            Op::Reshape => Ok(self.signal(operand(0))),
            Op::Rearrange(sources) => {
                let operands: Vec<_> = node.operands.iter().map(|&o| self.signal(o)).collect();
                let cost = sources.iter().map(|s| operands[s.operand as usize][s.element as usize].terms().len() + 1);
                if self.terms + cost.sum::<usize>() > TERM_LIMIT {
                    return Err(FormError::TooLarge);
                }
                Ok(sources.iter().map(|s| operands[s.operand as usize][s.element as usize].clone()).collect())
            }
            Op::MatMul => self.matmul(id, node, operand(0), operand(1)),
            Op::Conv(geometry) if is_variable(0) && !is_variable(1) => {
                let inputs = self.signal(operand(0));
                let weights = Weights::new(self.constants.get(operand(1).index()));
                self.layer(node, LinearMap::Conv(geometry.clone()), weights, inputs)
            }
            Op::Binary(binary) => self.binary(node, *binary, operand(0), operand(1)),
            Op::Function(function) => {
                let arguments = self.signal(operand(0));
                self.function(id, node, function, arguments)
            }
            Op::PRelu if is_variable(0) && !is_variable(1) => self.prelu(id, node, operand(0), operand(1)),
            Op::Reduce(reduction) => self.reduce(node, *reduction, operand(0)),
            Op::Sort { descending } => self.sort(node, operand(0), *descending),
            Op::Equilibrium(function) => self.equilibrium(node, function, operand(0), operand(1)),
            Op::Softmax => {
                let arguments = self.signal(operand(0));
                let slopes = SlopeRange::new(0.0, 0.5);
                self.rows(node, &arguments, |builder, row, depth| builder.groups.vector(slopes, row, depth, &node.name))
            }
            _ => Err(unsupported(node, "both operands depend on the input")),
        }
    }

    /// The signal of an operand; a constant becomes constant atoms.
    fn signal(&mut self, id: NodeId) -> Vec<Combination> {
        if self.network.node(id).variable {
            return self.signals[id.index()].clone();
        }
        let values = self.constants.get(id.index()).to_vec();
        values
            .iter()
            .enumerate()
            .map(|(element, value)| match value.to_f64_exact() {
                Some(0.0) => Combination::default(),
                Some(exact) => self.constant(ConstantKey::Value(exact.to_bits())),
                None => self.constant(ConstantKey::Computed { node: id.index(), element }),
            })
            .collect()
    }

    fn constant(&mut self, key: ConstantKey) -> Combination {
        // At most one atom per element of the network's constants, whose number the loader limits below 2³².
        let next = u32::try_from(self.constant_atoms.len()).unwrap_or(u32::MAX);
        Combination::atom(Atom::Constant(*self.constant_atoms.entry(key).or_insert(next)))
    }

    fn depth(&self, combination: &Combination) -> u32 {
        let of = |atom| match atom {
            Atom::Coordinate(i) => self.coordinate_depth.get(i as usize).copied(),
            Atom::Linear(i) => self.linear_depth.get(i as usize).copied(),
            Atom::Constant(_) => None,
        };
        combination.varying().filter_map(|(atom, _)| of(atom)).max().unwrap_or(0)
    }
}

fn atom_range(first: usize, end: usize) -> Option<Range<u32>> {
    Some(u32::try_from(first).ok()?..u32::try_from(end).ok()?)
}

fn unsupported(node: &Node, reason: &'static str) -> FormError {
    FormError::Unsupported { node: node.name.clone(), operator: node.operator.clone(), reason }
}

impl From<EvaluationError> for FormError {
    fn from(error: EvaluationError) -> Self {
        Self::Constant(error)
    }
}
