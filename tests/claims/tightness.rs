//! Tightness of interval propagation against reference answers (`cases/ibp`).
//!
//! | test | what it shows |
//! |---|---|
//! | `boxes_and_tightness_agree_with_the_reference` | elided or not: boxes and τ_loc to 1e-9, intervals contain the exact τ, which branching reaches on small nets |
//! | `trained_nets_agree_with_the_reference` | the digits nets: τ_loc of the first samples, intervals around the exact optima |
//! | `phases_find_the_smallest_boxes` | 64 inputs: ends enclosed to a millionth around what enumeration of all activation patterns gives (`tests/data/make_optimal.py`) |
//! | `invariance_finds_what_is_built_in` | a propagation-invariant net has no broken entry, a random one has |
//! | `a_point_is_tight` | ε = 0, with a normalisation that is no `f64`: τ = 1, all rows known; a claim about more than a point is not |
//! | `one_output_has_no_margins` | its outputs are looked at; a claim about margins is refused |
//! | `the_program_claims_what_the_checker_proves` | `--tightness`, its certificate checked again, and refused where it states too much or its trees and points are changed |

use std::path::Path;

use crate::common;
use nnverify::deadline::Deadline;
use nnverify::kernel::model::onnx::load;
use nnverify::kernel::proof::{Bits, ClaimKind, End, Number, Optimum, TightnessClaim, Vector};
use nnverify::kernel::region::bounds::{BoxRegion, Extent, LinearBounds, Semantics, Splits};
use nnverify::kernel::region::{LEAF, PHASE};
use nnverify::pass::ibp::{PhaseSearch, PropagationTightness, SampleFigures, TightnessOptions, measure, propagation_invariance};
use serde_json::Value;

const NO_PHASES: PhaseSearch = PhaseSearch { splits: 0, deadline: Deadline::NONE };

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn object(path: &Path) -> serde_json::Map<String, Value> {
    let Value::Object(all) = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() else {
        panic!("not an object")
    };
    all
}

fn close(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * (1.0 + expected.abs()), "{what}: {found} instead of {expected}");
}

fn all_close(what: &str, found: Option<&PropagationTightness>, expected: &Value) {
    let found = &found.unwrap().rows;
    assert_eq!(found.len(), expected.as_array().unwrap().len(), "{what}");
    for (found, expected) in found.iter().zip(expected.as_array().unwrap()) {
        match expected.as_f64() {
            Some(expected) => close(what, found.unwrap(), expected),
            None => assert_eq!(*found, None, "{what}"),
        }
    }
}

/// The propagated boxes contain and match these; the outer ones contain the optima, which contain the attained.
fn boxes(what: &str, figures: &SampleFigures, lower: &[f64], upper: &[f64]) {
    assert_eq!(figures.extents.len(), lower.len(), "{what}");
    for (extent, (&l, &u)) in figures.extents.iter().zip(lower.iter().zip(upper)) {
        let x = extent.propagated;
        let slack = 1e-14 * (1.0 + x.magnitude());
        assert!(x.lower <= l + slack && x.upper >= u - slack, "{what}: {x:?} misses [{l}, {u}]");
        close(what, x.lower, l);
        close(what, x.upper, u);
        assert!(extent.outer.lower >= x.lower && extent.outer.upper <= x.upper, "{what}: {extent:?}");
    }
}

fn optima(what: &str, figures: &SampleFigures, lower: &[f64], upper: &[f64], reached: bool) {
    for (extent, (&l, &u)) in figures.extents.iter().zip(lower.iter().zip(upper)) {
        let slack = 1e-9 * (1.0 + l.abs().max(u.abs()));
        assert!(extent.outer.lower <= l + slack && extent.outer.upper >= u - slack, "{what}: {extent:?} [{l}, {u}]");
        assert!(extent.attained.lower >= l - slack && extent.attained.upper <= u + slack, "{what}: {extent:?} [{l}, {u}]");
        let tau = (u - l) / (extent.propagated.upper - extent.propagated.lower);
        let bounds = extent.tightness().unwrap();
        assert!(bounds.lower <= tau + 1e-9 && bounds.upper >= tau - 1e-9, "{what}: {bounds:?} without {tau}");
        if reached {
            assert!(bounds.upper - bounds.lower < 1e-6, "{what}: {bounds:?} where the optimum can be found");
        }
    }
}

#[test]
fn boxes_and_tightness_agree_with_the_reference() {
    let Some(shared) = common::shared() else { return };
    let mut seen = 0;
    for (name, case) in object(&shared.join("cases/ibp/expected.json")).into_iter().filter(|(name, _)| !name.starts_with('_')) {
        let model = load(&shared.join(format!("cases/ibp/{name}.onnx"))).unwrap();
        let prepared = LinearBounds::new(&model.network, Semantics::Real).unwrap();
        let point = numbers(&case["x0"]);
        let region = BoxRegion::around(&point, case["eps"].as_f64().unwrap()).unwrap();
        let label = case["label"].as_u64().unwrap_or(0) as usize;
        let small = point.len() <= 6;
        let splits = Splits(if small { 4000 } else { 0 });
        let figures = |elided: bool| {
            let options = TightnessOptions { elided, splits, phases: NO_PHASES };
            let samples = [(point.clone(), region.clone(), label)];
            measure(&prepared, &samples, options, &|| ()).unwrap().remove(0)
        };
        let plain = figures(false);
        boxes(&name, &plain, &numbers(&case["ibp_lower"]), &numbers(&case["ibp_upper"]));
        optima(&name, &plain, &numbers(&case["optimal_lower"]), &numbers(&case["optimal_upper"]), small);
        all_close(&name, plain.at_sample.as_ref(), &case["propagation_tightness_local"]["tau"]);
        all_close(&name, plain.linear.as_ref(), &case["propagation_tightness_dln"]["tau"]);
        for (found, expected) in plain.states.iter().zip(case["relu_stats"].as_array().unwrap()) {
            let expected = ["dead", "active", "unstable"].map(|key| expected[key].as_u64().unwrap() as usize);
            assert_eq!([found.dead, found.active, found.unstable], expected, "{name}");
        }
        if case.get("elided_ibp_lower").is_some() {
            let elided = figures(true);
            let name = format!("{name}, elided");
            boxes(&name, &elided, &numbers(&case["elided_ibp_lower"]), &numbers(&case["elided_ibp_upper"]));
            all_close(&name, elided.at_sample.as_ref(), &case["elided_propagation_tightness_local"]["tau"]);
        }
        seen += 1;
    }
    assert!(seen >= 9, "{seen}");
}

#[test]
fn trained_nets_agree_with_the_reference() {
    let Some(shared) = common::shared() else { return };
    let folder = shared.join("cases/ibp");
    let x: ndarray::Array2<f32> = ndarray_npy::read_npy(folder.join("digits_x100.npy")).unwrap();
    let y: ndarray::Array1<i64> = ndarray_npy::read_npy(folder.join("digits_y100.npy")).unwrap();
    for (name, case) in object(&folder.join("expected_trained.json")) {
        let model = load(&folder.join(format!("digits_{name}.onnx"))).unwrap();
        let prepared = LinearBounds::new(&model.network, Semantics::Real).unwrap();
        let sample = |i: usize, eps: f64| {
            let point: Vec<f64> = x.row(i).iter().map(|&x| f64::from(x)).collect();
            let region = BoxRegion::around(&point, eps).unwrap().clipped(0.0, 1.0).unwrap();
            (point, region, usize::try_from(y[i]).unwrap())
        };
        let options = TightnessOptions { elided: true, splits: Splits(0), phases: NO_PHASES };
        let samples: Vec<_> = (0..10).map(|i| sample(i, case["eps"].as_f64().unwrap())).collect();
        let all = measure(&prepared, &samples, options, &|| ()).unwrap();
        for (figures, expected) in all.iter().zip(numbers(&case["local_tightness_first10"])) {
            let found = figures.at_sample.as_ref().unwrap().mean().unwrap();
            // The reference stores ten digits.
            assert!((found - expected).abs() < 2e-10, "{name}: {found} {expected}");
        }
        for exact in case["exact"].as_array().unwrap() {
            let index = exact["index"].as_u64().unwrap() as usize;
            // These were made with ε in float32.
            let figures = measure(&prepared, &[sample(index, f64::from(0.1_f32))], options, &|| ()).unwrap().remove(0);
            boxes(&name, &figures, &numbers(&exact["ibp_lo"]), &numbers(&exact["ibp_hi"]));
            optima(&name, &figures, &numbers(&exact["lo"]), &numbers(&exact["hi"]), false);
            // What a few phases add contains the optima as well, and is narrower.
            let options = TightnessOptions { phases: PhaseSearch { splits: 4, deadline: Deadline::NONE }, ..options };
            let split = measure(&prepared, &[sample(index, f64::from(0.1_f32))], options, &|| ()).unwrap().remove(0);
            optima(&name, &split, &numbers(&exact["lo"]), &numbers(&exact["hi"]), false);
            for (split, figures) in split.extents.iter().zip(&figures.extents) {
                let width = |extent: &Extent| extent.outer.upper - extent.outer.lower;
                assert!(width(split) < width(figures), "{name}: {split:?} {figures:?}");
            }
            let mean = exact["tau_true_mean"].as_f64().unwrap();
            let bounds: Vec<_> = figures.extents.iter().map(|e| e.tightness().unwrap()).collect();
            let ends = [bounds.iter().map(|b| b.lower).sum::<f64>(), bounds.iter().map(|b| b.upper).sum::<f64>()];
            println!("{name} {index}: τ {mean:.4} in [{:.4}, {:.4}]", ends[0] / 9.0, ends[1] / 9.0);
        }
    }
}

#[test]
fn phases_find_the_smallest_boxes() {
    let reference = object(&common::repository("tests/data/optimal.json"));
    let model = load(&common::repository("models/digits_relu.onnx")).unwrap();
    let prepared = LinearBounds::new(&model.network, Semantics::Real).unwrap();
    let data = nnverify::kernel::read::data::Dataset::open(&common::repository("models/digits_test.npz"), None).unwrap();
    let mut found = 0;
    for case in reference["samples"].as_array().unwrap() {
        let index = case["sample"].as_u64().unwrap() as usize;
        let point = data.input(index);
        let region = BoxRegion::around(&point, reference["epsilon"].as_f64().unwrap()).unwrap().clipped(0.0, 1.0).unwrap();
        let samples = [(point, region, case["label"].as_u64().unwrap() as usize)];
        let phases = PhaseSearch { splits: 200, deadline: Deadline::NONE };
        let options = TightnessOptions { elided: true, splits: Splits(0), phases };
        let figures = measure(&prepared, &samples, options, &|| ()).unwrap().remove(0);
        optima(&index.to_string(), &figures, &numbers(&case["lower"]), &numbers(&case["upper"]), true);
        assert_eq!(nnverify::kernel::region::exact_boxes(std::slice::from_ref(&figures.extents)), (9, 1), "{index}");
        found += figures.ends.len();
        for extent in &figures.extents {
            let tightness = extent.tightness().unwrap();
            assert!(tightness.upper - tightness.lower < 1e-5 * tightness.lower, "{index}: {tightness:?}");
        }
    }
    // Backward bounds and corners alone do not get there.
    assert!(found > 10, "{found}");
}

#[test]
fn invariance_finds_what_is_built_in() {
    let Some(shared) = common::shared() else { return };
    let broken = |name: &str| {
        let model = load(&shared.join(format!("cases/ibp/{name}.onnx"))).unwrap();
        let pairs = propagation_invariance(&LinearBounds::new(&model.network, Semantics::Real).unwrap());
        assert!(!pairs.is_empty(), "{name}");
        pairs.iter().map(|pair| pair.broken).sum::<usize>()
    };
    assert_eq!(broken("dln_pi_exact"), 0);
    assert!(broken("dln_w16_L2") > 0 && broken("mlp_textbook") > 0);
}

/// From the command line to a certificate that is checked again, and one that states too much.
#[test]
fn the_program_claims_what_the_checker_proves() {
    let directory = tempfile::tempdir().unwrap();
    let (model, data) = ("models/digits_relu.onnx", "models/digits_test.npz");
    let [model, data] = [model, data].map(|path| common::repository(path).display().to_string());
    let verify = |arguments: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("verify").unwrap();
        let output = command.current_dir(directory.path()).args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let file = directory.path().join("t.json");
    let certificate = file.display().to_string();
    let asked =
        ["--tightness", "--data", &data, "--eps", "0.03", "--clip", "0,1", "--samples", "2", "--certificate", &certificate];
    let (code, out, error) = verify(&[&[model.as_str()][..], &asked].concat());
    assert_eq!(code, 0, "{out}{error}");
    for word in ["tightness τ, mean", "proved", "18 of 18 rows", "2 of 2 samples", "propagation tightness", "descriptive", "dead"]
    {
        assert!(out.contains(word), "`{word}` is missing in\n{out}");
    }
    let check = ["check", &certificate, "--model", &model, "--file", &data];
    let (code, out, error) = verify(&check);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.contains("mean tightness"), "{out}");
    // What says too much: with a digest of its own the certificate is whole, and refused for what it says.
    let (whole, bundle) = nnverify::kernel::proof::Certificate::read(&file).unwrap();
    let forge = |change: &dyn Fn(&mut TightnessClaim)| {
        let mut forged = whole.clone();
        let ClaimKind::Tightness(claim) = &mut forged.claims[0].kind else { panic!("another kind") };
        change(claim);
        forged.digest = forged.computed_digest();
        nnverify::query::write_certificate(&forged, &bundle, &file).unwrap();
        let (code, out, error) = verify(&check);
        assert_eq!(code, 4, "{out}{error}");
        out
    };
    forge(&|claim| claim.tightness.lower = Number::lower(claim.tightness.upper.value() + 1e-9));
    forge(&|claim| claim.exact_rows += 1);
    forge(&|claim| claim.exact_samples += 1);
    // Without its ends the interval is not as narrow.
    forge(&|claim| claim.optima.clear());
    let ClaimKind::Tightness(claim) = &whole.claims[0].kind else { panic!("another kind") };
    let whole_optima = &claim.optima;
    assert!(whole_optima.len() > 5);
    let resolved = |vector: &Vector| bundle.resolve(vector).unwrap();
    let split = |optimum: &Optimum| resolved(&optimum.tree)[0] == PHASE;
    let at = claim.optima.iter().position(split).unwrap();
    // Nothing beyond a bound that is farther in than the point.
    forge(&|claim| {
        let optimum = &mut claim.optima[at];
        let inward = if optimum.end == End::Lower { 1e-3 } else { -1e-3 };
        optimum.bound = Bits::of(optimum.bound.value() + inward);
    });
    forge(&|claim| claim.optima[at].bound = Bits::of(f64::NAN));
    forge(&|claim| claim.optima[at].tree = Vector::inline(&[LEAF]));
    forge(&|claim| claim.optima[at].sample = 2);
    forge(&|claim| claim.optima[at].row = 9);
    forge(&|claim| {
        let mut tree = resolved(&claim.optima[at].tree);
        tree.pop();
        claim.optima[at].tree = Vector::inline(&tree);
    });
    let out = forge(&|claim| {
        let mut point = resolved(&claim.optima[at].point);
        point[0] += 1.0;
        claim.optima[at].point = Vector::inline(&point);
    });
    assert!(out.contains("outside"), "{out}");
    // With one point for all ends of a sample less is attained.
    forge(&|claim| {
        let first = |sample: u32| whole_optima.iter().find(|optimum| optimum.sample == sample).unwrap().point.clone();
        claim.optima.iter_mut().for_each(|optimum| optimum.point = first(optimum.sample));
    });
}

#[test]
fn a_point_is_tight() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["digits_relu.onnx", "digits_test.npz"] {
        std::fs::copy(common::repository(&format!("models/{name}")), folder.path().join(name)).unwrap();
    }
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_verify"));
        let ended = command.current_dir(folder.path()).args(arguments).output().unwrap();
        (ended.status.code().unwrap(), String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap())
    };
    let asked = ["digits_relu.onnx", "--tightness", "--data", "digits_test.npz", "--samples", "3", "--eps", "0"];
    let normalised = ["--input-mean", "0.1307", "--input-std", "0.3081", "--certificate", "c.json", "--output-format", "json"];
    let check = ["check", "c.json", "--model", "digits_relu.onnx", "--file", "digits_test.npz"];
    for rows in [&[][..], &["--not-elided"]] {
        let (code, out, error) = run(&[&asked[..], &normalised, rows].concat());
        let found = &serde_json::from_str::<Value>(&out).unwrap()["sections"][0];
        let ends = ["tightness_at_least", "tightness_at_most"].map(|end| found[end].as_str().unwrap());
        assert_eq!((code, ends), (0, ["1", "1"]), "{error}");
        assert_eq!((&found["exact_rows"], &found["exact_samples"]), (&found["rows"], &found["samples"]));
        assert_eq!(run(&check).0, 0);
    }
    let path = folder.path().join("c.json");
    let (mut certificate, bundle) = nnverify::kernel::proof::Certificate::read(&path).unwrap();
    match &mut certificate.claims[0].kind {
        ClaimKind::Tightness(claim) => claim.perturbation.epsilon = "1e-30".into(),
        other => panic!("{other:?}"),
    }
    let (certificate, bundle) = certificate.inlined(&bundle).unwrap().seal();
    nnverify::query::write_certificate(&certificate, &bundle, &path).unwrap();
    let (code, out, _) = run(&check);
    assert_eq!(code, 4, "{out}");
}

/// A network with one output has no margins: its outputs are looked at, and a claim about margins is refused.
#[test]
fn one_output_has_no_margins() {
    let folder = tempfile::tempdir().unwrap();
    let model = common::tiny::Tiny::new(2, 4).gemm("a", "x", 2, 4).node("r", "Relu", &["a"], vec![]).gemm("y", "r", 4, 1);
    std::fs::write(folder.path().join("m.onnx"), model.finish("y")).unwrap();
    std::fs::write(folder.path().join("d.csv"), "a,b,label\n0.1,0.2,0\n0.3,0.4,0\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_verify"));
        let ended = command.current_dir(folder.path()).args(arguments).output().unwrap();
        (ended.status.code().unwrap(), String::from_utf8(ended.stdout).unwrap())
    };
    let (code, out) = run(&["m.onnx", "--tightness", "--data", "d.csv", "--eps", "0.1", "--certificate", "c.json"]);
    assert!(code == 0 && out.contains("outputs") && !out.contains("robust by intervals"), "{out}");
    let path = folder.path().join("c.json");
    let (mut certificate, bundle) = nnverify::kernel::proof::Certificate::read(&path).unwrap();
    assert!(bundle.is_empty());
    match &mut certificate.claims[0].kind {
        nnverify::kernel::proof::ClaimKind::Tightness(claim) => (claim.elided, claim.certified) = (true, Some(0)),
        other => panic!("{other:?}"),
    }
    let (certificate, bundle) = certificate.seal();
    nnverify::query::write_certificate(&certificate, &bundle, &path).unwrap();
    let (code, out) = run(&["check", "c.json", "--model", "m.onnx", "--file", "d.csv"]);
    assert!(code == 4 && out.contains("no margins"), "{out}");
}
