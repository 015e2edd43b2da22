//! Lower bounds: pairs of points between which the network changes as much as it can be made to.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::pencil::norm as euclidean;
use crate::autodiff::Linearisation;
use crate::deadline::Deadline;
use crate::kernel::lipschitz::attained_quotient;
use crate::kernel::model::ir::{Network, Op, Values, evaluate};
use crate::kernel::proof::Norm;
use crate::kernel::region::bounds::BoxRegion;

/// Two points and the quotient that the checker finds for them.
pub struct AttainedPair {
    pub first: Vec<f64>,
    pub second: Vec<f64>,
    pub quotient: f64,
}

/// Multiplications that the search may cost.
const WORK: f64 = 3e8;
/// Networks whose evaluation costs more multiplications have no certified pair: enclosures are a hundred times slower.
const EVALUATION_LIMIT: f64 = 3e7;
/// Searches beside each other, each with random numbers of its own.
const CHAINS: u64 = 8;
/// Points without success after which a chain starts anew.
const PATIENCE: usize = 80;
/// Steps uphill, relative to a point's size.
const STEPS: [f64; 4] = [1.0, 0.2, 0.04, 0.008];
/// Power iterations of a step: a lower bound of the norm is enough to compare.
const QUICK: usize = 3;
/// A certified quotient this close to a computed one is not worth another proof.
const NEGLIGIBLE: f64 = 1e-9;
/// Power iterations at the end.
const THOROUGH: usize = 100;
/// Share of the time that remains for proving what was found.
const PROOFS: f64 = 0.2;

/// What is searched, and where.
struct Place<'a> {
    network: &'a Network,
    constants: Values<f64>,
    norm: Norm,
    region: Option<&'a BoxRegion>,
    end: End<'a>,
}

/// When a search ends before its steps are done.
#[derive(Clone, Copy)]
pub struct End<'a> {
    /// Raised when nobody wants the pair any more.
    pub abandoned: &'a AtomicBool,
    /// What is found until then is kept.
    pub deadline: Deadline,
}

impl End<'_> {
    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.is_abandoned() || self.deadline.has_passed()
    }

    /// The end of the search, when a share of the time is left to prove what it finds.
    fn before_proofs(self) -> Self {
        Self { deadline: self.deadline.share(1.0 - PROOFS), ..self }
    }
}

/// A point, a direction, and how much the network stretches it there.
struct Stretched {
    size: f64,
    point: Vec<f64>,
    direction: Vec<f64>,
}

/// Searches for points where the Jacobian's norm is large: local search from many random starts, over
/// kinks that add to it ([`Linearisation::slope_gradient`]), along singular directions and random ones, keeping what improves,
/// all within the region. `None` when the network is too large, an operator cannot be enclosed, the search is abandoned, or its
/// time ends before a quotient is proved.
#[must_use]
pub fn search(network: &Network, norm: Norm, region: Option<&BoxRegion>, seed: u64, end: End) -> Option<AttainedPair> {
    let cost = evaluation_cost(network);
    if cost > EVALUATION_LIMIT {
        return None;
    }
    let passes = match norm {
        Norm::L2 => 4 + 2 * QUICK,
        Norm::L1 | Norm::Linf => 4 + network.output_size(),
    };
    let steps = (WORK / (2.0 * passes as f64 * (cost + 300.0) * CHAINS as f64)).clamp(5.0, 2500.0) as usize;
    let place = Place { network, constants: Values::constants(network).ok()?, norm, region, end: end.before_proofs() };
    let chains = (0..CHAINS).into_par_iter().map(|number| place.chain(steps, Random::new(seed, number)));
    let found: Vec<Option<Stretched>> = chains.collect();
    // The first of the largest, whatever the number of threads.
    let mut best = found.into_iter().flatten().reduce(|best, next| if next.size > best.size { next } else { best })?;
    let mut random = Random::new(seed, CHAINS);
    for _ in 0..steps {
        if place.end.is_over() {
            break;
        }
        let next = place.best_near(&best, &mut random);
        best = larger(Some(best), next)?;
    }
    if end.is_abandoned() {
        return None;
    }
    let thorough = if place.end.is_over() { QUICK } else { THOROUGH };
    let refined = place.stretch(best.point, best.direction, thorough)?;
    pair_along(network, norm, region, (&refined.point, &refined.direction), end)
}

impl Place<'_> {
    fn chain(&self, steps: usize, mut random: Random) -> Option<Stretched> {
        let (mut best, mut current): (Option<Stretched>, Option<Stretched>) = (None, None);
        let (mut failures, mut left) = (0, steps);
        while left > 0 && !self.end.is_over() {
            if failures > PATIENCE {
                let ended = current.take();
                best = larger(best, ended);
                failures = 0;
            }
            let next = if let Some(centre) = &current {
                let moves = self.moves(centre, &mut random);
                left = left.saturating_sub(moves.len());
                failures += moves.len();
                let tried = moves.into_iter().map(|point| self.stretch(point, centre.direction.clone(), QUICK));
                tried.fold(None, larger)
            } else {
                let direction = (0..self.network.input_size()).map(|_| random.normal()).collect();
                left -= 1;
                self.stretch(self.anywhere(&mut random), direction, 4 * QUICK)
            };
            if let Some(next) = next
                && current.as_ref().is_none_or(|current| next.size > current.size)
            {
                (current, failures) = (Some(next), 0);
            }
        }
        larger(best, current)
    }

    /// The best of several points near one.
    fn best_near(&self, centre: &Stretched, random: &mut Random) -> Option<Stretched> {
        let points: Vec<Vec<f64>> = (0..CHAINS / 2).flat_map(|_| self.moves(centre, random)).collect();
        let tried = points.into_par_iter().map(|point| self.stretch(point, centre.direction.clone(), QUICK));
        tried.collect::<Vec<_>>().into_iter().fold(None, larger)
    }

    fn stretch(&self, point: Vec<f64>, start: Vec<f64>, iterations: usize) -> Option<Stretched> {
        let point = within(self.region, point);
        let at = Linearisation::new(self.network, &self.constants, &point).ok()?;
        let (size, direction) = match self.norm {
            Norm::L2 => at.spectral_norm(start, iterations)?,
            Norm::L1 => largest_column(&at, self.network)?,
            Norm::Linf => largest_row(&at, self.network.output_size())?,
        };
        Some(Stretched { size, point, direction })
    }

    /// Points near another: some steps over kinks that add to the stretch, one along the singular direction, or one
    /// anywhere around.
    fn moves(&self, centre: &Stretched, random: &mut Random) -> Vec<Vec<f64>> {
        // Relative to the point's size: networks without offsets do not know another scale.
        let size = euclidean(&centre.point).max(1e-3);
        let reach = size * 10f64.powf(0.5 - 3.5 * random.uniform());
        let along = |direction: &[f64], step: f64| centre.point.iter().zip(direction).map(|(x, d)| x + step * d).collect();
        let kind = random.uniform();
        if kind < 0.3
            && let Some(uphill) = self.uphill(centre, 10f64.powf(0.5 - 2.5 * random.uniform()))
        {
            return STEPS.map(|step| along(&uphill, step * size)).to_vec();
        }
        let reach = if random.uniform() < 0.5 { -reach } else { reach };
        if kind > 0.85 {
            return vec![along(&centre.direction, reach)];
        }
        // Often a few coordinates alone: kinks are then crossed one by one.
        let share = if random.uniform() < 0.5 { 1.0 } else { random.uniform() };
        let each = reach / (share * centre.point.len() as f64).max(1.0).sqrt();
        let moved = |x: &f64| if random.uniform() < share { x + each * random.normal() } else { *x };
        vec![centre.point.iter().map(moved).collect()]
    }

    /// The unit direction in which the stretch grows with kinks spread over a width.
    fn uphill(&self, centre: &Stretched, width: f64) -> Option<Vec<f64>> {
        let at = Linearisation::new(self.network, &self.constants, &centre.point).ok()?;
        let image = at.forward(&centre.direction);
        // What the norm of the image gains: for ℓ∞ its largest element alone, for ℓ1 every element alike.
        let cotangent = match self.norm {
            Norm::L1 => image.iter().map(|y| if *y == 0.0 { 0.0 } else { y.signum() }).collect(),
            Norm::L2 => image,
            Norm::Linf => {
                let largest = image.iter().fold(0.0, |largest: f64, y| largest.max(y.abs()));
                image.iter().map(|y| if y.abs() < largest { 0.0 } else { y.signum() }).collect()
            }
        };
        let mut uphill = at.slope_gradient(&centre.direction, &cotangent, width);
        let length = euclidean(&uphill);
        uphill.iter_mut().for_each(|d| *d /= length);
        (length > 0.0 && length.is_finite()).then_some(uphill)
    }

    fn anywhere(&self, random: &mut Random) -> Vec<f64> {
        if let Some(region) = self.region {
            let sides = region.lower().iter().zip(region.upper());
            return sides.map(|(lower, upper)| lower + (upper - lower) * random.uniform()).collect();
        }
        let spread = 10f64.powf(2.0 * random.uniform() - 1.0);
        (0..self.network.input_size()).map(|_| spread * random.normal()).collect()
    }
}

fn larger(a: Option<Stretched>, b: Option<Stretched>) -> Option<Stretched> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.size > a.size { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// The nearest point of the region.
fn within(region: Option<&BoxRegion>, mut point: Vec<f64>) -> Vec<f64> {
    if let Some(region) = region {
        let sides = region.lower().iter().zip(region.upper());
        point.iter_mut().zip(sides).for_each(|(x, (lower, upper))| *x = x.clamp(*lower, *upper));
    }
    point
}

/// The largest sum of absolute values of a Jacobian's row, and the direction of the signs of that row.
fn largest_row(at: &Linearisation, outputs: usize) -> Option<(f64, Vec<f64>)> {
    let gradients = (0..outputs).map(|output| {
        let mut unit = vec![0.0; outputs];
        unit[output] = 1.0;
        at.backward(&unit)
    });
    let sized = gradients.map(|gradient| (gradient.iter().map(|g| g.abs()).sum::<f64>(), gradient));
    let (size, gradient) = sized.filter(|(size, _)| size.is_finite()).max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some((size, gradient.iter().map(|g| g.signum()).collect()))
}

/// The largest sum of absolute values of a Jacobian's column, and that input's direction.
fn largest_column(at: &Linearisation, network: &Network) -> Option<(f64, Vec<f64>)> {
    let (inputs, outputs) = (network.input_size(), network.output_size());
    let mut sums = vec![0.0; inputs];
    for output in 0..outputs {
        let mut unit = vec![0.0; outputs];
        unit[output] = 1.0;
        sums.iter_mut().zip(at.backward(&unit)).for_each(|(sum, g)| *sum += g.abs());
    }
    let finite = (0..inputs).filter(|&input| sums[input].is_finite());
    let input = finite.max_by(|&a, &b| sums[a].total_cmp(&sums[b]))?;
    let mut direction = vec![0.0; inputs];
    direction[input] = 1.0;
    Some((sums[input], direction))
}

/// The best certified quotient along a direction: close enough to stay within one linear piece, no closer.
fn pair_along(
    network: &Network,
    norm: Norm,
    region: Option<&BoxRegion>,
    (centre, direction): (&[f64], &[f64]),
    end: End,
) -> Option<AttainedPair> {
    let scale = 1.0 + euclidean(centre);
    let steps = [-1, -3, -5, -7, -9].into_iter().flat_map(|exponent| [1.0, -1.0].map(|sign| sign * scale * 10f64.powi(exponent)));
    let second = |step: f64| within(region, centre.iter().zip(direction).map(|(c, d)| c + step * d).collect());
    let mut pairs: Vec<(f64, Vec<f64>)> =
        steps.map(second).filter_map(|second| Some((plain_quotient(network, norm, centre, &second)?, second))).collect();
    // An enclosure costs a hundred evaluations, and proves no more than about the quotient itself: the largest come first. Of
    // equal ones the longer step, which was listed before, has the smaller error.
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut best: Option<AttainedPair> = None;
    for (plain, second) in pairs {
        if end.is_over() || best.as_ref().is_some_and(|best| best.quotient >= plain * (1.0 - NEGLIGIBLE)) {
            break;
        }
        let Ok(quotient) = attained_quotient(network, norm, centre, &second) else { continue };
        if best.as_ref().is_none_or(|best| quotient > best.quotient) {
            best = Some(AttainedPair { first: centre.to_vec(), second, quotient });
        }
    }
    best
}

/// The quotient of a pair of points, as it is computed.
fn plain_quotient(network: &Network, norm: Norm, first: &[f64], second: &[f64]) -> Option<f64> {
    let length = |a: &[f64], b: &[f64]| {
        let differences = a.iter().zip(b).map(|(a, b)| a - b);
        match norm {
            Norm::L2 => differences.map(|d| d * d).sum::<f64>().sqrt(),
            Norm::L1 => differences.map(f64::abs).sum(),
            Norm::Linf => differences.fold(0.0, |largest: f64, d| largest.max(d.abs())),
        }
    };
    let quotient = length(&evaluate(network, first).ok()?, &evaluate(network, second).ok()?) / length(first, second);
    quotient.is_finite().then_some(quotient)
}

/// Multiplications of one evaluation.
#[allow(clippy::cast_precision_loss)] // an estimate
fn evaluation_cost(network: &Network) -> f64 {
    let of_node = |node: &crate::kernel::model::ir::Node| match &node.op {
        Op::MatMul => {
            let inner = node.operands.first().and_then(|&a| network.node(a).shape.last().copied()).unwrap_or(1);
            node.size() as f64 * inner as f64
        }
        Op::Conv(geometry) => {
            let weights: usize = geometry.weight_shape().iter().product();
            weights as f64 * (node.size() / geometry.out_channels.max(1)) as f64
        }
        // A few factorisations, and what is around them in each iteration.
        Op::Equilibrium(_) => 4.0 * (node.size() as f64).powi(3) + 2000.0,
        _ => node.size() as f64,
    };
    network.nodes().iter().filter(|node| node.variable).map(of_node).sum()
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): reproducible on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64, number: u64) -> Self {
        let mut random = Self(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        Self(random.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `(0, 1)`.
    #[allow(clippy::cast_precision_loss)] // 53 bits fit
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box–Muller).
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}
