//! When a pass has to stop.

use std::time::{Duration, Instant};

/// A point in time, or none. Checked between steps that are not interrupted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deadline(Option<Instant>);

/// The time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time limit was reached")]
pub struct TimedOut;

impl Deadline {
    /// Never.
    pub const NONE: Self = Self(None);

    /// From now on. A limit beyond the clock's range is none.
    #[must_use]
    pub fn after(limit: Option<Duration>) -> Self {
        Self(limit.and_then(|limit| Instant::now().checked_add(limit)))
    }

    #[must_use]
    pub fn has_passed(self) -> bool {
        self.0.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// # Errors
    /// [`TimedOut`], once it has passed.
    pub fn check(self) -> Result<(), TimedOut> {
        if self.has_passed() { Err(TimedOut) } else { Ok(()) }
    }
}
