//! `verify init MODEL`: a policy for a model, with what it can be held to today.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::established::{DEFECT, established};
use super::output::{Output, apart, write};
use super::{ExitStatus, Failure};
use crate::kernel::model::onnx::Model;
use crate::kernel::proof::{ClaimKind, Kept, Norm, Perturbation, Semantics};
use crate::kernel::read::data::Dataset;
use crate::kernel::read::vnnlib::Constant;
use crate::kernel::sound::upper_decimal;
use crate::policy::FILE_NAME;
use crate::query::figures::Figures;
use crate::query::{Limits, LipschitzQuery, Query, RobustnessQuery, Samples, Subjects, answer};

#[derive(clap::Args)]
pub struct Arguments {
    /// The network: an ONNX file, or an implicit network as JSON; possibly gzipped
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Samples with labels: the policy then also has a rule about how many of them keep their class, with the share that is
    /// proved today
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Size of the changes of that rule, in the units of the data [default: a hundredth of their range, or less where the model
    /// does not bear it]
    #[arg(long, value_name = "EPS", requires = "data", value_parser = super::units::size)]
    eps: Option<String>,
    /// How many samples the rule is about, from the first
    #[arg(long, value_name = "N", requires = "data", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Where to write the policy
    #[arg(short, long, value_name = "FILE", default_value = FILE_NAME)]
    output: PathBuf,
    /// Replace a policy that exists
    #[arg(long)]
    force: bool,
    /// Seconds for each search that a limit is taken from
    #[arg(long, value_name = "TIME", value_parser = super::units::time, default_value = "20", env = "VERIFY_TIMEOUT")]
    timeout: std::time::Duration,
    /// No progress, notes or warnings on standard error
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let output = Output::to(None, arguments.quiet, false);
    let read: Vec<&Path> =
        [Some(&arguments.model), arguments.data.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect();
    apart(&[("-o", &arguments.output)], &read)?;
    if std::fs::symlink_metadata(&arguments.output).is_ok() && !arguments.force {
        let message = format!("`{}` exists", arguments.output.display());
        return Err(Failure::error(message).with_hint("`--force` replaces it, `-o FILE` writes elsewhere"));
    }
    let model = super::load(&arguments.model, &output)?;
    let subjects = Subjects::new(arguments.model.clone(), model);
    let model = &subjects.model;
    let query = Query::Lipschitz(LipschitzQuery::everywhere(Norm::L2));
    let limits = Limits { time: Some(arguments.timeout), ..Limits::default() };
    let bound = match answer(&subjects, &query, &limits, &()) {
        Ok(found) => {
            // A limit is taken from what the checker accepts.
            let found = established(&subjects, &[found], &limits, DEFECT)?;
            found.iter().flat_map(|found| &found.certificate.claims).find_map(|claim| match &claim.kind {
                ClaimKind::Lipschitz(claim) => Some(claim.bound.value()),
                _ => None,
            })
        }
        Err(error) => {
            output.note(&format!("no Lipschitz bound: {}", Failure::query(&arguments.model, &error)));
            None
        }
    };
    let folder = arguments.output.parent().unwrap_or(Path::new(""));
    let path = relative(&arguments.model, folder);
    if Path::new(&path).is_absolute() {
        output.note("the model lies outside the policy's folder: `verify gate --allow-outside` accepts that, or copy it there");
    }
    let robust = arguments.data.as_deref().map(|data| robustness(arguments, data, &subjects, &output)).transpose()?;
    let robust = robust.map(|found| Robust { data: relative(&found.data, folder).into(), ..found });
    if robust.as_ref().is_some_and(|found| found.data.is_absolute()) {
        output.note("the data lie outside the policy's folder: `verify gate --allow-outside` accepts that, or copy them there");
    }
    let text = policy(&path, model, bound, robust.as_ref());
    write(&arguments.output, text.as_bytes())?;
    output.results(&format!("{}: written; `verify gate` applies it\n", arguments.output.display()))?;
    Ok(ExitStatus::Established)
}

/// The model's path as seen from the policy's folder, where the one lies below the other; else as it was given, absolute.
fn relative(model: &Path, folder: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (model, folder) = (absolute(model), absolute(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }));
    model.strip_prefix(&folder).unwrap_or(&model).to_string_lossy().replace('\\', "/")
}

/// What the model bears today.
struct Robust {
    data: PathBuf,
    samples: u32,
    epsilon: String,
    /// The share that is proved to keep its class, rounded down to two digits.
    share: f64,
    /// Samples that are classified as labelled before any change.
    right: usize,
}

/// Sizes of changes that are tried where none is given, as parts of the range of the data.
const TRIED: [f64; 3] = [0.01, 0.0025, 0.0005];

/// Finds a size of changes that at least half of what the model gets right bears.
fn robustness(arguments: &Arguments, data: &Path, subjects: &Subjects, output: &Output) -> Result<Robust, Failure> {
    let dataset = Dataset::open(data, None).map_err(Failure::error)?;
    let count = arguments.samples.min(u32::try_from(dataset.len()).unwrap_or(u32::MAX));
    let values = (0..count as usize).flat_map(|sample| dataset.input(sample));
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    let range = if high > low { high - low } else { 1.0 };
    let sizes = match &arguments.eps {
        // A policy has decimals alone.
        Some(epsilon) => vec![Constant::parse_quotient(epsilon).map_or_else(|| epsilon.clone(), |size| size.nearest.to_string())],
        None => TRIED.iter().map(|part| round(part * range)).collect(),
    };
    let limits = Limits { time: Some(arguments.timeout), ..Limits::default() };
    let mut best = None;
    for epsilon in sizes {
        let perturbation = Perturbation {
            norm: Norm::Linf,
            epsilon: epsilon.as_str().into(),
            clip: None,
            mean: Vec::new(),
            deviation: Vec::new(),
            channel_axis: None,
        };
        let samples = Samples { data: data.to_owned(), labels: None, count: Some(count) };
        let query = Query::Robustness(RobustnessQuery { samples, perturbation, kept: Kept::Class, semantics: Semantics::Real });
        let found = answer(subjects, &query, &limits, &()).map_err(|error| Failure::query(&arguments.model, &error))?;
        let answers = [found];
        established(subjects, &answers, &limits, DEFECT)?;
        let [found] = answers;
        let Figures::Robustness(figures) = found.figures else { break };
        let share = (100 * figures.robust / figures.samples.max(1)) as f64 / 100.0;
        let right = figures.clean_accuracy.map_or(0, |clean| clean.right);
        let enough = 2 * figures.robust >= right;
        if best.is_none() {
            found.notes.iter().for_each(|note| output.note(note));
        }
        best = Some(Robust { data: data.to_owned(), samples: count, epsilon, share, right });
        if enough {
            break;
        }
    }
    best.ok_or_else(|| Failure::internal("no size of changes was tried"))
}

/// One digit, as people write it.
fn round(size: f64) -> String {
    let rounded: f64 = format!("{size:.0e}").parse().unwrap_or(size);
    rounded.to_string()
}

fn policy(path: &str, model: &Model, bound: Option<f64>, robust: Option<&Robust>) -> String {
    let stem = path.rsplit('/').next().unwrap_or(path);
    let stem =
        stem.strip_suffix(".gz").unwrap_or(stem).strip_suffix(".onnx").or_else(|| stem.strip_suffix(".json")).unwrap_or(stem);
    let mut name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' }).take(40).collect();
    if name.is_empty() {
        name.push_str("model");
    }
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let shape = |port: &crate::kernel::model::onnx::Port| format!("{:?}", port.shape);
    let operators: Vec<String> =
        model.operators.iter().map(|(name, count)| format!("{} ×{count}", name.escape_debug())).collect();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "# What this repository asks of its models; `verify gate` decides. Paths are relative to this file.\n\
         # `verify schema policy` prints the format, `verify gate --show-policy` what is understood.\n\n\
         # Certificates are kept here: commit the folder or cache it, and unchanged models are only checked again.\n\
         certificates = \"certificates\"\n\n\
         [limits]\ntimeout = 300.0 # seconds of search for each rule\nmemory = 3.0 # gigabytes\nseed = 0\n\n\
         # {} → {}, {} parameters; {}\n\
         [models.{name}]\npath = {}\n\
         # Only this file (`verify inspect` prints the digest); any other violates the policy.\n\
         # sha256 = \"{}\"\n\
         # The certificate of an earlier version, for `max-regression`.\n\
         # baseline = \"baseline/{name}.certificate.json\"\n\n",
        shape(&model.input),
        shape(&model.output),
        model.parameters,
        operators.join(", "),
        quoted(path),
        model.whole_digest(),
    );
    let robustness = match robust {
        Some(Robust { data, samples, epsilon, share, right }) => format!(
            "# Today {share} of the first {samples} samples is proved; unchanged, {right} of them are classified as labelled.\n\
             [[models.{name}.robustness]]\ndata = {}\nsamples = {samples}\nnorm = \"linf\"\nepsilon = {epsilon}\nmin-certified-accuracy = {share:?}\n",
            quoted(&data.to_string_lossy())
        ),
        None => format!(
            "# [[models.{name}.robustness]]\n# data = \"data/test.npz\"\n# samples = 100\n# norm = \"linf\"\n# epsilon = 0.01\n# min-certified-accuracy = 0.8\n"
        ),
    };
    let comment = if bound.is_some() { "" } else { "# " };
    let limit = bound.map_or_else(|| "1.0".to_owned(), |bound| format!("{:?}", above(bound)));
    let found = bound.map_or_else(
        || "# No bound was found; `verify MODEL --lipschitz l2` says why.".to_owned(),
        |bound| {
            let today = upper_decimal(bound, 9);
            format!("# The certified bound of the global Lipschitz constant is at most this; today it is {today}.")
        },
    );
    let _ = write!(
        text,
        "{found}\n{comment}[[models.{name}.lipschitz]]\n{comment}norm = \"l2\"\n{comment}max-bound = {limit}\n\
         # It exceeds the baseline's by at most this fraction.\n# max-regression = 0.05\n\n\
         # The share of samples that keep their class under every perturbation, `input` saying how samples become inputs.\n\
         # [models.{name}.input]\n# mean = [0.0]\n# std = [1.0]\n# clip = [0.0, 1.0]\n\
         {robustness}\n\
         # The property of a VNN-LIB file holds.\n# [[models.{name}.specification]]\n# file = \"specs/property.vnnlib\"\n\n\
         # How tight interval propagation is, on average over the samples: 1 where its boxes are the smallest.\n\
         # [[models.{name}.tightness]]\n# data = \"data/test.npz\"\n# samples = 100\n# epsilon = 0.01\n# min-tightness = 0.1\n\n\
         # The trace of the Hessian of the loss, by all trained parameters: its upper limit, proved or of its confidence interval\n\
         # (`assurance`). Rules about data are about all samples where `samples` does not name a part.\n\
         # [[models.{name}.hessian-trace]]\n# data = \"data/train.npz\"\n# samples = 100\n# loss = \"cross-entropy\"\n# max-trace = 100.0\n# assurance = \"proved\"\n\n\
         # Plain SGD would stay at this minimum.\n\
         # [[models.{name}.stability]]\n# data = \"data/train.npz\"\n# samples = 100\n# loss = \"mse\"\n# learning-rate = 0.01\n# batch-size = 16\n"
    );
    text
}

/// A limit has to be positive, even where the network is constant.
const LEAST: f64 = 1e-6;

/// Ten per cent above, to two digits, upwards.
fn above(bound: f64) -> f64 {
    let wanted = bound.max(LEAST) * 1.1;
    let unit = 10_f64.powf(wanted.log10().floor() - 1.0);
    let rounded = (wanted / unit).ceil() * unit;
    // The digits of a decimal, not of its binary neighbour.
    format!("{rounded:.3e}").parse().unwrap_or(rounded)
}

#[cfg(test)]
mod tests {
    use super::{above, round};

    #[test]
    fn sizes_have_one_digit() {
        assert_eq!((round(0.01), round(0.0025), round(2.55)), ("0.01".to_owned(), "0.003".to_owned(), "3".to_owned()));
    }

    #[test]
    fn limits_are_round_and_above() {
        assert_eq!(above(1.000_000_06), 1.2);
        assert_eq!(above(16.3), 18.0);
        assert!(above(0.0) > 0.0);
        assert_eq!(above(0.001), 0.0011);
    }
}
