//! What robust samples keep, as conditions on outputs: what must not happen for any perturbation, and how far a Lipschitz bound
//! keeps it from happening.

use std::sync::Arc;

use super::counterexample::outputs_at;
use super::neighbourhood::{Neighbourhood, Neighbourhoods};
use super::refusal::RegionRefusal;
use crate::files::token;
use crate::lipschitz::Margins;
use crate::proof::{Content, Kept};
use crate::read::data::{DataError, Dataset};
use crate::read::vnnlib::{Atom, Clause, Constant, Term, Terms};
use crate::region::bounds::{BoxRegion, Propagator};
use crate::sound::round::{add_down, add_up, mul_up, sub_down, sub_up};

/// A [`Kept`] with its number enclosed, of a network that it fits.
#[derive(Clone, Copy, Debug)]
pub enum Keeping {
    /// So many outputs.
    Class(usize),
    Threshold(Constant),
    /// So many outputs, and how far they may move.
    MaxChange(usize, Constant),
}

impl Keeping {
    /// For a network with so many outputs.
    ///
    /// # Errors
    /// When its number is none or negative where it must not be, or the outputs are not what it is about.
    pub fn new(kept: &Kept, outputs: usize) -> Result<Self, RegionRefusal> {
        let number = |text: &String| {
            Constant::parse_quotient(text).ok_or_else(|| Content::File { detail: format!("`{}` is not a number", token(text)) })
        };
        match kept {
            Kept::Class if outputs < 2 => Err(Content::Shape { what: "without two outputs there are no classes" }.into()),
            Kept::Class => Ok(Self::Class(outputs)),
            Kept::Threshold(_) if outputs != 1 => Err(Content::Shape { what: "a threshold is one of a single output" }.into()),
            Kept::Threshold(threshold) => Ok(Self::Threshold(number(threshold)?)),
            Kept::MaxChange(_) if outputs == 0 => Err(Content::Shape { what: "without outputs nothing moves" }.into()),
            Kept::MaxChange(most) => {
                let most = number(most)?;
                let wrong = Content::Shape { what: "the most that outputs may move is negative" };
                if most.lower < 0.0 { Err(wrong.into()) } else { Ok(Self::MaxChange(outputs, most)) }
            }
        }
    }

    /// The labels of all samples; zeros where none enter.
    ///
    /// # Errors
    /// Where there are none, or one is no class.
    pub fn labels(&self, data: &Dataset) -> Result<Vec<u32>, DataError> {
        match self {
            Self::Class(outputs) => data.labels(*outputs),
            Self::Threshold(_) => data.labels(2),
            Self::MaxChange(..) => Ok(vec![0; data.len()]),
        }
    }

    /// The atoms of which one holds where a sample loses what it is to keep.
    ///
    /// # Errors
    /// When what the sample itself gives is needed and has no bounds.
    pub fn lost(
        &self,
        propagator: &Propagator,
        neighbourhoods: &Neighbourhoods,
        sample: &[f64],
        label: usize,
    ) -> Result<Arc<Clause>, RegionRefusal> {
        let one = |atom| vec![atom];
        let alternatives = match *self {
            Self::Class(outputs) => return Ok(misclassified(outputs, label)),
            Self::Threshold(threshold) if label == 0 => vec![one(above(0, threshold))],
            Self::Threshold(threshold) => vec![one(at_most(0, threshold, false))],
            Self::MaxChange(_, most) => {
                let own = outputs_at(propagator, &neighbourhoods.at(sample)?)?;
                let of = |(index, (low, high)): (usize, (f64, f64))| {
                    let middle = f64::midpoint(low, high);
                    let greatest = Constant::between(add_down(low, most.lower), add_up(high, most.upper), middle + most.nearest);
                    let least = Constant::between(sub_down(low, most.upper), sub_up(high, most.lower), middle - most.nearest);
                    [one(above(index, greatest)), one(at_most(index, least, true))]
                };
                own.into_iter().enumerate().flat_map(of).collect()
            }
        };
        Ok(Arc::new(Clause { alternatives }))
    }

    /// Do Lipschitz bounds alone show that no perturbation of a sample loses it?
    #[must_use]
    pub fn is_within(
        &self,
        margins: &Margins,
        propagator: &Propagator,
        neighbourhoods: &Neighbourhoods,
        (sample, neighbourhood): (&[f64], &Neighbourhood),
        label: usize,
    ) -> bool {
        let at_centre = || {
            let centre = BoxRegion::around(&neighbourhood.centre, 0.0)?;
            outputs_at(propagator, &centre)
        };
        let farthest = mul_up(margins.whole(), neighbourhood.reach);
        // Written so that a NaN is not within anything.
        match *self {
            Self::Class(_) => at_centre()
                .and_then(|outputs| Ok(margins.radius(&outputs, label)?))
                .is_ok_and(|radius| neighbourhood.reach < radius),
            Self::Threshold(threshold) => at_centre().is_ok_and(|outputs| match outputs[..] {
                [(_, high)] if label == 0 => add_up(high, farthest) <= threshold.lower,
                [(low, _)] => sub_down(low, farthest) > threshold.upper,
                _ => false,
            }),
            // From the sample, which is not the centre, only nearly.
            Self::MaxChange(_, most) => neighbourhoods.at(sample).is_ok_and(|at| {
                let off = neighbourhoods.farthest(&at, &neighbourhood.centre);
                mul_up(margins.whole(), add_up(neighbourhood.reach, off)) <= most.lower
            }),
        }
    }
}

/// The atoms of which one holds where the label's output is not the largest, alone.
#[must_use]
pub fn misclassified(outputs: usize, label: usize) -> Arc<Clause> {
    let other = |other| Atom {
        inputs: Terms::default(),
        outputs: Terms::new(vec![term(label, 1.0), term(other, -1.0)]),
        bound: Constant::ZERO,
        strict: false,
    };
    let alternatives = (0..outputs).filter(|&class| class != label).map(|class| vec![other(class)]).collect();
    Arc::new(Clause { alternatives })
}

fn term(index: usize, sign: f64) -> Term {
    Term { index, coefficient: Constant::exact(sign) }
}

/// An output is above a number.
fn above(index: usize, number: Constant) -> Atom {
    let bound = Constant::between(-number.upper, -number.lower, -number.nearest);
    Atom { inputs: Terms::default(), outputs: Terms::new(vec![term(index, -1.0)]), bound, strict: true }
}

fn at_most(index: usize, bound: Constant, strict: bool) -> Atom {
    Atom { inputs: Terms::default(), outputs: Terms::new(vec![term(index, 1.0)]), bound, strict }
}
