//! Bounds by segments: where one matrix inequality for the whole network is too large, each of several consecutive segments
//! has its own, and the product of their constants bounds the network.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::kernel::lipschitz::form::{Form, Rows, Segment};
use crate::kernel::lipschitz::product;
use crate::kernel::model::ir::{Network, Node, NodeId, Op};
use crate::kernel::proof::{Part, PartProof};
use crate::kernel::sound::round::sqrt_up;
use crate::solver::InputNorm;
use crate::solver::interior_point::predicted_seconds;

use super::engine::{PATIENCE, Search, inequality};
use super::parts;

/// Replaces runs of parts by one segment each wherever its inequality proves less than the product of the parts' constants.
/// The result is never worse than the parts.
#[must_use]
pub fn improve(network: &Network, parts: &[(Part, f64)], search: &mut Search) -> Vec<(Part, f64)> {
    let ids: Vec<NodeId> = network.ids().collect();
    let node = |position: usize, parts: &[(Part, f64)]| {
        position.checked_sub(1).map_or(network.input(), |before| ids[parts[before].0.to as usize])
    };
    let seconds = search.remaining().map_or(PATIENCE, |left| left.as_secs_f64());
    // A prediction may be wrong: where nobody limits it, the search ends where it should have ended.
    let asked = search.deadline;
    if !asked.is_limited() {
        search.deadline = Deadline::after(Some(Duration::from_secs_f64(PATIENCE)));
    }
    let mut improved = Vec::with_capacity(parts.len());
    let mut position = 0;
    while position < parts.len() {
        let from = node(position, parts);
        // What is left of the time is shared by what is left of the network.
        let share = seconds * 2.0 / parts.len().max(2) as f64;
        let candidates = (position + 2..=parts.len()).rev();
        let affordable = candidates.map(|end| (end, Segment { from, to: node(end, parts) })).find_map(|(end, segment)| {
            let budget = share * (end - position) as f64;
            // A form is only built where it may be affordable: it can be larger than the network.
            let least = activations(network, segment);
            if search.deadline.has_passed() || predicted_seconds(least) > budget || parts::work(network, segment) > WORK {
                return None;
            }
            let form = Form::new(network, segment, search.options.sorts.into()).ok().filter(|form| !form.groups.is_empty())?;
            (predicted_seconds(order(&form)) <= budget).then_some((end, segment, form))
        });
        let Some((end, segment, form)) = affordable else {
            improved.push(parts[position].clone());
            position += 1;
            continue;
        };
        let plain = product(&parts[position..end].iter().map(|part| part.1).collect::<Vec<_>>());
        let found = Rows::new(&form).ok().map(|rows| {
            let start = parts::chain_start_between(network, segment.from, &parts[position..end], form.groups.len());
            search.find(&form, &rows, InputNorm::Euclidean, start.as_slice())
        });
        match found.and_then(|found| found.candidate) {
            Some((candidate, _)) if sqrt_up(candidate.squared_bound()) < plain => {
                let to = parts[end - 1].0.to;
                let proof = PartProof::Inequality(inequality(&candidate, search.options.sorts));
                improved.push((Part { to, proof }, sqrt_up(candidate.squared_bound())));
            }
            _ => improved.extend_from_slice(&parts[position..end]),
        }
        position = end;
    }
    search.deadline = asked;
    improved
}

/// Multiplications that a segment's rows may cost.
const WORK: f64 = 3e11;

/// Returns the bounded coordinates of a segment, at least: one for every element of an activation, and for every two that are
/// sorted. Those of extrema are not counted: two of a pair share one.
pub fn activations(network: &Network, segment: Segment) -> usize {
    let inside = network.ids().filter(|&id| id > segment.from && id <= segment.to).map(|id| network.node(id));
    let coordinates = |node: &Node| match &node.op {
        Op::Function(function) if function.slope_range().is_some_and(|slopes| slopes.lower == slopes.upper) => 0,
        Op::Function(_) | Op::PRelu => node.size(),
        Op::Sort { .. } => node.size() / 2,
        _ => 0,
    };
    inside.filter(|node| node.variable).map(coordinates).fold(0, usize::saturating_add)
}

/// Order of the matrix after the inputs are compressed or the network is transposed, at most.
fn order(form: &Form) -> usize {
    let bounded = form.dimension - form.inputs;
    let first = form.groups.iter().filter(|group| group.depth == 1).map(|group| group.arguments.len()).sum::<usize>();
    bounded + form.inputs.min(first.max(1)).min(form.outputs.len().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::lipschitz::form::SortForm;

    #[test]
    fn activations_are_no_more_than_the_coordinates_of_the_form() {
        for name in ["digits_relu", "digits_maxmin", "digits_groupsort", "digits_residual"] {
            let network = crate::kernel::model::onnx::load(format!("models/{name}.onnx").as_ref()).unwrap().network;
            let least = activations(&network, Segment::whole(&network));
            for sorts in [SortForm::Comparators, SortForm::Groups] {
                let form = Form::new(&network, Segment::whole(&network), sorts).unwrap();
                let bounded = form.dimension - form.inputs;
                assert!(least <= bounded, "{name}: {least} of {bounded}");
                assert!(name != "digits_relu" || least == bounded, "each ReLU has one");
            }
        }
    }
}
