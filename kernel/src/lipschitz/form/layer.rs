//! Linear layers of a form: the places where signals stop being exact combinations and become named atoms.

use std::ops::Range;

use super::combination::Combination;
use crate::model::ir::ConvGeometry;
use crate::sound::Enclosure;

/// Weights of a linear layer: the numbers of the file, or enclosures of what the file computes from them.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights {
    Exact(Vec<f64>),
    Enclosed(Vec<Enclosure>),
}

impl Weights {
    #[must_use]
    pub fn new(values: &[Enclosure]) -> Self {
        values
            .iter()
            .map(Enclosure::to_f64_exact)
            .collect::<Option<Vec<f64>>>()
            .map_or_else(|| Self::Enclosed(values.to_vec()), Self::Exact)
    }

    /// The weight at a flat index.
    #[must_use]
    pub fn get(&self, index: usize) -> Enclosure {
        match self {
            Self::Exact(values) => values.get(index).map_or(Enclosure::INVALID, |&value| Enclosure::exact(value)),
            Self::Enclosed(values) => values.get(index).copied().unwrap_or(Enclosure::INVALID),
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Exact(values) => values.len(),
            Self::Enclosed(values) => values.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every weight encloses a finite number.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        (0..self.len()).all(|i| self.get(i).magnitude().is_finite())
    }
}

/// Which inputs meet which weights.
#[derive(Clone, Debug, PartialEq)]
pub enum LinearMap {
    /// Inputs `[batch, m, k]`, weights `[batch, k, n]`, outputs `[batch, m, n]`.
    MatMulRight {
        batch: usize,
        m: usize,
        k: usize,
        n: usize,
    },
    /// Weights `[batch, m, k]`, inputs `[batch, k, n]`, outputs `[batch, m, n]`.
    MatMulLeft {
        batch: usize,
        m: usize,
        k: usize,
        n: usize,
    },
    Conv(ConvGeometry),
    /// Output `i` sums the terms `first[i] .. first[i+1]`; term `t` is weight `t` times input `t`.
    Sums {
        first: Vec<usize>,
    },
}

/// One linear layer: `output_i = Σ weight · input`.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearLayer {
    /// Name of the graph node.
    pub node: String,
    pub map: LinearMap,
    pub weights: Weights,
    pub inputs: Vec<Combination>,
    /// The linear atoms that this layer defines.
    pub outputs: Range<u32>,
}

/// A term of an output: indices of an input and of a weight.
pub type Term = (usize, usize);

impl LinearMap {
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self {
            Self::MatMulRight { batch, m, n, .. } | Self::MatMulLeft { batch, m, n, .. } => batch * m * n,
            Self::Conv(geometry) => geometry.output_shape().iter().product(),
            Self::Sums { first } => first.len().saturating_sub(1),
        }
    }

    /// Calls `visit(output, terms)` for every output in order.
    pub fn for_each_output(&self, mut visit: impl FnMut(usize, &[Term])) {
        let mut terms: Vec<Term> = Vec::new();
        match *self {
            Self::MatMulRight { batch, m, k, n } => {
                for output in 0..batch * m * n {
                    let (row, column) = (output / n, output % n);
                    let matrix = row / m;
                    terms.clear();
                    terms.extend((0..k).map(|i| (row * k + i, (matrix * k + i) * n + column)));
                    visit(output, &terms);
                }
            }
            Self::MatMulLeft { batch, m, k, n } => {
                for output in 0..batch * m * n {
                    let (row, column) = (output / n, output % n);
                    let matrix = row / m;
                    terms.clear();
                    terms.extend((0..k).map(|i| ((matrix * k + i) * n + column, row * k + i)));
                    visit(output, &terms);
                }
            }
            Self::Conv(ref geometry) => geometry.for_each_output(|output, taps| {
                terms.clear();
                terms.extend(taps.iter().map(|tap| (tap.input, tap.weight)));
                visit(output, &terms);
            }),
            Self::Sums { ref first } => {
                for (output, bounds) in first.windows(2).enumerate() {
                    terms.clear();
                    terms.extend((bounds[0]..bounds[1]).map(|t| (t, t)));
                    visit(output, &terms);
                }
            }
        }
    }
}
