//! ℓ1: multipliers for the columns of the inputs.
//!
//! The constant is the largest of the columns', and the program of one column (the transposed network's from ℓ∞, where its
//! rows allow it) gives multipliers that bound every other column too. So few programs are solved: that of the input whose
//! bound is the largest, until it is one that has been solved; nothing can then lower the maximum. Inputs that are not
//! reached in time keep what they have.

use std::cell::RefCell;

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use super::certify::{INFLATIONS, grown};
use super::elimination::for_each_product;
use super::engine::{Found, Search};
use super::pencil::pencil;
use super::{EngineChoice, is_affordable};
use crate::bounds::Intervals;
use crate::certificate::{Inequality, Vector};
use crate::checker::{form, prove_columns};
use crate::form::{Form, FormError, Rows, Segment, admit};
use crate::ir::Network;
use crate::solver::{Candidate, InputNorm, Pencil, Stretch};
use crate::sound::round::max_or_nan;

/// Programs that are solved at most for one maximum.
const PROGRAMS: usize = 40;
/// A column that is larger by less than this is not solved for.
const TOLERANCE: f64 = 1e-6;
/// Multiplier of an input that changes nothing, relative to the largest.
const UNUSED: f64 = 1e-14;
/// What the multipliers of the inputs are enlarged by at points that lie deeper inside.
const INSIDE: f64 = 1e-9;
/// Rounds in which the weights of the outputs follow from the program's worst case, where they are no variables of it.
const ROUNDS: usize = 6;
/// The smallest share of an output in the sum, relative to the largest.
const SHARE: f64 = 1e-6;

/// The largest bound of a column, and what proves that none is larger.
pub struct Bounded {
    pub bound: f64,
    pub inequalities: Vec<Inequality>,
    /// For the column with the largest bound.
    pub found: Found,
}

impl Bounded {
    /// What needs no inequality.
    pub fn known(known: &[f64]) -> Self {
        let bound = known.iter().copied().fold(0.0, max_or_nan);
        Self { bound, inequalities: Vec::new(), found: Found::default() }
    }
}

/// The form and its rows, where inequalities are wanted and affordable.
///
/// # Errors
/// When the network has no form.
pub fn prepare(network: &Network, bounds: Option<&Intervals>, search: &mut Search) -> Result<Option<(Form, Rows)>, FormError> {
    if search.options.engine == EngineChoice::Product {
        return Ok(None);
    }
    let form = form(network, Segment::whole(network), search.options.sorts.into(), bounds)?;
    if !is_affordable(form.dimension - form.inputs, search) {
        return Ok(None);
    }
    if let Err(reason) = admit(&form, &vec![0.0; form.inputs], &vec![0.0; form.groups.len()]) {
        search.notes.push(format!("no matrix inequality: {reason}"));
        return Ok(None);
    }
    let rows = Rows::new(&form)?;
    Ok(Some((form, rows)))
}

/// Weights of the outputs and multipliers of the groups.
struct Point {
    weights: Vec<f64>,
    multipliers: Vec<f64>,
}

/// A point that the checker accepted, with multipliers of the inputs, and the bounds of the columns that it proves.
struct Proved {
    point: Point,
    input_multipliers: Vec<f64>,
    columns: Vec<f64>,
}

struct Columns<'a> {
    form: &'a Form,
    rows: &'a Rows,
    pencil: Pencil,
}

/// Bounds all columns; `known` are bounds that need no inequality.
pub fn bound(form: &Form, rows: &Rows, known: &[f64], search: &mut Search) -> Bounded {
    let columns = Columns { form, rows, pencil: pencil(form, rows, InputNorm::Maximum) };
    let mut best: Vec<f64> = known.to_vec();
    let mut proved: Vec<Proved> = Vec::new();
    let mut solved: Vec<(usize, Found)> = Vec::new();
    let first = || if known.iter().any(|k| k.is_infinite()) { largest(&columns.sizes()) } else { largest(known) };
    let mut next = first();
    while let Some(input) = next.filter(|input| solved.iter().all(|(known, _)| known != input)) {
        let late = search.remaining().is_some_and(|left| left.is_zero());
        if solved.len() >= PROGRAMS || late && !solved.is_empty() {
            search.notes.push(format!(
                "the programs of {} columns were solved before the time or their number ran out: the bound is not the best of \
                 the relaxation",
                solved.len()
            ));
            break;
        }
        (search.progress)(&format!("column of input {input}"));
        let (found, accepted) = columns.solve(input, search);
        for one in &accepted {
            best.iter_mut().zip(&one.columns).for_each(|(best, column)| *best = best.min(*column));
        }
        proved.extend(accepted);
        solved.push((input, found));
        let settled = best[input] * (1.0 + TOLERANCE);
        next = largest(&best).filter(|&other| best[other] > settled);
    }
    let bound = best.iter().copied().fold(0.0, f64::max);
    let mut found = Found::default();
    // Of the column with the largest bound; where that one was not reached, the optimum of the relaxation is not known.
    if let Some(at) = largest(&solved.iter().map(|(input, _)| best[*input]).collect::<Vec<_>>()) {
        let (input, decisive) = solved.swap_remove(at);
        let reached = best[input] * (1.0 + TOLERANCE) >= bound;
        found = Found { relaxation: decisive.relaxation.filter(|_| reached), ..decisive };
    }
    let kept = needed(&proved, known, bound);
    if kept.is_empty() {
        found.candidate = None;
    }
    let inequality = |one: &Proved| Inequality {
        sorts: search.options.sorts,
        input_multipliers: Vector::inline(&one.input_multipliers),
        output_weights: (one.point.weights.len() > 1).then(|| Vector::inline(&one.point.weights)),
        multipliers: Vector::inline(&one.point.multipliers),
    };
    Bounded { bound, inequalities: kept.into_iter().map(inequality).collect(), found }
}

/// Few points without which the bound would be larger.
fn needed<'a>(proved: &'a [Proved], known: &[f64], bound: f64) -> Vec<&'a Proved> {
    let mut kept: Vec<&Proved> = proved.iter().collect();
    let bounds = |kept: &[&Proved]| {
        let least = |(input, known): (usize, &f64)| kept.iter().fold(*known, |least, one| least.min(one.columns[input]));
        known.iter().enumerate().map(least).fold(0.0, f64::max)
    };
    // The last ones are the best.
    let mut position = 0;
    while position < kept.len() {
        let one = kept.remove(position);
        if bounds(&kept) > bound {
            kept.insert(position, one);
            position += 1;
        }
    }
    kept
}

/// The position of the largest value, the first of several.
fn largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).reduce(|best, next| if values[next] > values[best] { next } else { best })
}

impl Columns<'_> {
    /// How much the rows use each input: enough to begin somewhere.
    fn sizes(&self) -> Vec<f64> {
        let mut sizes = vec![0.0; self.pencil.inputs];
        let rows = self.pencil.groups.iter().flat_map(|group| &group.arguments).chain(&self.pencil.outputs);
        for (i, value) in rows.flat_map(Stretch::entries).filter(|(i, _)| *i < self.pencil.inputs) {
            sizes[i] += value * value;
        }
        sizes
    }

    /// Solves the program of one column. Every point that the checker accepts on the way bounds all columns.
    fn solve(&self, input: usize, search: &mut Search) -> (Found, Vec<Proved>) {
        let column = self.pencil.column(input);
        let accepted = RefCell::new(Vec::new());
        let accept = |points: Vec<Point>| {
            let proved = self.certify(points)?;
            let (bound, multipliers) = (proved.columns[input], proved.point.multipliers.clone());
            accepted.borrow_mut().push(proved);
            Some(Candidate { input_multipliers: vec![bound * bound], multipliers })
        };
        let found = if column.outputs.len() == 1 {
            let point = |point: &Candidate| Point { weights: vec![1.0], multipliers: point.multipliers.clone() };
            search.find_in(&column, Vec::new(), &|path: &[Candidate]| accept(path.iter().map(point).collect()))
        } else if let Some(transposed) = column.transposed_from_maximum() {
            let point = |point: &Candidate| {
                let (weights, multipliers) = transposed.weighted_point(point);
                Point { weights, multipliers }
            };
            search.find_in(&transposed, Vec::new(), &|path: &[Candidate]| accept(path.iter().map(point).collect()))
        } else {
            self.weighted(input, &column, search, &accept)
        };
        (found, accepted.into_inner())
    }

    /// Rounds of the program from ℓ2 with given weights of the outputs: the worst case of one gives the weights of the next,
    /// `ω_k ∝ 1/|y_k|`, with which Cauchy and Schwarz lose nothing there.
    fn weighted(
        &self,
        input: usize,
        column: &Pencil,
        search: &mut Search,
        accept: &dyn Fn(Vec<Point>) -> Option<Candidate>,
    ) -> Found {
        let weights_of = |outputs: &[f64]| -> Vec<f64> {
            let peak = outputs.iter().fold(f64::MIN_POSITIVE, |peak, y| f64::max(peak, y.abs()));
            let shares: Vec<f64> = outputs.iter().map(|y| y.abs().max(SHARE * peak)).collect();
            let total: f64 = shares.iter().sum();
            shares.into_iter().map(|share| total / share).collect()
        };
        let size = |row: &Stretch| row.values.iter().map(|value| value * value).sum::<f64>().sqrt();
        let mut weights = weights_of(&column.outputs.iter().map(size).collect::<Vec<_>>());
        let mut best = Found::default();
        for _ in 0..ROUNDS {
            let scaled = |(row, weight): (&Stretch, &f64)| Stretch {
                start: row.start,
                values: row.values.iter().map(|value| value * weight.sqrt()).collect(),
            };
            let outputs = column.outputs.iter().zip(&weights).map(scaled).collect();
            let program = Pencil { outputs, ..column.clone() };
            let point = |point: &Candidate| Point { weights: weights.clone(), multipliers: point.multipliers.clone() };
            let found = search.find_in(&program, Vec::new(), &|path: &[Candidate]| accept(path.iter().map(point).collect()));
            let Some((candidate, _)) = &found.candidate else { break };
            let known = best.candidate.as_ref().map_or(f64::INFINITY, |(known, _)| known.squared_bound());
            let improved = candidate.squared_bound() < known * (1.0 - TOLERANCE);
            let next = self.worst_case(input, &point(candidate)).map(|outputs| weights_of(&outputs));
            // The relaxation's optimum is that of given weights only.
            best = if improved { Found { relaxation: None, ..found } } else { best };
            match next {
                Some(next) if improved => weights = next,
                _ => break,
            }
        }
        best
    }

    /// The best accepted point on or near a path of points, the last of which is the solver's answer.
    fn certify(&self, mut points: Vec<Point>) -> Option<Proved> {
        let answer = points.pop()?;
        let near = INFLATIONS.into_iter().find_map(|inflation| {
            let multipliers = grown(&self.pencil, &answer.multipliers, inflation);
            self.prove(Point { weights: answer.weights.clone(), multipliers }, inflation)
        });
        near.or_else(|| points.into_iter().rev().find_map(|point| self.prove(point, INSIDE)))
    }

    /// The least multipliers of the inputs for a point, a little enlarged, where the checker accepts them.
    fn prove(&self, point: Point, inflation: f64) -> Option<Proved> {
        let least = self.blocks(&point).least()?;
        let peak = least.iter().copied().fold(0.0, f64::max);
        let enlarged = |tau: f64| tau.max(UNUSED * peak) * (1.0 + 2.0 * inflation) + f64::MIN_POSITIVE;
        let input_multipliers: Vec<f64> = least.into_iter().map(enlarged).collect();
        let columns = prove_columns(self.form, self.rows, &input_multipliers, &point.weights, &point.multipliers).ok()?;
        Some(Proved { point, input_multipliers, columns })
    }

    /// The outputs where the form of one column is at its least.
    fn worst_case(&self, input: usize, point: &Point) -> Option<Vec<f64>> {
        let blocks = self.blocks(point);
        let bounded = blocks.solution()?;
        let inputs = self.pencil.inputs;
        let value = |(i, value): (usize, f64)| match i.checked_sub(inputs) {
            Some(i) => value * bounded[(i, input)],
            None if i == input => value,
            None => 0.0,
        };
        Some(self.pencil.outputs.iter().map(|row| row.entries().map(value).sum()).collect())
    }

    /// `Cᵀ·diag(ω)·C + Σ_g λ_g·Q_g`, as far as the columns need it.
    fn blocks(&self, point: &Point) -> Blocks {
        let (inputs, bounded) = (self.pencil.inputs, self.pencil.dimension - self.pencil.inputs);
        let mut blocks =
            Blocks { diagonal: vec![0.0; inputs], coupling: Mat::zeros(bounded, inputs), pivot: Mat::zeros(bounded, bounded) };
        for (row, &weight) in self.pencil.outputs.iter().zip(&point.weights) {
            blocks.add(row, row, weight);
        }
        for (group, &multiplier) in self.pencil.groups.iter().zip(&point.multipliers) {
            for_each_product(group, multiplier, |left, right, weight| blocks.add(left, right, weight));
        }
        blocks
    }
}

/// A form as its diagonal on the inputs, what couples these with the other coordinates, and its negative on those.
struct Blocks {
    diagonal: Vec<f64>,
    coupling: Mat<f64>,
    pivot: Mat<f64>,
}

impl Blocks {
    fn add(&mut self, left: &Stretch, right: &Stretch, weight: f64) {
        if weight == 0.0 {
            return;
        }
        let inputs = self.diagonal.len();
        let bounded = left.values.get(inputs.saturating_sub(left.start)..).unwrap_or_default();
        let first = left.start.saturating_sub(inputs);
        for (j, value) in right.entries() {
            let (target, weight) = match j.checked_sub(inputs) {
                Some(j) => (self.pivot.col_as_slice_mut(j), -weight * value),
                None => {
                    self.diagonal[j] += weight * value * left.at(j);
                    (self.coupling.col_as_slice_mut(j), weight * value)
                }
            };
            target[first..].iter_mut().zip(bounded).for_each(|(entry, a)| *entry += weight * a);
        }
    }

    /// Where the form is at its largest, per input at one. `None` unless the pivot is positive definite.
    fn solution(&self) -> Option<Mat<f64>> {
        if self.pivot.nrows() == 0 {
            return Some(Mat::zeros(0, self.diagonal.len()));
        }
        Some(self.pivot.llt(Side::Lower).ok()?.solve(&self.coupling))
    }

    /// The form's maximum over all other coordinates, per input at one.
    fn least(&self) -> Option<Vec<f64>> {
        let solution = self.solution()?;
        let gain = |j: usize| (0..solution.nrows()).map(|i| self.coupling[(i, j)] * solution[(i, j)]).sum::<f64>();
        let least: Vec<f64> = self.diagonal.iter().enumerate().map(|(j, own)| own + gain(j)).collect();
        least.iter().all(|value| value.is_finite()).then_some(least)
    }
}
