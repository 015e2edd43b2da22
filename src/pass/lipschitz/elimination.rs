//! Backward elimination: feasible multipliers layer by layer, and the best multipliers of the inputs for given ones of the
//! groups.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use super::equilibrium::Equations;
use crate::solver::{Candidate, InputNorm, Pencil, PencilGroup, Stretch};

/// Multiplier of a layer relative to the smallest one that dominates what follows.
const DOMINANCE: f64 = 2.0;
/// Multiplier of an input that the form does not use, relative to all.
const UNUSED: f64 = 1e-14;

/// Feasible multipliers: from the last layer to the first, one multiplier per layer that dominates the form so far, then
/// the layer's coordinates are eliminated. `None` where the numbers overflow.
#[must_use]
pub fn feasible(pencil: &Pencil) -> Option<Candidate> {
    let mut form = squares_of_outputs(pencil);
    let mut multipliers = vec![0.0; pencil.groups.len()];
    let mut alive = vec![true; pencil.dimension];
    let deepest = pencil.groups.iter().map(|group| group.depth).max().unwrap_or(0);
    for depth in (1..=deepest).rev() {
        let layer: Vec<usize> = (0..pencil.groups.len()).filter(|&g| pencil.groups[g].depth == depth).collect();
        let mut block: Vec<usize> = layer
            .iter()
            .flat_map(|&g| pencil.groups[g].results.iter())
            .filter(|row| row.values.len() == 1)
            .map(|row| row.start)
            .collect();
        block.sort_unstable();
        block.dedup();
        let within = submatrix(&form, &block, &block);
        let largest = within.self_adjoint_eigenvalues(Side::Lower).ok()?.into_iter().fold(0.0, f64::max);
        let floor = 1e-9 * (0..pencil.dimension).map(|i| form[(i, i)].abs()).fold(f64::MIN_POSITIVE, f64::max);
        let dominating = match Equations::new(pencil, &layer, &block) {
            Some(equations) => equations.dominating(&within, floor)?,
            None => vec![(DOMINANCE * largest).max(floor); layer.len()],
        };
        for (&g, multiplier) in layer.iter().zip(dominating) {
            multipliers[g] = multiplier;
            add_group(&mut form, &pencil.groups[g], multiplier);
        }
        eliminate(&mut form, &mut alive, &block)?;
    }
    let input_multipliers = dominating(&form, pencil)?;
    multipliers.iter().all(|m| m.is_finite()).then_some(Candidate { input_multipliers, multipliers })
}

/// Multipliers of the inputs under which `F(τ, λ) ⪰ 0`, or `None` where there are none: the smallest for ℓ2, for ℓ∞ the
/// smallest multiple of the given ones or else of those of a dominating diagonal.
#[must_use]
pub fn best_inputs(pencil: &Pencil, multipliers: &[f64], weights: Option<&[f64]>) -> Option<Vec<f64>> {
    let form = on_inputs(pencil, multipliers)?;
    let dominating = dominating(&form, pencil)?;
    let (InputNorm::Maximum, Some(weights)) = (pencil.norm, weights) else { return Some(dominating) };
    let scale: Vec<f64> = weights.iter().map(|weight| 1.0 / weight.sqrt()).collect();
    let largest = largest_eigenvalue(pencil.inputs, |i, j| scale[i] * form[(i, j)] * scale[j])?;
    Some(weights.iter().map(|weight| weight * largest).collect())
}

/// What remains of the form on the inputs.
fn on_inputs(pencil: &Pencil, multipliers: &[f64]) -> Option<Mat<f64>> {
    let mut form = squares_of_outputs(pencil);
    for (group, &multiplier) in pencil.groups.iter().zip(multipliers) {
        add_group(&mut form, group, multiplier);
    }
    let bounded: Vec<usize> = (pencil.inputs..pencil.dimension).collect();
    eliminate(&mut form, &mut vec![true; pencil.dimension], &bounded)?;
    Some(form)
}

/// Multipliers of the inputs that dominate a form on them: its largest eigenvalue for ℓ2; the sums of the magnitudes in
/// each row for ℓ∞, which is the best diagonal where all rows are multiples of one.
fn dominating(form: &Mat<f64>, pencil: &Pencil) -> Option<Vec<f64>> {
    match pencil.norm {
        InputNorm::Euclidean => Some(vec![largest_eigenvalue(pencil.inputs, |i, j| form[(i, j)])?]),
        InputNorm::Maximum => {
            let sums: Vec<f64> = (0..pencil.inputs).map(|j| (0..pencil.inputs).map(|i| form[(i, j)].abs()).sum()).collect();
            let floor = UNUSED * sums.iter().sum::<f64>();
            let total = sums.iter().sum::<f64>();
            total.is_finite().then(|| sums.into_iter().map(|sum| sum.max(floor)).collect())
        }
    }
}

fn squares_of_outputs(pencil: &Pencil) -> Mat<f64> {
    let mut form = Mat::zeros(pencil.dimension, pencil.dimension);
    pencil.outputs.iter().for_each(|row| add_product(&mut form, row, row, 1.0));
    form
}

/// Adds `λ·(−αβ·VᵀV + (α+β)/2·(VᵀY + YᵀV) − YᵀY)`.
pub(super) fn add_group(form: &mut Mat<f64>, group: &PencilGroup, multiplier: f64) {
    for row in &group.arguments {
        add_product(form, row, row, -multiplier * group.alpha * group.beta);
    }
    for row in &group.results {
        add_product(form, row, row, -multiplier);
    }
    let weight = 0.5 * multiplier * (group.alpha + group.beta);
    for (v, y) in group.arguments.iter().zip(&group.results) {
        add_product(form, v, y, weight);
        add_product(form, y, v, weight);
    }
}

fn add_product(form: &mut Mat<f64>, left: &Stretch, right: &Stretch, weight: f64) {
    if weight == 0.0 {
        return;
    }
    for (j, b) in right.entries() {
        let column = &mut form.col_as_slice_mut(j)[left.start..left.end()];
        column.iter_mut().zip(&left.values).for_each(|(entry, a)| *entry += weight * b * a);
    }
}

fn submatrix(form: &Mat<f64>, rows: &[usize], columns: &[usize]) -> Mat<f64> {
    Mat::from_fn(rows.len(), columns.len(), |i, j| form[(rows[i], columns[j])])
}

/// Replaces the form by its maximum over the coordinates of `block`: `Q ← Q_rr + Q_rb(−Q_bb)⁻¹Q_br`. `None` unless
/// `−Q_bb ≻ 0`.
fn eliminate(form: &mut Mat<f64>, alive: &mut [bool], block: &[usize]) -> Option<()> {
    if block.is_empty() {
        return Some(());
    }
    block.iter().for_each(|&i| alive[i] = false);
    let rest: Vec<usize> = (0..alive.len()).filter(|&i| alive[i]).collect();
    let pivot = Mat::from_fn(block.len(), block.len(), |i, j| -form[(block[i], block[j])]);
    let factor = pivot.llt(Side::Lower).ok()?;
    let coupling = submatrix(form, block, &rest);
    let correction = coupling.transpose() * factor.solve(&coupling);
    for (j, &column) in rest.iter().enumerate() {
        for (i, &row) in rest.iter().enumerate() {
            form[(row, column)] += correction[(i, j)];
        }
    }
    Some(())
}

fn largest_eigenvalue(order: usize, entry: impl Fn(usize, usize) -> f64) -> Option<f64> {
    let block = Mat::from_fn(order, order, entry);
    let largest = block.self_adjoint_eigenvalues(Side::Lower).ok()?.into_iter().fold(0.0, f64::max);
    largest.is_finite().then_some(largest)
}
