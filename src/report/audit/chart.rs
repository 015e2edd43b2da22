//! Data of the report's pictures. Every picture is also a list of numbers, so that nothing depends on seeing it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::CertificateSection;
use crate::certificate::{Bundle, Claim, ClaimKind, LipschitzClaim, Norm, RobustnessClaim};
use crate::checker::prove_parts;
use crate::onnx::Model;

/// A picture's data.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "chart", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Chart {
    /// Values of one quantity from least to largest, on a logarithmic axis.
    Ladder { title: String, marks: Vec<Mark> },
    /// One value for each of several things.
    Bars { title: String, unit: String, bars: Vec<Bar> },
    /// Many values in an order of their own, on a logarithmic axis.
    Profile { title: String, description: String, values: Vec<f64> },
    /// Parts of a whole.
    Shares { title: String, parts: Vec<Bar> },
    /// A value that depends on another.
    Curve { title: String, x: String, y: String, points: Vec<[f64; 2]> },
    /// Grey images, row-major.
    Images { title: String, images: Vec<Image> },
}

/// A mark on a ladder.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub label: String,
    pub text: String,
    pub value: f64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    pub label: String,
    pub value: f64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    pub label: String,
    pub width: usize,
    pub height: usize,
    pub values: Vec<f64>,
}

/// Bars and values of a picture; more are left out, and said.
const MOST_BARS: usize = 60;
const MOST_VALUES: usize = 400;
const MOST_IMAGES: usize = 6;

/// The pictures of one claim.
#[must_use]
pub fn of_claim(claim: &Claim, bundle: &Bundle, model: &Model) -> Vec<Chart> {
    match &claim.kind {
        ClaimKind::Lipschitz(lipschitz) => of_lipschitz(lipschitz, bundle, model),
        ClaimKind::Specification(specification) => {
            let point = specification.witness.counterexample.as_ref();
            let input = point.and_then(|point| bundle.resolve(&point.input));
            let image = input.and_then(|input| image("the input that violates it".to_owned(), input, &model.input.shape));
            image.map(|image| Chart::Images { title: "Counterexample".to_owned(), images: vec![image] }).into_iter().collect()
        }
        ClaimKind::Robustness(robustness) => of_robustness(robustness, bundle, model),
        _ => Vec::new(),
    }
}

/// Pictures that take several certificates: certified accuracy against the size of perturbations.
#[must_use]
pub fn of_model(certificates: &[CertificateSection]) -> Vec<Chart> {
    let mut curves: BTreeMap<(String, String), Vec<[f64; 2]>> = BTreeMap::new();
    for claim in certificates.iter().flat_map(|certificate| &certificate.claims).filter(|claim| claim.kind == "robustness") {
        let figure = |name: &str| claim.figures.iter().find(|figure| figure.name == name);
        let (norm, epsilon) = (figure("perturbation.norm"), figure("perturbation.epsilon"));
        let (data, accuracy) = (figure("data"), figure("certified_accuracy").and_then(|figure| figure.number));
        if let (Some(norm), Some(epsilon), Some(accuracy)) = (norm, epsilon, accuracy)
            && let Ok(epsilon) = epsilon.value.parse()
        {
            let data = data.map(|data| data.value.clone()).unwrap_or_default();
            curves.entry((norm.value.clone(), data)).or_default().push([epsilon, accuracy]);
        }
    }
    let curve = |((norm, _), mut points): ((String, String), Vec<[f64; 2]>)| {
        points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        (points.len() > 1).then(|| Chart::Curve {
            title: format!("Certified accuracy against the size of perturbations ({norm})"),
            x: "size of the perturbation".to_owned(),
            y: "certified accuracy".to_owned(),
            points,
        })
    };
    curves.into_iter().filter_map(curve).collect()
}

fn of_robustness(claim: &RobustnessClaim, bundle: &Bundle, model: &Model) -> Vec<Chart> {
    let (robust, falsified) = (claim.robust.len(), claim.falsified.len());
    let unknown = (claim.samples as usize).saturating_sub(robust + falsified);
    let parts = [("robust (proved)", robust), ("falsified (proved)", falsified), ("not decided", unknown)];
    let parts = parts.map(|(label, count)| Bar { label: label.to_owned(), value: count as f64 });
    let title = format!("Of {} samples, perturbed by at most {}", claim.samples, claim.perturbation.epsilon);
    let mut charts = vec![Chart::Shares { title, parts: parts.into() }];
    let points = bundle.resolve(&claim.witness.points).unwrap_or_default();
    let inputs = model.network.input_size().max(1);
    let pairs = claim.falsified.iter().zip(points.chunks_exact(inputs)).take(MOST_IMAGES);
    let images: Vec<Image> =
        pairs.filter_map(|(sample, point)| image(format!("sample {sample}"), point.to_vec(), &model.input.shape)).collect();
    if !images.is_empty() {
        charts.push(Chart::Images { title: "Inputs that falsify, as the network sees them".to_owned(), images });
    }
    charts
}

fn of_lipschitz(claim: &LipschitzClaim, bundle: &Bundle, model: &Model) -> Vec<Chart> {
    let symbol = match claim.norm {
        Norm::L2 => "ℓ2",
        Norm::Linf => "ℓ∞",
    };
    let mut charts = Vec::new();
    let mark = |label: &str, number: &crate::certificate::Number| Mark {
        label: label.to_owned(),
        text: number.to_string(),
        value: number.value(),
    };
    let marks = [
        claim.lower_bound.as_ref().map(|number| mark("attained", number)),
        Some(mark(if claim.witness.inequality.is_some() { "certified (matrix inequality)" } else { "certified" }, &claim.bound)),
        claim.norm_product.as_ref().map(|number| mark("norm product", number)),
    ];
    let marks: Vec<Mark> = marks.into_iter().flatten().filter(|mark| mark.value > 0.0 && mark.value.is_finite()).collect();
    if marks.len() > 1 {
        charts.push(Chart::Ladder { title: format!("The {symbol} Lipschitz constant lies between the first two"), marks });
    }
    let parts = prove_parts(&model.network, &claim.witness.parts, bundle).unwrap_or_default();
    let nodes = model.network.nodes();
    let bars: Vec<Bar> = claim
        .witness
        .parts
        .iter()
        .zip(parts)
        .take(MOST_BARS)
        .map(|(part, bound)| {
            let label = nodes.get(part.to as usize).map_or_else(String::new, |node| format!("{} ({})", node.name, node.operator));
            Bar { label, value: bound }
        })
        .collect();
    if bars.len() > 1 {
        charts.push(Chart::Bars {
            title: "Lipschitz constants of the parts; their product is the norm product".to_owned(),
            unit: "certified upper bound".to_owned(),
            bars,
        });
    }
    let multipliers = claim.witness.inequality.as_ref().and_then(|inequality| bundle.resolve(&inequality.multipliers));
    let mut values = multipliers.unwrap_or_default();
    values.retain(|value| *value > 0.0 && value.is_finite());
    if values.len() > 1 {
        let step = values.len().div_ceil(MOST_VALUES);
        let description = match step {
            1 => format!("{} multipliers in the order of the network's activation groups.", values.len()),
            step => format!(
                "{} multipliers in the order of the network's activation groups; the largest of every {step} is shown.",
                values.len()
            ),
        };
        let values = values.chunks(step).map(|chunk| chunk.iter().copied().fold(0.0, f64::max)).collect();
        charts.push(Chart::Profile { title: "Multipliers of the matrix inequality".to_owned(), description, values });
    }
    charts
}

/// An input as a picture, where its shape is that of a grey image: `[1, h, w]`, `[1, 1, h, w]`, or the square of a number.
fn image(label: String, values: Vec<f64>, shape: &[usize]) -> Option<Image> {
    let extents: Vec<usize> = shape.iter().copied().filter(|&extent| extent != 1).collect();
    let (height, width) = match extents[..] {
        [height, width] => (height, width),
        [count] => (count.isqrt(), count.isqrt()),
        _ => return None,
    };
    let fits = height * width == values.len() && (4..=40).contains(&height) && (4..=40).contains(&width);
    (fits && values.iter().all(|value| value.is_finite())).then_some(Image { label, width, height, values })
}
