//! Products of dense matrices, and how inner loops are compiled.

/// Where wider vector instructions may be put in. All loops are the same ones, so whatever runs them computes the same
/// numbers, bit for bit, or nothing where it is interrupted.
pub trait Vectorise: Sync {
    /// Tiles with twice as many columns fit in the registers.
    const WIDE: bool;

    /// Whether the result is no longer of use. Asked often; a pass then ends with no bound.
    fn interrupted(&self) -> bool {
        false
    }

    /// Runs a kernel.
    fn run(&self, kernel: impl Kernel);
}

/// A loop with all that it works on. `run` must be inlined, for closures and calls are compiled once for all processors.
pub trait Kernel {
    fn run(self);
}

/// The instructions that every processor of the target has: what the checker uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loops;

impl Vectorise for Loops {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(&self, kernel: impl Kernel) {
        kernel.run();
    }
}

/// Rows of a tile of results that is held in registers.
const ROWS: usize = 4;

/// Adds the product of an `m × k` and a `k × n` matrix, row-major, to an `m × n` one.
struct Product<'a> {
    dimensions: [usize; 3],
    a: &'a [f64],
    b: &'a [f64],
    out: &'a mut [f64],
    wide: bool,
}

impl Kernel for Product<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { dimensions, a, b, out, wide } = self;
        let mut column = 0;
        if wide {
            column = add_columns::<8>(dimensions, column, a, b, out);
        }
        column = add_columns::<4>(dimensions, column, a, b, out);
        add_columns::<1>(dimensions, column, a, b, out);
    }
}

/// The same, by those entries of the left factor that do not vanish.
struct SparseProduct<'a> {
    dimensions: [usize; 3],
    a: &'a [f64],
    b: &'a [f64],
    out: &'a mut [f64],
    /// Room for the entries of one row.
    entries: &'a mut Vec<(usize, f64)>,
}

impl Kernel for SparseProduct<'_> {
    #[inline(always)]
    fn run(self) {
        let [_, k, n] = self.dimensions;
        for (row, out) in self.a.chunks_exact(k).zip(self.out.chunks_exact_mut(n)) {
            self.entries.clear();
            for (inner, &factor) in row.iter().enumerate() {
                if factor != 0.0 {
                    self.entries.push((inner, factor));
                }
            }
            if self.entries.is_empty() {
                continue;
            }
            let mut column = add_strips::<32>(n, 0, self.entries, self.b, out);
            column = add_strips::<8>(n, column, self.entries, self.b, out);
            add_strips::<1>(n, column, self.entries, self.b, out);
        }
    }
}

/// Whole strips of `C` columns of one row, summed in registers; the first column that is left.
#[inline(always)]
fn add_strips<const C: usize>(n: usize, from: usize, entries: &[(usize, f64)], b: &[f64], out: &mut [f64]) -> usize {
    let mut column = from;
    while column + C <= n {
        let mut sums = [0.0; C];
        for &(inner, factor) in entries {
            let Some(line) = b[inner * n + column..].first_chunk::<C>() else { continue };
            for (sum, &b) in sums.iter_mut().zip(line) {
                *sum += factor * b;
            }
        }
        for (out, sum) in out[column..column + C].iter_mut().zip(sums) {
            *out += sum;
        }
        column += C;
    }
    column
}

/// Adds a multiple of a stretch.
#[inline(always)]
pub(super) fn add_multiple(out: &mut [f64], factor: f64, b: &[f64]) {
    let ((out, out_rest), (b, b_rest)) = (out.as_chunks_mut::<8>(), b.as_chunks::<8>());
    for (out, b) in out.iter_mut().zip(b) {
        for lane in 0..8 {
            out[lane] += factor * b[lane];
        }
    }
    for (out, b) in out_rest.iter_mut().zip(b_rest) {
        *out += factor * b;
    }
}

/// Whole strips of `C` columns from the given one on; the first column that is left.
#[inline(always)]
fn add_columns<const C: usize>([m, k, n]: [usize; 3], from: usize, a: &[f64], b: &[f64], out: &mut [f64]) -> usize {
    let mut column = from;
    while column + C <= n {
        let strip = &b[column..];
        let mut row = 0;
        while row + ROWS <= m {
            add_tile::<ROWS, C>([k, n], &a[row * k..], strip, &mut out[row * n + column..]);
            row += ROWS;
        }
        for row in row..m {
            add_tile::<1, C>([k, n], &a[row * k..], strip, &mut out[row * n + column..]);
        }
        column += C;
    }
    column
}

/// `R` rows of `C` results, summed in registers.
#[inline(always)]
fn add_tile<const R: usize, const C: usize>([k, n]: [usize; 2], a: &[f64], strip: &[f64], out: &mut [f64]) {
    let mut sums = [[0.0; C]; R];
    let mut rows: [&[f64]; R] = [&[]; R];
    for (row, a) in rows.iter_mut().zip(a.chunks_exact(k)) {
        *row = a;
    }
    for (inner, line) in strip.chunks(n).take(k).enumerate() {
        let Some(line) = line.first_chunk::<C>() else { continue };
        for (sums, row) in sums.iter_mut().zip(rows) {
            let factor = row[inner];
            for (sum, &b) in sums.iter_mut().zip(line) {
                *sum += factor * b;
            }
        }
    }
    for (sums, out) in sums.iter().zip(out.chunks_mut(n)) {
        for (out, sum) in out.iter_mut().zip(sums) {
            *out += sum;
        }
    }
}

/// The product where many entries of the left factor vanish: where most do, only the others are multiplied; else columns that
/// are empty are left out.
pub(super) fn add_sparse_product<V: Vectorise>(vectors: &V, [m, k, n]: [usize; 3], a: &[f64], b: &[f64], out: &mut [f64]) {
    if k == 0 || n == 0 {
        return;
    }
    let mut used = vec![false; k];
    let mut entries = 0;
    for row in a.chunks_exact(k) {
        for (used, &value) in used.iter_mut().zip(row) {
            *used |= value != 0.0;
            entries += usize::from(value != 0.0);
        }
    }
    if entries * 2 <= m * k {
        return vectors.run(SparseProduct { dimensions: [m, k, n], a, b, out, entries: &mut Vec::with_capacity(k) });
    }
    let columns: Vec<usize> = (0..k).filter(|&inner| used[inner]).collect();
    if columns.len() * 8 > k * 7 {
        return vectors.run(Product { dimensions: [m, k, n], a, b, out, wide: V::WIDE });
    }
    let packed: Vec<f64> = a.chunks_exact(k).flat_map(|row| columns.iter().map(|&inner| row[inner])).collect();
    let rows: Vec<f64> = columns.iter().flat_map(|&inner| &b[inner * n..(inner + 1) * n]).copied().collect();
    vectors.run(Product { dimensions: [m, columns.len(), n], a: &packed, b: &rows, out, wide: V::WIDE });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loops that pretend to have wide registers.
    struct Wide;

    impl Vectorise for Wide {
        const WIDE: bool = true;

        fn run(&self, kernel: impl Kernel) {
            kernel.run();
        }
    }

    #[test]
    fn products_agree_with_the_definition() {
        let value = |i: usize, keep: usize| if i.is_multiple_of(keep) { (i as f64 * 0.37).sin() } else { 0.0 };
        for (m, k, n, keep) in [(1, 1, 1, 1), (5, 7, 3, 1), (9, 40, 1030, 1), (6, 50, 20, 11), (4, 32, 13, 2), (3, 0, 4, 1)] {
            let a: Vec<f64> = (0..m * k).map(|i| value(i, keep)).collect();
            let b: Vec<f64> = (0..k * n).map(|i| value(i + 3, 1)).collect();
            let (mut out, mut wide) = (vec![0.5; m * n], vec![0.5; m * n]);
            add_sparse_product(&Loops, [m, k, n], &a, &b, &mut out);
            add_sparse_product(&Wide, [m, k, n], &a, &b, &mut wide);
            for row in 0..m {
                for column in 0..n {
                    let sum: f64 = (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum();
                    assert!((out[row * n + column] - 0.5 - sum).abs() < 1e-12, "{m} {k} {n}");
                }
            }
            // Not nearly: the tiles change nothing but the speed.
            assert_eq!(out, wide);
        }
    }
}
