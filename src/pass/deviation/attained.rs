//! Inputs where an output of one network is far from that of the other: gradient ascent from a few starts. What a point is worth, the
//! checker's own arithmetic says.

use crate::autodiff::Linearisation;
use crate::deadline::Deadline;
use crate::kernel::model::ir::{Network, Values};
use crate::kernel::region::bounds::{BoxRegion, Propagator};
use crate::kernel::region::deviation_of;
use crate::pass::robustness::{Lattice, Random};

/// Starting points for every output and sign.
const STARTS: usize = 4;
/// Steps from each.
const STEPS: usize = 24;

/// How far an output is from its counterpart at some input: at least so much.
#[derive(Clone, Debug, PartialEq)]
pub struct Attained {
    pub deviation: f64,
    pub input: Vec<f64>,
}

/// What looks for such inputs: two networks as they are, side by side.
pub struct Searcher<'n> {
    network: &'n Network,
    both: &'n [Propagator<'n>; 2],
    constants: Values<f64>,
}

impl<'n> Searcher<'n> {
    /// For a network that computes the outputs of the first, then those of the second; `None` where its constants have no values.
    #[must_use]
    pub fn new(network: &'n Network, both: &'n [Propagator<'n>; 2]) -> Option<Self> {
        Values::constants(network).ok().map(|constants| Self { network, both, constants })
    }

    /// Looks for the largest deviation of every output on the points of a lattice, starting from one of them.
    #[must_use]
    pub fn search(&self, lattice: &Lattice, start: &[f64], seed: u64, deadline: Deadline) -> Vec<Option<Attained>> {
        let outputs = self.network.output_size() / 2;
        let mut best = vec![None; outputs];
        let mut random = Random(seed ^ 0x9e37_79b9_7f4a_7c15);
        for output in 0..outputs {
            for (restart, sign) in (0..STARTS).flat_map(|restart| [(restart, 1.0), (restart, -1.0)]) {
                // At a point there is nothing to climb.
                if deadline.has_passed() || lattice.is_point() && (restart, sign) != (0, 1.0) {
                    break;
                }
                let start = if restart == 0 { start.to_vec() } else { random.point(lattice, restart % 2 == 0) };
                if let Some(point) = self.climb(lattice, start, (output, sign), deadline) {
                    self.keep(&mut best, &point);
                }
            }
        }
        best
    }

    /// Returns the best point on the way up.
    fn climb(
        &self,
        lattice: &Lattice,
        mut point: Vec<f64>,
        (output, sign): (usize, f64),
        deadline: Deadline,
    ) -> Option<Vec<f64>> {
        let outputs = self.network.output_size() / 2;
        let mut cotangent = vec![0.0; 2 * outputs];
        (cotangent[output], cotangent[outputs + output]) = (sign, -sign);
        let mut best: Option<(f64, Vec<f64>)> = None;
        for step in 0..STEPS {
            lattice.snap(&mut point);
            let at = Linearisation::new(self.network, &self.constants, &point).ok()?;
            let apart = sign * (at.output()[output] - at.output()[outputs + output]);
            if best.as_ref().is_none_or(|(most, _)| apart > *most) {
                best = Some((apart, point.clone()));
            }
            let gradient = at.backward(&cotangent);
            if lattice.is_point() || deadline.has_passed() || gradient.iter().all(|&g| g == 0.0) {
                break;
            }
            let reach = 0.5 * 0.01_f64.powf(step as f64 / STEPS as f64);
            for (index, (x, g)) in point.iter_mut().zip(&gradient).enumerate().filter(|(_, (_, g))| **g != 0.0) {
                let (lower, upper) = lattice.bounds(index);
                *x = (*x + reach * (upper - lower) * g.signum()).clamp(lower, upper);
            }
        }
        best.map(|(_, point)| point)
    }

    /// Keeps a point for the outputs that are apart there, farther than before, for sure.
    fn keep(&self, best: &mut [Option<Attained>], point: &[f64]) {
        let Ok(at) = BoxRegion::new(point.to_vec(), point.to_vec()) else { return };
        let Ok(found) = deviation_of(self.both, &at) else { return };
        for (best, deviation) in best.iter_mut().zip(found) {
            let least = best.as_ref().map_or(0.0, |best| best.deviation);
            if deviation.is_finite() && deviation > least {
                *best = Some(Attained { deviation, input: point.to_vec() });
            }
        }
    }
}
