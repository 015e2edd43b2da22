//! Sums of rows against exact rationals.

use super::super::testing::{RBig, Rng, rational};
use super::*;

/// Exact coordinates 0..length of a row's midpoint.
fn exact(row: &Row, length: usize) -> Vec<RBig> {
    (0..length)
        .map(|index| match index.checked_sub(row.start()) {
            Some(offset) if offset < row.len() => rational(row.hi()[offset]) + rational(row.lo()[offset]),
            _ => RBig::ZERO,
        })
        .collect()
}

fn square_norm(values: &[RBig]) -> RBig {
    values.iter().map(|x| x * x).fold(RBig::ZERO, |a, b| a + b)
}

/// The squared distance of `truth` from the row's midpoint.
fn square_distance(row: &Row, truth: &[RBig]) -> RBig {
    let mid = exact(row, truth.len());
    let difference: Vec<RBig> = mid.iter().zip(truth).map(|(a, b)| a - b).collect();
    square_norm(&difference)
}

fn encloses(row: &Row, truth: &[RBig]) -> bool {
    if !row.is_valid() {
        return true;
    }
    let radius = rational(row.radius());
    let norm = row.norm_upper();
    square_distance(row, truth) <= &radius * &radius
        && (norm.is_infinite() || square_norm(truth) <= rational(norm) * rational(norm))
}

fn random_row(rng: &mut Rng, length: usize, low: i32, high: i32) -> Row {
    let start = rng.below(length);
    let size = rng.below(length - start) + 1;
    let hi: Vec<f64> = (0..size).map(|_| rng.spread(low, high)).collect();
    let lo = hi.iter().map(|x| x * rng.uniform() * 1e-16).collect();
    Row::from_parts(start, hi, lo, 0.0)
}

/// A random weight of one of the kinds the accumulator tells apart.
fn add_random(rng: &mut Rng, sum: &mut RowAccumulator, row: &Row) -> RBig {
    let plain = match rng.below(3) {
        0 => f64::from(rng.uniform() as f32),
        1 => rng.uniform(),
        _ => rng.spread(-3, 3),
    };
    if rng.below(3) > 0 {
        sum.add_scaled_exact(plain, row);
        return rational(plain);
    }
    let weight = Enclosure::from_parts(plain, plain * rng.uniform() * 1e-16, 0.0);
    sum.add_scaled(&weight, row);
    rational(weight.hi()) + rational(weight.lo())
}

#[test]
fn sums_stay_within_the_radius() {
    let mut rng = Rng::new(21);
    for round in 0..400 {
        let length = 1 + rng.below(12);
        let (low, high) = [(-3, 3), (-60, 60), (-1074, -900), (-500, -460), (300, 500)][round % 5];
        let mut sum = RowAccumulator::new(rng.below(3)..length);
        let mut truth = vec![RBig::ZERO; length];
        let mut mass = 0.0;
        for _ in 0..rng.below(40) {
            let row = random_row(&mut rng, length, low, high);
            let weight = add_random(&mut rng, &mut sum, &row);
            mass += weight.to_f64().value().abs() * row.norm_upper();
            for (total, value) in truth.iter_mut().zip(exact(&row, length)) {
                *total += &weight * value;
            }
        }
        let result = sum.finish();
        assert!(result.is_valid());
        assert!(encloses(&result, &truth), "round {round}");
        assert!(result.radius() <= mass * 2.0_f64.powi(-96) + 1e-300);
    }
}

#[test]
fn underflow_is_covered_where_the_relative_bound_is_not() {
    let mut rng = Rng::new(26);
    let length = 300;
    let hi: Vec<f64> = (0..length).map(|_| rng.spread(-1066, -1056)).collect();
    let row = Row::exact(0, hi);
    let mut sum = RowAccumulator::new(0..length);
    let mut truth = vec![RBig::ZERO; length];
    for _ in 0..20 {
        let weight = rng.uniform();
        sum.add_scaled_exact(weight, &row);
        for (total, value) in truth.iter_mut().zip(exact(&row, length)) {
            *total += rational(weight) * value;
        }
    }
    assert!(encloses(&sum.finish(), &truth));
}

/// Weights and rows over the whole range of exponents: the weight may be huge where the row underflows, and the other way
/// round. Where no term is tiny the radius is.
#[test]
fn no_magnitude_escapes() {
    let mut rng = Rng::new(27);
    let (mut valid, mut tight) = (0, 0);
    for round in 0..3_000 {
        let length = 1 + rng.below(4);
        let mut sum = RowAccumulator::new(0..length);
        let mut truth = vec![RBig::ZERO; length];
        let mut inherited = RBig::ZERO;
        let mut largest: f64 = 0.0;
        let balanced = round % 2 == 0;
        for _ in 0..=rng.below(12) {
            let exponent = rng.below(1900) as i32 - 1000;
            let against = if balanced { (-exponent - 20).max(-1070) } else { rng.below(2040) as i32 - 1070 };
            let row = random_row(&mut rng, length, exponent, exponent + 10);
            let row = if rng.below(3) == 0 { row.with_radius(rng.spread(-1074, -900).abs()) } else { row };
            let plain = rng.spread(against, against + 10);
            let short = f64::from(plain as f32);
            let plain = if rng.below(3) == 0 && short.is_finite() { short } else { plain };
            let weight = if rng.below(2) == 0 {
                sum.add_scaled_exact(plain, &row);
                rational(plain)
            } else {
                let weight = Enclosure::from_parts(plain, plain * rng.uniform() * 1e-16, 0.0);
                sum.add_scaled(&weight, &row);
                rational(weight.hi()) + rational(weight.lo())
            };
            largest = largest.max(plain.abs() * row.norm_upper());
            inherited += super::super::testing::absolute(weight.clone()) * rational(row.radius());
            for (total, value) in truth.iter_mut().zip(exact(&row, length)) {
                *total += &weight * value;
            }
        }
        let result = sum.finish();
        if !result.is_valid() {
            continue;
        }
        valid += 1;
        // What the rows' own radii allow lies on top of what the sum lost.
        let own = rational(result.radius()) - inherited;
        assert!(own >= RBig::ZERO && square_distance(&result, &truth) <= &own * &own, "{round}");
        tight += usize::from(result.radius() <= largest * 1e-25);
    }
    assert!(valid > 1_500 && tight > 500, "{valid} {tight}");
}

#[test]
fn cancellation_is_covered() {
    // Terms that cancel to far below their size, many times over.
    let mut rng = Rng::new(22);
    for _ in 0..100 {
        let length = 4;
        let mut sum = RowAccumulator::new(0..length);
        let mut truth = vec![RBig::ZERO; length];
        for step in 0..60 {
            let row = random_row(&mut rng, length, -2, 2);
            let weight = rng.uniform() * 2.0_f64.powi(step % 7 * 10);
            let nearly = weight * (1.0 + f64::EPSILON * (rng.below(3) as f64));
            for factor in [weight, -nearly] {
                sum.add_scaled_exact(factor, &row);
                for (total, value) in truth.iter_mut().zip(exact(&row, length)) {
                    *total += rational(factor) * value;
                }
            }
        }
        assert!(encloses(&sum.finish(), &truth));
    }
}

#[test]
fn radii_of_weights_and_rows_are_carried() {
    let mut rng = Rng::new(23);
    for _ in 0..200 {
        let length = 5;
        let mut sum = RowAccumulator::new(0..length);
        let mut truth = vec![RBig::ZERO; length];
        for _ in 0..=rng.below(10) {
            let middle = random_row(&mut rng, length, -3, 3);
            let radius = rng.spread(-40, 0).abs();
            let (hi, lo) = (middle.hi().to_vec(), middle.lo().to_vec());
            let row = Row::from_parts(middle.start(), hi, lo, radius);
            // The true row: one coordinate of the span moved by the whole radius.
            let mut values = exact(&row, length);
            values[row.start() + rng.below(row.len())] += rational(radius);
            let spread = rng.spread(-40, 0).abs();
            let weight = Enclosure::from_parts(rng.uniform(), 0.0, spread);
            let truly = rational(weight.hi()) + rational(spread);
            sum.add_scaled(&weight, &row);
            for (total, value) in truth.iter_mut().zip(values) {
                *total += &truly * value;
            }
        }
        assert!(encloses(&sum.finish(), &truth));
    }
}

#[test]
fn deep_products_stay_sharp() {
    // 30 layers of 8 rows with f32 weights, exact propagation alongside.
    let mut rng = Rng::new(24);
    let width = 8;
    let mut rows: Vec<Row> = (0..width).map(Row::unit).collect();
    let mut truths: Vec<Vec<RBig>> = rows.iter().map(|row| exact(row, width)).collect();
    for _ in 0..30 {
        let mut next_rows = Vec::new();
        let mut next_truths = Vec::new();
        for _ in 0..width {
            let mut sum = RowAccumulator::new(0..width);
            let mut truth = vec![RBig::ZERO; width];
            for (row, exact) in rows.iter().zip(&truths) {
                let weight = f64::from((rng.uniform() * 0.6) as f32);
                sum.add_scaled_exact(weight, row);
                for (total, value) in truth.iter_mut().zip(exact) {
                    *total += rational(weight) * value;
                }
            }
            next_rows.push(sum.finish());
            next_truths.push(truth);
        }
        rows = next_rows;
        truths = next_truths;
    }
    for (row, truth) in rows.iter().zip(&truths) {
        assert!(encloses(row, truth));
        // Radii grow by the weights' absolute values, the row itself may shrink.
        let limit = 2.0_f64.powi(-96) * 2.4_f64.powi(30);
        assert!(row.radius() <= limit, "{:e} {:e}", row.radius(), row.norm_upper());
        assert!(row.radius() > 0.0);
    }
}

#[test]
fn one_power_of_two_keeps_exactness() {
    let row = Row::from_parts(3, vec![1.0, -0.3, 0.0], vec![1e-20, 1e-18, 0.0], 0.0);
    for weight in [1.0, -1.0, 0.5, -1024.0] {
        let mut sum = RowAccumulator::new(0..10);
        sum.add_scaled_exact(0.0, &row);
        sum.add_scaled_exact(weight, &row);
        let result = sum.finish();
        assert_eq!(result.radius(), 0.0);
        assert_eq!(result.coordinate(4).hi(), -0.3 * weight);
        assert_eq!(result.coordinate(9).to_f64_exact(), Some(0.0));
    }
    let mut sum = RowAccumulator::new(0..10);
    sum.add_scaled_exact(3.0, &row);
    assert!(sum.finish().radius() > 0.0);
    let mut sum = RowAccumulator::new(0..10);
    sum.add_scaled_exact(2.0_f64.powi(-1000), &row);
    assert!(sum.finish().radius() > 0.0);
    for weights in [[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]] {
        let mut sum = RowAccumulator::new(0..10);
        for weight in weights {
            sum.add_scaled_exact(weight, &row);
        }
        assert!(sum.finish().radius() > 0.0);
    }
    assert_eq!(RowAccumulator::new(0..4).finish().norm_upper(), 0.0);
}

#[test]
fn spans_grow_in_both_directions() {
    let mut sum = RowAccumulator::new(5..6);
    for index in [5, 9, 2, 7, 0, 30, 4, 4, 4, 4, 4, 4] {
        sum.add_scaled_exact(3.0, &Row::unit(index));
    }
    let result = sum.finish();
    assert_eq!((result.start(), result.end()), (0, 31));
    for index in 0..40 {
        let expected = match index {
            4 => 18.0,
            0 | 2 | 5 | 7 | 9 | 30 => 3.0,
            _ => 0.0,
        };
        assert_eq!(result.coordinate(index).mid(), expected);
    }
}

#[test]
fn nothing_infinite_becomes_finite() {
    let good = Row::exact(0, vec![1.0, 2.0]);
    let huge = Row::exact(0, vec![1e300, 1.0]);
    let unknown = Row::from_parts(0, vec![1.0, 2.0], vec![0.0, 0.0], f64::INFINITY);
    let nan = Row::exact(0, vec![f64::NAN, 0.0]);
    let cases: [(Enclosure, &Row); 10] = [
        (Enclosure::INVALID, &good),
        (Enclosure::INVALID, &Row::zero()),
        (Enclosure::exact(1e300), &huge),
        (Enclosure::exact(f64::MAX), &good),
        (Enclosure::from_parts(1e300, 1e280, 0.0), &huge),
        (Enclosure::ZERO, &unknown),
        (Enclosure::ONE, &unknown),
        (Enclosure::ONE, &nan),
        (Enclosure::ZERO, &nan),
        (Enclosure::from_parts(0.0, 0.0, 1.0), &nan),
    ];
    for (weight, row) in cases {
        let mut sum = RowAccumulator::new(0..2);
        sum.add_scaled_exact(0.5, &good);
        sum.add_scaled(&weight, row);
        sum.add_scaled_exact(0.5, &good);
        let result = sum.finish();
        assert!(!result.is_valid(), "{weight:?} {row:?}");
        assert_eq!(result.norm_upper(), f64::INFINITY);
    }
    let mut sum = RowAccumulator::new(0..2);
    sum.add_scaled_exact(f64::NAN, &good);
    assert!(!sum.finish().is_valid());
}
