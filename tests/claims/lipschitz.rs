//! Certified ℓ2 Lipschitz bounds against independent references; every certificate goes through a file and is proved again.
//!
//! | test | what it holds the bounds to |
//! |---|---|
//! | `cases_lie_in_their_brackets` | the exact optima of the relaxation, small and medium cases of the shared folder |
//! | `large_cases_lie_in_their_brackets` | the same for matrices of order 100 and more |
//! | `comparators_are_never_looser_than_groups` | sorts as one group, the reference's form, and as comparators |
//! | `every_spelling_of_an_activation_is_1_lipschitz` | `MaxMin`, `GroupSort` and Householder as exporters write them |
//! | `sample_models_are_certified` | `models/`: sampled constants and norm products from `models/README.md`, known optima |
//! | `larger_sample_models_are_certified` | the same for those with more neurons |
//! | `tiny_models_are_certified` | the models that other tests build on |

use std::path::Path;

use crate::common;
use nnverify::kernel::proof::{LipschitzClaim, Number, Sorts};
use nnverify::pass::lipschitz::{LipschitzOptions, Outcome};
use serde_json::Value;

/// Order of the matrix up to which a case is small.
const SMALL: u64 = 80;
/// Sanity cases whose constant is one.
const EXACTLY_ONE: [&str; 5] =
    ["t00_maxmin_alone", "t01_maxmin_as_relu_alone", "t02_maxmin_as_abs_alone", "t03_fullsort_alone", "r04_cpl_layer"];

fn row(name: &str, outcome: &Outcome, reference: f64) {
    let claim = &outcome.claim;
    let text = |number: &Option<Number>| number.as_ref().map_or("-".to_owned(), ToString::to_string);
    println!(
        "{name:34} {:>12} {:>12} {:>12} {reference:12.8} {:22} {:7.2} s",
        claim.bound.to_string(),
        text(&claim.lower_bound),
        text(&claim.norm_product),
        outcome.engine.name(),
        outcome.seconds
    );
}

/// What holds whatever the reference: the order of the three figures.
fn order(claim: &LipschitzClaim) -> Vec<String> {
    let bound = claim.bound.value();
    let mut wrong = Vec::new();
    if let Some(lower) = &claim.lower_bound
        && (lower.value().is_nan() || lower.value() > bound)
    {
        wrong.push(format!("the lower bound {lower} exceeds the bound {bound}"));
    }
    if let Some(product) = &claim.norm_product
        && (product.value().is_nan() || product.value() < bound)
    {
        wrong.push(format!("the norm product {product} is smaller than the bound {bound}, which should be the better one"));
    }
    wrong
}

fn case(folder: &Path, case: &Value) -> Vec<String> {
    let text = |field: &str| case[field].as_str().unwrap();
    let number = |field: &str| case[field].as_f64().unwrap();
    let name = text("name");
    let outcome = match common::certify(&folder.join(text("file"))) {
        Ok(outcome) => outcome,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let (claim, reference) = (&outcome.claim, number("bound"));
    row(name, &outcome, reference);
    let bound = claim.bound.value();
    let mut wrong = order(claim);
    let mut expect = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    expect(bound <= reference * (1.0 + 1e-4), format!("{bound} is above the bracket of {reference}"));
    // Where a reference has one multiplier per group, one per comparator may be tighter.
    let may_be_tighter = case["per_group"] == true;
    expect(may_be_tighter || bound >= reference * (1.0 - 1e-6), format!("{bound} is below the bracket of {reference}"));
    // References are rounded: an exact constant may lie in their last digits.
    let sampled = number("sampled_lower_bound");
    expect(bound >= sampled * (1.0 - 1e-12), format!("{bound} is below the sampled {sampled}"));
    if let Some(product) = case["norm_product"].as_f64() {
        let found = claim.norm_product.as_ref().map_or(f64::INFINITY, Number::value);
        expect(found <= product * (1.0 + 1e-6), format!("the norm product {found} is above {product}"));
        expect(found >= sampled * (1.0 - 1e-12), format!("the norm product {found} is below the sampled {sampled}"));
    }
    if EXACTLY_ONE.contains(&name) {
        expect((bound - 1.0).abs() <= 1e-6, format!("{bound} is not 1"));
    }
    wrong.into_iter().map(|what| format!("{name}: {what}")).collect()
}

/// Runs the cases of the shared folder that `wanted` picks by the order of their matrix.
fn cases(wanted: impl Fn(u64) -> bool) {
    let Some(shared) = common::shared() else { return };
    let folder = shared.join("cases/lipschitz");
    let cases: Value = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let picked = |case: &&Value| case["norm"] == "l2" && wanted(case["lmi_dim"].as_u64().unwrap());
    let picked: Vec<&Value> = cases["cases"].as_array().unwrap().iter().filter(picked).collect();
    assert!(!picked.is_empty());
    let wrong: Vec<String> = picked.iter().flat_map(|found| case(&folder, found)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cases_lie_in_their_brackets() {
    cases(|order| order <= SMALL);
}

#[test]
fn large_cases_lie_in_their_brackets() {
    cases(|order| order > SMALL);
}

/// One multiplier per group is the reference's form: it is reproduced, and one per comparator is never looser.
#[test]
fn comparators_are_never_looser_than_groups() {
    let Some(shared) = common::shared() else { return };
    let folder = shared.join("cases/lipschitz");
    let cases: Value = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let mut tighter = 0;
    for case in cases["cases"].as_array().unwrap().iter().filter(|case| case["per_group"] == true) {
        let path = folder.join(case["file"].as_str().unwrap());
        let bound = |sorts| {
            let outcome = common::certify_with(&path, &LipschitzOptions { sorts, ..LipschitzOptions::default() }).unwrap();
            row(case["name"].as_str().unwrap(), &outcome, case["bound"].as_f64().unwrap());
            outcome.claim.bound.value()
        };
        let (groups, comparators) = (bound(Sorts::Groups), bound(Sorts::Comparators));
        let reference = case["bound"].as_f64().unwrap();
        assert!((groups / reference - 1.0).abs() < 1e-6, "{path:?}: {groups} is not the reference's {reference}");
        assert!(comparators <= groups * (1.0 + 1e-6), "{path:?}: {comparators} is above {groups}");
        tighter += usize::from(comparators < groups * (1.0 - 1e-3));
    }
    assert!(tighter > 0, "comparators are nowhere tighter");
}

#[test]
fn every_spelling_of_an_activation_is_1_lipschitz() {
    let Some(shared) = common::shared() else { return };
    let mut files: Vec<_> =
        std::fs::read_dir(shared.join("cases/activations")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    files.sort();
    assert!(files.len() >= 20, "only {} files", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        match common::certify(&path) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(outcome) => {
                row(&name, &outcome, 1.0);
                wrong.extend(order(&outcome.claim));
                let bound = outcome.claim.bound.value();
                if bound.is_nan() || (bound - 1.0).abs() > 1e-6 {
                    wrong.push(format!("{name}: {bound} is not 1"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sample_models_are_certified() {
    // Sampled constant and norm product: from `models/README.md`, rounded there. Then the optimum of the relaxation.
    sample_models(&[
        ("digits_cnn", 28.9746, 82.0662, 39.066_884),
        ("digits_maxmin", 1.0, 1.0, 1.0),
        ("digits_residual", 30.4950, 99.1545, 32.320_548),
    ]);
}

#[test]
fn larger_sample_models_are_certified() {
    sample_models(&[("digits_relu", 16.0740, 17.7449, 16.087_775), ("digits_groupsort", 0.9826, 1.0, 0.999_625_7)]);
}

fn sample_models(models: &[(&str, f64, f64, f64)]) {
    let mut wrong = Vec::new();
    for &(name, sampled, product, optimum) in models {
        let outcome = common::certify(&common::repository(&format!("models/{name}.onnx"))).unwrap();
        row(name, &outcome, optimum);
        let claim = &outcome.claim;
        let found = [Some(&claim.bound), claim.lower_bound.as_ref(), claim.norm_product.as_ref()];
        let [Some(bound), Some(lower), Some(norm_product)] = found.map(|number| number.map(Number::value)) else {
            wrong.push(format!("{name}: a figure is missing"));
            continue;
        };
        wrong.extend(order(claim));
        for (holds, what) in [
            (bound >= sampled - 1e-4, "the bound is below what was sampled"),
            (bound <= optimum * (1.0 + 1e-4), "the bound is above the relaxation's optimum"),
            (bound >= optimum * (1.0 - 1e-6), "the bound is below the relaxation's optimum"),
            (norm_product <= product + 1e-4, "the norm product is too large"),
            (lower >= 0.9 * sampled, "the lower bound is much smaller than what sampling finds"),
        ] {
            if !holds {
                wrong.push(format!("{name}: {what}: {lower} ≤ {bound} ≤ {norm_product}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tiny_models_are_certified() {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in [("mixed", common::tiny::mixed()), ("linear", common::tiny::linear()), ("wide", common::tiny::wide())] {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let outcome = common::certify(&path).unwrap();
        row(name, &outcome, f64::NAN);
        assert_eq!(order(&outcome.claim), Vec::<String>::new());
        let claim = outcome.claim;
        let (bound, product) = (claim.bound.value(), claim.norm_product.unwrap().value());
        assert!(claim.lower_bound.unwrap().value() > 0.5 * bound, "{name}: the lower bound is far from {bound}");
        if name != "linear" {
            assert!(bound < 0.999 * product, "{name}: a matrix inequality should win over {product}");
        }
    }
}
