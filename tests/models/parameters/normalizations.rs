//! Normalisations and norms, from their definitions.

use super::operators::along;
use super::oracle::Call;
use super::value::{Found, Value, axis, count, flat, for_each_index, strides};

/// The result of one of these operators; `None` for any other.
pub fn apply(call: &Call) -> Option<Found<Vec<Value>>> {
    let one = |value: Found<Value>| Some(value.map(|value| vec![value]));
    match call.operator {
        "LayerNormalization" => one(layer(call, true)),
        "RMSNormalization" => one(layer(call, false)),
        "InstanceNormalization" => one(instance(call)),
        "GroupNormalization" => one(group(call)),
        "MeanVarianceNormalization" => one(mean_variance(call)),
        "LpNormalization" => one(call.input(0).and_then(|x| {
            let p = call.int("p", 2);
            along(x, call.int("axis", -1), |data, width| {
                data.chunks(width.max(1)).flat_map(|row| row.iter().map(|x| x / norm(row, p)).collect::<Vec<_>>()).collect()
            })
        })),
        "LRN" => one(local_response(call)),
        _ => None,
    }
}

/// The norm of that order.
pub fn norm(row: &[f64], p: i64) -> f64 {
    row.iter().map(|x| x.abs().powi(p as i32)).sum::<f64>().powf(1.0 / p as f64)
}

/// Rows less their means, over the root of their variances; without the mean over the root mean square.
fn standardised(data: &[f64], width: usize, epsilon: f64, centre: bool) -> Vec<f64> {
    let row = |row: &[f64]| {
        let n = row.len() as f64;
        let mean = if centre { row.iter().sum::<f64>() / n } else { 0.0 };
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        row.iter().map(|x| (x - mean) / (variance + epsilon).sqrt()).collect::<Vec<_>>()
    };
    data.chunks(width.max(1)).flat_map(row).collect()
}

fn layer(call: &Call, centre: bool) -> Found<Value> {
    let (x, scale) = (call.input(0)?, call.input(1)?);
    let at = axis(call.int("axis", -1), x.shape.len())?;
    let found = standardised(x.as_floats()?, count(&x.shape[at..]), call.float("epsilon", 1e-5), centre);
    let scale = scale.expanded(&x.shape)?;
    let bias = call.optional(2).map(|bias| bias.expanded(&x.shape)).transpose()?;
    let bias = bias.as_ref().map(Value::as_floats).transpose()?;
    let scaled = found.iter().zip(scale.as_floats()?).enumerate();
    Ok(Value::floats(&x.shape, scaled.map(|(i, (x, scale))| x * scale + bias.map_or(0.0, |bias| bias[i])).collect()))
}

/// Scales and shifts by parameters of which one is for every so many channels.
fn by_channel(call: &Call, x: &Value, found: Vec<f64>, each: usize) -> Found<Value> {
    let (scale, bias) = (call.input(1)?.as_floats()?, call.input(2)?.as_floats()?);
    let inner = count(&x.shape[2..]);
    let channel = |at: usize| at / inner % x.shape[1] / each;
    if scale.len() != x.shape[1] / each || bias.len() != scale.len() {
        return Err("one parameter for each channel or group".to_owned());
    }
    let element = |(at, x): (usize, f64)| x * scale[channel(at)] + bias[channel(at)];
    Ok(Value::floats(&x.shape, found.into_iter().enumerate().map(element).collect()))
}

fn instance(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let found = standardised(x.as_floats()?, count(&x.shape[2..]), call.float("epsilon", 1e-5), true);
    by_channel(call, x, found, 1)
}

fn group(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let groups = call.int("num_groups", 1) as usize;
    let found = standardised(x.as_floats()?, count(&x.shape[1..]) / groups, call.float("epsilon", 1e-5), true);
    by_channel(call, x, found, if call.opset >= 21 { 1 } else { x.shape[1] / groups })
}

fn mean_variance(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let rank = x.shape.len();
    let axes: Vec<usize> = call.ints("axes").unwrap_or(&[0, 2, 3]).iter().map(|&at| axis(at, rank)).collect::<Found<_>>()?;
    let order: Vec<usize> = (0..rank).filter(|at| !axes.contains(at)).chain(axes.iter().copied()).collect();
    let moved = x.transposed(&order)?;
    let width = axes.iter().map(|&at| x.shape[at]).product::<usize>();
    let row = |row: &[f64]| {
        let n = row.len() as f64;
        let mean = row.iter().sum::<f64>() / n;
        let deviation = (row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        row.iter().map(|x| (x - mean) / (deviation + f64::from(1e-9f32))).collect::<Vec<_>>()
    };
    let found = Value::floats(&moved.shape, moved.as_floats()?.chunks(width.max(1)).flat_map(row).collect());
    let back: Vec<usize> = (0..rank).map(|at| order.iter().position(|&a| a == at).expect("an axis")).collect();
    found.transposed(&back)
}

fn local_response(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let size = call.int("size", 1);
    let (alpha, beta, bias) = (call.float("alpha", 1e-4), call.float("beta", 0.75), call.float("bias", 1.0));
    let (own, data) = (strides(&x.shape), x.as_floats()?);
    let mut found = Vec::with_capacity(data.len());
    for_each_index(&x.shape, |index| {
        let channel = index[1] as i64;
        let first = (channel - (size - 1) / 2).max(0);
        let last = (channel + size - 1 - (size - 1) / 2).min(x.shape[1] as i64 - 1);
        let squares = (first..=last).map(|other| {
            let mut at = index.to_vec();
            at[1] = other as usize;
            data[flat(&at, &own)].powi(2)
        });
        let total: f64 = squares.sum();
        found.push(data[flat(index, &own)] / (bias + alpha / size as f64 * total).powf(beta));
    });
    Ok(Value::floats(&x.shape, found))
}
