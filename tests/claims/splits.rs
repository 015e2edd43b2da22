//! Trees of splits over phases of ReLUs, with multipliers: what bounds leave open is decided, and no tree proves what is false.
//!
//! | test | what it holds |
//! |---|---|
//! | `phases_decide_what_bounds_leave_open` | networks with more inputs than are split: decided both ways, the tree proved again by plain loops, from the certificate's own numbers |
//! | `no_tree_refutes_what_is_reachable` | thousands of well-formed random trees with random multipliers and slopes against specifications that some input violates |
//! | `a_sum_refutes_what_no_atom_does` | weights of atoms that exclude each other together; none where one of them is enough |
//! | `malformed_trees_are_refused` | every kind of code cut short, out of range, twice |
//! | `a_false_claim_is_refused` | the same through the checker of claims, with a digest made right |

use std::sync::Arc;
use std::time::Duration;

use crate::common::tiny::Tiny;
use nnverify::kernel::check::check_claim;
use nnverify::kernel::model::ir::{Function, Network, NetworkBuilder, Op, Source, evaluate};
use nnverify::kernel::model::onnx::{Model, load_bytes};
use nnverify::kernel::proof::{
    Assurance, Bundle, Claim, ClaimKind, Content, Domain, Evidence, FileIdentity, Files, Semantics, SpecificationClaim,
    SpecificationWitness, Splits, Vector, Verdict, digest_of,
};
use nnverify::kernel::read::vnnlib::{Clause, Specification};
use nnverify::kernel::region::bounds::{BoxRegion, Hints, Loops};
use nnverify::kernel::region::{ALTERNATIVES, COMBINED, LEAF, MULTIPLIERS, PHASE, Refuter, RegionRefusal, SLOPES};
use nnverify::pass::robustness::{SpecificationOptions, SpecificationVerdict, verify_specification};

const INPUTS: usize = 60;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// 60 → 12 → 12 → 3 with ReLUs.
fn model(seed: u64) -> Model {
    let bytes = Tiny::new(INPUTS, seed)
        .gemm("first", "x", INPUTS, 12)
        .node("one", "Relu", &["first"], vec![])
        .gemm("second", "one", 12, 12)
        .node("two", "Relu", &["second"], vec![])
        .gemm("third", "two", 12, 3)
        .finish("third");
    load_bytes(&bytes).unwrap()
}

/// Inputs between −1 and 1, outputs as asserted.
fn text(asserts: &str) -> String {
    let mut text = String::new();
    (0..INPUTS).for_each(|i| {
        text += &["(declare-const X_", " Real)(assert (>= X_", " -1))(assert (<= X_", " 1))\n"].join(&i.to_string());
    });
    (0..3).for_each(|i| text += &["(declare-const Y_", " Real)\n"].join(&i.to_string()));
    text + asserts
}

fn specification(asserts: &str) -> Specification {
    Specification::parse(&text(asserts), std::path::Path::new("s.vnnlib"), "").unwrap()
}

fn decide(network: &Network, specification: &Specification) -> SpecificationVerdict {
    let options = SpecificationOptions { semantics: None, timeout: Some(Duration::from_secs(120)), seed: 0 };
    verify_specification(network, specification, &options, &mut |_| ()).unwrap()
}

/// The least first output that local moves find, and where.
fn least(network: &Network, random: &mut Random) -> (f64, Vec<f64>) {
    let mut best = (f64::INFINITY, Vec::new());
    for _ in 0..20 {
        let mut point: Vec<f64> = (0..INPUTS).map(|_| random.unit() * 2.0 - 1.0).collect();
        let mut value = evaluate(network, &point).unwrap()[0];
        for _ in 0..4 {
            for i in 0..INPUTS {
                for end in [-1.0, 1.0] {
                    let mut moved = point.clone();
                    moved[i] = end;
                    let other = evaluate(network, &moved).unwrap()[0];
                    if other < value {
                        (value, point) = (other, moved);
                    }
                }
            }
        }
        if value < best.0 {
            best = (value, point);
        }
    }
    best
}

fn region(specification: &Specification) -> BoxRegion {
    let (lower, upper) = specification.boxes[0].outer();
    BoxRegion::new(lower, upper).unwrap()
}

#[test]
fn phases_decide_what_bounds_leave_open() {
    let mut random = Random(5);
    let (mut split, mut with_multipliers) = (0, 0);
    for seed in 0..6 {
        let model = model(seed);
        let (value, _) = least(&model.network, &mut random);
        // Not below what was found by a clear margin; and reached.
        let safe = specification(&format!("(assert (<= Y_0 {}))", value - 0.05 * (1.0 + value.abs())));
        let reached = specification(&format!("(assert (<= Y_0 {}))", value + 1e-3));
        assert!(matches!(decide(&model.network, &reached), SpecificationVerdict::Violated(_)), "{seed}");
        let SpecificationVerdict::Holds { trees, slopes } = decide(&model.network, &safe) else { panic!("{seed}: not decided") };
        let refuter = Refuter::with_vectors(&model.network, Semantics::Real, Loops).unwrap();
        let hints = slopes.into_iter().next().map(|(_, hints)| hints).unwrap_or_default();
        let clauses = &safe.cases[0].clauses;
        assert_eq!(refuter.refute(&region(&safe), clauses, &trees[0].codes, &hints), Ok(()));
        split += usize::from(trees[0].leaves > 1);
        with_multipliers += usize::from(trees[0].codes.contains(&MULTIPLIERS));
        // Without the tree nothing is proved.
        if trees[0].leaves > 1 {
            assert_eq!(refuter.refute(&region(&safe), clauses, &[LEAF], &hints), Err(RegionRefusal::NotRefuted));
        }
        println!("{seed}: {} leaves, {} numbers", trees[0].leaves, trees[0].codes.len());
    }
    assert!(split >= 3 && with_multipliers >= 2, "{split} {with_multipliers}");
}

/// Fixed phases, chosen alternatives, and the codes so far.
type Path = (Vec<(usize, usize)>, Vec<Option<usize>>, Vec<f64>);

/// ReLUs, and those of them that are unstable without phases.
struct Relus {
    all: Vec<(usize, usize)>,
    unstable: Vec<(usize, usize)>,
}

/// A tree that is well-formed whatever it says.
fn random_tree(network: &Network, unstable: &[(usize, usize)], clauses: &[Arc<Clause>], random: &mut Random) -> Vec<f64> {
    fn grow(relus: &Relus, clauses: &[Arc<Clause>], random: &mut Random, depth: usize, path: &mut Path) {
        let number = |random: &mut Random| match random.below(8) {
            0 => 0.0,
            1 => -random.unit(),
            2 => 1e3 * random.unit(),
            3 => [f64::NAN, f64::INFINITY, 1e300, -1e300][random.below(4)],
            _ => random.unit(),
        };
        let (fixed, chosen, codes) = path;
        let choice = random.below(10);
        let open = chosen.iter().position(Option::is_none);
        if let Some(clause) = open.filter(|_| choice == 9 && depth < 5) {
            codes.extend([ALTERNATIVES, clause as f64]);
            for alternative in 0..clauses[clause].alternatives.len() {
                path.1[clause] = Some(alternative);
                grow(relus, clauses, random, depth + 1, path);
            }
            path.1[clause] = None;
        } else if depth < 6 && choice < 7 {
            let relu = relus.all[random.below(relus.all.len())];
            if fixed.contains(&relu) {
                codes.push(LEAF);
                return;
            }
            codes.extend([PHASE, relu.0 as f64, relu.1 as f64]);
            fixed.push(relu);
            grow(relus, clauses, random, depth + 1, path);
            grow(relus, clauses, random, depth + 1, path);
            path.0.pop();
        } else {
            let rows: usize = clauses
                .iter()
                .zip(chosen.iter())
                .map(|(clause, chosen)| match chosen {
                    Some(chosen) => clause.alternatives[*chosen].len(),
                    None => clause.alternatives.iter().map(Vec::len).sum(),
                })
                .sum();
            let count = rows * fixed.len() + usize::from(random.below(8) == 0);
            let slopes = random.below(2) == 0;
            if slopes && random.below(if chosen.contains(&None) { 16 } else { 3 }) == 0 {
                codes.extend([COMBINED, rows as f64]);
                codes.extend((0..rows).map(|_| number(random)));
                codes.push(fixed.len() as f64);
                codes.extend((0..fixed.len()).map(|_| number(random)));
            } else {
                codes.extend([if slopes { SLOPES } else { MULTIPLIERS }, count as f64]);
                codes.extend((0..count).map(|_| number(random)));
            }
            if slopes {
                let left = relus.unstable.iter().filter(|relu| !fixed.contains(relu)).count();
                codes.push(left as f64);
                codes.extend((0..left).map(|_| number(random)));
            }
        }
    }
    let relu = |id: &nnverify::kernel::model::ir::NodeId| network.node(*id).op == Op::Function(Function::Relu);
    let elements =
        |id: nnverify::kernel::model::ir::NodeId| (0..network.node(id).size()).map(move |element| (id.index(), element));
    let all = network.ids().filter(relu).flat_map(elements).collect();
    let relus = Relus { all, unstable: unstable.to_vec() };
    let mut path = (Vec::new(), vec![None; clauses.len()], Vec::new());
    grow(&relus, clauses, random, 0, &mut path);
    path.2
}

#[test]
fn no_tree_refutes_what_is_reachable() {
    let mut random = Random(17);
    let (mut refuted, mut tried) = (0, 0);
    for seed in 0..4 {
        let model = model(seed);
        let (value, _) = least(&model.network, &mut random);
        let reached = specification(&format!("(assert (or (and (<= Y_0 {value:?})) (and (<= Y_0 -1000.0) (<= Y_1 0))))"));
        let far = specification(&format!("(assert (or (and (<= Y_0 {:?})) (and (<= Y_0 -1000.0))))", value - 40.0));
        let refuter = Refuter::with_vectors(&model.network, Semantics::Real, Loops).unwrap();
        let analysis = refuter.analyse(&region(&reached).into(), &Hints::default()).unwrap();
        let unstable: Vec<(usize, usize)> = analysis.flexible().map(|(node, element)| (node.index(), element)).collect();
        for _ in 0..300 {
            let tree = random_tree(&model.network, &unstable, &reached.cases[0].clauses, &mut random);
            let found = refuter.refute(&region(&reached), &reached.cases[0].clauses, &tree, &Hints::default());
            assert_eq!(found, Err(RegionRefusal::NotRefuted), "{tree:?}");
            tried += 1;
            // The same trees are trees: what is far away they do refute.
            let found = refuter.refute(&region(&far), &far.cases[0].clauses, &tree, &Hints::default());
            assert!(matches!(found, Ok(()) | Err(RegionRefusal::NotRefuted)), "{found:?} {tree:?}");
            refuted += usize::from(found.is_ok());
        }
    }
    assert!(tried == 1200 && refuted > 600, "{refuted}");
}

/// `y = (x, −x)` for `|x| ≤ 1`.
#[test]
fn a_sum_refutes_what_no_atom_does() {
    let mut builder = NetworkBuilder::new();
    let input = builder.push("x", "", Op::Input, &[], vec![1]).unwrap();
    let negative = builder.push("n", "Neg", Op::Function(Function::Neg), &[input], vec![1]).unwrap();
    let both = [0, 1].map(|operand| Source { operand, element: 0 }).to_vec();
    let output = builder.push("y", "Concat", Op::Rearrange(both), &[input, negative], vec![2]).unwrap();
    let network = builder.finish(output).unwrap();
    let refuter = Refuter::with_vectors(&network, Semantics::Real, Loops).unwrap();
    let refute = |asserts: &str, weights: [f64; 2]| {
        let text =
            "(declare-const X_0 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)(assert (>= X_0 -1))(assert (<= X_0 1))";
        let specification = Specification::parse(&format!("{text}{asserts}"), std::path::Path::new("s.vnnlib"), "").unwrap();
        let tree = [COMBINED, 2.0, weights[0], weights[1], 0.0, 0.0];
        refuter.refute(&region(&specification), &specification.cases[0].clauses, &tree, &Hints::default())
    };
    let apart = "(assert (>= Y_0 0.25))(assert (>= Y_1 0.25))";
    for good in [[1.0, 1.0], [0.3, 0.3], [1e-3, 1.1e-3], [1e100, 1e100]] {
        assert_eq!(refute(apart, good), Ok(()), "{good:?}");
    }
    for bad in
        [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [-1.0, -1.0], [1.0, 4.0], [f64::NAN, 1.0], [1.0, f64::INFINITY], [1e300, 1e308]]
    {
        assert_eq!(refute(apart, bad), Err(RegionRefusal::NotRefuted), "{bad:?}");
    }
    let mut random = Random(11);
    for _ in 0..200 {
        let weights = [random.unit(), random.unit()];
        // Where one of them is enough, both together say nothing; and what can be is not refuted.
        for asserts in [
            "(assert (or (>= Y_0 0.25) (>= Y_1 0.25)))",
            "(assert (or (and (>= Y_0 0.25)) (and (>= Y_1 0.25))))",
            "(assert (>= Y_0 0))(assert (>= Y_1 0))",
            "(assert (>= Y_0 -0.5))(assert (>= Y_1 0.5))",
        ] {
            assert_eq!(refute(asserts, weights), Err(RegionRefusal::NotRefuted), "{asserts} {weights:?}");
        }
        assert_eq!(refute("(assert (>= Y_0 0))(assert (>= Y_1 0))", [1.0, 1.0]), Err(RegionRefusal::NotRefuted));
    }
}

#[test]
fn malformed_trees_are_refused() {
    let model = model(0);
    let spec = specification("(assert (or (and (<= Y_0 -1000.0)) (and (<= Y_1 -1000.0))))");
    let refuter = Refuter::with_vectors(&model.network, Semantics::Real, Loops).unwrap();
    let relu = model.network.ids().find(|&id| model.network.node(id).op == Op::Function(Function::Relu)).unwrap().index() as f64;
    let refute = |tree: &[f64]| refuter.refute(&region(&spec), &spec.cases[0].clauses, tree, &Hints::default());
    let unstable = refuter.analyse(&region(&spec).into(), &Hints::default()).unwrap().flexible().count();
    let sloped = |count: usize| [&[SLOPES, 0.0, count as f64][..], &vec![0.5; count]].concat();
    assert!(unstable > 0 && refute(&sloped(unstable)) == Ok(()));
    for good in [
        &[LEAF][..],
        &[PHASE, relu, 3.0, LEAF, LEAF],
        &[PHASE, relu, 3.0, MULTIPLIERS, 2.0, 0.5, 0.5, MULTIPLIERS, 1.0, 7.0],
        &[ALTERNATIVES, 0.0, LEAF, PHASE, relu, 0.0, LEAF, LEAF],
        &[MULTIPLIERS, 0.0],
        &[5.0, 0.25, LEAF, PHASE, relu, 1.0, LEAF, LEAF],
    ] {
        assert_eq!(refute(good), Ok(()), "{good:?}");
    }
    for bad in [
        &[PHASE][..],
        &[PHASE, relu, 3.0],
        &[PHASE, relu, 3.0, LEAF],
        &[PHASE, relu, 12.0, LEAF, LEAF],
        &[PHASE, relu, 0.5, LEAF, LEAF],
        &[PHASE, relu, -1.0, LEAF, LEAF],
        &[PHASE, relu + 1.0, 0.0, LEAF, LEAF],
        &[PHASE, 1e9, 0.0, LEAF, LEAF],
        &[PHASE, f64::NAN, 0.0, LEAF, LEAF],
        &[PHASE, relu, 3.0, PHASE, relu, 3.0, LEAF, LEAF, LEAF],
        &[MULTIPLIERS],
        &[MULTIPLIERS, 2.0, 1.0],
        &[MULTIPLIERS, 1e18],
        &[MULTIPLIERS, -1.0],
        &[ALTERNATIVES],
        &[ALTERNATIVES, 1.0, LEAF, LEAF],
        &[ALTERNATIVES, 0.0, LEAF],
        &[ALTERNATIVES, 0.0, LEAF, LEAF, LEAF],
        &[ALTERNATIVES, 0.0, ALTERNATIVES, 0.0, LEAF, LEAF, LEAF],
        &sloped(unstable + 1),
        &sloped(unstable - 1),
        &[SLOPES, 0.0],
        &[SLOPES, 0.0, 3.0, 0.5],
        &[SLOPES, 1e18, 0.0],
        &[SLOPES, LEAF, LEAF],
        &[COMBINED, 1.0, 1.0, 0.0],
        &[COMBINED, 1.0, 1.0, 0.0, 0.0],
        &[COMBINED, LEAF, LEAF, LEAF],
        &[-7.0, LEAF, LEAF],
        &[-1.5],
    ] {
        assert!(matches!(refute(bad), Err(RegionRefusal::Content(Content::Shape { .. }))), "{bad:?} {:?}", refute(bad));
    }
}

#[test]
fn a_false_claim_is_refused() {
    let model = model(1);
    let mut random = Random(3);
    let (value, _) = least(&model.network, &mut random);
    let claim = |text: &str, tree: Vec<f64>| Claim {
        id: "specification".to_owned(),
        assurance: Assurance::Proved,
        semantics: Semantics::Real,
        domain: Domain::Specification,
        vacuous: false,
        kind: ClaimKind::Specification(SpecificationClaim {
            first: None,
            file: FileIdentity { name: "s.vnnlib".to_owned(), digest: digest_of(text.as_bytes()) },
            verdict: Verdict::Holds,
            empty_cases: 0,
            witness: SpecificationWitness {
                splits: vec![Splits { case: 0, tree: Vector::inline(&tree) }],
                ..SpecificationWitness::default()
            },
        }),
    };
    let check = |text: &str, tree: Vec<f64>| {
        let mut files = Files::default();
        files.add("s.vnnlib", text.as_bytes().to_vec());
        let evidence = Evidence { network: &model.network, tensors: &model.tensors, bundle: &Bundle::default(), files: &files };
        check_claim(&claim(text, tree), &evidence)
    };
    let margin = 0.05 * (1.0 + value.abs());
    let (safe, reached) = (text(&format!("(assert (<= Y_0 {}))", value - margin)), text(&format!("(assert (<= Y_0 {value:?}))")));
    let specification = Specification::parse(&safe, std::path::Path::new("s.vnnlib"), "").unwrap();
    let SpecificationVerdict::Holds { trees, .. } = decide(&model.network, &specification) else { panic!("not decided") };
    // The tree of the true claim proves nothing of the false one, however its multipliers are changed.
    for _ in 0..100 {
        let mut tree = trees[0].codes.clone();
        for code in &mut tree {
            if *code > 0.0 && code.fract() != 0.0 {
                *code *= 4.0 * random.unit();
            }
        }
        let refusal = check(&reached, tree).unwrap_err().to_string();
        assert!(refusal.contains("refuted"), "{refusal}");
    }
}
