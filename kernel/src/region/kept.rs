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

    /// Whether Lipschitz bounds alone show that no perturbation of a sample loses it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ir::{Function, NetworkBuilder, Op};
    use crate::proof::{Norm, Perturbation, Semantics};
    use crate::region::Refuter;

    /// Whether `y = −x` keeps something around the sample for perturbations of ε, and whether this point shows that it does not.
    fn verdict(kept: &Kept, label: usize, epsilon: &str, point: f64, semantics: Semantics) -> (bool, bool) {
        let mut builder = NetworkBuilder::new();
        let input = builder.push("x", "", Op::Input, &[], vec![1]).unwrap();
        let output = builder.push("y", "Neg", Op::Function(Function::Neg), &[input], vec![1]).unwrap();
        let network = builder.finish(output).unwrap();
        let perturbation = Perturbation {
            norm: Norm::Linf,
            epsilon: epsilon.into(),
            clip: None,
            mean: Vec::new(),
            deviation: Vec::new(),
            channel_axis: None,
        };
        let neighbourhoods = Neighbourhoods::new(&perturbation, &[1], semantics).unwrap();
        let propagator = Propagator::new(&network, semantics).unwrap();
        let keeping = Keeping::new(kept, 1).unwrap();
        let lost = keeping.lost(&propagator, &neighbourhoods, &[0.5], label).unwrap();
        let region = neighbourhoods.of(&[0.5]).unwrap().region;
        let refuted = Refuter::new(&network, semantics).unwrap().bound(&region, &[Arc::clone(&lost)]).unwrap().refuted;
        (refuted, crate::region::prove_lost(&propagator, &neighbourhoods, &[0.5], &lost, &[point]).is_ok())
    }

    #[test]
    fn ends_belong_to_the_side_that_the_claim_names() {
        let threshold = |text: &str| Kept::Threshold(text.to_owned());
        // y is from −0.75 to −0.25: above −0.75 it is not everywhere, at most −0.25 it is.
        for (kept, label, expected) in [
            (threshold("-0.75"), 1, (false, true)),
            (threshold("-0.7500001"), 1, (true, false)),
            (threshold("-0.25"), 0, (true, false)),
            (threshold("-0.2500001"), 0, (false, false)),
            (threshold("-1"), 0, (false, true)),
        ] {
            assert_eq!(verdict(&kept, label, "0.25", 0.75, Semantics::Real), expected, "{kept:?} {label}");
        }
        let most = |text: &str| Kept::MaxChange(text.to_owned());
        for semantics in [Semantics::Real, Semantics::Float32] {
            assert_eq!(verdict(&most("0.25"), 0, "0.25", 0.75, semantics), (true, false));
            assert_eq!(verdict(&most("0.2499999"), 0, "0.25", 0.75, semantics), (false, true));
            assert_eq!(verdict(&most("0.2499999"), 0, "0.25", 0.5, semantics), (false, false));
            // A point that is no perturbation shows nothing.
            assert_eq!(verdict(&most("0.25"), 0, "0.25", 1.0, semantics), (true, false));
        }
        assert_eq!(verdict(&most("0"), 0, "0", 0.5, Semantics::Real), (true, false));
    }

    #[test]
    fn what_does_not_fit_the_network_is_refused() {
        let text = || "0.5".to_owned();
        assert!(Keeping::new(&Kept::Class, 1).is_err() && Keeping::new(&Kept::Class, 2).is_ok());
        assert!(Keeping::new(&Kept::Threshold(text()), 2).is_err() && Keeping::new(&Kept::Threshold(text()), 1).is_ok());
        assert!(Keeping::new(&Kept::MaxChange(text()), 0).is_err() && Keeping::new(&Kept::MaxChange(text()), 3).is_ok());
        for wrong in ["-0.5", "x", "", "nan", "inf", "1e999", "1/0"] {
            assert!(Keeping::new(&Kept::MaxChange(wrong.to_owned()), 1).is_err(), "{wrong}");
        }
    }
}
