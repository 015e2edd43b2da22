//! Scaling of coordinates and variables before a solve.
//!
//! `F(t) ⪰ 0` and `D·F(t)·D ⪰ 0` are the same condition for a positive diagonal
//! D, and `tᵢ = sᵢ·τᵢ` is a change of units. Clarabel scales a semidefinite cone
//! by one number only, which is not enough when the coordinates of a deep
//! network differ by orders of magnitude; so the bridge chooses D and s.
//!
//! D is chosen so that in each `D·Fᵢ·D` the diagonal and the rest have the same
//! Frobenius norm, by cyclic projection on the logarithms of D (each matrix is
//! one equation). For the condition `y² − (w·x)·y` of a neuron this gives
//! coordinate y the scale of w·x. Then `sᵢ = 1 / ‖D·Fᵢ·D‖`. All factors are
//! powers of two, so that scaling back is exact.
//!
//! Where the engine gets stuck all the same, the point at which it stopped is a
//! better source of units ([`Scaling::at_point`]).

use super::problem::{MatrixInequality, SparseSymmetric};

/// Sweeps over the matrices; a layered problem needs one or two.
const SWEEPS: usize = 10;
/// Logarithms (base 2) of the scales stay within this of zero.
const LARGEST_LOGARITHM: f64 = 200.0;

/// The factors of a scaled problem.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scaling {
    /// D, N powers of two.
    pub coordinates: Vec<f64>,
    /// s, m powers of two: `tᵢ = sᵢ·τᵢ`.
    pub variables: Vec<f64>,
    /// The factor of the objective, a power of two.
    pub objective: f64,
}

impl Scaling {
    /// Chooses factors for a valid problem.
    pub fn of(problem: &MatrixInequality) -> Self {
        let mut logarithms = vec![0.0; problem.dimension];
        for _ in 0..SWEEPS {
            let mut largest = 0.0_f64;
            for matrix in &problem.coefficients {
                largest = largest.max(balance(matrix, &mut logarithms));
            }
            if largest < 0.1 {
                break;
            }
        }
        let coordinates: Vec<f64> = logarithms.iter().map(|&x| power(x)).collect();
        let logarithms: Vec<f64> = coordinates.iter().map(|x| x.log2()).collect();
        let scale = |matrix| power(-finite_or_zero(norm_logarithm(matrix, &logarithms)));
        Self { coordinates, variables: problem.coefficients.iter().map(scale).collect(), objective: 1.0 }
    }

    /// The same factors with a constant matrix that counts `2^-exponent` as much:
    /// the optimal variables become smaller by that, in the engine's units.
    pub fn shrunk(&self, exponent: i32) -> Self {
        let half = 2.0_f64.powi(exponent / 2);
        let whole = half * half;
        Self {
            coordinates: self.coordinates.iter().map(|d| d / half).collect(),
            variables: self.variables.iter().map(|s| s * whole).collect(),
            objective: self.objective / whole,
        }
    }

    /// Factors that make a given point the natural one: `D·F(t)·D` has ones on
    /// its diagonal, the variables are about 1, and so is the objective.
    pub fn at_point(problem: &MatrixInequality, point: &[f64]) -> Self {
        let mut diagonal = vec![0.0; problem.dimension];
        let mut add = |matrix: &SparseSymmetric, factor: f64| {
            for &(row, _, value) in matrix.entries.iter().filter(|e| e.0 == e.1) {
                diagonal[row as usize] += factor * value;
            }
        };
        add(&problem.constant, 1.0);
        for (matrix, &t) in problem.coefficients.iter().zip(point) {
            add(matrix, t);
        }
        let scale = |t: &f64| power(finite_or_zero(t.abs().log2()));
        let variables: Vec<f64> = point.iter().map(scale).collect();
        let pairs = problem.objective.iter().zip(&variables);
        let largest = pairs.map(|(c, s)| (c * s).abs()).fold(0.0, f64::max);
        Self {
            coordinates: diagonal.iter().map(|d: &f64| power(-0.5 * finite_or_zero(d.abs().log2()))).collect(),
            variables,
            objective: power(-finite_or_zero(largest.log2())),
        }
    }

    /// The entry of `D·F·D`, for a matrix that belongs to a variable or, with
    /// factor 1, to the constant.
    pub fn entry(&self, (row, column, value): (u32, u32, f64), factor: f64) -> f64 {
        value * self.coordinates[row as usize] * self.coordinates[column as usize] * factor
    }
}

/// A power of two near `2^logarithm`, far from overflow.
fn power(logarithm: f64) -> f64 {
    logarithm.clamp(-LARGEST_LOGARITHM, LARGEST_LOGARITHM).round().exp2()
}

fn finite_or_zero(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// log₂ of the Frobenius norm of the scaled matrix.
fn norm_logarithm(matrix: &SparseSymmetric, logarithms: &[f64]) -> f64 {
    let square = |&(i, j, value): &(u32, u32, f64)| {
        let scaled = value * (logarithms[i as usize] + logarithms[j as usize]).exp2();
        scaled * scaled * if i == j { 1.0 } else { 2.0 }
    };
    0.5 * matrix.entries.iter().map(square).sum::<f64>().log2()
}

/// One projection: moves the logarithms the least that makes the diagonal and the
/// rest of the scaled matrix equally large. Returns the imbalance before, base 2.
fn balance(matrix: &SparseSymmetric, logarithms: &mut [f64]) -> f64 {
    let square = |&(i, j, value): &(u32, u32, f64), logarithms: &[f64]| {
        let scale = logarithms[i as usize] + logarithms[j as usize];
        let scaled = value * scale.exp2();
        scaled * scaled
    };
    let (mut diagonal, mut rest) = (0.0, 0.0);
    for entry in &matrix.entries {
        let size = square(entry, logarithms);
        if entry.0 == entry.1 {
            diagonal += size;
        } else {
            rest += 2.0 * size;
        }
    }
    let residual = 0.5 * (rest / diagonal).log2();
    if !residual.is_finite() {
        return 0.0;
    }
    // The derivative by each logarithm: its share of one norm less that of the other.
    let mut shares = std::collections::BTreeMap::new();
    for entry in &matrix.entries {
        let size = square(entry, logarithms);
        if entry.0 == entry.1 {
            *shares.entry(entry.0).or_insert(0.0) -= 2.0 * size / diagonal;
        } else {
            *shares.entry(entry.0).or_insert(0.0) += 2.0 * size / rest;
            *shares.entry(entry.1).or_insert(0.0) += 2.0 * size / rest;
        }
    }
    let length: f64 = shares.values().map(|share: &f64| share * share).sum();
    if length < 1e-3 {
        return 0.0;
    }
    for (coordinate, share) in shares {
        logarithms[coordinate as usize] -= residual * share / length;
    }
    residual.abs()
}

#[cfg(test)]
mod tests {
    use super::super::lipsdp::{random_weights, relu_network, symmetric};
    use super::*;

    #[test]
    fn coordinates_take_the_scale_of_their_layer() {
        let mut layers = random_weights(&[3, 4, 4, 2], 5);
        let plain = Scaling::of(&relu_network(&layers));
        let large = |row: &mut Vec<f64>| row.iter_mut().for_each(|w| *w *= 1024.0);
        layers[0].iter_mut().for_each(large);
        let scaled = Scaling::of(&relu_network(&layers));
        // Relative to the inputs, up to rounding to powers of two.
        let ratio = |s: &Scaling, i: usize| s.coordinates[i] / s.coordinates[0];
        for i in 3..11 {
            let factor = ratio(&scaled, i) / ratio(&plain, i);
            assert!((256.0..=4096.0).contains(&factor), "{i}: {factor}");
        }
    }

    #[test]
    fn the_units_of_a_point_make_it_ones() {
        let problem = MatrixInequality {
            dimension: 2,
            constant: symmetric([(0, 0, -12.0)]),
            coefficients: vec![symmetric([(0, 0, 1.0)]), symmetric([(1, 1, 4.0)])],
            objective: vec![1.0, 0.0],
            nonnegative: vec![true; 2],
        };
        let scaling = Scaling::at_point(&problem, &[16.0, 0.0]);
        assert_eq!(scaling.coordinates, [0.5, 1.0]);
        assert_eq!(scaling.variables, [16.0, 1.0]);
        assert_eq!(scaling.objective, 1.0 / 16.0);
        let shrunk = scaling.shrunk(4);
        assert_eq!(shrunk.coordinates, [0.125, 0.25]);
        // The constant counts a sixteenth, the variables' matrices what they did.
        assert_eq!(shrunk.entry((0, 0, -12.0), 1.0), -12.0 / 64.0);
        assert_eq!(shrunk.entry((0, 0, 1.0), 256.0), scaling.entry((0, 0, 1.0), 16.0));
    }

    #[test]
    fn zero_matrices_and_extreme_entries_give_finite_factors() {
        let problem = MatrixInequality {
            dimension: 2,
            constant: symmetric([]),
            coefficients: vec![symmetric([]), symmetric([(0, 0, 1e-300), (1, 0, 1e300), (1, 1, 0.0)])],
            objective: vec![1.0, 0.0],
            nonnegative: vec![true, false],
        };
        for scaling in [Scaling::of(&problem), Scaling::at_point(&problem, &[f64::MAX, 0.0])] {
            let factors = scaling.coordinates.iter().chain(&scaling.variables);
            assert!(factors.chain([&scaling.objective]).all(|f| f.is_normal()));
        }
    }
}
