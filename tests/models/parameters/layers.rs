//! Quantised tensors and recurrent layers, step by step as they are defined.

use super::operators::pairwise;
use super::oracle::Call;
use super::reductions::matmul;
use super::value::{Data, Found, Value, axis};
use super::windows;

/// The result of one of these operators; `None` for any other.
pub fn apply(call: &Call) -> Option<Found<Vec<Value>>> {
    let one = |value: Found<Value>| Some(value.map(|value| vec![value]));
    match call.operator {
        "QuantizeLinear" => one(quantized(call, call.input(0), 1)),
        "DequantizeLinear" => one(call.input(0).and_then(|x| dequantized(call, x, 1, channels(call, x)))),
        "QLinearMatMul" => one(product(call)),
        "QLinearConv" => one(convolution(call)),
        "RNN" | "GRU" | "LSTM" => Some(recurrent(call)),
        _ => None,
    }
}

fn channels(call: &Call, x: &Value) -> usize {
    axis(call.int("axis", 1), x.shape.len()).unwrap_or(0)
}

fn widened(x: &Value) -> Vec<f64> {
    match &x.data {
        Data::Floats(data) => data.clone(),
        Data::Ints(data) => data.iter().map(|&i| i as f64).collect(),
        Data::Truths(_) => Vec::new(),
    }
}

/// The parameter of every element, where there is one for each place along an axis or one for all.
fn spread(parameter: &Value, x: &Value, at: usize) -> Vec<f64> {
    let values = widened(parameter);
    let inner: usize = x.shape.get(at + 1..).unwrap_or_default().iter().product();
    (0..x.size()).map(|i| if values.len() == 1 { values[0] } else { values[i / inner % values.len()] }).collect()
}

fn dequantized(call: &Call, x: &Value, scale: usize, at: usize) -> Found<Value> {
    let scales = spread(call.input(scale)?, x, at);
    let zeros = call.optional(scale + 1).map_or_else(|| vec![0.0; x.size()], |zero| spread(zero, x, at));
    Ok(Value::floats(&x.shape, widened(x).iter().zip(&scales).zip(&zeros).map(|((q, s), z)| (q - z) * s).collect()))
}

/// The integers of a zero point tell no types apart here: bytes without a sign, where the zero point is not negative.
fn quantized(call: &Call, x: Found<&Value>, scale: usize) -> Found<Value> {
    let x = x?;
    let at = channels(call, x);
    let scales = spread(call.input(scale)?, x, at);
    let zeros = call.optional(scale + 1).map_or_else(|| vec![0.0; x.size()], |zero| spread(zero, x, at));
    let (low, high) = if zeros.iter().any(|&zero| zero < 0.0) { (-128.0, 127.0) } else { (0.0, 255.0) };
    let level = |((x, s), z): ((&f64, &f64), &f64)| ((x / s).round_ties_even() + z).clamp(low, high);
    Ok(Value::floats(&x.shape, x.as_floats()?.iter().zip(&scales).zip(&zeros).map(level).collect()))
}

fn product(call: &Call) -> Found<Value> {
    let (a, b) = (dequantized(call, call.input(0)?, 1, 0)?, dequantized(call, call.input(3)?, 4, 0)?);
    let found = matmul(&a, &b)?;
    quantized(call, Ok(&found), 6)
}

fn convolution(call: &Call) -> Found<Value> {
    let (x, w) = (dequantized(call, call.input(0)?, 1, 0)?, dequantized(call, call.input(3)?, 4, 0)?);
    let bias = match call.optional(8) {
        None => None,
        Some(bias) => {
            let integers = Value::floats(&bias.shape, widened(bias));
            let scale = pairwise(call.input(1)?, call.input(4)?, |a, b| a * b)?;
            Some(pairwise(&integers, &scale, |b, s| b * s)?)
        }
    };
    let inputs = [Some(&x), Some(&w), bias.as_ref()];
    let found = windows::apply(&Call { operator: "Conv", inputs: &inputs, ..*call }).ok_or("no convolution")??;
    quantized(call, Ok(&found[0]), 6)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// One cell after the other, gate by gate.
fn recurrent(call: &Call) -> Found<Vec<Value>> {
    let (x, w, r) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let [steps, batch, inputs] = x.shape[..] else { return Err("three axes".to_owned()) };
    let [directions, rows, hidden] = r.shape[..] else { return Err("three axes".to_owned()) };
    let fits = w.shape == [directions, rows, inputs] && rows % hidden.max(1) == 0 && steps * batch * inputs * hidden > 0;
    if !fits {
        return Err(format!("{:?} under {:?} and {:?}", x.shape, w.shape, r.shape));
    }
    let (data, weights, recurrence) = (x.as_floats()?, w.as_floats()?, r.as_floats()?);
    let bias = call.optional(3).map(Value::as_floats).transpose()?;
    if bias.is_some_and(|bias| bias.len() != directions * 2 * rows) {
        return Err("one bias for each row".to_owned());
    }
    let initial = |index: usize| call.optional(index).map(Value::as_floats).transpose();
    let (states, memories) = (initial(5)?, initial(6)?);
    let relu = call.attribute("activations").is_some_and(|names| names.strings.iter().all(|name| name == b"Relu"));
    let mut y = vec![0.0; steps * directions * batch * hidden];
    let (mut last, mut cells) = (Vec::new(), Vec::new());
    for direction in 0..directions {
        let backwards = call.string("direction", "forward") == "reverse" || direction == 1;
        for sample in 0..batch {
            let start = |values: Option<&[f64]>| {
                let first = (direction * batch + sample) * hidden;
                values.map_or_else(|| vec![0.0; hidden], |values| values[first..first + hidden].to_vec())
            };
            let (mut h, mut c) = (start(states), start(memories));
            for step in 0..steps {
                let at = if backwards { steps - 1 - step } else { step };
                let row = &data[(at * batch + sample) * inputs..][..inputs];
                let beside = |own: bool, row_of: usize| {
                    bias.map_or(0.0, |bias| bias[direction * 2 * rows + if own { 0 } else { rows } + row_of])
                };
                let own = |gate: usize, unit: usize| {
                    let k = gate * hidden + unit;
                    let weights = &weights[(direction * rows + k) * inputs..][..inputs];
                    row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() + beside(true, k)
                };
                let other = |gate: usize, unit: usize, h: &[f64]| {
                    let k = gate * hidden + unit;
                    let weights = &recurrence[(direction * rows + k) * hidden..][..hidden];
                    h.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() + beside(false, k)
                };
                let total = |gate: usize, unit: usize| own(gate, unit) + other(gate, unit, &h);
                h = match call.operator {
                    "RNN" => (0..hidden).map(|u| if relu { total(0, u).max(0.0) } else { total(0, u).tanh() }).collect(),
                    "GRU" => {
                        let reset: Vec<f64> = (0..hidden).map(|u| sigmoid(total(1, u)) * h[u]).collect();
                        let unit = |u: usize| {
                            let z = sigmoid(total(0, u));
                            let candidate = if call.int("linear_before_reset", 0) == 1 {
                                own(2, u) + sigmoid(total(1, u)) * other(2, u, &h)
                            } else {
                                own(2, u) + other(2, u, &reset)
                            };
                            (1.0 - z) * candidate.tanh() + z * h[u]
                        };
                        (0..hidden).map(unit).collect()
                    }
                    _ => {
                        c = (0..hidden)
                            .map(|u| sigmoid(total(2, u)) * c[u] + sigmoid(total(0, u)) * total(3, u).tanh())
                            .collect();
                        (0..hidden).map(|u| sigmoid(total(1, u)) * c[u].tanh()).collect()
                    }
                };
                let place = ((at * directions + direction) * batch + sample) * hidden;
                y[place..place + hidden].copy_from_slice(&h);
            }
            last.extend(h);
            cells.extend(c);
        }
    }
    let ends = [directions, batch, hidden];
    let mut outputs = vec![Value::floats(&[steps, directions, batch, hidden], y), Value::floats(&ends, last)];
    if call.operator == "LSTM" {
        outputs.push(Value::floats(&ends, cells));
    }
    Ok(outputs)
}
