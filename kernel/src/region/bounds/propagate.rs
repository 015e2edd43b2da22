//! Interval bound propagation, node by node, over the whole IR.

use std::sync::Arc;

use super::affine;
use super::error::{BoundsError, Reason};
use super::image::image;
use super::increment::Increment;
use super::linear::Linear;
use super::region::BoxRegion;
use super::rounding::Rounding;
use crate::model::ir::{Arithmetic, Binary, Function, Intervals, Network, Node, NodeBounds, NodeId, Op, Reduction};
use crate::proof::Semantics;
use crate::sound::round::{add_down, add_up};
use crate::sound::{Enclosure, Interval};

/// A network whose constants are enclosed once, for bounds on many regions.
#[derive(Clone, Debug)]
pub struct Propagator<'n> {
    network: &'n Network,
    rounding: Rounding,
    /// Of the nodes that the input does not reach.
    constants: Arc<[Option<NodeBounds<'n>>]>,
}

/// Bounds of every node on a box, by interval propagation; [`Propagator`] is quicker for several boxes.
///
/// # Errors
/// [`BoundsError`], naming the node.
pub fn interval_bounds<'n>(network: &'n Network, region: &BoxRegion, semantics: Semantics) -> Result<Intervals<'n>, BoundsError> {
    Propagator::new(network, semantics)?.intervals(region)
}

impl<'n> Propagator<'n> {
    /// Encloses the constants of a network.
    ///
    /// # Errors
    /// When a constant is undefined or overflows, or float32 arithmetic is asked about of a network in another one.
    pub fn new(network: &'n Network, semantics: Semantics) -> Result<Self, BoundsError> {
        if let (Semantics::Float32, Some(obstacle)) = (semantics, network.float32_obstacle()) {
            return Err(BoundsError::Float32 { obstacle: obstacle.to_owned() });
        }
        let terms = |node: &Node| Some(Linear::of(node, network.node(*node.operands.first()?).size())?.terms());
        let longest = network.nodes().iter().filter_map(terms).max().unwrap_or(0);
        let rounding = Rounding { semantics, longest };
        let mut constants: Vec<Option<NodeBounds<'n>>> = vec![None; network.nodes().len()];
        for id in network.ids().filter(|&id| !network.node(id).variable) {
            let node = network.node(id);
            let bounds = match &node.op {
                Op::Constant(tensor) => constant(node, tensor.data(), rounding)?,
                _ => step(node, &operands(node, &constants, &[]), rounding)?,
            };
            constants[id.index()] = Some(bounds);
        }
        Ok(Self { network, rounding, constants: constants.into() })
    }

    #[must_use]
    pub const fn network(&self) -> &'n Network {
        self.network
    }

    #[must_use]
    pub const fn semantics(&self) -> Semantics {
        self.rounding.semantics
    }

    pub(super) fn constants(&self) -> &[Option<NodeBounds<'n>>] {
        &self.constants
    }

    /// The enclosed value of a node that the input does not reach.
    #[must_use]
    pub fn constant(&self, id: NodeId) -> Option<&NodeBounds<'n>> {
        self.constants[id.index()].as_ref()
    }

    pub(super) const fn rounding(&self) -> Rounding {
        self.rounding
    }

    /// Bounds of every node on a box.
    ///
    /// # Errors
    /// [`BoundsError`], naming the node.
    pub fn intervals(&self, region: &BoxRegion) -> Result<Intervals<'n>, BoundsError> {
        let (given, expected) = (region.lower().len(), self.network.input_size());
        if given != expected {
            return Err(BoundsError::InputSize { given, expected });
        }
        let mut variables: Vec<Option<NodeBounds<'static>>> = vec![None; self.network.nodes().len()];
        for id in self.network.ids().filter(|&id| self.network.node(id).variable) {
            let node = self.network.node(id);
            let bounds = if id == self.network.input() {
                let bounds = NodeBounds::new(region.lower().to_vec(), region.upper().to_vec());
                if bounds.iter().any(|x| self.rounding.overflows(x.magnitude())) {
                    return Err(BoundsError::at(node, Reason::Overflow));
                }
                bounds
            } else {
                step(node, &operands(node, &self.constants, &variables), self.rounding)?
            };
            variables[id.index()] = Some(bounds);
        }
        Ok(Intervals::new(self.constants.clone(), variables, self.network.output()))
    }
}

/// The values of a constant node in the deployed network; exact ones are borrowed.
fn constant<'n>(node: &Node, values: &'n [f64], rounding: Rounding) -> Result<NodeBounds<'n>, BoundsError> {
    if values.iter().any(|value| !value.is_finite()) {
        return Err(BoundsError::at(node, Reason::Undefined));
    }
    let float32 = |&value: &f64| f64::from(value as f32) == value;
    if rounding.is_exact() || values.iter().all(float32) {
        return Ok(NodeBounds::borrowed(values));
    }
    Ok(NodeBounds::collect(values.iter().map(|&value| rounding.constant(value))))
}

pub(super) fn operands<'a>(
    node: &Node,
    constants: &'a [Option<NodeBounds<'a>>],
    variables: &'a [Option<NodeBounds<'a>>],
) -> Vec<&'a NodeBounds<'a>> {
    let bounds =
        |o: &NodeId| variables.get(o.index()).and_then(Option::as_ref).or(constants.get(o.index()).and_then(Option::as_ref));
    node.operands.iter().filter_map(bounds).collect()
}

/// The bounds of a node from those of its operands.
pub(super) fn step(node: &Node, operands: &[&NodeBounds], rounding: Rounding) -> Result<NodeBounds<'static>, BoundsError> {
    let bounds = image_of(node, operands, rounding).map_err(|reason| BoundsError::at(node, reason))?;
    if !bounds.is_finite() || bounds.len() != node.size() {
        return Err(BoundsError::at(node, Reason::Undefined));
    }
    if bounds.iter().any(|x| rounding.overflows(x.magnitude())) {
        return Err(BoundsError::at(node, Reason::Overflow));
    }
    Ok(bounds)
}

fn image_of(node: &Node, operands: &[&NodeBounds], rounding: Rounding) -> Result<NodeBounds<'static>, Reason> {
    Ok(match (&node.op, operands) {
        (Op::Reshape, [x]) => NodeBounds::new(x.lower().to_vec(), x.upper().to_vec()),
        (Op::Rearrange(sources), _) => {
            let lower = sources.iter().map(|s| operands[s.operand as usize].lower()[s.element as usize]).collect();
            let upper = sources.iter().map(|s| operands[s.operand as usize].upper()[s.element as usize]).collect();
            NodeBounds::new(lower, upper)
        }
        (Op::MatMul | Op::Conv(_), [a, b]) => {
            let linear = Linear::of(node, a.len()).ok_or(Reason::Undefined)?;
            affine::image(linear, a, b, node.size(), rounding)?
        }
        (Op::Binary(binary), [a, b]) => {
            let same = node.operands[0] == node.operands[1];
            NodeBounds::collect(a.iter().zip(b.iter()).map(|(a, b)| combine(*binary, a, b, same, rounding)))
        }
        (Op::Function(function), [x]) => NodeBounds::collect(x.iter().map(|x| call(function, x, rounding))),
        // What the deployed second copy rounds is not known from the increment.
        (Op::Increment(_), _) if !rounding.is_exact() => return Err(Reason::Undefined),
        (Op::Increment(function), [z, delta, sum]) => {
            let arguments = z.iter().zip(delta.iter()).zip(sum.iter());
            NodeBounds::collect(arguments.map(|((z, delta), sum)| Increment { function, z, delta, sum }.image()))
        }
        (Op::PRelu, [x, slope]) => NodeBounds::collect(x.iter().zip(slope.iter()).map(|(x, slope)| prelu(x, slope, rounding))),
        (Op::Reduce(reduction), [x]) => {
            let size = x.len().checked_div(node.size()).unwrap_or(0).max(1);
            let rows = (0..node.size()).map(|row| (row * size..(row + 1) * size).map(|i| x.at(i)));
            let reduced: Vec<Interval> = rows.map(|row| reduce(*reduction, row, rounding)).collect::<Result<_, _>>()?;
            NodeBounds::collect(reduced.into_iter())
        }
        (Op::Sort { descending }, [x]) => {
            let sort =
                |values: &[f64]| -> Vec<f64> { values.chunks(row_length(node)).flat_map(|r| sorted(r, *descending)).collect() };
            NodeBounds::new(sort(x.lower()), sort(x.upper()))
        }
        (Op::Softmax, [x]) => {
            let size = row_length(node);
            let mut all = Vec::with_capacity(x.len());
            for start in (0..x.len()).step_by(size) {
                let row: Vec<Interval> = (start..start + size).map(|i| x.at(i)).collect();
                all.extend(softmax(&row, rounding)?);
            }
            NodeBounds::collect(all.into_iter())
        }
        (Op::Equilibrium(_), _) => return Err(Reason::Implicit),
        // The builder admits no other number of operands.
        _ => return Err(Reason::Undefined),
    })
}

fn row_length(node: &Node) -> usize {
    node.shape.last().copied().unwrap_or(1).max(1)
}

fn combine(binary: Binary, a: Interval, b: Interval, same: bool, rounding: Rounding) -> Interval {
    match binary {
        Binary::Add => a.add(b).widened(rounding.addition(add_up(a.magnitude(), b.magnitude()))),
        Binary::Sub if same => Interval::point(0.0),
        Binary::Sub => a.sub(b).widened(rounding.addition(add_up(a.magnitude(), b.magnitude()))),
        Binary::Mul => rounded(if same { a.square() } else { a.mul(b) }, rounding),
        Binary::Div => rounded(a.div(b), rounding),
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
    }
}

fn rounded(result: Interval, rounding: Rounding) -> Interval {
    result.widened(rounding.elementwise(result.magnitude()))
}

fn call(function: &Function, x: Interval, rounding: Rounding) -> Interval {
    let y = image(function, rounding.argument(function, x));
    y.widened(rounding.function(function, x, y))
}

/// `x` for `x ≥ 0`, `slope·x` otherwise: the hull of what each side gives.
fn prelu(x: Interval, slope: Interval, rounding: Rounding) -> Interval {
    let positive = Interval::new(x.lower.max(0.0), x.upper);
    let negative = rounded(slope.mul(Interval::new(x.lower, x.upper.min(0.0))), rounding);
    if !x.is_finite() || x.upper < 0.0 {
        negative
    } else if x.lower >= 0.0 {
        positive
    } else {
        positive.hull(negative)
    }
}

fn reduce(
    reduction: Reduction,
    mut row: impl ExactSizeIterator<Item = Interval>,
    rounding: Rounding,
) -> Result<Interval, Reason> {
    let n = row.len();
    let first = row.next().ok_or(Reason::Undefined)?;
    if let Reduction::Max | Reduction::Min = reduction {
        let max = matches!(reduction, Reduction::Max);
        return Ok(row.fold(first, |best, x| if max { best.max(x) } else { best.min(x) }));
    }
    let (growth, shift) = rounding.sum(n)?;
    let (sum, magnitude) =
        row.fold((first, first.magnitude()), |(sum, magnitude), x| (sum.add(x), add_up(magnitude, x.magnitude())));
    if rounding.overflows(magnitude) {
        return Err(Reason::Overflow);
    }
    let sum = if rounding.is_exact() { sum } else { sum.widened(add_up(growth * magnitude.next_up(), shift).next_up()) };
    Ok(match reduction {
        Reduction::Mean => rounded(sum.div(Interval::point(n as f64)), rounding),
        _ => sum,
    })
}

/// The k-th smallest of numbers in intervals lies between the k-th smallest lower bound and the k-th smallest upper bound.
fn sorted(row: &[f64], descending: bool) -> Vec<f64> {
    let mut row = row.to_vec();
    row.sort_by(f64::total_cmp);
    if descending {
        row.reverse();
    }
    row
}

/// `p_i` grows with `x_i` and falls with every other: each bound is attained at a corner. Exponentials are taken relative to
/// the largest upper bound; where they underflow the bound is 0 or 1.
fn softmax(row: &[Interval], rounding: Rounding) -> Result<Vec<Interval>, Reason> {
    let peak = row.iter().map(|x| x.upper).fold(f64::NEG_INFINITY, f64::max);
    let power = |x: f64| (Enclosure::exact(x) - Enclosure::exact(peak)).apply(&Function::Exp).unwrap_or(Enclosure::INVALID);
    let at_lower: Vec<Enclosure> = row.iter().map(|x| power(x.lower)).collect();
    let at_upper: Vec<Enclosure> = row.iter().map(|x| power(x.upper)).collect();
    let (others_lower, others_upper) = (sums_of_others(&at_lower), sums_of_others(&at_upper));
    let spread = row.iter().map(|x| add_up(peak, -x.lower)).fold(0.0, f64::max);
    let error = rounding.softmax(row.len(), spread)?;
    let bounds = (0..row.len()).map(|i| {
        let (own, others) = (at_lower[i].lower().max(0.0), others_upper[i].1);
        let lower = Interval::point(own).div(Interval::point(add_up(own, others))).lower;
        let (own, others) = (at_upper[i].upper(), others_lower[i].0);
        let upper = Interval::point(own).div(Interval::point(add_down(own, others))).upper;
        Interval::new(lower.max(0.0), upper.min(1.0)).widened(error)
    });
    Ok(bounds.collect())
}

/// For every element a lower and an upper bound of the sum of all others, without subtracting.
fn sums_of_others(values: &[Enclosure]) -> Vec<(f64, f64)> {
    let scan = |values: &mut dyn Iterator<Item = &Enclosure>| {
        let mut sums = vec![(0.0, 0.0)];
        for value in values {
            let &(lower, upper) = sums.last().unwrap_or(&(0.0, 0.0));
            sums.push((add_down(lower, value.lower().max(0.0)), add_up(upper, value.upper())));
        }
        sums
    };
    let before = scan(&mut values.iter());
    let mut after = scan(&mut values.iter().rev());
    after.reverse();
    before.iter().zip(&after[1..]).map(|(b, a)| (add_down(b.0, a.0), add_up(b.1, a.1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ir::{NetworkBuilder, Tensor};

    #[test]
    fn a_sum_that_starts_from_its_bias_stays_inside_the_float32_box() {
        let (terms, weight, bias) = (16_384, 0.3f32, 1_048_576.0f32);
        let mut builder = NetworkBuilder::new();
        let x = builder.push("x", "", Op::Input, &[], vec![1, 1, terms]).unwrap();
        let constant = |builder: &mut NetworkBuilder, shape: Vec<usize>, value: f32| {
            let tensor = Tensor::new(shape.clone(), vec![f64::from(value); shape.iter().product()]).unwrap();
            builder.push("c", "", Op::Constant(tensor), &[], shape).unwrap()
        };
        let weights = constant(&mut builder, vec![1, terms, 1], weight);
        let product = builder.push("m", "MatMul", Op::MatMul, &[x, weights], vec![1, 1, 1]).unwrap();
        let offset = constant(&mut builder, vec![1, 1, 1], bias);
        let sum = builder.push("a", "Add", Op::Binary(Binary::Add), &[product, offset], vec![1, 1, 1]).unwrap();
        let network = builder.finish(sum).unwrap();
        let region = BoxRegion::around(&vec![1.0; terms], 0.0).unwrap();
        let deployed = (0..terms).fold(bias, |sum, _| sum + weight);
        let found = interval_bounds(&network, &region, Semantics::Float32).unwrap().output().at(0);
        assert!(found.contains(f64::from(deployed)), "{found:?} {deployed}");
        // It is off by more than one rounding: the test says something.
        let exact = f64::from(bias) + terms as f64 * f64::from(weight);
        assert!((f64::from(deployed) - exact).abs() > 10.0 * f64::from(f32::EPSILON) * exact);
    }
}
