//! Nonlinear operations on signals: each becomes groups of arguments and results with their quadratic constraints.
//!
//! Trusted. Where the form is local, only sound bounds of the arguments may make a function linear or narrow its slopes.

use super::{Builder, ConstantKey, unsupported};
use crate::lipschitz::form::combination::Combination;
use crate::lipschitz::form::group::Kink;
use crate::lipschitz::form::layer::{LinearMap, Weights};
use crate::lipschitz::form::{FormError, SortForm};
use crate::model::ir::{Function, Node, NodeId, Reduction, comparators, slopes_within};
use crate::sound::{Enclosure, Interval};

/// Sorts of at most this many elements are written as comparators; beyond it the matrix grows faster than the bound falls.
const COMPARATOR_LIMIT: usize = 8;

const fn unbounded(function: &Function) -> &'static str {
    if function.jumps() {
        "its slope is unbounded: it jumps. Choices between branches that meet are understood where they are exactly known; the \
         Householder activation is where it is exported without constant folding"
    } else {
        "its slope is unbounded"
    }
}

impl Builder<'_> {
    /// Of every pair the maximum (`sign` = ½) or the minimum (−½); where one operand is always the larger one, an operand.
    pub(super) fn extrema(
        &mut self,
        node: &Node,
        sign: f64,
        pairs: impl Iterator<Item = (Combination, Combination)>,
    ) -> Result<Vec<Combination>, FormError> {
        let extremum = |(element, (a, b))| {
            if let (Some(x), Some(y)) = (self.bounds_of(node, 0, element), self.bounds_of(node, 1, element)) {
                if x.lower >= y.upper {
                    return Ok(if sign > 0.0 { a } else { b });
                }
                if y.lower >= x.upper {
                    return Ok(if sign > 0.0 { b } else { a });
                }
            }
            self.extremum(node, sign, a, b)
        };
        pairs.enumerate().map(extremum).collect()
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

    /// The bounds of an element of an operand, where the form is local.
    pub(super) fn bounds_of(&self, node: &Node, operand: usize, element: usize) -> Option<Interval> {
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

    pub(super) fn function(
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
            if function.jumps() && within.is_some_and(|x| slopes_within(function, x.lower, x.upper).is_some()) {
                results.push(self.constant(ConstantKey::Computed { node: id.index(), element }));
                continue;
            }
            let result = if let Some(kink) = kink {
                self.kink_within(node, kink, &argument, within)
            } else {
                let slopes = within.map_or_else(|| function.slope_range(), |x| slopes_within(function, x.lower, x.upper));
                let slopes = slopes.ok_or_else(|| unsupported(node, unbounded(function)))?;
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
    pub(super) fn equilibrium(
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

    pub(super) fn prelu(&mut self, id: NodeId, node: &Node, x: NodeId, slope: NodeId) -> Result<Vec<Combination>, FormError> {
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
    pub(super) fn rows(
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

    pub(super) fn sort(&mut self, node: &Node, x: NodeId, descending: bool) -> Result<Vec<Combination>, FormError> {
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

    pub(super) fn reduce(&mut self, node: &Node, reduction: Reduction, x: NodeId) -> Result<Vec<Combination>, FormError> {
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
