//! Backward elimination: feasible multipliers layer by layer, and the best multipliers of the inputs for given ones of the
//! groups.

use faer::linalg::solvers::Solve;
use faer::{Col, Mat, Side};

use super::equilibrium::Equations;
use crate::solver::{Candidate, InputNorm, Pencil, PencilGroup, Stretch};

/// Multiplier of a layer relative to the smallest one that dominates what follows.
const DOMINANCE: f64 = 2.0;
/// The multipliers that are tried for a layer, less the smallest one, relative to it.
const TRIED: (f64, f64) = (0.01, 4.0);
/// Trials of a layer's multiplier.
const TRIALS: usize = 12;
/// Power iterations behind the comparison of two multipliers.
const POWER_STEPS: usize = 12;
/// Multiplier of an input that the form does not use, relative to all.
const UNUSED: f64 = 1e-14;

/// Feasible multipliers well inside: from the last layer to the first, one multiplier per layer that dominates the form so
/// far, then the layer's coordinates are eliminated. `None` where the numbers overflow.
#[must_use]
pub fn feasible(pencil: &Pencil) -> Option<Candidate> {
    backward(pencil, |_, least| Some(DOMINANCE * least))
}

/// One multiplier per layer (LipSDP-Layer, Fazlyab et al. 2019, section 4), each the best for what the layer before it then
/// sees: from the last to the first, the one that leaves the form with the smallest largest eigenvalue.
#[must_use]
pub fn per_layer(pencil: &Pencil) -> Option<Candidate> {
    backward(pencil, |layer, least| {
        // What is left is convex in the multiplier.
        let (mut low, mut high) = (TRIED.0.ln(), TRIED.1.ln());
        let multiplier = |position: f64| least * (1.0 + position.exp());
        let size = |position: f64| layer.left(multiplier(position)).map_or(f64::INFINITY, |form| roughly_largest(&form));
        let golden = 0.5 * (5f64.sqrt() - 1.0);
        let inner = |low: f64, high: f64| (high - golden * (high - low), low + golden * (high - low));
        let (left, right) = inner(low, high);
        let (mut at_left, mut at_right) = (size(left), size(right));
        for _ in 2..TRIALS {
            let (left, right) = inner(low, high);
            if at_left <= at_right {
                (high, at_right) = (right, at_left);
                at_left = size(inner(low, high).0);
            } else {
                (low, at_left) = (left, at_right);
                at_right = size(inner(low, high).1);
            }
        }
        Some(multiplier(0.5 * (low + high)))
    })
}

/// Multipliers from the last layer to the first: `choose` is told a layer and the smallest multiplier that dominates the form
/// on its coordinates.
fn backward(pencil: &Pencil, choose: impl Fn(&Layer, f64) -> Option<f64>) -> Option<Candidate> {
    let mut form = squares_of_outputs(pencil);
    let mut multipliers = vec![0.0; pencil.groups.len()];
    let mut alive = vec![true; pencil.dimension];
    let deepest = pencil.groups.iter().map(|group| group.depth).max().unwrap_or(0);
    for depth in (1..=deepest).rev() {
        let members: Vec<usize> = (0..pencil.groups.len()).filter(|&g| pencil.groups[g].depth == depth).collect();
        let own = coordinates(pencil, &members);
        own.iter().for_each(|&i| alive[i] = false);
        let floor = 1e-9 * (0..pencil.dimension).map(|i| form[(i, i)].abs()).fold(f64::MIN_POSITIVE, f64::max);
        let on_own = submatrix(&form, &own, &own);
        let (layer, multiplier) = if let Some(equations) = Equations::new(pencil, &members, &own) {
            let found = equations.dominating(&on_own, floor)?;
            members.iter().zip(&found).for_each(|(&g, multiplier)| multipliers[g] = *multiplier);
            (Layer::new(pencil, &members, &found, &own, &form, &alive), 1.0)
        } else {
            let layer = Layer::new(pencil, &members, &vec![1.0; members.len()], &own, &form, &alive);
            let multiplier = choose(&layer, largest(&on_own)?.max(floor / DOMINANCE))?;
            members.iter().for_each(|&g| multipliers[g] = multiplier);
            (layer, multiplier)
        };
        let left = layer.left(multiplier)?;
        for (j, &column) in layer.rest.iter().enumerate() {
            layer.rest.iter().enumerate().for_each(|(i, &row)| form[(row, column)] = left[(i, j)]);
        }
    }
    let input_multipliers = dominating(&form, pencil)?;
    multipliers.iter().all(|m| m.is_finite()).then_some(Candidate { input_multipliers, multipliers })
}

/// The form and a layer's constraints where they meet: on the layer's own coordinates and those that either couples them with.
struct Layer {
    /// The coordinates that are left when the layer is eliminated.
    rest: Vec<usize>,
    /// Over the rest, then the layer's own coordinates.
    form: Mat<f64>,
    /// `Σ −αβ·VᵀV + (α+β)/2·(VᵀY + YᵀV) − YᵀY`, weighted.
    constraint: Mat<f64>,
}

/// The coordinates that are results of groups.
fn coordinates(pencil: &Pencil, members: &[usize]) -> Vec<usize> {
    let results = members.iter().flat_map(|&g| &pencil.groups[g].results);
    let mut own: Vec<usize> = results.filter(|row| row.values.len() == 1).map(|row| row.start).collect();
    own.sort_unstable();
    own.dedup();
    own
}

impl Layer {
    /// The weights are those of the groups among each other.
    fn new(pencil: &Pencil, members: &[usize], weights: &[f64], own: &[usize], form: &Mat<f64>, alive: &[bool]) -> Self {
        let groups: Vec<&PencilGroup> = members.iter().map(|&g| &pencil.groups[g]).collect();
        let mut meets = vec![false; pencil.dimension];
        own.iter().for_each(|&j| meets.iter_mut().zip(form.col_as_slice(j)).for_each(|(meets, &entry)| *meets |= entry != 0.0));
        let rows = groups.iter().flat_map(|group| group.arguments.iter().chain(&group.results));
        rows.flat_map(Stretch::entries).for_each(|(i, _)| meets[i] = true);
        let rest: Vec<usize> = (0..pencil.dimension).filter(|&i| alive[i] && meets[i]).collect();
        let all: Vec<usize> = rest.iter().chain(own).copied().collect();
        let mut place = vec![usize::MAX; pencil.dimension];
        all.iter().enumerate().for_each(|(position, &i)| place[i] = position);
        let count = groups.iter().map(|group| group.arguments.len()).sum();
        let (mut v, mut y) = (Mat::zeros(count, all.len()), Mat::zeros(count, all.len()));
        let mut slopes = Vec::with_capacity(count);
        for (group, weight) in groups.into_iter().zip(weights) {
            for (argument, result) in group.arguments.iter().zip(&group.results) {
                argument.entries().for_each(|(i, value)| v[(slopes.len(), place[i])] = value);
                result.entries().for_each(|(i, value)| y[(slopes.len(), place[i])] = value);
                slopes.push((weight * group.alpha * group.beta, 0.5 * weight * (group.alpha + group.beta), *weight));
            }
        }
        // (mean·Y − product·V) and (mean·V − Y), so that the constraint is a sum of two products.
        let mixed = |of: fn((f64, f64, f64)) -> (f64, f64)| {
            Mat::from_fn(count, all.len(), |i, j| {
                let (p, q) = of(slopes[i]);
                p * v[(i, j)] + q * y[(i, j)]
            })
        };
        let with_v = mixed(|(product, mean, _)| (-product, mean));
        let with_y = mixed(|(_, mean, weight)| (mean, -weight));
        let constraint = v.transpose() * with_v + y.transpose() * with_y;
        Self { rest, form: submatrix(form, &all, &all), constraint }
    }

    /// What is left of the form on the rest where the layer has a multiplier. `None` where it does not dominate.
    fn left(&self, multiplier: f64) -> Option<Mat<f64>> {
        let (first, count) = (self.rest.len(), self.form.nrows() - self.rest.len());
        let all = &self.form + faer::Scale(multiplier) * &self.constraint;
        let left = all.submatrix(0, 0, first, first).to_owned();
        if count == 0 {
            return Some(left);
        }
        let pivot = faer::Scale(-1.0) * all.submatrix(first, first, count, count);
        let coupling = all.submatrix(first, 0, count, first);
        let factor = pivot.llt(Side::Lower).ok()?;
        Some(left + coupling.transpose() * factor.solve(coupling))
    }
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
    eliminate(&mut form, pencil.inputs)?;
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
    for_each_product(group, multiplier, |left, right, weight| add_product(form, left, right, weight));
}

/// The products `weight·leftᵀ·right` whose sum a group adds to the form.
pub(super) fn for_each_product<'a>(
    group: &'a PencilGroup,
    multiplier: f64,
    mut visit: impl FnMut(&'a Stretch, &'a Stretch, f64),
) {
    for row in &group.arguments {
        visit(row, row, -multiplier * group.alpha * group.beta);
    }
    for row in &group.results {
        visit(row, row, -multiplier);
    }
    let weight = 0.5 * multiplier * (group.alpha + group.beta);
    for (v, y) in group.arguments.iter().zip(&group.results) {
        visit(v, y, weight);
        visit(y, v, weight);
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

/// Replaces the form on the inputs by its maximum over all other coordinates: `Q ← Q_rr + Q_rb(−Q_bb)⁻¹Q_br`. `None` unless
/// `−Q_bb ≻ 0`.
fn eliminate(form: &mut Mat<f64>, inputs: usize) -> Option<()> {
    let bounded = form.nrows() - inputs;
    if bounded == 0 {
        return Some(());
    }
    let pivot = faer::Scale(-1.0) * form.submatrix(inputs, inputs, bounded, bounded);
    let factor = pivot.llt(Side::Lower).ok()?;
    let coupling = form.submatrix(inputs, 0, bounded, inputs).to_owned();
    let correction = coupling.transpose() * factor.solve(&coupling);
    let mut on_inputs = form.submatrix_mut(0, 0, inputs, inputs);
    on_inputs += correction;
    Some(())
}

fn largest_eigenvalue(order: usize, entry: impl Fn(usize, usize) -> f64) -> Option<f64> {
    largest(&Mat::from_fn(order, order, entry))
}

/// About the largest eigenvalue of a positive semidefinite matrix, from below: enough to compare.
fn roughly_largest(matrix: &Mat<f64>) -> f64 {
    let mut vector = Col::from_fn(matrix.nrows(), |i| 1.0 + 0.5 * (i as f64).sin());
    let mut size = 0.0;
    for _ in 0..POWER_STEPS {
        let image = matrix * &vector;
        let length = image.norm_l2();
        if length == 0.0 {
            return 0.0;
        }
        size = length / vector.norm_l2();
        vector = faer::Scale(1.0 / length) * image;
    }
    size
}

/// The largest eigenvalue, at least zero.
fn largest(matrix: &Mat<f64>) -> Option<f64> {
    let largest = matrix.self_adjoint_eigenvalues(Side::Lower).ok()?.into_iter().fold(0.0, f64::max);
    largest.is_finite().then_some(largest)
}
