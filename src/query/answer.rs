//! What a question comes to: claims, figures beside them, and the certificate that joins the claims of several answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::QueryError;
use super::figures::Figures;
use super::limits::{Limits, Watch};
use super::objective::Setting;
use super::question::{HessianTraceQuery, InverseHessianQuery, Query};
use super::subjects::Subjects;
use super::{curvature, deviation, inverse, lipschitz, robustness, specification, tightness};
use crate::kernel::check::identity;
use crate::kernel::model::onnx::load;
use crate::kernel::proof::{Bundle, Certificate, Claim, Files, Run};

/// What was found. Nothing of it is proved before the checker says so.
#[derive(Debug)]
pub struct Answer {
    pub claims: Vec<Claim>,
    /// What is told beside the claims.
    pub figures: Figures,
    /// What the reader should know about it.
    pub notes: Vec<String>,
    /// Why something that was asked for is not claimed; part of `notes`.
    pub unclaimed: Vec<String>,
    /// What was asked for beside the claims and could not be done.
    pub failures: Vec<QueryError>,
    /// How it ends if the checker accepts the claims.
    pub outcome: Outcome,
    /// What found the witnesses.
    pub engine: String,
    /// The data and specification files that the claims name.
    pub files: Vec<PathBuf>,
    /// The models that the claims are about beside the subjects' own.
    pub models: Vec<PathBuf>,
    pub products: Vec<Product>,
    /// Whether more memory would have let something be tried.
    pub short_of_memory: bool,
    pub spent: Duration,
}

/// How a question is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked for is established.
    Established,
    /// It is refuted.
    Violated,
    /// Neither: time, memory, or a witness that does not close.
    Inconclusive,
}

/// Something that was made beside claims and figures.
#[derive(Clone, Debug, PartialEq)]
pub enum Product {
    /// The result file of a specification.
    ResultFile(String),
    /// `F⁻¹v`, one number for each parameter in the file's order.
    Vector(Vec<f64>),
    /// The ONNX file with the weights removed.
    PrunedModel(Vec<u8>),
}

/// Answers a question about a model.
///
/// # Errors
/// [`QueryError`]: what was asked cannot be asked of this model, with these files, or within these limits.
pub fn answer(subjects: &Subjects, query: &Query, limits: &Limits, watch: &dyn Watch) -> Result<Answer, QueryError> {
    let start = Instant::now();
    must_be_explicit(subjects, query)?;
    let asked = limits.time;
    let limits = &Limits { time: asked.or(query.usual_time()), ..limits.clone() };
    let mut found = match query {
        Query::Lipschitz(query) => lipschitz::answer(subjects, query, limits, watch)?,
        Query::Specification(query) => specification::answer(subjects, query, limits, watch)?,
        Query::Robustness(query) => robustness::answer(subjects, query, limits, asked.is_some(), watch)?,
        Query::Tightness(query) => tightness::answer(subjects, query, limits, watch)?,
        Query::HessianTrace(query) => curvature::answer(subjects, &query.objective, query.matrix, query.sgd, limits, watch)?,
        Query::Stability(query) => {
            curvature::prepare_stability(subjects, query)?;
            curvature::answer(subjects, &query.objective, None, Some(query.sgd), limits, watch)?
        }
        Query::InverseHessian(query) => inverse::answer(subjects, query, limits, watch)?,
        Query::Deviation(query) => deviation::answer(subjects, query, limits, watch)?,
    };
    found.spent = start.elapsed();
    Ok(found)
}

/// Compares a question with the model and the files that it names, and looks for nothing: what [`answer`] does first.
///
/// # Errors
/// [`QueryError`]: what was asked cannot be asked of this model, or with these files.
pub fn validate(subjects: &Subjects, query: &Query) -> Result<(), QueryError> {
    must_be_explicit(subjects, query)?;
    match query {
        Query::Lipschitz(query) => lipschitz::Prepared::new(subjects, query).map(drop),
        Query::Specification(query) => specification::open(subjects, query).map(drop),
        Query::Robustness(query) => robustness::prepare(subjects, query).map(drop),
        Query::Tightness(query) => tightness::prepare(subjects, query).map(drop),
        Query::HessianTrace(HessianTraceQuery { objective, sgd, .. }) => {
            curvature::prepare(subjects, objective, *sgd, &mut Vec::new()).map(drop)
        }
        Query::Stability(query) => curvature::prepare_stability(subjects, query),
        Query::InverseHessian(InverseHessianQuery { objective, .. }) => {
            Setting::new(subjects, objective, &mut Vec::new()).map(drop)
        }
        Query::Deviation(query) => deviation::open(subjects, query).map(drop),
    }
}

/// About implicit equations only Lipschitz constants are proved.
fn must_be_explicit(subjects: &Subjects, query: &Query) -> Result<(), QueryError> {
    match subjects.model.network.implicit() {
        Some(node) if !matches!(query, Query::Lipschitz(_)) => {
            let (node, operator) = (node.name.clone(), node.operator.clone());
            Err(QueryError::Implicit { question: query.option(), node, operator })
        }
        _ => Ok(()),
    }
}

impl Answer {
    /// Returns an answer without claims, products or notes, to which these are added.
    pub(super) fn new(figures: Figures, outcome: Outcome, engine: impl Into<String>) -> Self {
        Self {
            claims: Vec::new(),
            figures,
            notes: Vec::new(),
            unclaimed: Vec::new(),
            failures: Vec::new(),
            outcome,
            engine: engine.into(),
            files: Vec::new(),
            models: Vec::new(),
            products: Vec::new(),
            short_of_memory: false,
            spent: Duration::ZERO,
        }
    }
}

impl Outcome {
    /// Returns the outcome of two results together: what is refuted outweighs what is not established.
    #[must_use]
    pub const fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Violated, _) | (_, Self::Violated) => Self::Violated,
            (Self::Inconclusive, _) | (_, Self::Inconclusive) => Self::Inconclusive,
            (Self::Established, Self::Established) => Self::Established,
        }
    }
}

/// Makes one certificate of the claims of several answers about a model; nothing, where nothing is claimed. What it is worth,
/// the checker says.
#[must_use]
pub fn seal(subjects: &Subjects, answers: &[Answer], limits: &Limits) -> Option<(Certificate, Bundle)> {
    let claims: Vec<Claim> = answers.iter().flat_map(|answer| answer.claims.iter().cloned()).collect();
    let engine = |answer: &Answer, claim: &Claim| (claim.id.clone(), answer.engine.clone());
    let engines = answers.iter().flat_map(|answer| answer.claims.iter().map(move |claim| engine(answer, claim)));
    let run = Run {
        engines: engines.collect(),
        seconds: answers.iter().map(|answer| answer.spent.as_secs_f64()).sum(),
        threads: u32::try_from(rayon::current_num_threads()).unwrap_or(u32::MAX),
        seed: limits.seed,
    };
    (!claims.is_empty()).then(|| Certificate::new(identity(&subjects.model), claims, Some(run)).seal())
}

/// Reads the files and models that the claims of answers name, for the checker: not what the passes were given.
///
/// # Errors
/// A file that cannot be read, or a model that cannot be used.
pub fn evidence(subjects: &Subjects, answers: &[Answer]) -> Result<Files, QueryError> {
    let mut files = subjects.evidence(answers.iter().flat_map(|answer| &answer.files))?;
    for path in answers.iter().flat_map(|answer| &answer.models) {
        let model = load(path).map_err(|error| QueryError::Baseline { path: path.clone(), error })?;
        files.add_model(Arc::new(model));
    }
    Ok(files)
}
