//! Tokens of an S-expression, with their places.

/// A token: a slice of the text, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub text: &'a str,
    pub at: usize,
}

/// Splits a text into parentheses, strings and words; `;` starts a comment.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    peeked: Option<Token<'a>>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // A byte order mark is no part of the first word.
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self { text, at, peeked: None }
    }

    /// Where the text ends.
    pub(super) fn end(&self) -> usize {
        self.text.len()
    }

    pub(super) fn peek(&mut self) -> Option<Token<'a>> {
        if self.peeked.is_none() {
            self.peeked = self.scan();
        }
        self.peeked
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        self.peeked.take().or_else(|| self.scan())
    }

    fn scan(&mut self) -> Option<Token<'a>> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at)? {
                b';' => self.at += bytes[self.at..].iter().position(|&b| b == b'\n').unwrap_or(bytes.len() - self.at),
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => break,
            }
        }
        let start = self.at;
        let length = match bytes[start] {
            b'(' | b')' => 1,
            b'"' => bytes[start + 1..].iter().position(|&b| b == b'"').map_or(bytes.len() - start, |end| end + 2),
            _ => {
                let ends = |&b: &u8| b.is_ascii_whitespace() || matches!(b, b'(' | b')' | b';' | b'"');
                bytes[start..].iter().position(ends).unwrap_or(bytes.len() - start)
            }
        };
        self.at = start + length;
        // All delimiters are ASCII, so the slice ends on character boundaries.
        Some(Token { text: &self.text[start..self.at], at: start })
    }
}

/// Line and column, from 1, of a place in a text; columns count bytes.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.split(|&b| b == b'\n').count();
    let column = before.iter().rev().take_while(|&&b| b != b'\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_strings_and_comments() {
        let text = "\u{feff}(a ; no (\n X[0,3]\"s t\")-1e-5;";
        let mut lexer = Lexer::new(text);
        let mut found = Vec::new();
        while let Some(token) = lexer.next() {
            found.push(token.text);
        }
        assert_eq!(found, ["(", "a", "X[0,3]", "\"s t\"", ")", "-1e-5"]);
        assert_eq!(place(text, text.find('X').unwrap()), (2, 2));
    }
}
