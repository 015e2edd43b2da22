//! What reverse passes leave at the parameters: sums, rows, or squared norms over θ.

use rayon::prelude::*;

use super::circuit::Circuit;
use super::gemm::squared_norm;
use super::real::Real;
use crate::kernel::model::onnx::StoredConstant;

/// What is kept of the gradients of shared nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Their sum over samples and seeds.
    Sum,
    /// One row per sample and seed.
    Rows,
    /// As rows, but of a layer's weights only the squared norm.
    Norms,
}

/// What a reverse pass leaves at the parameters.
pub struct Pulled<T> {
    pub(super) keep: Keep,
    /// Samples and seeds.
    pub(super) rows: usize,
    /// By node; empty where nothing was pulled back.
    pub(super) adjoints: Vec<Vec<T>>,
}

impl<T: Real> Pulled<T> {
    /// Adds sums over θ, those of [`Keep::Sum`], in their order.
    pub fn add_to(parts: &[Self], circuit: &Circuit<'_>, theta: &mut [f64]) {
        /// Numbers that one thread adds to.
        const PIECE: usize = 1 << 14;
        for parameter in &circuit.parameters.list {
            match &parameter.constants[..] {
                [StoredConstant { node, elements: None }] => {
                    let own = &mut theta[parameter.offset..parameter.offset + parameter.size];
                    own.par_chunks_mut(PIECE).enumerate().for_each(|(index, own)| {
                        for values in parts.iter().filter_map(|part| part.adjoints[node.index()].chunks(PIECE).nth(index)) {
                            own.iter_mut().zip(values).for_each(|(sum, value)| *sum += value.to_f64());
                        }
                    });
                }
                constants => {
                    for (part, constant) in parts.iter().flat_map(|part| constants.iter().map(move |constant| (part, constant))) {
                        parameter.scatter(constant, &part.adjoints[constant.node.index()], theta);
                    }
                }
            }
        }
    }

    /// One row over θ per sample and seed; for [`Keep::Rows`].
    pub fn rows(&self, circuit: &Circuit<'_>) -> Vec<T> {
        let d = circuit.dimension();
        let mut rows = vec![T::ZERO; self.rows * d];
        for parameter in &circuit.parameters.list {
            for constant in &parameter.constants {
                let adjoint = &self.adjoints[constant.node.index()];
                let size = adjoint.len() / self.rows.max(1);
                if size > 0 {
                    let pairs = rows.chunks_exact_mut(d).zip(adjoint.chunks_exact(size));
                    pairs.for_each(|(row, adjoint)| parameter.scatter(constant, adjoint, row));
                }
            }
        }
        rows
    }

    /// Squared norms `[parameter][sample and seed]`; for [`Keep::Norms`].
    pub fn squared_norms(&self, circuit: &Circuit<'_>) -> Vec<Vec<f64>> {
        debug_assert!(self.keep == Keep::Norms);
        let mut norms = Vec::new();
        for parameter in &circuit.parameters.list {
            let mut own = vec![0.0; self.rows];
            for constant in &parameter.constants {
                let adjoint = &self.adjoints[constant.node.index()];
                if circuit.layers[constant.node.index()] {
                    own.iter_mut().zip(adjoint).for_each(|(own, norm)| *own += norm.to_f64());
                } else if !adjoint.is_empty() {
                    let size = adjoint.len() / self.rows.max(1);
                    own.iter_mut().zip(adjoint.chunks_exact(size)).for_each(|(own, row)| *own += squared_norm(row));
                }
            }
            norms.push(own);
        }
        norms
    }
}
