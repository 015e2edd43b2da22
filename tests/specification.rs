//! VNN-LIB specifications: every file of the corpus is read, verdicts never contradict what is known, and a witness is one.
//!
//! | test | what it holds |
//! |---|---|
//! | `every_specification_of_the_corpus_is_read` | all files, with the number of cases and boxes they should have |
//! | `no_verdict_contradicts_what_is_known` | attacks and bounds on the corpus against replayed counterexamples and the peers' consensus |

mod common;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use nnverify::onnx::load;
use nnverify::pass::robustness::{SpecificationOptions, SpecificationVerdict, verify_specification};
use nnverify::vnnlib::Specification;

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
fn no_verdict_contradicts_what_is_known() {
    let Some(shared) = common::shared() else { return };
    let mut solved: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let seconds: f64 = std::env::var("NNVERIFY_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0.5);
    let only = std::env::var("NNVERIFY_BENCHMARK").unwrap_or_default();
    for [benchmark, model, spec, expected] in instances(&shared) {
        if !benchmark.contains(&only) {
            continue;
        }
        let model = load(&shared.join("corpus").join(&model)).unwrap();
        let s = Specification::open(&shared.join("corpus").join(&spec)).unwrap();
        s.check_network(&model.input.shape, &model.output.shape).unwrap();
        let options = SpecificationOptions { timeout: Some(Duration::from_secs_f64(seconds)), seed: 0 };
        let start = Instant::now();
        let verdict = verify_specification(&model.network, &s, &options, &mut |_| ()).unwrap();
        let counts = solved.entry(benchmark).or_default();
        counts[2] += 1;
        match verdict {
            SpecificationVerdict::Holds { .. } => {
                assert_eq!(expected, "unsat", "{spec}");
                counts[0] += 1;
            }
            SpecificationVerdict::Violated(found) => {
                assert_eq!(expected, "sat", "{spec}");
                assert!(found.point.len() == model.network.input_size());
                counts[1] += 1;
            }
            SpecificationVerdict::Unknown { open, timed_out } => {
                println!("{spec} ({expected}): {open} open, timed out {timed_out}, {:?}", start.elapsed());
            }
        }
    }
    for (benchmark, [holds, violated, all]) in &solved {
        println!("{benchmark}: {holds} unsat and {violated} sat of {all}");
    }
}
