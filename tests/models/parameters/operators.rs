//! The operators by name, and those that compute element by element.

use super::oracle::Call;
use super::value::{Data, Found, Value, axis, broadcast, count};
use super::{layers, movements, normalizations, places, reductions, windows};

/// Computes one operator.
pub fn apply(call: &Call) -> Found<Vec<Value>> {
    let rooms = [movements::apply, reductions::apply, windows::apply, normalizations::apply, places::apply, layers::apply];
    if let Some(result) = rooms.iter().find_map(|apply| apply(call)) {
        return result;
    }
    elementwise(call).map(|value| vec![value])
}

fn elementwise(call: &Call) -> Found<Value> {
    if let Some(function) = function(call) {
        let x = call.input(0)?;
        return Ok(Value::floats(&x.shape, x.as_floats()?.iter().map(|&x| function(x)).collect()));
    }
    match call.operator {
        "Neg" => unary(call, |x| -x, |i| -i),
        "Abs" => unary(call, f64::abs, i64::abs),
        "Sign" => unary(call, |x| if x == 0.0 { 0.0 } else { x.signum() }, i64::signum),
        "Add" => binary(call, |a, b| a + b, i64::checked_add),
        "Sub" => binary(call, |a, b| a - b, i64::checked_sub),
        "Mul" => binary(call, |a, b| a * b, i64::checked_mul),
        "Div" => binary(call, |a, b| a / b, i64::checked_div),
        "Mod" => binary(call, |a, b| a - b * (a / b).floor(), |a, b| floored(call.int("fmod", 0) == 1, a, b)),
        "Sum" => variadic(call, |a, b| a + b),
        "Max" => variadic(call, larger),
        "Min" => variadic(call, smaller),
        "Mean" => {
            let sum = variadic(call, |a, b| a + b)?;
            let inputs = call.inputs.len() as f64;
            Ok(Value::floats(&sum.shape, sum.as_floats()?.iter().map(|x| x / inputs).collect()))
        }
        "Pow" => power(call.input(0)?, call.input(1)?),
        "PRelu" => {
            let (x, slope) = (call.input(0)?, call.input(1)?);
            pairwise(x, &slope.expanded(&x.shape)?, |x, slope| if x < 0.0 { slope * x } else { x })
        }
        "Clip" => clip(call),
        "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" => compare(call),
        "And" => logic(call, |a, b| a && b),
        "Or" => logic(call, |a, b| a || b),
        "Xor" => logic(call, |a, b| a != b),
        "Not" => {
            let x = call.input(0)?;
            Ok(Value::truths(&x.shape, x.as_truths()?.iter().map(|truth| !truth).collect()))
        }
        "Cast" => cast(call.input(0)?, call.int("to", 0)),
        "CastLike" => match call.input(1)?.data {
            Data::Floats(_) => cast(call.input(0)?, 1),
            Data::Ints(_) => cast(call.input(0)?, 7),
            Data::Truths(_) => cast(call.input(0)?, 9),
        },
        other => Err(format!("no operator {other}")),
    }
}

/// The larger of two numbers, or NaN beside one.
pub fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// The smaller of two numbers, or NaN beside one.
pub fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || a < b { a } else { b }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The function of one real variable that an operator is.
fn function(call: &Call) -> Option<Box<dyn Fn(f64) -> f64>> {
    let (alpha, beta) = (|default| call.float("alpha", default), |default| call.float("beta", default));
    let elu = |alpha: f64| move |x: f64| if x < 0.0 { alpha * x.exp_m1() } else { x };
    Some(match call.operator {
        "Relu" => Box::new(|x| larger(x, 0.0)),
        "LeakyRelu" => {
            let alpha = alpha(0.01);
            Box::new(move |x| if x < 0.0 { alpha * x } else { x })
        }
        "Elu" => Box::new(elu(alpha(1.0))),
        "Selu" => {
            let (inner, gamma) = (elu(alpha(1.673_263_2)), call.float("gamma", 1.050_701));
            Box::new(move |x| gamma * inner(x))
        }
        "Celu" => {
            let alpha = alpha(1.0);
            Box::new(move |x: f64| x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0))
        }
        "Sigmoid" => Box::new(sigmoid),
        "HardSigmoid" => {
            let (alpha, beta) = (alpha(0.2), beta(0.5));
            Box::new(move |x| (alpha * x + beta).clamp(0.0, 1.0))
        }
        "Shrink" => {
            let (threshold, bias) = (call.float("lambd", 0.5), call.float("bias", 0.0));
            let above = move |x: f64| if x > threshold { x - bias } else { 0.0 };
            Box::new(move |x| if x < -threshold { x + bias } else { above(x) })
        }
        "HardSwish" => Box::new(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        "Tanh" => Box::new(f64::tanh),
        "Log" => Box::new(f64::ln),
        "Sinh" => Box::new(f64::sinh),
        "Cosh" => Box::new(f64::cosh),
        "Tan" => Box::new(f64::tan),
        "Atanh" => Box::new(f64::atanh),
        "Acosh" => Box::new(f64::acosh),
        "Erfc" => Box::new(libm::erfc),
        "Round" => Box::new(f64::round_ties_even),
        "Swish" => {
            let alpha = alpha(1.0);
            Box::new(move |x| x * sigmoid(alpha * x))
        }
        "ThresholdedRelu" => {
            let alpha = alpha(1.0);
            Box::new(move |x| if x > alpha { x } else { 0.0 })
        }
        "Softplus" => Box::new(softplus),
        "Softsign" => Box::new(|x| x / (1.0 + x.abs())),
        "Erf" => Box::new(libm::erf),
        "Gelu" if call.string("approximate", "none") == "tanh" => {
            let inner = |x: f64| (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            Box::new(move |x| 0.5 * x * (1.0 + inner(x).tanh()))
        }
        "Gelu" => Box::new(|x| 0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2))),
        "Mish" => Box::new(|x| x * softplus(x).tanh()),
        "Sin" => Box::new(f64::sin),
        "Cos" => Box::new(f64::cos),
        "Exp" => Box::new(f64::exp),
        "Sqrt" => Box::new(f64::sqrt),
        "Floor" => Box::new(f64::floor),
        "Ceil" => Box::new(f64::ceil),
        "Reciprocal" => Box::new(|x| 1.0 / x),
        _ => return None,
    })
}

fn unary(call: &Call, float: fn(f64) -> f64, int: fn(i64) -> i64) -> Found<Value> {
    let x = call.input(0)?;
    Ok(match &x.data {
        Data::Floats(data) => Value::floats(&x.shape, data.iter().map(|&x| float(x)).collect()),
        Data::Ints(data) => Value::ints(&x.shape, data.iter().map(|&i| int(i)).collect()),
        Data::Truths(_) => return Err("arithmetic on truth values".to_owned()),
    })
}

/// Combines floating point tensors after broadcasting.
pub fn pairwise(a: &Value, b: &Value, combine: impl Fn(f64, f64) -> f64) -> Found<Value> {
    let shape = broadcast(&a.shape, &b.shape)?;
    let (a, b) = (a.expanded(&shape)?, b.expanded(&shape)?);
    Ok(Value::floats(&shape, a.as_floats()?.iter().zip(b.as_floats()?).map(|(&a, &b)| combine(a, b)).collect()))
}

fn binary(call: &Call, float: impl Fn(f64, f64) -> f64, int: impl Fn(i64, i64) -> Option<i64>) -> Found<Value> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    if matches!(a.data, Data::Floats(_)) {
        return pairwise(a, b, float);
    }
    let shape = broadcast(&a.shape, &b.shape)?;
    let (a, b) = (a.expanded(&shape)?, b.expanded(&shape)?);
    let data = a.as_ints()?.iter().zip(b.as_ints()?).map(|(&a, &b)| int(a, b)).collect::<Option<Vec<_>>>();
    Ok(Value::ints(&shape, data.ok_or("integers overflow")?))
}

/// The remainder with the sign of the divisor, or with `fmod` that of the dividend.
fn floored(fmod: bool, a: i64, b: i64) -> Option<i64> {
    let rest = a.checked_rem(b)?;
    Some(if !fmod && rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
}

fn variadic(call: &Call, combine: fn(f64, f64) -> f64) -> Found<Value> {
    let mut result = call.input(0)?.clone();
    for index in 1..call.inputs.len() {
        let other = call.input(index)?;
        result = match (&result.data, &other.data) {
            (Data::Ints(_), Data::Ints(_)) => {
                let int = |a, b| Some(combine(a as f64, b as f64) as i64);
                let inputs = [Some(&result), Some(other)];
                binary(&Call { inputs: &inputs, ..*call }, combine, int)?
            }
            _ => pairwise(&result, other, combine)?,
        };
    }
    Ok(result)
}

fn power(x: &Value, exponent: &Value) -> Found<Value> {
    match &exponent.data {
        Data::Ints(data) => {
            let exponent = Value::floats(&exponent.shape, data.iter().map(|&i| i as f64).collect());
            pairwise(x, &exponent, f64::powf)
        }
        _ => pairwise(x, exponent, f64::powf),
    }
}

fn clip(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let bound = |index: usize, name: &str, open: f64| match call.optional(index) {
        Some(value) if value.size() == 1 => Ok(value.as_floats()?[0]),
        Some(value) => Err(format!("a bound of shape {:?}", value.shape)),
        None => Ok(call.attribute(name).map_or(open, |attribute| f64::from(attribute.f.unwrap_or(0.0)))),
    };
    let (lower, upper) = (bound(1, "min", f64::NEG_INFINITY)?, bound(2, "max", f64::INFINITY)?);
    Ok(Value::floats(&x.shape, x.as_floats()?.iter().map(|&x| smaller(larger(x, lower), upper)).collect()))
}

fn compare(call: &Call) -> Found<Value> {
    fn holds<T: PartialOrd>(operator: &str, a: &T, b: &T) -> bool {
        match operator {
            "Equal" => a == b,
            "Less" => a < b,
            "LessOrEqual" => a <= b,
            "Greater" => a > b,
            _ => a >= b,
        }
    }
    let (a, b) = (call.input(0)?, call.input(1)?);
    let shape = broadcast(&a.shape, &b.shape)?;
    let (a, b) = (a.expanded(&shape)?, b.expanded(&shape)?);
    let data = match (&a.data, &b.data) {
        (Data::Floats(a), Data::Floats(b)) => a.iter().zip(b).map(|(a, b)| holds(call.operator, a, b)).collect(),
        (Data::Ints(a), Data::Ints(b)) => a.iter().zip(b).map(|(a, b)| holds(call.operator, a, b)).collect(),
        (Data::Truths(a), Data::Truths(b)) => a.iter().zip(b).map(|(a, b)| holds(call.operator, a, b)).collect(),
        _ => return Err("compares different types".to_owned()),
    };
    Ok(Value::truths(&shape, data))
}

fn logic(call: &Call, combine: fn(bool, bool) -> bool) -> Found<Value> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let shape = broadcast(&a.shape, &b.shape)?;
    let (a, b) = (a.expanded(&shape)?, b.expanded(&shape)?);
    Ok(Value::truths(&shape, a.as_truths()?.iter().zip(b.as_truths()?).map(|(&a, &b)| combine(a, b)).collect()))
}

/// A conversion; towards zero where it makes integers.
fn cast(x: &Value, to: i64) -> Found<Value> {
    let shape = x.shape.clone();
    let data = match (to, &x.data) {
        (1 | 11, Data::Floats(data)) => Data::Floats(data.clone()),
        (1 | 11, Data::Ints(data)) => Data::Floats(data.iter().map(|&i| i as f64).collect()),
        (1 | 11, Data::Truths(data)) => Data::Floats(data.iter().map(|&t| f64::from(u8::from(t))).collect()),
        (6 | 7, Data::Floats(data)) => Data::Ints(data.iter().map(|x| x.trunc() as i64).collect()),
        (2 | 3 | 6 | 7, Data::Ints(data)) => Data::Ints(data.clone()),
        (6 | 7, Data::Truths(data)) => Data::Ints(data.iter().map(|&t| i64::from(t)).collect()),
        (9, Data::Floats(data)) => Data::Truths(data.iter().map(|&x| x != 0.0).collect()),
        (9, Data::Ints(data)) => Data::Truths(data.iter().map(|&i| i != 0).collect()),
        (9, Data::Truths(data)) => Data::Truths(data.clone()),
        _ => return Err(format!("a cast to {to}")),
    };
    Ok(Value { shape, data })
}

/// Row-major matrices: `[m, k]` times `[k, n]`.
pub fn product(a: &[f64], b: &[f64], [m, k, n]: [usize; 3]) -> Vec<f64> {
    let element = |at: usize| (0..k).map(|inner| a[at / n * k + inner] * b[inner * n + at % n]).sum();
    (0..m * n).map(element).collect()
}

/// Normalises exponentials over rows of that width.
pub fn softmax(data: &[f64], width: usize) -> Vec<f64> {
    let row = |row: &[f64]| {
        let peak = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = row.iter().map(|x| (x - peak).exp()).collect();
        let total: f64 = powers.iter().sum();
        powers.into_iter().map(move |power| power / total).collect::<Vec<_>>()
    };
    data.chunks(width.max(1)).flat_map(row).collect()
}

/// An operation on the rows along one axis.
pub fn along(x: &Value, at: i64, operate: impl Fn(&[f64], usize) -> Vec<f64>) -> Found<Value> {
    let rank = x.shape.len();
    let at = axis(at, rank)?;
    let order: Vec<usize> = (0..rank).filter(|&axis| axis != at).chain([at]).collect();
    let moved = x.transposed(&order)?;
    let found = Value::floats(&moved.shape, operate(moved.as_floats()?, x.shape[at]));
    let back: Vec<usize> = (0..rank).map(|axis| order.iter().position(|&a| a == axis).expect("an axis")).collect();
    debug_assert_eq!(count(&found.shape), x.size());
    found.transposed(&back)
}
