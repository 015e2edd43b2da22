//! The Schur matrix and the inner products with the constraint matrices, from Gram matrices of the rows: every multiplier's
//! matrix has rank at most twice its group's size, so nothing of the size of the cone is formed.

use std::borrow::Cow;

use faer::Mat;
use rayon::prelude::*;

use super::dense::{columns_mut, transposed};
use super::pool::Lent;
use super::program::{Images, Program, Variables};
use crate::kernel::sound::gram::dot;

/// `U·S·Uᵀ` for a symmetric matrix `S`, by pairs `t ≥ u`: arguments with arguments, arguments with results, results with
/// arguments, results with results.
pub struct Gram<'a> {
    program: &'a Program,
    matrix: &'a Mat<f64>,
    images: &'a Images<'a>,
    vv: Lent<'a>,
    /// `S·v` by coordinates.
    by_coordinate: Lent<'a>,
}

/// One column of the four Gram matrices, from the diagonal down.
struct Column<'a> {
    vv: &'a [f64],
    vy: Cow<'a, [f64]>,
    yv: Cow<'a, [f64]>,
    yy: Cow<'a, [f64]>,
}

impl<'a> Gram<'a> {
    pub fn new(program: &'a Program, matrix: &'a Mat<f64>, images: &'a Images) -> Self {
        let vv = program.lower_products(&images.arguments);
        Self { program, matrix, images, vv, by_coordinate: transposed(&images.arguments, &program.pool) }
    }

    fn column(&self, u: usize) -> Column<'_> {
        let program = self.program;
        let (pairs, inputs) = (program.pairs.len(), program.inputs);
        let plain = program.dimension - inputs;
        let (argument, result) = (self.images.arguments.col_as_slice(u), self.images.result(program, self.matrix, u));
        let vy = if u < plain {
            Cow::Borrowed(&self.by_coordinate.col_as_slice(inputs + u)[u..])
        } else {
            (u..pairs).map(|t| program.with_result(u, self.images.arguments.col_as_slice(t))).collect()
        };
        let (yv, yy) = (self.with_results(argument, u), self.with_results(result, u));
        Column { vv: &self.vv.col_as_slice(u)[u..], vy, yv, yy }
    }

    /// The results of the pairs from `first` on with a column.
    fn with_results<'b>(&self, column: &'b [f64], first: usize) -> Cow<'b, [f64]> {
        let program = self.program;
        let (pairs, plain) = (program.pairs.len(), program.dimension - program.inputs);
        let coordinates = &column[(program.inputs + first).min(program.dimension)..];
        if plain == pairs {
            return Cow::Borrowed(coordinates);
        }
        let others = (plain.max(first)..pairs).map(|t| program.with_result(t, column));
        coordinates.iter().copied().chain(others).collect()
    }

    /// `⟨D_j, S⟩` for every multiplier of inputs, `⟨A_g, S⟩` for every group.
    pub fn products(&self) -> Variables {
        let program = self.program;
        let mut products = vec![0.0; program.order()];
        for (i, &j) in program.input_multiplier.iter().enumerate() {
            products[j] += self.matrix[(i, i)];
        }
        let groups = &mut products[program.objective.len()..];
        for (t, pair) in program.pairs.iter().enumerate() {
            let vy = program.with_result(t, self.images.arguments.col_as_slice(t));
            let yy = program.with_result(t, self.images.result(program, self.matrix, t));
            groups[pair.group] += pair.a * self.vv[(t, t)] + 2.0 * pair.c * vy + yy;
        }
        products
    }
}

/// `H_ij = tr(A_i X A_j Z⁻¹)`, the lower triangle.
pub fn schur<'a>(program: &'a Program, of_x: &Gram, of_inverse: &Gram) -> Lent<'a> {
    let (first, order) = (program.objective.len(), program.order());
    let mut schur = program.pool.zeros(order, order);
    if program.multipliers == program.pairs.len() && program.pairs.iter().enumerate().all(|(t, pair)| pair.group == t) {
        columns_mut(schur.as_mut()).skip(first).for_each(|(i, target)| {
            let u = i - first;
            fill_column(program, &of_x.column(u), &of_inverse.column(u), u, &mut target[i..]);
        });
    } else {
        let columns: Vec<Vec<f64>> = (0..program.pairs.len())
            .into_par_iter()
            .map(|u| {
                let mut values = vec![0.0; program.pairs.len() - u];
                fill_column(program, &of_x.column(u), &of_inverse.column(u), u, &mut values);
                values
            })
            .collect();
        for (u, (pair, column)) in program.pairs.iter().zip(&columns).enumerate() {
            for (t, (other, value)) in (u..).zip(program.pairs[u..].iter().zip(column)) {
                let (row, column) = (pair.group.max(other.group), pair.group.min(other.group));
                // A pair of different pairs of one group counts in both orders.
                let twice = if t != u && row == column { 2.0 } else { 1.0 };
                schur[(first + row, first + column)] += twice * value;
            }
        }
    }
    let (x, inverse) = (of_x.matrix, of_inverse.matrix);
    let inputs = program.inputs;
    for j in 0..inputs {
        let column = program.input_multiplier[j];
        for (i, (a, b)) in x.col_as_slice(j)[..inputs].iter().zip(inverse.col_as_slice(j)).enumerate() {
            let row = program.input_multiplier[i];
            if row >= column {
                schur[(row, column)] += a * b;
            }
        }
    }
    border(program, of_x, of_inverse, &mut schur);
    schur
}

/// `⟨M_t G_tu M_u, K_tu⟩` for the pairs `t ≥ u`: the two-by-two blocks of the Gram matrices.
fn fill_column(program: &Program, g: &Column, k: &Column, u: usize, target: &mut [f64]) {
    let right = &program.pairs[u];
    let of_g = g.vv.iter().zip(&*g.vy).zip(g.yv.iter().zip(&*g.yy));
    let of_k = k.vv.iter().zip(&*k.vy).zip(k.yv.iter().zip(&*k.yy));
    for (((target, left), ((gvv, gvy), (gyv, gyy))), ((kvv, kvy), (kyv, kyy))) in
        target.iter_mut().zip(&program.pairs[u..]).zip(of_g).zip(of_k)
    {
        // G·M_u, then M_t·(G·M_u).
        let (vv, vy) = (gvv * right.a + gvy * right.c, gvv * right.c + gvy);
        let (yv, yy) = (gyv * right.a + gyy * right.c, gyv * right.c + gyy);
        *target = (left.a * vv + left.c * yv) * kvv
            + (left.a * vy + left.c * yy) * kvy
            + (left.c * vv + yv) * kyv
            + (left.c * vy + yy) * kyy;
    }
}

/// Adds `tr(D_j X A_g Z⁻¹)`.
fn border(program: &Program, of_x: &Gram, of_inverse: &Gram, schur: &mut Mat<f64>) {
    let (inputs, first) = (program.inputs, program.objective.len());
    let single = first == 1;
    let of_pair = |t: usize| {
        let pair = &program.pairs[t];
        let (vx, vi) = (of_x.images.arguments.col_as_slice(t), of_inverse.images.arguments.col_as_slice(t));
        let (yx, yi) = (of_x.images.result(program, of_x.matrix, t), of_inverse.images.result(program, of_inverse.matrix, t));
        if single {
            let dot = |a: &[f64], b: &[f64]| dot(&a[..inputs], &b[..inputs]);
            return vec![pair.a * dot(vx, vi) + pair.c * (dot(vx, yi) + dot(yx, vi)) + dot(yx, yi)];
        }
        (0..inputs).map(|i| pair.a * vx[i] * vi[i] + pair.c * (vx[i] * yi[i] + yx[i] * vi[i]) + yx[i] * yi[i]).collect()
    };
    let values: Vec<Vec<f64>> = (0..program.pairs.len()).into_par_iter().map(of_pair).collect();
    for (pair, values) in program.pairs.iter().zip(values) {
        let row = first + pair.group;
        values.into_iter().enumerate().for_each(|(j, value)| schur[(row, j)] += value);
    }
}

/// `⟨D_j, MK⟩` and `⟨A_g, MK⟩`, for `M` that need not be symmetric, given `Mᵀ`, and a symmetric `K` with its images.
pub fn products(program: &Program, transposed: &Mat<f64>, with: &Mat<f64>, images: &Images) -> Variables {
    let rows = program.images(transposed);
    let of_pair = |t: usize| {
        let pair = &program.pairs[t];
        let (mv, my) = (rows.arguments.col_as_slice(t), rows.result(program, transposed, t));
        let (kv, ky) = (images.arguments.col_as_slice(t), images.result(program, with, t));
        let vv = if pair.a == 0.0 { 0.0 } else { pair.a * dot(mv, kv) };
        let cross = if pair.c == 0.0 { 0.0 } else { pair.c * (dot(mv, ky) + dot(my, kv)) };
        vv + cross + dot(my, ky)
    };
    let of_pairs: Vec<f64> = (0..program.pairs.len()).into_par_iter().map(of_pair).collect();
    let mut products = vec![0.0; program.order()];
    for (i, &j) in program.input_multiplier.iter().enumerate() {
        products[j] += dot(transposed.col_as_slice(i), with.col_as_slice(i));
    }
    let first = program.objective.len();
    program.pairs.iter().zip(of_pairs).for_each(|(pair, value)| products[first + pair.group] += value);
    products
}
