//! An audit as one HTML page: no script, nothing from the network, light and dark, for screens, phones and paper.
//!
//! The page is written in the syntax of XML, so that its well-formedness can be tested by any reader of XML. Everything that
//! comes from files is text.

mod card;
mod chart;
mod frame;
mod model;
mod summary;

use super::audit::{Audit, assurance_word};
use super::markup::{Markup, element, plain, tag};
use crate::kernel::proof::Assurance;

/// The style sheet; a test computes its contrasts.
const STYLE: &str = include_str!("style.css");

/// The audit as a page.
#[must_use]
pub fn render(audit: &Audit) -> String {
    let title = match &audit.models[..] {
        [model] => format!("Audit of {}", model.name),
        models => format!("Audit of {} models", models.len()),
    };
    let head = [
        element("meta", &[("charset", "utf-8")], Markup::default()),
        element("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")], Markup::default()),
        element("meta", &[("name", "color-scheme"), ("content", "light dark")], Markup::default()),
        element(
            "meta",
            &[("name", "generator"), ("content", &format!("{} {}", audit.tool.name, audit.tool.version))],
            Markup::default(),
        ),
        tag("title", format!("{title}: {}", audit.verdict.title.to_lowercase())),
        plain("style", Markup::fixed(STYLE)),
    ];
    let date = audit.generated.split('T').next().unwrap_or_default();
    let header = [
        tag("h1", &title),
        element("p", &[("class", "quiet")], Markup::text(format!("{} {}, {date}", audit.tool.name, audit.tool.version))),
    ];
    let models = audit.models.iter().enumerate().map(|(position, of)| model::section(of, position));
    let main = [summary::summary(audit), frame::contents(audit)].into_iter().chain(models).chain([
        frame::assurances(),
        frame::evidence(audit),
        frame::recheck(audit),
        frame::limits(),
        frame::pointers(),
        frame::environment(audit),
    ]);
    let body = [
        element("a", &[("class", "skip"), ("href", "#main")], Markup::text("Skip to the verdict")),
        plain("header", Markup::join(header)),
        element("main", &[("id", "main")], Markup::join(main)),
        plain(
            "footer",
            tag(
                "p",
                "Every claim above was checked again, from the model file, when this page was written. The page itself proves nothing: the commands under “Check again” do.",
            ),
        ),
    ];
    let page =
        element("html", &[("lang", "en")], Markup::join([plain("head", Markup::join(head)), plain("body", Markup::join(body))]));
    format!("<!DOCTYPE html>\n{}\n", page.into_string())
}

/// The questions of an audit as cards on a page of their own: what a notebook shows.
#[must_use]
pub fn cards(audit: &Audit) -> String {
    let head = [
        element("meta", &[("charset", "utf-8")], Markup::default()),
        element("meta", &[("name", "color-scheme"), ("content", "light dark")], Markup::default()),
        tag("title", &audit.verdict.title),
        plain("style", Markup::fixed(STYLE)),
    ];
    let models = audit.models.iter().enumerate();
    let cards = models.flat_map(|(at, of)| {
        let card = move |(number, question)| card::card(&model::place(at, number), question, of);
        of.questions.iter().enumerate().map(card)
    });
    let body = plain("body", element("main", &[("id", "main")], Markup::join(cards)));
    let page = element("html", &[("lang", "en")], Markup::join([plain("head", Markup::join(head)), body]));
    format!("<!DOCTYPE html>\n{}\n", page.into_string())
}

/// A section with a heading that names it.
fn section(id: &str, title: &str, contents: Markup) -> Markup {
    let heading = element("h2", &[("id", id)], Markup::text(title));
    element("section", &[("aria-labelledby", id)], Markup::join([heading, contents]))
}

/// A table that scrolls by itself where the screen is narrow, also by keyboard.
fn table(caption: Option<&str>, header: &[&str], rows: impl Iterator<Item = Vec<Markup>>) -> Markup {
    let rows = rows.map(|cells| Markup::join(cells.into_iter().map(|cell| element("td", &[("role", "cell")], cell))));
    framed("scroll", caption, header, rows)
}

/// A table of many or long columns: where the screen is narrow, its rows become blocks in which every cell is named.
fn wide_table(caption: Option<&str>, header: &[&str], rows: impl Iterator<Item = Vec<Markup>>) -> Markup {
    let cell = |(name, cell): (&&str, Markup)| element("td", &[("role", "cell"), ("data-label", name)], plain("div", cell));
    framed("scroll wide", caption, header, rows.map(|cells| Markup::join(header.iter().zip(cells).map(cell))))
}

/// The roles are said, for the style sheet may lay out rows and cells as blocks.
fn framed(class: &str, caption: Option<&str>, header: &[&str], rows: impl Iterator<Item = Markup>) -> Markup {
    let row = |cells| element("tr", &[("role", "row")], cells);
    let cells = header.iter().map(|text| element("th", &[("scope", "col"), ("role", "columnheader")], Markup::text(text)));
    let head = element("thead", &[("role", "rowgroup")], row(Markup::join(cells)));
    let body = element("tbody", &[("role", "rowgroup")], Markup::join(rows.map(row)));
    let label = caption.unwrap_or_else(|| header.first().copied().unwrap_or_default());
    let parts = caption.map(|caption| tag("caption", caption)).into_iter().chain([head, body]);
    let table = element("table", &[("role", "table")], Markup::join(parts));
    element("div", &[("class", class), ("role", "group"), ("aria-label", label), ("tabindex", "0")], table)
}

/// A word in the colour of a class.
fn status_tag(class: &str, word: &str) -> Markup {
    element("span", &[("class", &format!("tag {class}"))], Markup::text(word))
}

/// How much stands behind a number: no colour, for it says nothing about good or bad.
fn badge(assurance: Assurance) -> Markup {
    let word = assurance_word(assurance);
    element("span", &[("class", &format!("badge {word}"))], Markup::text(word))
}

/// A sentence that begins with a capital, in which what stands between backticks is code.
fn sentence(text: &str) -> Markup {
    let text = upper_first(text);
    let pieces = text.split('`').enumerate();
    Markup::join(pieces.map(|(position, piece)| if position % 2 == 1 { code(piece) } else { Markup::text(piece) }))
}

/// A variable does not become a capital.
fn upper_first(text: &str) -> String {
    let mut characters = text.chars();
    if text.chars().nth(1).is_none_or(|second| !second.is_alphabetic()) {
        return text.to_owned();
    }
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Terms and what they are.
fn facts(facts: impl IntoIterator<Item = (&'static str, Markup)>) -> Markup {
    let pairs = facts.into_iter().map(|(term, fact)| Markup::join([tag("dt", term), plain("dd", fact)]));
    element("dl", &[("class", "facts")], Markup::join(pairs))
}

fn code(text: &str) -> Markup {
    tag("code", text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::STYLE;

    /// Relative luminance (WCAG 2.2).
    fn luminance(color: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn colors(block: &str) -> BTreeMap<&str, &str> {
        let pairs = block.split(';').filter_map(|pair| pair.trim().rsplit_once("--")?.1.split_once(": "));
        pairs.filter(|(_, color)| color.starts_with('#')).collect()
    }

    #[test]
    fn contrasts_are_those_of_wcag_aa() {
        let (light, rest) = STYLE.split_once("@media").unwrap();
        let dark = rest.split_once("* {").unwrap().0;
        for theme in [colors(light), colors(dark)] {
            assert_eq!(theme.len(), 13, "{theme:?}");
            for (ink, grounds, least) in [
                ("ink", &["page", "panel", "good-page", "bad-page", "open-page"][..], 4.5),
                ("quiet", &["page", "panel"], 4.5),
                ("link", &["page", "panel"], 4.5),
                ("good", &["good-page", "page"], 4.5),
                ("bad", &["bad-page", "page"], 4.5),
                ("open", &["open-page", "page"], 4.5),
                // Graphics (1.4.11).
                ("bar", &["page", "panel"], 3.0),
            ] {
                for ground in grounds {
                    let found = contrast(theme[ink], theme[ground]);
                    assert!(found >= least, "{ink} on {ground}: {found:.2}");
                }
            }
        }
    }

    #[test]
    fn the_style_sheet_is_part_of_the_markup() {
        // What XML would read as markup cannot stand in it, and nothing is fetched.
        for forbidden in ["<", "&", "url(", "@import", "http"] {
            assert!(!STYLE.contains(forbidden), "{forbidden}");
        }
    }
}
