//! Products of dense matrices: the one place where an engine may be put in.

/// Adds the product of an `m × k` and a `k × n` matrix, row-major, to an `m × n` one.
///
/// Any order of summation and fused operations will do, since the error terms of backward bounds hold for all of them; fast
/// algorithms with fewer multiplications (Strassen) will not.
pub trait Multiply: Sync {
    fn add_product(&self, dimensions: [usize; 3], a: &[f64], b: &[f64], out: &mut [f64]);
}

/// Plain loops: what the checker uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loops;

/// Columns of the right factor that stay in the fastest cache while four rows of results are made.
const STRIP: usize = 512;

impl Multiply for Loops {
    fn add_product(&self, [m, k, n]: [usize; 3], a: &[f64], b: &[f64], out: &mut [f64]) {
        for strip in (0..n).step_by(STRIP) {
            let width = STRIP.min(n - strip);
            let mut row = 0;
            while row + 4 <= m {
                let (rows, _) = out[row * n..].split_at_mut(4 * n);
                let (first, rest) = rows.split_at_mut(n);
                let (second, rest) = rest.split_at_mut(n);
                let (third, fourth) = rest.split_at_mut(n);
                let at = strip..strip + width;
                let strips = [&mut first[at.clone()], &mut second[at.clone()], &mut third[at.clone()], &mut fourth[at]];
                let [first, second, third, fourth] = strips;
                for inner in 0..k {
                    let at = row * k + inner;
                    let factors = [a[at], a[at + k], a[at + 2 * k], a[at + 3 * k]];
                    if factors != [0.0; 4] {
                        let b = &b[inner * n + strip..inner * n + strip + width];
                        four_axpy(factors, b, [&mut *first, &mut *second, &mut *third, &mut *fourth]);
                    }
                }
                row += 4;
            }
            for row in row..m {
                let out = &mut out[row * n + strip..row * n + strip + width];
                for inner in 0..k {
                    let factor = a[row * k + inner];
                    if factor != 0.0 {
                        let b = &b[inner * n + strip..inner * n + strip + width];
                        out.iter_mut().zip(b).for_each(|(out, &b)| *out += factor * b);
                    }
                }
            }
        }
    }
}

/// `out[i] += factors[i]·b` for four rows at once.
fn four_axpy(factors: [f64; 4], b: &[f64], out: [&mut [f64]; 4]) {
    let [first, second, third, fourth] = out;
    let rows = first.iter_mut().zip(second.iter_mut()).zip(third.iter_mut()).zip(fourth.iter_mut());
    for ((((first, second), third), fourth), &b) in rows.zip(b) {
        *first += factors[0] * b;
        *second += factors[1] * b;
        *third += factors[2] * b;
        *fourth += factors[3] * b;
    }
}

/// The product where many entries of the left factor vanish: rows that are nearly empty are added one entry at a time, and
/// columns that are empty are left out.
pub(super) fn add_sparse_product(multiply: &impl Multiply, [m, k, n]: [usize; 3], a: &[f64], b: &[f64], out: &mut [f64]) {
    let mut used = vec![false; k];
    let mut entries = 0;
    if k == 0 || n == 0 {
        return;
    }
    for row in a.chunks_exact(k) {
        for (used, &value) in used.iter_mut().zip(row) {
            if value != 0.0 {
                *used = true;
                entries += 1;
            }
        }
    }
    if entries * 8 <= m * k {
        for (row, out) in a.chunks_exact(k).zip(out.chunks_exact_mut(n)) {
            for (inner, &factor) in row.iter().enumerate().filter(|(_, factor)| **factor != 0.0) {
                out.iter_mut().zip(&b[inner * n..(inner + 1) * n]).for_each(|(out, &b)| *out += factor * b);
            }
        }
        return;
    }
    let columns: Vec<usize> = (0..k).filter(|&inner| used[inner]).collect();
    if columns.len() * 8 > k * 7 {
        return multiply.add_product([m, k, n], a, b, out);
    }
    let packed: Vec<f64> = a.chunks_exact(k).flat_map(|row| columns.iter().map(|&inner| row[inner])).collect();
    let rows: Vec<f64> = columns.iter().flat_map(|&inner| &b[inner * n..(inner + 1) * n]).copied().collect();
    multiply.add_product([m, columns.len(), n], &packed, &rows, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_the_definition() {
        let value = |i: usize, keep: usize| if i.is_multiple_of(keep) { (i as f64 * 0.37).sin() } else { 0.0 };
        for (m, k, n, keep) in [(1, 1, 1, 1), (5, 7, 3, 1), (9, 40, 1030, 1), (6, 50, 20, 11), (4, 32, 8, 2), (3, 0, 4, 1)] {
            let a: Vec<f64> = (0..m * k).map(|i| value(i, keep)).collect();
            let b: Vec<f64> = (0..k * n).map(|i| value(i + 3, 1)).collect();
            let mut out = vec![0.5; m * n];
            add_sparse_product(&Loops, [m, k, n], &a, &b, &mut out);
            for row in 0..m {
                for column in 0..n {
                    let sum: f64 = (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum();
                    assert!((out[row * n + column] - 0.5 - sum).abs() < 1e-12, "{m} {k} {n}");
                }
            }
        }
    }
}
