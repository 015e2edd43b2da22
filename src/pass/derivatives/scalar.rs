//! Partial derivatives of the elementwise operations, first and second, and which element a selection takes.
//!
//! Conventions at a kink: `relu′(0) = 0`; a tie goes to the first element.

use super::real::Real;
use crate::autodiff::second_derivative;
use crate::ir::{Binary, Op, Reduction};

/// `∂op/∂operand` at one element, whose operands are `a` and `b`.
pub fn derivative<T: Real>(op: &Op, position: usize, a: T, b: T) -> T {
    T::of(partial(op, position, a.to_f64(), b.to_f64()))
}

fn partial(op: &Op, position: usize, a: f64, b: f64) -> f64 {
    match (op, position) {
        (Op::Function(function), _) => function.derivative(a),
        (Op::Binary(Binary::Add), _) | (Op::Binary(Binary::Sub), 0) => 1.0,
        (Op::Binary(Binary::Sub), _) => -1.0,
        (Op::Binary(Binary::Mul), 0) => b,
        (Op::Binary(Binary::Mul), _) => a,
        (Op::Binary(Binary::Div), 0) => b.recip(),
        (Op::Binary(Binary::Div), _) => -a / (b * b),
        (Op::Binary(Binary::Max), _) => selected(a >= b, position),
        (Op::Binary(Binary::Min), _) => selected(a <= b, position),
        (Op::PRelu, 0) => {
            if a > 0.0 {
                1.0
            } else {
                b
            }
        }
        (Op::PRelu, _) => a.min(0.0),
        _ => 0.0,
    }
}

/// The derivative of [`derivative`] where the operands move by `da` and `db`.
pub fn derivative_change<T: Real>(op: &Op, position: usize, (a, b): (T, T), (da, db): (T, T)) -> T {
    let both = |a: T, b: T| (a.to_f64(), b.to_f64());
    T::of(partial_change(op, position, both(a, b), both(da, db)))
}

fn partial_change(op: &Op, position: usize, (a, b): (f64, f64), (da, db): (f64, f64)) -> f64 {
    match (op, position) {
        (Op::Function(function), _) => second_derivative(function, a) * da,
        (Op::Binary(Binary::Mul), 0) => db,
        (Op::Binary(Binary::Mul), _) => da,
        (Op::Binary(Binary::Div), 0) => -db / (b * b),
        (Op::Binary(Binary::Div), _) => (2.0 * a * db / b - da) / (b * b),
        (Op::PRelu, 0) if a <= 0.0 => db,
        (Op::PRelu, 1) if a < 0.0 => da,
        _ => 0.0,
    }
}

fn selected(first: bool, position: usize) -> f64 {
    f64::from(u8::from(first == (position == 0)))
}

/// The first largest or smallest element.
pub fn extreme<T: Real>(reduction: Reduction, row: &[T]) -> usize {
    let better = |x: T, best: T| if reduction == Reduction::Min { x < best } else { x > best };
    (1..row.len()).fold(0, |best, i| if better(row[i], row[best]) || row[i].to_f64().is_nan() { i } else { best })
}

/// Which element comes where in the sorted row; equal elements keep their order.
pub fn order<T: Real>(row: &[T], descending: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    if descending {
        order.sort_by(|&i, &j| row[j].to_f64().total_cmp(&row[i].to_f64()));
    } else {
        order.sort_by(|&i, &j| row[i].to_f64().total_cmp(&row[j].to_f64()));
    }
    order
}
