//! Exact hits of kinks: samples at which a derivative is a convention.

use std::collections::HashMap;

use super::circuit::Circuit;
use super::real::{Real, convert};
use super::tape::{Tape, row_length};
use crate::kernel::model::ir::{Binary, Function, NodeId, Op, Reduction, Source};

/// How often one node sits exactly on a kink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinks {
    /// Name of the node in the model file.
    pub node: String,
    pub operator: String,
    /// Elements at a kink, or groups with a tied extreme, over all samples.
    pub hits: usize,
}

/// Adds the hits of a batch to the counts per node.
pub(super) fn count<T: Real>(circuit: &Circuit<'_>, tape: &Tape<T>, hits: &mut HashMap<NodeId, usize>) {
    for id in circuit.network.ids().filter(|id| circuit.active[id.index()] && circuit.network.node(*id).variable) {
        let found: usize = (0..tape.samples).map(|sample| at_sample(circuit, tape, id, sample)).sum();
        if found > 0 {
            *hits.entry(id).or_default() += found;
        }
    }
}

fn at_sample<T: Real>(circuit: &Circuit<'_>, tape: &Tape<T>, id: NodeId, sample: usize) -> usize {
    let node = circuit.network.node(id);
    let value = |position: usize| tape.value(circuit, node.operands[position]).at(sample);
    match &node.op {
        Op::Function(function) => value(0).iter().filter(|x| is_kink(function, x.to_f64())).count(),
        Op::PRelu => value(0).iter().zip(value(1)).filter(|&(&x, &slope)| x == T::ZERO && slope != T::ONE).count(),
        Op::Binary(Binary::Max | Binary::Min) => value(0).iter().zip(value(1)).filter(|(a, b)| a == b).count(),
        Op::Sort { .. } => {
            let tied = |row: &[T]| {
                let mut sorted: Vec<f64> = convert(row);
                sorted.sort_by(f64::total_cmp);
                sorted.windows(2).any(|pair| pair[0] == pair[1])
            };
            value(0).chunks(row_length(node)).filter(|row| tied(row)).count()
        }
        Op::Reduce(reduction @ (Reduction::Max | Reduction::Min)) => {
            let width = (value(0).len() / node.size().max(1)).max(1);
            let sources = sources(circuit, node.operands[0]);
            let rows = value(0).chunks(width).enumerate();
            rows.filter(|(row, x)| tied(*reduction, x, sources.map(|s| &s[row * width..(row + 1) * width]))).count()
        }
        _ => 0,
    }
}

/// Where the elements of a pooling's windows come from: a window may hold one element several times.
fn sources<'c>(circuit: &'c Circuit<'_>, mut id: NodeId) -> Option<&'c [Source]> {
    loop {
        let node = circuit.network.node(id);
        match (&node.op, &node.operands[..]) {
            (Op::Rearrange(sources), _) => return Some(sources),
            (Op::Reshape, [operand]) => id = *operand,
            _ => return None,
        }
    }
}

/// Whether two different elements share the extreme value.
fn tied<T: Real>(reduction: Reduction, row: &[T], sources: Option<&[Source]>) -> bool {
    let best = super::scalar::extreme(reduction, row);
    let other = |i: usize| sources.is_none_or(|sources| sources[i] != sources[best]);
    (0..row.len()).any(|i| i != best && row[i] == row[best] && other(i))
}

fn is_kink(function: &Function, x: f64) -> bool {
    match *function {
        Function::LeakyRelu { slope } => x == 0.0 && slope != 1.0,
        Function::Elu { alpha } => x == 0.0 && alpha != 0.0,
        Function::Abs | Function::Relu | Function::Selu { .. } | Function::Celu { .. } | Function::Softsign | Function::Sign => {
            x == 0.0
        }
        Function::Clip { lower, upper } => x == lower || x == upper,
        Function::HardSigmoid { alpha, beta } => {
            let inner = alpha * x + beta;
            inner == 0.0 || inner == 1.0
        }
        Function::HardSwish => x.abs() == 3.0,
        Function::Floor => x == x.floor(),
        Function::Round => x + 0.5 == (x + 0.5).floor(),
        _ => false,
    }
}
