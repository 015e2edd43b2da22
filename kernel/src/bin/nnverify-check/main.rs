//! `nnverify-check`: the auditor's program. Proves certificates again from the models and files that they are about, and nothing else.
//!
//! Verdicts go to standard output, everything else to standard error. Nothing is written to disk.

#![forbid(unsafe_code)]

mod arguments;
mod files;
mod verdicts;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use arguments::{Arguments, Request};
use files::Given;
use nnverify_kernel::check::check;
use nnverify_kernel::proof::{Certificate, ReadError};
use nnverify_kernel::threads::allow_threads;
use verdicts::{Found, Outcome};

const ESTABLISHED: u8 = 0;
const USAGE: u8 = 2;
const INCONCLUSIVE: u8 = 3;
const REFUSED: u8 = 4;

fn main() -> ExitCode {
    let request = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(request) => request,
        Err(error) => return failed(&format!("{error}\nhint: `nnverify-check --help` lists the options")),
    };
    match request {
        Request::Help => told(arguments::HELP, ESTABLISHED),
        Request::Version => told(concat!("nnverify-check ", env!("CARGO_PKG_VERSION"), "\n"), ESTABLISHED),
        Request::Check(arguments) => run(&arguments),
    }
}

fn run(arguments: &Arguments) -> ExitCode {
    allow_threads(arguments.threads);
    let mut given = match Given::new(&arguments.models, &arguments.files, &arguments.paths) {
        Ok(given) => given,
        Err(error) => return failed(&error),
    };
    if given.certificates.is_empty() {
        return failed("there is no certificate in the folders that were given");
    }
    let mut outcomes = Vec::new();
    for path in std::mem::take(&mut given.certificates) {
        let found = examine(&path, &mut given).unwrap_or_else(Found::Failed);
        outcomes.push(Outcome { path, found });
    }
    let text = if arguments.json { verdicts::json(&outcomes) } else { verdicts::text(&outcomes) };
    let status = if outcomes.iter().any(|outcome| outcome.found.refusal().is_some()) {
        REFUSED
    } else if outcomes.iter().any(|outcome| outcome.found.failure().is_some()) {
        USAGE
    } else if outcomes.iter().all(|outcome| outcome.found.is_established()) {
        ESTABLISHED
    } else {
        INCONCLUSIVE
    };
    told(&text, status)
}

/// Checks one certificate against what was given.
///
/// # Errors
/// When a file cannot be read, or the model cannot be used.
fn examine(path: &Path, given: &mut Given) -> Result<Found, String> {
    let (certificate, bundle) = match Certificate::read(path) {
        Ok(read) => read,
        Err(error @ ReadError::Io { .. }) => return Err(error.to_string()),
        Err(error) => return Ok(Found::Unread(error.to_string())),
    };
    let evidence = given.evidence(&certificate)?;
    let Some(model) = given.model(&certificate.model.digest)? else {
        let digest = nnverify_kernel::files::token(&certificate.model.digest);
        return Ok(Found::Unread(format!("no model with SHA-256 {digest} was given (`--model FILE`)")));
    };
    let checked = check(&certificate, &bundle, model, &evidence);
    Ok(Found::Checked { certificate: Box::new(certificate), bundle, checked })
}

/// Writes to standard output; a reader that went away is no error.
fn told(text: &str, status: u8) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            failed(&format!("cannot write to standard output: {error}"))
        }
        _ => ExitCode::from(status),
    }
}

fn failed(message: &str) -> ExitCode {
    eprintln!("error: {}", message.split('\n').map(verdicts::visible).collect::<Vec<_>>().join("\n"));
    ExitCode::from(USAGE)
}
