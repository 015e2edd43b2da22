//! The summary of a benchmark.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use tabled::builder::Builder;

use super::visible;
use crate::kernel::proof::Semantics;

/// One row of a benchmark and what became of it.
#[derive(Debug, Serialize)]
pub struct Instance {
    pub number: usize,
    pub group: String,
    pub model: String,
    pub specification: String,
    /// `sat`, `unsat`, `unknown`, `timeout`, `error`.
    pub verdict: String,
    /// In which arithmetic; none of an error.
    pub semantics: Option<Semantics>,
    /// What the file says that it is.
    pub expected: Option<String>,
    pub seconds: f64,
    pub message: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct BatchReport {
    groups: BTreeMap<String, Summary>,
    instances: Vec<Instance>,
}

/// Counts of one benchmark.
#[derive(Debug, Default, Serialize)]
struct Summary {
    instances: usize,
    unsat: usize,
    sat: usize,
    unknown: usize,
    errors: usize,
    /// Verdicts that differ from what the file expects.
    contradictions: usize,
    median_seconds: f64,
    most_seconds: f64,
}

impl BatchReport {
    #[must_use]
    pub fn new(instances: Vec<Instance>) -> Self {
        let mut groups: BTreeMap<String, Summary> = BTreeMap::new();
        let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for instance in &instances {
            let summary = groups.entry(instance.group.clone()).or_default();
            summary.instances += 1;
            let decided = match instance.verdict.as_str() {
                "unsat" => &mut summary.unsat,
                "sat" => &mut summary.sat,
                "error" => &mut summary.errors,
                _ => &mut summary.unknown,
            };
            *decided += 1;
            if instance.contradicts() {
                summary.contradictions += 1;
            }
            if matches!(instance.verdict.as_str(), "sat" | "unsat") {
                times.entry(&instance.group).or_default().push(instance.seconds);
            }
        }
        for (group, mut seconds) in times {
            seconds.sort_by(f64::total_cmp);
            if let Some(summary) = groups.get_mut(group) {
                summary.median_seconds = seconds[seconds.len() / 2];
                summary.most_seconds = seconds.last().copied().unwrap_or(0.0);
            }
        }
        Self { groups, instances }
    }
}

impl Instance {
    /// Whether the verdict is another than the file expects.
    #[must_use]
    pub fn contradicts(&self) -> bool {
        let word = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
            "sat" | "violated" => Some("sat"),
            "unsat" | "holds" => Some("unsat"),
            _ => None,
        };
        let (expected, found) = (self.expected.as_deref().and_then(word), word(&self.verdict));
        expected.is_some() && found.is_some() && expected != found
    }
}

impl fmt::Display for BatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for instance in &self.instances {
            let Instance { number, model, specification, verdict, seconds, .. } = instance;
            let expected = if instance.contradicts() { ", CONTRADICTS what is expected" } else { "" };
            // Real arithmetic is what a benchmark means.
            let arithmetic = if instance.semantics == Some(Semantics::Float32) { " (float32)" } else { "" };
            let (model, specification) = (visible(model), visible(specification));
            writeln!(f, "{number}: {verdict}{arithmetic} in {seconds:.2} s{expected}: {model} {specification}")?;
        }
        let mut table = Builder::default();
        table.push_record([
            "benchmark",
            "instances",
            "unsat",
            "sat",
            "unknown",
            "errors",
            "contradictions",
            "median s",
            "most s",
        ]);
        for (group, s) in &self.groups {
            let counts = [s.instances, s.unsat, s.sat, s.unknown, s.errors, s.contradictions].map(|count| count.to_string());
            let times = [s.median_seconds, s.most_seconds].map(|seconds| format!("{seconds:.2}"));
            table.push_record([visible(group)].into_iter().chain(counts).chain(times));
        }
        writeln!(f, "{}", super::screen::table(table))
    }
}
