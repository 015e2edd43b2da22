//! The formats of an audit, and which one a file name asks for.

use std::path::Path;

use clap::ValueEnum;

use super::audit::Audit;
use super::{attestation, html, junit, markdown, sarif};

/// Formats of audits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people at a terminal
    #[default]
    Text,
    /// For programs (`verify schema report`)
    Json,
    /// For pull requests
    Markdown,
    /// One page without scripts, for auditors
    Html,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// For test dashboards
    Junit,
    /// An in-toto statement with a test result, to be signed
    #[value(name = "in-toto")]
    InToto,
}

impl ReportFormat {
    /// The format that a file name asks for.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        Some(match () {
            () if ends(&[".html", ".htm"]) => Self::Html,
            () if ends(&[".sarif", ".sarif.json"]) => Self::Sarif,
            () if ends(&[".intoto.json"]) => Self::InToto,
            () if ends(&[".json"]) => Self::Json,
            () if ends(&[".md", ".markdown"]) => Self::Markdown,
            () if ends(&[".xml"]) => Self::Junit,
            () if ends(&[".txt"]) => Self::Text,
            () => return None,
        })
    }

    /// # Errors
    /// When the audit holds something that JSON cannot say.
    pub fn render(self, audit: &Audit) -> Result<String, serde_json::Error> {
        Ok(match self {
            Self::Text => audit.to_string(),
            Self::Json => super::json(audit)?,
            Self::Markdown => markdown::render(audit),
            Self::Html => html::render(audit),
            Self::Sarif => super::json(&sarif::render(audit))?,
            Self::Junit => junit::render(audit),
            Self::InToto => super::json(&attestation::render(audit))?,
        })
    }
}
