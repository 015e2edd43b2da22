//! Changes of shape and order: every element moves, none changes.

use super::super::error::NodeError;
use super::graph::Slot;
use super::indices::{axes, axis, broadcast_shapes, extent, product, signed, source};
use super::site::Site;

pub(super) fn identity(site: &mut Site) -> Result<Slot, NodeError> {
    site.input(0)
}

/// At inference a dropout is the identity.
pub(super) fn dropout(site: &mut Site) -> Result<Slot, NodeError> {
    let training = match site.optional(2) {
        None => false,
        Some(slot) => slot.discrete().and_then(super::super::value::Value::as_bools) != Some(&[false]),
    };
    if training {
        return Err(NodeError::unsupported("it is, or may be, in training mode: its output is random"));
    }
    site.input(0)
}

pub(super) fn reshape(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let from = site.shape(&x);
    let wanted = site.ints_input(1)?;
    let allow_zero = site.flag("allowzero", false)?;
    let mut inferred = None;
    let mut shape = Vec::with_capacity(wanted.len());
    for (position, &entry) in wanted.iter().enumerate() {
        let copied = || {
            let missing = || NodeError::invalid(format!("{wanted:?} copies axis {position}, which {from:?} does not have"));
            from.get(position).copied().ok_or_else(missing)
        };
        shape.push(match entry {
            0 if !allow_zero => copied()?,
            -1 if inferred.replace(position).is_none() => 1,
            -1 => return Err(NodeError::invalid(format!("{wanted:?} leaves two extents open"))),
            entry => extent(entry, "an extent")?,
        });
    }
    if let Some(position) = inferred {
        let (whole, known) = (product(&from), product(&shape));
        let rest = whole.checked_div(known).filter(|rest| rest * known == whole);
        shape[position] =
            rest.ok_or_else(|| NodeError::invalid(format!("a tensor of shape {from:?} cannot take the shape {wanted:?}")))?;
    }
    site.reshape(&x, shape)
}

pub(super) fn flatten(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    let at = site.int("axis", 1)?;
    // The axis may be one past the last.
    let at = if at == signed(shape.len()) { shape.len() } else { axis(at, shape.len())? };
    site.reshape(&x, vec![product(&shape[..at]), product(&shape[at..])])
}

pub(super) fn transpose(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let rank = site.shape(&x).len();
    let permutation = match site.optional_ints("perm")? {
        None => (0..rank).rev().collect(),
        Some(listed) => {
            axes(listed, rank)?;
            if listed.len() != rank {
                return Err(NodeError::attribute("perm", format!("has {} axes instead of {rank}", listed.len())));
            }
            listed.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?
        }
    };
    site.transpose(&x, &permutation)
}

pub(super) fn squeeze(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    let removed = match site.ints_by_version("axes", 1, 13)? {
        None => (0..shape.len()).filter(|&a| shape[a] == 1).collect(),
        Some(listed) => axes(&listed, shape.len())?,
    };
    if let Some(wide) = removed.iter().find(|&&a| shape[a] != 1) {
        return Err(NodeError::invalid(format!("axis {wide} of {shape:?} cannot be removed: its extent is not 1")));
    }
    let kept = (0..shape.len()).filter(|a| removed.binary_search(a).is_err()).map(|a| shape[a]).collect();
    site.reshape(&x, kept)
}

pub(super) fn unsqueeze(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let mut old = site.shape(&x).into_iter();
    let listed = site.ints_by_version("axes", 1, 13)?.ok_or_else(|| NodeError::attribute("axes", "is missing"))?;
    let rank = old.len() + listed.len();
    let added = axes(&listed, rank)?;
    let extents = (0..rank).map(|a| if added.binary_search(&a).is_ok() { 1 } else { old.next().unwrap_or(1) });
    let shape = extents.collect();
    site.reshape(&x, shape)
}

pub(super) fn expand(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let wanted = site.ints_input(1)?;
    let wanted = wanted.iter().map(|&e| extent(e, "an extent")).collect::<Result<Vec<_>, _>>()?;
    let shape = broadcast_shapes(&site.shape(&x), &wanted)?;
    site.broadcast(&x, &shape)
}

pub(super) fn tile(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let from = site.shape(&x);
    let repeats = site.ints_input(1)?;
    if repeats.len() != from.len() {
        return Err(NodeError::invalid(format!("{} repeats for {} axes", repeats.len(), from.len())));
    }
    let times = repeats.iter().map(|&r| extent(r, "a repeat")).collect::<Result<Vec<_>, _>>()?;
    let shape = from.iter().zip(&times).map(|(extent, times)| extent.saturating_mul(*times)).collect();
    let steps = super::indices::strides(&from);
    site.rearrange(&[x], shape, |index| {
        let wrapped: Vec<usize> = index.iter().zip(&from).map(|(i, extent)| i % extent).collect();
        source(0, super::indices::flat(&wrapped, &steps))
    })
}

pub(super) fn depth_to_space(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, [batch, channels, height, width], block) = blocks(site)?;
    let depth = channels.checked_div(block * block).filter(|depth| depth * block * block == channels);
    let depth = depth.ok_or_else(|| NodeError::invalid(format!("{channels} channels do not fill blocks of {block}")))?;
    let (split, order) = match site.string("mode", "DCR")? {
        "DCR" => (vec![batch, block, block, depth, height, width], [0, 3, 4, 1, 5, 2]),
        "CRD" => (vec![batch, depth, block, block, height, width], [0, 1, 4, 2, 5, 3]),
        other => return Err(NodeError::attribute("mode", format!("is `{other}`"))),
    };
    let split = site.reshape(&x, split)?;
    let moved = site.transpose(&split, &order)?;
    site.reshape(&moved, vec![batch, depth, height.saturating_mul(block), width.saturating_mul(block)])
}

pub(super) fn space_to_depth(site: &mut Site) -> Result<Slot, NodeError> {
    let (x, [batch, channels, height, width], block) = blocks(site)?;
    if height % block != 0 || width % block != 0 {
        return Err(NodeError::invalid(format!("an image of {height}×{width} does not split into blocks of {block}")));
    }
    let (rows, columns) = (height / block, width / block);
    let split = site.reshape(&x, vec![batch, channels, rows, block, columns, block])?;
    let moved = site.transpose(&split, &[0, 3, 5, 1, 2, 4])?;
    site.reshape(&moved, vec![batch, channels * block * block, rows, columns])
}

fn blocks(site: &Site) -> Result<(Slot, [usize; 4], usize), NodeError> {
    let x = site.input(0)?;
    let shape = <[usize; 4]>::try_from(site.shape(&x)).map_err(|_| NodeError::invalid("its input does not have four axes"))?;
    let block = extent(site.int("blocksize", 0)?, "blocksize")?;
    if block == 0 || block > 1 << 12 {
        return Err(NodeError::attribute("blocksize", format!("is {block}")));
    }
    Ok((x, shape, block))
}
