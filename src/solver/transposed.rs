//! The same Lipschitz program of the transposed network, whose matrix is smaller where a network has fewer outputs than
//! inputs.
//!
//! With `M` the linear map from inputs and results to outputs and arguments, `F(τ, λ) ≻ 0` is a statement about the graph of
//! `M`, and says the same as one about the graph of `Mᵀ` under the inverse of its multiplier (Scherer, *LPV control and full
//! block multipliers*, Automatica 2001, the dualization lemma). The inverse of one group's multiplier is again of its form,
//! with the same slopes, so the transposed program bounds the transposed network, and
//!
//! ```text
//! F(τ, λ) ≻ 0   ⇔   F′(τ, λ′) ≻ 0,        λ′_g = 4τ / ((β_g − α_g)²·λ_g)
//! ```

use super::pencil::{Candidate, InputNorm, Pencil, PencilGroup, Stretch};

impl Pencil {
    /// The program of the transposed network, or `None` where it is not smaller or this one is not of its kind: one multiplier
    /// of all inputs, and every other coordinate the result of exactly one pair.
    #[must_use]
    pub fn transposed(&self) -> Option<Self> {
        let smaller = self.outputs.len() < self.inputs;
        (self.norm == InputNorm::Euclidean && smaller).then(|| self.with_outputs_as_inputs(InputNorm::Euclidean)).flatten()
    }

    /// Of a program with one input the transposed one from ℓ∞: its inputs are the outputs here, each with a multiplier of its
    /// own. `None` where some coordinate is not the result of exactly one pair.
    #[must_use]
    pub fn transposed_from_maximum(&self) -> Option<Self> {
        (self.inputs == 1).then(|| self.with_outputs_as_inputs(InputNorm::Maximum)).flatten()
    }

    fn with_outputs_as_inputs(&self, norm: InputNorm) -> Option<Self> {
        let (inputs, bounded) = (self.outputs.len(), self.dimension - self.inputs);
        let sloped = self.groups.iter().all(|group| group.alpha < group.beta && group.arguments.len() == group.results.len());
        if inputs == 0 || !sloped {
            return None;
        }
        // Columns of the transposed map: what each output, and the argument of each bounded coordinate, takes from all.
        let mut rows: Vec<Option<&Stretch>> = self.outputs.iter().map(Some).collect();
        rows.resize(inputs + bounded, None);
        for group in &self.groups {
            for (argument, result) in group.arguments.iter().zip(&group.results) {
                let own = result.unit()?.checked_sub(self.inputs)?;
                if rows[inputs + own].replace(argument).is_some() {
                    return None;
                }
            }
        }
        let rows: Vec<&Stretch> = rows.into_iter().collect::<Option<_>>()?;
        let column = |j: usize| Stretch::trimmed(&rows.iter().map(|row| row.at(j)).collect::<Vec<_>>());
        let deepest = self.groups.iter().map(|group| group.depth).max().unwrap_or(0);
        let groups = self
            .groups
            .iter()
            .map(|group| {
                let own = || group.results.iter().filter_map(Stretch::unit);
                PencilGroup {
                    alpha: group.alpha,
                    beta: group.beta,
                    arguments: own().map(column).collect(),
                    results: own().map(|i| Stretch { start: inputs + i - self.inputs, values: vec![1.0] }).collect(),
                    depth: deepest + 1 - group.depth,
                }
            })
            .collect();
        let outputs = (0..self.inputs).map(column).collect();
        Some(Self { norm, inputs, dimension: inputs + bounded, groups, outputs })
    }

    /// A point of one of the two programs as the point of the other that proves the same bound. Twice is the identity.
    #[must_use]
    pub fn transposed_point(&self, point: &Candidate) -> Candidate {
        Candidate { input_multipliers: point.input_multipliers.clone(), multipliers: self.transposed_multipliers(point) }
    }

    /// A point of [`Self::transposed_from_maximum`], which this is, as the multipliers of the groups of the program with one
    /// input and the weights `ω` of its outputs: `Σ 1/ω = 1`, and the input's multiplier is the point's squared bound.
    #[must_use]
    pub fn weighted_point(&self, point: &Candidate) -> (Vec<f64>, Vec<f64>) {
        let tau = point.squared_bound();
        (point.input_multipliers.iter().map(|multiplier| tau / multiplier).collect(), self.transposed_multipliers(point))
    }

    fn transposed_multipliers(&self, point: &Candidate) -> Vec<f64> {
        let tau = point.squared_bound();
        let multipliers = self.groups.iter().zip(&point.multipliers);
        multipliers.map(|(group, multiplier)| 4.0 * tau / ((group.beta - group.alpha).powi(2) * multiplier)).collect()
    }
}

impl Stretch {
    /// A row without the zeros at its ends.
    fn trimmed(values: &[f64]) -> Self {
        let start = values.iter().position(|&value| value != 0.0).unwrap_or(0);
        let end = values.iter().rposition(|&value| value != 0.0).map_or(start, |last| last + 1);
        Self { start, values: values[start..end].to_vec() }
    }
}
