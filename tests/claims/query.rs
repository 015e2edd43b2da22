//! Questions and answers as a program meets them.
//!
//! | test | what it holds |
//! |---|---|
//! | `the_library_and_the_command_line_say_the_same` | the claims of an answer are those of the certificate that the command writes |
//! | `a_question_is_plain_data` | every question survives JSON |
//! | `a_claim_answers_no_other_question` | every part of a question counts |
//! | `what_cannot_be_asked_is_said_by_type` | validation, before any work |
//! | `files_that_were_given_are_not_read_again` | a question about bytes in memory |

use std::path::{Path, PathBuf};

use crate::common;
use nnverify::kernel::check::check;
use nnverify::kernel::proof::{
    Bundle, Certificate, Claim, ClaimKind, CurvatureMatrix, Kept, LossName, Norm, Perturbation, Semantics, Size,
};
use nnverify::kernel::read::data::{Dataset, Targets};
use nnverify::pass::derivatives::{Precision, Selection};
use nnverify::query::{
    Answer, HessianTraceQuery, InverseHessianQuery, Limits, LipschitzQuery, Named, ObjectiveQuery, Outcome, Query, QueryError,
    Region, RobustnessQuery, Samples, Sgd, SpecificationQuery, StabilityQuery, Subjects, TightnessQuery, answer, evidence, seal,
    validate,
};

fn model(name: &str) -> PathBuf {
    common::repository(&format!("models/{name}"))
}

fn samples(count: u32) -> Samples {
    Samples { data: model("digits_test.npz"), labels: None, count: Some(count) }
}

fn perturbation() -> Perturbation {
    Perturbation {
        norm: Norm::Linf,
        epsilon: "0.02".into(),
        clip: Some(["0".into(), "1".into()]),
        mean: Vec::new(),
        deviation: Vec::new(),
        channel_axis: None,
    }
}

fn robustness() -> RobustnessQuery {
    RobustnessQuery { samples: samples(20), perturbation: perturbation(), kept: Kept::Class, semantics: Semantics::Real }
}

fn objective() -> ObjectiveQuery {
    ObjectiveQuery {
        samples: samples(4),
        loss: LossName::CrossEntropy,
        parameters: Selection::default(),
        precision: Precision::Double,
    }
}

fn ask(subjects: &Subjects, query: &Query) -> Answer {
    answer(subjects, query, &Limits::default(), &()).unwrap_or_else(|error| panic!("{query:?}: {error}"))
}

#[test]
fn the_library_and_the_command_line_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = directory.path().join("c.json");
    let mut command = assert_cmd::Command::cargo_bin("verify").unwrap();
    command.arg(model("digits_relu.onnx")).args(["--lipschitz", "l2", "--engine", "product", "--robust", "--eps", "0.02"]);
    command.args(["--clip", "0,1", "--samples", "20", "--data"]).arg(model("digits_test.npz"));
    command.arg("--certificate").arg(&certificate).output().unwrap();
    let (told, bundle) = Certificate::read(&certificate).unwrap();
    let told = told.inlined(&bundle).unwrap();

    let subjects = Subjects::open(&model("digits_relu.onnx")).unwrap();
    let product =
        LipschitzQuery { engine: nnverify::pass::lipschitz::EngineChoice::Product, ..LipschitzQuery::everywhere(Norm::L2) };
    let answers = [ask(&subjects, &Query::Lipschitz(product)), ask(&subjects, &Query::Robustness(robustness()))];
    let claims: Vec<&Claim> = answers.iter().flat_map(|answer| &answer.claims).collect();
    let [ClaimKind::Lipschitz(own), ClaimKind::Robustness(robust)] = [&claims[0].kind, &claims[1].kind] else {
        panic!("other kinds")
    };
    let [ClaimKind::Lipschitz(other), ClaimKind::Robustness(others)] = [&told.claims[0].kind, &told.claims[1].kind] else {
        panic!("other kinds")
    };
    assert_eq!((&own.bound, &own.norm_product), (&other.bound, &other.norm_product));
    assert_eq!((&robust.robust, &robust.falsified, &robust.data), (&others.robust, &others.falsified, &others.data));

    let (certificate, bundle) = seal(&subjects, &answers, &Limits::default()).unwrap();
    let found = check(&certificate, &bundle, &subjects.model, &evidence(&subjects, &answers).unwrap());
    assert!(found.refusal.is_none() && found.verdicts.len() == 2, "{found:?}");
}

#[test]
fn a_question_is_plain_data() {
    let path = PathBuf::from("f");
    let sgd = Sgd { learning_rate: 0.1, batch_size: 2 };
    let tightness =
        TightnessQuery { samples: samples(1), perturbation: perturbation(), elided: true, splits: Some(3), phase_splits: None };
    let inverse = InverseHessianQuery {
        objective: objective(),
        matrix: CurvatureMatrix::GaussNewton,
        damping: 0.1,
        gradients: Some(3),
        vector: Some(path.clone()),
        pruning: Some(0.25),
        influence: true,
    };
    let regions = [
        Region::Everywhere,
        Region::Interval { low: -1.0, high: 0.1 },
        Region::Box { lower: vec![0.1], upper: vec![0.3] },
        Region::File { path: path.clone() },
        Region::Around { samples: samples(2), radius: 0.5 },
    ];
    let lipschitz = |region| Query::Lipschitz(LipschitzQuery { region, ..LipschitzQuery::everywhere(Norm::L1) });
    let queries = regions.into_iter().map(lipschitz).chain([
        Query::Specification(SpecificationQuery {
            file: path,
            semantics: Some(Semantics::Float32),
            allow_vacuous: true,
            first: None,
        }),
        Query::Robustness(robustness()),
        Query::Tightness(tightness),
        Query::HessianTrace(HessianTraceQuery { objective: objective(), matrix: None, sgd: Some(sgd) }),
        Query::Stability(StabilityQuery { objective: objective(), sgd }),
        Query::InverseHessian(inverse),
    ]);
    for query in queries {
        let text = serde_json::to_string(&query).unwrap();
        assert_eq!(serde_json::from_str::<Query>(&text).unwrap(), query, "{text}");
    }
}

/// A change of a question.
type Change = fn(&mut RobustnessQuery);

#[test]
fn a_claim_answers_no_other_question() {
    let subjects = Subjects::open(&model("digits_relu.onnx")).unwrap();
    let asked = robustness();
    let found = ask(&subjects, &Query::Robustness(asked.clone()));
    let claim = &found.claims[0];
    let data = Dataset::open(&asked.samples.data, None).unwrap();
    let named = Named { digests: [(asked.samples.data.clone(), data.digest())].into(), semantics: None };
    let answers = |query: &RobustnessQuery, named: &Named| {
        Query::Robustness(query.clone()).is_answered_by(claim, &Bundle::default(), named)
    };
    assert!(answers(&asked, &named));
    assert!(!answers(&asked, &Named::default()), "the data could be any");
    let changes: [(&str, Change); 12] = [
        ("count", |query| query.samples.count = Some(19)),
        ("all", |query| query.samples.count = None),
        ("labels", |query| query.samples.labels = Some(query.samples.data.clone())),
        ("semantics", |query| query.semantics = Semantics::Float32),
        ("norm", |query| query.perturbation.norm = Norm::L2),
        ("epsilon", |query| query.perturbation.epsilon = "0.021".into()),
        ("sizes", |query| query.perturbation.epsilon = Size::Each(vec!["0.02".into(); 64])),
        ("threshold", |query| query.kept = Kept::Threshold("0".into())),
        ("change", |query| query.kept = Kept::MaxChange("0.1".into())),
        ("clip", |query| query.perturbation.clip = None),
        ("mean", |query| query.perturbation.mean = vec!["0.5".into()]),
        ("axis", |query| query.perturbation.channel_axis = Some(1)),
    ];
    for (part, change) in changes {
        let mut other = asked.clone();
        change(&mut other);
        assert!(!answers(&other, &named), "{part}");
    }
    let tightness = TightnessQuery {
        samples: asked.samples.clone(),
        perturbation: asked.perturbation.clone(),
        elided: true,
        splits: None,
        phase_splits: None,
    };
    assert!(!Query::Tightness(tightness).is_answered_by(claim, &Bundle::default(), &named), "kind");
}

#[test]
fn what_cannot_be_asked_is_said_by_type() {
    let subjects = Subjects::open(&model("digits_relu.onnx")).unwrap();
    let refused = |query: Query| validate(&subjects, &query).unwrap_err();
    let region = |lower: usize, upper: usize| {
        let region = Region::Box { lower: vec![0.0; lower], upper: vec![1.0; upper] };
        Query::Lipschitz(LipschitzQuery { region, ..LipschitzQuery::everywhere(Norm::L2) })
    };
    assert!(matches!(refused(region(64, 63)), QueryError::RegionSize { key: "upper", found: 63, inputs: 64, .. }));
    let many = RobustnessQuery { samples: samples(1_000_000), ..robustness() };
    assert!(matches!(refused(Query::Robustness(many)), QueryError::TooFewSamples { asked: 1_000_000, .. }));
    let clip = Some(["0.4".into(), "0.6".into()]);
    let clipped = RobustnessQuery { perturbation: Perturbation { clip, ..perturbation() }, ..robustness() };
    assert!(matches!(refused(Query::Robustness(clipped)), QueryError::OutsideClip { sample: 0, .. }));
    let round = Perturbation { norm: Norm::L2, ..perturbation() };
    let tightness = TightnessQuery { samples: samples(2), perturbation: round, elided: true, splits: None, phase_splits: None };
    assert!(matches!(refused(Query::Tightness(tightness)), QueryError::NotABox));
    let unknown = Selection { only: vec!["nothing".into()], ..Selection::default() };
    let trace = HessianTraceQuery { objective: ObjectiveQuery { parameters: unknown, ..objective() }, matrix: None, sgd: None };
    assert!(matches!(refused(Query::HessianTrace(trace)), QueryError::Parameters(_)));
    let nowhere = SpecificationQuery { file: "nowhere.vnnlib".into(), semantics: None, allow_vacuous: false, first: None };
    assert!(matches!(refused(Query::Specification(nowhere)), QueryError::Specification(_)));

    let implicit = Subjects::open(&model("digits_equilibrium.json")).unwrap();
    let error = validate(&implicit, &Query::Robustness(robustness())).unwrap_err();
    assert!(matches!(error, QueryError::Implicit { question: "--robust", .. }), "{error}");
}

#[test]
fn files_that_were_given_are_not_read_again() {
    let bytes = std::fs::read(model("digits_test.npz")).unwrap();
    let data = Dataset::open(&model("digits_test.npz"), None).unwrap();
    assert!(matches!(data.targets(), Some(Targets::Labels(_))));
    let mut subjects = Subjects::open(&model("digits_relu.onnx")).unwrap();
    let place = Path::new("nowhere/in-memory.npz").to_owned();
    let asked = RobustnessQuery { samples: Samples { data: place.clone(), labels: None, count: Some(3) }, ..robustness() };
    assert!(matches!(validate(&subjects, &Query::Robustness(asked.clone())), Err(QueryError::Data(_))));
    subjects.give(place, bytes);
    let answers = [ask(&subjects, &Query::Robustness(asked))];
    assert_ne!(answers[0].outcome, Outcome::Inconclusive);
    let (certificate, bundle) = seal(&subjects, &answers, &Limits::default()).unwrap();
    let found = check(&certificate, &bundle, &subjects.model, &evidence(&subjects, &answers).unwrap());
    assert!(found.refusal.is_none(), "{:?}", found.refusal);
}
