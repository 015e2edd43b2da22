//! Matrix products: `dgemm_`, `dsyrk_`, `dsyr2k_`.
//!
//! These routines have no `info`: a refused call fills the result with NaN if
//! its size is known and leaves it alone otherwise.

use std::ffi::{c_char, c_int};

use faer::linalg::matmul::{
    matmul,
    triangular::{self, BlockStructure},
};
use faer::{Accum, MatMut, MatRef, Par};

use super::view::{Refused, flag, leading, matrix, matrix_mut, size};
use crate::solver::quiet::quietly;

/// `op(A)` of shape `rows × columns`, where `A` is stored transposed if `flag` says so.
///
/// # Safety
///
/// As for [`matrix`], for the stored shape.
unsafe fn operand<'a>(
    data: *const f64,
    flag: u8,
    rows: usize,
    columns: usize,
    distance: c_int,
    position: c_int,
) -> Result<MatRef<'a, f64>, Refused> {
    if flag == b'N' {
        let distance = leading(distance, rows, position)?;
        // SAFETY: the caller's extent for a stored rows × columns matrix.
        Ok(unsafe { matrix(data, rows, columns, distance) })
    } else {
        let distance = leading(distance, columns, position)?;
        // SAFETY: the caller's extent for a stored columns × rows matrix.
        Ok(unsafe { matrix(data, columns, rows, distance) }.transpose())
    }
}

/// Fills the `n × n` triangle, or the `m × n` rectangle, with NaN.
fn poison(target: Option<MatMut<'_, f64>>, structure: BlockStructure) {
    if let Some(target) = target {
        scale(target, structure, f64::NAN);
    }
}

/// Multiplies the part of `target` that `structure` selects; 0 and NaN overwrite.
fn scale(mut target: MatMut<'_, f64>, structure: BlockStructure, factor: f64) {
    let overwrite = factor == 0.0 || factor.is_nan();
    for j in 0..target.ncols() {
        let rows = match structure {
            BlockStructure::TriangularUpper => 0..j + 1,
            BlockStructure::TriangularLower => j..target.nrows(),
            _ => 0..target.nrows(),
        };
        for i in rows {
            let old = target[(i, j)];
            target[(i, j)] = if overwrite { factor } else { old * factor };
        }
    }
}

/// Applies `beta` to the selected part of `target`, as BLAS defines it (zero
/// overwrites, whatever was there), and says how the product is to be added.
fn accumulate(target: MatMut<'_, f64>, structure: BlockStructure, beta: f64) -> Accum {
    if beta == 0.0 {
        return Accum::Replace;
    }
    if beta != 1.0 {
        scale(target, structure, beta);
    }
    Accum::Add
}

/// `C := alpha·op(A)·op(B) + beta·C`, op(A) `m × k`, op(B) `k × n`, C `m × n`.
///
/// Flags: N or T for both operands.
///
/// # Safety
///
/// The BLAS contract: scalars are valid for reads; `a`, `b` and `c` are valid for
/// the extents that the sizes, flags and leading dimensions say; `c` overlaps
/// nothing else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dgemm_(
    transa: *const c_char,
    transb: *const c_char,
    m: *const c_int,
    n: *const c_int,
    k: *const c_int,
    alpha: *const f64,
    a: *const f64,
    lda: *const c_int,
    b: *const f64,
    ldb: *const c_int,
    beta: *const f64,
    c: *mut f64,
    ldc: *const c_int,
) {
    // SAFETY: the contract: scalar arguments are valid for reads.
    let (transa, transb, m, n, k, lda, ldb, ldc, alpha, beta) =
        unsafe { (*transa, *transb, *m, *n, *k, *lda, *ldb, *ldc, *alpha, *beta) };
    let target = || -> Result<MatMut<'_, f64>, Refused> {
        let (m, n) = (size(m, 3)?, size(n, 4)?);
        let distance = leading(ldc, m, 13)?;
        // SAFETY: the contract for `c`; one view at a time is alive.
        Ok(unsafe { matrix_mut(c, m, n, distance) })
    };
    let done = quietly(|| -> Result<(), Refused> {
        let (transa, transb) = (flag(transa, b"NT", 1)?, flag(transb, b"NT", 2)?);
        let (rows, columns, inner) = (size(m, 3)?, size(n, 4)?, size(k, 5)?);
        // SAFETY: the contract for `a`.
        let left = unsafe { operand(a, transa, rows, inner, lda, 8)? };
        // SAFETY: the contract for `b`.
        let right = unsafe { operand(b, transb, inner, columns, ldb, 10)? };
        let mut target = target()?;
        let mode = accumulate(target.as_mut(), BlockStructure::Rectangular, beta);
        matmul(target, mode, left, right, alpha, Par::Seq);
        Ok(())
    });
    if !matches!(done, Ok(Ok(()))) {
        poison(target().ok(), BlockStructure::Rectangular);
    }
}

/// `C := alpha·op(A)·op(A)ᵀ + beta·C` on one triangle, op(A) `n × k`, C `n × n`.
///
/// Flags: uplo U or L, trans N or T. The other triangle is left alone.
///
/// # Safety
///
/// The BLAS contract: scalars are valid for reads; `a` and `c` are valid for the
/// extents that the sizes, flags and leading dimensions say, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dsyrk_(
    uplo: *const c_char,
    trans: *const c_char,
    n: *const c_int,
    k: *const c_int,
    alpha: *const f64,
    a: *const f64,
    lda: *const c_int,
    beta: *const f64,
    c: *mut f64,
    ldc: *const c_int,
) {
    // SAFETY: the contract: scalar arguments are valid for reads.
    let (uplo, trans, n, k, lda, ldc, alpha, beta) = unsafe { (*uplo, *trans, *n, *k, *lda, *ldc, *alpha, *beta) };
    let target = || -> Result<MatMut<'_, f64>, Refused> {
        let n = size(n, 3)?;
        let distance = leading(ldc, n, 10)?;
        // SAFETY: the contract for `c`; one view at a time is alive.
        Ok(unsafe { matrix_mut(c, n, n, distance) })
    };
    let done = quietly(|| -> Result<(), Refused> {
        let structure = triangle(flag(uplo, b"UL", 1)?);
        let trans = flag(trans, b"NT", 2)?;
        let (order, inner) = (size(n, 3)?, size(k, 4)?);
        // SAFETY: the contract for `a`.
        let factor = unsafe { operand(a, trans, order, inner, lda, 7)? };
        let mut target = target()?;
        let mode = accumulate(target.as_mut(), structure, beta);
        multiply_triangle(target, structure, mode, factor, factor.transpose(), alpha);
        Ok(())
    });
    if !matches!(done, Ok(Ok(()))) {
        poison(target().ok(), BlockStructure::Rectangular);
    }
}

/// `C := alpha·(A·Bᵀ + B·Aᵀ) + beta·C` on the upper triangle, A and B `n × k`.
///
/// Flags: uplo U, trans N. The other triangle is left alone.
///
/// # Safety
///
/// The BLAS contract: scalars are valid for reads; `a`, `b` and `c` are valid for
/// the extents that the sizes and leading dimensions say; `c` overlaps nothing else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dsyr2k_(
    uplo: *const c_char,
    trans: *const c_char,
    n: *const c_int,
    k: *const c_int,
    alpha: *const f64,
    a: *const f64,
    lda: *const c_int,
    b: *const f64,
    ldb: *const c_int,
    beta: *const f64,
    c: *mut f64,
    ldc: *const c_int,
) {
    // SAFETY: the contract: scalar arguments are valid for reads.
    let (uplo, trans, n, k, lda, ldb, ldc, alpha, beta) = unsafe { (*uplo, *trans, *n, *k, *lda, *ldb, *ldc, *alpha, *beta) };
    let target = || -> Result<MatMut<'_, f64>, Refused> {
        let n = size(n, 3)?;
        let distance = leading(ldc, n, 12)?;
        // SAFETY: the contract for `c`; one view at a time is alive.
        Ok(unsafe { matrix_mut(c, n, n, distance) })
    };
    let done = quietly(|| -> Result<(), Refused> {
        let structure = triangle(flag(uplo, b"U", 1)?);
        let trans = flag(trans, b"N", 2)?;
        let (order, inner) = (size(n, 3)?, size(k, 4)?);
        // SAFETY: the contract for `a`.
        let left = unsafe { operand(a, trans, order, inner, lda, 7)? };
        // SAFETY: the contract for `b`.
        let right = unsafe { operand(b, trans, order, inner, ldb, 9)? };
        let mut target = target()?;
        let mode = accumulate(target.as_mut(), structure, beta);
        multiply_triangle(target.as_mut(), structure, mode, left, right.transpose(), alpha);
        multiply_triangle(target, structure, Accum::Add, right, left.transpose(), alpha);
        Ok(())
    });
    if !matches!(done, Ok(Ok(()))) {
        poison(target().ok(), BlockStructure::Rectangular);
    }
}

fn triangle(uplo: u8) -> BlockStructure {
    if uplo == b'U' { BlockStructure::TriangularUpper } else { BlockStructure::TriangularLower }
}

fn multiply_triangle(
    target: MatMut<'_, f64>,
    structure: BlockStructure,
    mode: Accum,
    left: MatRef<'_, f64>,
    right: MatRef<'_, f64>,
    alpha: f64,
) {
    let full = BlockStructure::Rectangular;
    triangular::matmul(target, structure, mode, left, full, right, full, alpha, Par::Seq);
}

#[cfg(test)]
#[path = "products_tests.rs"]
mod tests;
