//! `verify check CERTIFICATE… --model MODEL`.

use std::path::{Path, PathBuf};

use super::output::Output;
use super::{ExitStatus, Failure, OutputArguments, OutputFormat};
use crate::kernel::check::check;
use crate::kernel::model::onnx::Model;
use crate::kernel::proof::{Certificate, Files, ReadError, read_file};
use crate::report::{CheckedFile, Refused};

#[derive(clap::Args)]
pub struct Arguments {
    /// Certificates to check
    #[arg(required = true, value_name = "CERTIFICATE")]
    certificates: Vec<PathBuf>,
    /// The model that they are about
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// A data or specification file that claims are about; may be given several times
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArguments,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let output = Output::new(&arguments.output);
    let named = arguments.certificates.iter().chain(&arguments.files).chain([&arguments.model]);
    output.apart_from(named.map(PathBuf::as_path))?;
    let model = super::load(&arguments.model, &output)?;
    let mut evidence = Files::default();
    for path in &arguments.files {
        add_file(&mut evidence, path)?;
    }
    let mut files = Vec::new();
    for path in &arguments.certificates {
        files.push(check_file(path, &model, &evidence)?);
    }
    let text = match output.format {
        OutputFormat::Text => files.iter().map(ToString::to_string).collect(),
        OutputFormat::Json => crate::report::json(&files).map_err(Failure::error)?,
    };
    output.results(&text)?;
    Ok(if files.iter().any(|file| file.refusal.is_some()) {
        ExitStatus::Refused
    } else if files.iter().flat_map(|file| &file.claims).all(|claim| claim.established && !claim.vacuous) {
        ExitStatus::Established
    } else {
        ExitStatus::Inconclusive
    })
}

/// Checks one certificate. An unreadable file is a usage error; a malformed one is a refusal.
fn check_file(path: &Path, model: &Model, files: &Files) -> Result<CheckedFile, Failure> {
    let name = path.display().to_string();
    match Certificate::read(path) {
        Ok((certificate, bundle)) => {
            Ok(CheckedFile::new(name, &certificate, &bundle, &check(&certificate, &bundle, model, files)))
        }
        Err(error @ ReadError::Io { .. }) => Err(Failure::error(error)),
        Err(error) => Ok(CheckedFile::unreadable(name, Refused::new(&error))),
    }
}

/// Adds a data or specification file to what claims can be checked against.
pub fn add_file(files: &mut Files, path: &Path) -> Result<(), Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    files.add(&name, read_file(path).map_err(|error| Failure::coded("NV201", error))?);
    Ok(())
}
