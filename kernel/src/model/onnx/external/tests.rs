//! Path policy, limits and digests of external data.

use std::fs;

use tempfile::TempDir;

use super::*;

fn entries(pairs: &[(&str, &str)]) -> Vec<StringStringEntryProto> {
    pairs.iter().map(|(key, value)| StringStringEntryProto { key: (*key).into(), value: (*value).into() }).collect()
}

/// A directory with `w.bin` (the bytes 0..10) and `sub/v.bin`.
fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("w.bin"), (0..10).collect::<Vec<u8>>()).unwrap();
    fs::create_dir(directory.path().join("sub")).unwrap();
    fs::write(directory.path().join("sub/v.bin"), [7; 4]).unwrap();
    directory
}

fn read(directory: &TempDir, pairs: &[(&str, &str)]) -> Result<Vec<u8>, ExternalError> {
    let mut external = ExternalData::new(Some(directory.path().to_path_buf()));
    external.read(&entries(pairs), 4).map(|bytes| bytes.as_slice().to_vec())
}

#[test]
fn ranges_are_cut_out_and_files_read_once() {
    let directory = directory();
    let mut external = ExternalData::new(Some(directory.path().to_path_buf()));
    let first = external.read(&entries(&[("location", "w.bin"), ("offset", "2"), ("length", "3")]), 3).unwrap();
    assert_eq!(first.as_slice(), [2, 3, 4]);
    fs::remove_file(directory.path().join("w.bin")).unwrap();
    let rest = external.read(&entries(&[("location", "./w.bin"), ("offset", "8")]), 2).unwrap();
    assert_eq!(rest.as_slice(), [8, 9]);
    external.read(&entries(&[("location", "sub/v.bin"), ("other", "x")]), 4).unwrap();
    let files = external.files();
    assert_eq!(files.iter().map(|f| f.location.as_str()).collect::<Vec<_>>(), ["sub/v.bin", "w.bin"]);
    assert_eq!(files[1].digest, "1f825aa2f0020ef7cf91dfa30da4668d791c5d4824fc8e41354b89ec05795ab3");
}

#[test]
fn locations_outside_the_directory_are_refused() {
    let directory = directory();
    for location in
        ["../w.bin", "sub/../w.bin", "/etc/passwd", "..", ".", "sub//v.bin", "sub/", "sub", "a\\b", "C:w.bin", "w.bin\0", "\n"]
    {
        let error = read(&directory, &[("location", location)]).unwrap_err();
        assert!(matches!(error, ExternalError::Location { .. }), "{location:?}: {error}");
    }
    assert_eq!(read(&directory, &[("offset", "0")]), Err(ExternalError::MissingKey("location")));
    assert!(matches!(read(&directory, &[("location", "none.bin")]), Err(ExternalError::Missing { .. })));
    assert!(matches!(read(&directory, &[("location", "w.bin/x")]), Err(ExternalError::Read { .. })));
}

#[cfg(unix)]
#[test]
fn links_are_refused_wherever_they_lead() {
    use std::os::unix::fs::symlink;
    let directory = directory();
    symlink(directory.path().join("w.bin"), directory.path().join("link.bin")).unwrap();
    symlink(directory.path().join("sub"), directory.path().join("linked")).unwrap();
    for location in ["link.bin", "linked/v.bin"] {
        assert!(matches!(read(&directory, &[("location", location)]), Err(ExternalError::Location { .. })), "{location}");
    }
}

#[test]
fn ranges_outside_the_file_are_refused() {
    let directory = directory();
    let (max, w) = (u64::MAX.to_string(), ("location", "w.bin"));
    for (offset, length) in [("0", "11"), ("10", "1"), ("11", "0"), (&max, "1"), ("1", &max), (&max, &max)] {
        let error = read(&directory, &[w, ("offset", offset), ("length", length)]).unwrap_err();
        assert!(matches!(error, ExternalError::OutOfFile { .. }), "{offset}+{length}: {error}");
    }
    assert!(matches!(read(&directory, &[w, ("offset", "11")]), Err(ExternalError::OutOfFile { .. })));
    for number in ["-1", "+1", "1e3", "", " 1", "18446744073709551616"] {
        assert!(matches!(read(&directory, &[w, ("offset", number)]), Err(ExternalError::NotANumber { .. })), "{number:?}");
    }
    assert_eq!(read(&directory, &[w, ("offset", "0"), ("offset", "1")]), Err(ExternalError::DuplicateKey("offset".into())));
}

#[test]
fn a_stated_checksum_must_hold() {
    let directory = directory();
    let sum = "494179714a6cd627239dfededf2de9ef994caf03";
    assert!(read(&directory, &[("location", "w.bin"), ("checksum", sum)]).is_ok());
    assert!(read(&directory, &[("location", "w.bin"), ("checksum", &sum.to_uppercase())]).is_ok());
    let error = read(&directory, &[("location", "w.bin"), ("checksum", "00")]).unwrap_err();
    assert!(matches!(error, ExternalError::Checksum { .. }));
}

#[test]
fn a_tensor_without_bytes_needs_no_file() {
    let mut external = ExternalData::new(None);
    for pairs in [&[][..], &[("location", "")], &[("location", "none.bin")], &[("location", "none.bin"), ("length", "0")]] {
        assert!(external.read(&entries(pairs), 0).unwrap().as_slice().is_empty());
    }
    assert!(external.read(&entries(&[("location", "../w.bin")]), 0).is_err());
    assert!(external.files().is_empty());
    let error = external.read(&entries(&[("location", "w.bin")]), 4).err();
    assert_eq!(error, Some(ExternalError::NoDirectory { location: "w.bin".into() }));
}

#[test]
fn limits_hold_over_all_files_and_tensors() {
    let directory = directory();
    let mut external = ExternalData::new(Some(directory.path().to_path_buf()));
    external.unread = 12;
    external.untaken = 15;
    let w = entries(&[("location", "w.bin")]);
    external.read(&w, 10).unwrap();
    assert!(matches!(external.read(&w, 10), Err(ExternalError::TooLarge { .. })));
    let v = entries(&[("location", "sub/v.bin")]);
    assert!(matches!(external.read(&v, 4), Err(ExternalError::TooLarge { .. })));
    external.elements = 3;
    external.take_elements(2).unwrap();
    assert!(external.take_elements(2).is_err());
}
