//! `verify MODEL --…`: the passes that were asked for, one certificate for all of them, its check, one report.
//!
//! Every pass lives in a file of its own with its options and a `run` that returns [`Findings`]; what they have in common
//! (model, data, limits, seed, certificate) is here. What is reported is what the checker establishes, from the files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::data::copies;
use super::hessian;
use super::inverse;
use super::lipschitz;
use super::objective;
use super::output::{Output, apart};
use super::progress::Progress;
use super::robustness;
use super::specification;
use super::tightness;
use super::{ExitStatus, Failure, OutputArguments, OutputFormat, check, identity};
use crate::certificate::{Bundle, Certificate, Claim, Run, Semantics};
use crate::checker::Files;
use crate::codes;
use crate::data::Dataset;
use crate::onnx::Model;
use crate::report::{AnalysisReport, Section, json, visible_lines};

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("pass").required(true).multiple(true)))]
#[command(group(clap::ArgGroup::new("perturbing").multiple(true)))]
pub struct Analysis {
    /// The network: an ONNX file, or an implicit network as JSON; possibly gzipped
    #[arg(value_name = "MODEL", required = true)]
    model: Option<PathBuf>,
    #[command(flatten)]
    lipschitz: lipschitz::Arguments,
    #[command(flatten)]
    specification: specification::Arguments,
    #[command(flatten)]
    robustness: robustness::Arguments,
    #[command(flatten)]
    tightness: tightness::Arguments,
    #[command(flatten)]
    hessian: hessian::Arguments,
    #[command(flatten)]
    inverse: inverse::Arguments,
    #[command(flatten)]
    objective: objective::Arguments,
    #[command(flatten)]
    common: CommonArguments,
    #[command(flatten)]
    output: OutputArguments,
}

/// What every pass obeys.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits and files")]
pub struct CommonArguments {
    /// Samples: .npz, .npy, IDX or CSV, possibly gzipped; `x.npy,y.npy` where inputs and targets are two files
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Targets of the samples, where they are a file of their own
    #[arg(long, value_name = "FILE", requires = "data")]
    labels: Option<PathBuf>,
    /// Only the first N samples
    #[arg(long, value_name = "N", requires = "data", value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
    /// Where to write the certificate [default: beside the model]
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Time for the search of a pass, in seconds or with units (`90`, `5m`, `1h30m`) (tightness: the search over phases; the rest takes what it needs); what was found until then is reported, and what was not
    /// done is named
    #[arg(long, value_name = "TIME", value_parser = super::units::time, env = "VERIFY_TIMEOUT")]
    timeout: Option<Duration>,
    /// Arithmetic of the network: exact on the file's weights, or float32 as deployed, with sums in any order (specifications
    /// and robustness) [default: real, or what a specification says]
    #[arg(long, value_enum, value_name = "ARITHMETIC")]
    semantics: Option<Arithmetic>,
    /// Gigabytes that a pass may take, or a size with its unit (`8GB`, `500MB`)
    #[arg(long, value_name = "GB", default_value = "3", value_parser = super::units::gigabytes, env = "VERIFY_MEMORY")]
    memory: f64,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), env = "VERIFY_THREADS")]
    threads: Option<u16>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arithmetic {
    Real,
    Float32,
}

impl From<Arithmetic> for Semantics {
    fn from(arithmetic: Arithmetic) -> Self {
        match arithmetic {
            Arithmetic::Real => Self::Real,
            Arithmetic::Float32 => Self::Float32,
        }
    }
}

/// What a pass is given.
pub struct Context<'a> {
    pub path: &'a Path,
    pub model: &'a Model,
    /// `None`: what the pass proves by default.
    pub semantics: Option<Semantics>,
    pub timeout: Option<Duration>,
    /// Bytes.
    pub memory: u64,
    pub seed: u64,
    pub threads: u32,
    data: Option<(&'a Path, Option<&'a Path>)>,
    samples: Option<usize>,
    pub output: &'a Output,
    pub progress: &'a Progress,
}

impl Context<'_> {
    /// The data set that was given, which must fit the model's input.
    pub fn data(&self, pass: &str) -> Result<Dataset, Failure> {
        let (data, labels) = self.data.ok_or_else(|| Failure::error(format!("`{pass}` needs samples: `--data FILE`")))?;
        let dataset = Dataset::open(data, labels).map_err(Failure::error)?;
        dataset.check_input(&self.model.input.shape).map_err(Failure::error)?;
        if let Some(samples) = self.samples.filter(|&samples| samples > dataset.len()) {
            let (path, count) = (data.display(), dataset.len());
            return Err(Failure::coded("NV202", format_args!("`--samples {samples}`: `{path}` holds {count} samples")));
        }
        if let Some(copies) = copies(&dataset, self.samples(&dataset)) {
            self.output.note(&format!("`{}`: {copies}", data.display()));
        }
        Ok(dataset)
    }

    /// Was a data set given?
    pub const fn has_data(&self) -> bool {
        self.data.is_some()
    }

    /// How many samples of a data set are looked at; [`Context::data`] has seen that there are so many.
    pub fn samples(&self, dataset: &Dataset) -> usize {
        self.samples.unwrap_or(dataset.len())
    }

    /// Says what is being done.
    pub fn step(&self, name: &str) {
        self.progress.step(name);
        self.output.detail(name);
    }
}

/// What a pass found: claims for the certificate, and how it is told.
pub struct Findings {
    pub claims: Vec<Claim>,
    pub section: Section,
    /// What found the witnesses.
    pub engine: String,
    /// How the run ends if the checker accepts the claims.
    pub status: ExitStatus,
    /// The files that the claims name.
    pub files: Vec<PathBuf>,
    /// What `-o` writes in place of the report, which then goes to standard output.
    pub result_file: Option<Vec<u8>>,
    /// Files about the claims, written once the checker has accepted them.
    pub beside: Vec<(PathBuf, Vec<u8>)>,
}

pub fn run(arguments: &Analysis) -> Result<ExitStatus, Failure> {
    let start = Instant::now();
    // The parser requires a model wherever no subcommand is given.
    let path = arguments.model.as_deref().ok_or_else(|| Failure::error("a model is needed"))?;
    let output = Output::new(&arguments.output);
    let common = &arguments.common;
    let threads = set_threads(common.threads)?;
    let model = super::load(path, &output)?;
    arguments.check_files(path, &output)?;
    let progress = Progress::new(output.is_quiet());
    let context = arguments.context(path, &model, threads, &output, &progress);
    let findings = find(arguments, &context)?;
    progress.finish();
    conclude(findings, &context, arguments, start)
}

impl Analysis {
    /// Where the certificate is written.
    fn certificate(&self) -> PathBuf {
        let model = self.model.as_deref().unwrap_or(Path::new(""));
        self.common.certificate.clone().unwrap_or_else(|| beside(model))
    }

    /// Refuses files that would be written over what is read, or over each other.
    fn check_files(&self, model: &Path, output: &Output) -> Result<(), Failure> {
        let common = &self.common;
        let certificate = self.certificate();
        let written = [("--certificate", Some(&*certificate)), ("-o", output.file())];
        let written = written.into_iter().chain(self.robustness.written()).chain(self.inverse.written());
        let written: Vec<(&str, &Path)> = written.filter_map(|(option, path)| Some((option, path?))).collect();
        // Inputs and targets may be named together.
        let data = common.data.as_deref().and_then(Path::to_str).into_iter().flat_map(|data| data.split(',').map(Path::new));
        let read = [Some(model), common.data.as_deref(), common.labels.as_deref()];
        let of_passes = [self.lipschitz.file(), self.specification.file(), self.inverse.vector()];
        let read: Vec<&Path> = read.into_iter().chain(of_passes).flatten().chain(data).collect();
        apart(&written, &read)
    }

    /// What the passes are given.
    pub fn context<'a>(
        &'a self,
        path: &'a Path,
        model: &'a Model,
        threads: u32,
        output: &'a Output,
        progress: &'a Progress,
    ) -> Context<'a> {
        let common = &self.common;
        Context {
            path,
            model,
            semantics: common.semantics.map(Semantics::from),
            timeout: common.timeout,
            memory: (common.memory * 1e9) as u64,
            seed: common.seed,
            threads,
            data: common.data.as_deref().map(|data| (data, common.labels.as_deref())),
            samples: common.samples.map(|samples| samples as usize),
            output,
            progress,
        }
    }
}

/// Runs the passes that were asked for.
pub fn find(arguments: &Analysis, context: &Context) -> Result<Vec<Findings>, Failure> {
    let real_alone = [
        (arguments.lipschitz.requested(), "--lipschitz"),
        (arguments.tightness.requested(), "--tightness"),
        (arguments.hessian.requested(), "--hessian-trace"),
        (arguments.inverse.requested(), "--inverse-hessian"),
    ];
    if context.semantics == Some(Semantics::Float32)
        && let Some((_, pass)) = real_alone.iter().find(|(requested, _)| *requested)
    {
        let message =
            format!("`{pass}` is proved in real arithmetic alone; `--semantics float32` is for `--robust` and `--spec`");
        return Err(Failure::error(message).with_hint("ask in a call of its own"));
    }
    let mut findings = Vec::new();
    let others = [
        ("--spec", arguments.specification.requested()),
        ("--robust", arguments.robustness.requested()),
        ("--tightness", arguments.tightness.requested()),
        ("--hessian-trace", arguments.hessian.requested()),
        ("--inverse-hessian", arguments.inverse.requested()),
    ];
    if let (Some(node), Some((pass, _))) = (context.model.network.implicit(), others.iter().find(|(_, asked)| *asked)) {
        let (path, node, operator) = (context.path.display(), &node.name, &node.operator);
        let message = format!("{path}: `{pass}` cannot treat node `{node}` ({operator}), an implicit equation");
        let hint = "`--lipschitz l2`, `l1` or `linf` certifies it, and that it is well posed";
        return Err(Failure::coded("NV140", message).with_hint(hint));
    }
    if arguments.lipschitz.requested() {
        findings.push(lipschitz::run(&arguments.lipschitz, context)?);
    }
    if arguments.specification.requested() {
        findings.push(specification::run(&arguments.specification, context)?);
    }
    if arguments.robustness.requested() {
        findings.push(robustness::run(&arguments.robustness, context)?);
    }
    if arguments.tightness.requested() {
        findings.push(tightness::run(&arguments.tightness, &arguments.robustness, context)?);
    }
    if arguments.hessian.requested() {
        findings.push(hessian::run(&arguments.hessian, &arguments.objective, context)?);
    }
    if arguments.inverse.requested() {
        findings.push(inverse::run(&arguments.inverse, &arguments.objective, context)?);
    }
    Ok(findings)
}

/// A certificate of everything that was found, and the files that its claims name.
pub struct Sealed {
    /// Nothing, where nothing is claimed.
    pub certificate: Option<(Certificate, Bundle)>,
    pub files: Files,
}

/// Makes a certificate of what passes found. What it is worth, the checker says.
pub fn seal(findings: &[Findings], context: &Context, start: Instant) -> Result<Sealed, Failure> {
    let claims: Vec<Claim> = findings.iter().flat_map(|found| found.claims.iter().cloned()).collect();
    let engines = findings.iter().flat_map(|found| found.claims.iter().map(|claim| (claim.id.clone(), found.engine.clone())));
    let run =
        Run { engines: engines.collect(), seconds: start.elapsed().as_secs_f64(), threads: context.threads, seed: context.seed };
    let mut files = Files::default();
    for path in findings.iter().flat_map(|found| &found.files) {
        check::add_file(&mut files, path)?;
    }
    let certificate = (!claims.is_empty()).then(|| Certificate::new(identity(context.model), claims, Some(run)).seal());
    Ok(Sealed { certificate, files })
}

/// Seals the claims, lets the checker decide, reports, and writes the certificate.
fn conclude(findings: Vec<Findings>, context: &Context, arguments: &Analysis, start: Instant) -> Result<ExitStatus, Failure> {
    let status = findings.iter().map(|found| found.status).fold(ExitStatus::Established, ExitStatus::worse);
    let certificate_path = arguments.certificate();
    let Sealed { certificate: sealed, files } = seal(&findings, context, start)?;
    let mut checked = None;
    if let Some((certificate, bundle)) = &sealed {
        // From the model file again: not what the passes were given.
        let again = crate::onnx::load(context.path).map_err(|error| Failure::model(context.path, &error))?;
        let found = check::check(certificate_path.display().to_string(), certificate, bundle, &again, &files);
        if let Some(refusal) = found.refusal {
            let message =
                format!("the checker refused what a pass found, so nothing is established: {}", codes::split(&refusal).0);
            let hint = if arguments.robustness.resumes() {
                "the file of `--resume` does not hold what a run found: remove it, and run again"
            } else {
                "this is a defect of the pass; please report it with the model"
            };
            return Err(Failure::coded("NV604", message).with_hint(hint).ending(ExitStatus::Inconclusive));
        }
        checked = Some(found);
    }
    let result_file = findings.iter().find_map(|found| found.result_file.clone());
    let others: Vec<(PathBuf, Vec<u8>)> = findings.iter().flat_map(|found| found.beside.clone()).collect();
    let sections = findings.into_iter().map(|found| found.section).collect();
    let certificate = sealed.as_ref().map(|(certificate, _)| certificate);
    let report = AnalysisReport::new(context.path, context.model, sections, certificate, checked.as_ref(), start.elapsed());
    let text = match context.output.format {
        OutputFormat::Text => visible_lines(&report.to_string()),
        OutputFormat::Json => json(&report).map_err(Failure::error)?,
    };
    // What cannot be written keeps nothing else from being written.
    let told = match result_file {
        Some(file) if context.output.format == OutputFormat::Text => context.output.results_beside(&file, &text),
        _ => context.output.results(&text),
    };
    let kept = sealed.as_ref().map_or(Ok(()), |(certificate, bundle)| {
        certificate.write(bundle, &certificate_path).map_err(|error| {
            Failure::coded(codes::WRITE, format_args!("the claims hold, but their certificate was not written: {error}"))
                .with_hint("say where to write it with `--certificate FILE`")
        })
    });
    let written: Vec<Result<(), Failure>> = others.iter().map(|(path, bytes)| super::output::write(path, bytes)).collect();
    [told, kept].into_iter().chain(written).collect::<Result<(), Failure>>()?;
    Ok(status)
}

/// `model.onnx` or `model.onnx.gz` → `model.certificate.json`.
fn beside(model: &Path) -> PathBuf {
    let name = model.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = stem.strip_suffix(".onnx").or_else(|| stem.strip_suffix(".json")).unwrap_or(stem);
    model.with_file_name(format!("{stem}.certificate.json"))
}

/// One pool of threads for everything.
pub fn set_threads(threads: Option<u16>) -> Result<u32, Failure> {
    if let Some(threads) = threads {
        rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global().map_err(Failure::internal)?;
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
        assert_eq!(beside(Path::new("b.json")), Path::new("b.certificate.json"));
        assert_eq!(beside(Path::new("network")), Path::new("network.certificate.json"));
    }
}
