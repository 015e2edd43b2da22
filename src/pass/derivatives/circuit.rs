//! A network prepared for differentiation with respect to its parameters: what depends on them, and how.

use std::sync::OnceLock;

use super::convolution::Convolution;
use super::moves::{Move, moves};
use super::parameters::Parameters;
use super::real::convert;
use crate::kernel::curvature::Structure;
use crate::kernel::model::ir::{EvaluationError, Network, NodeId, Op, Values};

/// A network, the node that counts as its output, and its parameters.
pub struct Circuit<'a> {
    pub network: &'a Network,
    /// The node that is differentiated; a Softmax that belongs to the loss lies behind it.
    pub output: NodeId,
    pub parameters: Parameters,
    /// Values of the nodes that the input does not reach.
    constants: Values<f64>,
    /// The same in single precision, once it is asked for.
    single: OnceLock<Vec<Vec<f32>>>,
    /// Whether the node depends on a parameter.
    pub(super) active: Vec<bool>,
    /// Whether the node is needed for the output.
    pub(super) needed: Vec<bool>,
    pub(super) convolutions: Vec<Option<Convolution>>,
    /// Of the rearrangements.
    pub(super) moves: Vec<Vec<Move>>,
    /// Constants whose gradient for one sample is a product of two factors: read once, as the weights of a layer.
    pub(super) layers: Vec<bool>,
    pub structure: Structure,
}

impl<'a> Circuit<'a> {
    /// # Errors
    /// [`EvaluationError`].
    pub fn new(network: &'a Network, output: NodeId, parameters: Parameters) -> Result<Self, EvaluationError> {
        let count = network.nodes().len();
        if let Some(node) = network.implicit() {
            return Err(EvaluationError::UnknownFunction { node: node.name.clone(), operator: node.operator.clone() });
        }
        let constants = Values::constants(network)?;
        let mut needed = vec![false; count];
        needed[output.index()] = true;
        let mut readers = vec![0usize; count];
        for id in network.ids().collect::<Vec<_>>().into_iter().rev().filter(|id| id.index() <= output.index()) {
            if needed[id.index()] {
                for operand in &network.node(id).operands {
                    needed[operand.index()] = true;
                    readers[operand.index()] += 1;
                }
            }
        }
        let mut active = vec![false; count];
        for constant in parameters.list.iter().flat_map(|parameter| &parameter.constants) {
            active[constant.node.index()] = needed[constant.node.index()];
        }
        let mut layers = vec![false; count];
        let mut convolutions: Vec<Option<Convolution>> = Vec::with_capacity(count);
        for id in network.ids() {
            let node = network.node(id);
            active[id.index()] |= needed[id.index()] && node.operands.iter().any(|operand| active[operand.index()]);
            let convolution = match &node.op {
                Op::Conv(geometry) if needed[id.index()] => Some(Convolution::new(geometry)),
                _ => None,
            };
            convolutions.push(convolution);
            if needed[id.index()]
                && matches!(node.op, Op::MatMul | Op::Conv(_))
                && let [left, right] = node.operands[..]
            {
                let constant = matches!(network.node(right).op, Op::Constant(_)) && active[right.index()];
                layers[right.index()] = constant && network.node(left).variable && readers[right.index()] == 1;
            }
        }
        let moves = network.ids().map(|id| match &network.node(id).op {
            Op::Rearrange(sources) if needed[id.index()] => moves(sources),
            _ => Vec::new(),
        });
        let moves = moves.collect();
        let groups: Vec<Vec<NodeId>> =
            parameters.list.iter().map(|parameter| parameter.constants.iter().map(|constant| constant.node).collect()).collect();
        let structure = Structure::of(network, output, &groups);
        Ok(Self {
            network,
            output,
            parameters,
            constants,
            single: OnceLock::new(),
            active,
            needed,
            convolutions,
            moves,
            layers,
            structure,
        })
    }

    /// Value of a node that the input does not reach.
    pub(super) fn constant(&self, id: NodeId) -> &[f64] {
        self.constants.get(id.index())
    }

    /// The same, rounded to single precision.
    pub(super) fn single_constant(&self, id: NodeId) -> &[f32] {
        let all = || {
            let own = |id: NodeId| if self.network.node(id).variable { Vec::new() } else { convert(self.constant(id)) };
            self.network.ids().map(own).collect()
        };
        &self.single.get_or_init(all)[id.index()]
    }

    /// Number of outputs C.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.network.node(self.output).size()
    }

    /// Number of parameters d.
    #[must_use]
    pub const fn dimension(&self) -> usize {
        self.parameters.dimension
    }

    /// Multiplications of one sample's forward pass, at least one per value.
    #[must_use]
    pub fn multiplications(&self) -> f64 {
        let cost = |id: NodeId| {
            let node = self.network.node(id);
            let each = match (&node.op, node.operands.first()) {
                (Op::MatMul, Some(left)) => self.network.node(*left).shape.last().copied().unwrap_or(1) as f64,
                (Op::Conv(geometry), _) => {
                    let kernel: usize = geometry.axes.iter().map(|axis| axis.kernel).product();
                    (kernel * geometry.in_channels / geometry.groups.max(1)) as f64
                }
                _ => 1.0,
            };
            if self.needed[id.index()] && node.variable { node.size() as f64 * each } else { 0.0 }
        };
        self.network.ids().map(cost).sum()
    }

    /// Numbers that one sample's forward pass holds.
    #[must_use]
    pub fn width(&self) -> usize {
        let held = |id: &NodeId| self.needed[id.index()] && self.network.node(*id).variable;
        self.network.ids().filter(held).map(|id| self.network.node(id).size()).sum()
    }
}
