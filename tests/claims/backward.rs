//! Backward linear bounds against auto_LiRPA's on real networks (`corpus/bounds`).
//!
//! | test | what it shows |
//! |---|---|
//! | `optimised_margins_are_at_least_those_of_every_method` | with searched slopes ≥ every column, and the checker's plain loops prove the same from the hints |
//! | `margins_are_at_least_those_of_crown` | every margin with the usual slopes ≥ the CROWN column − 1e-4 relative; prints CPU seconds beside it |

use std::path::Path;
use std::time::Instant;

use crate::common;
use ndarray_npy::ReadNpyExt;
use nnverify::kernel::model::onnx::load;
use nnverify::kernel::region::bounds::{
    BoxRegion, Hints, LinearBounds, LinearRows, Loops, Phases, Refinement, Region, Semantics, Subproblem,
};
use nnverify::pass::bounds::{Effort, optimise};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn runs(shared: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(shared.join("corpus/bounds/expected.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    all["runs"].as_array().unwrap().clone()
}

fn region(shared: &Path, run: &Value) -> Region {
    let name = Path::new(run["input"].as_str().unwrap()).file_name().unwrap();
    let file = std::fs::File::open(shared.join("corpus/bounds").join(name)).unwrap();
    let rows = ndarray::Array2::<f32>::read_npy(file).unwrap();
    let row = |i: usize| rows.row(i).iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    BoxRegion::new(row(1), row(2)).unwrap().into()
}

#[test]
fn margins_are_at_least_those_of_crown() {
    let Some(shared) = common::shared() else { return };
    let mut seen = 0;
    for run in runs(&shared).iter().filter(|run| run["method"] == "CROWN") {
        let model = load(&shared.join("corpus").join(run["onnx"].as_str().unwrap())).unwrap();
        let region = region(&shared, run);
        let label = usize::try_from(run["label"].as_u64().unwrap()).unwrap();
        let bounds = LinearBounds::new(&model.network, Semantics::Real).unwrap();
        let start = Instant::now();
        let analysis = bounds.analyse(&region, &Phases::new(), Refinement::Backward, &Hints::default(), &Loops).unwrap();
        let refined = start.elapsed().as_secs_f64();
        let rows = LinearRows::margins(model.network.output_size(), label);
        let found = analysis.lower_bounds(&rows, &Hints::default(), &Loops);
        let total = start.elapsed().as_secs_f64();
        let expected = numbers(&run["margin_lower"]);
        let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "{} {}: {:.6} (CROWN {:.6}), {refined:.3} s + {:.3} s (CROWN {} s + {} s)",
            run["model"],
            run["input"],
            least(&found),
            least(&expected),
            total - refined,
            run["bounds_s"],
            run["margin_s"]
        );
        for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(*found >= expected - 1e-4 * expected.abs().max(1e-2), "{} margin {k}: {found} < {expected}", run["input"]);
        }
        seen += 1;
    }
    assert_eq!(seen, 15);
}

#[test]
fn optimised_margins_are_at_least_those_of_every_method() {
    let Some(shared) = common::shared() else { return };
    let runs = runs(&shared);
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let mut missed = Vec::new();
    for run in runs.iter().filter(|run| run["method"] == "CROWN") {
        let model = load(&shared.join("corpus").join(run["onnx"].as_str().unwrap())).unwrap();
        let region = region(&shared, run);
        let label = usize::try_from(run["label"].as_u64().unwrap()).unwrap();
        let best =
            runs.iter().filter(|other| other["input"] == run["input"]).map(|other| least(&numbers(&other["margin_lower"])));
        let best = best.fold(f64::NEG_INFINITY, f64::max);
        let prepared = LinearBounds::new(&model.network, Semantics::Real).unwrap();
        let rows = LinearRows::margins(model.network.output_size(), label);
        let start = Instant::now();
        // As much effort as it takes.
        let efforts = [(20, 0), (60, 0), (30, 5), (30, 20)].map(|(rows, nodes)| Effort { rows, nodes });
        let search = |effort| optimise(&prepared, &region, &Phases::new(), &rows, effort, &Loops).unwrap();
        let mut found = search(efforts[0]);
        for effort in &efforts[1..] {
            if least(&found.bounds) < best - 1e-4 * best.abs() {
                found = search(*effort);
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{} {}: {:.6} (best column {best:.6}), {seconds:.3} s", run["model"], run["input"], least(&found.bounds));
        if least(&found.bounds) < best - 1e-4 * best.abs() {
            missed.push(format!("{}: {} < {best}", run["input"], least(&found.bounds)));
        }
        let problem = Subproblem { region, phases: Phases::new(), rows };
        let again = prepared.lower_bounds(&problem, &found.hints).unwrap();
        for (again, found) in again.iter().zip(&found.bounds) {
            assert!((again - found).abs() <= 1e-9 * (1.0 + found.abs()), "{}: {again} {found}", run["input"]);
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
