//! What is wrong with JSON, without telling what it holds.

/// Longest name of a field that is shown.
const LONGEST: usize = 40;

/// What is wrong with a text that is no JSON of its kind. Nothing of it is quoted but names of fields, and these only where
/// the text says by its `schema` that it is of the kind: anybody's secrets are JSON too.
#[must_use]
pub fn json_problem(text: &[u8], error: &serde_json::Error, schema: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Marked {
        schema: String,
    }
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&place).unwrap_or(&message);
    let message = match error.classify() {
        serde_json::error::Category::Data => {
            let own = serde_json::from_slice::<Marked>(text).is_ok_and(|marked| marked.schema.starts_with(schema));
            without_values(message, own)
        }
        _ => message.to_owned(),
    };
    format!("{message}{place}")
}

/// A reader's message without what it quotes; `names` may be shown.
fn without_values(message: &str, names: bool) -> String {
    // What the formats of this program say themselves quotes nothing.
    const WITHOUT: [&str; 6] = [
        "missing field",
        "duplicate field",
        "number out of range",
        "an array has more than",
        "more or less than",
        "data did not match",
    ];
    // What is expected is the program's own and stands at the end; what was found may hold the same words.
    let expected = message.rsplit_once(", expected").map_or(String::new(), |(_, expected)| format!(", expected{expected}"));
    for start in ["unknown field", "unknown variant"] {
        let Some(rest) = message.strip_prefix(start) else { continue };
        let name = rest.split('`').nth(1).unwrap_or_default();
        let plain = name.len() <= LONGEST && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let whole = format!("{start} `{name}`{expected}");
        return if names && plain && whole == message { whole } else { format!("{start}{expected}") };
    }
    for kind in ["invalid type", "invalid value", "invalid length"] {
        if message.starts_with(kind) {
            return format!("{kind}{expected}");
        }
    }
    if WITHOUT.iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    "a value that the format does not have".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Small {
        schema: String,
        count: u32,
        kind: Kind,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        One,
        Two,
    }

    fn problem(text: &str) -> String {
        json_problem(text.as_bytes(), &serde_json::from_str::<Small>(text).unwrap_err(), "small/1")
    }

    #[test]
    fn values_are_never_quoted() {
        for text in [
            r#"{"hunter2": "hunter2"}"#,
            r#"{"schema": "hunter2", "hunter2": 1}"#,
            r#"{"schema": "small/1", "count": "hunter2"}"#,
            r#"{"schema": "small/1", "count": "hunter2, expected hunter2"}"#,
            r#"{"schema": "small/1", "count": 1, "kind": "hunter2`, expected `hunter2"}"#,
            r#"{"schema": "small/1", "hunter2`, expected hunter2, `": 1}"#,
            r#"{"schema": 1, "kind": "hunter2"}"#,
            r#""hunter2""#,
            "hunter2",
            "[\"hunter2\"",
        ] {
            let told = problem(text);
            assert!(!told.contains("hunter2"), "{text}: {told}");
            assert!(told.contains("at line 1 column"), "{told}");
        }
    }

    #[test]
    fn a_text_of_the_kind_hears_which_field_is_wrong() {
        let told = problem(r#"{"schema": "small/1", "cuont": 1}"#);
        assert!(told.starts_with("unknown field `cuont`, expected one of `schema`, `count`, `kind`"), "{told}");
        let told = problem(r#"{"schema": "small/1", "count": true}"#);
        assert!(told.starts_with("invalid type, expected u32"), "{told}");
        assert!(problem(r#"{"schema": "small/1"}"#).starts_with("missing field `count`"));
    }
}
