//! The loops of a backward pass: what every row's constant and loss gain at a node.

use super::lanes::{Pair, dot_magnitudes, multiply_selected, substitute, sum_selected};
use super::matrix::Kernel;
use crate::sound::Interval;

/// Running sums of one row.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum {
    /// The constant, to nearest.
    pub base: f64,
    /// What it and the replaced nodes may be off by, to nearest.
    pub loss: f64,
}

impl Sum {
    /// The least of `coefficient·x` for `x` in an interval.
    pub fn add_least(&mut self, coefficient: f64, x: Interval) {
        self.base += coefficient * if coefficient >= 0.0 { x.lower } else { x.upper };
    }

    /// Adds a row's products with the first numbers where its entries are not negative, with the second elsewhere.
    #[inline(always)]
    pub fn add_selected(&mut self, row: &[f64], at_positive: &[f64], at_negative: &[f64]) {
        self.base += sum_selected(row, at_positive, at_negative);
    }
}

/// Adds what the deviations of a node cost.
pub(super) struct Losses<'a> {
    pub sums: &'a mut [Sum],
    pub lambda: &'a [f64],
    pub deviation: &'a [f64],
}

impl Kernel for Losses<'_> {
    #[inline(always)]
    fn run(self) {
        for (sum, row) in self.sums.iter_mut().zip(self.lambda.chunks_exact(self.deviation.len().max(1))) {
            sum.loss += dot_magnitudes(row, self.deviation);
        }
    }
}

/// Adds products with the first numbers where entries are not negative, with the second elsewhere.
pub(super) struct Selected<'a> {
    pub sums: &'a mut [Sum],
    pub lambda: &'a [f64],
    pub at: Pair<'a>,
}

impl Kernel for Selected<'_> {
    #[inline(always)]
    fn run(self) {
        for (sum, row) in self.sums.iter_mut().zip(self.lambda.chunks_exact(self.at.0.len().max(1))) {
            sum.add_selected(row, self.at.0, self.at.1);
        }
    }
}

/// Multiplies by slopes.
pub(super) struct Multiplied<'a> {
    pub lambda: &'a mut [f64],
    pub by: Pair<'a>,
}

impl Kernel for Multiplied<'_> {
    #[inline(always)]
    fn run(self) {
        for row in self.lambda.chunks_exact_mut(self.by.0.len().max(1)) {
            multiply_selected(row, self.by.0, self.by.1);
        }
    }
}

/// Adds what offsets and deviations give, and multiplies one row by its slopes.
pub(super) struct Substituted<'a> {
    pub sum: &'a mut Sum,
    pub row: &'a mut [f64],
    pub deviation: &'a [f64],
    pub offsets: Pair<'a>,
    pub slopes: Pair<'a>,
}

impl Kernel for Substituted<'_> {
    #[inline(always)]
    fn run(self) {
        let (base, loss) = substitute(self.row, self.deviation, self.offsets, self.slopes);
        self.sum.base += base;
        self.sum.loss += loss;
    }
}
