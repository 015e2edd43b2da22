//! `verify diff OLD NEW`: what changed between two certificates.

use std::path::{Path, PathBuf};

use super::output::Output;
use super::{ExitStatus, Failure, OutputArguments, OutputFormat};
use crate::certificate::{Certificate, ReadError};
use crate::report::audit::changes;
use crate::report::{DiffReport, json};

#[derive(clap::Args)]
pub struct Arguments {
    /// The certificate of the earlier version
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The certificate of the later version
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// End with exit code 1 where a claim is worse, or gone
    #[arg(long)]
    fail_on_regression: bool,
    /// Worse by at most this fraction is no regression
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, requires = "fail_on_regression", value_parser = fraction)]
    tolerance: f64,
    #[command(flatten)]
    output: OutputArguments,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let output = Output::new(&arguments.output);
    let (old, new) = (read(&arguments.old)?, read(&arguments.new)?);
    let changes = changes(&old, &new);
    let regressions: Vec<String> = if arguments.fail_on_regression {
        changes.iter().filter(|change| change.regresses(arguments.tolerance)).map(|change| change.claim.clone()).collect()
    } else {
        Vec::new()
    };
    let status = if regressions.is_empty() { ExitStatus::Established } else { ExitStatus::Violated };
    let report = DiffReport {
        old: arguments.old.display().to_string(),
        new: arguments.new.display().to_string(),
        same_model: old.model == new.model,
        changes,
        regressions,
    };
    let text = match output.format {
        OutputFormat::Text => report.to_string(),
        OutputFormat::Json => json(&report).map_err(Failure::error)?,
    };
    output.results(&text)?;
    output.note("figures are compared as the certificates state them; `verify check` proves them");
    Ok(status)
}

/// A certificate that is whole; its claims are not checked, for which its model would be needed.
fn read(path: &Path) -> Result<Certificate, Failure> {
    let refused = |code, what| Failure::coded(code, format_args!("`{}` {what}", path.display())).ending(ExitStatus::Refused);
    let certificate = match Certificate::read(path) {
        Ok((certificate, _)) => certificate,
        Err(error @ ReadError::Io { .. }) => return Err(Failure::error(error)),
        Err(error) => return Err(Failure::error(error).ending(ExitStatus::Refused)),
    };
    if !certificate.is_known_version() {
        return Err(refused("NV502", "is of another version"));
    }
    if certificate.digest != certificate.computed_digest() {
        return Err(refused("NV503", "does not have the digest that it states"));
    }
    Ok(certificate)
}

fn fraction(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value >= 0.0 && value.is_finite() { Ok(value) } else { Err("must not be negative".to_owned()) }
}
