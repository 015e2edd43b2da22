//! Arithmetic on shapes and indices. Nothing here knows about operators.

use super::super::error::NodeError;
use crate::model::ir::Source;

/// Calls `visit` with every index of a tensor of that shape, in row-major order.
pub(super) fn for_each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    loop {
        visit(&index);
        let mut axis = shape.len();
        loop {
            let Some(previous) = axis.checked_sub(1) else { return };
            axis = previous;
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// Row-major strides; saturating, because a shape with a zero may hide extents whose product overflows.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// The product of some extents; saturating.
pub(super) fn product(extents: &[usize]) -> usize {
    extents.iter().fold(1, |product: usize, &extent| product.saturating_mul(extent))
}

/// The flat index of `index` under `strides`.
pub(super) fn flat(index: &[usize], strides: &[usize]) -> usize {
    // Wrong strides give a wrong index, which the network refuses.
    index.iter().zip(strides).fold(0usize, |sum, (i, stride)| sum.wrapping_add(i.wrapping_mul(*stride)))
}

/// An index that does not fit is out of range for every tensor, so the network refuses it.
pub(super) fn source(operand: usize, element: usize) -> Source {
    let narrow = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    Source { operand: narrow(operand), element: narrow(element) }
}

/// An axis of a tensor of rank `rank`; negative axes count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, NodeError> {
    let signed_rank = i64::try_from(rank).unwrap_or(i64::MAX);
    let positive = if axis < 0 { axis.saturating_add(signed_rank) } else { axis };
    usize::try_from(positive)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| NodeError::invalid(format!("axis {axis} is out of range for a tensor of rank {rank}")))
}

/// Distinct axes, in ascending order.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, NodeError> {
    let mut axes = list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(NodeError::invalid(format!("axes {list:?} name an axis twice")));
    }
    Ok(axes)
}

/// The shape that both shapes broadcast to, by the rules of `NumPy`.
pub(super) fn broadcast_shapes(a: &[usize], b: &[usize]) -> Result<Vec<usize>, NodeError> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(NodeError::invalid(format!("shapes {a:?} and {b:?} do not broadcast"))),
        })
        .collect()
}

/// `usize` from an attribute or a shape entry.
pub(super) fn extent(value: i64, what: &str) -> Result<usize, NodeError> {
    usize::try_from(value).map_err(|_| NodeError::invalid(format!("{what} is {value}, which is negative")))
}

/// A length as a signed number; saturating.
pub(super) fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_broadcast_from_the_right() {
        assert_eq!(broadcast_shapes(&[3, 1], &[2, 1, 4]).unwrap(), [2, 3, 4]);
        assert_eq!(broadcast_shapes(&[], &[2]).unwrap(), [2]);
        assert!(broadcast_shapes(&[3], &[2]).is_err());
    }

    #[test]
    fn axes_count_from_the_end_and_are_distinct() {
        assert_eq!(axes(&[-1, 0], 3).unwrap(), [0, 2]);
        assert!(axes(&[2, -1], 3).is_err() && axes(&[i64::MIN], 3).is_err() && axis(0, 0).is_err());
    }

    #[test]
    fn every_index_is_visited_in_order() {
        let mut seen = Vec::new();
        for_each_index(&[2, 2], |index| seen.push(flat(index, &strides(&[2, 2]))));
        assert_eq!(seen, [0, 1, 2, 3]);
        let mut scalars = 0;
        for_each_index(&[], |_| scalars += 1);
        for_each_index(&[0, usize::MAX], |_| scalars += 1);
        assert_eq!(scalars, 1);
    }
}
