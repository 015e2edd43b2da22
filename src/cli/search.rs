//! An analysis on behalf of another command: the same flags, passes and check as `verify MODEL --…`, without a report.

use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use clap::Parser;

use super::analysis::{Analysis, Sealed, find, seal};
use super::output::Output;
use super::progress::Progress;
use super::{ExitStatus, Failure, check};
use crate::certificate::{Bundle, Certificate};
use crate::codes;
use crate::onnx::Model;
use crate::report::{AnalysisReport, CheckedFile, json};

#[derive(Parser)]
struct Request {
    #[command(flatten)]
    analysis: Analysis,
}

/// What a search came to.
pub struct Found {
    /// A certificate that the checker accepted; nothing, where nothing is claimed.
    pub certificate: Option<(Certificate, Bundle, CheckedFile)>,
    /// What was computed beside the claims, as `--output-format json` writes it, where a report makes something of it.
    pub results: Option<String>,
    pub seconds: f64,
    /// Was something left untried for want of memory?
    pub short_of_memory: bool,
}

/// Runs the passes that the flags ask for, and has the claims checked from the model file again.
///
/// # Errors
/// What the passes say, and when the checker refuses what they found.
pub fn search(
    name: &str,
    flags: &[OsString],
    path: &Path,
    model: &Model,
    threads: u32,
    output: &Output,
) -> Result<Found, Failure> {
    let start = Instant::now();
    let arguments = [OsString::from("verify"), path.into()].into_iter().chain(flags.iter().cloned());
    let request = Request::try_parse_from(arguments).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        Failure::internal(format_args!("this build cannot answer it: {}", line.trim_start_matches("error: ")))
    })?;
    let progress = Progress::new(output.is_quiet());
    let context = request.analysis.context(path, model, threads, output, &progress);
    let findings = find(&request.analysis, &context);
    progress.finish();
    let findings = findings?;
    let seconds = start.elapsed().as_secs_f64();
    let short_of_memory = findings.iter().any(|found| found.section.is_short_of_memory());
    let Sealed { certificate, files } = seal(&findings, &context, start)?;
    let Some((certificate, bundle)) = certificate else {
        return Ok(Found { certificate: None, results: None, seconds, short_of_memory });
    };
    let again = crate::onnx::load(path).map_err(|error| Failure::model(path, &error))?;
    let checked = check::check(name.to_owned(), &certificate, &bundle, &again, &files);
    if let Some(refusal) = &checked.refusal {
        let message = format!("the checker refused what a pass found: {}", codes::split(refusal).0);
        return Err(Failure::coded("NV604", message).ending(ExitStatus::Inconclusive));
    }
    let results = if findings.iter().any(|found| found.section.is_descriptive()) {
        let sections = findings.into_iter().map(|found| found.section).collect();
        let report = AnalysisReport::new(path, model, sections, Some(&certificate), Some(&checked), start.elapsed());
        Some(json(&report).map_err(Failure::error)?)
    } else {
        None
    };
    Ok(Found { certificate: Some((certificate, bundle, checked)), results, seconds, short_of_memory })
}
