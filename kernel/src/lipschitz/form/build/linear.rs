//! Linear operations on signals: exact on combinations where that is possible, a layer with weights where not.
//!
//! Trusted. No weight is rounded here: what is not exact stays an enclosure.

use super::{Builder, atom_range, unsupported};
use crate::lipschitz::form::FormError;
use crate::lipschitz::form::combination::{Atom, Combination};
use crate::lipschitz::form::layer::{LinearLayer, LinearMap, Weights};
use crate::model::ir::{Binary, Node, NodeId};
use crate::sound::Enclosure;

impl Builder<'_> {
    pub(super) fn layer(
        &mut self,
        node: &Node,
        map: LinearMap,
        weights: Weights,
        inputs: Vec<Combination>,
    ) -> Result<Vec<Combination>, FormError> {
        if !weights.is_finite() {
            return Err(unsupported(node, "a weight is not a finite number"));
        }
        let first = self.linear_depth.len();
        let depth = inputs.iter().map(|input| self.depth(input)).max().unwrap_or(0);
        self.linear_depth.resize(first + map.outputs(), depth);
        let range = atom_range(first, self.linear_depth.len()).ok_or(FormError::TooLarge)?;
        self.layers.push(LinearLayer { node: node.name.clone(), map, weights, inputs, outputs: range.clone() });
        Ok(range.map(|i| Combination::atom(Atom::Linear(i))).collect())
    }

    /// `Σ weight · part` for every output: exact where it can be, otherwise one linear layer for those that cannot.
    pub(super) fn sums(&mut self, node: &Node, outputs: &[Vec<(Enclosure, Combination)>]) -> Result<Vec<Combination>, FormError> {
        let exact = |parts: &[(Enclosure, Combination)]| {
            let weights: Option<Vec<f64>> = parts.iter().map(|(weight, _)| weight.to_f64_exact()).collect();
            Combination::sum(weights?.into_iter().zip(parts.iter().map(|(_, part)| part)))
        };
        let known: Vec<Option<Combination>> = outputs.iter().map(|parts| exact(parts)).collect();
        let mut first = vec![0];
        let (mut weights, mut inputs) = (Vec::new(), Vec::new());
        for (parts, _) in outputs.iter().zip(&known).filter(|(_, known)| known.is_none()) {
            weights.extend(parts.iter().map(|(weight, _)| *weight));
            inputs.extend(parts.iter().map(|(_, part)| part.clone()));
            first.push(weights.len());
        }
        if inputs.is_empty() {
            return Ok(known.into_iter().flatten().collect());
        }
        let mut named = self.layer(node, LinearMap::Sums { first }, Weights::new(&weights), inputs)?.into_iter();
        known.into_iter().map(|known| known.or_else(|| named.next()).ok_or(FormError::TooLarge)).collect()
    }

    pub(super) fn matmul(&mut self, id: NodeId, node: &Node, left: NodeId, right: NodeId) -> Result<Vec<Combination>, FormError> {
        let [batch, m, n] = self.network.node(id).shape[..] else { return Err(unsupported(node, "not a matrix product")) };
        let k = self.network.node(left).shape.last().copied().unwrap_or(0);
        match (self.network.node(left).variable, self.network.node(right).variable) {
            (true, false) => {
                let weights = Weights::new(self.constants.get(right.index()));
                let inputs = self.signal(left);
                self.layer(node, LinearMap::MatMulRight { batch, m, k, n }, weights, inputs)
            }
            (false, true) => {
                let weights = Weights::new(self.constants.get(left.index()));
                let inputs = self.signal(right);
                self.layer(node, LinearMap::MatMulLeft { batch, m, k, n }, weights, inputs)
            }
            _ => Err(unsupported(node, "both operands depend on the input")),
        }
    }

    pub(super) fn binary(
        &mut self,
        node: &Node,
        binary: Binary,
        left: NodeId,
        right: NodeId,
    ) -> Result<Vec<Combination>, FormError> {
        let variable = (self.network.node(left).variable, self.network.node(right).variable);
        let (a, b) = (self.signal(left), self.signal(right));
        let one = Enclosure::ONE;
        let pairs = a.into_iter().zip(b);
        match binary {
            Binary::Max => self.extrema(node, 0.5, pairs),
            Binary::Min => self.extrema(node, -0.5, pairs),
            Binary::Add => self.sums(node, &pairs.map(|(a, b)| vec![(one, a), (one, b)]).collect::<Vec<_>>()),
            Binary::Sub => self.sums(node, &pairs.map(|(a, b)| vec![(one, a), (-one, b)]).collect::<Vec<_>>()),
            Binary::Mul if variable == (true, true) => {
                let factors = pairs.enumerate().map(|(element, (a, b))| match self.decided(node, element) {
                    Some((0, factor)) => Ok(vec![(factor, b)]),
                    Some((_, factor)) => Ok(vec![(factor, a)]),
                    None => Err(unsupported(node, "both operands depend on the input")),
                });
                let factors = factors.collect::<Result<Vec<_>, _>>()?;
                self.sums(node, &factors)
            }
            Binary::Mul => {
                let constant = if variable.0 { right } else { left };
                let factors = self.constants.get(constant.index()).to_vec();
                let scaled = pairs.zip(factors).map(|((a, b), factor)| vec![(factor, if variable.0 { a } else { b })]);
                self.sums(node, &scaled.collect::<Vec<_>>())
            }
            Binary::Div if variable.1 => Err(unsupported(node, "the divisor depends on the input")),
            Binary::Div => {
                let divisors = self.constants.get(right.index()).to_vec();
                let scaled = pairs.zip(divisors).map(|((a, _), divisor)| vec![(divisor.reciprocal(), a)]);
                self.sums(node, &scaled.collect::<Vec<_>>())
            }
        }
    }

    /// Which of two operands is one number on the whole region, and the number.
    fn decided(&self, node: &Node, element: usize) -> Option<(usize, Enclosure)> {
        (0..2).find_map(|operand| {
            let within = self.bounds_of(node, operand, element)?;
            #[allow(clippy::float_cmp)] // exactly one number
            let decided = within.is_finite() && within.lower == within.upper;
            decided.then(|| (operand, Enclosure::exact(within.lower)))
        })
    }

    /// The same signals as fresh atoms.
    pub(super) fn named(&mut self, node: &Node, signals: Vec<Combination>) -> Result<Vec<Combination>, FormError> {
        let map = LinearMap::Sums { first: (0..=signals.len()).collect() };
        self.layer(node, map, Weights::Exact(vec![1.0; signals.len()]), signals)
    }
}
