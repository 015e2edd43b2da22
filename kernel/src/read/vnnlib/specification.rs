//! What a specification says: boxes of inputs, and on each of them alternatives of linear inequalities.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::SpecificationError;
use super::number::Constant;
use crate::read::data::Source;
use crate::sound::round::{add_down, add_up, mul_down, mul_up};

/// The type of the numbers that the query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// Exact real arithmetic on the weights of the file.
    Real,
    /// The network as it computes in binary32.
    Float32,
    /// The network as it computes in binary64.
    Float64,
}

/// The unsafe region: the union of the cases. The property holds when no input of the network and its output lie in it.
#[derive(Clone, Debug)]
pub struct Specification {
    pub version: (u32, u32),
    pub element: ElementType,
    /// Declared shape of the input; flat in version 1.0.
    pub input_shape: Vec<usize>,
    pub output_shape: Vec<usize>,
    /// Names of the network (version 2.0), the input and the output, for what is printed.
    pub names: Names,
    /// Where it is about two networks whose inputs are the same: the names of the second. Outputs are those of the first, then those of
    /// the second.
    pub second: Option<Names>,
    /// The distinct boxes.
    pub boxes: Vec<InputBox>,
    pub cases: Vec<Case>,
    /// How many further disjuncts no input satisfies: their bounds contradict each other.
    pub empty: usize,
    pub path: PathBuf,
    /// SHA-256 of the file as it lies on disk.
    pub digest: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    pub network: Option<String>,
    pub input: String,
    pub output: String,
}

/// Inputs in a box, all of whose clauses hold.
#[derive(Clone, Debug)]
pub struct Case {
    /// Position in [`Specification::boxes`].
    pub region: usize,
    pub clauses: Vec<Arc<Clause>>,
}

/// Holds where all atoms of one of the alternatives do.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    pub alternatives: Vec<Vec<Atom>>,
}

/// A coefficient of one input or output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Flat index.
    pub index: usize,
    pub coefficient: Constant,
}

/// Coefficients of inputs or of outputs, each index once and in order: bounds write them into rows, and count so many
/// roundings of a sum of atoms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms(Vec<Term>);

impl Terms {
    /// The coefficients of an index that stands there more than once are added, and enclosed.
    #[must_use]
    pub fn new(mut terms: Vec<Term>) -> Self {
        terms.sort_by_key(|term| term.index);
        terms.dedup_by(|next, kept| {
            let same = next.index == kept.index;
            if same {
                kept.coefficient = kept.coefficient.plus(next.coefficient);
            }
            same
        });
        Self(terms)
    }
}

impl Deref for Terms {
    type Target = [Term];

    fn deref(&self) -> &[Term] {
        &self.0
    }
}

/// `Σ aᵢxᵢ + Σ bⱼyⱼ ≤ bound`, or `<` where strict.
#[derive(Clone, Debug, PartialEq)]
pub struct Atom {
    pub inputs: Terms,
    pub outputs: Terms,
    pub bound: Constant,
    pub strict: bool,
}

/// A box of inputs whose bounds are decimals.
#[derive(Clone, Debug, PartialEq)]
pub struct InputBox {
    pub lower: Vec<Constant>,
    pub upper: Vec<Constant>,
}

impl Specification {
    /// The largest file, decompressed.
    pub const LIMIT: u64 = 1 << 28;

    /// Reads a specification, plain or compressed with gzip.
    ///
    /// # Errors
    /// [`SpecificationError`], which names line and column.
    pub fn open(path: &Path) -> Result<Self, SpecificationError> {
        Self::from_source(&Source::open(path, Self::LIMIT)?)
    }

    /// The same from a file that was read already.
    ///
    /// # Errors
    /// As for [`Specification::open`].
    pub fn from_source(source: &Source) -> Result<Self, SpecificationError> {
        let path = source.path.as_path();
        match std::str::from_utf8(&source.bytes) {
            Ok(text) => Self::parse(text, path, &source.digest),
            Err(error) => {
                let text = String::from_utf8_lossy(&source.bytes[..error.valid_up_to()]);
                let (line, column) = super::lexer::place(&text, text.len());
                Err(SpecificationError::Text { path: path.to_owned(), line, column, detail: "the text is not UTF-8".to_owned() })
            }
        }
    }

    /// Reads a specification from its text; `path` and `digest` are what messages and certificates call it.
    ///
    /// # Errors
    /// As for [`Specification::open`].
    pub fn parse(text: &str, path: &Path, digest: &str) -> Result<Self, SpecificationError> {
        let query = super::parse::parse(text).map_err(|error| {
            let (line, column) = super::lexer::place(text, error.at);
            SpecificationError::Text { path: path.to_owned(), line, column, detail: error.detail }
        })?;
        super::formula::specification(query, path, digest)
            .map_err(|detail| SpecificationError::Whole { path: path.to_owned(), detail })
    }

    /// Returns how many of its disjuncts no input satisfies: their bounds contradict each other, or they are a disjunction of
    /// nothing.
    #[must_use]
    pub fn empty_cases(&self) -> usize {
        let never = |case: &&Case| case.clauses.iter().any(|clause| clause.alternatives.is_empty());
        self.empty + self.cases.iter().filter(never).count()
    }

    /// Whether no input satisfies any disjunct, so that the property holds for every network and says nothing about this one.
    #[must_use]
    pub fn is_vacuous(&self) -> bool {
        self.empty_cases() == self.empty + self.cases.len()
    }

    #[must_use]
    pub fn inputs(&self) -> usize {
        self.input_shape.iter().product()
    }

    /// Returns how many outputs atoms are about: those of one network, or of two.
    #[must_use]
    pub fn outputs(&self) -> usize {
        let one: usize = self.output_shape.iter().product();
        if self.second.is_some() { 2 * one } else { one }
    }

    /// Whether the specification is about a network of these shapes; of two, each.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn check_network(&self, input: &[usize], output: &[usize]) -> Result<(), SpecificationError> {
        let flat = |shape: &[usize]| shape.iter().product::<usize>();
        // Shapes of version 2.0 are compared without extents of one, which exporters add and drop.
        let squeezed = |shape: &[usize]| shape.iter().copied().filter(|&extent| extent != 1).collect::<Vec<_>>();
        let exact = self.version.0 >= 2;
        for (what, declared, actual) in [("input", &self.input_shape, input), ("output", &self.output_shape, output)] {
            if flat(declared) != flat(actual) || (exact && squeezed(declared) != squeezed(actual)) {
                let detail = format!("it declares an {what} of shape {declared:?}, the network's is {actual:?}");
                return Err(SpecificationError::Whole { path: self.path.clone(), detail });
            }
        }
        Ok(())
    }

    /// Whether all pairs of an input and an output between the given bounds lie in the unsafe region. Inputs are taken to
    /// lie in the box of the case that is found; the caller checks that one of them does.
    #[must_use]
    pub fn surely_unsafe(&self, case: usize, inputs: &[(f64, f64)], outputs: &[(f64, f64)]) -> bool {
        self.cases.get(case).is_some_and(|case| {
            let holds = |atoms: &Vec<Atom>| atoms.iter().all(|atom| atom.surely_holds(inputs, outputs));
            case.clauses.iter().all(|clause| clause.alternatives.iter().any(holds))
        })
    }
}

impl Atom {
    /// Bounds of the left side for inputs and outputs between bounds; infinite or NaN where an index or a bound is wrong.
    #[must_use]
    pub fn range(&self, inputs: &[(f64, f64)], outputs: &[(f64, f64)]) -> (f64, f64) {
        let terms = self.inputs.iter().map(|term| (term, inputs)).chain(self.outputs.iter().map(|term| (term, outputs)));
        terms.fold((0.0, 0.0), |(low, high), (term, values)| {
            let (l, u) = values.get(term.index).copied().unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
            let (a, b) = (term.coefficient.lower, term.coefficient.upper);
            let corners = [(a, l), (a, u), (b, l), (b, u)];
            // Minimum and maximum that keep NaN, which `f64::min` and `f64::max` drop.
            let keep = |first: f64, second: f64, better: bool| if first.is_nan() || better { first } else { second };
            let least = corners.map(|(x, y)| mul_down(x, y)).into_iter().reduce(|p, q| keep(p, q, p < q)).unwrap_or(f64::NAN);
            let most = corners.map(|(x, y)| mul_up(x, y)).into_iter().reduce(|p, q| keep(p, q, p > q)).unwrap_or(f64::NAN);
            (add_down(low, least), add_up(high, most))
        })
    }

    /// Whether the atom holds for everything between the bounds. NaN does not hold.
    #[must_use]
    pub fn surely_holds(&self, inputs: &[(f64, f64)], outputs: &[(f64, f64)]) -> bool {
        let (_, high) = self.range(inputs, outputs);
        if self.strict { high < self.bound.lower } else { high <= self.bound.lower }
    }

    /// Whether a left side of at least `low` contradicts the atom. NaN does not.
    #[must_use]
    pub fn refuted_by(&self, low: f64) -> bool {
        if self.strict { low >= self.bound.upper } else { low > self.bound.upper }
    }
}

impl InputBox {
    /// The smallest box of `f64` bounds that contains it: what has to be refuted.
    #[must_use]
    pub fn outer(&self) -> (Vec<f64>, Vec<f64>) {
        (self.lower.iter().map(|bound| bound.lower).collect(), self.upper.iter().map(|bound| bound.upper).collect())
    }

    /// The largest box of `f64` bounds inside it, coordinate by coordinate; empty (`lower > upper`) where no `f64` lies
    /// between the decimals.
    #[must_use]
    pub fn inner(&self) -> (Vec<f64>, Vec<f64>) {
        (self.lower.iter().map(|bound| bound.upper).collect(), self.upper.iter().map(|bound| bound.lower).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_stands_once() {
        let term = |index, coefficient| Term { index, coefficient: Constant::exact(coefficient) };
        let terms = Terms::new(vec![term(3, 1.0), term(0, 2.0), term(3, 0.5), term(1, -1.0), term(0, -2.0)]);
        assert_eq!(&*terms, [term(0, 0.0), term(1, -1.0), term(3, 1.5)]);
        // A sum that is no f64 is enclosed, and then no exact coefficient of a row.
        let rounded = Terms::new(vec![term(7, 1.0), term(7, 1e-30)]);
        assert!(rounded.len() == 1 && !rounded[0].coefficient.is_exact() && rounded[0].coefficient.lower == 1.0);
    }
}
