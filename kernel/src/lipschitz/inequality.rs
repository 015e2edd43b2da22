//! One matrix inequality: rebuilt from the network, proved in sound arithmetic.

use super::refusal::LipschitzRefusal;
use crate::lipschitz::form::{Form, FormError, MatrixError, QuadraticForm, Rows, Segment, SortForm, admit};
use crate::model::ir::{Intervals, Network};
use crate::proof::{Bundle, Content, Functional, Inequality, Norm, Sorts};
use crate::sound::cholesky::NotProved;
use crate::sound::round::{sqrt_up, sum_up};

impl From<Sorts> for SortForm {
    fn from(sorts: Sorts) -> Self {
        match sorts {
            Sorts::Comparators => Self::Comparators,
            Sorts::Groups => Self::Groups,
        }
    }
}

impl Functional {
    /// The functional as positions of outputs.
    #[must_use]
    pub fn positions(&self) -> (usize, Option<usize>) {
        (self.plus as usize, self.minus.map(|minus| minus as usize))
    }
}

/// The form of a segment, everywhere or where signals keep within bounds.
///
/// # Errors
/// [`FormError`].
pub fn form(network: &Network, segment: Segment, sorts: SortForm, bounds: Option<&Intervals>) -> Result<Form, FormError> {
    match bounds {
        Some(bounds) => Form::within(network, segment, sorts, bounds),
        None => Form::new(network, segment, sorts),
    }
}

/// Proves the ℓ2 Lipschitz constant of a segment by its matrix inequality and returns it, rounded up.
///
/// # Errors
/// [`LipschitzRefusal`].
pub fn prove_inequality(
    network: &Network,
    segment: Segment,
    bounds: Option<&Intervals>,
    inequality: &Inequality,
    bundle: &Bundle,
) -> Result<f64, LipschitzRefusal> {
    let form = form(network, segment, inequality.sorts.into(), bounds)?;
    let name = |id| &network.node(id).name;
    let about = || format!("the inequality from `{}` to `{}`", name(segment.from), name(segment.to));
    let multipliers = Multipliers::unweighted(inequality, bundle)?;
    multipliers.admit(&form, &about)?;
    let rows = Rows::new(&form)?;
    multipliers.prove(&rows, Norm::L2, &about)
}

/// Proves Lipschitz constants of functionals, each with its own inequality, from the inputs' norm into absolute values.
///
/// # Errors
/// [`LipschitzRefusal`].
pub fn prove_functionals(
    network: &Network,
    bounds: Option<&Intervals>,
    norm: Norm,
    claims: &[(Functional, &Inequality)],
    bundle: &Bundle,
) -> Result<Vec<f64>, LipschitzRefusal> {
    let mut proved = vec![f64::NAN; claims.len()];
    for sorts in [Sorts::Comparators, Sorts::Groups] {
        let chosen: Vec<usize> = (0..claims.len()).filter(|&i| claims[i].1.sorts == sorts).collect();
        if chosen.is_empty() {
            continue;
        }
        let differences: Vec<_> = chosen.iter().map(|&i| claims[i].0.positions()).collect();
        let form = form(network, Segment::whole(network), sorts.into(), bounds)?
            .with_differences(&differences)
            .ok_or(Content::Shape { what: "a functional of outputs that do not exist" })?;
        let mut all = Vec::with_capacity(chosen.len());
        for &i in &chosen {
            let multipliers = Multipliers::unweighted(claims[i].1, bundle)?;
            multipliers.admit(&form, &|| format!("the inequality of {}", claims[i].0))?;
            all.push(multipliers);
        }
        let rows = Rows::new(&form)?;
        for (position, (&i, multipliers)) in chosen.iter().zip(all).enumerate() {
            let about = || format!("the inequality of {}", claims[i].0);
            proved[i] = multipliers.prove(&rows.with_output(position), norm, &about)?;
        }
    }
    Ok(proved)
}

/// The numbers of one inequality.
pub(super) struct Multipliers {
    pub inputs: Vec<f64>,
    pub groups: Vec<f64>,
}

impl Multipliers {
    pub fn resolve(inequality: &Inequality, bundle: &Bundle) -> Result<Self, LipschitzRefusal> {
        let resolve = |vector| bundle.resolve(vector).ok_or(Content::MissingVector);
        Ok(Self { inputs: resolve(&inequality.input_multipliers)?, groups: resolve(&inequality.multipliers)? })
    }

    /// Of an inequality whose outputs have no weights.
    fn unweighted(inequality: &Inequality, bundle: &Bundle) -> Result<Self, LipschitzRefusal> {
        if inequality.output_weights.is_some() {
            return Err(Content::Shape { what: "output weights are those of inequalities for ℓ1" }.into());
        }
        Self::resolve(inequality, bundle)
    }

    pub fn admit(&self, form: &Form, about: &dyn Fn() -> String) -> Result<(), LipschitzRefusal> {
        admit(form, &self.inputs, &self.groups).map_err(|reason| MatrixRefusal::NoMatrix(reason).about(about()))
    }

    fn prove(&self, rows: &Rows, norm: Norm, about: &dyn Fn() -> String) -> Result<f64, LipschitzRefusal> {
        prove_matrix(rows, norm, &self.inputs, &self.groups).map_err(|refusal| refusal.about(about()))
    }
}

/// Why the matrix of a form proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixRefusal {
    NoMatrix(MatrixError),
    NotDefinite(NotProved),
}

impl MatrixRefusal {
    /// The refusal of a claim whose part `what` this is about.
    pub(super) fn about(self, what: String) -> LipschitzRefusal {
        match self {
            Self::NoMatrix(reason) => LipschitzRefusal::NoMatrix { what, reason },
            Self::NotDefinite(reason) => LipschitzRefusal::NotDefinite { what, reason },
        }
    }
}

/// Proves a Lipschitz constant from the inputs' norm into ℓ2 for a form of which these are the rows; passes use it to find
/// multipliers that close.
///
/// # Errors
/// [`MatrixRefusal`].
pub fn prove_matrix(rows: &Rows, norm: Norm, input_multipliers: &[f64], multipliers: &[f64]) -> Result<f64, MatrixRefusal> {
    // Where ‖x‖ ≤ 1, Σ τ_i x_i² is at most the one τ for ℓ2, at most their sum for ℓ∞.
    let squared_bound = match (norm, input_multipliers) {
        (Norm::L2, &[squared_bound]) => squared_bound,
        (Norm::Linf, all) if all.len() == rows.inputs() => sum_up(all.iter().copied()),
        // ℓ1 has a rule of its own (`columns`).
        (Norm::L1 | Norm::L2 | Norm::Linf, _) => return Err(MatrixRefusal::NoMatrix(MatrixError::InputMultipliers)),
    };
    QuadraticForm::new(rows, input_multipliers, multipliers)
        .map_err(MatrixRefusal::NoMatrix)?
        .prove()
        .map_err(MatrixRefusal::NotDefinite)?;
    Ok(sqrt_up(squared_bound))
}
