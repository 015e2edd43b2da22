//! How far the box of interval propagation is from the truth (Mao et al., *Understanding Certified Training with Interval
//! Bound Propagation*, ICLR 2024): for linear functions of the outputs the box, a tighter interval that contains all values,
//! and one between values that are attained. Everything here is proved, and deterministic: a checker repeats it.

use super::analysis::Analysis;
use super::backward::Trace;
use super::error::BoundsError;
use super::matrix::Loops;
use super::prepared::LinearBounds;
use super::problem::{Hints, LinearRows, Phases, Refinement};
use super::region::{BoxRegion, Region};
use crate::sound::Interval;
use crate::sound::round::{add_down, add_up, div_down, div_up};

/// Boxes that a search may split, for every row and side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splits(pub u32);

/// What is known about one row's values on the region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// By interval propagation, merged with the last linear layer.
    pub propagated: Interval,
    /// Contains all values.
    pub outer: Interval,
    /// From at least the least value that was met to at most the greatest: contained in the smallest box. Empty (lower
    /// above upper) where rounding leaves nothing.
    pub attained: Interval,
    /// Whether both linear bounds of the row are constants: no input enters them.
    pub constant: bool,
    /// Whether the inputs are one point, enclosed: no row has a width but that of rounding.
    pub point: bool,
}

/// A box that is no wider than this share of its magnitude has no width but that of rounding.
const ROUNDING: f64 = 1.0 / (1u64 << 44) as f64;

impl Extent {
    /// Whether the row is constant up to rounding: no input enters its bounds, and they have no width of their own. A row that
    /// inputs enter is not, however small its width is beside its magnitude. Written so that a NaN is not.
    #[must_use]
    pub fn is_degenerate(&self) -> bool {
        let narrow = |Interval { lower, upper }: Interval| add_up(upper, -lower) <= ROUNDING * lower.abs().max(upper.abs());
        self.constant && narrow(self.propagated) && narrow(self.outer)
    }

    /// Bounds of the tightness: the width of the smallest box over the width of the propagated one; 1 at a point, where both are
    /// that point. `None` where that is not positive, or no more than rounding.
    #[must_use]
    pub fn tightness(&self) -> Option<Interval> {
        if self.point {
            return Some(Interval::point(1.0));
        }
        if self.is_degenerate() {
            return None;
        }
        let width_up = |x: Interval| add_up(x.upper, -x.lower);
        let width_down = |x: Interval| add_down(x.upper, -x.lower).max(0.0);
        let (least, most) = (width_down(self.propagated), width_up(self.propagated));
        let tightness = Interval::new(div_down(width_down(self.attained), most), div_up(width_up(self.outer), least).min(1.0));
        (least > 0.0 && tightness.is_finite() && tightness.lower <= tightness.upper).then_some(tightness)
    }
}

/// The mean over the samples of the mean over their rows; rows and samples without a tightness are left out. `None` where
/// nothing is left.
#[must_use]
pub fn mean_tightness(samples: &[Vec<Extent>]) -> Option<Interval> {
    let mean = |intervals: Vec<Interval>| {
        let count = Interval::point(intervals.len() as f64);
        intervals.into_iter().reduce(Interval::add).map(|sum| sum.div(count))
    };
    mean(samples.iter().filter_map(|rows| mean(rows.iter().filter_map(Extent::tightness).collect())).collect())
}

/// The extents of all rows over a box; searches split the box along inputs.
///
/// # Errors
/// [`BoundsError`], naming the node.
pub fn extents(
    prepared: &LinearBounds,
    region: &BoxRegion,
    rows: &LinearRows,
    splits: Splits,
) -> Result<Vec<Extent>, BoundsError> {
    let bounds = region;
    let region = Region::from(region.clone());
    let boxes = prepared.analyse(&region, &Phases::new(), Refinement::Boxes, &Hints::default(), &Loops)?;
    let refined = prepared.analyse(&region, &Phases::new(), Refinement::Backward, &Hints::default(), &Loops)?;
    let negated = rows.negated();
    let mut extents = Vec::with_capacity(rows.constants.len());
    let mut sides = Vec::with_capacity(2);
    for rows in [rows, &negated] {
        let propagated = boxes.lower_bounds(rows, &Hints::default(), &Loops);
        let mut side = Vec::with_capacity(propagated.len());
        for (row, propagated) in propagated.into_iter().enumerate() {
            let row = rows.row(row);
            let minimum = Minimum { prepared, row: &row };
            let (least, attained) = minimum.search(&refined, region.bounds(), propagated, splits)?;
            let constant = minimum.bound(&refined).1.iter().all(|&slope| slope == 0.0);
            side.push((propagated, least, attained, constant));
        }
        sides.push(side);
    }
    for (low, high) in sides[0].iter().zip(&sides[1]) {
        extents.push(Extent {
            propagated: Interval::new(low.0, -high.0),
            outer: Interval::new(low.1, -high.1),
            attained: Interval::new(low.2, -high.2),
            constant: low.3 && high.3,
            point: bounds.lower() == bounds.upper(),
        });
    }
    Ok(extents)
}

/// A value of one row that is attained, at a point of the inputs, rounded up.
///
/// # Errors
/// [`BoundsError`], naming the node.
pub fn attained(prepared: &LinearBounds, row: &LinearRows, point: &[f64]) -> Result<f64, BoundsError> {
    Minimum { prepared, row }.value(point)
}

/// The least value of one row.
struct Minimum<'a, 'n> {
    prepared: &'a LinearBounds<'n>,
    row: &'a LinearRows,
}

/// A box, a lower bound on it, and the coefficients of the inputs in the linear function that gave it.
struct Open {
    bounds: BoxRegion,
    least: f64,
    slopes: Vec<f64>,
}

/// Steps of a local search from one corner.
const STEPS: usize = 6;

impl Minimum<'_, '_> {
    /// A lower bound of the minimum, at least `floor`, and an upper one: a value that is attained, rounded up.
    fn search(&self, root: &Analysis, bounds: &BoxRegion, floor: f64, Splits(splits): Splits) -> Result<(f64, f64), BoundsError> {
        let (least, slopes) = self.bound(root);
        let least = least.max(floor);
        let mut attained = self.descend(bounds, &slopes)?;
        let mut open = vec![Open { bounds: bounds.clone(), least, slopes }];
        for _ in 0..splits {
            let Some(worst) = (0..open.len()).min_by(|&i, &j| open[i].least.total_cmp(&open[j].least)) else { break };
            // Nothing below a relative 1e-11 is worth a box.
            if open[worst].least >= attained - 1e-11 * (1.0 + attained.abs()) {
                break;
            }
            let parent = open.swap_remove(worst);
            for bounds in halves(&parent) {
                let region = Region::from(bounds);
                let none = Hints::default();
                let analysis = self.prepared.analyse(&region, &Phases::new(), Refinement::Backward, &none, &Loops)?;
                let (least, slopes) = self.bound(&analysis);
                let least = least.max(parent.least);
                if least < attained {
                    attained = attained.min(self.value(&corner(region.bounds(), &slopes))?);
                }
                if least < attained {
                    open.push(Open { bounds: region.bounds().clone(), least, slopes });
                }
            }
        }
        let least = open.iter().map(|open| open.least).fold(attained, f64::min);
        Ok((least, attained))
    }

    /// A lower bound on an analysed box, with the coefficients of the inputs.
    fn bound(&self, analysis: &Analysis) -> (f64, Vec<f64>) {
        let network = analysis.network();
        let mut trace = Trace::default();
        let bound = analysis.backward(network.output(), &self.row.coefficients, &Hints::default(), Some(&mut trace), &Loops);
        let slopes = trace.coefficients.remove(&network.input().index()).unwrap_or_else(|| vec![0.0; network.input_size()]);
        let bound = bound.first().map_or(f64::NEG_INFINITY, |bound| add_down(*bound, self.row.constants[0]));
        (if bound.is_nan() { f64::NEG_INFINITY } else { bound }, slopes)
    }

    /// The row's value at a point, rounded up.
    fn value(&self, point: &[f64]) -> Result<f64, BoundsError> {
        let region = BoxRegion::around(point, 0.0).map_err(|_| self.not_a_point())?;
        let region = Region::from(region);
        let analysis = self.prepared.analyse(&region, &Phases::new(), Refinement::Intervals, &Hints::default(), &Loops)?;
        Ok(-analysis.lower_bounds(&self.row.negated(), &Hints::default(), &Loops).first().copied().unwrap_or(f64::NEG_INFINITY))
    }

    fn not_a_point(&self) -> BoundsError {
        BoundsError::InputSize { given: 0, expected: self.prepared.network().input_size() }
    }

    /// From the corner where a linear function is least, on to corners where the network's own linearisation is.
    fn descend(&self, bounds: &BoxRegion, slopes: &[f64]) -> Result<f64, BoundsError> {
        let mut point = corner(bounds, slopes);
        let mut best = self.value(&point)?;
        // Where a ReLU's operand vanishes at a corner the linearisation says little: start again from the centre.
        for (at_corner, start) in [(true, point.clone()), (false, bounds.centre())] {
            point = start;
            for _ in 0..STEPS {
                let region = Region::from(BoxRegion::around(&point, 0.0).map_err(|_| self.not_a_point())?);
                let none = Hints::default();
                let analysis = self.prepared.analyse(&region, &Phases::new(), Refinement::Intervals, &none, &Loops)?;
                let next = corner(bounds, &self.bound(&analysis).1);
                let value = self.value(&next)?;
                let better = value < best;
                best = best.min(value);
                if next == point || !better && at_corner {
                    break;
                }
                point = next;
            }
        }
        Ok(best)
    }
}

fn corner(bounds: &BoxRegion, slopes: &[f64]) -> Vec<f64> {
    let ends = bounds.lower().iter().zip(bounds.upper());
    slopes.iter().zip(ends).map(|(&slope, (&l, &u))| if slope >= 0.0 { l } else { u }).collect()
}

/// Halves along the input that the bound depends on most.
fn halves(open: &Open) -> Vec<BoxRegion> {
    let (lower, upper) = (open.bounds.lower(), open.bounds.upper());
    let mean = open.slopes.iter().map(|s| s.abs()).sum::<f64>() / open.slopes.len().max(1) as f64;
    let weight = |i: usize| (upper[i] - lower[i]) * (open.slopes[i].abs() + mean + f64::MIN_POSITIVE);
    let Some(widest) = (0..lower.len()).max_by(|&i, &j| weight(i).total_cmp(&weight(j))) else { return Vec::new() };
    let middle = lower[widest] / 2.0 + upper[widest] / 2.0;
    let part = |l: f64, u: f64| {
        let (mut lower, mut upper) = (lower.to_vec(), upper.to_vec());
        (lower[widest], upper[widest]) = (l, u);
        BoxRegion::new(lower, upper).ok()
    };
    // Two closed halves, which share a face, cover the box.
    [part(lower[widest], middle), part(middle, upper[widest])].into_iter().flatten().collect()
}
