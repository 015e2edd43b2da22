//! NumPy's `.npz`: a ZIP archive of `.npy` members, stored or deflated (APPNOTE 6.3, with the ZIP64 fields that NumPy writes).

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::array::Array;
use super::error::{DataError, Problem};
use super::npy::read_npy;
use super::source::Source;

const FORMAT: &str = "a ZIP archive of arrays";
const MAX_MEMBERS: usize = 1 << 16;

/// An open archive; members are decompressed when they are asked for.
pub struct Npz {
    path: PathBuf,
    digest: String,
    bytes: Vec<u8>,
    members: Vec<Member>,
}

struct Member {
    key: String,
    method: u16,
    crc: u32,
    compressed: usize,
    size: usize,
    /// Where the local header begins.
    header: usize,
}

impl Npz {
    /// Reads an archive's directory.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Self::from_source(Source::open(path, Source::LIMIT)?)
    }

    /// The same from a file that was read already.
    ///
    /// # Errors
    /// As for [`Npz::open`].
    pub fn from_source(source: Source) -> Result<Self, DataError> {
        let members = directory(&source.bytes).map_err(|detail| Problem::malformed(FORMAT, detail).at(&source.path))?;
        Ok(Self { path: source.path, digest: source.digest, bytes: source.bytes, members })
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the arrays, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.key.as_str())
    }

    /// The array of a name.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn get(&self, key: &str) -> Result<Array, DataError> {
        let Some(member) = self.members.iter().find(|member| member.key == key) else {
            return Err(Problem::NoSuchKey(self.keys().map(str::to_owned).collect()).at_key(&self.path, key));
        };
        self.contents(member).and_then(|bytes| read_npy(&bytes)).map_err(|problem| problem.at_key(&self.path, key))
    }

    fn contents(&self, member: &Member) -> Result<Vec<u8>, Problem> {
        let broken = |detail: &str| Problem::malformed(FORMAT, detail);
        let local = Fields(self.bytes.get(member.header..).unwrap_or_default());
        if local.u32(0) != Some(0x0403_4b50) {
            return Err(broken("a member's header is missing"));
        }
        let lengths = local.u16(26).zip(local.u16(28)).ok_or_else(|| broken("a member's header is cut short"))?;
        // Names and extra fields are at most 64 KiB each: no overflow.
        let start = 30 + usize::from(lengths.0) + usize::from(lengths.1);
        let end = start.checked_add(member.compressed).ok_or_else(|| broken("a member's size overflows"))?;
        let packed = local.0.get(start..end).ok_or_else(|| broken("a member is cut short"))?;
        if member.size as u64 > Source::LIMIT {
            return Err(Problem::TooLarge { limit: Source::LIMIT });
        }
        let bytes = match member.method {
            0 => packed.to_vec(),
            8 => {
                let mut bytes = Vec::new();
                let mut decoder = DeflateDecoder::new(packed).take(member.size as u64 + 1);
                decoder.read_to_end(&mut bytes).map_err(|error| Problem::Compression(error.to_string()))?;
                bytes
            }
            method => return Err(broken(&format!("compression method {method} is not supported"))),
        };
        let mut crc = Crc::new();
        crc.update(&bytes);
        if bytes.len() != member.size || crc.sum() != member.crc {
            return Err(Problem::Compression("size or check sum differ from the directory's".to_owned()));
        }
        Ok(bytes)
    }
}

/// Little-endian fields of a record; `None` beyond its end.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }
    fn u16(self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_le_bytes)
    }
    fn u32(self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_le_bytes)
    }
    /// A 32-bit size or offset.
    fn size(self, at: usize) -> Option<usize> {
        self.u32(at).map(|value| value as usize)
    }
}

/// The members that the central directory lists.
fn directory(bytes: &[u8]) -> Result<Vec<Member>, String> {
    // The end record is the last thing in the file but for a comment of at most 64 KiB.
    let first = bytes.len().saturating_sub(22 + 0xffff);
    let end = bytes[first..]
        .windows(4)
        .rposition(|window| window == b"PK\x05\x06")
        .map(|position| first + position)
        .ok_or("the end of the directory is missing")?;
    let record = Fields(&bytes[end..]);
    let cut = "the end of the directory is cut short";
    let count = usize::from(record.u16(10).ok_or(cut)?);
    let mut at = record.size(16).ok_or(cut)?;
    if count == 0xffff || count > MAX_MEMBERS {
        return Err("too many members".to_owned());
    }
    let mut members: Vec<Member> = Vec::new();
    let mut keys = std::collections::HashSet::new();
    for _ in 0..count {
        let entry = Fields(bytes.get(at..).unwrap_or_default());
        let (member, length) = member(entry).ok_or("the directory is cut short")??;
        // Two arrays of one name: readers would disagree on which one counts.
        if !keys.insert(member.key.clone()) {
            return Err(format!("two members are called `{}`", crate::files::token(&member.key)));
        }
        members.push(member);
        at = at.saturating_add(length);
    }
    Ok(members)
}

/// One entry of the central directory and its length; `None` where it is cut short.
fn member(entry: Fields<'_>) -> Option<Result<(Member, usize), String>> {
    if entry.u32(0)? != 0x0201_4b50 {
        return Some(Err("an entry of the directory is missing".to_owned()));
    }
    let [name, extra, comment] = [28, 30, 32].map(|at| entry.u16(at).map(usize::from));
    let (name, extra, comment) = (name?, extra?, comment?);
    let text = String::from_utf8_lossy(entry.0.get(46..46 + name)?).into_owned();
    let mut sizes = [entry.size(24)?, entry.size(20)?, entry.size(42)?];
    // ZIP64: the fields that are all ones stand in an extra field, in this order.
    let mut extras = entry.0.get(46 + name..46 + name + extra)?;
    while let (Some(id), Some(length)) = (Fields(extras).u16(0), Fields(extras).u16(2)) {
        let body = extras.get(4..4 + usize::from(length))?;
        if id == 1 {
            let mut wide = body.chunks_exact(8);
            for size in sizes.iter_mut().filter(|size| **size == 0xffff_ffff) {
                *size = usize::try_from(Fields(wide.next()?).bytes(0).map(u64::from_le_bytes)?).ok()?;
            }
        }
        extras = &extras[4 + usize::from(length)..];
    }
    if entry.u16(8)? & 1 != 0 {
        return Some(Err(format!("`{}` is encrypted", crate::files::token(&text))));
    }
    let [size, compressed, header] = sizes;
    let key = text.strip_suffix(".npy").unwrap_or(&text).to_owned();
    let member = Member { key, method: entry.u16(10)?, crc: entry.u32(16)?, compressed, size, header };
    Some(Ok((member, 46 + name + extra + comment)))
}
