//! Branch and bound by itself, on a question whose answer is known: where a polynomial is least.
//!
//! | test | what it holds |
//! |---|---|
//! | `a_minimum_is_enclosed_whatever_the_threads` | the bound, and the same tree with one thread and with three |
//! | `limits_leave_a_tree_that_proves_the_bound` | a search that is cut off: as many leaves as were bounded, none of a part that waits |
//! | `what_is_found_or_stuck_ends_a_search` | the first in the order of the parts, and what is left |
//! | `a_part_is_plain_data` | parts as JSON |

use nnverify::deadline::Deadline;
use nnverify::search::branch::{Bounded, Division, End, Leaf, Limits, Outcome, Rules, Searched, Split, Subproblem, search};

/// The least value of `x⁴ − 3x² + x` on [−2, 2], to a tolerance.
struct Quartic {
    least: f64,
    /// Parts narrower than this are found, or stuck.
    narrow: f64,
    found: bool,
}

fn ends(part: &Subproblem) -> (f64, f64) {
    let (mut lower, mut upper) = (-2.0, 2.0);
    for split in &part.splits {
        if let Split::Input { cut, above, .. } = *split {
            *(if above { &mut lower } else { &mut upper }) = cut;
        }
    }
    (lower, upper)
}

impl Rules for Quartic {
    type Kept = ();
    type Found = (f64, f64);

    fn is_enough(&self, bound: f64) -> bool {
        bound >= self.least
    }

    fn bound(&self, part: &Subproblem, (): &()) -> Bounded<(), (f64, f64)> {
        let (lower, upper) = ends(part);
        let square = |x: f64| x * x;
        let least = if lower <= 0.0 && upper >= 0.0 { 0.0 } else { square(lower).min(square(upper)) };
        let most = square(lower).max(square(upper));
        let bound = square(least) - 3.0 * most + lower;
        let outcome = if upper - lower >= self.narrow {
            Outcome::Divide(Division::Input { input: 0, cut: f64::midpoint(lower, upper) }, ())
        } else if self.found {
            Outcome::Found((lower, upper))
        } else {
            Outcome::Stuck
        };
        Bounded { bound, leaf: Leaf::default(), outcome }
    }
}

const LIMITS: Limits =
    Limits { deadline: Deadline::NONE, parts: usize::MAX, depth: 100, batch: 4, open: usize::MAX, give_up: false };
/// At x ≈ −1.3008.
const MINIMUM: f64 = -3.513_905;

fn run(rules: &Quartic, limits: &Limits, threads: usize) -> Searched<(f64, f64)> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| search(rules, (), limits))
}

#[test]
fn a_minimum_is_enclosed_whatever_the_threads() {
    let rules = Quartic { least: MINIMUM - 0.1, narrow: 0.0, found: false };
    let alone = run(&rules, &LIMITS, 1);
    assert_eq!(alone.end, End::Closed);
    assert!(alone.bound >= rules.least && alone.bound <= MINIMUM && alone.open == 0, "{}", alone.bound);
    let proof = alone.tree.proof();
    assert_eq!(proof.leaves, alone.parts.div_ceil(2));
    assert_eq!(run(&rules, &LIMITS, 3).tree.proof(), proof);
    // Few parts may wait: the same leaves, for a part is divided or not whatever the order.
    let narrow = Limits { open: 2, ..LIMITS };
    assert_eq!(run(&rules, &narrow, 1).tree.proof(), proof);
}

#[test]
fn limits_leave_a_tree_that_proves_the_bound() {
    let rules = Quartic { least: MINIMUM - 0.1, narrow: 0.0, found: false };
    let mut last = f64::NEG_INFINITY;
    for parts in [1, 5, 21, 41] {
        let limits = Limits { parts, batch: 2, ..LIMITS };
        let found = run(&rules, &limits, 1);
        assert!(found.end == End::Limit && found.parts == parts && found.open > 0);
        assert_eq!(found.tree.proof().leaves, parts.div_ceil(2));
        assert!(found.bound >= last && found.bound < rules.least);
        last = found.bound;
    }
    let late = run(&rules, &Limits { deadline: Deadline::after(Some(std::time::Duration::ZERO)), ..LIMITS }, 1);
    assert!(late.end == End::Limit && late.bound == f64::NEG_INFINITY);
}

#[test]
fn what_is_found_or_stuck_ends_a_search() {
    let rules = Quartic { least: f64::INFINITY, narrow: 0.3, found: true };
    let End::Found((lower, upper)) = run(&rules, &LIMITS, 2).end else { panic!("nothing was found") };
    assert!(upper - lower < 0.3 && lower >= -2.0 && upper <= 2.0);
    let rules = Quartic { found: false, ..rules };
    let stuck = run(&rules, &LIMITS, 2);
    assert!(stuck.end == End::Stuck && stuck.open == 16 && stuck.bound.is_finite(), "{}", stuck.open);
    let given_up = run(&rules, &Limits { give_up: true, ..LIMITS }, 2);
    assert!(given_up.end == End::Stuck && given_up.parts < stuck.parts);
}

#[test]
fn a_part_is_plain_data() {
    let part = Subproblem::default()
        .with(Split::Clause { clause: 1, alternative: 2 })
        .with(Split::Input { input: 3, cut: 0.1, above: true })
        .with(Split::Unit { node: 4, unit: 5, active: false });
    let text = serde_json::to_string(&part).unwrap();
    assert_eq!(serde_json::from_str::<Subproblem>(&text).unwrap(), part);
    assert!(text.contains(r#"{"split":"input","input":3,"cut":0.1,"above":true}"#), "{text}");
}
