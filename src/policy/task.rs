//! Rules as tasks: the question that a rule asks, and the requirements on the answer.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::file::{
    AccuracyRule, BoxRule, Corners, HessianTraceRule, LipschitzRule, ModelPolicy, RadiusRule, RobustnessRule, SpecificationRule,
    StabilityRule, TightnessRule,
};
use super::read::Wrong;
use super::requirement::{Limit, Requirement};
use super::stated::MOST;
use crate::kernel::proof::{Assurance, CurvatureMatrix, LossName};
use crate::pass::derivatives::{Precision, Selection};
use crate::query::{
    HessianTraceQuery, LipschitzQuery, ObjectiveQuery, Query, Region, Samples, Sgd, SpecificationQuery, StabilityQuery,
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
    Accuracy(AccuracyRule),
    Radius(RadiusRule),
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
            Rule::Accuracy(accuracy) => Self::accuracy(model, policy, accuracy, line, line_of),
            Rule::Radius(radius) => Self::radius(model, policy, radius, line, line_of),
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
        let (region, place) = match &wanted.region {
            None => (everywhere.region.clone(), String::new()),
            Some(region) => on_box(region)?,
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
                first: None,
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
        if wanted.loss == LossName::CrossEntropy {
            let detail = "`loss` is `cross-entropy`, which has no finite minimiser on separable data: no parameters are proved stable \
                          (`mse` has minimisers)";
            return Err(detail.to_owned().into());
        }
        if let Some(samples) = wanted.samples.filter(|samples| wanted.batch_size > *samples) {
            return Err(format!("`batch-size` is {}, and there are {samples} `samples`", wanted.batch_size).into());
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

/// A box, and what it is in words.
fn on_box(region: &Spanned<BoxRule>) -> Result<(Region, String), Wrong> {
    match region.get_ref() {
        BoxRule::Interval([low, high]) if low < high && low.is_finite() && high.is_finite() => {
            Ok((Region::Interval { low: *low, high: *high }, format!(", inputs between {low} and {high}")))
        }
        BoxRule::Interval([low, high]) => {
            let detail = format!("`region` is [{low}, {high}], which is not two finite numbers, the lower one first");
            Err(Wrong::at(region, detail))
        }
        BoxRule::Each(Corners { lower, upper }) => {
            if lower.len() != upper.len() || lower.is_empty() {
                let detail = format!("`region` has {} lower and {} upper numbers", lower.len(), upper.len());
                return Err(Wrong::at(region, detail));
            }
            let wrong = |(low, high): (&f64, &f64)| !(low <= high && low.is_finite() && high.is_finite());
            if let Some(input) = lower.iter().zip(upper).position(wrong) {
                let (low, high) = (lower[input], upper[input]);
                let detail = format!("`region`: input {input} lies between {low} and {high}, not two finite numbers in order");
                return Err(Wrong::at(region, detail));
            }
            if lower == upper {
                return Err(Wrong::at(region, "`region` is one point, on which nothing moves".to_owned()));
            }
            let place = format!(", on a box of {} inputs", lower.len());
            Ok((Region::Box { lower: lower.clone(), upper: upper.clone() }, place))
        }
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

pub(super) fn samples(data: &Path, labels: Option<&PathBuf>, count: Option<u32>) -> Result<Samples, String> {
    if count == Some(0) {
        return Err("`samples` is 0".to_owned());
    }
    Ok(Samples { data: data.to_owned(), labels: labels.cloned(), count })
}

/// The samples of a rule in words.
pub(super) fn samples_of(samples: Option<u32>, data: &Path) -> String {
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
pub(super) fn decimal(value: f64) -> String {
    value.to_string()
}

/// What the requirements of one rule share.
pub(super) struct Shared<'a> {
    pub model: &'a str,
    pub name: String,
    pub what: String,
    pub query: Query,
    pub assurance: Assurance,
    pub allow_vacuous: bool,
    pub line: usize,
}

impl Shared<'_> {
    /// `limits` with their names and lines.
    pub fn task(self, limits: Vec<(&str, Limit, usize)>) -> Task {
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

pub(super) fn spanned(name: &str, value: &Spanned<f64>) -> Result<f64, Wrong> {
    positive(name, *value.get_ref()).map_err(|detail| Wrong::at(value, detail))
}

pub(super) fn positive(name: &str, value: f64) -> Result<f64, String> {
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
