//! Enclosures of solutions of implicit equations `z = φ(A·z + u)`.
//!
//! Krawczyk's operator (Krawczyk 1969; Rump, Acta Numerica 2010, section 13) on `G(z) = z − φ(Az + u)`: for an approximate
//! solution `ẑ` with residual `r = G(ẑ)`, any matrix `R`, and slopes `S_e` of `φ` between `Aẑ + u` and `A(ẑ + e) + u`,
//! `e − R·G(ẑ + e) = −R·r + C_e·e` with `C_e = I − R(I − S_e·A)`. Where that maps a box `|e| ≤ E` into its interior, some
//! `e` of the box is a fixed point (Brouwer), and `|C_e|·E < E` makes `R` regular: `G(ẑ + e) = 0`.
//!
//! The box then holds *a* solution. That there is no other is proved elsewhere: by the matrix inequality of the form.

use crate::model::ir::{Arithmetic, Function, Resolvent, SlopeRange, fixed_point, slopes_within};
use crate::sound::Enclosure;
use crate::sound::round::{add_up, gamma, max_or_nan, mul_up, sub_up};

/// Unknowns beyond which no enclosure is tried: its cost grows with their cube.
const LARGEST: usize = 512;
/// Boxes that are tried, each larger than the one before.
const ATTEMPTS: usize = 12;

/// Intervals around one solution; for every injection of the given ones they hold one.
pub(super) fn enclose(function: &Function, weights: &[Enclosure], injection: &[Enclosure]) -> Option<Vec<Enclosure>> {
    let order = injection.len();
    let weights: Vec<f64> = weights.iter().map(Enclosure::to_f64_exact).collect::<Option<_>>()?;
    if order > LARGEST || weights.len() != order * order {
        return None;
    }
    let middle: Vec<f64> = injection.iter().map(Enclosure::mid).collect();
    let point = fixed_point(function, &weights, &middle)?;
    Krawczyk::new(function, &weights, injection, &point)?.solutions()
}

/// The operator at one approximate solution.
struct Krawczyk<'a> {
    function: &'a Function,
    weights: &'a [f64],
    point: &'a [f64],
    /// `D`: any slopes near those that occur.
    slopes: Vec<f64>,
    /// `R`, row by row: any matrix, near `(I − D·A)⁻¹`.
    inverse: Vec<f64>,
    /// `A·ẑ + u`.
    arguments: Vec<Enclosure>,
    /// `−R·r`.
    correction: Vec<Enclosure>,
    /// `I − R(I − D·A)`, row by row, as computed.
    defect: Vec<f64>,
}

impl<'a> Krawczyk<'a> {
    fn new(function: &'a Function, weights: &'a [f64], injection: &[Enclosure], point: &'a [f64]) -> Option<Self> {
        let order = point.len();
        let mut values = injection.to_vec();
        for (row, z) in weights.chunks_exact(order).zip(point) {
            values.iter_mut().zip(row).for_each(|(v, weight)| *v = *v + Enclosure::exact(*z) * Enclosure::exact(*weight));
        }
        let slopes: Vec<f64> = values.iter().map(|v| function.derivative(v.mid())).collect();
        let resolvent = Resolvent::new(weights, &slopes)?;
        let mut inverse = vec![0.0; order * order];
        for j in 0..order {
            let unit: Vec<f64> = (0..order).map(|i| f64::from(u8::from(i == j))).collect();
            resolvent.solve(&unit).into_iter().enumerate().for_each(|(i, value)| inverse[i * order + j] = value);
        }
        let residuals: Vec<Enclosure> =
            values.iter().zip(point).map(|(v, z)| Some(v.apply(function)? - Enclosure::exact(*z))).collect::<Option<_>>()?;
        let corrected = |row: &[f64]| {
            row.iter().zip(&residuals).fold(Enclosure::ZERO, |sum, (entry, residual)| sum + Enclosure::exact(*entry) * *residual)
        };
        let correction = inverse.chunks_exact(order).map(corrected).collect();
        let mut defect = vec![0.0; order * order];
        for (i, (row, target)) in inverse.chunks_exact(order).zip(defect.chunks_exact_mut(order)).enumerate() {
            target.iter_mut().zip(row).for_each(|(entry, r)| *entry = -r);
            target[i] += 1.0;
            for (k, (r, d)) in row.iter().zip(&slopes).enumerate().filter(|(_, (r, d))| **r != 0.0 && **d != 0.0) {
                // A_kj = weights[j·n + k].
                target.iter_mut().enumerate().for_each(|(j, entry)| *entry += r * d * weights[j * order + k]);
            }
        }
        Some(Self { function, weights, point, slopes, inverse, arguments: values, correction, defect })
    }

    fn solutions(&self) -> Option<Vec<Enclosure>> {
        let mut radii: Vec<f64> = self.correction.iter().map(Enclosure::magnitude).collect();
        for _ in 0..ATTEMPTS {
            // Strictly positive, and larger than what it is mapped to where it is large enough.
            radii.iter_mut().for_each(|radius| *radius = add_up(mul_up(1.25, *radius), f64::MIN_POSITIVE));
            let spread = self.spread(&radii)?;
            let image: Vec<f64> = self.correction.iter().zip(&spread).map(|(c, s)| add_up(c.magnitude(), *s)).collect();
            if image.iter().zip(&radii).all(|(image, radius)| image < radius) {
                let moved = self.point.iter().zip(&self.correction).zip(&spread);
                return Some(moved.map(|((z, c), s)| (Enclosure::exact(*z) + *c).widened(*s)).collect());
            }
            radii.iter_mut().zip(image).for_each(|(radius, image)| *radius = max_or_nan(*radius, image));
        }
        None
    }

    /// Bounds of `|C_e|·E` over the box `|e| ≤ E`: `|I − R(I − D·A)|·E + |R|·|S_e − D|·|A|·E`.
    fn spread(&self, radii: &[f64]) -> Option<Vec<f64>> {
        let order = radii.len();
        // |A|·E, and how far the arguments move.
        let mut reach = vec![0.0; order];
        for (row, radius) in self.weights.chunks_exact(order).zip(radii) {
            reach.iter_mut().zip(row).for_each(|(sum, weight)| *sum = add_up(*sum, mul_up(weight.abs(), *radius)));
        }
        let mut deviations = Vec::with_capacity(order);
        for ((value, reach), slope) in self.arguments.iter().zip(&reach).zip(&self.slopes) {
            let moved = value.widened(*reach);
            let range = slopes_between(self.function, moved.lower(), moved.upper())?;
            let deviation = max_or_nan(sub_up(range.upper, *slope), sub_up(*slope, range.lower));
            deviations.push(max_or_nan(deviation, 0.0));
        }
        // Every entry of the defect is a sum of at most n + 2 terms of at most two products.
        let rounding = gamma(order + 6);
        let largest = self.weights.iter().fold(1.0, |largest: f64, weight| max_or_nan(largest, weight.abs()));
        let total = radii.iter().fold(0.0, |sum, radius| add_up(sum, *radius));
        let underflow = mul_up(mul_up(8.0 * (order as f64 + 4.0), f64::MIN_POSITIVE), mul_up(largest, total));
        let rows = self.inverse.chunks_exact(order).zip(self.defect.chunks_exact(order)).zip(radii);
        let spread = rows.map(|((inverse, defect), own)| {
            let (mut sum, mut terms) = (underflow, *own);
            for k in 0..order {
                let entry = inverse[k].abs();
                sum = add_up(sum, mul_up(defect[k].abs(), radii[k]));
                sum = add_up(sum, mul_up(entry, mul_up(deviations[k], reach[k])));
                terms = add_up(terms, mul_up(entry, add_up(radii[k], mul_up(self.slopes[k].abs(), reach[k]))));
            }
            add_up(sum, mul_up(rounding, terms))
        });
        let spread: Vec<f64> = spread.collect();
        spread.iter().all(|value| value.is_finite()).then_some(spread)
    }
}

/// The slopes of a function between points of an interval: one of them where it is linear there.
fn slopes_between(function: &Function, lower: f64, upper: f64) -> Option<SlopeRange> {
    let linear = |slope: f64| Some(SlopeRange::new(slope, slope));
    match *function {
        Function::Relu | Function::LeakyRelu { .. } | Function::Abs if lower >= 0.0 => linear(1.0),
        Function::Relu if upper <= 0.0 => linear(0.0),
        Function::LeakyRelu { slope } if upper <= 0.0 => linear(slope),
        Function::Abs if upper <= 0.0 => linear(-1.0),
        Function::Clip { lower: low, upper: high } if low <= lower && upper <= high => linear(1.0),
        Function::Clip { lower: low, upper: high } if upper <= low || lower >= high => linear(0.0),
        _ => slopes_within(function, lower, upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solve(function: &Function, weights: &[f64], injection: &[f64]) -> Option<Vec<Enclosure>> {
        let exact = |values: &[f64]| values.iter().map(|&x| Enclosure::exact(x)).collect::<Vec<_>>();
        enclose(function, &exact(weights), &exact(injection))
    }

    /// `z = φ(a·z + u)` for one unknown, whose solutions are known.
    #[test]
    fn the_solution_of_one_equation_lies_in_its_enclosure_and_that_is_narrow() {
        // relu: z = u/(1 − a) for u ≥ 0; leaky with slope s: z = s·u/(1 − s·a) for u < 0.
        for (function, a, u, numerator, denominator) in [
            (Function::Relu, -3.0, 1.0, 1.0, 4.0),
            (Function::Relu, 0.5, 0.3, 0.3, 0.5),
            (Function::LeakyRelu { slope: 0.25 }, -2.0, -5.0, -1.25, 1.5),
        ] {
            let z = solve(&function, &[a], &[u]).unwrap()[0];
            let difference = z * Enclosure::exact(denominator) - Enclosure::exact(numerator);
            assert!(difference.contains_zero() && z.radius() < 1e-25, "{function:?} {z:?}");
        }
    }

    #[test]
    fn smooth_equations_are_enclosed_and_put_back_into_themselves() {
        let order = 7;
        let weights: Vec<f64> =
            (0..order * order).map(|i| 0.4 * (i as f64 * 1.3 + 0.7).sin() - if i % 8 == 0 { 2.0 } else { 0.0 }).collect();
        let injection: Vec<f64> = (0..order).map(|i| (i as f64 * 2.1).cos()).collect();
        for function in [Function::Tanh, Function::Sigmoid, Function::Softplus] {
            let z = solve(&function, &weights, &injection).unwrap();
            for j in 0..order {
                let argument = (0..order)
                    .fold(Enclosure::exact(injection[j]), |sum, i| sum + Enclosure::exact(weights[i * order + j]) * z[i]);
                assert!((argument.apply(&function).unwrap() - z[j]).contains_zero(), "{function:?} {j}");
                assert!(z[j].radius() < 1e-12, "{function:?} {j} {:?}", z[j]);
            }
        }
    }

    #[test]
    fn nothing_is_enclosed_where_there_is_no_solution() {
        assert!(solve(&Function::Relu, &[1.5], &[1.0]).is_none());
        assert!(solve(&Function::Relu, &[f64::NAN], &[1.0]).is_none());
    }
}
