//! Norm rules: an upper bound of the ℓ2 Lipschitz constant of every node of a segment from those of its operands.

use std::collections::HashMap;

use super::convolution::{by_sums_of_the_kernel, convolution_norm};
use super::inequality::prove_matrix;
use super::refusal::LipschitzRefusal;
use crate::lipschitz::form::{Form, FormError, Rows, Segment, SortForm, operator_norm};
use crate::model::ir::{Binary, Network, Node, NodeId, Op, Reduction, Source, Values};
use crate::proof::{Content, Norm};
use crate::sound::Enclosure;
use crate::sound::round::{add_up, div_up, max_or_nan, mul_up, sqrt_up};

/// Bounds of the nodes of one segment, with respect to its start.
pub struct Rules<'a> {
    network: &'a Network,
    constants: &'a Values<Enclosure>,
    bounds: HashMap<NodeId, f64>,
}

/// How the norm of a linear layer is bounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LinearNorm {
    /// Its square is at most this, which a factorisation proves.
    Squared(f64),
    /// A convolution by its symbols or by absolute sums, whichever is less; anything else by absolute sums.
    Symbols,
    /// A convolution by the absolute sums of its kernel alone; anything else as above.
    Sums,
}

impl Rules<'_> {
    /// Proves the constant of a segment. `constants` are the network's; `norms` has one entry per matrix product and
    /// convolution, in order.
    ///
    /// # Errors
    /// When a node has no rule or a norm is not proved.
    pub fn prove(
        network: &Network,
        constants: &Values<Enclosure>,
        segment: Segment,
        norms: &[LinearNorm],
    ) -> Result<f64, LipschitzRefusal> {
        let mut rules = Rules { network, constants, bounds: HashMap::from([(segment.from, 1.0)]) };
        let mut norms = norms.iter();
        let nodes: Vec<NodeId> = linear_and_other_nodes(network, segment);
        for id in nodes {
            let node = network.node(id);
            let bound = if is_linear_layer(node) {
                let norm = norms.next().ok_or(Content::Shape { what: "a linear layer without its norm" })?;
                rules.linear_layer(id, *norm)?
            } else {
                rules.node(node)?
            };
            rules.bounds.insert(id, bound);
        }
        if norms.next().is_some() {
            return Err(Content::Shape { what: "a norm without its linear layer" }.into());
        }
        rules.bounds.get(&segment.to).copied().ok_or(LipschitzRefusal::Content(Content::Shape { what: "the segment is empty" }))
    }

    /// The operand's bound: 0 for constants. A variable operand from before the segment has none: not a segment.
    fn operand(&self, node: &Node, position: usize) -> Result<f64, LipschitzRefusal> {
        let id = *node.operands.get(position).ok_or_else(|| no_rule(node))?;
        if !self.network.node(id).variable {
            return Ok(0.0);
        }
        let not_a_cut = || LipschitzRefusal::Form(FormError::NotACut { node: node.name.clone() });
        self.bounds.get(&id).copied().ok_or_else(not_a_cut)
    }

    fn node(&self, node: &Node) -> Result<f64, LipschitzRefusal> {
        let operand = |position| self.operand(node, position);
        let largest_constant = |position: usize, map: fn(&Enclosure) -> Enclosure| {
            let values = node.operands.get(position).map_or(&[][..], |id| self.constants.get(id.index()));
            values.iter().fold(0.0, |max: f64, value| max_or_nan(max, map(value).magnitude()))
        };
        let is_variable = |position: usize| node.operands.get(position).is_some_and(|&id| self.network.node(id).variable);
        let bound = match &node.op {
            Op::Reshape | Op::Sort { .. } | Op::Reduce(Reduction::Max | Reduction::Min) => operand(0)?,
            Op::Softmax => mul_up(0.5, operand(0)?),
            Op::Rearrange(sources) => {
                let multiplicities = self.multiplicities(node, sources);
                let mut squared = 0.0;
                for (position, multiplicity) in multiplicities.into_iter().enumerate() {
                    let bound = operand(position)?;
                    squared = add_up(squared, mul_up(multiplicity, mul_up(bound, bound)));
                }
                sqrt_up(squared)
            }
            Op::Binary(Binary::Add | Binary::Sub) => add_up(operand(0)?, operand(1)?),
            Op::Binary(Binary::Max | Binary::Min) => {
                let (a, b) = (operand(0)?, operand(1)?);
                sqrt_up(add_up(mul_up(a, a), mul_up(b, b)))
            }
            Op::Binary(Binary::Mul) => match (is_variable(0), is_variable(1)) {
                (true, false) => mul_up(operand(0)?, largest_constant(1, |value| *value)),
                (false, true) => mul_up(operand(1)?, largest_constant(0, |value| *value)),
                _ => return Err(no_rule(node)),
            },
            Op::Binary(Binary::Div) if !is_variable(1) => mul_up(operand(0)?, largest_constant(1, Enclosure::reciprocal)),
            Op::Function(function) => {
                let slopes = function.slope_range().ok_or_else(|| no_rule(node))?;
                mul_up(operand(0)?, slopes.lower.abs().max(slopes.upper.abs()))
            }
            Op::PRelu if !is_variable(1) => mul_up(operand(0)?, max_or_nan(1.0, largest_constant(1, |value| *value))),
            Op::Reduce(reduction) => {
                #[allow(clippy::cast_precision_loss)] // a row has fewer than 2⁵³ elements
                let size = node.operands.first().map_or(1, |&id| self.network.node(id).size() / node.size().max(1)) as f64;
                let factor = if *reduction == Reduction::Mean { sqrt_up(div_up(1.0, size)) } else { sqrt_up(size) };
                mul_up(operand(0)?, factor)
            }
            _ => return Err(no_rule(node)),
        };
        Ok(bound)
    }

    /// How often each operand's most used element appears in the result.
    #[allow(clippy::cast_precision_loss)] // counts far below 2⁵³
    fn multiplicities(&self, node: &Node, sources: &[Source]) -> Vec<f64> {
        let mut uses: Vec<Vec<u32>> = node.operands.iter().map(|&id| vec![0; self.network.node(id).size()]).collect();
        for source in sources {
            uses[source.operand as usize][source.element as usize] += 1;
        }
        uses.iter().map(|uses| f64::from(uses.iter().copied().max().unwrap_or(0))).collect()
    }

    fn linear_layer(&self, id: NodeId, norm: LinearNorm) -> Result<f64, LipschitzRefusal> {
        let node = self.network.node(id);
        let variable = (0..node.operands.len()).filter(|&p| self.network.node(node.operands[p]).variable);
        let Ok([position]) = <[usize; 1]>::try_from(variable.collect::<Vec<_>>()) else { return Err(no_rule(node)) };
        if let (Op::Conv(geometry), LinearNorm::Symbols | LinearNorm::Sums, 0) = (&node.op, norm, position) {
            let weights = node.operands.get(1).map_or(&[][..], |id| self.constants.get(id.index()));
            let quick = norm == LinearNorm::Sums;
            let found = if quick { by_sums_of_the_kernel(geometry, weights) } else { convolution_norm(geometry, weights) };
            return Ok(mul_up(self.operand(node, position)?, found));
        }
        let segment = Segment { from: node.operands[position], to: id };
        let form = Form::new(self.network, segment, SortForm::Comparators)?;
        let norm = if let LinearNorm::Squared(squared_norm) = norm {
            let rows = Rows::new(&form)?;
            prove_matrix(&rows, Norm::L2, &[squared_norm], &[])
                .map_err(|reason| reason.about(format!("the norm of node `{}`", node.name)))?
        } else {
            form.layers.first().map(operator_norm).ok_or_else(|| no_rule(node))?
        };
        Ok(mul_up(self.operand(node, position)?, norm))
    }
}

/// The variable nodes after `from` up to `to` that `to` needs.
fn linear_and_other_nodes(network: &Network, segment: Segment) -> Vec<NodeId> {
    let mut wanted = vec![false; network.nodes().len()];
    wanted[segment.to.index()] = true;
    let mut nodes: Vec<NodeId> = network
        .ids()
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .filter(|&id| {
            let inside = wanted[id.index()] && id > segment.from && network.node(id).variable;
            if inside {
                network.node(id).operands.iter().for_each(|operand| wanted[operand.index()] = true);
            }
            inside
        })
        .collect();
    nodes.reverse();
    nodes
}

/// The nodes of a segment that the witness of [`Rules`] has a norm for, in its order.
#[must_use]
pub fn linear_layers(network: &Network, segment: Segment) -> Vec<NodeId> {
    let mut nodes = linear_and_other_nodes(network, segment);
    nodes.retain(|&id| is_linear_layer(network.node(id)));
    nodes
}

const fn is_linear_layer(node: &Node) -> bool {
    matches!(node.op, Op::MatMul | Op::Conv(_))
}

fn no_rule(node: &Node) -> LipschitzRefusal {
    LipschitzRefusal::NoRule { node: node.name.clone(), operator: node.operator.clone() }
}
