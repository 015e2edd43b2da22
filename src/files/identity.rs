//! Whether two paths lead to one file, and what can be written to without a trace.

use std::fs::{FileType, Metadata};
use std::io;
use std::path::Path;

/// Which file it is, whatever it is called: names that differ in case, links and folders do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    number: u64,
    #[cfg(not(unix))]
    path: std::path::PathBuf,
}

impl Identity {
    /// Returns the identity of what a path leads to, links followed.
    ///
    /// # Errors
    /// When there is nothing.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::new(path, &std::fs::metadata(path)?)
    }

    /// Returns the identity of what lies at a path; of a link, the link's own.
    ///
    /// # Errors
    /// When there is nothing.
    pub fn of_itself(path: &Path) -> io::Result<Self> {
        Self::new(path, &std::fs::symlink_metadata(path)?)
    }

    /// Returns the identity of what has these metadata and was found at the path.
    #[cfg(unix)]
    #[allow(clippy::unnecessary_wraps)] // it is not, elsewhere
    pub(super) fn new(_: &Path, metadata: &Metadata) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        Ok(Self { device: metadata.dev(), number: metadata.ino() })
    }

    /// Returns the identity of what has these metadata and was found at the path.
    #[cfg(not(unix))]
    pub(super) fn new(path: &Path, _: &Metadata) -> io::Result<Self> {
        Ok(Self { path: path.canonicalize()? })
    }
}

/// Whether writing to it changes nothing that is kept.
pub(super) fn is_stream(kind: FileType) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        kind.is_char_device() || kind.is_fifo()
    }
    #[cfg(not(unix))]
    {
        let _ = kind;
        false
    }
}
