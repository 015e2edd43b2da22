//! What is told about a VNN-LIB specification.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::certificate::Semantics;
use crate::pass::robustness::{Counterexample, SpecificationVerdict};
use crate::vnnlib::{ElementType, Specification};

/// A specification's verdict and, where it is violated, the assignment.
#[derive(Debug, Serialize)]
pub struct SpecificationSection {
    specification: String,
    /// `unsat` (the property holds), `sat` (it is violated) or `unknown`.
    verdict: &'static str,
    semantics: Semantics,
    meaning: String,
    cases: usize,
    /// Parts of the cases that bounds closed.
    parts: usize,
    counterexample: Option<Assignment>,
    /// Whether no input satisfies its bounds, so that the verdict says nothing about the network.
    vacuous: bool,
    /// How many of its disjuncts no input satisfies.
    empty_cases: usize,
    /// What the reader should know beside the verdict.
    warnings: Vec<String>,
    seconds: f64,
}

/// An unsafe input and what a float32 network computes there or, where that overflows, the outputs in real arithmetic.
#[derive(Debug, Serialize)]
struct Assignment {
    input: Vec<f64>,
    output: Vec<f64>,
    /// Whether a float32 network overflows there.
    overflows: bool,
    /// Is it unsafe in float32 with any order of summation too?
    float32: bool,
}

impl SpecificationSection {
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
                    input: found.point.clone(),
                    output: found.outputs.clone(),
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
            verdict: word(verdict),
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

impl fmt::Display for SpecificationSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = if self.parts > 0 { format!(", {} parts", self.parts) } else { String::new() };
        let vacuous = if self.vacuous { "vacuous: its assertions contradict each other; " } else { "" };
        writeln!(f, "{}: {} ({vacuous}{}; {} cases{parts})", self.verdict, self.specification, self.meaning, self.cases)?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))?;
        if let Some(found) = &self.counterexample {
            f.write_str(&flat_assignment(&found.input, &found.output))?;
        }
        Ok(())
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
        SpecificationVerdict::Violated(found) => format!("sat\n{}", flat_assignment(&found.point, &found.outputs)),
        SpecificationVerdict::Unknown { timed_out: true, .. } => if two { "timed-out\n" } else { "timeout\n" }.to_owned(),
        verdict => format!("{}\n", word(verdict)),
    }
}

/// `((X_0 0.5)`, …, `(Y_0 1))`: the shortest decimals that read back as the numbers.
fn flat_assignment(input: &[f64], output: &[f64]) -> String {
    let inputs = input.iter().enumerate().map(|(i, x)| format!("(X_{i} {x:?})"));
    let outputs = output.iter().enumerate().map(|(i, y)| format!("(Y_{i} {y:?})"));
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
    tensor(&specification.names.input, &specification.input_shape, &mut found.point.iter().copied());
    tensor(&specification.names.output, &specification.output_shape, &mut found.outputs.iter().copied());
    text
}
