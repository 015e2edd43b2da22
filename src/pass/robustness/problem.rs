//! One question: is there an input in a box that, with its output, satisfies all clauses?

use std::sync::Arc;

use crate::kernel::read::vnnlib::{Clause, InputBox, Specification};
use crate::kernel::region::bounds::BoxRegion;

/// A case of a specification, or one sample of a robustness query.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Everything that has to be refuted.
    pub region: BoxRegion,
    pub clauses: Vec<Arc<Clause>>,
    pub lattice: Lattice,
    /// Where an attack begins: the sample, or the middle of the box.
    pub start: Vec<f64>,
    /// For ℓ2: where candidates must lie.
    pub ball: Option<Ball>,
}

/// Points within `radius` of a centre, every coordinate times its deviation.
#[derive(Clone, Debug)]
pub struct Ball {
    pub centre: Vec<f64>,
    pub deviations: Vec<f64>,
    pub radius: f64,
}

/// The points of a box that a witness may have: per coordinate the float32 numbers between two bounds; where there are
/// none, one `f64`.
#[derive(Clone, Debug)]
pub struct Lattice {
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl Problem {
    /// A case of a specification; `None` where its box is none in `f64`.
    #[must_use]
    pub fn new(specification: &Specification, case: usize) -> Option<Self> {
        let case = specification.cases.get(case)?;
        let input_box = specification.boxes.get(case.region)?;
        let (lower, upper) = input_box.outer();
        let region = BoxRegion::new(lower, upper).ok()?;
        let start = region.centre();
        Some(Self { region, clauses: case.clauses.clone(), lattice: Lattice::new(input_box), start, ball: None })
    }
}

impl Ball {
    /// Moves a point into the ball, with room for its coordinates to be rounded to float32.
    pub fn project(&self, point: &mut [f64]) {
        let offsets = || point.iter().zip(&self.centre).zip(&self.deviations).map(|((p, c), d)| (p - c) * d);
        let distance = offsets().map(|offset| offset * offset).sum::<f64>().sqrt();
        let size = point.iter().zip(&self.deviations).map(|(p, d)| (p * d) * (p * d)).sum::<f64>().sqrt();
        let radius = (self.radius * (1.0 - 1e-6) - 1e-7 * size).max(0.0);
        if distance > radius {
            let share = radius / distance;
            point.iter_mut().zip(&self.centre).for_each(|(p, c)| *p = c + share * (*p - c));
        }
    }
}

impl Lattice {
    #[must_use]
    pub fn new(input_box: &InputBox) -> Self {
        let coordinate = |lower: f64, upper: f64, nearest: f64| {
            let (low, high) = (f32_at_least(lower), f32_at_most(upper));
            if low <= high {
                (low, high)
            } else if lower <= upper {
                (lower, upper)
            } else {
                (nearest, nearest)
            }
        };
        let bounds = input_box.lower.iter().zip(&input_box.upper);
        let (lower, upper) = bounds.map(|(l, u)| coordinate(l.upper, u.lower, l.nearest)).unzip();
        Self { lower, upper }
    }

    /// The part in a box; where nothing of a coordinate is left, its nearest value stays.
    #[must_use]
    pub fn within(&self, region: &BoxRegion) -> Self {
        let bounds = self.lower.iter().zip(&self.upper).zip(region.lower().iter().zip(region.upper()));
        let coordinate = |((&lower, &upper), (&least, &most)): ((&f64, &f64), (&f64, &f64))| {
            let (low, high) = (lower.max(f32_at_least(least)), upper.min(f32_at_most(most)));
            if low <= high { (low, high) } else { (least.clamp(lower, upper), least.clamp(lower, upper)) }
        };
        let (lower, upper) = bounds.map(coordinate).unzip();
        Self { lower, upper }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.lower.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lower.is_empty()
    }

    /// Whether there is one point alone.
    #[must_use]
    pub fn is_point(&self) -> bool {
        self.lower == self.upper
    }

    /// The bounds of a coordinate.
    #[must_use]
    pub fn bounds(&self, index: usize) -> (f64, f64) {
        (self.lower[index], self.upper[index])
    }

    /// The point of the lattice that is nearest, coordinate by coordinate; NaN goes to the lower bound.
    pub fn snap(&self, point: &mut [f64]) {
        for (x, (&lower, &upper)) in point.iter_mut().zip(self.lower.iter().zip(&self.upper)) {
            let rounded = f64::from(*x as f32);
            // The bounds are float32 numbers, or there is none between them.
            *x = if rounded >= upper {
                upper
            } else if rounded > lower {
                rounded
            } else {
                lower
            };
        }
    }
}

/// The smallest float32 number not below, as `f64`; infinite where there is none.
fn f32_at_least(x: f64) -> f64 {
    let nearest = x as f32;
    f64::from(if f64::from(nearest) < x { nearest.next_up() } else { nearest })
}

fn f32_at_most(x: f64) -> f64 {
    -f32_at_least(-x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::read::vnnlib::Constant;

    #[test]
    fn points_are_float32_numbers_strictly_inside_where_there_are_some() {
        let decimals = |texts: &[&str]| texts.iter().map(|text| Constant::parse(text).unwrap()).collect();
        let input_box = InputBox {
            lower: decimals(&["0.1", "0.1", "0.5", "0.1"]),
            upper: decimals(&["0.3", "0.1", "0.5", "0.10000000000000001"]),
        };
        let lattice = Lattice::new(&input_box);
        let mut low = [f64::NEG_INFINITY, 0.0, 7.0, f64::NAN];
        lattice.snap(&mut low);
        assert!(low[0] > 0.1 && f64::from(low[0] as f32) == low[0] && low[0] < 0.100_000_01);
        assert_eq!(&low[1..], [0.1, 0.5, 0.1]);
        let mut high = [1.0; 4];
        lattice.snap(&mut high);
        assert!(high[0] < 0.3 && f64::from(high[0] as f32) == high[0]);
        let mut middle = [0.2, 0.2, 0.2, 0.2];
        lattice.snap(&mut middle);
        assert_eq!(middle[0], f64::from(0.2_f32));
    }
}
