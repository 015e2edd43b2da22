//! Slopes and multipliers from the dual values of a [`super::Program`], and what a backward pass makes of them.

use std::collections::BTreeMap;

use crate::kernel::model::ir::NodeId;
use crate::kernel::region::bounds::{Analysis, Hints, Interval, LinearRows, Relaxation, Slopes, Vectorise};

/// Where the dual values of a ReLU are.
pub(super) struct Kind {
    pub relu: (NodeId, usize),
    pub fixed: bool,
    /// Its first inequality: that of the phase; or zero, the operand, the chord.
    pub row: usize,
    pub norm: f64,
    pub unit: f64,
    pub x: Interval,
}

impl Kind {
    pub fn upper(&self, duals: &[f64]) -> f64 {
        duals[self.row + 2].max(0.0) / self.norm
    }
}

/// Dual values whose largest is `size`.
pub(super) fn multiple(duals: &[f64], size: f64) -> Vec<f64> {
    let largest = duals.iter().map(|dual| dual.abs()).fold(0.0, f64::max);
    duals.iter().map(|dual| dual / largest * size).collect()
}

/// Slopes and multipliers from dual values.
pub(super) fn hints(analysis: &Analysis, kinds: &[Kind], duals: &[f64]) -> Hints {
    let network = analysis.network();
    let dual = |row: usize| duals[row].max(0.0);
    let mut multipliers = vec![0.0; analysis.phases().len()];
    let columns: BTreeMap<&(NodeId, usize), usize> = analysis.phases().keys().zip(0..).collect();
    let mut positions: BTreeMap<NodeId, Vec<f64>> = BTreeMap::new();
    for kind in kinds {
        if kind.fixed {
            if let Some(&column) = columns.get(&kind.relu) {
                multipliers[column] = dual(kind.row) / kind.norm;
            }
            continue;
        }
        let (zero, line, chord) = (dual(kind.row) / kind.unit, dual(kind.row + 1) / kind.norm, kind.upper(duals));
        let slope = kind.x.upper / (kind.x.upper - kind.x.lower);
        // All of the coefficient goes through the lower lines where it is positive.
        let coefficient = zero + line - chord;
        let through = if coefficient > 0.0 { ((line - slope * chord) / coefficient).clamp(0.0, 1.0) } else { 0.0 };
        let size = network.node(kind.relu.0).size();
        positions.entry(kind.relu.0).or_insert_with(|| vec![0.0; size])[kind.relu.1] = through;
    }
    let mut rows = Slopes::default();
    for (node, mut positions) in positions {
        if let Some(Relaxation::Elementwise(lines)) = analysis.relaxed(node).map(|relaxed| &relaxed.relaxation) {
            for (position, &least) in positions.iter_mut().zip(&lines.least_slope).filter(|(_, least)| **least < 1.0) {
                *position = ((*position - least) / (1.0 - least)).clamp(0.0, 1.0);
            }
        }
        rows.set(node, positions);
    }
    Hints { rows, multipliers, ..Hints::default() }
}

/// What a backward pass makes of hints.
pub(super) fn bound(analysis: &Analysis, row: &LinearRows, hints: &Hints, vectors: &impl Vectorise) -> Option<f64> {
    analysis.lower_bounds(row, hints, vectors).first().copied()
}
