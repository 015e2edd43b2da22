//! The dynamic inverse: a sliding window of gradients, for optimisers.

use super::inverse::InverseError;
use crate::pass::derivatives::dot;

/// `F⁻¹` for `F = λI + (1/m) Σ g_i g_iᵀ` over the last m gradients; those not yet seen count as zero.
///
/// A product costs `O(dm + m²)`, replacing the oldest gradient too: the Cholesky factor of `M = mI + GGᵀ/λ` loses its first
/// row and gains a last one.
pub struct Window {
    damping: f64,
    dimension: usize,
    capacity: usize,
    /// Oldest first.
    gradients: std::collections::VecDeque<Vec<f64>>,
    /// The lower factor of `M`, row i of length i + 1.
    factor: Vec<Vec<f64>>,
}

impl Window {
    /// A window of `capacity` gradients m over `dimension` parameters d.
    ///
    /// # Errors
    /// [`InverseError::Damping`], [`InverseError::Empty`].
    pub fn new(capacity: usize, dimension: usize, damping: f64) -> Result<Self, InverseError> {
        if !(damping > 0.0 && damping.is_finite()) {
            return Err(InverseError::Damping(damping));
        }
        if capacity == 0 || dimension == 0 {
            return Err(InverseError::Empty);
        }
        Ok(Self { damping, dimension, capacity, gradients: std::collections::VecDeque::new(), factor: Vec::new() })
    }

    /// Number of gradients in the window.
    #[must_use]
    pub fn len(&self) -> usize {
        self.gradients.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gradients.is_empty()
    }

    /// Adds a gradient; the oldest leaves a full window.
    ///
    /// # Errors
    /// [`InverseError::NotDefinite`] for a gradient that is not finite or does not have d entries; the window is unchanged.
    pub fn push(&mut self, gradient: Vec<f64>) -> Result<(), InverseError> {
        if gradient.len() != self.dimension || !gradient.iter().all(|x| x.is_finite()) {
            return Err(InverseError::NotDefinite { damping: self.damping });
        }
        if self.gradients.len() == self.capacity {
            self.gradients.pop_front();
            self.drop_first();
        }
        let products: Vec<f64> = self.gradients.iter().map(|other| dot(other, &gradient) / self.damping).collect();
        let mut row = self.forward_substitution(&products);
        // At least m: M − mI is positive semidefinite, and so is the Schur complement's share of it.
        let rest = dot(&gradient, &gradient) / self.damping - dot(&row, &row);
        row.push((self.capacity as f64 + rest.max(0.0)).sqrt());
        self.factor.push(row);
        self.gradients.push_back(gradient);
        Ok(())
    }

    /// Without its first row and column `M` has the factor `L'` with `L'L'ᵀ = L₂₂L₂₂ᵀ + l l ᵀ`, `l` the first column.
    fn drop_first(&mut self) {
        self.factor.remove(0);
        let mut column: Vec<f64> = self.factor.iter_mut().map(|row| row.remove(0)).collect();
        for k in 0..self.factor.len() {
            let diagonal = self.factor[k][k];
            let radius = diagonal.hypot(column[k]);
            let (cosine, sine) = (diagonal / radius, column[k] / radius);
            self.factor[k][k] = radius;
            for (row, moved) in self.factor[k + 1..].iter_mut().zip(&mut column[k + 1..]) {
                let entry = row[k];
                row[k] = cosine * entry + sine * *moved;
                *moved = cosine * *moved - sine * entry;
            }
        }
    }

    fn forward_substitution(&self, right: &[f64]) -> Vec<f64> {
        let mut solution: Vec<f64> = Vec::with_capacity(right.len() + 1);
        for (row, value) in self.factor.iter().zip(right) {
            let known = dot(row, &solution);
            solution.push((value - known) / row[solution.len()]);
        }
        solution
    }

    fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut solution = self.forward_substitution(right);
        for i in (0..solution.len()).rev() {
            solution[i] /= self.factor[i][i];
            let value = solution[i];
            solution[..i].iter_mut().zip(&self.factor[i]).for_each(|(x, l)| *x -= value * l);
        }
        solution
    }

    /// `F⁻¹x`.
    #[must_use]
    pub fn product(&self, x: &[f64]) -> Vec<f64> {
        let weights = self.solve(&self.gradients.iter().map(|g| dot(g, x)).collect::<Vec<_>>());
        let mut out: Vec<f64> = x.iter().map(|x| x / self.damping).collect();
        let square = self.damping * self.damping;
        for (gradient, weight) in self.gradients.iter().zip(weights) {
            out.iter_mut().zip(gradient).for_each(|(out, g)| *out -= weight / square * g);
        }
        out
    }

    /// `F⁻¹` times the gradient that came last, by the dual form.
    #[must_use]
    pub fn product_with_last(&self) -> Vec<f64> {
        let mut unit = vec![0.0; self.len()];
        if let Some(last) = unit.last_mut() {
            *last = 1.0;
        }
        let mut out = vec![0.0; self.dimension];
        for (gradient, weight) in self.gradients.iter().zip(self.solve(&unit)) {
            let scale = weight * self.capacity as f64 / self.damping;
            out.iter_mut().zip(gradient).for_each(|(out, g)| *out += scale * g);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::inverse::Inverse;
    use super::*;
    use crate::pass::derivatives::{Panels, Precision};

    /// After any number of replacements the window agrees with the static inverse of what is in it.
    #[test]
    fn a_window_is_the_static_inverse_of_its_contents() {
        let (m, d, damping) = (7, 40, 1e-2);
        let gradient = |i: usize| -> Vec<f64> { (0..d).map(|j| ((i * 31 + j * j) as f64 * 0.37).sin()).collect() };
        let mut window = Window::new(m, d, damping).unwrap();
        let x: Vec<f64> = (0..d).map(|j| (j as f64 * 0.9).cos()).collect();
        for pushed in 0..40 {
            window.push(gradient(pushed)).unwrap();
            if pushed + 1 < m {
                continue;
            }
            let panels = Panels::new(m, d, Precision::Double, usize::MAX).unwrap();
            (0..m).for_each(|i| panels.write(i, &gradient(pushed + 1 - m + i)).unwrap());
            let fixed = Inverse::new(panels, damping).unwrap();
            let expected = fixed.product(&x).unwrap();
            for (a, b) in window.product(&x).iter().zip(&expected) {
                assert!((a - b).abs() < 1e-10 * (1.0 + b.abs()), "{pushed}: {a} {b}");
            }
            let mut unit = vec![0.0; m];
            unit[m - 1] = 1.0;
            for (a, b) in window.product_with_last().iter().zip(fixed.product_in_span(&unit).unwrap()) {
                assert!((a - b).abs() < 1e-11 * (1.0 + b.abs()));
            }
        }
    }

    #[test]
    fn bad_gradients_leave_the_window_as_it_was() {
        let mut window = Window::new(2, 3, 1.0).unwrap();
        window.push(vec![1.0, 2.0, 3.0]).unwrap();
        assert!(window.push(vec![f64::NAN; 3]).is_err() && window.push(vec![1.0]).is_err());
        assert_eq!(window.len(), 1);
        assert!(Window::new(2, 3, 0.0).is_err() && Window::new(0, 3, 1.0).is_err());
    }
}
