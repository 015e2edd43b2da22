//! Random graphs: a row of parts, and a matrix at the end.

use nnverify::kernel::model::onnx::proto::ModelProto;

use super::blocks;
use super::builder::{Builder, INPUT, int};

/// A random graph.
pub struct Graph {
    pub model: ModelProto,
    /// Whether the graph ends with a Softmax.
    pub softmax: bool,
}

/// The random graph of a seed, for an input.
pub fn graph(seed: u64, input: &[f64]) -> Graph {
    let opset = [13, 15, 17, 18, 20, 22, 25][(seed % 7) as usize];
    let mut builder = Builder::new(seed, opset, input);
    // Constants that are there before anything needs them.
    for _ in 0..builder.random.below(3) {
        let shape = [vec![], vec![2], vec![1, 3], vec![2, 2]][builder.random.below(4)].clone();
        builder.any(&shape);
    }
    let mut row = INPUT;
    for _ in 0..=builder.random.below(4) {
        let kept = row;
        row = blocks::any(&mut builder, row);
        if builder.shape(kept) == builder.shape(row) && builder.random.chance(0.15) {
            row = builder.node("Add", &[kept, row], vec![]);
        }
    }
    let outputs = 1 + builder.random.below(3);
    let n = builder.value(row).size();
    let weights = builder.any(&[n, outputs]);
    row = builder.node("MatMul", &[row, weights], vec![]);
    if builder.random.chance(0.6) {
        let bias = builder.any(&[outputs]);
        row = builder.node("Add", &[row, bias], vec![]);
    }
    let softmax = outputs > 1 && builder.random.chance(0.15);
    if softmax {
        row = builder.node("Softmax", &[row], vec![int("axis", -1)]);
    }
    Graph { model: builder.finish(row), softmax }
}
