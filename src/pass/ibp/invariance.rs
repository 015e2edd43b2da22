//! Propagation invariance: when interval propagation is exact for linear layers, and what it costs at initialisation.
//!
//! Two layers `W₂W₁` are propagation invariant when for every entry `(i, j)` all products `W₂[i,k]·W₁[k,j]` have one sign
//! (Mao et al., 2024, lemma 3.4); then `|W₂W₁| = |W₂||W₁|`.

use crate::kernel::model::ir::{Node, NodeId, Op};
use crate::kernel::region::bounds::{Linear, LinearBounds};

/// Matrices with more entries are not looked at.
const MOST_ENTRIES: usize = 1 << 21;
/// Products that are looked at for one pair of layers.
const MOST_PRODUCTS: usize = 1 << 28;

/// Two consecutive linear layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Invariance {
    /// Names of the two nodes.
    pub first: String,
    pub second: String,
    /// Entries of the product, and those whose terms have both signs.
    pub entries: usize,
    pub broken: usize,
    /// The first broken entries.
    pub examples: Vec<Break>,
}

/// An entry of a product of two layers with terms of both signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    pub output: usize,
    pub input: usize,
    /// Two hidden elements whose terms disagree.
    pub through: [usize; 2],
}

/// Every pair of consecutive linear layers that is small enough to be written as matrices.
#[must_use]
pub fn propagation_invariance(prepared: &LinearBounds) -> Vec<Invariance> {
    let network = prepared.network();
    let layers: Vec<(NodeId, Matrix)> = network
        .ids()
        .filter(|&id| network.node(id).variable && matches!(network.node(id).op, Op::MatMul | Op::Conv(_)))
        .filter_map(|id| Some((id, Matrix::of(prepared, id)?)))
        .collect();
    let pairs = layers.windows(2).filter(|pair| pair[0].1.rows == pair[1].1.columns);
    let pairs = pairs.filter(|pair| pair[1].1.rows * pair[1].1.columns * pair[0].1.columns <= MOST_PRODUCTS);
    pairs.map(|pair| compare(network.node(pair[0].0), &pair[0].1, network.node(pair[1].0), &pair[1].1)).collect()
}

struct Matrix {
    rows: usize,
    columns: usize,
    entries: Vec<f64>,
}

impl Matrix {
    fn of(prepared: &LinearBounds, id: NodeId) -> Option<Self> {
        let network = prepared.network();
        let node = network.node(id);
        let variable = network.node(node.operands[0]).variable;
        let (operand, constant) =
            if variable { (node.operands[0], node.operands[1]) } else { (node.operands[1], node.operands[0]) };
        let weights = prepared.propagator().constant(constant)?.lower();
        let (rows, columns) = (node.size(), network.node(operand).size());
        if rows.checked_mul(columns)? > MOST_ENTRIES {
            return None;
        }
        let mut entries = vec![0.0; rows * columns];
        Linear::of(node, network.node(node.operands[0]).size())?.for_each_product(|to, left, right| {
            let (from, weight) = if variable { (left, right) } else { (right, left) };
            entries[to * columns + from] += weights[weight];
        });
        Some(Self { rows, columns, entries })
    }
}

fn compare(first_node: &Node, first: &Matrix, second_node: &Node, second: &Matrix) -> Invariance {
    let mut result = Invariance {
        first: first_node.name.clone(),
        second: second_node.name.clone(),
        entries: second.rows * first.columns,
        broken: 0,
        examples: Vec::new(),
    };
    for output in 0..second.rows {
        for input in 0..first.columns {
            let term = |k: usize| second.entries[output * second.columns + k].signum() * first.entries[k * first.columns + input];
            let used = |k: &usize| second.entries[output * second.columns + k] != 0.0;
            let positive = (0..second.columns).filter(used).find(|&k| term(k) > 0.0);
            let negative = (0..second.columns).filter(used).find(|&k| term(k) < 0.0);
            if let (Some(positive), Some(negative)) = (positive, negative) {
                result.broken += 1;
                if result.examples.len() < 3 {
                    result.examples.push(Break { output, input, through: [positive, negative] });
                }
            }
        }
    }
    result
}

/// The expected tightness of a Gaussian two-layer linear network of hidden width `w` at initialisation,
/// `√π·Γ((w+1)/2)/(2·Γ(w/2+1))`, to the power `⌊layers/2⌋`: an upper bound for deeper ones (Mao et al., 2024, theorem 3.9).
#[must_use]
pub fn predicted_tightness(width: usize, layers: usize) -> f64 {
    let w = width as f64;
    let two_layers =
        0.5 * (0.5 * std::f64::consts::PI.ln() + libm::lgamma(f64::midpoint(w, 1.0)) - libm::lgamma(w / 2.0 + 1.0)).exp();
    two_layers.powi((layers / 2) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_are_those_of_the_closed_form() {
        for (width, expected) in [(2, 0.785_398_163_397_448_2), (16, 0.308_473_949_063_878_9), (256, 0.078_255_674_891_878_53)] {
            assert!((predicted_tightness(width, 2) - expected).abs() < 1e-12, "{width}");
            assert!((predicted_tightness(width, 5) - expected * expected).abs() < 1e-12, "{width}");
        }
    }
}
