//! The norm product: the network cut where everything passes through one node, each part with a constant of its own.

use std::collections::HashSet;
use std::iter::successors;
use std::time::Duration;

use rayon::prelude::*;

use super::certify::certify;
use super::elimination::best_inputs;
use super::engine;
use super::pencil::pencil;
use crate::kernel::lipschitz::form::{Form, Rows, Segment, SortForm};
use crate::kernel::lipschitz::{LipschitzRefusal, constants, convolution_work, linear_layers, prove_matrix, prove_part};
use crate::kernel::model::ir::{Binary, Function, Network, NodeId, Op, Reduction, Values};
use crate::kernel::proof::{Bits, Bundle, Inequality, Norm, Part, PartProof, Sorts};
use crate::kernel::sound::Enclosure;
use crate::kernel::sound::round::{mul_up, sqrt_up};
use crate::solver::{Candidate, InputNorm};

/// Multiplications that one part's matrix may cost; beyond it, norm rules.
const WORK_LIMIT: f64 = 1.2e10;
/// Relative margins above an estimated squared norm that are not tried.
const WIDEST_MARGIN: f64 = 1e-6;

/// The parts of a network, each with the better of its proofs, and the constants that the checker finds for them. Where the
/// time is limited, the dearest convolutions are bounded by the absolute sums of their kernels alone.
///
/// # Errors
/// When some part has neither a form nor norm rules.
pub fn parts(network: &Network, time: Option<Duration>) -> Result<Vec<(Part, f64)>, LipschitzRefusal> {
    let ids: Vec<NodeId> = network.ids().collect();
    let cuts = merged_cuts(network);
    let slow = too_slow(network, time);
    let constants = constants(network)?;
    let given = Given { network, constants: &constants, slow: &slow };
    cuts.par_windows(2)
        .map(|ends| {
            let segment = Segment { from: ids[ends[0]], to: ids[ends[1]] };
            given.part(segment)
        })
        .collect()
}

/// Multiplications a second of the symbols of convolutions, on one thread.
const SYMBOL_RATE: f64 = 1.5e9;
/// Share of the time that they may take, and again when they are checked.
const SYMBOL_SHARE: f64 = 0.2;

/// Returns the convolutions whose symbols would take too long: the dearest ones, until the others fit.
fn too_slow(network: &Network, time: Option<Duration>) -> HashSet<NodeId> {
    let Some(time) = time else { return HashSet::new() };
    let work = |id: NodeId| match &network.node(id).op {
        // Infinite where no symbols are tried: the sums of the matrix take time as well.
        Op::Conv(geometry) => Some((id, convolution_work(geometry))),
        _ => None,
    };
    let mut works: Vec<(NodeId, f64)> = network.ids().filter_map(work).collect();
    works.sort_by(|a, b| a.1.total_cmp(&b.1));
    let affordable = SYMBOL_SHARE * time.as_secs_f64() * SYMBOL_RATE * rayon::current_num_threads() as f64;
    let sums = works.iter().scan(0.0, |sum, (_, work)| {
        *sum += work;
        Some(*sum)
    });
    let fitting = sums.take_while(|sum| *sum <= affordable).count();
    works[fitting..].iter().map(|(id, _)| *id).collect()
}

/// What all parts share.
struct Given<'a> {
    network: &'a Network,
    constants: &'a Values<Enclosure>,
    /// Convolutions that are bounded by the absolute sums of their kernels alone.
    slow: &'a HashSet<NodeId>,
}

impl Given<'_> {
    fn part(&self, segment: Segment) -> Result<(Part, f64), LipschitzRefusal> {
        let to = u32::try_from(segment.to.index()).unwrap_or(u32::MAX);
        let by_inequality = inequality(self.network, segment);
        // A linear part's inequality is its spectral norm: no rule is better.
        if let Some((inequality, bound, true)) = by_inequality {
            return Ok((Part { to, proof: PartProof::Inequality(inequality) }, bound));
        }
        let rules = self.by_rules(segment);
        match (by_inequality, rules) {
            (Some((inequality, bound, _)), Ok((_, other))) if bound < other => {
                Ok((Part { to, proof: PartProof::Inequality(inequality) }, bound))
            }
            (Some((inequality, bound, _)), Err(_)) => Ok((Part { to, proof: PartProof::Inequality(inequality) }, bound)),
            (_, Ok((proof, bound))) => Ok((Part { to, proof }, bound)),
            (None, Err(refusal)) => Err(refusal),
        }
    }

    fn by_rules(&self, segment: Segment) -> Result<(PartProof, f64), LipschitzRefusal> {
        let network = self.network;
        let layers = linear_layers(network, segment);
        let squared_norms: Vec<Option<Bits>> = layers.iter().map(|&id| squared_norm(network, id).map(Bits::of)).collect();
        let by_sums = |(position, id): (usize, &NodeId)| {
            (squared_norms[position].is_none() && self.slow.contains(id)).then(|| u32::try_from(position).unwrap_or(u32::MAX))
        };
        let sums = layers.iter().enumerate().filter_map(by_sums).collect();
        let proof = PartProof::Rules { squared_norms, sums };
        let bound = prove_part(network, self.constants, segment, &proof, &Bundle::default())?;
        Ok((proof, bound))
    }
}

/// A squared spectral norm that the checker accepts for one linear layer.
fn squared_norm(network: &Network, id: NodeId) -> Option<f64> {
    let node = network.node(id);
    let from = *node.operands.iter().find(|&&operand| network.node(operand).variable)?;
    inequality(network, Segment { from, to: id }).map(|(_, bound, _)| mul_up(bound, bound))
}

/// The part's own inequality with plain multipliers, its constant, and whether the part is linear.
fn inequality(network: &Network, segment: Segment) -> Option<(Inequality, f64, bool)> {
    if work(network, segment) > WORK_LIMIT {
        return None;
    }
    let form = Form::new(network, segment, SortForm::Comparators).ok()?;
    let linear = form.groups.is_empty();
    let order = if linear { form.inputs.min(form.outputs.len()) } else { form.dimension };
    if matrix_work(order, form.groups.len() + form.outputs.len()) > WORK_LIMIT {
        return None;
    }
    let rows = Rows::new(&form).ok()?;
    let candidate = if linear { linear_candidate(&rows, form.inputs)? } else { plain_candidate(&form, &rows)? };
    let accepted = if linear {
        // A verified factorisation needs room of the order of n²·2⁻⁵³.
        let least = (order * order).max(1) as f64 * f64::EPSILON;
        successors(Some(least), |margin| Some(8.0 * margin)).take_while(|&margin| margin < WIDEST_MARGIN).find_map(|margin| {
            let squared_bound = candidate.squared_bound() * (1.0 + margin) + f64::MIN_POSITIVE;
            prove_matrix(&rows, Norm::L2, &[squared_bound], &[]).ok()?;
            Some(Candidate { input_multipliers: vec![squared_bound], multipliers: Vec::new() })
        })?
    } else {
        certify(&form, &rows, InputNorm::Euclidean, std::slice::from_ref(&candidate))?
    };
    let bound = sqrt_up(accepted.squared_bound());
    Some((engine::inequality(&accepted, Sorts::Comparators), bound, linear))
}

/// Squared spectral norm of a linear part, from the smaller Gram matrix.
fn linear_candidate(rows: &Rows, inputs: usize) -> Option<Candidate> {
    use faer::{Mat, Side};
    let mut matrix = Mat::<f64>::zeros(rows.outputs.len(), inputs);
    for (i, row) in rows.outputs.iter().enumerate() {
        (row.start()..).zip(row.hi()).for_each(|(j, &value)| matrix[(i, j)] = value);
    }
    let gram = if rows.outputs.len() < inputs { &matrix * matrix.transpose() } else { matrix.transpose() * &matrix };
    let largest = gram.self_adjoint_eigenvalues(Side::Lower).ok()?.into_iter().fold(0.0, f64::max);
    largest.is_finite().then_some(Candidate { input_multipliers: vec![largest], multipliers: Vec::new() })
}

/// The multipliers under which activations alone are non-expansive: in units where the argument is a difference of two
/// signals ½ for |u| and 2 for relu(u), 1 for a sorted group; otherwise the argument's own size decides.
fn plain_candidate(form: &Form, rows: &Rows) -> Option<Candidate> {
    let pencil = pencil(form, rows, InputNorm::Euclidean);
    let radius = |g: usize| {
        let slopes = form.groups[g].slopes;
        ((slopes.upper - slopes.lower) / 2.0).powi(2)
    };
    let as_difference = (0..form.groups.len()).map(|g| if form.groups[g].arguments.len() > 1 { 1.0 } else { 0.5 / radius(g) });
    let by_size = (0..form.groups.len()).map(|g| {
        let size: f64 = rows.groups[g].arguments.iter().map(|row| row.norm_upper().powi(2)).sum();
        if size > 0.0 { 1.0 / (radius(g) * size) } else { 1.0 }
    });
    let try_out = |multipliers: Vec<f64>| {
        // A hair above, so that singular optima have an inside.
        let multipliers: Vec<f64> = multipliers.iter().map(|m| m * (1.0 + 1e-12)).collect();
        best_inputs(&pencil, &multipliers, None).map(|input_multipliers| Candidate { input_multipliers, multipliers })
    };
    let candidates = [try_out(as_difference.collect()), try_out(by_size.collect()), super::elimination::feasible(&pencil)];
    candidates.into_iter().flatten().min_by(|a, b| a.squared_bound().total_cmp(&b.squared_bound()))
}

/// Total slack of [`chain_start`], as a factor of the squared bound.
const CHAIN_SLACK: f64 = 4.0;

/// Strictly feasible multipliers for the whole network from those of its parts: with `t_K = 1` and
/// `t_{k−1} = (1+ε)·ρ_k·t_k`, part `k`'s inequality times a factor between `t_k` and `(1+ε)·t_k` leaves something of its
/// input and output over, and the sum over the parts is the whole network's inequality. Within a part the factor falls from
/// layer to layer, which leaves something of the inner layers over. `None` where the parts' groups are not the network's.
#[must_use]
pub fn chain_start(network: &Network, parts: &[(Part, f64)], groups: usize) -> Option<Candidate> {
    chain_start_between(network, network.input(), parts, groups)
}

/// The same for consecutive parts of a network, of which the first starts at a node.
#[must_use]
pub fn chain_start_between(network: &Network, first: NodeId, parts: &[(Part, f64)], groups: usize) -> Option<Candidate> {
    let ids: Vec<NodeId> = network.ids().collect();
    let growth = CHAIN_SLACK.powf(1.0 / parts.len().max(1) as f64);
    let starts = std::iter::once(first).chain(parts.iter().map(|(part, _)| ids[part.to as usize]));
    let segments: Vec<Segment> = starts.zip(parts).map(|(from, (part, _))| Segment { from, to: ids[part.to as usize] }).collect();
    let mut later = 1.0;
    let mut by_part: Vec<Vec<f64>> = Vec::with_capacity(parts.len());
    for (segment, (part, bound)) in segments.into_iter().zip(parts).rev() {
        let form = Form::new(network, segment, SortForm::Comparators).ok()?;
        let own = match &part.proof {
            PartProof::Inequality(inequality) => Bundle::default().resolve(&inequality.multipliers)?,
            PartProof::Rules { .. } => elementwise_multipliers(&form)?,
        };
        let deepest = f64::from(form.groups.iter().map(|group| group.depth).max().unwrap_or(1));
        let factor = |depth: u32| later * growth.powf((deepest - f64::from(depth) + 0.5) / deepest);
        by_part.push(own.iter().zip(&form.groups).map(|(multiplier, group)| multiplier * factor(group.depth)).collect());
        later *= bound * bound * growth;
    }
    let multipliers: Vec<f64> = by_part.into_iter().rev().flatten().collect();
    let usable = multipliers.len() == groups && later.is_finite() && multipliers.iter().all(|&m| m > 0.0 && m.is_finite());
    usable.then_some(Candidate { input_multipliers: vec![later], multipliers })
}

/// Multipliers under which a part of scalar functions alone has the constant `max(|α|, |β|)`: `2·max(|α|, |β|)/(β−α)`.
fn elementwise_multipliers(form: &Form) -> Option<Vec<f64>> {
    let scalar = form.layers.is_empty() && form.groups.iter().all(|group| group.arguments.len() == 1);
    let multiplier = |group: &crate::kernel::lipschitz::form::Group| {
        let (alpha, beta) = (group.slopes.lower, group.slopes.upper);
        2.0 * alpha.abs().max(beta.abs()) / (beta - alpha)
    };
    scalar.then(|| form.groups.iter().map(multiplier).collect())
}

#[allow(clippy::cast_precision_loss)] // an estimate
fn matrix_work(order: usize, rows: usize) -> f64 {
    let n = order as f64;
    n * n * (n / 3.0 + rows as f64)
}

/// Multiplications that the rows of a segment cost, at most: every weight meets every coordinate, but those of a dense layer
/// that comes first, whose inputs are coordinates, meet one.
#[allow(clippy::cast_precision_loss)] // an estimate
pub fn work(network: &Network, segment: Segment) -> f64 {
    let inputs = network.node(segment.from).size() as f64;
    let of_layer = |(position, id): (usize, NodeId)| {
        let node = network.node(id);
        let weights = node.operands.iter().find(|&&o| !network.node(o).variable).map_or(0, |&o| network.node(o).size()) as f64;
        match &node.op {
            Op::Conv(geometry) => weights * (node.size() / geometry.out_channels.max(1)) as f64 * inputs,
            _ if position == 0 => weights,
            _ => weights * inputs,
        }
    };
    linear_layers(network, segment).into_iter().enumerate().map(of_layer).sum::<f64>() * 10.0
}

/// Indices of the nodes that every path from input to output passes through, with runs of linear parts merged.
fn merged_cuts(network: &Network) -> Vec<usize> {
    let cuts = cuts(network);
    let linear = linear_nodes(network);
    let mut merged: Vec<usize> = Vec::new();
    for (position, &cut) in cuts.iter().enumerate() {
        let is_linear_between = |a: usize, b: usize| (a + 1..=b).all(|i| linear[i]);
        let inner = merged.last().zip(cuts.get(position + 1)).is_some_and(|(&before, &after)| is_linear_between(before, after));
        if !inner {
            merged.push(cut);
        }
    }
    merged
}

/// The variable nodes that no edge jumps over, from the input to the output.
fn cuts(network: &Network) -> Vec<usize> {
    let mut reach = 0;
    let mut furthest = vec![0usize; network.nodes().len()];
    for id in network.ids() {
        for operand in network.node(id).operands.iter().filter(|o| network.node(**o).variable) {
            furthest[operand.index()] = furthest[operand.index()].max(id.index());
        }
    }
    let mut cuts = Vec::new();
    for id in network.ids().filter(|&id| network.node(id).variable) {
        if reach <= id.index() {
            cuts.push(id.index());
        }
        reach = reach.max(furthest[id.index()]);
    }
    cuts
}

/// Which nodes are linear in the input, or constant.
fn linear_nodes(network: &Network) -> Vec<bool> {
    let is_linear = |op: &Op, variables: usize| match op {
        Op::Constant(_)
        | Op::Reshape
        | Op::Rearrange(_)
        | Op::Reduce(Reduction::Sum | Reduction::Mean)
        | Op::Binary(Binary::Add | Binary::Sub)
        | Op::Function(Function::Neg) => true,
        Op::MatMul | Op::Conv(_) | Op::Binary(Binary::Mul | Binary::Div) => variables == 1,
        _ => false,
    };
    network
        .nodes()
        .iter()
        .map(|node| {
            let variables = node.operands.iter().filter(|o| network.node(**o).variable).count();
            !node.variable || is_linear(&node.op, variables)
        })
        .collect()
}
