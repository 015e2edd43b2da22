//! Loops over rows of coefficients, with eight running sums each: any order of summation is accounted for, and this one
//! keeps the processor's vector units busy. Rows are mostly empty; empty stretches are passed over.

/// Running sums.
const LANES: usize = 8;

/// `Σ |l|·d`.
pub(super) fn dot_magnitudes(row: &[f64], deviation: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (rows, deviations) = (row.chunks_exact(LANES), deviation.chunks_exact(LANES));
    let rest: f64 = rows.remainder().iter().zip(deviations.remainder()).map(|(l, d)| l.abs() * d).sum();
    for (l, d) in rows.zip(deviations) {
        if is_empty(l) {
            continue;
        }
        for lane in 0..LANES {
            sums[lane] += l[lane].abs() * d[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// `Σ l·(at_positive where l ≥ 0, else at_negative)`.
pub(super) fn sum_selected(row: &[f64], at_positive: &[f64], at_negative: &[f64]) -> f64 {
    let term = |l: f64, p: f64, n: f64| l * if l >= 0.0 { p } else { n };
    let mut sums = [0.0; LANES];
    let rows = row.chunks_exact(LANES);
    let (positive, negative) = (at_positive.chunks_exact(LANES), at_negative.chunks_exact(LANES));
    let rest = rows.remainder().iter().zip(positive.remainder().iter().zip(negative.remainder()));
    let rest: f64 = rest.map(|(&l, (&p, &n))| term(l, p, n)).sum();
    for ((l, p), n) in rows.zip(positive).zip(negative) {
        if is_empty(l) {
            continue;
        }
        for lane in 0..LANES {
            sums[lane] += term(l[lane], p[lane], n[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Multiplies by `at_positive` where the coefficient is not negative, by `at_negative` elsewhere.
pub(super) fn multiply_selected(row: &mut [f64], at_positive: &[f64], at_negative: &[f64]) {
    let stretches = row.chunks_mut(LANES).zip(at_positive.chunks(LANES).zip(at_negative.chunks(LANES)));
    for (stretch, (positive, negative)) in stretches {
        if is_empty(stretch) {
            continue;
        }
        for (l, (&p, &n)) in stretch.iter_mut().zip(positive.iter().zip(negative)) {
            *l *= if *l >= 0.0 { p } else { n };
        }
    }
}

/// Are all entries zero?
fn is_empty(stretch: &[f64]) -> bool {
    stretch.iter().fold(0, |bits, l| bits | l.to_bits()) << 1 == 0
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
            assert!((sum_selected(&l, &p, &m) - terms.iter().sum::<f64>()).abs() < 1e-14);
            let weighted: f64 = (0..n).map(|i| l[i].abs() * p[i]).sum();
            assert!((dot_magnitudes(&l, &p) - weighted).abs() < 1e-14);
            multiply_selected(&mut l, &p, &m);
            assert_eq!(l, terms);
        }
        assert!(sum_selected(&[f64::NAN; 9], &[1.0; 9], &[1.0; 9]).is_nan());
    }
}
