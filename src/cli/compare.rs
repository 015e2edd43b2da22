//! `verify compare OLD NEW`: how far the outputs of two networks are apart, and where both prefer one class.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::analysis::{CommonArguments, Told, beside, set_threads};
use super::established::{DEFECT, Established, established};
use super::kept::Target;
use super::lipschitz;
use super::output::{Output, apart, print};
use super::progress::Progress;
use super::{ExitStatus, Failure, OutputArguments, OutputFormat, interrupt, units};
use crate::kernel::check::identity;
use crate::kernel::proof::{Norm, Perturbation, Semantics, Size};
use crate::kernel::read::vnnlib::Constant;
use crate::query::{DeviationQuery, Inputs, Query, Region, Subjects, answer};
use crate::report::screen::painted;
use crate::report::{AnalysisReport, CheckedFile, json, visible_lines};

#[derive(clap::Args)]
pub struct Arguments {
    /// The network that is compared with
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The network that is to take its place; the certificate is about it
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Compare on a box: `LOW,HIGH` for every input, or a .npz file with the arrays `lower` and `upper`
    #[arg(long, value_name = "BOX", value_parser = lipschitz::Region::parse, allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["data", "eps"], required_unless_present = "data")]
    region: Option<lipschitz::Region>,
    /// Compare around the samples of `--data`, for changes of every input value by at most this: a decimal or a quotient; 0
    /// compares at the samples themselves
    #[arg(long, value_name = "EPS", value_parser = units::size, requires = "data", required_unless_present = "region")]
    eps: Option<String>,
    /// Changed samples stay between these two
    #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',', value_parser = units::decimal, num_args = 1, allow_hyphen_values = true, requires = "eps")]
    clip: Vec<String>,
    /// No output may differ by more than this: exit code 1 where an input shows that one does, 3 where neither is proved
    #[arg(long, value_name = "E", value_parser = units::size)]
    max_deviation: Option<String>,
    /// Both networks must prefer the same class, for every input, around at least this share of the samples (`0.99`, `99%`); on a
    /// box 1
    #[arg(long, value_name = "SHARE", value_parser = least_share)]
    min_agreement: Option<f64>,
    /// Compare classes without a limit: around how many samples both networks prefer the same one
    #[arg(long)]
    agreement: bool,
    #[command(flatten)]
    common: CommonArguments,
    #[command(flatten)]
    output: OutputArguments,
}

/// A share that may be all.
fn least_share(text: &str) -> Result<f64, String> {
    let value = units::fraction(text)?;
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err("must lie above 0 and be at most 1".to_owned()) }
}

impl Arguments {
    fn query(&self) -> Result<Query, Failure> {
        let inputs = match &self.region {
            Some(lipschitz::Region::Interval(low, high)) => {
                Inputs::Region { region: Region::Interval { low: *low, high: *high } }
            }
            Some(lipschitz::Region::File(path)) => Inputs::Region { region: Region::File { path: path.clone() } },
            Some(lipschitz::Region::Around(_)) => {
                let message = "`--region around:RADIUS` is about Lipschitz constants";
                return Err(
                    Failure::error(message).with_hint("around samples networks are compared with `--data FILE --eps RADIUS`")
                );
            }
            None => Inputs::Samples {
                samples: self.common.samples("compare")?,
                perturbation: Perturbation {
                    norm: Norm::Linf,
                    epsilon: Size::Uniform(self.eps.clone().ok_or_else(|| Failure::error("`--eps` is needed"))?),
                    clip: self.clip()?,
                    mean: Vec::new(),
                    deviation: Vec::new(),
                    channel_axis: None,
                },
            },
        };
        Ok(Query::Deviation(DeviationQuery {
            baseline: self.old.clone(),
            inputs,
            max_deviation: self.max_deviation.clone(),
            agreement: self.agreement || self.min_agreement.is_some(),
            min_agreement: self.min_agreement,
            semantics: self.common.semantics().unwrap_or(Semantics::Real),
        }))
    }

    fn clip(&self) -> Result<Option<[String; 2]>, Failure> {
        let number = |text: &str| Constant::parse_quotient(text).map(|number| number.nearest);
        match &self.clip[..] {
            [] => Ok(None),
            [low, high] if number(low) <= number(high) => Ok(Some([low.clone(), high.clone()])),
            _ => Err(Failure::error("`--clip` takes two numbers, the lower one first: `--clip 0,1`")),
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let start = Instant::now();
    let output = Output::new(&arguments.output);
    let query = arguments.query()?;
    let path = arguments.new.as_path();
    set_threads(arguments.common.threads())?;
    interrupt::listen();
    let subjects = Subjects::new(path.to_owned(), super::load(path, &output)?);
    let certificate = arguments.common.certificate().map_or_else(|| beside(path), Path::to_owned);
    if certificate == Path::new("-") && output.format == OutputFormat::Json && output.file().is_none() {
        let message = "`--certificate -` and `--output-format json` both write to standard output";
        return Err(Failure::error(message).with_hint("name a file for one of them: `-o FILE` or `--certificate FILE`"));
    }
    let written = [("--certificate", Some(&*certificate).filter(|path| *path != Path::new("-"))), ("-o", output.file())];
    let written: Vec<(&str, &Path)> = written.into_iter().filter_map(|(option, path)| Some((option, path?))).collect();
    apart(&written, &query.files().into_iter().chain([path]).collect::<Vec<_>>())?;
    for (option, path) in &written {
        let named = |error| Failure::writing(path, &error).with_hint(format!("name another file for `{option}`"));
        crate::files::probe(path).map_err(named)?;
    }
    let target = Target::open(&certificate, &identity(&subjects.model), arguments.common.fresh(), &output)?;
    let limits = arguments.common.limits(None);
    let progress = Progress::new(output.is_quiet());
    let found = answer(&subjects, &query, &limits, &Told { progress: &progress, output: &output });
    progress.finish();
    interrupt::tell(&output);
    let found = found.map_err(|error| Failure::query(path, &error))?;
    found.notes.iter().for_each(|note| output.note(note));
    let status = ExitStatus::from(found.outcome);
    let answers = [found];
    let standard = matches!(target, Target::Standard);
    let sealed = established(&subjects, &answers, &limits, DEFECT)?;
    let (mut checked, mut kept, mut unkept) = (None, None, None);
    if let Some(Established { certificate, bundle, checked: found }) = &sealed {
        let name = target.name();
        checked = Some(CheckedFile::new(name.clone(), certificate, bundle, found));
        // What was not written is not announced.
        match target.keep(certificate, bundle, &output) {
            Ok(()) => kept = Some(name),
            Err(failure) => unkept = Some(failure),
        }
    }
    let figures = answers.into_iter().map(|answer| answer.figures).collect();
    let certificate = sealed.as_ref().map(|sealed| &sealed.certificate);
    let report = AnalysisReport::new(path, &subjects.model, figures, certificate, checked.as_ref(), kept, start.elapsed());
    let text = match output.format {
        OutputFormat::Text => visible_lines(&if output.is_verbose() { format!("{report:#}") } else { report.to_string() }),
        OutputFormat::Json => json(&report).map_err(Failure::error)?,
    };
    if standard && output.file().is_none() {
        eprint!("{text}");
    } else if output.file().is_none() && output.format == OutputFormat::Text {
        print(&painted(&text))?;
    } else {
        output.results(&text)?;
    }
    match unkept {
        Some(failure) => Err(failure),
        None => Ok(status),
    }
}
