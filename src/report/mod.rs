//! Reports: computed once, rendered as text (`Display`) or JSON (`Serialize`). Upper bounds are rounded up, lower bounds
//! down, and an estimate never looks like a proof.

#[cfg(feature = "passes")]
mod accuracy;
#[cfg(feature = "passes")]
mod analysis;
#[cfg(feature = "passes")]
pub mod audit;
#[cfg(feature = "passes")]
mod batch;
mod check;
#[cfg(feature = "passes")]
mod diff;
#[cfg(feature = "passes")]
mod format;
#[cfg(feature = "passes")]
mod hessian;
#[cfg(feature = "passes")]
mod html;
#[cfg(feature = "passes")]
mod inspect;
#[cfg(feature = "passes")]
mod inverse;
#[cfg(feature = "passes")]
mod junit;
#[cfg(feature = "passes")]
mod lipschitz;
#[cfg(feature = "passes")]
mod markdown;
#[cfg(feature = "passes")]
mod markup;
#[cfg(feature = "passes")]
mod policy;
#[cfg(feature = "passes")]
mod robustness;
#[cfg(feature = "passes")]
mod sarif;
#[cfg(feature = "passes")]
mod specification;
#[cfg(feature = "passes")]
mod svg;
#[cfg(feature = "passes")]
mod text;
#[cfg(feature = "passes")]
mod tightness;
mod visible;

#[cfg(feature = "passes")]
pub use analysis::AnalysisReport;
#[cfg(feature = "passes")]
pub use batch::{BatchReport, Instance};
pub use check::{CheckedClaim, CheckedFile, Refused};
#[cfg(feature = "passes")]
pub use diff::DiffReport;
#[cfg(feature = "passes")]
pub use format::ReportFormat;
#[cfg(feature = "passes")]
pub use inspect::InspectReport;
#[cfg(feature = "passes")]
pub use policy::PolicyReport;
#[cfg(feature = "passes")]
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
fn duration(time: std::time::Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}

/// A difference for people: its sign, and never a zero that is none.
#[cfg(feature = "passes")]
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
