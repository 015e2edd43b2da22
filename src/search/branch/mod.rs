//! Branch and bound. Parts of a question are picked, bounded in batches on all cores, and closed or divided; the tree of
//! divisions, with what closed each leaf, is the witness.
//!
//! What a part is worth is the business of the [`Rules`]: they bound a part, try points of it, and say how it is to be divided.
//! Which part is next, when the search ends and what becomes of the tree is decided here.
//! Batches do not depend on the number of threads, and neither does the tree. Nothing here may claim that a part is closed:
//! the checker bounds every leaf again.
//!
//! | file | what it holds |
//! |---|---|
//! | `subproblem` | a part as plain data: the splits from the root |
//! | `tree` | the tree while it grows, and as the checker reads it |

mod subproblem;
mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::deadline::Deadline;

pub use subproblem::{Division, Split, Subproblem};
pub use tree::{Leaf, Proof, Tree};

/// What a search is about.
pub trait Rules: Sync {
    /// What the parts of a divided part start from.
    type Kept: Send + Sync;
    /// What ends the search at once.
    type Found: Send;

    /// Bounds one part.
    fn bound(&self, part: &Subproblem, kept: &Self::Kept) -> Bounded<Self::Kept, Self::Found>;

    /// Whether a part with this bound need not be divided.
    fn is_enough(&self, bound: f64) -> bool;

    /// Whether the search has to end before its deadline.
    fn has_ended(&self) -> bool {
        false
    }
}

/// What became of a part.
pub struct Bounded<K, F> {
    /// The larger, the nearer the part is to being closed. A NaN counts as minus infinity.
    pub bound: f64,
    /// What proves the bound.
    pub leaf: Leaf,
    pub outcome: Outcome<K, F>,
}

/// What is to be done with a part.
pub enum Outcome<K, F> {
    /// Nothing is left of it.
    Closed,
    Divide(Division, K),
    /// It can neither be closed nor divided.
    Stuck,
    Found(F),
}

/// What a search may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub deadline: Deadline,
    /// Parts that are bounded.
    pub parts: usize,
    /// Splits on one path.
    pub depth: usize,
    /// Parts that are bounded at once.
    pub batch: usize,
    /// Parts that wait, at most: with more, those that are nearest to being closed are taken first.
    pub open: usize,
    /// Whether a part that is stuck ends the search.
    pub give_up: bool,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<F> {
    /// Every part is closed, or its bound is enough.
    Closed,
    Found(F),
    /// All parts but some that can neither be closed nor divided.
    Stuck,
    /// Out of time, or of splits.
    Limit,
}

/// What a search leaves.
pub struct Searched<F> {
    pub end: End<F>,
    pub tree: Tree,
    /// The least bound of all parts that are not closed; infinite where there are none.
    pub bound: f64,
    /// Parts that are left.
    pub open: usize,
    /// Parts that were bounded.
    pub parts: usize,
}

/// A part that waits.
struct Waiting<K> {
    part: Subproblem,
    kept: Arc<K>,
    /// Where it stands in the tree.
    node: usize,
}

/// Searches from the root until everything is closed or a limit is reached.
pub fn search<R: Rules>(rules: &R, kept: R::Kept, limits: &Limits) -> Searched<R::Found> {
    let mut tree = Tree::new();
    let mut queue = Queue::new(Waiting { part: Subproblem::default(), kept: Arc::new(kept), node: Tree::ROOT });
    // The least bound of what is neither closed nor waits.
    let mut rest = f64::INFINITY;
    let (mut stuck, mut parts) = (0, 0);
    let end = loop {
        let mut batch = Vec::new();
        while batch.len() < limits.batch.max(1)
            && let Some(waiting) = queue.pop(limits.open)
        {
            let bound = tree.bound(waiting.node);
            if rules.is_enough(bound) { rest = rest.min(bound) } else { batch.push(waiting) }
        }
        if batch.is_empty() {
            break if stuck == 0 { End::Closed } else { End::Stuck };
        }
        if limits.deadline.has_passed() || rules.has_ended() || parts >= limits.parts {
            rest = batch.iter().map(|waiting| tree.bound(waiting.node)).fold(rest, f64::min);
            stuck += batch.len();
            break End::Limit;
        }
        parts += batch.len();
        let bounded: Vec<_> = batch.par_iter().map(|waiting| rules.bound(&waiting.part, &waiting.kept)).collect();
        let mut found = None;
        for (Waiting { part, node, .. }, Bounded { bound, leaf, outcome }) in batch.into_iter().zip(bounded) {
            tree.settle(node, leaf, bound);
            let divided = match outcome {
                Outcome::Closed => continue,
                Outcome::Found(this) => {
                    found = found.or(Some(this));
                    continue;
                }
                Outcome::Stuck => None,
                Outcome::Divide(division, kept) => Some((division, Arc::new(kept))),
            };
            if rules.is_enough(bound) {
                rest = rest.min(bound);
                continue;
            }
            let Some((division, kept)) = divided.filter(|_| part.splits.len() < limits.depth) else {
                stuck += 1;
                rest = rest.min(bound);
                continue;
            };
            for (node, split) in tree.divide(node, division).into_iter().zip(division.splits()) {
                queue.push(bound, Waiting { part: part.with(split), kept: Arc::clone(&kept), node });
            }
        }
        if let Some(found) = found {
            break End::Found(found);
        }
        if stuck > 0 && limits.give_up {
            break End::Stuck;
        }
    };
    let bound = queue.iter().map(|waiting| tree.bound(waiting.node)).fold(rest, f64::min);
    Searched { end, bound, open: queue.len() + stuck, parts, tree }
}

/// The parts that wait, ordered by the bounds of what they are of, then as they came.
struct Queue<K> {
    waiting: BTreeMap<(u64, usize), Waiting<K>>,
    pushed: usize,
}

impl<K> Queue<K> {
    fn new(root: Waiting<K>) -> Self {
        let mut queue = Self { waiting: BTreeMap::new(), pushed: 0 };
        queue.push(f64::NEG_INFINITY, root);
        queue
    }

    fn push(&mut self, bound: f64, waiting: Waiting<K>) {
        self.waiting.insert((rank(bound), self.pushed), waiting);
        self.pushed += 1;
    }

    /// Takes the part that is farthest from being closed; where too many wait, the nearest.
    fn pop(&mut self, most: usize) -> Option<Waiting<K>> {
        let popped = if self.waiting.len() > most { self.waiting.pop_last() } else { self.waiting.pop_first() };
        popped.map(|(_, waiting)| waiting)
    }

    fn len(&self) -> usize {
        self.waiting.len()
    }

    fn iter(&self) -> impl Iterator<Item = &Waiting<K>> {
        self.waiting.values()
    }
}

/// Returns numbers in the order of the bounds; a NaN is no bound.
fn rank(bound: f64) -> u64 {
    let bits = if bound.is_nan() { f64::NEG_INFINITY } else { bound }.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}
