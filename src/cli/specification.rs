//! `verify MODEL --spec FILE`: a VNN-LIB specification on the model.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::analysis::{Context, Findings};
use super::{ExitStatus, Failure};
use crate::bounds::{Hints, Slopes};
use crate::certificate::{
    Assurance, CaseSlopes, Claim, ClaimKind, Domain, FileIdentity, NodeSlopes, Semantics, SlopesTarget, SpecificationClaim,
    SpecificationWitness, Splits, UnsafePoint, Vector, Verdict,
};
use crate::onnx::Model;
use crate::pass::robustness::{Deployed, SpecificationOptions, SpecificationVerdict, semantics, verify_specification};
use crate::report::{Section, SpecificationSection, result_file};
use crate::vnnlib::{InputBox, Specification};

/// Without `--timeout`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Specifications")]
pub struct Arguments {
    /// Decide a VNN-LIB specification, possibly gzipped; `-o` then writes the competition's result file
    #[arg(long, value_name = "FILE", group = "pass")]
    spec: Option<PathBuf>,
    /// Accept a specification that no input satisfies; without this it ends with exit code 3
    #[arg(long, requires = "spec")]
    allow_vacuous: bool,
}

impl Arguments {
    pub const fn requested(&self) -> bool {
        self.spec.is_some()
    }

    /// The specification that is read.
    pub fn file(&self) -> Option<&Path> {
        self.spec.as_deref()
    }
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<Findings, Failure> {
    let path = arguments.spec.as_deref().ok_or_else(|| Failure::error("a specification is needed"))?;
    let specification = open(path, context.model)?;
    let start = Instant::now();
    let timeout = Some(context.timeout.unwrap_or(DEFAULT_TIMEOUT));
    let options = SpecificationOptions { semantics: context.semantics, timeout, seed: context.seed };
    let verdict = verify_specification(&context.model.network, &specification, &options, &mut |step| context.step(step));
    let verdict = verdict.map_err(|error| Failure::error(error).at(context.path))?;
    let mut status = status(&verdict);
    let semantics = context.semantics.unwrap_or_else(|| semantics(&specification));
    let mut warnings: Vec<String> = overflow(context, &specification, semantics, &verdict).into_iter().collect();
    if let Some(warning) = emptiness(&specification) {
        warnings.push(warning);
        if specification.is_vacuous() && !arguments.allow_vacuous {
            status = status.worse(ExitStatus::Inconclusive);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Findings {
        claims: claim(&specification, semantics, &verdict).into_iter().collect(),
        section: Section::Specification(SpecificationSection::new(&specification, semantics, &verdict, warnings, seconds)),
        engine: "attacks, bounds, splits of inputs and of ReLU phases".to_owned(),
        status,
        files: vec![path.to_owned()],
        result_file: Some(result_file(&specification, &verdict).into_bytes()),
        beside: Vec::new(),
    })
}

/// What must be said where a verdict about real arithmetic does not describe the deployed network, which overflows: at the
/// unsafe input or, where the property holds, in the middle of one of its boxes.
fn overflow(
    context: &Context,
    specification: &Specification,
    semantics: Semantics,
    verdict: &SpecificationVerdict,
) -> Option<String> {
    let deployed = Deployed::new(&context.model.network).ok()?;
    let overflows = |point: &[f64]| deployed.output(point).is_ok_and(|outputs| !outputs.iter().all(|y| y.is_finite()));
    let middle = |region: &InputBox| -> Vec<f64> {
        region.lower.iter().zip(&region.upper).map(|(lower, upper)| f64::midpoint(lower.nearest, upper.nearest)).collect()
    };
    let found = match verdict {
        SpecificationVerdict::Violated(found) => found.overflows,
        SpecificationVerdict::Holds { .. } => {
            specification.boxes.iter().take(OVERFLOW_BOXES).any(|region| overflows(&middle(region)))
        }
        SpecificationVerdict::Unknown { .. } => false,
    };
    (found && semantics == Semantics::Real).then(|| {
        "float32 overflows here: a deployed network gives inf or NaN; the verdict and the outputs are those of real arithmetic"
            .to_owned()
    })
}

/// As many boxes are looked into.
const OVERFLOW_BOXES: usize = 64;

/// What must be said of disjuncts that no input satisfies.
pub fn emptiness(specification: &Specification) -> Option<String> {
    let (path, empty) = (specification.path.display(), specification.empty_cases());
    if specification.is_vacuous() {
        return Some(format!(
            "`{path}` is vacuous: its assertions contradict each other, so it holds for every network and says nothing about this one"
        ));
    }
    (empty > 0).then(|| {
        let all = specification.empty + specification.cases.len();
        format!("`{path}`: no input satisfies {empty} of its {all} disjuncts; about those nothing is said")
    })
}

/// Reads a specification that must be about the model.
pub fn open(path: &Path, model: &Model) -> Result<Specification, Failure> {
    let specification = Specification::open(path).map_err(Failure::error)?;
    specification.check_network(&model.input.shape, &model.output.shape).map_err(Failure::error)?;
    Ok(specification)
}

pub const fn status(verdict: &SpecificationVerdict) -> ExitStatus {
    match verdict {
        SpecificationVerdict::Holds { .. } => ExitStatus::Established,
        SpecificationVerdict::Violated(_) => ExitStatus::Violated,
        SpecificationVerdict::Unknown { .. } => ExitStatus::Inconclusive,
    }
}

/// The claim that a verdict makes; what is unknown claims nothing.
pub fn claim(specification: &Specification, semantics: Semantics, verdict: &SpecificationVerdict) -> Option<Claim> {
    let name = specification.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let file = FileIdentity { name, digest: specification.digest.clone() };
    let (verdict, witness) = match verdict {
        SpecificationVerdict::Unknown { .. } => return None,
        SpecificationVerdict::Holds { trees, slopes } => {
            let split = trees.iter().enumerate().filter(|(_, proof)| proof.codes.len() > 1);
            let splits = split.map(|(case, proof)| Splits { case: case as u32, tree: Vector::inline(&proof.codes) }).collect();
            (
                Verdict::Holds,
                SpecificationWitness { splits, slopes: slopes.iter().map(case_slopes).collect(), counterexample: None },
            )
        }
        SpecificationVerdict::Violated(found) => {
            let point = UnsafePoint { case: found.case as u32, input: Vector::inline(&found.point) };
            (Verdict::Violated, SpecificationWitness { splits: Vec::new(), slopes: Vec::new(), counterexample: Some(point) })
        }
    };
    let empty_cases = u32::try_from(specification.empty_cases()).unwrap_or(u32::MAX);
    Some(Claim {
        id: "specification".to_owned(),
        assurance: Assurance::Proved,
        semantics,
        domain: Domain::Specification,
        vacuous: specification.is_vacuous(),
        kind: ClaimKind::Specification(SpecificationClaim { file, verdict, empty_cases, witness }),
    })
}

/// Slopes as a certificate has them.
fn case_slopes((case, hints): &(usize, Hints)) -> CaseSlopes {
    let of = |target: SlopesTarget, slopes: &Slopes| -> Vec<NodeSlopes> {
        let node =
            |(node, positions): (usize, &[f64])| NodeSlopes { target, node: node as u32, positions: Vector::inline(positions) };
        slopes.iter().map(node).collect()
    };
    let mut slopes = of(SlopesTarget::Rows, &hints.rows);
    slopes.extend(hints.upper.iter().flat_map(|(node, found)| of(SlopesTarget::Upper(node.index() as u32), found)));
    slopes.extend(hints.lower.iter().flat_map(|(node, found)| of(SlopesTarget::Lower(node.index() as u32), found)));
    CaseSlopes { case: *case as u32, slopes }
}
