//! Test problems: Lipschitz bounds of ReLU networks in the 2-norm.
//!
//! Coordinates are (x, y₁, …, y_L), yₗ the outputs of layer l; v is the row of
//! `W_l` applied to the coordinates before. A slope in [0, 1] gives
//! `q = v·y − y² ≥ 0` for differences, and with multipliers λ ≥ 0
//! `F = ρ·I_x − CᵀC − Σ λᵢ·qᵢ ⪰ 0` proves that √ρ is a Lipschitz constant.

use std::collections::BTreeMap;

use super::{MatrixInequality, SparseSymmetric};

/// A dense layer: rows of the weight matrix.
pub type Weights = Vec<Vec<f64>>;

/// Sums entries given in any order and either triangle.
pub fn symmetric(entries: impl IntoIterator<Item = (usize, usize, f64)>) -> SparseSymmetric {
    let mut sums = BTreeMap::new();
    for (i, j, value) in entries {
        *sums.entry((i.max(j) as u32, i.min(j) as u32)).or_insert(0.0) += value;
    }
    let entries = sums.into_iter().map(|((i, j), value)| (i, j, value));
    SparseSymmetric { entries: entries.collect() }
}

/// The problem of `layers`, each followed by ReLU except the last.
pub fn relu_network(layers: &[Weights]) -> MatrixInequality {
    let inputs = layers[0][0].len();
    let (last, hidden) = layers.split_last().expect("a network has layers");
    let mut coefficients = vec![symmetric((0..inputs).map(|i| (i, i, 1.0)))];
    let (mut before, mut start) = (0, inputs);
    for layer in hidden {
        for (i, row) in layer.iter().enumerate() {
            let y = start + i;
            // −q = y² − v·y; the mirror images of an entry share its coefficient.
            let mixed = row.iter().enumerate();
            let mixed = mixed.map(|(j, &w)| (y, before + j, -0.5 * w));
            coefficients.push(symmetric(mixed.chain([(y, y, 1.0)])));
        }
        before = start;
        start += layer.len();
    }
    let width = last[0].len();
    let gram = (0..width).flat_map(|i| (0..=i).map(move |j| (i, j)));
    let gram = gram.map(|(i, j)| {
        let dot: f64 = last.iter().map(|row| row[i] * row[j]).sum();
        (before + i, before + j, -dot)
    });
    let variables = coefficients.len();
    let mut objective = vec![0.0; variables];
    objective[0] = 1.0;
    MatrixInequality { dimension: start, constant: symmetric(gram), coefficients, objective, nonnegative: vec![true; variables] }
}

/// Reproducible weights, variance 2 / inputs, for the given widths.
pub fn random_weights(widths: &[usize], seed: u64) -> Vec<Weights> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    let mut layer = |inputs: usize, outputs: usize| -> Weights {
        let scale = (6.0 / inputs as f64).sqrt();
        let mut row = || (0..inputs).map(|_| scale * uniform()).collect();
        (0..outputs).map(|_| row()).collect()
    };
    widths.windows(2).map(|w| layer(w[0], w[1])).collect()
}

/// F(t) as a dense matrix, rows of columns.
pub fn evaluate(problem: &MatrixInequality, variables: &[f64]) -> Vec<Vec<f64>> {
    let n = problem.dimension;
    let mut result = vec![vec![0.0; n]; n];
    let mut add = |matrix: &SparseSymmetric, factor: f64| {
        for &(row, column, value) in &matrix.entries {
            let (i, j) = (row as usize, column as usize);
            result[i][j] += factor * value;
            if i != j {
                result[j][i] += factor * value;
            }
        }
    };
    add(&problem.constant, 1.0);
    for (matrix, &t) in problem.coefficients.iter().zip(variables) {
        add(matrix, t);
    }
    result
}
