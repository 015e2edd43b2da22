//! ℓ1: against what is known exactly, against second methods, and against what is attained.
//!
//! | test | what it does |
//! |---|---|
//! | `one_layer_has_its_largest_column` | a linear network's constant is its largest absolute column sum |
//! | `the_transposed_network_has_the_same_bound_from_maxima` | ReLU chains: the ℓ∞ bound of the transposed chain, by its own programs |
//! | `a_functional_has_the_largest_of_its_inputs_bounds` | every input alone: the ℓ2 bound of the network with that column alone |
//! | `bounds_lie_between_what_is_attained_and_the_product` | all activations that sort, and implicit and boxed networks |
//! | `altered_witnesses_are_refused` | smaller multipliers, missing inputs, other weights, claims of another norm |
//! | `the_command_line_…` | text, JSON, check, radii of samples, the policy |

use assert_cmd::Command;
use nnverify::autodiff::Linearisation;
use nnverify::kernel::check::check_claim;
use nnverify::kernel::model::ir::{Binary, Function, Network, NetworkBuilder, Op, Source, Tensor, Values};
use nnverify::kernel::proof::{
    Assurance, Bundle, Claim, ClaimKind, Domain, Evidence, Files, Inequality, LipschitzClaim, Norm, Number, Semantics, Vector,
};
use nnverify::kernel::region::bounds::BoxRegion;
use nnverify::pass::lipschitz::{EngineChoice, LipschitzOptions, Outcome, Question, certify};
use serde_json::Value;

/// Uniform numbers in (−1, 1), the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((self.0 >> 33) as u32) / f64::from(1u32 << 30) - 1.0
    }
}

/// A matrix `[inputs, outputs]`, row by row.
#[derive(Clone)]
struct Layer {
    inputs: usize,
    outputs: usize,
    weights: Vec<f64>,
}

impl Layer {
    fn random(inputs: usize, outputs: usize, random: &mut Random) -> Self {
        let weights = (0..inputs * outputs).map(|_| random.next() * (3.0 / inputs as f64).sqrt()).collect();
        Self { inputs, outputs, weights }
    }

    fn transposed(&self) -> Self {
        let entries = (0..self.outputs).flat_map(|j| (0..self.inputs).map(move |i| (i, j)));
        Self {
            inputs: self.outputs,
            outputs: self.inputs,
            weights: entries.map(|(i, j)| self.weights[i * self.outputs + j]).collect(),
        }
    }

    fn rows(&self, range: std::ops::Range<usize>) -> Self {
        let weights = self.weights[range.start * self.outputs..range.end * self.outputs].to_vec();
        Self { inputs: range.len(), weights, ..*self }
    }
}

fn layers(sizes: &[usize], seed: u64) -> Vec<Layer> {
    let mut random = Random(seed);
    sizes.windows(2).map(|ends| Layer::random(ends[0], ends[1], &mut random)).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Activation {
    Relu,
    MaxMin,
    Sorted(usize),
}

/// Linear layers without offsets, with an activation between them.
fn chain(layers: &[Layer], activation: Activation) -> Network {
    let mut builder = NetworkBuilder::new();
    let mut signal = builder.push("x", "", Op::Input, &[], vec![1, 1, layers[0].inputs]).unwrap();
    for (position, layer) in layers.iter().enumerate() {
        let (shape, size) = (vec![1, layer.inputs, layer.outputs], layer.outputs);
        let tensor = Op::Constant(Tensor::new(shape.clone(), layer.weights.clone()).unwrap());
        let weights = builder.push("w", "", tensor, &[], shape).unwrap();
        signal = builder.push("linear", "MatMul", Op::MatMul, &[signal, weights], vec![1, 1, size]).unwrap();
        if position + 1 == layers.len() {
            break;
        }
        let flat = vec![1, 1, size];
        signal = match activation {
            Activation::Relu => builder.push("relu", "Relu", Op::Function(Function::Relu), &[signal], flat).unwrap(),
            Activation::Sorted(group) => {
                let rows = vec![size / group, group];
                let apart = builder.push("rows", "", Op::Reshape, &[signal], rows.clone()).unwrap();
                let sorted = builder.push("sort", "TopK", Op::Sort { descending: false }, &[apart], rows).unwrap();
                builder.push("flat", "", Op::Reshape, &[sorted], flat).unwrap()
            }
            Activation::MaxMin => {
                let mut half = |first: usize| {
                    let sources = (0..size / 2).map(|i| Source { operand: 0, element: (first + i) as u32 }).collect();
                    builder.push("half", "Split", Op::Rearrange(sources), &[signal], vec![1, 1, size / 2]).unwrap()
                };
                let (a, b) = (half(0), half(size / 2));
                let mut of = |op| builder.push("op", "", Op::Binary(op), &[a, b], vec![1, 1, size / 2]).unwrap();
                let (max, min) = (of(Binary::Max), of(Binary::Min));
                let sources =
                    (0..size).map(|i| Source { operand: u32::from(i >= size / 2), element: (i % (size / 2)) as u32 }).collect();
                builder.push("concat", "Concat", Op::Rearrange(sources), &[max, min], flat).unwrap()
            }
        };
    }
    builder.finish(signal).unwrap()
}

fn find(network: &Network, question: &Question, options: &LipschitzOptions) -> Outcome {
    let outcome = certify(network, question, options, &mut |_| ()).unwrap();
    assert_eq!(verdict(network, question, &outcome.claim), Ok(Assurance::Proved));
    outcome
}

fn verdict(network: &Network, question: &Question, claim: &LipschitzClaim) -> Result<Assurance, String> {
    let domain = question.region.as_ref().map_or(Domain::Global, |region| Domain::Box {
        lower: Vector::inline(region.lower()),
        upper: Vector::inline(region.upper()),
    });
    let claim = Claim {
        vacuous: false,
        id: "l1".into(),
        assurance: Assurance::Proved,
        semantics: Semantics::Real,
        domain,
        kind: ClaimKind::Lipschitz(claim.clone()),
    };
    let (bundle, files) = (Bundle::default(), Files::default());
    let evidence = Evidence { network, tensors: &[], bundle: &bundle, files: &files };
    check_claim(&claim, &evidence).map_err(|refusal| refusal.to_string())
}

fn global(network: &Network, norm: Norm) -> LipschitzClaim {
    find(network, &Question::global(norm), &LipschitzOptions::default()).claim
}

#[test]
fn one_layer_has_its_largest_column() {
    for (seed, sizes) in (1..).zip([[3, 2], [2, 5], [7, 1], [1, 4], [40, 12]]) {
        let layers = layers(&sizes, seed);
        let largest = layers[0].weights.chunks(sizes[1]).map(|column| column.iter().map(|w| w.abs()).sum::<f64>());
        let largest = largest.fold(0.0, f64::max);
        let claim = global(&chain(&layers, Activation::Relu), Norm::L1);
        let (bound, lower) = (claim.bound.value(), claim.lower_bound.unwrap().value());
        assert!(bound >= largest * (1.0 - 1e-15) && bound <= largest * (1.0 + 1e-12), "{sizes:?}: {bound} {largest}");
        assert!(lower <= largest * (1.0 + 1e-15) && lower > largest * (1.0 - 1e-6), "{sizes:?}: {lower} {largest}");
    }
    // A chain without activations is one layer: absolute values are above it, the inequality is not.
    let deep = layers(&[6, 5, 4], 9);
    let mut builder = NetworkBuilder::new();
    let mut signal = builder.push("x", "", Op::Input, &[], vec![1, 1, 6]).unwrap();
    for layer in &deep {
        let shape = vec![1, layer.inputs, layer.outputs];
        let tensor = Op::Constant(Tensor::new(shape.clone(), layer.weights.clone()).unwrap());
        let weights = builder.push("w", "", tensor, &[], shape).unwrap();
        signal = builder.push("m", "MatMul", Op::MatMul, &[signal, weights], vec![1, 1, layer.outputs]).unwrap();
    }
    let column = |i: usize| -> f64 {
        let entry = |k: usize| (0..5).map(|j| deep[0].weights[i * 5 + j] * deep[1].weights[j * 4 + k]).sum::<f64>();
        (0..4).map(|k| entry(k).abs()).sum()
    };
    let largest = (0..6).map(column).fold(0.0, f64::max);
    let claim = global(&builder.finish(signal).unwrap(), Norm::L1);
    assert!((claim.bound.value() / largest - 1.0).abs() < 1e-5, "{} {largest}", claim.bound);
    assert!(claim.norm_product.unwrap().value() > largest * 1.01);
}

#[test]
fn the_transposed_network_has_the_same_bound_from_maxima() {
    for (seed, sizes) in (1..).zip([&[5, 6, 4, 3][..], &[3, 8, 2], &[9, 7, 6, 1], &[2, 5, 5, 5, 4]]) {
        let layers = layers(sizes, seed);
        let back: Vec<Layer> = layers.iter().rev().map(Layer::transposed).collect();
        let claim = global(&chain(&layers, Activation::Relu), Norm::L1);
        let transposed = global(&chain(&back, Activation::Relu), Norm::Linf);
        let (one, other) = (claim.bound.value(), transposed.bound.value());
        assert!((one / other - 1.0).abs() < 1e-5, "{sizes:?}: {one} {other}");
        let (one, other) = (claim.norm_product.unwrap().value(), transposed.norm_product.unwrap().value());
        assert!((one / other - 1.0).abs() < 1e-12, "{sizes:?}: products {one} {other}");
    }
}

#[test]
fn a_functional_has_the_largest_of_its_inputs_bounds() {
    for (seed, activation) in (20..).zip([Activation::Relu, Activation::MaxMin, Activation::Sorted(3)]) {
        let layers = layers(&[4, 6, 6, 2], seed);
        let network = chain(&layers, activation);
        let question = Question { norm: Norm::L1, region: None, margins: true };
        let claim = find(&network, &question, &LipschitzOptions::default()).claim;
        assert_eq!(claim.functionals.len(), 3);
        for stated in &claim.functionals {
            // The last layer as the functional alone: one output.
            let last = &layers[2];
            let (plus, minus) = stated.functional.positions();
            let of = |row: usize, column: usize| last.weights[row * last.outputs + column];
            let weights = (0..6).map(|row| of(row, plus) - minus.map_or(0.0, |minus| of(row, minus))).collect();
            let functional = Layer { inputs: 6, outputs: 1, weights };
            let of_input = |input: usize| {
                let first = layers[0].rows(input..input + 1);
                global(&chain(&[first, layers[1].clone(), functional.clone()], activation), Norm::L2).bound.value()
            };
            let largest = (0..4).map(of_input).fold(0.0, f64::max);
            let bound = stated.bound.value();
            assert!((bound / largest - 1.0).abs() < 1e-5, "{}: {bound} {largest}", stated.functional);
            assert!(bound <= claim.bound.value());
        }
    }
}

/// The largest `‖J·e_i‖₁` at random points.
fn sampled(network: &Network, region: Option<&BoxRegion>, random: &mut Random) -> f64 {
    let constants = Values::constants(network).unwrap();
    let (inputs, outputs) = (network.input_size(), network.output_size());
    let mut largest = 0.0f64;
    for _ in 0..300 {
        let point: Vec<f64> = match region {
            Some(region) => {
                region.lower().iter().zip(region.upper()).map(|(l, u)| l + (u - l) * 0.5 * (1.0 + random.next())).collect()
            }
            None => (0..inputs).map(|_| 3.0 * random.next()).collect(),
        };
        let at = Linearisation::new(network, &constants, &point).unwrap();
        let mut sums = vec![0.0; inputs];
        for output in 0..outputs {
            let mut unit = vec![0.0; outputs];
            unit[output] = 1.0;
            sums.iter_mut().zip(at.backward(&unit)).for_each(|(sum, g)| *sum += g.abs());
        }
        largest = sums.into_iter().fold(largest, f64::max);
    }
    largest
}

#[test]
fn bounds_lie_between_what_is_attained_and_the_product() {
    let mut random = Random(5);
    for (seed, (activation, width)) in (40..).zip([
        (Activation::Relu, 8),
        (Activation::MaxMin, 8),
        (Activation::Sorted(4), 8),
        // One group per sort, whose last result is no coordinate: the transposed program does not apply.
        (Activation::Sorted(10), 10),
    ]) {
        let network = chain(&layers(&[5, width, width, 3], seed), activation);
        for region in [None, Some(BoxRegion::around(&[0.3; 5], 0.2).unwrap())] {
            let question = Question { norm: Norm::L1, region: region.clone(), margins: false };
            let outcome = find(&network, &question, &LipschitzOptions::default());
            let bound = outcome.claim.bound.value();
            let attained = sampled(&network, region.as_ref(), &mut random).max(outcome.claim.lower_bound.unwrap().value());
            let product = outcome.claim.norm_product.unwrap().value();
            assert!(attained <= bound * (1.0 + 1e-12) && bound < 0.9 * product, "{attained} {bound} {product}");
            assert!(attained > 0.3 * bound, "{attained} {bound}");
            assert!(!outcome.claim.witness.columns.is_empty());
        }
        // Every engine, and none.
        let with = |engine| {
            let options = LipschitzOptions { engine, ..LipschitzOptions::default() };
            find(&network, &Question::global(Norm::L1), &options).claim.bound.value()
        };
        let (clarabel, interior, product) =
            (with(EngineChoice::Clarabel), with(EngineChoice::InteriorPoint), with(EngineChoice::Product));
        assert!((clarabel / interior - 1.0).abs() < 1e-4, "{clarabel} {interior}");
        assert!(interior < product);
    }
}

#[test]
fn columns_that_are_not_reached_in_time_keep_a_proved_bound() {
    let network = chain(&layers(&[8, 20, 20, 5], 7), Activation::Relu);
    let question = Question::global(Norm::L1);
    let limited = LipschitzOptions { timeout: Some(std::time::Duration::from_nanos(1)), ..LipschitzOptions::default() };
    let (best, hurried) = (find(&network, &question, &LipschitzOptions::default()), find(&network, &question, &limited));
    assert!(best.claim.bound.value() <= hurried.claim.bound.value());
    assert!(hurried.claim.bound.value() <= hurried.claim.norm_product.unwrap().value());
}

/// What is altered, and how.
type Change<'a> = (&'a str, Box<dyn Fn(&mut Inequality) + 'a>);

#[test]
fn altered_witnesses_are_refused() {
    let network = chain(&layers(&[6, 8, 8, 3], 3), Activation::Relu);
    let question = Question { norm: Norm::L1, region: None, margins: true };
    let claim = find(&network, &question, &LipschitzOptions::default()).claim;
    let witness = &claim.witness.columns;
    assert!(!witness.is_empty() && claim.functionals.iter().any(|bound| !bound.columns.is_empty()));
    let values = |vector: &Vector| Bundle::default().resolve(vector).unwrap();
    let scaled = |vector: &Vector, from: usize, factor: f64| {
        let mut values = values(vector);
        values.iter_mut().skip(from).for_each(|value| *value *= factor);
        Vector::inline(&values)
    };
    let largest = |inequality: &Inequality| {
        let all = values(&inequality.input_multipliers);
        (0..all.len()).max_by(|&a, &b| all[a].total_cmp(&all[b])).unwrap()
    };
    let changes: Vec<Change> = vec![
        ("smaller τ", Box::new(|i| i.input_multipliers = scaled(&i.input_multipliers, 0, 1.0 - 1e-5))),
        (
            "one smaller τ",
            Box::new(|i| {
                let at = largest(i);
                let mut values = values(&i.input_multipliers);
                values[at] *= 1.0 - 1e-4;
                i.input_multipliers = Vector::inline(&values);
            }),
        ),
        ("an input uncovered", Box::new(|i| i.input_multipliers = Vector::inline(&values(&i.input_multipliers)[1..]))),
        ("one τ for all", Box::new(|i| i.input_multipliers = Vector::inline(&values(&i.input_multipliers)[..1]))),
        ("no τ", Box::new(|i| i.input_multipliers = Vector::inline(&[]))),
        ("τ zero", Box::new(|i| i.input_multipliers = scaled(&i.input_multipliers, 0, 0.0))),
        ("τ negative", Box::new(|i| i.input_multipliers = scaled(&i.input_multipliers, 0, -1.0))),
        ("τ NaN", Box::new(|i| i.input_multipliers = scaled(&i.input_multipliers, 0, f64::NAN))),
        ("λ halved", Box::new(|i| i.multipliers = scaled(&i.multipliers, 0, 0.5))),
        ("λ doubled", Box::new(|i| i.multipliers = scaled(&i.multipliers, 0, 2.0))),
        ("λ missing", Box::new(|i| i.multipliers = Vector::inline(&values(&i.multipliers)[1..]))),
        ("λ negative", Box::new(|i| i.multipliers = scaled(&i.multipliers, 3, -1.0))),
        ("ω larger", Box::new(|i| i.output_weights = i.output_weights.as_ref().map(|w| scaled(w, 1, 1.01)))),
        ("ω smaller", Box::new(|i| i.output_weights = i.output_weights.as_ref().map(|w| scaled(w, 0, 0.9)))),
        ("ω zero", Box::new(|i| i.output_weights = i.output_weights.as_ref().map(|w| scaled(w, 2, 0.0)))),
        ("ω negative", Box::new(|i| i.output_weights = i.output_weights.as_ref().map(|w| scaled(w, 2, -1.0)))),
        ("ω infinite", Box::new(|i| i.output_weights = i.output_weights.as_ref().map(|w| scaled(w, 2, f64::INFINITY)))),
        ("no ω", Box::new(|i| i.output_weights = None)),
        ("too many ω", Box::new(|i| i.output_weights = Some(Vector::inline(&[1.0; 4])))),
    ];
    for (what, change) in &changes {
        let mut altered = claim.clone();
        altered.witness.columns.iter_mut().for_each(change);
        assert!(verdict(&network, &question, &altered).is_err(), "{what}");
    }
    let refused = |what: &str, change: &dyn Fn(&mut LipschitzClaim)| {
        let mut altered = claim.clone();
        change(&mut altered);
        assert!(verdict(&network, &question, &altered).is_err(), "{what}");
    };
    let lower = |number: &Number| Number::upper(number.value() * (1.0 - 1e-6));
    refused("a smaller bound", &|claim| claim.bound = lower(&claim.bound));
    refused("no witness", &|claim| claim.witness.columns.clear());
    refused("a smaller product", &|claim| claim.norm_product = claim.norm_product.as_ref().map(lower));
    refused("a larger lower bound", &|claim| claim.lower_bound = Some(Number::lower(claim.bound.value() * 1.01)));
    refused("smaller functionals", &|claim| claim.functionals.iter_mut().for_each(|f| f.bound = lower(&f.bound)));
    refused("functionals without witness", &|claim| claim.functionals.iter_mut().for_each(|f| f.columns.clear()));
    refused("functionals with weights of all outputs", &|claim| {
        let weights = claim.witness.columns[0].output_weights.clone();
        claim.functionals.iter_mut().flat_map(|f| &mut f.columns).for_each(|i| i.output_weights = weights.clone());
    });
    refused("another functional's witness", &|claim| {
        let last = claim.functionals.len() - 1;
        claim.functionals[last].functional = nnverify::kernel::proof::Functional { plus: 7, minus: None };
    });
    refused("an inequality for ℓ2", &|claim| claim.witness.inequality = Some(claim.witness.columns[0].clone()));
    refused("an inequality for ℓ∞", &|claim| {
        claim.functionals[0].inequality = Some(claim.witness.columns[0].clone());
    });
    for norm in [Norm::L2, Norm::Linf] {
        refused("another norm", &|claim| claim.norm = norm);
        let mut other = find(&network, &Question { norm, ..question.clone() }, &LipschitzOptions::default()).claim;
        other.norm = Norm::L1;
        assert!(verdict(&network, &question, &other).is_err(), "a claim of {norm:?} as ℓ1");
        other.norm = norm;
        other.witness.columns = claim.witness.columns.clone();
        assert!(verdict(&network, &question, &other).is_err(), "columns in a claim of {norm:?}");
    }
}

fn run(folder: &std::path::Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("verify").unwrap().args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn folder(model: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in [model, "digits_test.npz"] {
        std::fs::copy(format!("models/{name}"), folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn the_command_line_bounds_a_real_model() {
    let folder = folder("digits_maxmin.onnx");
    let command = ["digits_maxmin.onnx", "--lipschitz", "l1", "--certificate", "c.json"];
    let (code, out, error) = run(folder.path(), &command);
    assert_eq!(code, 0, "{error}");
    for word in ["ℓ1 Lipschitz constant", "certified upper bound", "product of absolute values", "y[9]", "attained by two inputs"]
    {
        assert!(out.contains(word), "no `{word}` in {out}");
    }
    let (code, json, error) = run(folder.path(), &[&command[..], &["--output-format", "json", "-q"]].concat());
    assert_eq!(code, 0, "{error}");
    let report: Value = serde_json::from_str(&json).unwrap();
    let claim = &report["claims"][0];
    assert_eq!((&claim["id"], &claim["norm"]), (&"lipschitz-l1".into(), &"l1".into()));
    let number = |field: &str| claim[field]["decimal"].as_str().unwrap().parse::<f64>().unwrap();
    let (bound, lower, product) = (number("bound"), number("lower_bound"), number("norm_product"));
    assert!(lower > 0.6 * bound && lower <= bound && bound < 0.2 * product, "{lower} {bound} {product}");
    assert!(claim["functionals"].as_array().is_some_and(|all| all.len() == 10));
    let (code, out, error) = run(folder.path(), &["check", "c.json", "--model", "digits_maxmin.onnx"]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("`lipschitz-l1` proved") && out.contains("ℓ1 Lipschitz constant is at most"), "{out}");
    let (code, _, error) = run(folder.path(), &["report", "c.json", "--model", "digits_maxmin.onnx", "-o", "report.html"]);
    assert_eq!(code, 0, "{error}");
    assert!(std::fs::read_to_string(folder.path().join("report.html")).unwrap().contains("ℓ1 Lipschitz constant"));
}

#[test]
fn the_command_line_gives_radii_of_samples() {
    let folder = folder("digits_relu.onnx");
    let radii = |norm: &str| -> Vec<f64> {
        let data = ["--per-margin", "--data", "digits_test.npz", "--samples", "20"];
        let common = ["digits_relu.onnx", "--lipschitz", norm, "--output-format", "json", "-q", "--certificate", "c.json"];
        let (code, out, error) = run(folder.path(), &[&common[..], &data].concat());
        assert_eq!(code, 0, "{error}");
        let report: Value = serde_json::from_str(&out).unwrap();
        let section = report["sections"].as_array().and_then(|all| all.iter().find_map(|one| one.get("certified_radii")));
        let radii =
            section.or_else(|| report.pointer("/results/0/certified_radii")).or_else(|| find_key(&report, "certified_radii"));
        radii.unwrap().as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let (one, maximum) = (radii("l1"), radii("linf"));
    assert_eq!((one.len(), maximum.len()), (20, 20));
    // A step of ℓ1 is spread over fewer inputs, so it may be longer; the same samples have one at all.
    assert!(
        one.iter().zip(&maximum).all(|(one, maximum)| (*one > 0.0) == (*maximum > 0.0) && one >= maximum),
        "{one:?} {maximum:?}"
    );
    assert!(one.iter().filter(|radius| **radius > 0.0).count() > 10, "{one:?}");
}

fn find_key<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(key).or_else(|| fields.values().find_map(|value| find_key(value, key))),
        Value::Array(values) => values.iter().find_map(|value| find_key(value, key)),
        _ => None,
    }
}

#[test]
fn the_policy_knows_the_norm_and_refuses_it_for_perturbations() {
    let folder = folder("digits_maxmin.onnx");
    let policy = |rule: &str| {
        let text = format!("[models.digits]\npath = \"digits_maxmin.onnx\"\n\n{rule}\n");
        std::fs::write(folder.path().join("verify.toml"), text).unwrap();
        run(folder.path(), &["gate"])
    };
    let (code, out, error) = policy("[[models.digits.lipschitz]]\nnorm = \"l1\"\nmax-bound = 1000.0");
    assert_eq!(code, 0, "{out} {error}");
    assert!(out.contains("digits.lipschitz-l1.max-bound"), "{out}");
    let robust = "[[models.digits.robustness]]\ndata = \"digits_test.npz\"\nsamples = 3\nnorm = \"l1\"\nepsilon = 0.01\n\
                  min-certified-accuracy = 0.5";
    let (code, _, error) = policy(robust);
    assert!(code == 2 && error.contains("`l2` or `linf`"), "{code} {error}");
}
