//! `verify diff OLD NEW`: what changed between two certificates.

use std::path::PathBuf;

use super::output::Output;
use super::stated::read;
use super::{ExitStatus, Failure, OutputArguments, OutputFormat};
use crate::report::audit::changes;
use crate::report::{DiffReport, json, visible_lines};

#[derive(clap::Args)]
pub struct Arguments {
    /// The certificate of the earlier version
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The certificate of the later version
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// End with exit code 1 where a claim is worse, gone, or answers another question
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
    output.apart_from([&*arguments.old, &*arguments.new])?;
    let (old, new) = (read(&arguments.old)?, read(&arguments.new)?);
    let changes = changes((&old.0, &old.1), (&new.0, &new.1));
    let regressions: Vec<String> = if arguments.fail_on_regression {
        changes.iter().filter(|change| change.regresses(arguments.tolerance)).map(|change| change.claim.clone()).collect()
    } else {
        Vec::new()
    };
    let status = if regressions.is_empty() { ExitStatus::Established } else { ExitStatus::Violated };
    let report = DiffReport {
        old: arguments.old.display().to_string(),
        new: arguments.new.display().to_string(),
        same_model: old.0.model == new.0.model,
        changes,
        regressions,
    };
    let text = match output.format {
        OutputFormat::Text => visible_lines(&report.to_string()),
        OutputFormat::Json => json(&report).map_err(Failure::error)?,
    };
    output.results(&text)?;
    output.note("figures are compared as the certificates state them; `verify check` proves them");
    Ok(status)
}

/// The greatest tolerance: more would let anything pass.
const MOST_TOLERANCE: f64 = 10.0;

fn fraction(text: &str) -> Result<f64, String> {
    let value = super::units::fraction(text)?;
    if (0.0..=MOST_TOLERANCE).contains(&value) { Ok(value) } else { Err(format!("must lie between 0 and {MOST_TOLERANCE}")) }
}
