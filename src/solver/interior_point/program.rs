//! The scaled program: coordinates and multipliers in units of a feasible point, rows as matrices.
//!
//! Coordinates are the inputs, then the results of groups that are coordinates, in the order of their pairs. Argument rows
//! are kept by layers, each over the coordinates that it reaches: a chain's layer reaches the layer before it alone.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef};
use rayon::prelude::*;

use super::super::pencil::{Candidate, Pencil, Stretch};
use super::dense::{PARALLEL, columns_mut};
use super::envelope::Envelope;
use super::pool::{Lent, Pool};
use crate::kernel::sound::gram::dot;

/// One pair of rows of a group: contributes `a·vvᵀ + c·(vyᵀ + yvᵀ) + yyᵀ` per unit of its multiplier.
pub struct Pair {
    pub group: usize,
    /// `αβ`.
    pub a: f64,
    /// `−(α+β)/2`.
    pub c: f64,
}

/// Rows of consecutive pairs, as columns, over a range of coordinates.
struct Layer {
    pairs: Range<usize>,
    reach: Range<usize>,
    rows: Mat<f64>,
}

impl Pair {
    /// What its matrix is beside `vᵀ`, in terms of `v` and `y`.
    const fn beside_argument(&self) -> [f64; 2] {
        [self.a, self.c]
    }

    /// The same beside `yᵀ`.
    const fn beside_result(&self) -> [f64; 2] {
        [self.c, 1.0]
    }
}

/// `Z(t, τ) = Σ t_j·D_j − cost + Σ τ_g·A_g`, all near one at the start.
pub struct Program {
    pub inputs: usize,
    pub dimension: usize,
    /// The multiplier of each input.
    pub input_multiplier: Vec<usize>,
    /// What one unit of each input's multiplier adds to the objective; together one.
    pub objective: Vec<f64>,
    pub multipliers: usize,
    /// The result of pair `t` is coordinate `inputs + t`, or row `t − (dimension − inputs)` of the other results.
    pub pairs: Vec<Pair>,
    arguments: Vec<Layer>,
    others: Vec<Layer>,
    /// The part of the cost that is not zero, from its first coordinate on.
    cost: (usize, Mat<f64>),
    /// Of `Z`.
    pub envelope: Envelope,
    /// What one unit of `t` and of each `τ` stands for.
    units: Candidate,
    pub pool: Pool,
}

/// A point `(t, τ)`, or a direction: the multipliers of the inputs first.
pub type Variables = Vec<f64>;

/// The images of the rows under a matrix `S`: `S·v` and `S·y` for every pair, as columns.
pub struct Images<'a> {
    /// `S·v` of every pair.
    pub arguments: Lent<'a>,
    /// `S·y` of the pairs whose result is no coordinate.
    others: Lent<'a>,
}

impl Images<'_> {
    /// `S·y` of a pair.
    pub fn result<'b>(&'b self, program: &Program, matrix: &'b Mat<f64>, pair: usize) -> &'b [f64] {
        let coordinate = program.inputs + pair;
        if coordinate < program.dimension {
            matrix.col_as_slice(coordinate)
        } else {
            self.others.col_as_slice(coordinate - program.dimension)
        }
    }
}

impl Program {
    /// `None` where a result is neither a coordinate of its own nor without one, or an argument reaches results of deeper groups.
    pub fn new(pencil: &Pencil, start: &Candidate) -> Option<Self> {
        let scales = pencil.scales(start);
        let mut listed: Vec<(u32, Pair, &Stretch, &Stretch)> = Vec::new();
        for (g, group) in pencil.groups.iter().enumerate() {
            let (a, c) = (group.alpha * group.beta, -0.5 * (group.alpha + group.beta));
            for (v, y) in group.arguments.iter().zip(&group.results) {
                listed.push((group.depth, Pair { group: g, a, c }, v, y));
            }
        }
        let own = |y: &Stretch| y.unit().filter(|&i| i >= pencil.inputs);
        listed.sort_by_key(|(depth, _, _, y)| (own(y).is_none(), *depth, own(y)));
        let coordinates = listed.iter().filter(|(_, _, _, y)| own(y).is_some()).count();
        // Where each coordinate goes.
        let mut place: Vec<usize> = (0..pencil.dimension).collect();
        let mut taken = vec![false; pencil.dimension];
        for (position, (_, _, _, y)) in listed[..coordinates].iter().enumerate() {
            let coordinate = own(y)?;
            if std::mem::replace(&mut taken[coordinate], true) {
                return None;
            }
            place[coordinate] = pencil.inputs + position;
        }
        if coordinates != pencil.dimension - pencil.inputs {
            return None;
        }
        let layers = |from: usize, to: usize, second: bool| -> Vec<Layer> {
            let mut layers = Vec::new();
            let mut first = from;
            while first < to {
                let depth = listed[first].0;
                let last = (first..to).find(|&t| listed[t].0 != depth).unwrap_or(to);
                let rows: Vec<(&Stretch, f64)> = listed[first..last]
                    .iter()
                    .map(|(_, pair, v, y)| (if second { *y } else { *v }, start.multipliers[pair.group].sqrt()))
                    .collect();
                layers.push(Layer::new(first - if second { from } else { 0 }, &rows, &scales, &place));
                first = last;
            }
            layers
        };
        let mut arguments = layers(0, coordinates, false);
        arguments.extend(layers(coordinates, listed.len(), false));
        let others = layers(coordinates, listed.len(), true);
        let rows: Vec<(&Stretch, f64)> = pencil.outputs.iter().map(|row| (row, 1.0)).collect();
        let outputs = Layer::new(0, &rows, &scales, &place);
        let reach = outputs.reach.clone();
        let cost = (reach.start, &outputs.rows * outputs.rows.transpose());
        // Where a result is a coordinate, a layer's arguments meet its own coordinates.
        let (of_coordinates, of_others) = arguments.split_at(arguments.len() - others.len());
        let own = |layer: &Layer| pencil.inputs + layer.pairs.start..pencil.inputs + layer.pairs.end;
        if of_coordinates.iter().any(|layer| layer.reach.end > own(layer).end) {
            return None;
        }
        let mut couplings: Vec<_> = of_coordinates.iter().map(|layer| [layer.reach.clone(), own(layer)]).collect();
        couplings.extend(of_others.iter().zip(&others).map(|(v, y)| [v.reach.clone(), y.reach.clone()]));
        couplings.push([reach.clone(), reach]);
        let starts: Vec<usize> = std::iter::once(0).chain(of_coordinates.iter().map(|layer| own(layer).start)).collect();
        let envelope = Envelope::new(pencil.dimension, &starts, &couplings);
        let total: f64 = start.input_multipliers.iter().sum();
        Some(Self {
            inputs: pencil.inputs,
            dimension: pencil.dimension,
            input_multiplier: (0..pencil.inputs).map(|i| pencil.input_multiplier(i)).collect(),
            objective: start.input_multipliers.iter().map(|tau| tau / total).collect(),
            multipliers: pencil.groups.len(),
            pairs: listed.into_iter().map(|(_, pair, ..)| pair).collect(),
            arguments,
            others,
            cost,
            envelope,
            units: start.clone(),
            pool: Pool::default(),
        })
    }

    /// Number of variables.
    pub fn order(&self) -> usize {
        self.objective.len() + self.multipliers
    }

    /// The objective at a point.
    pub fn value(&self, point: &[f64]) -> f64 {
        self.objective.iter().zip(point).map(|(b, t)| b * t).sum()
    }

    /// A point in the units of the original program.
    pub fn candidate(&self, point: &[f64]) -> Candidate {
        let scaled = |values: &[f64], units: &[f64]| values.iter().zip(units).map(|(x, unit)| x * unit).collect();
        let (inputs, groups) = point.split_at(self.objective.len());
        Candidate {
            input_multipliers: scaled(inputs, &self.units.input_multipliers),
            multipliers: scaled(groups, &self.units.multipliers),
        }
    }

    /// A bound in the units of the original program.
    pub fn in_units(&self, bound: f64) -> f64 {
        bound * self.units.input_multipliers.iter().sum::<f64>()
    }

    /// The multiplier of a pair.
    fn weight(&self, variables: &[f64], pair: usize) -> f64 {
        variables[self.objective.len() + self.pairs[pair].group]
    }

    /// The images of all rows under a matrix.
    pub fn images(&self, matrix: &Mat<f64>) -> Images<'_> {
        let mut arguments = self.pool.take(self.dimension, self.pairs.len());
        self.arguments.iter().for_each(|layer| layer.image(matrix, arguments.as_mut()));
        let mut others = self.pool.take(self.dimension, self.pairs.len() - (self.dimension - self.inputs));
        self.others.iter().for_each(|layer| layer.image(matrix, others.as_mut()));
        Images { arguments, others }
    }

    /// `vᵀ·w` for every argument row `v` and every column `w`, in the blocks of layers on and below the diagonal; the other
    /// blocks mean nothing.
    pub fn lower_products(&self, columns: &Mat<f64>) -> Lent<'_> {
        let mut products = self.pool.take(self.pairs.len(), self.pairs.len());
        for layer in &self.arguments {
            let (rows, reach) = (&layer.pairs, &layer.reach);
            let target = products.as_mut().submatrix_mut(rows.start, 0, rows.len(), rows.end);
            let right = columns.submatrix(reach.start, 0, reach.len(), rows.end);
            matmul(target, Accum::Replace, layer.rows.transpose(), right, 1.0, PARALLEL());
        }
        products
    }

    /// `y·w` for the result `y` of a pair.
    pub fn with_result(&self, pair: usize, column: &[f64]) -> f64 {
        let coordinate = self.inputs + pair;
        if coordinate < self.dimension {
            return column[coordinate];
        }
        let row = coordinate - self.dimension;
        self.others.iter().find(|layer| layer.pairs.contains(&row)).map_or(0.0, |layer| layer.product(row, column))
    }

    /// `S·(Σ t_j D_j + Σ τ_g A_g)`, where the images of the rows under `S` are known.
    pub fn times_combination(&self, matrix: &Mat<f64>, images: &Images, variables: &[f64]) -> Lent<'_> {
        let n = self.dimension;
        let mut result = self.pool.take(n, n);
        for j in 0..self.inputs {
            let weight = variables[self.input_multiplier[j]];
            let source = matrix.col_as_slice(j);
            result.col_as_slice_mut(j).iter_mut().zip(source).for_each(|(r, s)| *r = weight * s);
        }
        let widest = self.arguments.iter().map(|layer| layer.pairs.len()).max().unwrap_or(0);
        let mut left = self.pool.take(n, widest);
        let (of_coordinates, of_others) = self.arguments.split_at(self.arguments.len() - self.others.len());
        let weigh = |t: usize, [of_argument, of_result]: [f64; 2], target: &mut [f64]| {
            let weight = self.weight(variables, t);
            let (v, y) = (images.arguments.col_as_slice(t), images.result(self, matrix, t));
            target.iter_mut().zip(v).zip(y).for_each(|((target, v), y)| *target = weight * (of_argument * v + of_result * y));
        };
        // A layer's arguments reach no later coordinates than its own: the columns are there when it adds to them.
        for layer in of_coordinates {
            let (first, count) = (layer.pairs.start, layer.pairs.len());
            let own = result.as_mut().subcols_mut(self.inputs + first, count);
            columns_mut(left.as_mut().subcols_mut(0, count)).zip(columns_mut(own)).for_each(|((j, left), (_, own))| {
                let pair = &self.pairs[first + j];
                weigh(first + j, pair.beside_argument(), left);
                weigh(first + j, pair.beside_result(), own);
            });
            layer.expand(&left, result.as_mut());
        }
        for (arguments, results) in of_others.iter().zip(&self.others) {
            let (first, count) = (arguments.pairs.start, arguments.pairs.len());
            for (layer, of_argument) in [(arguments, true), (results, false)] {
                columns_mut(left.as_mut().subcols_mut(0, count)).for_each(|(j, left)| {
                    let pair = &self.pairs[first + j];
                    weigh(first + j, if of_argument { pair.beside_argument() } else { pair.beside_result() }, left);
                });
                layer.expand(&left, result.as_mut());
            }
        }
        result
    }

    /// `Σ t_j D_j + Σ τ_g A_g`: the matrix without its constant part.
    pub fn combine(&self, variables: &[f64]) -> Lent<'_> {
        let n = self.dimension;
        let mut matrix = self.pool.zeros(n, n);
        (0..self.inputs).for_each(|i| matrix[(i, i)] += variables[self.input_multiplier[i]]);
        let plain = n - self.inputs;
        for t in 0..plain {
            matrix[(self.inputs + t, self.inputs + t)] += self.weight(variables, t);
        }
        for layer in &self.arguments {
            layer.add_squares(&mut matrix, |t| self.pairs[t].a * self.weight(variables, t));
            for (column, t) in layer.pairs.clone().enumerate().filter(|&(_, t)| t < plain && self.pairs[t].c != 0.0) {
                let weight = self.pairs[t].c * self.weight(variables, t);
                let k = self.inputs + t;
                for (i, v) in layer.reach.clone().zip(layer.rows.col_as_slice(column)) {
                    matrix[(i, k)] += weight * v;
                    matrix[(k, i)] += weight * v;
                }
            }
        }
        for layer in &self.others {
            layer.add_squares(&mut matrix, |row| self.weight(variables, plain + row));
        }
        for t in (plain..self.pairs.len()).filter(|&t| self.pairs[t].c != 0.0) {
            let weight = self.pairs[t].c * self.weight(variables, t);
            let (v, y) = (self.argument(t), self.other(t - plain));
            for j in 0..n {
                for i in 0..n {
                    matrix[(i, j)] += weight * (v[i] * y[j] + y[i] * v[j]);
                }
            }
        }
        matrix
    }

    /// `Z` at a point.
    pub fn matrix(&self, point: &[f64]) -> Lent<'_> {
        let mut matrix = self.combine(point);
        let (start, cost) = &self.cost;
        let mut target = matrix.as_mut().submatrix_mut(*start, *start, cost.nrows(), cost.ncols());
        target -= cost;
        matrix
    }

    /// `⟨cost, X⟩`.
    pub fn times_cost(&self, x: &Mat<f64>) -> f64 {
        let (start, cost) = &self.cost;
        let of_column = |j: usize| dot(cost.col_as_slice(j), &x.col_as_slice(start + j)[*start..start + cost.nrows()]);
        (0..cost.ncols()).map(of_column).sum()
    }

    fn argument(&self, pair: usize) -> Vec<f64> {
        spread(&self.arguments, pair, self.dimension)
    }

    fn other(&self, row: usize) -> Vec<f64> {
        spread(&self.others, row, self.dimension)
    }
}

/// One row over all coordinates.
fn spread(layers: &[Layer], row: usize, dimension: usize) -> Vec<f64> {
    let mut full = vec![0.0; dimension];
    if let Some(layer) = layers.iter().find(|layer| layer.pairs.contains(&row)) {
        full[layer.reach.clone()].copy_from_slice(layer.rows.col_as_slice(row - layer.pairs.start));
    }
    full
}

impl Layer {
    fn new(first: usize, rows: &[(&Stretch, f64)], scales: &[f64], place: &[usize]) -> Self {
        let reached = || rows.iter().flat_map(|(row, _)| row.entries().map(|(i, _)| place[i]));
        let (start, end) = (reached().min().unwrap_or(0), reached().max().map_or(0, |last| last + 1));
        let mut columns = Mat::zeros(end - start, rows.len());
        for (j, (row, factor)) in rows.iter().enumerate() {
            let column = columns.col_as_slice_mut(j);
            row.entries().for_each(|(i, value)| column[place[i] - start] = factor * value * scales[i]);
        }
        Self { pairs: first..first + rows.len(), reach: start..end, rows: columns }
    }

    /// `S·rows` into the columns of the pairs.
    fn image(&self, matrix: &Mat<f64>, target: MatMut<f64>) {
        let columns = target.subcols_mut(self.pairs.start, self.pairs.len());
        let left: MatRef<f64> = matrix.subcols(self.reach.start, self.reach.len());
        matmul(columns, Accum::Replace, left, &self.rows, 1.0, PARALLEL());
    }

    /// Adds `left·rowsᵀ` for the first columns of `left`, one for each row.
    fn expand(&self, left: &Mat<f64>, target: MatMut<f64>) {
        let columns = target.subcols_mut(self.reach.start, self.reach.len());
        let left = left.subcols(0, self.pairs.len());
        matmul(columns, Accum::Add, left, self.rows.transpose(), 1.0, PARALLEL());
    }

    /// Adds `Σ weight·rowᵀrow` where a weight is not zero.
    fn add_squares(&self, matrix: &mut Mat<f64>, weight: impl Fn(usize) -> f64) {
        let weights: Vec<f64> = self.pairs.clone().map(weight).collect();
        if weights.iter().all(|&weight| weight == 0.0) {
            return;
        }
        let mut scaled = Mat::zeros(self.rows.nrows(), self.rows.ncols());
        for (j, weight) in weights.into_iter().enumerate() {
            let row = self.rows.col_as_slice(j);
            scaled.col_as_slice_mut(j).iter_mut().zip(row).for_each(|(entry, value)| *entry = weight * value);
        }
        let (start, width) = (self.reach.start, self.reach.len());
        let target = matrix.as_mut().submatrix_mut(start, start, width, width);
        matmul(target, Accum::Add, &scaled, self.rows.transpose(), 1.0, PARALLEL());
    }

    fn product(&self, row: usize, column: &[f64]) -> f64 {
        let values = self.rows.col_as_slice(row - self.pairs.start);
        values.iter().zip(&column[self.reach.clone()]).map(|(a, b)| a * b).sum()
    }
}
