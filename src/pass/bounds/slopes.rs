//! Slopes by projected gradient ascent with momentum (Adam), every row for itself or shared by many rows.
//!
//! The bound of a row is piecewise linear in the slopes. Where the coefficient `λ_j` of an unstable ReLU is positive its
//! derivative with respect to the slope is `λ_j·z_j`, with `z_j` the operand's value in the relaxed network at the corner of
//! the box where the bound is attained.

use std::collections::BTreeMap;

use super::primal::Primal;
use crate::kernel::model::ir::NodeId;
use crate::kernel::region::bounds::{
    Advisor, Analysis, BoundsError, Hints, LinearBounds, LinearRows, NodeBounds, Phases, Refinement, Region, Relaxation, Side,
    Slopes, Trace, Vectorise,
};

/// How long to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Ascent steps for the rows that are asked for.
    pub rows: usize,
    /// Ascent steps for every refined node; zero: the usual slopes there.
    pub nodes: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { rows: 20, nodes: 0 }
    }
}

/// What a search found.
pub struct Optimised {
    /// Proved lower bounds of the rows.
    pub bounds: Vec<f64>,
    /// What lets a checker prove them again.
    pub hints: Hints,
}

/// Lower bounds of rows over the outputs, with searched slopes.
///
/// # Errors
/// [`BoundsError`], naming the node.
pub fn optimise(
    prepared: &LinearBounds,
    region: &Region,
    phases: &Phases,
    rows: &LinearRows,
    effort: Effort,
    vectors: &impl Vectorise,
) -> Result<Optimised, BoundsError> {
    let mut hints = Hints::default();
    let mut search = Search { steps: effort.nodes, vectors, hints: &mut hints };
    let analysis = prepared.analyse(region, phases, Refinement::Backward, &mut search, vectors)?;
    let output = analysis.network().output();
    hints.rows = ascend(&analysis, output, &rows.coefficients, false, effort.rows, vectors);
    let bounds = analysis.lower_bounds(rows, &hints, vectors);
    Ok(Optimised { bounds, hints })
}

/// Finds slopes for the nodes as they are refined, and remembers them.
struct Search<'a, M> {
    steps: usize,
    vectors: &'a M,
    hints: &'a mut Hints,
}

impl<M: Vectorise> Advisor for &mut Search<'_, M> {
    fn slopes(&mut self, analysis: &Analysis, node: NodeId, elements: &[usize], side: Side) -> Option<Slopes> {
        if self.steps == 0 {
            return None;
        }
        let size = analysis.network().node(node).size();
        let mut rows = vec![0.0; elements.len() * size];
        let sign = if side == Side::Upper { -1.0 } else { 1.0 };
        elements.iter().enumerate().for_each(|(row, &j)| rows[row * size + j] = sign);
        let flexible: usize = flexible(analysis, node, 1).iter().map(|v| v.positions.len()).sum();
        let shared = flexible * elements.len() > MOST_POSITIONS;
        let slopes = ascend(analysis, node, &rows, shared, self.steps, self.vectors);
        if slopes.is_empty() {
            return None;
        }
        let kept = match side {
            Side::Upper => &mut self.hints.upper,
            Side::Lower => &mut self.hints.lower,
        };
        kept.insert(node, slopes.clone());
        Some(slopes)
    }
}

/// With more positions than this, the rows of a node share theirs.
const MOST_POSITIONS: usize = 1 << 22;

/// The positions of one node's slopes while they are searched.
struct Variable {
    node: NodeId,
    least: Vec<f64>,
    positions: Vec<f64>,
    mean: Vec<f64>,
    square: Vec<f64>,
}

/// The best slopes met within so many steps; empty where nothing is flexible.
fn ascend(analysis: &Analysis, start: NodeId, rows: &[f64], shared: bool, steps: usize, vectors: &impl Vectorise) -> Slopes {
    let count = rows.len().checked_div(analysis.network().node(start).size()).unwrap_or(0);
    let copies = if shared { 1 } else { count };
    let mut variables = flexible(analysis, start, copies);
    let mut best = Best::default();
    if variables.is_empty() || count == 0 {
        return best.slopes;
    }
    for step in 0..=steps {
        let mut hints = Hints::default();
        variables.iter().for_each(|v| hints.rows.set(v.node, v.positions.clone()));
        let mut trace = Trace::default();
        let bounds = analysis.backward(start, rows, &hints, Some(&mut trace), vectors);
        best.keep(&bounds, &hints.rows, shared, &variables);
        if step == steps || vectors.interrupted() {
            break;
        }
        let values = Primal { analysis, trace: &trace, slopes: &hints.rows, rows: count }.values(start);
        // Large steps first, and none that is lost in the end.
        let rate = 0.4 * 0.9_f64.powi(step as i32);
        for variable in &mut variables {
            let operand = analysis.network().node(variable.node).operands[0];
            let (Some(lambda), Some(x)) = (trace.coefficients.get(&variable.node.index()), values.get(&operand.index())) else {
                continue;
            };
            variable.climb(lambda, x, rate, step as i32 + 1);
        }
    }
    best.slopes
}

/// The unstable nodes before `start`, with the usual slopes.
fn flexible(analysis: &Analysis, start: NodeId, copies: usize) -> Vec<Variable> {
    let network = analysis.network();
    let mut variables = Vec::new();
    for id in network.ids().take(start.index()) {
        let Some(relaxed) = analysis.relaxed(id) else { continue };
        let Relaxation::Elementwise(lines) = &relaxed.relaxation else { continue };
        if lines.least_slope.iter().all(|least| least.is_nan()) {
            continue;
        }
        let usual = |x: &NodeBounds| -> Vec<f64> { x.iter().map(|x| f64::from(u8::from(x.upper > -x.lower))).collect() };
        let positions = usual(analysis.node(network.node(id).operands[0])).repeat(copies);
        let zero = vec![0.0; positions.len()];
        variables.push(Variable { node: id, least: lines.least_slope.clone(), positions, mean: zero.clone(), square: zero });
    }
    variables
}

impl Variable {
    /// One step uphill.
    fn climb(&mut self, lambda: &[f64], x: &[f64], rate: f64, step: i32) {
        let mut gradient = vec![0.0; self.positions.len()];
        let size = self.least.len();
        for (at, (&l, &x)) in lambda.iter().zip(x).enumerate() {
            if l > 0.0 && !self.least[at % size].is_nan() {
                let to = at % gradient.len();
                gradient[to] += l * x * (1.0 - self.least[at % size]);
            }
        }
        let (keep_mean, keep_square) = (0.9_f64, 0.999_f64);
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for ((position, (mean, square)), g) in self.positions.iter_mut().zip(moments).zip(gradient) {
            *mean = keep_mean * *mean + (1.0 - keep_mean) * g;
            *square = keep_square * *square + (1.0 - keep_square) * g * g;
            if *square > 0.0 {
                let direction = *mean / (1.0 - keep_mean.powi(step)) / (*square / (1.0 - keep_square.powi(step))).sqrt();
                *position = (*position + rate * direction).clamp(0.0, 1.0);
            }
        }
    }
}

/// The best slopes so far: row by row, or for the sum of all rows.
#[derive(Default)]
struct Best {
    bounds: Vec<f64>,
    slopes: Slopes,
}

impl Best {
    fn keep(&mut self, bounds: &[f64], slopes: &Slopes, shared: bool, variables: &[Variable]) {
        if self.bounds.is_empty() {
            (self.bounds, self.slopes) = (bounds.to_vec(), slopes.clone());
            return;
        }
        if shared {
            if bounds.iter().sum::<f64>() > self.bounds.iter().sum::<f64>() {
                (self.bounds, self.slopes) = (bounds.to_vec(), slopes.clone());
            }
            return;
        }
        let better: BTreeMap<usize, f64> = bounds
            .iter()
            .zip(&self.bounds)
            .enumerate()
            .filter(|(_, (new, old))| new > old)
            .map(|(row, (&new, _))| (row, new))
            .collect();
        for (&row, &bound) in &better {
            self.bounds[row] = bound;
        }
        for variable in variables {
            let size = variable.least.len();
            let Some(kept) = self.slopes.get(variable.node) else { continue };
            let mut kept = kept.to_vec();
            for &row in better.keys() {
                kept[row * size..(row + 1) * size].copy_from_slice(&variable.positions[row * size..(row + 1) * size]);
            }
            self.slopes.set(variable.node, kept);
        }
    }
}
