//! The linear relaxation of every node on a region: what a backward pass substitutes for it.
//!
//! A node's element `y_j` is bounded from below and from above by linear functions of its operands' elements. What is
//! computed to nearest here or in a backward pass is covered by one number per element, its *deviation* `D_j`: for any
//! coefficients `λ`, replacing `Σ λ_j·y_j` by the computed combination of operands is wrong by at most `Σ |λ_j|·D_j`.
//! With `X` the operands' largest magnitudes and `W` the slopes, `D_j = g·Σ|W_ji|·X_i + d_j`: `g = γ_N` covers the products
//! and sums of the backward pass in any order (`N` the most products that meet in one element), `d_j` the sum of all constants
//! of a pass in any order (`γ_n` times their magnitudes), slopes that are only enclosed, and in [`crate::proof::Semantics::Float32`] what the deployed operator rounds.

use super::groups::{reduction_of, sort};
use super::increment::Increment;
use super::linear::Linear;
use super::lines::{Lines, lines, relu_chord};
use super::rounding::Rounding;
use crate::model::ir::{Binary, Function, Node, NodeBounds, Op};
use crate::sound::Interval;
use crate::sound::round::{add_down, add_up, gamma, mul_up};

/// What a backward pass puts in the place of a node.
#[derive(Clone, Debug)]
pub enum Relaxation {
    /// The network's input.
    Input,
    /// Same elements, another shape.
    Same,
    /// Elements moved as the operation says.
    Moved,
    /// The sum or difference of two operands.
    Sum { second: f64 },
    /// Elementwise: one slope per operand and element.
    Elementwise(Elementwise),
    /// A matrix product or convolution with constant weights on one side.
    Product,
    /// A matrix product or convolution of two variables.
    Bilinear,
    /// Rows of operands to rows of results.
    Groups(Groups),
    /// Nothing better than the node's own bounds.
    Constant,
}

/// `Σ_k slopes_k·x_k + offset`, below and above.
#[derive(Clone, Debug)]
pub struct Elementwise {
    /// Positions of the operands with their slopes below and above.
    pub sides: Vec<(usize, Vec<f64>, Vec<f64>)>,
    pub lower_offset: Vec<f64>,
    pub upper_offset: Vec<f64>,
    /// Where the lower line may be any through the origin with a slope from here to 1; NaN elsewhere. Empty: nowhere.
    pub least_slope: Vec<f64>,
}

/// `[groups, inputs] → [groups, outputs]` with slopes `[groups, outputs, inputs]`.
#[derive(Clone, Debug)]
pub struct Groups {
    pub inputs: usize,
    pub outputs: usize,
    pub lower: Vec<f64>,
    pub lower_offset: Vec<f64>,
    pub upper: Vec<f64>,
    pub upper_offset: Vec<f64>,
}

/// A relaxation with the deviations of its elements; no deviations: none.
#[derive(Clone, Debug)]
pub struct Relaxed {
    pub relaxation: Relaxation,
    pub deviation: Vec<f64>,
}

/// The most products of a node's backward step that meet in one element of an operand.
pub(super) fn products_into_operand(node: &Node, left: usize) -> usize {
    match &node.op {
        Op::MatMul => match Linear::of(node, left) {
            Some(Linear::MatMul { m, n, .. }) => 2 * m.max(n),
            _ => 1,
        },
        Op::Conv(geometry) => {
            let kernel: usize = geometry.axes.iter().map(|axis| axis.kernel).product();
            let per_input = kernel * geometry.out_channels / geometry.groups;
            // With constant inputs every position meets a weight.
            per_input.max(node.size() / geometry.out_channels.max(1))
        }
        Op::Rearrange(sources) => {
            let mut counts = std::collections::HashMap::new();
            let repeats = sources.iter().map(|s| {
                let count = counts.entry((s.operand, s.element)).or_insert(0usize);
                *count += 1;
                *count
            });
            repeats.max().unwrap_or(0)
        }
        Op::Reduce(_) => 1,
        Op::Sort { .. } | Op::Softmax => node.shape.last().copied().unwrap_or(1),
        _ => 2,
    }
}

/// The relaxation of a node from the bounds of its operands and its own.
pub(super) fn relax(node: &Node, operands: &[&NodeBounds], variable: &[bool], own: &NodeBounds, context: Context) -> Relaxed {
    let added = |x: Interval| mul_up(context.additions, x.magnitude());
    let constant = || Relaxed { relaxation: Relaxation::Constant, deviation: own.iter().map(added).collect() };
    match (&node.op, operands) {
        (Op::Input, _) => {
            // Twice: the norm of a ball is a term as well.
            let deviation = own.iter().map(|x| mul_up(2.0, added(x))).collect();
            Relaxed { relaxation: Relaxation::Input, deviation }
        }
        (Op::Reshape, [x]) => {
            // What other users pass on is added to this one's, and rounded.
            let deviation =
                if context.alone { Vec::new() } else { x.iter().map(|x| mul_up(context.growth, x.magnitude())).collect() };
            Relaxed { relaxation: Relaxation::Same, deviation }
        }
        (Op::Rearrange(sources), _) => {
            let passed_on = context.alone && products_into_operand(node, 0) <= 1;
            let growth = if passed_on { 0.0 } else { context.growth };
            let deviation = |s: &crate::model::ir::Source| {
                let operand = s.operand as usize;
                let factor = if variable[operand] { growth } else { context.additions };
                mul_up(factor, operands[operand].at(s.element as usize).magnitude())
            };
            let mut deviation: Vec<f64> = sources.iter().map(deviation).collect();
            if deviation.iter().all(|&d| d == 0.0) {
                deviation.clear();
            }
            Relaxed { relaxation: Relaxation::Moved, deviation }
        }
        (Op::MatMul | Op::Conv(_), [a, b]) => product(node, [a, b], variable, context).unwrap_or_else(constant),
        (Op::Binary(binary), [a, b]) => pair(node, *binary, [a, b], variable, context).unwrap_or_else(constant),
        (Op::Function(function), [x]) => elementwise_function(function, x, own, context),
        (Op::Increment(function), [z, delta, sum]) if context.rounding.is_exact() => {
            increments(function, [z, delta, sum], variable, own, context)
        }
        (Op::PRelu, [x, slope]) if !variable[1] => prelu(x, slope, context),
        (Op::Reduce(reduction), [x]) => reduction_of(*reduction, x, node.size(), context),
        (Op::Sort { descending }, [x]) => sort(x, node.shape.last().copied().unwrap_or(1).max(1), own, *descending, context),
        _ => constant(),
    }
}

/// What deviations are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub rounding: Rounding,
    /// `γ_N`.
    pub growth: f64,
    /// `γ_n` for the sum of all constants of a pass.
    pub additions: f64,
    /// Whether every operand of this node has no other user, and appears once. Then coefficients that are only passed on are
    /// neither multiplied nor added.
    pub alone: bool,
}

fn product(node: &Node, operands: [&NodeBounds; 2], variable: &[bool], context: Context) -> Option<Relaxed> {
    let linear = Linear::of(node, operands[0].len())?;
    let magnitudes = operands.map(|operand| operand.iter().map(Interval::magnitude).collect::<Vec<f64>>());
    let mut total = vec![0.0; node.size()];
    linear.accumulate(&magnitudes[0], |x| x, &magnitudes[1], |w| w, &mut total);
    let (float32, shift) = context.rounding.sum(linear.terms()).ok()?;
    // fl(Σ) ≥ (1 − γ_n)Σ − nη and 1/(1 − γ_n) ≤ 1 + γ_2n.
    let inflation = add_up(1.0, gamma(2 * linear.terms() + 4));
    let underflow = 4.0 * (linear.terms() + 1) as f64 * f64::from_bits(1);
    let bilinear = variable[0] && variable[1];
    // McCormick's planes have two slopes and a constant for every product.
    let growth = if bilinear { add_up(mul_up(2.0, context.growth), context.additions) } else { context.growth };
    let factor = mul_up(add_up(growth, float32), inflation);
    let mut deviation: Vec<f64> =
        total.iter().map(|&m| add_up(add_up(mul_up(factor, add_up(m, underflow)), shift), underflow)).collect();
    if bilinear {
        return Some(Relaxed { relaxation: Relaxation::Bilinear, deviation });
    }
    let constant = usize::from(variable[0]);
    let weights = operands[constant];
    if !weights.is_exact() {
        let radii: Vec<f64> = weights.iter().map(|w| centre_and_radius(w).1).collect();
        let mut spread = vec![0.0; node.size()];
        match constant {
            1 => linear.accumulate(&magnitudes[0], |x| x, &radii, |r| r, &mut spread),
            _ => linear.accumulate(&radii, |r| r, &magnitudes[1], |x| x, &mut spread),
        }
        deviation.iter_mut().zip(spread).for_each(|(d, s)| *d = add_up(*d, mul_up(inflation, add_up(s, underflow))));
    }
    Some(Relaxed { relaxation: Relaxation::Product, deviation })
}

/// The weights that a backward pass uses for a product: midpoints, whose distance to the truth the deviations hold.
pub(super) fn central_weights(weights: &NodeBounds) -> Vec<f64> {
    if weights.is_exact() { weights.lower().to_vec() } else { weights.iter().map(|w| centre_and_radius(w).0).collect() }
}

/// A midpoint and a radius that reaches both ends.
pub(super) fn centre_and_radius(x: Interval) -> (f64, f64) {
    let centre = x.lower / 2.0 + x.upper / 2.0;
    (centre, add_up(x.upper, -centre).max(add_up(centre, -x.lower)))
}

/// Elementwise relaxations while they are made.
struct Builder {
    result: Elementwise,
    deviation: Vec<f64>,
    context: Context,
}

impl Builder {
    fn new(positions: &[usize], size: usize, context: Context) -> Self {
        let sides = positions.iter().map(|&p| (p, Vec::with_capacity(size), Vec::with_capacity(size))).collect();
        let result = Elementwise {
            sides,
            lower_offset: Vec::with_capacity(size),
            upper_offset: Vec::with_capacity(size),
            least_slope: Vec::new(),
        };
        Self { result, deviation: Vec::with_capacity(size), context }
    }

    /// An element with slopes (below, above) per operand, whose magnitudes are `magnitudes`; `extra` is its own deviation.
    fn push(&mut self, slopes: &[(f64, f64)], offsets: (f64, f64), magnitudes: &[f64], extra: f64) {
        let mut total = 0.0;
        for ((side, &(lower, upper)), &magnitude) in self.result.sides.iter_mut().zip(slopes).zip(magnitudes) {
            side.1.push(lower);
            side.2.push(upper);
            total = add_up(total, mul_up(lower.abs().max(upper.abs()), magnitude));
        }
        self.result.lower_offset.push(offsets.0);
        self.result.upper_offset.push(offsets.1);
        let constants = mul_up(self.context.additions, offsets.0.abs().max(offsets.1.abs()));
        self.deviation.push(add_up(add_up(mul_up(self.context.growth, total), extra), constants));
    }

    /// Adds to the last element's deviation what a hinted slope, which may be as large as one, rounds beyond its own.
    fn charge_hints(&mut self, x: Interval) {
        if let Some(last) = self.deviation.last_mut().filter(|_| x.lower < 0.0 && x.upper > 0.0) {
            *last = add_up(*last, mul_up(self.context.growth, x.magnitude()));
        }
    }

    fn finish(self) -> Relaxed {
        Relaxed { relaxation: Relaxation::Elementwise(self.result), deviation: self.deviation }
    }
}

fn elementwise_function(function: &Function, x: &NodeBounds, own: &NodeBounds, context: Context) -> Relaxed {
    let mut builder = Builder::new(&[0], x.len(), context);
    // Lines through the origin below a convex kink.
    let least = match *function {
        Function::Relu => Some(0.0),
        Function::LeakyRelu { slope } if (0.0..1.0).contains(&slope) => Some(slope),
        _ => None,
    };
    for (x, y) in x.iter().zip(own.iter()) {
        let Lines { lower, upper } = lines(function, x, y);
        let error = add_up(context.rounding.function(function, x, y), context.rounding.flushed(function));
        builder.push(&[(lower.slope, upper.slope)], (lower.offset, upper.offset), &[x.magnitude()], error);
        if let Some(least) = least {
            builder.charge_hints(x);
            builder.result.least_slope.push(if x.lower < 0.0 && x.upper > 0.0 { least } else { f64::NAN });
        }
    }
    builder.finish()
}

/// Planes over the operands that vary; what is constant is part of the offsets.
fn increments(function: &Function, operands: [&NodeBounds; 3], variable: &[bool], own: &NodeBounds, context: Context) -> Relaxed {
    let positions: Vec<usize> = (0..3).filter(|&position| variable[position]).collect();
    let mut builder = Builder::new(&positions, own.len(), context);
    for (element, y) in own.iter().enumerate() {
        let [z, delta, sum] = operands.map(|operand| operand.at(element));
        let planes = Increment { function, z, delta, sum }.planes(y);
        let at = |position: usize| [z, delta, sum][position];
        let fixed = |slopes: &[f64; 3]| {
            let constants = (0..3).filter(|&position| !variable[position]);
            constants
                .map(|position| at(position).mul(Interval::point(slopes[position])))
                .fold(Interval::point(0.0), Interval::add)
        };
        let offsets = (
            add_down(planes.lower.offset, fixed(&planes.lower.slopes).lower),
            add_up(planes.upper.offset, fixed(&planes.upper.slopes).upper),
        );
        let slopes: Vec<(f64, f64)> =
            positions.iter().map(|&position| (planes.lower.slopes[position], planes.upper.slopes[position])).collect();
        let magnitudes: Vec<f64> = positions.iter().map(|&position| at(position).magnitude()).collect();
        builder.push(&slopes, offsets, &magnitudes, 0.0);
    }
    builder.finish()
}

/// `x` for `x ≥ 0`, `slope·x` otherwise, with a constant slope: convex for slopes up to 1, concave above.
fn prelu(x: &NodeBounds, slope: &NodeBounds, context: Context) -> Relaxed {
    let mut builder = Builder::new(&[0], x.len(), context);
    for (x, slope) in x.iter().zip(slope.iter()) {
        let (centre, radius) = centre_and_radius(slope);
        let negative = x.lower.min(0.0).abs();
        // What the slope's enclosure and the deployed product leave open.
        let extra = add_up(mul_up(radius, negative), context.rounding.elementwise(mul_up(slope.magnitude(), negative)));
        let function = Function::LeakyRelu { slope: centre };
        let y = super::image::image(&function, x);
        let Lines { lower, upper } = lines(&function, x, y);
        builder.push(&[(lower.slope, upper.slope)], (lower.offset, upper.offset), &[x.magnitude()], extra);
        let flexible = x.lower < 0.0 && x.upper > 0.0 && (0.0..1.0).contains(&centre);
        if flexible {
            builder.charge_hints(x);
        }
        builder.result.least_slope.push(if flexible { centre } else { f64::NAN });
    }
    builder.finish()
}

fn pair(node: &Node, binary: Binary, operands: [&NodeBounds; 2], variable: &[bool], context: Context) -> Option<Relaxed> {
    let [a, b] = operands;
    let rounding = context.rounding;
    let same = node.operands[0] == node.operands[1];
    match binary {
        Binary::Sub if same => None,
        Binary::Add | Binary::Sub => {
            let second = if binary == Binary::Add { 1.0 } else { -1.0 };
            let growth = if context.alone { 0.0 } else { context.growth };
            let factors = [0, 1].map(|side| if variable[side] { growth } else { context.additions });
            let deviation = |(a, b): (Interval, Interval)| {
                let passed = add_up(mul_up(factors[0], a.magnitude()), mul_up(factors[1], b.magnitude()));
                add_up(passed, rounding.addition(add_up(a.magnitude(), b.magnitude())))
            };
            let mut deviation: Vec<f64> = a.iter().zip(b.iter()).map(deviation).collect();
            if deviation.iter().all(|&d| d == 0.0) {
                deviation.clear();
            }
            Some(Relaxed { relaxation: Relaxation::Sum { second }, deviation })
        }
        Binary::Mul if same => {
            let mut builder = Builder::new(&[0], a.len(), context);
            for x in a.iter() {
                // The tangent in the middle m: x² − 2m·x ≥ −m². The chord, rounded: x² − s·x is convex.
                let middle = x.lower / 2.0 + x.upper / 2.0;
                let chord = x.lower + x.upper;
                let at = |end: f64| add_up(mul_up(end, end), mul_up(-chord, end));
                let offsets = (-mul_up(middle, middle), at(x.lower).max(at(x.upper)));
                let error = rounding.elementwise(x.square().magnitude());
                builder.push(&[(2.0 * middle, chord)], offsets, &[x.magnitude()], error);
            }
            Some(builder.finish())
        }
        Binary::Mul if variable[0] && variable[1] => {
            let mut builder = Builder::new(&[0, 1], a.len(), context);
            for (x, y) in a.iter().zip(b.iter()) {
                // McCormick: (x − l)(y − l′) ≥ 0 and (x − l)(u′ − y) ≥ 0.
                let lower = Interval::point(-x.lower).mul(Interval::point(y.lower)).lower;
                let upper = Interval::point(-x.lower).mul(Interval::point(y.upper)).upper;
                let error = rounding.elementwise(x.mul(y).magnitude());
                let slopes = [(y.lower, y.upper), (x.lower, x.lower)];
                builder.push(&slopes, (lower, upper), &[x.magnitude(), y.magnitude()], error);
            }
            Some(builder.finish())
        }
        Binary::Mul => {
            let position = usize::from(variable[1]);
            let (x, factor) = (operands[position], operands[1 - position]);
            Some(scaled(position, x.iter().zip(factor.iter()), context))
        }
        Binary::Div if !variable[1] => {
            let reciprocals = b.iter().map(|divisor| Interval::point(1.0).div(divisor));
            let relaxed = scaled(0, a.iter().zip(reciprocals), context);
            Some(relaxed)
        }
        Binary::Div => None,
        Binary::Max | Binary::Min => Some(extremum(binary == Binary::Max, operands, context)),
    }
}

/// Products with enclosed constants.
fn scaled(position: usize, elements: impl ExactSizeIterator<Item = (Interval, Interval)>, context: Context) -> Relaxed {
    let mut builder = Builder::new(&[position], elements.len(), context);
    for (x, factor) in elements {
        let (slope, radius) = centre_and_radius(factor);
        let error = add_up(mul_up(radius, x.magnitude()), context.rounding.elementwise(x.mul(factor).magnitude()));
        builder.push(&[(slope, slope)], (0.0, 0.0), &[x.magnitude()], error);
    }
    builder.finish()
}

/// `max(x, y) = y + max(x − y, 0)` and `min(x, y) = y − max(y − x, 0)`, elementwise.
fn extremum(max: bool, [a, b]: [&NodeBounds; 2], context: Context) -> Relaxed {
    let mut builder = Builder::new(&[0, 1], a.len(), context);
    for (x, y) in a.iter().zip(b.iter()) {
        let magnitudes = [x.magnitude(), y.magnitude()];
        let difference = if max { x.sub(y) } else { y.sub(x) };
        let first = if difference.lower >= 0.0 {
            Some(true)
        } else if difference.upper <= 0.0 {
            Some(false)
        } else {
            None
        };
        if let Some(first) = first {
            let slopes = if first { [(1.0, 1.0), (0.0, 0.0)] } else { [(0.0, 0.0), (1.0, 1.0)] };
            builder.push(&slopes, (0.0, 0.0), &magnitudes, 0.0);
            continue;
        }
        // The chord of max(d, 0); 1 − s is off by at most 2⁻⁵³ of y.
        let chord = relu_chord(difference);
        let rest = 1.0 - chord.slope;
        let lost = mul_up(f64::EPSILON, magnitudes[1]);
        // On the other side either operand bounds it: the one that is expected to be attained.
        let pick = if difference.upper > -difference.lower { [1.0, 0.0] } else { [0.0, 1.0] };
        if max {
            let slopes = [(pick[0], chord.slope), (pick[1], rest)];
            builder.push(&slopes, (0.0, add_up(chord.offset, lost)), &magnitudes, 0.0);
        } else {
            let slopes = [(chord.slope, pick[0]), (rest, pick[1])];
            builder.push(&slopes, (-add_up(chord.offset, lost), 0.0), &magnitudes, 0.0);
        }
    }
    builder.finish()
}
