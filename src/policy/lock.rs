//! The lock file beside a policy: SHA-256 of every file that the policy names, so that a reviewer sees when one changes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::files::{Tree, TreeError};

/// A lock file larger than this is refused unread.
const MAX_BYTES: u64 = 1 << 22;
const VERSION: u32 = 1;

/// Files and their digests, by their paths relative to the policy, as [`key`] writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock(pub BTreeMap<String, String>);

/// Why a lock file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(transparent)]
    File(#[from] TreeError),
    #[error("`{}`{}: {detail}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Text { path: PathBuf, line: Option<usize>, detail: &'static str },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    #[serde(default)]
    sha256: BTreeMap<String, String>,
}

impl Lock {
    /// The name of the lock file of a policy: `verify.lock` for `verify.toml`.
    #[must_use]
    pub fn name(policy: &Path) -> PathBuf {
        Path::new(policy.file_name().unwrap_or_default()).with_extension("lock")
    }

    /// Reads the lock file of this name; `None` where there is none.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn open(tree: &Tree, name: &Path) -> Result<Option<Self>, LockError> {
        match tree.read(name, MAX_BYTES) {
            Ok(bytes) => Self::parse(name, &bytes).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, LockError> {
        let wrong = |line, detail| LockError::Text { path: path.to_owned(), line, detail };
        let text = std::str::from_utf8(bytes).map_err(|_| wrong(None, "not UTF-8"))?;
        let contents: Contents = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            wrong(before.map(|text| text.matches('\n').count() + 1), "it is not what `verify gate --lock` writes")
        })?;
        if contents.version != VERSION {
            return Err(wrong(None, "it is of another version"));
        }
        if !contents.sha256.values().all(|digest| is_digest(digest)) {
            return Err(wrong(None, "a digest has 64 lower-case hexadecimal digits"));
        }
        Ok(Self(contents.sha256))
    }

    /// The lock file: sorted, and the same for the same files.
    #[must_use]
    pub fn to_text(&self, policy: &str) -> String {
        // A string of JSON is one of TOML, on one line, but for this character.
        let quoted = |text: &str| serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f");
        let mut text = format!(
            "# SHA-256 of every file that {} names; `verify gate --lock` writes it, and a file that changes shows here.\n\
             version = {VERSION}\n\n[sha256]\n",
            policy.escape_debug()
        );
        for (path, digest) in &self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} = {}", quoted(path), quoted(digest));
        }
        text
    }
}

/// A path relative to the policy as lock files write it: its parts joined by slashes, without those that stay in place.
#[must_use]
pub fn key(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if parts.last().is_some_and(|part| part != "..") => drop(parts.pop()),
            Component::RootDir => parts.push(String::new()),
            other => parts.push(other.as_os_str().to_string_lossy().into_owned()),
        }
    }
    parts.join("/")
}

/// Whether a text is SHA-256 as this program writes it.
pub(super) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_reads_back_and_is_the_same_twice() {
        let digest = |c: &str| c.repeat(64);
        let lock = Lock(
            [("b \"x\"\n\t\u{7f}\u{1}\\é\u{2028}.npz".to_owned(), digest("a")), ("a/m.onnx".to_owned(), digest("0"))].into(),
        );
        let text = lock.to_text("verify.toml");
        assert_eq!(Lock::parse(Path::new("verify.lock"), text.as_bytes()).unwrap(), lock);
        assert!(text.find("a/m.onnx") < text.find("b "), "{text}");
        assert_eq!(Lock::name(Path::new("x/verify.toml")), Path::new("verify.lock"));
        for (text, words) in [
            ("hunter2", "verify.lock`:1: it is not what"),
            ("version = 1\n[sha256]\na = \"hunter2\"\n", "64"),
            ("version = 1\nhunter2 = 1\n", "not what"),
            ("version = 2\n", "another version"),
            ("", "not what"),
        ] {
            let error = Lock::parse(Path::new("verify.lock"), text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn one_file_has_one_key() {
        for path in ["a/b.npz", "./a/b.npz", "a/./b.npz", "a/c/../b.npz"] {
            assert_eq!(key(Path::new(path)), "a/b.npz");
        }
        assert_eq!(
            (key(Path::new("../b")), key(Path::new("../../b")), key(Path::new("/a/b"))),
            ("../b".into(), "../../b".into(), "/a/b".into())
        );
    }
}
