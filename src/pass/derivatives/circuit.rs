//! A network prepared for differentiation with respect to its parameters: what depends on them, and how.

use super::convolution::Convolution;
use super::parameters::Parameters;
use crate::ir::{Binary, EvaluationError, Function, Network, NodeId, Op, Reduction, Values};

/// A network, the node that counts as its output, and its parameters.
pub struct Circuit<'a> {
    pub network: &'a Network,
    /// The node that is differentiated; a Softmax that belongs to the loss lies behind it.
    pub output: NodeId,
    pub parameters: Parameters,
    /// Values of the nodes that the input does not reach.
    constants: Values<f64>,
    /// Does the node depend on a parameter?
    pub(super) active: Vec<bool>,
    /// Is the node needed for the output?
    pub(super) needed: Vec<bool>,
    pub(super) convolutions: Vec<Option<Convolution>>,
    /// Constants whose gradient for one sample is a product of two factors: read once, as the weights of a layer.
    pub(super) layers: Vec<bool>,
    pub structure: Structure,
}

/// What the shape of a network says about its second derivatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// The first node that is not piecewise linear.
    pub curved: Option<String>,
    /// The first node that multiplies two quantities which depend on the same parameter.
    pub tied: Option<String>,
}

impl Structure {
    /// Is the output, as a function of any single parameter, piecewise linear? Then the diagonal of the Hessian is that of
    /// the Gauss–Newton matrix, whatever the loss.
    #[must_use]
    pub const fn piecewise_multilinear(&self) -> bool {
        self.curved.is_none() && self.tied.is_none()
    }
}

impl<'a> Circuit<'a> {
    /// # Errors
    /// [`EvaluationError`].
    pub fn new(network: &'a Network, output: NodeId, parameters: Parameters) -> Result<Self, EvaluationError> {
        let count = network.nodes().len();
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
        let structure = structure(network, &needed, &active, &parameters);
        Ok(Self { network, output, parameters, constants, active, needed, convolutions, layers, structure })
    }

    /// Value of a node that the input does not reach.
    pub(super) fn constant(&self, id: NodeId) -> &[f64] {
        self.constants.get(id.index())
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

    /// Numbers that one sample's forward pass holds.
    #[must_use]
    pub fn width(&self) -> usize {
        let held = |id: &NodeId| self.needed[id.index()] && self.network.node(*id).variable;
        self.network.ids().filter(held).map(|id| self.network.node(id).size()).sum()
    }
}

fn structure(network: &Network, needed: &[bool], active: &[bool], parameters: &Parameters) -> Structure {
    // Per node the set of parameters that it depends on, as bits.
    let words = parameters.list.len().div_ceil(64);
    let mut sets: Vec<Vec<u64>> = vec![Vec::new(); network.nodes().len()];
    for (index, parameter) in parameters.list.iter().enumerate() {
        for constant in &parameter.constants {
            let set = &mut sets[constant.node.index()];
            set.resize(words, 0);
            set[index / 64] |= 1 << (index % 64);
        }
    }
    let mut found = Structure { curved: None, tied: None };
    for id in network.ids().filter(|id| needed[id.index()] && active[id.index()]) {
        let node = network.node(id);
        let name = || format!("{} ({})", node.name, node.operator);
        let depends = |position: usize| active[node.operands[position].index()];
        let linear = match &node.op {
            Op::Input | Op::Constant(_) | Op::Reshape | Op::Rearrange(_) | Op::Sort { .. } => true,
            Op::Binary(Binary::Add | Binary::Sub | Binary::Max | Binary::Min) => true,
            Op::Reduce(Reduction::Sum | Reduction::Mean | Reduction::Max | Reduction::Min) => true,
            Op::MatMul | Op::Conv(_) | Op::Binary(Binary::Mul) | Op::PRelu => {
                if depends(0) && depends(1) {
                    let (a, b) = (&sets[node.operands[0].index()], &sets[node.operands[1].index()]);
                    if a.iter().zip(b).any(|(a, b)| a & b != 0) && found.tied.is_none() {
                        found.tied = Some(name());
                    }
                }
                true
            }
            Op::Binary(Binary::Div) => !depends(1),
            Op::Function(function) => piecewise_linear(function),
            Op::Softmax => false,
        };
        if !linear && found.curved.is_none() {
            found.curved = Some(name());
        }
        let mut union = std::mem::take(&mut sets[id.index()]);
        union.resize(words, 0);
        for operand in &node.operands {
            sets[operand.index()].iter().zip(&mut union).for_each(|(from, to)| *to |= from);
        }
        sets[id.index()] = union;
    }
    found
}

const fn piecewise_linear(function: &Function) -> bool {
    matches!(
        function,
        Function::Neg
            | Function::Abs
            | Function::Relu
            | Function::LeakyRelu { .. }
            | Function::Clip { .. }
            | Function::HardSigmoid { .. }
    )
}
