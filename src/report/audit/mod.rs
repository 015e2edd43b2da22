//! The audit: what is established about models, what a policy makes of it, and what a reader needs to judge both.
//!
//! It is computed once (`claims`, `figures`, `example`, `question`, `chart`, `change`) and rendered as text, JSON, Markdown, SARIF, JUnit or HTML by the files
//! beside this folder. It holds nothing that changes from run to run but what certificates record and the time, which
//! `SOURCE_DATE_EPOCH` fixes.

mod change;
mod chart;
mod claims;
mod example;
mod figures;
mod question;
mod recorded;
mod time;
mod verdict;

pub use change::{Change, Direction, changes};
pub use chart::{Bar, Chart, Image, Mark, Series};
pub use claims::{CertificateSection, ClaimSection, RefusalText};
pub use example::{ChangedInput, Example};
pub use figures::FigureRow;
pub use question::{Headline, Outcome, Question};
pub use recorded::{DescriptiveFigure, DescriptiveSection, Results, ResultsError};
pub use time::{generated, rfc3339};
pub use verdict::{Verdict, status_word, worst};

use schemars::JsonSchema;
use serde::Serialize;

use crate::kernel::model::ir::Op;
use crate::kernel::model::onnx::Model;
use crate::kernel::proof::{Assurance, ExternalFile, Tool};
use crate::policy::Status;

/// The schema of an audit as JSON.
pub const REPORT_SCHEMA: &str = "nnverify-report/1.1";
/// Layers that are listed; a model may have a million.
const MAX_LAYERS: usize = 250;

/// Everything that a report says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    pub schema: String,
    pub tool: Tool,
    /// When the report was made, in RFC 3339.
    pub generated: String,
    pub verdict: Verdict,
    pub policy: Option<PolicySection>,
    pub models: Vec<ModelSection>,
    pub environment: Environment,
}

/// A policy and what became of its rules.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySection {
    pub path: String,
    /// SHA-256 of the file.
    pub digest: String,
    pub rules: Vec<RuleOutcome>,
    /// What a reader should know about the files of the policy.
    pub notes: Vec<String>,
}

/// One line of the policy's table.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleOutcome {
    pub id: String,
    pub model: String,
    /// What is limited, in words.
    pub what: String,
    /// The claim that decided it, in words, where that is about files: of how many samples, by which parameters.
    pub statement: Option<String>,
    /// Line of the policy, from 1.
    pub line: usize,
    pub limit: String,
    pub value: Option<String>,
    /// Room between value and limit; negative where the limit is broken.
    pub margin: Option<f64>,
    /// The margin for people, with the share of the limit.
    pub room: Option<String>,
    pub status: Status,
    pub assurance: Option<Assurance>,
    pub detail: Option<String>,
    /// The diagnostic that explains a status other than met.
    pub code: Option<String>,
    pub certificate: Option<String>,
    /// The claim of that certificate that decided it.
    pub claim: Option<String>,
    /// Was the certificate at hand, and only checked again?
    pub reused: bool,
}

/// A model: what it is, and what is claimed about it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    pub name: String,
    pub path: String,
    /// SHA-256 of the (decompressed) file.
    pub digest: String,
    pub external: Vec<ExternalFile>,
    /// None where it is no ONNX file.
    pub opset: Option<i64>,
    pub producer: String,
    pub input: Port,
    pub output: Port,
    pub parameters: usize,
    pub operators: Vec<Operator>,
    /// The layers that the network was lowered to, up to a number.
    pub layers: Vec<Layer>,
    pub more_layers: usize,
    pub notes: Vec<String>,
    /// What the claims answer, the worst first.
    pub questions: Vec<Question>,
    pub certificates: Vec<CertificateSection>,
    /// What passes computed and nobody checks.
    pub descriptive: Vec<DescriptiveSection>,
    pub changes: Vec<Change>,
    /// The certificate that the changes are measured from.
    pub baseline: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    pub name: String,
    pub shape: Vec<usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    pub name: String,
    pub count: usize,
}

/// One operation of the lowered network that the input reaches.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Name and operator of the node of the file that it was made from.
    pub name: String,
    pub operator: String,
    pub operation: String,
    pub shape: Vec<usize>,
}

/// Where the report was made.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    pub operating_system: String,
    pub architecture: String,
}

impl Audit {
    #[must_use]
    pub fn new(mut models: Vec<ModelSection>, policy: Option<PolicySection>) -> Self {
        if let Some(policy) = &policy {
            for model in &mut models {
                let ModelSection { questions, certificates, .. } = model;
                questions.iter_mut().for_each(|question| question.judge(certificates, &policy.rules));
                questions.sort_by_key(|question| question.outcome);
            }
        }
        limit_pictures(&mut models);
        Self {
            schema: REPORT_SCHEMA.to_owned(),
            tool: Tool { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            generated: generated(),
            verdict: Verdict::new(&models, policy.as_ref()),
            policy,
            models,
            environment: Environment {
                operating_system: std::env::consts::OS.to_owned(),
                architecture: std::env::consts::ARCH.to_owned(),
            },
        }
    }

    pub fn certificates(&self) -> impl Iterator<Item = &CertificateSection> {
        self.models.iter().flat_map(|model| &model.certificates)
    }

    /// Refused certificates that no rule of the policy tells of, and their models.
    pub fn untold_refusals(&self) -> impl Iterator<Item = (&ModelSection, &CertificateSection, &RefusalText)> {
        let rules = || self.policy.iter().flat_map(|policy| &policy.rules);
        let told =
            move |path: &str| rules().any(|rule| rule.status == Status::Refused && rule.certificate.as_deref() == Some(path));
        self.models
            .iter()
            .flat_map(|model| model.certificates.iter().map(move |certificate| (model, certificate)))
            .filter_map(|(model, certificate)| Some((model, certificate, certificate.refusal.as_ref()?)))
            .filter(move |(_, certificate, _)| !told(&certificate.path))
    }

    pub fn claims(&self) -> impl Iterator<Item = &ClaimSection> {
        self.certificates().flat_map(|certificate| &certificate.claims)
    }
}

/// What the pictures of all counterexamples together may take, so that a page stays below a megabyte. A pixel of a colour of its
/// own takes some forty bytes, a grey one a third.
const MOST_COLOURS: usize = 12_000;

/// Leaves out the pictures beyond [`MOST_COLOURS`]; the numbers stay.
fn limit_pictures(models: &mut [ModelSection]) {
    let mut left = MOST_COLOURS;
    let claims = models.iter_mut().flat_map(|model| &mut model.certificates).flat_map(|certificate| &mut certificate.claims);
    for example in claims.flat_map(|claim| &mut claim.examples) {
        let takes: usize = example.images.iter().map(|image| image.values.len() / 3).sum();
        match left.checked_sub(takes) {
            Some(rest) => left = rest,
            None => example.images.clear(),
        }
    }
}

impl PolicySection {
    /// The rules, those that need attention first.
    #[must_use]
    pub fn by_urgency(&self) -> Vec<&RuleOutcome> {
        let mut rules: Vec<&RuleOutcome> = self.rules.iter().collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(verdict::rank(rule.status)));
        rules
    }
}

impl ModelSection {
    #[must_use]
    pub fn new(name: String, path: String, model: &Model, certificates: Vec<CertificateSection>) -> Self {
        let port = |port: &crate::kernel::model::onnx::Port| Port { name: port.name.clone(), shape: port.shape.clone() };
        let variable = || model.network.nodes().iter().filter(|node| node.variable);
        let layers = variable().take(MAX_LAYERS).map(|node| Layer {
            name: node.name.clone(),
            operator: node.operator.clone(),
            operation: operation(&node.op).to_owned(),
            shape: node.shape.clone(),
        });
        let mut section = Self {
            name,
            path,
            digest: model.digest.clone(),
            external: model
                .external
                .iter()
                .map(|file| ExternalFile { location: file.location.clone(), digest: file.digest.clone() })
                .collect(),
            opset: model.opset,
            producer: model.producer.clone(),
            input: port(&model.input),
            output: port(&model.output),
            parameters: model.parameters,
            operators: model.operators.iter().map(|(name, count)| Operator { name: name.clone(), count: *count }).collect(),
            layers: layers.collect(),
            more_layers: variable().count().saturating_sub(MAX_LAYERS),
            notes: model.notes.clone(),
            questions: Vec::new(),
            certificates: Vec::new(),
            descriptive: Vec::new(),
            changes: Vec::new(),
            baseline: None,
        };
        section.set_certificates(certificates);
        section
    }

    /// Takes the certificates, and what they answer.
    pub fn set_certificates(&mut self, certificates: Vec<CertificateSection>) {
        self.questions = question::questions(&certificates);
        self.certificates = certificates;
    }
}

/// The name of an operation of the lowered network.
const fn operation(op: &Op) -> &'static str {
    match op {
        Op::Input => "input",
        Op::Constant(_) => "constant",
        Op::Reshape => "reshape",
        Op::Rearrange(_) => "rearrangement",
        Op::MatMul => "matrix product",
        Op::Conv(_) => "convolution",
        Op::Binary(_) => "binary operation",
        Op::Function(_) => "elementwise function",
        Op::Increment(_) => "increment of a function",
        Op::PRelu => "PReLU",
        Op::Reduce(_) => "reduction",
        Op::Sort { .. } => "sort",
        Op::Softmax => "softmax",
        Op::Equilibrium(_) => "implicit equation",
    }
}

/// The assurance in one word.
#[must_use]
pub const fn assurance_word(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::Proved => "proved",
        Assurance::Checked => "checked",
        Assurance::Estimated => "estimated",
    }
}
