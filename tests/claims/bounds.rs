//! Bounds of everything a network computes, against reference answers.
//!
//! | test | what it shows |
//! |---|---|
//! | `boxes_contain_and_match_the_reference` | interval propagation on `cases/ibp`: contains the reference box, is wider by at most 1e-9 |
//! | `float32_boxes_contain_the_real_ones` | what is deployed can do all that real arithmetic does, and ONNX Runtime's float32 outputs lie inside |
//! | `every_operator_is_bounded_in_both_semantics` | each operator's box contains what is sampled in it, and ONNX Runtime's output |
//! | `every_operator_is_bounded_by_lines` | what backward bounds say of each operator's outputs holds where it is sampled |
//! | `corpus_outputs_lie_inside` | ONNX Runtime's outputs of real networks lie inside the float32 boxes of their inputs |
//! | `what_float32_rounds_otherwise_is_refused` | constants that decide and are rounded, rewritings that round in another order: nothing is said about float32 |
//! | `jumps_are_paid_for` | sign and floor beside a jump, in both semantics |

use std::path::Path;

use crate::common;
use crate::common::tiny::{Tiny, tensor};
use crate::common::zoo::{array, npz, zoo};
use nnverify::kernel::model::ir::{Network, evaluate};
use nnverify::kernel::model::onnx::proto::{AttributeProto, AttributeType, DataType, ModelProto};
use nnverify::kernel::model::onnx::{load, load_bytes};
use nnverify::kernel::region::bounds::{
    BoundsError, BoxRegion, Hints, Interval, LinearBounds, LinearRows, Loops, Phases, Reason, Refinement, Region, Semantics,
    interval_bounds,
};
use prost::Message;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// The cases of `expected.json`: name, model file, its entry.
fn cases(shared: &Path) -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(shared.join("cases/ibp/expected.json")).unwrap();
    let Value::Object(all) = serde_json::from_str(&text).unwrap() else { panic!("not an object") };
    all.into_iter().filter(|(name, _)| !name.starts_with('_')).collect()
}

fn assert_matches(what: &str, found: &[Interval], lower: &[f64], upper: &[f64]) {
    assert_eq!(found.len(), lower.len(), "{what}");
    for (i, found) in found.iter().enumerate() {
        // The reference itself is rounded to nearest: a few units in the last place of the terms it adds.
        let slack = 1e-14 * (1.0 + found.magnitude());
        assert!(found.lower <= lower[i] + slack && found.upper >= upper[i] - slack, "{what} {i}: {found:?} misses the reference");
        let width = 1e-9 * (upper[i] - lower[i]).max(1e-9);
        assert!(lower[i] - found.lower <= width && found.upper - upper[i] <= width, "{what} {i}: {found:?} is too wide");
    }
}

#[test]
fn boxes_contain_and_match_the_reference() {
    let Some(shared) = common::shared() else { return };
    let mut seen = 0;
    for (name, case) in cases(&shared) {
        let model = load(&shared.join(format!("cases/ibp/{name}.onnx"))).unwrap();
        let region = BoxRegion::around(&numbers(&case["x0"]), case["eps"].as_f64().unwrap()).unwrap();
        let intervals = interval_bounds(&model.network, &region, Semantics::Real).unwrap();
        let found: Vec<Interval> = intervals.output().iter().collect();
        assert_matches(&name, &found, &numbers(&case["ibp_lower"]), &numbers(&case["ibp_upper"]));
        seen += 1;
    }
    assert!(seen >= 9, "{seen}");
}

#[test]
fn float32_boxes_contain_the_real_ones() {
    let Some(shared) = common::shared() else { return };
    for (name, case) in cases(&shared) {
        let model = load(&shared.join(format!("cases/ibp/{name}.onnx"))).unwrap();
        let region = BoxRegion::around(&numbers(&case["x0"]), case["eps"].as_f64().unwrap()).unwrap();
        let real = interval_bounds(&model.network, &region, Semantics::Real).unwrap();
        let float32 = interval_bounds(&model.network, &region, Semantics::Float32).unwrap();
        for (real, float32) in real.output().iter().zip(float32.output().iter()) {
            assert!(float32.lower < real.lower && float32.upper > real.upper, "{name}");
            let width = 1e-4 * (real.upper - real.lower);
            assert!(real.lower - float32.lower < width && float32.upper - real.upper < width, "{name}: {real:?} {float32:?}");
        }
        let point = BoxRegion::around(&numbers(&case["x0"]), 0.0).unwrap();
        let at_point = interval_bounds(&model.network, &point, Semantics::Float32).unwrap();
        for (y, bounds) in numbers(&case["forward_ort_f32"]).into_iter().zip(at_point.output().iter()) {
            assert!(bounds.contains(y), "{name}: {y} outside {bounds:?}");
        }
    }
}

#[test]
fn corpus_outputs_lie_inside() {
    let Some(shared) = common::shared() else { return };
    let mut forward = npz(&shared.join("corpus/forward.npz"));
    let names = forward.names().unwrap();
    let mut seen = 0;
    for name in names.iter().filter(|name| name.trim_end_matches(".npy").ends_with("|x0")) {
        let (file, _) = name.split_once('|').unwrap();
        let model = load(&shared.join(format!("corpus/{file}.onnx.gz"))).unwrap();
        inside(name, &model.network, &array(&mut forward, name), &array(&mut forward, &name.replace("|x0", "|y0")));
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

/// The float32 box of a point contains what ONNX Runtime computes there.
fn inside(name: &str, network: &Network, x: &[f32], y: &[f32]) {
    let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    let region = BoxRegion::around(&x, 0.0).unwrap();
    if network.float32_obstacle().is_some() {
        // It does not compute in float32 as it stands: nothing is said about float32.
        let refused = interval_bounds(network, &region, Semantics::Float32);
        assert!(matches!(refused, Err(BoundsError::Float32 { .. })), "{name}");
        return;
    }
    let intervals = interval_bounds(network, &region, Semantics::Float32).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(y.len(), intervals.output().len());
    for (&y, bounds) in y.iter().zip(intervals.output().iter()) {
        assert!(bounds.contains(f64::from(y)), "{name}: {y} outside {bounds:?}");
    }
}

#[test]
fn every_operator_is_bounded_in_both_semantics() {
    let mut random = Random(7);
    for case in zoo().into_iter().filter(|case| !case.name.starts_with("refuse/")) {
        let model = load_bytes(&case.model).unwrap();
        inside(&case.name, &model.network, &case.input, &case.output);
        let x: Vec<f64> = case.input.iter().map(|&x| f64::from(x)).collect();
        for radius in [0.0, 1e-3, 0.1] {
            let region = BoxRegion::around(&x, radius).unwrap();
            let intervals = match interval_bounds(&model.network, &region, Semantics::Real) {
                Ok(intervals) => intervals,
                // A quotient or a root on a box that reaches zero has no bounds.
                Err(BoundsError::Node { reason: Reason::Undefined, .. }) if radius > 0.0 => continue,
                Err(error) => panic!("{}: {error}", case.name),
            };
            for _ in 0..20 {
                let point: Vec<f64> =
                    region.lower().iter().zip(region.upper()).map(|(l, u)| l + (u - l) * random.unit()).collect();
                let y = evaluate(&model.network, &point).unwrap();
                for (y, bounds) in y.iter().zip(intervals.output().iter()) {
                    // What the evaluation itself rounds.
                    let slack = 1e-12 * (1.0 + bounds.magnitude());
                    assert!(bounds.lower - slack <= *y && *y <= bounds.upper + slack, "{}: {y} outside {bounds:?}", case.name);
                }
            }
        }
    }
}

#[test]
fn every_operator_is_bounded_by_lines() {
    let mut random = Random(11);
    let mut bounded = 0;
    for case in zoo().into_iter().filter(|case| !case.name.starts_with("refuse/")) {
        let network = load_bytes(&case.model).unwrap().network;
        let x: Vec<f64> = case.input.iter().map(|&x| f64::from(x)).collect();
        let bounds = LinearBounds::new(&network, Semantics::Real).unwrap();
        for radius in [1e-3, 0.1] {
            let region = BoxRegion::around(&x, radius).unwrap();
            let around = Region::from(region.clone());
            let analysis = match bounds.analyse(&around, &Phases::new(), Refinement::Backward, &Hints::default(), &Loops) {
                Ok(analysis) => analysis,
                Err(BoundsError::Node { reason: Reason::Undefined, .. }) => continue,
                Err(error) => panic!("{}: {error}", case.name),
            };
            let rows = LinearRows::outputs(network.output_size());
            let lower = analysis.lower_bounds(&rows, &Hints::default(), &Loops);
            let upper = analysis.lower_bounds(&rows.negated(), &Hints::default(), &Loops);
            bounded += 1;
            for _ in 0..20 {
                // Corners and what lies between.
                let point = region.lower().iter().zip(region.upper()).map(|(l, u)| match random.unit() {
                    t if t < 0.25 => *l,
                    t if t > 0.75 => *u,
                    t => l + (u - l) * (2.0 * t - 0.5),
                });
                let y = evaluate(&network, &point.collect::<Vec<f64>>()).unwrap();
                for (i, y) in y.iter().enumerate() {
                    let slack = 1e-12 * (1.0 + y.abs() + lower[i].abs() + upper[i].abs());
                    assert!(
                        lower[i] - slack <= *y && *y <= slack - upper[i],
                        "{}: {y} outside [{}, {}]",
                        case.name,
                        lower[i],
                        -upper[i]
                    );
                }
            }
        }
    }
    assert!(bounded > 1000, "{bounded}");
}

/// A generator of numbers in [0, 1): splitmix64.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Sign and floor: where rounding can carry an argument over a jump, both sides are in the box.
#[test]
fn jumps_are_paid_for() {
    use nnverify::kernel::model::ir::{Binary, Function, NetworkBuilder, Op, Tensor};
    let network = |function: Function| {
        let mut b = NetworkBuilder::new();
        let x = b.push("x", "", Op::Input, &[], vec![1]).unwrap();
        let c = b.push("c", "", Op::Constant(Tensor::new(vec![1], vec![1.0]).unwrap()), &[], vec![1]).unwrap();
        let sum = b.push("sum", "", Op::Binary(Binary::Add), &[x, c], vec![1]).unwrap();
        let y = b.push("y", "", Op::Function(function), &[sum], vec![1]).unwrap();
        b.finish(y).unwrap()
    };
    let at = |function: Function, x: f64, semantics| {
        let region = BoxRegion::new(vec![x], vec![x]).unwrap();
        let found = interval_bounds(&network(function), &region, semantics).unwrap().output().at(0);
        (found.lower, found.upper)
    };
    let tiny = 2f64.powi(-40);
    // In real arithmetic −1 + 2⁻⁴⁰ + 1 is positive, and float32 may make it zero.
    assert_eq!(at(Function::Sign, tiny - 1.0, Semantics::Real), (1.0, 1.0));
    let (lower, upper) = at(Function::Sign, tiny - 1.0, Semantics::Float32);
    assert!(lower <= 0.0 && upper == 1.0);
    assert_eq!(at(Function::Floor, tiny, Semantics::Real), (1.0, 1.0));
    assert_eq!(at(Function::Floor, -tiny, Semantics::Real), (0.0, 0.0));
    assert_eq!(at(Function::Floor, -tiny, Semantics::Float32), (0.0, 1.0));
    assert_eq!(at(Function::Floor, 0.5, Semantics::Float32), (1.0, 1.0));

    // A subnormal input may count as zero.
    let mut b = NetworkBuilder::new();
    let x = b.push("x", "", Op::Input, &[], vec![1]).unwrap();
    let y = b.push("y", "", Op::Function(Function::Sign), &[x], vec![1]).unwrap();
    let network = b.finish(y).unwrap();
    let subnormal = f64::from(f32::from_bits(1));
    let region = BoxRegion::new(vec![subnormal], vec![subnormal]).unwrap();
    let found = interval_bounds(&network, &region, Semantics::Float32).unwrap().output().at(0);
    assert!(found.contains(0.0) && found.contains(1.0));
    assert_eq!(interval_bounds(&network, &region, Semantics::Real).unwrap().output().at(0).lower, 1.0);
}

#[test]
fn what_float32_rounds_otherwise_is_refused() {
    type Build = fn(Tiny) -> Tiny;
    /// What it is, its constants `a` and `b`, its graph, and whether float32 is refused.
    type Case<'a> = (&'a str, f32, f32, &'a dyn Fn(Tiny) -> Tiny, bool);
    let attribute = |name: &str, value: DataType| AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int.into(),
        i: Some(i32::from(value).into()),
        ..AttributeProto::default()
    };
    let network = |constants: &[(&str, f32)], build: &dyn Fn(Tiny) -> Tiny| {
        let mut graph = Tiny::new(1, 1);
        graph.graph().initializer.extend(constants.iter().map(|&(name, value)| tensor(name, &[], vec![value])));
        load_bytes(&build(graph).finish("y")).unwrap().network
    };
    let power: Build = |graph| {
        graph.node("sum", "Add", &["a", "b"], vec![]).node("e", "Sub", &["sum", "a"], vec![]).node(
            "y",
            "Pow",
            &["x", "e"],
            vec![],
        )
    };
    let clip: Build = |graph| graph.node("m", "Mul", &["a", "b"], vec![]).node("y", "Clip", &["x", "", "m"], vec![]);
    let chosen = |graph: Tiny| {
        let truth = vec![attribute("to", DataType::Bool)];
        let graph = graph.node("m", "Mul", &["a", "b"], vec![]).node("c", "Cast", &["m"], truth);
        graph.node("n", "Neg", &["x"], vec![]).node("y", "Where", &["c", "x", "n"], vec![])
    };
    let gate: Build = |graph| {
        let graph = graph.node("p", "Mul", &["x", "a"], vec![]).node("q", "Mul", &["p", "b"], vec![]);
        graph.node("s", "Sigmoid", &["x"], vec![]).node("y", "Mul", &["q", "s"], vec![])
    };
    let scaled: Build = |graph| {
        let graph = graph.node("p", "Mul", &["x", "a"], vec![]).node("s", "Sigmoid", &["p"], vec![]);
        graph.node("q", "Mul", &["x", "s"], vec![]).node("y", "Mul", &["q", "b"], vec![])
    };
    // What decides is one in float32 as on the numbers of the file, or is not: 2²⁴ + 1, 0.1·0.1, 10⁻³⁰·10⁻³⁰; a factor on the
    // way to a gate is applied after it here.
    let cases: [Case; 8] = [
        ("a power", 16_777_216.0, 1.0, &power, true),
        ("a power that is exact", 16.0, 1.0, &power, false),
        ("a clip", 0.1, 0.1, &clip, true),
        ("a clip that is exact", 0.5, 0.25, &clip, false),
        ("a choice", 1e-30, 1e-30, &chosen, true),
        ("a choice that is exact", 0.5, 0.25, &chosen, false),
        ("a gate", 1e30, 1e-30, &gate, true),
        ("a gate with its factors where they stand", 1.5, 0.5, &scaled, false),
    ];
    for (what, a, b, build, refused) in cases {
        let network = network(&[("a", a), ("b", b)], build);
        let region = BoxRegion::new(vec![0.5], vec![1.0]).unwrap();
        let found = interval_bounds(&network, &region, Semantics::Float32);
        assert_eq!(matches!(found, Err(BoundsError::Float32 { .. })), refused, "{what}: {:?}", found.err());
        assert!(interval_bounds(&network, &region, Semantics::Real).is_ok(), "{what}");
    }

    // What a half precision number would not hold is not cast to the type of a value that may be one.
    let mut graph = Tiny::new(1, 1);
    graph.graph().initializer.push(tensor("small", &[], vec![1e-9]));
    let graph = graph.node("half", "Cast", &["x"], vec![attribute("to", DataType::Float16)]);
    let graph = graph.node("like", "CastLike", &["small", "half"], vec![]).node("y", "Add", &["half", "like"], vec![]);
    let mut file = ModelProto::decode(&*graph.finish("y")).unwrap();
    file.opset_import[0].version = 17;
    let error = load_bytes(&file.encode_to_vec()).unwrap_err().to_string();
    assert!(error.contains("`like`") && error.contains("may not be float32"), "{error}");

    // A reflection is rewritten without the sines and cosines of the doubled angle, which the deployed network rounds.
    let Some(shared) = common::shared() else { return };
    for (name, refused) in [("g09_householder_split", true), ("g01_maxmin_split_4_8_8_3", false)] {
        let network = load(&shared.join(format!("cases/lipschitz/{name}.onnx"))).unwrap().network;
        assert_eq!(network.float32_obstacle().is_some(), refused, "{name}");
    }
}
