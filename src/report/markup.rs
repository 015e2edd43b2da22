//! Markup that is well formed and escaped by construction: HTML (in the syntax of XML), SVG and JUnit's XML are written with
//! it. Names come from hostile files, so text enters only through [`Markup::text`] and attribute values, both escaped.

use std::fmt::Write;

use super::visible;

/// A piece of finished markup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Markup(String);

/// HTML elements that have no end tag; in XML they close themselves.
const VOID: [&str; 6] = ["meta", "link", "br", "hr", "img", "wbr"];

impl Markup {
    /// Text, escaped. Characters that XML forbids, and those that could reorder or hide text, are shown by their codes.
    #[must_use]
    pub fn text(text: impl AsRef<str>) -> Self {
        Self(escaped(text.as_ref()))
    }

    /// Markup that is part of the program.
    #[must_use]
    pub fn fixed(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }

    #[must_use]
    pub fn join(pieces: impl IntoIterator<Item = Self>) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }

    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// An element with attributes and contents.
#[must_use]
#[allow(clippy::needless_pass_by_value)] // pieces are put into one another, and no more used
pub fn element(name: &'static str, attributes: &[(&'static str, &str)], contents: Markup) -> Markup {
    let mut markup = format!("<{name}");
    for (key, value) in attributes {
        // Writing to a string cannot fail.
        let _ = write!(markup, " {key}=\"{}\"", escaped(value));
    }
    if VOID.contains(&name) {
        markup.push_str("/>");
    } else {
        // Writing to a string cannot fail.
        let _ = write!(markup, ">{}</{name}>", contents.0);
    }
    Markup(markup)
}

/// An element without attributes.
#[must_use]
pub fn plain(name: &'static str, contents: Markup) -> Markup {
    element(name, &[], contents)
}

/// An element without attributes that holds text.
#[must_use]
pub fn tag(name: &'static str, text: impl AsRef<str>) -> Markup {
    element(name, &[], Markup::text(text))
}

fn escaped(text: &str) -> String {
    let visible = visible(text);
    let mut escaped = String::with_capacity(visible.len());
    for c in visible.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let hostile = "</td><script>alert('x')</script>\"&\u{1}\u{202e}";
        let page = element("td", &[("title", hostile)], Markup::text(hostile)).into_string();
        let parsed = roxmltree::Document::parse(&page).unwrap();
        assert_eq!(parsed.descendants().filter(roxmltree::Node::is_element).count(), 1);
        let text = parsed.root_element().text().unwrap();
        assert!(text.starts_with("</td><script>alert('x')</script>\"&"), "{text}");
        assert!(text.ends_with("\\u{1}\\u{202e}"), "{text}");
        assert_eq!(parsed.root_element().attribute("title"), Some(text));
    }

    #[test]
    fn void_elements_close_themselves() {
        assert_eq!(element("meta", &[("charset", "utf-8")], Markup::default()).into_string(), "<meta charset=\"utf-8\"/>");
        assert_eq!(tag("p", "a<b").into_string(), "<p>a&lt;b</p>");
    }
}
