//! `verify MODEL --robust --data D --eps E --norm NORM`: robustness over a data set.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::analysis::{Context, Findings};
use super::data::{identities, paths};
use super::{ExitStatus, Failure, units};
use crate::certificate::{
    Assurance, Claim, ClaimKind, Domain, LipschitzClaim, Norm, Perturbation, RobustnessClaim, RobustnessWitness, Semantics,
    Vector, digest_of,
};
use crate::checker::{Method, Neighbourhoods};
use crate::data::Dataset;
use crate::files;
use crate::pass::robustness::{DatasetOptions, SampleOutcome, verify_dataset};
use crate::report::{CleanAccuracy, RobustnessSection, Section};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Robustness")]
pub struct Arguments {
    /// Decide for every sample of the data whether perturbations change its class
    #[arg(long, groups = ["pass", "perturbing"], requires_all = ["data", "eps"])]
    robust: bool,
    /// Size of the perturbations, in the units of the data: a decimal or a quotient (`8/255`)
    #[arg(long, value_name = "EPS", value_parser = units::size, allow_hyphen_values = true, requires = "perturbing")]
    eps: Option<String>,
    /// Norm of the perturbations
    #[arg(long, value_enum, value_name = "NORM", default_value_t = PerturbationNorm::Linf, requires = "robust")]
    norm: PerturbationNorm,
    /// The network's input is (sample − mean)/deviation: one number, or one for each channel
    #[arg(long, value_name = "M,…", value_delimiter = ',', value_parser = units::decimal, allow_hyphen_values = true, requires = "perturbing")]
    input_mean: Vec<String>,
    /// See `--input-mean`
    #[arg(long, value_name = "S,…", value_delimiter = ',', value_parser = units::divisor, requires = "perturbing")]
    input_std: Vec<String>,
    /// Axis of the network's input that `--input-mean` and `--input-std` count along, the batch being axis 0; negative from the
    /// end: -1 where channels come last [default: 1]
    #[arg(long, value_name = "AXIS", allow_hyphen_values = true, requires = "perturbing")]
    channel_axis: Option<i32>,
    /// Perturbed samples stay between these two
    #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',', value_parser = units::decimal, num_args = 1, allow_hyphen_values = true, requires = "perturbing")]
    clip: Vec<String>,
    /// Finished samples are kept in this file; a run that was stopped goes on from there
    #[arg(long, value_name = "FILE", requires = "robust")]
    resume: Option<PathBuf>,
    /// Write one line for every sample to this file
    #[arg(long, value_name = "FILE", requires = "robust")]
    csv: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PerturbationNorm {
    /// Largest change of a value
    Linf,
    /// Euclidean norm of the change
    L2,
}

/// Witnesses of falsified samples that a certificate holds, in numbers: a quarter of what a bundle may have.
const MOST_WITNESS_VALUES: usize = 1 << 21;

/// A journal larger than this is refused unread.
const MOST_JOURNAL_BYTES: u64 = 1 << 31;

impl Arguments {
    pub const fn requested(&self) -> bool {
        self.robust
    }

    /// Whether samples of an earlier run may be taken over.
    pub const fn resumes(&self) -> bool {
        self.resume.is_some()
    }

    /// The files that are written, by their options.
    pub fn written(&self) -> [(&'static str, Option<&Path>); 2] {
        [("--csv", self.csv.as_deref()), ("--resume", self.resume.as_deref())]
    }

    /// What may happen to a sample.
    ///
    /// # Errors
    /// What does not fit the network's input of that shape.
    pub fn perturbation(&self, shape: &[usize]) -> Result<Perturbation, Failure> {
        let clip = match &self.clip[..] {
            [] => None,
            [low, high] => Some([low.clone(), high.clone()]),
            _ => return Err(Failure::error("`--clip` takes two numbers: `--clip 0,1`")),
        };
        Ok(Perturbation {
            norm: match self.norm {
                PerturbationNorm::Linf => Norm::Linf,
                PerturbationNorm::L2 => Norm::L2,
            },
            epsilon: self.eps.clone().ok_or_else(|| Failure::error("`--eps` is needed"))?,
            clip,
            mean: self.input_mean.clone(),
            deviation: self.input_std.clone(),
            channel_axis: self.channel_axis.map(|axis| channel_axis(axis, shape)).transpose()?,
        })
    }
}

/// The axis that the user means, counted from the front.
fn channel_axis(axis: i32, shape: &[usize]) -> Result<u32, Failure> {
    let rank = i32::try_from(shape.len()).map_err(Failure::internal)?;
    let from_front = if axis < 0 { axis + rank } else { axis };
    let found = u32::try_from(from_front).ok().filter(|_| (0..rank).contains(&from_front));
    found.ok_or_else(|| Failure::error(format!("`--channel-axis {axis}`: the network's input {shape:?} has {rank} axes")))
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<Findings, Failure> {
    let start = Instant::now();
    let network = &context.model.network;
    let data = context.data("--robust")?;
    let count = context.samples(&data);
    if network.output_size() < 2 {
        return Err(Failure::coded("NV140", "`--robust` compares outputs of classes; the network has one output"));
    }
    let labels = data.labels(network.output_size()).map_err(Failure::error)?;
    let perturbation = arguments.perturbation(&context.model.input.shape)?;
    check_clip(&perturbation, &data, count, context)?;
    let semantics = context.semantics.unwrap_or(Semantics::Real);

    let query = query(context, &data, &perturbation, semantics);
    let mut journal = Journal::open(arguments.resume.as_deref(), &query)?;
    let left: Vec<usize> = (0..count).filter(|sample| !journal.finished.contains_key(sample)).collect();
    if left.len() < count {
        context.output.note(&format!("{} samples were finished before", count - left.len()));
    }
    let options = DatasetOptions { semantics, timeout: context.timeout, memory: context.memory, seed: context.seed };
    let shared = Mutex::new(&mut journal);
    let told = |sample: usize, outcome: &SampleOutcome| {
        // A thread that panicked ends the program; what it held is whole.
        let mut journal = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        journal.add(sample, outcome);
        context.progress.step(&format!("{} of {count} samples", journal.finished.len()));
    };
    let margins = verify_dataset(network, &data, &labels, &perturbation, &left, &options, &told)
        .map_err(|error| Failure::error(error).at(context.path))?;
    if let Some(error) = journal.error {
        return Err(Failure::coded(crate::codes::WRITE, error));
    }

    let outcomes: Vec<SampleOutcome> =
        (0..count).map(|sample| journal.finished.remove(&sample).unwrap_or(SampleOutcome::Unknown)).collect();
    let clean = clean_accuracy(&data, &perturbation, &labels[..count], context)?;
    let claim = claim(&data, perturbation, &outcomes, network.input_size(), margins);
    let section = RobustnessSection::new(&claim, semantics, &outcomes, clean, start.elapsed().as_secs_f64());
    let any = |wanted: fn(&SampleOutcome) -> bool| outcomes.iter().any(wanted);
    let status = if any(|outcome| matches!(outcome, SampleOutcome::Falsified { .. })) {
        ExitStatus::Violated
    } else if any(|outcome| *outcome == SampleOutcome::Unknown) {
        ExitStatus::Inconclusive
    } else {
        ExitStatus::Established
    };
    let claim = Claim {
        id: "robustness".to_owned(),
        assurance: Assurance::Proved,
        semantics,
        domain: Domain::Samples,
        vacuous: false,
        kind: ClaimKind::Robustness(claim),
    };
    Ok(Findings {
        claims: vec![claim],
        section: Section::Robustness(section),
        engine: "attacks, intervals, backward bounds, Lipschitz margins".to_owned(),
        status,
        files: paths(&data),
        result_file: None,
        beside: arguments.csv.iter().map(|path| (path.clone(), csv(&labels, &outcomes))).collect(),
    })
}

/// The samples that are right as they are, and what is doubtful about the data, said.
pub fn clean_accuracy(
    data: &Dataset,
    perturbation: &Perturbation,
    labels: &[u32],
    context: &Context,
) -> Result<CleanAccuracy, Failure> {
    let neighbourhoods =
        Neighbourhoods::new(perturbation, &context.model.input.shape, Semantics::Real).map_err(Failure::error)?;
    let centres = (0..labels.len()).map(|sample| neighbourhoods.of(&data.input(sample)).map(|of| of.centre).unwrap_or_default());
    let normalised = !(perturbation.mean.is_empty() && perturbation.deviation.is_empty());
    let found = CleanAccuracy::of(&context.model.network, centres, labels, data, normalised);
    found.warnings().iter().for_each(|warning| context.output.note(warning));
    Ok(found)
}

/// A sample outside the range that its perturbations are to stay in was not meant.
pub fn check_clip(perturbation: &Perturbation, data: &Dataset, count: usize, context: &Context) -> Result<(), Failure> {
    let neighbourhoods =
        Neighbourhoods::new(perturbation, &context.model.input.shape, Semantics::Real).map_err(Failure::error)?;
    let outside = (0..count).find_map(|sample| Some((sample, neighbourhoods.outside_clip(&data.input(sample))?)));
    match outside {
        None => Ok(()),
        Some((sample, element)) => {
            let value = data.input(sample)[element];
            let path = data.path().display();
            Err(Failure::coded(
                "NV202",
                format_args!("`{path}`: sample {sample}, element {element}: {value} lies outside `--clip`"),
            ))
        }
    }
}

fn claim(
    data: &Dataset,
    perturbation: Perturbation,
    outcomes: &[SampleOutcome],
    inputs: usize,
    margins: Option<LipschitzClaim>,
) -> RobustnessClaim {
    let robust =
        |(sample, outcome): (usize, &SampleOutcome)| matches!(outcome, SampleOutcome::Robust { .. }).then_some(sample as u32);
    let mut falsified = Vec::new();
    let mut points = Vec::new();
    for (sample, outcome) in outcomes.iter().enumerate() {
        if let SampleOutcome::Falsified { point, .. } = outcome
            && points.len() + inputs <= MOST_WITNESS_VALUES
        {
            falsified.push(sample as u32);
            points.extend_from_slice(point);
        }
    }
    RobustnessClaim {
        data: identities(data),
        perturbation,
        samples: outcomes.len() as u32,
        available: u32::try_from(data.len()).ok(),
        robust: outcomes.iter().enumerate().filter_map(robust).collect(),
        falsified,
        witness: RobustnessWitness { points: Vector::inline(&points), margins: margins.map(Box::new) },
    }
}

/// What finished samples belong to: the model, the data, the perturbation, the arithmetic, the seed, this version.
fn query(context: &Context, data: &Dataset, perturbation: &Perturbation, semantics: Semantics) -> String {
    let perturbation = serde_json::to_string(perturbation).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let (model, data, seed) = (context.model.whole_digest(), data.digest(), context.seed);
    digest_of(format!("{version}\n{model}\n{data}\n{perturbation}\n{semantics:?}\n{seed}").as_bytes())
}

/// Finished samples, in memory and, where it was asked for, in a file: a first line that names the query, then a line of
/// JSON for each sample. A kill can only cut the last line, which is then done again. Nothing in it is believed without the
/// checker.
struct Journal {
    finished: BTreeMap<usize, SampleOutcome>,
    file: Option<std::fs::File>,
    error: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    query: String,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    sample: usize,
    #[serde(flatten)]
    outcome: SampleOutcome,
}

impl Journal {
    fn open(path: Option<&Path>, query: &str) -> Result<Self, Failure> {
        let mut journal = Self { finished: BTreeMap::new(), file: None, error: None };
        let Some(path) = path else { return Ok(journal) };
        let foreign = || {
            let message = format!("`{}` holds samples of another model, data set or perturbation", path.display());
            Failure::error(message).with_hint("name another file, or remove it")
        };
        let text = match files::read(path, MOST_JOURNAL_BYTES) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| foreign())?,
            Err(files::ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::coded("NV201", error).at(path)),
        };
        let mut kept = format!("{}\n", serde_json::to_string(&Header { query: query.to_owned() }).map_err(Failure::error)?);
        let mut lines = text.split_inclusive('\n');
        // The first line is never cut: it is written before the file has its name.
        if let Some(first) = lines.next() {
            let matches = serde_json::from_str::<Header>(first).is_ok_and(|header| header.query == query);
            if !matches {
                return Err(foreign());
            }
        }
        for line in lines.filter(|line| line.ends_with('\n')) {
            // What Lipschitz bounds decided is decided again: the bounds are not kept here.
            let kept_here = |entry: &Entry| entry.outcome != SampleOutcome::Robust { method: Method::Lipschitz };
            if let Some(entry) = serde_json::from_str::<Entry>(line).ok().filter(kept_here) {
                journal.finished.insert(entry.sample, entry.outcome);
                kept.push_str(line);
            }
        }
        let file = files::write_and_keep(path, kept.as_bytes()).map_err(|error| Failure::writing(path, &error))?;
        journal.file = Some(file);
        Ok(journal)
    }

    fn add(&mut self, sample: usize, outcome: &SampleOutcome) {
        if let Some(file) = &mut self.file {
            let line = serde_json::to_string(&Entry { sample, outcome: outcome.clone() }).unwrap_or_default() + "\n";
            if let Err(error) = file.write_all(line.as_bytes()).and_then(|()| file.flush()) {
                self.error.get_or_insert(format!("finished samples cannot be kept: {error}"));
            }
        }
        self.finished.insert(sample, outcome.clone());
    }
}

fn csv(labels: &[u32], outcomes: &[SampleOutcome]) -> Vec<u8> {
    let mut text = "sample,label,outcome,detail\n".to_owned();
    for (sample, (label, outcome)) in labels.iter().zip(outcomes).enumerate() {
        let (word, detail) = match outcome {
            SampleOutcome::Robust { method } => ("robust", format!("{method:?}").to_lowercase()),
            SampleOutcome::Falsified { misclassified: true, .. } => ("falsified", "misclassified".to_owned()),
            SampleOutcome::Falsified { .. } => ("falsified", "perturbed".to_owned()),
            SampleOutcome::Unknown => ("unknown", String::new()),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{sample},{label},{word},{detail}");
    }
    text.into_bytes()
}
