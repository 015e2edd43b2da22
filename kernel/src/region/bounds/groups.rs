//! Relaxations of rows of operands: sums, extremes and sorts.

use super::lines::{Line, relu_chord};
use super::relaxation::{Context, Groups, Relaxation, Relaxed, centre_and_radius};
use crate::model::ir::{NodeBounds, Reduction};
use crate::sound::Interval;
use crate::sound::round::{add_up, mul_up};

pub(super) fn reduction_of(reduction: Reduction, x: &NodeBounds, groups: usize, context: Context) -> Relaxed {
    let inputs = x.len().checked_div(groups).unwrap_or(0);
    let mut result = Groups {
        inputs,
        outputs: 1,
        lower: Vec::with_capacity(x.len()),
        lower_offset: Vec::with_capacity(groups),
        upper: Vec::with_capacity(x.len()),
        upper_offset: Vec::with_capacity(groups),
    };
    let mut deviation = Vec::with_capacity(groups);
    for group in 0..groups {
        let row: Vec<Interval> = (group * inputs..(group + 1) * inputs).map(|i| x.at(i)).collect();
        let total = row.iter().fold(0.0, |total, x| add_up(total, x.magnitude()));
        let mut extra = 0.0;
        match reduction {
            Reduction::Sum | Reduction::Mean => {
                let mean = reduction == Reduction::Mean;
                let exact = if mean { Interval::point(1.0).div(Interval::point(inputs as f64)) } else { Interval::point(1.0) };
                let (slope, radius) = centre_and_radius(exact);
                let (growth, shift) = context.rounding.sum(inputs).unwrap_or((f64::INFINITY, 0.0));
                extra = add_up(mul_up(add_up(radius, mul_up(growth, slope.next_up())), total), shift);
                result.lower.extend(std::iter::repeat_n(slope, inputs));
                result.upper.extend(std::iter::repeat_n(slope, inputs));
                result.lower_offset.push(0.0);
                result.upper_offset.push(0.0);
            }
            Reduction::Max => {
                let (below, above) = maximum(&row);
                result.lower.extend(below);
                result.lower_offset.push(0.0);
                result.upper.extend(above.0);
                result.upper_offset.push(above.1);
            }
            Reduction::Min => {
                let negated: Vec<Interval> = row.iter().map(|x| x.negated()).collect();
                let (below, above) = maximum(&negated);
                result.upper.extend(below);
                result.upper_offset.push(0.0);
                result.lower.extend(above.0);
                result.lower_offset.push(-above.1);
            }
        }
        let at = result.lower_offset.len() - 1;
        let constants = mul_up(context.additions, result.lower_offset[at].abs().max(result.upper_offset[at].abs()));
        deviation.push(add_up(add_up(mul_up(context.growth, total), extra), constants));
    }
    Relaxed { relaxation: Relaxation::Groups(result), deviation }
}

/// Slopes below a maximum (one element) and slopes and offset above it.
///
/// With `m` the greatest lower bound, `max_i x_i ≤ m + Σ_i max(x_i − m, 0)`: chords of those that can exceed `m`. Where the
/// constant `max u_i` is smaller in the middle, that.
fn maximum(row: &[Interval]) -> (Vec<f64>, (Vec<f64>, f64)) {
    let best = (0..row.len()).fold(0, |best, i| if row[i].lower > row[best].lower { i } else { best });
    let mut below = vec![0.0; row.len()];
    let level = row[best].lower;
    let rivals: Vec<usize> = (0..row.len()).filter(|&i| i != best && row[i].upper > level).collect();
    below[best] = 1.0;
    if rivals.is_empty() {
        return (below.clone(), (below, 0.0));
    }
    // x_best − m ≥ 0: its own part is exact, and m cancels: x_best + Σ rivals.
    let mut above = vec![0.0; row.len()];
    above[best] = 1.0;
    let mut offset = 0.0;
    let mut middle = row[best].upper - (row[best].upper - row[best].lower) / 2.0;
    for &i in &rivals {
        let shifted = row[i].sub(Interval::point(level));
        let chord = if shifted.lower >= 0.0 { Line { slope: 1.0, offset: 0.0 } } else { relu_chord(shifted) };
        above[i] = chord.slope;
        offset = add_up(offset, add_up(chord.offset, mul_up(chord.slope, -level)));
        middle += chord.slope * (row[i].lower / 2.0 + row[i].upper / 2.0 - level) + chord.offset;
    }
    let greatest = row.iter().fold(f64::NEG_INFINITY, |m, x| m.max(x.upper));
    if greatest <= middle { (below, (vec![0.0; row.len()], greatest)) } else { (below, (above, offset)) }
}

/// Pairs as a minimum and a maximum; in longer rows the elements whose rank is certain, and constants for the others.
pub(super) fn sort(x: &NodeBounds, size: usize, own: &NodeBounds, descending: bool, context: Context) -> Relaxed {
    let rows = x.len() / size;
    if size > 64 {
        let deviation = own.iter().map(|x| mul_up(context.additions, x.magnitude())).collect();
        return Relaxed { relaxation: Relaxation::Constant, deviation };
    }
    let count = rows * size * size;
    let mut result = Groups {
        inputs: size,
        outputs: size,
        lower: vec![0.0; count],
        lower_offset: own.lower().to_vec(),
        upper: vec![0.0; count],
        upper_offset: own.upper().to_vec(),
    };
    let mut deviation = vec![0.0; x.len()];
    for row in 0..rows {
        let values: Vec<Interval> = (row * size..(row + 1) * size).map(|i| x.at(i)).collect();
        let total = values.iter().fold(0.0, |total, x| add_up(total, x.magnitude()));
        let mut set = |output: usize, lower: Option<(&[f64], f64)>, upper: Option<(&[f64], f64)>| {
            let output = if descending { size - 1 - output } else { output };
            let at = (row * size + output) * size;
            if let Some((slopes, offset)) = lower {
                result.lower[at..at + size].copy_from_slice(slopes);
                result.lower_offset[row * size + output] = offset;
            }
            if let Some((slopes, offset)) = upper {
                result.upper[at..at + size].copy_from_slice(slopes);
                result.upper_offset[row * size + output] = offset;
            }
        };
        for (i, x) in values.iter().enumerate() {
            let apart = |other: &Interval| other.upper <= x.lower || other.lower >= x.upper;
            if (0..size).filter(|&j| j != i).all(|j| apart(&values[j])) {
                let rank = (0..size).filter(|&j| j != i && values[j].upper <= x.lower).count();
                let at_an_end = |v: &Interval| v.lower == v.upper && (v.lower == x.lower || v.lower == x.upper);
                let ties = (0..size).any(|j| j != i && at_an_end(&values[j]));
                if !ties {
                    let mut unit = vec![0.0; size];
                    unit[i] = 1.0;
                    set(rank, Some((&unit, 0.0)), Some((&unit, 0.0)));
                }
            }
        }
        // The greatest and the least are maxima, whatever the rest.
        let (below, above) = maximum(&values);
        set(size - 1, Some((&below, 0.0)), Some((&above.0, above.1)));
        let negated: Vec<Interval> = values.iter().map(|x| x.negated()).collect();
        let (below, above) = maximum(&negated);
        set(0, Some((&above.0, -above.1)), Some((&below, 0.0)));
        let offsets = result.lower_offset.iter().zip(&result.upper_offset).skip(row * size);
        for (deviation, (lower, upper)) in deviation[row * size..(row + 1) * size].iter_mut().zip(offsets) {
            let constants = mul_up(context.additions, lower.abs().max(upper.abs()));
            *deviation = add_up(mul_up(context.growth, total), constants);
        }
    }
    Relaxed { relaxation: Relaxation::Groups(result), deviation }
}
