//! A VNN-LIB specification's verdict.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::Computed;
use crate::kernel::proof::Semantics;
use crate::kernel::read::vnnlib::{ElementType, Specification};
use crate::pass::robustness::{Counterexample, SpecificationVerdict};

/// A specification's verdict and, where it is violated, the assignment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpecificationFigures {
    pub specification: String,
    /// `unsat` (the property holds), `sat` (it is violated) or `unknown`.
    pub verdict: String,
    pub semantics: Semantics,
    pub meaning: String,
    pub cases: usize,
    /// Parts of the cases that bounds closed.
    pub parts: usize,
    pub counterexample: Option<Assignment>,
    /// Whether no input satisfies its bounds, so that the verdict says nothing about the network.
    pub vacuous: bool,
    /// How many of its disjuncts no input satisfies.
    pub empty_cases: usize,
    /// What the reader should know beside the verdict.
    pub warnings: Vec<String>,
    pub seconds: f64,
}

/// An unsafe input and what a float32 network computes there or, where that overflows, the outputs in real arithmetic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assignment {
    pub input: Vec<Computed>,
    pub output: Vec<Computed>,
    /// Whether a float32 network overflows there.
    pub overflows: bool,
    /// Is it unsafe in float32 with any order of summation too?
    pub float32: bool,
}

impl SpecificationFigures {
    #[must_use]
    pub fn new(
        specification: &Specification,
        semantics: Semantics,
        verdict: &SpecificationVerdict,
        warnings: Vec<String>,
        seconds: f64,
    ) -> Self {
        let cases = specification.cases.len();
        let scope = match semantics {
            Semantics::Real => "in real arithmetic",
            Semantics::Float32 => "in float32 with any order of summation",
        };
        let (meaning, parts, counterexample) = match verdict {
            SpecificationVerdict::Holds { trees, .. } => {
                let leaves = trees.iter().map(|proof| proof.leaves).sum();
                (format!("the property holds: no input is unsafe, {scope}"), leaves, None)
            }
            SpecificationVerdict::Violated(found) => {
                let both = found.float32 && semantics == Semantics::Real;
                let scope = if both { "in real arithmetic and in float32" } else { scope };
                let assignment = Assignment {
                    input: found.point.iter().copied().map(Computed).collect(),
                    output: found.outputs.iter().copied().map(Computed).collect(),
                    overflows: found.overflows,
                    float32: found.float32,
                };
                (format!("the property is violated: an input is unsafe, {scope}"), 0, Some(assignment))
            }
            SpecificationVerdict::Unknown { open, timed_out } => {
                let why = if *timed_out { "out of time" } else { "the bounds are not tight enough" };
                (format!("{open} of {cases} cases are open: {why}"), 0, None)
            }
        };
        let path = specification.path.display().to_string();
        let (vacuous, empty_cases) = (specification.is_vacuous(), specification.empty_cases());
        Self {
            specification: path,
            verdict: word(verdict).to_owned(),
            semantics,
            meaning,
            cases,
            parts,
            counterexample,
            vacuous,
            empty_cases,
            warnings,
            seconds,
        }
    }
}

impl Assignment {
    /// Returns the assignment as version 1.0 of VNN-LIB writes it.
    #[must_use]
    pub fn flat(&self) -> String {
        flat_assignment(self.input.iter().map(|x| x.0), self.output.iter().map(|y| y.0))
    }
}

const fn word(verdict: &SpecificationVerdict) -> &'static str {
    match verdict {
        SpecificationVerdict::Holds { .. } => "unsat",
        SpecificationVerdict::Violated(_) => "sat",
        SpecificationVerdict::Unknown { .. } => "unknown",
    }
}

/// The result file: for version 1.0 that of the competitions, for 2.0 the standard's.
#[must_use]
pub fn result_file(specification: &Specification, verdict: &SpecificationVerdict) -> String {
    let two = specification.version.0 >= 2;
    match verdict {
        SpecificationVerdict::Violated(found) if two => format!("sat\n{}", tensors(specification, found)),
        SpecificationVerdict::Violated(found) => {
            format!("sat\n{}", flat_assignment(found.point.iter().copied(), found.outputs.iter().copied()))
        }
        SpecificationVerdict::Unknown { timed_out: true, .. } => if two { "timed-out\n" } else { "timeout\n" }.to_owned(),
        verdict => format!("{}\n", word(verdict)),
    }
}

/// `((X_0 0.5)`, …, `(Y_0 1))`: the shortest decimals that read back as the numbers.
fn flat_assignment(input: impl Iterator<Item = f64>, output: impl Iterator<Item = f64>) -> String {
    let inputs = input.enumerate().map(|(i, x)| format!("(X_{i} {x:?})"));
    let outputs = output.enumerate().map(|(i, y)| format!("(Y_{i} {y:?})"));
    format!("({})\n", inputs.chain(outputs).collect::<Vec<_>>().join("\n"))
}

/// Name, type and shape of each tensor, then its values.
fn tensors(specification: &Specification, found: &Counterexample) -> String {
    let element = match specification.element {
        ElementType::Real => "Real",
        ElementType::Float32 => "float32",
        ElementType::Float64 => "float64",
    };
    let mut text = String::new();
    let mut tensor = |name: &str, shape: &[usize], values: &mut dyn Iterator<Item = f64>| {
        let extents: Vec<String> = shape.iter().map(ToString::to_string).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} {element} [{}]", extents.join(","));
        values.for_each(|value| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{value:?}");
        });
    };
    let one = specification.output_shape.iter().product::<usize>().max(1);
    let networks = std::iter::once(&specification.names).chain(&specification.second);
    for (names, outputs) in networks.zip(found.outputs.chunks(one)) {
        tensor(&names.input, &specification.input_shape, &mut found.point.iter().copied());
        tensor(&names.output, &specification.output_shape, &mut outputs.iter().copied());
    }
    text
}
