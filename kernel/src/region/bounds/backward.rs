//! Backward substitution: lower bounds of linear functions of a node over the region (CROWN / DeepPoly), in `f64` with all
//! rounding accounted for.
//!
//! A row `λ` over the elements of a node is a linear function of the network's inner values. From the node back to the input
//! every node is replaced by a linear function of its operands that is nowhere above it (where `λ_j ≥ 0`) or nowhere below
//! (where `λ_j < 0`); what remains is linear in the input and is minimised there. All that floating point may lose, in
//! coefficients and in constants, is in the deviations of [`super::relaxation`] and subtracted at the end; underflows cost the
//! smallest positive number for every operation.
//!
//! Where phases are fixed, `±z ≥ 0` for the operands `z` of those ReLUs. For any multipliers `β ≥ 0` a bound of
//! `λ·x − Σ β·(±z)` is one of `λ·x` (Wang et al., *Beta-CROWN*, 2021).

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::analysis::Analysis;
use super::matrix::Vectorise;
use super::relaxation::{Elementwise, Groups, Relaxation, Relaxed};
use super::sums::{Losses, Multiplied, Selected, Substituted, Sum};
use crate::model::ir::{NodeBounds, NodeId, Op};
use crate::sound::round::{SMALLEST_SUBNORMAL, add_down, add_up, gamma, mul_up, sqrt_up, sum_up};

/// Where the lower lines of flexible elements (unstable ReLUs) lie: 0 is the least slope, 1 the slope 1. Hints are clamped
/// and any value is sound. Per node `[elements]` for all rows, or `[rows, elements]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slopes {
    by_node: BTreeMap<usize, Vec<f64>>,
}

impl Slopes {
    /// Positions for the elements of a node.
    pub fn set(&mut self, node: NodeId, positions: Vec<f64>) {
        self.by_node.insert(node.index(), positions);
    }

    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&[f64]> {
        self.by_node.get(&node.index()).map(Vec::as_slice)
    }

    /// All positions that are set.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[f64])> {
        self.by_node.iter().map(|(&node, positions)| (node, positions.as_slice()))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_node.is_empty()
    }

    /// The positions for some of `all` rows; what is shared by all rows is not for these.
    #[must_use]
    pub fn select(&self, rows: &[usize], all: usize) -> Self {
        let chosen = |positions: &Vec<f64>| {
            let size = positions.len().checked_div(all).unwrap_or(0);
            let parts = rows.iter().map(|&row| positions.get(row * size..(row + 1) * size).unwrap_or_default());
            parts.collect::<Vec<_>>().concat()
        };
        Self { by_node: self.by_node.iter().map(|(&node, positions)| (node, chosen(positions))).collect() }
    }

    /// The positions for one of `rows` rows over a node of `size` elements; `None` where the hint does not fit.
    fn row(&self, node: usize, row: usize, rows: usize, size: usize) -> Option<&[f64]> {
        let positions = self.by_node.get(&node)?;
        match positions.len() {
            n if n == size => Some(positions),
            n if n == rows * size => positions.get(row * size..(row + 1) * size),
            _ => None,
        }
    }
}

/// What a pass came by: the coefficients of every node, `[rows, elements]`. For those who look for better slopes.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub coefficients: BTreeMap<usize, Vec<f64>>,
}

/// Matrices that are no longer needed, for the next ones.
#[derive(Default)]
pub(super) struct Scratch {
    free: RefCell<Vec<Vec<f64>>>,
}

impl Scratch {
    pub fn zeros(&self, len: usize) -> Vec<f64> {
        let mut matrix = self.free.borrow_mut().pop().unwrap_or_default();
        matrix.clear();
        matrix.resize(len, 0.0);
        matrix
    }

    fn copy(&self, other: &[f64]) -> Vec<f64> {
        let mut matrix = self.free.borrow_mut().pop().unwrap_or_default();
        matrix.clear();
        matrix.extend_from_slice(other);
        matrix
    }

    fn give_back(&self, matrix: Vec<f64>) {
        self.free.borrow_mut().push(matrix);
    }

    /// Adds a contribution to the coefficients of a node.
    fn add_to(&self, pending: &mut [Option<Vec<f64>>], operand: NodeId, contribution: Vec<f64>) {
        match &mut pending[operand.index()] {
            Some(sum) => {
                sum.iter_mut().zip(&contribution).for_each(|(sum, c)| *sum += c);
                self.give_back(contribution);
            }
            empty => *empty = Some(contribution),
        }
    }
}

/// One backward pass for rows over one node.
pub(super) struct Backward<'a, 'n, M> {
    pub analysis: &'a Analysis<'a, 'n>,
    pub vectors: &'a M,
    /// The slopes, the first row of them that is used, and how many rows they are for.
    pub slopes: Option<(&'a Slopes, usize, usize)>,
    /// `[rows, phases]`, or nothing.
    pub multipliers: &'a [f64],
    pub scratch: &'a Scratch,
}

impl<M: Vectorise> Backward<'_, '_, M> {
    /// Lower bounds of `λ·x` for every row of `λ` (`[rows, elements of start]`); minus infinity where there is none.
    pub fn lower(&self, start: NodeId, rows: usize, lambda: Vec<f64>, mut trace: Option<&mut Trace>) -> Vec<f64> {
        let network = self.analysis.network();
        let mut pending: Vec<Option<Vec<f64>>> = vec![None; start.index() + 1];
        pending[start.index()] = Some(lambda);
        let mut sums = vec![Sum::default(); rows];
        let mut underflow = 0.0;
        let constraints = self.constraints(rows);
        for id in network.ids().take(start.index() + 1).collect::<Vec<_>>().into_iter().rev() {
            if self.vectors.interrupted() {
                return vec![f64::NEG_INFINITY; rows];
            }
            for &(_, element, sign, column) in constraints.iter().filter(|(operand, ..)| *operand == id) {
                let lambda = pending[id.index()].get_or_insert_with(|| self.scratch.zeros(rows * network.node(id).size()));
                self.subtract(id, element, sign, column, lambda, &mut sums);
            }
            let Some(lambda) = pending[id.index()].take() else { continue };
            let Some(relaxed) = self.analysis.relaxed(id) else { return vec![f64::NEG_INFINITY; rows] };
            let size = network.node(id).size();
            if size == 0 {
                continue;
            }
            if let Some(trace) = trace.as_deref_mut() {
                trace.coefficients.insert(id.index(), lambda.clone());
            }
            // What is elementwise counts its deviations while it multiplies.
            if !relaxed.deviation.is_empty() && !matches!(relaxed.relaxation, Relaxation::Elementwise(_)) {
                self.vectors.run(Losses { sums: &mut sums, lambda: &lambda, deviation: &relaxed.deviation });
            }
            underflow = add_up(underflow, self.analysis.underflow(id));
            self.replace(id, rows, lambda, relaxed, &mut sums, &mut pending);
        }
        let inflation = add_up(1.0, self.analysis.additions());
        let settled = |sum: &Sum| {
            let bound = add_down(sum.base, -add_up(mul_up(sum.loss, inflation), underflow));
            if bound.is_finite() { bound } else { f64::NEG_INFINITY }
        };
        sums.iter().map(settled).collect()
    }

    /// The fixed phases, each with its column of multipliers, if there are multipliers for them.
    fn constraints(&self, rows: usize) -> Vec<(NodeId, usize, f64, usize)> {
        let phases = self.analysis.phases().len();
        if self.multipliers.is_empty() || self.multipliers.len() != rows * phases {
            return Vec::new();
        }
        let with_column = |(column, constraint): (usize, Option<(NodeId, usize, f64)>)| {
            constraint.map(|(operand, element, sign)| (operand, element, sign, column))
        };
        self.analysis.constraints().enumerate().filter_map(with_column).collect()
    }

    /// Takes multiples of what is not negative, `sign` times an element, from the rows.
    fn subtract(&self, id: NodeId, element: usize, sign: f64, column: usize, lambda: &mut [f64], sums: &mut [Sum]) {
        let (size, phases) = (self.analysis.network().node(id).size(), self.analysis.phases().len());
        let magnitude = self.analysis.node(id).at(element).magnitude();
        for (row, sum) in sums.iter_mut().enumerate() {
            let multiplier = self.multipliers[row * phases + column];
            if multiplier > 0.0 && multiplier.is_finite() {
                let coefficient = &mut lambda[row * size + element];
                *coefficient -= sign * multiplier;
                // One rounding, to nearest.
                sum.loss = add_up(sum.loss, mul_up(mul_up(coefficient.abs(), f64::EPSILON), magnitude));
            }
        }
    }

    /// Replaces a node by its operands.
    fn replace(
        &self,
        id: NodeId,
        rows: usize,
        lambda: Vec<f64>,
        relaxed: &Relaxed,
        sums: &mut [Sum],
        pending: &mut [Option<Vec<f64>>],
    ) {
        let network = self.analysis.network();
        let node = network.node(id);
        let size = node.size();
        match &relaxed.relaxation {
            Relaxation::Input => self.minimise(&lambda, sums),
            Relaxation::Same => return self.scratch.add_to(pending, node.operands[0], lambda),
            Relaxation::Constant => self.add_selected(self.analysis.node(id), &lambda, sums),
            Relaxation::Moved => self.move_back(id, rows, &lambda, sums, pending),
            Relaxation::Sum { second } => return self.sum(id, *second, lambda, sums, pending),
            Relaxation::Elementwise(lines) => return self.elementwise(id, lines, &relaxed.deviation, lambda, sums, pending),
            Relaxation::Product => {
                let Some((adjoint, linear, operand)) = self.analysis.adjoint(id) else {
                    return sums.iter_mut().for_each(|sum| sum.base = f64::NAN);
                };
                let mut out = self.scratch.zeros(rows * network.node(operand).size());
                adjoint.add(linear, self.vectors, rows, &lambda, &mut out);
                self.scratch.add_to(pending, operand, out);
            }
            Relaxation::Bilinear => self.bilinear(id, rows, &lambda, sums, pending),
            Relaxation::Groups(groups) => {
                let mut out = self.scratch.zeros(rows * network.node(node.operands[0]).size());
                let operand = out.len() / rows.max(1);
                for ((sum, row), out) in sums.iter_mut().zip(lambda.chunks_exact(size)).zip(out.chunks_exact_mut(operand)) {
                    group_rows(groups, sum, row, out);
                }
                self.scratch.add_to(pending, node.operands[0], out);
            }
        }
        self.scratch.give_back(lambda);
    }

    /// Adds the least values of the rows where the elements are in their own bounds.
    fn add_selected(&self, bounds: &NodeBounds, lambda: &[f64], sums: &mut [Sum]) {
        self.vectors.run(Selected { sums, lambda, at: (bounds.lower(), bounds.upper()) });
    }

    /// `x + second·y` with `second` 1 or −1.
    fn sum(&self, id: NodeId, second: f64, mut lambda: Vec<f64>, sums: &mut [Sum], pending: &mut [Option<Vec<f64>>]) {
        let network = self.analysis.network();
        let [x, y] = [network.node(id).operands[0], network.node(id).operands[1]];
        let negate = |lambda: &mut [f64]| lambda.iter_mut().for_each(|l| *l = -*l);
        if !network.node(x).variable {
            self.add_selected(self.analysis.node(x), &lambda, sums);
        } else if network.node(y).variable {
            self.scratch.add_to(pending, x, self.scratch.copy(&lambda));
        }
        if second < 0.0 {
            negate(&mut lambda);
        }
        if network.node(y).variable {
            return self.scratch.add_to(pending, y, lambda);
        }
        self.add_selected(self.analysis.node(y), &lambda, sums);
        if second < 0.0 {
            negate(&mut lambda);
        }
        self.scratch.add_to(pending, x, lambda);
    }

    /// The least value of the rows on the region.
    fn minimise(&self, lambda: &[f64], sums: &mut [Sum]) {
        let region = self.analysis.region();
        let (lower, upper) = (region.bounds().lower(), region.bounds().upper());
        if lower.is_empty() {
            return;
        }
        for (sum, row) in sums.iter_mut().zip(lambda.chunks_exact(lower.len())) {
            let mut on_box = *sum;
            on_box.add_selected(row, lower, upper);
            if let Some(ball) = region.as_ball() {
                let mut on_ball = *sum;
                row.iter().zip(&ball.centre).for_each(|(l, c)| on_ball.base += l * c);
                // Cauchy–Schwarz. A part of the ball may lie outside the box, so its rounding is charged here; squares that
                // underflow lose at most the smallest subnormal number each.
                let square = row.iter().map(|l| l * l).sum::<f64>();
                let relative = gamma(2 * row.len() + 8);
                let square = add_up(mul_up(square, add_up(1.0, relative)), mul_up(row.len() as f64, SMALLEST_SUBNORMAL));
                let norm = sqrt_up(square);
                on_ball.base -= norm * ball.radius;
                let terms = row.iter().zip(&ball.centre).map(|(l, c)| mul_up(l.abs(), c.abs()));
                let reach = add_up(sum_up(terms), mul_up(norm, ball.radius));
                on_ball.loss = add_up(on_ball.loss, mul_up(relative, reach));
                if on_ball.base > on_box.base {
                    on_box = on_ball;
                }
            }
            *sum = on_box;
        }
    }

    fn move_back(&self, id: NodeId, rows: usize, lambda: &[f64], sums: &mut [Sum], pending: &mut [Option<Vec<f64>>]) {
        let network = self.analysis.network();
        let node = network.node(id);
        let Op::Rearrange(sources) = &node.op else { return };
        for (position, &operand) in node.operands.iter().enumerate() {
            let from = network.node(operand);
            let mine = sources.iter().enumerate().filter(|(_, source)| source.operand as usize == position);
            if !from.variable {
                let constant = self.analysis.node(operand);
                for (to, source) in mine {
                    let value = constant.at(source.element as usize);
                    sums.iter_mut().enumerate().for_each(|(row, sum)| sum.add_least(lambda[row * sources.len() + to], value));
                }
                continue;
            }
            if from.size() == 0 {
                continue;
            }
            let mut out = self.scratch.zeros(rows * from.size());
            for (row, out) in lambda.chunks_exact(sources.len()).zip(out.chunks_exact_mut(from.size())) {
                for (l, source) in row.iter().zip(sources).filter(|(_, source)| source.operand as usize == position) {
                    out[source.element as usize] += l;
                }
            }
            self.scratch.add_to(pending, operand, out);
        }
    }

    fn elementwise(
        &self,
        id: NodeId,
        lines: &Elementwise,
        deviation: &[f64],
        mut lambda: Vec<f64>,
        sums: &mut [Sum],
        pending: &mut [Option<Vec<f64>>],
    ) {
        let node = self.analysis.network().node(id);
        let size = node.size();
        let Some((last, others)) = lines.sides.split_last() else { return };
        for side in others {
            let mut out = self.scratch.copy(&lambda);
            self.vectors.run(Multiplied { lambda: &mut out, by: (&side.1, &side.2) });
            self.scratch.add_to(pending, node.operands[side.0], out);
        }
        let slopes = self.slopes.filter(|_| !lines.least_slope.is_empty());
        // The lower lines with flexible ones where the hints say, and the hints that they were made of.
        let (mut slope, mut offset) = (last.1.clone(), lines.lower_offset.clone());
        let mut made_of: Option<&[f64]> = None;
        for (index, (sum, row)) in sums.iter_mut().zip(lambda.chunks_exact_mut(size)).enumerate() {
            let hints = slopes.and_then(|(slopes, first, all)| slopes.row(id.index(), first + index, all, size));
            if let Some(hints) = hints.filter(|hints| made_of.is_none_or(|made_of| !std::ptr::eq(made_of, *hints))) {
                hinted_lines(lines, hints, &mut slope, &mut offset);
                made_of = Some(hints);
            }
            let (offsets, slopes) = ((&offset[..], &lines.upper_offset[..]), (&slope[..], &last.2[..]));
            self.vectors.run(Substituted { sum, row, deviation, offsets, slopes });
        }
        self.scratch.add_to(pending, node.operands[last.0], lambda);
    }

    /// McCormick's planes for every product of two variables.
    fn bilinear(&self, id: NodeId, rows: usize, lambda: &[f64], sums: &mut [Sum], pending: &mut [Option<Vec<f64>>]) {
        let network = self.analysis.network();
        let node = network.node(id);
        let [left, right] = [node.operands[0], node.operands[1]];
        let (a, b) = (self.analysis.node(left), self.analysis.node(right));
        let Some(linear) = super::linear::Linear::of(node, a.len()) else {
            return sums.iter_mut().for_each(|sum| sum.base = f64::NAN);
        };
        let (mut to_left, mut to_right) = (vec![0.0; rows * a.len()], vec![0.0; rows * b.len()]);
        linear.for_each_product(|to, l, r| {
            let (x, y) = (a.at(l), b.at(r));
            for (row, sum) in sums.iter_mut().enumerate() {
                let coefficient = lambda[row * node.size() + to];
                if coefficient == 0.0 {
                    continue;
                }
                let other = if coefficient > 0.0 { y.lower } else { y.upper };
                to_left[row * a.len() + l] += coefficient * other;
                to_right[row * b.len() + r] += coefficient * x.lower;
                sum.base -= coefficient * (x.lower * other);
            }
        });
        self.scratch.add_to(pending, left, to_left);
        self.scratch.add_to(pending, right, to_right);
    }
}

/// Puts flexible lines where the hints say; the others stay.
fn hinted_lines(lines: &Elementwise, hints: &[f64], slope: &mut [f64], offset: &mut [f64]) {
    for (((&least, &hint), slope), offset) in lines.least_slope.iter().zip(hints).zip(slope).zip(offset) {
        if !least.is_nan() {
            (*slope, *offset) = (flexible_slope(least, hint), 0.0);
        }
    }
}

/// From the least slope to 1; rounding cannot leave that range.
#[must_use]
pub fn flexible_slope(least: f64, position: f64) -> f64 {
    let slope = least + position * (1.0 - least);
    // A NaN becomes the least slope.
    if slope >= 1.0 {
        1.0
    } else if slope > least {
        slope
    } else {
        least
    }
}

fn group_rows(groups: &Groups, sum: &mut Sum, row: &[f64], out: &mut [f64]) {
    let Groups { inputs, outputs, .. } = *groups;
    for (at, &l) in row.iter().enumerate() {
        if l == 0.0 {
            continue;
        }
        let (slopes, offsets) =
            if l > 0.0 { (&groups.lower, &groups.lower_offset) } else { (&groups.upper, &groups.upper_offset) };
        sum.base += l * offsets[at];
        let group = at / outputs;
        let slopes = &slopes[at * inputs..(at + 1) * inputs];
        out[group * inputs..(group + 1) * inputs].iter_mut().zip(slopes).for_each(|(out, slope)| *out += l * slope);
    }
}
