//! Reports: computed once, rendered as text (`Display`) or JSON (`Serialize`). Upper bounds are rounded up, lower bounds
//! down, and an estimate never looks like a proof.

mod accuracy;
mod analysis;
mod attestation;
pub mod audit;
mod batch;
mod check;
mod deviation;
mod diff;
mod format;
mod hessian;
mod html;
mod inspect;
mod inverse;
mod junit;
mod lipschitz;
mod markdown;
mod markup;
mod policy;
mod robustness;
mod sarif;
pub mod screen;
mod specification;
mod svg;
mod text;
mod tightness;
mod visible;

pub use analysis::AnalysisReport;
pub use batch::{BatchReport, Instance};
pub use check::{CheckedClaim, CheckedFile, Refused};
pub use diff::DiffReport;
pub use format::ReportFormat;
pub use html::cards;
pub use inspect::InspectReport;
pub use policy::PolicyReport;
pub use robustness::csv as robustness_csv;
pub use visible::{visible, visible_lines};

/// Any report as JSON, with a final newline.
///
/// # Errors
/// When the report holds something that JSON cannot say.
pub fn json(report: &impl serde::Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(report).map(|text| text + "\n")
}

/// A duration for people.
#[must_use]
pub fn duration(time: std::time::Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}

/// A difference for people: its sign, and never a zero that is none.
#[must_use]
pub fn signed(difference: f64) -> String {
    match difference.abs() {
        0.0 => "0".to_owned(),
        size if (1.0..1e7).contains(&size) => format!("{difference:+.4}"),
        // Four digits that tell something.
        size if (1e-4..1.0).contains(&size) => {
            format!("{difference:+.0$}", 3_usize.saturating_add_signed(-size.log10().floor() as isize))
        }
        _ => format!("{difference:+.2e}"),
    }
}
