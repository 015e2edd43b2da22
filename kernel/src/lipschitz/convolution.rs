//! Spectral norms of convolutions from their symbols, without a matrix of the size of the signal.
//!
//! A convolution with zero padding takes some rows and columns of one on a torus that is large enough for nothing to wrap
//! around; a stride `s` makes it a convolution of stride one of the `s` phases of the input, taken as channels; a transposed
//! convolution has the norm of its transpose. On the torus the norm is the largest of the norms of the symbols
//! `Ŵ(θ) = Σ_t W_t e^{iθt}` over the finitely many frequencies (Sedghi, Gupta, Long, ICLR 2019), each a small complex matrix.

use crate::model::ir::{ConvAxis, ConvGeometry};
use crate::sound::round::{add_up, gamma, max_or_nan, mul_up, sqrt_up};
use crate::sound::{Enclosure, spectral_norm_upper};

/// Squarings for a first look at every frequency, and for those that may have the largest norm.
const FIRST: u32 = 2;
const FINAL: u32 = 11;
/// Multiplications that the symbols of one layer may cost.
const WORK_LIMIT: f64 = 2e11;
/// Frequencies of one axis.
const MAX_LENGTH: usize = 1 << 20;

/// An upper bound of the spectral norm of a convolution, by rows and columns where its symbols would cost too much.
#[must_use]
pub fn convolution_norm(geometry: &ConvGeometry, weights: &[Enclosure]) -> f64 {
    let by_sums = by_sums(geometry, weights);
    let by_symbols = by_symbols(geometry, weights);
    // Both are bounds; a NaN is none.
    if by_symbols < by_sums { by_symbols } else { by_sums }
}

/// `√(‖W‖₁‖W‖∞)`.
fn by_sums(geometry: &ConvGeometry, weights: &[Enclosure]) -> f64 {
    let magnitudes: Vec<f64> = weights.iter().map(Enclosure::magnitude).collect();
    let mut columns = vec![0.0; geometry.input_shape().iter().product()];
    let mut largest_row = 0.0;
    geometry.for_each_output(|_, taps| {
        let mut row = 0.0;
        for tap in taps {
            row = add_up(row, magnitudes[tap.weight]);
            columns[tap.input] = add_up(columns[tap.input], magnitudes[tap.weight]);
        }
        largest_row = max_or_nan(largest_row, row);
    });
    sqrt_up(mul_up(largest_row, columns.into_iter().fold(0.0, max_or_nan)))
}

/// Returns the same for a signal without borders, which is no less, in time that does not depend on the signal: a row has all
/// taps of its channel, a column those whose shifts are congruent modulo the stride. Transposing a convolution exchanges the two.
#[must_use]
pub fn by_sums_of_the_kernel(geometry: &ConvGeometry, weights: &[Enclosure]) -> f64 {
    let magnitudes: Vec<f64> = weights.iter().map(Enclosure::magnitude).collect();
    let (outputs, inputs) = of_the_untransposed(geometry);
    let (rows, columns) = (outputs / geometry.groups.max(1), inputs / geometry.groups.max(1));
    // For every kernel position, which of the columns' phases it belongs to.
    let mut phases = vec![0];
    for axis in &geometry.axes {
        let along =
            |phase: &usize| (0..axis.kernel).map(|t| phase * axis.stride + t * axis.dilation % axis.stride).collect::<Vec<_>>();
        phases = phases.iter().flat_map(along).collect();
    }
    let count: usize = geometry.axes.iter().map(|axis| axis.stride).product();
    let (mut largest_row, mut largest_column) = (0.0, 0.0);
    for group in magnitudes.chunks((rows * columns * phases.len()).max(1)) {
        let mut sums = vec![0.0; columns * count];
        for row in group.chunks((columns * phases.len()).max(1)) {
            largest_row = max_or_nan(largest_row, row.iter().fold(0.0, |sum, &weight| add_up(sum, weight)));
            for (position, &weight) in row.iter().enumerate() {
                let sum = &mut sums[position / phases.len() * count + phases[position % phases.len()]];
                *sum = add_up(*sum, weight);
            }
        }
        largest_column = sums.into_iter().fold(largest_column, max_or_nan);
    }
    sqrt_up(mul_up(largest_row, largest_column))
}

/// One axis on its torus.
struct Circle {
    /// Number of frequencies.
    length: usize,
    /// For every kernel position its phase of the input and its shift.
    taps: Vec<(usize, usize)>,
    phases: usize,
    /// `e^{2πik/length}`.
    roots: Vec<Complex>,
}

#[derive(Clone, Copy)]
struct Complex {
    re: Enclosure,
    im: Enclosure,
}

impl Complex {
    fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

impl Circle {
    /// A phase of the input occupies at most so many places, wherever the padding puts it; its image reaches further by the
    /// last tap's shift.
    const fn length_of(axis: &ConvAxis, transposed: bool) -> usize {
        let extent = if transposed { axis.output } else { axis.input };
        let reach = axis.kernel.saturating_sub(1).saturating_mul(axis.dilation) / axis.stride;
        extent.div_ceil(axis.stride).saturating_add(1).saturating_add(reach)
    }

    fn new(axis: &ConvAxis, transposed: bool) -> Self {
        let taps = (0..axis.kernel).map(|t| (t * axis.dilation % axis.stride, t * axis.dilation / axis.stride)).collect();
        let length = Self::length_of(axis, transposed);
        let angle = |k: usize| Enclosure::PI * Enclosure::exact(2.0 * k as f64) / Enclosure::exact(length as f64);
        let roots = (0..length).map(angle).map(|angle| Complex { re: angle.cos(), im: angle.sin() }).collect();
        Self { length, taps, phases: axis.stride, roots }
    }
}

/// The matrices of one group: `rows` channels from `columns` channels in `phases` phases.
struct Symbols<'a> {
    circles: &'a [Circle],
    /// `[rows, columns, kernel…]`.
    weights: &'a [Enclosure],
    rows: usize,
    columns: usize,
    kernel: usize,
    phases: usize,
}

/// Returns the multiplications that the symbols of a convolution take at first; infinity, where they are not tried.
#[must_use]
pub fn convolution_work(geometry: &ConvGeometry) -> f64 {
    if geometry.axes.iter().any(|axis| axis.input == 0 || axis.output == 0) {
        return f64::INFINITY;
    }
    let lengths = || geometry.axes.iter().map(|axis| Circle::length_of(axis, geometry.transposed));
    let frequencies: f64 = lengths().map(|length| length as f64).product();
    let kernel: usize = geometry.axes.iter().map(|axis| axis.kernel).product();
    let Some(phases) = geometry.axes.iter().try_fold(1usize, |phases, axis| phases.checked_mul(axis.stride)) else {
        return f64::INFINITY;
    };
    let (outputs, inputs) = of_the_untransposed(geometry);
    let (rows, columns) = (outputs / geometry.groups, inputs / geometry.groups);
    let (tall, wide) = (2.0 * rows as f64, 2.0 * columns as f64 * phases as f64);
    let small = tall.min(wide);
    let quick = small * small * (small * f64::from(FIRST) + tall.max(wide)) + tall * wide * kernel as f64;
    let largest = lengths().max().unwrap_or(0);
    let work = frequencies * quick * geometry.groups as f64;
    if work > WORK_LIMIT || largest > MAX_LENGTH || rows == 0 || columns == 0 { f64::INFINITY } else { work }
}

fn by_symbols(geometry: &ConvGeometry, weights: &[Enclosure]) -> f64 {
    if !convolution_work(geometry).is_finite() {
        return f64::INFINITY;
    }
    let kernel: usize = geometry.axes.iter().map(|axis| axis.kernel).product();
    let phases: usize = geometry.axes.iter().map(|axis| axis.stride).product();
    let (outputs, inputs) = of_the_untransposed(geometry);
    let (rows, columns) = (outputs / geometry.groups, inputs / geometry.groups);
    let circles: Vec<Circle> = geometry.axes.iter().map(|axis| Circle::new(axis, geometry.transposed)).collect();
    weights
        .chunks(rows * columns * kernel)
        .map(|weights| Symbols { circles: &circles, weights, rows, columns, kernel, phases }.norm())
        .fold(0.0, max_or_nan)
}

/// Channels out and in; of the convolution that a transposed one transposes, the outputs are this one's inputs.
const fn of_the_untransposed(geometry: &ConvGeometry) -> (usize, usize) {
    if geometry.transposed {
        (geometry.in_channels, geometry.out_channels)
    } else {
        (geometry.out_channels, geometry.in_channels)
    }
}

impl Symbols<'_> {
    fn norm(&self) -> f64 {
        let total: usize = self.circles.iter().map(|circle| circle.length).product();
        let error = self.error();
        let bound = |frequency: usize, squarings: u32| {
            let matrix = self.symbol(frequency);
            add_up(spectral_norm_upper(&matrix, 2 * self.rows, 2 * self.columns * self.phases, squarings), error)
        };
        // Opposite frequencies have conjugate symbols.
        let mut frequencies: Vec<(f64, usize)> =
            (0..total).filter(|&f| f <= self.opposite(f)).map(|frequency| (bound(frequency, FIRST), frequency)).collect();
        if frequencies.iter().any(|(bound, _)| bound.is_nan()) {
            return f64::NAN;
        }
        frequencies.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut largest = 0.0;
        for (first, frequency) in frequencies {
            if first <= largest {
                break;
            }
            largest = max_or_nan(largest, bound(frequency, FINAL).min(first));
        }
        largest
    }

    /// The position on every axis of a frequency, last axis first.
    fn positions(&self, mut frequency: usize) -> Vec<usize> {
        let of_axis = |circle: &Circle| {
            let position = frequency % circle.length;
            frequency /= circle.length;
            position
        };
        self.circles.iter().rev().map(of_axis).collect()
    }

    fn opposite(&self, frequency: usize) -> usize {
        let positions = self.positions(frequency);
        let negated =
            self.circles.iter().rev().zip(positions).map(|(circle, position)| (circle.length - position) % circle.length);
        negated.collect::<Vec<_>>().iter().rev().zip(self.circles).fold(0, |index, (p, circle)| index * circle.length + p)
    }

    /// For every kernel position the phase of the input, over all axes, and `e^{iθt}`.
    fn taps(&self, frequency: usize) -> Vec<(usize, Complex)> {
        let positions = self.positions(frequency);
        let one = Complex { re: Enclosure::ONE, im: Enclosure::ZERO };
        let mut taps = vec![(0, one)];
        for (circle, position) in self.circles.iter().zip(positions.iter().rev()) {
            let along = |&(phase, shift): &(usize, usize)| (phase, circle.roots[position * shift % circle.length]);
            taps = taps
                .iter()
                .flat_map(|&(phase, root)| {
                    circle
                        .taps
                        .iter()
                        .map(along)
                        .map(move |(p, r)| (phase * circle.phases + p, root.times(r)))
                        .collect::<Vec<_>>()
                })
                .collect();
        }
        taps
    }

    /// `[[Re, −Im], [Im, Re]]`, row-major: as a real matrix it has the symbol's norm.
    fn symbol(&self, frequency: usize) -> Vec<f64> {
        let width = self.columns * self.phases;
        let taps: Vec<(usize, f64, f64)> =
            self.taps(frequency).into_iter().map(|(phase, root)| (phase, root.re.hi(), root.im.hi())).collect();
        let mut matrix = vec![0.0; 4 * self.rows * width];
        for (index, weights) in self.weights.chunks(self.kernel).enumerate() {
            let (row, column) = (index / self.columns, index % self.columns);
            for (weight, &(phase, re, im)) in weights.iter().zip(&taps) {
                let at = |i: usize, j: usize| i * 2 * width + j;
                let position = column * self.phases + phase;
                let (re, im) = (weight.hi() * re, weight.hi() * im);
                matrix[at(row, position)] += re;
                matrix[at(row, width + position)] -= im;
                matrix[at(self.rows + row, position)] += im;
                matrix[at(self.rows + row, width + position)] += re;
            }
        }
        matrix
    }

    /// What rounding and the weights' own radii can do to a symbol, in the Frobenius norm: every entry is a sum of at most
    /// `kernel` products, each of a weight and a number of modulus one known to within `deviation`.
    fn error(&self) -> f64 {
        let deviation = self.circles.iter().fold(0.0, |sum, circle| {
            let of_root = |root: &Complex| {
                let off = |value: &Enclosure| add_up(value.lo().abs(), value.radius());
                add_up(off(&root.re), off(&root.im))
            };
            add_up(sum, circle.roots.iter().map(of_root).fold(0.0, max_or_nan))
        });
        // Products of roots multiply their errors' excess; the leading parts are off by half a unit each.
        let relative = mul_up(4.0, add_up(deviation, gamma(self.kernel + 4)));
        let squares = self.weights.chunks(self.kernel).fold(0.0, |total, weights| {
            let entry = weights.iter().fold(0.0, |sum, weight| {
                let own = add_up(weight.lo().abs(), weight.radius());
                add_up(sum, add_up(mul_up(relative, weight.magnitude()), mul_up(2.0, own)))
            });
            add_up(total, mul_up(entry, entry))
        });
        add_up(sqrt_up(squares), f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound::testing::Rng;

    fn axis(input: usize, kernel: usize, stride: usize, dilation: usize, pad: usize) -> ConvAxis {
        let output = ConvAxis::output_extent(input, kernel, stride, dilation, (pad, pad)).unwrap();
        ConvAxis { input, output, kernel, stride, dilation, pad_begin: pad }
    }

    /// The norm of the layer as a matrix.
    fn dense(geometry: &ConvGeometry, weights: &[Enclosure]) -> f64 {
        let columns: usize = geometry.input_shape().iter().product();
        let mut rows = Vec::new();
        geometry.for_each_output(|_, taps| {
            let mut row = vec![0.0; columns];
            taps.iter().for_each(|tap| row[tap.input] += weights[tap.weight].hi());
            rows.extend(row);
        });
        spectral_norm_upper(&rows, rows.len() / columns, columns, 14)
    }

    #[test]
    fn symbols_bound_every_geometry_and_closely() {
        let mut random = Rng::new(11);
        let mut worst: f64 = 1.0;
        for (axes, channels, groups, transposed) in [
            (vec![axis(9, 3, 1, 1, 1)], (2, 3), 1, false),
            (vec![axis(12, 3, 2, 1, 1)], (3, 4), 1, false),
            (vec![axis(12, 3, 1, 2, 2)], (2, 2), 1, false),
            (vec![axis(11, 4, 3, 2, 0)], (2, 2), 2, false),
            (vec![axis(6, 3, 1, 1, 1), axis(7, 2, 2, 1, 0)], (2, 3), 1, false),
            (vec![axis(8, 3, 2, 1, 1), axis(8, 3, 2, 1, 1)], (3, 2), 1, false),
            (vec![axis(12, 3, 2, 1, 1)], (3, 4), 1, true),
            (vec![axis(4, 5, 1, 1, 4)], (1, 1), 1, false),
        ] {
            let swap = |axis: &ConvAxis| ConvAxis { input: axis.output, output: axis.input, ..axis.clone() };
            let axes = if transposed { axes.iter().map(swap).collect() } else { axes };
            let (in_channels, out_channels) = channels;
            let geometry = ConvGeometry { transposed, batch: 1, groups, in_channels, out_channels, axes };
            assert!(geometry.is_valid());
            let count = geometry.weight_shape().iter().product();
            let weights: Vec<Enclosure> = (0..count).map(|_| Enclosure::exact(random.uniform())).collect();
            let (bound, norm) = (by_symbols(&geometry, &weights), dense(&geometry, &weights));
            assert!(bound >= norm * (1.0 - 1e-4), "{geometry:?}: {bound} {norm}");
            let (sums, of_kernel) = (by_sums(&geometry, &weights), by_sums_of_the_kernel(&geometry, &weights));
            assert!(of_kernel >= sums * (1.0 - 1e-12) && of_kernel <= 2.0 * sums, "{geometry:?}: {of_kernel} {sums}");
            worst = worst.max(bound / norm);
        }
        assert!(worst < 1.25, "{worst}");
    }

    #[test]
    fn one_tap_has_the_norm_of_its_weight() {
        let geometry = ConvGeometry {
            transposed: false,
            batch: 1,
            groups: 1,
            in_channels: 1,
            out_channels: 1,
            axes: vec![axis(5, 1, 1, 1, 0)],
        };
        let bound = by_symbols(&geometry, &[Enclosure::exact(-3.0)]);
        assert!((3.0..3.001).contains(&bound), "{bound}");
    }
}
