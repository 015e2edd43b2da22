//! Implicit networks `z = φ(W z + U x + b)`, `y = C z + d`.
//!
//! | what | against |
//! |---|---|
//! | bounds of diagonal equations | closed forms |
//! | random well-posed networks, several activations, both norms | sampled Jacobians and pairs; re-proved from the file |
//! | Clarabel | the interior point |
//! | equations with no or several solutions | refused, whatever the norm |
//! | altered certificates, claims of other kinds | refused |
//! | the command line on the sample model | JSON, text, exit codes |
//! | certified radii of samples of real data | moved samples keep their class |
//!
//! 20 random networks by default, as many as `NNVERIFY_CAMPAIGN` says otherwise.

use std::path::Path;
use std::process::Command;

use crate::common;
use crate::common::{check, identity, repository};
use nnverify::autodiff::Linearisation;
use nnverify::kernel::model::implicit::SCHEMA;
use nnverify::kernel::model::ir::{Network, Values, evaluate};
use nnverify::kernel::model::onnx::{Model, load, load_bytes};
use nnverify::kernel::proof::{
    Assurance, Bundle, Certificate, Claim, ClaimKind, Domain, Inequality, Norm, Number, Semantics, Vector,
};
use nnverify::kernel::read::data::Dataset;
use nnverify::pass::lipschitz::{EngineChoice, LipschitzError, LipschitzOptions, Outcome, Question, certify};
use serde_json::{Value, json};

struct Random(u64);

impl Random {
    /// In (−1, 1).
    fn signed(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    }

    fn matrix(&mut self, rows: usize, columns: usize, scale: f64) -> Vec<Vec<f64>> {
        (0..rows).map(|_| (0..columns).map(|_| scale * self.signed()).collect()).collect()
    }
}

fn model(activation: &Value, w: &[Vec<f64>], u: &[Vec<f64>], c: &[Vec<f64>], b: &[f64]) -> Model {
    let text = json!({"schema": SCHEMA, "activation": activation, "W": w, "U": u, "C": c, "b": b}).to_string();
    load_bytes(text.as_bytes()).unwrap()
}

fn find(model: &Model, norm: Norm, engine: EngineChoice) -> Result<Outcome, LipschitzError> {
    let options = LipschitzOptions { engine, ..LipschitzOptions::default() };
    certify(&model.network, &Question::global(norm), &options, &mut |_| ())
}

fn claim(outcome: &Outcome) -> Claim {
    Claim {
        vacuous: false,
        id: "lipschitz".to_owned(),
        assurance: Assurance::Proved,
        semantics: Semantics::Real,
        domain: Domain::Global,
        kind: ClaimKind::Lipschitz(outcome.claim.clone()),
    }
}

fn accepted(model: &Model, claim: Claim) -> bool {
    let (certificate, bundle) = Certificate::new(identity(model), vec![claim], None).seal();
    check(&certificate, &bundle, model).is_ok()
}

/// Monotone feedback for slopes in `[0, 1]`, or a contraction; on demand in units in which equal multipliers do not do.
fn feedback(random: &mut Random, n: usize, contraction: bool, uneven: bool) -> Vec<Vec<f64>> {
    let (a, s) = (random.matrix(n, n, 0.8), random.matrix(n, n, 0.8));
    let entry = |i: usize, j: usize| {
        if contraction {
            return 0.9 * a[i][j] / n as f64;
        }
        let square: f64 = (0..n).map(|k| a[k][i] * a[k][j]).sum();
        (if i == j { 0.6 } else { 0.0 }) - square + s[i][j] - s[j][i]
    };
    let unit = |i: usize| if uneven { 12f64.powi(i as i32 % 3) } else { 1.0 };
    (0..n).map(|i| (0..n).map(|j| entry(i, j) * unit(i) / unit(j)).collect()).collect()
}

fn size(norm: Norm, x: &[f64]) -> f64 {
    match norm {
        Norm::L1 => x.iter().map(|x| x.abs()).sum(),
        Norm::L2 => x.iter().map(|x| x * x).sum::<f64>().sqrt(),
        Norm::Linf => x.iter().fold(0.0, |max: f64, x| max.max(x.abs())),
    }
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// The largest quotient that directions at sampled points, and pairs of points, attain.
fn sampled(network: &Network, norm: Norm, random: &mut Random) -> f64 {
    let constants = Values::constants(network).unwrap();
    let inputs = network.input_size();
    let mut largest: f64 = 0.0;
    for _ in 0..40 {
        let scale = 4f64.powf(2.0 * random.signed());
        let x: Vec<f64> = (0..inputs).map(|_| scale * random.signed()).collect();
        let at = Linearisation::new(network, &constants, &x).unwrap();
        let mut d: Vec<f64> = (0..inputs).map(|_| random.signed()).collect();
        for _ in 0..12 {
            let image = at.forward(&d);
            largest = largest.max(size(norm, &image) / size(norm, &d));
            let pulled = at.backward(&image);
            if size(Norm::L2, &pulled) == 0.0 {
                break;
            }
            let scale = size(Norm::L2, &pulled);
            let peak = size(Norm::Linf, &pulled);
            let next = |p: &f64| match norm {
                Norm::L1 => f64::from(u8::from(p.abs() == peak)),
                Norm::L2 => p / scale,
                Norm::Linf => p.signum(),
            };
            d = pulled.iter().map(next).collect();
        }
        for step in [1.0, 0.1] {
            let y: Vec<f64> = x.iter().zip(&d).map(|(x, d)| x + step * scale * d).collect();
            let change = difference(&evaluate(network, &x).unwrap(), &evaluate(network, &y).unwrap());
            largest = largest.max(size(norm, &change) / size(norm, &difference(&x, &y)));
        }
    }
    largest
}

#[test]
fn diagonal_equations_have_their_closed_form() {
    // z = relu(wz + ux): slope u/(1 − w) where it is active.
    let (w, u) = ([0.5, -3.0, 0.0], [1.0, 8.0, -1.5]);
    let diagonal = |values: &[f64; 3]| -> Vec<Vec<f64>> {
        (0..3).map(|i| (0..3).map(|j| if i == j { values[i] } else { 0.0 }).collect()).collect()
    };
    let (feedback, input, identity) = (diagonal(&w), diagonal(&u), diagonal(&[1.0; 3]));
    let model = model(&json!({"name": "Relu"}), &feedback, &input, &identity, &[0.5; 3]);
    // The outputs are apart: all norms have the largest slope, 1/(1 − 0.5) and 8/4.
    for norm in [Norm::L1, Norm::L2, Norm::Linf] {
        let outcome = find(&model, norm, EngineChoice::Auto).unwrap();
        let (bound, lower) = (outcome.claim.bound.value(), outcome.claim.lower_bound.as_ref().unwrap().value());
        assert!((2.0..2.0 + 1e-5).contains(&bound) && (2.0 - 1e-9..=2.0).contains(&lower), "{norm:?}: {lower} {bound}");
        assert!(outcome.claim.well_posed && accepted(&model, claim(&outcome)));
    }
}

#[test]
fn no_bound_lies_below_what_random_networks_attain() {
    let activations = [
        json!({"name": "Relu"}),
        json!({"name": "Tanh"}),
        json!({"name": "LeakyRelu", "alpha": 0.125}),
        json!({"name": "Softplus"}),
        json!({"name": "Sigmoid"}),
        json!({"name": "Elu", "alpha": 1.0}),
        json!({"name": "Abs"}),
        json!({"name": "Gelu"}),
        json!({"name": "Silu"}),
        json!({"name": "Sin"}),
    ];
    let (mut networks, mut pairs, mut share) = (0, 0, 0.0);
    let count = std::env::var("NNVERIFY_CAMPAIGN").ok().and_then(|count| count.parse().ok()).unwrap_or(20);
    for seed in 0..count {
        let mut random = Random(7919 * seed + 1);
        let activation = &activations[seed as usize % activations.len()];
        let contraction = !["Relu", "Tanh", "Softplus", "Elu"].contains(&activation["name"].as_str().unwrap());
        let (n, inputs, outputs) = (3 + seed as usize % 5, 1 + seed as usize % 4, 1 + seed as usize % 3);
        let w = feedback(&mut random, n, contraction, seed % 3 == 0);
        let (u, c) = (random.matrix(n, inputs, 1.0), random.matrix(outputs, n, 1.0));
        let b: Vec<f64> = (0..n).map(|_| random.signed()).collect();
        let model = model(activation, &w, &u, &c, &b);
        for norm in [Norm::L1, Norm::L2, Norm::Linf] {
            let outcome = find(&model, norm, EngineChoice::Auto).unwrap_or_else(|e| panic!("{seed} {activation}: {e}"));
            let (bound, attained) = (outcome.claim.bound.value(), sampled(&model.network, norm, &mut random));
            assert!(attained <= bound * (1.0 + 1e-9), "{seed} {activation} {norm:?}: {attained} > {bound}");
            if let Some(lower) = &outcome.claim.lower_bound {
                assert!(lower.value() <= bound, "{seed} {activation}");
                pairs += 1;
            }
            assert!(accepted(&model, claim(&outcome)), "{seed} {activation} {norm:?}");
            share += attained / bound;
            networks += 1;
        }
    }
    println!(
        "{networks} bounds, 0 violations, attained/bound {:.3} on average, {pairs} with a certified pair",
        share / f64::from(networks)
    );
    assert!(pairs >= networks / 2, "{pairs}");
}

#[test]
fn the_engines_agree() {
    for (seed, name) in (1..).zip(["Relu", "Tanh", "Softplus"]) {
        let mut random = Random(seed);
        let w = feedback(&mut random, 8, false, seed == 2);
        let (u, c) = (random.matrix(8, 4, 1.0), random.matrix(3, 8, 1.0));
        let model = model(&json!({"name": name}), &w, &u, &c, &[0.0; 8]);
        for norm in [Norm::L1, Norm::L2, Norm::Linf] {
            let bound = |engine| find(&model, norm, engine).unwrap().claim.bound.value();
            let (clarabel, interior) = (bound(EngineChoice::Clarabel), bound(EngineChoice::InteriorPoint));
            assert!((clarabel / interior - 1.0).abs() < 2e-6, "{name} {norm:?}: {clarabel} {interior}");
        }
    }
}

#[test]
fn equations_that_are_not_well_posed_get_no_bound() {
    let one = vec![vec![1.0]];
    let symmetric = vec![vec![0.0, 1.5], vec![1.5, 0.0]];
    for (w, u, c) in [
        (vec![vec![1.5]], one.clone(), one.clone()),
        (vec![vec![1.0]], one.clone(), one.clone()),
        (symmetric, vec![vec![1.0], vec![1.0]], vec![vec![1.0, 1.0]]),
    ] {
        let model = model(&json!({"name": "Relu"}), &w, &u, &c, &vec![0.0; w.len()]);
        for norm in [Norm::L1, Norm::L2, Norm::Linf] {
            for engine in [EngineChoice::Auto, EngineChoice::Clarabel, EngineChoice::InteriorPoint, EngineChoice::Product] {
                let error = find(&model, norm, engine).unwrap_err();
                assert_eq!(error, LipschitzError::IllPosed { node: "z".to_owned() }, "{w:?}");
            }
        }
    }
}

#[test]
fn altered_certificates_are_refused() {
    let mut random = Random(3);
    let w = feedback(&mut random, 4, false, false);
    let (u, c) = (random.matrix(4, 3, 1.0), random.matrix(2, 4, 1.0));
    let model = model(&json!({"name": "Relu"}), &w, &u, &c, &[0.1, -0.2, 0.3, 0.0]);
    let outcome = find(&model, Norm::L2, EngineChoice::InteriorPoint).unwrap();
    let original = claim(&outcome);
    assert!(accepted(&model, original.clone()));
    let altered = |alter: &dyn Fn(&mut nnverify::kernel::proof::LipschitzClaim)| {
        let mut claim = original.clone();
        let ClaimKind::Lipschitz(lipschitz) = &mut claim.kind else { panic!("another kind") };
        alter(lipschitz);
        accepted(&model, claim)
    };
    let values = |vector: &Vector| Bundle::default().resolve(vector).unwrap();
    let inequality = |lipschitz: &mut nnverify::kernel::proof::LipschitzClaim, change: &dyn Fn(&mut Inequality)| {
        change(lipschitz.witness.inequality.as_mut().unwrap());
    };
    assert!(!altered(&|l| l.well_posed = false));
    assert!(!altered(&|l| l.bound = Number::upper(l.bound.value() * 0.999)));
    // Without the whole network's inequality only the product of the parts' constants is proved.
    assert!(!altered(&|l| l.witness.inequality = None));
    for group in 0..4 {
        for factor in [0.0, 1e-6, 1e6] {
            assert!(!altered(&|l| inequality(l, &|i| {
                let mut multipliers = values(&i.multipliers);
                multipliers[group] *= factor;
                i.multipliers = Vector::inline(&multipliers);
            })));
        }
    }
    assert!(!altered(&|l| inequality(l, &|i| i.multipliers = Vector::inline(&[0.0; 4]))));
    assert!(!altered(&|l| inequality(l, &|i| i.input_multipliers = Vector::inline(&[f64::INFINITY]))));
    // The same certificate says nothing about an equation that has no solution, whatever its bound.
    let scaled: Vec<Vec<f64>> = w.iter().map(|row| row.iter().map(|x| 8.0 * x.abs()).collect()).collect();
    let other = self::model(&json!({"name": "Relu"}), &scaled, &u, &c, &[0.1, -0.2, 0.3, 0.0]);
    let mut generous = original.clone();
    if let ClaimKind::Lipschitz(lipschitz) = &mut generous.kind {
        lipschitz.bound = Number::upper(1e9);
        inequality(lipschitz, &|i| i.input_multipliers = Vector::inline(&[1e17]));
        (lipschitz.norm_product, lipschitz.lower_bound, lipschitz.witness.pair) = (None, None, None);
        lipschitz.witness.parts.clear();
    }
    assert!(accepted(&model, generous.clone()) && !accepted(&other, generous));
    // For ℓ1 it is the inequalities of the columns that show it well posed: without them no bound holds, however large.
    let mut columns = find(&model, Norm::L1, EngineChoice::InteriorPoint).unwrap();
    assert!(accepted(&model, claim(&columns)));
    columns.claim.bound = Number::upper(1e9);
    (columns.claim.norm_product, columns.claim.lower_bound, columns.claim.witness.pair) = (None, None, None);
    columns.claim.functionals.clear();
    assert!(accepted(&model, claim(&columns)));
    columns.claim.witness.columns.clear();
    assert!(!accepted(&model, claim(&columns)));
}

/// `verify` with arguments; its exit code, output and errors.
fn verify(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_verify")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_command_line_treats_the_sample_model() {
    let directory = tempfile::tempdir().unwrap();
    let path = repository("models/digits_equilibrium.json");
    let path = path.to_str().unwrap();
    let certificate = directory.path().join("c.json");
    let certificate = certificate.to_str().unwrap();
    let (code, out, error) = verify(&[path, "--lipschitz", "l2", "--certificate", certificate]);
    assert_eq!(code, Some(0), "{out}{error}");
    assert!(out.contains("well posed") && out.contains("exactly one solution for every input"), "{out}");
    let (code, out, error) = verify(&["check", certificate, "--model", path]);
    assert_eq!(code, Some(0), "{out}{error}");
    assert!(out.contains("exactly one solution for every input, and the ℓ2 Lipschitz constant is at most"), "{out}");
    let (code, out, error) = verify(&[path, "--lipschitz", "linf", "--certificate", certificate, "--output-format", "json"]);
    assert_eq!(code, Some(0), "{out}{error}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert!(out.contains("\"well_posed\": true"), "{report}");
    let (code, out, _) = verify(&["report", certificate, "--model", path, "--format", "markdown"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("exactly one solution"), "{out}");
    let (code, out, _) = verify(&["inspect", path]);
    assert_eq!(code, Some(0));
    for expected in [
        "implicit network (JSON)",
        "Equilibrium ×1",
        "groups      20 from `z`",
        "certifiable lipschitz l2",
        "cannot      robust: node `z` (Equilibrium) is an implicit equation",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    // What cannot treat it says so by name.
    let data = repository("models/digits_test.npz");
    let data = data.to_str().unwrap();
    for arguments in [
        &[path, "--robust", "--data", data, "--eps", "0.01", "--norm", "linf"][..],
        &[path, "--tightness", "--data", data, "--eps", "0.01"],
        &[path, "--hessian-trace", "--data", data, "--loss", "mse"],
        &[path, "--lipschitz", "l2", "--region", "0,1"],
    ] {
        let (code, out, error) = verify(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {out}{error}");
        assert!(error.contains("`z` (Equilibrium)") && error.contains("implicit equation"), "{arguments:?}: {error}");
    }
    let broken = directory.path().join("broken.json");
    std::fs::write(&broken, "{\"schema\": \"nnverify-implicit/1\", \"bias\": []}").unwrap();
    let (code, _, error) = verify(&[broken.to_str().unwrap(), "--lipschitz", "l2"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("unknown field `bias`") && error.contains("verify schema implicit-model"), "{error}");
    let ill = json!({"schema": SCHEMA, "activation": {"name": "Relu"}, "W": [[1.5]], "U": [[1]], "C": [[1]]});
    std::fs::write(&broken, ill.to_string()).unwrap();
    let (code, _, error) = verify(&[broken.to_str().unwrap(), "--lipschitz", "l2"]);
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("well-posedness could not be certified"), "{error}");
    // Limits cost tightness, not well-posedness.
    for limit in ["--timeout", "--memory"] {
        let (code, out, error) = verify(&[path, "--lipschitz", "l2", limit, "0.000001", "--certificate", certificate]);
        assert_eq!(code, Some(0), "{limit}: {out}{error}");
    }
}

#[test]
fn samples_keep_their_class_within_their_radius() {
    let (path, data) = (repository("models/digits_equilibrium.json"), repository("models/digits_test.npz"));
    let [path, data] = [&path, &data].map(|path| path.to_str().unwrap());
    let arguments = [path, "--lipschitz", "l2", "--per-margin", "--data", data, "--samples", "12", "--output-format", "json"];
    let (code, out, error) = verify(&arguments);
    assert_eq!(code, Some(0), "{out}{error}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let radii = report["sections"][0]["certified_radii"].as_array().unwrap_or_else(|| panic!("{report}"));
    assert_eq!(radii.len(), 12);
    let network = load(Path::new(path)).unwrap().network;
    let dataset = Dataset::open(Path::new(data), None).unwrap();
    let labels = dataset.labels(network.output_size()).unwrap();
    let class = |x: &[f64]| {
        let y = evaluate(&network, x).unwrap();
        (0..y.len()).max_by(|&i, &j| y[i].total_cmp(&y[j])).unwrap()
    };
    let (mut random, mut positive) = (Random(5), 0);
    for (sample, radius) in radii.iter().map(|radius| radius.as_f64().unwrap()).enumerate() {
        let (x, label) = (dataset.input(sample), labels[sample] as usize);
        assert!(radius == 0.0 || class(&x) == label, "{sample}");
        positive += usize::from(radius > 0.0);
        for _ in 0..20 {
            let d: Vec<f64> = x.iter().map(|_| random.signed()).collect();
            let length = size(Norm::L2, &d);
            let moved: Vec<f64> = x.iter().zip(&d).map(|(x, d)| x + 0.999 * radius * d / length).collect();
            assert!(radius == 0.0 || class(&moved) == label, "{sample} {radius}");
        }
    }
    assert!(positive >= 9, "{positive}");
}

#[test]
fn the_schema_is_the_one_in_the_repository_and_fits_the_sample() {
    let (code, out, _) = verify(&["schema", "implicit-model"]);
    assert_eq!(code, Some(0));
    let kept = std::fs::read_to_string(repository("schemas/implicit-model.schema.json")).unwrap();
    assert_eq!(out, kept, "`verify schema implicit-model` no longer prints schemas/implicit-model.schema.json");
    let schema: Value = serde_json::from_str(&kept).unwrap();
    let sample = std::fs::read_to_string(repository("models/digits_equilibrium.json")).unwrap();
    let sample: Value = serde_json::from_str(&sample).unwrap();
    assert_eq!(common::schema::violations(&schema, &sample), Vec::<String>::new());
    assert!(!common::schema::violations(&schema, &json!({"schema": SCHEMA})).is_empty());
}
