//! The flags of `verify MODEL --…` that answer a rule.

use std::ffi::OsString;
use std::path::Path;

use crate::certificate::{Assurance, CurvatureMatrix, LossName, Semantics};
use crate::policy::{Input, Limits, ModelPolicy, Rule, decimal};

/// Everything after the model. Paths of the policy are relative to `folder`.
pub fn flags(rule: &Rule, model: &ModelPolicy, limits: &Limits, folder: &Path) -> Vec<OsString> {
    let mut flags = Flags(Vec::new());
    match rule {
        Rule::Lipschitz(rule) => flags.pair("--lipschitz", rule.norm.name()),
        Rule::Specification(rule) => {
            flags.pair("--spec", folder.join(&rule.file));
            if let Some(semantics) = rule.semantics {
                flags.pair("--semantics", arithmetic(semantics));
            }
        }
        Rule::Robustness(rule) => {
            flags.0.push("--robust".into());
            flags.samples(folder, &rule.data, rule.labels.as_deref(), rule.samples);
            flags.pair("--norm", rule.norm.name());
            flags.pair("--eps", decimal(rule.epsilon));
            flags.pair("--semantics", arithmetic(rule.semantics));
            flags.input(&model.input);
        }
        Rule::Tightness(rule) => {
            flags.0.push("--tightness".into());
            flags.samples(folder, &rule.data, rule.labels.as_deref(), rule.samples);
            flags.pair("--eps", decimal(rule.epsilon));
            flags.input(&model.input);
        }
        Rule::HessianTrace(rule) => {
            flags.0.push("--hessian-trace".into());
            flags.samples(folder, &rule.data, rule.labels.as_deref(), rule.samples);
            flags.pair("--loss", loss(rule.loss));
            flags.only(&rule.parameters);
            flags.0.push(
                if rule.matrix == CurvatureMatrix::GaussNewton { "--trace-of=gauss-newton" } else { "--trace-of=hessian" }.into(),
            );
        }
        Rule::Stability(rule) => {
            flags.0.push("--hessian-trace".into());
            flags.samples(folder, &rule.data, rule.labels.as_deref(), rule.samples);
            flags.pair("--loss", loss(rule.loss));
            flags.only(&rule.parameters);
            flags.pair("--learning-rate", decimal(rule.learning_rate));
            flags.pair("--batch-size", rule.batch_size.to_string());
        }
    }
    flags.pair("--timeout", decimal(limits.timeout));
    flags.pair("--memory", decimal(limits.memory));
    flags.pair("--seed", seed(rule, limits).to_string());
    flags.0
}

/// The seed of a search. An estimate that may meet a rule must not rest on probes that whoever made the model knew.
fn seed(rule: &Rule, limits: &Limits) -> u64 {
    match rule {
        Rule::HessianTrace(rule) if rule.assurance == Assurance::Estimated => {
            // The standard library's hasher is keyed anew from the system's entropy.
            std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), limits.seed)
        }
        _ => limits.seed,
    }
}

struct Flags(Vec<OsString>);

impl Flags {
    fn pair(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.extend([name.into(), value.into()]);
    }

    fn samples(&mut self, folder: &Path, data: &Path, labels: Option<&Path>, samples: Option<u32>) {
        self.pair("--data", folder.join(data));
        if let Some(labels) = labels {
            self.pair("--labels", folder.join(labels));
        }
        if let Some(samples) = samples {
            self.pair("--samples", samples.to_string());
        }
    }

    fn only(&mut self, parameters: &[String]) {
        parameters.iter().for_each(|name| self.0.push(format!("--only={name}").into()));
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
        if let Some(axis) = input.channel_axis {
            self.0.push(format!("--channel-axis={axis}").into());
        }
        self.list("--clip", input.clip.as_ref().map_or(&[], |clip| clip));
    }
}

const fn arithmetic(semantics: Semantics) -> &'static str {
    match semantics {
        Semantics::Real => "real",
        Semantics::Float32 => "float32",
    }
}

const fn loss(loss: LossName) -> &'static str {
    match loss {
        LossName::CrossEntropy => "cross-entropy",
        LossName::Mse => "mse",
    }
}
