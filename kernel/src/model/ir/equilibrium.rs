//! Implicit equations `z = φ(A·z + u)`: a solution in `f64`, and the linear systems that their derivatives need.
//!
//! Weights are row-major with `A_ji = weights[i·n + j]`: the row vector `z` times the matrix. Nothing here is a proof.

use super::function::Function;

/// Newton steps for one equation.
const STEPS: usize = 100;
/// Halvings of a Newton step before it counts as no progress.
const HALVINGS: usize = 30;
/// Residuals up to this, relative to the largest of 1 and the unknowns, count as a solution.
const RESIDUAL: f64 = 1e-10;
/// Shortest step along the path from `A = 0`.
const SHORTEST: f64 = 1e-4;
/// Steps along the path that are tried: a point may come from whoever wrote a certificate.
const TRIES: usize = 50;

/// An equation `z = φ(scale·A·z + u)`.
#[derive(Clone, Copy)]
struct Equation<'a> {
    function: &'a Function,
    weights: &'a [f64],
    injection: &'a [f64],
    scale: f64,
}

/// A solution of `z = φ(A·z + u)` to a residual of 1e-10, relative where it is large: by Newton's method with halved steps, and where that stalls along
/// the path from `A = 0`. `None` where none is found.
#[must_use]
pub fn fixed_point(function: &Function, weights: &[f64], injection: &[f64]) -> Option<Vec<f64>> {
    let order = injection.len();
    if weights.len() != order * order {
        return None;
    }
    let at = |scale: f64| Equation { function, weights, injection, scale };
    let start = vec![0.0; order];
    if let Some(found) = at(1.0).newton(start.clone()) {
        return Some(found);
    }
    let (mut reached, mut step) = (0.0, 0.25);
    let mut point = at(0.0).newton(start)?;
    let mut tries = 0;
    while reached < 1.0 && step >= SHORTEST && tries < TRIES {
        tries += 1;
        let next = (reached + step).min(1.0);
        match at(next).newton(point.clone()) {
            Some(found) => (point, reached, step) = (found, next, 2.0 * step),
            None => step *= 0.5,
        }
    }
    (reached >= 1.0).then_some(point)
}

/// `A·z + u`.
#[must_use]
pub fn arguments(weights: &[f64], injection: &[f64], point: &[f64]) -> Vec<f64> {
    let mut arguments = injection.to_vec();
    for (row, z) in weights.chunks_exact(injection.len().max(1)).zip(point) {
        arguments.iter_mut().zip(row).for_each(|(argument, weight)| *argument += z * weight);
    }
    arguments
}

impl Equation<'_> {
    fn arguments(&self, point: &[f64]) -> Vec<f64> {
        let scaled: Vec<f64> = point.iter().map(|z| self.scale * z).collect();
        arguments(self.weights, self.injection, &scaled)
    }

    fn residual(&self, point: &[f64]) -> Vec<f64> {
        self.arguments(point).iter().zip(point).map(|(v, z)| z - self.function.value(*v)).collect()
    }

    /// The solution that Newton's method finds from a point.
    fn newton(&self, mut point: Vec<f64>) -> Option<Vec<f64>> {
        let mut residual = self.residual(&point);
        for _ in 0..STEPS {
            let slopes: Vec<f64> = self.arguments(&point).iter().map(|&v| self.scale * self.function.derivative(v)).collect();
            let step = Resolvent::new(self.weights, &slopes)?.solve(&residual);
            let size = norm(&residual);
            let moved = |share: f64| -> Vec<f64> { point.iter().zip(&step).map(|(z, s)| z - share * s).collect() };
            let tried = (0..HALVINGS).map(|halving| moved(0.5f64.powi(halving as i32)));
            let better = tried.map(|next| (self.residual(&next), next)).find(|(residual, _)| norm(residual) < size);
            let Some((next_residual, next)) = better else { break };
            (point, residual) = (next, next_residual);
        }
        let size = point.iter().fold(1.0, |largest: f64, z| largest.max(z.abs()));
        (norm(&residual) <= RESIDUAL * size).then_some(point)
    }
}

/// The largest magnitude, or NaN where there is one.
fn norm(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest: f64, value| if largest.is_nan() || value.abs() <= largest { largest } else { value.abs() })
}

/// `(I − D·A)⁻¹` for slopes `D`, by Gaussian elimination with partial pivoting.
pub struct Resolvent {
    order: usize,
    /// Factors of the matrix with its rows in the order of the pivots.
    factors: Vec<f64>,
    pivots: Vec<usize>,
}

impl Resolvent {
    /// `None` where the matrix is singular to working precision.
    #[must_use]
    pub fn new(weights: &[f64], slopes: &[f64]) -> Option<Self> {
        let order = slopes.len();
        if weights.len() != order * order {
            return None;
        }
        let entry = |j: usize, i: usize| f64::from(u8::from(i == j)) - slopes[j] * weights[i * order + j];
        let mut factors: Vec<f64> = (0..order * order).map(|at| entry(at / order, at % order)).collect();
        let mut pivots: Vec<usize> = (0..order).collect();
        for k in 0..order {
            let largest = (k..order).max_by(|&a, &b| factors[a * order + k].abs().total_cmp(&factors[b * order + k].abs()))?;
            if largest != k {
                pivots.swap(k, largest);
                (0..order).for_each(|j| factors.swap(k * order + j, largest * order + j));
            }
            let (above, below) = factors.split_at_mut((k + 1) * order);
            let pivot_row = &above[k * order..];
            let pivot = pivot_row[k];
            if !(pivot != 0.0 && pivot.is_finite()) {
                return None;
            }
            for row in below.chunks_exact_mut(order) {
                let factor = row[k] / pivot;
                row[k] = factor;
                if factor != 0.0 {
                    row[k + 1..].iter_mut().zip(&pivot_row[k + 1..]).for_each(|(x, p)| *x -= factor * p);
                }
            }
        }
        Some(Self { order, factors, pivots })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.factors[i * self.order..(i + 1) * self.order]
    }

    /// `(I − D·A)⁻¹·right`.
    #[must_use]
    pub fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = self.pivots.iter().map(|&pivot| right[pivot]).collect();
        for i in 0..self.order {
            let known: f64 = self.row(i)[..i].iter().zip(&x).map(|(l, x)| l * x).sum();
            x[i] -= known;
        }
        for i in (0..self.order).rev() {
            let known: f64 = self.row(i)[i + 1..].iter().zip(&x[i + 1..]).map(|(u, x)| u * x).sum();
            x[i] = (x[i] - known) / self.row(i)[i];
        }
        x
    }

    /// `(I − D·A)⁻ᵀ·right`.
    #[must_use]
    pub fn solve_transposed(&self, right: &[f64]) -> Vec<f64> {
        let mut x = right.to_vec();
        for i in 0..self.order {
            x[i] /= self.row(i)[i];
            let value = x[i];
            x[i + 1..].iter_mut().zip(&self.row(i)[i + 1..]).for_each(|(x, u)| *x -= u * value);
        }
        for i in (0..self.order).rev() {
            let value = x[i];
            x[..i].iter_mut().zip(self.row(i)).for_each(|(x, l)| *x -= l * value);
        }
        let mut result = vec![0.0; self.order];
        self.pivots.iter().zip(x).for_each(|(&pivot, x)| result[pivot] = x);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `A = scale·(sin)` of a given order.
    fn weights(order: usize, scale: f64) -> Vec<f64> {
        (0..order * order).map(|i| scale * (i as f64 * 1.3 + 0.7).sin()).collect()
    }

    #[test]
    fn the_resolvent_and_its_transpose_solve_their_systems() {
        let (order, slopes) = (5, [0.3, 1.0, -0.4, 0.0, 0.9]);
        let weights = weights(order, 1.5);
        let resolvent = Resolvent::new(&weights, &slopes).unwrap();
        let right = [1.0, -2.0, 0.5, 0.25, 3.0];
        let (x, y) = (resolvent.solve(&right), resolvent.solve_transposed(&right));
        let matrix = |j: usize, i: usize| f64::from(u8::from(i == j)) - slopes[j] * weights[i * order + j];
        for (k, expected) in right.iter().enumerate() {
            let row: f64 = (0..order).map(|i| matrix(k, i) * x[i]).sum();
            let column: f64 = (0..order).map(|j| matrix(j, k) * y[j]).sum();
            assert!((row - expected).abs() < 1e-12 && (column - expected).abs() < 1e-12, "{k}: {row} {column}");
        }
        assert!(Resolvent::new(&[1.0], &[1.0]).is_none());
    }

    #[test]
    fn solutions_solve_the_equation_and_a_missing_one_is_not_invented() {
        for function in [Function::Relu, Function::Tanh, Function::LeakyRelu { slope: 0.2 }] {
            // Strongly negative feedback: no contraction, but well posed.
            let mut matrix = weights(6, 0.3);
            (0..6).for_each(|i| matrix[i * 7] -= 4.0);
            let injection: Vec<f64> = (0..6).map(|i| (f64::from(i) * 2.1).cos()).collect();
            let z = fixed_point(&function, &matrix, &injection).unwrap();
            let again: Vec<f64> = arguments(&matrix, &injection, &z).into_iter().map(|v| function.value(v)).collect();
            assert!(z.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-12), "{function:?} {z:?} {again:?}");
        }
        // z = relu(1.5z + 1) has no solution.
        assert_eq!(fixed_point(&Function::Relu, &[1.5], &[1.0]), None);
    }
}
