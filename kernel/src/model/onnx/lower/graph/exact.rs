//! Constant arithmetic that is exact in `f64`, for decisions that need a constant's value: axes of a pattern, bounds of a
//! clip, divisors. A result that would have to be rounded is unknown, never approximated.

use crate::model::ir::{Binary, Function, Op};

/// Results larger than this are not kept.
pub const LIMIT: usize = 1 << 14;

/// The exact value of an operation on exactly known operands.
pub fn apply(op: &Op, operands: &[&[f64]]) -> Option<Vec<f64>> {
    match (op, operands) {
        (Op::Reshape, [x]) => Some(x.to_vec()),
        (Op::Rearrange(sources), _) => {
            sources.iter().map(|s| operands.get(s.operand as usize)?.get(s.element as usize).copied()).collect()
        }
        (Op::Binary(binary), [a, b]) => a.iter().zip(*b).map(|(&a, &b)| combine(*binary, a, b)).collect(),
        (Op::Function(function), [x]) => x.iter().map(|&x| call(function, x)).collect(),
        _ => None,
    }
}

/// Whether all values are normal numbers of float32, or zero. Where an operation's operands and its exact result are, float32
/// arithmetic, which rounds correctly what [`apply`] knows, has the same result.
#[allow(clippy::float_cmp, clippy::cast_possible_truncation)] // exactly representable or not
pub fn is_single(values: &[f64]) -> bool {
    let single = |value: f64| value == 0.0 || f64::from(value as f32) == value && value.abs() >= f64::from(f32::MIN_POSITIVE);
    values.iter().all(|&value| single(value))
}

/// The one value that all elements have.
#[allow(clippy::float_cmp)] // values are told apart exactly
pub fn uniform(values: &[f64]) -> Option<f64> {
    values.first().copied().filter(|first| values.iter().all(|value| value == first))
}

/// Below this magnitude the error terms themselves could underflow.
const TINY: f64 = 1e-250;

/// The exact result of an operation on two numbers.
pub fn combine(binary: Binary, a: f64, b: f64) -> Option<f64> {
    let value = match binary {
        Binary::Add | Binary::Sub => {
            let b = if binary == Binary::Sub { -b } else { b };
            let sum = a + b;
            let (from_a, from_b) = (sum - b, sum - (sum - b));
            if a - from_a != 0.0 || b - from_b != 0.0 {
                return None;
            }
            sum
        }
        Binary::Mul if a == 0.0 || b == 0.0 => 0.0,
        Binary::Mul => {
            let product = a * b;
            if product.abs() < TINY || a.mul_add(b, -product) != 0.0 {
                return None;
            }
            product
        }
        Binary::Div if a == 0.0 && b != 0.0 => 0.0,
        Binary::Div => {
            let quotient = a / b;
            if a.abs() < TINY || quotient.abs() < TINY || quotient.mul_add(b, -a) != 0.0 {
                return None;
            }
            quotient
        }
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
    };
    value.is_finite().then_some(value)
}

fn call(function: &Function, x: f64) -> Option<f64> {
    match function {
        Function::Neg => Some(-x),
        Function::Abs => Some(x.abs()),
        Function::Sign | Function::Floor | Function::Round => Some(function.value(x)),
        Function::Sqrt if x == 0.0 => Some(0.0),
        Function::Sqrt => {
            let root = x.sqrt();
            (x > TINY && root.mul_add(root, -x) == 0.0).then_some(root)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_numbers_are_those_of_float32_that_are_not_flushed() {
        let least = f64::from(f32::MIN_POSITIVE);
        assert!(is_single(&[0.0, -0.0, 1.5, f64::from(0.1f32), least, 16_777_216.0]));
        for other in [0.1, 16_777_217.0, least / 2.0, 1e39, 1e-60, f64::NAN] {
            assert!(!is_single(&[1.0, other]), "{other}");
        }
    }

    #[test]
    fn only_exact_results_are_known() {
        assert_eq!(combine(Binary::Add, 1.0, 0.5), Some(1.5));
        assert_eq!(combine(Binary::Add, 1.0, 1e-30), None);
        assert_eq!(combine(Binary::Sub, 0.1, 0.1), Some(0.0));
        assert_eq!(combine(Binary::Mul, 0.1, 0.1), None);
        assert_eq!(combine(Binary::Mul, 3.0, 0.25), Some(0.75));
        assert_eq!(combine(Binary::Div, 1.0, 3.0), None);
        assert_eq!(combine(Binary::Div, 1.0, 0.0), None);
        assert_eq!(combine(Binary::Div, 6.0, 4.0), Some(1.5));
        assert_eq!(call(&Function::Sqrt, 2.25), Some(1.5));
        assert_eq!(call(&Function::Sqrt, 2.0), None);
        assert_eq!(call(&Function::Sin, 0.0), None);
    }
}
