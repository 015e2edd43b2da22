//! Falsification: gradient descent on how far a point is from being unsafe, from many starts (Madry et al., "Towards Deep
//! Learning Models Resistant to Adversarial Attacks", ICLR 2018). What it returns is a candidate; enclosures decide.

use crate::autodiff::Linearisation;
use crate::deadline::Deadline;
use crate::kernel::model::ir::{Network, Values};
use crate::kernel::read::vnnlib::{Atom, Clause};

use super::problem::{Lattice, Problem};

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Starting points for every target.
    pub restarts: usize,
    /// Gradient steps from each.
    pub steps: usize,
    /// Alternatives of a clause that are aimed at, the most promising first.
    pub targets: usize,
}

/// An attack on the problems of one network.
pub struct Attack<'n> {
    network: &'n Network,
    constants: Values<f64>,
}

/// One point and how far it is from being unsafe.
struct Probe<'a> {
    at: Linearisation<'a>,
    point: Vec<f64>,
}

impl<'n> Attack<'n> {
    /// `None` where the network's constants cannot be evaluated.
    #[must_use]
    pub fn new(network: &'n Network) -> Option<Self> {
        Values::constants(network).ok().map(|constants| Self { network, constants })
    }

    fn probe(&self, mut point: Vec<f64>, problem: &Problem) -> Option<Probe<'_>> {
        if let Some(ball) = &problem.ball {
            ball.project(&mut point);
        }
        problem.lattice.snap(&mut point);
        let at = Linearisation::new(self.network, &self.constants, &point).ok()?;
        Some(Probe { at, point })
    }

    /// Looks for a point that `accept` takes, among those that look unsafe. `accept` is asked about points of the
    /// lattice only.
    pub fn run<T>(
        &self,
        problem: &Problem,
        effort: Effort,
        seed: u64,
        deadline: Deadline,
        mut accept: impl FnMut(&[f64]) -> Option<T>,
    ) -> Option<T> {
        let lattice = &problem.lattice;
        let centre = self.probe(problem.start.clone(), problem)?;
        if centre.is_unsafe(&problem.clauses)
            && let Some(found) = accept(&centre.point)
        {
            return Some(found);
        }
        let mut random = Random(seed ^ 0x9e37_79b9_7f4a_7c15);
        let targets = targets(&problem.clauses, &centre, effort.targets);
        for restart in 0..effort.restarts {
            for target in &targets {
                let start = match restart {
                    0 => centre.point.clone(),
                    1 => corner(&centre, target, lattice),
                    _ => random.point(lattice, restart % 2 == 0),
                };
                let mut point = start;
                let mut momentum = vec![0.0; lattice.len()];
                for step in 0..effort.steps {
                    if deadline.has_passed() {
                        return None;
                    }
                    let probe = self.probe(point, problem)?;
                    if probe.is_unsafe(&problem.clauses)
                        && let Some(found) = accept(&probe.point)
                    {
                        return Some(found);
                    }
                    let gradient = probe.gradient(target);
                    point = probe.point;
                    if gradient.iter().all(|&g| g == 0.0) {
                        break;
                    }
                    descend(&mut point, &mut momentum, &gradient, lattice, step, effort.steps);
                }
            }
        }
        None
    }
}

impl Probe<'_> {
    /// Do all clauses seem to hold?
    fn is_unsafe(&self, clauses: &[std::sync::Arc<Clause>]) -> bool {
        clauses.iter().all(|clause| clause.alternatives.iter().any(|atoms| atoms.iter().all(|atom| self.slack(atom) <= 0.0)))
    }

    /// Left side minus right side: what has to become negative.
    fn slack(&self, atom: &Atom) -> f64 {
        let inputs: f64 = atom.inputs.iter().map(|term| term.coefficient.nearest * self.point[term.index]).sum();
        let output = self.at.output();
        let outputs: f64 = atom.outputs.iter().map(|term| term.coefficient.nearest * output[term.index]).sum();
        inputs + outputs - atom.bound.nearest
    }

    /// How far an alternative is from holding.
    fn distance(&self, atoms: &[Atom]) -> f64 {
        atoms.iter().map(|atom| self.slack(atom)).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The gradient of the sum of the slacks that are not yet clearly negative.
    fn gradient(&self, target: &[&Atom]) -> Vec<f64> {
        let slacks: Vec<f64> = target.iter().map(|atom| self.slack(atom)).collect();
        // All a little negative: the worst one goes on, so that enclosures can prove it.
        let worst = slacks.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut cotangent = vec![0.0; self.at.output().len()];
        let mut direct = vec![0.0; self.point.len()];
        for (atom, _) in target.iter().zip(&slacks).filter(|&(_, &slack)| slack > 0.0 || slack >= worst) {
            atom.outputs.iter().for_each(|term| cotangent[term.index] += term.coefficient.nearest);
            atom.inputs.iter().for_each(|term| direct[term.index] += term.coefficient.nearest);
        }
        let mut gradient = self.at.backward(&cotangent);
        gradient.iter_mut().zip(&direct).for_each(|(g, d)| *g += d);
        gradient
    }
}

/// Sets of atoms to aim at: the alternatives of the clause with the most, each with the nearest alternative of the others.
fn targets<'a>(clauses: &'a [std::sync::Arc<Clause>], centre: &Probe, count: usize) -> Vec<Vec<&'a Atom>> {
    let ranked = |clause: &'a Clause| {
        let mut alternatives: Vec<(f64, &Vec<Atom>)> =
            clause.alternatives.iter().map(|atoms| (centre.distance(atoms), atoms)).collect();
        alternatives.sort_by(|a, b| a.0.total_cmp(&b.0));
        alternatives
    };
    let ranked: Vec<_> = clauses.iter().map(|clause| ranked(clause)).collect();
    let Some((widest, _)) = ranked.iter().enumerate().max_by_key(|(_, alternatives)| alternatives.len()) else {
        return vec![Vec::new()];
    };
    let combine = |own: &'a Vec<Atom>| {
        let others = ranked.iter().enumerate().filter(|(i, _)| *i != widest).filter_map(|(_, list)| list.first());
        own.iter().chain(others.flat_map(|(_, atoms)| atoms.iter())).collect()
    };
    ranked[widest].iter().take(count).map(|(_, own)| combine(own)).collect()
}

/// The corner of the box that the gradient at the centre points to.
fn corner(centre: &Probe, target: &[&Atom], lattice: &Lattice) -> Vec<f64> {
    let gradient = centre.gradient(target);
    let choose = |(i, &g): (usize, &f64)| {
        let (lower, upper) = lattice.bounds(i);
        if g > 0.0 {
            lower
        } else if g < 0.0 {
            upper
        } else {
            centre.point[i]
        }
    };
    gradient.iter().enumerate().map(choose).collect()
}

/// A step against the sign of the averaged gradient, shrinking from half the box to a hundredth of it.
fn descend(point: &mut [f64], momentum: &mut [f64], gradient: &[f64], lattice: &Lattice, step: usize, steps: usize) {
    let size = gradient.iter().map(|g| g.abs()).fold(0.0, f64::max);
    let progress = step as f64 / steps.max(1) as f64;
    let reach = 0.25 * 0.02_f64.powf(progress);
    for (i, (x, (m, g))) in point.iter_mut().zip(momentum.iter_mut().zip(gradient)).enumerate() {
        let (lower, upper) = lattice.bounds(i);
        *m = 0.75 * *m + g / size;
        if *m != 0.0 {
            *x = (*x - reach * (upper - lower) * m.signum()).clamp(lower, upper);
        }
    }
}

/// A small generator (splitmix64): reproducible from the seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A point of the box, or a corner of it.
    pub fn point(&mut self, lattice: &Lattice, corner: bool) -> Vec<f64> {
        let coordinate = |i| {
            let (lower, upper) = lattice.bounds(i);
            let share = if corner { (self.next() & 1) as f64 } else { self.unit() };
            (lower + share * (upper - lower)).clamp(lower, upper)
        };
        (0..lattice.len()).map(coordinate).collect()
    }
}
