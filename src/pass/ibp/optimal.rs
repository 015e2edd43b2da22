//! Smallest boxes by branch and bound over the phases of ReLUs: for one end of a row after another a tree of splits whose
//! leaves prove how far the row can be, and a point that comes close. The checker proves both again.
//!
//! A node's bound is the optimum of the linear program of all relaxations on its phases ([`Program`]); the node whose bound is
//! farthest out is split next, where its bound loses most.

use crate::bounds::{Analysis, BoxRegion, Extent, Hints, LinearBounds, LinearRows, Phases, Refinement, attained};
use crate::certificate::End;
use crate::deadline::Deadline;
use crate::ir::{NodeId, evaluate};
use crate::pass::bounds::{Program, Wide};
use crate::pass::robustness::{Leaf, Tree};
use crate::sound::round::add_down;

/// How long to search.
#[derive(Clone, Copy, Debug)]
pub struct PhaseSearch {
    /// Splits for every end of a row.
    pub splits: u32,
    pub deadline: Deadline,
}

/// What was found of one end of a row.
#[derive(Clone, Debug)]
pub struct FoundEnd {
    pub row: usize,
    pub end: End,
    pub bound: f64,
    pub tree: Vec<f64>,
    pub point: Vec<f64>,
}

/// Ends are enclosed to this part of the width of what is attained.
const CLOSE: f64 = 2e-7;
/// What is subtracted from a bound relative to its size, so that the checker's own sums reach it.
const SLACK: f64 = 1e-13;

/// Encloses the ends of all rows more tightly where the network is one of ReLUs with few enough variables; `extents` are
/// narrowed to what was found.
pub fn enclose_ends(
    prepared: &LinearBounds,
    region: &BoxRegion,
    rows: &LinearRows,
    extents: &mut [Extent],
    search: PhaseSearch,
) -> Vec<FoundEnd> {
    if search.splits == 0 {
        return Vec::new();
    }
    let vectors = Wide::default();
    let whole = region.clone().into();
    let base = prepared.analyse(&whole, &Phases::new(), Refinement::Backward, &Hints::default(), &vectors);
    let Ok(base) = base else { return Vec::new() };
    let Some(program) = Program::new(&base) else { return Vec::new() };
    let mut found = Vec::new();
    for (row, extent) in extents.iter_mut().enumerate() {
        for end in [End::Lower, End::Upper] {
            let (least, met) = match end {
                End::Lower => (extent.outer.lower, extent.attained.lower),
                End::Upper => (-extent.outer.upper, -extent.attained.upper),
            };
            let close = CLOSE * (extent.attained.upper - extent.attained.lower).max(0.0);
            if least >= met - close {
                continue;
            }
            let one = if end == End::Lower { rows.row(row) } else { rows.row(row).negated() };
            let minimum = Minimum { prepared, base: &base, program: &program, row: &one, vectors };
            let Some(minimum) = minimum.search(met, close, search) else { continue };
            if minimum.bound <= least && minimum.met >= met {
                continue;
            }
            match end {
                End::Lower => {
                    extent.outer.lower = least.max(minimum.bound);
                    extent.attained.lower = met.min(minimum.met);
                }
                End::Upper => {
                    extent.outer.upper = -least.max(minimum.bound);
                    extent.attained.upper = -met.min(minimum.met);
                }
            }
            let bound = if end == End::Lower { minimum.bound } else { -minimum.bound };
            found.push(FoundEnd { row, end, bound, tree: minimum.tree, point: minimum.point });
        }
    }
    found
}

/// The least value of one row.
struct Minimum<'a, 'n> {
    prepared: &'a LinearBounds<'n>,
    base: &'a Analysis<'a, 'n>,
    program: &'a Program,
    row: &'a LinearRows,
    vectors: Wide,
}

/// What is between a proved bound and an attained value.
struct Enclosed {
    bound: f64,
    met: f64,
    tree: Vec<f64>,
    point: Vec<f64>,
}

struct Node {
    phases: Phases,
    bound: f64,
    leaf: Leaf,
    /// Where the bound loses most.
    costly: Option<(NodeId, usize)>,
    /// The inactive half, the active one.
    halves: Option<[usize; 2]>,
}

impl Minimum<'_, '_> {
    /// `None` where nothing is proved.
    fn search(&self, met: f64, close: f64, search: PhaseSearch) -> Option<Enclosed> {
        let mut found = Enclosed { bound: f64::NEG_INFINITY, met: f64::INFINITY, tree: Vec::new(), point: Vec::new() };
        let mut nodes = vec![self.node(Phases::new(), &mut found)];
        let mut open = vec![0];
        for _ in 0..search.splits {
            let late = search.deadline.has_passed();
            let Some(at) = (0..open.len()).min_by(|&i, &j| nodes[open[i]].bound.total_cmp(&nodes[open[j]].bound)) else { break };
            let worst = open[at];
            let Some(relu) = nodes[worst].costly.filter(|_| !late && nodes[worst].bound < met.min(found.met) - close) else {
                break;
            };
            open.swap_remove(at);
            let halves = [false, true].map(|active| {
                let mut phases = nodes[worst].phases.clone();
                phases.insert(relu, active);
                nodes.push(self.node(phases, &mut found));
                nodes.len() - 1
            });
            nodes[worst].halves = Some(halves);
            open.extend(halves);
        }
        let least = open.iter().map(|&node| nodes[node].bound).fold(f64::INFINITY, f64::min).min(found.met);
        if found.point.is_empty() || !least.is_finite() {
            return None;
        }
        found.bound = add_down(least, -SLACK * (1.0 + least.abs()));
        found.tree = tree(&nodes, 0).proof()?.codes;
        Some(found)
    }

    /// Bounds a part, and tries the point where the bound is attained.
    fn node(&self, phases: Phases, found: &mut Enclosed) -> Node {
        let mut node = Node { phases, bound: f64::NEG_INFINITY, leaf: Leaf::default(), costly: None, halves: None };
        let analysis = match self.base.with_phases(&node.phases) {
            Ok(analysis) => analysis,
            Err(error) => {
                if error.is_empty() {
                    node.bound = f64::INFINITY;
                }
                return node;
            }
        };
        let Some(solved) = self.program.solve(&analysis, self.row, &self.vectors) else {
            node.bound = self.plain(&analysis);
            return node;
        };
        node.bound = solved.bound;
        node.leaf = Leaf::of(&analysis, &solved.hints);
        node.costly = solved.losses.first().map(|&(_, relu)| relu);
        if let Some(point) = solved.input {
            self.meet(point, found);
        }
        node
    }

    fn plain(&self, analysis: &Analysis) -> f64 {
        let bounds = analysis.lower_bounds(self.row, &Hints::default(), &self.vectors);
        bounds.first().copied().unwrap_or(f64::NEG_INFINITY)
    }

    fn meet(&self, mut point: Vec<f64>, found: &mut Enclosed) {
        let region = self.base.region().bounds();
        let ends = region.lower().iter().zip(region.upper());
        point.iter_mut().zip(ends).for_each(|(x, (l, u))| *x = x.clamp(*l, *u));
        let Ok(outputs) = evaluate(self.prepared.network(), &point) else { return };
        let value: f64 = outputs.iter().zip(&self.row.coefficients).map(|(y, c)| c * y).sum();
        if value >= found.met {
            return;
        }
        if let Ok(met) = attained(self.prepared, self.row, &point)
            && met < found.met
        {
            (found.met, found.point) = (met, point);
        }
    }
}

fn tree(nodes: &[Node], at: usize) -> Tree {
    let node = &nodes[at];
    match (node.halves, node.costly) {
        (Some([inactive, active]), Some((relu, element))) => {
            Tree::Phase { relu, element, halves: Box::new((tree(nodes, inactive), tree(nodes, active))) }
        }
        _ => Tree::Leaf(node.leaf.clone()),
    }
}
