//! Which gradients make the matrix.

use std::io;
use std::sync::Mutex;

use crate::deadline::{Deadline, TimedOut};
use crate::pass::derivatives::{Objective, Panels, Precision, Real};

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
    pub fn per_sample<T: Real>(self, objective: &Objective<'_, T>) -> usize {
        match self {
            Self::Gradients => 1,
            Self::Roots => objective.circuit.outputs(),
        }
    }
}

/// Why there are no gradients.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    #[error("a temporary file of gradients failed: {0}")]
    File(#[from] io::Error),
}

/// The first m rows. They are stored in the precision of the objective where they fit into `memory` bytes so, else in single
/// precision, on disk where even those do not fit.
///
/// # Errors
/// [`CollectError`].
pub fn collect<T: Real>(
    objective: &Objective<'_, T>,
    rows: Rows,
    count: usize,
    memory: usize,
    deadline: Deadline,
) -> Result<Panels, CollectError> {
    let (d, per_sample) = (objective.circuit.dimension(), rows.per_sample(objective));
    let fits = count.saturating_mul(d).saturating_mul(T::PRECISION.bytes()) <= memory;
    let precision = if fits { T::PRECISION } else { Precision::Single };
    let panels = Panels::new(count, d, precision, memory)?;
    let failed: Mutex<Option<io::Error>> = Mutex::new(None);
    let visit = |first: usize, found: &[T]| {
        let kept = count.saturating_sub(first * per_sample).min(found.len() / d);
        if kept > 0
            && let Err(error) = panels.write(first * per_sample, &found[..kept * d])
            && let Ok(mut failed) = failed.lock()
        {
            *failed = Some(error);
        }
    };
    match rows {
        Rows::Gradients => objective.for_each_gradient(deadline, visit)?,
        Rows::Roots => objective.for_each_root(deadline, visit)?,
    }
    match failed.into_inner() {
        Ok(None) => Ok(panels),
        Ok(Some(error)) => Err(error.into()),
        Err(_) => Err(io::Error::other("a batch of gradients was lost").into()),
    }
}
