//! The index arithmetic of convolution and transposed convolution: which input meets which weight in which output.
//! Nothing here multiplies anything; evaluation, bounds and the exact form all walk the same taps.

use super::tensor::element_count;

/// One spatial axis of a convolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvAxis {
    pub input: usize,
    pub output: usize,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    /// Zeros added before the first element (for a transposed convolution: outputs cropped there).
    pub pad_begin: usize,
}

/// Shapes of a (transposed) convolution over any number of spatial axes.
///
/// Input `[batch, in_channels, axes.input…]`, output `[batch, out_channels, axes.output…]`; weights
/// `[out_channels, in_channels/groups, kernel…]`, or `[in_channels, out_channels/groups, kernel…]` when transposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    pub transposed: bool,
    pub batch: usize,
    pub groups: usize,
    pub in_channels: usize,
    pub out_channels: usize,
    pub axes: Vec<ConvAxis>,
}

/// One term of an output element: `output += weight · input`, as flat indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    pub input: usize,
    pub weight: usize,
}

impl ConvGeometry {
    #[must_use]
    pub fn input_shape(&self) -> Vec<usize> {
        let spatial = self.axes.iter().map(|axis| axis.input);
        [self.batch, self.in_channels].into_iter().chain(spatial).collect()
    }

    #[must_use]
    pub fn output_shape(&self) -> Vec<usize> {
        let spatial = self.axes.iter().map(|axis| axis.output);
        [self.batch, self.out_channels].into_iter().chain(spatial).collect()
    }

    #[must_use]
    pub fn weight_shape(&self) -> Vec<usize> {
        let channels = if self.transposed {
            [self.in_channels, self.out_channels.checked_div(self.groups).unwrap_or(0)]
        } else {
            [self.out_channels, self.in_channels.checked_div(self.groups).unwrap_or(0)]
        };
        let kernel = self.axes.iter().map(|axis| axis.kernel);
        channels.into_iter().chain(kernel).collect()
    }

    /// Positive extents, strides and dilations, channels divisible by the groups, and no overflow anywhere.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let axes_valid = self.axes.iter().all(|a| a.kernel > 0 && a.stride > 0 && a.dilation > 0);
        self.groups > 0
            && self.in_channels.is_multiple_of(self.groups)
            && self.out_channels.is_multiple_of(self.groups)
            && axes_valid
            && [self.input_shape(), self.output_shape(), self.weight_shape()]
                .iter()
                .all(|shape| element_count(shape).is_some_and(|n| u32::try_from(n).is_ok()))
    }

    /// Calls `visit(output, taps)` once for every output element, in order.
    pub fn for_each_output(&self, mut visit: impl FnMut(usize, &[Tap])) {
        let spatial = self.spatial_taps();
        let input_size: usize = self.axes.iter().map(|a| a.input).product();
        let kernel_size: usize = self.axes.iter().map(|a| a.kernel).product();
        let in_per_group = self.in_channels / self.groups;
        let out_per_group = self.out_channels / self.groups;
        let mut taps = Vec::new();
        let mut output = 0;
        for batch in 0..self.batch {
            for out_channel in 0..self.out_channels {
                let group = out_channel / out_per_group;
                for position in &spatial {
                    taps.clear();
                    for local in 0..in_per_group {
                        let in_channel = group * in_per_group + local;
                        let weight_plane = if self.transposed {
                            in_channel * out_per_group + out_channel % out_per_group
                        } else {
                            out_channel * in_per_group + local
                        };
                        let input_plane = batch * self.in_channels + in_channel;
                        taps.extend(position.iter().map(|&(input, kernel)| Tap {
                            input: input_plane * input_size + input,
                            weight: weight_plane * kernel_size + kernel,
                        }));
                    }
                    visit(output, &taps);
                    output += 1;
                }
            }
        }
    }

    /// For every spatial output position the pairs (input position, kernel position) that meet there.
    #[must_use]
    pub fn spatial_taps(&self) -> Vec<Vec<(usize, usize)>> {
        let mut positions = vec![vec![(0, 0)]];
        for axis in &self.axes {
            let along = if self.transposed { axis.transposed_taps() } else { axis.taps() };
            positions = positions
                .iter()
                .flat_map(|outer| along.iter().map(move |inner| (outer, inner)))
                .map(|(outer, inner)| {
                    outer
                        .iter()
                        .flat_map(|&(i, k)| {
                            inner.iter().map(move |&(input, kernel)| (i * axis.input + input, k * axis.kernel + kernel))
                        })
                        .collect()
                })
                .collect();
        }
        positions
    }
}

impl ConvAxis {
    /// Output extent of a convolution over `input` with `pad_end` zeros after it; `None` where the kernel does not fit.
    #[must_use]
    pub fn output_extent(input: usize, kernel: usize, stride: usize, dilation: usize, pads: (usize, usize)) -> Option<usize> {
        let reach = dilation.checked_mul(kernel.checked_sub(1)?)?.checked_add(1)?;
        let padded = input.checked_add(pads.0)?.checked_add(pads.1)?;
        Some(padded.checked_sub(reach)?.checked_div(stride)? + 1)
    }

    /// Per output position the (input, kernel) positions of a convolution: `input = output·stride + kernel·dilation − pad`.
    fn taps(&self) -> Vec<Vec<(usize, usize)>> {
        let at = |output: usize| {
            (0..self.kernel)
                .filter_map(|kernel| {
                    let input = (output * self.stride + kernel * self.dilation).checked_sub(self.pad_begin)?;
                    (input < self.input).then_some((input, kernel))
                })
                .collect()
        };
        (0..self.output).map(at).collect()
    }

    /// The same for a transposed convolution: `output = input·stride + kernel·dilation − pad`.
    fn transposed_taps(&self) -> Vec<Vec<(usize, usize)>> {
        let at = |output: usize| {
            (0..self.kernel)
                .filter_map(|kernel| {
                    let scaled = (output + self.pad_begin).checked_sub(kernel * self.dilation)?;
                    let input = scaled / self.stride;
                    (scaled.is_multiple_of(self.stride) && input < self.input).then_some((input, kernel))
                })
                .collect()
        };
        (0..self.output).map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_axis(transposed: bool, axis: ConvAxis) -> ConvGeometry {
        ConvGeometry { transposed, batch: 1, groups: 1, in_channels: 1, out_channels: 1, axes: vec![axis] }
    }

    fn pairs(geometry: &ConvGeometry) -> Vec<(usize, usize, usize)> {
        let mut all = Vec::new();
        geometry.for_each_output(|output, taps| all.extend(taps.iter().map(|t| (t.input, t.weight, output))));
        all.sort_unstable();
        all
    }

    #[test]
    fn padding_drops_taps_outside_the_input() {
        let axis = ConvAxis { input: 3, output: 3, kernel: 3, stride: 1, dilation: 1, pad_begin: 1 };
        let expected = vec![(0, 0, 1), (0, 1, 0), (1, 0, 2), (1, 1, 1), (1, 2, 0), (2, 1, 2), (2, 2, 1)];
        assert_eq!(pairs(&one_axis(false, axis)), expected);
    }

    #[test]
    fn transposed_taps_are_the_taps_of_the_convolution_read_backwards() {
        let forward = ConvAxis { input: 9, output: 4, kernel: 3, stride: 2, dilation: 1, pad_begin: 0 };
        let backward = ConvAxis { input: 4, output: 9, ..forward.clone() };
        let mut swapped: Vec<_> =
            pairs(&one_axis(false, forward)).into_iter().map(|(input, weight, output)| (output, weight, input)).collect();
        swapped.sort_unstable();
        assert_eq!(pairs(&one_axis(true, backward)), swapped);
    }
}
