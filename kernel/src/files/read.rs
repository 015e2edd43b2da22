//! Reading a file whole.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use super::kind::word;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("larger than the limit of {limit} bytes")]
    TooLarge { limit: u64 },
}

/// Opens a regular file; a link to one will do.
///
/// # Errors
/// When there is none, or it cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    // Looked at before it is opened: opening a pipe waits for whoever writes to it.
    must_be_regular(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    must_be_regular(&file.metadata()?)?;
    Ok(file)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// [`ReadError`].
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    contents(open(path)?, limit)
}

/// Reads the rest of an open file of at most `limit` bytes: one that states more is not read at all, and one that has more than
/// it states not beyond the limit.
///
/// # Errors
/// [`ReadError`].
pub fn contents(file: File, limit: u64) -> Result<Vec<u8>, ReadError> {
    if file.metadata()?.len() > limit {
        return Err(ReadError::TooLarge { limit });
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(ReadError::TooLarge { limit }) } else { Ok(bytes) }
}

/// Refuses what is no regular file.
///
/// # Errors
/// What it is.
pub fn must_be_regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(io::Error::other(format!("it is {}, not a regular file", word(metadata.file_type()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(ReadError::TooLarge { limit: 4 })));
        let error = read(folder.path(), 5).unwrap_err().to_string();
        assert!(error.contains("it is a directory"), "{error}");
        assert!(
            matches!(read(&folder.path().join("none"), 5), Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound)
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_has_no_end_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("zero")).unwrap();
        for path in [Path::new("/dev/zero"), Path::new("/dev/null"), &folder.path().join("zero")] {
            let error = read(path, 1 << 40).unwrap_err().to_string();
            assert!(error.contains("it is a device"), "{error}");
        }
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(read(&pipe, 1).unwrap_err().to_string().contains("it is a pipe"));
        let _held = std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap();
        assert!(read(&folder.path().join("s"), 1).unwrap_err().to_string().contains("it is a socket"));
        // A file that states no size and has contents.
        assert!(matches!(read(Path::new("/proc/self/maps"), 16), Err(ReadError::TooLarge { .. })));
    }
}
