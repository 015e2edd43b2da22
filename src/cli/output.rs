//! Where words go: results to stdout or a file, everything else to stderr.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Failure, OutputArguments, OutputFormat};
use crate::files::{self, Identity};
use crate::report::visible;

/// The streams of one run.
pub struct Output {
    pub format: OutputFormat,
    file: Option<PathBuf>,
    quiet: bool,
    verbose: bool,
}

impl Output {
    pub fn new(arguments: &OutputArguments) -> Self {
        Self {
            format: arguments.output_format,
            file: arguments.output.clone(),
            quiet: arguments.quiet,
            verbose: arguments.verbose,
        }
    }

    /// The streams of a command with formats of its own.
    pub const fn to(file: Option<PathBuf>, quiet: bool, verbose: bool) -> Self {
        Self { format: OutputFormat::Text, file, quiet, verbose }
    }

    /// The file that results are written to, where one is asked for.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    pub const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Something the reader should know.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            eprintln!("note: {}", visible(text));
        }
    }

    /// Something that only the curious want to know.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            eprintln!("{}", visible(text));
        }
    }

    /// Refuses a file of results that is one of those that the command reads.
    pub fn apart_from<'a>(&self, read: impl IntoIterator<Item = &'a Path>) -> Result<(), Failure> {
        let written: Vec<(&str, &Path)> = self.file.iter().map(|path| ("-o", path.as_path())).collect();
        apart(&written, &read.into_iter().collect::<Vec<_>>())
    }

    /// Writes the results, in whole or not at all. A reader that went away is no error.
    pub fn results(&self, text: &str) -> Result<(), Failure> {
        match &self.file {
            Some(path) => write(path, text.as_bytes()),
            None => print(text),
        }
    }

    pub const fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Writes results that are text for people: in colour, where they go to a terminal that shows it.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        match &self.file {
            Some(path) => write(path, text.as_bytes()),
            None => print(&crate::report::screen::painted(text)),
        }
    }
}

/// Writes to standard output. A reader that went away is no error.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::coded(crate::codes::WRITE, format_args!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Refuses outputs, named by their options, that would replace what the same command reads, or each other.
pub fn apart(written: &[(&str, &Path)], read: &[&Path]) -> Result<(), Failure> {
    // Nothing that is kept changes where a terminal or a pipe is written to.
    let regular = |path: &Path| std::fs::metadata(path).is_ok_and(|found| found.is_file());
    let same = |a: &Path, b: &Path| match (Identity::of(a), Identity::of(b)) {
        (Ok(a), Ok(b)) => a == b,
        (Err(_), Err(_)) => std::path::absolute(a).is_ok_and(|a| std::path::absolute(b).is_ok_and(|b| a == b)),
        _ => false,
    };
    for (index, &(option, path)) in written.iter().enumerate() {
        if path.exists() && !regular(path) {
            continue;
        }
        let taken =
            written[..index].iter().find(|(_, other)| same(path, other)).map(|(other, _)| format!("what `{other}` writes"));
        let taken = taken.or_else(|| read.iter().any(|other| same(path, other)).then(|| "what the command reads".to_owned()));
        if let Some(taken) = taken {
            let message = format!("`{option}`: `{}` is {taken}, and would be replaced", path.display());
            return Err(Failure::error(message).with_hint("name another file"));
        }
    }
    Ok(())
}

/// Writes a file that a command was asked for. What cannot be written is saved elsewhere: it may have taken hours.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    files::write(path, bytes).map_err(|error| {
        let failure = Failure::writing(path, &error);
        match saved_elsewhere(path, |other| files::write(other, bytes).is_ok()) {
            Some(other) => failure.with_hint(format!("it was saved as `{}`", other.display())),
            None => failure,
        }
    })
}

/// Saves a file that was to lie at a path in the current folder or in that for temporary files, under a name that nothing has;
/// returns where. `save` says whether it could write to a path.
pub fn saved_elsewhere(path: &Path, save: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let name = path.file_name()?;
    let mut own = std::ffi::OsString::from(format!("unsaved-{}-", std::process::id()));
    own.push(name);
    let places = [PathBuf::from(&own), std::env::temp_dir().join(&own)];
    places.into_iter().find(|place| !place.exists() && save(place))
}
