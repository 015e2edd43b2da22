//! A reader of XML Schemas for tests: the constructs that `tests/data/junit.xsd` uses. What is not known is an error, so that
//! nothing passes because it was not looked at.

use std::ops::RangeInclusive;

use roxmltree::{Document, Node};

/// What of a document breaks a schema; nothing where it is valid.
pub fn violations(schema: &str, document: &str) -> Vec<String> {
    let schema = Document::parse(schema).expect("the schema is XML");
    let document = Document::parse(document).expect("the document is XML");
    let validator = Validator { schema: schema.root_element() };
    let mut found = Vec::new();
    let root = document.root_element();
    match validator.global(root.tag_name().name()) {
        Some(declaration) => validator.element(declaration, root, &mut found),
        None => found.push(format!("no root element <{}>", root.tag_name().name())),
    }
    found
}

struct Validator<'a, 'i> {
    schema: Node<'a, 'i>,
}

fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

fn part<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    elements(node).find(|part| part.has_tag_name(("http://www.w3.org/2001/XMLSchema", name)))
}

impl<'a, 'i> Validator<'a, 'i> {
    fn global(&self, name: &str) -> Option<Node<'a, 'i>> {
        elements(self.schema).find(|declaration| declaration.attribute("name") == Some(name))
    }

    fn element(&self, declaration: Node<'a, 'i>, node: Node, found: &mut Vec<String>) {
        let at = node.tag_name().name();
        let Some(complex) = part(declaration, "complexType") else {
            let kind = declaration.attribute("type").expect("an element has a type");
            if elements(node).next().is_some() || node.attributes().len() > 0 {
                found.push(format!("<{at}> holds more than text"));
            }
            return value(kind, node.text().unwrap_or_default(), at, found);
        };
        let declared: Vec<Node> = elements(complex).filter(|part| part.tag_name().name() == "attribute").collect();
        for attribute in node.attributes() {
            match declared.iter().find(|declared| declared.attribute("name") == Some(attribute.name())) {
                Some(declared) => value(declared.attribute("type").unwrap(), attribute.value(), at, found),
                None => found.push(format!("<{at}> has the attribute {}", attribute.name())),
            }
        }
        for declared in declared.iter().filter(|declared| declared.attribute("use") == Some("required")) {
            let name = declared.attribute("name").unwrap();
            if !node.has_attribute(name) {
                found.push(format!("<{at}> has no attribute {name}"));
            }
        }
        let text = node.children().any(|child| child.is_text() && !child.text().unwrap_or_default().trim().is_empty());
        if text && complex.attribute("mixed") != Some("true") {
            found.push(format!("<{at}> holds text"));
        }
        let children: Vec<Node> = elements(node).collect();
        let taken = match elements(complex).find(|part| ["sequence", "choice"].contains(&part.tag_name().name())) {
            Some(group) => self.particle(group, &children, at, found),
            None => 0,
        };
        if let Some(child) = children.get(taken) {
            found.push(format!("<{at}>: <{}> has no place there", child.tag_name().name()));
        }
    }

    /// Takes from the front of the children as often as the particle may occur; says how many.
    fn particle(&self, particle: Node<'a, 'i>, children: &[Node], at: &str, found: &mut Vec<String>) -> usize {
        let occurs = occurrences(particle);
        let (mut taken, mut times) = (0, 0);
        while times < *occurs.end() {
            let more = self.once(particle, &children[taken..], at, found);
            if more == 0 {
                break;
            }
            taken += more;
            times += 1;
        }
        if !occurs.contains(&times) {
            let name = particle.attribute("ref").or(particle.attribute("name")).unwrap_or(particle.tag_name().name());
            found.push(format!("<{at}>: {name} occurs {times} times"));
        }
        taken
    }

    fn once(&self, particle: Node<'a, 'i>, children: &[Node], at: &str, found: &mut Vec<String>) -> usize {
        match particle.tag_name().name() {
            "sequence" => elements(particle).fold(0, |taken, part| taken + self.particle(part, &children[taken..], at, found)),
            "choice" => {
                let mut taken = elements(particle).map(|part| self.once(part, children, at, found));
                taken.find(|taken| *taken > 0).unwrap_or(0)
            }
            "element" => {
                let name = particle.attribute("ref").or(particle.attribute("name")).expect("an element has a name");
                let declaration =
                    if particle.has_attribute("ref") { self.global(name).expect("it is declared") } else { particle };
                let Some(child) = children.first().filter(|child| child.has_tag_name(name)) else { return 0 };
                self.element(declaration, *child, found);
                1
            }
            unknown => panic!("the construct {unknown} is not known"),
        }
    }
}

fn occurrences(particle: Node) -> RangeInclusive<usize> {
    let count = |name: &str| match particle.attribute(name) {
        None => 1,
        Some("unbounded") => usize::MAX,
        Some(count) => count.parse().expect("a count"),
    };
    count("minOccurs")..=count("maxOccurs")
}

fn value(kind: &str, text: &str, at: &str, found: &mut Vec<String>) {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let fits = match kind {
        "xs:string" => true,
        "xs:nonNegativeInteger" => digits(text),
        "xs:decimal" => digits(&text.replacen('.', "", 1)),
        // A date and a time of day in whole seconds.
        "xs:dateTime" => {
            text.len() == 19
                && text.bytes().enumerate().all(|(place, b)| match place {
                    4 | 7 => b == b'-',
                    10 => b == b'T',
                    13 | 16 => b == b':',
                    _ => b.is_ascii_digit(),
                })
        }
        unknown => panic!("the type {unknown} is not known"),
    };
    if !fits {
        found.push(format!("<{at}>: `{text}` is no {kind}"));
    }
}
