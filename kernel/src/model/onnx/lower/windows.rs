//! Sliding windows, as convolutions and poolings share them: kernels, strides, dilations, pads.

use super::super::error::NodeError;
use super::site::Site;
use crate::model::ir::{ConvAxis, MAX_ELEMENTS, element_count};

/// One spatial axis; the pads count elements outside the input.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub input: usize,
    pub output: usize,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub pad_begin: usize,
    pub pad_end: usize,
}

impl Window {
    /// Elements from the first to the last of a window.
    pub fn reach(&self) -> usize {
        self.kernel.saturating_sub(1).saturating_mul(self.dilation).saturating_add(1)
    }

    pub fn axis(&self) -> ConvAxis {
        ConvAxis {
            input: self.input,
            output: self.output,
            kernel: self.kernel,
            stride: self.stride,
            dilation: self.dilation,
            pad_begin: self.pad_begin,
        }
    }
}

/// The attributes of a window, before the output's extents are known.
pub(super) struct Geometry {
    pub windows: Vec<Window>,
    pub padding: Padding,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    Explicit,
    /// As much as makes the output `input/stride` long; the odd element at the end or at the beginning.
    Same {
        odd_at_end: bool,
    },
    None,
}

impl Site<'_> {
    /// Reads `kernel_shape`, `strides`, `dilations`, `pads` and `auto_pad`. `kernel` is what the weights say.
    pub fn windows(&self, spatial: &[usize], kernel: Option<&[usize]>) -> Result<Geometry, NodeError> {
        let rank = spatial.len();
        let given = self.extents("kernel_shape", rank, 1)?;
        let kernel = match (given, kernel) {
            (Some(given), Some(kernel)) if given != kernel => {
                let reason = format!("is {given:?} but the weights have the kernel {kernel:?}");
                return Err(NodeError::attribute("kernel_shape", reason));
            }
            (_, Some(kernel)) => kernel.to_vec(),
            (Some(given), None) => given,
            (None, None) => return Err(NodeError::attribute("kernel_shape", "is missing")),
        };
        let strides = self.extents("strides", rank, 1)?.unwrap_or_else(|| vec![1; rank]);
        let dilations = self.extents("dilations", rank, 1)?.unwrap_or_else(|| vec![1; rank]);
        let pads = self.extents("pads", 2 * rank, 0)?;
        let padding = match self.string("auto_pad", "NOTSET")? {
            "NOTSET" | "" => Padding::Explicit,
            "SAME_UPPER" => Padding::Same { odd_at_end: true },
            "SAME_LOWER" => Padding::Same { odd_at_end: false },
            "VALID" => Padding::None,
            other => return Err(NodeError::attribute("auto_pad", format!("is `{other}`"))),
        };
        if padding != Padding::Explicit && pads.as_ref().is_some_and(|pads| pads.iter().any(|&pad| pad > 0)) {
            return Err(NodeError::attribute("pads", "must not be given together with `auto_pad`"));
        }
        let pads = pads.unwrap_or_else(|| vec![0; 2 * rank]);
        let window = |axis: usize| Window {
            input: spatial[axis],
            output: 0,
            kernel: kernel[axis],
            stride: strides[axis],
            dilation: dilations[axis],
            pad_begin: pads[axis],
            pad_end: pads[axis + rank],
        };
        if kernel.len() != rank {
            return Err(NodeError::invalid(format!("its kernel {kernel:?} does not fit {rank} spatial axes")));
        }
        Ok(Geometry { windows: (0..rank).map(window).collect(), padding })
    }

    /// An attribute of `count` numbers from `least` to the largest extent of a tensor.
    pub fn extents(&self, name: &str, count: usize, least: usize) -> Result<Option<Vec<usize>>, NodeError> {
        let Some(values) = self.optional_ints(name)? else { return Ok(None) };
        let values = values
            .iter()
            .map(|&value| usize::try_from(value).ok().filter(|value| (least..=MAX_ELEMENTS).contains(value)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| {
                NodeError::attribute(name, format!("is {values:?}, but its elements lie in {least}..={MAX_ELEMENTS}"))
            })?;
        if values.len() != count {
            return Err(NodeError::attribute(name, format!("has {} elements instead of {count}", values.len())));
        }
        Ok(Some(values))
    }
}

impl Geometry {
    /// Refuses windows of a pooling that runtimes place differently: some leave dilations out where they pad automatically.
    pub fn check_pooling(&self) -> Result<(), NodeError> {
        let dilated = |window: &Window| window.dilation > 1 && window.kernel > 1;
        if matches!(self.padding, Padding::Same { .. }) && self.windows.iter().any(dilated) {
            let reason = "`auto_pad` stands beside `dilations`, and runtimes disagree on how much such a pooling is padded";
            return Err(NodeError::unsupported_with_hint(reason, "state `pads` instead of `auto_pad`"));
        }
        Ok(())
    }

    /// Settles pads and output extents of a convolution or pooling.
    pub fn forward(self, ceil_mode: bool) -> Result<Vec<Window>, NodeError> {
        let padding = self.padding;
        self.windows.into_iter().map(|window| forward(window, padding, ceil_mode)).collect()
    }
}

fn forward(mut window: Window, padding: Padding, ceil_mode: bool) -> Result<Window, NodeError> {
    if let Padding::Same { odd_at_end } = padding {
        window.output = window.input.div_ceil(window.stride);
        let covered = window.output.saturating_sub(1).saturating_mul(window.stride).saturating_add(window.reach());
        if covered.saturating_add(1) < window.input {
            let reason = "`auto_pad` leaves out more than one element, and runtimes disagree on which";
            return Err(NodeError::unsupported_with_hint(reason, "state `pads` instead of `auto_pad`"));
        }
        let total = covered.saturating_sub(window.input);
        window.pad_begin = if odd_at_end { total / 2 } else { total.div_ceil(2) };
        window.pad_end = total - window.pad_begin;
        return Ok(window);
    }
    let pads = (window.pad_begin, window.pad_end);
    let fits = ConvAxis::output_extent(window.input, window.kernel, window.stride, window.dilation, pads);
    window.output = fits.ok_or_else(|| {
        let (input, reach) = (window.input, window.reach());
        NodeError::invalid(format!("a window of {reach} does not fit {input} elements with pads {pads:?}"))
    })?;
    if ceil_mode {
        let padded = window.input.saturating_add(pads.0).saturating_add(pads.1);
        let rest = padded.saturating_sub(window.reach()) % window.stride;
        if rest > 0 && padding == Padding::None {
            let reason = "`auto_pad` is VALID and `ceil_mode` is set, and runtimes disagree on whether that adds a window";
            return Err(NodeError::unsupported_with_hint(reason, "state `pads` instead of `auto_pad`, or clear `ceil_mode`"));
        }
        // A last window that starts after the input and its front pad is dropped.
        if rest > 0 && window.output.saturating_mul(window.stride) < window.input.saturating_add(pads.0) {
            window.output += 1;
        }
    }
    Ok(window)
}

/// Per output position along one axis: the input elements in its window, and how many of its places lie in the input or its
/// pads.
pub(super) struct Place {
    pub inputs: Vec<usize>,
    pub padded: usize,
}

impl Window {
    pub fn places(&self) -> Vec<Place> {
        let end = self.pad_begin + self.input + self.pad_end;
        let place = |output: usize| {
            let positions = (0..self.kernel).map(|k| output * self.stride + k * self.dilation).filter(|&p| p < end);
            let inputs = |p: usize| p.checked_sub(self.pad_begin).filter(|&p| p < self.input);
            Place { padded: positions.clone().count(), inputs: positions.filter_map(inputs).collect() }
        };
        (0..self.output).map(place).collect()
    }
}

/// Whether the whole pooling is small enough to be written down window by window.
pub(super) fn is_bounded(windows: &[Window], planes: usize) -> bool {
    let extents = windows.iter().flat_map(|window| [window.output, window.kernel]);
    let per_plane = extents.fold(1usize, usize::saturating_mul);
    per_plane <= MAX_PLANE && element_count(&[per_plane, planes]).is_some_and(|count| count <= MAX_ELEMENTS)
}

/// Places of all windows of one plane.
const MAX_PLANE: usize = 1 << 24;
