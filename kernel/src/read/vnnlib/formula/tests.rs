//! Shapes of specifications as the competitions have them, and hostile ones.

use std::fmt::Write;
use std::path::Path;

use crate::read::vnnlib::{ElementType, Specification};

fn parse(text: &str) -> Result<Specification, String> {
    Specification::parse(text, Path::new("s.vnnlib"), "").map_err(|error| error.to_string())
}

fn flat(inputs: usize, outputs: usize, asserts: &str) -> String {
    let mut text = String::new();
    (0..inputs).for_each(|i| writeln!(text, "(declare-const X_{i} Real)").unwrap());
    (0..outputs).for_each(|i| writeln!(text, "(declare-const Y_{i} Real)").unwrap());
    text + asserts
}

#[test]
fn a_box_and_an_or_of_conjunctions() {
    let text = flat(
        2,
        3,
        "(assert (<= X_0 1)) ; comment (\n(assert (>= X_0 -1))(assert (<= 0.1 X_1))(assert (>= 0.3 X_1))
         (assert (or (and (<= Y_0 Y_1)) (and (>= Y_2 0.5) (<= Y_2 1e0)) (<= (+ Y_0 (* 2 Y_1) (- X_0)) (- 3 1))))",
    );
    let s = parse(&text).unwrap();
    assert_eq!((s.inputs(), s.outputs(), s.boxes.len(), s.cases.len(), s.version), (2, 3, 1, 1, (1, 0)));
    let (lower, upper) = s.boxes[0].outer();
    assert!(lower[0] == -1.0 && upper[0] == 1.0 && lower[1] < 0.1 && lower[1].next_up() == 0.1);
    let (inner, _) = s.boxes[0].inner();
    assert_eq!(inner[1], 0.1);
    let clause = &s.cases[0].clauses[0];
    assert_eq!(clause.alternatives.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 1]);
    let mixed = &clause.alternatives[2][0];
    assert_eq!((mixed.inputs[0].index, mixed.inputs[0].coefficient.lower), (0, -1.0));
    assert_eq!(mixed.outputs.iter().map(|t| (t.index, t.coefficient.lower)).collect::<Vec<_>>(), [(0, 1.0), (1, 2.0)]);
    assert_eq!(mixed.bound.lower, 2.0);
    assert_eq!(mixed.range(&[(0.5, 0.75), (0.0, 0.0)], &[(1.0, 1.0), (-1.0, 2.0), (0.0, 0.0)]), (-1.75, 4.5));
    assert!(!mixed.surely_holds(&[(0.5, 0.75)], &[(1.0, 1.0), (-1.0, 2.0)]));
    assert!(mixed.surely_holds(&[(0.5, 0.75)], &[(1.0, 1.0), (-1.0, 0.75)]));
    assert!(!mixed.surely_holds(&[(f64::NAN, 0.75)], &[(1.0, 1.0), (-1.0, 0.5)]) && !mixed.surely_holds(&[], &[]));
    assert!(mixed.refuted_by(2.5) && !mixed.refuted_by(2.0) && !mixed.refuted_by(f64::NAN));
    assert!(s.surely_unsafe(0, &[(0.0, 0.0), (0.2, 0.2)], &[(1.0, 1.0), (1.0, 1.0), (0.0, 0.0)]));
    assert!(!s.surely_unsafe(0, &[(0.0, 0.0), (0.2, 0.2)], &[(5.0, 5.0), (1.0, 1.0), (0.0, 0.0)]));
    assert!(!s.surely_unsafe(1, &[], &[]));
}

#[test]
fn an_or_over_inputs_times_an_or_over_outputs_stays_a_product() {
    let boxes = (0..100).map(|i| format!("(and (>= X_0 {i}) (<= X_0 {}))", i + 1)).collect::<Vec<_>>().join(" ");
    let rows = (1..100).map(|i| format!("(<= Y_{i} Y_0)")).collect::<Vec<_>>().join(" ");
    let s = parse(&flat(1, 100, &format!("(assert (or {boxes}))(assert (or {rows}))(assert (<= Y_1 5))(assert (<= Y_2 5))")))
        .unwrap();
    assert_eq!((s.boxes.len(), s.cases.len()), (100, 100));
    let shapes: Vec<_> = s.cases[7].clauses.iter().map(|clause| clause.alternatives.len()).collect();
    assert_eq!((shapes, s.cases[7].clauses[0].alternatives[0].len()), (vec![1, 99], 2));
    assert!(std::sync::Arc::ptr_eq(&s.cases[0].clauses[1], &s.cases[99].clauses[1]));
}

#[test]
fn mixed_disjuncts_share_their_boxes() {
    let s = parse(&flat(
        2,
        1,
        "(assert (>= X_1 0)) (assert (<= X_1 1))
         (assert (or (and (>= X_0 0) (<= X_0 1) (<= Y_0 0)) (and (>= X_0 0) (<= X_0 1) (>= Y_0 9)) (and (>= X_0 2) (<= X_0 1) (<= Y_0 0))
                     (and (>= X_0 3) (<= X_0 4) (or (<= Y_0 1) (>= Y_0 2)))))",
    ))
    .unwrap();
    // The third box is empty.
    assert_eq!((s.boxes.len(), s.cases.iter().map(|c| c.region).collect::<Vec<_>>()), (2, vec![0, 0, 1]));
    assert_eq!(s.cases[2].clauses[0].alternatives.len(), 2);
}

#[test]
fn thousands_of_mixed_disjuncts_are_read_quickly() {
    // As the largest files of the competition: about ten megabytes.
    let mut text = flat(11, 1, "(assert (or\n");
    for i in 0..18_000 {
        text.push_str("(and ");
        for x in 0..11 {
            write!(text, "(<= X_{x} 0.{:017}) (>= X_{x} 0.{:017}) ", i * 2 + x + 20_000_000_000_000_000_u64, i * 2 + x).unwrap();
        }
        writeln!(text, "(>= Y_0 {i}.5))").unwrap();
    }
    text.push_str("))");
    assert!(text.len() > 10_000_000);
    let start = std::time::Instant::now();
    let s = parse(&text).unwrap();
    assert_eq!((s.boxes.len(), s.cases.len()), (18_000, 18_000));
    // Far above what it takes, so that only an algorithm of the wrong order fails on a busy machine.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn degenerate_boxes_and_decimals_between_floats() {
    let s = parse(&flat(2, 1, "(assert (<= X_0 0.1))(assert (>= X_0 0.1))(assert (= X_1 0.5))(assert (>= Y_0 0))")).unwrap();
    let (outer, inner) = (s.boxes[0].outer(), s.boxes[0].inner());
    assert!(outer.0[0] < outer.1[0] && inner.0[0] > inner.1[0] && s.boxes[0].lower[0].nearest == 0.1);
    assert!(outer.0[1] == 0.5 && outer.1[1] == 0.5 && inner.0[1] == 0.5 && inner.1[1] == 0.5);
    // An end that does not belong to the box belongs to the superset only.
    let s = parse(&flat(1, 1, "(assert (< X_0 1))(assert (> X_0 0))(assert (!= Y_0 3))")).unwrap();
    assert_eq!((s.boxes[0].outer(), s.boxes[0].inner().1[0] < 1.0), ((vec![0.0], vec![1.0]), true));
    let strict = &s.cases[0].clauses[0].alternatives;
    assert!(strict.len() == 2 && strict[0][0].refuted_by(3.0) && !strict[0][0].surely_holds(&[], &[(3.0, 3.0)]));
    // Nothing at all.
    assert!(parse(&flat(1, 1, "(assert (<= X_0 0))(assert (>= X_0 1))(assert (>= Y_0 0))")).unwrap().cases.is_empty());
}

#[test]
fn version_two_with_tensors() {
    let text = "(vnnlib-version <2.0>)
        (declare-network f (declare-input A float32 [1,2,2]) (declare-output B float32 [1, 3] \"logits\"))
        (assert (and (>= A[0,0,0] 0.0) (<= A[0,0,0] 1.0) (== A[0,0,1] 0.5) (<= A[0,1,0] 1) (>= A[0,1,0] 1) (== A[0, 1, 1] 2)))
        (assert (or (> B[0,2] B[0,0]) (!= (* 2 B[0,1] 0.5) 1.0)))";
    let s = parse(text).unwrap();
    assert_eq!((s.version, s.element), ((2, 0), ElementType::Float32));
    assert_eq!((s.input_shape.as_slice(), s.output_shape.as_slice()), (&[1, 2, 2][..], &[1, 3][..]));
    assert_eq!((s.names.input.as_str(), s.names.output.as_str(), s.names.network.as_deref()), ("A", "B", Some("f")));
    let alternatives = &s.cases[0].clauses[0].alternatives;
    assert!(alternatives.len() == 3 && alternatives[0][0].strict && alternatives[0][0].outputs[1].index == 2);
    assert!(s.check_network(&[2, 2], &[3]).is_ok());
    assert!(s.check_network(&[4], &[3]).unwrap_err().to_string().contains("shape [1, 2, 2], the network's is [4]"));
    let scalar = "(vnnlib-version <2.0>)(declare-network f (declare-input x Real []) (declare-output y Real []))
        (assert (<= x 1))(assert (>= x 0))(assert (>= y x))";
    assert_eq!(parse(scalar).unwrap().cases[0].clauses[0].alternatives[0][0].inputs[0].index, 0);
}

#[test]
fn errors_name_line_and_column() {
    let two = |rest: &str| {
        format!("(vnnlib-version <2.0>)\n(declare-network f (declare-input X Real [2]) (declare-output Y Real [1]))\n{rest}")
    };
    let second = |name: &str, input: &str, shape: &str| {
        format!("(declare-network {name} (declare-input {input} Real {shape}) (declare-output V{input} Real [1]))")
    };
    for (text, expected) in [
        ("(assert (<= X_0 1))".to_owned(), "`s.vnnlib`:1:13: what is named is not declared"),
        (flat(1, 1, "(assert\n (<= Y_0 1.2.3))"), "`s.vnnlib`:4:10: expected a number"),
        (flat(1, 1, "(assert (<= Y_0 1e999))"), "3:17: expected a number within the range"),
        // What is no specification is not quoted.
        ("hunter2 1".to_owned(), "`s.vnnlib`:1:1: expected `(`"),
        ("(hunter2 1)".to_owned(), "`s.vnnlib`:1:2: expected `assert` or a declaration"),
        ("(assert (hunter2 1))".to_owned(), "`s.vnnlib`:1:10: expected `and`, `or` or a comparison"),
        (flat(1, 1, "(assert (<= Z 1))"), "3:13: `Z` is not declared"),
        (flat(1, 1, "(assert (xor Y_0 1))"), "3:10: expected `and`, `or` or a comparison, found `xor`"),
        (flat(1, 1, "(assert (<= Y_0"), "3:16: the text ends within an expression"),
        (flat(1, 1, "(assert (<= Y_0 1)) )"), "3:21: expected `(`, found `)`"),
        (flat(1, 1, "(declare-const X_0 Real)"), "3:16: `X_0` is declared twice"),
        (flat(1, 1, "(declare-const Z Real)"), "3:16: expected a variable `X_i` or `Y_i`"),
        (flat(1, 1, ""), "nothing is asserted"),
        (flat(1, 1, "(assert (<= Y_0 1))"), "input 0 of `X` has no lower bound"),
        (flat(1, 1, "(assert (>= X_0 1))(assert (<= Y_0 1))"), "input 0 of `X` has no upper bound"),
        ("(declare-const X_99999999999 Real)".to_owned(), "1:16: too many variables"),
        (two("(assert (<= X[2] 1))"), "3:13: `X` has the shape [2]: the indices [2] are not in it"),
        (two("(assert (<= X 1))"), "the indices [] are not in it"),
        (two("(assert (<= (* X[0] Y[0]) 1))"), "3:14: a product of two variables"),
        (two(&second("g", "Z", "[2]")), "input 0 of `g` is not said to be that of `f`"),
        (two(&second("g", "Z", "[3]")), "3:2: the two networks have inputs or outputs of different shapes"),
        (two(&second("f", "Z", "[2]")), "two networks have one name"),
        (two(&(second("g", "Z", "[2]") + &second("h", "W", "[2]"))), "a third network"),
        (two(&("(assert (<= Y[0] 1))".to_owned() + &second("g", "Z", "[2]"))), "declarations come first"),
        ("(vnnlib-version <3.0>)".to_owned(), "version 3.0 is not known"),
        ("(declare-network f (declare-input X int8 [1])".to_owned(), "expected an element type"),
        ("(declare-network f (declare-input X Real [4294967296,4294967296])".to_owned(), "or too many"),
        ("(declare-network f (isomorphic-to g))".to_owned(), "`isomorphic-to` is not supported"),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn hostile_texts_are_refused_at_a_limit() {
    let deep = flat(1, 1, &("(assert ".to_owned() + &"(and ".repeat(1_000_000)));
    assert!(parse(&deep).unwrap_err().contains("nested expressions"));
    let deep = flat(1, 1, &("(assert (<= ".to_owned() + &"(- ".repeat(1_000_000)));
    assert!(parse(&deep).unwrap_err().contains("nested expressions"));
    // Thirty disjunctions of two: a blind expansion would have a billion cases. Over outputs they stay clauses.
    let outputs = "(assert (or (<= Y_0 0) (>= Y_0 1)))".repeat(30);
    let bounds = "(assert (<= X_0 1))(assert (>= X_0 0))";
    assert_eq!(parse(&flat(1, 1, &(outputs + bounds))).unwrap().cases[0].clauses.len(), 30);
    let inputs = "(assert (or (<= X_0 0) (>= X_0 0)))".repeat(30);
    assert!(parse(&flat(1, 1, &(inputs + bounds + "(assert (<= Y_0 0))"))).unwrap_err().contains("more than the limit"));
}

/// Cuts and flips of good texts: a specification or an error, never a panic.
#[test]
fn damaged_texts_never_panic() {
    let one = flat(2, 2, "(assert (or (and (<= X_0 1.5) (>= X_0 -1e-3) (<= X_1 1) (>= X_1 0) (<= (+ Y_0 (* 2 Y_1)) 0))))");
    let two = "(vnnlib-version <2.0>)(declare-network f (declare-input X Real [1,2]) (declare-output Y Real [2] \"o\"))
        (assert (and (<= X[0,0] 1) (>= X[0,0] 0) (== X[0,1] 1)))(assert (!= Y[0] Y[1]))";
    let mut state = 88_172_645_463_325_252_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound.max(1)
    };
    let (mut read, mut refused) = (0, 0);
    for round in 0..20_000 {
        let mut bytes = [one.as_bytes(), two.as_bytes()][round % 2].to_vec();
        for _ in 0..=below(2) {
            let at = below(bytes.len());
            match below(4) {
                0 => bytes.truncate(at),
                1 => bytes[at] = b"() []\"-;0eX_,.<>"[below(16)],
                2 => bytes.insert(at, b"()[] \"-9"[below(8)]),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        match parse(&String::from_utf8(bytes).unwrap()) {
            Ok(_) => read += 1,
            Err(error) => {
                assert!(!error.contains('\n') && error.chars().count() < 500, "{error}");
                refused += 1;
            }
        }
    }
    assert!(read > 500 && refused > 5000, "{read} read, {refused} refused");
}

/// A bound through a coefficient is the bound of the input itself, whatever the sign; decimals are divided outward.
#[test]
fn a_coefficient_of_an_input_is_divided_out() {
    let read = |text: &str| Specification::parse(text, Path::new("p.vnnlib"), "").unwrap();
    let declared = "(declare-const X_0 Real)(declare-const Y_0 Real)";
    let found = read(&format!(
        "{declared}(assert (>= (* 2 X_0) 0))(assert (<= (* -4 X_0) 8))(assert (<= (* 2 X_0) 1))(assert (>= Y_0 0))"
    ));
    assert_eq!((found.boxes[0].lower[0].lower, found.boxes[0].upper[0].upper), (0.0, 0.5));
    let thirds = read(&format!("{declared}(assert (>= (* 3 X_0) 1))(assert (<= (* 0.3 X_0) 0.1))(assert (>= Y_0 0))"));
    let (lower, upper) = (thirds.boxes[0].lower[0], thirds.boxes[0].upper[0]);
    assert!(lower.lower < lower.upper && lower.lower * 3.0 <= 1.0 && upper.lower <= 1.0 / 3.0 && upper.upper >= 1.0 / 3.0);
}

/// What no input satisfies is counted, not dropped.
#[test]
fn disjuncts_without_inputs_are_counted() {
    let declared = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= X_0 1))(assert (>= X_0 0))";
    let read = |text: &str| Specification::parse(&format!("{declared}{text}"), Path::new("p.vnnlib"), "").unwrap();
    let whole = read("(assert (>= Y_0 0))");
    assert_eq!((whole.empty_cases(), whole.is_vacuous()), (0, false));
    let partly = read("(assert (or (and (<= X_0 -1) (>= Y_0 0)) (>= X_0 0.5)))(assert (>= Y_0 0))");
    assert_eq!((partly.empty_cases(), partly.is_vacuous()), (1, false));
    let nothing = read("(assert (>= X_0 2))(assert (>= Y_0 0))");
    assert_eq!((nothing.empty_cases(), nothing.is_vacuous()), (1, true));
}

/// Atoms that exclude each other make a disjunct of nothing; strict ones already where they meet.
#[test]
fn contradictory_atoms_are_seen_for_what_they_are() {
    let declared =
        "(declare-const X_0 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)(assert (<= X_0 1))(assert (>= X_0 0))";
    let vacuous =
        |text: &str| Specification::parse(&format!("{declared}{text}"), Path::new("p.vnnlib"), "").unwrap().is_vacuous();
    assert!(vacuous("(assert (> Y_0 Y_1))(assert (> Y_1 Y_0))"));
    assert!(vacuous("(assert (> Y_0 Y_1))(assert (>= Y_1 Y_0))"));
    assert!(vacuous("(assert (>= Y_0 2))(assert (<= Y_0 1))") && vacuous("(assert (or (and (>= Y_0 2) (<= Y_0 1))))"));
    assert!(!vacuous("(assert (>= Y_0 Y_1))(assert (>= Y_1 Y_0))") && !vacuous("(assert (>= Y_0 1))(assert (<= Y_0 1))"));
    assert!(!vacuous("(assert (or (and (> Y_0 Y_1) (> Y_1 Y_0)) (>= Y_0 0)))"));
    // Two decimals with one nearest number: which is larger is not decided here.
    assert!(!vacuous("(assert (>= Y_0 0.1))(assert (<= Y_0 0.1000000000000000001))"));
}

/// Inputs of the second network are those of the first, its outputs follow; nothing is left of what ties them.
#[test]
fn two_networks_have_one_input_and_both_outputs() {
    let declared = "(vnnlib-version <2.0>)(declare-network f (declare-input X Real [2]) (declare-output Y Real [3]))\
        (declare-network g (isomorphic-to f) (declare-input Z Real [2]) (declare-output V Real [3]))\
        (assert (and (>= X[0] 0) (<= Z[0] 1) (>= Z[1] 2) (<= X[1] 3)))";
    let rest = "(assert (and (== X[0] Z[0]) (== Z[1] X[1])))(assert (<= (- Y[1] V[2]) 0.5))";
    let s = Specification::parse(&format!("{declared}{rest}"), Path::new("s.vnnlib"), "").unwrap();
    assert_eq!((s.inputs(), s.outputs(), s.cases.len(), s.boxes.len()), (2, 6, 1, 1));
    let names = s.second.as_ref().unwrap();
    assert_eq!((names.network.as_deref(), names.input.as_str(), names.output.as_str()), (Some("g"), "Z", "V"));
    let [clause] = &s.cases[0].clauses[..] else { panic!("{:?}", s.cases) };
    let atom = &clause.alternatives[0][0];
    let terms: Vec<(usize, f64)> = atom.outputs.iter().map(|term| (term.index, term.coefficient.lower)).collect();
    assert_eq!((terms, atom.inputs.len()), (vec![(1, 1.0), (5, -1.0)], 0));
    assert!(Specification::parse(declared, Path::new("s.vnnlib"), "").is_err());
    // Each of these follows from the other; together they leave both inputs as far apart as one likes.
    let moved = "(assert (== (+ (- Z[0] X[0]) X[1]) Z[1]))(assert (== (+ (- Z[1] X[1]) X[0]) Z[0]))";
    let alone = "(assert (== X[0] Z[0]))(assert (== (+ X[1] 0) Z[1]))";
    for untied in [moved, alone] {
        let error = Specification::parse(&format!("{declared}{untied}"), Path::new("s.vnnlib"), "").unwrap_err().to_string();
        assert!(error.contains("is not said to be that of"), "{error}");
    }
}
