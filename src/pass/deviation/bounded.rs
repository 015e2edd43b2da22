//! Bounds of how far the outputs of two networks are apart on one box: backward bounds of all differences at once, on parts that are halved
//! where the bounds depend on inputs.

use std::sync::Arc;

use crate::deadline::Deadline;
use crate::kernel::read::vnnlib::Clause;
use crate::kernel::region::bounds::{BoxRegion, Hints, Trace};
use crate::kernel::region::{Refuter, farther};
use crate::pass::bounds::Wide;
use crate::search::branch::{Bounded, Division, Leaf, Limits, Outcome, Proof, Rules, Split, Subproblem, search};

/// Inputs that may vary where halving them is worth a try.
const MOST_INPUTS: usize = 40;
/// Parts that are bounded at once.
const BATCH: usize = 16;
/// Numbers of a tree, at most: part of a certificate.
const MOST_PARTS: usize = 1 << 20;
/// What is added to a bound relative to its size, so that the checker's own sums reach it.
const SLACK: f64 = 1e-12;

/// What is wanted of bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// No output is farther apart than this.
    Limit(f64),
    /// Bounds that exceed what is attained by no more than this share of it.
    Close(f64),
}

/// What was found of one box.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// No output is farther apart: one number for each.
    pub most: Vec<f64>,
    pub tree: Proof,
    pub parts: usize,
}

/// Bounds all differences on a box; `attained` are differences that are there. `None` where nothing is bounded.
#[must_use]
pub fn bounded(refuter: &Refuter<Wide>, region: &BoxRegion, attained: &[f64], goal: Goal, deadline: Deadline) -> Option<Bounds> {
    let most = attained.iter().copied().fold(0.0, f64::max);
    let (from, enough) = match goal {
        Goal::Limit(limit) => (vec![limit; attained.len()], 0.0),
        Goal::Close(share) => (attained.to_vec(), -share * most),
    };
    let clauses = vec![farther(&vec![0.0; attained.len()])];
    let whole = Run { refuter, region, clauses: &clauses, from: &from, enough };
    let root = whole.differences(region).map(|(most, _)| most);
    let varying = region.lower().iter().zip(region.upper()).filter(|(l, u)| l < u).count();
    let parts = if (1..=MOST_INPUTS).contains(&varying) { MOST_PARTS } else { 1 };
    let limits = Limits { deadline, parts, depth: usize::MAX, batch: BATCH, open: usize::MAX, give_up: false };
    let searched = search(&whole, (), &limits);
    // Every part is closed up to this excess.
    let excess = -searched.bound;
    let slack = |most: f64| most + SLACK * most.abs();
    let of_parts = from.iter().map(|from| slack((from + excess).max(0.0)));
    let (most, tree) = match root.map(|root| root.into_iter().map(slack).collect::<Vec<f64>>()) {
        // One part is the whole.
        Some(root) if searched.parts <= 1 => (root, Proof::leaf()),
        Some(root) => (of_parts.zip(root).map(|(a, b)| a.min(b)).collect(), searched.tree.proof()),
        None => (of_parts.collect(), searched.tree.proof()),
    };
    most.iter().all(|most: &f64| most.is_finite()).then_some(Bounds { most, tree, parts: searched.parts })
}

/// A search on one box. The bound of a part is how far its differences stay below where they are to be, with a sign.
struct Run<'a, 'n> {
    refuter: &'a Refuter<'n, Wide>,
    region: &'a BoxRegion,
    clauses: &'a [Arc<Clause>],
    /// Where each difference is to be.
    from: &'a [f64],
    enough: f64,
}

impl Run<'_, '_> {
    /// Upper bounds of all differences on a box, and what the largest excess depends on: one slope for each input.
    fn differences(&self, region: &BoxRegion) -> Option<(Vec<f64>, Vec<f64>)> {
        let analysis = self.refuter.analyse(&region.clone().into(), &Hints::default()).ok()?;
        let rows = self.refuter.rows(self.clauses);
        let (network, mut trace) = (analysis.network(), Trace::default());
        let vectors = self.refuter.vectors();
        let bounds = analysis.backward(network.output(), &rows.coefficients, &Hints::default(), Some(&mut trace), vectors);
        let lower = self.refuter.judge(&analysis, self.clauses, &bounds).lower;
        // Both signs of every difference.
        let most: Vec<f64> = lower.chunks(2).map(|sides| sides.iter().map(|low| -low).fold(0.0, f64::max)).collect();
        let excess = |row: usize| -lower[row] - self.from[row / 2];
        let worst = (0..lower.len()).max_by(|&a, &b| excess(a).total_cmp(&excess(b)))?;
        let inputs = network.input_size();
        let slopes = trace.coefficients.get(&network.input().index())?;
        Some((most, slopes.get(worst * inputs..(worst + 1) * inputs)?.to_vec()))
    }

    /// The input whose half changes most, by its width and the slopes.
    fn division(region: &BoxRegion, slopes: &[f64]) -> Option<Division> {
        let mean = slopes.iter().map(|slope| slope.abs()).sum::<f64>() / slopes.len().max(1) as f64;
        let halved = |(input, (&lower, &upper)): (usize, (&f64, &f64))| {
            let cut = lower / 2.0 + upper / 2.0;
            // A vanishing slope does not make an input irrelevant.
            let weight = slopes.get(input).map_or(1.0, |slope| slope.abs() + 0.05 * mean + f64::MIN_POSITIVE);
            (lower < cut && cut < upper).then_some(((upper - lower) * weight, Division::Input { input, cut }))
        };
        let all = region.lower().iter().zip(region.upper()).enumerate().filter_map(halved);
        all.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, division)| division)
    }

    fn part(&self, part: &Subproblem) -> Option<BoxRegion> {
        let (mut lower, mut upper) = (self.region.lower().to_vec(), self.region.upper().to_vec());
        for split in &part.splits {
            if let Split::Input { input, cut, above } = *split {
                (if above { &mut lower } else { &mut upper })[input] = cut;
            }
        }
        BoxRegion::new(lower, upper).ok()
    }
}

impl Rules for Run<'_, '_> {
    type Kept = ();
    type Found = ();

    fn is_enough(&self, bound: f64) -> bool {
        bound >= self.enough
    }

    fn bound(&self, part: &Subproblem, (): &()) -> Bounded<(), ()> {
        let left = |bound, division: Option<Division>| {
            let outcome = division.map_or(Outcome::Stuck, |division| Outcome::Divide(division, ()));
            Bounded { bound, leaf: Leaf::default(), outcome }
        };
        let Some(region) = self.part(part) else { return left(f64::NEG_INFINITY, None) };
        // Undefined here says nothing about the halves.
        let Some((most, slopes)) = self.differences(&region) else {
            return left(f64::NEG_INFINITY, Self::division(&region, &[]));
        };
        let bound = most.iter().zip(self.from).map(|(most, from)| from - most).fold(f64::INFINITY, f64::min);
        left(bound, Self::division(&region, &slopes))
    }
}
