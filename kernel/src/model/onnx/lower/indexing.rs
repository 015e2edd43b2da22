//! Parts of tensors and their joins: slices, gathers, splits, concatenations, padding.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::Value;
use super::graph::Slot;
use super::indices::{axes, axis, extent, flat, product, signed, source, strides};
use super::site::Site;

pub(super) fn slice(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    let missing = || NodeError::invalid("it does not say where it starts and ends");
    let starts = site.ints_by_version("starts", 1, 10)?.ok_or_else(missing)?;
    let ends = site.ints_by_version("ends", 2, 10)?.ok_or_else(missing)?;
    let listed = site.ints_by_version("axes", 3, 10)?.unwrap_or_else(|| (0..signed(starts.len())).collect());
    let steps = if site.opset >= 10 { site.optional_ints_input(4)? } else { None };
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    axes(&listed, shape.len())?;
    if [ends.len(), listed.len(), steps.len()].iter().any(|&length| length != starts.len()) {
        return Err(NodeError::invalid("its starts, ends, axes and steps differ in number"));
    }
    let (mut result, mut offset) = (shape.clone(), 0i64);
    let own: Vec<i64> = strides(&shape).into_iter().map(signed).collect();
    let mut view = own.clone();
    for (position, &listed) in listed.iter().enumerate() {
        let at = axis(listed, shape.len())?;
        let (first, count) = bounds(shape[at], starts[position], ends[position], steps[position])?;
        result[at] = count;
        offset = offset.saturating_add(first.saturating_mul(own[at]));
        view[at] = own[at].saturating_mul(steps[position]);
    }
    site.view(&x, result, offset, &view)
}

/// First element and number of elements of a slice; bounds outside the axis are moved to its ends.
fn bounds(length: usize, start: i64, end: i64, step: i64) -> Result<(i64, usize), NodeError> {
    let length = signed(length);
    let absolute = |bound: i64| if bound < 0 { bound.saturating_add(length) } else { bound };
    let (first, span) = match step {
        0 => return Err(NodeError::invalid("its step is zero")),
        1.. => {
            let first = absolute(start).clamp(0, length);
            (first, absolute(end).clamp(0, length) - first)
        }
        _ => {
            let first = absolute(start).clamp(0, (length - 1).max(0));
            (first, if length == 0 { 0 } else { first - absolute(end).clamp(-1, length - 1) })
        }
    };
    let count = if span <= 0 { 0 } else { span.unsigned_abs().div_ceil(step.unsigned_abs()) };
    Ok((first, usize::try_from(count).unwrap_or(usize::MAX)))
}

pub(super) fn gather(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, indices) = (site.input(0)?, site.input(1)?);
    let shape = site.shape(&x);
    let at = axis(site.int("axis", 0)?, shape.len())?;
    let Some(picks) = indices.discrete().and_then(Value::as_ints) else {
        return Err(NodeError::unsupported("its indices are not known before the network runs"));
    };
    let picks = picks
        .iter()
        .map(|&pick| axis(pick, shape[at]))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| NodeError::invalid(format!("an index is out of range for axis {at} of {shape:?}")))?;
    let inner = product(&shape[at + 1..]);
    let outer: Vec<usize> = shape[..at].to_vec();
    let mut result = outer.clone();
    result.extend(site.shape(&indices));
    result.extend(&shape[at + 1..]);
    let flattened = vec![product(&outer), picks.len(), inner];
    let moved = site.rearrange(&[x], flattened, |index| {
        let pick = picks.get(index[1]).copied().unwrap_or(usize::MAX);
        source(0, (index[0] * shape[at] + pick).saturating_mul(inner).saturating_add(index[2]))
    })?;
    site.reshape(&moved, result)
}

pub(super) fn concat(site: &mut Site) -> Result<Slot, NodeError> {
    let inputs = site.all_inputs()?;
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|slot| site.shape(slot)).collect();
    let first = shapes.first().ok_or_else(|| NodeError::invalid("it has no inputs"))?;
    let at = site.optional_int("axis")?.ok_or_else(|| NodeError::attribute("axis", "is missing"))?;
    let at = axis(at, first.len())?;
    let fits = |shape: &Vec<usize>| {
        shape.len() == first.len() && shape.iter().zip(first).enumerate().all(|(axis, (a, b))| axis == at || a == b)
    };
    if let Some(other) = shapes.iter().find(|shape| !fits(shape)) {
        return Err(NodeError::invalid(format!("shapes {first:?} and {other:?} cannot be joined along axis {at}")));
    }
    let owners: Vec<(usize, usize)> = {
        let total = shapes.iter().fold(0usize, |sum, shape| sum.saturating_add(shape[at]));
        site.graph.charge(&[total])?;
        shapes.iter().enumerate().flat_map(|(operand, shape)| (0..shape[at]).map(move |i| (operand, i))).collect()
    };
    let mut shape = first.clone();
    shape[at] = owners.len();
    let inner = product(&first[at + 1..]);
    let flattened = vec![product(&first[..at]), owners.len(), inner];
    let moved = site.rearrange(&inputs, flattened, |index| {
        let (operand, position) = owners[index[1]];
        source(operand, (index[0] * shapes[operand][at] + position) * inner + index[2])
    })?;
    site.reshape(&moved, shape)
}

pub(super) fn split(site: &mut Site) -> Result<Vec<Slot>, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    let at = axis(site.int("axis", 0)?, shape.len())?;
    let given = site.ints_by_version("split", 1, 13)?;
    let outputs = site.proto.output.len();
    let parts = match (given, site.optional_int("num_outputs")?) {
        (Some(_), Some(_)) => return Err(NodeError::attribute("num_outputs", "stands beside the input `split`")),
        (Some(parts), None) => parts.iter().map(|&part| extent(part, "a part")).collect::<Result<Vec<_>, _>>()?,
        (None, wanted) => even_parts(shape[at], outputs, wanted)?,
    };
    if parts.len() != outputs || parts.iter().fold(0usize, |sum, &part| sum.saturating_add(part)) != shape[at] {
        return Err(NodeError::invalid(format!("parts {parts:?} do not fit axis {at} of {shape:?} and {outputs} outputs")));
    }
    let steps: Vec<i64> = strides(&shape).into_iter().map(signed).collect();
    let mut start = 0;
    let mut slots = Vec::with_capacity(parts.len());
    for part in parts {
        let mut result = shape.clone();
        result[at] = part;
        slots.push(site.view(&x, result, signed(start).saturating_mul(steps[at]), &steps)?);
        start += part;
    }
    Ok(slots)
}

/// Equal parts; only since `num_outputs` exists may the last be smaller.
fn even_parts(length: usize, outputs: usize, wanted: Option<i64>) -> Result<Vec<usize>, NodeError> {
    if wanted.is_some_and(|wanted| usize::try_from(wanted) != Ok(outputs)) {
        return Err(NodeError::attribute("num_outputs", format!("differs from the number of outputs, {outputs}")));
    }
    let part = length.div_ceil(outputs.max(1));
    let last = part.checked_mul(outputs.saturating_sub(1)).and_then(|others| length.checked_sub(others));
    match last {
        Some(last) if outputs > 0 && (last == part || (wanted.is_some() && last > 0)) => {
            let mut parts = vec![part; outputs];
            parts[outputs - 1] = last;
            Ok(parts)
        }
        _ => Err(NodeError::invalid(format!("{length} elements do not split into {outputs} parts"))),
    }
}

pub(super) fn pad(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    let rank = shape.len();
    let pads = site.ints_by_version("pads", 1, 11)?.ok_or_else(|| NodeError::invalid("it has no pads"))?;
    let listed = if site.opset >= 18 { site.optional_ints_input(3)? } else { None };
    let listed = listed.unwrap_or_else(|| (0..signed(rank)).collect());
    axes(&listed, rank)?;
    if pads.len() != 2 * listed.len() {
        return Err(NodeError::invalid(format!("{} pads for {} axes", pads.len(), listed.len())));
    }
    let fill = if site.opset >= 11 {
        site.optional(2)
    } else {
        Some(site.scalar(site.optional_float_unchecked("value")?.unwrap_or(0.0)))
    };
    let fill = match fill {
        Some(fill) if site.shape(&fill).iter().all(|&extent| extent == 1) => fill,
        Some(_) => return Err(NodeError::invalid("its fill value is not a scalar")),
        None if x.integers().is_some() => site.integers(DataType::Int64, Vec::new(), vec![0])?,
        None => site.scalar(0.0),
    };
    let mode = Mode::named(site.string("mode", "constant")?)?;
    let (mut begins, mut result) = (vec![0i64; rank], shape.clone());
    for (position, &listed_axis) in listed.iter().enumerate() {
        let at = axis(listed_axis, rank)?;
        let (begin, end) = (pads[position], pads[position + listed.len()]);
        let length = signed(shape[at]).saturating_add(begin).saturating_add(end);
        mode.check(shape[at], begin, end)?;
        begins[at] = begin;
        result[at] = extent(length, "a padded extent")?;
    }
    let steps = strides(&shape);
    let mut place = vec![0; rank];
    site.rearrange(&[x, fill], result, |index| {
        for axis in 0..rank {
            match mode.origin(signed(index[axis]).saturating_sub(begins[axis]), shape[axis]) {
                Some(position) => place[axis] = position,
                None => return source(1, 0),
            }
        }
        source(0, flat(&place, &steps))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Constant,
    Edge,
    Reflect,
    Wrap,
}

impl Mode {
    fn named(name: &str) -> Result<Self, NodeError> {
        match name {
            "constant" => Ok(Self::Constant),
            "edge" => Ok(Self::Edge),
            "reflect" => Ok(Self::Reflect),
            "wrap" => Ok(Self::Wrap),
            other => Err(NodeError::attribute("mode", format!("is `{other}`"))),
        }
    }

    /// Other pads than constants must find their elements in the tensor, and must not crop.
    fn check(self, length: usize, begin: i64, end: i64) -> Result<(), NodeError> {
        let length = signed(length);
        let most = match self {
            Self::Constant => return Ok(()),
            Self::Edge => {
                if length > 0 {
                    i64::MAX
                } else {
                    0
                }
            }
            Self::Reflect => (length - 1).max(0),
            Self::Wrap => length,
        };
        if [begin, end].iter().any(|pad| !(0..=most).contains(pad)) {
            return Err(NodeError::unsupported(format!("pads of {begin} and {end} around {length} elements in this mode")));
        }
        Ok(())
    }

    /// Where the element at `position`, counted from the first, comes from; `None` for the fill value.
    fn origin(self, position: i64, length: usize) -> Option<usize> {
        let count = signed(length);
        let inside = match self {
            Self::Edge => position.clamp(0, (count - 1).max(0)),
            Self::Reflect if position < 0 => -position,
            Self::Reflect if position >= count => 2 * (count - 1) - position,
            Self::Constant | Self::Reflect => position,
            Self::Wrap => position.checked_rem_euclid(count)?,
        };
        usize::try_from(inside).ok().filter(|&inside| inside < length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_numpy() {
        assert_eq!(bounds(5, 1, -1, 1).unwrap(), (1, 3));
        assert_eq!(bounds(5, -1, i64::MIN, -1).unwrap(), (4, 5));
        assert_eq!(bounds(5, i64::MAX, i64::MIN, -2).unwrap(), (4, 3));
        assert_eq!(bounds(5, 0, i64::MAX, 2).unwrap(), (0, 3));
        assert_eq!(bounds(5, 3, 1, 1).unwrap().1, 0);
        assert_eq!(bounds(0, 0, 5, -1).unwrap().1, 0);
        assert_eq!(bounds(5, 4, 0, i64::MIN).unwrap(), (4, 1));
        assert!(bounds(5, 0, 1, 0).is_err());
    }

    #[test]
    fn splits_are_even_unless_they_may_end_small() {
        assert_eq!(even_parts(6, 3, None).unwrap(), [2, 2, 2]);
        assert_eq!(even_parts(5, 2, Some(2)).unwrap(), [3, 2]);
        assert!(even_parts(5, 2, None).is_err() && even_parts(2, 4, Some(4)).is_err() && even_parts(0, 0, None).is_err());
    }
}
