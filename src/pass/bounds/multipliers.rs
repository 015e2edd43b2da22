//! Multipliers of fixed phases by projected gradient ascent, and which phase to fix next.
//!
//! The derivative of a bound with respect to the multiplier of `±z ≥ 0` is `∓z` at the point of the relaxed network where the
//! bound is attained: where the phase is violated there, its multiplier grows.

use std::collections::BTreeMap;

use super::primal::Primal;
use crate::kernel::model::ir::NodeId;
use crate::kernel::region::bounds::{Analysis, Hints, LinearRows, Relaxation, Trace, Vectorise};

/// The last pass of a search, and the best bounds that were met.
pub struct Raised<'a> {
    analysis: &'a Analysis<'a, 'a>,
    pub bounds: Vec<f64>,
    /// `[rows, phases]`
    pub multipliers: Vec<f64>,
    trace: Trace,
    values: BTreeMap<usize, Vec<f64>>,
}

/// Lower bounds of rows inside the phases that an analysis has fixed, starting from the hints' multipliers, until they are
/// enough.
pub fn raise<'a>(
    analysis: &'a Analysis<'a, 'a>,
    rows: &LinearRows,
    hints: &Hints,
    steps: usize,
    enough: impl Fn(&[f64]) -> bool,
    vectors: &impl Vectorise,
) -> Raised<'a> {
    let network = analysis.network();
    let (output, count) = (network.output(), rows.constants.len());
    let phases: Vec<(NodeId, usize, f64)> = analysis
        .phases()
        .iter()
        .map(|(&(relu, element), &active)| (network.node(relu).operands[0], element, if active { 1.0 } else { -1.0 }))
        .collect();
    let mut now = Hints { rows: hints.rows.clone(), multipliers: hints.multipliers.clone(), ..Hints::default() };
    now.multipliers.resize(count * phases.len(), 0.0);
    let mut search = Search { mean: vec![0.0; now.multipliers.len()], square: vec![0.0; now.multipliers.len()] };
    let mut best = vec![f64::NEG_INFINITY; count];
    let mut kept = now.multipliers.clone();
    let mut step = 0;
    loop {
        let mut trace = Trace::default();
        let bounds = analysis.backward(output, &rows.coefficients, &now, Some(&mut trace), vectors);
        for (row, (&bound, best)) in bounds.iter().zip(&mut best).enumerate() {
            if bound > *best {
                *best = bound;
                let mine = row * phases.len()..(row + 1) * phases.len();
                kept[mine.clone()].copy_from_slice(&now.multipliers[mine]);
            }
        }
        let values = Primal { analysis, trace: &trace, slopes: &now.rows, rows: count }.values(output);
        if step >= steps || phases.is_empty() || enough(&best) || vectors.interrupted() {
            return Raised { analysis, bounds: best, multipliers: kept, trace, values };
        }
        step += 1;
        search.climb(&mut now.multipliers, &phases, &trace, &values, step);
    }
}

/// Moments of the gradients (Adam).
struct Search {
    mean: Vec<f64>,
    square: Vec<f64>,
}

impl Search {
    fn climb(
        &mut self,
        multipliers: &mut [f64],
        phases: &[(NodeId, usize, f64)],
        trace: &Trace,
        values: &BTreeMap<usize, Vec<f64>>,
        step: usize,
    ) {
        let (keep_mean, keep_square) = (0.8_f64, 0.99_f64);
        let (step, rate) = (step as i32, 0.5 * 0.9_f64.powi(step as i32));
        let rows = multipliers.len() / phases.len().max(1);
        for (column, (operand, element, sign)) in phases.iter().enumerate() {
            let (Some(lambda), Some(z)) = (trace.coefficients.get(&operand.index()), values.get(&operand.index())) else {
                continue;
            };
            let size = z.len().checked_div(rows).unwrap_or(0);
            for row in 0..rows {
                let at = row * phases.len() + column;
                let gradient = -sign * z[row * size + element];
                self.mean[at] = keep_mean * self.mean[at] + (1.0 - keep_mean) * gradient;
                self.square[at] = keep_square * self.square[at] + (1.0 - keep_square) * gradient * gradient;
                if self.square[at] > 0.0 {
                    let mean = self.mean[at] / (1.0 - keep_mean.powi(step));
                    let square = self.square[at] / (1.0 - keep_square.powi(step));
                    // Multipliers are measured against the coefficients that they are taken from.
                    let of_row = &lambda[row * size..(row + 1) * size];
                    let scale = of_row.iter().map(|l| l.abs()).fold(0.0, f64::max);
                    multipliers[at] = (multipliers[at] + rate * scale * mean / square.sqrt()).max(0.0);
                }
            }
        }
    }
}

impl Raised<'_> {
    /// Where a row's bound was attained: an input.
    #[must_use]
    pub fn input(&self, row: usize) -> Option<Vec<f64>> {
        let network = self.analysis.network();
        let size = network.input_size();
        let values = self.values.get(&network.input().index())?;
        values.get(row * size..(row + 1) * size).map(<[f64]>::to_vec)
    }

    /// Unstable ReLUs that cost a row's bound most: what their relaxations lose where the bound was attained, and in the
    /// worst case.
    #[must_use]
    pub fn costly(&self, row: usize, count: usize) -> Vec<(NodeId, usize)> {
        let network = self.analysis.network();
        let mut found: Vec<(f64, NodeId, usize)> = Vec::new();
        for id in network.ids() {
            let Some(relaxed) = self.analysis.relaxed(id) else { continue };
            let Relaxation::Elementwise(lines) = &relaxed.relaxation else { continue };
            if network.node(id).op != crate::kernel::model::ir::Op::Function(crate::kernel::model::ir::Function::Relu) {
                continue;
            }
            let operand = network.node(id).operands[0];
            let (Some(lambda), Some(z)) = (self.trace.coefficients.get(&id.index()), self.values.get(&operand.index())) else {
                continue;
            };
            let bounds = self.analysis.node(operand);
            let size = bounds.len();
            for (element, x) in bounds.iter().enumerate().filter(|(j, _)| lines.least_slope.get(*j).is_some_and(|l| !l.is_nan()))
            {
                let (l, z) = (lambda[row * size + element], z[row * size + element]);
                let chord = x.upper / (x.upper - x.lower);
                let most = -chord * x.lower;
                let loss = if l < 0.0 {
                    -l * (0.2 * most + chord * (z - x.lower) - z.max(0.0)).max(0.0)
                } else {
                    let (_, below, _) = &lines.sides[0];
                    l * (0.2 * most + z.max(0.0) - below[element] * z).max(0.0)
                };
                if loss > 0.0 {
                    found.push((loss, id, element));
                }
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().take(count).map(|(_, id, element)| (id, element)).collect()
    }
}
