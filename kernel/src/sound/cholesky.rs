//! Proving a symmetric matrix positive definite by one floating-point Cholesky factorisation.
//!
//! Method: S. M. Rump, "Verification of positive definiteness", BIT 46 (2006) 433–452, with the
//! constants derived below for this code.
//!
//! # Statement
//!
//! Let M be symmetric with float entries and r a non-negative vector. If
//! [`prove_positive_definite`] returns `Ok`, every symmetric A with
//! `|xᵀ(A − M)x| <= Σ rᵢxᵢ²` for all x is positive definite.
//!
//! # Proof
//!
//! *Scaling.* D = diag(2^kᵢ) with (DMD)ᵢᵢ in [1, 4). A ≻ 0 iff DAD ≻ 0, and the radii become
//! rᵢ·4^kᵢ. Products with powers of two are exact, except that an entry may underflow and then
//! loses at most η = 2⁻¹⁰⁷⁴; an overflow is refused. Below M and r are the scaled ones.
//!
//! *Rounding errors.* Let B be the matrix that is factorised, L the computed factor. In exact
//! arithmetic lᵢⱼlⱼⱼ = bᵢⱼ − Σ_{k<j} lᵢₖlⱼₖ, and lⱼⱼ² likewise. Let s be the number of products in
//! the sum that are not exactly zero. The code evaluates c − Σ in some tree of additions over
//! the leaves c and the s products (blocking only chooses the tree; adding an exact zero rounds
//! nothing). A product carries its own rounding and those of the additions above it, c those above
//! it; dividing by c's factors, the additions shared by both cancel and the others are distinct
//! nodes, at most s together (Higham, *Accuracy and Stability of Numerical Algorithms*, Lemma
//! 8.4). The division adds one factor to the left-hand side, the square root two. So
//!
//! > |bᵢⱼ − Σ_{k<=j} lᵢₖlⱼₖ| <= γ_{s+2} Σ_{k<=j} |lᵢₖlⱼₖ| + underflow,   γₖ = ku/(1 − ku).
//!
//! Let fᵢ be the first column with a non-zero entry in row i and sᵢ = i − fᵢ. Then lᵢₖ = 0 exactly
//! for k < fᵢ, so s <= j − max(fᵢ, fⱼ) <= min(sᵢ, sⱼ). With gᵢ = γ_{sᵢ+2} and the rows lᵢ of L,
//! the error matrix obeys |Δbᵢⱼ| <= √(gᵢgⱼ)·‖lᵢ‖‖lⱼ‖, and its diagonal gives
//! ‖lᵢ‖² <= bᵢᵢ/(1 − gᵢ). By Cauchy–Schwarz
//!
//! > |xᵀ(ΔB)x| <= (Σ √gᵢ‖lᵢ‖|xᵢ|)² <= Σ gᵢ‖lᵢ‖² · ‖x‖² <= Σ gᵢ/(1 − gᵢ)·bᵢᵢ · ‖x‖².
//!
//! *Conclusion.* B has the off-diagonal entries of M and bᵢᵢ <= mᵢᵢ − rᵢ − c (rounded down), where
//! c >= Σ gᵢ/(1 − gᵢ)·mᵢᵢ + 2⁻¹⁰⁰⁰. If all pivots are positive, L is a real non-singular matrix and
//! xᵀAx >= xᵀMx − Σ rᵢxᵢ² >= xᵀBx + c‖x‖² >= ‖Lᵀx‖² + (c − Σ gᵢ/(1 − gᵢ)·mᵢᵢ − …)‖x‖² > 0.
//!
//! *Underflow.* A product or quotient loses at most η/2 (a quotient's is multiplied by
//! lⱼⱼ <= 2.1), an entry of ΔB so at most (n + 3)η; with the scaling's η the matrix of all of them
//! has norm at most n(n + 4)η <= 2⁻¹⁰³⁰ for n <= 2²⁰, which 2⁻¹⁰⁰⁰ covers with the passage through
//! the bounds above.
//!
//! *Overflow.* A `NaN` or infinity in row i of L makes pivot i `NaN` or −∞, which is refused.

mod factor;

use std::fmt;

use factor::Workspace;

use super::round::{SMALLEST_SUBNORMAL, add_up, binary_exponent, div_up, gamma, max_or_nan, mul_up, scale_pow2, sub_down};

/// Largest supported dimension (the underflow bound relies on it).
const MAX_DIMENSION: usize = 1 << 20;

/// A dense symmetric matrix; the lower triangle is stored, row after row.
#[derive(Clone, Debug)]
pub struct SymmetricMatrix {
    dimension: usize,
    entries: Vec<f64>,
}

impl SymmetricMatrix {
    /// The zero matrix of the given dimension.
    #[must_use]
    pub fn new(dimension: usize) -> Self {
        Self { dimension, entries: vec![0.0; dimension * (dimension + 1) / 2] }
    }

    /// Number of rows.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Position of entry (i, j) or (j, i) in the triangle. Panics outside the matrix.
    fn position(&self, i: usize, j: usize) -> usize {
        let (row, column) = if i >= j { (i, j) } else { (j, i) };
        assert!(row < self.dimension, "entry outside the matrix");
        row * (row + 1) / 2 + column
    }

    /// Entry (i, j). Panics outside the matrix.
    #[must_use]
    pub fn get(&self, i: usize, j: usize) -> f64 {
        self.entries[self.position(i, j)]
    }

    /// Sets entries (i, j) and (j, i). Panics outside the matrix.
    pub fn set(&mut self, i: usize, j: usize, value: f64) {
        let position = self.position(i, j);
        self.entries[position] = value;
    }

    /// Adds to entries (i, j) and (j, i), rounding to nearest. Panics outside the matrix.
    pub fn add_assign(&mut self, i: usize, j: usize, value: f64) {
        let position = self.position(i, j);
        self.entries[position] += value;
    }

    /// Entries (i, 0), …, (i, i). Panics outside the matrix.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f64] {
        let start = self.position(i, 0);
        &self.entries[start..=start + i]
    }

    /// Entries (i, 0), …, (i, i), for assembly row by row. Panics outside the matrix.
    pub fn row_mut(&mut self, i: usize) -> &mut [f64] {
        let start = self.position(i, 0);
        &mut self.entries[start..=start + i]
    }
}

/// Why positive definiteness was not proved. The matrix may still be positive definite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotProved {
    /// The radius vector's length is not the matrix dimension.
    DimensionMismatch,
    /// The matrix is larger than the error analysis supports.
    TooLarge,
    /// An entry of the matrix or a radius is not finite (or overflows when scaled), or a radius is
    /// negative.
    NotFinite,
    /// A diagonal entry is not positive: no such matrix is positive definite.
    NonPositiveDiagonal {
        /// Row of the entry.
        index: usize,
    },
    /// A pivot of the shifted matrix is not a positive number.
    PivotNotPositive {
        /// Row of the pivot.
        index: usize,
    },
}

impl fmt::Display for NotProved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DimensionMismatch => f.write_str("one radius per row is needed"),
            Self::TooLarge => f.write_str("the matrix is too large for the error analysis"),
            Self::NotFinite => f.write_str("an entry or radius is not finite"),
            Self::NonPositiveDiagonal { index } => {
                write!(f, "diagonal entry {index} is not positive")
            }
            Self::PivotNotPositive { index } => write!(f, "pivot {index} is not positive"),
        }
    }
}

impl std::error::Error for NotProved {}

/// Proves that every symmetric A with `|xᵀ(A − matrix)x| <= Σ diagonal_radius[i]·xᵢ²` for all x is
/// positive definite. See the module documentation for the statement's proof.
///
/// # Errors
///
/// The reason why the proof did not go through.
pub fn prove_positive_definite(matrix: &SymmetricMatrix, diagonal_radius: &[f64]) -> Result<(), NotProved> {
    prove_each_border(matrix, diagonal_radius, 0)
}

/// The same for many matrices at once: for each of the first `borders` coordinates, A restricted to that one and all
/// coordinates after the borders is positive definite. Entries between two borders mean nothing. Without borders it is A.
///
/// The block that they have in common comes first in the factorisation, so its factor serves all; a border's row of the
/// factor and its pivot are then those of its own matrix, which needs no larger shift than the one that is used.
///
/// # Errors
///
/// The reason why the proof did not go through for one of them.
pub fn prove_each_border(matrix: &SymmetricMatrix, diagonal_radius: &[f64], borders: usize) -> Result<(), NotProved> {
    let n = matrix.dimension();
    if diagonal_radius.len() != n || borders > n {
        return Err(NotProved::DimensionMismatch);
    }
    if n > MAX_DIMENSION {
        return Err(NotProved::TooLarge);
    }
    let exponents = scaling_exponents(matrix)?;
    let common = n - borders;
    let mut work = Workspace::new(common, borders);
    // Σ gᵢ/(1 − gᵢ)·mᵢᵢ + 2⁻¹⁰⁰⁰ over the scaled diagonal, rounded up; of the borders the largest term.
    let mut shift = scale_pow2(1.0, -1000);
    let share = |products: usize, diagonal: f64| {
        let g = gamma(products + 2);
        mul_up(div_up(g, sub_down(1.0, g)), diagonal)
    };
    let mut of_borders = 0.0;
    for (border, &exponent) in exponents[..borders].iter().enumerate() {
        let entry = scaled(matrix.get(border, border), 2 * exponent);
        of_borders = max_or_nan(of_borders, share(common, entry));
        let row = work.place_of_border(border);
        work.row_mut(row)[row] = entry;
    }
    for i in 0..common {
        let exponent = exponents[borders + i];
        let (with_borders, row) = matrix.row(borders + i).split_at(borders);
        let mut finite = true;
        for (border, (&value, &other)) in with_borders.iter().zip(&exponents).enumerate() {
            let entry = scaled(value, exponent + other);
            finite &= entry.is_finite();
            let place = work.place_of_border(border);
            work.row_mut(place)[i] = entry;
        }
        let target = work.row_mut(i);
        for ((entry, &value), &other) in target.iter_mut().zip(row).zip(&exponents[borders..]) {
            *entry = scaled(value, exponent + other);
            finite &= entry.is_finite();
        }
        if !finite {
            return Err(NotProved::NotFinite);
        }
        let first = row.iter().position(|&value| value != 0.0).unwrap_or(i);
        shift = add_up(shift, share(i - first, target[i]));
    }
    shift = add_up(shift, of_borders);
    for (i, (&radius, &exponent)) in diagonal_radius.iter().zip(&exponents).enumerate() {
        let mut scaled_radius = scale_pow2(radius, 2 * exponent);
        if radius > 0.0 && scaled_radius < f64::MIN_POSITIVE {
            scaled_radius += SMALLEST_SUBNORMAL;
        }
        if !(scaled_radius.is_finite() && scaled_radius >= 0.0) {
            return Err(NotProved::NotFinite);
        }
        let place = i.checked_sub(borders).unwrap_or_else(|| work.place_of_border(i));
        let entry = &mut work.row_mut(place)[place];
        *entry = sub_down(*entry, add_up(shift, scaled_radius));
    }
    work.factorise().map_err(|row| NotProved::PivotNotPositive {
        index: if row < common { borders + row } else { row - work.place_of_border(0) },
    })
}

/// k with 4ᵏ·mᵢᵢ in [1, 4), per row.
fn scaling_exponents(matrix: &SymmetricMatrix) -> Result<Vec<i32>, NotProved> {
    (0..matrix.dimension())
        .map(|i| {
            let diagonal = matrix.get(i, i);
            if !diagonal.is_finite() {
                Err(NotProved::NotFinite)
            } else if diagonal <= 0.0 {
                Err(NotProved::NonPositiveDiagonal { index: i })
            } else {
                Ok(-binary_exponent(diagonal).div_euclid(2))
            }
        })
        .collect()
}

/// [`scale_pow2`] with a short way for ordinary exponents.
#[inline]
fn scaled(value: f64, exponent: i32) -> f64 {
    if (-1022..=1023).contains(&exponent) {
        #[allow(clippy::cast_sign_loss)] // in 1..=2046
        let factor = f64::from_bits(((exponent + 1023) as u64) << 52);
        value * factor
    } else {
        scale_pow2(value, exponent)
    }
}

#[cfg(test)]
mod tests;
