//! Loops over rows of coefficients, with eight running sums each: any order of summation is accounted for, and this one
//! keeps the processor's vector units busy. Rows are mostly empty; empty stretches are passed over.

// Closures may not be inlined, and would then not have the vector instructions of the kernel that calls them.
#![allow(clippy::needless_range_loop)]

/// Running sums.
const LANES: usize = 8;

/// Eight neighbours; beyond the end there are zeros.
#[inline(always)]
fn stretch(numbers: &[f64], from: usize) -> [f64; LANES] {
    let rest = &numbers[from..];
    if let Some(whole) = rest.first_chunk() {
        return *whole;
    }
    let mut padded = [0.0; LANES];
    padded[..rest.len()].copy_from_slice(rest);
    padded
}

/// Puts eight neighbours back; what is beyond the end is dropped.
#[inline(always)]
fn store(numbers: &mut [f64], from: usize, values: [f64; LANES]) {
    let rest = &mut numbers[from..];
    if let Some(whole) = rest.first_chunk_mut() {
        *whole = values;
    } else {
        rest.copy_from_slice(&values[..rest.len()]);
    }
}

/// Whether all entries are zero.
#[inline(always)]
fn is_empty(stretch: &[f64; LANES]) -> bool {
    let mut bits = 0;
    for l in stretch {
        bits |= l.to_bits();
    }
    // The sign of a zero does not count.
    bits << 1 == 0
}

#[inline(always)]
fn select(l: f64, at_positive: f64, at_negative: f64) -> f64 {
    if l >= 0.0 { at_positive } else { at_negative }
}

#[inline(always)]
fn total(sums: [f64; LANES]) -> f64 {
    let mut total = 0.0;
    for sum in sums {
        total += sum;
    }
    total
}

/// `Σ |l|·d`.
#[inline(always)]
pub(super) fn dot_magnitudes(row: &[f64], deviation: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    for at in (0..row.len()).step_by(LANES) {
        let l = stretch(row, at);
        if !is_empty(&l) {
            let d = stretch(deviation, at);
            for lane in 0..LANES {
                sums[lane] += l[lane].abs() * d[lane];
            }
        }
    }
    total(sums)
}

/// `Σ l·(at_positive where l ≥ 0, else at_negative)`.
#[inline(always)]
pub(super) fn sum_selected(row: &[f64], at_positive: &[f64], at_negative: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    for at in (0..row.len()).step_by(LANES) {
        let l = stretch(row, at);
        if !is_empty(&l) {
            let (p, n) = (stretch(at_positive, at), stretch(at_negative, at));
            for lane in 0..LANES {
                sums[lane] += l[lane] * select(l[lane], p[lane], n[lane]);
            }
        }
    }
    total(sums)
}

/// Multiplies by `at_positive` where the coefficient is not negative, by `at_negative` elsewhere.
#[inline(always)]
pub(super) fn multiply_selected(row: &mut [f64], at_positive: &[f64], at_negative: &[f64]) {
    for at in (0..row.len()).step_by(LANES) {
        let l = stretch(row, at);
        if !is_empty(&l) {
            let (p, n) = (stretch(at_positive, at), stretch(at_negative, at));
            let mut product = [0.0; LANES];
            for lane in 0..LANES {
                product[lane] = l[lane] * select(l[lane], p[lane], n[lane]);
            }
            store(row, at, product);
        }
    }
}

/// Numbers for coefficients that are not negative, and for negative ones.
pub(super) type Pair<'a> = (&'a [f64], &'a [f64]);

/// [`sum_selected`] of the offsets and [`dot_magnitudes`], then [`multiply_selected`] with the slopes, in one sweep.
#[inline(always)]
pub(super) fn substitute(row: &mut [f64], deviation: &[f64], offsets: Pair, slopes: Pair) -> (f64, f64) {
    let (mut sums, mut losses) = ([0.0; LANES], [0.0; LANES]);
    for at in (0..row.len()).step_by(LANES) {
        let l = stretch(row, at);
        if is_empty(&l) {
            continue;
        }
        let d = stretch(deviation, at);
        let (p, n) = (stretch(offsets.0, at), stretch(offsets.1, at));
        let (above, below) = (stretch(slopes.0, at), stretch(slopes.1, at));
        let mut replaced = [0.0; LANES];
        for lane in 0..LANES {
            sums[lane] += l[lane] * select(l[lane], p[lane], n[lane]);
            losses[lane] += l[lane].abs() * d[lane];
            replaced[lane] = l[lane] * select(l[lane], above[lane], below[lane]);
        }
        store(row, at, replaced);
    }
    (total(sums), total(losses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_definition() {
        for n in [0, 3, 8, 21, 64] {
            let value = |i: usize, shift: f64| if i / 8 % 3 == 1 { 0.0 } else { (i as f64 * 0.9 + shift).sin() };
            let [mut l, p, m] = [0.0, 1.0, 2.0].map(|shift| (0..n).map(|i| value(i, shift)).collect::<Vec<f64>>());
            let terms: Vec<f64> = (0..n).map(|i| l[i] * if l[i] >= 0.0 { p[i] } else { m[i] }).collect();
            let sum = sum_selected(&l, &p, &m);
            assert!((sum - terms.iter().sum::<f64>()).abs() < 1e-14);
            let weighted: f64 = (0..n).map(|i| l[i].abs() * p[i]).sum();
            let loss = dot_magnitudes(&l, &p);
            assert!((loss - weighted).abs() < 1e-14);
            let mut replaced = l.clone();
            assert_eq!(substitute(&mut replaced, &p, (&p, &m), (&m, &p)), (sum, loss));
            let mut expected = l.clone();
            multiply_selected(&mut expected, &m, &p);
            assert_eq!(replaced, expected);
            multiply_selected(&mut l, &p, &m);
            assert_eq!(l, terms);
        }
        assert!(sum_selected(&[f64::NAN; 9], &[1.0; 9], &[1.0; 9]).is_nan());
    }
}
