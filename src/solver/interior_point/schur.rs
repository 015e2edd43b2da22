//! The Schur matrix and the inner products with the constraint matrices, from Gram matrices of the rows: every multiplier's
//! matrix has rank at most twice its group's size, so nothing of the size of the cone is formed.

use faer::Mat;
use rayon::prelude::*;

use super::program::{Program, ResultRow, Variables};

/// `U·S·Uᵀ` for a symmetric matrix `S`, by pairs: arguments with arguments, with results, results with results.
pub struct Gram {
    vv: Mat<f64>,
    vy: Mat<f64>,
    yv: Mat<f64>,
    yy: Mat<f64>,
}

impl Gram {
    pub fn new(program: &Program, matrix: &Mat<f64>) -> Self {
        let rows = &program.dense * matrix;
        let squares = &rows * program.dense.transpose();
        let pairs = program.pairs.len();
        let mut vy = Mat::zeros(pairs, pairs);
        let mut yy = Mat::zeros(pairs, pairs);
        for (u, pair) in program.pairs.iter().enumerate() {
            let column = match pair.y {
                ResultRow::Unit(k) => rows.col_as_slice(k),
                ResultRow::Dense(row) => squares.col_as_slice(row),
            };
            vy.col_as_slice_mut(u).copy_from_slice(&column[..pairs]);
            for (entry, other) in yy.col_as_slice_mut(u).iter_mut().zip(&program.pairs) {
                *entry = match (other.y, pair.y) {
                    (ResultRow::Unit(l), ResultRow::Unit(k)) => matrix[(l, k)],
                    (ResultRow::Dense(row), _) => column[row],
                    (ResultRow::Unit(l), ResultRow::Dense(row)) => rows[(row, l)],
                };
            }
        }
        let vv = squares.submatrix(0, 0, pairs, pairs).to_owned();
        let yv = vy.transpose().to_owned();
        Self { vv, vy, yv, yy }
    }

    /// `⟨A_g, S⟩` for every group.
    pub fn products(&self, program: &Program) -> Vec<f64> {
        let mut products = vec![0.0; program.multipliers];
        for (t, pair) in program.pairs.iter().enumerate() {
            products[pair.group] += pair.a * self.vv[(t, t)] + 2.0 * pair.c * self.vy[(t, t)] + self.yy[(t, t)];
        }
        products
    }
}

/// `H_ij = tr(A_i X A_j Z⁻¹)`; the bound is variable 0, the multipliers follow.
pub fn schur(program: &Program, x: &Mat<f64>, inverse: &Mat<f64>, of_x: &Gram, of_inverse: &Gram) -> Mat<f64> {
    let order = program.multipliers + 1;
    let mut schur = Mat::zeros(order, order);
    let columns: Vec<Vec<f64>> = (0..program.pairs.len()).into_par_iter().map(|u| column(program, of_x, of_inverse, u)).collect();
    for (pair, column) in program.pairs.iter().zip(&columns) {
        let target = schur.col_as_slice_mut(pair.group + 1);
        for (other, value) in program.pairs.iter().zip(column) {
            target[other.group + 1] += value;
        }
    }
    let inputs = program.inputs;
    for j in 0..inputs {
        let (a, b) = (&x.col_as_slice(j)[..inputs], &inverse.col_as_slice(j)[..inputs]);
        schur[(0, 0)] += a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    }
    let border = border(program, x, inverse);
    for (g, value) in border.into_iter().enumerate() {
        schur[(0, g + 1)] = value;
        schur[(g + 1, 0)] = value;
    }
    schur
}

/// `⟨M_t G_tu M_u, K_tu⟩` for all pairs `t`: the two-by-two blocks of the Gram matrices.
fn column(program: &Program, g: &Gram, k: &Gram, u: usize) -> Vec<f64> {
    let slices = |gram: &Gram| {
        [
            gram.vv.col_as_slice(u).to_vec(),
            gram.vy.col_as_slice(u).to_vec(),
            gram.yv.col_as_slice(u).to_vec(),
            gram.yy.col_as_slice(u).to_vec(),
        ]
    };
    let ([gvv, gvy, gyv, gyy], [kvv, kvy, kyv, kyy]) = (slices(g), slices(k));
    let right = &program.pairs[u];
    program
        .pairs
        .iter()
        .enumerate()
        .map(|(t, left)| {
            // G·M_u, then M_t·(G·M_u).
            let (vv, vy) = (gvv[t] * right.a + gvy[t] * right.c, gvv[t] * right.c + gvy[t]);
            let (yv, yy) = (gyv[t] * right.a + gyy[t] * right.c, gyv[t] * right.c + gyy[t]);
            (left.a * vv + left.c * yv) * kvv[t]
                + (left.a * vy + left.c * yy) * kvy[t]
                + (left.c * vv + yv) * kyv[t]
                + (left.c * vy + yy) * kyy[t]
        })
        .collect()
}

/// `tr(I_x X A_g Z⁻¹)` for every group.
fn border(program: &Program, x: &Mat<f64>, inverse: &Mat<f64>) -> Vec<f64> {
    let inputs = program.inputs;
    let of = |matrix: &Mat<f64>| &program.dense * matrix.submatrix(0, 0, program.dimension, inputs);
    let (dense_x, dense_inverse) = (of(x), of(inverse));
    let row = |dense: &Mat<f64>, matrix: &Mat<f64>, row: ResultRow| -> Vec<f64> {
        match row {
            ResultRow::Unit(k) => matrix.col_as_slice(k)[..inputs].to_vec(),
            ResultRow::Dense(i) => (0..inputs).map(|j| dense[(i, j)]).collect(),
        }
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut border = vec![0.0; program.multipliers];
    for (t, pair) in program.pairs.iter().enumerate() {
        let (vx, vi) = (row(&dense_x, x, ResultRow::Dense(t)), row(&dense_inverse, inverse, ResultRow::Dense(t)));
        let (yx, yi) = (row(&dense_x, x, pair.y), row(&dense_inverse, inverse, pair.y));
        border[pair.group] += pair.a * dot(&vx, &vi) + pair.c * (dot(&vx, &yi) + dot(&yx, &vi)) + dot(&yx, &yi);
    }
    border
}

/// `⟨A_g, R⟩` for every group and `⟨I_x, R⟩`, for a matrix that need not be symmetric.
pub fn products(program: &Program, matrix: &Mat<f64>) -> Variables {
    let rows = &program.dense * matrix;
    let dimension = program.dimension;
    let with_dense = |left: &dyn Fn(usize) -> f64, i: usize| (0..dimension).map(|j| left(j) * program.dense[(i, j)]).sum::<f64>();
    let mut multipliers = vec![0.0; program.multipliers];
    for (t, pair) in program.pairs.iter().enumerate() {
        let (vy, yv, yy) = match pair.y {
            ResultRow::Unit(k) => (rows[(t, k)], with_dense(&|j| matrix[(k, j)], t), matrix[(k, k)]),
            ResultRow::Dense(i) => {
                (with_dense(&|j| rows[(t, j)], i), with_dense(&|j| rows[(i, j)], t), with_dense(&|j| rows[(i, j)], i))
            }
        };
        let vv = if pair.a == 0.0 { 0.0 } else { with_dense(&|j| rows[(t, j)], t) };
        multipliers[pair.group] += pair.a * vv + pair.c * (vy + yv) + yy;
    }
    Variables { bound: (0..program.inputs).map(|i| matrix[(i, i)]).sum(), multipliers }
}
