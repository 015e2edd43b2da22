//! How far two networks are apart, against sampling of both, and claims that were changed.
//!
//! | test | what it holds |
//! |---|---|
//! | `bounds_hold_where_both_networks_are_sampled` | around samples and on a box, in both arithmetics; what is attained is; classes are the same where they are said to be |
//! | `a_network_is_no_distance_from_itself` | another name, the same function: no more than rounding |
//! | `a_limit_is_proved_or_refuted` | verdicts, each with the number that decides |
//! | `changed_claims_are_refused` | other numbers, points, classes, pairs, a third network |
//! | `other_interfaces_and_questions_are_refused` | an error that names the file and what differs |
//! | `specifications_about_two_networks` | VNN-LIB 2.0 with two networks: verdicts, certificates, what is not supported |
//! | `pruned_aircraft_networks` | `corpus/vnnlib2`: what is violated is found, nothing is proved below what sampling attains |

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prost::Message;

use crate::common;
use nnverify::kernel::check::check;
use nnverify::kernel::model::ir::{Network, evaluate};
use nnverify::kernel::model::onnx::load;
use nnverify::kernel::model::onnx::proto::ModelProto;
use nnverify::kernel::proof::{
    Bundle, Certificate, ClaimKind, DeviationClaim, Files, Norm, Number, Perturbation, Semantics, Vector,
};
use nnverify::kernel::read::data::Dataset;
use nnverify::query::{
    Answer, DeviationQuery, FirstNetwork, Inputs, Limits, Outcome, Query, QueryError, Region, Samples, SpecificationQuery,
    Subjects, answer, evidence, seal,
};

fn model(name: &str) -> PathBuf {
    common::repository(&format!("models/{name}"))
}

fn limits(seconds: u64) -> Limits {
    Limits { time: Some(Duration::from_secs(seconds)), ..Limits::default() }
}

/// Writes a network without its small weights: those below a share of the largest of their tensor.
fn pruned(name: &str, share: f32, folder: &Path) -> PathBuf {
    let mut model = ModelProto::decode(&*std::fs::read(self::model(name)).unwrap()).unwrap();
    let mut gone = 0;
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        let Some(raw) = tensor.raw_data.as_mut().filter(|raw| raw.len() > 400) else { continue };
        let value = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
        let most = raw.chunks(4).map(|bytes| value(bytes).abs()).fold(0.0, f32::max);
        for bytes in raw.chunks_mut(4).filter(|bytes| value(bytes).abs() < share * most) {
            bytes.copy_from_slice(&0f32.to_le_bytes());
            gone += 1;
        }
    }
    assert!(gone > 0, "{name}");
    let path = folder.join("pruned.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

fn around(count: u32, epsilon: &str) -> Inputs {
    Inputs::Samples {
        samples: Samples { data: model("digits_test.npz"), labels: None, count: Some(count) },
        perturbation: Perturbation {
            norm: Norm::Linf,
            epsilon: epsilon.into(),
            clip: Some(["0".into(), "1".into()]),
            mean: Vec::new(),
            deviation: Vec::new(),
            channel_axis: None,
        },
    }
}

fn query(baseline: &Path, inputs: Inputs) -> DeviationQuery {
    let baseline = baseline.to_owned();
    DeviationQuery { baseline, inputs, max_deviation: None, agreement: true, min_agreement: None, semantics: Semantics::Real }
}

/// The answer, with its certificate and what that is checked against.
fn ask(new: &Path, query: DeviationQuery, seconds: u64) -> (Subjects, Answer, Certificate, Bundle, Files) {
    let subjects = Subjects::open(new).unwrap();
    let found = [answer(&subjects, &Query::Deviation(query), &limits(seconds), &()).unwrap()];
    let (certificate, bundle) = seal(&subjects, &found, &limits(seconds)).expect("nothing is claimed");
    let files = evidence(&subjects, &found).unwrap();
    let checked = check(&certificate, &bundle, &subjects.model, &files);
    assert_eq!(checked.refusal, None);
    let [answer] = found;
    (subjects, answer, certificate, bundle, files)
}

fn claimed(certificate: &Certificate) -> &DeviationClaim {
    match &certificate.claims[0].kind {
        ClaimKind::Deviation(claim) => claim,
        other => panic!("{other:?}"),
    }
}

/// Reproducible numbers from 0 to 1.
fn numbers(mut state: u64) -> impl FnMut() -> f64 {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24)
    }
}

fn class(outputs: &[f64]) -> usize {
    (0..outputs.len()).max_by(|&a, &b| outputs[a].total_cmp(&outputs[b])).unwrap()
}

fn apart(f: &Network, g: &Network, x: &[f64]) -> (Vec<f64>, [usize; 2]) {
    let (a, b) = (evaluate(f, x).unwrap(), evaluate(g, x).unwrap());
    (a.iter().zip(&b).map(|(a, b)| (a - b).abs()).collect(), [class(&a), class(&b)])
}

#[test]
fn bounds_hold_where_both_networks_are_sampled() {
    let folder = tempfile::tempdir().unwrap();
    for (name, semantics) in [
        ("digits_relu.onnx", Semantics::Real),
        ("digits_residual.onnx", Semantics::Real),
        ("digits_relu.onnx", Semantics::Float32),
    ] {
        let path = pruned(name, 0.03, folder.path());
        let (f, g) = (load(&model(name)).unwrap().network, load(&path).unwrap().network);
        let asked = DeviationQuery { semantics, ..query(&model(name), around(6, "0.01")) };
        let (_, _, certificate, bundle, _) = ask(&path, asked, 20);
        let claim = claimed(&certificate);
        let cases = bundle.resolve(&claim.cases).unwrap();
        let data = Dataset::open(&model("digits_test.npz"), None).unwrap();
        let mut next = numbers(3);
        for (sample, most) in cases.chunks(10).enumerate() {
            for trial in 0..200 {
                let corner = |t: f64| if trial % 2 == 0 { (2.0 * t - 1.0).signum() } else { 2.0 * t - 1.0 };
                let x: Vec<f64> = data.input(sample).iter().map(|x| (x + 0.01 * corner(next())).clamp(0.0, 1.0)).collect();
                let (deviations, classes) = apart(&f, &g, &x);
                for (found, most) in deviations.iter().zip(most) {
                    assert!(*found <= most + 1e-9, "{name} {semantics:?} sample {sample}: {found} above {most}");
                }
                if let Some(agreeing) = claim.agreeing.iter().find(|agreeing| agreeing.case as usize == sample) {
                    assert_eq!(classes, [agreeing.class as usize; 2]);
                }
            }
        }
        let data_is_decided = claim.agreeing.len() + claim.disagreeing.len();
        assert!(data_is_decided >= 4, "{name} {semantics:?}: {data_is_decided}");
        for attained in &claim.attained {
            let x = bundle.resolve(&attained.input).unwrap();
            let (found, _) = apart(&f, &g, &x);
            assert!(found[attained.output as usize] >= attained.deviation.value() - 1e-9);
            assert!(attained.deviation.value() <= claim.bounds[attained.output as usize].value());
            // Differences of paired nodes are bounded to a small multiple of what is attained.
            let ratio = claim.bounds[attained.output as usize].value() / attained.deviation.value();
            assert!(semantics == Semantics::Float32 || ratio < 4.0, "{name} output {}: {ratio}", attained.output);
        }
    }
}

#[test]
fn a_network_is_no_distance_from_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("same.onnx");
    std::fs::copy(model("digits_cnn.onnx"), &path).unwrap();
    let everywhere = Inputs::Region { region: Region::Interval { low: 0.0, high: 1.0 } };
    let asked =
        DeviationQuery { agreement: false, max_deviation: Some("1e-9".into()), ..query(&model("digits_cnn.onnx"), everywhere) };
    let (_, answer, certificate, ..) = ask(&path, asked, 10);
    assert!(claimed(&certificate).bounds.iter().all(|bound| bound.value() <= 1e-9));
    // Nothing is attained, rather than less than nothing.
    assert_eq!(claimed(&certificate).attained, []);
    assert_eq!(answer.outcome, Outcome::Established);
}

#[test]
fn a_limit_is_proved_or_refuted() {
    let folder = tempfile::tempdir().unwrap();
    let path = pruned("digits_relu.onnx", 0.01, folder.path());
    let with = |most: &str, least: Option<f64>| {
        let asked = query(&model("digits_relu.onnx"), around(4, "0.005"));
        ask(&path, DeviationQuery { max_deviation: Some(most.to_owned()), min_agreement: least, ..asked }, 10)
    };
    let (_, loose, certificate, ..) = with("50", Some(0.5));
    assert_eq!(loose.outcome, Outcome::Established);
    let attained = claimed(&certificate).attained.iter().map(|attained| attained.deviation.value()).fold(0.0, f64::max);
    let (_, tight, certificate, ..) = with(&format!("{:.9}", attained * 0.9), None);
    assert_eq!(tight.outcome, Outcome::Violated);
    assert!(claimed(&certificate).attained.iter().any(|found| found.deviation.value() > attained * 0.9));
    // Just above what is attained neither is proved.
    let (_, open, ..) = with(&format!("{:.9}", attained * 1.000_001), None);
    assert_ne!(open.outcome, Outcome::Violated);
}

#[test]
fn changed_claims_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = pruned("digits_relu.onnx", 0.02, folder.path());
    let (subjects, _, certificate, bundle, files) = ask(&path, query(&model("digits_relu.onnx"), around(3, "0.03")), 10);
    let whole = certificate.inlined(&bundle).unwrap();
    let refused = |what: &str, change: &dyn Fn(&mut DeviationClaim)| {
        let mut changed = whole.clone();
        let ClaimKind::Deviation(claim) = &mut changed.claims[0].kind else { panic!() };
        change(claim);
        assert_ne!(changed, whole, "{what} changes nothing");
        let (certificate, bundle) = changed.seal();
        assert!(check(&certificate, &bundle, &subjects.model, &files).refusal.is_some(), "{what} is accepted");
    };
    let scaled = |number: &Number, by: f64, up: bool| {
        if up { Number::upper(number.value() * by) } else { Number::lower(number.value() * by) }
    };
    for output in 0..10 {
        refused("a smaller bound", &|claim| claim.bounds[output] = scaled(&claim.bounds[output], 0.999, true));
        refused("a larger deviation", &|claim| {
            claim.attained[output].deviation = scaled(&claim.attained[output].deviation, 1.001, false);
        });
        refused("another output's point", &|claim| claim.attained[output].output = 10 + output as u32);
        refused("a point of nowhere", &|claim| claim.attained[output].input = Vector::inline(&[2.0; 64]));
    }
    refused("smaller bounds of cases", &|claim| {
        let Vector::Inline(bits) = &claim.cases else { panic!() };
        let smaller: Vec<f64> = bits.iter().map(|bits| bits.value() * 0.9).collect();
        claim.cases = Vector::inline(&smaller);
    });
    refused("bounds that are none", &|claim| claim.cases = Vector::inline(&[f64::NAN; 30]));
    refused("fewer bounds", &|claim| claim.bounds.truncate(9));
    refused("more samples", &|claim| claim.around.as_mut().unwrap().samples = 4);
    refused("wider changes", &|claim| claim.around.as_mut().unwrap().perturbation.epsilon = "0.02".into());
    refused("other data", &|claim| claim.around.as_mut().unwrap().available += 1);
    refused("a third network", &|claim| claim.baseline.model.digest = "0".repeat(64));
    refused("a node that there is not", &|claim| claim.baseline.pairing[0].first = 10_000);
    refused("a node that is paired twice", &|claim| {
        let pair = claim.baseline.pairing[0];
        claim.baseline.pairing.push(pair);
    });
    refused("no pairs", &|claim| claim.baseline.pairing.clear());
    for at in 0..whole_agreeing(&whole) {
        refused("another class", &|claim| claim.agreeing[at].class = (claim.agreeing[at].class + 1) % 10);
        refused("a class twice", &|claim| {
            let agreeing = claim.agreeing[at];
            claim.agreeing.push(agreeing);
        });
    }
    refused("a disagreement that is none", &|claim| {
        claim.agreeing.clear();
        let input = claim.attained[0].input.clone();
        claim.disagreeing = vec![nnverify::kernel::proof::Disagreement { case: claim.attained[0].case, input }];
    });
    // The other network in place of the one that was compared with.
    let mut other = Files::default();
    other.add_model(Arc::new(load(&model("digits_maxmin.onnx")).unwrap()));
    let (certificate, bundle) = whole.clone().seal();
    assert!(check(&certificate, &bundle, &subjects.model, &other).refusal.is_some());
    assert!(check(&certificate, &bundle, &load(&model("digits_relu.onnx")).unwrap(), &files).refusal.is_some());
}

fn whole_agreeing(certificate: &Certificate) -> usize {
    claimed(certificate).agreeing.len()
}

#[test]
fn other_interfaces_and_questions_are_refused() {
    let subjects = Subjects::open(&model("digits_relu.onnx")).unwrap();
    let box_of = || Inputs::Region { region: Region::Interval { low: 0.0, high: 1.0 } };
    let asked = |query| answer(&subjects, &Query::Deviation(query), &limits(5), &()).map(drop).unwrap_err();
    let image = asked(query(&model("digits_cnn.onnx"), box_of()));
    assert!(matches!(image, QueryError::Compose { .. }), "{image}");
    assert!(image.to_string().contains("digits_cnn.onnx") && image.to_string().contains("input"), "{image}");
    let missing = asked(query(Path::new("nowhere.onnx"), box_of()));
    assert!(missing.to_string().contains("nowhere.onnx"), "{missing}");
    let own = || query(&model("digits_relu.onnx"), box_of());
    for wrong in ["-1", "x", "nan"] {
        let error = asked(DeviationQuery { max_deviation: Some(wrong.to_owned()), ..own() });
        assert!(matches!(error, QueryError::Limit { .. }), "{error}");
    }
    for wrong in [f64::NAN, -0.1, 1.5] {
        let error = asked(DeviationQuery { min_agreement: Some(wrong), ..own() });
        assert!(matches!(error, QueryError::Share { .. }), "{error}");
    }
    let everywhere = Inputs::Region { region: Region::Everywhere };
    assert!(matches!(asked(query(&model("digits_relu.onnx"), everywhere)), QueryError::NoRegion));
}

#[test]
fn pruned_aircraft_networks() {
    let Some(shared) = common::shared() else { return };
    let corpus = shared.join("corpus/vnnlib2");
    let table = std::fs::read_to_string(corpus.join("specs/pairs.csv")).unwrap();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.trim().split(',').collect();
        let [name, first, second, expected, sampled, most] = fields[..] else { panic!("{line}") };
        let text = std::fs::read_to_string(corpus.join(format!("specs/{name}.vnnlib"))).unwrap();
        let bounds = |comparison: &str| -> Vec<f64> {
            let start = format!("({comparison} X_f[");
            let values = text.split(&start).skip(1).map(|rest| rest.split_once(' ').unwrap().1);
            values.map(|rest| rest.split(')').next().unwrap().parse().unwrap()).collect()
        };
        let region = Region::Box { lower: bounds(">="), upper: bounds("<=") };
        let of = |path: &str| corpus.join(format!("{path}.gz"));
        let asked = DeviationQuery {
            agreement: false,
            max_deviation: Some(most.to_owned()),
            ..query(&of(first), Inputs::Region { region })
        };
        let quick = ["acas_001_loose", "acas_002_tight", "acas_002_loose", "acas_003_tight", "acas_003_loose", "acas_006_loose"];
        if expected != "sat" && !quick.contains(&name) {
            continue;
        }
        let (_, answer, certificate, ..) = ask(&of(second), asked, 10);
        let sampled: f64 = sampled.parse().unwrap();
        let largest = claimed(&certificate).bounds.iter().map(Number::value).fold(0.0, f64::max);
        assert!(largest >= sampled - 1e-5, "{name}: {largest} where sampling attains {sampled}");
        let outcome = if expected == "sat" { Outcome::Violated } else { Outcome::Established };
        assert_eq!(answer.outcome, outcome, "{name}: {largest}");
    }
}

/// `f` and its pruned version differ by at most so much on a box.
fn specification(most: &str, ties: usize) -> String {
    use std::fmt::Write as _;
    let mut text = "(vnnlib-version <2.0>)\n\
        (declare-network f (declare-input X_f real [1,64]) (declare-output Y_f real [1,10]))\n\
        (declare-network g (isomorphic-to f) (declare-input X_g real [1,64]) (declare-output Y_g real [1,10]))\n"
        .to_owned();
    for input in 0..64 {
        writeln!(text, "(assert (and (>= X_f[0,{input}] 0.4) (<= X_g[0,{input}] 0.42)))").unwrap();
    }
    for input in 0..ties {
        writeln!(text, "(assert (== X_g[0,{input}] X_f[0,{input}]))").unwrap();
    }
    let sides = (0..10).map(|i| format!("(> (- Y_f[0,{i}] Y_g[0,{i}]) {most}) (> (- Y_g[0,{i}] Y_f[0,{i}]) {most})"));
    writeln!(text, "(assert (or {}))", sides.collect::<Vec<_>>().join(" ")).unwrap();
    text
}

#[test]
fn specifications_about_two_networks() {
    let (f, g) = (model("digits_relu.onnx"), model("digits_pruned.onnx"));
    let ask = |second: &Path, text: String, first: Option<(&str, &Path)>| {
        let mut subjects = Subjects::open(second).unwrap();
        subjects.give("two.vnnlib".into(), text.clone().into_bytes());
        let first = first.map(|(name, model)| FirstNetwork { name: name.to_owned(), model: model.to_owned() });
        let query = SpecificationQuery { file: "two.vnnlib".into(), semantics: None, allow_vacuous: false, first };
        let found = answer(&subjects, &Query::Specification(query), &limits(20), &()).map_err(|error| error.to_string())?;
        let found = [found];
        let (certificate, bundle) = seal(&subjects, &found, &limits(20)).ok_or("nothing is claimed")?;
        let files = evidence(&subjects, &found).unwrap();
        let check = |second: &Path, files: &Files| check(&certificate, &bundle, &load(second).unwrap(), files).refusal;
        assert_eq!(check(second, &files), None);
        // Neither network stands for the other, and one alone proves nothing.
        assert!(check(&f, &files).is_some());
        let mut alone = Files::default();
        alone.add("two.vnnlib", text.into_bytes());
        assert!(check(second, &alone).is_some());
        Ok::<_, String>(found[0].outcome)
    };
    // The deviation of the box, by the other command.
    let region = Region::Interval { low: 0.4, high: 0.42 };
    let asked = DeviationQuery { agreement: false, ..query(&f, Inputs::Region { region }) };
    let (_, _, certificate, ..) = self::ask(&g, asked, 20);
    let claim = claimed(&certificate);
    let proved = claim.bounds.iter().map(Number::value).fold(0.0, f64::max);
    let attained = claim.attained.iter().map(|attained| attained.deviation.value()).fold(0.0, f64::max);
    let first = Some(("f", f.as_path()));
    assert_eq!(ask(&g, specification(&format!("{:.6}", proved * 1.01), 64), first), Ok(Outcome::Established));
    assert_eq!(ask(&g, specification(&format!("{:.6}", attained * 0.95), 64), first), Ok(Outcome::Violated));
    let refused = |told: &str, found: Result<Outcome, String>| {
        let error = found.unwrap_err();
        assert!(error.contains(told), "{error}");
    };
    refused("input 63 of `g`", ask(&g, specification("1", 63), first));
    refused("`--network f=FILE`", ask(&g, specification("1", 64), None));
    refused("but `f`", ask(&g, specification("1", 64), Some(("g", f.as_path()))));
    refused("declares an input", ask(&g, specification("1", 64), Some(("f", &model("digits_cnn.onnx")))));
    let text = specification("1", 64);
    for (from, to, told) in [
        ("isomorphic-to f", "equal-to f", "`equal-to` is not supported"),
        ("isomorphic-to f", "isomorphic-to h", "not declared"),
        ("Y_g real [1,10]", "Y_g real [1,9]", "different shapes"),
        ("(assert (== X_g[0,0] X_f[0,0]))", "(assert (or (== X_g[0,0] X_f[0,0])))", "at the top level alone"),
        ("(assert (== X_g[0,0] X_f[0,0]))", "(assert (== X_g[0,0] X_f[0,1]))", "input 0 of `g`"),
        ("(assert (== X_g[0,0] X_f[0,0]))", "(assert (== X_g[0,0] (* 2 X_f[0,0])))", "input 0 of `g`"),
        ("(assert (== X_g[0,0] X_f[0,0]))", "(assert (== X_g[0,0] X_g[0,0]))", "input 0 of `g`"),
    ] {
        refused(told, ask(&g, text.replace(from, to), first));
    }
}
