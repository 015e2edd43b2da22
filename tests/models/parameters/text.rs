//! Graphs as text: one statement a line or between semicolons, to be read and to be pasted.
//!
//! | statement | what it is |
//! |---|---|
//! | `w[2,1] = 0.5 -1` | an initializer of type `f32`; `w` alone has no axes; `w[2]: int` and `w: bool` for other types |
//! | `constant c = 2.5` | the same as a `Constant` node |
//! | `y = Clip(x, _, c)` | a node; `_` is an input that is left out |
//! | `a, b = Split(x) {axis=1, pads=[1,0], alpha=0.5f, mode="edge"}` | several outputs; attributes |

use nnverify::kernel::model::onnx::proto::{AttributeProto, AttributeType, GraphProto, ModelProto, NodeProto};

use super::builder::{encoded, float, int, ints, model, port, string};
use super::value::{Data, Value};

/// The model of a text: its input is `x` of shape `[1, width]`, its output the last statement's first value.
pub fn read(text: &str, opset: i64, width: usize) -> ModelProto {
    let mut graph = GraphProto { input: vec![port("x", Some(&[1, width]))], ..GraphProto::default() };
    let mut last = "x".to_owned();
    for statement in text.split(['\n', ';']).map(str::trim).filter(|statement| !statement.is_empty()) {
        let (left, right) = statement.split_once('=').unwrap_or_else(|| panic!("no `=` in `{statement}`"));
        let (left, right) = (left.trim(), right.trim());
        if !right.contains('(') {
            tensor(&mut graph, left, right);
            continue;
        }
        let (operator, rest) = right.split_once('(').expect("it has one");
        let (inputs, attributes) = rest.split_once(')').unwrap_or_else(|| panic!("no `)` in `{statement}`"));
        let names = |list: &str| -> Vec<String> {
            let names = list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
            names.map(|name| if name == "_" { String::new() } else { name }).collect()
        };
        let output = names(left);
        last.clone_from(&output[0]);
        let inner = attributes.trim().trim_start_matches('{').trim_end_matches('}');
        graph.node.push(NodeProto {
            input: names(inputs),
            name: format!("n{}", graph.node.len()),
            output,
            op_type: operator.trim().to_owned(),
            attribute: parts(inner).iter().map(|text| attribute(text)).collect(),
            domain: String::new(),
        });
    }
    graph.output = vec![port(&last, None)];
    model(graph, opset)
}

fn tensor(graph: &mut GraphProto, left: &str, right: &str) {
    let (left, constant) = left.strip_prefix("constant ").map_or((left, false), |rest| (rest, true));
    let (left, kind) = left.split_once(':').map_or((left, "float"), |(left, kind)| (left.trim(), kind.trim()));
    let (name, shape) = left.split_once('[').unwrap_or((left, ""));
    let shape: Vec<usize> = numbers(shape.trim_end_matches(']'), ",");
    let value = match kind {
        "int" => Value::ints(&shape, numbers(right, " ")),
        "bool" => Value::truths(&shape, numbers::<u8>(right, " ").into_iter().map(|truth| truth != 0).collect()),
        // Of `f32`, so that both readers mean the same number.
        _ => Value::floats(&shape, numbers::<f32>(right, " ").into_iter().map(f64::from).collect()),
    };
    let tensor = encoded(&value, false, true);
    let tensor = nnverify::kernel::model::onnx::proto::TensorProto { name: name.trim().to_owned(), ..tensor };
    if !constant {
        graph.initializer.push(tensor);
        return;
    }
    let output = vec![tensor.name.clone()];
    let value = AttributeProto {
        name: "value".to_owned(),
        r#type: AttributeType::Tensor.into(),
        t: Some(tensor),
        ..AttributeProto::default()
    };
    let node = NodeProto { output, op_type: "Constant".to_owned(), attribute: vec![value], ..NodeProto::default() };
    graph.node.push(node);
}

fn numbers<T: std::str::FromStr>(text: &str, separator: &str) -> Vec<T> {
    let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().unwrap_or_else(|_| panic!("`{part}` is no number"))).collect()
}

/// The parts of a list, with commas in brackets left alone.
fn parts(list: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut depth = 0;
    for c in list.chars() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        match c {
            ',' if depth == 0 => found.push(String::new()),
            c => found.last_mut().expect("one at least").push(c),
        }
    }
    found.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn attribute(text: &str) -> AttributeProto {
    let (name, value) = text.split_once('=').unwrap_or_else(|| panic!("no `=` in `{text}`"));
    if let Some(list) = value.strip_prefix('[') {
        return ints(name, &numbers(list.trim_end_matches(']'), ","));
    }
    if let Some(text) = value.strip_prefix('"') {
        return string(name, text.trim_end_matches('"'));
    }
    match value.strip_suffix('f') {
        Some(number) => float(name, number.parse().expect("a number")),
        None => int(name, value.parse().expect("an integer")),
    }
}

/// A model as text.
pub fn write(model: &ModelProto) -> String {
    let Some(graph) = &model.graph else { return String::new() };
    let tensors = graph.initializer.iter().map(|tensor| written(&tensor.name, super::oracle::decoded(tensor).ok()));
    let nodes = graph.node.iter().map(|node| {
        if node.op_type == "Constant" {
            return format!("constant {}", written(&node.output[0], super::oracle::constant(node).ok()));
        }
        let inputs: Vec<&str> = node.input.iter().map(|name| if name.is_empty() { "_" } else { name }).collect();
        let attributes: Vec<String> = node.attribute.iter().map(shown).collect();
        let attributes = if attributes.is_empty() { String::new() } else { format!(" {{{}}}", attributes.join(", ")) };
        format!("{} = {}({}){attributes}", node.output.join(", "), node.op_type, inputs.join(", "))
    });
    let opset = model.opset_import.first().map_or(0, |import| import.version);
    let lines: Vec<String> = tensors.chain(nodes).collect();
    format!("(operator set {opset})\n{}", lines.join("\n"))
}

fn written(name: &str, value: Option<Value>) -> String {
    let Some(value) = value else { return name.to_owned() };
    let (kind, data): (_, Vec<String>) = match &value.data {
        Data::Floats(data) => ("", data.iter().map(|x| (*x as f32).to_string()).collect()),
        Data::Ints(data) => (": int", data.iter().map(i64::to_string).collect()),
        Data::Truths(data) => (": bool", data.iter().map(|&truth| u8::from(truth).to_string()).collect()),
    };
    let shape: Vec<String> = value.shape.iter().map(usize::to_string).collect();
    let shape = if shape.is_empty() { String::new() } else { format!("[{}]", shape.join(",")) };
    format!("{name}{shape}{kind} = {}", data.join(" "))
}

fn shown(attribute: &AttributeProto) -> String {
    let name = &attribute.name;
    match (attribute.i, attribute.f, &attribute.s) {
        (Some(i), _, _) => format!("{name}={i}"),
        (_, Some(f), _) => format!("{name}={f}f"),
        (_, _, Some(s)) => format!("{name}=\"{}\"", String::from_utf8_lossy(s)),
        _ => format!("{name}={:?}", attribute.ints).replace(' ', ""),
    }
}
