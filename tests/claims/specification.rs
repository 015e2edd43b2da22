//! VNN-LIB specifications: every file of the corpus is read, verdicts never contradict what is known, and a witness is one.
//!
//! | test | what it holds |
//! |---|---|
//! | `every_specification_of_the_corpus_is_read` | all files, with the number of cases and boxes they should have |
//! | `no_verdict_contradicts_what_is_known` | attacks and bounds on the corpus against replayed counterexamples and the peers' consensus |
//! | `verdicts_name_the_arithmetic…` to `large_weights…` | adversarial arithmetic: the right answer or `unknown` |
//! | `trees_of_splits_are_proved_leaf_by_leaf` | the checker reads trees and refuses malformed ones |
//! | `the_sample_specifications_are_answered` | those of `specs/`, one robust and one not |
//! | `the_command_says_writes_and_exits_as_documented` | `--spec`, `-o`, `check`, `batch` |

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common;
use nnverify::kernel::model::ir::{Binary, Function, Network, NetworkBuilder, Op, Tensor};
use nnverify::kernel::model::onnx::load;
use nnverify::kernel::proof::{Content, Semantics};
use nnverify::kernel::read::vnnlib::Specification;
use nnverify::kernel::region::bounds::{BoxRegion, Hints};
use nnverify::kernel::region::{Refuter, RegionRefusal};
use nnverify::pass::robustness::{SpecificationOptions, SpecificationVerdict, verify_specification};
use rayon::prelude::*;

/// Benchmark, model, specification, expected verdict.
fn instances(shared: &Path) -> Vec<[String; 4]> {
    let text = std::fs::read_to_string(shared.join("corpus/instances.csv")).unwrap();
    let mut rows = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        assert!(matches!(fields[4], "cex-replayed" | "consensus"), "{line}");
        rows.push([fields[0], fields[1], fields[2], fields[3]].map(str::to_owned));
    }
    rows
}

#[test]
fn every_specification_of_the_corpus_is_read() {
    let Some(shared) = common::shared() else { return };
    let start = Instant::now();
    let mut seen = HashMap::new();
    for [benchmark, _, spec, _] in instances(&shared) {
        let s = Specification::open(&shared.join("corpus").join(&spec)).unwrap_or_else(|error| panic!("{error}"));
        let boxes = if spec.contains("acasxu/specs/prop_6") { 2 } else { 1 };
        assert_eq!((s.boxes.len(), s.cases.len()), (boxes, boxes), "{spec}");
        assert!(s.cases.iter().all(|case| !case.clauses.is_empty()), "{spec}");
        seen.insert(spec, benchmark);
    }
    assert!(seen.len() > 200, "{}", seen.len());
    println!("{} specifications in {:?}", seen.len(), start.elapsed());
}

#[test]
fn the_sample_specifications_are_answered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = load(&folder.join("models/digits_relu.onnx")).unwrap();
    let decide = |file: &str| {
        let specification = Specification::open(&folder.join("specs").join(file)).unwrap();
        let options = SpecificationOptions { semantics: None, timeout: None, seed: 0 };
        verify_specification(&model.network, &specification, &options, &mut |_| ()).unwrap()
    };
    assert!(matches!(decide("digit_0_within_0.05.vnnlib"), SpecificationVerdict::Holds { .. }));
    assert!(matches!(decide("digit_5_within_0.2.vnnlib"), SpecificationVerdict::Violated(_)));
}

#[test]
fn no_verdict_contradicts_what_is_known() {
    let Some(shared) = common::shared() else { return };
    let seconds: f64 = std::env::var("NNVERIFY_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0.5);
    let only = std::env::var("NNVERIFY_BENCHMARK").unwrap_or_default();
    // Every model is read once, and what does not end by itself waits beside the others.
    let mut by_model: BTreeMap<String, Vec<[String; 4]>> = BTreeMap::new();
    for instance in instances(&shared).into_iter().filter(|instance| instance[0].contains(&only)) {
        by_model.entry(instance[1].clone()).or_default().push(instance);
    }
    let decided: Vec<(String, SpecificationVerdict)> = by_model
        .into_par_iter()
        .flat_map_iter(|(model, instances)| {
            let model = load(&shared.join("corpus").join(&model)).unwrap();
            let decide = |[benchmark, _, spec, expected]: [String; 4]| {
                let s = Specification::open(&shared.join("corpus").join(&spec)).unwrap();
                s.check_network(&model.input.shape, &model.output.shape).unwrap();
                let options = SpecificationOptions { semantics: None, timeout: Some(Duration::from_secs_f64(seconds)), seed: 0 };
                let start = Instant::now();
                let verdict = verify_specification(&model.network, &s, &options, &mut |_| ()).unwrap();
                match &verdict {
                    SpecificationVerdict::Unknown { open, timed_out } => {
                        println!("{spec} ({expected}): {open} open, timed out {timed_out}, {:?}", start.elapsed());
                    }
                    SpecificationVerdict::Violated(found) => assert_eq!(found.point.len(), model.network.input_size()),
                    SpecificationVerdict::Holds { .. } => {}
                }
                assert!(matches!(verdict, SpecificationVerdict::Unknown { .. }) || word(&verdict) == expected, "{spec}");
                (benchmark, verdict)
            };
            instances.into_iter().map(decide).collect::<Vec<_>>()
        })
        .collect();
    let mut solved: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    for (benchmark, verdict) in decided {
        let counts = solved.entry(benchmark).or_default();
        counts[2] += 1;
        counts[0] += usize::from(word(&verdict) == "unsat");
        counts[1] += usize::from(word(&verdict) == "sat");
    }
    for (benchmark, [holds, violated, all]) in &solved {
        println!("{benchmark}: {holds} unsat and {violated} sat of {all}");
    }
}

/// A network of one input: `x ↦ (x·2²⁴ + 1) − x·2²⁴`, which is 1 in real arithmetic and 0 or 2 in float32.
fn cancelling() -> Network {
    let mut builder = NetworkBuilder::new();
    let shape = vec![1, 1, 1];
    let x = builder.push("x", "", Op::Input, &[], shape.clone()).unwrap();
    let constant = |value: f64, builder: &mut NetworkBuilder| {
        let tensor = Tensor::new(vec![1, 1, 1], vec![value]).unwrap();
        builder.push("c", "", Op::Constant(tensor), &[], vec![1, 1, 1]).unwrap()
    };
    let (scale, one) = (constant(16_777_216.0, &mut builder), constant(1.0, &mut builder));
    let large = builder.push("large", "MatMul", Op::MatMul, &[x, scale], shape.clone()).unwrap();
    let more = builder.push("more", "Add", Op::Binary(Binary::Add), &[large, one], shape.clone()).unwrap();
    let y = builder.push("y", "Sub", Op::Binary(Binary::Sub), &[more, large], shape).unwrap();
    builder.finish(y).unwrap()
}

/// `x ↦ w·x` for one input and one output.
fn scaled(weight: f64) -> Network {
    let mut builder = NetworkBuilder::new();
    let x = builder.push("x", "", Op::Input, &[], vec![1, 1, 1]).unwrap();
    let tensor = Tensor::new(vec![1, 1, 1], vec![weight]).unwrap();
    let w = builder.push("w", "", Op::Constant(tensor), &[], vec![1, 1, 1]).unwrap();
    let y = builder.push("y", "MatMul", Op::MatMul, &[x, w], vec![1, 1, 1]).unwrap();
    builder.finish(y).unwrap()
}

fn one_by_one(element: &str, asserts: &str) -> Specification {
    let text = format!(
        "(vnnlib-version <2.0>)(declare-network f (declare-input X {element} [1]) (declare-output Y {element} [1])){asserts}"
    );
    Specification::parse(&text, Path::new("s.vnnlib"), "").unwrap()
}

fn decide(network: &Network, specification: &Specification) -> SpecificationVerdict {
    let options = SpecificationOptions { semantics: None, timeout: Some(Duration::from_secs(2)), seed: 0 };
    verify_specification(network, specification, &options, &mut |_| ()).unwrap()
}

fn word(verdict: &SpecificationVerdict) -> &'static str {
    match verdict {
        SpecificationVerdict::Holds { .. } => "unsat",
        SpecificationVerdict::Violated(_) => "sat",
        SpecificationVerdict::Unknown { .. } => "unknown",
    }
}

#[test]
fn verdicts_name_the_arithmetic_that_they_are_about() {
    let network = cancelling();
    let bounds = "(assert (>= X[0] 1))(assert (<= X[0] 2))";
    // In real arithmetic the output is 1.
    let below = |element| one_by_one(element, &format!("{bounds}(assert (<= Y[0] 0.5))"));
    assert_eq!(word(&decide(&network, &below("Real"))), "unsat");
    // In float32 it may be 0: the same property must not be called safe.
    assert_ne!(word(&decide(&network, &below("float32"))), "unsat");
    // And what float32 does not show is not called a counterexample.
    let above = one_by_one("Real", &format!("{bounds}(assert (>= Y[0] 0.9))(assert (<= Y[0] 1.1))"));
    assert_eq!(word(&decide(&network, &above)), "unknown");
    let float64 = one_by_one("float64", bounds);
    let options = SpecificationOptions { semantics: None, timeout: None, seed: 0 };
    assert!(verify_specification(&network, &float64, &options, &mut |_| ()).is_err());
}

#[test]
fn touching_the_threshold_is_unsafe_unless_it_is_strict() {
    let network = scaled(1.0);
    let bounds = "(assert (>= X[0] 0))(assert (<= X[0] 1))";
    let verdict = decide(&network, &one_by_one("Real", &format!("{bounds}(assert (>= Y[0] 1))")));
    let SpecificationVerdict::Violated(found) = verdict else { panic!("{verdict:?}") };
    assert_eq!((found.point, found.outputs), (vec![1.0], vec![1.0]));
    assert_ne!(word(&decide(&network, &one_by_one("Real", &format!("{bounds}(assert (> Y[0] 1))")))), "sat");
    assert_eq!(word(&decide(&network, &one_by_one("Real", &format!("{bounds}(assert (> Y[0] 1.0000001))")))), "unsat");
    // The bound is a decimal just below a third, which no float can tell from it.
    let third = "0.33333333333333333333333333333333333333";
    let verdict = decide(
        &network,
        &one_by_one("Real", &format!("(assert (>= X[0] 0))(assert (<= X[0] {third}))(assert (>= Y[0] {third}))")),
    );
    assert_ne!(word(&verdict), "unsat");
}

#[test]
fn a_box_between_two_float32_numbers() {
    let network = scaled(2.0);
    let bounds = "(assert (>= X[0] 0.1))(assert (<= X[0] 0.1))";
    let verdict = decide(&network, &one_by_one("Real", &format!("{bounds}(assert (>= Y[0] 0.15))")));
    let SpecificationVerdict::Violated(found) = verdict else { panic!("{verdict:?}") };
    assert!(found.point == [0.1] && !found.float32);
    // Nothing that float32 could be given lies in it.
    assert_ne!(word(&decide(&network, &one_by_one("float32", &format!("{bounds}(assert (>= Y[0] 0.15))")))), "sat");
    assert_eq!(word(&decide(&network, &one_by_one("Real", &format!("{bounds}(assert (>= Y[0] 0.25))")))), "unsat");
    // Exactly at twice the decimal: not decided by anything that rounds.
    assert_ne!(word(&decide(&network, &one_by_one("Real", &format!("{bounds}(assert (>= Y[0] 0.2))")))), "unsat");
}

#[test]
fn large_weights_that_cancel_do_not_make_a_verdict() {
    let mut builder = NetworkBuilder::new();
    let x = builder.push("x", "", Op::Input, &[], vec![1, 1, 1]).unwrap();
    let weights = |values: Vec<f64>, shape: Vec<usize>, builder: &mut NetworkBuilder| {
        let tensor = Tensor::new(shape.clone(), values).unwrap();
        builder.push("w", "", Op::Constant(tensor), &[], shape).unwrap()
    };
    let first = weights(vec![1e8, 1e8, 1e-8], vec![1, 1, 3], &mut builder);
    let second = weights(vec![1.0, -1.0, 1.0], vec![1, 3, 1], &mut builder);
    let hidden = builder.push("h", "MatMul", Op::MatMul, &[x, first], vec![1, 1, 3]).unwrap();
    let y = builder.push("y", "MatMul", Op::MatMul, &[hidden, second], vec![1, 1, 1]).unwrap();
    let network = builder.finish(y).unwrap();
    // In real arithmetic the output is about 1e-8, in floating point often 0.
    let bounds = "(assert (>= X[0] 1))(assert (<= X[0] 2))";
    assert_ne!(word(&decide(&network, &one_by_one("Real", &format!("{bounds}(assert (<= Y[0] 0))")))), "sat");
    assert_ne!(word(&decide(&network, &one_by_one("Real", &format!("{bounds}(assert (>= Y[0] 0.5e-8))")))), "unsat");
}

#[test]
fn trees_of_splits_are_proved_leaf_by_leaf() {
    // |x| as relu(x) + relu(−x): on [−1, 1] bounds alone do not see that it is at most 1.
    let mut builder = NetworkBuilder::new();
    let x = builder.push("x", "", Op::Input, &[], vec![1, 1, 1]).unwrap();
    let signs =
        builder.push("s", "", Op::Constant(Tensor::new(vec![1, 1, 2], vec![1.0, -1.0]).unwrap()), &[], vec![1, 1, 2]).unwrap();
    let ones =
        builder.push("o", "", Op::Constant(Tensor::new(vec![1, 2, 1], vec![1.0, 1.0]).unwrap()), &[], vec![1, 2, 1]).unwrap();
    let both = builder.push("b", "MatMul", Op::MatMul, &[x, signs], vec![1, 1, 2]).unwrap();
    let relu = builder.push("r", "Relu", Op::Function(Function::Relu), &[both], vec![1, 1, 2]).unwrap();
    let y = builder.push("y", "MatMul", Op::MatMul, &[relu, ones], vec![1, 1, 1]).unwrap();
    let network = builder.finish(y).unwrap();
    let specification = one_by_one("Real", "(assert (>= X[0] -1))(assert (<= X[0] 1))(assert (<= Y[0] -0.001))");
    let SpecificationVerdict::Holds { trees, .. } = decide(&network, &specification) else { panic!("not decided") };
    let refuter = Refuter::new(&network, Semantics::Real).unwrap();
    let (lower, upper) = specification.boxes[0].outer();
    let region = BoxRegion::new(lower, upper).unwrap();
    let refute = |tree: &[f64]| refuter.refute(&region, &specification.cases[0].clauses, tree, &Hints::default());
    assert_eq!(refute(&trees[0].codes), Ok(()));
    assert_eq!(refute(&[0.0, 0.25, -1.0, 0.0, 0.5, -1.0, -1.0]), Ok(()));
    for bad in [
        &[][..],
        &[0.0, 0.25, -1.0],
        &[0.0, 0.25],
        &[0.0],
        &[-1.0, -1.0],
        &[1.0, 0.25, -1.0, -1.0],
        &[0.5, 0.25, -1.0, -1.0],
        &[0.0, 2.0, -1.0, -1.0],
        &[0.0, f64::NAN, -1.0, -1.0],
        &[f64::NAN, 0.0, -1.0, -1.0],
        &[f64::INFINITY, 0.0, -1.0, -1.0],
        &[0.0, 0.25, 0.0, 0.5, -1.0, -1.0, -1.0],
    ] {
        assert!(matches!(refute(bad), Err(RegionRefusal::Content(Content::Shape { .. }))), "{bad:?}");
    }
    // A leaf that bounds do not close.
    let tight = one_by_one("Real", "(assert (>= X[0] -1))(assert (<= X[0] 1))(assert (>= Y[0] 1))");
    let open = refuter.refute(&region, &tight.cases[0].clauses, &[0.0, 0.0, -1.0, -1.0], &Hints::default());
    assert_eq!(open, Err(RegionRefusal::NotRefuted));
}

#[test]
fn the_command_says_writes_and_exits_as_documented() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    std::fs::copy(common::repository("models/digits_relu.onnx"), folder.join("m.onnx")).unwrap();
    let spec = |name: &str, output: &str| {
        let mut text = String::new();
        (0..64).for_each(|i| {
            text += &["(declare-const X_", " Real)(assert (>= X_", " 0.5))(assert (<= X_", " 0.51))\n"].join(&i.to_string());
        });
        (0..10).for_each(|i| text += &["(declare-const Y_", " Real)\n"].join(&i.to_string()));
        std::fs::write(folder.join(name), text + output).unwrap();
    };
    spec("holds.vnnlib", "(assert (>= Y_0 1000))");
    spec("violated.vnnlib", "(assert (or (and (>= Y_0 1000)) (and (<= Y_0 Y_1)) (and (<= Y_1 Y_0))))");
    spec("broken.vnnlib", "(assert (>= Y_0 Z))");
    let run = |arguments: &[&str]| {
        let output = assert_cmd::Command::cargo_bin("verify").unwrap().current_dir(folder).args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, out, error) = run(&["m.onnx", "--spec", "holds.vnnlib", "-o", "r.txt"]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("unsat: holds.vnnlib (the property holds"), "{out}");
    assert_eq!(std::fs::read_to_string(folder.join("r.txt")).unwrap(), "unsat\n");
    let (code, out, _) = run(&["check", "m.certificate.json", "--model", "m.onnx", "--file", "holds.vnnlib"]);
    assert!(code == 0 && out.contains("the property of `holds.vnnlib` (SHA-256 ") && out.contains("…) holds (unsat)"), "{out}");
    // What holds of every network is accepted, and establishes nothing.
    spec("vacuous.vnnlib", "(assert (<= X_0 0))(assert (>= Y_0 0))");
    let (code, out, error) = run(&["m.onnx", "--spec", "vacuous.vnnlib", "--certificate", "v.json", "--allow-vacuous"]);
    assert!(code == 0 && out.contains("vacuous"), "{out} {error}");
    let (code, out, _) = run(&["check", "v.json", "--model", "m.onnx", "--file", "vacuous.vnnlib"]);
    assert!(code == 3 && out.contains("vacuous"), "{out}");
    // The same bytes under another name are not the file that the claim, and the report, name.
    std::fs::copy(folder.join("holds.vnnlib"), folder.join("other.vnnlib")).unwrap();
    let (code, out, _) = run(&["check", "m.certificate.json", "--model", "m.onnx", "--file", "other.vnnlib"]);
    assert!(code == 4 && out.contains("which was not given"), "{out}");
    // No limit on time is too long.
    let (code, _, error) = run(&["m.onnx", "--spec", "holds.vnnlib", "--timeout", "1e19", "--certificate", "t.json"]);
    assert_eq!(code, 0, "{error}");
    // Another file is not the one that the claim is about.
    let (code, out, _) = run(&["check", "m.certificate.json", "--model", "m.onnx", "--file", "violated.vnnlib"]);
    assert!(code == 4 && out.contains("which was not given"), "{out}");

    let (code, out, _) = run(&["m.onnx", "--spec", "violated.vnnlib", "-o", "r.txt"]);
    let result = std::fs::read_to_string(folder.join("r.txt")).unwrap();
    assert!(code == 1 && out.contains("sat: violated.vnnlib"), "{code} {out}");
    assert!(result.starts_with("sat\n((X_0 0.5") && result.trim_end().ends_with("))") && result.contains("\n(Y_9 "), "{result}");
    let (code, _, _) = run(&["check", "m.certificate.json", "--model", "m.onnx", "--file", "violated.vnnlib"]);
    assert_eq!(code, 0);

    let (code, _, error) = run(&["m.onnx", "--spec", "broken.vnnlib"]);
    assert!(code == 2 && error.contains("broken.vnnlib`:75:17: `Z` is not declared"), "{error}");

    std::fs::write(
        folder.join("instances.csv"),
        "./m.onnx,holds.vnnlib,20\r\n\"m.onnx\",\"violated.vnnlib\",20\r\nm.onnx,none.vnnlib,1\r\n",
    )
    .unwrap();
    let (code, out, _) = run(&["batch", "instances.csv", "--results", "results"]);
    assert!(code == 2 && out.contains("1: unsat") && out.contains("2: sat") && out.contains("3: error"), "{out}");
    assert_eq!(std::fs::read_to_string(folder.join("results/1.txt")).unwrap(), "unsat\n");
    assert!(std::fs::read_to_string(folder.join("results/2.txt")).unwrap().starts_with("sat\n((X_0 "));
    assert_eq!(std::fs::read_to_string(folder.join("results/3.txt")).unwrap(), "error\n");
    // Of the deployed network the same is asked otherwise, and the answer says so.
    let float32 = ["batch", "instances.csv", "--semantics", "float32", "--only", "holds"];
    let (code, out, error) = run(&float32);
    assert!(code == 0 && out.contains("1: unsat (float32)"), "{out}{error}");
    let (_, out, _) = run(&[&float32[..], &["--output-format", "json"]].concat());
    assert!(out.contains("\"semantics\": \"float32\""), "{out}");
}
