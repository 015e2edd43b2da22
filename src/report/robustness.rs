//! How the robustness of a network is shown.

use std::fmt::{self, Write as _};

use tabled::builder::Builder;

use crate::kernel::proof::{Kept, Norm, Semantics};
use crate::query::figures::RobustnessFigures;

impl fmt::Display for RobustnessFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let norm = self.perturbation.norm.symbol();
        let mut table = Builder::default();
        table.push_record([
            format!("robustness, {norm}, ε = {}", self.perturbation.epsilon),
            format!("{} samples", self.samples),
            match self.semantics {
                Semantics::Real => "in real arithmetic",
                Semantics::Float32 => "in float32, any order of summation",
            }
            .to_owned(),
        ]);
        match &self.kept {
            Kept::Class => {}
            Kept::Threshold(threshold) => {
                table.push_record(["threshold", threshold, "label 1: the output is above it; 0: it is not"]);
            }
            Kept::MaxChange(most) => table.push_record(["change of outputs", most, "robust: no output moves by more"]),
        }
        if let Some(clean) = &self.clean_accuracy {
            table.push_record(["clean accuracy", &clean.to_string(), "computed: samples that are right as they are"]);
        }
        let [certified, possible] = match self.kept {
            Kept::Class | Kept::Threshold(_) => ["certified accuracy", "robust accuracy at most"],
            Kept::MaxChange(_) => ["certified share", "robust share at most"],
        };
        table.push_record([certified, &self.certified_accuracy, "proved"]);
        table.push_record([possible, &self.robust_accuracy_at_most, "proved by counterexamples"]);
        let methods = format!(
            "{} by intervals, {} by backward bounds, {} by Lipschitz margins, {} by parts",
            self.by_intervals, self.by_backward_bounds, self.by_lipschitz_margins, self.by_parts
        );
        // What proved them is for those who ask (`-v`).
        table.push_record(["robust", &self.robust.to_string(), if f.alternate() { &methods } else { "" }]);
        let wrong = if self.kept.needs_labels() {
            format!("{} of them misclassified as they are", self.misclassified)
        } else {
            String::new()
        };
        table.push_record(["falsified", &self.falsified.to_string(), &wrong]);
        table.push_record(["unknown", &self.unknown.to_string(), ""]);
        writeln!(f, "{}", super::screen::table(table))?;
        let change = match self.perturbation.norm {
            Norm::Linf => "every input value changes",
            Norm::L1 | Norm::L2 => "the input moves in Euclidean distance",
        };
        writeln!(
            f,
            "It means: {} of {} samples {} when {change} by at most {}; for {} a change is known after which they do not{}.",
            self.robust,
            self.samples,
            self.kept,
            self.perturbation.epsilon,
            self.falsified,
            if self.unknown > 0 { format!(", {} are open", self.unknown) } else { String::new() }
        )
    }
}

/// Every sample as a line of CSV.
#[must_use]
pub fn csv(figures: &RobustnessFigures) -> String {
    let mut text = "sample,label,outcome,detail\n".to_owned();
    for (sample, found) in figures.per_sample.iter().enumerate() {
        let (word, detail) = match found.outcome.as_str() {
            "misclassified" => ("falsified", "misclassified".to_owned()),
            "falsified" => ("falsified", "perturbed".to_owned()),
            word => (word, found.method.map_or_else(String::new, |method| format!("{method:?}").to_lowercase())),
        };
        // Writing to a string cannot fail.
        let label = found.label.map_or_else(String::new, |label| label.to_string());
        let _ = writeln!(text, "{sample},{label},{word},{detail}");
    }
    text
}
