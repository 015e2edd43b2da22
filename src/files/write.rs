//! Writing a file, in whole or not at all, and never through a link.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use crate::kernel::files::word;

use super::identity::is_stream;

/// Attempts to find a name that nothing has.
const ATTEMPTS: u32 = 16;

/// Writes a file: under a new name in the same folder, which then takes the place of what was there.
///
/// # Errors
/// When the path leads through a link or to something that is no regular file, and when the file cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_and_keep(path, bytes).map(drop)
}

/// Writes a file as [`write()`] does, and returns it, open at its end.
///
/// # Errors
/// As for [`write()`].
pub fn write_and_keep(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let (folder, place) = match place(path)? {
        Place::File { folder, place } => (folder, place),
        Place::Stream(place) => {
            let mut stream = OpenOptions::new().write(true).open(&place)?;
            stream.write_all(bytes)?;
            return Ok(stream);
        }
    };
    let (partial, mut file) = create_new(&folder)?;
    let written = file.write_all(bytes).and_then(|()| std::fs::rename(&partial, &place));
    match written {
        Ok(()) => Ok(file),
        Err(error) => {
            // Best effort: what is reported is why the file could not be written.
            let _ = std::fs::remove_file(&partial);
            Err(error)
        }
    }
}

/// Finds out whether a file could be written, without writing it.
///
/// # Errors
/// As for [`write()`].
pub fn probe(path: &Path) -> io::Result<()> {
    if let Place::File { folder, .. } = place(path)? {
        let (partial, _) = create_new(&folder)?;
        std::fs::remove_file(partial)?;
    }
    Ok(())
}

/// Where a path leads that is to be written.
enum Place {
    /// A regular file, or nothing yet, in a folder.
    File { folder: PathBuf, place: PathBuf },
    /// A terminal or a pipe: nothing that is kept changes.
    Stream(PathBuf),
}

fn place(path: &Path) -> io::Result<Place> {
    let name = path.file_name().ok_or_else(|| io::Error::other("the path does not name a file"))?;
    let (folder, inside) = resolved(path.parent().unwrap_or(Path::new("")))?;
    let place = folder.join(name);
    match std::fs::symlink_metadata(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Place::File { folder, place }),
        Err(error) => Err(error),
        Ok(found) if found.is_file() => Ok(Place::File { folder, place }),
        Ok(found) => {
            let direct = is_stream(found.file_type());
            let through = found.is_symlink() && !inside && std::fs::metadata(&place).is_ok_and(|to| is_stream(to.file_type()));
            if direct || through {
                return Ok(Place::Stream(place));
            }
            Err(io::Error::other(format!("it is {}, not a regular file", word(found.file_type()))))
        }
    }
}

/// Creates a folder and those above it; no part below the current folder may be a link.
///
/// # Errors
/// When it leads through a link, or cannot be created.
pub fn create_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(resolved(path)?.0)
}

/// Removes a file, where there is one; of a link, the link.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a path to a file is what it seems: no part of it below the current folder, and not the file itself, is a link.
///
/// # Errors
/// The link, or why the path cannot be followed.
pub fn must_not_be_linked(path: &Path) -> io::Result<()> {
    resolved(path.parent().unwrap_or(Path::new("")))?;
    if std::fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::Error::other("it is a symbolic link"));
    }
    Ok(())
}

/// Returns the folder that a path leads to, and whether it lies below the current one. There no part may be a link: whoever may
/// change the files of a checkout must not choose where outputs go. Elsewhere links are those of the machine.
fn resolved(path: &Path) -> io::Result<(PathBuf, bool)> {
    let here = std::env::current_dir()?.canonicalize()?;
    let mut found = if path.has_root() { PathBuf::new() } else { here.clone() };
    for component in path.components() {
        match component {
            Component::Prefix(_) | Component::RootDir => found.push(component),
            Component::CurDir => {}
            Component::ParentDir => drop(found.pop()),
            Component::Normal(name) => {
                found.push(name);
                if !std::fs::symlink_metadata(&found).is_ok_and(|metadata| metadata.is_symlink()) {
                    continue;
                }
                if found.starts_with(&here) {
                    let link = found.strip_prefix(&here).unwrap_or(&found).display();
                    return Err(io::Error::other(format!("`{link}` is a symbolic link; name the folder that it leads to")));
                }
                found = found.canonicalize()?;
            }
        }
    }
    let inside = found.starts_with(&here);
    Ok((found, inside))
}

/// Creates a file under a name that nothing in the folder has and that nobody can foretell.
fn create_new(folder: &Path) -> io::Result<(PathBuf, File)> {
    let mut attempt = 0;
    loop {
        let mut name = OsString::from(".nnverify-");
        name.push(format!("{:016x}.partial", RandomState::new().build_hasher().finish()));
        let path = folder.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        write(&path, b"one").unwrap();
        let mut file = write_and_keep(&path, b"two").unwrap();
        file.write_all(b" and more").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two and more");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(folder.path(), b"x").unwrap_err().to_string().contains("it is a directory"));
        assert!(write(&folder.path().join("none/f"), b"x").is_err());
        assert!(write(Path::new("/"), b"x").is_err() && write(Path::new(""), b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn neither_links_nor_other_names_of_a_file_are_written_through() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("victim"), "as it was").unwrap();
        symlink("victim", at("link")).unwrap();
        symlink("none", at("dangling")).unwrap();
        std::fs::hard_link(at("victim"), at("hard")).unwrap();
        for name in ["link", "dangling"] {
            let error = write(&at(name), b"x").unwrap_err().to_string();
            assert!(error.contains("it is a symbolic link"), "{error}");
        }
        assert!(!at("none").exists());
        write(&at("hard"), b"x").unwrap();
        assert_eq!(std::fs::read_to_string(at("victim")).unwrap(), "as it was");
        // Terminals and pipes are no files.
        write(Path::new("/dev/null"), b"x").unwrap();
        assert!(!std::fs::symlink_metadata("/dev/null").unwrap().is_file());
        symlink("/dev/null", at("null")).unwrap();
        write(&at("null"), b"x").unwrap();
        assert!(std::fs::symlink_metadata(at("null")).unwrap().is_symlink());
    }
}
