//! The scaled program: coordinates and multipliers in units of a feasible point, rows as matrices.

use faer::Mat;

use super::super::pencil::{Candidate, Pencil, Stretch};

/// One pair of rows of a group: contributes `a·vvᵀ + c·(vyᵀ + yvᵀ) + yyᵀ` per unit of its multiplier.
pub struct Pair {
    pub group: usize,
    /// `αβ`.
    pub a: f64,
    /// `−(α+β)/2`.
    pub c: f64,
    pub y: ResultRow,
}

/// Where the result row of a pair is. The argument row of pair `t` is row `t` of the dense rows.
#[derive(Clone, Copy)]
pub enum ResultRow {
    /// A coordinate.
    Unit(usize),
    /// A row of the dense rows.
    Dense(usize),
}

/// `Z(t, τ) = t·I_x − cost + Σ τ_g·A_g`, all near one at the start.
pub struct Program {
    pub inputs: usize,
    pub dimension: usize,
    pub multipliers: usize,
    pub pairs: Vec<Pair>,
    /// Argument rows of the pairs, then result rows that are no coordinates.
    pub dense: Mat<f64>,
    pub cost: Mat<f64>,
    /// What one unit of `t` and of each `τ` stands for.
    units: Candidate,
}

/// A point `(t, τ)`, or a direction.
#[derive(Clone)]
pub struct Variables {
    pub bound: f64,
    pub multipliers: Vec<f64>,
}

impl Program {
    pub fn new(pencil: &Pencil, start: &Candidate) -> Self {
        let scales = pencil.scales(start);
        let mut pairs = Vec::new();
        let mut arguments: Vec<(&Stretch, f64)> = Vec::new();
        let mut results: Vec<(&Stretch, f64)> = Vec::new();
        for (g, (group, multiplier)) in pencil.groups.iter().zip(&start.multipliers).enumerate() {
            let root = multiplier.sqrt();
            for (v, y) in group.arguments.iter().zip(&group.results) {
                arguments.push((v, root));
                let y = y.unit().map_or_else(
                    || {
                        results.push((y, root));
                        ResultRow::Dense(results.len() - 1)
                    },
                    ResultRow::Unit,
                );
                pairs.push(Pair { group: g, a: group.alpha * group.beta, c: -0.5 * (group.alpha + group.beta), y });
            }
        }
        for pair in &mut pairs {
            if let ResultRow::Dense(row) = &mut pair.y {
                *row += arguments.len();
            }
        }
        arguments.append(&mut results);
        let dense = scaled_rows(&arguments, &scales);
        let outputs: Vec<(&Stretch, f64)> = pencil.outputs.iter().map(|row| (row, 1.0)).collect();
        let outputs = scaled_rows(&outputs, &scales);
        Self {
            inputs: pencil.inputs,
            dimension: pencil.dimension,
            multipliers: pencil.groups.len(),
            pairs,
            dense,
            cost: outputs.transpose() * &outputs,
            units: start.clone(),
        }
    }

    /// A point in the units of the original program.
    pub fn candidate(&self, point: &Variables) -> Candidate {
        Candidate {
            squared_bound: point.bound * self.units.squared_bound,
            multipliers: point.multipliers.iter().zip(&self.units.multipliers).map(|(x, unit)| x * unit).collect(),
        }
    }

    /// A bound in the units of the original program.
    pub fn in_units(&self, bound: f64) -> f64 {
        bound * self.units.squared_bound
    }

    /// `t·I_x + Σ τ_g·A_g`: the matrix without its constant part.
    pub fn combine(&self, variables: &Variables) -> Mat<f64> {
        let weights = self.dense_weights(variables);
        let mut matrix = if weights.iter().all(|&weight| weight == 0.0) {
            Mat::zeros(self.dimension, self.dimension)
        } else {
            let weighted = Mat::from_fn(self.dense.nrows(), self.dimension, |i, j| weights[i] * self.dense[(i, j)]);
            self.dense.transpose() * &weighted
        };
        (0..self.inputs).for_each(|i| matrix[(i, i)] += variables.bound);
        for (t, pair) in self.pairs.iter().enumerate() {
            let weight = variables.multipliers[pair.group];
            match pair.y {
                ResultRow::Unit(k) => {
                    matrix[(k, k)] += weight;
                    if pair.c != 0.0 {
                        for i in 0..self.dimension {
                            let value = weight * pair.c * self.dense[(t, i)];
                            matrix[(i, k)] += value;
                            matrix[(k, i)] += value;
                        }
                    }
                }
                ResultRow::Dense(row) if pair.c != 0.0 => {
                    for j in 0..self.dimension {
                        for i in 0..self.dimension {
                            let cross = self.dense[(t, i)] * self.dense[(row, j)] + self.dense[(row, i)] * self.dense[(t, j)];
                            matrix[(i, j)] += weight * pair.c * cross;
                        }
                    }
                }
                ResultRow::Dense(_) => {}
            }
        }
        matrix
    }

    /// `Z` at a point.
    pub fn matrix(&self, point: &Variables) -> Mat<f64> {
        self.combine(point) - &self.cost
    }

    /// The weight of every dense row's square.
    fn dense_weights(&self, variables: &Variables) -> Vec<f64> {
        let mut weights = vec![0.0; self.dense.nrows()];
        for (t, pair) in self.pairs.iter().enumerate() {
            let multiplier = variables.multipliers[pair.group];
            weights[t] += pair.a * multiplier;
            if let ResultRow::Dense(row) = pair.y {
                weights[row] += multiplier;
            }
        }
        weights
    }
}

fn scaled_rows(rows: &[(&Stretch, f64)], scales: &[f64]) -> Mat<f64> {
    let mut matrix = Mat::zeros(rows.len(), scales.len());
    for (i, (row, factor)) in rows.iter().enumerate() {
        row.entries().for_each(|(j, value)| matrix[(i, j)] = factor * value * scales[j]);
    }
    matrix
}
