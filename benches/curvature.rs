//! Measurements of the curvature passes; `benches/curvature.py` puts them beside other tools.
//!
//! ```text
//! cargo bench --bench curvature -- coverage              intervals on five spectra, 300 repetitions each
//! cargo bench --bench curvature -- mfac D M              one line of JSON: seconds and rates of M-FAC
//! cargo bench --bench curvature -- trace MODEL N         one line of JSON: gradient, exact trace, largest eigenvalue
//! ```

use std::path::Path;
use std::time::Instant;

use nnverify::onnx::load;
use nnverify::pass::derivatives::{Circuit, Loss, Objective, Panels, Parameters, Precision, Samples, Selection, Targets};
use nnverify::pass::hessian::estimate::{Probes, frobenius_norm, trace};
use nnverify::pass::hessian::random::Random;
use nnverify::pass::hessian::spectrum::Lanczos;
use nnverify::pass::mfac::Inverse;

/// Name, is it positive semidefinite, and the eigenvalues.
type Spectrum<'a> = (&'a str, bool, Box<dyn Fn(usize) -> f64>);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["coverage"] => coverage(),
        ["mfac", d, m] => mfac(d.parse().expect("D is a number"), m.parse().expect("M is a number")),
        ["trace", model, n] => traces(Path::new(model), n.parse().expect("N is a number")),
        _ => eprintln!("coverage | mfac D M | trace MODEL N"),
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
    for (name, semidefinite, value) in spectra {
        let values: Vec<f64> = (0..d).map(value).collect();
        let (sum, norm) = (values.iter().sum::<f64>(), values.iter().map(|v| v * v).sum::<f64>().sqrt());
        let apply = |x: &[f64]| -> Vec<f64> { x.iter().zip(&values).map(|(x, v)| x * v).collect() };
        let (mut traces, mut norms) = (0, 0);
        for seed in 0..REPETITIONS {
            let probes = Probes { count: 30, sketch: 10, seed };
            let found = trace(&apply, d, semidefinite, &probes, DELTA);
            traces += u32::from(found.lower <= sum && sum <= found.upper);
            let found = frobenius_norm(&apply, d, &probes, DELTA);
            norms += u32::from(found.lower <= norm && norm <= found.upper);
        }
        let share = |hits: u32| f64::from(hits) / REPETITIONS as f64;
        println!("{name:12} coverage of the trace {:.3}, of the norm {:.3}", share(traces), share(norms));
        assert!(share(traces) >= 1.0 - DELTA && share(norms) >= 1.0 - DELTA, "{name}");
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

fn mfac(d: usize, m: usize) {
    let damping = 1e-3;
    let panels = Panels::new(m, d, Precision::Single, usize::MAX).expect("memory");
    (0..m).for_each(|i| panels.write(i, &Random::new(1, i as u64).normals(d)).expect("memory"));
    let (inverse, precompute) = timed(|| Inverse::new(panels, damping).expect("positive definite"));
    let x = Random::new(2, 0).normals(d);
    let product = best(5, || drop(inverse.product(&x)));
    let diagonal = best(1, || drop(inverse.diagonal()));
    let residual = inverse.relative_residual(&inverse.product(&x).expect("memory"), &x).expect("memory");
    let bytes = 2.0 * (4 * d * m) as f64;
    let flops = (d * m) as f64 * m as f64;
    println!(
        "{{\"d\": {d}, \"m\": {m}, \"precompute\": {precompute}, \"product\": {product}, \"diagonal\": {diagonal}, \
         \"residual\": {residual}, \"gigabytes_per_second\": {}, \"gigaflops\": {}}}",
        bytes / product / 1e9,
        flops / precompute / 1e9
    );
}

/// On standard normal inputs and labels by position.
fn traces(path: &Path, n: usize) {
    let model = load(path).expect("a model");
    let network = &model.network;
    let outputs = network.output_size();
    let samples = Samples {
        inputs: Random::new(3, 0).normals(n * network.input_size()),
        targets: Targets::Labels((0..n).map(|i| i % outputs).collect()),
        count: n,
    };
    let parameters = Parameters::of(&model, &Selection::default()).expect("parameters");
    let circuit = Circuit::new(network, Loss::CrossEntropy.output(network).0, parameters).expect("a network");
    let objective = Objective::new(&circuit, Loss::CrossEntropy, &samples, 0).expect("data");
    let gradient = best(3, || drop(objective.gradient()));
    let (norms, seconds) = timed(|| objective.root_norms());
    let seconds = seconds.min(best(2, || drop(objective.root_norms())));
    let trace = norms.iter().flatten().sum::<f64>() / n as f64;
    let start = Random::new(4, 0).normals(circuit.dimension());
    let (space, lanczos) = timed(|| Lanczos::run(|x| objective.hessian_product(x), start, 20, |_| false));
    let top = space.extremes().map_or(f64::NAN, |[_, (top, _)]| top);
    println!(
        "{{\"d\": {}, \"n\": {n}, \"gradient\": {gradient}, \"trace\": {trace}, \"trace_seconds\": {seconds}, \
         \"lambda_max\": {top}, \"hessian_product\": {}}}",
        circuit.dimension(),
        lanczos / 20.0
    );
}
