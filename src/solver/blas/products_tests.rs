//! The products against naive loops, with padded columns.

use super::super::testing::{Numbers, PAD, assert_close, letter};
use super::*;

/// Element (i, j) of op(M).
fn at(data: &[f64], trans: u8, distance: usize, i: usize, j: usize) -> f64 {
    if trans == b'N' { data[i + j * distance] } else { data[j + i * distance] }
}

/// Storage of op(M) of shape rows × columns with padded columns.
fn stored(numbers: &mut Numbers, trans: u8, rows: usize, columns: usize) -> (Vec<f64>, usize) {
    let (r, c) = if trans == b'N' { (rows, columns) } else { (columns, rows) };
    (numbers.matrix(r, c, r + PAD), r + PAD)
}

#[test]
fn dgemm_equals_loops_for_all_transposes_and_scalars() {
    let mut numbers = Numbers::new(1);
    for (m, n, k) in [(1, 1, 1), (4, 7, 3), (5, 2, 0), (33, 17, 40)] {
        for (ta, tb) in [(b'N', b'N'), (b'N', b'T'), (b'T', b'N'), (b'T', b'T')] {
            for (alpha, beta) in [(1.0, 0.0), (-0.5, 1.0), (2.0, -3.0), (0.0, 0.5)] {
                let (a, lda) = stored(&mut numbers, ta, m, k);
                let (b, ldb) = stored(&mut numbers, tb, k, n);
                let ldc = m + PAD;
                let mut c = numbers.matrix(m, n, ldc);
                let mut expected = c.clone();
                for j in 0..n {
                    for i in 0..m {
                        let dot: f64 = (0..k).map(|l| at(&a, ta, lda, i, l) * at(&b, tb, ldb, l, j)).sum();
                        let old = c[i + j * ldc];
                        expected[i + j * ldc] = alpha * dot + beta * old;
                    }
                }
                let [m, n, k] = [m, n, k].map(|v: usize| v as c_int);
                let [lda, ldb, ldc] = [lda, ldb, ldc].map(|v| v as c_int);
                // SAFETY: sizes and leading dimensions are those of the vectors.
                unsafe {
                    dgemm_(
                        &letter(ta),
                        &letter(tb),
                        &m,
                        &n,
                        &k,
                        &alpha,
                        a.as_ptr(),
                        &lda,
                        b.as_ptr(),
                        &ldb,
                        &beta,
                        c.as_mut_ptr(),
                        &ldc,
                    );
                }
                assert_close(&c, &expected, 1e-12);
            }
        }
    }
}

#[test]
fn dgemm_beta_zero_overwrites_nan_and_refusals_poison() {
    let (a, b) = ([2.0], [3.0]);
    let mut c = [f64::NAN];
    let mut call = |transa: u8, lda: c_int| {
        // SAFETY: 1 × 1 matrices; a refused leading dimension is not used.
        unsafe {
            dgemm_(&letter(transa), &letter(b'N'), &1, &1, &1, &1.0, a.as_ptr(), &lda, b.as_ptr(), &1, &0.0, c.as_mut_ptr(), &1);
        }
        c[0]
    };
    assert_eq!(call(b'N', 1), 6.0);
    assert!(call(b'C', 1).is_nan());
    assert_eq!(call(b'T', 1), 6.0);
    assert!(call(b'N', 0).is_nan());
}

#[test]
fn dsyrk_equals_loops_and_keeps_the_other_triangle() {
    let mut numbers = Numbers::new(2);
    for (n, k) in [(1, 1), (4, 6), (9, 0), (35, 21)] {
        for uplo in [b'U', b'L'] {
            for trans in [b'N', b'T'] {
                for (alpha, beta) in [(1.0, 0.0), (2.0, 1.0), (-1.5, 0.25)] {
                    let (a, lda) = stored(&mut numbers, trans, n, k);
                    let ldc = n + PAD;
                    let mut c = numbers.matrix(n, n, ldc);
                    let mut expected = c.clone();
                    for j in 0..n {
                        for i in 0..n {
                            if (uplo == b'U') == (i <= j) || i == j {
                                let dot: f64 = (0..k).map(|l| at(&a, trans, lda, i, l) * at(&a, trans, lda, j, l)).sum();
                                let old = c[i + j * ldc];
                                expected[i + j * ldc] = alpha * dot + beta * old;
                            }
                        }
                    }
                    let [n, k, lda, ldc] = [n, k, lda, ldc].map(|v: usize| v as c_int);
                    // SAFETY: sizes and leading dimensions are those of the vectors.
                    unsafe {
                        dsyrk_(&letter(uplo), &letter(trans), &n, &k, &alpha, a.as_ptr(), &lda, &beta, c.as_mut_ptr(), &ldc);
                    }
                    assert_close(&c, &expected, 1e-12);
                }
            }
        }
    }
}

#[test]
fn dsyr2k_equals_loops_and_refuses_other_flags() {
    let mut numbers = Numbers::new(3);
    for (n, k) in [(1, 2), (6, 6), (19, 4), (8, 0)] {
        for (alpha, beta) in [(0.5, 0.0), (1.0, 1.0), (-2.0, 3.0)] {
            for (uplo, trans) in [(b'U', b'N'), (b'L', b'N'), (b'U', b'T')] {
                let (a, lda) = stored(&mut numbers, b'N', n, k);
                let (b, ldb) = stored(&mut numbers, b'N', n, k);
                let ldc = n + PAD;
                let mut c = numbers.matrix(n, n, ldc);
                let mut expected = c.clone();
                for j in 0..n {
                    for i in 0..=j {
                        let dot: f64 = (0..k).map(|l| a[i + l * lda] * b[j + l * ldb] + b[i + l * ldb] * a[j + l * lda]).sum();
                        let old = c[i + j * ldc];
                        expected[i + j * ldc] = alpha * dot + beta * old;
                    }
                }
                let [ni, k, lda, ldb, ldci] = [n, k, lda, ldb, ldc].map(|v: usize| v as c_int);
                // SAFETY: sizes and leading dimensions are those of the vectors.
                unsafe {
                    dsyr2k_(
                        &letter(uplo),
                        &letter(trans),
                        &ni,
                        &k,
                        &alpha,
                        a.as_ptr(),
                        &lda,
                        b.as_ptr(),
                        &ldb,
                        &beta,
                        c.as_mut_ptr(),
                        &ldci,
                    );
                }
                if (uplo, trans) == (b'U', b'N') {
                    assert_close(&c, &expected, 1e-12);
                } else {
                    let poisoned = |j: usize| (0..n).all(|i| c[i + j * ldc].is_nan());
                    assert!((0..n).all(poisoned));
                }
            }
        }
    }
}
