//! External data: tensors whose values lie in files beside the model.
//!
//! The model says which file, so a model can try to make its reader open any file. Policy: a relative path below the model's
//! directory, no way up, no links, regular files only. Every file is read once, and its digest is kept, so that what was
//! verified can be named.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::error::{ExternalError, TensorError};
use super::proto::StringStringEntryProto;
use super::source::hexadecimal;

/// Bound on the size of all external files of a model together, and on the bytes that its tensors take from them.
pub const MAX_EXTERNAL_BYTES: u64 = 4 << 30;
/// Bound on the elements of all tensors of a model together.
pub const MAX_TOTAL_ELEMENTS: u64 = 1 << 29;

/// One external file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalFile {
    /// The path relative to the model's directory, parts separated by `/`.
    pub location: String,
    /// SHA-256 of the whole file, in lower-case hexadecimal digits.
    pub digest: String,
}

/// Reads the external files of one model, each once, and counts what its tensors take.
#[derive(Debug)]
pub struct ExternalData {
    directory: Option<PathBuf>,
    files: BTreeMap<String, Contents>,
    /// Bytes that may still be read from files.
    unread: u64,
    /// Bytes that tensors may still take: many tensors can name the same bytes.
    untaken: u64,
    elements: u64,
}

#[derive(Debug)]
struct Contents {
    bytes: Arc<Vec<u8>>,
    digest: String,
    /// SHA-1, once a tensor has stated one: every tensor of the file may.
    checksum: OnceLock<String>,
}

/// Where the values of a tensor lie.
struct Place<'a> {
    location: &'a str,
    offset: u64,
    length: Option<u64>,
    checksum: Option<&'a str>,
}

impl ExternalData {
    /// External files are looked for in `directory`; without one, any use of external data is an error.
    #[must_use]
    pub fn new(directory: Option<PathBuf>) -> Self {
        Self {
            directory,
            files: BTreeMap::new(),
            unread: MAX_EXTERNAL_BYTES,
            untaken: MAX_EXTERNAL_BYTES,
            elements: MAX_TOTAL_ELEMENTS,
        }
    }

    /// The files read so far, sorted by location.
    #[must_use]
    pub fn files(&self) -> Vec<ExternalFile> {
        let file = |(location, contents): (&String, &Contents)| ExternalFile {
            location: location.clone(),
            digest: contents.digest.clone(),
        };
        self.files.iter().map(file).collect()
    }

    /// Counts the elements of a tensor before it is built.
    pub(super) fn take_elements(&mut self, count: usize) -> Result<(), TensorError> {
        let left = self.elements.checked_sub(count as u64).ok_or(TensorError::Budget { limit: MAX_TOTAL_ELEMENTS })?;
        self.elements = left;
        Ok(())
    }

    /// The bytes of a tensor that needs `needed` of them, and where they begin in the file that holds them.
    ///
    /// The range has the length that the model states, or else reaches to the end of the file; the caller compares it with
    /// `needed`. A tensor without elements needs no file.
    pub fn read(&mut self, entries: &[StringStringEntryProto], needed: usize) -> Result<ExternalBytes, ExternalError> {
        let place = Place::parse(entries)?;
        if needed == 0 && place.length.unwrap_or(0) == 0 {
            if !place.location.is_empty() {
                parts(place.location)?;
            }
            return Ok(ExternalBytes { file: Arc::default(), start: 0, end: 0 });
        }
        if place.location.is_empty() {
            return Err(ExternalError::MissingKey("location"));
        }
        let parts = parts(place.location)?;
        let location = parts.join("/");
        if !self.files.contains_key(&location) {
            let contents = self.load(&parts, &location)?;
            self.files.insert(location.clone(), contents);
        }
        let Some(contents) = self.files.get(&location) else { return Err(ExternalError::Missing { location }) };
        let file = Arc::clone(&contents.bytes);
        if let Some(stated) = place.checksum {
            let checksum = contents.checksum.get_or_init(|| hexadecimal(&Sha1::digest(file.as_slice())));
            if !stated.eq_ignore_ascii_case(checksum) {
                return Err(ExternalError::Checksum { location });
            }
        }
        let size = file.len() as u64;
        let length = place.length.unwrap_or_else(|| size.saturating_sub(place.offset));
        let outside = || ExternalError::OutOfFile { location: location.clone(), offset: place.offset, length, size };
        let end = place.offset.checked_add(length).filter(|&end| end <= size).ok_or_else(outside)?;
        let (start, end) = usize::try_from(place.offset).ok().zip(usize::try_from(end).ok()).ok_or_else(outside)?;
        self.untaken = self.untaken.checked_sub(length).ok_or(ExternalError::TooLarge { limit: MAX_EXTERNAL_BYTES })?;
        Ok(ExternalBytes { file, start, end })
    }

    fn load(&mut self, parts: &[&str], location: &str) -> Result<Contents, ExternalError> {
        let named = || location.to_owned();
        let directory = self.directory.as_deref().ok_or_else(|| ExternalError::NoDirectory { location: named() })?;
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => ExternalError::Missing { location: named() },
            _ => ExternalError::Read { location: named(), detail: error.to_string() },
        };
        let path = resolve(directory, parts, location).map_err(|refusal| match refusal {
            Refusal::Io(error) => failed(error),
            Refusal::Policy(error) => error,
        })?;
        let file = File::open(&path).map_err(failed)?;
        // The file may have been exchanged since its path was looked at: what was opened must be a regular file too.
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(ExternalError::Location { location: named(), reason: "it is not a regular file" });
        }
        if metadata.len() > self.unread {
            return Err(ExternalError::TooLarge { limit: MAX_EXTERNAL_BYTES });
        }
        let mut bytes = Vec::new();
        file.take(self.unread.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        let too_large = ExternalError::TooLarge { limit: MAX_EXTERNAL_BYTES };
        self.unread = self.unread.checked_sub(bytes.len() as u64).ok_or(too_large)?;
        let digest = hexadecimal(&Sha256::digest(&bytes));
        Ok(Contents { bytes: Arc::new(bytes), digest, checksum: OnceLock::new() })
    }
}

/// A range of an external file.
pub struct ExternalBytes {
    file: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl ExternalBytes {
    pub fn as_slice(&self) -> &[u8] {
        self.file.get(self.start..self.end).unwrap_or_default()
    }
}

impl<'a> Place<'a> {
    fn parse(entries: &'a [StringStringEntryProto]) -> Result<Self, ExternalError> {
        let mut known = [("location", None), ("offset", None), ("length", None), ("checksum", None)];
        for entry in entries {
            // Other keys are allowed and have no meaning here.
            if let Some((_, value)) = known.iter_mut().find(|(key, _)| *key == entry.key)
                && value.replace(entry.value.as_str()).is_some()
            {
                return Err(ExternalError::DuplicateKey(entry.key.clone()));
            }
        }
        let [(_, location), offset, length, (_, checksum)] = known;
        let number = |(key, value): (&'static str, Option<&str>)| {
            let parse = |value: &str| match value.parse::<u64>() {
                Ok(number) if value.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
                _ => Err(ExternalError::NotANumber { key, value: value.to_owned() }),
            };
            value.map(parse).transpose()
        };
        Ok(Self {
            location: location.unwrap_or_default(),
            offset: number(offset)?.unwrap_or(0),
            length: number(length)?,
            checksum: checksum.filter(|checksum| !checksum.is_empty()),
        })
    }
}

/// The parts of an allowed location, without those that stay in place (`.`).
fn parts(location: &str) -> Result<Vec<&str>, ExternalError> {
    let refused = |reason| ExternalError::Location { location: location.to_owned(), reason };
    if location.starts_with('/') {
        return Err(refused("the path is absolute"));
    }
    if location.contains(['\\', ':']) {
        return Err(refused("backslashes, drive letters and streams are not portable"));
    }
    if location.contains(char::is_control) {
        return Err(refused("the path contains a control character"));
    }
    let parts: Vec<&str> = location.split('/').filter(|part| *part != ".").collect();
    if parts.contains(&"..") {
        return Err(refused("the path leaves the model's directory"));
    }
    if parts.is_empty() || parts.iter().any(|part| part.is_empty()) {
        return Err(refused("the path does not name a file"));
    }
    Ok(parts)
}

enum Refusal {
    Io(std::io::Error),
    Policy(ExternalError),
}

/// The path of the file, no part of which below `directory` is a link.
fn resolve(directory: &Path, parts: &[&str], location: &str) -> Result<PathBuf, Refusal> {
    let refused = |reason| Refusal::Policy(ExternalError::Location { location: location.to_owned(), reason });
    let mut path = directory.to_path_buf();
    for (index, part) in parts.iter().enumerate() {
        path.push(part);
        let kind = std::fs::symlink_metadata(&path).map_err(Refusal::Io)?.file_type();
        let last = index + 1 == parts.len();
        if kind.is_symlink() {
            return Err(refused("it is, or lies behind, a symbolic link"));
        }
        if last && !kind.is_file() {
            return Err(refused("it is not a regular file"));
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
