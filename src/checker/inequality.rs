//! One matrix inequality: rebuilt from the network, proved in sound arithmetic.

use super::refusal::ClaimRefusal;
use crate::certificate::{Bundle, Inequality, Sorts};
use crate::form::{Form, MatrixError, QuadraticForm, Rows, Segment, SortForm, admit};
use crate::ir::Network;
use crate::sound::cholesky::NotProved;
use crate::sound::round::sqrt_up;

impl From<Sorts> for SortForm {
    fn from(sorts: Sorts) -> Self {
        match sorts {
            Sorts::Comparators => Self::Comparators,
            Sorts::Groups => Self::Groups,
        }
    }
}

/// Proves the ℓ2 Lipschitz constant of a segment by its matrix inequality and returns it, rounded up.
///
/// # Errors
/// [`ClaimRefusal`].
pub fn prove_inequality(
    network: &Network,
    segment: Segment,
    inequality: &Inequality,
    bundle: &Bundle,
) -> Result<f64, ClaimRefusal> {
    let multipliers = bundle.resolve(&inequality.multipliers).ok_or(ClaimRefusal::MissingVector)?;
    let form = Form::new(network, segment, inequality.sorts.into())?;
    let about = |reason: MatrixRefusal| {
        let name = |id| &network.node(id).name;
        reason.about(format!("the inequality from `{}` to `{}`", name(segment.from), name(segment.to)))
    };
    let squared_bound = inequality.squared_bound.value();
    admit(&form, squared_bound, &multipliers).map_err(MatrixRefusal::NoMatrix).map_err(about)?;
    let rows = Rows::new(&form)?;
    prove_matrix(&form, &rows, squared_bound, &multipliers).map_err(about)
}

/// Why the matrix of a form proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixRefusal {
    NoMatrix(MatrixError),
    NotDefinite(NotProved),
}

impl MatrixRefusal {
    /// The refusal of a claim whose part `what` this is about.
    pub(super) fn about(self, what: String) -> ClaimRefusal {
        match self {
            Self::NoMatrix(reason) => ClaimRefusal::NoMatrix { what, reason },
            Self::NotDefinite(reason) => ClaimRefusal::NotDefinite { what, reason },
        }
    }
}

/// Proves `√ρ` for a form whose rows are at hand; passes use it to find a `ρ` that closes.
///
/// # Errors
/// [`MatrixRefusal`].
pub fn prove_matrix(form: &Form, rows: &Rows, squared_bound: f64, multipliers: &[f64]) -> Result<f64, MatrixRefusal> {
    QuadraticForm::new(form, rows, squared_bound, multipliers)
        .map_err(MatrixRefusal::NoMatrix)?
        .prove()
        .map_err(MatrixRefusal::NotDefinite)?;
    Ok(sqrt_up(squared_bound))
}
