//! Claims at the edges of the range of exponents: slopes and multipliers so small that their products vanish, beside weights
//! so large that what vanished was the claim.
//!
//! | test | what is refused |
//! |---|---|
//! | `false_claims_of_the_shared_folder_are_refused` | certificates that earlier versions accepted |
//! | `a_slope_that_vanishes_from_every_product_still_counts` | the same in every kind of inequality: whole, functionals, columns, weighted columns, parts |
//! | `an_equation_with_three_solutions_is_not_well_posed` | an implicit equation whose feedback hides behind a tiny slope |
//! | `saturated_float32_networks_on_a_box` | an ordinary ONNX file on a box where its activation is flat; what is true of such files is certified |

use crate::common::{check, identity, shared, tiny};
use nnverify::kernel::check::{ClaimRefusal, Refusal};
use nnverify::kernel::lipschitz::LipschitzRefusal;
use nnverify::kernel::model::implicit::SCHEMA;
use nnverify::kernel::model::ir::evaluate;
use nnverify::kernel::model::onnx::{Model, load, load_bytes};
use nnverify::kernel::proof::{
    Assurance, Bundle, Certificate, Claim, ClaimKind, Domain, Functional, FunctionalBound, Inequality, LipschitzClaim,
    LipschitzWitness, Norm, Number, Part, PartProof, Semantics, Sorts, Vector,
};
use nnverify::kernel::region::RegionRefusal;
use nnverify::kernel::region::bounds::BoxRegion;
use nnverify::pass::lipschitz::{LipschitzOptions, Question, certify};
use serde_json::json;

/// Multipliers as small as is admitted.
const SMALLEST: f64 = 1e-100;

fn inequality(inputs: &[f64], weights: Option<&[f64]>, multipliers: &[f64]) -> Inequality {
    Inequality {
        sorts: Sorts::Comparators,
        input_multipliers: Vector::inline(inputs),
        output_weights: weights.map(Vector::inline),
        multipliers: Vector::inline(multipliers),
    }
}

fn claim(norm: Norm, bound: f64, well_posed: bool) -> LipschitzClaim {
    LipschitzClaim {
        norm,
        bound: Number::upper(bound),
        well_posed,
        lower_bound: None,
        norm_product: None,
        functionals: Vec::new(),
        witness: LipschitzWitness { inequality: None, columns: Vec::new(), parts: Vec::new(), pair: None },
    }
}

fn verdict(model: &Model, claim: LipschitzClaim, domain: Domain) -> Result<(), Refusal> {
    let claim = Claim {
        vacuous: false,
        id: "lipschitz".to_owned(),
        assurance: Assurance::Proved,
        semantics: Semantics::Real,
        domain,
        kind: ClaimKind::Lipschitz(claim),
    };
    let (certificate, bundle): (Certificate, Bundle) = Certificate::new(identity(model), vec![claim], None).seal();
    check(&certificate, &bundle, model)
}

/// Whether a claim is refused because its matrix is not proved, and for no other reason.
fn is_not_definite(verdict: &Result<(), Refusal>) -> bool {
    let Err(Refusal::Claim { reason, .. }) = verdict else { return false };
    let (ClaimRefusal::Lipschitz(refusal) | ClaimRefusal::Region(RegionRefusal::Lipschitz(refusal))) = &**reason else {
        return false;
    };
    matches!(refusal, LipschitzRefusal::NotDefinite { .. } | LipschitzRefusal::NoMatrix { .. })
}

/// `z = HardSigmoid(feedback·z + input·x + offset)`, `y = output·z`.
fn implicit(slope: f64, offset: f64, feedback: f64, input: f64, output: &[f64]) -> Model {
    let output: Vec<[f64; 1]> = output.iter().map(|&weight| [weight]).collect();
    let activation = json!({"name": "HardSigmoid", "alpha": slope, "beta": offset});
    let text = json!({"schema": SCHEMA, "activation": activation, "W": [[feedback]], "U": [[input]], "C": output});
    load_bytes(text.to_string().as_bytes()).unwrap()
}

#[test]
fn false_claims_of_the_shared_folder_are_refused() {
    let Some(folder) = shared().map(|folder| folder.join("cases/false")) else { return };
    let model = load(&folder.join("underflow_model.json")).unwrap();
    for name in ["f_m.json", "f_linf.json"] {
        let (certificate, bundle) = Certificate::read(&folder.join(name)).unwrap();
        let verdict = check(&certificate, &bundle, &model);
        assert!(is_not_definite(&verdict), "{name}: {verdict:?}");
    }
}

#[test]
fn a_slope_that_vanishes_from_every_product_still_counts() {
    // Slopes at zero: 1e-224·1e300·1e-51 = 1e25.
    let one = implicit(1e-224, 0.5, 0.0, 1e300, &[1e-51]);
    let two = implicit(1e-224, 0.5, 0.0, 1e300, &[1e-51, -1e-51]);
    let step = evaluate(&one.network, &[1e-77]).unwrap()[0] - evaluate(&one.network, &[-1e-77]).unwrap()[0];
    assert!(step / 2e-77 > 1e24, "{step:e}");
    let plain = || inequality(&[SMALLEST], None, &[SMALLEST]);
    let functional = Functional { plus: 0, minus: None };

    let mut whole = claim(Norm::L2, 0.2, true);
    whole.witness.inequality = Some(plain());
    let mut functionals = claim(Norm::Linf, 0.2, true);
    functionals.functionals =
        vec![FunctionalBound { functional, bound: Number::upper(0.2), inequality: Some(plain()), columns: Vec::new() }];
    let mut columns = claim(Norm::L1, 0.2, true);
    columns.witness.columns = vec![plain()];
    let mut of_functional = columns.clone();
    of_functional.functionals =
        vec![FunctionalBound { functional, bound: Number::upper(0.2), inequality: None, columns: vec![plain()] }];
    let mut parts = claim(Norm::L2, 0.2, true);
    let to = u32::try_from(one.network.output().index()).unwrap();
    parts.norm_product = Some(Number::upper(0.2));
    parts.witness.parts = vec![Part { to, proof: PartProof::Inequality(plain()) }];
    let mut weighted = claim(Norm::L1, 0.2, true);
    weighted.witness.columns = vec![inequality(&[SMALLEST], Some(&[1.0, 1.0]), &[SMALLEST])];

    let cases = [
        ("whole", &one, whole),
        ("functionals", &one, functionals),
        ("columns", &one, columns),
        ("columns of a functional", &one, of_functional),
        ("parts", &one, parts),
        ("weighted columns", &two, weighted),
    ];
    for (name, model, claim) in cases {
        let verdict = verdict(model, claim, Domain::Global);
        assert!(is_not_definite(&verdict), "{name}: {verdict:?}");
    }
}

#[test]
fn an_equation_with_three_solutions_is_not_well_posed() {
    // z = clip(100·z − 1/2 + …): 0, 1/198 and 1 for x = 0.
    let model = implicit(1e-224, -0.5, 1e226, 1.0, &[1e-51]);
    let apply = |z: f64| (1e-224 * (1e226 * z) - 0.5).clamp(0.0, 1.0);
    assert!(apply(0.0) == 0.0 && apply(1.0) == 1.0);
    for inputs in [SMALLEST, 1.0, 1e100] {
        let mut claim = claim(Norm::L2, 1e60, true);
        claim.witness.inequality = Some(inequality(&[inputs], None, &[SMALLEST]));
        let verdict = verdict(&model, claim, Domain::Global);
        assert!(is_not_definite(&verdict), "{verdict:?}");
    }
    // With a feedback that the slope does damp there is one, and room for a proof.
    let damped = implicit(0.25, 0.5, -2.0, 1.0, &[1.0]);
    let outcome = certify(&damped.network, &Question::global(Norm::L2), &LipschitzOptions::default(), &mut |_| ()).unwrap();
    assert_eq!(verdict(&damped, outcome.claim, Domain::Global), Ok(()));
}

/// `y = last·Sigmoid(first₁⋯first_k·x + bias)`, all numbers float32, one matrix product for each.
fn saturated(first: &[f32], bias: f32, last: &[f32]) -> Model {
    let mut graph = tiny::Tiny::new(1, 1);
    let mut signal = "x".to_owned();
    let product = |mut graph: tiny::Tiny, signal: &mut String, name: String, weight: f32| {
        graph.graph().initializer.push(tiny::tensor(&format!("{name}_w"), &[1, 1], vec![weight]));
        let graph = graph.node(&name, "MatMul", &[signal, &format!("{name}_w")], vec![]);
        *signal = name;
        graph
    };
    for (i, &weight) in first.iter().enumerate() {
        graph = product(graph, &mut signal, format!("first{i}"), weight);
    }
    graph.graph().initializer.push(tiny::tensor("bias", &[1], vec![bias]));
    graph = graph.node("shifted", "Add", &[&signal, "bias"], vec![]).node("flat", "Sigmoid", &["shifted"], vec![]);
    "flat".clone_into(&mut signal);
    for (i, &weight) in last.iter().enumerate() {
        graph = product(graph, &mut signal, format!("last{i}"), weight);
    }
    load_bytes(&graph.finish(&signal)).unwrap()
}

#[test]
fn saturated_float32_networks_on_a_box() {
    // On the box the sigmoid's argument is in [−540, −520] and its slope at the upper end 1.4e-226: 1.4e21 with the weights.
    let model = saturated(&[1e38, 1e38, 1e38, 1e38, 1e38, 1e38, 1e38, 1e32], -540.0, &[1e-38, 1e-13]);
    let on = |lower: f64, upper: f64| Domain::Box { lower: Vector::inline(&[lower]), upper: Vector::inline(&[upper]) };
    let mut local = claim(Norm::L2, 0.2, false);
    local.witness.inequality = Some(inequality(&[SMALLEST], None, &[SMALLEST]));
    let refused = verdict(&model, local, on(0.0, 2e-297));
    assert!(is_not_definite(&refused), "{refused:?}");

    // An honest model that is as flat: certified, although the true constant is far below what a matrix holds.
    let model = saturated(&[2.0], -540.0, &[3.0]);
    let region = BoxRegion::new(vec![0.0], vec![10.0]).unwrap();
    for norm in [Norm::L2, Norm::Linf, Norm::L1] {
        let question = Question { norm, region: Some(region.clone()), margins: false };
        let outcome = certify(&model.network, &question, &LipschitzOptions::default(), &mut |_| ()).unwrap();
        assert!(outcome.claim.bound.value() < 1e-3, "{norm:?}: {:e}", outcome.claim.bound.value());
        assert_eq!(verdict(&model, outcome.claim, on(0.0, 10.0)), Ok(()), "{norm:?}");
    }
}
