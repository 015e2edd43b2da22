//! Reading a model file, compressed or not, and naming it by its digest.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::decode::MAX_MODEL_BYTES;
use super::error::{FormatError, LoadError};
use super::external::ExternalData;

/// The bytes of a model.
#[derive(Clone, Debug)]
pub struct ModelSource {
    bytes: Vec<u8>,
    directory: Option<PathBuf>,
    digest: String,
}

impl ModelSource {
    /// Reads a model file; one compressed with gzip is recognised by its contents. External data is looked for in the
    /// directory of `path`.
    ///
    /// # Errors
    /// [`LoadError::Io`]; [`LoadError::Format`] when the file, decompressed, is larger than 2 GiB or does not decompress.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let failed = |error| LoadError::Io { path: path.to_path_buf(), error };
        Self::from_file(crate::files::open(path).map_err(failed)?, path)
    }

    /// The same for a file that is open; `path` is where it lies.
    ///
    /// # Errors
    /// As for [`ModelSource::open`].
    pub fn from_file(file: File, path: &Path) -> Result<Self, LoadError> {
        let failed = |error| LoadError::Io { path: path.to_path_buf(), error };
        if file.metadata().map_err(failed)?.len() > MAX_MODEL_BYTES {
            return Err(FormatError::Limit { what: "the model file", limit: MAX_MODEL_BYTES, unit: "bytes" }.into());
        }
        let bytes = read(BufReader::with_capacity(1 << 16, file), MAX_MODEL_BYTES).map_err(|error| match error {
            ReadError::Io(error) => failed(error),
            ReadError::Format(error) => error.into(),
        })?;
        // The parent of a bare file name is the empty path, which nothing can be looked up in.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self::new(bytes, Some(parent.to_path_buf())))
    }

    /// A model in memory, compressed or not; it has no directory, so external data is an error.
    ///
    /// # Errors
    /// [`LoadError::Format`], as for [`ModelSource::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        match read(bytes, MAX_MODEL_BYTES) {
            Ok(bytes) => Ok(Self::new(bytes, None)),
            Err(ReadError::Format(error)) => Err(error.into()),
            Err(ReadError::Io(error)) => Err(FormatError::Damaged { detail: error.to_string() }.into()),
        }
    }

    fn new(bytes: Vec<u8>, directory: Option<PathBuf>) -> Self {
        let digest = hexadecimal(&Sha256::digest(&bytes));
        Self { bytes, directory, digest }
    }

    /// The model, decompressed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of [`ModelSource::bytes`], in lower-case hexadecimal digits. External files have digests of their own.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// A reader for the model's external data.
    #[must_use]
    pub fn external_data(&self) -> ExternalData {
        ExternalData::new(self.directory.clone())
    }
}

#[derive(Debug)]
enum ReadError {
    Io(std::io::Error),
    Format(FormatError),
}

/// Everything, decompressed, at most `limit` bytes. What is allocated follows what was read, never what a header claims.
fn read(mut input: impl std::io::BufRead, limit: u64) -> Result<Vec<u8>, ReadError> {
    let mut start = Vec::new();
    input.by_ref().take(2).read_to_end(&mut start).map_err(ReadError::Io)?;
    let compressed = start == [0x1f, 0x8b];
    let input = std::io::Cursor::new(start).chain(input);
    let mut bytes = Vec::new();
    if compressed {
        let mut decoder = MultiGzDecoder::new(input).take(limit.saturating_add(1));
        let detail = |error: std::io::Error| ReadError::Format(FormatError::Compression { detail: error.to_string() });
        decoder.read_to_end(&mut bytes).map_err(detail)?;
    } else {
        input.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    }
    if bytes.len() as u64 > limit {
        let what = if compressed { "the decompressed model" } else { "the model file" };
        return Err(ReadError::Format(FormatError::Limit { what, limit, unit: "bytes" }));
    }
    Ok(bytes)
}

/// Lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compression_does_not_change_bytes_or_digest() {
        let plain = ModelSource::from_bytes(b"abc").unwrap();
        let compressed = ModelSource::from_bytes(&gzip(b"abc")).unwrap();
        assert_eq!(plain.bytes(), compressed.bytes());
        assert_eq!(plain.digest(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(plain.digest(), compressed.digest());
        let members = [gzip(b"ab"), gzip(b"c")].concat();
        assert_eq!(ModelSource::from_bytes(&members).unwrap().bytes(), b"abc");
        assert_eq!(ModelSource::from_bytes(&[]).unwrap().bytes(), b"");
        assert_eq!(ModelSource::from_bytes(&[0x1f]).unwrap().bytes(), [0x1f]);
    }

    #[test]
    fn a_gzip_bomb_is_stopped_at_the_limit() {
        let bomb = gzip(&vec![0; 1 << 24]);
        assert!(bomb.len() < 1 << 15);
        let error = read(&bomb[..], 1 << 20).unwrap_err();
        assert!(matches!(error, ReadError::Format(FormatError::Limit { what: "the decompressed model", .. })));
        assert_eq!(read(&bomb[..], 1 << 24).unwrap().len(), 1 << 24);
        assert!(matches!(read(&[0; 11][..], 10), Err(ReadError::Format(FormatError::Limit { .. }))));
    }

    #[test]
    fn damaged_compression_is_an_error() {
        let whole = gzip(b"some bytes of a model");
        for length in 2..whole.len() {
            let error = ModelSource::from_bytes(&whole[..length]).unwrap_err();
            assert!(matches!(error, LoadError::Format(FormatError::Compression { .. })), "{length}: {error}");
        }
        let mut flipped = whole.clone();
        let crc = flipped.len() - 6;
        flipped[crc] ^= 1;
        assert!(ModelSource::from_bytes(&flipped).is_err());
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let directory = tempfile::TempDir::new().unwrap();
        let missing = ModelSource::open(&directory.path().join("none.onnx")).unwrap_err().to_string();
        assert!(missing.contains("none.onnx"), "{missing}");
        assert!(ModelSource::open(directory.path()).unwrap_err().to_string().contains("it is a directory"));
        let path = directory.path().join("m.onnx");
        std::fs::write(&path, gzip(b"abc")).unwrap();
        let source = ModelSource::open(&path).unwrap();
        assert_eq!((source.bytes(), source.directory.as_deref()), (&b"abc"[..], Some(directory.path())));
    }
}
