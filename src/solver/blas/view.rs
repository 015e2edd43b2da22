//! From Fortran arguments to faer views.

use std::ffi::{c_char, c_int};

use faer::{MatMut, MatRef};

use crate::solver::quiet::quietly;

/// `info` of a failure that LAPACK has no number for: input that is not finite,
/// no convergence, no memory, a panic inside.
pub(super) const FAILED: c_int = 1;

/// A refused argument: its position, counted from 1 as LAPACK does.
pub(super) struct Refused(pub c_int);

/// Runs a routine with an `info` and turns every way of failing into a value of
/// `info`. A panic must not reach the caller: it would abort the process.
pub(super) fn report(routine: impl FnOnce() -> Result<c_int, Refused>) -> c_int {
    match quietly(routine) {
        Ok(Ok(info)) => info,
        Ok(Err(Refused(position))) => -position,
        Err(_) => FAILED,
    }
}

/// A size argument: not negative.
pub(super) fn size(value: c_int, position: c_int) -> Result<usize, Refused> {
    usize::try_from(value).map_err(|_| Refused(position))
}

/// A leading dimension: at least the number of rows, and at least 1.
pub(super) fn leading(value: c_int, rows: usize, position: c_int) -> Result<usize, Refused> {
    match usize::try_from(value) {
        Ok(distance) if distance >= rows.max(1) => Ok(distance),
        _ => Err(Refused(position)),
    }
}

/// A flag argument that must be one of the letters in `allowed`.
pub(super) fn flag(value: c_char, allowed: &[u8], position: c_int) -> Result<u8, Refused> {
    let letter = (value as u8).to_ascii_uppercase();
    if allowed.contains(&letter) { Ok(letter) } else { Err(Refused(position)) }
}

/// A column-major matrix to read.
///
/// # Safety
///
/// `distance >= rows`; `data` is valid for reads of `distance * (columns - 1) +
/// rows` numbers (none, if there are no rows or no columns), and nothing writes
/// to them while the view lives.
pub(super) unsafe fn matrix<'a>(data: *const f64, rows: usize, columns: usize, distance: usize) -> MatRef<'a, f64> {
    // SAFETY: an element (i, j) with i < rows and j < columns lies at i + j·distance,
    // inside the extent that the caller vouches for.
    unsafe { MatRef::from_raw_parts(data, rows, columns, 1, distance as isize) }
}

/// A column-major matrix to write.
///
/// # Safety
///
/// As for [`matrix`], and valid for writes, with no other access to the same
/// numbers while the view lives.
pub(super) unsafe fn matrix_mut<'a>(data: *mut f64, rows: usize, columns: usize, distance: usize) -> MatMut<'a, f64> {
    // SAFETY: the extent is as in `matrix`; distance >= rows makes elements distinct.
    unsafe { MatMut::from_raw_parts_mut(data, rows, columns, 1, distance as isize) }
}

/// Whether every element of the lower triangle is finite.
pub(super) fn lower_is_finite(matrix: MatRef<'_, f64>) -> bool {
    (0..matrix.ncols()).all(|j| (j..matrix.nrows()).all(|i| matrix[(i, j)].is_finite()))
}

/// Whether every element is finite.
pub(super) fn is_finite(matrix: MatRef<'_, f64>) -> bool {
    (0..matrix.ncols()).all(|j| (0..matrix.nrows()).all(|i| matrix[(i, j)].is_finite()))
}
