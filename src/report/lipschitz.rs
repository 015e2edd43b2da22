//! How Lipschitz bounds are shown.

use std::fmt;

use tabled::builder::Builder;

use crate::kernel::proof::{Norm, Number};
use crate::kernel::sound::round::mul_up;
use crate::kernel::sound::upper_decimal;
use crate::pass::lipschitz::Engine;
use crate::query::figures::{LipschitzBound, LipschitzFigures};

/// Functionals that the text shows.
const SHOWN: usize = 12;

impl fmt::Display for LipschitzFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bounds.iter().try_for_each(|bound| bound.fmt(f))?;
        let mut sorted: Vec<f64> = self.certified_radii.iter().map(|radius| radius.0).collect();
        sorted.sort_by(f64::total_cmp);
        let Some((&median, &largest)) = sorted.get(sorted.len() / 2).zip(sorted.last()) else { return Ok(()) };
        let positive = sorted.iter().filter(|radius| **radius > 0.0).count();
        let mut table = Builder::default();
        table.push_record(["certified radii".to_owned(), format!("{} samples", sorted.len()), String::new()]);
        table.push_record([
            "positive".to_owned(),
            positive.to_string(),
            "from the proved bounds; not in the certificate".to_owned(),
        ]);
        table.push_record([
            "median".to_owned(),
            Number::lower(median).to_string(),
            "`--output-format json` shows all".to_owned(),
        ]);
        table.push_record(["largest".to_owned(), Number::lower(largest).to_string(), String::new()]);
        writeln!(f, "{}", super::screen::table(table))
    }
}

impl fmt::Display for LipschitzBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layerwise = self.engine == Engine::Layerwise.name();
        let mut table = Builder::default();
        table.push_record([&self.title, "", ""]);
        table.push_record(["certified upper bound", &self.bound, "proved"]);
        if self.well_posed {
            table.push_record(["implicit equations", "well posed", "proved: exactly one solution for every input"]);
        }
        if let Some(lower) = &self.lower_bound {
            table.push_record(["attained by two inputs", lower, "proved"]);
        }
        if let Some(product) = &self.norm_product {
            let name = match self.norm {
                Norm::L2 if layerwise => "product over segments",
                Norm::L2 => "norm product",
                Norm::L1 | Norm::Linf => "product of absolute values",
            };
            table.push_record([name, product, "proved"]);
        }
        // How it was found is for those who ask (`-v`).
        if f.alternate() {
            if let Some(relaxation) = self.relaxation {
                table.push_record(["optimum of the relaxation", &format!("≈ {}", estimate(relaxation)), "estimated"]);
            }
            let engine = if layerwise {
                "a matrix inequality for each segment".to_owned()
            } else if self.matrix_order > 0 {
                format!("matrix of order {}, {} multipliers", self.matrix_order, self.multipliers)
            } else {
                "no matrix inequality gave a smaller bound".to_owned()
            };
            table.push_record(["engine", &self.engine, &engine]);
        }
        for [functional, bound] in self.functionals.iter().take(SHOWN) {
            table.push_record([functional.as_str(), bound, "proved"]);
        }
        let more = self.functionals.len().saturating_sub(SHOWN);
        if more > 0 {
            table.push_record([format!("… and {more} more"), String::new(), "`--output-format json` shows all".to_owned()]);
        }
        writeln!(f, "{}", super::screen::table(table))?;
        match self.bound.parse::<f64>() {
            Ok(bound) if bound.is_finite() => writeln!(f, "{}", meaning(self.norm, bound.next_up(), &self.place)),
            _ => Ok(()),
        }
    }
}

/// A change of the inputs that a bound is explained with.
const CHANGE: f64 = 0.02;

/// What a bound means for a change of the inputs, rounded up.
fn meaning(norm: Norm, bound: f64, place: &str) -> String {
    let moves = upper_decimal(mul_up(CHANGE.next_up(), bound), 3);
    let size = match norm {
        Norm::L1 => "absolute changes of the inputs that add up to",
        Norm::L2 => "a change of the inputs by a Euclidean distance of",
        Norm::Linf => "a change of every input by at most",
    };
    format!("It means{place}: {size} ε = {CHANGE} moves no output by more than {moves}.")
}

/// To nearest: an estimate has no safe side.
fn estimate(value: f64) -> String {
    if (1e-3..1e7).contains(&value) { format!("{value:.6}") } else { format!("{value:.6e}") }
}
