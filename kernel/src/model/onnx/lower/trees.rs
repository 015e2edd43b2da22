//! Ensembles of decision trees: sums of leaves, each weighed with whether all decisions on its way are taken.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::Value;
use super::comparison;
use super::graph::Slot;
use super::indices::{extent, source};
use super::site::Site;
use crate::model::ir::{Binary, Op, Reduction, Tensor};

/// Decisions on the ways to all leaves together.
const MAX_DECISIONS: usize = 1 << 22;

/// The nodes of all trees, in the order of the attributes.
struct Forest<'a> {
    trees: &'a [i64],
    nodes: &'a [i64],
    features: &'a [i64],
    yes: &'a [i64],
    no: &'a [i64],
    modes: Vec<&'a str>,
    values: Vec<f64>,
}

/// The position of a node's decision, and which way is taken.
type Way = Vec<(usize, bool)>;

pub(super) fn regressor(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let (batch, features) = match site.shape(&x)[..] {
        [features] => (1, features),
        [batch, features] => (batch, features),
        ref shape => return Err(NodeError::invalid(format!("its input has the shape {shape:?}, not that of a matrix"))),
    };
    if batch != 1 {
        return Err(NodeError::unsupported(format!("a batch of {batch}")));
    }
    for (name, only) in [("aggregate_function", "SUM"), ("post_transform", "NONE")] {
        let stated = site.string(name, only)?;
        if stated != only {
            return Err(NodeError::unsupported(format!("`{name}` is `{stated}`")));
        }
    }
    let targets = extent(site.int("n_targets", 1)?, "n_targets")?;
    let ints = |name: &str| site.optional_ints(name)?.ok_or_else(|| NodeError::attribute(name, "is missing"));
    let forest = Forest {
        trees: ints("nodes_treeids")?,
        nodes: ints("nodes_nodeids")?,
        features: ints("nodes_featureids")?,
        yes: ints("nodes_truenodeids")?,
        no: ints("nodes_falsenodeids")?,
        modes: site.strings("nodes_modes")?,
        values: site.optional_floats("nodes_values")?.unwrap_or_default(),
    };
    let decisions = forest.decisions(features)?;
    let ways = forest.ways(&decisions)?;
    let weights = leaves(site, &forest, &ways, targets)?;
    // Whether each decision is taken, whether not, and a one.
    let count = decisions.len();
    let operands = [x];
    let picked = site.rearrange(&operands, vec![count], |index| source(0, decisions[index[0]].1))?;
    let thresholds = constant(site, vec![count], decisions.iter().map(|&(_, _, threshold, _)| threshold).collect())?;
    let above = comparison::above(site, &picked, &thresholds)?;
    let below = comparison::above(site, &thresholds, &picked)?;
    let one = site.scalar(1.0);
    let (at_most, at_least) = (site.binary(Binary::Sub, &one, &above)?, site.binary(Binary::Sub, &one, &below)?);
    let depth = ways.iter().map(|(_, way)| way.len()).max().unwrap_or(0).max(1);
    let sides = [at_most, above, below, at_least, one];
    let taken = site.rearrange(&sides, vec![ways.len(), depth], |index| {
        let Some(&(decision, yes)) = ways[index[0]].1.get(index[1]) else { return source(4, 0) };
        let (side, other) = match decisions[decision].3 {
            Relation::AtMost => (0, 1),
            Relation::Below => (2, 3),
            Relation::AtLeast => (3, 2),
            Relation::Above => (1, 0),
        };
        source(if yes { side } else { other }, decision)
    })?;
    let reached = site.reduce_last(Reduction::Min, &taken, 1)?;
    let reached = site.reshape(&reached, vec![1, 1, ways.len()])?;
    let total = site.push(Op::MatMul, &[&reached, &weights], vec![1, 1, targets])?;
    let total = site.reshape(&total, vec![1, targets])?;
    let base = site.optional_floats("base_values")?.unwrap_or_default();
    if base.is_empty() {
        return Ok(total);
    }
    let base = constant(site, vec![targets], base)?;
    site.binary(Binary::Add, &total, &base)
}

fn constant(site: &mut Site, shape: Vec<usize>, values: Vec<f64>) -> Result<Slot, NodeError> {
    let tensor = Tensor::new(shape, values).ok_or_else(|| NodeError::invalid("an attribute has another length than needed"))?;
    site.constant(Value::Float(tensor), DataType::Float)
}

/// When a decision says yes.
#[derive(Clone, Copy)]
enum Relation {
    AtMost,
    Below,
    AtLeast,
    Above,
}

/// A node's position, feature, threshold and relation.
type Decision = (usize, usize, f64, Relation);

impl Forest<'_> {
    fn decisions(&self, features: usize) -> Result<Vec<Decision>, NodeError> {
        let count = self.nodes.len();
        let lengths = [self.trees.len(), self.features.len(), self.yes.len(), self.no.len(), self.modes.len(), self.values.len()];
        if lengths.iter().any(|&length| length != count) || count > MAX_DECISIONS {
            return Err(NodeError::invalid("the lists of its nodes differ in length, or are too long"));
        }
        let mut decisions = Vec::new();
        for (position, mode) in self.modes.iter().enumerate() {
            let relation = match *mode {
                "LEAF" => continue,
                "BRANCH_LEQ" => Relation::AtMost,
                "BRANCH_LT" => Relation::Below,
                "BRANCH_GTE" => Relation::AtLeast,
                "BRANCH_GT" => Relation::Above,
                other => return Err(NodeError::unsupported(format!("a node of the mode `{other}`"))),
            };
            let feature = usize::try_from(self.features[position]).ok().filter(|&feature| feature < features);
            let feature = feature.ok_or_else(|| NodeError::invalid("a node reads a feature that does not exist"))?;
            decisions.push((position, feature, self.values[position], relation));
        }
        if decisions.is_empty() {
            return Err(NodeError::unsupported("it decides nothing"));
        }
        Ok(decisions)
    }

    /// Every leaf's position, with the decisions on its way.
    fn ways(&self, decisions: &[Decision]) -> Result<Vec<(usize, Way)>, NodeError> {
        let place: std::collections::HashMap<(i64, i64), usize> = self
            .trees
            .iter()
            .copied()
            .zip(self.nodes.iter().copied())
            .enumerate()
            .map(|(position, key)| (key, position))
            .collect();
        let number: std::collections::HashMap<usize, usize> =
            decisions.iter().enumerate().map(|(number, decision)| (decision.0, number)).collect();
        if place.len() != self.nodes.len() {
            return Err(NodeError::invalid("two of its nodes have one name"));
        }
        let mut roots: Vec<usize> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (position, tree) in self.trees.iter().enumerate() {
            if seen.insert(*tree) {
                roots.push(position);
            }
        }
        let (mut ways, mut total, mut visited) = (Vec::new(), 0usize, vec![false; self.nodes.len()]);
        for root in roots {
            let mut pending: Vec<(usize, Way)> = vec![(root, Vec::new())];
            while let Some((position, way)) = pending.pop() {
                if std::mem::replace(&mut visited[position], true) {
                    return Err(NodeError::invalid("its nodes are no trees"));
                }
                total = total.saturating_add(way.len() + 1);
                if total > MAX_DECISIONS {
                    return Err(NodeError::unsupported("its trees are too large"));
                }
                let Some(&decision) = number.get(&position) else {
                    ways.push((position, way));
                    continue;
                };
                for (child, yes) in [(self.yes[position], true), (self.no[position], false)] {
                    let next = place.get(&(self.trees[position], child));
                    let next = *next.ok_or_else(|| NodeError::invalid("a branch leads nowhere"))?;
                    pending.push((next, way.iter().copied().chain([(decision, yes)]).collect()));
                }
            }
        }
        Ok(ways)
    }
}

/// What every leaf adds to each target: `[1, leaves, targets]`.
fn leaves(site: &mut Site, forest: &Forest, ways: &[(usize, Way)], targets: usize) -> Result<Slot, NodeError> {
    let ints = |site: &Site, name: &str| {
        let listed = site.optional_ints(name)?.map(<[i64]>::to_vec);
        listed.ok_or_else(|| NodeError::attribute(name, "is missing"))
    };
    let (trees, nodes, ids) = (ints(site, "target_treeids")?, ints(site, "target_nodeids")?, ints(site, "target_ids")?);
    let weights = site.optional_floats("target_weights")?.unwrap_or_default();
    if [nodes.len(), ids.len(), weights.len()].iter().any(|&length| length != trees.len()) {
        return Err(NodeError::invalid("the lists of its targets differ in length"));
    }
    let leaf: std::collections::HashMap<(i64, i64), usize> =
        ways.iter().enumerate().map(|(leaf, (position, _))| ((forest.trees[*position], forest.nodes[*position]), leaf)).collect();
    let shape = vec![1, ways.len(), targets];
    let mut data = vec![0.0; site.graph.charge(&shape)?];
    for index in 0..trees.len() {
        let row = leaf.get(&(trees[index], nodes[index])).ok_or_else(|| NodeError::invalid("a target belongs to no leaf"))?;
        let column = usize::try_from(ids[index]).ok().filter(|&target| target < targets);
        let column = column.ok_or_else(|| NodeError::invalid("a target does not exist"))?;
        let entry = &mut data[row * targets + column];
        if *entry != 0.0 {
            return Err(NodeError::unsupported("a leaf has two weights for one target"));
        }
        *entry = weights[index];
    }
    constant(site, shape, data)
}
