//! What robust samples keep: their class, their side of a threshold, their outputs up to a change; perturbations of every value by
//! itself; and the rules of a policy that ask for these.
//!
//! | test | what it holds |
//! |---|---|
//! | `one_output_is_a_classifier_by_its_threshold` | the difference of two logits of the digits' network, labels 0 and 1: both sides, the claim in words, mutated claims |
//! | `outputs_move_no_further_than_asked` | labels do not enter; more is robust for more change; a falsifying point moves an output; in ℓ2 and float32 too |
//! | `every_value_has_a_size_of_its_own` | a list, a file, zeros with a normalisation; wrong lists are named |
//! | `a_policy_asks_the_same` | thresholds, changes, sizes, accuracy, radii, boxes: met and violated, and no claim for another's rule |
//! | `rules_that_nothing_meets_are_refused_when_read` | exit code 2 and the line |
//! | `questions_that_do_not_fit_are_refused` | exit code 2 and the remedy |

use std::path::Path;

use crate::common;
use nnverify::kernel::model::onnx::proto::ModelProto;
use nnverify::kernel::proof::{Certificate, ClaimKind, Kept, RobustnessClaim, Size};
use nnverify::kernel::read::data::{Dataset, write_npy};
use prost::Message;
use serde_json::Value;

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = assert_cmd::Command::cargo_bin("verify").unwrap().current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, error) = (text(output.stdout), text(output.stderr));
    assert!(!error.contains("panicked"), "{error}");
    (output.status.code().unwrap(), out, error)
}

/// The first section of the JSON that an analysis prints, and its exit code.
fn ask(folder: &Path, arguments: &[&str]) -> (i32, Value) {
    let (code, out, error) = run(folder, &[arguments, &["--output-format", "json"]].concat());
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|reason| panic!("{reason}: {out}{error}"));
    (code, report["sections"][0].clone())
}

fn count(section: &Value, key: &str) -> u64 {
    section[key].as_u64().unwrap_or_else(|| panic!("{key}: {section}"))
}

/// The digits' network and data; `two.onnx`, whose output is logit 1 minus logit 0, and `x.npy,y.npy`, the zeros and ones.
fn folder() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    for name in ["digits_relu.onnx", "digits_test.npz"] {
        std::fs::copy(common::repository(&format!("models/{name}")), folder.join(name)).unwrap();
    }
    let mut model = ModelProto::decode(&*std::fs::read(folder.join("digits_relu.onnx")).unwrap()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let logits = graph.output[0].name.clone();
    let weights = (0..10).map(|class| [-1.0, 1.0].get(class).copied().unwrap_or(0.0)).collect();
    graph.initializer.push(common::tiny::tensor("difference.weight", &[10, 1], weights));
    graph.node.push(nnverify::kernel::model::onnx::proto::NodeProto {
        input: vec![logits, "difference.weight".into()],
        output: vec!["difference".into()],
        name: "difference".into(),
        op_type: "MatMul".into(),
        ..Default::default()
    });
    graph.output =
        vec![nnverify::kernel::model::onnx::proto::ValueInfoProto { name: "difference".into(), ..graph.output[0].clone() }];
    graph.output[0].r#type = None;
    std::fs::write(folder.join("two.onnx"), model.encode_to_vec()).unwrap();
    let data = Dataset::open(&folder.join("digits_test.npz"), None).unwrap();
    let labels = data.labels(10).unwrap();
    let chosen: Vec<usize> = (0..data.len()).filter(|&sample| labels[sample] < 2).collect();
    let inputs: Vec<f64> = chosen.iter().flat_map(|&sample| data.input(sample)).collect();
    let labels: Vec<f64> = chosen.iter().map(|&sample| f64::from(labels[sample])).collect();
    write_npy(std::fs::File::create(folder.join("x.npy")).unwrap(), &[chosen.len(), 64], &inputs).unwrap();
    write_npy(std::fs::File::create(folder.join("y.npy")).unwrap(), &[chosen.len()], &labels).unwrap();
    directory
}

/// Changes the robustness claim of a certificate, makes its digest right, and checks it.
fn forged(folder: &Path, certificate: &str, check: &[&str], change: impl FnOnce(&mut RobustnessClaim)) -> (i32, String) {
    let (stated, bundle) = Certificate::read(&folder.join(certificate)).unwrap();
    let mut forged = stated.inlined(&bundle).unwrap();
    let ClaimKind::Robustness(claim) = &mut forged.claims[0].kind else { panic!("another kind") };
    change(claim);
    let (forged, bundle) = forged.seal();
    nnverify::query::write_certificate(&forged, &bundle, &folder.join("forged.json")).unwrap();
    let (code, out, error) = run(folder, &[&["check", "forged.json"], check].concat());
    (code, out + &error)
}

#[test]
fn one_output_is_a_classifier_by_its_threshold() {
    let directory = folder();
    let folder = directory.path();
    let query = ["two.onnx", "--robust", "--data", "x.npy,y.npy", "--samples", "12", "--clip", "0,1", "--threshold", "0"];
    let (code, section) = ask(folder, &[&query[..], &["--eps", "0.05", "--certificate", "c.json"]].concat());
    assert_eq!((code, count(&section, "robust"), count(&section, "falsified")), (0, 12, 0), "{section}");
    assert_eq!((section["kept"]["threshold"].as_str(), &section["clean_accuracy"]["right"]), (Some("0"), &12.into()));
    let labels: Vec<u64> = section["per_sample"].as_array().unwrap().iter().map(|of| of["label"].as_u64().unwrap()).collect();
    assert!(labels.contains(&0) && labels.contains(&1), "{labels:?}");
    let check = ["--model", "two.onnx", "--file", "x.npy", "--file", "y.npy"];
    let (code, out, _) = run(folder, &[&["check", "c.json"], &check[..]].concat());
    assert!(
        code == 0 && out.contains("12 stay on their label's side of the threshold 0 (label 1: above it), for ℓ∞ ε = 0.05"),
        "{out}"
    );
    // Neither another threshold nor another question follows from it.
    for kept in [Kept::Threshold("100".into()), Kept::Threshold("-100".into()), Kept::Class, Kept::MaxChange("0.1".into())] {
        let (code, out) = forged(folder, "c.json", &check, |claim| claim.kept = kept.clone());
        assert!(code == 4 && (out.contains("not refuted") || kept.is_class()), "{kept:?}: {out}");
    }
    // A large perturbation crosses the threshold, in either direction; the points do so for that threshold alone.
    let (code, section) = ask(folder, &[&query[..], &["--eps", "0.6", "--certificate", "c.json"]].concat());
    assert!(code == 1 && count(&section, "falsified") > 0 && count(&section, "misclassified") == 0, "{section}");
    assert_eq!(run(folder, &[&["check", "c.json"], &check[..]].concat()).0, 0);
    let of = |threshold: &str| forged(folder, "c.json", &check, |claim| claim.kept = Kept::Threshold(threshold.into()));
    assert!([of("-1000").0, of("1000").0].contains(&4));
    // A report says what was asked.
    let (code, _, error) =
        run(folder, &["report", "c.json", "--model", "two.onnx", "--file", "x.npy", "--file", "y.npy", "-o", "r.html"]);
    assert!(
        code != 2
            && std::fs::read_to_string(folder.join("r.html")).unwrap().contains("side of the threshold 0 (label 1: above it)"),
        "{error}"
    );
}

#[test]
fn outputs_move_no_further_than_asked() {
    let directory = folder();
    let folder = directory.path();
    let query = ["digits_relu.onnx", "--robust", "--data", "x.npy", "--samples", "8", "--eps", "0.01", "--certificate", "c.json"];
    let (code, section) = ask(folder, &[&query[..], &["--max-change", "1"]].concat());
    assert_eq!((code, count(&section, "robust")), (0, 8), "{section}");
    assert!(section["clean_accuracy"].is_null() && section["per_sample"][0]["label"].is_null(), "{section}");
    let check = ["--model", "digits_relu.onnx", "--file", "x.npy"];
    let (code, out, _) = run(folder, &[&["check", "c.json"], &check[..]].concat());
    assert!(code == 0 && out.contains("8 move no output by more than 1, for ℓ∞ ε = 0.01"), "{out}");
    let (code, out) = forged(folder, "c.json", &check, |claim| claim.kept = Kept::MaxChange("0.01".into()));
    assert!(code == 4 && out.contains("not refuted"), "{out}");
    let (code, out) = forged(folder, "c.json", &check, |claim| claim.kept = Kept::MaxChange("-1".into()));
    assert!(code == 4 && out.contains("negative"), "{out}");
    // Too little: every sample has a witness, which the checker confirms, and which is none for more.
    let (code, section) = ask(folder, &[&query[..], &["--max-change", "0.01"]].concat());
    assert_eq!((code, count(&section, "falsified"), count(&section, "misclassified")), (1, 8, 0), "{section}");
    assert_eq!(run(folder, &[&["check", "c.json"], &check[..]].concat()).0, 0);
    let (code, out) = forged(folder, "c.json", &check, |claim| claim.kept = Kept::MaxChange("2".into()));
    assert!(code == 4 && out.contains("not proved to be unsafe"), "{out}");
    for more in [&["--norm", "l2", "--max-change", "0.5"][..], &["--semantics", "float32", "--max-change", "1"]] {
        let (code, section) = ask(folder, &[&query[..], more].concat());
        assert_eq!((code, count(&section, "robust")), (0, 8), "{more:?}: {section}");
        let (code, out, _) = run(folder, &[&["check", "c.json"], &check[..]].concat());
        assert!(code == 0, "{out}");
    }
}

#[test]
fn every_value_has_a_size_of_its_own() {
    let directory = folder();
    let folder = directory.path();
    let query = ["digits_relu.onnx", "--robust", "--data", "digits_test.npz", "--samples", "10", "--certificate", "c.json"];
    let sizes: Vec<f64> = (0..64).map(|pixel| if pixel % 8 < 4 { 0.02 } else { 0.0 }).collect();
    write_npy(std::fs::File::create(folder.join("eps.npy")).unwrap(), &[8, 8], &sizes).unwrap();
    let listed: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    let (_, whole) = ask(folder, &[&query[..], &["--eps", "0.02"]].concat());
    let (_, by_file) = ask(folder, &[&query[..], &["--eps", "eps.npy"]].concat());
    let (_, by_list) = ask(folder, &[&query[..], &["--eps", &listed.join(",")]].concat());
    assert_eq!(by_file["per_sample"], by_list["per_sample"]);
    assert!(count(&by_file, "robust") >= count(&whole, "robust") && count(&by_file, "robust") > 0, "{by_file}");
    let check = ["--model", "digits_relu.onnx", "--file", "digits_test.npz"];
    let (code, out, _) = run(folder, &[&["check", "c.json"], &check[..]].concat());
    assert!(code == 0 && out.contains("ε = (0.02, 0.02, 0.02, 0.02, 0, 0, … (64 values))"), "{out}");
    let grow = |claim: &mut RobustnessClaim| claim.perturbation.epsilon = Size::Each(vec!["0.3".into(); 64]);
    let (code, out) = forged(folder, "c.json", &check, grow);
    assert!(code == 4 && out.contains("not refuted"), "{out}");
    let (code, out) = forged(folder, "c.json", &check, |claim| claim.perturbation.epsilon = Size::Each(vec!["0.02".into(); 63]));
    assert!(code == 4 && out.contains("63 sizes"), "{out}");
    // What stays as it is may be no `f64` behind a normalisation: the witnesses of samples that are wrong are witnesses all the same.
    let data = Dataset::open(&folder.join("x.npy"), Some(&folder.join("y.npy"))).unwrap();
    let flipped: Vec<f64> = data.labels(2).unwrap().iter().map(|&label| 1.0 - f64::from(label)).collect();
    write_npy(std::fs::File::create(folder.join("flipped.npy")).unwrap(), &[flipped.len()], &flipped).unwrap();
    let fixed = ["digits_relu.onnx", "--robust", "--data", "x.npy,flipped.npy", "--samples", "10", "--eps", "0"];
    let normalised = ["--input-mean", "0.1307", "--input-std", "0.3081", "--certificate", "f.json"];
    let (_, section) = ask(folder, &[&fixed[..], &normalised].concat());
    assert_eq!(["unknown", "misclassified", "falsified"].map(|key| count(&section, key)), [0, 10, 10], "{section}");
    let check = ["check", "f.json", "--model", "digits_relu.onnx", "--file", "x.npy", "--file", "flipped.npy"];
    assert_eq!(run(folder, &check).0, 0);
    for (more, expected) in [
        (&["--eps", "0.1,0.2"][..], "2 sizes"),
        (&["--eps", "0.1,-0.2"], "negative"),
        (&["--eps", "eps.npy", "--norm", "l2"], "--norm l2"),
    ] {
        let (code, _, error) = run(folder, &[&query[..], more].concat());
        assert!(code == 2 && error.contains(expected) && error.contains("--eps"), "{more:?}: {error}");
    }
}

fn policy(folder: &Path, model: &str, rules: &str) {
    let text = format!("[models.m]\npath = \"{model}\"\n[models.m.input]\nclip = [0.0, 1.0]\n{rules}");
    std::fs::write(folder.join("verify.toml"), text).unwrap();
}

fn gate(folder: &Path) -> (i32, Vec<(String, String)>, String) {
    let (code, out, error) = run(folder, &["gate", "--output-format", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|reason| panic!("{reason}: {out}{error}"));
    let rule = |rule: &Value| (rule["id"].as_str().unwrap().to_owned(), rule["status"].as_str().unwrap().to_owned());
    (code, report["policy"]["rules"].as_array().unwrap().iter().map(rule).collect(), out)
}

#[test]
fn a_policy_asks_the_same() {
    let directory = folder();
    let folder = directory.path();
    let data = "data = \"x.npy\"\nlabels = \"y.npy\"\nsamples = 6\n";
    let robust = format!("[[models.m.robustness]]\n{data}norm = \"linf\"\n");
    let rules = format!(
        "{robust}epsilon = 0.02\nthreshold = 0.0\nmin-certified-accuracy = 1.0\n\
         {robust}epsilon = 0.02\nmax-change = 100.0\nmin-certified-accuracy = 1.0\n\
         {robust}epsilon = 0.02\nmax-change = 1e-3\nmin-certified-accuracy = 0.5\n\
         {robust}epsilon = [{}]\nthreshold = 0.0\nmin-certified-accuracy = 1.0\n\
         [[models.m.accuracy]]\n{data}threshold = 0.0\nmin-clean-accuracy = 1.0\n\
         [[models.m.radius]]\n{data}norm = \"l2\"\nthreshold = 0.0\nmin-radius = 0.05\nshare = 0.5\n",
        ["0.01"; 64].join(", ")
    );
    policy(folder, "two.onnx", &rules);
    let expected = [
        ("m.robustness-linf-0.02-threshold.min-certified-accuracy", "met"),
        ("m.robustness-linf-0.02-max-change.min-certified-accuracy", "met"),
        ("m.robustness-linf-0.02-max-change_2.min-certified-accuracy", "violated"),
        ("m.robustness-linf-each-threshold.min-certified-accuracy", "met"),
        ("m.accuracy.min-clean-accuracy", "met"),
        ("m.radius-l2-0.05.min-radius", "met"),
    ];
    let expected: Vec<(String, String)> = expected.map(|(id, status)| (id.to_owned(), status.to_owned())).into();
    let (code, found, out) = gate(folder);
    assert_eq!((code, &found), (1, &expected), "{out}");
    // Each certificate answers its own rule again, and no other's.
    let (_, found, out) = gate(folder);
    assert_eq!(found, expected, "{out}");
    assert!(out.matches("\"reused\": true").count() >= 5, "{out}");
    let kept = |name: &str| folder.join(format!("certificates/m.{name}.certificate.json"));
    std::fs::copy(kept("robustness-linf-0.02-max-change"), kept("robustness-linf-0.02-threshold")).unwrap();
    let (_, out, _) = run(folder, &["gate", "--check-only", "--output-format", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["policy"]["rules"][0]["status"], "inconclusive", "{out}");
    // Two questions are never compared.
    let names = ["robustness-linf-0.02-max-change", "robustness-linf-0.02-max-change_2"];
    let paths = names.map(|name| kept(name).display().to_string());
    let (_, out, error) = run(folder, &["diff", &paths[0], &paths[1]]);
    assert!(out.contains("it answers another question: what is kept"), "{out}{error}");
}

#[test]
fn rules_that_nothing_meets_are_refused_when_read() {
    let directory = folder();
    let folder = directory.path();
    let data = "data = \"digits_test.npz\"\n";
    let robust = format!("[[models.m.robustness]]\n{data}norm = \"linf\"\nepsilon = 0.1\n");
    let stable = format!("[[models.m.stability]]\n{data}learning-rate = 0.1\n");
    for (rules, expected) in [
        (format!("{robust}min-certified-accuracy = 1.5\n"), "not between 0 and 1"),
        (format!("{robust}threshold = 0.0\nmax-change = 1.0\nmin-certified-accuracy = 0.5\n"), "two rules"),
        (format!("{robust}max-change = -1.0\nmin-certified-accuracy = 0.5\n"), "`max-change` is -1"),
        (format!("{robust}threshold = nan\nmin-certified-accuracy = 0.5\n"), "`threshold` is NaN"),
        (format!("{robust}min-certified-accuracy = 0.5\n").replace("0.1\n", "[0.0, 0.0]\n"), "nothing is perturbed"),
        (format!("{robust}min-certified-accuracy = 0.5\n").replace("linf\"\nepsilon = 0.1", "l2\"\nepsilon = [0.1]"), "`linf`"),
        (format!("{robust}min-certified-accuracy = 0.5\n").replace("0.1\n", "\"a\"\n"), "a number, or a list"),
        (format!("{stable}loss = \"cross-entropy\"\nbatch-size = 2\n"), "no finite minimiser"),
        (format!("{stable}loss = \"mse\"\nsamples = 4\nbatch-size = 5\n"), "`batch-size` is 5"),
        (format!("[[models.m.accuracy]]\n{data}min-clean-accuracy = -0.1\n"), "not between 0 and 1"),
        (format!("[[models.m.radius]]\n{data}norm = \"l2\"\nmin-radius = 0.0\n"), "`min-radius` is 0"),
        (format!("[[models.m.radius]]\n{data}norm = \"l2\"\nmin-radius = 0.1\nshare = 2.0\n"), "`share` is 2"),
        (format!("[[models.m.tightness]]\n{data}epsilon = 0.1\nmin-tightness = 1.1\n"), "no tightness is greater"),
        (format!("[[models.m.hessian-trace]]\n{data}loss = \"mse\"\nmax-trace = -1.0\n"), "not positive"),
        ("[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 0.0\n".to_owned(), "not positive"),
        (
            "[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 1.0\nregion = { lower = [1.0], upper = [0.0] }\n".to_owned(),
            "in order",
        ),
        (
            "[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 1.0\nregion = { lower = [1.0], upper = [1.0] }\n".to_owned(),
            "one point",
        ),
        ("[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 1.0\nregion = 3\n".to_owned(), "two numbers, or"),
    ] {
        policy(folder, "digits_relu.onnx", &rules);
        let (code, _, error) = run(folder, &["gate"]);
        assert!(code == 2 && error.contains(expected) && error.contains("NV403"), "{rules}: {error}");
    }
    policy(
        folder,
        "digits_relu.onnx",
        &format!("{robust}min-certified-accuracy = 0.5\n").replace("epsilon = 0.1", "epsilon = 0.1"),
    );
    let text = std::fs::read_to_string(folder.join("verify.toml")).unwrap();
    for (clip, expected) in [("[1.0, 0.0]", "`input.clip`"), ("[0.0, 1.0]\nstd = [0.0]", "`input.std` holds 0")] {
        std::fs::write(folder.join("verify.toml"), text.replace("[0.0, 1.0]", clip)).unwrap();
        let (code, _, error) = run(folder, &["gate"]);
        assert!(code == 2 && error.contains(expected), "{error}");
    }
    // More than the checker takes: said before anything is searched for.
    write_npy(std::fs::File::create(folder.join("t.npy")).unwrap(), &[200, 10], &[0.5; 2000]).unwrap();
    policy(folder, "digits_relu.onnx", &format!("{stable}labels = \"t.npy\"\nloss = \"mse\"\nbatch-size = 2\n"));
    let (code, out, error) = run(folder, &["gate"]);
    assert!(code == 2 && (out.clone() + &error).contains("at most 400 samples times outputs"), "{out}{error}");
}

#[test]
fn questions_that_do_not_fit_are_refused() {
    let directory = folder();
    let folder = directory.path();
    for (arguments, expected) in [
        (&["two.onnx", "--robust", "--data", "x.npy,y.npy", "--eps", "0.1"][..], "--threshold T"),
        (&["digits_relu.onnx", "--robust", "--data", "x.npy,y.npy", "--eps", "0.1", "--threshold", "0"], "one output"),
        (&["two.onnx", "--robust", "--data", "digits_test.npz", "--eps", "0.1", "--threshold", "0"], "is not a class"),
        (&["two.onnx", "--robust", "--data", "x.npy,y.npy", "--eps", "0.1", "--threshold", "x"], "--threshold"),
        (&["two.onnx", "--robust", "--data", "x.npy,y.npy", "--eps", "0.1", "--max-change=-1"], "negative"),
        (
            &["two.onnx", "--robust", "--data", "x.npy,y.npy", "--eps", "0.1", "--max-change", "1", "--threshold", "0"],
            "cannot be used",
        ),
        (&["two.onnx", "--lipschitz", "l2", "--threshold", "0"], "--robust"),
        (&["two.onnx", "--robust", "--data", "x.npy", "--eps", "0.1", "--threshold", "0"], "targets"),
    ] {
        let (code, _, error) = run(folder, arguments);
        assert!(code == 2 && error.contains(expected), "{arguments:?}: {error}");
    }
}
