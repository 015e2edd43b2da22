//! The data of a Lipschitz program, as every engine sees it: plain `f64` rows.

use crate::sound::round::sum_up;

/// The norm of the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputNorm {
    /// One multiplier for all inputs.
    Euclidean,
    /// One multiplier for each input.
    Maximum,
}

/// A dense stretch of a vector, zero elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    pub start: usize,
    pub values: Vec<f64>,
}

/// One multiplier's rows: `−αβ‖Vz‖² + (α+β)⟨Vz, Yz⟩ − ‖Yz‖²`.
#[derive(Clone, Debug)]
pub struct PencilGroup {
    pub alpha: f64,
    pub beta: f64,
    pub arguments: Vec<Stretch>,
    pub results: Vec<Stretch>,
    /// Groups of the same depth do not feed each other.
    pub depth: u32,
}

/// `F(τ, λ)` as data: `τ` on the first `inputs` coordinates, minus the outputs' squares, minus the groups' forms.
#[derive(Clone, Debug)]
pub struct Pencil {
    pub norm: InputNorm,
    pub inputs: usize,
    pub dimension: usize,
    pub groups: Vec<PencilGroup>,
    pub outputs: Vec<Stretch>,
}

/// A point of the program: the multipliers of the inputs, one or as many as inputs, and one per group.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub input_multipliers: Vec<f64>,
    pub multipliers: Vec<f64>,
}

impl Candidate {
    /// What the point proves where it is feasible: the sum of the inputs' multipliers, rounded up.
    #[must_use]
    pub fn squared_bound(&self) -> f64 {
        match self.input_multipliers[..] {
            [only] => only,
            _ => sum_up(self.input_multipliers.iter().copied()),
        }
    }
}

impl Stretch {
    #[must_use]
    pub fn end(&self) -> usize {
        self.start + self.values.len()
    }

    /// The nonzero entries.
    pub fn entries(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        (self.start..).zip(self.values.iter().copied()).filter(|(_, value)| *value != 0.0)
    }

    /// The coordinate of a row that is one coordinate, unscaled.
    #[must_use]
    #[allow(clippy::float_cmp)] // exactly one
    pub fn unit(&self) -> Option<usize> {
        (self.values.len() == 1 && self.values[0] == 1.0).then_some(self.start)
    }
}

impl Pencil {
    /// Number of multipliers of the inputs.
    #[must_use]
    pub const fn input_multipliers(&self) -> usize {
        match self.norm {
            InputNorm::Euclidean => 1,
            InputNorm::Maximum => self.inputs,
        }
    }

    /// Which multiplier an input has.
    #[must_use]
    pub const fn input_multiplier(&self, input: usize) -> usize {
        match self.norm {
            InputNorm::Euclidean => 0,
            InputNorm::Maximum => input,
        }
    }

    /// Scales of the coordinates that bring the matrix at a point near a unit diagonal: `1/√τ` for inputs, `1/√λ` for the
    /// results of groups.
    #[must_use]
    pub fn scales(&self, point: &Candidate) -> Vec<f64> {
        let mut scales = vec![1.0; self.dimension];
        (0..self.inputs).for_each(|i| scales[i] = 1.0 / point.input_multipliers[self.input_multiplier(i)].sqrt());
        for (group, multiplier) in self.groups.iter().zip(&point.multipliers) {
            group.results.iter().filter_map(Stretch::unit).for_each(|i| scales[i] = 1.0 / multiplier.sqrt());
        }
        scales
    }
}
