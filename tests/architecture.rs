//! The walls between the rooms, read off the source text.
//!
//! | test | invariant |
//! |---|---|
//! | `trusted_rooms_know_no_untrusted_ones` | `checker`, `bounds`, `form`, `sound`, `certificate` name no other room than those they may, and no solver or thread pool |
//! | `nothing_they_rest_on_knows_untrusted_rooms` | neither do `ir`, `autodiff` and the readers `files`, `onnx`, `implicit`, `data`, `vnnlib`, which they use |
//! | `unsafe_code_is_in_one_place` | `unsafe` appears under `src/solver/blas` alone |
//! | `every_file_says_what_it_is` | every source file opens with `//!`; the trusted rooms say so |

mod common;

use std::path::{Path, PathBuf};

/// Source files below a folder of `src`, with their text.
fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let root = common::repository("src").join(room);
    let mut folders = vec![root.clone()];
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
    // A room in one file.
    let single = root.with_extension("rs");
    if let Ok(text) = std::fs::read_to_string(&single) {
        found.push((single, text));
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

/// The rooms that a text names in paths through the crate: `crate::room`, in any nesting of braces.
fn rooms_named(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    let compact: String = code.split_whitespace().collect();
    for (position, _) in compact.match_indices("crate::") {
        let path = &compact[position + "crate::".len()..];
        if let Some(list) = path.strip_prefix('{') {
            let (mut depth, mut name, mut names) = (0_u32, String::new(), true);
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        rooms.push(std::mem::take(&mut name));
                        names = true;
                    }
                    ':' => names = names && depth > 0,
                    _ if depth == 0 && names => name.push(c),
                    _ => {}
                }
            }
            rooms.push(name);
        } else {
            rooms.push(path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

/// Crates that only untrusted rooms may use.
const UNTRUSTED_CRATES: [&str; 10] =
    ["clarabel", "faer", "pulp", "rayon", "indicatif", "tabled", "clap", "ndarray", "blas", "lapack"];
/// Rooms that nothing trusted may know.
const UNTRUSTED_ROOMS: [&str; 7] = ["pass", "solver", "query", "policy", "report", "cli", "codes"];

/// What breaks the rule that the files of a room use only some rooms.
fn violations(room: &str, allowed: Option<&[&str]>) -> Vec<String> {
    let files = sources(room);
    assert!(!files.is_empty(), "there is no room `{room}`");
    let mut wrong = Vec::new();
    for (path, text) in files {
        let code = code(&text);
        for named in rooms_named(&code) {
            if UNTRUSTED_ROOMS.contains(&named.as_str()) || allowed.is_some_and(|allowed| !allowed.contains(&named.as_str())) {
                wrong.push(format!("{}: crate::{named}", path.display()));
            }
        }
        for word in words(&code).filter(|word| UNTRUSTED_CRATES.contains(word)) {
            wrong.push(format!("{}: {word}", path.display()));
        }
        // `super` leaves the room from its top file only.
        let top = path.parent().is_some_and(|parent| parent.ends_with(Path::new("src")))
            || path.ends_with(Path::new(room).join("mod.rs"));
        let climbs = code.contains("super::super::super") || (top && code.contains("super::") && !code.contains("use super::*"));
        if climbs {
            wrong.push(format!("{}: a path that leaves the room by `super`", path.display()));
        }
    }
    wrong
}

#[test]
fn trusted_rooms_know_no_untrusted_ones() {
    let readers = ["ir", "autodiff", "files", "onnx", "implicit", "data", "vnnlib"];
    let trusted = ["checker", "bounds", "form", "sound", "certificate"];
    let mut wrong = violations("sound", Some(&["sound"]));
    for room in ["checker", "bounds", "form", "certificate"] {
        wrong.extend(violations(room, Some(&[&readers[..], &trusted[..]].concat())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_they_rest_on_knows_untrusted_rooms() {
    let wrong: Vec<String> = ["ir", "files", "onnx", "implicit", "autodiff", "data", "vnnlib"]
        .iter()
        .flat_map(|room| violations(room, None))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_in_one_place() {
    let mut seen = 0;
    for (path, text) in sources("") {
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
    let mut silent = sources("");
    silent.retain(|(_, text)| !text.starts_with("//! "));
    let silent: Vec<_> = silent.into_iter().map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "these files do not open with `//!`: {silent:#?}");
    for room in ["checker", "bounds", "form", "sound", "certificate"] {
        let text = std::fs::read_to_string(common::repository(&format!("src/{room}/mod.rs"))).unwrap();
        assert!(text.starts_with("//! TRUSTED."), "src/{room}/mod.rs does not say that it is trusted");
    }
}

#[test]
fn the_scan_sees_what_it_should() {
    let text = "use crate::{a, b::{x, y}, c::d::e};\nlet z = crate ::\n f::g(\"crate::no\"); // crate::no\npub(crate) use faer;";
    let code = code(text);
    assert_eq!(rooms_named(&code), ["a", "b", "c", "f"]);
    assert!(words(&code).any(|word| word == "faer"));
}
