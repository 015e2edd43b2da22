//! The eight Fortran symbols that Clarabel's semidefinite cone calls, on faer.
//!
//! Clarabel reaches dense linear algebra through the BLAS/LAPACK C symbols
//! `dgemm_ dsyrk_ dsyr2k_ dpotrf_ dpotrs_ dsyevr_ dgesdd_ dgesvd_` and leaves it
//! to the program to provide them. This module does, in Rust, one thread, so
//! that no system library, Fortran compiler or download is needed. A program
//! that links another BLAS as well gets a duplicate-symbol error.
//!
//! | module | symbols |
//! |---|---|
//! | `view` | raw pointers to faer views, argument checks |
//! | [`products`] | `dgemm_ dsyrk_ dsyr2k_` |
//! | [`cholesky`] | `dpotrf_ dpotrs_` |
//! | [`eigen`] | `dsyevr_` |
//! | [`singular`] | `dgesdd_ dgesvd_` |
//!
//! # Interface
//!
//! Matrices are column major, `ld*` is the distance between columns, integers
//! are 32 bits, arguments are passed by address. Exactly the calls that
//! Clarabel makes are served. Any other flag, a negative size or a leading
//! dimension that is too small sets `info = -k` for the k-th argument; the
//! products, which have no `info`, fill their result with NaN where its size is
//! known. Input that is not finite, or a decomposition that fails, sets
//! `info > 0`; no panic crosses the boundary.
//!
//! # Unsafe code
//!
//! This is the only module of the project that may contain unsafe code: a
//! Fortran interface consists of raw pointers and exported symbol names. Each
//! function relies on the BLAS/LAPACK contract of its caller, and on nothing
//! else: every pointer that the routine uses is valid for the extent that its
//! dimensions say, and no output overlaps another argument.

#![allow(unsafe_code)]

pub mod cholesky;
pub mod eigen;
pub mod products;
pub mod singular;
mod view;

/// Refers to every symbol, so that the linker keeps them.
///
/// Static linkers drop objects that nothing refers to before the objects that
/// need them are read. The bridge to Clarabel calls this once per solve; it
/// does nothing else.
pub fn link() {
    let symbols: [*const (); 8] = [
        products::dgemm_ as *const (),
        products::dsyrk_ as *const (),
        products::dsyr2k_ as *const (),
        cholesky::dpotrf_ as *const (),
        cholesky::dpotrs_ as *const (),
        eigen::dsyevr_ as *const (),
        singular::dgesdd_ as *const (),
        singular::dgesvd_ as *const (),
    ];
    std::hint::black_box(symbols);
}

#[cfg(test)]
mod testing;
