//! The values that a relaxed network takes where a backward pass attained its bound: what the gradient with respect to the
//! slopes is made of. Plain `f64`; nothing here is proved.

use std::collections::BTreeMap;

use crate::kernel::model::ir::{NodeId, Op};
use crate::kernel::region::bounds::{
    Analysis, Elementwise, Groups, Linear, NodeBounds, Relaxation, Slopes, Trace, flexible_slope,
};

/// Values of nodes, `[rows, elements]`, in the relaxation that `trace` selects.
pub(super) struct Primal<'a> {
    pub analysis: &'a Analysis<'a, 'a>,
    pub trace: &'a Trace,
    pub slopes: &'a Slopes,
    pub rows: usize,
}

impl Primal<'_> {
    /// The values of all nodes that the pass came by, but the one it started from.
    pub fn values(&self, start: NodeId) -> BTreeMap<usize, Vec<f64>> {
        let mut values = BTreeMap::new();
        for id in self.analysis.network().ids().take(start.index()) {
            let Some(lambda) = self.trace.coefficients.get(&id.index()) else { continue };
            let Some(value) = self.value(id, lambda, &values) else { continue };
            values.insert(id.index(), value);
        }
        values
    }

    /// The values of a node with these coefficients, from those of its operands.
    pub fn value(&self, id: NodeId, lambda: &[f64], values: &BTreeMap<usize, Vec<f64>>) -> Option<Vec<f64>> {
        let network = self.analysis.network();
        let node = network.node(id);
        let size = node.size();
        let operand = |position: usize| values.get(&node.operands[position].index());
        let constant = |position: usize| centres(self.analysis.node(node.operands[position]));
        Some(match &self.analysis.relaxed(id)?.relaxation {
            Relaxation::Input => {
                let bounds = self.analysis.region().bounds();
                let corner =
                    |(at, &l): (usize, &f64)| if l >= 0.0 { bounds.lower()[at % size] } else { bounds.upper()[at % size] };
                lambda.iter().enumerate().map(corner).collect()
            }
            Relaxation::Same => operand(0)?.clone(),
            Relaxation::Moved => {
                let Op::Rearrange(sources) = &node.op else { return None };
                let from: Vec<(Option<&Vec<f64>>, Vec<f64>)> = (0..node.operands.len())
                    .map(|p| (operand(p), if network.node(node.operands[p]).variable { Vec::new() } else { constant(p) }))
                    .collect();
                let sizes: Vec<usize> = node.operands.iter().map(|&o| network.node(o).size()).collect();
                let at = |row: usize, s: &crate::kernel::model::ir::Source| {
                    let (variable, constant) = &from[s.operand as usize];
                    match variable {
                        Some(values) => values[row * sizes[s.operand as usize] + s.element as usize],
                        None => constant.get(s.element as usize).copied().unwrap_or(0.0),
                    }
                };
                (0..self.rows).flat_map(|row| sources.iter().map(move |s| (row, s))).map(|(row, s)| at(row, s)).collect()
            }
            Relaxation::Sum { second } => {
                let side = |position: usize| match operand(position) {
                    Some(values) => values.clone(),
                    None => constant(position).repeat(self.rows),
                };
                side(0).iter().zip(side(1)).map(|(x, y)| x + second * y).collect()
            }
            Relaxation::Elementwise(lines) => self.elementwise(id, lines, lambda, values)?,
            Relaxation::Product | Relaxation::Bilinear => {
                let sizes = [0, 1].map(|p| network.node(node.operands[p]).size());
                let linear = Linear::of(node, sizes[0])?;
                let mut out = vec![0.0; self.rows * size];
                let sides = [0, 1].map(|p| operand(p).map_or_else(|| constant(p), Clone::clone));
                let row_of = |p: usize, row: usize| match operand(p) {
                    Some(_) => &sides[p][row * sizes[p]..(row + 1) * sizes[p]],
                    None => &sides[p][..],
                };
                for (row, out) in out.chunks_exact_mut(size).enumerate() {
                    linear.accumulate(row_of(0, row), |x| x, row_of(1, row), |w| w, out);
                }
                out
            }
            Relaxation::Groups(groups) => {
                let x = operand(0)?;
                group_values(groups, lambda, x, size)
            }
            Relaxation::Constant => centres(self.analysis.node(id)).repeat(self.rows),
        })
    }

    fn elementwise(
        &self,
        id: NodeId,
        lines: &Elementwise,
        lambda: &[f64],
        values: &BTreeMap<usize, Vec<f64>>,
    ) -> Option<Vec<f64>> {
        let node = self.analysis.network().node(id);
        let size = node.size();
        let hints = self.slopes.get(id);
        let mut out: Vec<f64> = (0..lambda.len())
            .map(|at| if lambda[at] >= 0.0 { lines.lower_offset[at % size] } else { lines.upper_offset[at % size] })
            .collect();
        for (position, lower, upper) in &lines.sides {
            let x = values.get(&node.operands[*position].index())?;
            for (at, out) in out.iter_mut().enumerate() {
                let j = at % size;
                let slope = match hints {
                    _ if lambda[at] < 0.0 => upper[j],
                    Some(hints) if lines.least_slope.get(j).is_some_and(|least| !least.is_nan()) => {
                        flexible_slope(lines.least_slope[j], hints[if hints.len() == size { j } else { at }])
                    }
                    _ => lower[j],
                };
                *out += slope * x[at];
            }
        }
        Some(out)
    }
}

fn centres(bounds: &NodeBounds) -> Vec<f64> {
    bounds.iter().map(|x| x.lower / 2.0 + x.upper / 2.0).collect()
}

fn group_values(groups: &Groups, lambda: &[f64], x: &[f64], size: usize) -> Vec<f64> {
    let operand = size / groups.outputs.max(1) * groups.inputs;
    let value = |(at, &l): (usize, &f64)| {
        let (row, j) = (at / size, at % size);
        let (slopes, offsets) =
            if l >= 0.0 { (&groups.lower, &groups.lower_offset) } else { (&groups.upper, &groups.upper_offset) };
        let from = row * operand + j / groups.outputs * groups.inputs;
        let slopes = &slopes[j * groups.inputs..(j + 1) * groups.inputs];
        offsets[j] + slopes.iter().zip(&x[from..from + groups.inputs]).map(|(s, x)| s * x).sum::<f64>()
    };
    lambda.iter().enumerate().map(value).collect()
}
