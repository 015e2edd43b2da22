//! Elements picked and placed by constant indices, and other movements that depend on positions.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::Value;
use super::graph::{Slot, checked_count};
use super::indices::{axis, extent, flat, for_each_index, product, signed, source, strides};
use super::site::Site;
use crate::model::ir::{Binary, Op, Source, Tensor};

/// An input of indices into an axis, which are known before the network runs.
fn picks(site: &Site, input: usize) -> Result<(Vec<i64>, Vec<usize>), NodeError> {
    let slot = site.input(input)?;
    let picks = slot.discrete().and_then(Value::as_ints).map(<[i64]>::to_vec);
    let picks = picks.ok_or_else(|| NodeError::unsupported("its indices are not known before the network runs"))?;
    Ok((picks, site.shape(&slot)))
}

fn position(pick: i64, length: usize) -> Result<usize, NodeError> {
    axis(pick, length).map_err(|_| NodeError::invalid(format!("index {pick} is out of range for {length} elements")))
}

/// `GatherElements`: the indices have the shape of the result.
pub(super) fn gather_elements(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let (picks, result) = picks(site, 1)?;
    let places = element_places(site, &x, &picks, &result)?;
    let mut places = places.into_iter();
    site.rearrange(&[x], result, |_| source(0, places.next().unwrap_or(usize::MAX)))
}

/// For every index of a tensor of that shape the element of `x` that it names along the attribute's axis.
fn element_places(site: &Site, x: &Slot, picks: &[i64], shape: &[usize]) -> Result<Vec<usize>, NodeError> {
    let own = site.shape(x);
    let at = axis(site.int("axis", 0)?, own.len())?;
    let fits =
        own.len() == shape.len() && own.iter().zip(shape).enumerate().all(|(axis, (own, other))| axis == at || other <= own);
    if !fits {
        return Err(NodeError::invalid(format!("indices of shape {shape:?} do not fit {own:?}")));
    }
    let steps = strides(&own);
    let mut places = Vec::with_capacity(picks.len());
    let mut given = picks.iter();
    let mut failed = None;
    for_each_index(shape, |index| {
        let pick = position(given.next().copied().unwrap_or(i64::MAX), own[at]);
        match pick {
            Ok(pick) => places.push(flat(index, &steps) - index[at] * steps[at] + pick * steps[at]),
            Err(error) => failed = failed.take().or(Some(error)),
        }
    });
    failed.map_or(Ok(places), Err)
}

/// `GatherND`: the last axis of the indices names leading axes.
pub(super) fn gather_nd(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let (picks, shape) = picks(site, 1)?;
    let own = site.shape(&x);
    let batch = extent(site.int("batch_dims", 0)?, "batch_dims")?;
    let depth = shape.last().copied().unwrap_or(0);
    if shape.is_empty() || batch >= shape.len() || batch + depth > own.len() || own[..batch] != shape[..batch] {
        return Err(NodeError::invalid(format!("indices of shape {shape:?} do not fit {own:?}")));
    }
    let (steps, inner) = (strides(&own), product(&own[batch + depth..]));
    let offsets = tuples(&picks, &own[batch..batch + depth], &steps[batch..batch + depth])?;
    // So many tuples for each sample of the batch.
    let each = product(&shape[batch..shape.len() - 1]);
    let sample = product(&own[batch..]);
    let result: Vec<usize> = shape[..shape.len() - 1].iter().chain(&own[batch + depth..]).copied().collect();
    let moved = site.rearrange(&[x], vec![offsets.len(), inner], |index| {
        let first = index[0].checked_div(each).unwrap_or(0).saturating_mul(sample);
        source(0, first.saturating_add(offsets[index[0]]).saturating_add(index[1]))
    })?;
    site.reshape(&moved, result)
}

/// The flat offsets that tuples of indices name.
fn tuples(picks: &[i64], extents: &[usize], steps: &[usize]) -> Result<Vec<usize>, NodeError> {
    if extents.is_empty() {
        return Err(NodeError::invalid("its indices have an empty last axis"));
    }
    let offset = |tuple: &[i64]| {
        let places = tuple.iter().zip(extents).map(|(&pick, &extent)| position(pick, extent));
        places.zip(steps).try_fold(0usize, |sum, (place, step)| Ok(sum + place? * step))
    };
    picks.chunks(extents.len()).map(offset).collect()
}

pub(super) fn scatter_nd(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, updates) = (site.input(0)?, site.input(2)?);
    let (picks, shape) = picks(site, 1)?;
    let own = site.shape(&x);
    let depth = shape.last().copied().unwrap_or(0);
    if shape.is_empty() || depth > own.len() {
        return Err(NodeError::invalid(format!("indices of shape {shape:?} do not fit {own:?}")));
    }
    let expected: Vec<usize> = shape[..shape.len() - 1].iter().chain(&own[depth..]).copied().collect();
    if site.shape(&updates) != expected {
        return Err(NodeError::invalid(format!("updates of shape {:?} where {expected:?} is needed", site.shape(&updates))));
    }
    let (steps, inner) = (strides(&own), product(&own[depth..]));
    let offsets = tuples(&picks, &own[..depth], &steps[..depth])?;
    let places = offsets.iter().flat_map(|offset| (0..inner).map(move |i| offset + i)).collect();
    scattered(site, &x, &updates, places)
}

pub(super) fn scatter_elements(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, updates) = (site.input(0)?, site.input(2)?);
    let (picks, shape) = picks(site, 1)?;
    if site.shape(&updates) != shape {
        return Err(NodeError::invalid("its updates and indices differ in shape"));
    }
    let places = element_places(site, &x, &picks, &shape)?;
    scattered(site, &x, &updates, places)
}

/// `x` with updates at distinct places.
fn scattered(site: &mut Site, x: &Slot, updates: &Slot, places: Vec<usize>) -> Result<Slot, NodeError> {
    let shape = site.shape(x);
    let mut from: Vec<Option<usize>> = vec![None; checked_count(&shape)?];
    for (update, place) in places.into_iter().enumerate() {
        let slot = from.get_mut(place).ok_or_else(|| NodeError::invalid("an index is out of range"))?;
        if slot.replace(update).is_some() {
            return Err(NodeError::unsupported("it writes an element twice"));
        }
    }
    let mut at = 0;
    let mut next = || {
        at += 1;
        (at - 1, from.get(at - 1).copied().flatten())
    };
    let binary = match site.string("reduction", "none")? {
        "none" => {
            return site.rearrange(&[x.clone(), updates.clone()], shape, |_| match next() {
                (_, Some(update)) => source(1, update),
                (own, None) => source(0, own),
            });
        }
        "add" => Binary::Add,
        "mul" => Binary::Mul,
        "max" => Binary::Max,
        "min" => Binary::Min,
        other => return Err(NodeError::attribute("reduction", format!("is `{other}`"))),
    };
    // Where nothing is written the operand meets what does not change it.
    let neutral = match binary {
        Binary::Add => site.scalar(0.0),
        Binary::Mul => site.scalar(1.0),
        _ => x.clone(),
    };
    let own = matches!(binary, Binary::Max | Binary::Min);
    let spread = site.rearrange(&[neutral, updates.clone()], shape, |_| match next() {
        (_, Some(update)) => source(1, update),
        (place, None) => source(0, if own { place } else { 0 }),
    })?;
    site.binary(binary, x, &spread)
}

/// `OneHot` of constant indices: one of two values.
pub(super) fn one_hot(site: &mut Site) -> Result<Slot, NodeError> {
    let (picks, shape) = picks(site, 0)?;
    let [depth] = site.ints_input(1)?[..] else { return Err(NodeError::invalid("its depth is not one number")) };
    let (values, depth) = (site.input(2)?, extent(depth, "its depth")?);
    if site.shape(&values) != [2] {
        return Err(NodeError::invalid("its values are not two"));
    }
    let rank = shape.len() + 1;
    let at = axis(site.int("axis", -1)?, rank)?;
    let mut result = shape.clone();
    result.insert(at, depth);
    let steps = strides(&shape);
    site.rearrange(&[values], result, |index| {
        let others: Vec<usize> = index.iter().enumerate().filter(|(axis, _)| *axis != at).map(|(_, &i)| i).collect();
        let pick = picks.get(flat(&others, &steps)).copied().unwrap_or(i64::MAX);
        let pick = if pick < 0 { pick.saturating_add(signed(depth)) } else { pick };
        source(0, usize::from(usize::try_from(pick) == Ok(index[at])))
    })
}

/// The part of matrices on one side of a diagonal, and zeros.
pub(super) fn triangle(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    let offset = match site.optional_ints_input(1)? {
        None => 0,
        Some(offset) => {
            let [offset] = offset[..] else { return Err(NodeError::invalid("its diagonal is not one number")) };
            offset
        }
    };
    let upper = site.flag("upper", true)?;
    let rank = shape.len();
    if rank < 2 {
        return Err(NodeError::invalid(format!("its input has the shape {shape:?}, which is no matrix")));
    }
    let zero = if x.integers().is_some() { site.integers(DataType::Int64, Vec::new(), vec![0])? } else { site.scalar(0.0) };
    let steps = strides(&shape);
    site.rearrange(&[x, zero], shape, |index| {
        let above = signed(index[rank - 1]).saturating_sub(signed(index[rank - 2]));
        let kept = if upper { above >= offset } else { above <= offset };
        if kept { source(0, flat(index, &steps)) } else { Source { operand: 1, element: 0 } }
    })
}

/// Sums of the elements before each place: a product with a triangle of ones.
pub(super) fn cumulative_sum(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    let [at] = site.ints_input(1)?[..] else { return Err(NodeError::invalid("its axis is not one number")) };
    let at = axis(at, shape.len())?;
    let (exclusive, reverse) = (site.flag("exclusive", false)?, site.flag("reverse", false)?);
    let length = shape[at];
    let count = site.graph.charge(&[length, length])?;
    let included = |from: usize, to: usize| {
        let before = if reverse { from > to } else { from < to };
        before || (from == to && !exclusive)
    };
    let ones = (0..count).map(|i| f64::from(u8::from(included(i / length, i % length)))).collect();
    let matrix = Tensor::new(vec![1, length, length], ones).ok_or_else(|| NodeError::invalid("its axis is empty"))?;
    let matrix = site.constant(Value::Float(matrix), DataType::Float)?;
    let order: Vec<usize> = (0..shape.len()).filter(|&axis| axis != at).chain([at]).collect();
    let moved = site.transpose(&x, &order)?;
    let moved_shape = site.shape(&moved);
    let rows = checked_count(&moved_shape)?.checked_div(length).unwrap_or(0);
    let operand = site.reshape(&moved, vec![1, rows, length])?;
    let sums = site.push(Op::MatMul, &[&operand, &matrix], vec![1, rows, length])?;
    let sums = site.reshape(&sums, moved_shape)?;
    let back: Vec<usize> = (0..order.len()).map(|axis| order.iter().position(|&a| a == axis).unwrap_or(axis)).collect();
    site.transpose(&sums, &back)
}
