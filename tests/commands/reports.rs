//! Questions that were answered wrongly or badly, from public reports on tools of this kind: what each answers now.
//!
//! The small inputs are read from `$NNVERIFY_SHARED/cases/reports` and `cases/false`; without it the tests say that they are
//! skipped. A row is a case, the command's arguments, the exit code, and what the output must and must not say.

use std::path::Path;

use crate::common;
use assert_cmd::Command;

struct Row {
    case: &'static str,
    arguments: &'static [&'static str],
    code: i32,
    says: &'static [&'static str],
}

const fn row(case: &'static str, arguments: &'static [&'static str], code: i32, says: &'static [&'static str]) -> Row {
    Row { case, arguments, code, says }
}

/// Questions about nothing, about other data than were meant, or in another arithmetic.
const REPORTS: &[Row] = &[
    row("f01", &["two.onnx", "--spec", "m813.vnnlib"], 3, &["vacuous: its assertions contradict each other"]),
    row("f01", &["two.onnx", "--spec", "m813.vnnlib", "--allow-vacuous"], 0, &["vacuous: its assertions contradict each other"]),
    row("f01", &["gate"], 3, &["the claim is vacuous", "allow-vacuous"]),
    row("f04", &["m.onnx", "--robust", "--data", "nhwc.npz", "--eps", "0.001"], 2, &["x.transpose(0, 3, 1, 2)"]),
    row("f04", &["m.onnx", "--robust", "--data", "ok.npz", "--eps", "0.001", "--clip", "0,1"], 1, &["robustness"]),
    row(
        "f13",
        &["lin1.onnx", "--hessian-trace", "--data", "d1.npz", "--loss", "mse", "--learning-rate", "0.1", "--batch-size", "1"],
        0,
        &["mean-square stable"],
    ),
    row(
        "f13",
        &["lin3.onnx", "--hessian-trace", "--data", "d3n4.npz", "--loss", "mse", "--learning-rate", "0.05", "--batch-size", "1"],
        0,
        &["mean-square stable"],
    ),
    row(
        "f15",
        &["lin3.onnx", "--hessian-trace", "--loss", "cross-entropy", "--data", "bin.npz"],
        2,
        &["one output", "NV140", "hint:"],
    ),
    row("f16", &["m.onnx", "--robust", "--data", "empty.npz", "--eps", "0.1"], 2, &["there are no samples"]),
    row("f16", &["m.onnx", "--tightness", "--data", "empty.npz", "--eps", "0.1"], 2, &["there are no samples"]),
    row("f16", &["m.onnx", "--lipschitz", "l2", "--region", "around:0.1", "--data", "empty.npz"], 2, &["there are no samples"]),
    row(
        "f17",
        &["m.onnx", "--robust", "--data", "ok.npz", "--eps", "1e-5", "--input-mean", ".1,.5", "--input-std", ".2,.5"],
        2,
        &["2 means or deviations where axis 1", "--channel-axis"],
    ),
    row(
        "f17",
        &["m.onnx", "--robust", "--data", "ok.npz", "--eps", "0.01", "--input-std", "0"],
        2,
        &["--input-std", "must be positive"],
    ),
    row("f19", &["m.onnx", "--spec", "scaled.vnnlib"], 1, &["sat"]),
    row("f20", &["ovf2.onnx", "--spec", "o2.vnnlib"], 1, &["float32 overflows", "e44"]),
    row("f20", &["ovf.onnx", "--spec", "o.vnnlib"], 0, &["float32 overflows"]),
    row("f21", &["inspect", "msgelu.onnx"], 0, &["Gelu", "lipschitz l2"]),
    row("f22", &["inspect", "bf16.onnx"], 0, &["Bfloat16", "taken as real numbers"]),
    row("f23", &["inspect", "softshrink.onnx"], 0, &["Shrink"]),
    row("f24", &["inspect", "rmsnorm23.onnx"], 0, &["RMSNormalization"]),
    row("f24", &["inspect", "op25.onnx"], 0, &["Gemm"]),
    row("f25", &["inspect", "dqw.onnx"], 0, &["DequantizeLinear", "lipschitz l2"]),
    row("f25", &["inspect", "dqbias32.onnx"], 0, &["lipschitz l2"]),
    row("f25", &["inspect", "qdq.onnx"], 0, &["QuantizeLinear"]),
    row("f26", &["inspect", "f16io.onnx"], 0, &["taken as real numbers"]),
    row("f27", &["hh.onnx", "--lipschitz", "l2"], 2, &["without constant folding"]),
    row("f27", &["in_graph.onnx", "--lipschitz", "l2"], 0, &["1.0000000"]),
];

/// Claims that are false, of certificates that earlier versions accepted, and the models that they were made of.
const FALSE: &[Row] = &[
    row(
        "",
        &["check", "clip_identity.json", "--model", "clip_identity.onnx", "--file", "d.npz"],
        4,
        &["`c` is no parameter", "NV519"],
    ),
    row("", &["check", "stab.json", "--model", "clip_identity.onnx", "--file", "d.npz"], 4, &["`c` is no parameter"]),
    row("", &["check", "inv.json", "--model", "clip_identity.onnx", "--file", "d.npz"], 4, &["`c` is no parameter"]),
    row("", &["check", "erf_identity.json", "--model", "erf_identity.onnx", "--file", "d.npz"], 4, &["`c` is no parameter"]),
    row("", &["check", "house.json", "--model", "house.onnx", "--file", "d2.npz"], 4, &["`phi` is no parameter"]),
    row("", &["check", "f_m.json", "--model", "underflow_model.json"], 4, &["NV516"]),
    row("", &["check", "f_linf.json", "--model", "underflow_model.json"], 4, &["NV516"]),
    row(
        "",
        &["clip_identity.onnx", "--hessian-trace", "--data", "d.npz", "--loss", "mse", "--include", "c"],
        2,
        &["`c` cannot be a parameter"],
    ),
    row("", &["1_MaxPool_4345.onnx", "--spec", "1_MaxPool_4345.vnnlib"], 2, &["runtimes disagree", "state `pads`"]),
    row("", &["slow_timeout_ignored.onnx", "--lipschitz", "l2", "--timeout", "3"], 0, &["norm product"]),
    row("gate_params", &["gate", "--check-only"], 3, &["no certificate at hand answers it"]),
    row("gate_params", &["gate"], 1, &["all 3466 trained parameters", "the first 3 of 200 samples"]),
];

#[test]
fn reported_questions_are_answered_rightly() {
    run("reports", REPORTS);
}

#[test]
fn false_claims_are_refused() {
    run("false", FALSE);
}

/// An estimate is called what it is: nothing was checked.
#[test]
fn an_estimate_is_not_checked() {
    let Some(shared) = common::shared() else { return };
    let (_, code, text) = verify(
        &shared.join("cases/false"),
        &[
            "check",
            "estimated.json",
            "--model",
            common::repository("models/digits_relu.onnx").to_str().unwrap(),
            "--file",
            common::repository("models/digits_test.npz").to_str().unwrap(),
        ],
    );
    assert!(code == 3 && text.contains("not checked"), "{code}: {text}");
}

fn run(folder: &str, rows: &[Row]) {
    let Some(shared) = common::shared() else { return };
    let mut wrong = Vec::new();
    for row in rows {
        let (_kept, code, text) = verify(&shared.join("cases").join(folder).join(row.case), row.arguments);
        let missing: Vec<_> = row.says.iter().filter(|part| !text.contains(**part)).collect();
        if code != row.code || !missing.is_empty() {
            wrong.push(format!(
                "{} {:?}: exit code {code} for {}, without {missing:?}:\n{text}",
                row.case, row.arguments, row.code
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs the command in a copy of a folder: its exit code, and everything that it prints.
fn verify(folder: &Path, arguments: &[&str]) -> (tempfile::TempDir, i32, String) {
    let work = tempfile::tempdir().unwrap();
    copy(folder, work.path());
    let output = Command::cargo_bin("verify").unwrap().args(arguments).current_dir(work.path()).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (work, output.status.code().unwrap_or(-1), text)
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            // Contents alone: the original may be read-only.
            std::fs::write(&target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}
