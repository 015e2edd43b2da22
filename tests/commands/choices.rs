//! Choices by comparison: the continuous ones have a constant everywhere, those that jump have one where they do not jump.

use crate::common;
use crate::common::tiny::{Tiny, tensor};
use nnverify::kernel::model::ir::evaluate;
use nnverify::kernel::model::onnx::{Model, load_bytes};
use nnverify::kernel::proof::{Assurance, Certificate, Claim, ClaimKind, Domain, Norm, Semantics, Vector};
use nnverify::kernel::region::bounds::BoxRegion;
use nnverify::pass::lipschitz::{LipschitzOptions, Question, certify};

/// A layer, a choice between `a` and `b` where `h` is above a threshold, a layer.
fn model(threshold: f32, branches: impl FnOnce(Tiny) -> Tiny) -> Model {
    let mut tiny = Tiny::new(3, 5);
    for (name, value) in [("threshold", threshold), ("zero", 0.0), ("one", 1.0), ("k", 0.25), ("half", 0.5)] {
        tiny.graph().initializer.push(tensor(name, &[], vec![value]));
    }
    let tiny = branches(tiny.gemm("h", "x", 3, 5)).node("c", "Greater", &["h", "threshold"], vec![]);
    load_bytes(&tiny.node("w", "Where", &["c", "a", "b"], vec![]).gemm("y", "w", 5, 2).finish("y")).unwrap()
}

/// The certified bound on a region, proved again; `None` where there is none.
fn bound(model: &Model, region: Option<BoxRegion>) -> Option<f64> {
    let question = Question { norm: Norm::L2, region: region.clone(), margins: false };
    let outcome = certify(&model.network, &question, &LipschitzOptions::default(), &mut |_| ()).ok()?;
    let bound = outcome.claim.bound.value();
    let claim = Claim {
        id: "lipschitz-l2".to_owned(),
        assurance: Assurance::Proved,
        semantics: Semantics::Real,
        domain: region.map_or(Domain::Global, |region| Domain::Box {
            lower: Vector::inline(region.lower()),
            upper: Vector::inline(region.upper()),
        }),
        vacuous: false,
        kind: ClaimKind::Lipschitz(outcome.claim),
    };
    let (certificate, bundle) = Certificate::new(common::identity(model), vec![claim], None).seal();
    common::check(&certificate, &bundle, model).unwrap();
    Some(bound)
}

/// The largest quotient of differences between pseudo-random points of a box.
fn attained(model: &Model, centre: &[f64], radius: f64) -> f64 {
    let mut seed = 7u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut most = 0.0f64;
    for _ in 0..4000 {
        let [x, y]: [Vec<f64>; 2] = std::array::from_fn(|_| centre.iter().map(|c| c + radius * next()).collect());
        let difference = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>();
        let (fx, fy) = (evaluate(&model.network, &x).unwrap(), evaluate(&model.network, &y).unwrap());
        most = most.max(norm(&difference(&fx, &fy)) / norm(&difference(&x, &y)));
    }
    most
}

#[test]
fn continuous_choices_have_a_constant_everywhere() {
    let identity = |tiny: Tiny| tiny.node("a", "Identity", &["h"], vec![]);
    let models = [
        model(0.0, |tiny| identity(tiny).node("b", "Mul", &["h", "k"], vec![])),
        model(0.5, |tiny| identity(tiny).node("b", "Identity", &["half"], vec![])),
        model(0.0, |tiny| {
            identity(tiny).node("e", "Exp", &["h"], vec![]).node("s", "Sub", &["e", "one"], vec![]).node(
                "b",
                "Mul",
                &["s", "k"],
                vec![],
            )
        }),
        model(0.5, |tiny| identity(tiny).node("t", "Sub", &["one", "h"], vec![]).node("b", "Identity", &["t"], vec![])),
    ];
    for (index, model) in models.iter().enumerate() {
        let bound = bound(model, None).unwrap_or_else(|| panic!("model {index}"));
        let attained = attained(model, &[0.0; 3], 3.0);
        assert!(attained <= bound && bound < 3.0, "{index}: {attained} {bound}");
    }
}

#[test]
fn choices_that_jump_have_a_constant_where_they_do_not() {
    let model = model(20.0, |tiny| tiny.node("a", "Identity", &["h"], vec![]).node("b", "Softplus", &["h"], vec![]));
    assert_eq!(bound(&model, None), None);
    let (centre, radius) = ([0.2, -0.4, 0.7], 0.3);
    let bound = bound(&model, Some(BoxRegion::around(&centre, radius).unwrap())).unwrap();
    let attained = attained(&model, &centre, radius);
    assert!(attained <= bound && bound <= 1.5 * attained, "{attained} {bound}");
}
