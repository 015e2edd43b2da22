//! Absolute values from the outputs back to the inputs: the transpose of `growth`, for ℓ1.
//!
//! With weights `w` on the outputs, `Σ_k w_k |Δy_k| ≤ Σ_i g_i |Δx_i|`: `|W|ᵀ` through every linear layer, the steepest slope
//! through every function. It bounds each input's column by `g_i`, and so `Σ_k w_k |Δy_k|` by `max g` from ℓ1.

use std::collections::HashMap;

use super::growth::At;
use super::refusal::LipschitzRefusal;
use crate::lipschitz::form::FormError;
use crate::model::ir::{Binary, Network, Node, Op, Reduction, Values};
use crate::proof::Content;
use crate::sound::Enclosure;
use crate::sound::round::{add_up, div_up, max_or_nan, mul_up};

/// For every input an upper bound of `Σ_k w_k |Δy_k| / |Δx_i|` where no other input changes; `weights` are one per output,
/// not negative.
///
/// # Errors
/// When a node has no rule, or the weights are not as many as the outputs.
pub fn column_growth(network: &Network, weights: &[f64]) -> Result<Vec<f64>, LipschitzRefusal> {
    if weights.len() != network.output_size() {
        return Err(Content::Shape { what: "a functional of outputs that do not exist" }.into());
    }
    let constants = Values::<Enclosure>::constants(network).map_err(FormError::from)?;
    let partners = partners(network);
    let mut shares: Vec<Vec<f64>> = network.nodes().iter().map(|_| Vec::new()).collect();
    shares[network.output().index()] = weights.to_vec();
    let ids: Vec<_> = network.ids().filter(|&id| network.node(id).variable).collect();
    for &id in ids.iter().rev() {
        if id == network.input() {
            continue;
        }
        let own = match partners.get(&id.index()) {
            // Both are passed back at the earlier one, where everything that uses either has been seen.
            Some(&partner) if partner < id.index() => continue,
            Some(&partner) => larger(std::mem::take(&mut shares[id.index()]), std::mem::take(&mut shares[partner])),
            None => std::mem::take(&mut shares[id.index()]),
        };
        if own.is_empty() {
            continue;
        }
        let node = network.node(id);
        let at = At { network, constants: &constants, node };
        for (position, operand) in node.operands.iter().enumerate().filter(|(_, operand)| network.node(**operand).variable) {
            let size = network.node(*operand).size();
            let shares = &mut shares[operand.index()];
            shares.resize(size, 0.0);
            passed_back(&at, position, &own, shares)?;
        }
    }
    let mut columns = std::mem::take(&mut shares[network.input().index()]);
    columns.resize(network.input_size(), 0.0);
    Ok(columns)
}

/// A maximum and a minimum of the same values, each by the other: together they sort, which is non-expansive in ℓ1, so that
/// the larger share serves both.
fn partners(network: &Network) -> HashMap<usize, usize> {
    let kind = |node: &Node| match node.op {
        Op::Binary(Binary::Max) => Some((true, false)),
        Op::Binary(Binary::Min) => Some((false, false)),
        Op::Reduce(Reduction::Max) => Some((true, true)),
        Op::Reduce(Reduction::Min) => Some((false, true)),
        _ => None,
    };
    let mut known: HashMap<(bool, Vec<usize>), [Option<usize>; 2]> = HashMap::new();
    for id in network.ids() {
        let node = network.node(id);
        let Some((is_maximum, of_rows)) = kind(node) else { continue };
        let mut operands: Vec<usize> = node.operands.iter().map(|operand| operand.index()).collect();
        operands.sort_unstable();
        let elements = if of_rows {
            node.operands.first().and_then(|&operand| network.node(operand).shape.last().copied()).unwrap_or(0)
        } else {
            // The larger of a value and itself is that value, twice.
            usize::from(operands.first() != operands.last()) + 1
        };
        if elements >= 2 {
            known.entry((of_rows, operands)).or_default()[usize::from(is_maximum)].get_or_insert(id.index());
        }
    }
    let pairs = known.into_values().filter_map(|pair| Some((pair[0]?, pair[1]?)));
    pairs.flat_map(|(a, b)| [(a, b), (b, a)]).collect()
}

fn larger(a: Vec<f64>, b: Vec<f64>) -> Vec<f64> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => a.into_iter().zip(b).map(|(a, b)| max_or_nan(a, b)).collect(),
    }
}

/// Adds to the shares of a variable operand what a node with these shares passes back to it.
fn passed_back(at: &At, position: usize, own: &[f64], shares: &mut [f64]) -> Result<(), LipschitzRefusal> {
    let add = |share: &mut f64, value: f64| *share = add_up(*share, value);
    let mut times = |factors: &dyn Fn(usize) -> f64| {
        shares.iter_mut().zip(own).enumerate().for_each(|(i, (share, own))| add(share, mul_up(*own, factors(i))));
    };
    match &at.node.op {
        Op::Reshape | Op::Binary(Binary::Add | Binary::Sub | Binary::Max | Binary::Min) => times(&|_| 1.0),
        Op::Binary(Binary::Mul) => {
            let factors = at.magnitudes(1 - position, |value| *value)?;
            times(&|i| factors[i]);
        }
        Op::Binary(Binary::Div) if position == 0 => {
            let factors = at.magnitudes(1, Enclosure::reciprocal)?;
            times(&|i| factors[i]);
        }
        Op::Function(function) => {
            let steepest = at.steepest(function)?;
            times(&|_| steepest);
        }
        Op::PRelu if position == 0 => {
            let slopes = at.magnitudes(1, |value| *value)?;
            times(&|i| max_or_nan(1.0, slopes[i]));
        }
        Op::Rearrange(sources) => {
            let taken = sources.iter().zip(own).filter(|(source, _)| source.operand as usize == position);
            taken.for_each(|(source, own)| add(&mut shares[source.element as usize], *own));
        }
        Op::MatMul => matmul(at, position, own, shares)?,
        Op::Conv(geometry) => {
            let weights = if position == 0 { at.magnitudes(1, |value| *value)? } else { return Err(at.no_rule()) };
            geometry.for_each_output(|output, taps| {
                taps.iter().for_each(|tap| add(&mut shares[tap.input], mul_up(own[output], weights[tap.weight])));
            });
        }
        Op::Reduce(reduction) => {
            let size = at.last_axis();
            for (row, own) in shares.chunks_mut(size).zip(own) {
                let own = if *reduction == Reduction::Mean { div_up(*own, size as f64) } else { *own };
                row.iter_mut().for_each(|share| add(share, own));
            }
        }
        // Sorting is non-expansive in ℓ1; a column of softmax's Jacobian has absolute values that sum to 2p(1 − p) ≤ ½.
        Op::Sort { .. } | Op::Softmax => {
            let factor = if at.node.op == Op::Softmax { 0.5 } else { 1.0 };
            let size = at.last_axis();
            for (row, own) in shares.chunks_mut(size).zip(own.chunks(size)) {
                let largest = mul_up(factor, own.iter().copied().fold(0.0, max_or_nan));
                row.iter_mut().for_each(|share| add(share, largest));
            }
        }
        Op::Binary(Binary::Div) | Op::PRelu | Op::Input | Op::Constant(_) | Op::Equilibrium(_) | Op::Increment(_) => {
            return Err(at.no_rule());
        }
    }
    Ok(())
}

fn matmul(at: &At, position: usize, own: &[f64], shares: &mut [f64]) -> Result<(), LipschitzRefusal> {
    let [batch, m, n] = at.node.shape[..] else { return Err(at.no_rule()) };
    let weights = at.magnitudes(1 - position, |value| *value)?;
    let operand = if position == 0 { shares.len() } else { weights.len() };
    let k = operand / (batch * m).max(1);
    for row in 0..batch * m {
        let own = &own[row * n..(row + 1) * n];
        for inner in 0..k {
            let columns = (row / m * k + inner) * n;
            if position == 0 {
                let products = own.iter().zip(&weights[columns..columns + n]);
                let share = &mut shares[row * k + inner];
                *share = products.fold(*share, |sum, (own, weight)| add_up(sum, mul_up(*own, *weight)));
            } else {
                let weight = weights[row * k + inner];
                let targets = shares[columns..columns + n].iter_mut().zip(own);
                targets.for_each(|(share, own)| *share = add_up(*share, mul_up(weight, *own)));
            }
        }
    }
    Ok(())
}
