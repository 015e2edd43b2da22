//! When work has to stop: a point in time, or a request that ends everything that runs in the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// A point in time, or none. Checked between steps that are not interrupted; a request to stop passes every deadline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deadline(Option<Instant>);

/// The time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time limit was reached")]
pub struct TimedOut;

static STOPPED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Returns the request to stop: once it is set, every [`Deadline`] of the process has passed, and what was found until then is
/// told as at a time limit.
#[must_use]
pub fn stop_request() -> Arc<AtomicBool> {
    Arc::clone(&STOPPED)
}

impl Deadline {
    /// Never, unless a stop is requested.
    pub const NONE: Self = Self(None);

    /// Returns the point in time so long from now on. A limit beyond the clock's range is none.
    #[must_use]
    pub fn after(limit: Option<Duration>) -> Self {
        Self(limit.and_then(|limit| Instant::now().checked_add(limit)))
    }

    #[must_use]
    pub fn has_passed(self) -> bool {
        STOPPED.load(Ordering::Relaxed) || self.0.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// # Errors
    /// [`TimedOut`], once it has passed.
    pub fn check(self) -> Result<(), TimedOut> {
        if self.has_passed() { Err(TimedOut) } else { Ok(()) }
    }

    /// Whether there is a point in time.
    #[must_use]
    pub const fn is_limited(self) -> bool {
        self.0.is_some()
    }

    /// Returns the time that is left; nothing, where there is no limit.
    #[must_use]
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Returns the deadline at this share of the time that is left.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        let now = Instant::now();
        Self(self.0.map(|deadline| now + deadline.saturating_duration_since(now).mul_f64(share.clamp(0.0, 1.0))))
    }

    /// Returns the deadline so much earlier.
    #[must_use]
    pub fn sooner(self, by: Duration) -> Self {
        Self(self.0.map(|deadline| deadline.checked_sub(by).unwrap_or(deadline)))
    }

    /// Returns the earlier of two deadlines.
    #[must_use]
    pub fn or_earlier(self, other: Self) -> Self {
        Self(self.0.into_iter().chain(other.0).min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_one_counts() {
        let (soon, late) = (Deadline::after(Some(Duration::ZERO)), Deadline::after(Some(Duration::from_secs(3600))));
        assert!(soon.has_passed() && !late.has_passed() && !Deadline::NONE.has_passed());
        assert!(late.or_earlier(soon).has_passed() && !late.or_earlier(Deadline::NONE).has_passed());
        assert!(late.share(0.0).has_passed() && !late.share(0.5).has_passed());
        assert!(late.share(0.5).remaining() < Some(Duration::from_secs(1801)));
        assert!(!Deadline::NONE.share(0.5).is_limited());
    }
}
