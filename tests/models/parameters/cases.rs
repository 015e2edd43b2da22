//! The false certificates of the shared folder: refused, and what a new run claims is true.

use std::path::Path;

use assert_cmd::Command;
use nnverify::kernel::check::{ClaimRefusal, Refusal, check_claim};
use nnverify::kernel::curvature::CurvatureRefusal;
use nnverify::kernel::model::onnx::load;
use nnverify::kernel::proof::{Certificate, ClaimKind, Evidence, Files, HessianTraceClaim, LossName};
use nnverify::kernel::read::data::Dataset;
use prost::Message;

use super::claims::compare;
use super::differences::{Differences, Place, Question};
use super::oracle::Program;
use super::random::Random;
use crate::common;

/// Model, data, certificates, the tensors that the file's function is differentiated by there, the trace of the Gauss–Newton
/// matrix for them, and the tensors that are frozen.
type Case = (&'static str, &'static str, &'static [&'static str], [&'static str; 2], f64, &'static [&'static str]);

const CASES: [Case; 3] = [
    ("clip_identity", "d", &["clip_identity", "stab", "inv"], ["c", "w"], 9.25, &["c"]),
    ("erf_identity", "d", &["erf_identity"], ["c", "w"], 4.678, &["c"]),
    ("house", "d2", &["house"], ["phi", "w"], 4.0625, &["phi", "th", "zero"]),
];

#[test]
fn false_certificates_are_refused_and_new_ones_are_true() {
    let Some(shared) = common::shared() else { return };
    let folder = shared.join("cases/false");
    for (model, data, certificates, parameters, trace, frozen) in CASES {
        let (path, data) = (folder.join(format!("{model}.onnx")), folder.join(format!("{data}.npz")));
        for name in certificates {
            refused(&path, &data, &folder.join(format!("{name}.json")), frozen);
        }
        let loaded = load(&path).unwrap();
        let found = loaded.tensors.iter().filter(|tensor| tensor.frozen_by.is_some()).map(|tensor| tensor.name.as_str());
        // Beside them, numbers that `erf_identity` compares with.
        assert!(frozen.iter().all(|name| found.clone().any(|found| found == *name)), "{model}: {:?}", found.collect::<Vec<_>>());

        let question = question(&path, &data);
        let by_differences = gauss_newton_trace(&question, &parameters);
        assert!((by_differences - trace).abs() < 5e-4, "{model}: the trace is {by_differences}, and was said to be {trace}");
        let tally = compare(model, &std::fs::read(&path).unwrap(), &question, &mut Random::new(1));
        assert!(tally.loaded == 1 && tally.traces > 0 && tally.faults.is_empty(), "{:?}", tally.faults);
        fresh(&path, &data, &question);
    }
}

/// By the library for the reason, and by the program with exit code 4.
fn refused(model: &Path, data: &Path, certificate: &Path, frozen: &[&str]) {
    let (read, bundle) = Certificate::read(certificate).unwrap();
    let loaded = load(model).unwrap();
    let mut files = Files::default();
    files.add(data.file_name().unwrap().to_str().unwrap(), std::fs::read(data).unwrap());
    let evidence = Evidence { network: &loaded.network, tensors: &loaded.tensors, bundle: &bundle, files: &files };
    for claim in &read.claims {
        let Err(Refusal::Claim { reason, .. }) = check_claim(claim, &evidence) else {
            panic!("{}: claim `{}` is accepted", certificate.display(), claim.id);
        };
        let ClaimRefusal::Curvature(CurvatureRefusal::Frozen { tensor, .. }) = *reason else {
            panic!("{}: {reason}", certificate.display())
        };
        assert!(frozen.contains(&tensor.as_str()), "{tensor}");
    }
    let mut command = Command::cargo_bin("verify").unwrap();
    command.arg("check").arg(certificate).arg("--model").arg(model).arg("--file").arg(data).assert().code(4);
}

fn question(model: &Path, data: &Path) -> Question {
    let program =
        Program::of(&nnverify::kernel::model::onnx::proto::ModelProto::decode(&std::fs::read(model).unwrap()[..]).unwrap())
            .unwrap();
    let data = Dataset::open(data, None).unwrap();
    let inputs = (0..data.len()).map(|sample| data.input(sample)).collect();
    let targets = data.target_values(1).unwrap().into_iter().map(|target| vec![target]).collect();
    Question { program, inputs, loss: LossName::Mse, labels: Vec::new(), targets, softmax: false }
}

/// The mean over samples of the squared differences of the output.
fn gauss_newton_trace(question: &Question, names: &[impl AsRef<str>]) -> f64 {
    let mut differences = Differences::new(question).unwrap();
    let mut total = 0.0;
    for name in names {
        let tensor = question.program.stored.iter().position(|stored| stored.name == name.as_ref()).unwrap();
        for element in 0..question.program.stored[tensor].values().len() {
            for sample in 0..question.inputs.len() {
                let slopes = differences.stencil(Place { tensor, element, sample }, 0).unwrap().slopes();
                total += slopes.iter().map(|slope| slope * slope).sum::<f64>();
            }
        }
    }
    total / question.inputs.len() as f64
}

/// A run of the program: its certificate is accepted, and the trace in it is that of the parameters that it names.
fn fresh(model: &Path, data: &Path, question: &Question) {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("c.json");
    let mut command = Command::cargo_bin("verify").unwrap();
    command.arg(model).arg("--hessian-trace").arg("--data").arg(data).args(["--loss", "mse"]);
    command.arg("--certificate").arg(&certificate).assert().code(0);
    let mut command = Command::cargo_bin("verify").unwrap();
    command.arg("check").arg(&certificate).arg("--model").arg(model).arg("--file").arg(data).assert().code(0);
    let (read, _) = Certificate::read(&certificate).unwrap();
    let mut claims = 0;
    for claim in &read.claims {
        let ClaimKind::HessianTrace(HessianTraceClaim { objective, trace, .. }) = &claim.kind else { continue };
        let found = gauss_newton_trace(question, &objective.parameters);
        let within = found >= trace.lower.value() - 1e-6 && found <= trace.upper.value() + 1e-6;
        assert!(within, "{}: {trace:?} of {:?} is {found}", model.display(), objective.parameters);
        claims += 1;
    }
    assert!(claims > 0, "{}", model.display());
}
