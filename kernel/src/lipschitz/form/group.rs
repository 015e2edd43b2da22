//! Bounded parts and their quadratic constraints, hash-consed: the same function of the same signal is one part, however
//! the graph spells it. Only identities that hold exactly are used.

use std::collections::HashMap;

use super::combination::{Atom, Combination, exact_product, exact_quotient, exact_sum};
use crate::model::ir::{Function, SlopeRange};

/// One multiplier's constraint on increments: with `v` the arguments and `y` the results of the group,
/// `−αβ‖Δv‖² + (α+β)⟨Δv, Δy⟩ − ‖Δy‖² ≥ 0`.
///
/// Sources: slope-restricted scalars, Fazlyab et al. 2019, eq. (6) with a diagonal multiplier; norm-preserving groups,
/// Pauli et al. 2024, section 3, with the preserved sum eliminated; softmax as the gradient of a convex function with
/// Hessian in `[0, 1/2]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub slopes: SlopeRange,
    pub arguments: Vec<Combination>,
    pub results: Vec<Combination>,
    /// Longest chain of groups that feed this one, itself included.
    pub depth: u32,
    /// Name of the graph node that first asked for it.
    pub node: String,
}

/// A piecewise linear function with one kink at zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kink {
    /// Slope for negative arguments.
    pub negative: f64,
    /// Slope for positive arguments.
    pub positive: f64,
}

impl Kink {
    pub const ABS: Self = Self { negative: -1.0, positive: 1.0 };
    pub const RELU: Self = Self { negative: 0.0, positive: 1.0 };

    /// `(p, q)` with `self(u) = p·u + q·other(u)`, exactly.
    fn in_terms_of(self, other: Self) -> Option<(f64, f64)> {
        let rise = |kink: Self| exact_sum(kink.positive, -kink.negative);
        let q = exact_quotient(rise(self)?, rise(other)?)?;
        let p = exact_sum(self.negative, -exact_product(q, other.negative)?)?;
        Some((p, q))
    }

    const fn mirrored(self) -> Self {
        Self { negative: self.positive, positive: self.negative }
    }
}

/// Groups over the same atoms that are compared with a new argument: not sharing is sound, comparing all is quadratic.
const SHARING_LIMIT: usize = 256;

/// The groups of a form under construction.
pub(super) struct Groups {
    pub list: Vec<Group>,
    /// Number of coordinates, inputs included.
    pub dimension: u32,
    kinks: HashMap<Vec<Atom>, Vec<(usize, Kink)>>,
    functions: HashMap<(String, Vec<(Atom, u64)>), usize>,
}

impl Groups {
    pub fn new(inputs: u32) -> Self {
        Self { list: Vec::new(), dimension: inputs, kinks: HashMap::new(), functions: HashMap::new() }
    }

    /// `kink(argument)`. `None` where an exact expression needs more precision than a coefficient has.
    pub fn kink(&mut self, kink: Kink, argument: &Combination, depth: u32, node: &str) -> Option<Combination> {
        #[allow(clippy::float_cmp)] // equal slopes mean a linear function
        if kink.negative == kink.positive {
            return argument.scaled(kink.positive);
        }
        let support = argument.support();
        let shared = self.kinks.get(&support).and_then(|known| {
            known.iter().take(SHARING_LIMIT).find_map(|&(group, its_kink)| self.shared_kink(kink, argument, group, its_kink))
        });
        if shared.is_some() {
            return shared;
        }
        let slopes = SlopeRange::new(kink.negative.min(kink.positive), kink.negative.max(kink.positive));
        let result = self.add(slopes, vec![argument.clone()], 1, depth, node)?;
        self.kinks.entry(support).or_default().push((self.list.len() - 1, kink));
        Some(result)
    }

    /// `kink(argument)` by means of a group whose argument is a multiple of this one.
    fn shared_kink(&self, kink: Kink, argument: &Combination, group: usize, its_kink: Kink) -> Option<Combination> {
        let known = self.list.get(group)?;
        let (u, y) = (known.arguments.first()?, known.results.first()?);
        let ratio = argument.ratio_to(u)?;
        // kink(r·u) = r·kink(u) for r > 0 and r·mirrored(u) for r < 0.
        let wanted = if ratio > 0.0 { kink } else { kink.mirrored() };
        let (p, q) = wanted.in_terms_of(its_kink)?;
        u.scaled(exact_product(ratio, p)?)?.plus_scaled(exact_product(ratio, q)?, y)
    }

    /// A slope-restricted function of one signal.
    pub fn function(
        &mut self,
        function: &Function,
        slopes: SlopeRange,
        argument: &Combination,
        depth: u32,
        node: &str,
    ) -> Option<Combination> {
        let terms = argument.terms().iter().map(|&(atom, c)| (atom, c.to_bits())).collect();
        let key = (format!("{function:?}"), terms);
        if let Some(known) = self.functions.get(&key).and_then(|&group| self.list.get(group)) {
            return known.results.first().cloned();
        }
        let result = self.add(slopes, vec![argument.clone()], 1, depth, node)?;
        self.functions.insert(key, self.list.len() - 1);
        Some(result)
    }

    /// Fresh coordinates: the unknowns of an equation, before their groups are known.
    pub fn unknowns(&mut self, count: usize) -> Option<Vec<Combination>> {
        let first = self.dimension;
        self.dimension = first.checked_add(u32::try_from(count).ok()?)?;
        Some((first..self.dimension).map(|i| Combination::atom(Atom::Coordinate(i))).collect())
    }

    /// The group of a scalar function whose result is an unknown. It is not shared: the same function of the same signal has
    /// this result only where the equation holds.
    pub fn equation(&mut self, slopes: SlopeRange, argument: Combination, unknown: Combination, depth: u32, node: &str) {
        self.list.push(Group { slopes, arguments: vec![argument], results: vec![unknown], depth, node: node.to_owned() });
    }

    /// A group of as many fresh results as arguments.
    pub fn vector(&mut self, slopes: SlopeRange, arguments: &[Combination], depth: u32, node: &str) -> Option<Vec<Combination>> {
        self.add(slopes, arguments.to_vec(), arguments.len(), depth, node)?;
        self.list.last().map(|group| group.results.clone())
    }

    /// All elements of `arguments` sorted, ascending, as one group: the sum is preserved and the Euclidean distance does
    /// not grow, so the last result is the sum less the others.
    pub fn sorted(&mut self, arguments: &[Combination], depth: u32, node: &str) -> Option<Vec<Combination>> {
        let fresh = arguments.len().checked_sub(1)?;
        let sum = Combination::sum(arguments.iter().map(|argument| (1.0, argument)))?;
        self.add(SlopeRange::new(-1.0, 1.0), arguments.to_vec(), fresh, depth, node)?;
        let group = self.list.last_mut()?;
        let others = group.results.iter().map(|result| (-1.0, result));
        let last = Combination::sum(std::iter::once((1.0, &sum)).chain(others))?;
        group.results.push(last);
        Some(group.results.clone())
    }

    fn add(
        &mut self,
        slopes: SlopeRange,
        arguments: Vec<Combination>,
        results: usize,
        depth: u32,
        node: &str,
    ) -> Option<Combination> {
        let results = self.unknowns(results)?;
        let result = results.first().cloned().unwrap_or_default();
        self.list.push(Group { slopes, arguments, results, depth, node: node.to_owned() });
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x(index: u32) -> Combination {
        Combination::atom(Atom::Coordinate(index))
    }

    #[test]
    fn one_kink_serves_every_spelling() {
        let mut groups = Groups::new(2);
        let u = x(0).plus_scaled(-1.0, &x(1)).unwrap();
        let abs = groups.kink(Kink::ABS, &u, 1, "abs").unwrap();
        let flipped = groups.kink(Kink::ABS, &u.scaled(-4.0).unwrap(), 1, "abs of −4u").unwrap();
        assert_eq!(flipped, abs.scaled(4.0).unwrap());
        let relu = groups.kink(Kink::RELU, &u, 1, "relu").unwrap();
        assert_eq!(relu, u.scaled(0.5).unwrap().plus_scaled(0.5, &abs).unwrap());
        let mirrored = groups.kink(Kink::RELU, &u.scaled(-1.0).unwrap(), 1, "relu of −u").unwrap();
        assert_eq!(relu.plus_scaled(-1.0, &mirrored).unwrap(), u, "relu(u) − relu(−u) = u");
        assert_eq!(groups.list.len(), 1);
    }

    #[test]
    fn a_different_offset_is_a_different_part() {
        let mut groups = Groups::new(1);
        let shifted = x(0).plus_scaled(1.0, &Combination::atom(Atom::Constant(0))).unwrap();
        let a = groups.kink(Kink::RELU, &x(0), 1, "").unwrap();
        let b = groups.kink(Kink::RELU, &shifted, 1, "").unwrap();
        assert_ne!(a, b);
        assert_eq!(groups.list.len(), 2);
    }

    #[test]
    fn sorting_keeps_the_sum() {
        let mut groups = Groups::new(3);
        let arguments = [x(0), x(1), x(2)];
        let sorted = groups.sorted(&arguments, 1, "").unwrap();
        let sum = Combination::sum(sorted.iter().map(|s| (1.0, s))).unwrap();
        assert_eq!(sum, Combination::sum(arguments.iter().map(|s| (1.0, s))).unwrap());
        assert_eq!(groups.dimension, 5);
    }
}
