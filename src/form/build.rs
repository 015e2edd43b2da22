//! From a network to its form: pushes every signal symbolically through the graph.
//!
//! Exact as long as possible: data movement, sums, and products with short constants stay combinations of atoms; weights
//! define linear layers; nonlinear functions define groups. An operation without a sound rule is refused by name.

use std::collections::HashMap;
use std::ops::Range;

use super::combination::{Atom, Combination};
use super::group::{Groups, Kink};
use super::layer::{LinearLayer, LinearMap, Weights};
use super::slopes::slopes_within;
use super::{Form, FormError, SortForm};
use crate::bounds::{Interval, Intervals};
use crate::ir::{Binary, EvaluationError, Function, Network, Node, NodeId, Op, Reduction, SlopeRange, Values, comparators};
use crate::sound::Enclosure;

/// Sorts of at most this many elements are written as comparators; beyond it the matrix grows faster than the bound falls.
const COMPARATOR_LIMIT: usize = 8;
/// Terms and elements of all signals together: 1 GiB.
const TERM_LIMIT: usize = 1 << 26;
/// Coordinates of a form.
const DIMENSION_LIMIT: u32 = 1 << 22;

/// The part of a network between two nodes: `to` must depend on the input only through `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub from: NodeId,
    pub to: NodeId,
}

impl Segment {
    /// From the network's input to its output.
    #[must_use]
    pub const fn whole(network: &Network) -> Self {
        Self { from: network.input(), to: network.output() }
    }
}

pub(super) fn build(
    network: &Network,
    segment: Segment,
    sorts: SortForm,
    bounds: Option<&Intervals<'_>>,
) -> Result<Form, FormError> {
    let inputs = u32::try_from(network.node(segment.from).size()).map_err(|_| FormError::TooLarge)?;
    let mut builder = Builder {
        network,
        sorts,
        bounds,
        constants: Values::constants(network)?,
        signals: vec![Vec::new(); network.nodes().len()],
        groups: Groups::new(inputs),
        layers: Vec::new(),
        linear_depth: Vec::new(),
        coordinate_depth: vec![0; inputs as usize],
        constant_atoms: HashMap::new(),
        terms: 0,
    };
    let needed = needed(network, segment)?;
    builder.signals[segment.from.index()] = (0..inputs).map(|i| Combination::atom(Atom::Coordinate(i))).collect();
    for id in needed {
        let signal = builder.node(id)?;
        builder.terms += signal.iter().map(|s| s.terms().len() + 1).sum::<usize>();
        if builder.terms > TERM_LIMIT || builder.groups.dimension > DIMENSION_LIMIT {
            return Err(FormError::TooLarge);
        }
        builder.signals[id.index()] = signal;
    }
    let outputs = std::mem::take(&mut builder.signals[segment.to.index()]);
    Ok(Form {
        inputs: inputs as usize,
        dimension: builder.groups.dimension as usize,
        layers: builder.layers,
        groups: builder.groups.list,
        outputs,
    })
}

/// The variable nodes between the ends, operands first.
fn needed(network: &Network, segment: Segment) -> Result<Vec<NodeId>, FormError> {
    let mut wanted = vec![false; network.nodes().len()];
    wanted[segment.to.index()] = true;
    let mut order = Vec::new();
    for id in network.ids().collect::<Vec<_>>().into_iter().rev() {
        if !wanted[id.index()] || id == segment.from || !network.node(id).variable {
            continue;
        }
        if id < segment.from || network.node(id).op == Op::Input {
            return Err(FormError::NotACut { node: network.node(segment.from).name.clone() });
        }
        order.push(id);
        network.node(id).operands.iter().for_each(|o| wanted[o.index()] = true);
    }
    order.reverse();
    Ok(order)
}

struct Builder<'a> {
    network: &'a Network,
    sorts: SortForm,
    /// Of every node's elements, where the form is local.
    bounds: Option<&'a Intervals<'a>>,
    constants: Values<Enclosure>,
    signals: Vec<Vec<Combination>>,
    groups: Groups,
    layers: Vec<LinearLayer>,
    linear_depth: Vec<u32>,
    coordinate_depth: Vec<u32>,
    constant_atoms: HashMap<ConstantKey, u32>,
    terms: usize,
}

/// What makes two constants the same: their exact value, or the place they were computed at.
#[derive(PartialEq, Eq, Hash)]
enum ConstantKey {
    Value(u64),
    Computed { node: usize, element: usize },
}

impl Builder<'_> {
    fn node(&mut self, id: NodeId) -> Result<Vec<Combination>, FormError> {
        let node = self.network.node(id);
        let operand = |position: usize| node.operands.get(position).copied().unwrap_or(id);
        let is_variable = |position: usize| self.network.node(operand(position)).variable;
        match &node.op {
            Op::Reshape => Ok(self.signal(operand(0))),
            Op::Rearrange(sources) => {
                let operands: Vec<_> = node.operands.iter().map(|&o| self.signal(o)).collect();
                let cost = sources.iter().map(|s| operands[s.operand as usize][s.element as usize].terms().len() + 1);
                if self.terms + cost.sum::<usize>() > TERM_LIMIT {
                    return Err(FormError::TooLarge);
                }
                Ok(sources.iter().map(|s| operands[s.operand as usize][s.element as usize].clone()).collect())
            }
            Op::MatMul => self.matmul(id, node, operand(0), operand(1)),
            Op::Conv(geometry) if is_variable(0) && !is_variable(1) => {
                let inputs = self.signal(operand(0));
                let weights = Weights::new(self.constants.get(operand(1).index()));
                self.layer(node, LinearMap::Conv(geometry.clone()), weights, inputs)
            }
            Op::Binary(binary) => self.binary(node, *binary, operand(0), operand(1)),
            Op::Function(function) => {
                let arguments = self.signal(operand(0));
                self.function(id, node, function, arguments)
            }
            Op::PRelu if is_variable(0) && !is_variable(1) => self.prelu(id, node, operand(0), operand(1)),
            Op::Reduce(reduction) => self.reduce(node, *reduction, operand(0)),
            Op::Sort { descending } => self.sort(node, operand(0), *descending),
            Op::Equilibrium(function) => self.equilibrium(node, function, operand(0), operand(1)),
            Op::Softmax => {
                let arguments = self.signal(operand(0));
                let slopes = SlopeRange::new(0.0, 0.5);
                self.rows(node, &arguments, |builder, row, depth| builder.groups.vector(slopes, row, depth, &node.name))
            }
            _ => Err(unsupported(node, "both operands depend on the input")),
        }
    }

    /// The signal of an operand; a constant becomes constant atoms.
    fn signal(&mut self, id: NodeId) -> Vec<Combination> {
        if self.network.node(id).variable {
            return self.signals[id.index()].clone();
        }
        let values = self.constants.get(id.index()).to_vec();
        values
            .iter()
            .enumerate()
            .map(|(element, value)| match value.to_f64_exact() {
                Some(0.0) => Combination::default(),
                Some(exact) => self.constant(ConstantKey::Value(exact.to_bits())),
                None => self.constant(ConstantKey::Computed { node: id.index(), element }),
            })
            .collect()
    }

    fn constant(&mut self, key: ConstantKey) -> Combination {
        // At most one atom per element of the network's constants, whose number the loader limits below 2³².
        let next = u32::try_from(self.constant_atoms.len()).unwrap_or(u32::MAX);
        Combination::atom(Atom::Constant(*self.constant_atoms.entry(key).or_insert(next)))
    }

    fn depth(&self, combination: &Combination) -> u32 {
        let of = |atom| match atom {
            Atom::Coordinate(i) => self.coordinate_depth.get(i as usize).copied(),
            Atom::Linear(i) => self.linear_depth.get(i as usize).copied(),
            Atom::Constant(_) => None,
        };
        combination.varying().filter_map(|(atom, _)| of(atom)).max().unwrap_or(0)
    }

    fn layer(
        &mut self,
        node: &Node,
        map: LinearMap,
        weights: Weights,
        inputs: Vec<Combination>,
    ) -> Result<Vec<Combination>, FormError> {
        if !weights.is_finite() {
            return Err(unsupported(node, "a weight is not a finite number"));
        }
        let first = self.linear_depth.len();
        let depth = inputs.iter().map(|input| self.depth(input)).max().unwrap_or(0);
        self.linear_depth.resize(first + map.outputs(), depth);
        let range = atom_range(first, self.linear_depth.len()).ok_or(FormError::TooLarge)?;
        self.layers.push(LinearLayer { node: node.name.clone(), map, weights, inputs, outputs: range.clone() });
        Ok(range.map(|i| Combination::atom(Atom::Linear(i))).collect())
    }

    /// `Σ weight · part` for every output: exact where it can be, otherwise one linear layer for those that cannot.
    fn sums(&mut self, node: &Node, outputs: &[Vec<(Enclosure, Combination)>]) -> Result<Vec<Combination>, FormError> {
        let exact = |parts: &[(Enclosure, Combination)]| {
            let weights: Option<Vec<f64>> = parts.iter().map(|(weight, _)| weight.to_f64_exact()).collect();
            Combination::sum(weights?.into_iter().zip(parts.iter().map(|(_, part)| part)))
        };
        let known: Vec<Option<Combination>> = outputs.iter().map(|parts| exact(parts)).collect();
        let mut first = vec![0];
        let (mut weights, mut inputs) = (Vec::new(), Vec::new());
        for (parts, _) in outputs.iter().zip(&known).filter(|(_, known)| known.is_none()) {
            weights.extend(parts.iter().map(|(weight, _)| *weight));
            inputs.extend(parts.iter().map(|(_, part)| part.clone()));
            first.push(weights.len());
        }
        if inputs.is_empty() {
            return Ok(known.into_iter().flatten().collect());
        }
        let mut named = self.layer(node, LinearMap::Sums { first }, Weights::new(&weights), inputs)?.into_iter();
        known.into_iter().map(|known| known.or_else(|| named.next()).ok_or(FormError::TooLarge)).collect()
    }

    fn matmul(&mut self, id: NodeId, node: &Node, left: NodeId, right: NodeId) -> Result<Vec<Combination>, FormError> {
        let [batch, m, n] = self.network.node(id).shape[..] else { return Err(unsupported(node, "not a matrix product")) };
        let k = self.network.node(left).shape.last().copied().unwrap_or(0);
        match (self.network.node(left).variable, self.network.node(right).variable) {
            (true, false) => {
                let weights = Weights::new(self.constants.get(right.index()));
                let inputs = self.signal(left);
                self.layer(node, LinearMap::MatMulRight { batch, m, k, n }, weights, inputs)
            }
            (false, true) => {
                let weights = Weights::new(self.constants.get(left.index()));
                let inputs = self.signal(right);
                self.layer(node, LinearMap::MatMulLeft { batch, m, k, n }, weights, inputs)
            }
            _ => Err(unsupported(node, "both operands depend on the input")),
        }
    }

    fn binary(&mut self, node: &Node, binary: Binary, left: NodeId, right: NodeId) -> Result<Vec<Combination>, FormError> {
        let variable = (self.network.node(left).variable, self.network.node(right).variable);
        let (a, b) = (self.signal(left), self.signal(right));
        let one = Enclosure::ONE;
        let pairs = a.into_iter().zip(b);
        match binary {
            Binary::Add => self.sums(node, &pairs.map(|(a, b)| vec![(one, a), (one, b)]).collect::<Vec<_>>()),
            Binary::Sub => self.sums(node, &pairs.map(|(a, b)| vec![(one, a), (-one, b)]).collect::<Vec<_>>()),
            Binary::Max | Binary::Min => {
                let sign = if binary == Binary::Max { 0.5 } else { -0.5 };
                pairs
                    .enumerate()
                    .map(|(element, (a, b))| {
                        // Where one operand is always the larger one, the result is an operand.
                        if let (Some(x), Some(y)) = (self.bounds_of(node, 0, element), self.bounds_of(node, 1, element)) {
                            if x.lower >= y.upper {
                                return Ok(if binary == Binary::Max { a } else { b });
                            }
                            if y.lower >= x.upper {
                                return Ok(if binary == Binary::Max { b } else { a });
                            }
                        }
                        self.extremum(node, sign, a, b)
                    })
                    .collect()
            }
            Binary::Mul if variable == (true, true) => Err(unsupported(node, "both operands depend on the input")),
            Binary::Mul => {
                let constant = if variable.0 { right } else { left };
                let factors = self.constants.get(constant.index()).to_vec();
                let scaled = pairs.zip(factors).map(|((a, b), factor)| vec![(factor, if variable.0 { a } else { b })]);
                self.sums(node, &scaled.collect::<Vec<_>>())
            }
            Binary::Div if variable.1 => Err(unsupported(node, "the divisor depends on the input")),
            Binary::Div => {
                let divisors = self.constants.get(right.index()).to_vec();
                let scaled = pairs.zip(divisors).map(|((a, _), divisor)| vec![(divisor.reciprocal(), a)]);
                self.sums(node, &scaled.collect::<Vec<_>>())
            }
        }
    }

    /// `(a + b)/2 + sign·|a − b|` with `sign` = ±½: the maximum or the minimum.
    fn extremum(&mut self, node: &Node, sign: f64, a: Combination, b: Combination) -> Result<Combination, FormError> {
        let exact = |builder: &mut Self, a: &Combination, b: &Combination| {
            let difference = a.plus_scaled(-1.0, b)?;
            let mean = a.plus_scaled(1.0, b)?.scaled(0.5)?;
            if difference.is_constant() && !difference.terms().is_empty() {
                return None;
            }
            mean.plus_scaled(sign, &builder.kink(node, Kink::ABS, &difference)?)
        };
        if let Some(result) = exact(self, &a, &b) {
            return Ok(result);
        }
        // Named as atoms of their own, two signals always have an exact sum and difference.
        let named = self.named(node, vec![a, b])?;
        match named.as_slice() {
            [a, b] => exact(self, a, b).ok_or_else(|| unsupported(node, "its operands cannot be compared exactly")),
            _ => Err(FormError::TooLarge),
        }
    }

    /// The same signals as fresh atoms.
    fn named(&mut self, node: &Node, signals: Vec<Combination>) -> Result<Vec<Combination>, FormError> {
        let map = LinearMap::Sums { first: (0..=signals.len()).collect() };
        self.layer(node, map, Weights::Exact(vec![1.0; signals.len()]), signals)
    }

    /// The bounds of an element of an operand, where the form is local.
    fn bounds_of(&self, node: &Node, operand: usize, element: usize) -> Option<Interval> {
        Some(self.bounds?.node(*node.operands.get(operand)?).at(element))
    }

    /// The kink of an argument that keeps within bounds: where they do not hold the kink, it is linear.
    fn kink_within(&mut self, node: &Node, kink: Kink, argument: &Combination, within: Option<Interval>) -> Option<Combination> {
        let stable = within.and_then(|x| {
            if x.lower >= 0.0 {
                argument.scaled(kink.positive)
            } else if x.upper <= 0.0 {
                argument.scaled(kink.negative)
            } else {
                None
            }
        });
        stable.or_else(|| self.kink(node, kink, argument))
    }

    fn kink(&mut self, node: &Node, kink: Kink, argument: &Combination) -> Option<Combination> {
        if argument.terms().is_empty() {
            return Some(Combination::default());
        }
        let depth = self.depth(argument) + 1;
        let result = self.groups.kink(kink, argument, depth, &node.name);
        self.coordinate_depth.resize(self.groups.dimension as usize, depth);
        result
    }

    fn function(
        &mut self,
        id: NodeId,
        node: &Node,
        function: &Function,
        arguments: Vec<Combination>,
    ) -> Result<Vec<Combination>, FormError> {
        let kink = match *function {
            Function::Neg => {
                let negated = arguments.into_iter().map(|argument| vec![(-Enclosure::ONE, argument)]);
                return self.sums(node, &negated.collect::<Vec<_>>());
            }
            Function::Clip { lower: f64::NEG_INFINITY, upper: f64::INFINITY } => return Ok(arguments),
            Function::Relu => Some(Kink::RELU),
            Function::Abs => Some(Kink::ABS),
            Function::LeakyRelu { slope } if slope.is_finite() => Some(Kink { negative: slope, positive: 1.0 }),
            _ => None,
        };
        let mut results = Vec::with_capacity(arguments.len());
        for (element, argument) in arguments.into_iter().enumerate() {
            if argument.is_constant() {
                results.push(self.constant(ConstantKey::Computed { node: id.index(), element }));
                continue;
            }
            let within = self.bounds_of(node, 0, element);
            if let (&Function::Clip { lower, upper }, Some(x)) = (function, within) {
                if lower <= x.lower && x.upper <= upper {
                    results.push(argument);
                    continue;
                }
                if x.upper <= lower || x.lower >= upper {
                    results.push(self.constant(ConstantKey::Computed { node: id.index(), element }));
                    continue;
                }
            }
            let result = if let Some(kink) = kink {
                self.kink_within(node, kink, &argument, within)
            } else {
                let slopes = within.map_or_else(|| function.slope_range(), |x| slopes_within(function, x.lower, x.upper));
                let slopes = slopes.ok_or_else(|| unsupported(node, "its slope is unbounded"))?;
                let depth = self.depth(&argument) + 1;
                let result = self.groups.function(function, slopes, &argument, depth, &node.name);
                self.coordinate_depth.resize(self.groups.dimension as usize, depth);
                result
            };
            results.push(result.ok_or(FormError::TooLarge)?);
        }
        Ok(results)
    }

    /// An implicit equation: its unknowns are coordinates that their own arguments use.
    fn equilibrium(
        &mut self,
        node: &Node,
        function: &Function,
        injection: NodeId,
        weights: NodeId,
    ) -> Result<Vec<Combination>, FormError> {
        let slopes = function.slope_range().ok_or_else(|| unsupported(node, "its slope is unbounded"))?;
        let injection = self.signal(injection);
        let order = injection.len();
        let depth = injection.iter().map(|argument| self.depth(argument)).max().unwrap_or(0) + 1;
        let unknowns = self.groups.unknowns(order).ok_or(FormError::TooLarge)?;
        self.coordinate_depth.resize(self.groups.dimension as usize, depth);
        let weights = Weights::new(self.constants.get(weights.index()));
        let map = LinearMap::MatMulRight { batch: 1, m: 1, k: order, n: order };
        let fed_back = self.layer(node, map, weights, unknowns.clone())?;
        let one = Enclosure::ONE;
        let sums: Vec<_> = fed_back.into_iter().zip(injection).map(|(z, u)| vec![(one, z), (one, u)]).collect();
        let arguments = self.sums(node, &sums)?;
        for (argument, unknown) in arguments.into_iter().zip(&unknowns) {
            self.groups.equation(slopes, argument, unknown.clone(), depth, &node.name);
        }
        Ok(unknowns)
    }

    fn prelu(&mut self, id: NodeId, node: &Node, x: NodeId, slope: NodeId) -> Result<Vec<Combination>, FormError> {
        let slopes = self.constants.get(slope.index()).to_vec();
        let arguments = self.signal(x);
        let mut results = Vec::with_capacity(arguments.len());
        for (element, (argument, slope)) in arguments.into_iter().zip(slopes).enumerate() {
            let negative = slope
                .to_f64_exact()
                .filter(|slope| slope.is_finite())
                .ok_or_else(|| unsupported(node, "its slope is computed by the graph and not an exact number"))?;
            if argument.is_constant() {
                results.push(self.constant(ConstantKey::Computed { node: id.index(), element }));
            } else {
                let kink = Kink { negative, positive: 1.0 };
                let within = self.bounds_of(node, 0, element);
                results.push(self.kink_within(node, kink, &argument, within).ok_or(FormError::TooLarge)?);
            }
        }
        Ok(results)
    }

    /// Applies `apply(builder, row, depth)` to every row of a `[groups, size]` signal.
    fn rows(
        &mut self,
        node: &Node,
        arguments: &[Combination],
        mut apply: impl FnMut(&mut Self, &[Combination], u32) -> Option<Vec<Combination>>,
    ) -> Result<Vec<Combination>, FormError> {
        let size = node.shape.last().copied().unwrap_or(1).max(1);
        let mut results = Vec::with_capacity(arguments.len());
        for row in arguments.chunks(size) {
            let depth = row.iter().map(|argument| self.depth(argument)).max().unwrap_or(0) + 1;
            let exact = apply(self, row, depth);
            let result = if let Some(result) = exact {
                result
            } else {
                let named = self.named(node, row.to_vec())?;
                apply(self, &named, depth).ok_or(FormError::TooLarge)?
            };
            self.coordinate_depth.resize(self.groups.dimension as usize, depth);
            results.extend(result);
        }
        Ok(results)
    }

    fn sort(&mut self, node: &Node, x: NodeId, descending: bool) -> Result<Vec<Combination>, FormError> {
        let arguments = self.signal(x);
        let size = node.shape.last().copied().unwrap_or(1).max(1);
        let mut results = Vec::with_capacity(arguments.len());
        if size <= COMPARATOR_LIMIT && self.sorts == SortForm::Comparators {
            for row in arguments.chunks(size) {
                let mut row = row.to_vec();
                for (low, high) in comparators(size) {
                    let (a, b) = (row[low].clone(), row[high].clone());
                    row[low] = self.extremum(node, -0.5, a.clone(), b.clone())?;
                    row[high] = self.extremum(node, 0.5, a, b)?;
                }
                results.extend(row);
            }
        } else {
            results = self.rows(node, &arguments, |builder, row, depth| builder.groups.sorted(row, depth, &node.name))?;
        }
        if descending {
            results.chunks_mut(size).for_each(<[_]>::reverse);
        }
        Ok(results)
    }

    fn reduce(&mut self, node: &Node, reduction: Reduction, x: NodeId) -> Result<Vec<Combination>, FormError> {
        let size = self.network.node(x).shape.last().copied().unwrap_or(1).max(1);
        let arguments = self.signal(x);
        #[allow(clippy::cast_precision_loss)] // a row has fewer than 2⁵³ elements
        let weight = match reduction {
            Reduction::Mean => Enclosure::exact(size as f64).reciprocal(),
            _ => Enclosure::ONE,
        };
        match reduction {
            Reduction::Sum | Reduction::Mean => {
                let sums = arguments.chunks(size).map(|row| row.iter().map(|x| (weight, x.clone())).collect());
                self.sums(node, &sums.collect::<Vec<_>>())
            }
            Reduction::Max | Reduction::Min => {
                let sign = if reduction == Reduction::Max { 0.5 } else { -0.5 };
                arguments.chunks(size).map(|row| self.tournament(node, sign, row.to_vec())).collect()
            }
        }
    }

    /// The extremum of a row, in rounds of pairs.
    fn tournament(&mut self, node: &Node, sign: f64, mut row: Vec<Combination>) -> Result<Combination, FormError> {
        while row.len() > 1 {
            let mut winners = Vec::with_capacity(row.len().div_ceil(2));
            let mut players = row.into_iter();
            while let Some(a) = players.next() {
                winners.push(match players.next() {
                    Some(b) => self.extremum(node, sign, a, b)?,
                    None => a,
                });
            }
            row = winners;
        }
        Ok(row.pop().unwrap_or_default())
    }
}

fn atom_range(first: usize, end: usize) -> Option<Range<u32>> {
    Some(u32::try_from(first).ok()?..u32::try_from(end).ok()?)
}

fn unsupported(node: &Node, reason: &'static str) -> FormError {
    FormError::Unsupported { node: node.name.clone(), operator: node.operator.clone(), reason }
}

impl From<EvaluationError> for FormError {
    fn from(error: EvaluationError) -> Self {
        Self::Constant(error)
    }
}
