//! `verify MODEL --hessian-trace`: options of the curvature pass.

use std::time::Instant;

use super::analysis::{Context, Findings};
use super::objective::{self, Setting};
use super::{ExitStatus, Failure};
use crate::certificate::{Assurance, Claim, ClaimKind, CurvatureMatrix, Domain, Semantics};
use crate::pass::deadline::Deadline;
use crate::pass::derivatives::{Objective, Precision, Real};
use crate::pass::hessian::{Analysis, HessianOptions, Verdict, analyse, stability_claim, trace_claim};
use crate::report::{HessianSection, Section};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Curvature")]
pub struct Arguments {
    /// Traces, norms and eigenvalues of the Hessian and the Gauss-Newton matrix of the loss
    #[arg(long, group = "pass")]
    hessian_trace: bool,
    /// The matrix whose trace is claimed [default: the Hessian where that is proved or estimated, else the Gauss-Newton matrix]
    #[arg(long, value_enum, value_name = "MATRIX", requires = "hessian_trace")]
    trace_of: Option<TraceOf>,
    /// Is SGD with this learning rate mean-square stable here?
    #[arg(long, value_name = "ETA", requires_all = ["hessian_trace", "batch_size"], value_parser = positive)]
    learning_rate: Option<f64>,
    /// Batch size of SGD
    #[arg(long, value_name = "N", requires_all = ["hessian_trace", "learning_rate"], value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum TraceOf {
    /// Of the mean loss
    Hessian,
    /// The Hessian without the curvature of the network itself
    GaussNewton,
}

impl Arguments {
    fn matrix(&self) -> Option<CurvatureMatrix> {
        self.trace_of.map(|of| match of {
            TraceOf::Hessian => CurvatureMatrix::Hessian,
            TraceOf::GaussNewton => CurvatureMatrix::GaussNewton,
        })
    }

    pub const fn requested(&self) -> bool {
        self.hessian_trace
    }
}

pub fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err("must be positive".to_owned()) }
}

pub fn run(arguments: &Arguments, shared: &objective::Arguments, context: &Context) -> Result<Findings, Failure> {
    let start = Instant::now();
    let setting = shared.setting(context, "--hessian-trace")?;
    match shared.precision() {
        Precision::Double => find::<f64>(arguments, &setting, context, start),
        Precision::Single => find::<f32>(arguments, &setting, context, start),
    }
}

fn find<T: Real>(arguments: &Arguments, setting: &Setting, context: &Context, start: Instant) -> Result<Findings, Failure> {
    let deadline = Deadline::after(context.timeout);
    let memory = usize::try_from(context.memory).unwrap_or(usize::MAX);
    let objective = Objective::<T>::new(&setting.circuit, setting.loss, &setting.samples, memory / 4).map_err(Failure::error)?;
    let options = HessianOptions {
        learning_rate: arguments.learning_rate,
        batch: arguments.batch_size.map(|batch| batch as usize),
        memory,
        deadline,
        seed: context.seed,
        ..HessianOptions::default()
    };
    let mut analysis = analyse(&objective, &setting.samples, &options, &mut |step| context.step(step)).map_err(Failure::error)?;
    context.step("certificates");
    let mut claims = Vec::new();
    let mut certified = true;
    if deadline.has_passed() {
        analysis.not_done.push("certificates".to_owned());
    } else {
        certified = certify(setting, &analysis, arguments.matrix(), context, deadline, &mut claims);
    }
    // What no claim holds is not established.
    let cut_off = !analysis.not_done.is_empty();
    let status = match analysis.stability.as_ref().map(|stability| &stability.verdict) {
        _ if !certified || cut_off => ExitStatus::Inconclusive,
        None | Some(Verdict::Stable) => ExitStatus::Established,
        Some(Verdict::Unstable) => ExitStatus::Violated,
        Some(Verdict::Undecided | Verdict::NotApplicable(_)) => ExitStatus::Inconclusive,
    };
    let data = &setting.identity.data;
    let section = HessianSection::new(
        &analysis,
        &setting.circuit,
        setting.loss,
        setting.softmax,
        data,
        &claims,
        T::PRECISION,
        start.elapsed(),
    );
    Ok(Findings {
        claims,
        section: Section::Hessian(Box::new(section)),
        engine: format!("differentiation in {}", T::PRECISION.name()),
        status,
        files: setting.dataset.files().iter().map(|(path, _)| path.clone()).collect(),
        result_file: None,
        beside: Vec::new(),
    })
}

/// Adds the claims that the checker will accept. Does one hold for everything that was asked for?
fn certify(
    setting: &Setting,
    analysis: &Analysis,
    matrix: Option<CurvatureMatrix>,
    context: &Context,
    deadline: Deadline,
    claims: &mut Vec<Claim>,
) -> bool {
    let checked = setting.checked(context, |samples, outputs| samples * outputs);
    let mut certified = true;
    let mut note = |what: &str, reason: &dyn std::fmt::Display| {
        certified = false;
        context.output.note(&format!("{what} is computed, not certified: {reason}"));
    };
    let claim = |id: &str, assurance, kind| Claim {
        id: id.to_owned(),
        assurance,
        semantics: Semantics::Real,
        domain: Domain::Data,
        vacuous: false,
        kind,
    };
    match trace_claim(analysis, &setting.identity, matrix, checked.as_ref().map_err(Clone::clone), context.seed) {
        Ok(found) => {
            let assurance = if found.estimate.is_some() { Assurance::Estimated } else { Assurance::Proved };
            claims.push(claim("hessian-trace", assurance, ClaimKind::HessianTrace(found)));
        }
        Err(reason) => note("the trace", &reason),
    }
    if let Some(stability) = &analysis.stability {
        let decided = matches!(stability.verdict, Verdict::Stable | Verdict::Unstable);
        match checked.and_then(|checked| stability_claim(analysis, &setting.identity, &checked, deadline)) {
            Ok(Some(found)) => claims.push(claim("stability", Assurance::Proved, ClaimKind::Stability(found))),
            Ok(None) if decided => note("the verdict on stability", &"no witness closes"),
            Err(reason) if decided => note("the verdict on stability", &reason),
            Ok(None) | Err(_) => {}
        }
    }
    certified
}
