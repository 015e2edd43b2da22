//! The zoo of the shared folder: small networks as six exporters write them, with ONNX Runtime's inputs and outputs.
//!
//! `zoo.csv` lists the files. What loads must evaluate as ONNX Runtime does, and no fewer files may load than did before.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common;
use crate::common::zoo::{cases, npz};
use nnverify::kernel::model::ir::evaluate;
use nnverify::kernel::model::onnx::{load, load_bytes};

/// Files that load, at least.
const FLOOR: usize = 389;

/// Values of an array of any floating point type that the zoo holds, or `None`.
fn numbers(zoo: &Path, name: &str) -> Option<Vec<f64>> {
    use ndarray::{IxDyn, OwnedRepr};
    let mut single = npz(zoo);
    if let Ok(array) = single.by_name::<OwnedRepr<f32>, IxDyn>(name) {
        return Some(array.into_raw_vec_and_offset().0.into_iter().map(f64::from).collect());
    }
    let mut double = npz(zoo);
    let array = double.by_name::<OwnedRepr<f64>, IxDyn>(name).ok()?;
    Some(array.into_raw_vec_and_offset().0)
}

#[test]
fn files_of_exporters_load_and_evaluate_as_onnx_runtime_does() {
    let Some(folder) = common::shared().map(|shared| shared.join("cases/zoo")) else { return };
    let table = std::fs::read_to_string(folder.join("zoo.csv")).unwrap();
    let arrays = folder.join("zoo.npz");
    let names = npz(&arrays).names().unwrap();
    let stem = |name: &str| name.trim_end_matches(".npy").to_owned();
    let mut keys: BTreeMap<String, String> = names.into_iter().map(|name| (stem(&name), name)).collect();
    let (mut loaded, mut compared, mut apart, mut wrong) = (0, 0, 0, Vec::new());
    let mut left: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in table.lines().skip(1).filter_map(|line| line.split(',').next()) {
        let model = match load(&folder.join(file)) {
            Ok(model) => model,
            Err(error) => {
                left.entry(error.to_string()).or_default().push(file.to_owned());
                continue;
            }
        };
        loaded += 1;
        let mut take = |suffix: &str| keys.remove(&format!("{file}|{suffix}")).and_then(|name| numbers(&arrays, &name));
        let (Some(input), Some(expected)) = (take("x0"), take("y0")) else { continue };
        let output = evaluate(&model.network, &input).unwrap();
        assert_eq!(output.len(), expected.len(), "{file}");
        let scale = expected.iter().fold(1e-3, |scale: f64, y| scale.max(y.abs()));
        let worst = output.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let worst = worst.fold(0.0, |worst, d| if d.is_nan() { f64::INFINITY } else { f64::max(worst, d) }) / scale;
        // float32 keeps 24 bits, float16 eleven.
        let narrow = ["f16", "half"].iter().any(|name| file.contains(name));
        // A value halfway between two levels goes to the even one on real numbers, to either in float32: a level apart.
        let quantised = ["qdq", "qop"].iter().any(|name| file.contains(name));
        apart += usize::from(quantised && worst > 2e-5);
        let tolerance = if quantised {
            2e-2
        } else if file.contains("bfloat16") {
            // Eight bits.
            3e-2
        } else if narrow {
            5e-3
        } else {
            2e-5
        };
        if worst > tolerance {
            wrong.push(format!("{file}: differs by {worst:e}"));
        }
        compared += 1;
    }
    for (error, files) in &left {
        println!("{}: {error}: {}", files.len(), files.join(" "));
    }
    println!("{loaded} load, {compared} are compared, {apart} of them by a level apart");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(loaded >= FLOOR, "{loaded} files load where {FLOOR} did");
    assert!(compared + 13 >= loaded, "only {compared} of {loaded} are compared");
    assert!(apart <= 3, "{apart} quantised files differ");
}

/// ONNX's own node tests, where `NNVERIFY_NODE_TESTS` names the file that `data/node_tests.py` writes.
#[test]
fn node_tests_that_load_are_right() {
    let Some(path) = std::env::var_os("NNVERIFY_NODE_TESTS") else {
        println!("skipped: NNVERIFY_NODE_TESTS is not set");
        return;
    };
    let (mut loaded, mut all, mut wrong) = (0, 0, Vec::new());
    for case in cases(Path::new(&path)) {
        all += 1;
        let model = match load_bytes(&case.model) {
            Ok(model) => model,
            Err(error) => {
                println!("{}: {error}", case.name);
                continue;
            }
        };
        loaded += 1;
        let input: Vec<f64> = case.input.iter().copied().map(f64::from).collect();
        let Ok(output) = evaluate(&model.network, &input) else { continue };
        let expected: Vec<f64> = case.output.iter().copied().map(f64::from).collect();
        let scale = expected.iter().filter(|y| y.is_finite()).fold(1e-3, |scale: f64, y| scale.max(y.abs()));
        // What is not finite proves nothing, and is not compared.
        let finite = output.iter().zip(&expected).filter(|(a, b)| a.is_finite() && b.is_finite());
        let worst = finite.map(|(a, b)| (a - b).abs() / scale).fold(0.0, f64::max);
        // As far apart as ONNX allows: some of what it expects is rounded to four digits.
        if output.len() != expected.len() || worst > 1e-3 {
            wrong.push(format!("{}: {} values for {}, {worst:e}", case.name, output.len(), expected.len()));
        }
    }
    println!("{loaded} of {all} load");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
