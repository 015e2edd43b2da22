//! The two arithmetics of derivatives: `f64`, and `f32` for speed and memory.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::circuit::Circuit;
use super::panels::Precision;
use crate::kernel::model::ir::NodeId;

/// A floating-point type that derivatives are computed in.
pub trait Real:
    Copy
    + Send
    + Sync
    + PartialOrd
    + Default
    + 'static
    + AddAssign
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    const PRECISION: Precision;

    /// `target = a·b` or `target += a·b`, on one thread.
    fn multiply(target: MatMut<'_, Self>, accum: Accum, a: MatRef<'_, Self>, b: MatRef<'_, Self>);

    /// The nearest number of this type.
    fn of(value: f64) -> Self;

    fn to_f64(self) -> f64;

    /// Value of a node that the input does not reach.
    fn constant<'c>(circuit: &'c Circuit<'_>, id: NodeId) -> &'c [Self];
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const PRECISION: Precision = Precision::Double;

    fn multiply(target: MatMut<'_, Self>, accum: Accum, a: MatRef<'_, Self>, b: MatRef<'_, Self>) {
        matmul(target, accum, a, b, 1.0, Par::Seq);
    }

    fn of(value: f64) -> Self {
        value
    }

    fn to_f64(self) -> f64 {
        self
    }

    fn constant<'c>(circuit: &'c Circuit<'_>, id: NodeId) -> &'c [Self] {
        circuit.constant(id)
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const PRECISION: Precision = Precision::Single;

    fn multiply(target: MatMut<'_, Self>, accum: Accum, a: MatRef<'_, Self>, b: MatRef<'_, Self>) {
        matmul(target, accum, a, b, 1.0, Par::Seq);
    }

    fn of(value: f64) -> Self {
        value as Self
    }

    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    fn constant<'c>(circuit: &'c Circuit<'_>, id: NodeId) -> &'c [Self] {
        circuit.single_constant(id)
    }
}

/// The nearest numbers of another type.
pub fn convert<T: Real, U: Real>(values: &[T]) -> Vec<U> {
    values.iter().map(|value| U::of(value.to_f64())).collect()
}
