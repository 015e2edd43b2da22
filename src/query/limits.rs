//! What an answer may cost, and who watches it being found.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one answer may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall-clock time of the search; `None`: [`Query::usual_time`](super::Query::usual_time).
    pub time: Option<Duration>,
    /// Bytes.
    pub memory: u64,
    /// Of everything random.
    pub seed: u64,
    /// Where finished samples are kept, so that a run that was stopped goes on from there (robustness).
    pub journal: Option<PathBuf>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: None, memory: 3_000_000_000, seed: 0, journal: None }
    }
}

/// Is told what is being done. It may be called from any thread, and often.
pub trait Watch: Sync {
    /// Something is begun.
    fn step(&self, what: &str);

    /// So many of the samples are finished.
    fn finished(&self, samples: usize, of: usize);
}

/// Nobody watches.
impl Watch for () {
    fn step(&self, _: &str) {}

    fn finished(&self, _: usize, _: usize) {}
}
