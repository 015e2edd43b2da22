//! Measurements of the curvature passes; `benches/curvature.py` puts them beside other tools. One line of JSON each, but for
//! the coverage.
//!
//! ```text
//! cargo bench --bench curvature -- coverage                   intervals on five spectra, 300 repetitions each
//! cargo bench --bench curvature -- machine                    rates: reading memory, matrix products
//! cargo bench --bench curvature -- mfac D M                   M-FAC: seconds, memory, a quadratic form
//! cargo bench --bench curvature -- trace MODEL DATA PRECISION gradient, exact trace, largest eigenvalue
//! ```

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat};
use nnverify::deadline::Deadline;
use nnverify::kernel::model::onnx::load;
use nnverify::kernel::read::data::Dataset;
use nnverify::pass::derivatives::{
    Circuit, Loss, Objective, Panels, Parameters, Precision, Real, Samples, Selection, Targets, dot,
};
use nnverify::pass::hessian::estimate::{Probes, frobenius_norm, trace};
use nnverify::pass::hessian::random::Random;
use nnverify::pass::hessian::spectrum::Lanczos;
use nnverify::pass::mfac::Inverse;
use rayon::prelude::*;

/// Name, is it positive semidefinite, and the eigenvalues.
type Spectrum<'a> = (&'a str, bool, Box<dyn Fn(usize) -> f64>);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["coverage"] => coverage(),
        ["machine"] => machine(),
        ["mfac", d, m] => mfac(d.parse().expect("D is a number"), m.parse().expect("M is a number")),
        ["trace", model, data, "single"] => traces::<f32>(Path::new(model), Path::new(data)),
        ["trace", model, data, "double"] => traces::<f64>(Path::new(model), Path::new(data)),
        _ => eprintln!("coverage | machine | mfac D M | trace MODEL DATA single|double"),
    }
}

/// Shares of intervals that contain the true value; each must be at least 0.95.
fn coverage() {
    const DELTA: f64 = 0.05;
    const REPETITIONS: u64 = 300;
    let d = 300;
    let spectra: [Spectrum; 5] = [
        ("flat", true, Box::new(|_| 1.0)),
        ("one large", true, Box::new(|i| if i == 0 { 100.0 } else { 0.1 })),
        ("power law", true, Box::new(|i| 1.0 / (i + 1) as f64)),
        ("exponential", true, Box::new(|i| 0.9f64.powi(i as i32))),
        ("indefinite", false, Box::new(|i| if i % 2 == 0 { 1.0 } else { -0.8 })),
    ];
    println!("{REPETITIONS} repetitions, δ = {DELTA}, 30 probes; without and with a sketch of 10");
    for (name, semidefinite, value) in spectra {
        let values: Vec<f64> = (0..d).map(value).collect();
        let (sum, norm) = (values.iter().sum::<f64>(), values.iter().map(|v| v * v).sum::<f64>().sqrt());
        let apply = |x: &[f64]| -> Vec<f64> { x.iter().zip(&values).map(|(x, v)| x * v).collect() };
        let mut hits = [0; 3];
        for seed in 0..REPETITIONS {
            for (sketch, hits) in [0, 10].into_iter().zip(&mut hits) {
                let probes = Probes { count: 30, sketch, seed };
                let found = trace(&apply, d, semidefinite, &probes, DELTA, Deadline::NONE).expect("no limit");
                *hits += u32::from(found.lower <= sum && sum <= found.upper);
            }
            let probes = Probes { count: 30, sketch: 0, seed };
            let found = frobenius_norm(&apply, d, &probes, DELTA, Deadline::NONE).expect("no limit");
            hits[2] += u32::from(found.lower <= norm && norm <= found.upper);
        }
        let [plain, sketched, norms] = hits.map(|hits| f64::from(hits) / REPETITIONS as f64);
        println!("{name:12} coverage of the trace {plain:.3}, {sketched:.3}; of the norm {norms:.3}");
        assert!([plain, sketched, norms].iter().all(|share| *share >= 1.0 - DELTA), "{name}");
    }
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = run();
    (result, start.elapsed().as_secs_f64())
}

fn best(repetitions: usize, mut run: impl FnMut()) -> f64 {
    (0..repetitions).map(|_| timed(&mut run).1).fold(f64::INFINITY, f64::min)
}

/// A figure of this process in bytes, where the system has one.
fn status(key: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|word| word.parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes * 1024.0)
}

/// Bytes per second that are read from memory at best, on all threads.
fn read_rate() -> f64 {
    let words: Vec<u64> = (0..1 << 26).into_par_iter().map(|i| i).collect();
    let pieces = words.len() / rayon::current_num_threads();
    let sum = |piece: &[u64]| piece.iter().fold(0u64, |sum, word| sum.wrapping_add(*word));
    8.0 * words.len() as f64 / best(7, || drop(black_box(words.par_chunks(pieces).map(sum).collect::<Vec<_>>())))
}

/// What the memory and the processor give at best, on all threads.
fn machine() {
    let rate = |n: usize, seconds: f64| 2.0 * (n as f64).powi(3) / seconds / 1e9;
    let n = 1536;
    let parallelism = faer::get_global_parallelism();
    let (a, mut c) = (Mat::<f64>::from_fn(n, n, |i, j| (i * 7 + j) as f64 * 1e-3), Mat::<f64>::zeros(n, n));
    let double = best(5, || matmul(c.as_mut(), Accum::Replace, &a, &a, 1.0, parallelism));
    let (a, mut c) = (Mat::<f32>::from_fn(n, n, |i, j| (i * 7 + j) as f32 * 1e-3), Mat::<f32>::zeros(n, n));
    let single = best(5, || matmul(c.as_mut(), Accum::Replace, &a, &a, 1.0, parallelism));
    println!(
        "{{\"threads\": {}, \"read\": {}, \"gigaflops\": {}, \"gigaflops_single\": {}}}",
        rayon::current_num_threads(),
        read_rate() / 1e9,
        rate(n, double),
        rate(n, single)
    );
}

/// Entry `index` of a matrix that other tools can make too: SplitMix64, uniform in `[-1/2, 1/2)`.
fn entry(index: u64) -> f32 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32 - 0.5
}

/// The inverse, and the seconds that it takes once the gradients are there.
fn inverse(d: usize, m: usize, damping: f64) -> (Inverse, f64) {
    let panels = Panels::new(m, d, Precision::Single, usize::MAX).expect("memory");
    (0..m).into_par_iter().for_each(|i| {
        let row: Vec<f32> = (0..d).map(|j| entry((i * d + j) as u64)).collect();
        panels.write(i, &row).expect("memory");
    });
    timed(|| Inverse::new(panels, damping).expect("positive definite"))
}

fn mfac(d: usize, m: usize) {
    let damping = 1e-3;
    // Code and the buffers of matrix products are there before the gradients are.
    drop(inverse(1000, 16, damping));
    let before = status("VmRSS");
    let (inverse, precompute) = inverse(d, m, damping);
    let x = || -> Vec<f64> { (0..d).map(|j| f64::from(entry((m * d + j) as u64))).collect() };
    // The product takes the place of x.
    let mut out = x();
    let ((), first) = timed(|| inverse.product_in_place(black_box(&mut out)).expect("memory"));
    let peak = status("VmHWM") - before;
    let form = dot(&x(), &out);
    // Short ones more often, whatever the vector grows to; the memory is asked at the same time, since others may use it too.
    let repetitions = ((0.5 / first) as usize).clamp(6, 1000);
    let product = best(repetitions, || inverse.product_in_place(black_box(&mut out)).expect("memory")).min(first);
    let read = read_rate() / 1e9;
    // The factor again, on memory that is there: what precomputing costs once the process is warm.
    let warm = best(3, || drop(black_box(inverse.gradients().gram())));
    let diagonal = best(1, || drop(black_box(inverse.diagonal())));
    let x = x();
    let residual = inverse.relative_residual(&inverse.product(&x).expect("memory"), &x).expect("memory");
    println!(
        "{{\"d\": {d}, \"m\": {m}, \"precompute\": {precompute}, \"gram\": {warm}, \"product\": {product}, \"read\": {read}, \"diagonal\": {diagonal}, \
         \"residual\": {residual}, \"form\": {form}, \"peak\": {peak}}}"
    );
}

/// On the samples and labels of a file.
fn traces<T: Real>(path: &Path, data: &Path) {
    let model = load(path).expect("a model");
    let network = &model.network;
    let dataset = Dataset::open(data, None).expect("data");
    let n = dataset.len();
    let parameters = Parameters::of(&model, &Selection::default()).expect("parameters");
    let circuit = Circuit::new(network, Loss::CrossEntropy.output(network).0, parameters).expect("a network");
    let labels = dataset.labels(circuit.outputs()).expect("labels");
    let samples = Samples {
        inputs: (0..n).flat_map(|sample| dataset.input(sample)).collect(),
        targets: Targets::Labels(labels.into_iter().map(|label| label as usize).collect()),
        count: n,
    };
    let before = status("VmRSS");
    // Nothing is kept of earlier passes: a gradient is a forward and a backward pass.
    let objective = Objective::<T>::new(&circuit, Loss::CrossEntropy, &samples, 0).expect("data");
    let gradient = best(5, || drop(black_box(objective.gradient())));
    let norms = objective.root_norms(Deadline::NONE).expect("no limit");
    let seconds = best(5, || drop(black_box(objective.root_norms(Deadline::NONE))));
    let trace = norms.iter().flatten().sum::<f64>() / n as f64;
    let start = Random::new(4, 0).normals(circuit.dimension());
    // As far as the relative change that PyHessian stops at.
    let mut last = f64::INFINITY;
    let (space, lanczos) = timed(|| {
        Lanczos::run(
            |x| objective.hessian_product(x),
            start,
            100,
            |space| {
                let top = space.extremes().map_or(f64::NAN, |[_, (top, _)]| top);
                let settled = (top - last).abs() <= 1e-3 * top.abs();
                last = top;
                settled
            },
        )
    });
    let (top, rest) = space.extremes().map_or((f64::NAN, f64::NAN), |[_, found]| found);
    println!(
        "{{\"d\": {}, \"n\": {n}, \"gradient\": {gradient}, \"trace\": {trace}, \"trace_seconds\": {seconds}, \"lambda_max\": {top}, \
         \"lambda_residual\": {rest}, \"lambda_seconds\": {lanczos}, \"products\": {}, \"peak\": {}}}",
        circuit.dimension(),
        space.steps(),
        status("VmHWM") - before
    );
}
