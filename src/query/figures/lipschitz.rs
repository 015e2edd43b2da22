//! Lipschitz bounds and what is behind them.

use serde::{Deserialize, Serialize};

use super::Computed;
use crate::kernel::proof::Norm;
use crate::pass::lipschitz::{Engine, Outcome};

/// Bounds of Lipschitz constants, one per region, and what is behind them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LipschitzFigures {
    pub bounds: Vec<LipschitzBound>,
    /// Per sample of the data, where there are any: it keeps its class while it moves less than this. Rounded down; zero
    /// where it does not have its class, `null` in JSON where nothing changes it. They follow from the bounds of differences; no
    /// claim states them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certified_radii: Vec<Computed>,
}

/// The bounds on one region.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LipschitzBound {
    /// What is bounded, in words.
    pub title: String,
    /// Where it holds, after a space; nothing, where that is everywhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    pub norm: Norm,
    pub bound: String,
    /// Whether it is proved, too, that the network's implicit equations have exactly one solution for every input.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub well_posed: bool,
    pub norm_product: Option<String>,
    pub lower_bound: Option<String>,
    /// Estimate of the relaxation's optimum.
    pub relaxation: Option<f64>,
    pub engine: String,
    pub matrix_order: usize,
    pub multipliers: usize,
    /// Bounds of outputs and differences.
    pub functionals: Vec<[String; 2]>,
    pub seconds: f64,
    pub notes: Vec<String>,
}

impl LipschitzFigures {
    /// Of outcomes and what their claims' ids end in.
    #[must_use]
    pub fn new(outcomes: &[(String, Outcome)], certified_radii: &[f64]) -> Self {
        Self {
            certified_radii: certified_radii.iter().copied().map(Computed).collect(),
            bounds: outcomes.iter().map(|(suffix, outcome)| LipschitzBound::new(suffix, outcome)).collect(),
        }
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
            place,
            norm: claim.norm,
            bound: claim.bound.to_string(),
            well_posed: claim.well_posed,
            norm_product: claim.norm_product.as_ref().map(ToString::to_string),
            lower_bound: claim.lower_bound.as_ref().map(ToString::to_string),
            relaxation: outcome.relaxation,
            engine: outcome.engine.name().to_owned(),
            matrix_order: of(outcome.order),
            multipliers: of(outcome.multipliers),
            functionals: claim.functionals.iter().map(|f| [f.functional.to_string(), f.bound.to_string()]).collect(),
            seconds: outcome.seconds,
            notes: outcome.notes.clone(),
        }
    }
}
