//! Nothing that was found is lost, and nothing that lies there is replaced in silence.
//!
//! | test | what it holds |
//! |---|---|
//! | `claims_about_the_same_model_are_joined` | claims of earlier runs stay in the certificate, those made anew are replaced, `--fresh` replaces all |
//! | `what_lies_in_the_certificates_place_is_looked_at_first` | altered certificates, files of another kind, certificates of another model |
//! | `a_certificate_on_standard_output_is_whole` | `--certificate -` |
//! | `a_question_that_fails_takes_no_other_along` | the others' results are told and kept; what cannot be asked is told of before any work |
//! | `an_interrupt_ends_the_search_and_keeps_what_was_found` | the first signal is a time limit |

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common;
use nnverify::kernel::proof::Certificate;

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = assert_cmd::Command::cargo_bin("verify").unwrap().current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, error) = (text(output.stdout), text(output.stderr));
    assert!(!error.contains("panicked"), "{error}");
    (output.status.code().unwrap(), out, error)
}

fn folder() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["digits_relu.onnx", "digits_maxmin.onnx", "digits_test.npz"] {
        std::fs::copy(common::repository(&format!("models/{name}")), directory.path().join(name)).unwrap();
    }
    directory
}

fn claims(path: &Path) -> Vec<String> {
    Certificate::read(path).unwrap().0.claims.into_iter().map(|claim| claim.id).collect()
}

const LIPSCHITZ: [&str; 5] = ["digits_maxmin.onnx", "--lipschitz", "l2", "--engine", "product"];
const ROBUST: [&str; 8] = ["digits_maxmin.onnx", "--robust", "--data", "digits_test.npz", "--samples", "5", "--eps", "0.001"];

#[test]
fn claims_about_the_same_model_are_joined() {
    let directory = folder();
    let here = directory.path();
    let certificate = here.join("digits_maxmin.certificate.json");
    assert_eq!(run(here, &LIPSCHITZ).0, 0);
    let (_, out, error) = run(here, &ROBUST);
    assert!(error.contains("keeps earlier claims: lipschitz-l2"), "{out} {error}");
    assert_eq!(claims(&certificate), ["lipschitz-l2", "robustness"]);
    let check = ["check", "digits_maxmin.certificate.json", "--model", "digits_maxmin.onnx", "--file", "digits_test.npz"];
    let (code, out, error) = run(here, &check);
    assert!(code == 0 && out.matches("proved in").count() == 2, "{out} {error}");

    // What is made anew is made once.
    run(here, &LIPSCHITZ);
    assert_eq!(claims(&certificate), ["robustness", "lipschitz-l2"]);
    assert_eq!(run(here, &check).0, 0);
    assert_eq!(run(here, &[&LIPSCHITZ[..], &["--fresh"]].concat()).0, 0);
    assert_eq!(claims(&certificate), ["lipschitz-l2"]);
}

#[test]
fn what_lies_in_the_certificates_place_is_looked_at_first() {
    let directory = folder();
    let here = directory.path();
    let asked = |more: &[&str]| run(here, &[&LIPSCHITZ[..], &["--certificate", "c.json"], more].concat());
    assert_eq!(asked(&[]).0, 0);
    let whole = std::fs::read_to_string(here.join("c.json")).unwrap();

    let altered = whole.replace("\"lipschitz-l2\"", "\"lipschitz-l9\"");
    std::fs::write(here.join("c.json"), &altered).unwrap();
    let (code, out, error) = asked(&[]);
    assert!(code == 2 && out.is_empty() && error.contains("--fresh") && error.contains("NV503"), "{out} {error}");
    assert_eq!(std::fs::read_to_string(here.join("c.json")).unwrap(), altered);
    assert_eq!(asked(&["--fresh"]).0, 0);
    assert_eq!(claims(&here.join("c.json")), ["lipschitz-l2"]);

    std::fs::write(here.join("c.json"), "{\"weights\": [1, 2]}").unwrap();
    for more in [&[][..], &["--fresh"]] {
        let (code, out, error) = asked(more);
        assert!(code == 2 && out.is_empty() && error.contains("is not a certificate"), "{out} {error}");
        assert_eq!(std::fs::read_to_string(here.join("c.json")).unwrap(), "{\"weights\": [1, 2]}");
    }

    std::fs::write(here.join("c.json"), &whole).unwrap();
    let other = ["digits_relu.onnx", "--lipschitz", "l2", "--engine", "product", "--certificate", "c.json"];
    let (code, _, error) = run(here, &other);
    assert!(code == 0 && error.contains("another model"), "{error}");
    assert_eq!(run(here, &["check", "c.json", "--model", "digits_relu.onnx"]).0, 0);
}

#[test]
fn a_certificate_on_standard_output_is_whole() {
    let directory = folder();
    let here = directory.path();
    let (code, out, error) = run(here, &["digits_maxmin.onnx", "--lipschitz", "l2", "--certificate", "-"]);
    assert!(code == 0 && error.contains("certified upper bound"), "{error}");
    assert!(!here.join("-").exists() && !here.join("digits_maxmin.certificate.json").exists());
    std::fs::write(here.join("c.json"), out).unwrap();
    let (code, out, error) = run(here, &["check", "c.json", "--model", "digits_maxmin.onnx"]);
    assert!(code == 0 && out.contains("proved in"), "{out} {error}");
    // The same where another result goes to a file, and where nothing else is to be told.
    std::fs::copy(common::repository("specs/digit_0_within_0.05.vnnlib"), here.join("s.vnnlib")).unwrap();
    let spec = ["digits_relu.onnx", "--spec", "s.vnnlib", "--certificate", "-", "-o", "s.txt", "-q"];
    let (code, out, error) = run(here, &spec);
    assert!(code == 0 && error.contains("unsat") && std::fs::read_to_string(here.join("s.txt")).unwrap() == "unsat\n", "{error}");
    assert!(Certificate::from_json(out.as_bytes()).is_ok(), "{out}");
    let both = ["digits_maxmin.onnx", "--lipschitz", "l2", "--certificate", "-", "--output-format", "json"];
    let (code, out, error) = run(here, &both);
    assert!(code == 2 && out.is_empty() && error.contains("both write to standard output"), "{error}");
}

#[test]
fn a_question_that_fails_takes_no_other_along() {
    let directory = folder();
    let here = directory.path();
    let data = ["--data", "digits_test.npz", "--samples", "3", "--loss", "cross-entropy"];
    let inverse = [&data[..], &["--inverse-hessian", "--damping", "0.1", "--gradients", "1000"]].concat();
    let (code, out, error) = run(here, &[&LIPSCHITZ[..], &inverse[..]].concat());
    assert!(code == 2 && error.contains("`--gradients 1000`: the data give 3"), "{error}");
    assert!(out.contains("certified upper bound"), "{out}");
    assert_eq!(claims(&here.join("digits_maxmin.certificate.json")), ["lipschitz-l2"]);

    // Neither does a place that cannot be written, nor one question that cannot be asked, whichever it is.
    for option in ["-o", "--csv"] {
        let robust = ["--robust", "--data", "digits_test.npz", "--eps", "0.01", "--fresh", option, "nowhere/r"];
        let (code, out, error) = run(here, &[&LIPSCHITZ[..], &robust[..]].concat());
        assert!(code == 2 && out.is_empty() && error.contains("nowhere/r") && error.contains(option), "{out} {error}");
    }
    let sgd = ["--hessian-trace", "--learning-rate", "0.1", "--batch-size", "4"];
    let (code, out, error) = run(here, &[&LIPSCHITZ[..], &data[..], &sgd[..]].concat());
    assert!(code == 2 && out.is_empty() && error.contains("batch size 4"), "{out} {error}");

    // A clip that the data leave: nothing runs before it is told.
    let robust = ["--robust", "--data", "digits_test.npz", "--eps", "0.01", "--clip", "0.2,0.3", "--fresh"];
    let (code, out, error) = run(here, &[&LIPSCHITZ[..], &robust[..]].concat());
    assert!(code == 2 && out.is_empty() && error.contains("outside `--clip`"), "{out} {error}");
    assert_eq!(claims(&here.join("digits_maxmin.certificate.json")), ["lipschitz-l2"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_search_and_keeps_what_was_found() {
    let directory = folder();
    let here = directory.path();
    // Hours of splits.
    let tightness = ["digits_relu.onnx", "--tightness", "--data", "digits_test.npz", "--samples", "8", "--eps", "0.1"];
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("verify"))
        .current_dir(here)
        .args(tightness)
        .args(["--phase-splits", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert!(child.try_wait().unwrap().is_none(), "it has hours to do");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(error.contains("stopped by a signal"), "{error}");
    assert!(ended.status.code() == Some(0) && out.contains("tightness τ, mean"), "{out} {error}");
    assert_eq!(claims(&here.join("digits_relu.certificate.json")), ["tightness"]);
}
