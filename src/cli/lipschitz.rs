//! `verify MODEL --lipschitz NORM`: options of the Lipschitz pass.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::analysis::{Context, Findings};
use super::{ExitStatus, Failure};
use crate::bounds::{BoxRegion, Propagator};
use crate::certificate::{self, Assurance, Claim, ClaimKind, Domain, Semantics, Sorts, Vector};
use crate::checker::{ClaimRefusal, MAX_CLAIMS, Margins, enclosed_outputs, outputs_at};
use crate::data::{Dataset, Npz};
use crate::pass::lipschitz::{EngineChoice, LipschitzError, LipschitzOptions, Outcome, Question, certify};
use crate::report::{LipschitzSection, Section};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Lipschitz constants")]
pub struct Arguments {
    /// Certify the network's Lipschitz constant in this norm
    #[arg(long, value_enum, value_name = "NORM", group = "pass")]
    lipschitz: Option<Norm>,
    /// Where: `LOW,HIGH` for every input, a .npz file with the arrays `lower` and `upper`, or `around:RADIUS` for a box
    /// around every sample of `--data` [default: everywhere]
    #[arg(long, value_name = "BOX", value_parser = Region::parse, requires = "lipschitz", allow_hyphen_values = true)]
    region: Option<Region>,
    /// Also bound every difference of two outputs; with `--data`, how far every sample may move before its class can change
    /// (certified accuracy at a size of perturbations is what `--robust` claims)
    #[arg(long, requires = "lipschitz")]
    per_margin: bool,
    /// What looks for multipliers
    #[arg(long, value_enum, value_name = "ENGINE", default_value_t, requires = "lipschitz")]
    engine: EngineChoice,
    /// How activations that sort enter the matrix inequality
    #[arg(long, value_enum, value_name = "FORM", default_value = "comparators", requires = "lipschitz")]
    formulation: Formulation,
}

#[derive(Clone, Copy, ValueEnum)]
enum Formulation {
    /// One multiplier per comparator of a sorting network: the tighter bound
    Comparators,
    /// One multiplier per sorted group: the smaller matrix
    Groups,
}

#[derive(Clone, Copy, ValueEnum)]
enum Norm {
    /// Sum of absolute values of inputs and of outputs; single outputs and their differences in absolute value. With it the
    /// inputs' columns are bounded: how much the outputs change together where one input alone does
    L1,
    /// Euclidean norm of inputs and outputs
    L2,
    /// Largest absolute value of inputs and outputs
    Linf,
}

/// Where a constant is wanted.
#[derive(Clone)]
enum Region {
    Interval(f64, f64),
    File(PathBuf),
    Around(f64),
}

impl Region {
    fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        if let Some(radius) = text.strip_prefix("around:") {
            let radius = number(radius).filter(|radius| *radius >= 0.0);
            return radius.map(Self::Around).ok_or_else(|| "the radius is not a number from zero up".to_owned());
        }
        match text.split_once(',').map(|(low, high)| (number(low), number(high))) {
            Some((Some(low), Some(high))) if low <= high => Ok(Self::Interval(low, high)),
            Some((Some(_), Some(_))) => Err("the lower bound is above the upper one".to_owned()),
            Some(_) if !Path::new(text).exists() => Err("`LOW,HIGH` are not two finite numbers".to_owned()),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl Arguments {
    pub const fn requested(&self) -> bool {
        self.lipschitz.is_some()
    }

    /// The file with bounds that is read.
    pub fn file(&self) -> Option<&Path> {
        match &self.region {
            Some(Region::File(path)) => Some(path),
            _ => None,
        }
    }
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<Findings, Failure> {
    let (norm, name) = match arguments.lipschitz {
        Some(Norm::L1) => (certificate::Norm::L1, "l1"),
        Some(Norm::L2) => (certificate::Norm::L2, "l2"),
        Some(Norm::Linf) => (certificate::Norm::Linf, "linf"),
        None => return Err(Failure::error("no norm was given")),
    };
    let options = LipschitzOptions {
        engine: arguments.engine,
        sorts: match arguments.formulation {
            Formulation::Comparators => Sorts::Comparators,
            Formulation::Groups => Sorts::Groups,
        },
        timeout: context.timeout,
        memory: context.memory,
        seed: context.seed,
    };
    // Data that do not fit are told of before the search.
    let wants_radii = arguments.per_margin && arguments.region.is_none() && context.has_data();
    let labelled = wants_radii.then(|| labelled(context)).transpose()?;
    let mut claims = Vec::new();
    let mut outcomes = Vec::new();
    for (suffix, region) in regions(arguments.region.as_ref(), context)? {
        let question = Question { norm, region: region.clone(), margins: arguments.per_margin };
        let outcome = certify(&context.model.network, &question, &options, &mut |step| context.step(step));
        let outcome = outcome.map_err(|error| failure(context, &error))?;
        outcome.notes.iter().for_each(|note| context.output.note(note));
        claims.push(Claim {
            id: format!("lipschitz-{name}{suffix}"),
            assurance: Assurance::Proved,
            semantics: Semantics::Real,
            vacuous: false,
            domain: region.map_or(Domain::Global, |region| Domain::Box {
                lower: Vector::inline(region.lower()),
                upper: Vector::inline(region.upper()),
            }),
            kind: ClaimKind::Lipschitz(outcome.claim.clone()),
        });
        outcomes.push((suffix, outcome));
    }
    let radii = match (labelled, &outcomes[..]) {
        (Some((data, labels)), [(_, outcome)]) => certified_radii(outcome, &data, &labels, context)?,
        _ => Vec::new(),
    };
    let engine = outcomes.first().map_or("none", |(_, outcome): &(String, Outcome)| outcome.engine.name()).to_owned();
    Ok(Findings {
        claims,
        engine,
        section: Section::Lipschitz(LipschitzSection::new(&outcomes, radii)),
        status: ExitStatus::Established,
        files: Vec::new(),
        result_file: None,
        beside: Vec::new(),
    })
}

/// The samples and their labels.
fn labelled(context: &Context) -> Result<(Dataset, Vec<u32>), Failure> {
    let data = context.data("--per-margin")?;
    let labels = data.labels(context.model.network.output_size()).map_err(Failure::error)?;
    Ok((data, labels))
}

/// How far every sample may move, as the network's input, before its label's output may not be the largest.
fn certified_radii(outcome: &Outcome, data: &Dataset, labels: &[u32], context: &Context) -> Result<Vec<f64>, Failure> {
    let network = &context.model.network;
    let margins = Margins::stated(&outcome.claim);
    // Intervals do not reach the solutions of implicit equations.
    let propagator = network.implicit().is_none().then(|| Propagator::new(network, Semantics::Real)).transpose();
    let propagator = propagator.map_err(Failure::error)?;
    let mut not_enclosed = 0;
    let mut radius = |(sample, &label): (usize, &u32)| {
        let point = BoxRegion::around(&data.input(sample), 0.0)?;
        let outputs = match &propagator {
            Some(propagator) => Some(outputs_at(propagator, &point)?),
            None => enclosed_outputs(network, &point),
        };
        let Some(outputs) = outputs else {
            not_enclosed += 1;
            return Ok(0.0);
        };
        margins.radius(&outputs, label as usize)
    };
    let radii: Result<Vec<f64>, ClaimRefusal> = labels.iter().take(context.samples(data)).enumerate().map(&mut radius).collect();
    let radii = radii.map_err(Failure::error)?;
    if not_enclosed > 0 {
        context.output.note(&format!("the solution could not be enclosed at {not_enclosed} samples: their radius is 0"));
    }
    Ok(radii)
}

/// The regions, and what their claims' ids end in.
fn regions(region: Option<&Region>, context: &Context) -> Result<Vec<(String, Option<BoxRegion>)>, Failure> {
    let inputs = context.model.network.input_size();
    let one = |lower: Vec<f64>, upper: Vec<f64>| {
        let region = BoxRegion::new(lower, upper).map_err(|error| Failure::error(format!("`--region`: {error}")))?;
        Ok(vec![("-box".to_owned(), Some(region))])
    };
    match region {
        None => Ok(vec![(String::new(), None)]),
        Some(Region::Interval(low, high)) => one(vec![*low; inputs], vec![*high; inputs]),
        Some(Region::File(path)) => {
            let file = Npz::open(path).map_err(Failure::error)?;
            let array = |key: &str| {
                let array = file.get(key).map_err(Failure::error)?;
                let values = array.to_f64().map_err(|problem| Failure::error(problem.at_key(path, key)))?;
                if values.len() == inputs {
                    return Ok(values);
                }
                let (path, found) = (path.display(), values.len());
                Err(Failure::coded("NV202", format_args!("`{path}`: `{key}` has {found} elements, the network {inputs} inputs")))
            };
            one(array("lower")?, array("upper")?)
        }
        Some(Region::Around(radius)) => {
            let data = context.data("--region around:RADIUS")?;
            let count = context.samples(&data);
            if count > MAX_CLAIMS {
                let message = format!(
                    "`--region around:RADIUS`: {count} samples are {count} claims, a certificate has at most {MAX_CLAIMS}"
                );
                return Err(Failure::error(message).with_hint(format!("look at fewer with `--samples {MAX_CLAIMS}`")));
            }
            let around = |sample: usize| {
                let region = BoxRegion::around(&data.input(sample), *radius).map_err(Failure::error)?;
                Ok((format!("-sample-{sample}"), Some(region)))
            };
            (0..count).map(around).collect()
        }
    }
}

fn failure(context: &Context, error: &LipschitzError) -> Failure {
    let status = match error {
        LipschitzError::Form(_) | LipschitzError::Bounds(_) => ExitStatus::Error,
        LipschitzError::Refused(_) | LipschitzError::NoBound(_) | LipschitzError::IllPosed { .. } => ExitStatus::Inconclusive,
    };
    let hint = format!("`verify inspect {}` shows what can be certified", context.path.display());
    Failure::error(error).at(context.path).with_hint(hint).ending(status)
}
