//! ℓ1: multipliers for the columns of the inputs.
//!
//! The constant is the largest of the columns', and multipliers that are found for some inputs bound every column. Those of
//! the least largest column (`minimax`) serve all of them well. Then follow programs of one column (the transposed network's from
//! ℓ∞, where its rows allow it), that of the input whose bound is the largest, until it is one that has been solved; nothing
//! can then lower the maximum. Inputs that are not reached keep what they have.

use std::cell::RefCell;

use super::blocks::{Blocks, Point};
use super::certify::{INFLATIONS, grown};
use super::elimination::feasible;
use super::engine::{Engine, Found, Search};
use super::pencil::pencil;
use super::{EngineChoice, affordable, minimax};
use crate::kernel::lipschitz::form::{Form, FormError, Rows, admit};
use crate::kernel::lipschitz::prove_columns;
use crate::kernel::model::ir::Network;
use crate::kernel::proof::{Inequality, Vector};
use crate::kernel::region::bounds::Intervals;
use crate::kernel::sound::round::max_or_nan;
use crate::solver::{Candidate, InputNorm, Pencil, Stretch, interior_point};

/// Seconds that the programs of all maxima together may be predicted to take where nobody limits them.
const PATIENCE: f64 = 30.0;
/// Seconds that a program takes beside the interior point, and programs that are solved in any case.
const LEAST: (f64, usize) = (0.02, 4);
/// Multipliers that one maximum may write into a certificate.
const NUMBERS: usize = 1 << 20;
/// A column that is larger by less than this is not solved for.
const TOLERANCE: f64 = 1e-6;
/// Multiplier of an input that changes nothing, relative to the largest.
const UNUSED: f64 = 1e-14;
/// Told once, whatever the number of maxima.
const UNFINISHED: &str =
    "not all columns that decide a bound were solved for within the limits: with `--timeout` the search goes on";
/// The share of the pivot's diagonal that rounding may take, per square of its order.
const ROUNDING: f64 = 4.0 * f64::EPSILON;
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
    let Some(form) = affordable(network, bounds, search)? else { return Ok(None) };
    if let Err(reason) = admit(&form, &vec![0.0; form.inputs], &vec![0.0; form.groups.len()]) {
        search.notes.push(format!("no matrix inequality: {reason}"));
        return Ok(None);
    }
    let rows = Rows::new(&form)?;
    Ok(Some((form, rows)))
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

/// Bounds all columns; `known` are bounds that need no inequality. It is one of so many maxima that are sought.
pub fn bound(form: &Form, rows: &Rows, known: &[f64], maxima: usize, search: &mut Search) -> Bounded {
    let columns = Columns { form, rows, pencil: pencil(form, rows, InputNorm::Maximum) };
    let programs = columns.programs(maxima, search);
    let mut best: Vec<f64> = known.to_vec();
    (search.progress)("all columns");
    let mut proved: Vec<Proved> = columns.common(maxima, search).into_iter().collect();
    for one in &proved {
        best.iter_mut().zip(&one.columns).for_each(|(best, column)| *best = best.min(*column));
    }
    let mut solved: Vec<(usize, Found)> = Vec::new();
    let mut next =
        if proved.is_empty() && known.iter().any(|k| k.is_infinite()) { largest(&columns.sizes()) } else { largest(&best) };
    while let Some(input) = next.filter(|input| solved.iter().all(|(known, _)| known != input)) {
        let late = search.remaining().is_some_and(|left| left.is_zero());
        if solved.len() >= programs || late && !solved.is_empty() {
            if search.notes.iter().all(|note| note != UNFINISHED) {
                search.notes.push(UNFINISHED.to_owned());
            }
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
    let (mut found, mut reached) = (Found::default(), false);
    // Of the column with the largest bound; where that one was not reached, the optimum of the relaxation is not known.
    if let Some(at) = largest(&solved.iter().map(|(input, _)| best[*input]).collect::<Vec<_>>()) {
        let (input, decisive) = solved.swap_remove(at);
        reached = best[input] * (1.0 + TOLERANCE) >= bound;
        found = Found { relaxation: decisive.relaxation.filter(|_| reached), ..decisive };
    }
    let kept = needed(&proved, known, bound);
    let engine = match &found.candidate {
        _ if kept.is_empty() => None,
        Some((_, engine)) if reached => Some(*engine),
        _ => Some(Engine::Minimax),
    };
    let point = |engine| (Candidate { input_multipliers: vec![bound * bound], multipliers: Vec::new() }, engine);
    found.candidate = engine.map(point);
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

    /// How many programs of single columns may be solved; no clock says so, for the same question has the same answer.
    fn programs(&self, maxima: usize, search: &Search) -> usize {
        let order = self.pencil.dimension - self.pencil.inputs + self.pencil.outputs.len();
        let numbers = NUMBERS / (self.pencil.inputs + order).max(1);
        let seconds = interior_point::predicted_seconds(order) + LEAST.0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // positive; saturates
        let in_time = (PATIENCE / (seconds * maxima as f64)) as usize;
        if search.deadline.is_limited() { numbers } else { numbers.min(in_time) }.max(LEAST.1)
    }

    /// Multipliers that bound all columns together: the least largest column, or where that takes too long those of the
    /// program from ℓ2.
    fn common(&self, maxima: usize, search: &mut Search) -> Option<Proved> {
        let seconds = minimax::predicted_seconds(&self.pencil) * maxima as f64;
        let affordable = search.remaining().map_or(seconds <= PATIENCE, |left| seconds <= left.as_secs_f64());
        if affordable
            && let Some(start) = feasible(&self.pencil)
            && let Some(point) = minimax::solve(&self.pencil, &start.multipliers, search.deadline)
            && let Some(proved) = self.certify(vec![point])
        {
            return Some(proved);
        }
        let (candidate, _) = search.find(self.form, self.rows, InputNorm::Euclidean, &[]).candidate?;
        self.certify(vec![Point { weights: vec![1.0; self.pencil.outputs.len()], multipliers: candidate.multipliers }])
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
        let blocks = Blocks::new(&self.pencil, &point);
        let solution = blocks.solution()?;
        let least = blocks.least(&solution)?;
        // About what the proof of definiteness takes from a scaled diagonal.
        let room = blocks.room(&solution, ROUNDING * (blocks.pivot.nrows() as f64).powi(2));
        let peak = least.iter().copied().fold(0.0, f64::max);
        let enlarged = |(tau, room): (f64, f64)| tau.max(UNUSED * peak) * (1.0 + 2.0 * inflation) + room + f64::MIN_POSITIVE;
        let input_multipliers: Vec<f64> = least.into_iter().zip(room).map(enlarged).collect();
        let columns = prove_columns(self.rows, &input_multipliers, &point.weights, &point.multipliers).ok()?;
        Some(Proved { point, input_multipliers, columns })
    }

    /// The outputs where the form of one column is at its least.
    fn worst_case(&self, input: usize, point: &Point) -> Option<Vec<f64>> {
        let bounded = Blocks::new(&self.pencil, point).solution()?;
        let inputs = self.pencil.inputs;
        let value = |(i, value): (usize, f64)| match i.checked_sub(inputs) {
            Some(i) => value * bounded[(i, input)],
            None if i == input => value,
            None => 0.0,
        };
        Some(self.pencil.outputs.iter().map(|row| row.entries().map(value).sum()).collect())
    }
}
