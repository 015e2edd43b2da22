//! Verdicts against exact rational elimination.

use super::super::testing::{RBig, Rng, power_of_two, rational};
use super::*;

/// Decides exactly whether M − diag(radius), the worst of all A, is positive definite.
fn definite(matrix: &SymmetricMatrix, radius: &[f64]) -> bool {
    let n = matrix.dimension();
    let mut rows: Vec<Vec<RBig>> = (0..n).map(|i| (0..n).map(|j| rational(matrix.get(i, j))).collect()).collect();
    for (i, &r) in radius.iter().enumerate() {
        rows[i][i] -= rational(r);
    }
    for k in 0..n {
        let pivot = rows[k].clone();
        if pivot[k] <= RBig::ZERO {
            return false;
        }
        for row in rows.iter_mut().skip(k + 1) {
            let factor = &row[k] / &pivot[k];
            for (entry, value) in row.iter_mut().zip(&pivot).skip(k) {
                *entry -= &factor * value;
            }
        }
    }
    true
}

/// Never accepted wrongly; returns whether it was accepted.
fn check(matrix: &SymmetricMatrix, radius: &[f64]) -> bool {
    let accepted = prove_positive_definite(matrix, radius).is_ok();
    assert!(!accepted || definite(matrix, radius), "{matrix:?} {radius:?}");
    accepted
}

fn from_fn(n: usize, mut entry: impl FnMut(usize, usize) -> f64) -> SymmetricMatrix {
    let mut matrix = SymmetricMatrix::new(n);
    for i in 0..n {
        for j in 0..=i {
            matrix.set(i, j, entry(i, j));
        }
    }
    matrix
}

/// `BᵀB` for an integer B with `rank` rows: exactly representable, singular if rank < n.
fn integer_gram(rng: &mut Rng, n: usize, rank: usize) -> SymmetricMatrix {
    let b: Vec<Vec<i64>> = (0..rank).map(|_| (0..n).map(|_| rng.below(21) as i64 - 10).collect()).collect();
    from_fn(n, |i, j| b.iter().map(|row| row[i] * row[j]).sum::<i64>() as f64)
}

/// Conjugates by powers of two of exponent at most `limit`, radii included.
fn rescale(rng: &mut Rng, matrix: &SymmetricMatrix, radius: &mut [f64], limit: i32) -> SymmetricMatrix {
    let n = matrix.dimension();
    let k: Vec<i32> = (0..n).map(|_| rng.below(2 * limit as usize + 1) as i32 - limit).collect();
    for (r, k) in radius.iter_mut().zip(&k) {
        *r = scale_pow2(*r, 2 * k);
    }
    from_fn(n, |i, j| scale_pow2(matrix.get(i, j), k[i] + k[j]))
}

#[test]
fn comfortable_matrices_are_always_accepted() {
    let mut rng = Rng::new(41);
    for round in 0..300 {
        let n = 1 + rng.below(9);
        let mut matrix = integer_gram(&mut rng, n, n);
        for i in 0..n {
            matrix.add_assign(i, i, 1.0 + rng.uniform().abs());
        }
        let mut radius: Vec<f64> = (0..n).map(|_| rng.uniform().abs() * 0.9).collect();
        let limit = [0, 5, 200, 200][round % 4];
        let matrix = rescale(&mut rng, &matrix, &mut radius, limit);
        assert!(check(&matrix, &radius), "{matrix:?}");
    }
    for n in [10, 63, 64, 65, 66, 67, 68, 127, 128, 129, 200, 321] {
        let matrix = from_fn(n, |i, j| if i == j { n as f64 } else { rng.uniform() });
        assert_eq!(prove_positive_definite(&matrix, &vec![0.3 * n as f64; n]), Ok(()));
    }
    assert_eq!(prove_positive_definite(&SymmetricMatrix::new(0), &[]), Ok(()));
}

#[test]
fn singular_matrices_are_never_accepted() {
    let mut rng = Rng::new(42);
    for round in 0..600 {
        let n = 2 + rng.below(8);
        let matrix = integer_gram(&mut rng, n, n - 1);
        let mut radius = vec![0.0; n];
        let limit = [0, 3, 200][round % 3];
        let mut matrix = rescale(&mut rng, &matrix, &mut radius, limit);
        assert!(!check(&matrix, &radius));
        // A hair above singular: acceptance is optional, its correctness is not.
        let i = rng.below(n);
        let entry = matrix.get(i, i);
        matrix.set(i, i, if rng.below(2) == 0 { entry.next_up() } else { entry.next_down() });
        check(&matrix, &radius);
    }
}

#[test]
fn near_singular_matrices_are_never_accepted_wrongly() {
    let mut rng = Rng::new(43);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..1_500 {
        let n = 2 + rng.below(5);
        // Random entries, then a diagonal that makes the matrix nearly singular.
        let b: Vec<Vec<f64>> = (0..n - 1).map(|_| (0..n).map(|_| f64::from(rng.uniform() as f32)).collect()).collect();
        let mut matrix = from_fn(n, |i, j| b.iter().map(|row| row[i] * row[j]).sum::<f64>());
        let shift = 10.0_f64.powi(-(10 + rng.below(12) as i32)) * rng.uniform();
        for i in 0..n {
            matrix.add_assign(i, i, shift);
        }
        let mut radius = vec![if rng.below(2) == 0 { 0.0 } else { shift.abs() * 0.5 }; n];
        let limit = [0, 3, 200][round % 3];
        let matrix = rescale(&mut rng, &matrix, &mut radius, limit);
        if check(&matrix, &radius) { accepted += 1 } else { refused += 1 }
    }
    assert!(accepted > 200 && refused > 200, "{accepted} {refused}");
}

/// Diagonals, off-diagonals and radii of any exponents, those that belong together and those that do not.
#[test]
fn no_magnitude_escapes() {
    let mut rng = Rng::new(48);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..6_000 {
        let n = 1 + rng.below(4);
        let diagonal: Vec<i32> = (0..n).map(|_| rng.below(2040) as i32 - 1060).collect();
        // Off the diagonal near what the diagonal allows, or anywhere.
        let room = [-4, 0, 1, -60][round % 4];
        let matrix = from_fn(n, |i, j| match (i == j, rng.below(8)) {
            (true, _) => rng.spread(diagonal[i], diagonal[i] + 2).abs(),
            (false, 0) => rng.nasty(),
            (false, 1) => 0.0,
            (false, _) => {
                let middle = (diagonal[i] + diagonal[j]).div_euclid(2) + room;
                rng.spread(middle.max(-1074), middle.max(-1074) + 1)
            }
        });
        let radius: Vec<f64> = diagonal
            .iter()
            .map(|&exponent| match rng.below(3) {
                0 => 0.0,
                1 => rng.spread((exponent - 2).max(-1074), exponent.max(-1073)).abs(),
                _ => rng.spread(-1074, (exponent - 20).max(-1073)).abs(),
            })
            .collect();
        if check(&matrix, &radius) { accepted += 1 } else { refused += 1 }
    }
    assert!(accepted > 1_000 && refused > 1_000, "{accepted} {refused}");
}

#[test]
fn two_by_two_at_the_edge() {
    for exponent in [-15, -16, -17, -40, -160, -300] {
        let tiny = 10.0_f64.powi(exponent);
        // [[1, 1 − t], [1 − t, 1]] has the eigenvalue t (or 0 where that rounds away).
        let matrix = from_fn(2, |i, j| if i == j { 1.0 } else { 1.0 - tiny });
        assert!(!check(&matrix, &[0.0, 0.0]) || exponent == -15);
        // Definite by any margin: the diagonal t itself.
        let matrix = from_fn(2, |i, j| {
            if i != j {
                0.0
            } else if i == 0 {
                1.0
            } else {
                tiny
            }
        });
        assert!(check(&matrix, &[0.0, 0.0]));
        assert!(check(&matrix, &[0.5, tiny * 0.5]));
        assert!(!check(&matrix, &[0.5, tiny]));
        assert!(!check(&matrix, &[tiny, tiny.next_up()]));
        let matrix = from_fn(2, |i, j| if i == j { tiny } else { tiny * (1.0 + 1e-15) });
        assert!(!check(&matrix, &[0.0, 0.0]));
    }
    // Subnormal and huge diagonals.
    for size in [f64::from_bits(1), f64::from_bits(12_345), f64::MIN_POSITIVE, 1e308] {
        let matrix = from_fn(2, |i, j| if i == j { size } else { 0.0 });
        assert!(check(&matrix, &[0.0, 0.0]));
        assert!(!check(&matrix, &[0.0, size]));
        let matrix = from_fn(2, |_, _| size);
        assert!(!check(&matrix, &[0.0, 0.0]));
    }
    // A radius that underflows when scaled still counts.
    let matrix = from_fn(1, |_, _| 1e300);
    assert!(check(&matrix, &[f64::from_bits(1)]));
}

#[test]
fn hilbert_matrices() {
    let mut largest = 0;
    for n in 1..14 {
        // Integer multiples of the Hilbert matrix are exact for small n, rounded beyond.
        let scale = (1..2 * n as u64).fold(1, |a, b| a / gcd(a, b) * b) as f64;
        let matrix = from_fn(n, |i, j| scale / (i + j + 1) as f64);
        if check(&matrix, &vec![0.0; n]) {
            largest = n;
        }
    }
    assert!((9..13).contains(&largest), "{largest}");
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[test]
fn large_singular_and_indefinite_matrices_are_refused() {
    let mut rng = Rng::new(44);
    for n in [64, 65, 96, 130, 200] {
        // A graph Laplacian is singular and positive semidefinite, with exact entries.
        let mut laplacian = SymmetricMatrix::new(n);
        let mut dense = rng.below(2) == 0;
        for i in 0..n {
            for j in 0..i {
                if j + 1 == i || dense && rng.below(3) == 0 {
                    let weight = (1 + rng.below(9)) as f64;
                    laplacian.add_assign(i, j, -weight);
                    laplacian.add_assign(i, i, weight);
                    laplacian.add_assign(j, j, weight);
                }
            }
            dense = !dense;
        }
        let zero = vec![0.0; n];
        assert!(prove_positive_definite(&laplacian, &zero).is_err(), "{n}");
        let mut shifted = laplacian.clone();
        for i in 0..n {
            shifted.add_assign(i, i, 1e-6);
        }
        assert_eq!(prove_positive_definite(&shifted, &zero), Ok(()));
        // The shift was rounded by far less than 1e-9 of it.
        assert!(prove_positive_definite(&shifted, &vec![1e-6 * (1.0 + 1e-6); n]).is_err());
        assert_eq!(prove_positive_definite(&shifted, &vec![0.5e-6; n]), Ok(()));
        shifted.add_assign(n - 1, n - 1, -1.1e-6 * n as f64);
        assert!(prove_positive_definite(&shifted, &zero).is_err());
    }
}

#[test]
fn computed_pivots_agree_with_a_plain_factorisation() {
    // det of a 150 × 150 matrix through the last pivot's threshold: shifting the last diagonal
    // entry just below its Schur complement must flip the verdict.
    let mut rng = Rng::new(45);
    for n in [5, 64, 70, 150] {
        let mut matrix = from_fn(n, |i, j| if i == j { n as f64 } else { rng.uniform() });
        let mut plain: Vec<Vec<f64>> = (0..n).map(|i| matrix.row(i).to_vec()).collect();
        for j in 0..n {
            for k in 0..j {
                for i in j..n {
                    plain[i][j] -= plain[i][k] * plain[j][k];
                }
            }
            let pivot = plain[j][j];
            for row in plain.iter_mut().skip(j) {
                row[j] /= pivot.sqrt();
            }
        }
        let last = plain[n - 1][n - 1].powi(2);
        let entry = matrix.get(n - 1, n - 1);
        matrix.set(n - 1, n - 1, entry - last * (1.0 - 1e-8));
        assert_eq!(prove_positive_definite(&matrix, &vec![0.0; n]), Ok(()));
        matrix.set(n - 1, n - 1, entry - last * (1.0 + 1e-12));
        let index = n - 1;
        assert_eq!(prove_positive_definite(&matrix, &vec![0.0; n]), Err(NotProved::PivotNotPositive { index }));
    }
}

#[test]
fn nonsense_is_refused_by_name() {
    let unit = |n| from_fn(n, |i, j| f64::from(u8::from(i == j)));
    assert_eq!(prove_positive_definite(&unit(2), &[0.0]), Err(NotProved::DimensionMismatch));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (i, j) in [(0, 0), (1, 0), (70, 3), (70, 70), (99, 98)] {
            let mut matrix = unit(100);
            matrix.set(i, j, bad);
            assert_eq!(prove_positive_definite(&matrix, &[0.0; 100]), Err(NotProved::NotFinite));
        }
        let mut radius = vec![0.0; 3];
        radius[1] = bad;
        assert_eq!(prove_positive_definite(&unit(3), &radius), Err(NotProved::NotFinite));
    }
    assert_eq!(prove_positive_definite(&unit(1), &[-1e-300]), Err(NotProved::NotFinite));
    assert_eq!(prove_positive_definite(&SymmetricMatrix::new(1), &[0.0]), Err(NotProved::NonPositiveDiagonal { index: 0 }));
    let mut matrix = unit(3);
    matrix.set(2, 2, -1.0);
    assert_eq!(prove_positive_definite(&matrix, &[0.0; 3]), Err(NotProved::NonPositiveDiagonal { index: 2 }));
    matrix.set(2, 2, 1.0);
    matrix.set(2, 0, 1e200);
    assert!(prove_positive_definite(&matrix, &[0.0; 3]).is_err());
    matrix.set(2, 0, 0.0);
    assert_eq!(prove_positive_definite(&matrix, &[0.0, 1.0, 0.0]), Err(NotProved::PivotNotPositive { index: 1 }));
    // Overflow while scaling: the off-diagonal is far beyond what the diagonal allows.
    let matrix = from_fn(2, |i, j| if i == j { 1e-300 } else { 1e300 });
    assert_eq!(prove_positive_definite(&matrix, &[0.0; 2]), Err(NotProved::NotFinite));
}

#[test]
fn storage() {
    let mut matrix = SymmetricMatrix::new(4);
    matrix.set(1, 3, 2.0);
    matrix.add_assign(3, 1, 0.5);
    matrix.row_mut(2)[1] = 7.0;
    assert_eq!((matrix.get(1, 3), matrix.get(3, 1)), (2.5, 2.5));
    assert_eq!(matrix.get(1, 2), 7.0);
    assert_eq!(matrix.row(3), [0.0, 2.5, 0.0, 0.0]);
    assert_eq!(matrix.dimension(), 4);
    assert!(rational(1.0) == power_of_two(0));
}

#[test]
fn each_border_is_judged_by_itself() {
    let mut rng = Rng::new(46);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..500 {
        let (borders, common) = (rng.below(7), rng.below(9));
        let n = borders + common;
        // Of the rank of the common block every border is singular with it.
        let mut matrix = integer_gram(&mut rng, n, [n, common + 1, common][round % 3]);
        let shift: f64 = [2.0, 1e-6, 1e-13, 0.0, -1e-6][round % 5];
        for i in 0..n {
            matrix.add_assign(i, i, shift);
        }
        let mut radius: Vec<f64> = (0..n).map(|_| rng.uniform().abs() * shift.abs() * 0.5).collect();
        let limit = [0, 5, 200][round / 15 % 3];
        let mut matrix = rescale(&mut rng, &matrix, &mut radius, limit);
        // What stands between two borders means nothing.
        for i in 0..borders {
            for j in 0..i {
                matrix.set(i, j, [f64::NAN, 1e300, -7.0][rng.below(3)]);
            }
        }
        let alone = |border: usize| {
            let kept: Vec<usize> = std::iter::once(border).chain(borders..n).collect();
            let restricted = from_fn(kept.len(), |i, j| matrix.get(kept[i], kept[j]));
            (restricted, kept.iter().map(|&i| radius[i]).collect::<Vec<f64>>())
        };
        if prove_each_border(&matrix, &radius, borders).is_ok() {
            accepted += 1;
            assert!((0..borders).all(|border| definite(&alone(border).0, &alone(border).1)), "{matrix:?} {radius:?}");
        } else {
            refused += 1;
            let comfortable = shift == 2.0 && (0..borders).all(|border| check(&alone(border).0, &alone(border).1));
            assert!(!comfortable || borders == 0, "{matrix:?} {radius:?}");
        }
    }
    assert!(accepted > 100 && refused > 50, "{accepted} {refused}");
    // A border that is not definite is named, and so is a row of what they have in common.
    for n in [3, 8, 70, 140] {
        let unit = |i: usize, j: usize| if i == j { n as f64 } else { 0.5 };
        let mut matrix = from_fn(n, unit);
        assert_eq!(prove_each_border(&matrix, &vec![0.0; n], n / 2), Ok(()));
        assert_eq!(prove_each_border(&matrix, &vec![0.0; n], n), Ok(()));
        assert_eq!(prove_each_border(&matrix, &vec![0.0; n], n + 1), Err(NotProved::DimensionMismatch));
        matrix.set(0, n - 1, n as f64);
        assert_eq!(prove_each_border(&matrix, &vec![0.0; n], n / 2), Err(NotProved::PivotNotPositive { index: 0 }));
        let mut matrix = from_fn(n, unit);
        matrix.set(n - 1, n - 2, n as f64);
        let index = n - 1;
        assert_eq!(prove_each_border(&matrix, &vec![0.0; n], n / 3), Err(NotProved::PivotNotPositive { index }));
    }
}
