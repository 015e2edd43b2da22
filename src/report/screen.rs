//! The terminal that results are shown on: how wide tables may be, and the colours of outcomes.
//!
//! Colour repeats what a word says and carries nothing of its own. It is added to finished text, after names from outside have
//! been made visible, so that no name brings a colour with it.

use std::sync::OnceLock;

use tabled::builder::Builder;
use tabled::settings::peaker::Priority;
use tabled::settings::{Style, Width};

/// A narrower table holds no word.
const NARROWEST: usize = 40;

static WIDTH: OnceLock<usize> = OnceLock::new();
static COLOURS: OnceLock<bool> = OnceLock::new();

/// Says once, before anything is shown, how wide the terminal is and whether it shows colours. Without this nothing is wrapped
/// and nothing coloured.
pub fn set(width: Option<usize>, colours: bool) {
    if let Some(width) = width {
        let _ = WIDTH.set(width.max(NARROWEST));
    }
    let _ = COLOURS.set(colours);
}

/// Draws a table, its longest cells wrapped where the terminal is narrower.
pub fn table(builder: Builder) -> String {
    drawn(builder, WIDTH.get().copied())
}

fn drawn(builder: Builder, width: Option<usize>) -> String {
    let mut table = builder.build();
    table.with(Style::rounded());
    if let Some(width) = width {
        table.with(Width::wrap(width).priority(Priority::max(true)).keep_words(true));
    }
    table.to_string()
}

/// Returns text as the terminal shows it.
#[must_use]
pub fn painted(text: &str) -> String {
    if COLOURS.get() == Some(&true) { coloured(text) } else { text.to_owned() }
}

const GOOD: &str = "\u{1b}[32m";
const BAD: &str = "\u{1b}[1;31m";
const OPEN: &str = "\u{1b}[33m";
const PLAIN: &str = "\u{1b}[0m";

/// The colour of a word that says how something ended.
fn colour(word: &str) -> Option<&'static str> {
    Some(match word {
        "met" | "holds" | "unsat" | "policy met" | "claims established" | "within its limit" | "better" => GOOD,
        "violated" | "sat" | "refused" | "error" | "policy violated" | "violation proved" | "certificate refused" | "worse" => {
            BAD
        }
        "inconclusive" | "unknown" | "open" | "not comparable" => OPEN,
        _ => return None,
    })
}

/// The words of outcomes in their colours: whole cells of tables, words that begin a line before a colon, words in brackets at
/// the end of one.
fn coloured(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        if line.starts_with('│') {
            return line.split('│').map(|cell| paint(cell, cell.trim())).collect::<Vec<_>>().join("│");
        }
        if let Some((word, rest)) = line.split_once(": ").filter(|(word, _)| colour(word).is_some()) {
            return format!("{}: {rest}", paint(word, word));
        }
        match line.strip_suffix(']').and_then(|line| line.rsplit_once('[')) {
            Some((before, word)) => format!("{before}[{}]", paint(word, word)),
            None => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A cell with its word in its colour.
fn paint(cell: &str, word: &str) -> String {
    match colour(word) {
        Some(colour) => cell.replacen(word, &format!("{colour}{word}{PLAIN}"), 1),
        None => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_colours_and_nothing_else() {
        assert_eq!(coloured("│ m.rule │ violated │"), "│ m.rule │ \u{1b}[1;31mviolated\u{1b}[0m │");
        assert_eq!(coloured("unsat: s.vnnlib (holds)"), "\u{1b}[32munsat\u{1b}[0m: s.vnnlib (holds)");
        assert_eq!(coloured("Does it? violated [violated]"), "Does it? violated [\u{1b}[1;31mviolated\u{1b}[0m]");
        for plain in ["violated", "│ not violated │", "note: sat", "[x]", ""] {
            assert_eq!(coloured(plain), plain);
        }
    }

    #[test]
    fn tables_are_no_wider_than_the_terminal() {
        let mut builder = Builder::default();
        builder.push_record(["rule", "a sentence of many words that would make the table too wide", "met"]);
        let width = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
        assert_eq!(width(&drawn(builder.clone(), Some(50))), 50);
        assert!(width(&drawn(builder, None)) > 70);
    }
}
