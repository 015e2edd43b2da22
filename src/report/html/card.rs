//! A question on the page: what was asked, the outcome, one number, one sentence, counterexamples, and, folded, everything that
//! the certificate states about it.

use super::super::audit::{CertificateSection, ClaimSection, Example, ModelSection, Outcome, Question};
use super::super::markup::{Markup, element, plain, tag};
use super::super::svg::{self, short};
use super::chart::figure;
use super::{badge, code, facts, sentence, status_tag, table};
use crate::kernel::proof::Semantics;
use crate::report::audit::Chart;

/// The class that gives an outcome its colour.
pub const fn outcome_class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Violated => "violated",
        Outcome::Open => "inconclusive",
        Outcome::NoLimit => "neutral",
        Outcome::Holds => "met",
    }
}

/// The outcome of a question, coloured and in words.
pub fn outcome_tag(question: &Question) -> Markup {
    status_tag(outcome_class(question.outcome), question.word())
}

/// A question as a card.
pub fn card(id: &str, question: &Question, model: &ModelSection) -> Markup {
    let claims: Vec<(&CertificateSection, &ClaimSection)> = question
        .claims
        .iter()
        .filter_map(|&[at, of]| {
            let certificate = model.certificates.get(at)?;
            Some((certificate, certificate.claims.get(of)?))
        })
        .collect();
    let heading = element("h3", &[("id", id)], sentence(&question.question));
    let tags =
        element("p", &[("class", "tags")], Markup::join([outcome_tag(question), Markup::text(" "), badge(question.assurance)]));
    let headline = Markup::join([
        element("span", &[("class", "value")], Markup::text(&question.headline.value)),
        Markup::text(" "),
        element("span", &[("class", "quiet")], Markup::text(&question.headline.unit)),
    ]);
    let rules = (!question.rules.is_empty()).then(|| {
        let names = question.rules.iter().map(|id| code(id));
        element("p", &[("class", "quiet")], Markup::join([Markup::text("Decides: ")].into_iter().chain(with_commas(names))))
    });
    let (open, folded): (Vec<&Chart>, Vec<&Chart>) = claims
        .iter()
        .flat_map(|(_, claim)| &claim.charts)
        .partition(|chart| matches!(chart, Chart::Shares { .. } | Chart::Ladder { .. }) && question.charts.is_empty());
    let mut examples = claims.iter().flat_map(|(_, claim)| &claim.examples).take(MOST_EXAMPLES).map(example);
    let first = examples.next();
    let others: Vec<Markup> = examples.collect();
    let others = (!others.is_empty()).then(|| {
        let title = if others.len() == 1 {
            "One more counterexample".to_owned()
        } else {
            format!("{} more counterexamples", others.len())
        };
        plain("details", Markup::join([tag("summary", title)].into_iter().chain(others)))
    });
    let pictures = question.charts.iter().chain(open).map(figure);
    let statements = claims.iter().map(|(certificate, claim)| stated(certificate, claim));
    let details = Markup::join(statements.chain(folded.into_iter().map(figure)));
    let title = if claims.len() == 1 { "The claim in full".to_owned() } else { format!("The {} claims in full", claims.len()) };
    let parts = [heading, tags, element("p", &[("class", "headline")], headline), plain("p", sentence(&question.sentence))]
        .into_iter()
        .chain(rules)
        .chain(first)
        .chain(others)
        .chain(pictures)
        .chain([plain("details", Markup::join([tag("summary", title), details]))]);
    element(
        "article",
        &[("class", &format!("card {}", outcome_class(question.outcome))), ("aria-labelledby", id)],
        Markup::join(parts),
    )
}

/// Counterexamples of a card; the certificate holds all.
const MOST_EXAMPLES: usize = 3;

fn with_commas(pieces: impl Iterator<Item = Markup>) -> impl Iterator<Item = Markup> {
    pieces.enumerate().map(|(at, piece)| if at == 0 { piece } else { Markup::join([Markup::text(", "), piece]) })
}

/// A counterexample: pictures, from which class to which, the largest changes, the point.
fn example(example: &Example) -> Markup {
    let class = |class: Option<usize>| class.map_or_else(|| "none alone".to_owned(), |class| class.to_string());
    let from = match (example.label, example.before) {
        (Some(label), Some(before)) if label != before => Some(format!("label {label}, answered {before}")),
        (Some(label), _) => Some(format!("label {label}")),
        (None, Some(before)) => Some(format!("middle of the bounds: class {before}")),
        (None, None) => None,
    };
    let turns = from.map(|from| {
        let text = format!("{from} → prediction {}", class(example.after));
        element("p", &[("class", "turn")], Markup::text(text))
    });
    let images = (!example.images.is_empty()).then(|| {
        let images = example.images.iter().map(|image| {
            let label = format!("{}, {}", example.title, image.label);
            let caption = element("p", &[("class", "quiet")], Markup::text(&image.label));
            plain("div", Markup::join([svg::image(image, &label), caption]))
        });
        element("div", &[("class", "images")], Markup::join(images))
    });
    let changes = (!example.changes.is_empty()).then(|| {
        let shown: Vec<String> = example
            .changes
            .iter()
            .map(|change| format!("input {}: {} → {}", change.input, short(change.from), short(change.to)))
            .collect();
        let rest = example.changed - shown.len();
        let rest = if rest > 0 { format!("; {rest} more inputs change by no more than these") } else { String::new() };
        element("p", &[("class", "quiet")], Markup::text(format!("Largest changes: {}{rest}.", shown.join("; "))))
    });
    let list = |values: &[f64]| values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" ");
    let outputs = (!example.outputs.is_empty())
        .then(|| Markup::join([tag("p", "Outputs there, computed:"), tag("pre", list(&example.outputs))]));
    let point = (!example.point.is_empty()).then(|| {
        let point = tag("pre", list(&example.point));
        Markup::join([tag("p", "The input, row by row, as the network sees it:"), point])
    });
    let exact = [point, outputs].into_iter().flatten().collect::<Vec<_>>();
    let exact =
        (!exact.is_empty()).then(|| plain("details", Markup::join([tag("summary", "The exact point")].into_iter().chain(exact))));
    let title = element("h4", &[], Markup::text(&example.title));
    let words = [Some(title), turns, Some(tag("p", &example.sentence)), changes, exact];
    let words = plain("div", Markup::join(words.into_iter().flatten()));
    element("div", &[("class", "example")], Markup::join(images.into_iter().chain([words])))
}

/// A claim as the certificate states it.
fn stated(certificate: &CertificateSection, claim: &ClaimSection) -> Markup {
    let semantics = match claim.semantics {
        Semantics::Real => "real arithmetic on the file's weights; rounding in a deployed float32 network is not covered",
        Semantics::Float32 => "float32 as deployed, sums in any order",
    };
    let mut rows = vec![
        ("Claim", Markup::join([code(&claim.id), Markup::text(" "), badge(claim.assurance)])),
        ("Where", Markup::text(&claim.domain)),
        ("Arithmetic", Markup::text(semantics)),
    ];
    if let Some(engine) = &claim.engine {
        rows.push(("Found by", Markup::text(format!("{engine} (not trusted)"))));
    }
    rows.push(("Certificate", Markup::join([code(&certificate.path), Markup::text(", digest "), code(&certificate.digest)])));
    let figures = claim.figures.iter().map(|figure| {
        vec![
            Markup::text(&figure.label),
            // Numbers stay on a line, lists and names do not.
            element(
                "span",
                &[("class", if figure.number.is_some() { "number" } else { "" })],
                Markup::text(format!("{} {}", figure.relation, figure.value)),
            ),
        ]
    });
    let figures = table(None, &["figure", "value"], figures);
    let descriptive = claim.descriptive.iter().map(|figure| vec![Markup::text(&figure.label), Markup::text(&figure.value)]);
    let descriptive = (!claim.descriptive.is_empty())
        .then(|| table(Some("Descriptive figures, which nobody checks"), &["figure", "value"], descriptive));
    let statement = element("p", &[("class", "statement")], sentence(&claim.statement));
    Markup::join([statement, facts(rows), figures].into_iter().chain(descriptive))
}
