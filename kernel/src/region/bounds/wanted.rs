//! Which elements of a node are worth a backward pass: what its users cannot do without.

use super::image::kinks;
use crate::model::ir::{Binary, Function, Network, Node, NodeBounds, NodeId, Op, Reduction, Source};
use crate::sound::Interval;

/// Movements that are looked through for what a node's users want.
const MOST_MOVES: u32 = 64;
/// What a user asks of an element.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    Nothing,
    /// An upper bound, and a lower one only if the upper is positive.
    Sign,
    Both,
}

/// What the users of a node ask of its elements, looking through movements. `settled` has the bounds of the nodes before it.
pub(super) fn wanted<'a>(
    network: &'a Network,
    users: &'a [Vec<NodeId>],
    id: NodeId,
    bounds: &NodeBounds,
    settled: &'a dyn Fn(NodeId) -> &'a NodeBounds<'a>,
) -> Vec<Wanted> {
    Users { network, users, settled }.want(id, bounds, &mut { MOST_MOVES })
}

#[allow(clippy::struct_field_names)] // the graph's word
struct Users<'a> {
    network: &'a Network,
    users: &'a [Vec<NodeId>],
    settled: &'a dyn Fn(NodeId) -> &'a NodeBounds<'a>,
}

impl Users<'_> {
    /// The same, through so many movements; behind them everything may be wanted.
    fn want(&self, id: NodeId, bounds: &NodeBounds, moves: &mut u32) -> Vec<Wanted> {
        let Some(left) = moves.checked_sub(1) else { return vec![Wanted::Both; bounds.len()] };
        *moves = left;
        let mut wanted = vec![Wanted::Nothing; bounds.len()];
        for &user in &self.users[id.index()] {
            let node = self.network.node(user);
            let mut raise = |j: usize, want: Wanted| wanted[j] = wanted[j].max(want);
            let all = |raise: &mut dyn FnMut(usize, Wanted)| (0..bounds.len()).for_each(|j| raise(j, Wanted::Both));
            match &node.op {
                Op::Reshape => {
                    self.want(user, bounds, moves).into_iter().enumerate().for_each(|(j, want)| raise(j, want));
                }
                Op::Rearrange(sources) => {
                    let mine = |s: &Source| node.operands[s.operand as usize] == id;
                    // Elements from elsewhere are not asked about.
                    let moved = |s: &Source| if mine(s) { bounds.at(s.element as usize) } else { Interval::point(0.0) };
                    let moved = NodeBounds::collect(sources.iter().map(moved));
                    let wants = self.want(user, &moved, moves);
                    sources.iter().zip(wants).filter(|(s, _)| mine(s)).for_each(|(s, want)| raise(s.element as usize, want));
                }
                Op::Function(function) => {
                    bounds.iter().enumerate().for_each(|(j, x)| raise(j, wanted_by(function, x)));
                }
                Op::Increment(function) if node.operands[1] == id => {
                    let z = (self.settled)(node.operands[0]);
                    let bent = |(z, x): (Interval, Interval)| wanted_by(function, z.hull(z.add(x))) != Wanted::Nothing;
                    let all = z.iter().zip(bounds.iter()).enumerate().filter(|(_, (_, x))| x.lower < x.upper);
                    all.filter(|(_, both)| bent(*both)).for_each(|(j, _)| raise(j, Wanted::Both));
                }
                Op::Increment(function) => {
                    let bent = bounds.iter().map(|x| wanted_by(function, x) != Wanted::Nothing);
                    bent.enumerate().filter(|(_, bent)| *bent).for_each(|(j, _)| raise(j, Wanted::Both));
                }
                Op::PRelu if node.operands[0] == id => {
                    bounds
                        .iter()
                        .enumerate()
                        .filter(|(_, x)| x.lower < 0.0 && x.upper > 0.0)
                        .for_each(|(j, _)| raise(j, Wanted::Both));
                }
                Op::Binary(Binary::Max | Binary::Min) | Op::PRelu | Op::Sort { .. } | Op::Softmax => all(&mut raise),
                Op::Reduce(Reduction::Max | Reduction::Min) => all(&mut raise),
                Op::Binary(Binary::Mul | Binary::Div) | Op::MatMul | Op::Conv(_)
                    if node.operands.iter().all(|&o| self.network.node(o).variable) || divides(node, id) =>
                {
                    all(&mut raise);
                }
                _ => {}
            }
        }
        wanted
    }
}

fn divides(node: &Node, id: NodeId) -> bool {
    node.op == Op::Binary(Binary::Div) && node.operands[1] == id
}

fn wanted_by(function: &Function, x: Interval) -> Wanted {
    match function {
        Function::Neg => Wanted::Nothing,
        Function::Relu if x.lower < 0.0 && x.upper > 0.0 => Wanted::Sign,
        Function::Relu => Wanted::Nothing,
        Function::Abs | Function::LeakyRelu { .. } | Function::Clip { .. } | Function::HardSigmoid { .. } => {
            let inside = kinks(function).0.iter().any(|&kink| x.lower < kink && kink < x.upper);
            if inside { Wanted::Both } else { Wanted::Nothing }
        }
        _ if x.lower < x.upper => Wanted::Both,
        _ => Wanted::Nothing,
    }
}
