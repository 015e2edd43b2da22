//! Samples that an earlier run finished.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::QueryError;
use crate::files;
use crate::kernel::read::data::Problem;
use crate::kernel::region::Method;
use crate::pass::robustness::SampleOutcome;

/// A journal larger than this is refused unread.
const MOST_JOURNAL_BYTES: u64 = 1 << 31;

/// Finished samples, in memory and, where it was asked for, in a file: a first line that names the query, then a line of
/// JSON for each sample. A kill can only cut the last line, which is then done again. Nothing in it is believed without the
/// checker.
pub struct Journal {
    pub finished: BTreeMap<usize, SampleOutcome>,
    file: Option<(PathBuf, std::fs::File)>,
    error: Option<std::io::Error>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    query: String,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    sample: usize,
    #[serde(flatten)]
    outcome: SampleOutcome,
}

impl Journal {
    /// Opens a journal that belongs to a query; without a path nothing is kept.
    ///
    /// # Errors
    /// A file of another query, or one that cannot be read or written.
    pub fn open(path: Option<&Path>, query: &str) -> Result<Self, QueryError> {
        let mut journal = Self { finished: BTreeMap::new(), file: None, error: None };
        let Some(path) = path else { return Ok(journal) };
        let foreign = || QueryError::AnotherJournal { path: path.to_owned() };
        let failed = |source| QueryError::Journal { path: path.to_owned(), source };
        let text = match files::read(path, MOST_JOURNAL_BYTES) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| foreign())?,
            Err(files::ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Problem::from(error).at(path).into()),
        };
        let header = serde_json::to_string(&Header { query: query.to_owned() }).map_err(|error| failed(error.into()))?;
        let mut kept = header + "\n";
        let mut lines = text.split_inclusive('\n');
        // The first line is never cut: it is written before the file has its name.
        if let Some(first) = lines.next() {
            let matches = serde_json::from_str::<Header>(first).is_ok_and(|header| header.query == query);
            if !matches {
                return Err(foreign());
            }
        }
        for line in lines.filter(|line| line.ends_with('\n')) {
            // What Lipschitz bounds or parts decided is decided again: the proofs are not kept here.
            let kept_here =
                |entry: &Entry| !matches!(entry.outcome, SampleOutcome::Robust { method: Method::Lipschitz | Method::Parts });
            if let Some(entry) = serde_json::from_str::<Entry>(line).ok().filter(kept_here) {
                journal.finished.insert(entry.sample, entry.outcome);
                kept.push_str(line);
            }
        }
        let file = files::write_and_keep(path, kept.as_bytes()).map_err(failed)?;
        journal.file = Some((path.to_owned(), file));
        Ok(journal)
    }

    /// Adds a finished sample.
    pub fn add(&mut self, sample: usize, outcome: &SampleOutcome) {
        if let Some((_, file)) = &mut self.file {
            let line = serde_json::to_string(&Entry { sample, outcome: outcome.clone() }).unwrap_or_default() + "\n";
            if let Err(error) = file.write_all(line.as_bytes()).and_then(|()| file.flush()) {
                self.error.get_or_insert(error);
            }
        }
        self.finished.insert(sample, outcome.clone());
    }

    /// Returns why finished samples are not kept, where some are not.
    pub fn problem(&mut self) -> Option<QueryError> {
        let path = self.file.as_ref().map(|(path, _)| path.clone())?;
        self.error.take().map(|source| QueryError::Journal { path, source })
    }
}
