//! The problem form: one linear matrix inequality.

use super::ClarabelError;

/// A symmetric matrix by its lower triangle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseSymmetric {
    /// `(row, column, value)` with `row >= column`, strictly ascending by
    /// `(row, column)`. An entry off the diagonal stands for both of its mirror
    /// images: the quadratic form has `2·value·x_row·x_column`.
    pub entries: Vec<(u32, u32, f64)>,
}

/// Minimise `c·t` subject to `F(t) = F₀ + Σᵢ tᵢ·Fᵢ ⪰ 0`, and `tᵢ ≥ 0` where asked.
///
/// `F` is symmetric of order N, `t` has m entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MatrixInequality {
    /// N, at least 1.
    pub dimension: usize,
    /// `F₀`, N × N.
    pub constant: SparseSymmetric,
    /// `F₁ … F_m`, each N × N; m is at least 1.
    pub coefficients: Vec<SparseSymmetric>,
    /// c, m numbers.
    pub objective: Vec<f64>,
    /// Which of the m variables are bounded below by zero.
    pub nonnegative: Vec<bool>,
}

impl MatrixInequality {
    /// Checks shapes, order of entries and finiteness.
    ///
    /// # Errors
    ///
    /// [`ClarabelError::Malformed`] with what is wrong and where.
    pub fn validate(&self) -> Result<(), ClarabelError> {
        let malformed = |text: String| Err(ClarabelError::Malformed(text));
        let variables = self.objective.len();
        if variables == 0 || self.dimension == 0 {
            return malformed("no variables, or a matrix of order 0".into());
        }
        if self.coefficients.len() != variables || self.nonnegative.len() != variables {
            return malformed(format!(
                "{variables} objective entries, {} coefficient matrices, {} sign flags",
                self.coefficients.len(),
                self.nonnegative.len()
            ));
        }
        if let Some(index) = self.objective.iter().position(|c| !c.is_finite()) {
            return malformed(format!("objective entry {index} is not finite"));
        }
        self.check_matrix(&self.constant, "constant")?;
        for (index, matrix) in self.coefficients.iter().enumerate() {
            self.check_matrix(matrix, &format!("coefficient {index}"))?;
        }
        Ok(())
    }

    fn check_matrix(&self, matrix: &SparseSymmetric, name: &str) -> Result<(), ClarabelError> {
        let mut previous = None;
        for &(row, column, value) in &matrix.entries {
            let inside = (row as usize) < self.dimension && column <= row;
            if !inside || previous >= Some((row, column)) || !value.is_finite() {
                return Err(ClarabelError::Malformed(format!(
                    "matrix `{name}`, entry ({row}, {column}) = {value}: outside the lower \
                     triangle of order {}, out of order, or not finite",
                    self.dimension
                )));
            }
            previous = Some((row, column));
        }
        Ok(())
    }

    /// The entries of all matrices, without their values; duplicates are possible.
    pub(super) fn pattern(&self) -> impl Iterator<Item = (usize, usize)> {
        std::iter::once(&self.constant)
            .chain(&self.coefficients)
            .flat_map(|matrix| &matrix.entries)
            .filter(|entry| entry.2 != 0.0)
            .map(|&(row, column, _)| (row as usize, column as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> MatrixInequality {
        let entries = vec![(0, 0, 1.0), (1, 0, 2.0), (1, 1, 3.0)];
        MatrixInequality {
            dimension: 2,
            constant: SparseSymmetric::default(),
            coefficients: vec![SparseSymmetric { entries }],
            objective: vec![1.0],
            nonnegative: vec![false],
        }
    }

    #[test]
    fn malformed_problems_are_refused() {
        assert!(valid().validate().is_ok());
        let spoil = |change: &dyn Fn(&mut MatrixInequality)| {
            let mut problem = valid();
            change(&mut problem);
            let refused = matches!(problem.validate(), Err(ClarabelError::Malformed(_)));
            assert!(refused, "{problem:?}");
        };
        spoil(&|p| p.dimension = 0);
        spoil(&|p| p.dimension = 1);
        spoil(&|p| p.objective.push(0.0));
        spoil(&|p| p.nonnegative.clear());
        spoil(&|p| p.objective[0] = f64::NAN);
        spoil(&|p| p.coefficients[0].entries[1].2 = f64::INFINITY);
        spoil(&|p| p.coefficients[0].entries.swap(0, 1));
        spoil(&|p| p.coefficients[0].entries.push((1, 1, 0.0)));
        spoil(&|p| p.constant.entries.push((0, 1, 1.0)));
        assert!(MatrixInequality::default().validate().is_err());
    }
}
