//! One row, or a sum of several, bounded with everything that is free at once: slopes of unstable ReLUs, multipliers of fixed
//! phases and the weights of the rows, by projected gradient ascent.
//!
//! All derivatives are taken at the point of the relaxed network where the bound is attained: a slope's is the coefficient times
//! the operand there, a multiplier's how far its phase is violated, a weight's the row's own value.

use std::collections::BTreeMap;

use super::primal::Primal;
use crate::kernel::model::ir::{Function, NodeId, Op};
use crate::kernel::region::bounds::{Analysis, Hints, LinearRows, Relaxation, Slopes, Trace, Vectorise};

/// What an ascent found: the best of its steps.
#[derive(Clone, Debug)]
pub struct Joint {
    /// A lower bound of the weighted sum of the rows, as a pass gives it: to be judged by whoever knows what is enough.
    pub bound: f64,
    /// Of the rows; their sum is one.
    pub weights: Vec<f64>,
    /// Slopes and multipliers for the sum.
    pub hints: Hints,
    /// The input where the bound is attained in the relaxed network.
    pub input: Vec<f64>,
    /// Unstable ReLUs and what their relaxations lose there and may lose at most, the most first.
    pub losses: Vec<(f64, (NodeId, usize))>,
}

/// Moments of gradients (Adam).
struct Moments {
    mean: Vec<f64>,
    square: Vec<f64>,
}

impl Moments {
    fn new(size: usize) -> Self {
        Self { mean: vec![0.0; size], square: vec![0.0; size] }
    }

    /// Returns the direction of an entry, about one in size.
    fn direction(&mut self, at: usize, gradient: f64, step: i32) -> f64 {
        let (keep_mean, keep_square) = (0.8_f64, 0.98_f64);
        let (mean, square) = (&mut self.mean[at], &mut self.square[at]);
        *mean = keep_mean * *mean + (1.0 - keep_mean) * gradient;
        *square = keep_square * *square + (1.0 - keep_square) * gradient * gradient;
        if *square > 0.0 { *mean / (1.0 - keep_mean.powi(step)) / (*square / (1.0 - keep_square.powi(step))).sqrt() } else { 0.0 }
    }
}

/// The free numbers of an ascent.
struct Free {
    weights: Vec<f64>,
    /// By node; NaN as the least slope where an element has none.
    positions: Vec<(NodeId, Vec<f64>, Vec<f64>, Moments)>,
    /// Operand, element, sign of every fixed phase.
    phases: Vec<(NodeId, usize, f64)>,
    multipliers: Vec<f64>,
    of_multipliers: Moments,
}

/// Raises the bound of the best weighted sum of rows (with their constants) until `enough` or for so many steps. The start has
/// slopes for one row, and multipliers for the phases of the analysis in their order.
pub fn raise_jointly(
    analysis: &Analysis,
    rows: &LinearRows,
    weights: &[f64],
    start: &Hints,
    steps: usize,
    mut enough: impl FnMut(f64, &[f64], &Hints) -> bool,
    vectors: &impl Vectorise,
) -> Option<Joint> {
    let network = analysis.network();
    let output = network.output();
    let mut free = Free::new(analysis, weights, start);
    let mut best: Option<Joint> = None;
    for step in 0..=steps {
        let (row, constant) = free.row(rows);
        let hints = free.hints();
        let mut trace = Trace::default();
        let bound = analysis.backward(output, &row, &hints, Some(&mut trace), vectors).first()? + constant;
        if vectors.interrupted() {
            break;
        }
        let better = best.as_ref().is_none_or(|best| bound > best.bound);
        let last = step == steps || better && bound > 0.0 && enough(bound, &free.weights, &hints);
        if !better && last {
            break;
        }
        let primal = Primal { analysis, trace: &trace, slopes: &hints.rows, rows: 1 };
        let at = primal.values(output);
        let of_output = primal.value(output, &row, &at);
        let values = Attained { at, output: of_output };
        if better {
            let input = values.at.get(&network.input().index()).cloned().unwrap_or_default();
            let losses = losses(analysis, &trace, &values);
            best = Some(Joint { bound, weights: free.weights.clone(), hints, input, losses });
        }
        if last {
            break;
        }
        free.climb(analysis, rows, &trace, &values, step);
    }
    best
}

impl Free {
    fn new(analysis: &Analysis, weights: &[f64], start: &Hints) -> Self {
        let network = analysis.network();
        let mut positions = Vec::new();
        for id in network.ids() {
            let Some(relaxed) = analysis.relaxed(id) else { continue };
            let Relaxation::Elementwise(lines) = &relaxed.relaxation else { continue };
            if lines.least_slope.iter().all(|least| least.is_nan()) {
                continue;
            }
            let x = analysis.node(network.node(id).operands[0]);
            let usual = || x.iter().map(|x| f64::from(u8::from(x.upper > -x.lower))).collect();
            let first = start.rows.get(id).filter(|given| given.len() == x.len()).map_or_else(usual, <[f64]>::to_vec);
            let moments = Moments::new(first.len());
            positions.push((id, lines.least_slope.clone(), first, moments));
        }
        let phases: Vec<(NodeId, usize, f64)> = analysis
            .phases()
            .iter()
            .map(|(&(relu, element), &active)| (network.node(relu).operands[0], element, if active { 1.0 } else { -1.0 }))
            .collect();
        let mut multipliers = start.multipliers.clone();
        multipliers.resize(phases.len(), 0.0);
        let of_multipliers = Moments::new(phases.len());
        Self { weights: weights.to_vec(), positions, phases, multipliers, of_multipliers }
    }

    fn row(&self, rows: &LinearRows) -> (Vec<f64>, f64) {
        let outputs = rows.coefficients.len() / rows.constants.len().max(1);
        let mut sum = vec![0.0; outputs];
        for (row, weight) in rows.coefficients.chunks_exact(outputs.max(1)).zip(&self.weights) {
            sum.iter_mut().zip(row).for_each(|(sum, c)| *sum += weight * c);
        }
        (sum, rows.constants.iter().zip(&self.weights).map(|(c, w)| c * w).sum())
    }

    fn hints(&self) -> Hints {
        let mut rows = Slopes::default();
        self.positions.iter().for_each(|(id, _, positions, _)| rows.set(*id, positions.clone()));
        Hints { rows, multipliers: self.multipliers.clone(), ..Hints::default() }
    }

    /// One step uphill, from the values in the relaxed network of the operands and of the output.
    fn climb(&mut self, analysis: &Analysis, rows: &LinearRows, trace: &Trace, values: &Attained, step: usize) {
        let network = analysis.network();
        let (step, rate) = (step as i32 + 1, 0.9_f64.powi(step as i32));
        for (id, least, positions, moments) in &mut self.positions {
            let operand = network.node(*id).operands[0];
            let (Some(lambda), Some(z)) = (trace.coefficients.get(&id.index()), values.at.get(&operand.index())) else {
                continue;
            };
            for at in (0..positions.len()).filter(|&at| !least[at].is_nan()) {
                let gradient = if lambda[at] > 0.0 { lambda[at] * z[at] * (1.0 - least[at]) } else { 0.0 };
                let direction = moments.direction(at, gradient, step);
                positions[at] = (positions[at] + 0.4 * rate * direction).clamp(0.0, 1.0);
            }
        }
        for (at, &(operand, element, sign)) in self.phases.iter().enumerate() {
            let (Some(lambda), Some(z)) = (trace.coefficients.get(&operand.index()), values.at.get(&operand.index())) else {
                continue;
            };
            // Multipliers are measured against the coefficients that they are taken from.
            let scale = lambda.iter().map(|l| l.abs()).fold(0.0, f64::max);
            let direction = self.of_multipliers.direction(at, -sign * z[element], step);
            self.multipliers[at] = (self.multipliers[at] + 0.5 * rate * scale * direction).max(0.0);
        }
        let Some(y) = values.output.as_ref().filter(|_| self.weights.len() > 1) else { return };
        // On the simplex: the rows that are large where the sum is least gain.
        let each = rows.coefficients.chunks_exact(y.len().max(1)).zip(&rows.constants);
        let each: Vec<f64> = each.map(|(row, constant)| constant + row.iter().zip(y).map(|(c, y)| c * y).sum::<f64>()).collect();
        let size = each.iter().map(|value| value.abs()).fold(0.0, f64::max);
        if size > 0.0 && size.is_finite() {
            self.weights.iter_mut().zip(&each).for_each(|(weight, value)| *weight *= (2.0 * rate * value / size).exp());
            let sum: f64 = self.weights.iter().sum();
            self.weights.iter_mut().for_each(|weight| *weight /= sum);
        }
    }
}

/// Where a bound is attained in the relaxed network.
struct Attained {
    at: BTreeMap<usize, Vec<f64>>,
    output: Option<Vec<f64>>,
}

/// Returns what the relaxations of unstable ReLUs lose, the most first.
fn losses(analysis: &Analysis, trace: &Trace, values: &Attained) -> Vec<(f64, (NodeId, usize))> {
    let network = analysis.network();
    let mut found = Vec::new();
    for id in network.ids().filter(|&id| network.node(id).op == Op::Function(Function::Relu)) {
        let Some(Relaxation::Elementwise(lines)) = analysis.relaxed(id).map(|relaxed| &relaxed.relaxation) else { continue };
        let operand = network.node(id).operands[0];
        let (Some(lambda), Some(z)) = (trace.coefficients.get(&id.index()), values.at.get(&operand.index())) else { continue };
        let (bounds, y) = (analysis.node(operand), values.at.get(&id.index()));
        for (element, x) in bounds.iter().enumerate().filter(|(j, _)| lines.least_slope.get(*j).is_some_and(|l| !l.is_nan())) {
            let Some(y) = y.map(|y| y[element]) else { continue };
            let (l, z) = (lambda[element], z[element]);
            let most = -x.lower * x.upper / (x.upper - x.lower);
            let loss = l.abs() * (0.2 * most + (y - z.max(0.0)).abs());
            if loss > 0.0 {
                found.push((loss, (id, element)));
            }
        }
    }
    found.sort_by(|a: &(f64, _), b| b.0.total_cmp(&a.0));
    found
}
