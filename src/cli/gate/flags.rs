//! The flags of `verify MODEL --…` that answer a rule.

use std::ffi::OsString;
use std::path::Path;

use crate::certificate::Norm;
use crate::policy::{Input, Limits, ModelPolicy, Rule, decimal};

/// Everything after the model. Paths of the policy are relative to `folder`.
pub fn flags(rule: &Rule, model: &ModelPolicy, limits: &Limits, folder: &Path) -> Vec<OsString> {
    let mut flags = Flags(Vec::new());
    match rule {
        Rule::Lipschitz(rule) => flags.pair("--lipschitz", norm(rule.norm)),
        Rule::Specification(rule) => flags.pair("--spec", folder.join(&rule.file)),
        Rule::Robustness(rule) => {
            flags.0.push("--robust".into());
            flags.pair("--data", folder.join(&rule.data));
            if let Some(labels) = &rule.labels {
                flags.pair("--labels", folder.join(labels));
            }
            flags.pair("--samples", rule.samples.to_string());
            flags.pair("--norm", norm(rule.norm));
            flags.pair("--eps", decimal(rule.epsilon));
            flags.input(&model.input);
        }
    }
    flags.pair("--timeout", decimal(limits.timeout));
    flags.pair("--memory", decimal(limits.memory));
    flags.pair("--seed", limits.seed.to_string());
    flags.0
}

struct Flags(Vec<OsString>);

impl Flags {
    fn pair(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.extend([name.into(), value.into()]);
    }

    /// Decimals joined by commas, with `=` so that a sign is not taken for a flag.
    fn list(&mut self, name: &str, values: &[f64]) {
        if !values.is_empty() {
            let values: Vec<String> = values.iter().copied().map(decimal).collect();
            self.0.push(format!("{name}={}", values.join(",")).into());
        }
    }

    fn input(&mut self, input: &Input) {
        self.list("--input-mean", &input.mean);
        self.list("--input-std", &input.std);
        self.list("--clip", input.clip.as_ref().map_or(&[], |clip| clip));
    }
}

const fn norm(norm: Norm) -> &'static str {
    match norm {
        Norm::L2 => "l2",
        Norm::Linf => "linf",
    }
}
