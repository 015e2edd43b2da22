//! The question that a claim answers, in parts that have names: two claims are compared only where all parts are the same.

use crate::kernel::proof::{
    Bits, Bundle, Claim, ClaimKind, CurvatureMatrix, Domain, FileIdentity, Kept, LossName, Norm, Objective, Perturbation,
    Semantics, Size, Vector, digest_of,
};

/// One part of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Kind(&'static str),
    Arithmetic(Semantics),
    Domain(Place),
    Vacuous(bool),
    Norm(Norm),
    /// SHA-256 of the file.
    Specification(String),
    /// SHA-256 of the files: they are what they hold, whatever they are called.
    Data(Vec<String>),
    Samples(u32),
    Epsilon(Size),
    Clip(Option<[String; 2]>),
    Input {
        mean: Vec<String>,
        deviation: Vec<String>,
        channel_axis: Option<u32>,
    },
    Kept(Kept),
    /// Whether the rows are margins, and not outputs.
    Rows {
        margins: bool,
    },
    Loss(LossName),
    Parameters(Vec<String>),
    Matrix(CurvatureMatrix),
    LearningRate(Bits),
    BatchSize(u32),
    Gradients(u32),
    Damping(Bits),
    Vector(Option<Values>),
    /// SHA-256 of the model that is compared with.
    Baseline(String),
}

/// Where a claim holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Global,
    Specification,
    Samples,
    Data,
    Box { lower: Option<Values>, upper: Option<Values> },
}

/// A vector by what it holds, wherever it lies. One that is missing makes a certificate [`unlikely`](super::unlikely).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    count: usize,
    digest: String,
}

impl Part {
    /// For people.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kind(_) => "kind",
            Self::Arithmetic(_) => "arithmetic",
            Self::Domain(_) => "domain",
            Self::Vacuous(_) => "vacuous",
            Self::Norm(_) => "norm",
            Self::Specification(_) => "specification",
            Self::Data(_) => "data",
            Self::Samples(_) => "samples",
            Self::Epsilon(_) => "epsilon",
            Self::Clip(_) => "clip",
            Self::Input { .. } => "input",
            Self::Kept(_) => "what is kept",
            Self::Rows { .. } => "rows",
            Self::Loss(_) => "loss",
            Self::Parameters(_) => "parameters",
            Self::Matrix(_) => "matrix",
            Self::LearningRate(_) => "learning rate",
            Self::BatchSize(_) => "batch size",
            Self::Gradients(_) => "gradients",
            Self::Damping(_) => "damping",
            Self::Vector(_) => "vector",
            Self::Baseline(_) => "baseline",
        }
    }
}

/// Returns the question that a claim of a certificate with this bundle answers; no two parts have one name.
#[must_use]
pub fn question(claim: &Claim, bundle: &Bundle) -> Vec<Part> {
    let mut parts = vec![
        Part::Kind(claim.kind.name()),
        Part::Arithmetic(claim.semantics),
        Part::Domain(place(&claim.domain, bundle)),
        Part::Vacuous(claim.vacuous),
    ];
    match &claim.kind {
        ClaimKind::Lipschitz(claim) => parts.push(Part::Norm(claim.norm)),
        ClaimKind::Specification(claim) => {
            parts.push(Part::Specification(claim.file.digest.clone()));
            parts.extend(claim.first.as_ref().map(|first| Part::Baseline(first.model.digest.clone())));
        }
        ClaimKind::Robustness(claim) => {
            parts.extend(around(&claim.data, claim.samples, &claim.perturbation));
            parts.push(Part::Kept(claim.kept.clone()));
        }
        ClaimKind::Tightness(claim) => {
            parts.extend(around(&claim.data, claim.samples, &claim.perturbation));
            parts.push(Part::Rows { margins: claim.elided });
        }
        ClaimKind::Deviation(claim) => {
            parts.push(Part::Baseline(claim.baseline.model.digest.clone()));
            parts.extend(claim.around.iter().flat_map(|found| around(&found.data, found.samples, &found.perturbation)));
        }
        ClaimKind::HessianTrace(claim) => {
            parts.extend(objective(&claim.objective));
            parts.push(Part::Matrix(claim.matrix));
        }
        ClaimKind::Stability(claim) => {
            parts.extend(objective(&claim.objective));
            parts.extend([Part::LearningRate(claim.learning_rate), Part::BatchSize(claim.batch_size)]);
        }
        ClaimKind::InverseHessian(claim) => {
            parts.extend(objective(&claim.objective));
            parts.extend([Part::Matrix(claim.matrix), Part::Gradients(claim.gradients), Part::Damping(claim.damping)]);
            parts.push(Part::Vector(values(&claim.witness.vector, bundle)));
        }
    }
    parts
}

/// Returns the names of the parts in which two questions differ, in alphabetical order.
#[must_use]
pub fn differences(one: &[Part], other: &[Part]) -> Vec<&'static str> {
    let only = |parts: &[Part], others: &[Part]| -> Vec<&'static str> {
        parts.iter().filter(|part| !others.contains(part)).map(Part::name).collect()
    };
    let mut names = [only(one, other), only(other, one)].concat();
    names.sort_unstable();
    names.dedup();
    names
}

fn around(data: &[FileIdentity], samples: u32, perturbation: &Perturbation) -> Vec<Part> {
    let Perturbation { norm, epsilon, clip, mean, deviation, channel_axis } = perturbation.clone();
    let own = [Part::Norm(norm), Part::Epsilon(epsilon), Part::Clip(clip), Part::Input { mean, deviation, channel_axis }];
    files(data, samples).into_iter().chain(own).collect()
}

fn objective(objective: &Objective) -> Vec<Part> {
    let own = [Part::Loss(objective.loss), Part::Parameters(objective.parameters.clone())];
    files(&objective.data, objective.samples).into_iter().chain(own).collect()
}

fn files(data: &[FileIdentity], samples: u32) -> [Part; 2] {
    [Part::Data(data.iter().map(|file| file.digest.clone()).collect()), Part::Samples(samples)]
}

fn place(domain: &Domain, bundle: &Bundle) -> Place {
    match domain {
        Domain::Global => Place::Global,
        Domain::Specification => Place::Specification,
        Domain::Samples => Place::Samples,
        Domain::Data => Place::Data,
        Domain::Box { lower, upper } => Place::Box { lower: values(lower, bundle), upper: values(upper, bundle) },
    }
}

fn values(vector: &Vector, bundle: &Bundle) -> Option<Values> {
    let values = bundle.resolve(vector)?;
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
    Some(Values { count: values.len(), digest: digest_of(&bytes) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::stated::tests::{bits, claim, claims};

    #[test]
    fn every_part_of_a_question_counts() {
        for value in claims() {
            let bundle = Bundle::default();
            let asked = question(&claim(&value), &bundle);
            for (pointer, other) in [
                ("/semantics", json!("float32")),
                ("/domain", json!("global")),
                ("/data/0/digest", json!("bb")),
                ("/samples", json!(9)),
                ("/elided", json!(false)),
                ("/perturbation/epsilon", json!("0.2")),
                ("/perturbation/epsilon", json!(["0.1", "0.1"])),
                ("/kept", json!("class")),
                ("/kept/threshold", json!("0.25")),
                ("/kept", json!({"max-change": "0.5"})),
                ("/perturbation/norm", json!("l2")),
                ("/perturbation/clip", json!(["0", "1"])),
                ("/perturbation/mean", json!(["1"])),
                ("/perturbation/channel_axis", json!(3)),
                ("/objective/data/0/digest", json!("bb")),
                ("/objective/samples", json!(9)),
                ("/objective/loss", json!("cross-entropy")),
                ("/objective/parameters", json!(["w"])),
                ("/matrix", json!("gauss-newton")),
                ("/learning_rate", json!(bits(0.25))),
                ("/batch_size", json!(3)),
                ("/gradients", json!(9)),
                ("/damping", json!(bits(0.2))),
                ("/witness/vector", json!([bits(2.0)])),
            ] {
                let mut changed = value.clone();
                let Some(part) = changed.pointer_mut(pointer) else { continue };
                *part = other;
                let other = question(&claim(&changed), &bundle);
                assert_eq!(differences(&asked, &other).len(), 1, "{pointer} of {}", value["kind"]);
            }
            // Neither names of files nor answers are part of it.
            let mut renamed = value.clone();
            for pointer in ["/data/0/name", "/objective/data/0/name"] {
                if let Some(name) = renamed.pointer_mut(pointer) {
                    *name = json!("other.csv");
                }
            }
            assert!(differences(&question(&claim(&renamed), &bundle), &asked).is_empty());
        }
    }
}
