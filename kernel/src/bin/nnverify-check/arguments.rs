//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

pub const HELP: &str = "\
Proves certificates for neural networks again, in sound arithmetic; no solver is involved

Usage: nnverify-check [OPTIONS] <CERTIFICATE|FOLDER>...

Arguments:
  <CERTIFICATE|FOLDER>...  Certificates; in folders all of them, with the models and files beside them

Options:
      --model <FILE>    A model that certificates are about; found by SHA-256; may be given several times
      --file <FILE>     A data or specification file that claims are about; may be given several times
      --json            Verdicts as JSON
      --threads <N>     Threads for independent parts of a proof [default: 1]
  -h, --help            Print help
  -V, --version         Print version

Exit codes:
  0  every claim is proved or checked
  2  usage error, or a certificate that could not be checked: its model or a file cannot be read
  3  a claim is an estimate, which no check repeats, or is vacuous
  4  a certificate is refused
";

/// What is to be done.
pub enum Request {
    Help,
    Version,
    Check(Arguments),
}

/// What is to be checked, and how.
pub struct Arguments {
    /// Certificates and folders.
    pub paths: Vec<PathBuf>,
    pub models: Vec<PathBuf>,
    pub files: Vec<PathBuf>,
    pub json: bool,
    pub threads: usize,
}

/// # Errors
/// What is wrong with the command line.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value, ValueExt};
    let mut parser = lexopt::Parser::from_args(words);
    let mut arguments = Arguments { paths: Vec::new(), models: Vec::new(), files: Vec::new(), json: false, threads: 1 };
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Request::Help),
            Short('V') | Long("version") => return Ok(Request::Version),
            Long("model") => arguments.models.push(parser.value()?.into()),
            Long("file") => arguments.files.push(parser.value()?.into()),
            Long("json") => arguments.json = true,
            Long("threads") => {
                arguments.threads = parser.value()?.parse()?;
                if arguments.threads == 0 {
                    return Err("`--threads` is at least 1".into());
                }
            }
            Value(path) => arguments.paths.push(path.into()),
            other => return Err(other.unexpected()),
        }
    }
    if arguments.paths.is_empty() { Err("no certificate was given".into()) } else { Ok(Request::Check(arguments)) }
}
