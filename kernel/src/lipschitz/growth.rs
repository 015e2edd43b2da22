//! Absolute values: how much every element of a signal can change where no input changes by more than one.
//!
//! `|Δy_i| ≤ Σ_j |W_ij| |Δx_j|` through every linear layer, the steepest slope through every function: the ℓ∞ counterpart of
//! the product of norms, and never above it. Its transpose is in `column_growth`.

use super::refusal::LipschitzRefusal;
use crate::lipschitz::form::FormError;
use crate::model::ir::{Binary, Function, Network, Node, NodeId, Op, Reduction, Values};
use crate::proof::{Content, Functional};
use crate::sound::Enclosure;
use crate::sound::round::{add_up, div_up, max_or_nan, mul_up};

/// For every output an upper bound of its Lipschitz constant from ℓ∞.
///
/// # Errors
/// When a node has no rule.
pub fn growth(network: &Network) -> Result<Vec<f64>, LipschitzRefusal> {
    let constants = Values::<Enclosure>::constants(network).map_err(FormError::from)?;
    let mut growths: Vec<Vec<f64>> = vec![Vec::new(); network.nodes().len()];
    for id in network.ids().filter(|&id| network.node(id).variable) {
        let node = network.node(id);
        growths[id.index()] = if id == network.input() {
            vec![1.0; node.size()]
        } else {
            Operands { at: At { network, constants: &constants, node }, growths: &growths }.growth()?
        };
    }
    Ok(std::mem::take(&mut growths[network.output().index()]))
}

/// The bound of a functional from those of the outputs.
///
/// # Errors
/// When an output does not exist.
pub fn growth_of(functional: &Functional, growths: &[f64]) -> Result<f64, LipschitzRefusal> {
    let (plus, minus) = functional.positions();
    let of = |position: usize| growths.get(position).copied();
    let bound = of(plus).and_then(|plus| minus.map_or(Some(plus), |minus| Some(add_up(plus, of(minus)?))));
    bound.ok_or(LipschitzRefusal::Content(Content::Shape { what: "a functional of outputs that do not exist" }))
}

/// A node whose operands may be constant.
pub(super) struct At<'a> {
    pub network: &'a Network,
    pub constants: &'a Values<Enclosure>,
    pub node: &'a Node,
}

impl At<'_> {
    pub fn id(&self, position: usize) -> Result<NodeId, LipschitzRefusal> {
        self.node.operands.get(position).copied().ok_or_else(|| self.no_rule())
    }

    pub fn no_rule(&self) -> LipschitzRefusal {
        LipschitzRefusal::NoRule { node: self.node.name.clone(), operator: self.node.operator.clone() }
    }

    pub fn varies(&self, position: usize) -> Result<bool, LipschitzRefusal> {
        Ok(self.network.node(self.id(position)?).variable)
    }

    /// Magnitudes of a constant operand.
    pub fn magnitudes(&self, position: usize, map: fn(&Enclosure) -> Enclosure) -> Result<Vec<f64>, LipschitzRefusal> {
        if self.varies(position)? {
            return Err(self.no_rule());
        }
        Ok(self.constants.get(self.id(position)?.index()).iter().map(|value| map(value).magnitude()).collect())
    }

    /// The size of the first operand's last axis.
    pub fn last_axis(&self) -> usize {
        self.node.operands.first().and_then(|&id| self.network.node(id).shape.last().copied()).unwrap_or(1).max(1)
    }

    /// The steepest slope of a function.
    pub fn steepest(&self, function: &Function) -> Result<f64, LipschitzRefusal> {
        let slopes = function.slope_range().ok_or_else(|| self.no_rule())?;
        Ok(slopes.lower.abs().max(slopes.upper.abs()))
    }
}

struct Operands<'a> {
    at: At<'a>,
    growths: &'a [Vec<f64>],
}

impl Operands<'_> {
    /// The growth of an operand: zero for constants.
    fn of(&self, position: usize) -> Result<Vec<f64>, LipschitzRefusal> {
        let id = self.at.id(position)?;
        let node = self.at.network.node(id);
        Ok(if node.variable { self.growths[id.index()].clone() } else { vec![0.0; node.size()] })
    }

    fn growth(&self) -> Result<Vec<f64>, LipschitzRefusal> {
        let largest = |row: &[f64]| row.iter().copied().fold(0.0, max_or_nan);
        let sum = |row: &[f64]| row.iter().copied().fold(0.0, add_up);
        let pairwise =
            |combine: fn(f64, f64) -> f64, a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| combine(*a, *b)).collect();
        let size = || self.at.last_axis();
        Ok(match &self.at.node.op {
            Op::Reshape => self.of(0)?,
            Op::Rearrange(sources) => {
                let operands = (0..self.at.node.operands.len()).map(|p| self.of(p)).collect::<Result<Vec<_>, _>>()?;
                sources.iter().map(|source| operands[source.operand as usize][source.element as usize]).collect()
            }
            Op::MatMul => self.matmul()?,
            Op::Conv(geometry) => {
                let (signal, weights) = (self.of(0)?, self.at.magnitudes(1, |value| *value)?);
                let mut result = Vec::with_capacity(self.at.node.size());
                geometry.for_each_output(|_, taps| {
                    result
                        .push(taps.iter().fold(0.0, |total, tap| add_up(total, mul_up(signal[tap.input], weights[tap.weight]))));
                });
                result
            }
            Op::Binary(Binary::Add | Binary::Sub) => pairwise(add_up, &self.of(0)?, &self.of(1)?),
            Op::Binary(Binary::Max | Binary::Min) => pairwise(max_or_nan, &self.of(0)?, &self.of(1)?),
            Op::Binary(Binary::Mul) if self.at.varies(0)? => {
                pairwise(mul_up, &self.of(0)?, &self.at.magnitudes(1, |value| *value)?)
            }
            Op::Binary(Binary::Mul) => pairwise(mul_up, &self.at.magnitudes(0, |value| *value)?, &self.of(1)?),
            Op::Binary(Binary::Div) => pairwise(mul_up, &self.of(0)?, &self.at.magnitudes(1, Enclosure::reciprocal)?),
            Op::Function(function) => {
                let steepest = self.at.steepest(function)?;
                self.of(0)?.into_iter().map(|value| mul_up(value, steepest)).collect()
            }
            Op::PRelu => {
                let slopes = self.at.magnitudes(1, |value| *value)?;
                pairwise(|value, slope| mul_up(value, max_or_nan(1.0, slope)), &self.of(0)?, &slopes)
            }
            Op::Reduce(reduction) => {
                let size = size();
                let of_row: &dyn Fn(&[f64]) -> f64 = match reduction {
                    Reduction::Sum => &sum,
                    Reduction::Mean => &|row| div_up(sum(row), row.len() as f64),
                    Reduction::Max | Reduction::Min => &largest,
                };
                self.of(0)?.chunks(size).map(of_row).collect()
            }
            // Sorting is non-expansive in ℓ∞; a row of softmax's Jacobian has absolute values that sum to 2p(1 − p) ≤ ½.
            Op::Sort { .. } => self.of(0)?.chunks(size()).flat_map(|row| vec![largest(row); row.len()]).collect(),
            Op::Softmax => self.of(0)?.chunks(size()).flat_map(|row| vec![mul_up(0.5, largest(row)); row.len()]).collect(),
            Op::Input | Op::Constant(_) | Op::Equilibrium(_) | Op::Increment(_) => return Err(self.at.no_rule()),
        })
    }

    fn matmul(&self) -> Result<Vec<f64>, LipschitzRefusal> {
        let [batch, m, n] = self.at.node.shape[..] else { return Err(self.at.no_rule()) };
        let left_varies = self.at.varies(0)?;
        let (left, right) = if left_varies {
            (self.of(0)?, self.at.magnitudes(1, |value| *value)?)
        } else {
            (self.at.magnitudes(0, |value| *value)?, self.of(1)?)
        };
        let k = left.len() / (batch * m).max(1);
        let mut result = vec![0.0; batch * m * n];
        for row in 0..batch * m {
            let target = &mut result[row * n..(row + 1) * n];
            for inner in 0..k {
                let factor = left[row * k + inner];
                let start = (row / m * k + inner) * n;
                target
                    .iter_mut()
                    .zip(&right[start..start + n])
                    .for_each(|(sum, value)| *sum = add_up(*sum, mul_up(factor, *value)));
            }
        }
        Ok(result)
    }
}
