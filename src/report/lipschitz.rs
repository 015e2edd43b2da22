//! What the Lipschitz pass has to tell.

use std::fmt;

use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::Style;

use crate::certificate::{Norm, Number};
use crate::pass::lipschitz::{Engine, Outcome};

/// Bounds of Lipschitz constants, one per region, and what is behind them.
#[derive(Debug, Serialize)]
pub struct LipschitzSection {
    bounds: Vec<LipschitzBound>,
    /// Per sample of the data, where there are any: it keeps its class while it moves less than this. Rounded down; zero
    /// where it does not have its class, `null` in JSON where nothing changes it. They follow from the bounds of differences; no
    /// claim states them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certified_radii: Vec<f64>,
    #[serde(skip)]
    short_of_memory: bool,
}

/// The bounds on one region.
#[derive(Debug, Serialize)]
pub struct LipschitzBound {
    /// What is bounded, in words.
    title: String,
    norm: Norm,
    bound: String,
    /// Is it proved, too, that the network's implicit equations have exactly one solution for every input?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    well_posed: bool,
    norm_product: Option<String>,
    lower_bound: Option<String>,
    /// Estimate of the relaxation's optimum.
    relaxation: Option<f64>,
    engine: &'static str,
    matrix_order: usize,
    multipliers: usize,
    /// Bounds of outputs and differences.
    functionals: Vec<[String; 2]>,
    seconds: f64,
    notes: Vec<String>,
}

/// Functionals that the text shows.
const SHOWN: usize = 12;

impl LipschitzSection {
    /// Of outcomes and what their claims' ids end in.
    #[must_use]
    pub fn new(outcomes: &[(String, Outcome)], certified_radii: Vec<f64>) -> Self {
        Self {
            certified_radii,
            bounds: outcomes.iter().map(|(suffix, outcome)| LipschitzBound::new(suffix, outcome)).collect(),
            short_of_memory: outcomes.iter().any(|(_, outcome)| outcome.short_of_memory),
        }
    }

    /// Would more memory have let an engine try for a better bound?
    #[must_use]
    pub const fn is_short_of_memory(&self) -> bool {
        self.short_of_memory
    }
}

impl LipschitzBound {
    fn new(suffix: &str, outcome: &Outcome) -> Self {
        let claim = &outcome.claim;
        let norm = claim.norm.symbol();
        let place = match suffix.strip_prefix("-sample-") {
            _ if suffix.is_empty() => String::new(),
            Some(sample) => format!(" around sample {sample}"),
            None => " on the box".to_owned(),
        };
        let of = |solved: usize| if outcome.engine == Engine::NormProduct { 0 } else { solved };
        Self {
            title: format!("{norm} Lipschitz constant{place}"),
            norm: claim.norm,
            bound: claim.bound.to_string(),
            well_posed: claim.well_posed,
            norm_product: claim.norm_product.as_ref().map(ToString::to_string),
            lower_bound: claim.lower_bound.as_ref().map(ToString::to_string),
            relaxation: outcome.relaxation,
            engine: outcome.engine.name(),
            matrix_order: of(outcome.order),
            multipliers: of(outcome.multipliers),
            functionals: claim.functionals.iter().map(|f| [f.functional.to_string(), f.bound.to_string()]).collect(),
            seconds: outcome.seconds,
            notes: outcome.notes.clone(),
        }
    }
}

impl LipschitzBound {
    /// Is the bound a product over segments?
    fn is_layerwise(&self) -> bool {
        self.engine == Engine::Layerwise.name()
    }
}

impl fmt::Display for LipschitzSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bounds.iter().try_for_each(|bound| bound.fmt(f))?;
        let mut sorted = self.certified_radii.clone();
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
        writeln!(f, "{}", table.build().with(Style::rounded()))
    }
}

impl fmt::Display for LipschitzBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Builder::default();
        table.push_record([&self.title, "", ""]);
        table.push_record(["certified upper bound", &self.bound, "proved"]);
        if self.well_posed {
            table.push_record(["implicit equations", "well posed", "proved: exactly one solution for every input"]);
        }
        if let Some(lower) = &self.lower_bound {
            table.push_record(["certified lower bound", lower, "proved: attained by a pair of points"]);
        }
        if let Some(product) = &self.norm_product {
            let name = match self.norm {
                Norm::L2 if self.is_layerwise() => "product over segments",
                Norm::L2 => "norm product",
                Norm::L1 | Norm::Linf => "product of absolute values",
            };
            table.push_record([name, product, "proved"]);
        }
        if let Some(relaxation) = self.relaxation {
            table.push_record(["optimum of the relaxation", &format!("≈ {}", estimate(relaxation)), "estimated"]);
        }
        let engine = if self.is_layerwise() {
            "a matrix inequality for each segment".to_owned()
        } else if self.matrix_order > 0 {
            format!("matrix of order {}, {} multipliers", self.matrix_order, self.multipliers)
        } else {
            "no matrix inequality gave a smaller bound".to_owned()
        };
        table.push_record(["engine", self.engine, &engine]);
        for [functional, bound] in self.functionals.iter().take(SHOWN) {
            table.push_record([functional.as_str(), bound, "proved"]);
        }
        let more = self.functionals.len().saturating_sub(SHOWN);
        if more > 0 {
            table.push_record([format!("… and {more} more"), String::new(), "`--output-format json` shows all".to_owned()]);
        }
        writeln!(f, "{}", table.build().with(Style::rounded()))
    }
}

/// To nearest: an estimate has no safe side.
fn estimate(value: f64) -> String {
    if (1e-3..1e7).contains(&value) { format!("{value:.6}") } else { format!("{value:.6e}") }
}
