//! The files below one folder, reached without links: what somebody who may change a repository cannot lead out of it.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::kernel::files::{ReadError, contents, must_be_regular, word};

use super::identity::Identity;

/// A folder whose files may be used.
#[derive(Clone, Debug)]
pub struct Tree {
    folder: PathBuf,
    /// Files elsewhere, and links, may be used too.
    open: bool,
}

/// Why a file of a tree is not used.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("`{}` cannot be read: {source}", plain(path))]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` is, or lies behind, a symbolic link: `{}`", plain(path), plain(link))]
    Link { path: PathBuf, link: PathBuf },
    #[error("`{}` lies outside the policy's folder", plain(path))]
    Outside { path: PathBuf },
    #[error("`{}` is {kind}, not {expected}", plain(path))]
    Kind { path: PathBuf, kind: &'static str, expected: &'static str },
    #[error("`{}` is larger than the limit of {limit} bytes", plain(path))]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("`{}` was exchanged while it was opened", plain(path))]
    Exchanged { path: PathBuf },
}

/// A path as people write it.
fn plain(path: &Path) -> std::path::Display<'_> {
    path.strip_prefix(".").unwrap_or(path).display()
}

impl TreeError {
    /// Whether there is nothing at the path.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the path leads somewhere that `--allow-outside` allows.
    #[must_use]
    pub const fn is_outside(&self) -> bool {
        matches!(self, Self::Link { .. } | Self::Outside { .. })
    }
}

impl Tree {
    /// A tree of the files below a folder; `open` where files elsewhere may be used too.
    #[must_use]
    pub fn new(folder: &Path, open: bool) -> Self {
        Self { folder: folder.to_owned(), open }
    }

    /// Whether files elsewhere may be used too.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// Returns where a path leads that is relative to the folder. What does not exist yet is allowed.
    ///
    /// # Errors
    /// When it leads out of the folder or through a link.
    pub fn find(&self, path: &Path) -> Result<PathBuf, TreeError> {
        let named = self.folder.join(path);
        if self.open {
            return Ok(named);
        }
        let outside = || TreeError::Outside { path: named.clone() };
        let mut found = self.folder.clone();
        let mut depth = 0_usize;
        for component in path.components() {
            match component {
                Component::CurDir => {}
                // No part before it is a link, so that the way up is the way back.
                Component::ParentDir => {
                    depth = depth.checked_sub(1).ok_or_else(outside)?;
                    found.pop();
                }
                Component::RootDir | Component::Prefix(_) => return Err(outside()),
                Component::Normal(name) => {
                    depth += 1;
                    found.push(name);
                    match std::fs::symlink_metadata(&found) {
                        Ok(metadata) if metadata.is_symlink() => return Err(TreeError::Link { path: named, link: found }),
                        Err(source) if source.kind() != io::ErrorKind::NotFound => {
                            return Err(TreeError::Io { path: named, source });
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(found)
    }

    /// Returns where a regular file lies.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn file(&self, path: &Path) -> Result<PathBuf, TreeError> {
        let found = self.find(path)?;
        let metadata = std::fs::metadata(&found).map_err(|source| TreeError::Io { path: found.clone(), source })?;
        if !metadata.is_file() {
            return Err(TreeError::Kind { path: found, kind: word(metadata.file_type()), expected: "a regular file" });
        }
        Ok(found)
    }

    /// Returns where a folder lies or would lie.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn directory(&self, path: &Path) -> Result<PathBuf, TreeError> {
        let found = self.find(path)?;
        match std::fs::metadata(&found) {
            Ok(metadata) if !metadata.is_dir() => {
                Err(TreeError::Kind { path: found, kind: word(metadata.file_type()), expected: "a folder" })
            }
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(TreeError::Io { path: found, source }),
            _ => Ok(found),
        }
    }

    /// Opens a regular file. What was opened is what was looked at, or it is an error.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn open(&self, path: &Path) -> Result<File, TreeError> {
        let found = self.file(path)?;
        let failed = |source| TreeError::Io { path: found.clone(), source };
        let seen = if self.open { std::fs::metadata(&found) } else { std::fs::symlink_metadata(&found) };
        let seen = seen.map_err(failed)?;
        must_be_regular(&seen).map_err(failed)?;
        let file = File::open(&found).map_err(failed)?;
        let opened = file.metadata().map_err(failed)?;
        let same = Identity::new(&found, &seen).map_err(failed)? == Identity::new(&found, &opened).map_err(failed)?;
        // The folders on the way may have been exchanged as well.
        let again = self.find(path)?;
        let still = Identity::of(&again).map_err(failed)? == Identity::new(&found, &opened).map_err(failed)?;
        if same && still { Ok(file) } else { Err(TreeError::Exchanged { path: found }) }
    }

    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, TreeError> {
        let named = self.folder.join(path);
        contents(self.open(path)?, limit).map_err(|error| match error {
            ReadError::Io(source) => TreeError::Io { path: named, source },
            ReadError::TooLarge { limit } => TreeError::TooLarge { path: named, limit },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/f"), "f").unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        let tree = Tree::new(&root, false);
        (folder, tree)
    }

    #[test]
    fn the_way_up_ends_at_the_folder() {
        let (folder, tree) = tree();
        for path in ["a/f", "./a/f", "a/b/../f", "a/./b/../../a/f"] {
            assert_eq!(tree.read(Path::new(path), 9).unwrap(), b"f", "{path}");
        }
        for path in ["../secret", "a/../../secret", "a/b/../../../root/a/f", folder.path().join("root/a/f").to_str().unwrap()] {
            assert!(matches!(tree.read(Path::new(path), 9), Err(TreeError::Outside { .. })), "{path}");
        }
        assert!(matches!(tree.read(Path::new("a"), 9), Err(TreeError::Kind { kind: "a directory", .. })));
        assert!(tree.read(Path::new("a/none"), 9).unwrap_err().is_missing());
        assert!(matches!(tree.read(Path::new("a/f"), 0), Err(TreeError::TooLarge { .. })));
        assert!(matches!(tree.directory(Path::new("a/f")), Err(TreeError::Kind { kind: "a regular file", .. })));
        assert!(tree.directory(Path::new("new/one")).is_ok());
        let open = Tree::new(&folder.path().join("root"), true);
        assert_eq!(open.read(Path::new("../secret"), 9).unwrap(), b"s");
    }

    #[cfg(unix)]
    #[test]
    fn no_part_of_the_way_is_a_link() {
        use std::os::unix::fs::symlink;
        let (folder, tree) = tree();
        let root = folder.path().join("root");
        symlink("a", root.join("l")).unwrap();
        symlink("f", root.join("a/g")).unwrap();
        symlink("none", root.join("a/dangling")).unwrap();
        symlink(folder.path(), root.join("out")).unwrap();
        for path in ["l/f", "a/g", "a/dangling", "l/../a/f", "out/secret", "out/root/a/f"] {
            assert!(matches!(tree.read(Path::new(path), 9), Err(TreeError::Link { .. })), "{path}");
            assert!(matches!(tree.directory(Path::new(path)), Err(TreeError::Link { .. })), "{path}");
        }
        let open = Tree::new(&root, true);
        assert_eq!(open.read(Path::new("l/f"), 9).unwrap(), b"f");
    }
}
