//! Cases refuted along trees of splits: of inputs, of the phases of ReLUs, of the alternatives of a clause.
//!
//! A tree is a list of numbers in pre-order. Nothing in it is believed: whatever the splits, the parts cover the whole, and
//! every leaf is refuted by bounds that are computed here.
//!
//! | code | what follows |
//! |---|---|
//! | an input | a cut, then two subtrees: the input at most there, at least there |
//! | [`LEAF`] | nothing: bounds refute the case here |
//! | [`PHASE`] | a node and an element of it, a ReLU, then two subtrees: its operand not positive, not negative |
//! | [`MULTIPLIERS`] | a number, and as many multipliers, one for each row and phase: a leaf whose bounds use them |
//! | [`SLOPES`] | the same as [`MULTIPLIERS`], then a number, and as many positions of slopes, one for each unstable ReLU: a leaf whose bounds use both |
//! | [`COMBINED`] | a number, and as many weights, one for each row; then multipliers and slopes as after [`SLOPES`]: a leaf where the sum of the atoms that all hold is refuted, each times its weight |
//! | [`ALTERNATIVES`] | a clause, then a subtree for each of its alternatives |
//!
//! Leaves below splits of phases stand on the bounds of all nodes on their box without phases, which are computed once.

use std::slice::Iter;
use std::sync::Arc;

use super::refusal::RegionRefusal;
use super::refutation::{Refuter, usable_rows};
use crate::model::ir::{Function, NodeId, Op};
use crate::proof::Content;
use crate::read::vnnlib::Clause;
use crate::region::bounds::{Analysis, BoxRegion, Hints, Phases, Vectorise};

pub const LEAF: f64 = -1.0;
pub const PHASE: f64 = -2.0;
pub const MULTIPLIERS: f64 = -3.0;
pub const ALTERNATIVES: f64 = -4.0;
pub const SLOPES: f64 = -5.0;
pub const COMBINED: f64 = -6.0;

impl<V: Vectorise> Refuter<'_, V> {
    /// Refutes a case on a box along a tree of splits. The hints are for the whole case.
    ///
    /// # Errors
    /// The first leaf that is not refuted, or a tree that is none.
    pub fn refute(&self, region: &BoxRegion, clauses: &[Arc<Clause>], tree: &[f64], hints: &Hints) -> Result<(), RegionRefusal> {
        let mut walk = Walk {
            refuter: self,
            case: Narrowed::new(clauses),
            hints,
            codes: tree.iter(),
            lower: region.lower().to_vec(),
            upper: region.upper().to_vec(),
            phases: Phases::new(),
            path: Vec::new(),
            base: None,
        };
        loop {
            walk.node()?;
            if !walk.advance() {
                break;
            }
        }
        if walk.codes.next().is_none() { Ok(()) } else { Err(malformed("a tree of splits goes on after its end")) }
    }
}

fn malformed(what: &'static str) -> RegionRefusal {
    RegionRefusal::Content(Content::Shape { what })
}

/// A case in which the alternatives of some clauses are chosen.
#[derive(Clone, Debug)]
pub struct Narrowed<'c> {
    clauses: &'c [Arc<Clause>],
    chosen: Vec<Option<usize>>,
}

impl<'c> Narrowed<'c> {
    #[must_use]
    pub fn new(clauses: &'c [Arc<Clause>]) -> Self {
        Self { clauses, chosen: vec![None; clauses.len()] }
    }

    /// The case where an alternative of a clause is the one that holds.
    #[must_use]
    pub fn choose(&self, clause: usize, alternative: usize) -> Self {
        let mut chosen = self.chosen.clone();
        if let Some(slot) = chosen.get_mut(clause) {
            *slot = Some(alternative);
        }
        Self { clauses: self.clauses, chosen }
    }

    #[must_use]
    pub fn clauses(&self) -> Vec<Arc<Clause>> {
        let narrowed = |(clause, chosen): (&Arc<Clause>, &Option<usize>)| match chosen.and_then(|at| clause.alternatives.get(at))
        {
            Some(alternative) => Arc::new(Clause { alternatives: vec![alternative.clone()] }),
            None => clause.clone(),
        };
        self.clauses.iter().zip(&self.chosen).map(narrowed).collect()
    }

    /// The hints for the rows of the whole case, for those that are left, with multipliers of their own.
    #[must_use]
    pub fn hints(&self, whole: &Hints, multipliers: Vec<f64>, outputs: usize) -> Hints {
        if self.chosen.iter().all(Option::is_none) || whole.rows.is_empty() {
            return Hints { rows: whole.rows.clone(), multipliers, ..Hints::default() };
        }
        let all = usable_rows(self.clauses, outputs);
        let left = usable_rows(&self.clauses(), outputs);
        let positions = self.positions();
        let row = |&narrowed: &usize| all.binary_search(positions.get(narrowed)?).ok();
        let kept: Option<Vec<usize>> = left.iter().map(row).collect();
        let rows = kept.map(|kept| whole.rows.select(&kept, all.len())).unwrap_or_default();
        Hints { rows, multipliers, ..Hints::default() }
    }

    /// Which atoms of the whole case are left, in order.
    fn positions(&self) -> Vec<usize> {
        let mut positions = Vec::new();
        let mut next = 0;
        for (clause, chosen) in self.clauses.iter().zip(&self.chosen) {
            for (alternative, atoms) in clause.alternatives.iter().enumerate() {
                if chosen.is_none_or(|chosen| chosen == alternative) {
                    positions.extend(next..next + atoms.len());
                }
                next += atoms.len();
            }
        }
        positions
    }
}

/// What a leaf gives for its bounds.
#[derive(Default)]
struct Given {
    weights: Option<Vec<f64>>,
    multipliers: Vec<f64>,
    positions: Option<Vec<f64>>,
}

/// An inner node on the path, and how many of its subtrees were entered.
struct Frame {
    split: Split,
    entered: usize,
}

enum Split {
    Input { input: usize, cut: f64, lower: f64, upper: f64 },
    Phase(NodeId, usize),
    Alternatives(usize),
}

struct Walk<'w, 'n, V> {
    refuter: &'w Refuter<'n, V>,
    case: Narrowed<'w>,
    hints: &'w Hints,
    codes: Iter<'w, f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    phases: Phases,
    path: Vec<Frame>,
    /// Bounds of all nodes on the last box, without phases.
    base: Option<Analysis<'w, 'n>>,
}

impl<V: Vectorise> Walk<'_, '_, V> {
    /// Reads a node: proves a leaf, or puts an inner node on the path.
    fn node(&mut self) -> Result<(), RegionRefusal> {
        let code = self.number()?;
        let split = if code == LEAF {
            return self.leaf(Given::default());
        } else if code == MULTIPLIERS {
            let multipliers = self.numbers()?;
            return self.leaf(Given { multipliers, ..Given::default() });
        } else if code == SLOPES {
            let (multipliers, positions) = (self.numbers()?, Some(self.numbers()?));
            return self.leaf(Given { weights: None, multipliers, positions });
        } else if code == COMBINED {
            let (weights, multipliers) = (Some(self.numbers()?), self.numbers()?);
            let positions = Some(self.numbers()?);
            return self.leaf(Given { weights, multipliers, positions });
        } else if code == PHASE {
            let (node, element) = (self.index()?, self.index()?);
            let network = self.refuter.linear_bounds().network();
            let relu = network.ids().nth(node).filter(|&id| {
                let node = network.node(id);
                node.op == Op::Function(Function::Relu) && node.variable && element < node.size()
            });
            let relu = relu.ok_or_else(|| malformed("a phase of a ReLU that is none"))?;
            if self.phases.contains_key(&(relu, element)) {
                return Err(malformed("a phase is fixed twice"));
            }
            Split::Phase(relu, element)
        } else if code == ALTERNATIVES {
            let clause = self.index()?;
            if self.case.chosen.get(clause) != Some(&None) {
                return Err(malformed("a clause is split that there is not, or twice"));
            }
            Split::Alternatives(clause)
        } else {
            let (input, cut) = (code as usize, self.number()?);
            let inside = input < self.lower.len() && input as f64 == code && self.lower[input] <= cut && cut <= self.upper[input];
            if !inside {
                return Err(malformed("a split lies outside its box"));
            }
            Split::Input { input, cut, lower: self.lower[input], upper: self.upper[input] }
        };
        self.path.push(Frame { split, entered: 0 });
        Ok(())
    }

    fn number(&mut self) -> Result<f64, RegionRefusal> {
        self.codes.next().copied().ok_or_else(|| malformed("a tree of splits ends before its leaves"))
    }

    /// How many numbers, and the numbers.
    fn numbers(&mut self) -> Result<Vec<f64>, RegionRefusal> {
        let count = self.index()?;
        if count > self.codes.len() {
            return Err(malformed("a tree of splits ends before its leaves"));
        }
        Ok(self.codes.by_ref().take(count).copied().collect())
    }

    fn index(&mut self) -> Result<usize, RegionRefusal> {
        let number = self.number()?;
        let index = number as usize;
        if index as f64 == number { Ok(index) } else { Err(malformed("a tree of splits has a number that is no index")) }
    }

    /// Enters the next subtree on the path; false where none is left.
    fn advance(&mut self) -> bool {
        while let Some(frame) = self.path.last_mut() {
            frame.entered += 1;
            let more = match frame.split {
                Split::Input { input, cut, lower, upper } => {
                    (self.lower[input], self.upper[input]) = match frame.entered {
                        1 => (lower, cut),
                        2 => (cut, upper),
                        _ => (lower, upper),
                    };
                    frame.entered <= 2
                }
                Split::Phase(relu, element) => {
                    if frame.entered <= 2 {
                        self.phases.insert((relu, element), frame.entered == 2);
                    } else {
                        self.phases.remove(&(relu, element));
                    }
                    frame.entered <= 2
                }
                Split::Alternatives(clause) => {
                    let more = frame.entered <= self.case.clauses[clause].alternatives.len();
                    self.case.chosen[clause] = more.then_some(frame.entered - 1);
                    more
                }
            };
            if more {
                return true;
            }
            self.path.pop();
        }
        false
    }

    /// Bounds refute what is left of the case in this part.
    fn leaf(&mut self, given: Given) -> Result<(), RegionRefusal> {
        let region = BoxRegion::new(self.lower.clone(), self.upper.clone()).map_err(|_| malformed("a split leaves no box"))?;
        let clauses = self.case.clauses();
        let region = region.into();
        let plain = self.phases.is_empty() && given.positions.is_none();
        if plain && self.refuter.bound_by_intervals(&region, &clauses)?.refuted {
            return Ok(());
        }
        let base = match self.base.take() {
            Some(base) if *base.region() == region => base,
            _ => self.refuter.analyse(&region, self.hints)?,
        };
        let base = &*self.base.insert(base);
        let narrower = match base.with_phases(&self.phases) {
            Ok(narrower) => narrower,
            Err(error) if error.is_empty() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let outputs = self.refuter.linear_bounds().network().output_size();
        let mut hints = self.case.hints(self.hints, given.multipliers, outputs);
        if let Some(positions) = given.positions {
            let wrong = || malformed("a leaf has not one slope for each unstable ReLU");
            hints.rows = narrower.slopes(&positions).ok_or_else(wrong)?;
        }
        let refuted = match given.weights {
            Some(weights) => self.refuter.refutes(&narrower, &self.refuter.combination(&clauses, &weights), &hints),
            None => self.refuter.bound_from(&narrower, &clauses, &hints).refuted,
        };
        if refuted { Ok(()) } else { Err(RegionRefusal::NotRefuted) }
    }
}
