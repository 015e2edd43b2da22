//! `verify check CERTIFICATE… --model MODEL`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::output::Output;
use super::{ExitStatus, Failure, OutputArguments, OutputFormat};
use crate::kernel::check::check;
use crate::kernel::model::onnx::{Model, load};
use crate::kernel::proof::{Certificate, Files, ReadError, read_file};
use crate::report::{CheckedFile, Refused};

#[derive(clap::Args)]
pub struct Arguments {
    /// Certificates to check
    #[arg(required = true, value_name = "CERTIFICATE")]
    certificates: Vec<PathBuf>,
    /// The model that they are about; where they compare two, both, in any order
    #[arg(long = "model", value_name = "MODEL", required = true)]
    models: Vec<PathBuf>,
    /// A data or specification file that claims are about, or a model that they compare with; may be given several times
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArguments,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let output = Output::new(&arguments.output);
    let named = arguments.certificates.iter().chain(&arguments.files).chain(&arguments.models);
    output.apart_from(named.map(PathBuf::as_path))?;
    let models = arguments.models.iter().map(|path| super::load(path, &output).map(Arc::new));
    let models: Vec<Arc<Model>> = models.collect::<Result<_, _>>()?;
    let mut evidence = Files::default();
    for path in &arguments.files {
        add_file(&mut evidence, path)?;
    }
    models.iter().for_each(|model| evidence.add_model(Arc::clone(model)));
    let mut files = Vec::new();
    for path in &arguments.certificates {
        files.push(check_file(path, &models, &evidence)?);
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
fn check_file(path: &Path, models: &[Arc<Model>], files: &Files) -> Result<CheckedFile, Failure> {
    let name = path.display().to_string();
    match Certificate::read(path) {
        Ok((certificate, bundle)) => {
            // Where no model is the one that is meant, the refusal names what was given first.
            let meant = models.iter().find(|model| model.digest == certificate.model.digest).or(models.first());
            let Some(model) = meant else { return Err(Failure::error("`--model` is needed")) };
            Ok(CheckedFile::new(name, &certificate, &bundle, &check(&certificate, &bundle, model, files)))
        }
        Err(error @ ReadError::Io { .. }) => Err(Failure::error(error)),
        Err(error) => Ok(CheckedFile::unreadable(name, Refused::new(&error))),
    }
}

/// Adds a data or specification file, or a model beside the certificate's own, to what claims can be checked against.
pub fn add_file(files: &mut Files, path: &Path) -> Result<(), Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    files.add(&name, read_file(path).map_err(|error| Failure::coded("NV201", error))?);
    // A model that claims compare with.
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    if Path::new(plain).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
        files.add_model(Arc::new(load(path).map_err(|error| Failure::model(path, &error))?));
    }
    Ok(())
}
