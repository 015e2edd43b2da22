//! The program `nnverify-check`, as an auditor runs it.
//!
//! | test | what it shows |
//! |---|---|
//! | `certificates_of_version_1_are_proved_again` | certificates that an earlier version wrote still check, models and files found by digest |
//! | `another_model_is_refused`, `a_missing_file_is_named` | nothing else stands in for what a claim is about |
//! | `every_altered_certificate_is_refused` | figures, witnesses and names that were changed after the digest was made anew |
//! | `a_damaged_certificate_does_not_hide_in_a_folder` | what says that it is a certificate is checked |
//! | `what_cannot_be_checked_takes_no_other_along` | a missing bundle, a certificate that is too large: named, and the others are checked |
//! | `mistakes_on_the_command_line` | errors name the option, exit code 2 |

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nnverify_kernel::proof::Certificate;
use serde_json::Value;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn stored(name: &str) -> PathBuf {
    repository("kernel/tests/version1").join(name)
}

fn run<'a>(arguments: impl IntoIterator<Item = &'a Path>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nnverify-check")).args(arguments).output().unwrap()
}

/// A folder with the stored certificates, the models and what claims are about.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &Path| std::fs::copy(from, folder.path().join(from.file_name().unwrap())).unwrap();
    for entry in std::fs::read_dir(stored("")).unwrap() {
        copy(&entry.unwrap().path());
    }
    for name in ["digits_relu.onnx", "digits_maxmin.onnx", "digits_cnn.onnx", "digits_test.npz"] {
        copy(&repository("models").join(name));
    }
    for name in ["digit_0_within_0.05.vnnlib", "digit_5_within_0.2.vnnlib"] {
        copy(&repository("specs").join(name));
    }
    folder
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn certificates_of_version_1_are_proved_again() {
    let folder = folder();
    let count = std::fs::read_dir(stored("")).unwrap().count();
    let output = run([Path::new("--json"), Path::new("--threads"), Path::new("2"), folder.path()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["schema"], "nnverify-check/1");
    let certificates = told["certificates"].as_array().unwrap();
    assert_eq!(certificates.len(), count);
    for certificate in certificates {
        assert_eq!(certificate["refusal"], Value::Null, "{certificate}");
        assert_eq!(certificate["claims"].as_array().unwrap().len(), 1, "{certificate}");
    }
    let plain = text(&run([folder.path()]));
    assert!(plain.contains("`lipschitz-l2` proved: the ℓ2 Lipschitz constant is at most"), "{plain}");
    assert!(plain.contains(&format!("{count} claims established, 0 not")), "{plain}");
}

#[test]
fn another_model_is_refused() {
    let certificate = stored("l2.json");
    let right = repository("models/digits_maxmin.onnx");
    assert_eq!(run([&*certificate, Path::new("--model"), &*right]).status.code(), Some(0));
    let wrong = repository("models/digits_relu.onnx");
    let output = run([&*certificate, Path::new("--model"), &*wrong]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("about another model"), "{}", text(&output));
    let output = run([&*certificate]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output).contains("no model with SHA-256"), "{}", text(&output));
}

#[test]
fn a_missing_file_is_named() {
    let (certificate, model) = (stored("unsat.json"), repository("models/digits_relu.onnx"));
    let output = run([&*certificate, Path::new("--model"), &*model]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output).contains("`digit_0_within_0.05.vnnlib`") && text(&output).contains("--file"), "{}", text(&output));
    // Another file of that name is not it.
    let elsewhere = tempfile::tempdir().unwrap();
    let forged = elsewhere.path().join("digit_0_within_0.05.vnnlib");
    std::fs::copy(repository("specs/digit_5_within_0.2.vnnlib"), &forged).unwrap();
    let output = run([&*certificate, Path::new("--model"), &*model, Path::new("--file"), &*forged]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
}

/// Changes the leaf of a document at a position; returns whether there is one.
fn alter(value: &mut Value, position: &mut usize) -> bool {
    match value {
        Value::Array(values) => values.iter_mut().any(|value| alter(value, position)),
        Value::Object(fields) => fields.iter_mut().any(|(_, value)| alter(value, position)),
        _ if *position > 0 => {
            *position -= 1;
            false
        }
        Value::Bool(truth) => {
            *truth = !*truth;
            true
        }
        Value::Number(number) => {
            *value = Value::from(number.as_u64().unwrap_or(0).wrapping_add(1));
            true
        }
        // Bits of a number become those of half of it, and a word another word.
        Value::String(text) => {
            *text = match u64::from_str_radix(text, 16) {
                Ok(bits) if text.len() == 16 => format!("{:016x}", (f64::from_bits(bits) / 2.0).to_bits()),
                _ => format!("{text}x"),
            };
            true
        }
        Value::Null => {
            *value = Value::from(1);
            true
        }
    }
}

#[test]
fn every_altered_certificate_is_refused() {
    let folder = folder();
    let mut tried = 0;
    for name in ["l2.json", "unsat.json", "sat.json", "trace.json"] {
        let original: Certificate = serde_json::from_slice(&std::fs::read(stored(name)).unwrap()).unwrap();
        let claim = serde_json::to_value(&original.claims[0]).unwrap();
        for position in 0.. {
            let mut altered = claim.clone();
            if !alter(&mut altered, &mut position.clone()) {
                break;
            }
            let Ok(altered_claim) = serde_json::from_value(altered.clone()) else { continue };
            let mut forged = original.clone();
            forged.claims = vec![altered_claim];
            if forged.claims == original.claims {
                continue;
            }
            forged.bundle = None;
            let (forged, _) = forged.seal();
            // A witness may be changed to another one that proves the same; what is claimed may not.
            let mut figures = (altered, claim.clone());
            for value in [&mut figures.0, &mut figures.1] {
                value.as_object_mut().unwrap().remove("witness");
                value.as_object_mut().unwrap().remove("id");
            }
            if figures.0 == figures.1 {
                continue;
            }
            let path = folder.path().join("forged.json");
            std::fs::write(&path, serde_json::to_vec(&forged).unwrap()).unwrap();
            let output = run([
                &*path,
                Path::new("--model"),
                &*folder.path().join(if name == "l2.json" {
                    "digits_maxmin.onnx"
                } else if name == "trace.json" {
                    "digits_cnn.onnx"
                } else {
                    "digits_relu.onnx"
                }),
                Path::new("--file"),
                &*folder.path().join("digits_test.npz"),
                Path::new("--file"),
                &*folder.path().join("digit_0_within_0.05.vnnlib"),
                Path::new("--file"),
                &*folder.path().join("digit_5_within_0.2.vnnlib"),
            ]);
            tried += 1;
            assert_eq!(output.status.code(), Some(4), "{name}, {position}: {}", text(&output));
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn a_damaged_certificate_does_not_hide_in_a_folder() {
    let folder = folder();
    let whole = std::fs::read(stored("l2.json")).unwrap();
    std::fs::write(folder.path().join("l2.json"), &whole[..whole.len() / 2]).unwrap();
    let output = run([folder.path()]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("is not a certificate"), "{}", text(&output));
    let empty = tempfile::tempdir().unwrap();
    let output = run([empty.path()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("there is no certificate"), "{}", text(&output));
}

#[test]
fn what_cannot_be_checked_takes_no_other_along() {
    let folder = folder();
    // Larger than a certificate may be: told of, not taken for data.
    let mut large = std::fs::read(stored("l2.json")).unwrap();
    large.resize((1 << 24) + 1, b' ');
    std::fs::write(folder.path().join("large.json"), &large).unwrap();
    let output = run([folder.path()]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(
        text(&output).contains("larger than the limit") && text(&output).contains("`robustness` proved"),
        "{}",
        text(&output)
    );

    // A bundle that is missing says nothing about the certificate, and the others are checked.
    std::fs::remove_file(folder.path().join("large.json")).unwrap();
    let mut certificate: Value = serde_json::from_slice(&std::fs::read(stored("l2.json")).unwrap()).unwrap();
    certificate["bundle"] = Value::from("00");
    std::fs::write(folder.path().join("alone.json"), serde_json::to_vec(&certificate).unwrap()).unwrap();
    let output = run([Path::new("--json"), folder.path()]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let failures = told["certificates"].as_array().unwrap().iter().filter(|found| found["failure"].is_string()).count();
    assert_eq!(
        (failures, told["certificates"].as_array().unwrap().len()),
        (1, std::fs::read_dir(stored("")).unwrap().count() + 1)
    );
}

#[test]
fn mistakes_on_the_command_line() {
    for (words, message) in [
        (vec![], "no certificate was given"),
        (vec!["--modle", "m"], "--modle"),
        (vec!["c.json", "--threads", "0"], "--threads"),
        (vec!["none.json"], "none.json"),
        (vec!["none.json", "--model", "none.onnx"], "none.onnx"),
    ] {
        let output = run(words.iter().map(Path::new));
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", text(&output));
        assert!(text(&output).contains(message), "{words:?}: {}", text(&output));
    }
    let help = run([Path::new("--help")]);
    assert!(help.status.success() && text(&help).contains("Exit codes"));
}
