//! `verify MODEL --lipschitz l2`: find, write down, check.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::output::Output;
use super::progress::Progress;
use super::{ExitStatus, Failure, OutputArguments, OutputFormat, check, identity};
use crate::certificate::{Assurance, Certificate, Claim, ClaimKind, Domain, Run, Semantics};
use crate::pass::lipschitz::{EngineChoice, LipschitzError, LipschitzOptions, certify_l2};
use crate::report::{LipschitzReport, json};

#[derive(clap::Args)]
pub struct Analysis {
    /// The network: an ONNX file, possibly gzipped
    #[arg(value_name = "MODEL", required = true)]
    model: Option<PathBuf>,
    /// Certify the network's global Lipschitz constant in this norm
    #[arg(long, value_enum, value_name = "NORM", required = true)]
    lipschitz: Option<Norm>,
    /// What looks for multipliers
    #[arg(long, value_enum, value_name = "ENGINE", default_value_t)]
    engine: EngineChoice,
    /// Where to write the certificate [default: beside the model]
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Seconds for the semidefinite solver; the best certified bound so far is reported
    #[arg(long, value_name = "SECONDS", value_parser = seconds, env = "VERIFY_TIMEOUT")]
    timeout: Option<Duration>,
    /// Gigabytes that the semidefinite solver may take
    #[arg(long, value_name = "GB", default_value_t = 3.0, value_parser = gigabytes, env = "VERIFY_MEMORY")]
    memory: f64,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), env = "VERIFY_THREADS")]
    threads: Option<u16>,
    /// Seed of the search for the lower bound
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Clone, Copy, ValueEnum)]
enum Norm {
    /// Euclidean norm of inputs and outputs
    L2,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if seconds > 0.0 {
        Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
    } else {
        Err("must be positive".to_owned())
    }
}

fn gigabytes(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number of gigabytes".to_owned())?;
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err("must be positive".to_owned()) }
}

pub fn run(arguments: &Analysis) -> Result<ExitStatus, Failure> {
    // The parser requires both wherever no subcommand is given.
    let (Some(path), Some(Norm::L2)) = (&arguments.model, arguments.lipschitz) else {
        return Err(Failure::error("a model and what to certify about it are needed"));
    };
    let start = Instant::now();
    let output = Output::new(&arguments.output);
    let threads = set_threads(arguments.threads)?;
    let model = super::load(path, &output)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates; positive
    let memory = (arguments.memory * 1e9) as u64;
    let options = LipschitzOptions { engine: arguments.engine, timeout: arguments.timeout, memory, seed: arguments.seed };
    let progress = Progress::new(output.is_quiet());
    let outcome = certify_l2(&model.network, &options, &mut |step| {
        progress.step(step);
        output.detail(step);
    });
    progress.finish();
    let outcome = outcome.map_err(|error| failure(path, &error))?;
    outcome.notes.iter().for_each(|note| output.note(note));
    let run =
        Run { engine: outcome.engine.name().to_owned(), seconds: start.elapsed().as_secs_f64(), threads, seed: arguments.seed };
    let claim = Claim {
        id: "lipschitz-l2".to_owned(),
        assurance: Assurance::Proved,
        semantics: Semantics::Real,
        domain: Domain::Global,
        kind: ClaimKind::Lipschitz(outcome.claim.clone()),
    };
    let (certificate, bundle) = Certificate::new(identity(&model), vec![claim], Some(run)).seal();
    let certificate_path = arguments.certificate.clone().unwrap_or_else(|| beside(path));
    // What is reported is what the checker finds in the certificate, from the model file, not what the pass thinks.
    let again = super::load(path, &Output::new(&OutputArguments { quiet: true, ..arguments.output.clone() }))?;
    let checked = check::check(certificate_path.display().to_string(), &certificate, &bundle, &again);
    if let Some(refusal) = checked.refusal {
        let message = format!("the checker refused what the pass found, so nothing is established: {refusal}");
        let hint = Some("this is a defect of the pass; please report it with the model".to_owned());
        return Err(Failure { status: ExitStatus::Inconclusive, message, hint });
    }
    let report = LipschitzReport::new(path, &model, &outcome, &checked, start.elapsed());
    let text = match output.format {
        OutputFormat::Text => report.to_string(),
        OutputFormat::Json => json(&report.with_claims(&certificate)).map_err(Failure::error)?,
    };
    output.results(&text)?;
    certificate.write(&bundle, &certificate_path).map_err(|error| Failure {
        status: ExitStatus::Error,
        message: format!("the bound holds, but its certificate was not written: {error}"),
        hint: Some("say where to write it with `--certificate FILE`".to_owned()),
    })?;
    Ok(ExitStatus::Established)
}

fn failure(model: &Path, error: &LipschitzError) -> Failure {
    let status = match error {
        LipschitzError::Form(_) => ExitStatus::Error,
        LipschitzError::Refused(_) | LipschitzError::NoBound(_) => ExitStatus::Inconclusive,
    };
    let hint = Some(format!("`verify inspect {}` shows what can be certified", model.display()));
    Failure { status, message: format!("{}: {error}", model.display()), hint }
}

/// `model.onnx` or `model.onnx.gz` → `model.certificate.json`.
fn beside(model: &Path) -> PathBuf {
    let name = model.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = stem.strip_suffix(".onnx").unwrap_or(stem);
    model.with_file_name(format!("{stem}.certificate.json"))
}

/// One pool of threads for everything.
fn set_threads(threads: Option<u16>) -> Result<u32, Failure> {
    if let Some(threads) = threads {
        rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global().map_err(Failure::error)?;
        faer::set_global_parallelism(if threads == 1 { faer::Par::Seq } else { faer::Par::rayon(usize::from(threads)) });
    }
    Ok(u32::try_from(rayon::current_num_threads()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_lie_beside_their_models() {
        assert_eq!(beside(Path::new("a/b.onnx")), Path::new("a/b.certificate.json"));
        assert_eq!(beside(Path::new("b.onnx.gz")), Path::new("b.certificate.json"));
        assert_eq!(beside(Path::new("network")), Path::new("network.certificate.json"));
    }
}
