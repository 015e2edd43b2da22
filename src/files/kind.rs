//! What lies at a path, and whether two paths lead to one file.

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

/// What a file that is not regular is, in words.
pub(super) fn word(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_dir() {
        "a directory"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_file() {
        "a regular file"
    } else {
        "something else"
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
