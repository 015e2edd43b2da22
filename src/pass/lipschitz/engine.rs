//! Engines and their choice: multipliers for one form that the checker accepts.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::certify::certify;
use super::pencil::{pencil, transposed};
use super::semidefinite::Program;
use super::{LipschitzOptions, elimination};
use crate::deadline::Deadline;
use crate::kernel::lipschitz::form::{Form, Rows};
use crate::kernel::proof::{Inequality, Sorts, Vector};
use crate::solver::interior_point::{self, InteriorPointOptions};
use crate::solver::{Candidate, ClarabelOptions, InputNorm, Pencil};

/// Which engine looks for multipliers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum EngineChoice {
    /// The interior point, Clarabel where a small program does not converge, one multiplier per layer or segments beyond its reach, by predicted time and memory; without `--timeout` the interior point ends after 80 s on each program with what it has
    #[default]
    Auto,
    /// Clarabel, a general conic solver
    Clarabel,
    /// The structured interior-point method
    InteriorPoint,
    /// The interior point on segments of the network, as long as they are affordable, and the product of their bounds
    Layerwise,
    /// None: the product of norms
    Product,
}

/// Seconds that Clarabel may be predicted to take where the choice is free.
const QUICK: f64 = 1.0;
/// Order of a matrix beyond which Clarabel is not considered where the choice is free.
const QUICK_ORDER: usize = 250;
/// Seconds after which the search over segments, and the interior point where nobody asked for it, end unless there is a limit.
pub const PATIENCE: f64 = 80.0;
/// Where the interior point is predicted to take this many times its time, it would be interrupted too early to be of use.
const HOPELESS: f64 = 3.0;
/// A bound that is larger than the optimum by this factor is not the last word.
const LOOSE: f64 = 1.0001;
/// Relative gap at which the interior point stops.
const GAP: f64 = 1e-6;

/// What found the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Clarabel,
    InteriorPoint,
    /// One multiplier per layer.
    PerLayer,
    /// The multipliers that the engines start from.
    Start,
    /// Newton's method for the columns of all inputs together (ℓ1).
    Minimax,
    /// Inequalities of segments.
    Layerwise,
    NormProduct,
}

impl Engine {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clarabel => "clarabel",
            Self::InteriorPoint => "interior point",
            Self::PerLayer => "one multiplier per layer",
            Self::Start => "feasible start",
            Self::Minimax => "all columns together",
            Self::Layerwise => "interior point by segments",
            Self::NormProduct => "norm product",
        }
    }
}

/// What came of a matrix inequality.
#[derive(Default)]
pub struct Found {
    pub candidate: Option<(Candidate, Engine)>,
    /// Order of the matrix that an engine gets, and number of multipliers; 0 where there was nothing to solve.
    pub order: usize,
    pub multipliers: usize,
    /// Square root of the program's dual value.
    pub relaxation: Option<f64>,
    /// Whether the bound is a product over segments with inequalities of their own.
    pub by_segments: bool,
}

/// A candidate as a witness.
#[must_use]
pub fn inequality(candidate: &Candidate, sorts: Sorts) -> Inequality {
    Inequality {
        sorts,
        input_multipliers: Vector::inline(&candidate.input_multipliers),
        output_weights: None,
        multipliers: Vector::inline(&candidate.multipliers),
    }
}

impl Found {
    /// Did the checker accept something close to the optimum of the relaxation?
    fn is_tight(&self) -> bool {
        let bound = self.candidate.as_ref().map(|(candidate, _)| candidate.squared_bound().sqrt());
        bound.zip(self.relaxation).is_some_and(|(bound, relaxation)| bound <= LOOSE * relaxation)
    }

    /// Takes what an engine proposes, where the checker accepts it and it is better than what is known.
    fn accept(&mut self, (path, relaxation, engine): Proposal, certified: &dyn Fn(&[Candidate]) -> Option<Candidate>) {
        let known = self.candidate.as_ref().map_or(f64::INFINITY, |(known, _)| known.squared_bound());
        if let Some(candidate) = certified(&path).filter(|candidate| candidate.squared_bound() < known) {
            self.candidate = Some((candidate, engine));
            self.relaxation = relaxation.map(|value| value.max(0.0).sqrt()).filter(|value| value.is_finite());
        }
    }
}

/// The limits of a search, and who is told about it.
pub struct Search<'a> {
    pub options: &'a LipschitzOptions,
    /// When the time for all programs is over.
    pub deadline: Deadline,
    pub progress: &'a mut dyn FnMut(&str),
    pub notes: &'a mut Vec<String>,
    /// Was a program not given to the last engine that could have solved it, for want of memory?
    pub short_of_memory: bool,
}

impl Search<'_> {
    /// Multipliers for a form that the checker accepts; `starts` are tried beside backward elimination.
    pub fn find(&mut self, form: &Form, rows: &Rows, norm: InputNorm, starts: &[Candidate]) -> Found {
        let transposed = transposed(form, rows, norm);
        let of_transposed = transposed.is_some();
        let pencil = transposed.unwrap_or_else(|| pencil(form, rows, norm));
        let across = |point: &Candidate| if of_transposed { pencil.transposed_point(point) } else { point.clone() };
        let certified = |path: &[Candidate]| certify(form, rows, norm, &path.iter().map(across).collect::<Vec<_>>());
        self.find_in(&pencil, starts.iter().map(across).collect(), &certified)
    }

    /// The same for a program; `certified` makes of a path of its points one that the checker accepts.
    pub fn find_in(
        &mut self,
        pencil: &Pencil,
        mut starts: Vec<Candidate>,
        certified: &dyn Fn(&[Candidate]) -> Option<Candidate>,
    ) -> Found {
        let mut found = Found { order: pencil.dimension, multipliers: pencil.groups.len(), ..Found::default() };
        starts.extend(elimination::feasible(pencil));
        starts.sort_by(|a, b| a.squared_bound().total_cmp(&b.squared_bound()));
        let Some(start) = starts.first() else {
            self.notes.push("no feasible multipliers were found to start from".to_owned());
            return found;
        };
        let choice = self.options.engine;
        let (notes, short_of_memory) = (self.notes.len(), self.short_of_memory);
        // What the checker refuses counts as not found: the next engine is asked.
        if matches!(choice, EngineChoice::Auto | EngineChoice::InteriorPoint | EngineChoice::Layerwise)
            && let Some(proposal) = self.interior_point(pencil, &starts)
        {
            found.accept(proposal, certified);
        }
        let in_time = self.remaining().is_none_or(|left| !left.is_zero());
        let second = choice == EngineChoice::Auto && in_time && !found.is_tight();
        if (second || choice == EngineChoice::Clarabel)
            && let Some(proposal) = self.clarabel(pencil, start)
        {
            found.accept(proposal, certified);
            // What the second engine made good is no shortcoming.
            if found.is_tight() {
                self.notes.truncate(notes);
                self.short_of_memory = short_of_memory;
            }
        }
        if found.candidate.is_none() {
            (self.progress)("one multiplier per layer");
            let mut feasible: Vec<(Candidate, Engine)> = starts.into_iter().map(|start| (start, Engine::Start)).collect();
            feasible.extend(elimination::per_layer(pencil).map(|point| (point, Engine::PerLayer)));
            feasible.sort_by(|a, b| a.0.squared_bound().total_cmp(&b.0.squared_bound()));
            for (point, engine) in feasible {
                if found.candidate.is_none() {
                    found.accept((vec![point], None, engine), certified);
                }
            }
        }
        found
    }

    /// The time that is left, where it is limited.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.remaining()
    }

    /// Multipliers from Clarabel and its dual value, where it is predicted to fit the limits.
    fn clarabel(&mut self, pencil: &Pencil, start: &Candidate) -> Option<Proposal> {
        let chosen = self.options.engine == EngineChoice::Clarabel;
        if !chosen && pencil.dimension > QUICK_ORDER {
            (self.progress)(&format!("not Clarabel: order {} is above {QUICK_ORDER}", pencil.dimension));
            return None;
        }
        let program = Program::new(pencil, start);
        let prediction = program.as_ref().map(Program::predict);
        let (Some(program), Some(prediction)) = (program, prediction) else {
            if chosen {
                self.notes.push(not_solved(pencil, "Clarabel", "it would be too large to build"));
            }
            return None;
        };
        if !chosen && prediction.predicted_seconds > QUICK {
            let seconds = prediction.predicted_seconds;
            (self.progress)(&format!("not Clarabel: it is predicted to need {seconds:.1} s"));
            return None;
        }
        if prediction.predicted_bytes > self.options.memory {
            let needs = format!("it is predicted to need {:.1} GB", gigabytes(prediction.predicted_bytes));
            self.notes.push(not_solved(pencil, "Clarabel", &needs));
            self.short_of_memory |= chosen;
            return None;
        }
        (self.progress)(&format!(
            "semidefinite program (Clarabel): order {}, {} multipliers, predicted {:.1} s and {:.2} GB",
            pencil.dimension,
            pencil.groups.len(),
            prediction.predicted_seconds,
            gigabytes(prediction.predicted_bytes)
        ));
        let time_limit = self.remaining().map(|left| left.as_secs_f64());
        let settings = ClarabelOptions { time_limit, memory_limit: self.options.memory, ..ClarabelOptions::default() };
        match program.solve(&settings) {
            Ok((candidate, dual_value)) => Some((vec![candidate], dual_value, Engine::Clarabel)),
            Err(error) => {
                self.notes.push(format!("no multipliers from Clarabel: {error}"));
                None
            }
        }
    }

    /// Multipliers from the interior point and its primal value, where it is predicted to fit the memory.
    fn interior_point(&mut self, pencil: &Pencil, starts: &[Candidate]) -> Option<Proposal> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; saturates
        let bytes = interior_point::predicted_bytes(pencil) as u64;
        if bytes > self.options.memory {
            let needs = format!("it is predicted to need {:.1} GB", gigabytes(bytes));
            self.notes.push(not_solved(pencil, "the interior point", &needs));
            self.short_of_memory = true;
            return None;
        }
        let seconds = interior_point::predicted_seconds(pencil.dimension);
        let free = self.options.engine == EngineChoice::Auto && self.options.timeout.is_none();
        if free && seconds > HOPELESS * PATIENCE {
            let needs =
                format!("it is predicted to need {seconds:.0} s; ask for it with `--engine interior-point` or `--timeout`");
            self.notes.push(not_solved(pencil, "the interior point", &needs));
            return None;
        }
        let (order, multipliers) = (pencil.dimension, pencil.groups.len());
        (self.progress)(&format!(
            "semidefinite program (interior point): order {order}, {multipliers} multipliers, predicted {seconds:.1} s and {:.2} GB",
            gigabytes(bytes)
        ));
        let begun = Instant::now();
        let patience = Deadline::after(free.then(|| Duration::from_secs_f64(PATIENCE)));
        let settings = InteriorPointOptions { tolerance: GAP, deadline: self.deadline.or_earlier(patience) };
        let solution = starts.iter().find_map(|start| interior_point::solve(pencil, start, &settings));
        if solution.is_none() {
            self.notes.push("the interior point found no feasible start".to_owned());
        }
        let solution = solution?;
        (self.progress)(&format!("interior point: {} iterations in {:.2} s", solution.iterations, begun.elapsed().as_secs_f64()));
        if !solution.converged {
            let after = solution.iterations;
            let late = settings.deadline.has_passed();
            let remedy = if late { "; a longer `--timeout` may give a smaller one" } else { "" };
            self.notes.push(format!(
                "the interior point stopped after {after} iterations: the bound is not the best of the relaxation{remedy}"
            ));
        }
        let optimum = solution.converged.then_some(solution.dual_bound);
        Some((solution.path, optimum, Engine::InteriorPoint))
    }
}

/// A path of candidates, the optimum of the relaxation where the engine reached it, and the engine.
type Proposal = (Vec<Candidate>, Option<f64>, Engine);

fn not_solved(pencil: &Pencil, engine: &str, why: &str) -> String {
    let (order, multipliers) = (pencil.dimension, pencil.groups.len());
    format!("the program (order {order}, {multipliers} multipliers) was not given to {engine}: {why}")
}

#[allow(clippy::cast_precision_loss)] // printed with one digit
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::lipschitz::form::{Segment, SortForm};
    use crate::kernel::model::ir::{Function, Network, NetworkBuilder, Op, Tensor};

    /// Uniform numbers in (−1, 1), the same everywhere.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from((self.0 >> 33) as u32) / f64::from(1u32 << 30) - 1.0
        }
    }

    fn network(sizes: &[usize], activation: &Op, seed: u64) -> Network {
        let mut random = Random(seed);
        let mut builder = NetworkBuilder::new();
        let mut signal = builder.push("x", "", Op::Input, &[], vec![1, 1, sizes[0]]).unwrap();
        for (layer, ends) in sizes.windows(2).enumerate() {
            let weights = (0..ends[0] * ends[1]).map(|_| random.next() * (3.0 / ends[0] as f64).sqrt()).collect();
            let shape = vec![1, ends[0], ends[1]];
            let tensor = Op::Constant(Tensor::new(shape.clone(), weights).unwrap());
            let weights = builder.push("w", "", tensor, &[], shape).unwrap();
            signal = builder.push("linear", "", Op::MatMul, &[signal, weights], vec![1, 1, ends[1]]).unwrap();
            if layer + 2 < sizes.len() {
                // Sorts take matrices.
                signal = builder.push("flat", "", Op::Reshape, &[signal], vec![1, ends[1]]).unwrap();
                signal = builder.push("activation", "", activation.clone(), &[signal], vec![1, ends[1]]).unwrap();
                signal = builder.push("back", "", Op::Reshape, &[signal], vec![1, 1, ends[1]]).unwrap();
            }
        }
        builder.finish(signal).unwrap()
    }

    /// The squared bounds that Clarabel and the interior point find, and the latter's primal value; nothing of Clarabel where
    /// the checker refuses its answer.
    fn both(network: &Network, norm: InputNorm) -> (Option<f64>, f64, f64) {
        let form = Form::new(network, Segment::whole(network), SortForm::Comparators).unwrap();
        let rows = Rows::new(&form).unwrap();
        let pencil = pencil(&form, &rows, norm);
        let start = elimination::feasible(&pencil).unwrap();
        let clarabel = Program::new(&pencil, &start).unwrap().solve(&ClarabelOptions::default()).unwrap().0;
        let settings = InteriorPointOptions { tolerance: 1e-7, deadline: Deadline::NONE };
        let solution = interior_point::solve(&pencil, &start, &settings).unwrap();
        assert!(solution.converged);
        let clarabel = certify(&form, &rows, norm, std::slice::from_ref(&clarabel)).map(|_| clarabel.squared_bound());
        (clarabel, solution.path.last().unwrap().squared_bound(), solution.dual_bound)
    }

    #[test]
    fn the_engines_agree() {
        let functions = [
            Op::Function(Function::Relu),
            Op::Function(Function::LeakyRelu { slope: 0.25 }),
            Op::Function(Function::Abs),
            Op::Function(Function::Tanh),
            Op::Function(Function::Sigmoid),
            // Small sorts become comparators, large ones one group each, whose last result is no coordinate.
            Op::Sort { descending: false },
        ];
        let mut refused = 0;
        for (seed, activation) in (1..).zip(&functions) {
            for sizes in [&[4, 7, 3][..], &[3, 6, 6, 2], &[9, 4, 10, 4, 1]] {
                let network = network(sizes, activation, seed);
                for norm in [InputNorm::Euclidean, InputNorm::Maximum] {
                    let (clarabel, interior, primal) = both(&network, norm);
                    assert!(primal <= interior * (1.0 + 1e-12), "{activation:?} {sizes:?} {norm:?}: {interior} {primal}");
                    let Some(clarabel) = clarabel else {
                        refused += 1;
                        continue;
                    };
                    let what = format!("{activation:?} {sizes:?} {norm:?}: {clarabel} {interior} {primal}");
                    assert!((interior / clarabel - 1.0).abs() < 1e-6, "{what}");
                    assert!(primal <= clarabel * (1.0 + 1e-6) && primal >= interior * (1.0 - 1e-6), "{what}");
                }
            }
        }
        // Of 36 programs; the interior point answers these too.
        assert!(refused <= 1, "{refused} answers of Clarabel are refused");
    }

    #[test]
    fn one_multiplier_per_layer_answers_where_no_engine_fits() {
        // Where slopes are −1 and 1, one multiplier per layer is the norm product.
        for (seed, activation) in (1..).zip([
            Op::Function(Function::Relu),
            Op::Function(Function::LeakyRelu { slope: 0.25 }),
            Op::Function(Function::Sigmoid),
        ]) {
            let network = network(&[9, 10, 8, 8, 6], &activation, seed);
            let bound = |memory: u64, engine: EngineChoice| {
                let options = LipschitzOptions { engine, memory, ..LipschitzOptions::default() };
                super::super::certify(
                    &network,
                    &super::super::Question::global(crate::kernel::proof::Norm::L2),
                    &options,
                    &mut |_| (),
                )
                .unwrap()
            };
            let (best, per_layer, product) =
                (bound(1 << 30, EngineChoice::InteriorPoint), bound(0, EngineChoice::Auto), bound(0, EngineChoice::Product));
            let value = |outcome: &super::super::Outcome| outcome.claim.bound.value();
            assert_eq!(per_layer.engine, Engine::PerLayer, "{activation:?}: {:?}", per_layer.notes);
            let what = format!("{activation:?}: {} {} {}", value(&best), value(&per_layer), value(&product));
            assert!(value(&best) < value(&per_layer) && value(&per_layer) < value(&product), "{what}");
        }
    }

    #[test]
    fn the_transposed_program_has_the_same_optimum() {
        let settings = InteriorPointOptions { tolerance: 1e-8, deadline: Deadline::NONE };
        for (seed, activation) in (1..).zip([
            Op::Function(Function::Relu),
            Op::Function(Function::LeakyRelu { slope: 0.25 }),
            Op::Function(Function::Sigmoid),
            Op::Sort { descending: false },
        ]) {
            let network = network(&[9, 8, 6, 4, 2], &activation, seed);
            let form = Form::new(&network, Segment::whole(&network), SortForm::Comparators).unwrap();
            let rows = Rows::new(&form).unwrap();
            let norm = InputNorm::Euclidean;
            let (plain, transposed) = (pencil(&form, &rows, norm), transposed(&form, &rows, norm).unwrap());
            assert_eq!(transposed.dimension, plain.dimension - 6, "{activation:?}: two outputs for the span of eight inputs");
            let solved = |pencil: &Pencil| {
                let start = elimination::feasible(pencil).unwrap();
                interior_point::solve(pencil, &start, &settings).unwrap().path
            };
            let path: Vec<Candidate> = solved(&transposed).iter().map(|point| transposed.transposed_point(point)).collect();
            let (one, other) = (solved(&plain).last().unwrap().squared_bound(), path.last().unwrap().squared_bound());
            assert!((one / other - 1.0).abs() < 1e-7, "{activation:?}: {one} {other}");
            let proved =
                certify(&form, &rows, norm, &path).expect("a point of the transposed program proves the network's bound");
            assert!(proved.squared_bound() <= other * (1.0 + 1e-7), "{activation:?}");
            let back = plain.transposed_point(&transposed.transposed_point(&proved));
            let pairs = back.multipliers.iter().zip(&proved.multipliers);
            assert!(pairs.into_iter().all(|(a, b)| (a / b - 1.0).abs() < 1e-14), "twice is the identity");
        }
    }
}
