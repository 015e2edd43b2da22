//! Cholesky factorisation and solution: `dpotrf_`, `dpotrs_`.

use std::ffi::{c_char, c_int};

use faer::Par;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltError, LltParams, LltRegularization, cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::cholesky::llt::solve::{solve_in_place, solve_in_place_scratch};

use super::view::{FAILED, Refused, flag, is_finite, leading, lower_is_finite, matrix, matrix_mut, report, size};

/// `A = L·Lᵀ`, in place on the lower triangle of the `n × n` matrix A.
///
/// Flags: uplo L. The strict upper triangle is left alone, and so is all of A
/// when the routine fails. `info = i > 0`: the leading minor of order i is not
/// positive definite, or the matrix is not finite (i = 1).
///
/// # Safety
///
/// The LAPACK contract: scalars are valid for reads, `info` for writes, `a` for
/// `lda·n` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpotrf_(uplo: *const c_char, n: *const c_int, a: *mut f64, lda: *const c_int, info: *mut c_int) {
    // SAFETY: the contract: scalar arguments are valid for reads.
    let (uplo, n, lda) = unsafe { (*uplo, *n, *lda) };
    let outcome = report(|| {
        flag(uplo, b"L", 1)?;
        let order = size(n, 2)?;
        let distance = leading(lda, order, 4)?;
        if order == 0 {
            return Ok(0);
        }
        // SAFETY: the contract for `a`.
        let mut target = unsafe { matrix_mut(a, order, order, distance) };
        if !lower_is_finite(target.as_ref()) {
            return Ok(FAILED);
        }
        // faer uses the strict upper triangle as scratch, and Clarabel multiplies
        // with the factor as a full matrix, so the work is done on a copy.
        let mut factor = target.to_owned();
        let params = faer::Spec::<LltParams, f64>::default();
        let need = cholesky_in_place_scratch::<f64>(order, Par::Seq, params);
        let mut memory = MemBuffer::new(need);
        let result =
            cholesky_in_place(factor.as_mut(), LltRegularization::default(), Par::Seq, MemStack::new(&mut memory), params);
        Ok(match result {
            Ok(_) if lower_is_finite(factor.as_ref()) => {
                target.copy_from_triangular_lower(&factor);
                0
            }
            Ok(_) => FAILED,
            Err(LltError::NonPositivePivot { index }) => c_int::try_from(index + 1).unwrap_or(FAILED),
        })
    });
    // SAFETY: the contract: `info` is valid for writes.
    unsafe { *info = outcome };
}

/// Solves `L·Lᵀ·X = B` in place on the `n × nrhs` matrix B.
///
/// Flags: uplo L. Only the lower triangle of A is read. A factor that is not
/// finite or has a zero on its diagonal is not noticed: the solution then is not
/// finite, which is the caller's to notice, as with LAPACK.
///
/// # Safety
///
/// The LAPACK contract: scalars are valid for reads, `info` for writes, `a` for
/// `lda·n` numbers, `b` for `ldb·nrhs`, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpotrs_(
    uplo: *const c_char,
    n: *const c_int,
    nrhs: *const c_int,
    a: *const f64,
    lda: *const c_int,
    b: *mut f64,
    ldb: *const c_int,
    info: *mut c_int,
) {
    // SAFETY: the contract: scalar arguments are valid for reads.
    let (uplo, n, nrhs, lda, ldb) = unsafe { (*uplo, *n, *nrhs, *lda, *ldb) };
    let outcome = report(|| -> Result<c_int, Refused> {
        flag(uplo, b"L", 1)?;
        let (order, columns) = (size(n, 2)?, size(nrhs, 3)?);
        let distance = leading(lda, order, 5)?;
        let distance_b = leading(ldb, order, 7)?;
        if order == 0 || columns == 0 {
            return Ok(0);
        }
        // SAFETY: the contract for `a`.
        let factor = unsafe { matrix(a, order, order, distance) };
        // SAFETY: the contract for `b`.
        let mut right = unsafe { matrix_mut(b, order, columns, distance_b) };
        if !lower_is_finite(factor) || !is_finite(right.as_ref()) {
            return Ok(FAILED);
        }
        let mut memory = MemBuffer::new(solve_in_place_scratch::<f64>(order, columns, Par::Seq));
        solve_in_place(factor, right.as_mut(), Par::Seq, MemStack::new(&mut memory));
        Ok(0)
    });
    // SAFETY: the contract: `info` is valid for writes.
    unsafe { *info = outcome };
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Numbers, PAD, assert_close, letter};
    use super::*;

    fn factorise(uplo: u8, n: usize, a: &mut [f64], lda: usize) -> c_int {
        let mut info = 77;
        // SAFETY: sizes and leading dimension are those of the vector.
        unsafe {
            dpotrf_(&letter(uplo), &(n as c_int), a.as_mut_ptr(), &(lda as c_int), &mut info);
        }
        info
    }

    /// A positive definite matrix in the lower triangle, noise elsewhere.
    fn definite(numbers: &mut Numbers, n: usize) -> (Vec<f64>, usize) {
        let lda = n + PAD;
        let root = numbers.matrix(n, n, n);
        let mut a = numbers.matrix(n, n, lda);
        for j in 0..n {
            for i in j..n {
                let dot: f64 = (0..n).map(|l| root[i + l * n] * root[j + l * n]).sum();
                a[i + j * lda] = dot + if i == j { 0.5 } else { 0.0 };
            }
        }
        (a, lda)
    }

    #[test]
    fn the_factor_reproduces_the_matrix_and_solves() {
        let mut numbers = Numbers::new(4);
        for n in [1, 2, 4, 5, 17, 70] {
            let (a, lda) = definite(&mut numbers, n);
            let mut factor = a.clone();
            assert_eq!(factorise(b'L', n, &mut factor, lda), 0);
            let mut product = factor.clone();
            for j in 0..n {
                for i in j..n {
                    product[i + j * lda] = (0..=j).map(|l| factor[i + l * lda] * factor[j + l * lda]).sum();
                }
            }
            assert_close(&product, &a, 1e-13 * n as f64);

            let (columns, ldb) = (3, n + PAD);
            let solution = numbers.matrix(n, columns, ldb);
            let mut right = solution.clone();
            for j in 0..columns {
                for i in 0..n {
                    let entry = |l: usize| a[i.max(l) + i.min(l) * lda];
                    right[i + j * ldb] = (0..n).map(|l| entry(l) * solution[l + j * ldb]).sum();
                }
            }
            let mut info = 77;
            // SAFETY: sizes and leading dimensions are those of the vectors.
            unsafe {
                dpotrs_(
                    &letter(b'L'),
                    &(n as c_int),
                    &(columns as c_int),
                    factor.as_ptr(),
                    &(lda as c_int),
                    right.as_mut_ptr(),
                    &(ldb as c_int),
                    &mut info,
                );
            }
            assert_eq!(info, 0);
            assert_close(&right, &solution, 1e-11);
        }
    }

    #[test]
    fn indefinite_and_non_finite_input_sets_info() {
        let mut indefinite = vec![4.0, 2.0, 0.0, 1.0];
        assert_eq!(factorise(b'L', 2, &mut indefinite, 2), 2);
        for bad in [f64::NAN, f64::INFINITY] {
            let mut a = vec![1.0, bad, 0.0, 1.0];
            assert!(factorise(b'L', 2, &mut a, 2) > 0);
        }
        let mut huge = vec![f64::MAX, f64::MAX, 0.0, f64::MAX];
        assert!(factorise(b'L', 2, &mut huge, 2) > 0);
    }

    #[test]
    fn refused_arguments_are_named() {
        let mut a = vec![1.0; 4];
        assert_eq!(factorise(b'U', 2, &mut a, 2), -1);
        assert_eq!(factorise(b'L', 2, &mut a, 1), -4);
        assert_eq!(factorise(b'L', 0, &mut a, 1), 0);
        let mut info = 0;
        // SAFETY: refused before any matrix is touched.
        unsafe {
            dpotrf_(&letter(b'L'), &-1, a.as_mut_ptr(), &1, &mut info);
        }
        assert_eq!(info, -2);
        let mut b = vec![1.0; 2];
        // SAFETY: refused before any matrix is touched.
        unsafe {
            dpotrs_(&letter(b'L'), &2, &1, a.as_ptr(), &2, b.as_mut_ptr(), &1, &mut info);
        }
        assert_eq!(info, -7);
    }
}
