//! What a claim says that it is about: of how many samples, by which parameters, whether of anything at all.
//!
//! | tests | what they hold claims to |
//! |---|---|
//! | scope | every number of it is counted again; hidden weights make it incomplete |
//! | vacuity | a specification that no input satisfies is called so, and nothing else is |
//! | layout, channels | values go to the places that were meant |

use crate::common::tiny::{self, Tiny, tensor};
use nnverify::kernel::check::{ClaimRefusal, Refusal, check_claim};
use nnverify::kernel::curvature::{CurvatureRefusal, Objective, scope};
use nnverify::kernel::model::onnx::proto::{AttributeProto, AttributeType, DataType, TensorProto};
use nnverify::kernel::model::onnx::{Model, load_bytes};
use nnverify::kernel::proof::{
    Assurance, Bundle, Claim, ClaimKind, Content, Domain, Evidence, FileIdentity, Files, LossName, Objective as Stated, Scope,
    Semantics, SpecificationClaim, SpecificationWitness, Verdict, digest_of,
};
use nnverify::kernel::read::data::{Array, Dataset, Values};
use nnverify::kernel::region::RegionRefusal;

fn data(samples: usize, inputs: usize, outputs: usize) -> Dataset {
    let numbers = |count: usize| (0..count).map(|i| (i as f64 * 0.7).sin()).collect();
    let array = |width: usize| Array::new(vec![samples, width], Values::F64(numbers(samples * width))).unwrap();
    Dataset::from_arrays(array(inputs), Some(array(outputs)), digest_of(b"")).unwrap()
}

fn names(model: &Model) -> Vec<String> {
    model.tensors.iter().map(|tensor| tensor.name.clone()).collect()
}

#[test]
fn every_number_of_a_scope_is_counted_again() {
    let model = load_bytes(&tiny::mixed()).unwrap();
    let (all, some) = (names(&model), vec!["third.bias".to_owned()]);
    let of = |parameters: &[String]| scope(7, &model.network, &model.tensors, parameters);
    assert_eq!(of(&all), Scope { available: 7, parameters: 62, trainable: 62, stored: 62, complete: true });
    assert_eq!(of(&some), Scope { available: 7, parameters: 2, trainable: 62, stored: 62, complete: false });
    let accepted = |parameters: &[String], stated: Option<Scope>| {
        let parameters = parameters.to_vec();
        let claim = Stated { data: Vec::new(), samples: 3, loss: LossName::Mse, parameters, scope: stated };
        Objective::from_data(&claim, data(7, 3, 2), &model.network, &model.tensors, |_, _| 1).map(|_| ())
    };
    for parameters in [&all, &some] {
        let right = of(parameters);
        assert_eq!((accepted(parameters, Some(right)), accepted(parameters, None)), (Ok(()), Ok(())));
        for forged in [
            Scope { available: 3, ..right },
            Scope { parameters: 63, ..right },
            Scope { trainable: 2, ..right },
            Scope { stored: 61, ..right },
            Scope { complete: !right.complete, ..right },
        ] {
            assert_eq!(
                accepted(parameters, Some(forged)),
                Err(CurvatureRefusal::Content(Content::Scope { field: "scope" })),
                "{forged:?}"
            );
        }
    }
}

/// A second layer whose weights are integers behind a cast: no claim is about all parameters of such a model.
#[test]
fn weights_that_are_stored_as_integers_are_missed() {
    let mut hidden = Tiny::new(3, 1);
    hidden.graph().initializer.push(TensorProto {
        name: "q".to_owned(),
        dims: vec![6, 2],
        data_type: DataType::Int64.into(),
        int64_data: (0..12).map(|i| i % 5 - 2).collect(),
        ..TensorProto::default()
    });
    hidden.graph().initializer.push(tensor("scale", &[], vec![0.25]));
    let to = AttributeProto { name: "to".into(), r#type: AttributeType::Int.into(), i: Some(1), ..AttributeProto::default() };
    let bytes = hidden
        .gemm("first", "x", 3, 6)
        .node("relu", "Relu", &["first"], vec![])
        .node("levels", "Cast", &["q"], vec![to])
        .node("weights", "Mul", &["levels", "scale"], vec![])
        .node("y", "MatMul", &["relu", "weights"], vec![])
        .finish("y");
    let model = load_bytes(&bytes).unwrap();
    let trained = vec!["first.weight".to_owned(), "first.bias".to_owned()];
    let found = scope(7, &model.network, &model.tensors, &trained);
    assert_eq!(found, Scope { available: 7, parameters: 24, trainable: 24, stored: 37, complete: false });
}

/// A tensor that is trained and decides what a node computes is missing from every claim.
#[test]
fn what_cannot_be_differentiated_is_missed() {
    let mut tied = Tiny::new(2, 1);
    tied.graph().initializer.push(tensor("c", &[1], vec![0.5]));
    let bytes = tied
        .gemm("first", "x", 2, 3)
        .node("limit", "Squeeze", &["c"], vec![])
        .node("clipped", "Clip", &["first", "", "limit"], vec![])
        .node("y", "Add", &["clipped", "c"], vec![])
        .finish("y");
    let model = load_bytes(&bytes).unwrap();
    let frozen = model.tensors.iter().find(|tensor| tensor.name == "c").unwrap();
    assert!(frozen.frozen_by.as_ref().is_some_and(|by| by.operator == "Clip") && !frozen.is_differentiable());
    let rest = vec!["first.weight".to_owned(), "first.bias".to_owned()];
    assert!(!scope(1, &model.network, &model.tensors, &rest).complete);
}

#[test]
fn a_specification_is_vacuous_exactly_where_the_claim_says_so() {
    let model = load_bytes(&tiny::mixed()).unwrap();
    let declared = [0, 1, 2].map(|i| format!("(declare-const X_{i} Real)(assert (<= X_{i} 0.1))(assert (>= X_{i} 0))")).concat();
    let text = |asserts: &str| format!("{declared}(declare-const Y_0 Real)(declare-const Y_1 Real){asserts}");
    let check = |text: &str, empty_cases: u32, vacuous: bool| {
        let mut files = Files::default();
        files.add("s.vnnlib", text.as_bytes().to_vec());
        let evidence = Evidence { network: &model.network, tensors: &model.tensors, bundle: &Bundle::default(), files: &files };
        let file = FileIdentity { name: "s.vnnlib".to_owned(), digest: digest_of(text.as_bytes()) };
        let witness = SpecificationWitness::default();
        let claim = Claim {
            id: "specification".to_owned(),
            assurance: Assurance::Proved,
            semantics: Semantics::Real,
            domain: Domain::Specification,
            vacuous,
            kind: ClaimKind::Specification(SpecificationClaim {
                file,
                first: None,
                verdict: Verdict::Holds,
                empty_cases,
                witness,
            }),
        };
        match check_claim(&claim, &evidence) {
            Ok(assurance) => Ok(assurance),
            Err(Refusal::Claim { reason, .. }) => Err(*reason),
            Err(other) => panic!("{other}"),
        }
    };
    let contradiction = text("(assert (>= X_0 0.2))(assert (>= Y_0 -1e9))");
    let half = text("(assert (or (and (>= X_0 0.2) (>= Y_0 -1e9)) (>= Y_0 1e9)))");
    let ordinary = text("(assert (>= Y_0 1e9))");
    for (text, empty, vacuous) in [(&contradiction, 1, true), (&half, 1, false), (&ordinary, 0, false)] {
        assert_eq!(check(text, empty, vacuous), Ok(Assurance::Proved), "{text}");
        for (stated, called) in [(empty + 1, vacuous), (empty, !vacuous), (0, false), (7, true)] {
            if (stated, called) != (empty, vacuous) {
                assert!(
                    matches!(check(text, stated, called), Err(ClaimRefusal::Region(RegionRefusal::Vacuity { .. }))),
                    "{text} {stated} {called}"
                );
            }
        }
    }
}

/// Channels are counted along the axis that is stated, or along axis 1, never along another that happens to fit.
#[test]
fn channels_are_counted_along_the_stated_axis() {
    use nnverify::kernel::proof::{Norm, Perturbation};
    use nnverify::kernel::region::Neighbourhoods;
    let means = |count: usize, axis: Option<u32>| Perturbation {
        norm: Norm::Linf,
        epsilon: "1/255".into(),
        clip: None,
        mean: (0..count).map(|i| format!("0.{i}")).collect(),
        deviation: Vec::new(),
        channel_axis: axis,
    };
    let fits = |shape: &[usize], count: usize, axis| Neighbourhoods::new(&means(count, axis), shape, Semantics::Real).is_ok();
    assert!(fits(&[1, 3, 2, 2], 3, None) && fits(&[1, 3, 2, 2], 1, None) && fits(&[1, 4], 4, None));
    assert!(!fits(&[1, 3, 2, 2], 2, None) && !fits(&[1, 8, 8, 3], 3, None));
    assert!(fits(&[1, 8, 8, 3], 3, Some(3)) && fits(&[1, 3, 2, 2], 2, Some(2)) && !fits(&[1, 3, 2, 2], 3, Some(4)));
    // Along axis 3 neighbouring values have different means.
    let of = |axis| {
        let all = Neighbourhoods::new(&means(2, Some(axis)), &[1, 2, 2], Semantics::Real).unwrap();
        all.of(&[0.0; 4]).unwrap().centre
    };
    assert_eq!((of(1), of(2)), (vec![0.0, 0.0, -0.1, -0.1], vec![0.0, -0.1, 0.0, -0.1]));
}

/// The same numbers along other axes are other samples; flat shapes and axes of length one stand for any.
#[test]
fn samples_in_another_layout_are_refused() {
    let of = |shape: &[usize]| {
        let values = Values::F64(vec![0.5; shape.iter().product()]);
        Dataset::from_arrays(Array::new(shape.to_vec(), values).unwrap(), None, digest_of(b"")).unwrap()
    };
    let fits = |own: &[usize], network: &[usize]| of(own).check_input(network).is_ok();
    assert!(fits(&[5, 3, 4, 2], &[1, 3, 4, 2]) && fits(&[5, 24], &[1, 3, 4, 2]) && fits(&[5, 4, 6], &[1, 24]));
    assert!(fits(&[5, 1, 8, 8], &[1, 8, 8]) && fits(&[5, 8, 8, 1], &[1, 1, 8, 8]) && fits(&[5, 64], &[64]));
    for (own, network) in [([5, 4, 2, 3], [1, 3, 4, 2]), ([5, 2, 4, 3], [1, 3, 2, 4]), ([5, 4, 3, 2], [1, 3, 4, 2])] {
        let error = of(&own).check_input(&network).unwrap_err().to_string();
        assert!(error.contains("x.transpose(0, "), "{error}");
    }
    assert!(Dataset::from_arrays(Array::new(vec![0, 3], Values::F64(Vec::new())).unwrap(), None, String::new()).is_err());
}
