//! Certified radii: how far an input may move before another output can reach its label's, by Lipschitz bounds of the
//! differences of two outputs (Tsuzuku, Sato, Sugiyama, *Lipschitz-margin training*, 2018).

use std::collections::HashMap;

use super::claim;
use super::refusal::LipschitzRefusal;
use crate::proof::{Content, Evidence, LipschitzClaim, Norm, Semantics};
use crate::sound::round::{div_down, sub_down};

/// Bounds of differences of two outputs, everywhere.
#[derive(Clone, Debug)]
pub struct Margins {
    norm: Norm,
    /// Of all outputs together, in that norm: no single one moves by more.
    whole: f64,
    /// By the smaller and the larger output.
    bounds: HashMap<(u32, u32), f64>,
}

impl Margins {
    /// The differences that a claim is about, as it states them: for a search, before anything is proved.
    #[must_use]
    pub fn stated(claim: &LipschitzClaim) -> Self {
        let difference = |bound: &crate::proof::FunctionalBound| {
            let (plus, minus) = (bound.functional.plus, bound.functional.minus?);
            Some(((plus.min(minus), plus.max(minus)), bound.bound.value()))
        };
        let whole = claim.bound.value();
        Self { norm: claim.norm, whole, bounds: claim.functionals.iter().filter_map(difference).collect() }
    }

    /// The same, proved.
    ///
    /// # Errors
    /// What is not proved, or bounds in another norm.
    pub(crate) fn prove(claim: &LipschitzClaim, norm: Norm, evidence: &Evidence) -> Result<Self, LipschitzRefusal> {
        if claim.norm != norm {
            return Err(Content::Shape { what: "its Lipschitz bounds are in another norm than its perturbations" }.into());
        }
        claim::check(claim, Semantics::Real, None, evidence)?;
        Ok(Self::stated(claim))
    }

    /// The norm of the inputs.
    #[must_use]
    pub const fn norm(&self) -> Norm {
        self.norm
    }

    /// The bound of all outputs together; NaN where that is not a bound.
    #[must_use]
    pub fn whole(&self) -> f64 {
        if self.whole >= 0.0 { self.whole } else { f64::NAN }
    }

    /// Every input that is nearer than this to the one with these bounds of its outputs has its label's output as the
    /// largest, alone: the least quotient of a margin and its bound, rounded down; zero where a margin is not positive.
    ///
    /// # Errors
    /// When a difference has no bound.
    pub fn radius(&self, outputs: &[(f64, f64)], label: usize) -> Result<f64, LipschitzRefusal> {
        let own = outputs.get(label).ok_or(Content::Shape { what: "there is no output for the label" })?;
        let mut radius = f64::INFINITY;
        for (other, y) in outputs.iter().enumerate().filter(|(other, _)| *other != label) {
            let pair = (label.min(other) as u32, label.max(other) as u32);
            let bound = *self.bounds.get(&pair).ok_or(Content::Incomplete { field: "functionals" })?;
            let margin = sub_down(own.0, y.1);
            let quotient = match bound {
                _ if margin.is_nan() || bound.is_nan() || bound < 0.0 || margin <= 0.0 => 0.0,
                0.0 => f64::INFINITY,
                _ => div_down(margin, bound).max(0.0),
            };
            radius = radius.min(quotient);
        }
        Ok(radius)
    }
}
