//! `verify report CERTIFICATE… --model MODEL`: the claims, checked again, as a document.

use std::path::PathBuf;

use super::gate::{shown, status};
use super::output::Output;
use super::{ExitStatus, Failure, check, recheck};
use crate::certificate::{Certificate, ReadError};
use crate::checker::Files;
use crate::codes;
use crate::report::audit::{Audit, CertificateSection, ModelSection, changes};
use crate::report::{CheckedFile, ReportFormat};

#[derive(clap::Args)]
pub struct Arguments {
    /// Certificates to report
    #[arg(required = true, value_name = "CERTIFICATE")]
    certificates: Vec<PathBuf>,
    /// The model that they are about
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// A data or specification file that claims are about; may be given several times
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The certificate of an earlier version, to say what changed
    #[arg(long, value_name = "CERTIFICATE")]
    baseline: Option<PathBuf>,
    /// Format of the report [default: what the name of the output asks for, else text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<ReportFormat>,
    /// Write the report to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// No notes on standard error
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let output = Output::to(arguments.output.clone(), arguments.quiet, false);
    let by_name = arguments.output.as_deref().and_then(ReportFormat::of_path);
    let format = arguments.format.or(by_name).unwrap_or_default();
    let model = super::load(&arguments.model, &output)?;
    let mut files = Files::default();
    for path in &arguments.files {
        check::add_file(&mut files, path)?;
    }
    let mut sections = Vec::new();
    let mut certificates = Vec::new();
    for path in &arguments.certificates {
        let recheck = recheck(path, &arguments.model, arguments.files.iter().cloned());
        match Certificate::read(path) {
            Ok((certificate, bundle)) => {
                let checked = check::check(shown(path), &certificate, &bundle, &model, &files);
                sections.push(CertificateSection::new(&certificate, &bundle, &checked, &model, recheck, true));
                certificates.push(certificate);
            }
            Err(error @ ReadError::Io { .. }) => return Err(Failure::error(error)),
            Err(error) => {
                let refusal = Some(codes::tagged(error, "NV501"));
                let checked = CheckedFile { certificate: shown(path), claims: Vec::new(), refusal };
                sections.push(CertificateSection::unreadable(&checked, recheck));
            }
        }
    }
    let path = shown(&arguments.model);
    let name = arguments.model.file_name().map_or_else(|| path.clone(), |name| name.to_string_lossy().into_owned());
    let mut section = ModelSection::new(name, path, &model, sections);
    if let Some(path) = &arguments.baseline {
        let (baseline, _) = Certificate::read(path).map_err(|error| Failure::error(codes::tagged(error, "NV404")))?;
        section.baseline = Some(shown(path));
        section.changes = certificates.iter().flat_map(|certificate| changes(&baseline, certificate)).collect();
    }
    let audit = Audit::new(vec![section], None);
    output.results(&format.render(&audit).map_err(Failure::error)?)?;
    Ok(status(audit.verdict.status))
}
