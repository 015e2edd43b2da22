//! Networks and claims over the whole range of exponents, judged by exact arithmetic: nothing false is proved, and what is
//! true and has room is.

use dashu::integer::IBig;

use super::assembly::assemble;
use super::term::{Cross, Square, Weight};
use crate::lipschitz::form::{Form, QuadraticForm, Rows, Segment, SortForm};
use crate::model::ir::{Function, Network, NetworkBuilder, Op, SlopeRange, Tensor};
use crate::sound::testing::Rng;
use crate::sound::{Row, prove_positive_definite};

/// `x·2¹⁰⁷⁴`, exactly.
fn integer(x: f64) -> IBig {
    let bits = x.abs().to_bits();
    let (field, fraction) = ((bits >> 52) as usize, bits & ((1 << 52) - 1));
    let size = if field == 0 { IBig::from(fraction) } else { IBig::from(fraction | 1 << 52) << (field - 1) };
    if x < 0.0 { -size } else { size }
}

/// The product of numbers, times `2^(5·1074)`.
fn product(factors: &[f64]) -> IBig {
    let scale = 1074 * (5 - factors.len());
    factors.iter().fold(IBig::ONE, |product, &factor| product * integer(factor)) << scale
}

/// Whether all leading minors are positive, by fraction-free elimination (Bareiss), whose pivots they are.
fn definite(mut matrix: Vec<Vec<IBig>>) -> bool {
    let mut previous = IBig::ONE;
    for k in 0..matrix.len() {
        if matrix[k][k] <= IBig::ZERO {
            return false;
        }
        let pivot = matrix[k].clone();
        for row in matrix.iter_mut().skip(k + 1) {
            let first = row[k].clone();
            for (entry, above) in row.iter_mut().zip(&pivot).skip(k) {
                *entry = (&pivot[k] * &*entry - &first * above) / &previous;
            }
        }
        previous = pivot[k].clone();
    }
    true
}

/// `y = W₂ᵀ·φ(W₁ᵀ·x)`, its slopes as the matrix is given them, and a claim about it.
#[derive(Debug)]
struct Case {
    /// `[inputs][hidden]`
    first: Vec<Vec<f64>>,
    /// `[hidden][outputs]`
    second: Vec<Vec<f64>>,
    function: Function,
    /// Given to the groups in place of the function's own, as they are.
    raw: Option<SlopeRange>,
    input_multipliers: Vec<f64>,
    multipliers: Vec<f64>,
    weights: Option<Vec<f64>>,
}

enum Draw {
    /// Exponents over the whole range.
    Everything,
    /// The products of a path of weights and a slope are of ordinary size, the factors are not.
    Balanced,
    Ordinary,
}

impl Case {
    fn network(&self) -> Network {
        let mut builder = NetworkBuilder::new();
        let mut signal = builder.push("x", "", Op::Input, &[], vec![1, 1, self.first.len()]).unwrap();
        for (layer, weights) in [&self.first, &self.second].into_iter().enumerate() {
            let (rows, columns) = (weights.len(), weights[0].len());
            let tensor = Tensor::new(vec![1, rows, columns], weights.concat()).unwrap();
            let constant = builder.push("w", "", Op::Constant(tensor), &[], vec![1, rows, columns]).unwrap();
            signal = builder.push("m", "MatMul", Op::MatMul, &[signal, constant], vec![1, 1, columns]).unwrap();
            if layer == 0 {
                signal = builder.push("f", "", Op::Function(self.function.clone()), &[signal], vec![1, 1, columns]).unwrap();
            }
        }
        builder.finish(signal).unwrap()
    }

    fn rows(&self) -> Rows {
        let network = self.network();
        let mut rows = Rows::new(&Form::new(&network, Segment::whole(&network), SortForm::Comparators).unwrap()).unwrap();
        if let Some(raw) = self.raw {
            rows.groups.iter_mut().for_each(|group| group.slopes = raw);
        }
        rows
    }

    fn is_proved(&self, rows: &Rows) -> bool {
        match &self.weights {
            None => QuadraticForm::new(rows, &self.input_multipliers, &self.multipliers).is_ok_and(|form| form.prove().is_ok()),
            Some(weights) => QuadraticForm::weighted(rows, &self.input_multipliers, weights, &self.multipliers)
                .is_ok_and(|form| form.prove_each_input().is_ok()),
        }
    }

    /// Decides exactly whether the inequality holds; with weights, for each input alone.
    fn holds(&self, rows: &Rows) -> bool {
        let (inputs, hidden, outputs) = (self.first.len(), self.second.len(), self.second[0].len());
        let tau = |i: usize| *self.input_multipliers.get(i).unwrap_or(&self.input_multipliers[0]);
        let slopes = |k: usize| (rows.groups[k].slopes.lower, rows.groups[k].slopes.upper);
        let entry = |i: usize, j: usize| match (i.checked_sub(inputs), j.checked_sub(inputs)) {
            (None, None) => (0..hidden).fold(if i == j { product(&[tau(i)]) } else { IBig::ZERO }, |sum, k| {
                let (alpha, beta) = slopes(k);
                sum + product(&[self.multipliers[k], alpha, beta, self.first[i][k], self.first[j][k]])
            }),
            (Some(k), None) | (None, Some(k)) => {
                let ((alpha, beta), lambda) = (slopes(k), self.multipliers[k]);
                let weight = self.first[i.min(j)][k];
                // Even: a product of three is a multiple of a large power of two.
                -(product(&[lambda, alpha, weight]) + product(&[lambda, beta, weight])) / IBig::from(2)
            }
            (Some(k), Some(l)) => {
                let own = if k == l { product(&[self.multipliers[k]]) } else { IBig::ZERO };
                (0..outputs).fold(own, |sum, o| {
                    let weight = self.weights.as_ref().map_or(1.0, |weights| weights[o]);
                    sum - product(&[weight, self.second[k][o], self.second[l][o]])
                })
            }
        };
        let over = |kept: &[usize]| definite(kept.iter().map(|&i| kept.iter().map(|&j| entry(i, j)).collect()).collect());
        let all: Vec<usize> = (0..inputs + hidden).collect();
        if self.weights.is_none() {
            return over(&all);
        }
        (0..inputs).all(|input| over(&std::iter::once(input).chain(inputs..inputs + hidden).collect::<Vec<_>>()))
    }

    /// Whether the square of the slope at zero, where all hidden units have the slope `alpha`, is below the claimed one.
    fn exceeds_the_slope_at_zero(&self) -> bool {
        let (Function::HardSigmoid { alpha, .. }, 1, 1) = (&self.function, self.first.len(), self.second[0].len()) else {
            return true;
        };
        let paths = self.first[0].iter().zip(&self.second);
        let slope = paths.fold(IBig::ZERO, |sum, (first, second)| sum + product(&[*alpha, *first, second[0]]));
        let squared = &slope * &slope;
        (product(&[self.input_multipliers[0]]) << (5 * 1074)) > squared
    }

    fn draw(random: &mut Rng, draw: &Draw) -> Self {
        let (inputs, hidden, outputs) = (1 + random.below(2), 1 + random.below(2), 1 + random.below(2));
        // Exponents of a slope and of the weights on both sides of it.
        let (slope, first, second) = match draw {
            Draw::Everything => ((-1074, 1024), (-1074, 1024), (-1074, 1024)),
            Draw::Balanced => {
                let slope = -(random.below(1000) as i32);
                let second = random.below(800) as i32 - 300;
                let first = (-slope - second + random.below(40) as i32 - 20).clamp(-1000, 990);
                ((slope - 3, slope + 3), (first - 3, first + 3), (second - 3, second + 3))
            }
            Draw::Ordinary => ((-20, 10), (-20, 20), (-20, 20)),
        };
        let mut number = |(low, high): (i32, i32)| match random.below(12) {
            0 => 0.0,
            _ => random.spread(low, high.min(1023)),
        };
        let function_slope = number(slope);
        let mut matrix = |rows: usize, columns: usize, range| -> Vec<Vec<f64>> {
            (0..rows).map(|_| (0..columns).map(|_| number(range)).collect()).collect()
        };
        let (first, second) = (matrix(inputs, hidden, first), matrix(hidden, outputs, second));
        let function = match random.below(3) {
            0 => Function::LeakyRelu { slope: function_slope },
            1 => Function::Selu { alpha: 1.0, gamma: function_slope },
            _ => Function::HardSigmoid { alpha: function_slope, beta: 0.5 },
        };
        let raw = match random.below(4) {
            0 => Some(SlopeRange { lower: function_slope.min(0.0), upper: function_slope.max(0.0) }),
            1 => Some(SlopeRange { lower: -function_slope.abs(), upper: function_slope.abs() * random.uniform().abs() }),
            _ => None,
        };
        // LeakyReLU with the slope one is linear and has no group.
        let raw = raw.filter(|_| !matches!(function, Function::LeakyRelu { .. }));
        Self { first, second, function, raw, input_multipliers: Vec::new(), multipliers: Vec::new(), weights: None }
    }

    /// Multipliers that prove a bound with room, as nearly as `f64` holds them: with `λ_k = 2|w_k|Σ|w_j|` what the outputs
    /// take is half of `λ`, and the rest of every group fits into `4λ_k·max(α², β²)` times its argument's square.
    fn honest(&mut self, rows: &Rows, random: &mut Rng) {
        let outputs = self.second[0].len();
        let weights: Option<Vec<f64>> =
            (random.below(3) == 0).then(|| (0..outputs).map(|_| random.spread(-5, 5).abs()).collect());
        let size = |k: usize, o: usize| self.second[k][o].abs() * weights.as_ref().map_or(1.0, |weights| weights[o]).sqrt();
        let totals: Vec<f64> = (0..outputs).map(|o| (0..self.second.len()).map(|k| size(k, o)).sum()).collect();
        let multiplier = |k: usize| 2.0 * (0..outputs).map(|o| size(k, o) * totals[o]).sum::<f64>();
        self.multipliers = (0..self.second.len()).map(multiplier).collect();
        let steepest = |k: usize| rows.groups[k].slopes.lower.abs().max(rows.groups[k].slopes.upper.abs());
        let inputs = self.first.len();
        let needed = |i: usize| {
            let own = |k: usize| 4.0 * (self.multipliers[k].sqrt() * steepest(k) * self.first[i][k]).powi(2);
            inputs as f64 * (0..self.multipliers.len()).map(own).sum::<f64>()
        };
        self.input_multipliers = (0..inputs).map(needed).collect();
        self.weights = weights;
        if self.weights.is_none() && random.below(2) == 0 {
            self.input_multipliers = vec![self.input_multipliers.iter().copied().fold(0.0, f64::max)];
        }
    }

    /// Whether the multipliers are numbers that a certificate may hold, and something is claimed.
    fn is_admissible(&self) -> bool {
        let multiplier = |&value: &f64| (1e-100..1e300).contains(&value);
        // Slopes as tiny as a range that is made by its constructor never has are refused.
        let usual = self.raw.is_none_or(|raw| SlopeRange::new(raw.lower, raw.upper) == raw);
        usual && self.multipliers.iter().all(multiplier) && self.input_multipliers.iter().all(|tau| (1e-290..1e300).contains(tau))
    }
}

#[test]
fn nothing_false_is_proved_whatever_the_magnitudes_and_what_is_true_is() {
    let mut random = Rng::new(71);
    let (mut false_claims, mut proved, mut honest, mut honest_proved) = (0, 0, [0u32; 3], [0u32; 3]);
    for round in 0..60_000 {
        let kind = round % 3;
        let mut case = Case::draw(&mut random, &[Draw::Everything, Draw::Balanced, Draw::Ordinary][kind]);
        let rows = case.rows();
        if rows.groups.len() != case.second.len() {
            continue;
        }
        case.honest(&rows, &mut random);
        if case.is_admissible() {
            honest[kind] += 1;
            let accepted = case.is_proved(&rows);
            honest_proved[kind] += u32::from(accepted);
            assert!(!accepted || case.holds(&rows), "{case:?}");
        }
        // The same claim with what it stands on taken away, in one of many ways.
        let shrink = [0.25, 1.0 / 16.0, 1e-3, 1e-20, 1e-100, 1e-200, 0.0][random.below(7)];
        match random.below(4) {
            0 => case.input_multipliers.iter_mut().for_each(|tau| *tau *= shrink),
            1 => case.multipliers.iter_mut().for_each(|lambda| *lambda *= shrink),
            2 => {
                case.multipliers.iter_mut().for_each(|lambda| *lambda = random.spread(-332, 1000).abs());
                case.input_multipliers.iter_mut().for_each(|tau| *tau = random.spread(-1074, 1000).abs());
            }
            // As small as is admitted, where a product with a tiny slope vanishes.
            _ => {
                let scale = 1e-100 / case.multipliers.iter().copied().fold(f64::INFINITY, f64::min);
                case.multipliers.iter_mut().for_each(|lambda| *lambda = (*lambda * scale).max(1e-100));
                case.input_multipliers.iter_mut().for_each(|tau| *tau = if random.below(2) == 0 { 1e-99 } else { *tau * scale });
            }
        }
        if case.input_multipliers.iter().chain(&case.multipliers).all(|value| value.is_finite()) {
            let accepted = case.is_proved(&rows);
            proved += u32::from(accepted);
            if accepted {
                assert!(case.holds(&rows), "{case:?}");
                assert!(case.weights.is_some() || case.raw.is_some() || case.exceeds_the_slope_at_zero(), "{case:?}");
            } else {
                false_claims += u32::from(round % 16 == 0 && !case.holds(&rows));
            }
        }
    }
    println!(
        "{false_claims} of every sixteenth refused claim false; {proved} changed claims proved; honest {honest:?}, proved {honest_proved:?}"
    );
    assert!(false_claims > 1000 && proved > 1000, "{false_claims} {proved}");
    // Of a hundred: numbers from anywhere often leave no room beside what may have underflowed.
    for ((honest, proved), least) in honest.into_iter().zip(honest_proved).zip([30, 90, 99]) {
        assert!(honest > 500 && 100 * proved > least * honest, "{honest} {proved}");
    }
}

/// Rows as the true form may have them: the leading parts, the trailing ones, and a step of the length of the radius.
fn true_entries(row: &Row, dimension: usize, step: (usize, f64)) -> Vec<IBig> {
    let at = |i: usize| {
        let coordinate = row.coordinate(i);
        let moved = if i == step.0 && row.start() <= i && i < row.end() {
            if step.1 == 0.0 { IBig::ZERO } else { integer(step.1 * row.radius()) }
        } else {
            IBig::ZERO
        };
        integer(coordinate.hi()) + integer(coordinate.lo()) + moved
    };
    (0..dimension).map(at).collect()
}

/// Single terms whose products underflow in one factor while the other is huge, rows with trailing parts and radii: what the
/// diagonal radius charges covers them.
#[test]
fn what_underflows_in_a_term_is_charged() {
    let mut random = Rng::new(72);
    let (mut proved, mut refused, mut vanished) = (0, 0, 0);
    for round in 0..40_000 {
        let dimension = 2 + random.below(2);
        // Two entries that meet, and the weight between them; every second time the weight times the right one vanishes.
        let e_weight = random.below(1200) as i32 - 660;
        let right = if round % 2 == 0 { -1074 - e_weight + random.below(8) as i32 - 4 } else { random.below(2000) as i32 - 1060 };
        let right = right.clamp(-1073, 1000);
        let meeting = random.below(900) as i32 - 450;
        let left = (meeting - e_weight - right).clamp(-1070, 1020);
        let product = e_weight + left + right + [-3, 0, 1, 2, 4, 12, 40][random.below(7)];
        let tilt = random.below(200) as i32 - 100;
        let weight = Weight::exactly(random.spread(e_weight, e_weight + 1));
        let mut row = |at: usize, exponent: i32| {
            let hi: Vec<f64> = (at..dimension)
                .map(|i| {
                    if i == at || random.below(3) == 0 {
                        random.spread(exponent.max(-1074), exponent.max(-1074) + 1)
                    } else {
                        0.0
                    }
                })
                .collect();
            let lo = if random.below(2) == 0 { vec![0.0; hi.len()] } else { hi.iter().map(|x| x * 1e-17).collect() };
            let radius = if random.below(3) > 0 {
                0.0
            } else {
                random.spread((exponent - 70).max(-1074), (exponent - 30).max(-1073)).abs()
            };
            Row::from_parts(at, hi, lo, radius)
        };
        let (left, right) = (row(0, left), row(1, right));
        let inputs: Vec<f64> = (0..dimension)
            .map(|i| random.spread(-1, 1).abs() * 2f64.powi((product + if i == 0 { tilt } else { -tilt }).clamp(-1020, 1020)))
            .collect();
        let cross = Cross { weight, left: &left, right: &right };
        let squares = if random.below(2) == 0 { vec![] } else { vec![Square { weight: Weight::MINUS_ONE, row: &right }] };
        let (matrix, radius) = assemble(dimension, &inputs, &squares, std::slice::from_ref(&cross));
        vanished += usize::from(matrix.get(0, 1) == 0.0);
        if prove_positive_definite(&matrix, &radius).is_err() {
            refused += 1;
            continue;
        }
        proved += 1;
        let unit = |random: &mut Rng| (random.below(dimension), [1.0, -1.0, 0.0][random.below(3)]);
        let (a, b) = (true_entries(&left, dimension, unit(&mut random)), true_entries(&right, dimension, unit(&mut random)));
        // Everything times 2^(3·1074).
        let entry = |i: usize, j: usize| {
            let own = if i == j { integer(inputs[i]) << (2 * 1074) } else { IBig::ZERO };
            let crossed = integer(weight.value()) * (&a[i] * &b[j] + &a[j] * &b[i]);
            let square = if squares.is_empty() { IBig::ZERO } else { (&b[i] * &b[j]) << 1074 };
            own + crossed - square
        };
        let exact = (0..dimension).map(|i| (0..dimension).map(|j| entry(i, j)).collect()).collect();
        assert!(definite(exact), "{:e} {left:?} {right:?} {inputs:?}", weight.value());
    }
    assert!(proved > 2_000 && refused > 4_000 && vanished > 4_000, "{proved} {refused} {vanished}");

    // 1e-200·1e290·2e-125 = 2e-35 beside a diagonal of 1e-35: the entry is computed as zero.
    let (left, right) = (Row::exact(0, vec![1e290]), Row::exact(1, vec![2e-125]));
    let cross = Cross { weight: Weight::exactly(1e-200), left: &left, right: &right };
    let (matrix, radius) = assemble(2, &[1e-35; 2], &[], &[cross]);
    assert!(matrix.get(0, 1) == 0.0 && prove_positive_definite(&matrix, &radius).is_err(), "{radius:?}");
    // Beside a diagonal of 1e-20 it is nothing.
    let cross = Cross { weight: Weight::exactly(1e-200), left: &left, right: &right };
    let (matrix, radius) = assemble(2, &[1e-20; 2], &[], &[cross]);
    assert_eq!(prove_positive_definite(&matrix, &radius), Ok(()));
}
