//! Robustness over a data set, on the digits beside the models.
//!
//! | test | what it holds |
//! |---|---|
//! | `every_sample_is_decided_and_the_certificate_checks` | counts, JSON, CSV, `check`, a tampered certificate |
//! | `a_stopped_run_goes_on` | the file of finished samples: half a line, another query |
//! | `normalisation_is_part_of_the_question` | scaled data with a deviation give what unscaled data give |
//! | `euclidean_perturbations` | witnesses inside the ball, never more robust samples than counterexamples allow |
//! | `lipschitz_margins_prove_what_other_bounds_do_not` | samples inside their certified radius, proved again from the stored bounds; none without a witness, none with smaller bounds |
//! | `parts_prove_what_plain_bounds_leave_open` | every sample is decided; the trees are needed, and another tree is refused |
//! | `float32_is_another_question` | what is robust in real arithmetic but not in float32 is not called so; claims name the arithmetic, margins prove nothing there |
//! | `usage_errors_say_what_is_wrong` | exit code 2 and a message |

use std::path::Path;

use crate::common;
use nnverify::kernel::check::check_claim;
use nnverify::kernel::proof::{Certificate, ClaimKind, Evidence, Files, Norm, Number, RobustnessClaim, Vector};
use nnverify::kernel::read::data::{Dataset, write_npy};
use serde_json::Value;

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = assert_cmd::Command::cargo_bin("verify").unwrap().current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, error) = (text(output.stdout), text(output.stderr));
    assert!(!error.contains("panicked"), "{error}");
    (output.status.code().unwrap(), out, error)
}

fn folder() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["digits_relu.onnx", "digits_test.npz"] {
        std::fs::copy(common::repository(&format!("models/{name}")), directory.path().join(name)).unwrap();
    }
    directory
}

const QUERY: [&str; 9] =
    ["digits_relu.onnx", "--robust", "--data", "digits_test.npz", "--eps", "0.02", "--clip", "0,1", "--samples=40"];

fn section(out: &str) -> Value {
    serde_json::from_str::<Value>(out).unwrap()["sections"][0].clone()
}

fn counts(section: &Value) -> [u64; 3] {
    ["robust", "falsified", "unknown"].map(|key| section[key].as_u64().unwrap())
}

#[test]
fn every_sample_is_decided_and_the_certificate_checks() {
    let directory = folder();
    let folder = directory.path();
    let (code, out, error) = run(folder, &[&QUERY[..], &["--output-format", "json", "--csv", "s.csv"]].concat());
    let section = section(&out);
    let [robust, falsified, unknown] = counts(&section);
    assert_eq!(robust + falsified + unknown, 40, "{error}");
    assert!(robust >= 25 && code == if falsified > 0 { 1 } else { i32::from(unknown > 0) * 3 }, "{out}");
    assert_eq!(section["certified_accuracy"].as_str().unwrap(), format!("{:.4}", robust as f64 / 40.0 - 1e-9).as_str());
    let csv = std::fs::read_to_string(folder.join("s.csv")).unwrap();
    assert_eq!((csv.lines().count(), csv.matches(",robust,").count() as u64), (41, robust));
    let certificate = "digits_relu.certificate.json";
    let check = ["check", certificate, "--model", "digits_relu.onnx", "--file", "digits_test.npz"];
    let (code, out, _) = run(folder, &check);
    assert!(code == 0 && out.contains(&format!("of the first 40 of 200 samples, {robust} are robust for ℓ∞ ε = 0.02")), "{out}");
    // A larger ε than was proved, with the digest made right.
    let text = std::fs::read(folder.join(certificate)).unwrap();
    let mut forged = nnverify::kernel::proof::Certificate::from_json(&text).unwrap();
    let nnverify::kernel::proof::ClaimKind::Robustness(claim) = &mut forged.claims[0].kind else { panic!() };
    claim.perturbation.epsilon = "0.2".into();
    let (forged, bundle) = forged.seal();
    nnverify::query::write_certificate(&forged, &bundle, &folder.join(certificate)).unwrap();
    let (code, out, _) = run(folder, &check);
    assert!(code == 4 && out.contains("not refuted"), "{out}");
}

#[test]
fn a_stopped_run_goes_on() {
    let directory = folder();
    let folder = directory.path();
    let resumed = [&QUERY[..], &["--output-format", "json", "--resume", "done.jsonl"]].concat();
    let (_, out, _) = run(folder, &resumed);
    let whole = section(&out);
    let text = std::fs::read_to_string(folder.join("done.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 41);
    // As a kill leaves it: some lines, and half of one.
    let cut = text.match_indices('\n').nth(17).unwrap().0 + 20;
    std::fs::write(folder.join("done.jsonl"), &text[..cut]).unwrap();
    let (_, out, error) = run(folder, &resumed);
    assert!(error.contains("17 samples were finished before"), "{error}");
    assert_eq!(counts(&section(&out)), counts(&whole));
    assert_eq!(std::fs::read_to_string(folder.join("done.jsonl")).unwrap().lines().count(), 41);
    // Another question does not take its answers.
    let (code, _, error) = run(folder, &[&resumed[..], &["--seed", "1"]].concat());
    assert!(code == 2 && error.contains("another model, data set or perturbation"), "{error}");
    // What was tampered with is not believed.
    let lie = text.replace("\"outcome\":\"falsified\"", "\"outcome\":\"robust\",\"method\":\"backward\"");
    if lie != text {
        std::fs::write(folder.join("done.jsonl"), lie).unwrap();
        let (code, _, error) = run(folder, &[&resumed[..], &["--csv", "rows.csv"]].concat());
        assert!(code == 3 && error.contains("the checker refused") && error.contains("`--resume`"), "{code} {error}");
        assert!(!folder.join("rows.csv").exists());
    }
}

#[test]
fn normalisation_is_part_of_the_question() {
    let directory = folder();
    let folder = directory.path();
    let data = Dataset::open(&folder.join("digits_test.npz"), None).unwrap();
    // Pixels from 0 to 16, shifted by 4: exact in binary.
    let scaled: Vec<f64> = (0..40).flat_map(|i| data.input(i)).map(|x| x * 16.0 + 4.0).collect();
    let labels: Vec<f64> = data.labels(10).unwrap()[..40].iter().map(|&label| f64::from(label)).collect();
    write_npy(std::fs::File::create(folder.join("x.npy")).unwrap(), &[40, 64], &scaled).unwrap();
    write_npy(std::fs::File::create(folder.join("y.npy")).unwrap(), &[40], &labels).unwrap();
    let (_, plain, _) = run(folder, &[&QUERY[..], &["--output-format", "json"]].concat());
    let mut arguments = vec!["digits_relu.onnx", "--robust", "--data", "x.npy,y.npy", "--eps", "0.32", "--clip", "4,20"];
    arguments.extend(["--input-mean", "4", "--input-std", "16", "--output-format", "json"]);
    let (_, normalised, error) = run(folder, &arguments);
    let outcomes = |text: &str| -> Vec<String> {
        let samples = section(text)["per_sample"].as_array().unwrap().clone();
        samples.iter().map(|sample| sample["outcome"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(outcomes(&plain), outcomes(&normalised), "{error}");
    let files = ["--file", "x.npy", "--file", "y.npy"];
    let check = ["check", "digits_relu.certificate.json", "--model", "digits_relu.onnx"];
    assert_eq!(run(folder, &[&check[..], &files[..]].concat()).0, 0);
    assert_eq!(run(folder, &[&check[..], &files[..2]].concat()).0, 4);
}

#[test]
fn euclidean_perturbations() {
    let directory = folder();
    let folder = directory.path();
    let query = |eps| {
        let mut arguments = vec!["digits_relu.onnx", "--robust", "--norm", "l2", "--data", "digits_test.npz", "--eps", eps];
        arguments.extend(["--samples", "30", "--output-format", "json"]);
        let (_, out, error) = run(folder, &arguments);
        assert!(!out.is_empty(), "{error}");
        counts(&section(&out))
    };
    let (small, large) = (query("0.05"), query("0.6"));
    assert!(small[0] >= 25 && large[1] > small[1] && large[0] < small[0], "{small:?} {large:?}");
    let check = ["check", "digits_relu.certificate.json", "--model", "digits_relu.onnx", "--file", "digits_test.npz"];
    assert_eq!(run(folder, &check).0, 0);
}

#[test]
fn lipschitz_margins_prove_what_other_bounds_do_not() {
    let directory = folder();
    let folder = directory.path();
    let common = ["digits_relu.onnx", "--data", "digits_test.npz", "--samples", "12", "--output-format", "json"];
    let (code, radii, error) = run(folder, &[&common[..], &["--lipschitz", "l2", "--per-margin"]].concat());
    assert_eq!(code, 0, "{error}");
    let radii: Vec<f64> = serde_json::from_value(section(&radii)["certified_radii"].clone()).unwrap();
    assert!(radii.len() == 12 && radii.iter().filter(|radius| **radius > 0.05).count() >= 10, "{radii:?}");

    // What a size of perturbations means there is not guessed.
    let (code, _, error) = run(folder, &[&common[..], &["--lipschitz", "l2", "--per-margin", "--eps", "0.25"]].concat());
    assert!(code == 2 && error.contains("<--robust|--tightness>"), "{error}");

    let query = ["--robust", "--norm", "l2", "--eps", "0.25", "--csv", "s.csv"];
    let (_, out, error) = run(folder, &[&common[..], &query[..]].concat());
    let section = section(&out);
    let by_margins = section["by_lipschitz_margins"].as_u64().unwrap();
    assert!(by_margins > 0, "{section} {error}");
    // What the radii promise is found, by one way or another.
    let csv = std::fs::read_to_string(folder.join("s.csv")).unwrap();
    for (line, radius) in csv.lines().skip(1).zip(&radii) {
        assert!(*radius <= 0.2501 || line.contains(",robust,"), "{line}: {radius}");
        assert!(!line.ends_with(",robust,lipschitz") || *radius > 0.2499, "{line}: {radius}");
    }

    let model = nnverify::kernel::model::onnx::load(&folder.join("digits_relu.onnx")).unwrap();
    let (certificate, bundle) = Certificate::read(&folder.join("digits_relu.certificate.json")).unwrap();
    let mut files = Files::default();
    files.add("digits_test.npz", std::fs::read(folder.join("digits_test.npz")).unwrap());
    let evidence = Evidence { network: &model.network, tensors: &model.tensors, bundle: &bundle, files: &files };
    let claim = certificate.claims.into_iter().find(|claim| claim.id == "robustness").unwrap();
    check_claim(&claim, &evidence).unwrap();
    let changed = |change: &dyn Fn(&mut RobustnessClaim)| {
        let mut claim = claim.clone();
        let ClaimKind::Robustness(robustness) = &mut claim.kind else { panic!("another kind") };
        change(robustness);
        check_claim(&claim, &evidence).unwrap_err().to_string()
    };
    let without = changed(&|claim| claim.witness.margins = None);
    assert!(without.contains("refuted"), "{without}");
    let halved = changed(&|claim| {
        for functional in &mut claim.witness.margins.as_mut().unwrap().functionals {
            functional.bound = Number::upper(functional.bound.value() / 2.0);
        }
    });
    assert!(halved.contains("functionals"), "{halved}");
    let another = changed(&|claim| claim.perturbation.norm = Norm::Linf);
    assert!(another.contains("another norm"), "{another}");
}

#[test]
fn parts_prove_what_plain_bounds_leave_open() {
    let directory = folder();
    let folder = directory.path();
    let query = ["digits_relu.onnx", "--robust", "--data", "digits_test.npz", "--samples", "40", "--eps", "0.08"];
    let (code, out, error) = run(folder, &[&query[..], &["--output-format", "json", "--csv", "s.csv"]].concat());
    let section = section(&out);
    let [robust, falsified, unknown] = counts(&section);
    assert!(code == 1 && robust + falsified == 40 && unknown == 0, "{section} {error}");
    assert!(section["by_parts"].as_u64().unwrap() > 0, "{section}");
    assert!(std::fs::read_to_string(folder.join("s.csv")).unwrap().contains(",robust,parts"));

    let model = nnverify::kernel::model::onnx::load(&folder.join("digits_relu.onnx")).unwrap();
    let (certificate, bundle) = Certificate::read(&folder.join("digits_relu.certificate.json")).unwrap();
    let mut files = Files::default();
    files.add("digits_test.npz", std::fs::read(folder.join("digits_test.npz")).unwrap());
    let evidence = Evidence { network: &model.network, tensors: &model.tensors, bundle: &bundle, files: &files };
    let [claim] = &certificate.claims[..] else { panic!("one claim") };
    check_claim(claim, &evidence).unwrap();
    let changed = |change: &dyn Fn(&mut RobustnessClaim)| {
        let mut claim = claim.clone();
        let ClaimKind::Robustness(robustness) = &mut claim.kind else { panic!("another kind") };
        change(robustness);
        check_claim(&claim, &evidence).unwrap_err().to_string()
    };
    let refused = [
        changed(&|claim| claim.witness.splits.clear()),
        changed(&|claim| claim.witness.splits.iter_mut().for_each(|splits| splits.case = 1000)),
        changed(&|claim| claim.witness.splits[0].tree = Vector::inline(&[-1.0, -1.0])),
        changed(&|claim| claim.witness.splits[0].tree = Vector::inline(&[])),
        changed(&|claim| claim.perturbation.epsilon = "0.5".into()),
        changed(&|claim| {
            let falsified = claim.falsified.remove(0);
            claim.robust.push(falsified);
        }),
    ];
    assert!(refused.iter().all(|reason| !reason.is_empty()), "{refused:?}");
}

#[test]
fn float32_is_another_question() {
    let directory = folder();
    let folder = directory.path();
    let json = ["--output-format", "json"];
    let float32 = ["--semantics", "float32"];
    let (_, real, _) = run(folder, &[&QUERY[..], &json[..]].concat());
    let (_, out, error) = run(folder, &[&QUERY[..], &json[..], &float32[..], &["--certificate", "f.json"]].concat());
    let (real, section) = (section(&real), section(&out));
    assert_eq!((real["semantics"].as_str(), section["semantics"].as_str()), (Some("real"), Some("float32")), "{error}");
    let robust = counts(&section)[0];
    assert!(robust >= 25 && robust <= counts(&real)[0], "{out}");
    let wide = ["digits_relu.onnx", "--robust", "--data", "digits_test.npz", "--eps", "0.2", "--clip", "0,1", "--samples=10"];
    let (_, out, error) = run(folder, &[&wide[..], &json[..], &float32[..], &["--certificate", "f.json"]].concat());
    assert!(counts(&self::section(&out))[1] > 0, "{error}");
    let check = ["check", "f.json", "--model", "digits_relu.onnx", "--file", "digits_test.npz"];
    let (code, out, _) = run(folder, &check);
    assert!(code == 0 && out.contains("in float32 with any summation order"), "{out}");
    // A witness that is no float32 number is none.
    let mut forged = Certificate::from_json(&std::fs::read(folder.join("f.json")).unwrap()).unwrap();
    let ClaimKind::Robustness(claim) = &mut forged.claims[0].kind else { panic!() };
    let nnverify::kernel::proof::Vector::Inline(points) = &mut claim.witness.points else { panic!("bundled") };
    let inside = points.iter().position(|x| x.value() > 0.2 && x.value() < 0.8).unwrap();
    points[inside] = nnverify::kernel::proof::Bits::of(points[inside].value() + 1e-12);
    let (forged, bundle) = forged.seal();
    nnverify::query::write_certificate(&forged, &bundle, &folder.join("f.json")).unwrap();
    assert_eq!(run(folder, &check).0, 4);
    // Passes that are proved for real numbers alone say so.
    let (code, _, error) = run(folder, &["digits_relu.onnx", "--lipschitz", "l2", "--semantics", "float32"]);
    assert!(code == 2 && error.contains("`--lipschitz` is proved in real arithmetic alone"), "{error}");

    // (x·2²⁴ + 1) − x·2²⁴ against ½: the first class in real arithmetic, either one in float32.
    let mut tiny = common::tiny::Tiny::new(1, 1);
    for (name, value) in [("scale", 16_777_216.0), ("one", 1.0), ("half", 0.5)] {
        tiny.graph().initializer.push(common::tiny::tensor(name, &[1, 1], vec![value]));
    }
    let axis = nnverify::kernel::model::onnx::proto::AttributeProto {
        name: "axis".into(),
        r#type: nnverify::kernel::model::onnx::proto::AttributeType::Int.into(),
        i: Some(1),
        ..Default::default()
    };
    let model = tiny
        .node("large", "Mul", &["x", "scale"], vec![])
        .node("more", "Add", &["large", "one"], vec![])
        .node("y", "Sub", &["more", "large"], vec![])
        .node("both", "Concat", &["y", "half"], vec![axis])
        .finish("both");
    std::fs::write(folder.join("c.onnx"), model).unwrap();
    write_npy(std::fs::File::create(folder.join("x.npy")).unwrap(), &[1, 1], &[1.25]).unwrap();
    write_npy(std::fs::File::create(folder.join("y.npy")).unwrap(), &[1], &[0.0]).unwrap();
    let query = ["c.onnx", "--robust", "--data", "x.npy,y.npy", "--eps", "0.25"];
    let (code, out, error) = run(folder, &[&query[..], &json[..]].concat());
    assert_eq!((code, counts(&self::section(&out))), (0, [1, 0, 0]), "{error}");
    let real_claim = Certificate::from_json(&std::fs::read(folder.join("c.certificate.json")).unwrap()).unwrap();
    let (code, out, error) = run(folder, &[&query[..], &json[..], &float32[..]].concat());
    assert!(code != 0 && counts(&self::section(&out))[0] == 0, "{out} {error}");
    // Nor does a claim about real numbers become one about float32 by saying so.
    let mut forged = real_claim;
    forged.claims[0].semantics = nnverify::kernel::proof::Semantics::Float32;
    let (forged, bundle) = forged.seal();
    nnverify::query::write_certificate(&forged, &bundle, &folder.join("c.certificate.json")).unwrap();
    let check = ["check", "c.certificate.json", "--model", "c.onnx", "--file", "x.npy", "--file", "y.npy"];
    assert_eq!(run(folder, &check).0, 4);
}

#[test]
fn usage_errors_say_what_is_wrong() {
    let directory = folder();
    let folder = directory.path();
    let base = ["digits_relu.onnx", "--robust", "--data", "digits_test.npz"];
    for (more, expected) in [
        (&[][..], "--eps"),
        (&["--eps", "x"], "not a decimal number"),
        (&["--eps=-1"], "negative"),
        (&["--eps", "0.1", "--clip", "0,0.5"], "lies outside `--clip`"),
        (&["--eps", "0.1", "--clip", "0"], "two numbers"),
        (&["--eps", "0.1", "--input-std", "0"], "must be positive"),
        (&["--eps", "0.1", "--input-mean", "1,2,3"], "channels"),
    ] {
        let (code, _, error) = run(folder, &[&base[..], more].concat());
        assert!(code == 2 && error.contains(expected), "{more:?}: {error}");
    }
    let one = common::tiny::Tiny::new(64, 1).gemm("g", "x", 64, 1).finish("g");
    std::fs::write(folder.join("one.onnx"), one).unwrap();
    let (code, _, error) = run(folder, &["one.onnx", "--robust", "--data", "digits_test.npz", "--eps", "0.1"]);
    assert!(code == 2 && error.contains("one output"), "{error}");
    let (code, _, error) = run(folder, &["digits_relu.onnx", "--robust", "--eps", "0.1"]);
    assert!(code == 2 && error.contains("--data"), "{error}");
}
