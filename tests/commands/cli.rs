//! The `verify` program as its users meet it: results, messages, exit codes.
//!
//! | tests | what they hold it to |
//! |---|---|
//! | help, usage | `--help` names the exit codes; wrong flags and values are exit code 2 |
//! | unreadable models | missing, empty, truncated, huge, cyclic, of the wrong type: exit code 2 and one clear message |
//! | unsupported operators | the message names node, operator, opset and a remedy |
//! | `--lipschitz` | text, JSON, files, quiet, one thread twice, a place that cannot be written |
//! | `check` | several certificates, JSON, exit codes |
//! | `compare` | verdicts by exit code, both models for the checker, errors that say what differs |
//! | `inspect`, `schema` | sample models; the schema that the repository holds |

use std::path::{Path, PathBuf};

use crate::common;
use crate::common::tiny::{self, Tiny};
use assert_cmd::Command;
use nnverify::kernel::model::onnx::proto::NodeProto;
use serde_json::Value;
use tempfile::TempDir;

/// The program, with an environment that changes none of its defaults.
fn verify(directory: &Path) -> Command {
    let mut command = Command::cargo_bin("verify").unwrap();
    for variable in ["VERIFY_OUTPUT_FORMAT", "VERIFY_TIMEOUT", "VERIFY_MEMORY", "VERIFY_THREADS"] {
        command.env_remove(variable);
    }
    command.current_dir(directory);
    command
}

/// Exit code, standard output, standard error.
fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = verify(directory).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    let (out, error) = (text(output.stdout), text(output.stderr));
    assert!(!error.contains("panicked"), "{arguments:?}: {error}");
    (output.status.code().expect("the program was not killed"), out, error)
}

/// A folder with the tiny model in `m.onnx`.
fn folder() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("m.onnx"), tiny::mixed()).unwrap();
    directory
}

fn sample(name: &str) -> String {
    common::repository(&format!("models/{name}.onnx")).display().to_string()
}

#[test]
fn help_says_what_there_is() {
    let directory = folder();
    let (code, help, error) = run(directory.path(), &["--help"]);
    assert_eq!((code, error.as_str()), (0, ""));
    for word in [
        "--lipschitz",
        "--certificate",
        "--timeout",
        "--threads",
        "--seed",
        "check",
        "inspect",
        "schema",
        "Examples:",
        "Exit codes:",
    ] {
        assert!(help.contains(word), "no `{word}` in {help}");
    }
    for (code, meaning) in [(0, "established"), (1, "violated"), (2, "usage"), (3, "inconclusive"), (4, "refused")] {
        let named = help.lines().any(|line| line.trim_start().starts_with(&format!("{code}  ")) && line.contains(meaning));
        assert!(named, "exit code {code} is not explained in {help}");
    }
    for command in ["check", "inspect", "schema"] {
        let (code, help, _) = run(directory.path(), &[command, "--help"]);
        assert!(code == 0 && help.contains("Usage:"), "{command}: {help}");
    }
    let (code, version, _) = run(directory.path(), &["--version"]);
    assert_eq!((code, version.trim()), (0, concat!("verify ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_usage_is_an_error_that_says_what_is_wrong() {
    let directory = folder();
    let cases: [(&[&str], &str); 16] = [
        (&[], "Usage:"),
        (&["--lipschitz", "l2"], "MODEL"),
        (&["m.onnx", "--lipschitz"], "--lipschitz"),
        (&["m.onnx", "--lipschitz", "l3"], "l3"),
        (&["m.onnx", "--lipschitz", "l2", "--frobnicate"], "--frobnicate"),
        (&["m.onnx", "--lipschitz", "l2", "--timeout", "0"], "must be positive"),
        (&["m.onnx", "--lipschitz", "l2", "--timeout", "-1"], "-1"),
        (&["m.onnx", "--lipschitz", "l2", "--timeout", "nan"], "--timeout"),
        (&["m.onnx", "--lipschitz", "l2", "--timeout", "soon"], "not a time"),
        (&["m.onnx", "--lipschitz", "l2", "--memory", "0"], "must be positive"),
        (&["m.onnx", "--lipschitz", "l2", "--threads", "0"], "--threads"),
        (&["m.onnx", "--lipschitz", "l2", "--output-format", "yaml"], "yaml"),
        (&["m.onnx", "--lipschitz", "l2", "-q", "-v"], "cannot be used with"),
        (&["check", "c.json"], "--model"),
        (&["check", "--model", "m.onnx"], "CERTIFICATE"),
        (&["schema", "nothing"], "nothing"),
    ];
    for (arguments, expected) in cases {
        let (code, out, error) = run(directory.path(), arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?} does not say `{expected}`: {error}");
    }
    assert!(!directory.path().join("m.certificate.json").exists());
}

/// A model that every command refuses with exit code 2 and one message that has all of the words.
/// Every message ends with a code that `verify explain` knows.
#[test]
fn every_error_has_a_code() {
    let directory = folder();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("empty.onnx", "");
    write("d.csv", "x0,x1,x2,label\n1,2,3,0\n0,1,0,1\n");
    write("wide.csv", "x0,x1,x2,x3,label\n1,2,3,4,0\n");
    write("class.csv", "x0,x1,x2,label\n1,2,3,7\n");
    write("bad.csv", "x0,x1,x2,label\n1,2,none,0\n");
    write("bad.vnnlib", "(declare-const X_0 Real)\n(assert (>= X_0 zz))\n");
    write("verify.toml", "[models.m]\npath = \"m.onnx\"\n");
    write("c.json", "{");
    write("instances.csv", "m.onnx,\"bad.vnnlib,1\n");
    for (arguments, status, code) in [
        ("--colour", 2, "NV001"),
        ("gate --fresh --check-only", 2, "NV001"),
        ("m.onnx --lipschitz l3", 2, "NV001"),
        ("m.onnx --robust --eps 0.1", 2, "NV001"),
        ("m.onnx --tightness --data d.csv --eps 0.1 --norm l2", 2, "NV001"),
        ("m.onnx --hessian-trace --data d.csv", 2, "NV001"),
        ("m.onnx --hessian-trace --data d.csv --loss mse --include nothing", 2, "NV001"),
        ("explain NV999", 2, "NV001"),
        ("man nothing", 2, "NV001"),
        ("gate --report report.pdf --policy verify.toml", 2, "NV403"),
        ("m.onnx --lipschitz l2 --certificate no/c.json -q", 2, "NV002"),
        ("inspect m.onnx -o no/out", 2, "NV002"),
        ("none.onnx --lipschitz l2", 2, "NV101"),
        ("empty.onnx --lipschitz l2", 2, "NV102"),
        ("m.onnx --robust --data none.csv --eps 0.1", 2, "NV201"),
        ("m.onnx --robust --data bad.csv --eps 0.1", 2, "NV201"),
        ("m.onnx --robust --data wide.csv --eps 0.1", 2, "NV202"),
        ("m.onnx --robust --data class.csv --eps 0.1", 2, "NV202"),
        ("m.onnx --tightness --data class.csv --eps 0.1", 2, "NV202"),
        ("m.onnx --hessian-trace --data class.csv --loss cross-entropy", 2, "NV202"),
        ("m.onnx --hessian-trace --data d.csv --loss mse", 2, "NV202"),
        ("m.onnx --robust --data d.csv --eps 0.1 --clip 0,1", 2, "NV202"),
        ("m.onnx --spec none.vnnlib", 2, "NV301"),
        ("m.onnx --spec bad.vnnlib", 2, "NV301"),
        ("batch instances.csv", 2, "NV201"),
        ("gate --policy none.toml", 2, "NV402"),
        ("gate", 2, "NV403"),
        ("diff none.json c.json", 2, "NV501"),
        ("diff c.json c.json", 4, "NV501"),
        ("check none.json --model m.onnx", 2, "NV501"),
        ("check c.json --model m.onnx", 4, "NV501"),
        ("check c.json --model m.onnx --file none.csv", 2, "NV201"),
        ("report none.json --model m.onnx", 2, "NV501"),
        ("report c.json --model m.onnx --results c.json", 2, "NV405"),
    ] {
        let (found, out, error) = run(directory.path(), &arguments.split(' ').collect::<Vec<_>>());
        assert_eq!(found, status, "{arguments}: {out}{error}");
        let text = format!("{out}{error}");
        let ends = text.split("\n\n").next().unwrap_or_default().lines().any(|line| line.ends_with(&format!("[{code}]")));
        assert!(ends, "{arguments}: {code}: {text}");
        assert_eq!(run(directory.path(), &["explain", code]).0, 0, "{code}");
    }
    // One that is nearly a command is taken for it.
    let (code, _, error) = run(directory.path(), &["gaet"]);
    assert!(code == 2 && error.contains("hint: did you mean `verify gate`?"), "{error}");
}

fn assert_refused(directory: &Path, model: &str, words: &[&str]) {
    for arguments in [&[model, "--lipschitz", "l2"][..], &["inspect", model], &["check", "c.json", "--model", model]] {
        let (code, out, error) = run(directory, arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {error}");
        let lines: Vec<&str> = error.lines().filter(|line| !line.starts_with("note: ")).collect();
        assert!(lines[0].starts_with("error: "), "{error}");
        let one_message = lines.len() == 1 || (lines.len() == 2 && lines[1].starts_with("hint: "));
        assert!(one_message, "more than a message and a hint: {error}");
        for word in words {
            assert!(error.contains(word), "{arguments:?} does not say `{word}`: {error}");
        }
    }
}

/// Writes a file and expects it to be refused.
fn assert_bytes_refused(name: &str, bytes: &[u8], words: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(name), bytes).unwrap();
    assert_refused(directory.path(), name, &[words, &[name]].concat());
}

#[test]
fn files_that_are_no_models_are_named() {
    let directory = tempfile::tempdir().unwrap();
    assert_refused(directory.path(), "missing.onnx", &["missing.onnx", "cannot read"]);
    std::fs::create_dir(directory.path().join("folder.onnx")).unwrap();
    assert_refused(directory.path(), "folder.onnx", &["folder.onnx", "directory"]);
    assert_bytes_refused("empty.onnx", b"", &["empty"]);
    assert_bytes_refused("picture.onnx", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0", &["PNG"]);
    assert_bytes_refused("archive.onnx", b"PK\x03\x04\x14\0\0\0\0\0", &["not an ONNX file"]);
    assert_bytes_refused("page.onnx", b"<!DOCTYPE html><html></html>", &["not an ONNX file"]);
    assert_bytes_refused("notes.onnx", b"these are words, not a network\n", &["ONNX"]);
    assert_bytes_refused("half.onnx.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b", &["decompress"]);
}

#[test]
fn every_truncation_is_refused() {
    let whole = tiny::mixed();
    let directory = tempfile::tempdir().unwrap();
    // The last field is the operator set, so no proper beginning of the file is a model.
    for step in 0..24 {
        let length = whole.len() * step / 24;
        std::fs::write(directory.path().join("t.onnx"), &whole[..length]).unwrap();
        assert_refused(directory.path(), "t.onnx", &["t.onnx"]);
    }
    let cut = &whole[..whole.len() / 2];
    assert_bytes_refused("cut.onnx", cut, &["truncated"]);
}

#[test]
fn claims_of_gigabytes_are_refused_without_allocating_them() {
    let huge = |dims: &[usize]| {
        let mut model = Tiny::new(3, 1).gemm("first", "x", 3, 4);
        model.graph().initializer[0] = tiny::tensor("first.weight", dims, vec![1.0; 12]);
        model.finish("first")
    };
    assert_bytes_refused("tensor.onnx", &huge(&[1 << 29, 1]), &["first.weight"]);
    assert_bytes_refused("tensors.onnx", &huge(&[1 << 31, 1 << 31]), &["first.weight"]);
    assert_bytes_refused("overflow.onnx", &huge(&[1 << 40, 1 << 40, 1 << 40]), &["first.weight"]);
    // A field that says that two gigabytes follow.
    assert_bytes_refused(
        "field.onnx",
        &[&[0x08, 0x08, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x07][..], &[0; 64]].concat(),
        &["truncated"],
    );
    // An input of 2³¹ elements.
    let wide = Tiny::new(1 << 31, 1).node("relu", "Relu", &["x"], vec![]).finish("relu");
    assert_bytes_refused("input.onnx", &wide, &["x"]);
    // A shape made by the network itself.
    let mut expand = Tiny::new(3, 1).node("grown", "Expand", &["x", "shape"], vec![]);
    let mut shape = tiny::tensor("shape", &[2], vec![]);
    shape.data_type = nnverify::kernel::model::onnx::proto::DataType::Int64.into();
    shape.int64_data = vec![1 << 30, 3];
    expand.graph().initializer.push(shape);
    assert_bytes_refused("expand.onnx", &expand.finish("grown"), &["grown", "Expand"]);
}

#[test]
fn graphs_that_are_no_networks_are_refused() {
    let cyclic = Tiny::new(3, 1).node("one", "Add", &["x", "two"], vec![]).node("two", "Relu", &["one"], vec![]).node(
        "end",
        "Relu",
        &["two"],
        vec![],
    );
    assert_bytes_refused("cyclic.onnx", &cyclic.finish("end"), &["cycle", "`one`", "`two`"]);
    let own = Tiny::new(3, 1).node("one", "Relu", &["one"], vec![]);
    assert_bytes_refused("own.onnx", &own.finish("one"), &["cycle"]);
    let missing = Tiny::new(3, 1).node("one", "Add", &["x", "nowhere"], vec![]);
    assert_bytes_refused("missing.onnx", &missing.finish("one"), &["`nowhere`", "nothing defines"]);
    let output = Tiny::new(3, 1).node("one", "Relu", &["x"], vec![]);
    assert_bytes_refused("output.onnx", &output.finish("two"), &["`two`"]);
    assert_bytes_refused(
        "none.onnx",
        &tiny::file(nnverify::kernel::model::onnx::proto::GraphProto::default()),
        &["the graph has no"],
    );
    let misfit = Tiny::new(3, 1).gemm("first", "x", 4, 2);
    assert_bytes_refused("misfit.onnx", &misfit.finish("first"), &["`first`", "Gemm"]);
}

#[test]
fn unsupported_operators_are_named_with_a_remedy() {
    let boxes = Tiny::new(3, 1).gemm("first", "x", 3, 4).node("boxes", "NonMaxSuppression", &["first"], vec![]);
    assert_bytes_refused(
        "boxes.onnx",
        &boxes.finish("boxes"),
        &["`boxes`", "NonMaxSuppression", "opset 13", "hint:", "cut the model before this node"],
    );
    let mut foreign = Tiny::new(3, 1);
    foreign.graph().node.push(NodeProto {
        input: vec!["x".into()],
        output: vec!["y".into()],
        name: "foreign".into(),
        op_type: "Frobnicate".into(),
        domain: "com.example".into(),
        ..NodeProto::default()
    });
    assert_bytes_refused("foreign.onnx", &foreign.finish("y"), &["com.example"]);
}

#[test]
fn nodes_that_jump_have_no_lipschitz_constant() {
    let directory = folder();
    for operator in ["Sign", "Floor", "Ceil"] {
        let model = Tiny::new(3, 1).gemm("first", "x", 3, 2).node("jump", operator, &["first"], vec![]).finish("jump");
        std::fs::write(directory.path().join("jump.onnx"), model).unwrap();
        for norm in ["l1", "l2", "linf"] {
            let (code, _, error) = run(directory.path(), &["jump.onnx", "--lipschitz", norm]);
            assert!(
                code == 2 && error.contains("`jump`") && error.contains("slope is unbounded"),
                "{operator} {norm}: {code} {error}"
            );
        }
    }
}

#[test]
fn a_bound_comes_with_a_certificate_that_check_accepts() {
    let directory = folder();
    let (code, out, error) = run(directory.path(), &["m.onnx", "--lipschitz", "l2", "-v"]);
    assert_eq!(code, 0, "{error}");
    for word in ["certified upper bound", "attained by two inputs", "norm product", "proved", "engine", "m.certificate.json"] {
        assert!(out.contains(word), "no `{word}` in {out}");
    }
    let (code, out, error) = run(directory.path(), &["check", "m.certificate.json", "--model", "m.onnx"]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    for word in ["m.certificate.json", "`lipschitz-l2`", "proved in", " ms", "real arithmetic", "at most", "at least"] {
        assert!(out.contains(word), "no `{word}` in {out}");
    }
}

#[test]
fn sorts_enter_as_groups_on_request() {
    let directory = folder();
    let model = sample("digits_groupsort");
    let bound = |formulation: &str| -> f64 {
        let arguments =
            [&model, "--lipschitz", "l2", "--formulation", formulation, "--certificate", "c.json", "--output-format", "json"];
        let (code, out, error) = run(directory.path(), &arguments);
        assert_eq!(code, 0, "{error}");
        let (code, _, error) = run(directory.path(), &["check", "c.json", "--model", &model]);
        assert_eq!(code, 0, "{error}");
        let report: Value = serde_json::from_str(&out).unwrap();
        report["claims"][0]["bound"]["decimal"].as_str().unwrap().parse().unwrap()
    };
    let (groups, comparators) = (bound("groups"), bound("comparators"));
    assert!(comparators <= groups * (1.0 + 1e-6), "{comparators} {groups}");
    let (code, _, error) = run(directory.path(), &[&model, "--lipschitz", "l2", "--formulation", "pairs"]);
    assert!(code == 2 && error.contains("comparators") && error.contains("groups"), "{error}");
}

#[test]
fn json_has_the_names_of_the_certificate() {
    let directory = folder();
    let arguments = ["m.onnx", "--lipschitz", "l2", "--output-format", "json", "--certificate", "c.json"];
    let (code, out, error) = run(directory.path(), &arguments);
    assert_eq!(code, 0, "{error}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let certificate: Value = serde_json::from_slice(&std::fs::read(directory.path().join("c.json")).unwrap()).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for key in ["schema", "tool", "model", "claims", "digest", "run"] {
        assert!(certificate.get(key).is_some(), "no `{key}` among {:?}", keys(&certificate));
    }
    let (reported, claim) = (&report["claims"][0], &certificate["claims"][0]);
    for key in ["id", "kind", "assurance", "semantics", "domain", "norm", "bound", "lower_bound", "norm_product"] {
        assert!(claim.get(key).is_some(), "no `{key}` among {:?}", keys(claim));
        assert_eq!(reported[key], claim[key], "{key}");
    }
    assert_eq!((&claim["kind"], &claim["assurance"], &claim["norm"]), (&"lipschitz".into(), &"proved".into(), &"l2".into()));
    assert_eq!((&claim["semantics"], &claim["domain"]), (&"real".into(), &"global".into()));
    // Decimals lie outward of the bits.
    for (figure, rounding) in [("bound", "up"), ("norm_product", "up"), ("lower_bound", "down")] {
        let number = &claim[figure];
        assert_eq!(number["rounding"], rounding);
        let decimal: f64 = number["decimal"].as_str().unwrap().parse().unwrap();
        let exact = f64::from_bits(u64::from_str_radix(number["bits"].as_str().unwrap(), 16).unwrap());
        assert!(if rounding == "up" { decimal >= exact } else { decimal <= exact }, "{number}");
        assert!((decimal - exact).abs() <= 1e-7 * exact, "{number}");
    }
    assert!(claim["witness"].is_object() && reported.get("witness").is_none());

    let (code, out, _) = run(directory.path(), &["check", "c.json", "--model", "m.onnx", "--output-format", "json"]);
    let checked: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, checked.as_array().unwrap().len()), (0, 1));
    assert_eq!(checked[0]["refusal"], Value::Null);
    assert_eq!(checked[0]["claims"][0]["assurance"], "proved");
    assert!(checked[0]["claims"][0]["milliseconds"].is_u64());
}

#[test]
fn one_thread_twice_gives_the_same_bytes() {
    let directory = folder();
    let certificate = |name: &str| {
        let arguments = ["m.onnx", "--lipschitz", "l2", "--threads", "1", "--seed", "5", "--certificate", name];
        assert_eq!(run(directory.path(), &arguments).0, 0);
        std::fs::read_to_string(directory.path().join(name)).unwrap()
    };
    // `run` is the last field; everything before it is text that must agree.
    let parts = [certificate("a.json"), certificate("b.json")].map(|text| {
        let position = text.find("\n  \"run\": ").expect("the certificate says how it came about");
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&document["run"]["threads"], &document["run"]["seed"]), (&1.into(), &5.into()));
        text[..position].to_owned()
    });
    assert_eq!(parts[0], parts[1]);
    assert!(parts[0].contains("\"multipliers\""));
}

#[test]
fn results_go_to_a_file_on_demand() {
    let directory = folder();
    for name in ["-o", "--output"] {
        let (code, out, error) = run(directory.path(), &["m.onnx", "--lipschitz", "l2", "-q", name, "report.txt"]);
        assert_eq!((code, out.as_str(), error.as_str()), (0, "", ""));
        let report = std::fs::read_to_string(directory.path().join("report.txt")).unwrap();
        assert!(report.contains("certified upper bound"), "{report}");
        std::fs::remove_file(directory.path().join("report.txt")).unwrap();
    }
    let (code, out, error) = run(directory.path(), &["inspect", "m.onnx", "-o", "nowhere/report.txt"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("nowhere/report.txt"), "{error}");
}

#[test]
fn quiet_is_silent_and_verbose_is_not() {
    let directory = folder();
    // A batch dimension without an extent is worth a note.
    let dynamic = {
        use nnverify::kernel::model::onnx::proto::{DimensionValue, TypeValue};
        let mut model = Tiny::new(3, 1).gemm("first", "x", 3, 4);
        let Some(TypeValue::Tensor(tensor)) = model.graph().input[0].r#type.as_mut().and_then(|t| t.value.as_mut()) else {
            unreachable!("the input is a tensor")
        };
        tensor.shape.as_mut().unwrap().dim[0].value = Some(DimensionValue::Parameter("batch".into()));
        model.finish("first")
    };
    std::fs::write(directory.path().join("d.onnx"), dynamic).unwrap();
    for arguments in [&["d.onnx", "--lipschitz", "l2"][..], &["inspect", "d.onnx"]] {
        let (code, _, error) = run(directory.path(), arguments);
        assert_eq!(code, 0);
        assert!(error.contains("note: ") && error.contains("batch"), "{arguments:?}: {error}");
        let (code, out, error) = run(directory.path(), &[arguments, &["-q"]].concat());
        assert_eq!((code, error.as_str()), (0, ""));
        assert!(!out.is_empty());
    }
    let (code, _, error) = run(directory.path(), &["m.onnx", "--lipschitz", "l2", "-v"]);
    assert_eq!(code, 0);
    for step in ["norm product", "attained quotient"] {
        assert!(error.contains(step), "{error}");
    }
}

#[test]
fn a_certificate_that_cannot_be_written_is_told_of_before_the_work() {
    let directory = folder();
    // A folder that does not exist, and one in the place of the file: nobody, not even root, can write there.
    std::fs::create_dir(directory.path().join("folder")).unwrap();
    for place in ["nowhere/c.json", "folder"] {
        let (code, out, error) = run(directory.path(), &["m.onnx", "--lipschitz", "l2", "--certificate", place]);
        assert_eq!(code, 2, "{place}: {error}");
        assert!(out.is_empty(), "{place}: {out}");
        assert!(error.contains(place) && error.contains("--certificate"), "{error}");
    }
    let left: Vec<PathBuf> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!left.iter().any(|path| path.to_string_lossy().ends_with(".partial")), "left behind: {left:?}");
}

#[test]
fn check_takes_several_certificates() {
    let directory = folder();
    let certify = |model: &str, name: &str| {
        assert_eq!(run(directory.path(), &[model, "--lipschitz", "l2", "--certificate", name]).0, 0);
    };
    std::fs::write(directory.path().join("l.onnx"), tiny::linear()).unwrap();
    certify("m.onnx", "a.json");
    certify("m.onnx", "b.json");
    certify("l.onnx", "other.json");
    let (code, out, _) = run(directory.path(), &["check", "a.json", "b.json", "--model", "m.onnx"]);
    assert_eq!(code, 0);
    assert_eq!(out.lines().map(|line| &line[..7]).collect::<Vec<_>>(), ["a.json:", "b.json:"]);
    // One that is refused does not hide the others.
    let (code, out, _) = run(directory.path(), &["check", "a.json", "other.json", "b.json", "--model", "m.onnx"]);
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("other.json: refused: ") && out.contains("another model"), "{out}");
    assert_eq!(out.matches("proved in").count(), 2, "{out}");
    let (code, out, error) = run(directory.path(), &["check", "a.json", "nowhere.json", "--model", "m.onnx"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("nowhere.json"), "{error}");
    let (code, _, error) = run(directory.path(), &["check", "a.json", "--model", "nowhere.onnx"]);
    assert_eq!(code, 2);
    assert!(error.contains("nowhere.onnx"), "{error}");
}

#[test]
fn inspect_shows_what_a_model_is_made_of() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, error) = run(directory.path(), &["inspect", &sample("digits_maxmin")]);
    assert_eq!((code, error.as_str()), (0, ""));
    for word in
        ["Gemm ×3", "opset       17", "[1, 64]", "[1, 10]", "parameters  3466", "groups      16", "certifiable lipschitz l2"]
    {
        assert!(out.contains(word), "no `{word}` in {out}");
    }
    let (code, out, _) = run(directory.path(), &["inspect", &sample("digits_cnn"), "--output-format", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!((&report["opset"], &report["input"]["name"]), (&17.into(), &"input".into()));
    assert_eq!(report["input"]["shape"], serde_json::json!([1, 1, 8, 8]));
    assert_eq!(report["operators"]["Conv"], 2);
    assert_eq!(report["operators"]["BatchNormalization"], 2);
    assert_eq!(report["certifiable"][0], "lipschitz l2");
    let groups: u64 = report["groups"].as_array().unwrap().iter().map(|group| group["count"].as_u64().unwrap()).sum();
    assert_eq!(groups, 96);
    for question in
        ["lipschitz linf", "robust", "spec", "tightness", "hessian-trace --loss mse", "inverse-hessian --loss cross-entropy"]
    {
        assert!(report["certifiable"].as_array().unwrap().contains(&question.into()), "{question}: {out}");
    }
    let cannot: Vec<&str> = report["not_certifiable"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let [threshold, stability] = cannot[..] else { panic!("{cannot:?}") };
    assert!(threshold.starts_with("robust --threshold: ") && threshold.contains("this one has 10"), "{threshold}");
    assert!(stability.contains("stability") && stability.contains("no finite minimiser"), "{stability}");
    // What cannot be certified is said with its reason.
    std::fs::write(
        directory.path().join("softmax.onnx"),
        Tiny::new(3, 1).gemm("first", "x", 3, 4).node("last", "Softmax", &["first"], vec![]).finish("last"),
    )
    .unwrap();
    let (code, out, _) = run(directory.path(), &["inspect", "softmax.onnx"]);
    assert_eq!(code, 0);
    assert!(out.contains("last") && out.contains("Softmax"), "{out}");
    let one = Tiny::new(3, 1).gemm("first", "x", 3, 1).finish("first");
    std::fs::write(directory.path().join("one.onnx"), one).unwrap();
    let (_, out, _) = run(directory.path(), &["inspect", "one.onnx"]);
    for expected in [
        "certifiable robust --threshold",
        "cannot      robust: one output has no classes; `--threshold` and `--max-change` ask about it",
        "cannot      hessian-trace --loss cross-entropy: ",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
}

#[test]
fn the_schema_is_the_one_in_the_repository() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, error) = run(directory.path(), &["schema", "certificate"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let path = common::repository("schemas/certificate.schema.json");
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        out == committed,
        "`verify schema certificate` no longer prints schemas/certificate.schema.json: write it there again"
    );
    let schema: Value = serde_json::from_str(&out).unwrap();
    for field in ["schema", "tool", "model", "claims", "bundle", "digest", "run"] {
        assert!(schema["properties"].get(field).is_some(), "{field}");
    }
}

#[test]
fn what_a_bound_means_names_where_it_holds() {
    let folder = folder();
    let model = common::repository("models/digits_relu.onnx");
    std::fs::copy(model, folder.path().join("m.onnx")).unwrap();
    let (code, out, error) = run(folder.path(), &["m.onnx", "--lipschitz", "l2", "--region", "0,0.5", "--certificate", "c.json"]);
    assert!(code == 0 && out.contains("It means on the box: a change"), "{out} {error}");
    let (code, out, error) = run(folder.path(), &["m.onnx", "--lipschitz", "l2", "--certificate", "d.json"]);
    assert!(code == 0 && out.contains("It means: a change"), "{out} {error}");
}

/// Two networks: verdicts by exit code, both models for both checkers, errors that say what differs.
#[test]
fn two_networks_are_compared_and_checked_with_both() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("pruned.certificate.json");
    let (old, new) = (common::repository("models/digits_relu.onnx"), common::repository("models/digits_pruned.onnx"));
    let data = common::repository("models/digits_test.npz");
    let compare = |limit: &str| {
        let mut command = Command::cargo_bin("verify").unwrap();
        command.arg("compare").args([&old, &new]).arg("--data").arg(&data).args(["--samples", "5", "--eps", "0.01", "-q"]);
        command.args(["--max-deviation", limit, "--fresh", "--certificate"]).arg(&certificate).assert()
    };
    compare("0.2").code(0);
    compare("0.01").code(1);
    let check = |models: &[&PathBuf]| {
        let mut command = Command::cargo_bin("verify").unwrap();
        command.arg("check").arg(&certificate).arg("--file").arg(&data);
        models.iter().for_each(|model| {
            command.arg("--model").arg(model);
        });
        command.assert()
    };
    check(&[&old, &new]).code(0);
    check(&[&new, &old]).code(0);
    let alone = check(&[&new]).code(4);
    let told = String::from_utf8_lossy(&alone.get_output().stdout).into_owned();
    assert!(told.contains("second model") && told.contains("--model FILE"), "{told}");
    check(&[&new, &common::repository("models/digits_maxmin.onnx")]).code(4);
    let mut other = Command::cargo_bin("verify").unwrap();
    let other = other
        .arg("compare")
        .args([&old, &common::repository("models/digits_cnn.onnx")])
        .args(["--region", "0,1"])
        .assert()
        .code(2);
    let told = String::from_utf8_lossy(&other.get_output().stderr).into_owned();
    assert!(told.contains("digits_relu.onnx") && told.contains("inputs have the shapes"), "{told}");
    for wrong in [&["--max-deviation", "-1"][..], &["--eps", "0.1"], &["--region", "around:0.1"], &[]] {
        let mut command = Command::cargo_bin("verify").unwrap();
        command.arg("compare").args([&old, &new]).args(wrong).assert().code(2);
    }
}
