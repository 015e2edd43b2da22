//! Economy singular value decomposition: `dgesdd_`, `dgesvd_`.
//!
//! The two LAPACK routines differ in their algorithm; here both are faer's.

use std::ffi::{c_char, c_int};

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::svd::{ComputeSvdVectors, SvdParams, svd, svd_scratch};
use faer::{ColMut, Par, Spec};

use super::view::{FAILED, Refused, flag, is_finite, leading, matrix, matrix_mut, report, size};

/// The arguments that both routines share, with the position of the first.
struct Arguments {
    m: c_int,
    n: c_int,
    a: *const f64,
    lda: c_int,
    s: *mut f64,
    u: *mut f64,
    ldu: c_int,
    vt: *mut f64,
    ldvt: c_int,
    work: *mut f64,
    lwork: c_int,
    first: c_int,
}

impl Arguments {
    /// `A = U·diag(s)·Vᵀ` with `k = min(m, n)` columns of U and rows of Vᵀ, or
    /// the answer to a workspace query.
    ///
    /// # Safety
    ///
    /// The contract of [`dgesdd_`].
    unsafe fn decompose(&self) -> Result<c_int, Refused> {
        let at = |offset: c_int| self.first + offset;
        let (rows, columns) = (size(self.m, at(0))?, size(self.n, at(1))?);
        let rank = rows.min(columns);
        let lda = leading(self.lda, rows, at(3))?;
        let ldu = leading(self.ldu, rows, at(6))?;
        let ldvt = leading(self.ldvt, rank, at(8))?;
        if self.lwork == -1 {
            // SAFETY: the contract for a query.
            unsafe { *self.work = 1.0 };
            return Ok(0);
        }
        leading(self.lwork, 1, at(10))?;
        if rank == 0 {
            return Ok(0);
        }
        // SAFETY: the contract for `a`.
        let input = unsafe { matrix(self.a, rows, columns, lda) };
        if !is_finite(input) {
            return Ok(FAILED);
        }
        // SAFETY: the contract for `s`.
        let mut values = unsafe { ColMut::from_raw_parts_mut(self.s, rank, 1) };
        // SAFETY: the contract for `u`.
        let left = unsafe { matrix_mut(self.u, rows, rank, ldu) };
        // SAFETY: the contract for `vt`.
        let right = unsafe { matrix_mut(self.vt, rank, columns, ldvt) }.transpose_mut();
        let (thin, params) = (ComputeSvdVectors::Thin, Spec::<SvdParams, f64>::default());
        let need = svd_scratch::<f64>(rows, columns, thin, thin, Par::Seq, params);
        let mut memory = MemBuffer::new(need);
        let result =
            svd(input, values.as_mut().as_diagonal_mut(), Some(left), Some(right), Par::Seq, MemStack::new(&mut memory), params);
        let finite = (0..rank).all(|i| values[i].is_finite());
        Ok(if result.is_ok() && finite { 0 } else { FAILED })
    }
}

/// `A = U·diag(s)·Vᵀ` for an `m × n` matrix A: s descending, `k = min(m, n)`
/// values; U `m × k`; Vᵀ `k × n`.
///
/// Flags: jobz S. A is left alone and the workspaces are not used: a query
/// (`lwork` −1) answers 1. `info > 0`: not finite, or no convergence.
///
/// # Safety
///
/// The LAPACK contract: scalars are valid for reads, `info` for writes; after a
/// query `a` for `lda·n` numbers, `s` for `k`, `u` for `ldu·k`, `vt` for
/// `ldvt·n`, without overlap; in a query `work` for one number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dgesdd_(
    jobz: *const c_char,
    m: *const c_int,
    n: *const c_int,
    a: *mut f64,
    lda: *const c_int,
    s: *mut f64,
    u: *mut f64,
    ldu: *const c_int,
    vt: *mut f64,
    ldvt: *const c_int,
    work: *mut f64,
    lwork: *const c_int,
    _iwork: *mut c_int,
    info: *mut c_int,
) {
    // SAFETY: the contract: scalar arguments are valid for reads.
    let (jobz, m, n, lda, ldu, ldvt, lwork) = unsafe { (*jobz, *m, *n, *lda, *ldu, *ldvt, *lwork) };
    let first = 2;
    let arguments = Arguments { m, n, a, lda, s, u, ldu, vt, ldvt, work, lwork, first };
    let outcome = report(|| {
        flag(jobz, b"S", 1)?;
        // SAFETY: the same contract.
        unsafe { arguments.decompose() }
    });
    // SAFETY: the contract: `info` is valid for writes.
    unsafe { *info = outcome };
}

/// As [`dgesdd_`], with one flag for each side. Flags: jobu S, jobvt S.
///
/// # Safety
///
/// The contract of [`dgesdd_`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dgesvd_(
    jobu: *const c_char,
    jobvt: *const c_char,
    m: *const c_int,
    n: *const c_int,
    a: *mut f64,
    lda: *const c_int,
    s: *mut f64,
    u: *mut f64,
    ldu: *const c_int,
    vt: *mut f64,
    ldvt: *const c_int,
    work: *mut f64,
    lwork: *const c_int,
    info: *mut c_int,
) {
    // SAFETY: the contract: scalar arguments are valid for reads.
    let (jobu, jobvt, m, n, lda, ldu, ldvt, lwork) = unsafe { (*jobu, *jobvt, *m, *n, *lda, *ldu, *ldvt, *lwork) };
    let first = 3;
    let arguments = Arguments { m, n, a, lda, s, u, ldu, vt, ldvt, work, lwork, first };
    let outcome = report(|| {
        flag(jobu, b"S", 1)?;
        flag(jobvt, b"S", 2)?;
        // SAFETY: the same contract.
        unsafe { arguments.decompose() }
    });
    // SAFETY: the contract: `info` is valid for writes.
    unsafe { *info = outcome };
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Numbers, PAD, assert_close, letter};
    use super::*;

    struct Factors {
        info: c_int,
        s: Vec<f64>,
        u: Vec<f64>,
        vt: Vec<f64>,
    }

    /// Calls the way Clarabel does: a query, then the work. `pad` widens U and Vᵀ.
    fn decompose(divide: bool, flags: [u8; 2], (m, n): (usize, usize), a: &[f64], lda: usize, pad: usize) -> Factors {
        let mut a = a.to_vec();
        let k = m.min(n);
        let (ldu, ldvt) = ((m + pad) as c_int, (k + pad) as c_int);
        let mut f = Factors { info: 77, s: vec![0.0; k], u: vec![0.0; (m + pad) * k], vt: vec![0.0; (k + pad) * n] };
        let (mut work, mut iwork) = (vec![0.0], vec![0; 8 * k]);
        let [one, two] = flags.map(letter);
        let (rows, columns, lda) = (m as c_int, n as c_int, lda as c_int);
        for query in [true, false] {
            let lwork = if query { -1 } else { work.len() as c_int };
            let (s, u, vt) = (f.s.as_mut_ptr(), f.u.as_mut_ptr(), f.vt.as_mut_ptr());
            let (data, space) = (a.as_mut_ptr(), work.as_mut_ptr());
            // SAFETY: sizes and leading dimensions are those of the vectors.
            unsafe {
                if divide {
                    let integers = iwork.as_mut_ptr();
                    dgesdd_(&one, &rows, &columns, data, &lda, s, u, &ldu, vt, &ldvt, space, &lwork, integers, &mut f.info);
                } else {
                    dgesvd_(&one, &two, &rows, &columns, data, &lda, s, u, &ldu, vt, &ldvt, space, &lwork, &mut f.info);
                }
            }
            if f.info != 0 {
                return f;
            }
            work.resize(work[0] as usize, 0.0);
        }
        f
    }

    #[test]
    fn factors_reproduce_the_matrix() {
        let mut numbers = Numbers::new(6);
        for shape @ (m, n) in [(1, 1), (4, 4), (5, 3), (2, 7), (23, 23), (40, 12), (64, 64)] {
            let (k, lda) = (m.min(n), m + PAD);
            let a = numbers.matrix(m, n, lda);
            for (divide, pad) in [(true, 0), (true, PAD), (false, 0), (false, PAD)] {
                let f = decompose(divide, *b"SS", shape, &a, lda, pad);
                assert_eq!(f.info, 0);
                assert!(f.s.is_sorted_by(|x, y| x >= y) && f.s[k - 1] >= 0.0);
                let u = |i: usize, l: usize| f.u[i + l * (m + pad)];
                let vt = |l: usize, j: usize| f.vt[l + j * (k + pad)];
                for i in 0..m {
                    for j in 0..n {
                        let entry: f64 = (0..k).map(|l| u(i, l) * f.s[l] * vt(l, j)).sum();
                        assert!((entry - a[i + j * lda]).abs() < 1e-12);
                    }
                }
                for p in 0..k {
                    for q in 0..k {
                        let unit = if p == q { 1.0 } else { 0.0 };
                        let left: f64 = (0..m).map(|i| u(i, p) * u(i, q)).sum();
                        let right: f64 = (0..n).map(|j| vt(p, j) * vt(q, j)).sum();
                        assert_close(&[left, right], &[unit, unit], 1e-13);
                    }
                }
            }
        }
    }

    #[test]
    fn rank_deficient_extreme_and_non_finite_matrices() {
        let ones = decompose(true, *b"SS", (5, 5), &[1.0; 25], 5, 0);
        assert_eq!(ones.info, 0);
        assert!((ones.s[0] - 5.0).abs() < 1e-12 && ones.s[1] < 1e-12);
        for bad in [f64::NAN, f64::INFINITY] {
            let mut a = vec![1.0; 25];
            a[7] = bad;
            assert!(decompose(true, *b"SS", (5, 5), &a, 5, 0).info > 0);
            assert!(decompose(false, *b"SS", (5, 5), &a, 5, 0).info > 0);
        }
        // Either an answer or a failure, and no panic.
        for scale in [0.0, 1e-310, 1e-200, 1e200, f64::MAX] {
            assert!(decompose(true, *b"SS", (5, 5), &[scale; 25], 5, 0).info >= 0);
        }
    }

    #[test]
    fn refused_arguments_are_named() {
        let a = [1.0; 16];
        assert_eq!(decompose(true, *b"AS", (4, 4), &a, 4, 0).info, -1);
        assert_eq!(decompose(false, *b"AS", (4, 4), &a, 4, 0).info, -1);
        assert_eq!(decompose(false, *b"SN", (4, 4), &a, 4, 0).info, -2);
        assert_eq!(decompose(true, *b"SS", (4, 4), &a, 3, 0).info, -5);
        assert_eq!(decompose(false, *b"SS", (4, 4), &a, 3, 0).info, -6);
    }
}
