//! Backward bounds of networks on boxes, one line of JSON for each; `benches/bounds.py` puts auto_LiRPA beside them.
//!
//! ```text
//! cargo bench --bench bounds -- MODEL BOX LABEL [ROWS NODES]
//! ```
//!
//! `BOX` is an array of float32 whose second and third rows are the corners; the rows are the margins of `LABEL`. With `ROWS`
//! and `NODES` so many ascent steps of slopes are spent on the rows and on every refined node. Seconds are CPU seconds of
//! one thread; the peak of memory is that of the whole process, the file's decoding included.

use std::path::Path;
use std::time::Instant;

use ndarray_npy::ReadNpyExt;
use nnverify::kernel::model::onnx::load;
use nnverify::kernel::region::bounds::{
    BoxRegion, Hints, LinearBounds, LinearRows, Phases, Refinement, Region, Semantics, Subproblem,
};
use nnverify::pass::bounds::{Effort, Wide, optimise};
use serde_json::json;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let count = |word: &str| word.parse::<usize>().expect("a count");
    match words[..] {
        [model, corners, label] => bounds(Path::new(model), Path::new(corners), count(label), None),
        [model, corners, label, rows, nodes] => {
            let effort = Effort { rows: count(rows), nodes: count(nodes) };
            bounds(Path::new(model), Path::new(corners), count(label), Some(effort));
        }
        _ => eprintln!("MODEL BOX LABEL [ROWS NODES]"),
    }
}

fn region(path: &Path) -> Region {
    let rows = ndarray::Array2::<f32>::read_npy(std::fs::File::open(path).expect("the box")).expect("an array");
    let row = |i: usize| rows.row(i).iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    BoxRegion::new(row(1), row(2)).expect("a box").into()
}

/// CPU seconds of this process: what `/proc` says, with the resolution of its clock; the wall's where there is none.
fn cpu_seconds(since: Instant) -> f64 {
    let statistics = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = statistics.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    nanoseconds.map_or_else(|| since.elapsed().as_secs_f64(), |n| n * 1e-9)
}

/// Most memory this process has held, in MiB.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

fn bounds(model: &Path, corners: &Path, label: usize, effort: Option<Effort>) {
    let model = load(model).expect("a model");
    let region = region(corners);
    let rows = LinearRows::margins(model.network.output_size(), label);
    let start = Instant::now();
    let begun = cpu_seconds(start);
    let prepared = LinearBounds::new(&model.network, Semantics::Real).expect("bounds");
    let build = cpu_seconds(start) - begun;
    let mut seconds = f64::INFINITY;
    let mut margins = Vec::new();
    let mut checked = None;
    // The clock ticks every few milliseconds: the mean of as many runs as take a third of a second, the best of three.
    for _ in 0..if effort.is_some() { 1 } else { 3 } {
        let begun = cpu_seconds(start);
        if let Some(effort) = effort {
            let found = optimise(&prepared, &region, &Phases::new(), &rows, effort, &Wide::default()).expect("bounds");
            seconds = seconds.min(cpu_seconds(start) - begun);
            let problem = Subproblem { region: region.clone(), phases: Phases::new(), rows: rows.clone() };
            let begun = cpu_seconds(start);
            let again = prepared.lower_bounds(&problem, &found.hints).expect("bounds");
            checked = Some(cpu_seconds(start) - begun);
            assert!(again.iter().zip(&found.bounds).all(|(a, b)| (a - b).abs() <= 1e-9 * (1.0 + b.abs())));
            margins = again;
        } else {
            let (mut runs, mut spent) = (0, 0.0);
            while spent < 0.33 {
                let none = Hints::default();
                let analysis =
                    prepared.analyse(&region, &Phases::new(), Refinement::Backward, &none, &Wide::default()).expect("bounds");
                margins = analysis.lower_bounds(&rows, &Hints::default(), &Wide::default());
                runs += 1;
                spent = cpu_seconds(start) - begun;
            }
            seconds = seconds.min(spent / f64::from(runs));
        }
    }
    let line = json!({ "margins": margins, "build_s": build, "seconds": seconds, "check_s": checked, "peak_mib": peak() });
    println!("{line}");
}
