//! The question whether a specification holds.

use std::time::Instant;

use super::answer::{Answer, Outcome, Product};
use super::error::QueryError;
use super::figures::{Figures, SpecificationFigures, result_file};
use super::limits::{Limits, Watch};
use super::question::SpecificationQuery;
use super::subjects::Subjects;
use crate::kernel::model::compose::compose;
use crate::kernel::model::ir::Network;
use crate::kernel::model::onnx::{Model, load};
use crate::kernel::proof::{
    Assurance, CaseSlopes, Claim, ClaimKind, Domain, FileIdentity, NodeSlopes, Second, Semantics, SlopesTarget,
    SpecificationClaim, SpecificationWitness, Splits, UnsafePoint, Vector, Verdict, identity,
};
use crate::kernel::read::vnnlib::{InputBox, Specification, SpecificationError};
use crate::kernel::region::bounds::{Hints, Slopes};
use crate::pass::deviation::pairing;
use crate::pass::robustness::{Deployed, SpecificationOptions, SpecificationVerdict, semantics, verify_composed};
use crate::search::branch::Proof;

pub fn answer(subjects: &Subjects, query: &SpecificationQuery, limits: &Limits, watch: &dyn Watch) -> Result<Answer, QueryError> {
    let start = Instant::now();
    let (specification, first) = open(subjects, query)?;
    // Reading is part of what the time is for.
    let timeout = limits.time.map(|time| time.saturating_sub(start.elapsed()));
    let options = SpecificationOptions { semantics: query.semantics, timeout, seed: limits.seed };
    let network = &subjects.model.network;
    let networks = first.map(|first| Composed::new(&first, network, query, &specification)).transpose()?;
    let (bounded, apart) = networks.as_ref().map_or((network, network), |networks| (&networks.bounded, &networks.apart));
    let verdict = verify_composed(bounded, apart, &specification, &options, &mut |step| watch.step(step))?;
    let mut outcome = match verdict {
        SpecificationVerdict::Holds { .. } => Outcome::Established,
        SpecificationVerdict::Violated(_) => Outcome::Violated,
        SpecificationVerdict::Unknown { .. } => Outcome::Inconclusive,
    };
    let semantics = query.semantics.unwrap_or_else(|| semantics(&specification));
    let mut warnings: Vec<String> = overflow(apart, &specification, semantics, &verdict).into_iter().collect();
    if let Some(warning) = emptiness(&specification) {
        warnings.push(warning);
        if specification.is_vacuous() && !query.allow_vacuous {
            outcome = outcome.worse(Outcome::Inconclusive);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let models = query.first.iter().map(|first| first.model.clone()).collect();
    let first = networks.map(|networks| networks.first);
    let claims = claim(&specification, first, semantics, &verdict).into_iter().collect();
    let products = vec![Product::ResultFile(result_file(&specification, &verdict))];
    let figures = SpecificationFigures::new(&specification, semantics, &verdict, warnings, seconds);
    let engine = "attacks, bounds, splits of inputs and of ReLU phases";
    let files = vec![query.file.clone()];
    Ok(Answer { claims, files, models, products, ..Answer::new(Figures::Specification(figures), outcome, engine) })
}

/// Two networks as one.
struct Composed {
    first: Second,
    bounded: Network,
    /// As they are.
    apart: Network,
}

impl Composed {
    fn new(
        first: &Model,
        second: &Network,
        query: &SpecificationQuery,
        specification: &Specification,
    ) -> Result<Self, QueryError> {
        let asked = query.semantics.unwrap_or_else(|| semantics(specification));
        // What the second network rounds is not known from differences.
        let pairing = if asked == Semantics::Real { pairing(&first.network, second) } else { Vec::new() };
        let found = Second { model: identity(first), pairing };
        let of = |pairs: &[(usize, usize)]| {
            let path = query.first.as_ref().map(|first| first.model.clone()).unwrap_or_default();
            compose(&first.network, second, pairs).map_err(|error| QueryError::Compose { path, error })
        };
        Ok(Self { bounded: of(&found.pairs())?, apart: of(&[])?, first: found })
    }
}

/// Reads a specification, which must be about the model and, where it is about two, another one.
///
/// # Errors
/// A file that is no specification, or one of other networks.
pub fn open(subjects: &Subjects, query: &SpecificationQuery) -> Result<(Specification, Option<Model>), QueryError> {
    let source = subjects.source(&query.file, Specification::LIMIT).map_err(SpecificationError::from)?;
    let specification = Specification::from_source(&source)?;
    specification.check_network(&subjects.model.input.shape, &subjects.model.output.shape)?;
    let path = || query.file.clone();
    let expected = specification.second.as_ref().and(specification.names.network.clone());
    let first = match (expected, &query.first) {
        (None, None) => None,
        (Some(name), None) => return Err(QueryError::NoFirstNetwork { path: path(), name }),
        (expected, Some(given)) if expected.as_ref() != Some(&given.name) => {
            return Err(QueryError::AnotherNetwork { path: path(), found: given.name.clone(), expected });
        }
        (_, Some(given)) => {
            let model = load(&given.model).map_err(|error| QueryError::Baseline { path: given.model.clone(), error })?;
            specification.check_network(&model.input.shape, &model.output.shape)?;
            Some(model)
        }
    };
    Ok((specification, first))
}

/// What must be said where a verdict about real arithmetic does not describe the deployed network, which overflows: at the
/// unsafe input or, where the property holds, in the middle of one of its boxes.
fn overflow(
    network: &Network,
    specification: &Specification,
    semantics: Semantics,
    verdict: &SpecificationVerdict,
) -> Option<String> {
    let deployed = Deployed::new(network).ok()?;
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
fn claim(
    specification: &Specification,
    first: Option<Second>,
    semantics: Semantics,
    verdict: &SpecificationVerdict,
) -> Option<Claim> {
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
        kind: ClaimKind::Specification(SpecificationClaim { file, verdict, first, empty_cases, witness }),
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
