//! The question whether a specification holds.

use std::time::Instant;

use super::answer::{Answer, Outcome, Product};
use super::error::QueryError;
use super::figures::{Figures, SpecificationFigures, result_file};
use super::limits::{Limits, Watch};
use super::question::SpecificationQuery;
use super::subjects::Subjects;
use crate::kernel::proof::{
    Assurance, CaseSlopes, Claim, ClaimKind, Domain, FileIdentity, NodeSlopes, Semantics, SlopesTarget, SpecificationClaim,
    SpecificationWitness, Splits, UnsafePoint, Vector, Verdict,
};
use crate::kernel::read::vnnlib::{InputBox, Specification, SpecificationError};
use crate::kernel::region::bounds::{Hints, Slopes};
use crate::pass::robustness::{Deployed, SpecificationOptions, SpecificationVerdict, semantics, verify_specification};
use crate::search::branch::Proof;

pub fn answer(subjects: &Subjects, query: &SpecificationQuery, limits: &Limits, watch: &dyn Watch) -> Result<Answer, QueryError> {
    let start = Instant::now();
    let specification = open(subjects, query)?;
    // Reading is part of what the time is for.
    let timeout = limits.time.map(|time| time.saturating_sub(start.elapsed()));
    let options = SpecificationOptions { semantics: query.semantics, timeout, seed: limits.seed };
    let network = &subjects.model.network;
    let verdict = verify_specification(network, &specification, &options, &mut |step| watch.step(step))?;
    let mut outcome = match verdict {
        SpecificationVerdict::Holds { .. } => Outcome::Established,
        SpecificationVerdict::Violated(_) => Outcome::Violated,
        SpecificationVerdict::Unknown { .. } => Outcome::Inconclusive,
    };
    let semantics = query.semantics.unwrap_or_else(|| semantics(&specification));
    let mut warnings: Vec<String> = overflow(subjects, &specification, semantics, &verdict).into_iter().collect();
    if let Some(warning) = emptiness(&specification) {
        warnings.push(warning);
        if specification.is_vacuous() && !query.allow_vacuous {
            outcome = outcome.worse(Outcome::Inconclusive);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let claims = claim(&specification, semantics, &verdict).into_iter().collect();
    let products = vec![Product::ResultFile(result_file(&specification, &verdict))];
    let figures = SpecificationFigures::new(&specification, semantics, &verdict, warnings, seconds);
    let engine = "attacks, bounds, splits of inputs and of ReLU phases";
    let files = vec![query.file.clone()];
    Ok(Answer { claims, files, products, ..Answer::new(Figures::Specification(figures), outcome, engine) })
}

/// Reads a specification, which must be about the model.
///
/// # Errors
/// A file that is no specification, or one of another network.
pub fn open(subjects: &Subjects, query: &SpecificationQuery) -> Result<Specification, QueryError> {
    let source = subjects.source(&query.file, Specification::LIMIT).map_err(SpecificationError::from)?;
    let specification = Specification::from_source(&source)?;
    specification.check_network(&subjects.model.input.shape, &subjects.model.output.shape)?;
    Ok(specification)
}

/// What must be said where a verdict about real arithmetic does not describe the deployed network, which overflows: at the
/// unsafe input or, where the property holds, in the middle of one of its boxes.
fn overflow(
    subjects: &Subjects,
    specification: &Specification,
    semantics: Semantics,
    verdict: &SpecificationVerdict,
) -> Option<String> {
    let deployed = Deployed::new(&subjects.model.network).ok()?;
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
fn emptiness(specification: &Specification) -> Option<String> {
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

/// The claim that a verdict makes; what is unknown claims nothing.
fn claim(specification: &Specification, semantics: Semantics, verdict: &SpecificationVerdict) -> Option<Claim> {
    let name = specification.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let file = FileIdentity { name, digest: specification.digest.clone() };
    let (verdict, witness) = match verdict {
        SpecificationVerdict::Unknown { .. } => return None,
        SpecificationVerdict::Holds { trees, slopes } => {
            let splits = trees.iter().enumerate().filter_map(|(case, proof)| splits(case, proof)).collect();
            let slopes = slopes.iter().map(|(case, hints)| case_slopes(*case, hints)).collect();
            (Verdict::Holds, SpecificationWitness { splits, slopes, counterexample: None })
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

/// Returns the tree of a case as a certificate has it; nothing, where bounds of the whole suffice.
pub(super) fn splits(case: usize, proof: &Proof) -> Option<Splits> {
    (proof.codes.len() > 1).then(|| Splits { case: case as u32, tree: Vector::inline(&proof.codes) })
}

/// Returns the slopes of a case as a certificate has them.
pub(super) fn case_slopes(case: usize, hints: &Hints) -> CaseSlopes {
    let of = |target: SlopesTarget, slopes: &Slopes| -> Vec<NodeSlopes> {
        let node =
            |(node, positions): (usize, &[f64])| NodeSlopes { target, node: node as u32, positions: Vector::inline(positions) };
        slopes.iter().map(node).collect()
    };
    let mut slopes = of(SlopesTarget::Rows, &hints.rows);
    slopes.extend(hints.upper.iter().flat_map(|(node, found)| of(SlopesTarget::Upper(node.index() as u32), found)));
    slopes.extend(hints.lower.iter().flat_map(|(node, found)| of(SlopesTarget::Lower(node.index() as u32), found)));
    CaseSlopes { case: case as u32, slopes }
}
