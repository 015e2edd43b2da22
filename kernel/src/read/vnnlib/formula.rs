//! Formulas, and how they become boxes and clauses without a blind expansion.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::number::Constant;
use super::parse::{Query, Variable};
use super::specification::{Atom, Case, Clause, InputBox, Specification, Term, Terms};
use crate::sound::round::add_up;

/// Cases, and alternatives of one clause, that a specification may have.
const MAX_EXPANSION: usize = 1 << 20;
/// Bounds and clauses of all cases together; atoms of all alternatives together.
const MAX_PARTS: usize = 1 << 26;
/// Numbers in all distinct boxes together.
const MAX_BOX_ELEMENTS: usize = 1 << 26;

#[derive(Clone, Copy)]
pub(super) enum Comparison {
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
    Equal,
    NotEqual,
}

/// A linear expression.
pub(super) struct Expression {
    terms: Vec<(Variable, Constant)>,
    constant: Constant,
}

#[derive(Debug)]
pub(super) enum Formula {
    And(Vec<Formula>),
    Or(Vec<Formula>),
    Bound(Bound),
    Atom(Atom),
}

/// A bound of one input: inputs beyond `necessary` do not satisfy it, inputs up to `sufficient` do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    input: u32,
    upper: bool,
    value: Constant,
}

impl Expression {
    pub(super) fn constant(constant: Constant) -> Self {
        Self { terms: Vec::new(), constant }
    }

    pub(super) fn variable(variable: Variable) -> Self {
        Self { terms: vec![(variable, Constant::exact(1.0))], constant: Constant::ZERO }
    }

    pub(super) fn negated(mut self) -> Self {
        self.terms.iter_mut().for_each(|(_, coefficient)| *coefficient = coefficient.negated());
        self.constant = self.constant.negated();
        self
    }

    pub(super) fn plus(mut self, other: Self) -> Self {
        self.terms.extend(other.terms);
        self.constant = self.constant.plus(other.constant);
        self
    }

    /// `None` where both have variables.
    pub(super) fn times(self, other: Self) -> Option<Self> {
        let (mut linear, factor) = match (self.terms.is_empty(), other.terms.is_empty()) {
            (_, true) => (self, other.constant),
            (true, false) => (other, self.constant),
            (false, false) => return None,
        };
        linear.terms.iter_mut().for_each(|(_, coefficient)| *coefficient = coefficient.times(factor));
        linear.constant = linear.constant.times(factor);
        Some(linear)
    }

    /// Each variable once, those that cancel exactly not at all.
    fn collected(mut self) -> Self {
        if self.terms.len() > 1 {
            self.terms.sort_by_key(|(variable, _)| *variable);
            let mut merged: Vec<(Variable, Constant)> = Vec::with_capacity(self.terms.len());
            for (variable, coefficient) in self.terms {
                match merged.last_mut() {
                    Some((last, sum)) if *last == variable => *sum = sum.plus(coefficient),
                    _ => merged.push((variable, coefficient)),
                }
            }
            self.terms = merged;
        }
        self.terms.retain(|(_, coefficient)| *coefficient != Constant::ZERO);
        self
    }
}

impl Formula {
    /// `None` where a number overflows.
    pub(super) fn compare(comparison: Comparison, left: Expression, right: Expression) -> Option<Self> {
        let difference = left.plus(right.negated()).collected();
        let finite = difference.constant.is_finite() && difference.terms.iter().all(|(_, coefficient)| coefficient.is_finite());
        if !finite {
            return None;
        }
        let copy = |e: &Expression| Expression { terms: e.terms.clone(), constant: e.constant };
        Some(match comparison {
            Comparison::LessOrEqual => Self::at_most_zero(difference, false),
            Comparison::Less => Self::at_most_zero(difference, true),
            Comparison::GreaterOrEqual => Self::at_most_zero(difference.negated(), false),
            Comparison::Greater => Self::at_most_zero(difference.negated(), true),
            Comparison::Equal | Comparison::NotEqual => {
                let strict = matches!(comparison, Comparison::NotEqual);
                let below = Self::at_most_zero(copy(&difference), strict);
                let both = vec![below, Self::at_most_zero(difference.negated(), strict)];
                if strict { Self::Or(both) } else { Self::And(both) }
            }
        })
    }

    /// `expression ≤ 0`, or `< 0`.
    fn at_most_zero(expression: Expression, strict: bool) -> Self {
        let bound = expression.constant.negated();
        if let [(Variable::Input(input), coefficient)] = expression.terms[..]
            && let Some(mut value) = bound.over(coefficient)
        {
            let upper = coefficient.lower > 0.0;
            // An end that does not belong to the region: the sufficient side moves inward.
            match (strict, upper) {
                (true, true) => value = Constant::between(value.lower.next_down(), value.upper, value.nearest),
                (true, false) => value = Constant::between(value.lower, value.upper.next_up(), value.nearest),
                (false, _) => {}
            }
            return Self::Bound(Bound { input, upper, value });
        }
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for (variable, coefficient) in expression.terms {
            match variable {
                Variable::Input(index) => inputs.push(Term { index: index as usize, coefficient }),
                Variable::Output(index) => outputs.push(Term { index: index as usize, coefficient }),
            }
        }
        Self::Atom(Atom { inputs: Terms::new(inputs), outputs: Terms::new(outputs), bound, strict })
    }

    /// Whether it bounds an input.
    fn has_bounds(&self) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::has_bounds),
            Self::Bound(_) => true,
            Self::Atom(_) => false,
        }
    }

    /// The disjunctive normal form of a formula without bounds.
    fn alternatives(self) -> Result<Vec<Vec<Atom>>, String> {
        match self {
            Self::Atom(atom) => Ok(vec![vec![atom]]),
            // The caller has none; as an alternative it would be one that never holds.
            Self::Bound(_) => Ok(Vec::new()),
            Self::Or(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(part.alternatives()?);
                }
                limited(all.len())?;
                Ok(all)
            }
            Self::And(parts) => {
                let mut product = vec![Vec::new()];
                for part in parts {
                    let alternatives = part.alternatives()?;
                    let atoms = |all: &[Vec<Atom>]| all.iter().map(Vec::len).max().unwrap_or(0);
                    let size =
                        product.len().saturating_mul(alternatives.len()).saturating_mul(atoms(&product) + atoms(&alternatives));
                    if size > MAX_PARTS {
                        return Err(format!("its alternatives have more than {MAX_PARTS} atoms altogether"));
                    }
                    product = multiplied(&product, &alternatives, |atoms: &Vec<Atom>, more| {
                        atoms.iter().chain(more).cloned().collect()
                    })?;
                }
                Ok(product)
            }
        }
    }

    /// The formula as a union of regions.
    fn regions(self) -> Result<Vec<Region>, String> {
        if !self.has_bounds() {
            let clause = Arc::new(Clause { alternatives: self.alternatives()? });
            return Ok(vec![Region { bounds: Vec::new(), clauses: vec![clause] }]);
        }
        match self {
            Self::Atom(_) => Ok(Vec::new()),
            Self::Bound(bound) => Ok(vec![Region { bounds: vec![bound], clauses: Vec::new() }]),
            Self::Or(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(part.regions()?);
                }
                limited(all.len())?;
                Ok(all)
            }
            Self::And(parts) => {
                let mut common = Region::default();
                let mut product = vec![Region::default()];
                for part in parts {
                    match part {
                        Self::Bound(bound) => common.bounds.push(bound),
                        part => match <[Region; 1]>::try_from(part.regions()?) {
                            Ok([region]) => common.extend(&region),
                            Err(regions) => product = multiplied(&product, &regions, Region::joined)?,
                        },
                    }
                }
                common.keep_tightest();
                common.merge_conjunctions();
                if let [single] = &product[..]
                    && single.is_whole()
                {
                    return Ok(vec![common]);
                }
                limited_size(product.len(), &common)?;
                Ok(product.iter().map(|region| common.joined(region)).collect())
            }
        }
    }
}

/// Every element of the one joined with every element of the other.
fn multiplied<T>(first: &[T], second: &[T], join: impl Fn(&T, &T) -> T) -> Result<Vec<T>, String> {
    limited(first.len().saturating_mul(second.len()))?;
    Ok(first.iter().flat_map(|a| second.iter().map(|b| join(a, b)).collect::<Vec<_>>()).collect())
}

fn limited(count: usize) -> Result<(), String> {
    if count <= MAX_EXPANSION {
        return Ok(());
    }
    Err(format!("its disjunctions multiply to {count} cases, more than the limit of {MAX_EXPANSION}"))
}

/// Copies of a region's parts take memory.
fn limited_size(copies: usize, region: &Region) -> Result<(), String> {
    if copies.saturating_mul(region.bounds.len() + region.clauses.len()) <= MAX_PARTS {
        return Ok(());
    }
    Err(format!("its {copies} cases share more bounds than the limit of {MAX_PARTS} altogether"))
}

/// Bounds of some inputs, and clauses.
#[derive(Clone, Default)]
struct Region {
    bounds: Vec<Bound>,
    clauses: Vec<Arc<Clause>>,
}

impl Region {
    fn is_whole(&self) -> bool {
        self.bounds.is_empty() && self.clauses.is_empty()
    }

    fn extend(&mut self, other: &Self) {
        self.bounds.extend(&other.bounds);
        self.clauses.extend(other.clauses.iter().cloned());
    }

    /// Bounds that another one of the same side of the same input certainly implies are dropped.
    fn keep_tightest(&mut self) {
        let mut kept: HashMap<(u32, bool), Vec<Bound>> = HashMap::new();
        for bound in self.bounds.drain(..) {
            let side = kept.entry((bound.input, bound.upper)).or_default();
            let implies = |one: &Bound, other: &Bound| {
                if bound.upper { one.value.upper <= other.value.lower } else { one.value.lower >= other.value.upper }
            };
            if !side.iter().any(|known| implies(known, &bound)) {
                side.retain(|known| !implies(&bound, known));
                side.push(bound);
            }
        }
        self.bounds = kept.into_values().flatten().collect();
        self.bounds.sort_by_key(|bound| (bound.input, bound.upper));
    }

    fn joined(&self, other: &Self) -> Self {
        let mut joined = self.clone();
        joined.extend(other);
        joined
    }

    /// Alternatives whose atoms contradict each other, whatever the network, are dropped.
    fn drop_contradictions(&mut self) {
        for clause in &mut self.clauses {
            if clause.alternatives.iter().any(|atoms| is_contradictory(atoms)) {
                Arc::make_mut(clause).alternatives.retain(|atoms| !is_contradictory(atoms));
            }
        }
    }

    /// Clauses with one alternative become one, so that a hundred asserted atoms are one conjunction.
    fn merge_conjunctions(&mut self) {
        let (single, rest): (Vec<_>, Vec<_>) = self.clauses.drain(..).partition(|clause| clause.alternatives.len() == 1);
        if !single.is_empty() {
            let atoms = single.iter().flat_map(|clause| clause.alternatives[0].iter().cloned()).collect();
            self.clauses.push(Arc::new(Clause { alternatives: vec![atoms] }));
        }
        self.clauses.extend(rest);
    }
}

/// Whether an atom never holds, or two are opposite sides of one hyperplane that exclude each other: `y₀ < y₁` and `y₁ < y₀`.
fn is_contradictory(atoms: &[Atom]) -> bool {
    // Whether it is an output's, its index and the bits of its coefficient, for every term of a side.
    type Side = Vec<(bool, usize, u64)>;
    let never = |sum: f64, strict: bool| sum < 0.0 || (strict && sum == 0.0);
    // The sides by their coefficients, which must be numbers; of those with the same coefficients the one that leaves least.
    let key = |atom: &Atom, sign: f64| -> Option<Side> {
        let terms = atom.inputs.iter().map(|term| (false, term)).chain(atom.outputs.iter().map(|term| (true, term)));
        let entry = |(output, term): (bool, &Term)| {
            let value = sign * term.coefficient.lower;
            term.coefficient.is_exact().then_some((output, term.index, value.to_bits()))
        };
        let mut entries = terms.map(entry).collect::<Option<Vec<_>>>()?;
        entries.sort_unstable();
        Some(entries)
    };
    let mut sides: HashMap<Side, Vec<(f64, bool)>> = HashMap::new();
    for atom in atoms {
        let bound = atom.bound.upper;
        if atom.inputs.is_empty() && atom.outputs.is_empty() && never(bound, atom.strict) {
            return true;
        }
        let (Some(own), Some(opposite)) = (key(atom, 1.0), key(atom, -1.0)) else { continue };
        let against = sides.get(&opposite).into_iter().flatten();
        if against.clone().any(|&(other, strict)| never(add_up(bound, other), strict || atom.strict)) {
            return true;
        }
        // Only what leaves less than everything before it can matter.
        let same = sides.entry(own).or_default();
        if same.iter().all(|&(other, strict)| bound < other || (bound == other && atom.strict && !strict)) {
            same.push((bound, atom.strict));
        }
    }
    false
}

/// The specification that a file's asserts make.
pub(super) fn specification(query: Query, path: &Path, digest: &str) -> Result<Specification, String> {
    let inputs = query.input_shape.iter().product::<usize>();
    let regions = Formula::And(query.asserts).regions()?;
    let mut boxes: Vec<InputBox> = Vec::new();
    let mut known: HashMap<Vec<u64>, usize> = HashMap::new();
    let (mut cases, mut empty) = (Vec::new(), 0);
    for mut region in regions {
        let Some(input_box) = input_box(&region.bounds, inputs, &query.names.input)? else {
            empty += 1;
            continue;
        };
        let key = input_box.lower.iter().chain(&input_box.upper).flat_map(|c| [c.lower.to_bits(), c.upper.to_bits()]).collect();
        let position = *known.entry(key).or_insert_with(|| {
            boxes.push(input_box);
            boxes.len() - 1
        });
        if boxes.len().saturating_mul(inputs) > MAX_BOX_ELEMENTS {
            return Err(format!("more than {} boxes of {inputs} inputs", MAX_BOX_ELEMENTS / inputs));
        }
        region.merge_conjunctions();
        region.drop_contradictions();
        cases.push(Case { region: position, clauses: region.clauses });
    }
    Ok(Specification {
        version: query.version,
        element: query.element,
        input_shape: query.input_shape,
        output_shape: query.output_shape,
        names: query.names,
        second: query.second,
        boxes,
        cases,
        empty,
        path: path.to_owned(),
        digest: digest.to_owned(),
    })
}

/// The intersection of the bounds; `None` where it is empty.
fn input_box(bounds: &[Bound], inputs: usize, name: &str) -> Result<Option<InputBox>, String> {
    let unbounded = Constant::exact(f64::NEG_INFINITY);
    let mut result = InputBox { lower: vec![unbounded; inputs], upper: vec![unbounded.negated(); inputs] };
    for bound in bounds {
        // Two decimals with one nearest number may be either way round: both ends of the enclosure are kept.
        let (side, better): (_, fn(f64, f64) -> f64) =
            if bound.upper { (&mut result.upper, f64::min) } else { (&mut result.lower, f64::max) };
        let Some(old) = side.get_mut(bound.input as usize) else { return Err("a variable is out of range".to_owned()) };
        let new = &bound.value;
        let joined =
            Constant::between(better(old.lower, new.lower), better(old.upper, new.upper), better(old.nearest, new.nearest));
        let is = |one: &Constant| one.lower == joined.lower && one.upper == joined.upper;
        // The tighter of the two where that is certain; where both are, only if they are the same number.
        *old = match (is(old), is(new)) {
            (true, true) if old.is_same(new) => *new,
            (true, false) => *old,
            (false, true) => *new,
            _ => joined,
        };
    }
    for (index, (lower, upper)) in result.lower.iter().zip(&result.upper).enumerate() {
        if !lower.is_finite() || !upper.is_finite() {
            let side = if lower.is_finite() { "upper" } else { "lower" };
            return Err(format!("input {index} of `{}` has no {side} bound in some case", crate::files::token(name)));
        }
    }
    let empty = result.lower.iter().zip(&result.upper).any(|(lower, upper)| lower.lower > upper.upper);
    Ok((!empty).then_some(result))
}

#[cfg(test)]
mod tests;
