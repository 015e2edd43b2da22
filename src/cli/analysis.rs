//! `verify MODEL --…`: the questions that were asked, one certificate for all of them, its check, one report.
//!
//! Every question's options are in a file of their own with a function that makes a [`Query`] of them; what they have in common
//! (data, limits, seed, certificate) is here. What is reported is what the checker establishes, from the files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::established::{DEFECT, Established, established};
use super::kept::Target;
use super::output::{Output, apart, print};
use super::progress::Progress;
use super::{
    ExitStatus, Failure, OutputArguments, OutputFormat, first, hessian, interrupt, inverse, lipschitz, objective, robustness,
    specification, tightness,
};
use crate::files;
use crate::kernel::check::identity;
use crate::kernel::proof::Semantics;
use crate::kernel::read::data::{split_pair, write_npy};
use crate::kernel::threads::allow_threads;
use crate::query::figures::Figures;
use crate::query::{Answer, Limits, Outcome, Product, Query, Samples, Subjects, Watch, answer, validate};
use crate::report::screen::painted;
use crate::report::{AnalysisReport, CheckedFile, json, robustness_csv, visible_lines};

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("pass").multiple(true)))]
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
    /// Where to write the certificate; `-` is standard output, and the report then goes to standard error. Claims about the same
    /// model that lie there and that are not made anew are kept, without being checked again; a certificate about another model is
    /// replaced [default: beside the model]
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Replace the certificate that lies there, with all of its claims
    #[arg(long)]
    fresh: bool,
    /// Time for the search of a pass, in seconds or with units (`90`, `5m`, `1h30m`) (tightness: the search over phases; the rest takes what it needs); what was found until then is reported, and what was not
    /// done is named [default: 5 minutes for a specification, 80 s for each program of a Lipschitz bound, else an hour]
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

impl CommonArguments {
    pub const fn has_data(&self) -> bool {
        self.data.is_some()
    }

    pub fn semantics(&self) -> Option<Semantics> {
        self.semantics.map(Semantics::from)
    }

    pub const fn threads(&self) -> Option<u16> {
        self.threads
    }

    /// Where the certificate is to be written.
    pub fn certificate(&self) -> Option<&Path> {
        self.certificate.as_deref()
    }

    /// Whether a certificate that lies there is replaced.
    pub const fn fresh(&self) -> bool {
        self.fresh
    }

    pub fn limits(&self, journal: Option<PathBuf>) -> Limits {
        Limits { time: self.timeout, memory: (self.memory * 1e9) as u64, seed: self.seed, journal }
    }

    /// The samples that were given.
    ///
    /// # Errors
    /// Without any.
    pub fn samples(&self, pass: &str) -> Result<Samples, Failure> {
        let data = self.data.as_deref();
        let data = data.ok_or_else(|| Failure::error(format!("`{pass}` needs samples: `--data FILE`")))?;
        let (data, second) = split_pair(data);
        Ok(Samples { data, labels: self.labels.clone().or(second), count: self.samples })
    }
}

/// Tells the terminal what is being done.
pub struct Told<'a> {
    pub progress: &'a Progress,
    pub output: &'a Output,
}

impl Watch for Told<'_> {
    fn step(&self, what: &str) {
        self.progress.step(what);
        self.output.detail(what);
    }

    fn finished(&self, samples: usize, of: usize) {
        self.progress.step(&format!("{samples} of {of} samples"));
    }
}

pub fn run(arguments: &Analysis) -> Result<ExitStatus, Failure> {
    let start = Instant::now();
    // The parser requires a model wherever no subcommand is given.
    let path = arguments.model.as_deref().ok_or_else(|| Failure::error("a model is needed"))?;
    let output = Output::new(&arguments.output);
    set_threads(arguments.common.threads)?;
    interrupt::listen();
    let model = super::load(path, &output).map_err(|failure| meant(failure, path))?;
    let subjects = Subjects::new(path.to_owned(), model);
    let queries = arguments.queries(&subjects.model.input.shape)?;
    if queries.is_empty() {
        let known = first::Known { data: arguments.common.data.as_deref(), limits: arguments.limits() };
        return first::run(&subjects, &known, &output);
    }
    arguments.check_files(path, &queries, &output)?;
    let target = arguments.certificate(path);
    let target = Target::open(&target, &identity(&subjects.model), arguments.common.fresh, &output)?;
    // What cannot be asked is told of before anything is searched for; a single question is looked at as it is answered.
    for query in queries.iter().filter(|_| queries.len() > 1) {
        validate(&subjects, query).map_err(|error| Failure::query(path, &error))?;
    }
    let limits = arguments.limits();
    let progress = Progress::new(output.is_quiet());
    let (mut answers, mut failures) = (Vec::new(), Vec::new());
    for query in &queries {
        match answer(&subjects, query, &limits, &Told { progress: &progress, output: &output }) {
            Ok(found) => {
                found.notes.iter().for_each(|note| output.note(note));
                answers.push(found);
            }
            // What the other questions come to is not lost.
            Err(error) => failures.push(Failure::query(path, &error)),
        }
    }
    progress.finish();
    interrupt::tell(&output);
    let mut status = ExitStatus::Established;
    if !answers.is_empty() {
        match conclude(&subjects, answers, arguments, target, &output, &mut failures, start) {
            Ok(found) => status = status.worse(found),
            Err(failure) => failures.push(failure),
        }
    }
    // The last failure is told as every command tells its own.
    let last = failures.pop();
    for failure in &failures {
        failure.tell();
        status = status.worse(failure.status());
    }
    match last {
        Some(failure) => {
            let worst = status.worse(failure.status());
            Err(failure.ending(worst))
        }
        None => Ok(status),
    }
}

/// A word that is no file and almost a command was meant to be one.
fn meant(failure: Failure, path: &Path) -> Failure {
    match super::nearest_command(&path.to_string_lossy()).filter(|_| !path.exists()) {
        Some(command) => failure.with_hint(format!("did you mean `verify {command}`?")),
        None => failure,
    }
}

impl Analysis {
    /// What is asked, in the order in which it is answered.
    fn queries(&self, shape: &[usize]) -> Result<Vec<Query>, Failure> {
        let common = &self.common;
        let queries = [
            self.lipschitz.query(common)?,
            self.specification.query(common),
            self.robustness.query(common, shape)?,
            self.tightness.query(&self.robustness, common, shape)?,
            self.hessian.query(&self.objective, common)?,
            self.inverse.query(&self.objective, common)?,
        ];
        let queries: Vec<Query> = queries.into_iter().flatten().collect();
        let real_alone = |query: &&Query| !matches!(query, Query::Specification(_) | Query::Robustness(_));
        if let (Some(Semantics::Float32), Some(query)) = (common.semantics(), queries.iter().find(real_alone)) {
            let pass = query.option();
            let message =
                format!("`{pass}` is proved in real arithmetic alone; `--semantics float32` is for `--robust` and `--spec`");
            return Err(Failure::error(message).with_hint("ask in a call of its own"));
        }
        Ok(queries)
    }

    fn limits(&self) -> Limits {
        self.common.limits(self.robustness.journal())
    }

    /// Where the certificate is written.
    fn certificate(&self, model: &Path) -> PathBuf {
        self.common.certificate.clone().unwrap_or_else(|| beside(model))
    }

    /// Refuses files that would be written over what is read, or over each other, and those that cannot be written.
    fn check_files(&self, model: &Path, queries: &[Query], output: &Output) -> Result<(), Failure> {
        let certificate = self.certificate(model);
        if certificate == Path::new("-") && output.format == OutputFormat::Json && output.file().is_none() {
            let message = "`--certificate -` and `--output-format json` both write to standard output";
            return Err(Failure::error(message).with_hint("name a file for one of them: `-o FILE` or `--certificate FILE`"));
        }
        let (journal, pruned) = (self.robustness.journal(), self.inverse.pruned_model(model));
        let written = [
            ("--certificate", Some(&*certificate).filter(|path| *path != Path::new("-"))),
            ("-o", output.file()),
            ("--csv", self.robustness.csv()),
            ("--resume", journal.as_deref()),
            ("--pruned-model", pruned.as_deref()),
        ];
        let written: Vec<(&str, &Path)> = written.into_iter().filter_map(|(option, path)| Some((option, path?))).collect();
        let read: Vec<&Path> = queries.iter().flat_map(Query::files).chain(self.robustness.constants()).chain([model]).collect();
        apart(&written, &read)?;
        // What was finished before is read first, and written before the first sample.
        written.iter().filter(|(option, _)| *option != "--resume").try_for_each(|(option, path)| {
            let named = |error| Failure::writing(path, &error).with_hint(format!("name another file for `{option}`"));
            files::probe(path).map_err(named)
        })
    }
}

/// Seals the claims, lets the checker decide, keeps the certificate, and reports. What cannot be written is added to `failures`,
/// and keeps nothing else from being written.
fn conclude(
    subjects: &Subjects,
    mut answers: Vec<Answer>,
    arguments: &Analysis,
    target: Target,
    output: &Output,
    failures: &mut Vec<Failure>,
    start: Instant,
) -> Result<ExitStatus, Failure> {
    let status = answers.iter().map(|answer| ExitStatus::from(answer.outcome)).fold(ExitStatus::Established, ExitStatus::worse);
    let standard = matches!(target, Target::Standard);
    let hint = if arguments.robustness.journal().is_some() {
        "the file of `--resume` does not hold what a run found: remove it, and run again"
    } else {
        DEFECT
    };
    let sealed = established(subjects, &answers, &arguments.limits(), hint)?;
    let (mut checked, mut kept) = (None, None);
    if let Some(Established { certificate, bundle, checked: found }) = &sealed {
        let name = target.name();
        checked = Some(CheckedFile::new(name.clone(), certificate, bundle, found));
        // What was not written is not announced.
        match target.keep(certificate, bundle, output) {
            Ok(()) => kept = Some(name),
            Err(failure) => failures.push(failure),
        }
    }
    let Products { result_file, others } = products(subjects, &mut answers, arguments)?;
    let lost = answers.iter_mut().flat_map(|answer| std::mem::take(&mut answer.failures));
    failures.extend(lost.map(|error| Failure::query(&subjects.path, &error)));
    let figures = answers.into_iter().map(|answer| answer.figures).collect();
    let certificate = sealed.as_ref().map(|sealed| &sealed.certificate);
    let report =
        AnalysisReport::new(&subjects.path, &subjects.model, figures, certificate, checked.as_ref(), kept, start.elapsed());
    let text = match output.format {
        OutputFormat::Text => visible_lines(&if output.is_verbose() { format!("{report:#}") } else { report.to_string() }),
        OutputFormat::Json => json(&report).map_err(Failure::error)?,
    };
    // A result of its own goes where the report would.
    let in_place = result_file.filter(|_| output.format == OutputFormat::Text).zip(output.file());
    let told = if in_place.is_none() && output.file().is_some() {
        output.results(&text)
    } else if standard {
        eprint!("{text}");
        Ok(())
    } else if output.format == OutputFormat::Text {
        print(&painted(&text))
    } else {
        print(&text)
    };
    failures.extend(in_place.and_then(|(file, path)| super::output::write(path, &file).err()));
    failures.extend(told.err());
    failures.extend(others.iter().filter_map(|(path, bytes)| super::output::write(path, bytes).err()));
    Ok(status)
}

/// What is written beside the report.
struct Products {
    /// In place of the report, which then goes to standard output.
    result_file: Option<Vec<u8>>,
    others: Vec<(PathBuf, Vec<u8>)>,
}

fn products(subjects: &Subjects, answers: &mut [Answer], arguments: &Analysis) -> Result<Products, Failure> {
    let mut products = Products { result_file: None, others: Vec::new() };
    for answer in answers {
        for product in std::mem::take(&mut answer.products) {
            match product {
                Product::ResultFile(text) => {
                    products.result_file.get_or_insert(text.into_bytes());
                }
                Product::Vector(values) if arguments.inverse.names_vector() => {
                    let mut bytes = Vec::new();
                    write_npy(&mut bytes, &[values.len()], &values).map_err(Failure::error)?;
                    products.result_file.get_or_insert(bytes);
                }
                Product::Vector(_) => {}
                Product::PrunedModel(bytes) => {
                    let Some(path) = arguments.inverse.pruned_model(&subjects.path) else { continue };
                    if let Figures::Inverse(figures) = &mut answer.figures
                        && let Some(pruning) = &mut figures.pruning
                    {
                        pruning.model = Some(path.clone());
                    }
                    products.others.push((path, bytes));
                }
            }
        }
        if let (Figures::Robustness(figures), Some(path)) = (&answer.figures, arguments.robustness.csv()) {
            products.others.push((path.to_owned(), robustness_csv(figures).into_bytes()));
        }
    }
    Ok(products)
}

impl From<Outcome> for ExitStatus {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Established => Self::Established,
            Outcome::Violated => Self::Violated,
            Outcome::Inconclusive => Self::Inconclusive,
        }
    }
}

/// `model.onnx` or `model.onnx.gz` → `model.certificate.json`.
pub fn beside(model: &Path) -> PathBuf {
    let name = model.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = stem.strip_suffix(".onnx").or_else(|| stem.strip_suffix(".json")).unwrap_or(stem);
    model.with_file_name(format!("{stem}.certificate.json"))
}

/// One pool of threads for everything, and as many for checks.
pub fn set_threads(threads: Option<u16>) -> Result<(), Failure> {
    if let Some(threads) = threads {
        rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global().map_err(Failure::internal)?;
        faer::set_global_parallelism(if threads == 1 { faer::Par::Seq } else { faer::Par::rayon(usize::from(threads)) });
    }
    allow_threads(rayon::current_num_threads());
    Ok(())
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
