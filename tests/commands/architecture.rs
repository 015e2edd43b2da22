//! What is read off the source text. What the kernel depends on is read off `cargo tree` (`.ci/run`, "the kernel alone").
//!
//! | test | invariant |
//! |---|---|
//! | `unsafe_code_is_in_one_place` | `unsafe` appears under `src/solver/blas` alone |
//! | `every_file_says_what_it_is` | every source file opens with `//!` |

use std::path::PathBuf;

use crate::common;

/// The source files of all packages, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![common::repository("src"), common::repository("kernel/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// The text without comments and string literals, so that what remains is code.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            code.push_str("\"\"");
            rest = end.map_or("", |end| &rest[end + 2..]);
        } else if rest.starts_with("'\"'") {
            code.push_str("' '");
            rest = &rest[3..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// The words of a text: identifiers, keywords and numbers.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

#[test]
fn unsafe_code_is_in_one_place() {
    let mut seen = 0;
    for (path, text) in sources() {
        let uses = words(&code(&text)).filter(|&word| word == "unsafe").count();
        if path.starts_with(common::repository("src/solver/blas")) {
            seen += uses;
        } else {
            assert_eq!(uses, 0, "{} has `unsafe` code", path.display());
        }
    }
    assert!(seen > 0, "the scan sees no `unsafe` where there is some");
}

#[test]
fn every_file_says_what_it_is() {
    let mut silent = sources();
    silent.retain(|(_, text)| !text.starts_with("//! "));
    let silent: Vec<_> = silent.into_iter().map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "these files do not open with `//!`: {silent:#?}");
    let text = std::fs::read_to_string(common::repository("kernel/src/lib.rs")).unwrap();
    assert!(text.contains("#![forbid(unsafe_code)]"));
}
