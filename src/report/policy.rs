//! A policy as it is understood: every rule with its line and what it asks for.

use std::fmt;

use serde::Serialize;
use tabled::builder::Builder;

use super::audit::assurance_word;
use super::visible;
use crate::policy::{Policy, PolicyFile};

/// What `verify gate --show-policy` prints.
#[derive(Debug, Serialize)]
pub struct PolicyReport<'a> {
    path: String,
    digest: &'a str,
    /// With every default filled in.
    policy: &'a Policy,
    rules: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    line: usize,
    id: String,
    what: String,
    limit: String,
    assurance: &'static str,
}

impl<'a> PolicyReport<'a> {
    #[must_use]
    pub fn new(file: &'a PolicyFile) -> Self {
        let requirements = file.tasks.iter().flat_map(|(_, tasks)| tasks).flat_map(|task| &task.requirements);
        let rules = requirements.map(|requirement| Row {
            line: requirement.line,
            id: requirement.id.clone(),
            what: requirement.what.clone(),
            limit: requirement.limit.to_string(),
            assurance: assurance_word(requirement.assurance),
        });
        Self { path: file.path.display().to_string(), digest: &file.digest, policy: &file.policy, rules: rules.collect() }
    }
}

impl fmt::Display for PolicyReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "policy        {} (sha256 {})", visible(&self.path), self.digest)?;
        writeln!(f, "certificates  {}", visible(&self.policy.certificates.display().to_string()))?;
        let limits = self.policy.limits.get_ref();
        writeln!(f, "limits        {} s and {} GB for each rule, seed {}", limits.timeout, limits.memory, limits.seed)?;
        if self.policy.lock {
            writeln!(f, "lock          there must be a lock file")?;
        }
        for (path, pin) in &self.policy.sha256 {
            writeln!(f, "pinned        {}: sha256 {}", visible(path), pin.get_ref())?;
        }
        for (name, model) in &self.policy.models {
            let model = model.get_ref();
            let pin = model.sha256.as_ref().map_or(String::new(), |pin| format!(", sha256 {}", pin.get_ref()));
            let baseline = model
                .baseline
                .as_ref()
                .map_or(String::new(), |path| format!(", baseline {}", visible(&path.display().to_string())));
            let of_baseline = model
                .baseline_model
                .as_ref()
                .map_or(String::new(), |path| format!(" of {}", visible(&path.display().to_string())));
            writeln!(
                f,
                "model         {}: {}{pin}{baseline}{of_baseline}",
                visible(name),
                visible(&model.path.display().to_string())
            )?;
        }
        let mut table = Builder::default();
        table.push_record(["line", "rule", "what", "limit", "assurance"]);
        for rule in &self.rules {
            table.push_record([
                rule.line.to_string(),
                visible(&rule.id),
                visible(&rule.what),
                rule.limit.clone(),
                rule.assurance.to_owned(),
            ]);
        }
        writeln!(f, "{}", super::screen::table(table))
    }
}
