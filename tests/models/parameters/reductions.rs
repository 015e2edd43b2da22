//! Reductions, sorting, softmax, matrix products and normalisation.

use super::movements::sorted_axes;
use super::normalizations::norm;
use super::operators::{along, larger, pairwise, product, smaller, softmax};
use super::oracle::Call;
use super::value::{Data, Found, Value, axis, broadcast, count, flat, strides};

/// The result of one of these operators; `None` for any other.
pub fn apply(call: &Call) -> Option<Found<Vec<Value>>> {
    let one = |value: Found<Value>| Some(value.map(|value| vec![value]));
    match call.operator {
        "ReduceSum" => one(reduce(call, |row| row.iter().sum())),
        "ReduceMean" => one(reduce(call, |row| row.iter().sum::<f64>() / row.len() as f64)),
        "ReduceMax" => one(reduce(call, |row| row.iter().copied().fold(f64::NEG_INFINITY, larger))),
        "ReduceMin" => one(reduce(call, |row| row.iter().copied().fold(f64::INFINITY, smaller))),
        "ReduceProd" => one(reduce(call, |row| row.iter().product())),
        "ReduceL1" => one(reduce(call, |row| row.iter().map(|x| x.abs()).sum())),
        "ReduceSumSquare" => one(reduce(call, |row| row.iter().map(|x| x * x).sum())),
        "ReduceL2" => one(reduce(call, |row| norm(row, 2))),
        "ReduceLogSum" => one(reduce(call, |row| row.iter().sum::<f64>().ln())),
        "ReduceLogSumExp" => one(reduce(call, log_sum_exp)),
        "TopK" => one(top_k(call)),
        "Softmax" => one(normalised(call, softmax)),
        "LogSoftmax" => one(normalised(call, |data, width| {
            data.chunks(width.max(1)).flat_map(|row| row.iter().map(|x| x - log_sum_exp(row)).collect::<Vec<_>>()).collect()
        })),
        "MatMul" => one(call.input(0).and_then(|a| matmul(a, call.input(1)?))),
        "Gemm" => one(gemm(call)),
        "BatchNormalization" => one(batch_normalization(call)),
        _ => None,
    }
}

fn reduce(call: &Call, fold: impl Fn(&[f64]) -> f64) -> Found<Value> {
    let x = call.input(0)?;
    let rank = x.shape.len();
    let listed = call.ints_or_input("axes", 1)?.unwrap_or_default();
    let everything = listed.is_empty() && call.int("noop_with_empty_axes", 0) == 0;
    let reduced = if everything { (0..rank).collect() } else { sorted_axes(&listed, rank)? };
    let kept: Vec<usize> = (0..rank).filter(|at| !reduced.contains(at)).collect();
    let order: Vec<usize> = kept.iter().chain(&reduced).copied().collect();
    let moved = x.transposed(&order)?;
    let width = reduced.iter().map(|&at| x.shape[at]).product::<usize>();
    if width == 0 {
        return Err("reduces over nothing".to_owned());
    }
    let shape: Vec<usize> = if call.int("keepdims", 1) == 1 {
        (0..rank).map(|at| if reduced.contains(&at) { 1 } else { x.shape[at] }).collect()
    } else {
        kept.iter().map(|&at| x.shape[at]).collect()
    };
    Ok(match &moved.data {
        Data::Floats(data) => Value::floats(&shape, data.chunks(width).map(fold).collect()),
        Data::Ints(data) => {
            let row = |row: &[i64]| fold(&row.iter().map(|&i| i as f64).collect::<Vec<_>>()) as i64;
            Value::ints(&shape, data.chunks(width).map(row).collect())
        }
        Data::Truths(_) => return Err("reduces truth values".to_owned()),
    })
}

/// A complete sort.
fn top_k(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let at = axis(call.int("axis", -1), x.shape.len())?;
    let wanted = match call.optional(1) {
        Some(count) => count.as_ints()?.first().copied().ok_or("no K")?,
        None => call.int("k", 0),
    };
    let descending = call.int("largest", 1) == 1;
    let sorted = along(x, at as i64, |data, width| {
        let row = |row: &[f64]| {
            let mut row = row.to_vec();
            row.sort_by(|a, b| if descending { b.total_cmp(a) } else { a.total_cmp(b) });
            row
        };
        data.chunks(width.max(1)).flat_map(row).collect()
    })?;
    let mut shape = x.shape.clone();
    shape[at] = usize::try_from(wanted).ok().filter(|&wanted| wanted <= shape[at]).ok_or("more than there are")?;
    let own = strides(&x.shape);
    sorted.picked(shape, |index| flat(index, &own))
}

fn log_sum_exp(row: &[f64]) -> f64 {
    let peak = row.iter().copied().fold(f64::NEG_INFINITY, larger);
    peak + row.iter().map(|x| (x - peak).exp()).sum::<f64>().ln()
}

fn normalised(call: &Call, operate: impl Fn(&[f64], usize) -> Vec<f64>) -> Found<Value> {
    let x = call.input(0)?;
    if call.opset >= 13 {
        return along(x, call.int("axis", -1), operate);
    }
    let (rank, at) = (x.shape.len(), call.int("axis", 1));
    let at = if at == rank as i64 { rank } else { axis(at, rank)? };
    Ok(Value::floats(&x.shape, operate(x.as_floats()?, count(&x.shape[at..]))))
}

pub fn matmul(a: &Value, b: &Value) -> Found<Value> {
    let misfit = || format!("{:?} times {:?}", a.shape, b.shape);
    let rows = if a.shape.len() == 1 { a.reshaped(vec![1, a.size()])? } else { a.clone() };
    let columns = if b.shape.len() == 1 { b.reshaped(vec![b.size(), 1])? } else { b.clone() };
    let ([left @ .., m, k], [right @ .., inner, n]) = (&rows.shape[..], &columns.shape[..]) else { return Err(misfit()) };
    if k != inner {
        return Err(misfit());
    }
    let batch = broadcast(left, right)?;
    let expanded = |value: &Value, matrix: [usize; 2]| value.expanded(&[&batch[..], &matrix].concat());
    let (left, right) = (expanded(&rows, [*m, *k])?, expanded(&columns, [*k, *n])?);
    let (left, right) = (left.as_floats()?, right.as_floats()?);
    let (own, other) = (m * k, k * n);
    let matrix = |i: usize| product(&left[i * own..(i + 1) * own], &right[i * other..(i + 1) * other], [*m, *k, *n]);
    let data = (0..count(&batch)).flat_map(matrix).collect();
    let mut shape = batch;
    shape.extend((a.shape.len() > 1).then_some(*m));
    shape.extend((b.shape.len() > 1).then_some(*n));
    Ok(Value::floats(&shape, data))
}

fn gemm(call: &Call) -> Found<Value> {
    let side = |index: usize, name: &str| {
        let value = call.input(index)?;
        if call.int(name, 0) == 0 { Ok(value.clone()) } else { value.transposed(&[1, 0]) }
    };
    let (alpha, beta) = (call.float("alpha", 1.0), call.float("beta", 1.0));
    let found = matmul(&side(0, "transA")?, &side(1, "transB")?)?;
    let scaled = Value::floats(&found.shape, found.as_floats()?.iter().map(|x| alpha * x).collect());
    match call.optional(2) {
        Some(c) => pairwise(&scaled, &c.expanded(&scaled.shape)?, |x, c| x + beta * c),
        None => Ok(scaled),
    }
}

fn batch_normalization(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let channels = if x.shape.len() < 2 { 1 } else { x.shape[1] };
    let inner = count(x.shape.get(2..).unwrap_or_default());
    let parameters = (1..5).map(|index| call.input(index)?.as_floats()).collect::<Found<Vec<_>>>()?;
    if parameters.iter().any(|parameter| parameter.len() != channels) {
        return Err("one parameter for each channel".to_owned());
    }
    let epsilon = call.float("epsilon", 1e-5);
    let element = |(at, x): (usize, &f64)| {
        let channel = at / inner % channels;
        let [scale, bias, mean, variance] = [0, 1, 2, 3].map(|index: usize| parameters[index][channel]);
        (x - mean) / (variance + epsilon).sqrt() * scale + bias
    };
    Ok(Value::floats(&x.shape, x.as_floats()?.iter().enumerate().map(element).collect()))
}
