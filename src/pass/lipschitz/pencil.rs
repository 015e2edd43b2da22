//! From a form to what the engines see: plain `f64` rows over as few coordinates as the rows need.

use crate::form::{Form, Rows};
use crate::solver::{InputNorm, Pencil, PencilGroup, Stretch};
use crate::sound::Row;

/// Relative size below which a direction of the input is taken to be unused by every row.
const UNUSED: f64 = 1e-13;

/// The program of a form. For ℓ2 the input is replaced by coordinates on the span of what the rows use of it, which is
/// exact, because the rest of the input changes nothing.
#[must_use]
pub fn pencil(form: &Form, rows: &Rows, norm: InputNorm) -> Pencil {
    let group_rows = rows.groups.iter().flat_map(|group| group.arguments.iter().chain(&group.results));
    let basis = match norm {
        InputNorm::Euclidean => orthonormal_basis(form.inputs, group_rows.chain(&rows.outputs)),
        InputNorm::Maximum => None,
    };
    let compress = |row: &Row| compress(row, form.inputs, basis.as_deref());
    let inputs = basis.as_ref().map_or(form.inputs, Vec::len);
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

/// An orthonormal basis of the input parts of the rows, or `None` where it would not be smaller than the input.
fn orthonormal_basis<'a>(inputs: usize, rows: impl Iterator<Item = &'a Row>) -> Option<Vec<Vec<f64>>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for row in rows.filter(|row| row.start() < inputs) {
        let mut part = vec![0.0; inputs];
        let end = row.end().min(inputs);
        part[row.start()..end].copy_from_slice(&row.hi()[..end - row.start()]);
        let size = norm(&part);
        // Twice is enough (Kahan; Parlett, The Symmetric Eigenvalue Problem, section 6.9).
        for _ in 0..2 {
            for direction in &basis {
                let overlap = dot(direction, &part);
                part.iter_mut().zip(direction).for_each(|(p, d)| *p -= overlap * d);
            }
        }
        let rest = norm(&part);
        if rest > UNUSED * size {
            part.iter_mut().for_each(|p| *p /= rest);
            basis.push(part);
            if basis.len() >= inputs {
                return None;
            }
        }
    }
    Some(basis)
}

fn compress(row: &Row, inputs: usize, basis: Option<&[Vec<f64>]>) -> Stretch {
    let Some(basis) = basis else { return Stretch { start: row.start(), values: row.hi().to_vec() } };
    if row.start() >= inputs || row.is_empty() {
        let start = if row.is_empty() { 0 } else { row.start() - inputs + basis.len() };
        return Stretch { start, values: row.hi().to_vec() };
    }
    let end = row.end().min(inputs);
    let (part, rest) = row.hi().split_at(end - row.start());
    let along = basis.iter().map(|direction| dot(&direction[row.start()..end], part));
    Stretch { start: 0, values: along.chain(rest.iter().copied()).collect() }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}
