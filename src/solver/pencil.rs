//! The data of a Lipschitz program, as every engine sees it: plain `f64` rows.

use crate::kernel::sound::round::sum_up;

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

    /// The entry at a coordinate.
    #[must_use]
    pub fn at(&self, i: usize) -> f64 {
        i.checked_sub(self.start).and_then(|i| self.values.get(i)).copied().unwrap_or(0.0)
    }

    /// The row on one of the inputs, which becomes coordinate 0, and on all that is no input.
    fn restricted(&self, input: usize, inputs: usize) -> Self {
        let bounded = self.values.get(inputs.saturating_sub(self.start)..).unwrap_or_default();
        let start = 1 + self.start.saturating_sub(inputs);
        let value = if input < inputs { self.at(input) } else { 0.0 };
        if value == 0.0 {
            return Self { start, values: bounded.to_vec() };
        }
        // A row that reaches an input and something bounded reaches all between them.
        Self { start: 0, values: std::iter::once(value).chain(bounded.iter().copied()).collect() }
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

    /// The program of one input alone: increments of the others are zero.
    #[must_use]
    pub fn column(&self, input: usize) -> Self {
        let restrict = |rows: &[Stretch]| rows.iter().map(|row| row.restricted(input, self.inputs)).collect::<Vec<_>>();
        let of_group = |group: &PencilGroup| PencilGroup {
            arguments: restrict(&group.arguments),
            results: restrict(&group.results),
            ..*group
        };
        Self {
            norm: InputNorm::Euclidean,
            inputs: 1,
            dimension: 1 + self.dimension - self.inputs,
            groups: self.groups.iter().map(of_group).collect(),
            outputs: restrict(&self.outputs),
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
