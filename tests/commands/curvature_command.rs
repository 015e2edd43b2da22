//! `--hessian-trace` and `--inverse-hessian` as their users meet them: what is certified through every activation, limits of
//! time and memory, single precision, planted label noise.

use std::fs::File;
use std::path::Path;

use crate::common;
use crate::common::tiny::Tiny;
use ndarray::{Array1, Array2};
use ndarray_npy::NpzWriter;
use nnverify::kernel::model::onnx::proto::{AttributeProto, AttributeType, ModelProto, StringStringEntryProto};
use nnverify::kernel::read::data::Dataset;
use prost::Message;
use serde_json::Value;
use tempfile::TempDir;

/// Exit code, standard output, standard error.
fn verify(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = assert_cmd::Command::cargo_bin("verify").unwrap();
    for variable in ["VERIFY_OUTPUT_FORMAT", "VERIFY_TIMEOUT", "VERIFY_MEMORY", "VERIFY_THREADS"] {
        command.env_remove(variable);
    }
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, error) = (text(output.stdout), text(output.stderr));
    assert!(!error.contains("panicked"), "{arguments:?}: {error}");
    (output.status.code().unwrap(), out, error)
}

const JSON: [&str; 2] = ["--output-format", "json"];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn claim(report: &Value, kind: &str) -> Value {
    report["claims"].as_array().unwrap().iter().find(|claim| claim["kind"] == kind).cloned().unwrap_or(Value::Null)
}

fn figure(section: &Value, name: &str) -> f64 {
    let figures = section["figures"].as_array().unwrap();
    figures.iter().find(|figure| figure["name"] == name).unwrap_or_else(|| panic!("{name}: {section}"))["value"].as_f64().unwrap()
}

/// A folder with sample models and their images.
fn digits(models: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let names = models.iter().map(|name| format!("{name}.onnx")).chain(["digits_test.npz".to_owned()]);
    for name in names {
        std::fs::copy(common::repository(&format!("models/{name}")), folder.path().join(name)).unwrap();
    }
    folder
}

const DIGITS: [&str; 5] = ["--data", "digits_test.npz", "--loss", "cross-entropy", "--samples"];

/// Sorts: the Hessian's trace itself, since no sample is tied.
#[test]
fn sorts_are_certified() {
    let folder = digits(&["digits_groupsort"]);
    let arguments = [&["digits_groupsort.onnx", "--hessian-trace"], &DIGITS[..], &["20"], &JSON].concat();
    let (code, text, error) = verify(folder.path(), &arguments);
    assert_eq!(code, 0, "{error}");
    let found = claim(&json(&text), "hessian-trace");
    assert_eq!((found["assurance"].as_str(), found["matrix"].as_str()), (Some("proved"), Some("hessian")), "{found}");
    let check = ["check", "digits_groupsort.certificate.json", "--model", "digits_groupsort.onnx", "--file", "digits_test.npz"];
    let (code, text, error) = verify(folder.path(), &check);
    assert_eq!(code, 0, "{text}{error}");
}

#[test]
fn every_activation_is_certified() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = NpzWriter::new(File::create(folder.path().join("data.npz")).unwrap());
    let entry = |(i, j): (usize, usize)| ((i * 7 + j * 3) as f32 * 0.61).sin();
    writer.add_array("inputs", &Array2::from_shape_fn((5, 3), |(i, j)| 4.0 * entry((i, j)))).unwrap();
    writer.add_array("targets", &Array2::from_shape_fn((5, 2), entry)).unwrap();
    writer.finish().unwrap();
    let tanh = AttributeProto {
        name: "approximate".into(),
        r#type: AttributeType::String.into(),
        s: Some(b"tanh".to_vec()),
        ..AttributeProto::default()
    };
    for (operator, opset, attributes, smooth) in [
        ("Celu", 13, vec![], false),
        ("HardSwish", 14, vec![], false),
        ("Mish", 18, vec![], true),
        ("Gelu", 20, vec![tanh], true),
        ("Elu", 13, vec![], false),
    ] {
        let graph =
            Tiny::new(3, 5).gemm("first", "x", 3, 6).node("act", operator, &["first"], attributes).gemm("last", "act", 6, 2);
        let mut file = ModelProto::decode(&graph.finish("last")[..]).unwrap();
        file.opset_import[0].version = opset;
        std::fs::write(folder.path().join("m.onnx"), file.encode_to_vec()).unwrap();
        let data = ["--data", "data.npz", "--loss", "mse"];
        let (code, text, error) = verify(folder.path(), &[&["m.onnx", "--hessian-trace"], &data[..], &JSON].concat());
        assert_eq!(code, 0, "{operator}: {error}");
        let found = claim(&json(&text), "hessian-trace");
        // Curved: the traces of the two matrices differ.
        assert_eq!((found["assurance"].as_str(), found["matrix"].as_str()), (Some("proved"), Some("gauss-newton")), "{operator}");
        let exact = figure(&json(&text)["sections"][0], "trace_gauss_newton");
        let bound = |end: &str| found["trace"][end]["decimal"].as_str().unwrap().parse::<f64>().unwrap();
        assert!((bound("lower") - exact).abs() < 1e-6 * exact && (bound("upper") - exact).abs() < 1e-6 * exact, "{operator}");
        let solve = [&["m.onnx", "--inverse-hessian", "--damping", "0.1"], &data[..], &JSON].concat();
        let (code, text, error) = verify(folder.path(), &solve);
        assert_eq!(code, 0, "{operator}: {error}");
        assert_eq!(claim(&json(&text), "inverse-hessian")["assurance"], "checked", "{operator}, {smooth}");
        let (code, text, error) =
            verify(folder.path(), &["check", "m.certificate.json", "--model", "m.onnx", "--file", "data.npz"]);
        assert_eq!(code, 0, "{operator}: {text}{error}");
    }
}

/// What was found is reported, the rest is named, and the exit code says that it is not all.
#[test]
fn the_time_limit_cuts_off_what_follows() {
    let folder = digits(&["digits_relu"]);
    let hessian = [&["digits_relu.onnx", "--hessian-trace"], &DIGITS[..], &["200", "--timeout", "1e-6"]].concat();
    let (code, text, error) = verify(folder.path(), &hessian);
    assert_eq!(code, 3, "{text}{error}");
    assert!(
        text.contains("loss 0.") && text.contains("not done within the time limit: trace of the Gauss-Newton matrix"),
        "{text}"
    );
    let stability = ["--learning-rate", "0.1", "--batch-size", "4"];
    let (code, text, _) = verify(folder.path(), &[&hessian[..], &stability, &JSON].concat());
    let section = &json(&text)["sections"][0];
    let named: Vec<&str> = section["not_done"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(code == 3 && named.contains(&"verdict on stability"), "{named:?}");
    assert!(section["loss"].as_f64().unwrap() > 0.0 && section["figures"].as_array().unwrap().is_empty());

    let inverse = ["digits_relu.onnx", "--inverse-hessian", "--damping", "1e-3", "--influence", "--pruning", "--timeout", "1e-6"];
    let (code, _, error) = verify(folder.path(), &[&inverse, &DIGITS[..], &["200"]].concat());
    assert!(code == 3 && error.contains("time limit") && error.contains("gradients"), "{code} {error}");
    assert!(!folder.path().join("digits_relu.pruned.onnx").exists());
}

/// A model with tensors in another file is pruned like one that holds them, into a file that stands alone.
#[test]
fn external_data_are_pruned_too() {
    let folder = digits(&["digits_relu"]);
    let here = folder.path();
    let mut model = ModelProto::decode(&std::fs::read(here.join("digits_relu.onnx")).unwrap()[..]).unwrap();
    let mut data = Vec::new();
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        let bytes = tensor.raw_data.take().unwrap();
        let place = [("location", "w.bin".to_owned()), ("offset", data.len().to_string()), ("length", bytes.len().to_string())];
        tensor.data_location = 1;
        tensor.external_data = place.map(|(key, value)| StringStringEntryProto { key: key.into(), value }).into();
        data.extend(bytes);
    }
    std::fs::write(here.join("outside.onnx"), model.encode_to_vec()).unwrap();
    std::fs::write(here.join("w.bin"), data).unwrap();
    let pruned = |model: &str| {
        let arguments = [&[model, "--inverse-hessian", "--damping", "1e-3", "--pruning", "0.25"], &DIGITS[..], &["50"]].concat();
        let (code, text, error) = verify(here, &[&arguments[..], &JSON].concat());
        assert_eq!(code, 0, "{error}");
        json(&text)["sections"][0]["pruning"]["loss_after"].as_f64().unwrap()
    };
    assert_eq!(pruned("outside.onnx"), pruned("digits_relu.onnx"));
    let alone = nnverify::kernel::model::onnx::load(&here.join("outside.pruned.onnx")).unwrap();
    assert!(alone.external.is_empty());
}

/// Gradients on disk give the same figures, and shares of the pruning curve without a point say why.
#[test]
fn gradients_that_exceed_the_memory_go_to_disk() {
    let folder = digits(&["digits_relu"]);
    let pruned = ["--pruning", "0.25", "--influence"];
    let arguments =
        [&["digits_relu.onnx", "--inverse-hessian", "--damping", "1e-3"], &DIGITS[..], &["200"], &pruned, &JSON].concat();
    let (code, text, error) = verify(folder.path(), &arguments);
    assert_eq!(code, 0, "{error}");
    let (code, small, error) = verify(folder.path(), &[&arguments[..], &["--memory", "0.002"]].concat());
    assert_eq!(code, 0, "{error}");
    let (text, small) = (json(&text), json(&small));
    let (whole, paged) = (&text["sections"][0], &small["sections"][0]);
    assert_eq!((whole["on_disk"].as_bool(), paged["on_disk"].as_bool()), (Some(false), Some(true)));
    assert_eq!((whole["precision"].as_str(), paged["precision"].as_str()), (Some("f64"), Some("f32")));
    let same = |a: &Value, b: &Value, tolerance: f64| {
        let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
        assert!((a - b).abs() <= tolerance * a.abs(), "{a} {b}");
    };
    same(&whole["condition"], &paged["condition"], 1e-5);
    for (a, b) in whole["suspects"].as_array().unwrap().iter().zip(paged["suspects"].as_array().unwrap()) {
        assert_eq!(a["sample"], b["sample"]);
        same(&a["leverage"], &b["leverage"], 1e-4);
    }
    let points = |section: &Value, key: &str| section["pruning"][key].as_array().unwrap().len();
    assert_eq!((points(whole, "curve"), points(whole, "no_points")), (10, 0));
    assert_eq!((points(paged, "curve"), points(paged, "no_points")), (1, 9));
    assert!(paged["pruning"]["no_points"][0]["reason"].as_str().unwrap().contains("disk"));
}

#[test]
fn single_precision_is_named_and_close() {
    let folder = digits(&["digits_relu"]);
    let arguments = [&["digits_relu.onnx", "--hessian-trace"], &DIGITS[..], &["50"], &JSON].concat();
    let (code, double, error) = verify(folder.path(), &arguments);
    assert_eq!(code, 0, "{error}");
    let (code, single, error) = verify(folder.path(), &[&arguments[..], &["--precision", "single"]].concat());
    assert_eq!(code, 0, "{error}");
    let (double, single) = (json(&double), json(&single));
    assert_eq!(
        (double["sections"][0]["precision"].as_str(), single["sections"][0]["precision"].as_str()),
        (Some("f64"), Some("f32"))
    );
    for name in ["trace", "frobenius_norm_gauss_newton", "lambda_max_gauss_newton"] {
        let (a, b) = (figure(&double["sections"][0], name), figure(&single["sections"][0], name));
        assert!(a != b && (a - b).abs() < 1e-5 * a, "{name}: {a} {b}");
    }
    // The certificate is about the same number, derived again.
    assert_eq!(claim(&double, "hessian-trace")["trace"], claim(&single, "hessian-trace")["trace"]);
    let text = verify(folder.path(), &[&arguments[..arguments.len() - 2], &["--precision", "single"]].concat()).1;
    assert!(text.contains("derivatives in f32"), "{text}");
}

/// Five percent of the labels are wrong: nearly all of them are among the tenth of the samples with the largest leverage, beside
/// those that the network itself gets wrong (it has not seen these images).
#[test]
fn planted_label_noise_is_found() {
    for model in ["digits_relu", "digits_cnn", "digits_residual"] {
        let folder = digits(&[model]);
        let data = Dataset::open(&folder.path().join("digits_test.npz"), None).unwrap();
        let mut labels: Vec<i64> = data.labels(10).unwrap().into_iter().map(i64::from).collect();
        let n = labels.len();
        let flips = n.div_ceil(20);
        let flipped: Vec<usize> = (0..flips).map(|k| (k * 37 + 11) % n).collect();
        flipped.iter().for_each(|&i| labels[i] = (labels[i] + 3) % 10);
        let size = data.input(0).len();
        let mut writer = NpzWriter::new(File::create(folder.path().join("noisy.npz")).unwrap());
        writer.add_array("inputs", &Array2::from_shape_fn((n, size), |(i, j)| data.input(i)[j] as f32)).unwrap();
        writer.add_array("labels", &Array1::from(labels)).unwrap();
        writer.finish().unwrap();
        let file = format!("{model}.onnx");
        let arguments = [&file, "--inverse-hessian", "--data", "noisy.npz", "--loss", "cross-entropy", "--damping", "1e-2"];
        let (code, text, error) = verify(folder.path(), &[&arguments[..], &["--influence"], &JSON].concat());
        assert!([0, 3].contains(&code), "{error}");
        let text = json(&text);
        let listed = text["sections"][0]["suspects"].as_array().unwrap();
        let is_flipped = |row: &&Value| flipped.contains(&(row["sample"].as_u64().unwrap() as usize));
        let found = listed[..flips].iter().filter(is_flipped).count();
        let share = found as f64 / flips as f64;
        let among = listed[..2 * flips].iter().filter(|row| is_flipped(row)).count() as f64 / flips as f64;
        println!(
            "{model:16} {flips} of {n} labels flipped: precision = recall = {share:.2} at the top {flips}, recall {among:.2} at twice as many"
        );
        assert!(share >= 0.5 && among >= 0.9, "{model}: {share} {among}");
    }
}
