//! How a share of right samples is shown.

use std::fmt;

use crate::query::figures::CleanAccuracy;

impl fmt::Display for CleanAccuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.right, self.samples)
    }
}
