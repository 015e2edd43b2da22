//! Two certificates side by side.

use std::fmt;

use serde::Serialize;
use tabled::builder::Builder;

use super::audit::{Change, Direction};
use super::visible;

/// What changed from one certificate to another, by what each states.
#[derive(Debug, Serialize)]
pub struct DiffReport {
    pub old: String,
    pub new: String,
    /// Are both about the same model file?
    pub same_model: bool,
    pub changes: Vec<Change>,
    /// Claims that are worse by more than what was allowed; only where that was asked.
    pub regressions: Vec<String>,
}

impl fmt::Display for DiffReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.same_model { "the same model" } else { "different models" };
        writeln!(f, "{} → {} ({about})", visible(&self.old), visible(&self.new))?;
        let mut table = Builder::default();
        table.push_record(["claim", "figure", "before", "after", "change", ""]);
        for change in &self.changes {
            let dash = |text: &Option<String>| text.as_deref().map_or_else(|| "–".to_owned(), visible);
            let direction = match change.direction {
                Direction::Better => "better",
                Direction::Same => "same",
                Direction::Worse => "worse",
                Direction::Added => "added",
                Direction::Removed => "removed",
                Direction::Incomparable => "not comparable",
            };
            let cells =
                [visible(&change.claim), change.figure.clone(), dash(&change.old), dash(&change.new), dash(&change.change)];
            table.push_record(cells.into_iter().chain([direction.to_owned()]));
        }
        writeln!(f, "{}", super::screen::table(table))?;
        for change in &self.changes {
            if let Some(detail) = &change.detail {
                writeln!(f, "{}: {}", visible(&change.claim), visible(detail))?;
            }
        }
        self.regressions.iter().try_for_each(|claim| writeln!(f, "regression: {}", visible(claim)))
    }
}
