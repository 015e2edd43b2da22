//! Rules as tasks: the question that a rule asks, and the requirements on the answer.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::file::{
    HessianTraceRule, Input, LipschitzRule, ModelPolicy, RobustnessRule, SpecificationRule, StabilityRule, TightnessRule,
};
use super::read::Wrong;
use super::requirement::{Limit, Requirement};
use super::stated::MOST;
use crate::certificate::{Assurance, CurvatureMatrix, LossName, Norm, Perturbation};
use crate::pass::derivatives::{Precision, Selection};
use crate::query::{
    HessianTraceQuery, LipschitzQuery, ObjectiveQuery, Query, Region, RobustnessQuery, Samples, Sgd, SpecificationQuery,
    StabilityQuery, TightnessQuery,
};

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

/// A question, and what is required of the answer.
#[derive(Clone, Debug)]
pub struct Task {
    /// Unique within the model; letters, digits, dots and dashes, and an underscore before a number that tells two apart.
    pub name: String,
    /// The name that it shares with others of its kind about the same norm or size.
    pub(super) base: String,
    /// Its paths are relative to the policy.
    pub query: Query,
    /// Line of the policy where the rule begins, from 1.
    pub line: usize,
    pub requirements: Vec<Requirement>,
}

impl Task {
    /// `line_of` is the line of a byte of the policy, `start` the rule's first.
    ///
    /// # Errors
    /// What makes no sense about the rule.
    pub(super) fn new(model: &str, policy: &ModelPolicy, rule: &Rule, start: usize, line_of: LineOf) -> Result<Self, Wrong> {
        let line = line_of(start);
        match rule {
            Rule::Lipschitz(lipschitz) => Self::lipschitz(model, policy, lipschitz, line, line_of),
            Rule::Specification(specification) => Ok(Self::specification(model, specification, line)),
            Rule::Robustness(robustness) => Self::robustness(model, policy, robustness, line, line_of),
            Rule::Tightness(tightness) => Self::tightness(model, policy, tightness, line, line_of),
            Rule::HessianTrace(trace) => Self::hessian_trace(model, trace, line, line_of),
            Rule::Stability(stability) => Self::stability(model, stability, line),
        }
    }

    fn lipschitz(model: &str, policy: &ModelPolicy, wanted: &LipschitzRule, line: usize, line_of: LineOf) -> Result<Self, Wrong> {
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
        let everywhere = LipschitzQuery::everywhere(wanted.norm);
        let (region, place) = match wanted.region {
            None => (everywhere.region.clone(), String::new()),
            Some([low, high]) if low < high && low.is_finite() && high.is_finite() => {
                (Region::Interval { low, high }, format!(", inputs between {low} and {high}"))
            }
            Some([low, high]) => {
                return Err(format!("`region` is [{low}, {high}], which is not two finite numbers, the lower one first").into());
            }
        };
        let about = Shared {
            model,
            name: format!("lipschitz-{norm}{}", if wanted.region.is_some() { "-box" } else { "" }),
            what: format!("{symbol} Lipschitz bound{place}"),
            query: Query::Lipschitz(LipschitzQuery { region, ..everywhere }),
            assurance: wanted.assurance,
            allow_vacuous: false,
            line,
        };
        Ok(about.task(limits))
    }

    fn specification(model: &str, wanted: &SpecificationRule, line: usize) -> Self {
        let file = wanted.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let about = Shared {
            model,
            name: format!("specification-{}", slug(&wanted.file.to_string_lossy())),
            what: format!("specification `{}`", file.escape_debug()),
            query: Query::Specification(SpecificationQuery {
                file: wanted.file.clone(),
                semantics: wanted.semantics,
                allow_vacuous: wanted.allow_vacuous,
            }),
            assurance: wanted.assurance,
            allow_vacuous: wanted.allow_vacuous,
            line,
        };
        about.task(vec![("holds", Limit::Is("holds"), line)])
    }
}

impl Task {
    /// The data and specification files that the question names, relative to the policy.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.query.files().into_iter().map(Path::to_owned)
    }

    /// Whether two rules ask the same.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        self.query == other.query
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
        let query = Query::Robustness(RobustnessQuery {
            samples: samples(&wanted.data, wanted.labels.as_ref(), wanted.samples)?,
            perturbation: perturbation(&policy.input, wanted.norm, epsilon),
            semantics: wanted.semantics,
        });
        let about = Shared {
            model,
            name: format!("robustness-{norm}-{}", decimal(epsilon)),
            what: format!(
                "certified accuracy, {symbol} perturbations of {}, {}",
                decimal(epsilon),
                samples_of(wanted.samples, &wanted.data)
            ),
            query,
            assurance: wanted.assurance,
            allow_vacuous: false,
            line,
        };
        Ok(about.task(vec![("min-certified-accuracy", Limit::AtLeast(accuracy), line_of(least.span().start))]))
    }

    fn tightness(model: &str, policy: &ModelPolicy, wanted: &TightnessRule, line: usize, line_of: LineOf) -> Result<Self, Wrong> {
        let epsilon = positive("epsilon", wanted.epsilon)?;
        let query = Query::Tightness(TightnessQuery {
            samples: samples(&wanted.data, wanted.labels.as_ref(), wanted.samples)?,
            perturbation: perturbation(&policy.input, Norm::Linf, epsilon),
            elided: true,
            splits: None,
            phase_splits: None,
        });
        let about = Shared {
            model,
            name: format!("tightness-{}", decimal(epsilon)),
            what: format!(
                "mean tightness of interval propagation, perturbations of {}, {}",
                decimal(epsilon),
                samples_of(wanted.samples, &wanted.data)
            ),
            query,
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
        Ok(about.task(vec![("min-tightness", limit, line_of(wanted.min_tightness.span().start))]))
    }

    fn hessian_trace(model: &str, wanted: &HessianTraceRule, line: usize, line_of: LineOf) -> Result<Self, Wrong> {
        let matrix = match wanted.matrix {
            CurvatureMatrix::Hessian => "Hessian",
            CurvatureMatrix::GaussNewton => "Gauss-Newton matrix",
            CurvatureMatrix::EmpiricalFisher => {
                return Err("`matrix` is `hessian` or `gauss-newton`: no trace is claimed of another".to_owned().into());
            }
        };
        let parameters = &wanted.parameters;
        let query = Query::HessianTrace(HessianTraceQuery {
            objective: objective(&wanted.data, wanted.labels.as_ref(), wanted.samples, wanted.loss, parameters)?,
            matrix: Some(wanted.matrix),
            sgd: None,
        });
        let (samples, parameters) = (samples_of(wanted.samples, &wanted.data), parameters_of(parameters));
        let about = Shared {
            model,
            name: format!("hessian-trace-{}", loss(wanted.loss)),
            what: format!("trace of the {matrix} of the {} loss, {samples}, {parameters}", loss(wanted.loss)),
            query,
            assurance: wanted.assurance,
            allow_vacuous: false,
            line,
        };
        let limit = Limit::AtMost(spanned("max-trace", &wanted.max_trace)?);
        Ok(about.task(vec![("max-trace", limit, line_of(wanted.max_trace.span().start))]))
    }

    fn stability(model: &str, wanted: &StabilityRule, line: usize) -> Result<Self, Wrong> {
        let rate = positive("learning-rate", wanted.learning_rate)?;
        if wanted.batch_size == 0 {
            return Err("`batch-size` is 0".to_owned().into());
        }
        let parameters = &wanted.parameters;
        let query = Query::Stability(StabilityQuery {
            objective: objective(&wanted.data, wanted.labels.as_ref(), wanted.samples, wanted.loss, parameters)?,
            sgd: Sgd { learning_rate: rate, batch_size: wanted.batch_size },
        });
        let (samples, parameters) = (samples_of(wanted.samples, &wanted.data), parameters_of(parameters));
        let about = Shared {
            model,
            name: format!("stability-{}-{}", decimal(rate), wanted.batch_size),
            what: format!(
                "SGD with learning rate {} and batches of {}, {samples}, {parameters}",
                decimal(rate),
                wanted.batch_size
            ),
            query,
            assurance: wanted.assurance,
            allow_vacuous: false,
            line,
        };
        Ok(about.task(vec![("stable", Limit::Is("stable"), line)]))
    }
}

/// How a rule's samples are perturbed.
fn perturbation(input: &Input, norm: Norm, epsilon: f64) -> Perturbation {
    let decimals = |values: &[f64]| values.iter().copied().map(decimal).collect();
    Perturbation {
        norm,
        epsilon: decimal(epsilon),
        clip: input.clip.map(|clip| clip.map(decimal)),
        mean: decimals(&input.mean),
        deviation: decimals(&input.std),
        channel_axis: input.channel_axis,
    }
}

fn objective(
    data: &Path,
    labels: Option<&PathBuf>,
    count: Option<u32>,
    loss: LossName,
    parameters: &[String],
) -> Result<ObjectiveQuery, String> {
    Ok(ObjectiveQuery {
        samples: samples(data, labels, count)?,
        loss,
        parameters: Selection { only: parameters.to_vec(), ..Selection::default() },
        precision: Precision::Double,
    })
}

fn samples(data: &Path, labels: Option<&PathBuf>, count: Option<u32>) -> Result<Samples, String> {
    if count == Some(0) {
        return Err("`samples` is 0".to_owned());
    }
    Ok(Samples { data: data.to_owned(), labels: labels.cloned(), count })
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

/// The shortest decimal that reads back as the number: how claims say it.
fn decimal(value: f64) -> String {
    value.to_string()
}

/// What the requirements of one rule share.
struct Shared<'a> {
    model: &'a str,
    name: String,
    what: String,
    query: Query,
    assurance: Assurance,
    allow_vacuous: bool,
    line: usize,
}

impl Shared<'_> {
    /// `limits` with their names and lines.
    fn task(self, limits: Vec<(&str, Limit, usize)>) -> Task {
        let requirement = |(key, limit, line)| Requirement {
            id: format!("{}.{}.{key}", self.model, self.name),
            what: self.what.clone(),
            line,
            limit,
            assurance: self.assurance,
            allow_vacuous: self.allow_vacuous,
        };
        let requirements = limits.into_iter().map(requirement).collect();
        Task { requirements, base: self.name.clone(), name: self.name, query: self.query, line: self.line }
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
