//! Points of an unsafe region, proved to be there by enclosures.

use super::refusal::RegionRefusal;
use crate::model::ir::{Network, Values};
use crate::proof::{Content, Semantics};
use crate::read::vnnlib::{Constant, InputBox, Specification};
use crate::region::bounds::{BoxRegion, Propagator};
use crate::sound::Enclosure;

/// Proves that an input of a case's box, with the network's output there, lies in the unsafe region.
///
/// A coordinate counts when it lies between the decimals of the box. Where the box is one decimal that is no `f64`, that real
/// number is meant, and everything is proved for an enclosure of it; no float32 network has such an input.
///
/// # Errors
/// When the point is outside, or unsafety is not proved there.
pub fn prove_unsafe(
    propagator: &Propagator,
    specification: &Specification,
    case: usize,
    point: &[f64],
) -> Result<(), RegionRefusal> {
    let region = specification.cases.get(case).and_then(|case| specification.boxes.get(case.region));
    let region = region.ok_or(Content::Shape { what: "there is no such case" })?;
    let region = enclosed(region, point, propagator.semantics(), |_, lower, upper| lower.is_same(upper))?;
    let outputs = outputs_at(propagator, &region)?;
    let inputs: Vec<_> = region.lower().iter().copied().zip(region.upper().iter().copied()).collect();
    if specification.surely_unsafe(case, &inputs, &outputs) { Ok(()) } else { Err(RegionRefusal::NotUnsafe) }
}

/// Bounds of the outputs on a box that is a point, or nearly: for real numbers from a double-double evaluation, which is
/// exact where little is rounded, otherwise from intervals.
///
/// # Errors
/// When the network is undefined there.
pub fn outputs_at(propagator: &Propagator, region: &BoxRegion) -> Result<Vec<(f64, f64)>, RegionRefusal> {
    let evaluated = (propagator.semantics() == Semantics::Real).then(|| enclosed_outputs(propagator.network(), region)).flatten();
    match evaluated {
        Some(outputs) => Ok(outputs),
        None => Ok(propagator.intervals(region)?.output().iter().map(|y| (y.lower, y.upper)).collect()),
    }
}

/// The double-double evaluation alone, in real arithmetic; `None` where an operator cannot be enclosed. Of an implicit
/// equation a solution is enclosed; that there is no other, a Lipschitz bound says.
#[must_use]
pub fn enclosed_outputs(network: &Network, region: &BoxRegion) -> Option<Vec<(f64, f64)>> {
    let bounds = region.lower().iter().zip(region.upper());
    let input: Vec<Enclosure> = bounds.map(|(&lower, &upper)| Enclosure::from_bounds(lower, upper)).collect();
    let values = Values::at(network, &input).ok()?;
    let outputs = values.get(network.output().index());
    let usable = outputs.len() == network.output_size() && outputs.iter().all(Enclosure::is_valid);
    usable.then(|| outputs.iter().map(|y| (y.lower(), y.upper())).collect())
}

/// The point itself where it lies in the box, and an enclosure of the one number that the box is, coordinate by coordinate. `is_one`
/// says of a coordinate and its ends whether these are one real number.
pub(super) fn enclosed(
    input_box: &InputBox,
    point: &[f64],
    semantics: Semantics,
    is_one: impl Fn(usize, &Constant, &Constant) -> bool,
) -> Result<BoxRegion, RegionRefusal> {
    if point.len() != input_box.lower.len() {
        return Err(Content::Shape { what: "the point has another size than the input" }.into());
    }
    let coordinate = |(index, (&x, (lower, upper))): (usize, (&f64, (&Constant, &Constant)))| {
        if lower.upper <= x && x <= upper.lower {
            Some((x, x))
        } else if semantics == Semantics::Real && is_one(index, lower, upper) && lower.lower <= x && x <= upper.upper {
            Some((lower.lower, upper.upper))
        } else {
            None
        }
    };
    let bounds = point.iter().zip(input_box.lower.iter().zip(&input_box.upper)).enumerate().map(coordinate);
    let (lower, upper) = bounds.collect::<Option<Vec<_>>>().ok_or(RegionRefusal::Outside)?.into_iter().unzip();
    BoxRegion::new(lower, upper).map_err(|_| RegionRefusal::Outside)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::ir::{Function, NetworkBuilder, Op};

    /// Whether `x` is proved to be an unsafe input of `y = −x` for these bounds of `x`.
    fn is_unsafe(bounds: &str, x: f64, semantics: Semantics) -> bool {
        let mut builder = NetworkBuilder::new();
        let input = builder.push("x", "", Op::Input, &[], vec![1]).unwrap();
        let output = builder.push("y", "Neg", Op::Function(Function::Neg), &[input], vec![1]).unwrap();
        let network = builder.finish(output).unwrap();
        let text = format!("(declare-const X_0 Real)(declare-const Y_0 Real){bounds}(assert (<= Y_0 0))");
        let specification = Specification::parse(&text, Path::new("test"), "").unwrap();
        let propagator = Propagator::new(&network, semantics).unwrap();
        prove_unsafe(&propagator, &specification, 0, &[x]).is_ok()
    }

    #[test]
    fn a_box_without_inputs_has_no_unsafe_ones() {
        let both = |first: &str, second: &str| format!("(assert ({first}))(assert ({second}))");
        for bounds in [
            both("> X_0 0.5", "< X_0 0.5"),
            both(">= X_0 0.5", "< X_0 0.5"),
            both(">= X_0 0.5000000000000000002", "<= X_0 0.5000000000000000001"),
            both(">= X_0 0.1000000000000000002", "<= X_0 0.1000000000000000001"),
        ] {
            assert!(!is_unsafe(&bounds, 0.5, Semantics::Real) && !is_unsafe(&bounds, 0.1, Semantics::Real), "{bounds}");
        }
        assert!(is_unsafe(&both(">= X_0 0.5", "<= X_0 0.5"), 0.5, Semantics::Real));
    }

    #[test]
    fn one_decimal_that_is_no_float_is_an_input_of_real_networks_alone() {
        for bounds in ["(assert (>= X_0 0.1))(assert (<= X_0 0.1))", "(assert (>= X_0 0.10))(assert (<= X_0 1e-1))"] {
            assert!(is_unsafe(bounds, 0.1, Semantics::Real), "{bounds}");
            assert!(!is_unsafe(bounds, 0.1, Semantics::Float32), "{bounds}");
            assert!(!is_unsafe(bounds, 0.2, Semantics::Real), "{bounds}");
        }
    }
}
