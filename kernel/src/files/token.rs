//! A piece of a file in a message.

/// Longest piece that is shown.
const LONGEST: usize = 80;

/// A name or word from a file: one line, without control or formatting characters, and not arbitrarily long.
#[must_use]
pub fn token(text: &str) -> String {
    let shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn a_token_is_one_short_line() {
        assert_eq!(token("a\nb\u{202e}"), "a\\nb\\u{202e}");
        assert_eq!(token(&"x".repeat(1000)).chars().count(), 81);
    }
}
