//! Loading and evaluating ONNX files against ONNX Runtime.
//!
//! The operator zoo `data/ops.npz` (made by `data/make_ops.py`) stands beside this file; the real networks are read from the
//! folder that `NNVERIFY_SHARED` names, and those tests pass without looking where it is not set.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nnverify::kernel::model::ir::{Op, evaluate};
use nnverify::kernel::model::onnx::{Model, load, load_bytes};

use crate::common::zoo::{array, npz, zoo};

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// Largest difference, relative to the largest magnitude of the expected output (but at least 1e-3).
fn difference(model: &Model, input: &[f32], expected: &[f32]) -> f64 {
    let output = evaluate(&model.network, &widened(input)).unwrap();
    assert_eq!(output.len(), expected.len());
    let scale = expected.iter().fold(1e-3, |scale: f64, &y| scale.max(f64::from(y).abs()));
    let worst = output.iter().zip(expected).map(|(a, &b)| (a - f64::from(b)).abs());
    worst.fold(0.0, |worst, d| if d.is_nan() { f64::INFINITY } else { f64::max(worst, d) }) / scale
}

#[test]
fn every_operator_agrees_with_onnx_runtime() {
    let (mut failures, mut worst) = (Vec::new(), (0.0, String::new()));
    for case in zoo().into_iter().filter(|case| !case.name.starts_with("refuse/")) {
        match load_bytes(&case.model) {
            Err(error) => failures.push(format!("{}: {error}", case.name)),
            Ok(model) => {
                let difference = difference(&model, &case.input, &case.output);
                if difference > 4e-6 {
                    failures.push(format!("{}: differs by {difference:e}", case.name));
                }
                if difference > worst.0 {
                    worst = (difference, case.name);
                }
            }
        }
    }
    println!("worst: {worst:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_cannot_be_understood_is_refused_by_name() {
    for case in zoo().into_iter().filter(|case| case.name.starts_with("refuse/")) {
        match load_bytes(&case.model) {
            Ok(_) => panic!("{} was accepted", case.name),
            Err(error) => println!("{}: {error} hint: {:?}", case.name, error.hint()),
        }
    }
}

/// Patterns are recognised, not merely computed: what remains has bounded slopes.
#[test]
fn gated_activations_are_recognised() {
    for case in zoo().into_iter().filter(|case| case.name.starts_with("Pattern/") || case.name.starts_with("Householder/")) {
        let model = load_bytes(&case.model).unwrap();
        let nodes = model.network.nodes();
        let variable = |id: &nnverify::kernel::model::ir::NodeId| model.network.node(*id).variable;
        let products = nodes.iter().filter(|n| matches!(n.op, Op::Binary(_)) && n.operands.iter().all(variable)).filter(|n| {
            matches!(n.op, Op::Binary(nnverify::kernel::model::ir::Binary::Mul | nnverify::kernel::model::ir::Binary::Div))
        });
        let expected = usize::from(case.name.starts_with("Pattern/product"));
        assert_eq!(products.count(), expected, "{}", case.name);
        for node in nodes.iter().filter(|node| node.variable) {
            if let Op::Function(function) = &node.op {
                assert!(function.slope_range().is_some(), "{}: {function:?}", case.name);
            }
        }
    }
}

fn shared() -> Option<PathBuf> {
    let path = std::env::var_os("NNVERIFY_SHARED").map(PathBuf::from);
    if path.is_none() {
        println!("skipped: NNVERIFY_SHARED is not set");
    }
    path
}

#[test]
fn real_networks_agree_with_onnx_runtime() {
    let Some(corpus) = shared().map(|shared| shared.join("corpus")) else { return };
    let mut forward = npz(&corpus.join("forward.npz"));
    let names = forward.names().unwrap();
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    let mut models: BTreeMap<String, Model> = BTreeMap::new();
    for input in names.iter().filter(|name| name.trim_end_matches(".npy").ends_with("|x0")) {
        let (name, _) = input.split_once('|').unwrap();
        let x = array::<f32>(&mut forward, input);
        let y = array::<f32>(&mut forward, &input.replace("|x0", "|y0"));
        let model = models.entry(name.to_owned()).or_insert_with(|| load(&corpus.join(format!("{name}.onnx.gz"))).unwrap());
        let difference = difference(model, &x, &y);
        let entry = worst.entry(name.to_owned()).or_insert(0.0);
        *entry = entry.max(difference);
    }
    worst.iter().for_each(|(name, difference)| println!("{difference:9.2e} {name}"));
    assert!(!worst.is_empty() && worst.values().all(|&difference| difference < 2e-5));
}

#[test]
fn all_case_models_load_and_evaluate() {
    let Some(cases) = shared().map(|shared| shared.join("cases")) else { return };
    let folders = ["activations", "curvature", "ibp", "lipschitz"].into_iter().map(|folder| cases.join(folder));
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "onnx")) {
        let model = load(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let input: Vec<f64> = (0..model.network.input_size()).map(|i| (i as f64 * 0.37).sin()).collect();
        let output = evaluate(&model.network, &input).unwrap();
        assert!(output.iter().all(|value| value.is_finite()), "{}", path.display());
    }
}
