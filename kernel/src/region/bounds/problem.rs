//! What is asked of bounds, as values: rows over the outputs on a region with fixed phases, and the hints of whoever asks.

use std::collections::BTreeMap;

use super::analysis::Analysis;
use super::backward::Slopes;
use super::region::Region;
use crate::model::ir::NodeId;

/// Linear functions `coefficients·y + constant` of the network's outputs, one per row.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearRows {
    /// `[rows, outputs]`
    pub coefficients: Vec<f64>,
    /// `[rows]`
    pub constants: Vec<f64>,
}

impl LinearRows {
    /// `y_label − y_j` for every other output `j`, in order.
    #[must_use]
    pub fn margins(outputs: usize, label: usize) -> Self {
        let mut coefficients = Vec::new();
        for other in (0..outputs).filter(|&other| other != label) {
            coefficients.extend((0..outputs).map(|j| f64::from(u8::from(j == label)) - f64::from(u8::from(j == other))));
        }
        Self { coefficients, constants: vec![0.0; outputs.saturating_sub(1)] }
    }

    /// One of the rows.
    #[must_use]
    pub fn row(&self, row: usize) -> Self {
        let outputs = self.coefficients.len() / self.constants.len().max(1);
        let coefficients = self.coefficients[row * outputs..(row + 1) * outputs].to_vec();
        Self { coefficients, constants: vec![self.constants[row]] }
    }

    /// The rows with the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        let negate = |values: &[f64]| values.iter().map(|x| -x).collect();
        Self { coefficients: negate(&self.coefficients), constants: negate(&self.constants) }
    }

    /// Every output, then the negative of every output.
    #[must_use]
    pub fn outputs(outputs: usize) -> Self {
        let unit = |sign: f64, i: usize| (0..outputs).map(move |j| if i == j { sign } else { 0.0 });
        let rows = [1.0, -1.0].into_iter().flat_map(|sign| (0..outputs).map(move |i| (sign, i)));
        Self { coefficients: rows.flat_map(|(sign, i)| unit(sign, i)).collect(), constants: vec![0.0; 2 * outputs] }
    }
}

/// ReLUs whose side is fixed: (node of the ReLU, element, active?). An active one's operand is not negative, another's not
/// positive.
pub type Phases = BTreeMap<(NodeId, usize), bool>;

/// A node of a search: where the inputs are, which phases are fixed, and the rows whose lower bounds are asked for.
#[derive(Clone, Debug)]
pub struct Subproblem {
    pub region: Region,
    pub phases: Phases,
    pub rows: LinearRows,
}

/// Slopes that are worth trying: for the rows, and for the refinement of single nodes from above and from below, shared by
/// all elements or one row for each element that is refined. And what the fixed phases are worth to the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    pub rows: Slopes,
    /// Lagrange multipliers of the fixed phases, `[rows, phases]` in the order of the phases; others than positive numbers
    /// count as zero, and so do multipliers of another number.
    pub multipliers: Vec<f64>,
    pub upper: BTreeMap<NodeId, Slopes>,
    pub lower: BTreeMap<NodeId, Slopes>,
}

impl Hints {
    /// How many numbers they are.
    #[must_use]
    pub fn len(&self) -> usize {
        let slopes = std::iter::once(&self.rows).chain(self.upper.values()).chain(self.lower.values());
        self.multipliers.len() + slopes.flat_map(Slopes::iter).map(|(_, positions)| positions.len()).sum::<usize>()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which bound of a node's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Upper,
    Lower,
}

/// Where the refinement of a node gets its second slopes from, after the usual ones: from a certificate, or from a search.
pub trait Advisor {
    /// Slopes for bounding `elements` of a node on one side; `None` for no second pass.
    fn slopes(&mut self, analysis: &Analysis, node: NodeId, elements: &[usize], side: Side) -> Option<Slopes>;
}

impl Advisor for &Hints {
    fn slopes(&mut self, _: &Analysis, node: NodeId, _: &[usize], side: Side) -> Option<Slopes> {
        match side {
            Side::Upper => self.upper.get(&node).cloned(),
            Side::Lower => self.lower.get(&node).cloned(),
        }
    }
}

/// How much is spent on the bounds of inner nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refinement {
    /// Intervals only, and a backward pass goes no further than through the last linear layer: interval propagation with
    /// the rows merged into that layer (*elision*).
    Boxes,
    /// Intervals only.
    Intervals,
    /// Backward passes for what is unstable.
    #[default]
    Backward,
}
