//! Which gradients make the matrix.

use std::io;
use std::sync::Mutex;

use crate::pass::derivatives::{Objective, Panels, Precision};

/// What the `g_i` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Gradients of the samples' losses: the empirical Fisher matrix.
    Gradients,
    /// Rows of the `A_i`, sample by sample: the Gauss–Newton matrix, scaled by C.
    Roots,
}

impl Rows {
    /// Rows per sample.
    #[must_use]
    pub fn per_sample(self, objective: &Objective<'_>) -> usize {
        match self {
            Self::Gradients => 1,
            Self::Roots => objective.circuit.outputs(),
        }
    }
}

/// The first m rows. They are stored in double precision where they fit into `memory` bytes so, else in single precision,
/// on disk where even those do not fit.
///
/// # Errors
/// Of the temporary file.
pub fn collect(objective: &Objective<'_>, rows: Rows, count: usize, memory: usize) -> io::Result<Panels> {
    let (d, per_sample) = (objective.circuit.dimension(), rows.per_sample(objective));
    let double = count.saturating_mul(d).saturating_mul(8) <= memory;
    let precision = if double { Precision::Double } else { Precision::Single };
    let panels = Panels::new(count, d, precision, memory)?;
    let failed: Mutex<Option<io::Error>> = Mutex::new(None);
    let visit = |first: usize, found: &[f64]| {
        let kept = count.saturating_sub(first * per_sample).min(found.len() / d);
        if kept > 0
            && let Err(error) = panels.write(first * per_sample, &found[..kept * d])
            && let Ok(mut failed) = failed.lock()
        {
            *failed = Some(error);
        }
    };
    match rows {
        Rows::Gradients => objective.for_each_gradient(visit),
        Rows::Roots => objective.for_each_root(visit),
    }
    match failed.into_inner() {
        Ok(None) => Ok(panels),
        Ok(Some(error)) => Err(error),
        Err(_) => Err(io::Error::other("a batch of gradients was lost")),
    }
}
