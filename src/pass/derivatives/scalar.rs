//! The elementwise operations and their partial derivatives, first and second, row by row, and which element a selection takes.
//!
//! Conventions at a kink: `relu′(0) = 0`; a tie goes to the first element.

use super::real::Real;
use crate::autodiff::second_derivative;
use crate::kernel::curvature::piecewise_linear;
use crate::kernel::model::ir::{Binary, Function, Op, Reduction};

/// The values of a function.
pub fn values<T: Real>(function: &Function, x: &[T], out: &mut [T]) {
    match function {
        Function::Relu => unary(x, out, |x| if x < T::ZERO { T::ZERO } else { x }),
        _ => unary(x, out, |x| T::of(function.value(x.to_f64()))),
    }
}

/// `∂op/∂operand`, where the operands are `a` and `b`; `b` is empty where there is only one.
pub fn derivatives<T: Real>(op: &Op, position: usize, (a, b): (&[T], &[T]), out: &mut [T]) {
    let selected = |first: bool| if first == (position == 0) { T::ONE } else { T::ZERO };
    match (op, position) {
        (Op::Function(Function::Relu), _) => unary(a, out, |a| if a > T::ZERO { T::ONE } else { T::ZERO }),
        (Op::Function(function), _) => unary(a, out, |a| T::of(function.derivative(a.to_f64()))),
        (Op::Binary(Binary::Add), _) | (Op::Binary(Binary::Sub), 0) => out.fill(T::ONE),
        (Op::Binary(Binary::Sub), _) => out.fill(T::ZERO - T::ONE),
        (Op::Binary(Binary::Mul), 0) => out.copy_from_slice(b),
        (Op::Binary(Binary::Mul), _) => out.copy_from_slice(a),
        (Op::Binary(Binary::Div), 0) => unary(b, out, |b| T::ONE / b),
        (Op::Binary(Binary::Div), _) => binary(a, b, out, |a, b| T::ZERO - a / (b * b)),
        (Op::Binary(Binary::Max), _) => binary(a, b, out, |a, b| selected(a >= b)),
        (Op::Binary(Binary::Min), _) => binary(a, b, out, |a, b| selected(a <= b)),
        (Op::PRelu, 0) => binary(a, b, out, |a, b| if a > T::ZERO { T::ONE } else { b }),
        (Op::PRelu, _) => unary(a, out, |a| if a < T::ZERO { a } else { T::ZERO }),
        _ => out.fill(T::ZERO),
    }
}

/// The derivative of [`derivatives`] where the operands move by `da` and `db`, which are empty where they rest. `false` where
/// all of it vanishes.
pub fn derivative_changes<T: Real>(
    op: &Op,
    position: usize,
    (a, b): (&[T], &[T]),
    (da, db): (&[T], &[T]),
    out: &mut [T],
) -> bool {
    let curved = |x: f64, function: &Function| T::of(second_derivative(function, x));
    match (op, position) {
        (Op::Function(function), _) if !piecewise_linear(function) && !da.is_empty() => {
            binary(a, da, out, |a, da| curved(a.to_f64(), function) * da);
        }
        (Op::Binary(Binary::Mul), 0) if !db.is_empty() => out.copy_from_slice(db),
        (Op::Binary(Binary::Mul), 1) if !da.is_empty() => out.copy_from_slice(da),
        (Op::Binary(Binary::Div), 0) if !db.is_empty() => binary(b, db, out, |b, db| T::ZERO - db / (b * b)),
        (Op::Binary(Binary::Div), 1) if !(da.is_empty() && db.is_empty()) => {
            out.fill(T::ZERO);
            for (i, out) in out.iter_mut().enumerate() {
                let (a, b) = (a[i], b[i]);
                if let Some(db) = db.get(i) {
                    *out += (a + a) * *db / (b * b * b);
                }
                if let Some(da) = da.get(i) {
                    *out += T::ZERO - *da / (b * b);
                }
            }
        }
        (Op::PRelu, 0) if !db.is_empty() => binary(a, db, out, |a, db| if a > T::ZERO { T::ZERO } else { db }),
        (Op::PRelu, 1) if !da.is_empty() => binary(a, da, out, |a, da| if a < T::ZERO { da } else { T::ZERO }),
        _ => return false,
    }
    true
}

fn unary<T: Real>(x: &[T], out: &mut [T], f: impl Fn(T) -> T) {
    out.iter_mut().zip(x).for_each(|(out, &x)| *out = f(x));
}

fn binary<T: Real>(a: &[T], b: &[T], out: &mut [T], f: impl Fn(T, T) -> T) {
    out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (&a, &b))| *out = f(a, b));
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
