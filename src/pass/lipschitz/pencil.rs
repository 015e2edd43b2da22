//! From a form to what the engines see: plain `f64` rows over as few coordinates as the rows need.

use faer::Mat;

use crate::kernel::lipschitz::form::{Form, Rows};
use crate::kernel::sound::Row;
use crate::kernel::sound::gram::dot;
use crate::solver::{InputNorm, Pencil, PencilGroup, Stretch};

/// Relative size below which a direction of the input is taken to be unused by every row.
const UNUSED: f64 = 1e-13;
/// Rows that are made orthogonal to the basis together.
const CHUNK: usize = 64;

/// The program of a form. For ℓ2 the input is replaced by coordinates on the span of what the rows use of it, which is
/// exact, because the rest of the input changes nothing.
#[must_use]
pub fn pencil(form: &Form, rows: &Rows, norm: InputNorm) -> Pencil {
    let basis = match norm {
        InputNorm::Euclidean => orthonormal_basis(form.inputs, on_inputs(form, rows)),
        InputNorm::Maximum => None,
    };
    over(form, rows, norm, basis.as_ref())
}

/// The program of the transposed network, where its matrix is the smaller one.
#[must_use]
pub fn transposed(form: &Form, rows: &Rows, norm: InputNorm) -> Option<Pencil> {
    let span = on_inputs(form, rows).count().min(form.inputs);
    (rows.outputs.len() < span).then(|| over(form, rows, norm, None).transposed()).flatten()
}

/// The rows that use the input.
fn on_inputs<'a>(form: &'a Form, rows: &'a Rows) -> impl Iterator<Item = &'a Row> {
    let groups = rows.groups.iter().flat_map(|group| group.arguments.iter().chain(&group.results));
    groups.chain(&rows.outputs).filter(|row| row.start() < form.inputs && !row.is_empty())
}

/// The program over a basis of the input, or all of it.
fn over(form: &Form, rows: &Rows, norm: InputNorm, basis: Option<&Mat<f64>>) -> Pencil {
    let compress = |row: &Row| compress(row, form.inputs, basis);
    let inputs = basis.map_or(form.inputs, Mat::ncols);
    let groups = form
        .groups
        .iter()
        .zip(&rows.groups)
        .map(|(group, rows)| PencilGroup {
            alpha: group.slopes.lower,
            beta: group.slopes.upper,
            arguments: rows.arguments.iter().map(compress).collect(),
            results: rows.results.iter().map(compress).collect(),
            depth: group.depth,
        })
        .collect();
    let outputs = rows.outputs.iter().map(compress).collect();
    Pencil { norm, inputs, dimension: inputs + form.dimension - form.inputs, groups, outputs }
}

/// An orthonormal basis of the input parts of the rows, as columns, or `None` where it would not be smaller than the input.
fn orthonormal_basis<'a>(inputs: usize, rows: impl Iterator<Item = &'a Row>) -> Option<Mat<f64>> {
    let parts: Vec<&Row> = rows.collect();
    let mut basis = Mat::zeros(inputs, 0);
    for chunk in parts.chunks(CHUNK) {
        let mut columns = Mat::zeros(inputs, chunk.len());
        for (j, row) in chunk.iter().enumerate() {
            let end = row.end().min(inputs);
            columns.col_as_slice_mut(j)[row.start()..end].copy_from_slice(&row.hi()[..end - row.start()]);
        }
        let sizes: Vec<f64> = (0..chunk.len()).map(|j| norm(columns.col_as_slice(j))).collect();
        // Twice is enough (Kahan; Parlett, The Symmetric Eigenvalue Problem, section 6.9).
        for _ in 0..2 {
            columns = &columns - &basis * (basis.transpose() * &columns);
        }
        let known = basis.ncols();
        for (j, size) in sizes.into_iter().enumerate() {
            let mut part = columns.col_as_slice(j).to_vec();
            for _ in 0..2 {
                for direction in (known..basis.ncols()).map(|k| basis.col_as_slice(k)) {
                    let overlap = dot(direction, &part);
                    part.iter_mut().zip(direction).for_each(|(p, d)| *p -= overlap * d);
                }
            }
            let rest = norm(&part);
            if rest > UNUSED * size {
                let next = basis.ncols();
                if next + 1 >= inputs {
                    return None;
                }
                basis.resize_with(inputs, next + 1, |i, _| part[i] / rest);
            }
        }
    }
    Some(basis)
}

fn compress(row: &Row, inputs: usize, basis: Option<&Mat<f64>>) -> Stretch {
    let Some(basis) = basis else { return Stretch { start: row.start(), values: row.hi().to_vec() } };
    if row.start() >= inputs || row.is_empty() {
        let start = if row.is_empty() { 0 } else { row.start() - inputs + basis.ncols() };
        return Stretch { start, values: row.hi().to_vec() };
    }
    let end = row.end().min(inputs);
    let (part, rest) = row.hi().split_at(end - row.start());
    let along = (0..basis.ncols()).map(|k| dot(&basis.col_as_slice(k)[row.start()..end], part));
    Stretch { start: 0, values: along.chain(rest.iter().copied()).collect() }
}

pub fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}
