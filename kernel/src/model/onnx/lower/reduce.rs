//! Reductions over axes, sorting and softmax: the axes are moved to the end, then rows are reduced.

use super::super::error::NodeError;
use super::activation;
use super::comparison::Step;
use super::graph::Slot;
use super::indices::{axes, axis, extent, for_each_index, product, signed};
use super::masked::{self, Masked};
use super::site::Site;
use crate::model::ir::{Binary, Function, Op, Reduction};

pub(super) fn sum(site: &mut Site) -> Result<Slot, NodeError> {
    reduce(site, Reduction::Sum, 13, Some(i64::checked_add))
}

pub(super) fn mean(site: &mut Site) -> Result<Slot, NodeError> {
    reduce(site, Reduction::Mean, 18, None)
}

pub(super) fn max(site: &mut Site) -> Result<Slot, NodeError> {
    reduce(site, Reduction::Max, 18, Some(|a, b| Some(a.max(b))))
}

pub(super) fn min(site: &mut Site) -> Result<Slot, NodeError> {
    reduce(site, Reduction::Min, 18, Some(|a, b| Some(a.min(b))))
}

pub(super) fn prod(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let axes = Axes::read(site, &x, 18)?;
    if let Some(slot) = integers(site, &x, &axes, i64::checked_mul)? {
        return Ok(slot);
    }
    // A product in another order is rounded otherwise.
    site.graph.record_rewriting(site.name);
    axes.fold(site, &x, |site, a, b| site.binary(Binary::Mul, a, b))
}

/// The Euclidean norm.
pub(super) fn norm(site: &mut Site) -> Result<Slot, NodeError> {
    let squares = sum_of_squares(site)?;
    site.function(Function::Sqrt, &squares)
}

pub(super) fn log_sum(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let axes = Axes::read_for_norm(site, &x)?;
    let total = axes.reduce(site, Reduction::Sum, &x)?;
    activation::logarithm_of(site, &total)
}

pub(super) fn log_sum_exp(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let axes = Axes::read_for_norm(site, &x)?;
    site.graph.record_rewriting(site.name);
    axes.fold(site, &x, log_add_exp)
}

/// `ln(eᵃ + eᵇ) = b + softplus(a − b)`, whose slopes are between 0 and 1.
fn log_add_exp(site: &mut Site, a: &Slot, b: &Slot) -> Result<Slot, NodeError> {
    let difference = site.binary(Binary::Sub, a, b)?;
    let rest = site.function(Function::Softplus, &difference)?;
    site.binary(Binary::Add, b, &rest)
}

/// The elements of every row `[groups, size]` combined, in rounds of pairs: `[groups]`.
fn fold_rows(
    site: &mut Site,
    rows: &Slot,
    combine: impl Fn(&mut Site, &Slot, &Slot) -> Result<Slot, NodeError>,
) -> Result<Slot, NodeError> {
    let mut rows = rows.clone();
    loop {
        let shape = site.shape(&rows);
        let (groups, size) = (shape[0], shape[1]);
        if size == 0 {
            return Err(NodeError::invalid("reduces over no elements"));
        }
        if size == 1 {
            return site.reshape(&rows, vec![groups]);
        }
        let half = size / 2;
        let steps = [signed(size), 1];
        let a = site.view(&rows, vec![groups, half], 0, &steps)?;
        let b = site.view(&rows, vec![groups, half], signed(half), &steps)?;
        let pairs = combine(site, &a, &b)?;
        rows = if size % 2 == 0 {
            pairs
        } else {
            let element = |index: &[usize]| match index[1] {
                at if at < half => super::indices::source(0, index[0] * half + at),
                _ => super::indices::source(1, index[0] * size + size - 1),
            };
            site.rearrange(&[pairs, rows], vec![groups, half + 1], element)?
        };
    }
}

/// `x − ln Σ eˣ` along an axis.
pub(super) fn log_softmax(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    site.graph.record_rewriting(site.name);
    on_rows(site, &x, |site, rows| {
        let total = fold_rows(site, rows, log_add_exp)?;
        let shape = site.shape(rows);
        let total = site.reshape(&total, vec![shape[0], 1])?;
        let total = site.broadcast(&total, &shape)?;
        site.binary(Binary::Sub, rows, &total)
    })
}

pub(super) fn sum_of_squares(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let axes = Axes::read_for_norm(site, &x)?;
    let squares = site.binary(Binary::Mul, &x, &x)?;
    axes.reduce(site, Reduction::Sum, &squares)
}

pub(super) fn sum_of_magnitudes(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let axes = Axes::read_for_norm(site, &x)?;
    let magnitudes = site.function(Function::Abs, &x)?;
    axes.reduce(site, Reduction::Sum, &magnitudes)
}

/// Which axes are reduced, and what remains of them.
struct Axes {
    reduced: Vec<usize>,
    shape: Vec<usize>,
    keep: bool,
}

fn reduce(site: &mut Site, reduction: Reduction, since: i64, integer: Option<Combine>) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let axes = Axes::read(site, &x, since)?;
    if let Some(combine) = integer
        && let Some(slot) = integers(site, &x, &axes, combine)?
    {
        return Ok(slot);
    }
    axes.reduce(site, reduction, &x)
}

type Combine = fn(i64, i64) -> Option<i64>;

impl Axes {
    /// `since` is the operator set where the axes became an input.
    fn read(site: &Site, x: &Slot, since: i64) -> Result<Self, NodeError> {
        let shape = site.shape(x);
        let listed = site.ints_by_version("axes", 1, since)?.unwrap_or_default();
        let nothing = site.flag("noop_with_empty_axes", false)?;
        let reduced = if listed.is_empty() && !nothing { (0..shape.len()).collect() } else { axes(&listed, shape.len())? };
        Ok(Self { reduced, shape, keep: site.flag("keepdims", true)? })
    }

    /// Without axes to reduce, definitions disagree on whether the elements are still squared or made positive.
    fn read_for_norm(site: &Site, x: &Slot) -> Result<Self, NodeError> {
        let axes = Self::read(site, x, 18)?;
        if axes.reduced.is_empty() && !axes.shape.is_empty() {
            return Err(NodeError::unsupported("it reduces over no axis"));
        }
        Ok(axes)
    }

    fn is_reduced(&self, axis: usize) -> bool {
        self.reduced.binary_search(&axis).is_ok()
    }

    fn result(&self) -> Vec<usize> {
        let extents = self.shape.iter().enumerate();
        if self.keep {
            return extents.map(|(axis, &extent)| if self.is_reduced(axis) { 1 } else { extent }).collect();
        }
        extents.filter(|(axis, _)| !self.is_reduced(*axis)).map(|(_, &extent)| extent).collect()
    }

    /// The reduced elements combined in pairs.
    fn fold(
        &self,
        site: &mut Site,
        x: &Slot,
        combine: impl Fn(&mut Site, &Slot, &Slot) -> Result<Slot, NodeError>,
    ) -> Result<Slot, NodeError> {
        let kept: Vec<usize> = (0..self.shape.len()).filter(|&axis| !self.is_reduced(axis)).collect();
        let groups = kept.iter().fold(1usize, |count, &axis| count.saturating_mul(self.shape[axis]));
        let size = self.reduced.iter().fold(1usize, |count, &axis| count.saturating_mul(self.shape[axis]));
        let order: Vec<usize> = kept.into_iter().chain(self.reduced.iter().copied()).collect();
        let moved = site.transpose(x, &order)?;
        let rows = site.reshape(&moved, vec![groups, size])?;
        let result = fold_rows(site, &rows, combine)?;
        site.reshape(&result, self.result())
    }

    fn reduce(&self, site: &mut Site, reduction: Reduction, x: &Slot) -> Result<Slot, NodeError> {
        let kept = (0..self.shape.len()).filter(|&axis| !self.is_reduced(axis));
        let order: Vec<usize> = kept.chain(self.reduced.iter().copied()).collect();
        let moved = site.transpose(x, &order)?;
        let result = site.reduce_last(reduction, &moved, self.reduced.len())?;
        site.reshape(&result, self.result())
    }
}

/// The same for constant integers, exactly.
fn integers(site: &mut Site, x: &Slot, axes: &Axes, combine: Combine) -> Result<Option<Slot>, NodeError> {
    let Some((ints, element)) = x.integers() else { return Ok(None) };
    let order: Vec<usize> = (0..axes.shape.len()).filter(|&axis| !axes.is_reduced(axis)).collect();
    let kept: Vec<usize> = order.iter().map(|&axis| axes.shape[axis]).collect();
    let steps = super::indices::strides(&kept);
    let mut totals: Vec<Option<i64>> = vec![None; product(&kept)];
    let mut elements = ints.data().iter();
    let mut sound = true;
    for_each_index(&axes.shape, |index| {
        let place: usize = order.iter().zip(&steps).map(|(&axis, step)| index[axis] * step).sum();
        if let (Some(&value), Some(total)) = (elements.next(), totals.get_mut(place)) {
            let next = total.map_or(Some(value), |total| combine(total, value));
            sound &= next.is_some();
            *total = next;
        }
    });
    let data: Option<Vec<i64>> = totals.into_iter().collect();
    let data =
        data.filter(|_| sound).ok_or_else(|| NodeError::invalid("its integer arithmetic overflows, or has no elements"))?;
    site.integers(element, axes.result(), data).map(Some)
}

/// An operation on rows along one axis, which is moved to the end and back.
fn along(
    site: &mut Site,
    x: &Slot,
    at: usize,
    operate: impl FnOnce(&mut Site, &Slot) -> Result<Slot, NodeError>,
) -> Result<Slot, NodeError> {
    let shape = site.shape(x);
    let rank = shape.len();
    let order: Vec<usize> = (0..rank).filter(|&axis| axis != at).chain([at]).collect();
    let moved = site.transpose(x, &order)?;
    let moved_shape = site.shape(&moved);
    let width = shape[at];
    let groups = product(&shape[..at]).saturating_mul(product(&shape[at + 1..]));
    let rows = site.reshape(&moved, vec![groups, width])?;
    let result = operate(site, &rows)?;
    let result = site.reshape(&result, moved_shape)?;
    let back: Vec<usize> = (0..rank).map(|axis| order.iter().position(|&a| a == axis).unwrap_or(axis)).collect();
    site.transpose(&result, &back)
}

/// The first of a complete sort; only its values.
pub(super) fn top_k(site: &mut Site) -> Result<Vec<Slot>, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    let at = axis(site.int("axis", -1)?, shape.len())?;
    let count = if site.opset < 10 {
        site.optional_int("k")?.ok_or_else(|| NodeError::attribute("k", "is missing"))?
    } else {
        let [count] = site.ints_input(1)?[..] else { return Err(NodeError::invalid("its K is not one number")) };
        count
    };
    let count = extent(count, "K")?;
    if count > shape[at] || count == 0 {
        return Err(NodeError::invalid(format!("it keeps {count} of {} elements", shape[at])));
    }
    if !site.flag("sorted", true)? && shape[at] > 1 {
        return Err(NodeError::unsupported("its values are not sorted, so their order is unspecified"));
    }
    let descending = site.flag("largest", true)?;
    let sorted = along(site, &x, at, |site, rows| {
        let shape = site.shape(rows);
        site.push(Op::Sort { descending }, &[rows], shape)
    })?;
    let steps: Vec<i64> = super::indices::strides(&shape).into_iter().map(signed).collect();
    let mut kept = shape;
    kept[at] = count;
    site.view(&sorted, kept, 0, &steps).map(|values| vec![values])
}

pub(super) fn softmax(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    if let Slot::Step(step) = &x
        && let Step::Masked(masked) = &**step
    {
        let last = if site.opset >= 13 { axis(site.int("axis", -1)?, masked.shape.len())? + 1 } else { 0 };
        return if last == masked.shape.len() { masked::softmax(site, masked) } else { Err(Masked::refusal()) };
    }
    on_rows(site, &x, |site, rows| {
        let shape = site.shape(rows);
        site.push(Op::Softmax, &[rows], shape)
    })
}

/// What a softmax does along its axis: older operator sets take all axes from there on as one.
fn on_rows(
    site: &mut Site,
    x: &Slot,
    operate: impl FnOnce(&mut Site, &Slot) -> Result<Slot, NodeError>,
) -> Result<Slot, NodeError> {
    let shape = site.shape(x);
    if site.opset >= 13 {
        let at = axis(site.int("axis", -1)?, shape.len())?;
        return along(site, x, at, operate);
    }
    let at = site.int("axis", 1)?;
    let at = if at == signed(shape.len()) { shape.len() } else { axis(at, shape.len())? };
    let rows = site.reshape(x, vec![product(&shape[..at]), product(&shape[at..])])?;
    let result = operate(site, &rows)?;
    site.reshape(&result, shape)
}
