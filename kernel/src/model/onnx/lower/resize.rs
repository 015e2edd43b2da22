//! `Resize` and `Upsample`: linear maps of the axes, with weights that are exact rational numbers.
//!
//! A place of the result has a coordinate in the operand, a quotient of integers here. The nearest element is a movement; an
//! interpolation is a product with a matrix for every axis, whose weights stay quotients in the network where `f64` does not
//! hold them.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::Value;
use super::graph::{Slot, checked_count};
use super::indices::{axes, axis, extent, flat, signed, source, strides};
use super::ratio::Ratio;
use super::site::Site;
use crate::model::ir::{Binary, Op, Tensor};

/// How one axis is resized.
struct Axis {
    input: usize,
    output: usize,
    scale: Ratio,
    /// Whether float32 holds the scale, so that runtimes compute the same coordinates.
    exact: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    HalfPixelForNearest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nearest {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

/// `Upsample`: coordinates are quotients, the nearest is below.
pub(super) fn upsample(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let scales = match (site.opset < 9, site.optional_floats("scales")?) {
        (true, Some(scales)) => scales,
        (false, None) => floats(site, 1)?.unwrap_or_default(),
        _ => return Err(NodeError::attribute("scales", "is an attribute before operator set 9 and an input since")),
    };
    let all: Vec<usize> = (0..site.shape(&x).len()).collect();
    let resized = scaled_axes(site, &x, &all, &scales)?;
    let mode = site.string("mode", "nearest")?;
    if resized.iter().any(|axis| axis.output < axis.input) {
        return Err(NodeError::attribute("scales", "shrinks an axis"));
    }
    match mode {
        "nearest" => nearest(site, &x, &resized, Coordinates::Asymmetric, Nearest::Floor),
        "linear" | "bilinear" => interpolated(site, x, &resized, Coordinates::Asymmetric, Kernel::Linear),
        other => Err(NodeError::attribute("mode", format!("is `{other}`"))),
    }
}

pub(super) fn resize(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let rank = site.shape(&x).len();
    let old = site.opset < 11;
    let resized = extents(site, &x, rank, old)?;
    let coordinates = if old {
        // Runtimes round otherwise where such a resizing shrinks.
        if resized.iter().any(|axis| axis.output < axis.input) {
            return Err(NodeError::unsupported("a Resize of operator set 10 that shrinks an axis"));
        }
        Coordinates::Asymmetric
    } else {
        match site.string("coordinate_transformation_mode", "half_pixel")? {
            "half_pixel" => Coordinates::HalfPixel,
            "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
            "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
            "align_corners" => Coordinates::AlignCorners,
            "asymmetric" => Coordinates::Asymmetric,
            "tf_half_pixel_for_nn" => Coordinates::HalfPixelForNearest,
            other => return Err(NodeError::unsupported(format!("`coordinate_transformation_mode` is `{other}`"))),
        }
    };
    let fits = |axis: &Axis| axis.scale.times(signed(axis.input).into()).is_some_and(|exact| exact.denominator == 1);
    if coordinates == Coordinates::AlignCorners && !resized.iter().all(fits) {
        return Err(NodeError::unsupported_with_hint(
            "its corners are aligned at a scale that makes no whole number of elements, where runtimes disagree",
            "state `sizes` instead of `scales`",
        ));
    }
    if site.string("keep_aspect_ratio_policy", "stretch")? != "stretch" {
        return Err(NodeError::unsupported("`keep_aspect_ratio_policy` is not `stretch`"));
    }
    let shrinks = resized.iter().any(|axis| axis.scale.numerator < axis.scale.denominator);
    if site.flag("antialias", false)? && shrinks {
        return Err(NodeError::unsupported_with_hint("it is antialiased while it shrinks", "resize without `antialias`"));
    }
    let excluded = site.flag("exclude_outside", false)?;
    let mode = site.string("mode", "nearest")?;
    if excluded && mode != "cubic" {
        return Err(NodeError::attribute("exclude_outside", "stands beside another mode than `cubic`"));
    }
    match mode {
        "nearest" => {
            let rounding = match site.string("nearest_mode", "round_prefer_floor")? {
                _ if old => Nearest::Floor,
                "round_prefer_floor" | "" => Nearest::PreferFloor,
                "round_prefer_ceil" => Nearest::PreferCeil,
                "floor" => Nearest::Floor,
                "ceil" => Nearest::Ceil,
                other => return Err(NodeError::attribute("nearest_mode", format!("is `{other}`"))),
            };
            nearest(site, &x, &resized, coordinates, rounding)
        }
        "linear" => interpolated(site, x, &resized, coordinates, Kernel::Linear),
        "cubic" => {
            let a = Ratio::of(site.float("cubic_coeff_a", -0.75)?);
            let a = a.ok_or_else(|| NodeError::attribute("cubic_coeff_a", "is no short fraction"))?;
            interpolated(site, x, &resized, coordinates, Kernel::Cubic { a, excluded })
        }
        other => Err(NodeError::attribute("mode", format!("is `{other}`"))),
    }
}

/// The known numbers of an optional input; an empty tensor is none.
fn floats(site: &mut Site, index: usize) -> Result<Option<Vec<f64>>, NodeError> {
    let Some(slot) = site.optional(index).filter(|slot| !site.shape(slot).contains(&0)) else { return Ok(None) };
    let known = site.decide(|reader| reader.exact(&slot));
    known.map(Some).ok_or_else(|| NodeError::unsupported(format!("input {} must be known before the network runs", index + 1)))
}

/// Which axes are resized, and to what.
fn extents(site: &mut Site, x: &Slot, rank: usize, old: bool) -> Result<Vec<Axis>, NodeError> {
    let listed = match site.optional_ints("axes")? {
        Some(listed) => {
            axes(listed, rank)?;
            listed.iter().map(|&listed| axis(listed, rank)).collect::<Result<Vec<_>, _>>()?
        }
        None => (0..rank).collect(),
    };
    let scales = floats(site, if old { 1 } else { 2 })?;
    let sizes = match site.optional(3).filter(|slot| !old && !site.shape(slot).contains(&0)) {
        Some(_) => site.optional_ints_input(3)?,
        None => None,
    };
    match (scales, sizes) {
        (Some(scales), None) => scaled_axes(site, x, &listed, &scales),
        (None, Some(sizes)) => {
            let shape = site.shape(x);
            if sizes.len() != listed.len() {
                return Err(NodeError::invalid(format!("{} sizes for {} axes", sizes.len(), listed.len())));
            }
            let mut resized: Vec<Axis> = shape.iter().map(|&extent| Axis::same(extent)).collect();
            for (&at, &size) in listed.iter().zip(&sizes) {
                let output = extent(size, "a size")?;
                let scale = Ratio::new(size.into(), signed(shape[at]).into()).filter(|_| output > 0);
                let scale = scale.ok_or_else(|| NodeError::invalid("it resizes an axis from or to nothing"))?;
                resized[at] = Axis { input: shape[at], output, scale, exact: scale.is_single() };
            }
            Ok(resized)
        }
        _ => Err(NodeError::invalid("it must have either scales or sizes")),
    }
}

fn scaled_axes(site: &Site, x: &Slot, listed: &[usize], scales: &[f64]) -> Result<Vec<Axis>, NodeError> {
    let shape = site.shape(x);
    if scales.len() != listed.len() {
        return Err(NodeError::invalid(format!("{} scales for {} axes", scales.len(), listed.len())));
    }
    let mut resized: Vec<Axis> = shape.iter().map(|&extent| Axis::same(extent)).collect();
    for (&at, &factor) in listed.iter().zip(scales) {
        let refused = || NodeError::unsupported(format!("it scales an axis of {} elements by {factor}", shape[at]));
        let scale = Ratio::of(factor).filter(|scale| scale.numerator > 0).ok_or_else(refused)?;
        let output = scale.times(signed(shape[at]).into()).and_then(Ratio::floor).ok_or_else(refused)?;
        let output = usize::try_from(output).ok().filter(|&output| output > 0).ok_or_else(refused)?;
        resized[at] = Axis { input: shape[at], output, scale, exact: true };
    }
    Ok(resized)
}

impl Axis {
    const fn same(extent: usize) -> Self {
        Self { input: extent, output: extent, scale: Ratio::ONE, exact: true }
    }

    fn is_same(&self) -> bool {
        self.input == self.output && self.scale == Ratio::ONE
    }

    /// Where a place of the result lies in the operand.
    fn coordinate(&self, place: usize, coordinates: Coordinates) -> Option<Ratio> {
        let half = Ratio::new(1, 2)?;
        let place = Ratio::new(i128::try_from(place).ok()?, 1)?;
        let [input, output] = [self.input, self.output].map(|extent| i128::try_from(extent).ok().and_then(|e| Ratio::new(e, 1)));
        let (input, output) = (input?, output?);
        let centred = |centre: Ratio| place.plus(half)?.over(self.scale)?.minus(centre);
        match coordinates {
            Coordinates::PytorchHalfPixel | Coordinates::AlignCorners if self.output <= 1 => Ratio::new(0, 1),
            Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => centred(half),
            Coordinates::HalfPixelForNearest => centred(Ratio::new(0, 1)?),
            Coordinates::Asymmetric => place.over(self.scale),
            Coordinates::AlignCorners => {
                let one = Ratio::ONE;
                place.by(input.minus(one)?)?.over(output.minus(one)?)
            }
            Coordinates::HalfPixelSymmetric => {
                let adjustment = output.over(input.by(self.scale)?)?;
                let offset = input.by(half)?.by(Ratio::ONE.minus(adjustment)?)?;
                centred(half)?.plus(offset)
            }
        }
    }
}

fn too_long() -> NodeError {
    NodeError::unsupported("its scales are fractions too long to be handled exactly")
}

/// A movement of elements.
fn nearest(site: &mut Site, x: &Slot, resized: &[Axis], coordinates: Coordinates, rounding: Nearest) -> Result<Slot, NodeError> {
    let shape = site.shape(x);
    let mut picks = Vec::with_capacity(resized.len());
    for axis in resized {
        site.graph.charge(&[axis.output])?;
        let mut along = Vec::with_capacity(axis.output);
        for place in 0..axis.output {
            let at = if axis.is_same() { i128::try_from(place).ok() } else { axis.pick(place, coordinates, rounding)? };
            let last = i128::try_from(axis.input.saturating_sub(1)).unwrap_or(i128::MAX);
            let at = at.ok_or_else(too_long)?.clamp(0, last);
            along.push(usize::try_from(at).unwrap_or(usize::MAX));
        }
        picks.push(along);
    }
    let result = resized.iter().map(|axis| axis.output).collect();
    let steps = strides(&shape);
    let mut place = vec![0; shape.len()];
    site.rearrange(std::slice::from_ref(x), result, |index| {
        for (place, (along, &at)) in place.iter_mut().zip(picks.iter().zip(index)) {
            *place = along.get(at).copied().unwrap_or(usize::MAX);
        }
        source(0, flat(&place, &steps))
    })
}

impl Axis {
    /// The nearest element, `None` where the fractions are too long.
    fn pick(&self, place: usize, coordinates: Coordinates, rounding: Nearest) -> Result<Option<i128>, NodeError> {
        let Some(at) = self.coordinate(place, coordinates) else { return Ok(None) };
        let Some(half) = Ratio::new(1, 2) else { return Ok(None) };
        // The places where the nearest element changes are integers after this shift.
        let shifted = match rounding {
            Nearest::Floor | Nearest::Ceil => Some(at),
            Nearest::PreferFloor | Nearest::PreferCeil => at.plus(half),
        };
        let Some(shifted) = shifted else { return Ok(None) };
        let inside = at.floor().is_some_and(|floor| floor >= 0 && floor < i128::try_from(self.input).unwrap_or(i128::MAX));
        let divides = coordinates == Coordinates::AlignCorners;
        if inside && shifted.denominator == 1 && at.numerator != 0 && (!self.exact || divides && at.denominator != 1) {
            return Err(NodeError::unsupported_with_hint(
                "an element lies halfway between two, and runtimes that round its coordinate disagree on the nearest",
                "resize by a scale that float32 holds",
            ));
        }
        Ok(match rounding {
            Nearest::Floor | Nearest::PreferCeil => shifted.floor(),
            Nearest::Ceil => shifted.ceil(),
            Nearest::PreferFloor => shifted.ceil().map(|above| above - 1),
        })
    }
}

#[derive(Clone, Copy)]
enum Kernel {
    Linear,
    Cubic { a: Ratio, excluded: bool },
}

impl Kernel {
    /// The weights at a coordinate: elements of the operand, perhaps outside, with their weights.
    fn weights(self, at: Ratio, input: usize) -> Option<Vec<(i128, Ratio)>> {
        let last = i128::try_from(input).ok()? - 1;
        match self {
            Self::Linear => {
                let at = at.clamped(last)?;
                let below = at.floor()?;
                let part = at.minus(Ratio::new(below, 1)?)?;
                Some(vec![(below, Ratio::ONE.minus(part)?), (below + 1, part)])
            }
            Self::Cubic { a, excluded } => {
                let below = at.floor()?;
                let part = at.minus(Ratio::new(below, 1)?)?;
                let one = Ratio::ONE;
                let distances = [part.plus(one)?, part, one.minus(part)?, one.minus(part)?.plus(one)?];
                let mut weights = Vec::with_capacity(4);
                for (offset, distance) in (-1..).zip(distances) {
                    weights.push((below + offset, cubic(a, distance)?));
                }
                if excluded {
                    weights.retain(|(at, _)| (0..=last).contains(at));
                    let total = weights.iter().try_fold(Ratio::new(0, 1)?, |total, (_, weight)| total.plus(*weight))?;
                    for (_, weight) in &mut weights {
                        *weight = weight.over(total)?;
                    }
                }
                Some(weights)
            }
        }
    }
}

/// Keys' kernel at a distance of at most 2.
fn cubic(a: Ratio, x: Ratio) -> Option<Ratio> {
    let whole = |n: i128| Ratio::new(n, 1);
    let polynomial =
        |coefficients: [Ratio; 4]| coefficients.into_iter().try_fold(whole(0)?, |sum, coefficient| sum.by(x)?.plus(coefficient));
    if x.numerator <= x.denominator {
        polynomial([a.plus(whole(2)?)?, whole(0)?.minus(a.plus(whole(3)?)?)?, whole(0)?, whole(1)?])
    } else {
        polynomial([a, a.by(whole(-5)?)?, a.by(whole(8)?)?, a.by(whole(-4)?)?])
    }
}

/// A product with a matrix along every axis that is resized.
fn interpolated(site: &mut Site, x: Slot, resized: &[Axis], coordinates: Coordinates, kernel: Kernel) -> Result<Slot, NodeError> {
    if coordinates == Coordinates::HalfPixelForNearest {
        return Err(NodeError::attribute("coordinate_transformation_mode", "is for the mode `nearest` alone"));
    }
    let mut result = x;
    for (at, axis) in resized.iter().enumerate().filter(|(_, axis)| !axis.is_same()) {
        let (matrix, exact) = axis.matrix(site, coordinates, kernel)?;
        if !exact || !matches!(kernel, Kernel::Linear) {
            // Runtimes compute the weights from coordinates that float32 rounds.
            site.graph.record_rewriting(site.name);
        }
        let shape = site.shape(&result);
        let order: Vec<usize> = (0..shape.len()).filter(|&other| other != at).chain([at]).collect();
        let moved = site.transpose(&result, &order)?;
        let mut moved_shape = site.shape(&moved);
        let rows = checked_count(&moved_shape)? / axis.input;
        let rows_of = site.reshape(&moved, vec![1, rows, axis.input])?;
        let product = site.push(Op::MatMul, &[&rows_of, &matrix], vec![1, rows, axis.output])?;
        if let Some(last) = moved_shape.last_mut() {
            *last = axis.output;
        }
        let product = site.reshape(&product, moved_shape)?;
        let back: Vec<usize> = (0..order.len()).map(|a| order.iter().position(|&o| o == a).unwrap_or(a)).collect();
        result = site.transpose(&product, &back)?;
    }
    Ok(result)
}

impl Axis {
    /// The weights `[1, input, output]`: numerators over one denominator for each place of the result; and whether `f64` holds
    /// them.
    fn matrix(&self, site: &mut Site, coordinates: Coordinates, kernel: Kernel) -> Result<(Slot, bool), NodeError> {
        let shape = vec![1, self.input, self.output];
        let count = site.graph.charge(&shape)?;
        let mut numerators = vec![0i128; count];
        let mut denominators = vec![1i128; self.output];
        for (place, denominator) in denominators.iter_mut().enumerate() {
            let at = self.coordinate(place, coordinates).ok_or_else(too_long)?;
            let weights = kernel.weights(at, self.input).ok_or_else(too_long)?;
            let common = weights.iter().try_fold(1i128, |common, (_, weight)| weight.common_denominator(common));
            *denominator = common.ok_or_else(too_long)?;
            for (element, weight) in weights {
                let last = i128::try_from(self.input).map_or(0, |input| input - 1);
                let element = usize::try_from(element.clamp(0, last)).unwrap_or(0);
                let scaled = (*denominator / weight.denominator).checked_mul(weight.numerator).ok_or_else(too_long)?;
                let total = &mut numerators[element * self.output + place];
                *total = total.checked_add(scaled).ok_or_else(too_long)?;
            }
        }
        let exact = |values: Vec<i128>| -> Result<Vec<f64>, NodeError> {
            #[allow(clippy::cast_precision_loss)] // within ±2⁵³
            let number = |value: i128| (value.unsigned_abs() <= 1 << 53).then_some(value as f64);
            values.into_iter().map(number).collect::<Option<_>>().ok_or_else(too_long)
        };
        let powers = denominators.iter().all(|denominator| denominator.count_ones() == 1);
        let (mut numerators, denominators) = (exact(numerators)?, exact(denominators)?);
        if powers {
            for (index, numerator) in numerators.iter_mut().enumerate() {
                *numerator /= denominators[index % self.output];
            }
        }
        let mut constant = |shape: Vec<usize>, values: Vec<f64>| {
            let tensor = Tensor::new(shape, values).ok_or_else(|| NodeError::invalid("a shape does not fit its values"))?;
            site.constant(Value::Float(tensor), DataType::Float)
        };
        let weights = constant(shape.clone(), numerators)?;
        if powers {
            return Ok((weights, true));
        }
        let divisors = constant(vec![1, 1, self.output], denominators)?;
        site.binary(Binary::Div, &weights, &divisors).map(|weights| (weights, false))
    }
}
