//! Eigenvalues of a symmetric matrix: `dsyevr_`.

use std::ffi::{c_char, c_int};

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, SelfAdjointEvdParams, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{ColMut, Par, Spec};

use super::view::{FAILED, Refused, flag, leading, lower_is_finite, matrix, matrix_mut, report, size};

/// All eigenvalues, ascending, and on request orthonormal eigenvectors, of the
/// symmetric `n × n` matrix in the upper triangle of A.
///
/// Flags: jobz N or V, range A, uplo U. A is left alone, `isuppz` is not
/// written, the workspaces are not used: a query (`lwork` or `liwork` −1)
/// answers 1. `info > 0`: not finite, or no convergence.
///
/// # Safety
///
/// The LAPACK contract: scalars are valid for reads, `m` and `info` for writes;
/// `a` for `lda·n` numbers; after a query `w` for `n` and, with jobz V, `z` for
/// `ldz·n`, without overlap; in a query `work` and `iwork` for one number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dsyevr_(
    jobz: *const c_char,
    range: *const c_char,
    uplo: *const c_char,
    n: *const c_int,
    a: *mut f64,
    lda: *const c_int,
    _vl: *const f64,
    _vu: *const f64,
    _il: *const c_int,
    _iu: *const c_int,
    _abstol: *const f64,
    m: *mut c_int,
    w: *mut f64,
    z: *mut f64,
    ldz: *const c_int,
    _isuppz: *mut c_int,
    work: *mut f64,
    lwork: *const c_int,
    iwork: *mut c_int,
    liwork: *const c_int,
    info: *mut c_int,
) {
    // SAFETY: the contract: scalar arguments are valid for reads.
    let (jobz, range, uplo, n, lda, ldz, lwork, liwork) = unsafe { (*jobz, *range, *uplo, *n, *lda, *ldz, *lwork, *liwork) };
    let outcome = report(|| -> Result<c_int, Refused> {
        let vectors = flag(jobz, b"NV", 1)? == b'V';
        flag(range, b"A", 2)?;
        flag(uplo, b"U", 3)?;
        let order = size(n, 4)?;
        let distance = leading(lda, order, 6)?;
        let distance_z = leading(ldz, if vectors { order } else { 1 }, 15)?;
        if lwork == -1 || liwork == -1 {
            // SAFETY: the contract for a query.
            unsafe {
                *work = 1.0;
                *iwork = 1;
            }
            return Ok(0);
        }
        for (length, position) in [(lwork, 18), (liwork, 20)] {
            leading(length, 1, position)?;
        }
        // SAFETY: the contract: `m` is valid for writes.
        unsafe { *m = n };
        if order == 0 {
            return Ok(0);
        }
        // SAFETY: the contract for `a`. The transpose has the triangle that faer reads.
        let symmetric = unsafe { matrix(a, order, order, distance) }.transpose();
        if !lower_is_finite(symmetric) {
            return Ok(FAILED);
        }
        // SAFETY: the contract for `w`.
        let mut values = unsafe { ColMut::from_raw_parts_mut(w, order, 1) };
        let vectors = vectors.then(|| {
            // SAFETY: the contract for `z`.
            unsafe { matrix_mut(z, order, order, distance_z) }
        });
        let compute = if vectors.is_some() { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
        let params = Spec::<SelfAdjointEvdParams, f64>::default();
        let need = self_adjoint_evd_scratch::<f64>(order, compute, Par::Seq, params);
        let mut memory = MemBuffer::new(need);
        let result =
            self_adjoint_evd(symmetric, values.as_mut().as_diagonal_mut(), vectors, Par::Seq, MemStack::new(&mut memory), params);
        let finite = (0..order).all(|i| values[i].is_finite());
        Ok(if result.is_ok() && finite { 0 } else { FAILED })
    });
    // SAFETY: the contract: `info` is valid for writes.
    unsafe { *info = outcome };
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Numbers, PAD, assert_close, letter};
    use super::*;

    struct Eigen {
        info: c_int,
        found: c_int,
        values: Vec<f64>,
        vectors: Vec<f64>,
    }

    /// Calls the way Clarabel does: a query, then the work.
    fn eigen(flags: [u8; 3], n: usize, a: &[f64], lda: usize) -> Eigen {
        let mut a = a.to_vec();
        let mut result = Eigen { info: 77, found: -1, values: vec![0.0; n], vectors: vec![0.0; (n * n).max(1)] };
        let (mut work, mut iwork, mut isuppz) = (vec![0.0], vec![0], vec![0; 2 * n]);
        for query in [true, false] {
            let length = |count: usize| if query { -1 } else { count as c_int };
            let (lwork, liwork) = (length(work.len()), length(iwork.len()));
            // SAFETY: sizes and leading dimensions are those of the vectors.
            unsafe {
                dsyevr_(
                    &letter(flags[0]),
                    &letter(flags[1]),
                    &letter(flags[2]),
                    &(n as c_int),
                    a.as_mut_ptr(),
                    &(lda as c_int),
                    &0.0,
                    &0.0,
                    &0,
                    &0,
                    &-1.0,
                    &mut result.found,
                    result.values.as_mut_ptr(),
                    result.vectors.as_mut_ptr(),
                    &(n.max(1) as c_int),
                    isuppz.as_mut_ptr(),
                    work.as_mut_ptr(),
                    &lwork,
                    iwork.as_mut_ptr(),
                    &liwork,
                    &mut result.info,
                );
            }
            if result.info != 0 {
                return result;
            }
            work.resize(work[0] as usize, 0.0);
            iwork.resize(iwork[0] as usize, 0);
        }
        result
    }

    #[test]
    fn values_are_ascending_and_vectors_diagonalise() {
        let mut numbers = Numbers::new(5);
        for n in [1, 2, 4, 5, 31, 60] {
            let lda = n + PAD;
            let a = numbers.matrix(n, n, lda);
            let with = eigen(*b"VAU", n, &a, lda);
            let without = eigen(*b"NAU", n, &a, lda);
            assert_eq!((with.info, without.info), (0, 0));
            assert_eq!(with.found, n as c_int);
            assert_close(&with.values, &without.values, 1e-12);
            assert!(with.values.is_sorted());
            for i in 0..n {
                for j in 0..n {
                    let v = |r: usize, c: usize| with.vectors[r + c * n];
                    let gram: f64 = (0..n).map(|l| v(l, i) * v(l, j)).sum();
                    let unit = if i == j { 1.0 } else { 0.0 };
                    assert!((gram - unit).abs() < 1e-12);
                    let entry: f64 = (0..n).map(|l| v(i, l) * with.values[l] * v(j, l)).sum();
                    let expected = a[i.min(j) + i.max(j) * lda];
                    assert!((entry - expected).abs() < 1e-11);
                }
            }
        }
    }

    #[test]
    fn extreme_and_degenerate_matrices() {
        let zero = eigen(*b"VAU", 6, &[0.0; 36], 6);
        assert_eq!(zero.info, 0);
        assert_eq!(zero.values, vec![0.0; 6]);
        assert_eq!(eigen(*b"NAU", 0, &[], 1).info, 0);
        for bad in [f64::NAN, f64::NEG_INFINITY] {
            let mut a = vec![1.0; 25];
            a[5] = bad;
            assert!(eigen(*b"NAU", 5, &a, 5).info > 0);
            // The lower triangle is not read.
            let mut a = vec![1.0; 25];
            a[1] = bad;
            assert_eq!(eigen(*b"VAU", 5, &a, 5).info, 0);
        }
        // Either an answer or a failure, and no panic.
        for scale in [1e-310, 1e-200, 1e200, f64::MAX] {
            let result = eigen(*b"VAU", 5, &[scale; 25], 5);
            assert!(result.info >= 0);
        }
    }

    #[test]
    fn refused_arguments_are_named() {
        let a = [1.0; 16];
        assert_eq!(eigen(*b"XAU", 4, &a, 4).info, -1);
        assert_eq!(eigen(*b"VIU", 4, &a, 4).info, -2);
        assert_eq!(eigen(*b"VAL", 4, &a, 4).info, -3);
        assert_eq!(eigen(*b"VAU", 4, &a, 3).info, -6);
    }
}
