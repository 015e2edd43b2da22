//! Certified lower bounds: a quotient of differences that two concrete points attain.

use super::refusal::LipschitzRefusal;
use crate::model::ir::{Network, Values};
use crate::proof::{Content, Norm};
use crate::sound::Enclosure;
use crate::sound::round::{add_down, div_down, max_or_nan, sqrt_down, sqrt_up, sum_up};

/// A lower bound of `‖f(x) − f(y)‖/‖x − y‖` in the same norm above and below, evaluated with enclosures.
///
/// # Errors
/// When the points do not fit, coincide, or an operator cannot be enclosed.
pub fn attained_quotient(network: &Network, norm: Norm, first: &[f64], second: &[f64]) -> Result<f64, LipschitzRefusal> {
    let exact = |point: &[f64]| point.iter().map(|&x| Enclosure::exact(x)).collect::<Vec<_>>();
    let (first, second) = (exact(first), exact(second));
    let output = |point: &[Enclosure]| Values::at(network, point).map(|values| values.get(network.output().index()).to_vec());
    let (at_first, at_second) = (output(&first)?, output(&second)?);
    let quotient = match norm {
        Norm::L1 => {
            let above = at_first.iter().zip(&at_second).fold(0.0, |sum, (a, b)| add_down(sum, (*a - *b).mignitude()));
            div_down(above, sum_up(first.iter().zip(&second).map(|(a, b)| (*a - *b).magnitude())))
        }
        Norm::L2 => {
            let squared =
                |a: &[Enclosure], b: &[Enclosure]| a.iter().zip(b).fold(Enclosure::ZERO, |sum, (a, b)| sum + (*a - *b).square());
            div_down(sqrt_down(squared(&at_first, &at_second).lower().max(0.0)), sqrt_up(squared(&first, &second).upper()))
        }
        Norm::Linf => {
            let above = at_first.iter().zip(&at_second).fold(0.0, |max: f64, (a, b)| max.max((*a - *b).mignitude()));
            let below = first.iter().zip(&second).fold(0.0, |max, (a, b)| max_or_nan(max, (*a - *b).magnitude()));
            div_down(above, below)
        }
    };
    if quotient.is_finite() && quotient >= 0.0 {
        Ok(quotient)
    } else {
        Err(Content::Shape { what: "the pair of points has no finite quotient" }.into())
    }
}
