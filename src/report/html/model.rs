//! A model's section: what it is, a card for each question about it, what was refused, and what nobody checks.

use super::super::audit::{CertificateSection, DescriptiveSection, Direction, ModelSection};
use super::super::markup::{Markup, element, plain, tag};
use super::card::card;
use super::chart::figure;
use super::{code, facts, section as titled, status_tag, wide_table};

/// The name of the place of a question on the page.
pub fn place(model: usize, question: usize) -> String {
    format!("question-{}-{}", model + 1, question + 1)
}

/// The section of a model, whose position is `number`.
pub fn section(model: &ModelSection, number: usize) -> Markup {
    let cards = model.questions.iter().enumerate().map(|(at, question)| card(&place(number, at), question, model));
    let mut parts: Vec<Markup> = cards.collect();
    let refused: Vec<Markup> = model.certificates.iter().filter_map(refusal).collect();
    if !refused.is_empty() {
        parts.push(tag("h3", "Refused"));
        parts.push(tag("p", "Nothing that these certificates claim counts. A refusal says nothing against the model."));
        parts.extend(refused);
    }
    if !model.changes.is_empty() {
        parts.push(tag("h3", "Change since the baseline"));
        parts.push(changes(model));
    }
    if !model.descriptive.is_empty() {
        parts.push(tag("h3", "Descriptive"));
        parts.push(tag(
            "p",
            "Computed in floating point by a run of the passes and read from its results. None of it is a claim, and nobody checked it for this page; a policy never counts it.",
        ));
        parts.extend(model.descriptive.iter().map(descriptive));
    }
    let summary = tag("summary", "The model's file");
    parts.push(plain("details", Markup::join([summary, identity(model)])));
    parts.push(layers(model));
    titled(&format!("model-{}", number + 1), &format!("Model: {}", model.name), Markup::join(parts))
}

fn identity(model: &ModelSection) -> Markup {
    let port = |port: &super::super::audit::Port| {
        let shape: Vec<String> = port.shape.iter().map(ToString::to_string).collect();
        Markup::join([code(&port.name), Markup::text(format!(" of shape {}", shape.join(" × ")))])
    };
    let operators: Vec<String> =
        model.operators.iter().map(|operator| format!("{} ×{}", operator.name, operator.count)).collect();
    let external = model
        .external
        .iter()
        .map(|file| ("External data", Markup::join([code(&file.location), Markup::text(", SHA-256 "), code(&file.digest)])));
    let notes = model.notes.iter().map(|note| ("Note", Markup::text(note)));
    let given = [
        ("File", code(&model.path)),
        ("SHA-256", code(&model.digest)),
        (
            "Operator set",
            Markup::text(model.opset.map_or_else(|| "none: an implicit network (JSON)".to_owned(), |o| o.to_string())),
        ),
        ("Written by", Markup::text(if model.producer.is_empty() { "not stated" } else { &model.producer })),
        ("Input", port(&model.input)),
        ("Output", port(&model.output)),
        ("Parameters", Markup::text(model.parameters.to_string())),
        ("Operators", Markup::text(operators.join(", "))),
    ];
    facts(given.into_iter().chain(external).chain(notes))
}

fn refusal(certificate: &CertificateSection) -> Option<Markup> {
    let refusal = certificate.refusal.as_ref()?;
    let heading = plain("h4", Markup::join([status_tag("refused", "refused"), Markup::text(" "), code(&certificate.path)]));
    Some(plain("article", Markup::join([heading, tag("p", format!("{} [{}]", refusal.reason, refusal.code))])))
}

fn descriptive(section: &DescriptiveSection) -> Markup {
    let heading =
        plain("h4", Markup::join([status_tag("descriptive", "descriptive"), Markup::text(" "), Markup::text(&section.title)]));
    let file = |name: &str, digest: &str| Markup::join([code(name), Markup::text(", SHA-256 "), code(digest)]);
    let data = section.data.iter().map(|data| ("Data", file(&data.name, &data.digest)));
    let rows = [("About", Markup::text(&section.about)), ("Results", file(&section.results, &section.digest))];
    let figures = section
        .figures
        .iter()
        .map(|figure| vec![Markup::text(&figure.name), Markup::text(&figure.value), Markup::text(&figure.how)]);
    let figures = if section.figures.is_empty() {
        Markup::default()
    } else {
        wide_table(Some("Descriptive figures, which nobody checks"), &["figure", "value", "how"], figures)
    };
    let pictures = Markup::join(section.charts.iter().map(figure));
    let contents = Markup::join([facts(rows.into_iter().chain(data)), figures, pictures]);
    plain("article", Markup::join([heading, plain("details", Markup::join([tag("summary", "Figures and pictures"), contents]))]))
}

fn changes(model: &ModelSection) -> Markup {
    let rows = model.changes.iter().map(|change| {
        let (word, class) = match change.direction {
            Direction::Better => ("better", "met"),
            Direction::Same => ("same", "met"),
            Direction::Worse => ("worse", "violated"),
            Direction::Added => ("added", "met"),
            Direction::Removed => ("removed", "violated"),
            Direction::Incomparable => ("not comparable", "violated"),
        };
        let or_dash = |text: &Option<String>| Markup::text(text.as_deref().unwrap_or("–"));
        let direction = status_tag(class, word);
        let detail = change.detail.as_ref().map(|detail| element("div", &[("class", "quiet")], Markup::text(detail)));
        vec![
            code(&change.claim),
            Markup::text(&change.figure),
            or_dash(&change.old),
            or_dash(&change.new),
            or_dash(&change.change),
            Markup::join(std::iter::once(direction).chain(detail)),
        ]
    });
    let caption = model.baseline.as_ref().map(|path| format!("Baseline: {path}; its figures are as it states them"));
    wide_table(caption.as_deref(), &["claim", "figure", "before", "now", "change", "direction"], rows)
}

fn layers(model: &ModelSection) -> Markup {
    let rows = model.layers.iter().map(|layer| {
        let shape: Vec<String> = layer.shape.iter().map(ToString::to_string).collect();
        vec![code(&layer.name), Markup::text(&layer.operator), Markup::text(&layer.operation), Markup::text(shape.join(" × "))]
    });
    let more = (model.more_layers > 0).then(|| tag("p", format!("and {} more", model.more_layers)));
    let table = wide_table(None, &["node", "operator", "lowered to", "shape"], rows);
    let summary = tag("summary", format!("The lowered network ({} operations)", model.layers.len() + model.more_layers));
    plain("details", Markup::join([Some(summary), Some(table), more].into_iter().flatten()))
}
