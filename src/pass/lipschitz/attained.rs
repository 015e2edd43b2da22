//! Lower bounds: pairs of points between which the network changes as much as it can be made to.

use super::pencil::norm as euclidean;
use crate::autodiff::Linearisation;
use crate::bounds::BoxRegion;
use crate::certificate::Norm;
use crate::checker::attained_quotient;
use crate::ir::{Network, Op, Values};

/// Two points and the quotient that the checker finds for them.
pub struct AttainedPair {
    pub first: Vec<f64>,
    pub second: Vec<f64>,
    pub quotient: f64,
}

/// Multiplications that the search may cost.
const WORK: f64 = 1e9;
/// Networks whose evaluation costs more multiplications have no certified pair: enclosures are a hundred times slower.
const EVALUATION_LIMIT: f64 = 3e7;

/// Searches for points where the Jacobian's norm is large: random starts, then moves along singular directions and random
/// ones, keeping what improves, all within the region. `None` when the network is too large or an operator cannot be enclosed.
#[must_use]
pub fn search(network: &Network, norm: Norm, region: Option<&BoxRegion>, seed: u64) -> Option<AttainedPair> {
    let cost = evaluation_cost(network);
    if cost > EVALUATION_LIMIT {
        return None;
    }
    let inputs = network.input_size();
    let mut random = Random(seed);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let steps = (WORK / (25.0 * (cost + 300.0))).clamp(20.0, 1500.0) as usize;
    let constants = Values::constants(network).ok()?;
    let mut best: Option<(f64, Vec<f64>, Vec<f64>)> = None;
    for step in 0..steps {
        let point: Vec<f64> = match &best {
            Some((_, centre, direction)) if step % 4 != 0 => {
                let reach = 10f64.powf(2.0 - 4.0 * random.uniform()) * if random.uniform() < 0.5 { -1.0 } else { 1.0 };
                let along = random.uniform() < 0.3;
                (0..inputs).map(|i| centre[i] + reach * if along { direction[i] } else { random.normal() * 0.3 }).collect()
            }
            _ => match region {
                Some(region) => {
                    let sides = region.lower().iter().zip(region.upper());
                    sides.map(|(lower, upper)| lower + (upper - lower) * random.uniform()).collect()
                }
                None => {
                    let spread = 10f64.powf(2.0 * random.uniform() - 1.0);
                    (0..inputs).map(|_| spread * random.normal()).collect()
                }
            },
        };
        let point = within(region, point);
        let Ok(at) = Linearisation::new(network, &constants, &point) else { continue };
        let start = match &best {
            Some((.., direction)) if step % 4 != 0 => direction.clone(),
            _ => (0..inputs).map(|_| random.normal()).collect(),
        };
        let steepest = match norm {
            Norm::L2 => spectral_norm(&at, start),
            Norm::Linf => largest_row(&at, network.output_size()),
        };
        let Some((size, direction)) = steepest else { continue };
        if best.as_ref().is_none_or(|(largest, ..)| size > *largest) {
            best = Some((size, point, direction));
        }
    }
    let (_, centre, direction) = best?;
    pair_along(network, norm, region, &centre, &direction)
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

/// The best certified quotient along a direction: close enough to stay within one linear piece, no closer.
fn pair_along(
    network: &Network,
    norm: Norm,
    region: Option<&BoxRegion>,
    centre: &[f64],
    direction: &[f64],
) -> Option<AttainedPair> {
    let scale = 1.0 + euclidean(centre);
    let mut best: Option<AttainedPair> = None;
    for (exponent, sign) in [-1, -3, -5, -7, -9].into_iter().flat_map(|exponent| [(exponent, 1.0), (exponent, -1.0)]) {
        let step = sign * scale * 10f64.powi(exponent);
        let second = within(region, centre.iter().zip(direction).map(|(c, d)| c + step * d).collect());
        let Ok(quotient) = attained_quotient(network, norm, centre, &second) else { continue };
        if best.as_ref().is_none_or(|best| quotient > best.quotient) {
            best = Some(AttainedPair { first: centre.to_vec(), second, quotient });
        }
    }
    best
}

/// Largest singular value of a Jacobian and its right singular vector, by power iteration.
fn spectral_norm(at: &Linearisation, start: Vec<f64>) -> Option<(f64, Vec<f64>)> {
    let mut direction = start;
    let mut size = 0.0;
    for _ in 0..30 {
        let length = euclidean(&direction);
        if !(length > 0.0 && length.is_finite()) {
            return None;
        }
        direction.iter_mut().for_each(|d| *d /= length);
        let image = at.forward(&direction);
        let next = euclidean(&image);
        let settled = (next - size).abs() <= 1e-8 * next;
        size = next;
        if settled {
            break;
        }
        direction = at.backward(&image);
    }
    let length = euclidean(&direction);
    direction.iter_mut().for_each(|d| *d /= length);
    (size.is_finite() && length > 0.0).then_some((size, direction))
}

/// Multiplications of one evaluation.
#[allow(clippy::cast_precision_loss)] // an estimate
fn evaluation_cost(network: &Network) -> f64 {
    let of_node = |node: &crate::ir::Node| match &node.op {
        Op::MatMul => {
            let inner = node.operands.first().and_then(|&a| network.node(a).shape.last().copied()).unwrap_or(1);
            node.size() as f64 * inner as f64
        }
        Op::Conv(geometry) => {
            let weights: usize = geometry.weight_shape().iter().product();
            weights as f64 * (node.size() / geometry.out_channels.max(1)) as f64
        }
        _ => node.size() as f64,
    };
    network.nodes().iter().filter(|node| node.variable).map(of_node).sum()
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): reproducible on every machine.
struct Random(u64);

impl Random {
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
