//! The question about Lipschitz constants.

use super::answer::{Answer, Outcome};
use super::error::QueryError;
use super::figures::{Figures, LipschitzFigures};
use super::limits::{Limits, Watch};
use super::question::{LipschitzQuery, Region};
use super::subjects::Subjects;
use crate::kernel::check::MAX_CLAIMS;
use crate::kernel::lipschitz::Margins;
use crate::kernel::proof::{Assurance, Claim, ClaimKind, Domain, Semantics, Vector};
use crate::kernel::read::data::{Dataset, Npz, Source};
use crate::kernel::region::bounds::{BoxRegion, Propagator};
use crate::kernel::region::{RegionRefusal, enclosed_outputs, outputs_at};
use crate::pass::lipschitz::{self, LipschitzOptions, Question, certify};

pub fn answer(subjects: &Subjects, query: &LipschitzQuery, limits: &Limits, watch: &dyn Watch) -> Result<Answer, QueryError> {
    let network = &subjects.model.network;
    let options = LipschitzOptions {
        engine: query.engine,
        sorts: query.sorts,
        timeout: limits.time,
        memory: limits.memory,
        seed: limits.seed,
    };
    let Prepared { labelled, regions, mut notes } = Prepared::new(subjects, query)?;
    let mut claims = Vec::new();
    let mut outcomes = Vec::new();
    for (suffix, region) in regions {
        let question = Question { norm: query.norm, region: region.clone(), margins: query.margins };
        let outcome = certify(network, &question, &options, &mut |step| watch.step(step))?;
        notes.extend(outcome.notes.iter().cloned());
        claims.push(Claim {
            id: format!("lipschitz-{}{suffix}", query.norm.name()),
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
        (Some((data, labels)), [(_, outcome)]) => certified_radii(subjects, outcome, &data, &labels, &mut notes)?,
        _ => Vec::new(),
    };
    let engine = outcomes.first().map_or("none", |(_, outcome)| outcome.engine.name());
    let figures = Figures::Lipschitz(LipschitzFigures::new(&outcomes, &radii));
    let short_of_memory = outcomes.iter().any(|(_, outcome)| outcome.short_of_memory);
    Ok(Answer { claims, notes, short_of_memory, ..Answer::new(figures, Outcome::Established, engine) })
}

/// What a question is about, read and compared with the model.
pub struct Prepared {
    /// Samples whose radii are wanted.
    labelled: Option<(Dataset, Vec<u32>)>,
    regions: Regions,
    notes: Vec<String>,
}

impl Prepared {
    /// # Errors
    /// Regions, samples or labels that do not fit the model.
    pub fn new(subjects: &Subjects, query: &LipschitzQuery) -> Result<Self, QueryError> {
        let mut notes = Vec::new();
        let labelled = query.radii.as_ref().map(|samples| {
            let (data, count) = subjects.dataset(samples, &mut notes)?;
            let mut labels = data.labels(subjects.model.network.output_size())?;
            labels.truncate(count);
            Ok::<_, QueryError>((data, labels))
        });
        let labelled = labelled.transpose()?;
        let regions = regions(subjects, &query.region, &mut notes)?;
        Ok(Self { labelled, regions, notes })
    }
}

/// How far every sample may move, as the network's input, before its label's output may not be the largest.
fn certified_radii(
    subjects: &Subjects,
    outcome: &lipschitz::Outcome,
    data: &Dataset,
    labels: &[u32],
    notes: &mut Vec<String>,
) -> Result<Vec<f64>, QueryError> {
    let network = &subjects.model.network;
    let margins = Margins::stated(&outcome.claim);
    // Intervals do not reach the solutions of implicit equations.
    let propagator = network.implicit().is_none().then(|| Propagator::new(network, Semantics::Real)).transpose()?;
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
        Ok(margins.radius(&outputs, label as usize)?)
    };
    let radii: Result<Vec<f64>, RegionRefusal> = labels.iter().enumerate().map(&mut radius).collect();
    let radii = radii?;
    if not_enclosed > 0 {
        notes.push(format!("the solution could not be enclosed at {not_enclosed} samples: their radius is 0"));
    }
    Ok(radii)
}

/// What the ids of claims end in, and the regions that they are about; none is everywhere.
pub(super) type Regions = Vec<(String, Option<BoxRegion>)>;

/// # Errors
/// Regions that do not fit the model.
pub(super) fn regions(subjects: &Subjects, region: &Region, notes: &mut Vec<String>) -> Result<Regions, QueryError> {
    let inputs = subjects.model.network.input_size();
    let one = |lower: Vec<f64>, upper: Vec<f64>| Ok(vec![("-box".to_owned(), Some(BoxRegion::new(lower, upper)?))]);
    match region {
        Region::Everywhere => Ok(vec![(String::new(), None)]),
        Region::Interval { low, high } => one(vec![*low; inputs], vec![*high; inputs]),
        Region::Box { lower, upper } => {
            for (key, bounds) in [("lower", lower), ("upper", upper)] {
                if bounds.len() != inputs {
                    return Err(QueryError::RegionSize { path: "region".into(), key, found: bounds.len(), inputs });
                }
            }
            one(lower.clone(), upper.clone())
        }
        Region::File { path } => {
            let file = Npz::from_source(subjects.source(path, Source::LIMIT)?)?;
            let array = |key: &'static str| {
                let values = file.get(key)?.to_f64().map_err(|problem| problem.at_key(path, key))?;
                if values.len() == inputs {
                    return Ok(values);
                }
                Err(QueryError::RegionSize { path: path.clone(), key, found: values.len(), inputs })
            };
            one(array("lower")?, array("upper")?)
        }
        Region::Around { samples, radius } => {
            let (data, count) = subjects.dataset(samples, notes)?;
            if count > MAX_CLAIMS {
                return Err(QueryError::TooManyClaims { samples: count });
            }
            let around = |sample: usize| {
                let region = BoxRegion::around(&data.input(sample), *radius)?;
                Ok((format!("-sample-{sample}"), Some(region)))
            };
            (0..count).map(around).collect()
        }
    }
}
