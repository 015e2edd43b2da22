//! What the checker makes of what passes found: nothing is shown or written before it has decided.

use super::{ExitStatus, Failure};
use crate::kernel::check::{Checked, check};
use crate::kernel::model::onnx::load;
use crate::kernel::proof::{Bundle, Certificate};
use crate::query::{Answer, Limits, Subjects, evidence, seal};

/// What is to be done where the checker refuses what a pass found.
pub const DEFECT: &str = "this is a defect of the pass; please report it with the model";

/// Claims that the checker accepted, sealed.
pub struct Established {
    pub certificate: Certificate,
    pub bundle: Bundle,
    pub checked: Checked,
}

/// Seals the claims of answers and has them checked; nothing, where nothing is claimed. `hint` says what is to be done where they
/// are refused.
pub fn established(subjects: &Subjects, answers: &[Answer], limits: &Limits, hint: &str) -> Result<Option<Established>, Failure> {
    let Some((certificate, bundle)) = seal(subjects, answers, limits) else { return Ok(None) };
    let files = evidence(subjects, answers).map_err(Failure::error)?;
    // From the model file again: not what the passes were given.
    let again = load(&subjects.path).map_err(|error| Failure::model(&subjects.path, &error))?;
    let checked = check(&certificate, &bundle, &again, &files);
    match &checked.refusal {
        None => Ok(Some(Established { certificate, bundle, checked })),
        Some(refusal) => {
            let message = format!("the checker refused what a pass found, so nothing is established: {refusal}");
            Err(Failure::coded("NV604", message).with_hint(hint).ending(ExitStatus::Inconclusive))
        }
    }
}
