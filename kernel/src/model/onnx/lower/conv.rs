//! Convolution and transposed convolution.

use super::super::error::NodeError;
use super::graph::Slot;
use super::indices::{extent, signed};
use super::site::Site;
use super::windows::{Padding, Window};
use crate::model::ir::{Binary, ConvGeometry, Op};

pub(super) fn convolution(site: &mut Site) -> Result<Slot, NodeError> {
    let operands = Operands::read(site)?;
    let windows = site.windows(&operands.shape[2..], Some(&operands.weights[2..]))?.forward(false)?;
    let expected = operands.weights[1].checked_mul(operands.groups);
    if expected != Some(operands.shape[1]) {
        return Err(operands.mismatch());
    }
    let out_channels = operands.weights[0];
    operands.build(site, false, out_channels, &windows)
}

pub(super) fn transposed(site: &mut Site) -> Result<Slot, NodeError> {
    let operands = Operands::read(site)?;
    let geometry = site.windows(&operands.shape[2..], Some(&operands.weights[2..]))?;
    let rank = geometry.windows.len();
    let extra = site.extents("output_padding", rank, 0)?.unwrap_or_else(|| vec![0; rank]);
    let wanted = site.extents("output_shape", rank, 1)?;
    let padding = geometry.padding;
    let settle = |(axis, window)| settle(window, padding, extra[axis], wanted.as_ref().map(|wanted| wanted[axis]));
    let windows = geometry.windows.into_iter().enumerate().map(settle).collect::<Result<Vec<_>, _>>()?;
    if operands.weights[0] != operands.shape[1] {
        return Err(operands.mismatch());
    }
    let out_channels = operands.weights[1].checked_mul(operands.groups).ok_or_else(|| operands.mismatch())?;
    operands.build(site, true, out_channels, &windows)
}

/// Pads and output extent of a transposed convolution along one axis; `extra` lengthens the output at its end.
fn settle(mut window: Window, padding: Padding, extra: usize, wanted: Option<usize>) -> Result<Window, NodeError> {
    if extra >= window.stride.max(window.dilation).max(1) && extra > 0 {
        return Err(NodeError::attribute("output_padding", format!("is {extra}, not below the stride or the dilation")));
    }
    let span = window.stride.saturating_mul(window.input.saturating_sub(1));
    let full = span.saturating_add(window.reach()).saturating_add(extra);
    let wanted = match (wanted, padding) {
        (Some(wanted), _) => wanted,
        (None, Padding::Same { .. }) => window.input.saturating_mul(window.stride),
        (None, _) => {
            let cropped = full.checked_sub(window.pad_begin).and_then(|rest| rest.checked_sub(window.pad_end));
            window.output = cropped.filter(|&output| output > 0).ok_or_else(|| NodeError::invalid("its pads leave no output"))?;
            return Ok(window);
        }
    };
    let total = signed(full) - signed(wanted);
    if total < 0 {
        return Err(NodeError::unsupported(format!("its output of {wanted} is larger than the {full} it can fill")));
    }
    if total % 2 != 0 && padding != (Padding::Same { odd_at_end: true }) {
        let hint = "state `pads` instead of `output_shape` or `auto_pad`";
        let reason = "runtimes disagree on which side an odd padding is cut from";
        return Err(NodeError::unsupported_with_hint(reason, hint));
    }
    window.pad_begin = (full - wanted) / 2;
    window.output = wanted;
    Ok(window)
}

struct Operands {
    x: Slot,
    w: Slot,
    shape: Vec<usize>,
    weights: Vec<usize>,
    groups: usize,
}

impl Operands {
    fn read(site: &Site) -> Result<Self, NodeError> {
        let (x, w) = (site.input(0)?, site.input(1)?);
        let (shape, weights) = (site.shape(&x), site.shape(&w));
        let groups = extent(site.int("group", 1)?, "group")?;
        let operands = Self { x, w, shape, weights, groups };
        if operands.shape.len() < 3 || operands.shape.len() != operands.weights.len() || groups == 0 {
            return Err(operands.mismatch());
        }
        Ok(operands)
    }

    fn mismatch(&self) -> NodeError {
        let Self { shape, weights, groups, .. } = self;
        NodeError::invalid(format!("input of shape {shape:?}, weights of shape {weights:?} and {groups} groups do not fit"))
    }

    fn build(&self, site: &mut Site, transposed: bool, out_channels: usize, windows: &[Window]) -> Result<Slot, NodeError> {
        let geometry = ConvGeometry {
            transposed,
            batch: self.shape[0],
            groups: self.groups,
            in_channels: self.shape[1],
            out_channels,
            axes: windows.iter().map(Window::axis).collect(),
        };
        if !geometry.is_valid() || geometry.weight_shape() != self.weights {
            return Err(self.mismatch());
        }
        let output = geometry.output_shape();
        let result = site.push(Op::Conv(geometry), &[&self.x, &self.w], output.clone())?;
        let Some(bias) = site.optional(2) else { return Ok(result) };
        let bias = site.per_channel(&bias, &output)?;
        site.binary(Binary::Add, &result, &bias)
    }
}

impl Site<'_> {
    /// One value per channel, spread over `[batch, channels, …]`.
    pub fn per_channel(&mut self, values: &Slot, shape: &[usize]) -> Result<Slot, NodeError> {
        let own = self.shape(values);
        if own.len() != 1 || shape.get(1) != own.first() {
            return Err(NodeError::invalid(format!("values of shape {own:?} do not fit the channels of {shape:?}")));
        }
        let channel = |index: &[usize]| super::indices::source(0, index.get(1).copied().unwrap_or(usize::MAX));
        self.rearrange(std::slice::from_ref(values), shape.to_vec(), channel)
    }
}
