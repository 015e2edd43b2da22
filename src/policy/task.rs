//! Rules as tasks: what one run of a pass answers, and the requirements on the answer.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use toml::Spanned;

use super::figure::{Decisive, decisive};
use super::file::{
    HessianTraceRule, LipschitzRule, ModelPolicy, RobustnessRule, SpecificationRule, StabilityRule, TightnessRule,
};
use super::read::Wrong;
use super::requirement::{Condition, Expected, Limit, Requirement};
use super::stated::MOST;
use crate::certificate::{Assurance, Bits, CurvatureMatrix, LossName, Norm};

/// The greatest regression that a rule may allow, as a fraction of the baseline's figure.
const MOST_REGRESSION: f64 = 10.0;

/// The line of a byte.
pub(super) type LineOf<'a> = &'a dyn Fn(usize) -> usize;

/// A rule of one model.
#[derive(Clone, Debug)]
pub enum Rule {
    Lipschitz(LipschitzRule),
    Specification(SpecificationRule),
    Robustness(RobustnessRule),
    Tightness(TightnessRule),
    HessianTrace(HessianTraceRule),
    Stability(StabilityRule),
}

/// What one run of a pass can answer, and what is required of the answer.
#[derive(Clone, Debug)]
pub struct Task {
    /// Unique within the model; letters, digits, dots and dashes, and an underscore before a number that tells two apart.
    pub name: String,
    /// The name that it shares with others of its kind about the same norm or size.
    pub(super) base: String,
    pub rule: Rule,
    /// Line of the policy where the rule begins, from 1.
    pub line: usize,
    pub requirements: Vec<Requirement>,
    /// Data and specification files that the claims are about, relative to the policy.
    pub files: Vec<PathBuf>,
}

impl Task {
    /// `line_of` is the line of a byte of the policy, `start` the rule's first.
    ///
    /// # Errors
    /// What makes no sense about the rule.
    pub(super) fn new(model: &str, policy: &ModelPolicy, rule: &Rule, start: usize, line_of: LineOf) -> Result<Self, Wrong> {
        let line = line_of(start);
        match rule {
            Rule::Lipschitz(lipschitz) => Self::lipschitz(model, policy, lipschitz, line, line_of, rule.clone()),
            Rule::Specification(specification) => Ok(Self::specification(model, specification, line, rule.clone())),
            Rule::Robustness(robustness) => Self::robustness(model, policy, robustness, line, line_of, rule.clone()),
            Rule::Tightness(tightness) => Self::tightness(model, policy, tightness, line, line_of, rule.clone()),
            Rule::HessianTrace(trace) => Self::hessian_trace(model, trace, line, line_of, rule.clone()),
            Rule::Stability(stability) => Self::stability(model, stability, line, rule.clone()),
        }
    }

    fn lipschitz(
        model: &str,
        policy: &ModelPolicy,
        wanted: &LipschitzRule,
        line: usize,
        line_of: LineOf,
        rule: Rule,
    ) -> Result<Self, Wrong> {
        let (norm, symbol) = (wanted.norm.name(), wanted.norm.symbol());
        let mut limits = Vec::new();
        if let Some(bound) = &wanted.max_bound {
            limits.push(("max-bound", Limit::AtMost(spanned("max-bound", bound)?), line_of(bound.span().start)));
        }
        if let Some(regression) = &wanted.max_regression {
            let fraction = *regression.get_ref();
            if policy.baseline.is_none() {
                return Err(Wrong::at(regression, format!("`max-regression` needs a `baseline` of `models.{model}`")));
            }
            if !(0.0..=MOST_REGRESSION).contains(&fraction) {
                let detail = format!(
                    "`max-regression` is {fraction}, which is not a fraction of the baseline's bound between 0 and {MOST_REGRESSION}"
                );
                return Err(Wrong::at(regression, detail));
            }
            limits.push(("max-regression", Limit::Regression(fraction), line_of(regression.span().start)));
        }
        if limits.is_empty() {
            return Err("the rule has neither `max-bound` nor `max-regression`".to_owned().into());
        }
        let about = Shared {
            model,
            name: format!("lipschitz-{norm}"),
            what: format!("{symbol} Lipschitz bound"),
            kind: "lipschitz",
            conditions: vec![
                Condition::is("/norm", json!(norm)),
                Condition::is("/domain", json!("global")),
                Condition::is("/semantics", json!("real")),
            ],
            assurance: wanted.assurance,
            allow_vacuous: false,
            line,
        };
        Ok(about.task(rule, limits, Vec::new()))
    }

    fn specification(model: &str, wanted: &SpecificationRule, line: usize, rule: Rule) -> Self {
        let file = wanted.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let about = Shared {
            model,
            name: format!("specification-{}", slug(&wanted.file.to_string_lossy())),
            what: format!("specification `{}`", file.escape_debug()),
            kind: "specification",
            conditions: std::iter::once(Condition::digest("/file/digest", &wanted.file))
                .chain(wanted.semantics.map(|semantics| Condition::is("/semantics", json!(semantics))))
                .collect(),
            assurance: wanted.assurance,
            allow_vacuous: wanted.allow_vacuous,
            line,
        };
        about.task(rule, vec![("holds", Limit::Is("holds"), line)], vec![wanted.file.clone()])
    }
}

impl Task {
    /// Do two rules ask about the same claim?
    pub(super) fn repeats(&self, other: &Self) -> bool {
        let about = |task: &Self| task.requirements.first().map(|first| (first.kind, first.conditions.clone()));
        about(self) == about(other)
    }

    /// Another name, where two rules about different claims would share one.
    pub(super) fn rename(&mut self, model: &str, name: String) {
        for requirement in &mut self.requirements {
            let key = requirement.id.rsplit('.').next().unwrap_or_default();
            requirement.id = format!("{model}.{name}.{key}");
        }
        self.name = name;
    }

    fn robustness(
        model: &str,
        policy: &ModelPolicy,
        wanted: &RobustnessRule,
        line: usize,
        line_of: LineOf,
        rule: Rule,
    ) -> Result<Self, Wrong> {
        if wanted.norm == Norm::L1 {
            return Err("perturbations are those of `l2` or `linf`: ℓ1 is a norm of Lipschitz bounds alone".to_owned().into());
        }
        let (norm, symbol) = (wanted.norm.name(), wanted.norm.symbol());
        let epsilon = positive("epsilon", wanted.epsilon)?;
        let least = &wanted.min_certified_accuracy;
        let accuracy = *least.get_ref();
        if !(0.0..=1.0).contains(&accuracy) {
            let detail = format!("`min-certified-accuracy` is {accuracy}, which is not between 0 and 1");
            return Err(Wrong::at(least, detail));
        }
        let (mut conditions, files) =
            around_samples(policy, &wanted.data, wanted.labels.as_deref(), wanted.samples, norm, epsilon)?;
        conditions.push(Condition::is("/semantics", json!(wanted.semantics)));
        let about = Shared {
            model,
            name: format!("robustness-{norm}-{}", decimal(epsilon)),
            what: format!(
                "certified accuracy, {symbol} perturbations of {}, {}",
                decimal(epsilon),
                samples_of(wanted.samples, &wanted.data)
            ),
            kind: "robustness",
            conditions,
            assurance: wanted.assurance,
            allow_vacuous: false,
            line,
        };
        Ok(about.task(rule, vec![("min-certified-accuracy", Limit::AtLeast(accuracy), line_of(least.span().start))], files))
    }

    fn tightness(
        model: &str,
        policy: &ModelPolicy,
        wanted: &TightnessRule,
        line: usize,
        line_of: LineOf,
        rule: Rule,
    ) -> Result<Self, Wrong> {
        let epsilon = positive("epsilon", wanted.epsilon)?;
        let (mut conditions, files) =
            around_samples(policy, &wanted.data, wanted.labels.as_deref(), wanted.samples, "linf", epsilon)?;
        conditions.push(Condition::is("/elided", json!(true)));
        let about = Shared {
            model,
            name: format!("tightness-{}", decimal(epsilon)),
            what: format!(
                "mean tightness of interval propagation, perturbations of {}, {}",
                decimal(epsilon),
                samples_of(wanted.samples, &wanted.data)
            ),
            kind: "tightness",
            conditions,
            assurance: wanted.assurance,
            allow_vacuous: false,
            line,
        };
        let least = spanned("min-tightness", &wanted.min_tightness)?;
        if least > 1.0 {
            let detail = format!("`min-tightness` is {least}, and no tightness is greater than 1");
            return Err(Wrong::at(&wanted.min_tightness, detail));
        }
        let limit = Limit::AtLeast(least);
        Ok(about.task(rule, vec![("min-tightness", limit, line_of(wanted.min_tightness.span().start))], files))
    }

    fn hessian_trace(model: &str, wanted: &HessianTraceRule, line: usize, line_of: LineOf, rule: Rule) -> Result<Self, Wrong> {
        let matrix = match wanted.matrix {
            CurvatureMatrix::Hessian => "Hessian",
            CurvatureMatrix::GaussNewton => "Gauss-Newton matrix",
            CurvatureMatrix::EmpiricalFisher => {
                return Err("`matrix` is `hessian` or `gauss-newton`: no trace is claimed of another".to_owned().into());
            }
        };
        let (labels, parameters) = (wanted.labels.as_deref(), &wanted.parameters);
        let (mut conditions, files) = objective(&wanted.data, labels, wanted.samples, wanted.loss, parameters)?;
        conditions.push(Condition::is("/matrix", json!(wanted.matrix)));
        let (samples, parameters) = (samples_of(wanted.samples, &wanted.data), parameters_of(parameters));
        let about = Shared {
            model,
            name: format!("hessian-trace-{}", loss(wanted.loss)),
            what: format!("trace of the {matrix} of the {} loss, {samples}, {parameters}", loss(wanted.loss)),
            kind: "hessian-trace",
            conditions,
            assurance: wanted.assurance,
            allow_vacuous: false,
            line,
        };
        let limit = Limit::AtMost(spanned("max-trace", &wanted.max_trace)?);
        Ok(about.task(rule, vec![("max-trace", limit, line_of(wanted.max_trace.span().start))], files))
    }

    fn stability(model: &str, wanted: &StabilityRule, line: usize, rule: Rule) -> Result<Self, Wrong> {
        let rate = positive("learning-rate", wanted.learning_rate)?;
        if wanted.batch_size == 0 {
            return Err("`batch-size` is 0".to_owned().into());
        }
        let (labels, parameters) = (wanted.labels.as_deref(), &wanted.parameters);
        let (mut conditions, files) = objective(&wanted.data, labels, wanted.samples, wanted.loss, parameters)?;
        let (samples, parameters) = (samples_of(wanted.samples, &wanted.data), parameters_of(parameters));
        conditions.push(Condition::is("/learning_rate", json!(Bits::of(rate))));
        conditions.push(Condition::is("/batch_size", json!(wanted.batch_size)));
        let about = Shared {
            model,
            name: format!("stability-{}-{}", decimal(rate), wanted.batch_size),
            what: format!(
                "SGD with learning rate {} and batches of {}, {samples}, {parameters}",
                decimal(rate),
                wanted.batch_size
            ),
            kind: "stability",
            conditions,
            assurance: wanted.assurance,
            allow_vacuous: false,
            line,
        };
        Ok(about.task(rule, vec![("stable", Limit::Is("stable"), line)], files))
    }
}

/// What a claim around samples must be about, and the files that it names.
fn around_samples(
    policy: &ModelPolicy,
    data: &Path,
    labels: Option<&Path>,
    samples: Option<u32>,
    norm: &str,
    epsilon: f64,
) -> Result<(Vec<Condition>, Vec<PathBuf>), String> {
    let input = &policy.input;
    let pointers = Samples {
        data: "/data/0/digest",
        labels: "/data/1",
        labels_digest: "/data/1/digest",
        count: "/samples",
        available: "/available",
    };
    let (mut conditions, files) = pointers.at(data, labels, samples)?;
    conditions.extend([
        Condition::is("/perturbation/norm", json!(norm)),
        Condition::is("/perturbation/epsilon", json!(decimal(epsilon))),
        Condition::is("/perturbation/mean", json!(decimals(&input.mean))),
        Condition::is("/perturbation/deviation", json!(decimals(&input.std))),
        input.channel_axis.map_or(Condition::absent("/perturbation/channel_axis"), |axis| {
            Condition::is("/perturbation/channel_axis", json!(axis))
        }),
        Condition::is("/perturbation/clip", input.clip.map_or(Value::Null, |clip| json!(decimals(&clip)))),
    ]);
    Ok((conditions, files))
}

/// What a claim about a loss must be about, and the files that it names.
fn objective(
    data: &Path,
    labels: Option<&Path>,
    samples: Option<u32>,
    of: LossName,
    parameters: &[String],
) -> Result<(Vec<Condition>, Vec<PathBuf>), String> {
    let pointers = Samples {
        data: "/objective/data/0/digest",
        labels: "/objective/data/1",
        labels_digest: "/objective/data/1/digest",
        count: "/objective/samples",
        available: "/objective/scope/available",
    };
    let (mut conditions, files) = pointers.at(data, labels, samples)?;
    conditions.push(Condition::is("/objective/loss", json!(loss(of))));
    conditions.push(if parameters.is_empty() {
        Condition::is("/objective/scope/complete", json!(true))
    } else {
        Condition { pointer: "/objective/parameters", expected: Expected::Names(parameters.to_vec()) }
    });
    Ok((conditions, files))
}

/// Where a claim says which samples it is about.
struct Samples {
    data: &'static str,
    labels: &'static str,
    labels_digest: &'static str,
    count: &'static str,
    available: &'static str,
}

impl Samples {
    /// The digest of the data's file, that of the labels' file, none where the rule names none (else inputs could be their own
    /// targets), and the number of samples: all, unless the rule says how many.
    fn at(&self, data: &Path, labels: Option<&Path>, samples: Option<u32>) -> Result<(Vec<Condition>, Vec<PathBuf>), String> {
        if samples == Some(0) {
            return Err("`samples` is 0".to_owned());
        }
        let labels_are = labels.map_or(Condition::absent(self.labels), |labels| Condition::digest(self.labels_digest, labels));
        let as_many = match samples {
            Some(samples) => Condition::is(self.count, json!(samples)),
            None => Condition { pointer: self.count, expected: Expected::SameAs(self.available) },
        };
        let conditions = vec![Condition::digest(self.data, data), labels_are, as_many];
        Ok((conditions, [Some(data), labels].into_iter().flatten().map(Path::to_owned).collect()))
    }
}

/// The samples of a rule in words.
fn samples_of(samples: Option<u32>, data: &Path) -> String {
    let file = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let file = file.escape_debug();
    samples.map_or_else(|| format!("all samples of `{file}`"), |samples| format!("the first {samples} samples of `{file}`"))
}

/// The parameters of a rule in words.
fn parameters_of(names: &[String]) -> String {
    if names.is_empty() {
        return "all trained parameters".to_owned();
    }
    names.iter().map(|name| format!("`{}`", name.escape_debug())).collect::<Vec<_>>().join(", ")
}

const fn loss(loss: LossName) -> &'static str {
    match loss {
        LossName::CrossEntropy => "cross-entropy",
        LossName::Mse => "mse",
    }
}

/// The shortest decimal that reads back as the number: how the command line is told, and so how claims say it.
#[must_use]
pub fn decimal(value: f64) -> String {
    value.to_string()
}

fn decimals(values: &[f64]) -> Vec<String> {
    values.iter().copied().map(decimal).collect()
}

/// What the requirements of one rule share.
struct Shared<'a> {
    model: &'a str,
    name: String,
    what: String,
    kind: &'static str,
    conditions: Vec<Condition>,
    assurance: Assurance,
    allow_vacuous: bool,
    line: usize,
}

impl Shared<'_> {
    /// `limits` with their names and lines.
    fn task(self, rule: Rule, limits: Vec<(&str, Limit, usize)>, files: Vec<PathBuf>) -> Task {
        let figures = decisive(self.kind);
        let requirements = limits.into_iter().filter_map(|(key, limit, line)| {
            let Decisive { figure, limit: best, .. } = figures?;
            Some(Requirement {
                id: format!("{}.{}.{key}", self.model, self.name),
                what: self.what.clone(),
                line,
                kind: self.kind,
                conditions: self.conditions.clone(),
                figure,
                best,
                limit,
                assurance: self.assurance,
                allow_vacuous: self.allow_vacuous,
            })
        });
        Task { requirements: requirements.collect(), base: self.name.clone(), name: self.name, rule, line: self.line, files }
    }
}

fn spanned(name: &str, value: &Spanned<f64>) -> Result<f64, Wrong> {
    positive(name, *value.get_ref()).map_err(|detail| Wrong::at(value, detail))
}

fn positive(name: &str, value: f64) -> Result<f64, String> {
    if !(value > 0.0 && value.is_finite()) {
        Err(format!("`{name}` is {value}, which is not positive and finite"))
    } else if value > MOST {
        Err(format!("`{name}` is {value:e}: a number above {MOST:e} limits nothing"))
    } else {
        Ok(value)
    }
}

/// The name of a file as a piece of a name.
fn slug(path: &str) -> String {
    let short = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let short = short.split('.').next().unwrap_or(short);
    short.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect()
}
