//! The blocks `A_iA_iᵀ` of single samples, one after another: what stability needs where the whole Gram matrix is too large.

use std::sync::{Mutex, PoisonError};

use faer::Mat;

use super::spectrum::eigenvalues;
use super::stability::Summary;
use crate::deadline::{Deadline, TimedOut};
use crate::pass::derivatives::{Objective, Real, dot};

/// What one sample's block says.
struct Block {
    sample: usize,
    squared_norm: f64,
    largest: f64,
    /// `vᵀH_iv`.
    along: f64,
}

/// What the blocks say about the `H_i`, and the `H_i` about a direction; the rest of the summary is left open.
///
/// # Errors
/// [`TimedOut`].
pub fn blocks<T: Real>(objective: &Objective<'_, T>, direction: &[f64], deadline: Deadline) -> Result<Summary, TimedOut> {
    let (n, outputs, d) = (objective.count(), objective.circuit.outputs(), objective.circuit.dimension());
    let found: Mutex<Vec<Block>> = Mutex::new(Vec::with_capacity(n));
    objective.for_each_root(deadline, |first, rows| {
        for (sample, rows) in rows.chunks_exact(outputs * d).enumerate() {
            let row = |i: usize| &rows[i * d..(i + 1) * d];
            let block = Mat::from_fn(outputs, outputs, |i, j| dot(row(i), row(j)));
            let largest = eigenvalues(&block).and_then(|values| values.last().copied()).unwrap_or(f64::NAN);
            let along = (0..outputs).map(|i| dot(row(i), direction).powi(2)).sum();
            let block = Block { sample: first + sample, squared_norm: block.norm_l2().powi(2), largest, along };
            found.lock().unwrap_or_else(PoisonError::into_inner).push(block);
        }
    })?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|block| block.sample);
    let mean = |sum: f64| sum / n as f64;
    let top = mean(found.iter().map(|block| block.along).sum());
    Ok(Summary {
        samples: n,
        outputs,
        trace: f64::NAN,
        squared_norm: f64::NAN,
        top: (top, f64::NAN),
        mean_squared_norm: mean(found.iter().map(|block| block.squared_norm).sum()),
        spread: mean(found.iter().map(|block| (block.along - top).powi(2)).sum()),
        // A NaN stays.
        worst: found.iter().fold(0.0, |worst: f64, block| if block.largest <= worst { worst } else { block.largest }),
    })
}
