//! A reader of JSON Schemas for tests: the keywords that SARIF's schema and ours use. A keyword that is not known is an error,
//! so that nothing passes because it was not looked at.

use serde_json::Value;

/// What of a value breaks a schema; nothing where it is valid.
pub fn violations(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Validator { root: schema }.validate(schema, value, "", &mut found);
    found
}

struct Validator<'a> {
    root: &'a Value,
}

impl Validator<'_> {
    #[allow(clippy::too_many_lines)] // one arm per keyword
    fn validate(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let keywords = match schema {
            Value::Bool(true) => return,
            Value::Bool(false) => return found.push(format!("{at}: nothing is allowed here")),
            schema => schema.as_object().unwrap_or_else(|| panic!("a schema is an object: {schema}")),
        };
        for (keyword, of) in keywords {
            match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "definitions" | "title" | "description" | "default" => {}
                "$ref" => {
                    let pointer = of.as_str().and_then(|of| of.strip_prefix('#')).expect("references stay in the schema");
                    let target = self.root.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
                    self.validate(target, value, at, found);
                }
                "type" => {
                    let names: Vec<&str> = match of {
                        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                        name => vec![name.as_str().unwrap()],
                    };
                    if !names.iter().any(|name| has_type(value, name)) {
                        found.push(format!("{at}: {value} is not of type {names:?}"));
                    }
                }
                "properties" => {
                    for (name, schema) in of.as_object().unwrap() {
                        if let Some(value) = value.get(name) {
                            self.validate(schema, value, &format!("{at}/{name}"), found);
                        }
                    }
                }
                "additionalProperties" => {
                    let known = |name: &str| keywords.get("properties").is_some_and(|known| known.get(name).is_some());
                    for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| !known(name)) {
                        self.validate(of, value, &format!("{at}/{name}"), found);
                    }
                }
                "required" => {
                    for name in of.as_array().unwrap().iter().filter_map(Value::as_str) {
                        if value.is_object() && value.get(name).is_none() {
                            found.push(format!("{at}: there is no {name}"));
                        }
                    }
                }
                "items" => {
                    for (position, value) in value.as_array().into_iter().flatten().enumerate() {
                        self.validate(of, value, &format!("{at}/{position}"), found);
                    }
                }
                "enum" => {
                    if !of.as_array().unwrap().contains(value) {
                        found.push(format!("{at}: {value} is not one of {of}"));
                    }
                }
                "const" => {
                    if of != value {
                        found.push(format!("{at}: {value} is not {of}"));
                    }
                }
                "anyOf" | "oneOf" | "allOf" => {
                    let schemas = of.as_array().unwrap();
                    let valid = schemas.iter().filter(|schema| {
                        let mut found = Vec::new();
                        self.validate(schema, value, at, &mut found);
                        found.is_empty()
                    });
                    let valid = valid.count();
                    let wanted = match keyword.as_str() {
                        "anyOf" => valid >= 1,
                        "oneOf" => valid == 1,
                        _ => valid == schemas.len(),
                    };
                    if !wanted {
                        found.push(format!("{at}: {valid} of {} alternatives of {keyword} fit {value}", schemas.len()));
                    }
                }
                "minItems" | "maxItems" => {
                    let (count, limit) = (value.as_array().map(Vec::len), of.as_u64().unwrap() as usize);
                    if count.is_some_and(|count| if keyword == "minItems" { count < limit } else { count > limit }) {
                        found.push(format!("{at}: {keyword} {limit}"));
                    }
                }
                "minimum" | "maximum" => {
                    let limit = of.as_f64().unwrap();
                    if value.as_f64().is_some_and(|value| if keyword == "minimum" { value < limit } else { value > limit }) {
                        found.push(format!("{at}: {value} breaks {keyword} {limit}"));
                    }
                }
                "uniqueItems" => {
                    let items = value.as_array().map_or(&[][..], Vec::as_slice);
                    if items.iter().enumerate().any(|(position, item)| items[..position].contains(item)) {
                        found.push(format!("{at}: an item occurs twice"));
                    }
                }
                "format" => {
                    let text = value.as_str().unwrap_or_default();
                    let fits = match of.as_str().unwrap() {
                        "uri" => text.contains(':') && !text.contains(' '),
                        "uri-reference" => !text.contains([' ', '#', '\\', '|']),
                        "date-time" => text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z'),
                        // Widths of numbers, which the types of the program hold.
                        "uint" | "uint32" | "uint64" | "int64" | "double" => true,
                        format => panic!("the format {format} is not known"),
                    };
                    if value.is_string() && !fits {
                        found.push(format!("{at}: {text} is not a {of}"));
                    }
                }
                "pattern" => {
                    let pattern = of.as_str().unwrap();
                    if let Some(text) = value.as_str()
                        && !fits_pattern(pattern, text)
                    {
                        found.push(format!("{at}: {text} does not fit {pattern}"));
                    }
                }
                unknown => panic!("the keyword {unknown} is not known"),
            }
        }
    }
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|value| value.fract() == 0.0),
        name => panic!("the type {name} is not known"),
    }
}

/// The few patterns that occur in what is validated.
fn fits_pattern(pattern: &str, text: &str) -> bool {
    let hexadecimal = |length: usize| text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match pattern {
        "^[0-9a-f]{16}$" => hexadecimal(16),
        "^[0-9a-f]{64}$" => hexadecimal(64),
        pattern => panic!("the pattern {pattern} is not known"),
    }
}
