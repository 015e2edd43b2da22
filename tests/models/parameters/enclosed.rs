//! Enclosures against differences.

use nnverify::kernel::sound::Enclosure;

use super::differences::{Differences, Place, STEPS, Stencil, rounding};
use super::value::Found;

/// Everything wider is the hull of the sides of a kink.
const NARROW: f64 = 1e-7;

/// Relative distance between a figure and its differences.
pub const CLOSE: f64 = 2e-6;

/// Whether a difference lies in an enclosure, up to its own error.
pub fn holds(enclosure: &Enclosure, found: f64, slack: f64) -> bool {
    // A difference that is not a number lies in nothing.
    found >= enclosure.lower() - slack && found <= enclosure.upper() + slack
}

pub fn is_wide(enclosure: &Enclosure) -> bool {
    // An invalid enclosure is infinitely wide.
    let width = enclosure.upper() - enclosure.lower();
    width > NARROW * (1.0 + enclosure.mid().abs()) || width.is_nan()
}

/// The slopes of the outputs with the first step whose quotients the enclosures hold.
pub fn agreeing(
    differences: &mut Differences,
    place: Place,
    gradient: &Enclosure,
    column: &[Enclosure],
    refined: &mut usize,
) -> Found<Vec<f64>> {
    let mut tried = Vec::new();
    for step in 0..STEPS.len() {
        let Some(slopes) = differences.stencil(place, step).map(Stencil::slopes) else { continue };
        let (question, z) = (differences.question, &differences.outputs[place.sample]);
        let (slope, size) = question.slope(place.sample, z, &slopes);
        let roots = question.roots(z, &slopes);
        // A step over a jump of one output must not excuse what it does to the others.
        let claimed = column.iter().fold(0.0f64, |largest, x| largest.max(x.magnitude()));
        let largest = slopes.iter().fold(0.0f64, |largest, x| largest.max(x.abs())).min(claimed);
        let slack = rounding(step, z);
        let rows = column.iter().zip(&roots).all(|(enclosure, x)| holds(enclosure, *x, CLOSE * (1.0 + largest) + slack));
        if rows && holds(gradient, slope, CLOSE * (1.0 + size) + slack * (1.0 + question.seed(place.sample, z))) {
            *refined += usize::from(step > 0);
            return Ok(slopes);
        }
        tried.push((slope, roots));
    }
    let claimed: Vec<f64> = column.iter().map(Enclosure::mid).collect();
    match tried.last() {
        Some((slope, roots)) => {
            Err(format!("the gradient is {}, the rows {claimed:?}; by differences {slope}, {roots:?}", gradient.mid()))
        }
        None => Err(format!("the gradient is {}, but the file cannot be run beside its values", gradient.mid())),
    }
}

/// At a kink: the quotients of both sides lie in the enclosures. Then their mean.
pub fn between_sides(differences: &mut Differences, place: Place, gradient: &Enclosure, column: &[Enclosure]) -> Found<Vec<f64>> {
    let step = 3;
    let stencil = differences.stencil(place, step).ok_or("the file cannot be run beside its values")?;
    let (sides, slopes) = (stencil.sides(), stencil.slopes());
    let (question, z) = (differences.question, &differences.outputs[place.sample]);
    for side in &sides {
        let (slope, size) = question.slope(place.sample, z, side);
        let largest = side.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
        let rows = column.iter().zip(question.roots(z, side)).all(|(enclosure, x)| holds(enclosure, x, 1e-4 * (1.0 + largest)));
        if !(rows && holds(gradient, slope, 1e-4 * (1.0 + size))) {
            let (lower, upper) = (gradient.lower(), gradient.upper());
            return Err(format!("the gradient lies in [{lower}, {upper}] at a kink, by differences of one side it is {slope}"));
        }
    }
    Ok(slopes)
}
