//! Reading a file whole, decompressed, within a limit, and naming it by its digest.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::error::{DataError, Problem};
use crate::files;

/// The bytes of a file, decompressed, and where they came from.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// SHA-256 of the file as it lies on disk, compressed or not, in lower-case hexadecimal digits.
    pub digest: String,
}

impl Source {
    /// The largest data file, decompressed.
    pub const LIMIT: u64 = 1 << 31;

    /// Reads a file of at most `limit` bytes; gzip is recognised by its contents.
    ///
    /// # Errors
    /// [`Problem::Io`], [`Problem::TooLarge`], [`Problem::Compression`].
    pub fn open(path: &Path, limit: u64) -> Result<Self, DataError> {
        let bytes = files::read(path, limit).map_err(|error| Problem::from(error).at(path))?;
        Self::from_bytes(path, bytes, limit)
    }

    /// The same for a file that is in memory; `path` is its name in messages.
    ///
    /// # Errors
    /// [`Problem::TooLarge`], [`Problem::Compression`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>, limit: u64) -> Result<Self, DataError> {
        let digest = hexadecimal(&Sha256::digest(&bytes));
        let bytes = decompressed(bytes, limit).map_err(|problem| problem.at(path))?;
        Ok(Self { path: path.to_owned(), bytes, digest })
    }
}

/// Everything, decompressed, at most `limit` bytes; what is allocated follows what is there, never what a header claims.
fn decompressed(packed: Vec<u8>, limit: u64) -> Result<Vec<u8>, Problem> {
    let bytes = if packed.starts_with(&[0x1f, 0x8b]) {
        let mut bytes = Vec::new();
        let mut decoder = MultiGzDecoder::new(&packed[..]).take(limit.saturating_add(1));
        decoder.read_to_end(&mut bytes).map_err(|error| Problem::Compression(error.to_string()))?;
        bytes
    } else {
        packed
    };
    if bytes.len() as u64 > limit { Err(Problem::TooLarge { limit }) } else { Ok(bytes) }
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn gzip_is_recognised_limited_and_checked() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![7; 1 << 20]).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(decompressed(packed.clone(), 1 << 20).unwrap().len(), 1 << 20);
        assert!(matches!(decompressed(packed.clone(), (1 << 20) - 1), Err(Problem::TooLarge { .. })));
        assert!(matches!(decompressed(packed[..packed.len() - 3].to_vec(), 1 << 20), Err(Problem::Compression(_))));
        assert_eq!(decompressed(Vec::new(), 4).unwrap(), b"");
        assert!(matches!(decompressed(vec![1; 5], 4), Err(Problem::TooLarge { limit: 4 })));
    }
}
