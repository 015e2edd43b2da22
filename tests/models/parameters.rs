//! Claims about derivatives are claims about the file's function: random graphs over every operator that takes a constant, whose
//! constants reach their uses through movements and folding and have other uses too, against differences of an interpreter that
//! knows nothing of the lowering.
//!
//! | test | what it holds |
//! |---|---|
//! | `the_oracle_agrees_with_onnx_runtime` | the interpreter, on every file of the operator zoo that it covers |
//! | `every_place_freezes_behind_every_chain` | graphs by hand: each place that freezes, behind each kind of chain; those that do not |
//! | `false_certificates_are_refused_and_new_ones_are_true` | `cases/false` of the shared folder |
//! | `measured_losses_of_pruned_files_are_theirs` | what `--pruning` says of the file that it writes |
//! | `claims_about_random_graphs_are_true` | gradients, rows, traces, Gram matrices, residuals, the pass's own derivatives and pruned files of random graphs; frozen tensors are refused by name and none is missing |

mod blocks;
mod builder;
mod cases;
mod claims;
mod constants;
mod differences;
mod enclosed;
mod gates;
mod graphs;
mod integers;
mod layers;
mod movements;
mod newer;
mod normalizations;
mod operators;
mod oracle;
mod places;
mod pruned;
mod random;
mod reductions;
mod table;
mod tally;
mod text;
mod value;
mod windows;

use std::collections::BTreeSet;

use nnverify::kernel::model::onnx::proto::ModelProto;
use nnverify::kernel::model::onnx::supported_operators;
use nnverify::kernel::proof::LossName;
use prost::Message;
use rayon::prelude::*;

use crate::common::zoo::zoo;
use claims::compare;
use differences::Question;
use oracle::Program;
use random::Random;
use tally::Tally;
use value::Found;

/// The program of a model file.
fn program(bytes: &[u8]) -> Found<Program> {
    Program::of(&ModelProto::decode(bytes).map_err(|error| error.to_string())?)
}

#[test]
fn the_oracle_agrees_with_onnx_runtime() {
    let (mut covered, mut left) = (BTreeSet::new(), BTreeSet::new());
    let mut agreeing = 0;
    for case in zoo().into_iter().filter(|case| !case.name.starts_with("refuse/")) {
        let input: Vec<f64> = case.input.iter().copied().map(f64::from).collect();
        let model = ModelProto::decode(&case.model[..]).unwrap();
        // The oracle knows the default domain alone.
        if model.graph.iter().any(|graph| graph.node.iter().any(|node| !node.domain.is_empty())) {
            continue;
        }
        let operators = model.graph.iter().flat_map(|graph| graph.node.iter().map(|node| node.op_type.clone()));
        let operators: Vec<String> = operators.collect();
        let found = Program::of(&model).and_then(|program| {
            let run = program.run(&input)?;
            program.output(&run).map(<[f64]>::to_vec)
        });
        match found {
            Ok(found) => {
                let scale = case.output.iter().fold(1e-3, |scale: f64, &y| scale.max(f64::from(y).abs()));
                assert_eq!(found.len(), case.output.len(), "{}", case.name);
                for (a, &b) in found.iter().zip(&case.output) {
                    let off = (a - f64::from(b)).abs() / scale;
                    assert!(off <= 4e-6, "{}: {a} where ONNX Runtime has {b}", case.name);
                }
                covered.extend(operators);
                agreeing += 1;
            }
            Err(error) => {
                println!("left out: {}: {error}", case.name);
                left.extend(operators);
            }
        }
    }
    let left: Vec<_> = left.difference(&covered).collect();
    println!("{agreeing} files agree, of {} operators; not covered: {left:?}", covered.len());
    assert!(agreeing >= 340 && covered.len() >= 85 && left.is_empty());
}

/// Samples and a loss for a graph with that many outputs.
fn question(program: Program, inputs: Vec<Vec<f64>>, softmax: bool, outputs: usize, random: &mut Random) -> Question {
    let loss = if outputs > 1 && random.chance(0.4) { LossName::CrossEntropy } else { LossName::Mse };
    let labels = inputs.iter().map(|_| random.below(outputs)).collect();
    let targets = inputs.iter().map(|_| (0..outputs).map(|_| random.uniform(-1.0, 1.0)).collect()).collect();
    Question { program, inputs, loss, labels, targets, softmax }
}

/// One random graph.
fn attempt(seed: u64) -> Tally {
    let mut random = Random::new(!seed);
    let width = 2 + random.below(3);
    let samples = 1 + random.below(3);
    let input = |random: &mut Random| -> Vec<f64> {
        (0..width).map(|_| if random.chance(0.05) { random.of(&[0.0, 1.0]) } else { random.uniform(-1.5, 1.5) }).collect()
    };
    let inputs: Vec<Vec<f64>> = (0..samples).map(|_| input(&mut random)).collect();
    let graph = graphs::graph(seed, &inputs[0]);
    let bytes = graph.model.encode_to_vec();
    let name = format!("seed {seed}");
    let program = program(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    let outputs = match program.run(&inputs[0]).and_then(|run| program.output(&run).map(<[f64]>::len)) {
        Ok(outputs) => outputs,
        Err(error) => panic!("{name}: {error}"),
    };
    let question = question(program, inputs, graph.softmax, outputs, &mut random);
    let mut tally = compare(&name, &bytes, &question, &mut random);
    tally.faults.iter_mut().for_each(|fault| *fault = format!("{fault}\n{}\n", text::write(&graph.model)));
    tally
}

#[test]
fn claims_about_random_graphs_are_true() {
    const GRAPHS: u64 = 11_000;
    let begun = std::time::Instant::now();
    let tally = (0..GRAPHS).into_par_iter().map(attempt).reduce(Tally::default, Tally::add);
    println!("{tally}\n{:?}", begun.elapsed());
    tally.faults.iter().take(20).for_each(|fault| println!("{fault}"));
    assert!(tally.faults.is_empty(), "{} false claims, the first: {}", tally.faults.len(), tally.faults[0]);

    // That something was compared.
    assert!(tally.loaded >= 10_000 && tally.frozen >= 9_000 && tally.followed >= 5_000 && tally.refusals >= 40_000);
    let freezing =
        ["Add", "Cast", "Clip", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mul", "Pow", "Sub", "Where"];
    for operator in freezing {
        assert!(tally.frozen_by.get(operator).is_some_and(|&count| count >= 300), "{operator} freezes too little");
    }
    let absent: Vec<_> =
        supported_operators().filter(|name| tally.operators.get(*name).is_none_or(|&files| files < 10)).collect();
    assert!(absent.is_empty(), "in fewer than 10 files: {absent:?}");
    assert!(tally.elements >= 150_000 && tally.traces >= 12_000 && tally.hessian_traces >= 4_000 && tally.residuals >= 24_000);
    assert!(tally.grams >= 12_000 && tally.computed >= 12_000 && tally.pruned >= 10_000);
    // That what could not be compared is rare.
    assert!(100 * tally.wide <= tally.elements && 100 * tally.refined <= tally.elements);
    assert!(100 * tally.refused <= tally.sets && 8 * tally.unprunable <= tally.pruned);
}
