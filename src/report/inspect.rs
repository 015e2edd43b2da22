//! The report of `inspect`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::kernel::lipschitz::form::{Form, Segment, SortForm};
use crate::kernel::model::onnx::Model;
use crate::query::{Ability, abilities};

/// What a model consists of and what can be certified about it.
#[derive(Debug, Serialize)]
pub struct InspectReport {
    model: String,
    digest: String,
    /// SHA-256 of the model with its external data, which policies pin.
    whole_digest: String,
    /// None where it is no ONNX file.
    opset: Option<i64>,
    producer: String,
    input: Port,
    output: Port,
    parameters: usize,
    operators: BTreeMap<String, usize>,
    external: Vec<String>,
    groups: Vec<GroupSummary>,
    /// Order of the matrix of the Lipschitz program.
    matrix_order: Option<usize>,
    /// Questions that can be asked, by their options.
    certifiable: Vec<String>,
    /// Those that cannot, each with the reason.
    not_certifiable: Vec<String>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Port {
    name: String,
    shape: Vec<usize>,
}

/// Bounded parts of the same kind.
#[derive(Debug, Serialize, PartialEq)]
struct GroupSummary {
    /// Number of groups.
    count: usize,
    /// Elements of each.
    size: usize,
    slopes: [f64; 2],
    /// The node that they come from.
    node: String,
}

impl InspectReport {
    #[must_use]
    pub fn new(path: &Path, model: &Model) -> Self {
        let port = |port: &crate::kernel::model::onnx::Port| Port { name: port.name.clone(), shape: port.shape.clone() };
        let form = Form::new(&model.network, Segment::whole(&model.network), SortForm::Comparators);
        let (mut certifiable, mut not_certifiable) = (Vec::new(), Vec::new());
        for Ability { question, obstacle } in abilities(model) {
            match obstacle {
                None => certifiable.push(question.to_owned()),
                Some(obstacle) => not_certifiable.push(format!("{question}: {obstacle}")),
            }
        }
        Self {
            model: path.display().to_string(),
            digest: model.digest.clone(),
            whole_digest: model.whole_digest(),
            opset: model.opset,
            producer: model.producer.clone(),
            input: port(&model.input),
            output: port(&model.output),
            parameters: model.parameters,
            operators: model.operators.iter().cloned().collect(),
            external: model.external.iter().map(|file| file.location.clone()).collect(),
            groups: form.as_ref().map(summaries).unwrap_or_default(),
            matrix_order: form.as_ref().ok().map(|form| form.dimension),
            certifiable,
            not_certifiable,
            notes: model.notes.clone(),
        }
    }
}

fn summaries(form: &Form) -> Vec<GroupSummary> {
    let mut summaries: Vec<GroupSummary> = Vec::new();
    for group in &form.groups {
        let slopes = [group.slopes.lower, group.slopes.upper];
        let size = group.arguments.len();
        match summaries.last_mut().filter(|last| last.node == group.node && last.size == size && last.slopes == slopes) {
            Some(last) => last.count += 1,
            None => summaries.push(GroupSummary { count: 1, size, slopes, node: group.node.clone() }),
        }
    }
    summaries
}

impl fmt::Display for InspectReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operators: Vec<String> = self.operators.iter().map(|(name, count)| format!("{name} ×{count}")).collect();
        writeln!(f, "model       {}", super::visible(&self.model))?;
        writeln!(f, "sha256      {}", self.digest)?;
        if self.whole_digest != self.digest {
            writeln!(f, "whole       {} (with its external data)", self.whole_digest)?;
        }
        writeln!(
            f,
            "{}{}",
            self.opset.map_or_else(|| "format      implicit network (JSON)".to_owned(), |opset| format!("opset       {opset}")),
            if self.producer.is_empty() { String::new() } else { format!(", by {}", self.producer) }
        )?;
        writeln!(f, "input       `{}` {:?}", self.input.name, self.input.shape)?;
        writeln!(f, "output      `{}` {:?}", self.output.name, self.output.shape)?;
        writeln!(f, "parameters  {}", self.parameters)?;
        writeln!(f, "operators   {}", operators.join(", "))?;
        for file in &self.external {
            writeln!(f, "external    {file}")?;
        }
        for group in &self.groups {
            let of = if group.size > 1 { format!(" of {} elements", group.size) } else { String::new() };
            let [lower, upper] = group.slopes;
            writeln!(f, "groups      {}{of} from `{}`, slopes [{lower}, {upper}]", group.count, group.node)?;
        }
        if let Some(order) = self.matrix_order {
            writeln!(f, "matrix      order {order} before compression of the input")?;
        }
        self.certifiable.iter().try_for_each(|claim| writeln!(f, "certifiable {claim}"))?;
        self.not_certifiable.iter().try_for_each(|claim| writeln!(f, "cannot      {claim}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note        {note}"))
    }
}
