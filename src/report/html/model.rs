//! A model's section: what it is, then what is proved, checked and estimated about it, apart from each other.

use super::super::audit::{CertificateSection, ClaimSection, DescriptiveSection, Direction, ModelSection};
use super::super::markup::{Markup, element, plain, tag};
use super::chart::figure;
use super::{code, facts, section as titled, table, wide_table};
use crate::certificate::{Assurance, Semantics};

/// What each assurance means, in one sentence.
const ASSURANCES: [(Assurance, &str, &str); 3] = [
    (
        Assurance::Proved,
        "Proved",
        "The checker proved each of these in sound arithmetic: rounding errors are accounted for, and no solver is trusted.",
    ),
    (
        Assurance::Checked,
        "Checked",
        "The checker recomputed a residual, which lies within the stated bound. This is evidence, not a proof about the network.",
    ),
    (
        Assurance::Estimated,
        "Estimated",
        "Statistics with an interval, a confidence and a seed. They can be wrong, with the stated probability.",
    ),
];

pub fn section(model: &ModelSection, number: usize) -> Markup {
    let id = format!("model-{number}");
    let claims = || numbered(model, number);
    let mut parts = vec![identity(model)];
    for (assurance, title, meaning) in ASSURANCES {
        let of_kind: Vec<Markup> = claims()
            .filter(|(_, _, claim)| claim.assurance == assurance)
            .map(|(id, certificate, claim)| article(&id, certificate, claim))
            .collect();
        if !of_kind.is_empty() {
            parts.push(tag("h3", title));
            parts.push(tag("p", meaning));
            parts.extend(of_kind);
        }
    }
    let refused: Vec<Markup> = model.certificates.iter().filter_map(refusal).collect();
    if !refused.is_empty() {
        parts.push(tag("h3", "Refused"));
        parts.push(tag("p", "Nothing that these certificates claim counts. A refusal says nothing against the model."));
        parts.extend(refused);
    }
    if !model.descriptive.is_empty() {
        parts.push(tag("h3", "Descriptive"));
        parts.push(tag(
            "p",
            "Computed in floating point by a run of the passes and read from its results. None of it is a claim, and nobody checked it for this page; a policy never counts it.",
        ));
        parts.extend(model.descriptive.iter().map(descriptive));
    }
    if !model.charts.is_empty() {
        parts.push(tag("h3", "Across certificates"));
        parts.extend(model.charts.iter().map(figure));
    }
    if !model.changes.is_empty() {
        parts.push(tag("h3", "Change since the baseline"));
        parts.push(changes(model));
    }
    parts.push(layers(model));
    titled(&id, &format!("Model: {}", model.name), Markup::join(parts))
}

/// The claims of a model, and the names of their places on the page.
fn numbered(model: &ModelSection, number: usize) -> impl Iterator<Item = (String, &CertificateSection, &ClaimSection)> {
    let claims =
        model.certificates.iter().flat_map(|certificate| certificate.claims.iter().map(move |claim| (certificate, claim)));
    claims
        .enumerate()
        .map(move |(position, (certificate, claim))| (format!("claim-{number}-{}", position + 1), certificate, claim))
}

/// Claims that are named at the top of a page; it may hold thousands.
const MOST_AT_A_GLANCE: usize = 12;

/// What is established about all models, in a line each, the strongest assurance first.
pub fn at_a_glance(models: &[ModelSection]) -> Markup {
    let mut claims: Vec<_> = models
        .iter()
        .enumerate()
        .flat_map(|(position, model)| numbered(model, position + 1).map(move |(id, _, claim)| (model, id, claim)))
        .collect();
    claims.sort_by_key(|(_, _, claim)| std::cmp::Reverse(claim.assurance));
    let rows = claims.iter().take(MOST_AT_A_GLANCE).map(|(model, id, claim)| {
        let link = element("a", &[("href", &format!("#{id}"))], statement(&upper_first(&claim.statement)));
        let of = if models.len() > 1 { format!("{}; ", model.name) } else { String::new() };
        let of = format!(" ({of}{}, {})", claim.domain, claim.semantics.words());
        let text = plain("span", Markup::join([link, element("span", &[("class", "quiet")], Markup::text(of))]));
        plain("li", Markup::join([super::status_tag(super::assurance_word(claim.assurance)), text]))
    });
    let rows: Vec<Markup> = rows.collect();
    if rows.is_empty() {
        return Markup::default();
    }
    let left = claims.len() - rows.len();
    let more = if left > 0 { tag("p", format!("and {left} more, below")) } else { Markup::default() };
    let list = element("ul", &[("class", "glance")], Markup::join(rows));
    titled("glance", "What is established", Markup::join([list, more]))
}

/// A sentence, in which what stands between backticks is code.
fn statement(text: &str) -> Markup {
    let pieces = text.split('`').enumerate();
    Markup::join(pieces.map(|(position, piece)| if position % 2 == 1 { code(piece) } else { Markup::text(piece) }))
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

fn article(id: &str, certificate: &CertificateSection, claim: &ClaimSection) -> Markup {
    let assurance = super::assurance_word(claim.assurance);
    let heading = element(
        "h4",
        &[("id", id)],
        Markup::join([super::status_tag(assurance), Markup::text(" "), statement(&upper_first(&claim.statement))]),
    );
    let semantics = match claim.semantics {
        Semantics::Real => "real arithmetic on the file's weights; rounding in a deployed float32 network is not covered",
        Semantics::Float32 => "float32 as deployed, sums in any order",
    };
    let mut rows = vec![("Where", Markup::text(&claim.domain)), ("Arithmetic", Markup::text(semantics))];
    if let Some(engine) = &claim.engine {
        rows.push(("Found by", Markup::text(format!("{engine} (not trusted)"))));
    }
    rows.push(("Certificate", Markup::join([code(&certificate.path), Markup::text(", digest "), code(&certificate.digest)])));
    let figures = claim.figures.iter().map(|figure| {
        vec![
            Markup::text(figure.name.replace('_', " ").replace('.', ": ")),
            element("span", &[("class", "number")], Markup::text(format!("{} {}", figure.relation, figure.value))),
        ]
    });
    let figures = table(None, &["figure", "value"], figures);
    let descriptive =
        claim.descriptive.iter().map(|figure| vec![Markup::text(figure.name.replace('_', " ")), Markup::text(&figure.value)]);
    let descriptive = if claim.descriptive.is_empty() {
        Markup::default()
    } else {
        table(Some("Descriptive figures, which nobody checks"), &["figure", "value"], descriptive)
    };
    let pictures = Markup::join(claim.charts.iter().map(figure));
    plain("article", Markup::join([heading, facts(rows), figures, descriptive, pictures]))
}

fn refusal(certificate: &CertificateSection) -> Option<Markup> {
    let refusal = certificate.refusal.as_ref()?;
    let heading = plain("h4", Markup::join([super::status_tag("refused"), Markup::text(" "), code(&certificate.path)]));
    Some(plain("article", Markup::join([heading, tag("p", format!("{} [{}]", refusal.reason, refusal.code))])))
}

fn descriptive(section: &DescriptiveSection) -> Markup {
    let heading = plain("h4", Markup::join([super::status_tag("descriptive"), Markup::text(" "), Markup::text(&section.title)]));
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
    plain("article", Markup::join([heading, facts(rows.into_iter().chain(data)), figures, pictures]))
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
        let direction = element("span", &[("class", &format!("tag {class}"))], Markup::text(word));
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

/// A sentence begins with a capital; a variable does not become one.
fn upper_first(text: &str) -> String {
    let mut characters = text.chars();
    if text.chars().nth(1).is_none_or(|second| !second.is_alphabetic()) {
        return text.to_owned();
    }
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
