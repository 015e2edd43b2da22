//! The commands of README and `docs/` as tests.
//!
//! Each file runs in a folder of its own with the sample models. In a `console` block a line `$ COMMAND` is run by the shell, with
//! `verify` on its path; what follows is its output, in which a line `...` stands for any lines and `[..]` for any text. A comment
//! `# exit code N` says how it ends otherwise than with 0. `cargo run --release -- ARGUMENTS` stands for `verify ARGUMENTS`; other
//! commands of cargo are not run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::repository;

struct Example {
    line: usize,
    command: String,
    output: Vec<String>,
}

/// The commands of the `console` blocks of a file, with the output that it shows.
fn examples(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            examples.push(Example { line: number + 1, command: command.to_owned(), output: Vec::new() });
        } else if let Some(example) = examples.last_mut().filter(|_| inside) {
            example.output.push(line.to_owned());
        }
    }
    examples
}

/// Does a line fit one in which `[..]` stands for any text?
fn fits(pattern: &str, line: &str) -> bool {
    let mut pieces = pattern.split("[..]");
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        match rest.find(piece) {
            Some(position) => rest = &rest[position + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Do lines fit patterns, in which `...` stands for any lines?
fn all_fit(patterns: &[String], lines: &[&str]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "..." => (0..=lines.len()).any(|skipped| all_fit(rest, &lines[skipped..])),
        Some((first, rest)) => lines.split_first().is_some_and(|(line, lines)| fits(first, line) && all_fit(rest, lines)),
    }
}

/// A folder with everything that the examples name, and `verify` on the path.
///
/// `outputs`: is what the commands print compared with what the file shows?
fn run(file: &Path, outputs: bool) -> usize {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("models")).unwrap();
    for entry in std::fs::read_dir(repository("models")).unwrap() {
        let path = entry.unwrap().path();
        // Certificates and the like lie beside the models of who tried the examples.
        if path.extension().is_some_and(|extension| extension == "onnx" || extension == "npz")
            || path.ends_with("digits_equilibrium.json")
        {
            std::fs::copy(&path, folder.path().join("models").join(path.file_name().unwrap())).unwrap();
        }
    }
    std::fs::create_dir(folder.path().join("specs")).unwrap();
    for entry in std::fs::read_dir(repository("specs")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join("specs").join(path.file_name().unwrap())).unwrap();
    }
    let program = PathBuf::from(env!("CARGO_BIN_EXE_verify"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let text = std::fs::read_to_string(file).unwrap();
    let mut count = 0;
    for Example { line, command, output } in examples(&text) {
        let place = format!("{}:{line}: {command}", file.display());
        let (command, expected) = match command.split_once("# exit code ") {
            Some((command, code)) => (command.trim().to_owned(), code.trim().parse::<i32>().expect(&place)),
            None => (command, 0),
        };
        let command = match command.strip_prefix("cargo ") {
            Some(rest) => match rest.strip_prefix("run --release -- ") {
                Some(arguments) => format!("verify {arguments}"),
                None => continue,
            },
            None => command,
        };
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(folder.path()).env("PATH", &path);
        for variable in ["VERIFY_OUTPUT_FORMAT", "VERIFY_TIMEOUT", "VERIFY_MEMORY", "VERIFY_THREADS"] {
            shell.env_remove(variable);
        }
        let found = shell.output().unwrap();
        let shown = String::from_utf8(found.stdout).unwrap() + &String::from_utf8(found.stderr).unwrap();
        assert_eq!(found.status.code(), Some(expected), "{place}\n{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        // A command whose output is not shown may say anything.
        let shows = outputs && output.iter().any(|line| !line.trim().is_empty());
        let patterns: Vec<String> = output.into_iter().rev().skip_while(|line| line.trim().is_empty()).collect();
        let patterns: Vec<String> = patterns.into_iter().rev().collect();
        assert!(!shows || all_fit(&patterns, &lines), "{place}\nshown:\n{}\nfound:\n{shown}", patterns.join("\n"));
        count += 1;
    }
    count
}

/// The chapters of the book.
fn chapters() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut chapters: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    chapters.sort();
    chapters
}

/// A reader sees it in twenty seconds.
#[test]
fn the_readme_is_short_and_begins_with_what_it_is_for() {
    let text = std::fs::read_to_string(repository("README.md")).unwrap();
    assert!(text.lines().count() < 150);
    let first: String = text.lines().take(30).collect::<Vec<_>>().join("\n");
    assert!(first.contains("cargo run --release -- models/digits_relu.onnx --lipschitz l2") && first.contains("cargo test"));
}

#[test]
fn the_commands_of_the_readme_work() {
    // Its numbers and times are those of one run.
    assert!(run(&repository("README.md"), false) >= 6);
}

#[test]
fn the_commands_of_the_book_work() {
    let counts: Vec<usize> = chapters().iter().map(|chapter| run(chapter, true)).collect();
    assert!(counts.iter().sum::<usize>() >= 15, "{counts:?}");
}

/// What is shown and not run is what needs more than this repository: a clone, Python, a service.
#[test]
fn every_command_of_ours_that_is_shown_is_run() {
    let mut files = chapters();
    files.push(repository("README.md"));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut block = None;
        for (number, line) in text.lines().enumerate() {
            match (line.strip_prefix("```"), &block) {
                (Some(_), Some(_)) => block = None,
                (Some(language), None) => block = Some(language.to_owned()),
                _ => {}
            }
            let ours = line.trim_start_matches("$ ").starts_with("verify ");
            assert!(!ours || block.as_deref() == Some("console"), "{}:{}: {line}", file.display(), number + 1);
        }
    }
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut files = chapters();
    files.push(repository("README.md"));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            let outside = target.is_empty() || target.starts_with("http");
            assert!(outside || file.parent().unwrap().join(target).exists(), "{}: {target}", file.display());
        }
    }
}

#[test]
fn patterns_fit_what_they_should() {
    assert!(fits("a[..]c", "abc") && fits("a", "a") && fits("[..]", "") && fits("a[..]b[..]", "aXbY"));
    assert!(!fits("a[..]c", "ab") && !fits("a", "ab") && !fits("a[..]b", "a"));
    let patterns = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(all_fit(&patterns("a\n...\nd"), &["a", "b", "c", "d"]));
    assert!(!all_fit(&patterns("a\n...\nd"), &["a", "b"]));
}
