//! Matrix products.

use super::super::error::NodeError;
use super::graph::Slot;
use super::indices::{broadcast_shapes, product};
use super::site::Site;
use crate::model::ir::{Binary, Op};

/// `MatMul` by the rules of `NumPy`: batches broadcast, and a vector is a row on the left and a column on the right.
pub(super) fn matmul(site: &mut Site) -> Result<Slot, NodeError> {
    let (a, b) = (site.input(0)?, site.input(1)?);
    let (left, right) = (site.shape(&a), site.shape(&b));
    let misfit = || NodeError::invalid(format!("matrices of shapes {left:?} and {right:?} cannot be multiplied"));
    let (a_batch, m, k) = match left[..] {
        [] => return Err(misfit()),
        [k] => (&[][..], 1, k),
        [ref batch @ .., m, k] => (batch, m, k),
    };
    let (b_batch, inner, n) = match right[..] {
        [] => return Err(misfit()),
        [k] => (&[][..], k, 1),
        [ref batch @ .., k, n] => (batch, k, n),
    };
    let batch = broadcast_shapes(a_batch, b_batch)?;
    if k != inner {
        return Err(misfit());
    }
    let shaped = |batch: &[usize], matrix: [usize; 2]| -> Vec<usize> { batch.iter().copied().chain(matrix).collect() };
    let a = site.reshape(&a, shaped(a_batch, [m, k]))?;
    let b = site.reshape(&b, shaped(b_batch, [k, n]))?;
    let (a, b, batches, rows) = if product(b_batch) == 1 {
        let rows = product(a_batch).saturating_mul(m);
        (site.reshape(&a, vec![1, rows, k])?, site.reshape(&b, vec![1, k, n])?, 1, rows)
    } else {
        let batches = product(&batch);
        let a = site.broadcast(&a, &shaped(&batch, [m, k]))?;
        let b = site.broadcast(&b, &shaped(&batch, [k, n]))?;
        (site.reshape(&a, vec![batches, m, k])?, site.reshape(&b, vec![batches, k, n])?, batches, m)
    };
    let result = site.push(Op::MatMul, &[&a, &b], vec![batches, rows, n])?;
    let mut shape = batch;
    shape.extend((left.len() > 1).then_some(m));
    shape.extend((right.len() > 1).then_some(n));
    site.reshape(&result, shape)
}

/// `alpha·A·B + beta·C`.
pub(super) fn gemm(site: &mut Site) -> Result<Slot, NodeError> {
    let mut sides = [site.input(0)?, site.input(1)?];
    for (side, name) in sides.iter_mut().zip(["transA", "transB"]) {
        let rank = site.shape(side).len();
        if rank != 2 {
            return Err(NodeError::invalid(format!("its operands have {rank} axes where a matrix is needed")));
        }
        // Runtimes read any other number than 0 as "transposed".
        if site.int(name, 0)? != 0 {
            *side = site.transpose(side, &[1, 0])?;
        }
    }
    let [a, b] = sides;
    let (left, right) = (site.shape(&a), site.shape(&b));
    let (m, k, n) = match (&left[..], &right[..]) {
        (&[m, k], &[inner, n]) if k == inner => (m, k, n),
        _ => return Err(NodeError::invalid(format!("matrices of shapes {left:?} and {right:?} cannot be multiplied"))),
    };
    let (a, b) = (site.reshape(&a, vec![1, m, k])?, site.reshape(&b, vec![1, k, n])?);
    let product = site.push(Op::MatMul, &[&a, &b], vec![1, m, n])?;
    let product = site.reshape(&product, vec![m, n])?;
    let alpha = site.float("alpha", 1.0)?;
    let product = times(site, product, alpha)?;
    let beta = site.float("beta", 1.0)?;
    let Some(c) = site.optional(2).filter(|_| beta != 0.0) else { return Ok(product) };
    let c = times(site, c, beta)?;
    let c = site.broadcast(&c, &[m, n])?;
    site.binary(Binary::Add, &product, &c)
}

pub(super) fn times(site: &mut Site, x: Slot, factor: f64) -> Result<Slot, NodeError> {
    #[allow(clippy::float_cmp)] // exactly one changes nothing
    if factor == 1.0 {
        return Ok(x);
    }
    let factor = site.scalar(factor);
    site.binary(Binary::Mul, &x, &factor)
}
