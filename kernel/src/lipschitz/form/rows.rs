//! The rows of a form in double-double arithmetic: every signal's increment as a vector over the coordinates.
//!
//! Error analysis. The computed rows of one layer, stacked, differ from the true ones by a matrix `E` of which a bound of
//! the spectral norm is carried: a combination with coefficients `K` of earlier layers turns `E` into `K·E`, a layer with
//! weights `W` into `W·E`, and each adds its own rounding, which the accumulator bounds row by row. Carried row by row
//! instead, errors would grow by `‖|W|‖` a layer where the rows grow by `‖W‖`: too fast for deep networks.

use std::collections::HashMap;
use std::ops::Range;

use super::combination::{Atom, Combination};
use super::layer::{LinearLayer, LinearMap, Weights};
use super::{Form, FormError};
use crate::model::ir::SlopeRange;
use crate::sound::round::{add_up, gamma, max_or_nan, mul_up, sqrt_up};
use crate::sound::{Row, RowAccumulator};

/// The rows of one group: `V` (arguments) and `Y` (results).
#[derive(Clone, Debug)]
pub struct GroupRows {
    pub slopes: SlopeRange,
    pub arguments: Vec<Row>,
    pub results: Vec<Row>,
}

/// All rows of a form, with all that a matrix over them needs to know of it: only [`Rows::new`] makes them.
#[derive(Clone, Debug)]
pub struct Rows {
    inputs: usize,
    dimension: usize,
    pub groups: Vec<GroupRows>,
    pub outputs: Vec<Row>,
}

/// Entries of all rows together: 2.4 GB in double-double.
const ENTRY_LIMIT: usize = 150_000_000;
/// Multiplications that a Gram matrix may cost for the sake of a better norm.
const GRAM_LIMIT: usize = 1 << 28;

impl Rows {
    /// Evaluates the rows of a form.
    ///
    /// # Errors
    /// [`FormError::TooLarge`] before more than the limit is allocated.
    pub fn new(form: &Form) -> Result<Self, FormError> {
        let mut evaluation = Evaluation { linear: Vec::new(), layers: Vec::new(), entries: 0 };
        for layer in &form.layers {
            evaluation.layer(layer)?;
        }
        let groups = form
            .groups
            .iter()
            .map(|group| {
                let arguments = evaluation.enclosed_rows(&group.arguments)?;
                Ok(GroupRows { slopes: group.slopes, arguments, results: evaluation.enclosed_rows(&group.results)? })
            })
            .collect::<Result<_, FormError>>()?;
        let (inputs, dimension) = (form.inputs, form.dimension);
        Ok(Self { inputs, dimension, groups, outputs: evaluation.enclosed_rows(&form.outputs)? })
    }

    /// The same groups with one of the outputs alone.
    #[must_use]
    pub fn with_output(&self, output: usize) -> Self {
        let outputs = self.outputs.get(output).into_iter().cloned().collect();
        Self { groups: self.groups.clone(), outputs, ..*self }
    }

    /// The first so many coordinates are the inputs.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// All coordinates: every row lies within them.
    #[must_use]
    pub const fn dimension(&self) -> usize {
        self.dimension
    }
}

struct Evaluation {
    /// The computed row of every linear atom so far, taken as exact numbers.
    linear: Vec<Row>,
    /// For every layer its atoms and the bound of their rows' joint error in the spectral norm.
    layers: Vec<(Range<u32>, f64)>,
    entries: usize,
}

impl Evaluation {
    /// Rows whose radius covers everything that lies between them and the true ones.
    fn enclosed_rows(&mut self, combinations: &[Combination]) -> Result<Vec<Row>, FormError> {
        combinations
            .iter()
            .map(|combination| {
                let row = self.row(combination)?;
                let radius = add_up(row.radius(), self.joint_error(std::slice::from_ref(combination)));
                Ok(row.with_radius(radius))
            })
            .collect()
    }

    /// The row of a combination of the computed rows; the radius covers this computation alone.
    fn row(&mut self, combination: &Combination) -> Result<Row, FormError> {
        let mut span: Option<(usize, usize)> = None;
        for (atom, _) in combination.varying() {
            let (start, end) = match atom {
                Atom::Coordinate(i) => (i as usize, i as usize + 1),
                Atom::Linear(i) => self.linear.get(i as usize).map_or((0, 0), |row| (row.start(), row.end())),
                Atom::Constant(_) => continue,
            };
            span = widen(span, start, end);
        }
        let Some((start, end)) = span else { return Ok(Row::zero()) };
        self.charge(end - start)?;
        let mut sum = RowAccumulator::new(start..end);
        for (atom, coefficient) in combination.varying() {
            match atom {
                Atom::Coordinate(i) => sum.add_scaled_exact(coefficient, &Row::unit(i as usize)),
                // A layer's inputs use earlier layers only, so the atom exists.
                Atom::Linear(i) => sum.add_scaled_exact(coefficient, &self.linear[i as usize]),
                Atom::Constant(_) => {}
            }
        }
        Ok(sum.finish())
    }

    /// What the errors of the computed rows become in these combinations, in the spectral norm: `Σ_layers ‖K_layer‖·‖E‖`
    /// with `‖K‖² ≤ ‖K‖₁·‖K‖∞`.
    fn joint_error(&self, combinations: &[Combination]) -> f64 {
        let mut largest_rows: HashMap<usize, f64> = HashMap::new();
        let mut columns: HashMap<u32, f64> = HashMap::new();
        for combination in combinations {
            let mut sums: HashMap<usize, f64> = HashMap::new();
            for (atom, coefficient) in combination.varying() {
                let Atom::Linear(i) = atom else { continue };
                let layer = self.layers.partition_point(|(atoms, _)| atoms.end <= i);
                if self.layers.get(layer).is_some_and(|(_, error)| *error != 0.0) {
                    add_to(sums.entry(layer).or_default(), coefficient.abs());
                    add_to(columns.entry(i).or_default(), coefficient.abs());
                }
            }
            for (layer, sum) in sums {
                let largest = largest_rows.entry(layer).or_default();
                *largest = max_or_nan(*largest, sum);
            }
        }
        let mut largest_columns: HashMap<usize, f64> = HashMap::new();
        for (i, sum) in columns {
            let layer = self.layers.partition_point(|(atoms, _)| atoms.end <= i);
            let largest = largest_columns.entry(layer).or_default();
            *largest = max_or_nan(*largest, sum);
        }
        // In the order of the layers, so that the sum does not depend on the order of a hash table.
        self.layers.iter().enumerate().fold(0.0, |total, (layer, (_, error))| {
            match (largest_rows.get(&layer), largest_columns.get(&layer)) {
                (Some(&row), Some(&column)) => add_up(total, mul_up(sqrt_up(mul_up(row, column)), *error)),
                _ => total,
            }
        })
    }

    fn layer(&mut self, layer: &LinearLayer) -> Result<(), FormError> {
        let mut rounding = 0.0;
        let mut inputs = Vec::with_capacity(layer.inputs.len());
        for combination in &layer.inputs {
            let row = self.row(combination)?;
            add_to(&mut rounding, mul_up(row.radius(), row.radius()));
            inputs.push(row.with_radius(0.0));
        }
        let input_error = add_up(self.joint_error(&layer.inputs), sqrt_up(rounding));
        let outputs = self.outputs(layer, &inputs)?;
        let mut rounding = 0.0;
        for row in outputs {
            add_to(&mut rounding, mul_up(row.radius(), row.radius()));
            self.linear.push(row.with_radius(0.0));
        }
        let carried = if input_error == 0.0 { 0.0 } else { mul_up(operator_norm(layer), input_error) };
        self.layers.push((layer.outputs.clone(), add_up(carried, sqrt_up(rounding))));
        Ok(())
    }

    /// The layer's output rows for these input rows; the radii cover this computation alone.
    fn outputs(&mut self, layer: &LinearLayer, inputs: &[Row]) -> Result<Vec<Row>, FormError> {
        let mut outputs = Vec::with_capacity(layer.outputs.len());
        let mut result = Ok(());
        layer.map.for_each_output(|_, terms| {
            if result.is_err() {
                return;
            }
            let used = || terms.iter().filter(|&&(input, weight)| !inputs[input].is_empty() && !is_zero(&layer.weights, weight));
            let span = used().fold(None, |span, &(input, _)| widen(span, inputs[input].start(), inputs[input].end()));
            let Some((start, end)) = span else { return outputs.push(Row::zero()) };
            result = self.charge(end - start);
            if result.is_err() {
                return;
            }
            let mut sum = RowAccumulator::new(start..end);
            for &(input, weight) in used() {
                match &layer.weights {
                    Weights::Exact(values) => sum.add_scaled_exact(values[weight], &inputs[input]),
                    Weights::Enclosed(values) => sum.add_scaled(&values[weight], &inputs[input]),
                }
            }
            outputs.push(sum.finish());
        });
        result.map(|()| outputs)
    }

    fn charge(&mut self, entries: usize) -> Result<(), FormError> {
        // A row costs something even where it is short.
        self.entries += entries + 8;
        if self.entries > ENTRY_LIMIT { Err(FormError::TooLarge) } else { Ok(()) }
    }
}

/// An upper bound of a layer's spectral norm: `√(‖W‖₁‖W‖∞)`, or `√‖WᵀW‖∞` where a plain matrix is affordable.
#[must_use]
pub fn operator_norm(layer: &LinearLayer) -> f64 {
    let mut columns = vec![0.0; layer.inputs.len()];
    let mut largest_row = 0.0;
    layer.map.for_each_output(|_, terms| {
        let mut row = 0.0;
        for &(input, weight) in terms {
            let magnitude = layer.weights.get(weight).magnitude();
            add_to(&mut row, magnitude);
            add_to(&mut columns[input], magnitude);
        }
        largest_row = max_or_nan(largest_row, row);
    });
    let product = mul_up(largest_row, columns.into_iter().fold(0.0, max_or_nan));
    let squared = match (&layer.map, &layer.weights) {
        (LinearMap::MatMulRight { batch: 1, k, n, .. }, Weights::Exact(weights)) => gram_bound(weights, *k, *n, product),
        (LinearMap::MatMulLeft { batch: 1, m, k, .. }, Weights::Exact(weights)) => gram_bound(weights, *m, *k, product),
        _ => f64::INFINITY,
    };
    // Both are bounds; a NaN, from entries that overflow, is none.
    sqrt_up(if squared < product { squared } else { product })
}

/// `‖WWᵀ‖∞` of a row-major matrix, rounded up: an inner product of `n` terms is off by at most `γ_n` times that of the
/// magnitudes, whose sum over a row of the Gram matrix is at most `‖W‖₁‖W‖∞`.
fn gram_bound(weights: &[f64], rows: usize, columns: usize, product: f64) -> f64 {
    if rows.saturating_mul(rows).saturating_mul(columns) > GRAM_LIMIT || columns == 0 {
        return f64::INFINITY;
    }
    let row = |i: usize| &weights[i * columns..(i + 1) * columns];
    let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>().abs();
    let largest = (0..rows).fold(0.0, |largest, i| {
        let sum = (0..rows).fold(0.0, |sum, j| add_up(sum, inner(row(i), row(j))));
        max_or_nan(largest, sum)
    });
    let rounding = mul_up(gamma(columns + 1), product);
    // Products that underflow lose at most the smallest normal number each.
    let underflow = mul_up(f64::from(u32::try_from(rows.saturating_mul(columns)).unwrap_or(u32::MAX)), f64::MIN_POSITIVE);
    add_up(add_up(largest, rounding), underflow)
}

fn add_to(sum: &mut f64, value: f64) {
    *sum = add_up(*sum, value);
}

fn is_zero(weights: &Weights, index: usize) -> bool {
    weights.get(index).to_f64_exact() == Some(0.0)
}

fn widen(span: Option<(usize, usize)>, start: usize, end: usize) -> Option<(usize, usize)> {
    if start == end {
        return span;
    }
    Some(span.map_or((start, end), |(s, e)| (s.min(start), e.max(end))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound::spectral_norm_upper;
    use crate::sound::testing::{RBig, Rng, rational};

    fn layer(rows: usize, columns: usize, weights: Vec<f64>) -> LinearLayer {
        let atom = |i: usize| Combination::atom(Atom::Coordinate(u32::try_from(i).unwrap()));
        LinearLayer {
            node: String::new(),
            map: LinearMap::MatMulRight { batch: 1, m: 1, k: rows, n: columns },
            weights: Weights::Exact(weights),
            inputs: (0..rows).map(atom).collect(),
            outputs: 0..u32::try_from(columns).unwrap(),
        }
    }

    /// Norms of matrices with entries of any exponents: never below what a vector attains, and close for diagonal ones.
    #[test]
    fn norms_are_above_every_quotient_whatever_the_magnitudes() {
        let mut random = Rng::new(81);
        let mut finite = 0;
        for round in 0..3_000 {
            let (rows, columns) = (1 + random.below(3), 1 + random.below(3));
            let centre = random.below(2000) as i32 - 1060;
            let mut entry = || match random.below(6) {
                0 => 0.0,
                1 => random.spread(-1074, 1023),
                _ => random.spread(centre.max(-1074), (centre + 8).min(1023)),
            };
            let diagonal = round % 3 == 0;
            let weights: Vec<f64> =
                (0..rows * columns).map(|i| if diagonal && i / columns != i % columns { 0.0 } else { entry() }).collect();
            let bounds = [operator_norm(&layer(rows, columns, weights.clone())), spectral_norm_upper(&weights, rows, columns, 6)];
            let at = |i: usize, j: usize| rational(weights[i * columns + j]);
            // Unit vectors, and one of ones and signs.
            let signs: Vec<f64> = (0..rows).map(|_| if random.below(2) == 0 { 1.0 } else { -1.0 }).collect();
            let vectors = (0..rows).map(|i| (0..rows).map(|j| f64::from(u8::from(i == j))).collect::<Vec<f64>>()).chain([signs]);
            for x in vectors {
                let square = |values: Vec<RBig>| values.into_iter().fold(RBig::ZERO, |sum, value| sum + &value * &value);
                let image = (0..columns).map(|j| (0..rows).fold(RBig::ZERO, |sum, i| sum + rational(x[i]) * at(i, j)));
                let (image, own) = (square(image.collect()), square(x.iter().map(|x| rational(*x)).collect()));
                for bound in bounds.into_iter().filter(|bound| bound.is_finite()) {
                    finite += 1;
                    assert!(rational(bound) * rational(bound) * &own >= image, "{bound:e} {weights:?}");
                }
            }
            let largest = weights.iter().fold(0.0, |largest: f64, weight| largest.max(weight.abs()));
            if diagonal && (1e-140..1e140).contains(&largest) {
                assert!(bounds.iter().all(|bound| *bound <= largest * 1.01), "{bounds:?} {weights:?}");
            }
        }
        assert!(finite > 5_000, "{finite}");
    }
}
