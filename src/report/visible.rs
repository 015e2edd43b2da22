//! Names from outside as text in which every character is seen, in its place.

use std::fmt::Write;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Characters of categories that are seen which are not: fillers of Hangul, vowels of Khmer that are never drawn, a Braille
/// cell without dots, and marks that only choose how others look. Unicode calls all but the Braille cell default ignorable.
const BLANK: [std::ops::RangeInclusive<char>; 9] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{e0100}'..='\u{e01ef}',
];
/// Marks on one letter; more would cover the lines above and below.
const MOST_MARKS: usize = 3;

/// Text in which nothing is hidden: letters and the marks on them, numbers, punctuation, symbols and the plain space stand as
/// they are, everything else as a code, such as line breaks, other spaces, and what reorders or joins text.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    // How many marks may follow.
    let mut marks = 0;
    for c in text.chars() {
        let shown = match kind(c) {
            Kind::Letter => {
                marks = MOST_MARKS;
                true
            }
            Kind::Mark => {
                let fits = marks > 0;
                marks = marks.saturating_sub(1);
                fits
            }
            Kind::Other => {
                marks = 0;
                true
            }
            Kind::Hidden => {
                marks = 0;
                false
            }
        };
        if shown {
            visible.push(c);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(visible, "\\u{{{:x}}}", u32::from(c));
        }
    }
    visible
}

/// A text of several lines, each [`visible`].
#[must_use]
pub fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

enum Kind {
    Letter,
    Mark,
    Other,
    Hidden,
}

fn kind(c: char) -> Kind {
    if c.is_ascii() {
        return match c {
            'a'..='z' | 'A'..='Z' => Kind::Letter,
            ' '..='~' => Kind::Other,
            _ => Kind::Hidden,
        };
    }
    if BLANK.iter().any(|range| range.contains(&c)) {
        return Kind::Hidden;
    }
    match c.general_category() {
        GeneralCategory::UppercaseLetter
        | GeneralCategory::LowercaseLetter
        | GeneralCategory::TitlecaseLetter
        | GeneralCategory::ModifierLetter
        | GeneralCategory::OtherLetter => Kind::Letter,
        GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark => Kind::Mark,
        GeneralCategory::DecimalNumber
        | GeneralCategory::LetterNumber
        | GeneralCategory::OtherNumber
        | GeneralCategory::ConnectorPunctuation
        | GeneralCategory::DashPunctuation
        | GeneralCategory::OpenPunctuation
        | GeneralCategory::ClosePunctuation
        | GeneralCategory::InitialPunctuation
        | GeneralCategory::FinalPunctuation
        | GeneralCategory::OtherPunctuation
        | GeneralCategory::MathSymbol
        | GeneralCategory::CurrencySymbol
        | GeneralCategory::ModifierSymbol
        | GeneralCategory::OtherSymbol => Kind::Other,
        _ => Kind::Hidden,
    }
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_is_not_seen_is_a_code() {
        let hidden = "\u{0}\n\r\t\u{7f}\u{85}\u{a0}\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{1680}\u{17b4}\u{180e}\u{2003}\u{200b}\u{200d}\u{200e}\
            \u{2028}\u{2029}\u{202a}\u{202e}\u{202f}\u{205f}\u{2060}\u{2066}\u{2069}\u{206a}\u{2800}\u{3000}\u{3164}\u{e000}\u{fe00}\u{fe0f}\
            \u{feff}\u{ffa0}\u{fff9}\u{fffe}\u{1bca0}\u{1d173}\u{e0001}\u{e0041}\u{e0100}\u{10ffff}\u{20dd}";
        for c in hidden.chars() {
            assert_eq!(visible(&format!("a{c}b")), format!("a\\u{{{:x}}}b", u32::from(c)));
        }
        // A mark without a letter, and more than a letter can bear.
        assert_eq!(visible(" \u{301}"), " \\u{301}");
        assert_eq!(visible(&"e\u{301}".repeat(2)), "e\u{301}e\u{301}");
        assert!(visible(&format!("e{}", "\u{335}".repeat(9))).ends_with("\\u{335}"));
    }

    #[test]
    fn what_people_write_stays() {
        for text in [
            "ℓ∞ Lipschitz bound ≤ 1.2 – “größer” (±5 %)",
            "модель_1",
            "モデル",
            "نموذج",
            "हिन्दी",
            "e\u{301}té",
            "✅ ⚠ 🙂 ×²½",
            "a → b",
        ] {
            assert_eq!(visible(text), text);
        }
    }
}
