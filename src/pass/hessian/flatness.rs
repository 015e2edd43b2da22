//! Norms of the parameters that equal, or bound, the trace of the Gauss–Newton matrix (Wu and Su, ICML 2023).

use crate::kernel::model::ir::{Binary, Function, NodeId, Op};
use crate::pass::derivatives::{Circuit, Samples, dot};

/// What the trace is in terms of the parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterNorms {
    /// `f(x) = Σ_j a_j·relu(w_jᵀx)`: `tr G = Σ_j [α_j + a_j²β_j]` with `α_j = mean relu(w_jᵀx)²`,
    /// `β_j = mean 1[w_jᵀx > 0]‖x‖²`.
    TwoLayerRelu {
        trace: f64,
        /// `Σ_j |a_j|‖w_j‖`.
        path_norm: f64,
        /// `Σ_j |a_j|√(α_jβ_j) ≤ ½ tr G`. Twice this is the least trace over all rescalings of the neurons: a flatness that
        /// rescaling does not change.
        weighted_path_norm: f64,
    },
    /// `f(x) = ⟨u∘v, x⟩`: `tr G = Σ_k (u_k² + v_k²)·mean x_k²`.
    DiagonalLinear {
        trace: f64,
        /// `2 Σ_k |u_kv_k|·mean x_k²`, the least trace over all rescalings.
        rescaled_trace: f64,
    },
}

impl ParameterNorms {
    /// For mse and one output, where the network has one of the two forms, without biases.
    #[must_use]
    pub fn of(circuit: &Circuit<'_>, samples: &Samples) -> Option<Self> {
        if circuit.outputs() != 1 {
            return None;
        }
        let network = circuit.network;
        let through = |mut id: NodeId| {
            while let (Op::Reshape, [operand]) = (&network.node(id).op, &network.node(id).operands[..]) {
                id = *operand;
            }
            id
        };
        let constant = |id: NodeId| match &network.node(id).op {
            Op::Constant(tensor) => Some(tensor.data()),
            _ => None,
        };
        let last = network.node(through(circuit.output));
        let (Op::MatMul, [hidden, outer]) = (&last.op, &last.operands[..]) else { return None };
        let outer = constant(*outer)?;
        let hidden = network.node(through(*hidden));
        let inputs = samples.inputs.chunks_exact(network.input_size());
        let n = samples.count as f64;
        match (&hidden.op, &hidden.operands[..]) {
            (Op::Function(Function::Relu), [before]) => {
                let before = network.node(through(*before));
                let (Op::MatMul, [x, inner]) = (&before.op, &before.operands[..]) else { return None };
                if through(*x) != network.input() {
                    return None;
                }
                let (inner, width) = (constant(*inner)?, outer.len());
                let (mut alpha, mut beta) = (vec![0.0; width], vec![0.0; width]);
                for x in inputs {
                    let square = dot(x, x);
                    for j in 0..width {
                        let z: f64 = x.iter().enumerate().map(|(k, x)| x * inner[k * width + j]).sum();
                        if z > 0.0 {
                            alpha[j] += z * z / n;
                            beta[j] += square / n;
                        }
                    }
                }
                let norm = |j: usize| (0..network.input_size()).map(|k| inner[k * width + j].powi(2)).sum::<f64>().sqrt();
                Some(Self::TwoLayerRelu {
                    trace: (0..width).map(|j| alpha[j] + outer[j] * outer[j] * beta[j]).sum(),
                    path_norm: (0..width).map(|j| outer[j].abs() * norm(j)).sum(),
                    weighted_path_norm: (0..width).map(|j| outer[j].abs() * (alpha[j] * beta[j]).sqrt()).sum(),
                })
            }
            (Op::Binary(Binary::Mul), [a, b]) => {
                let u = match (through(*a) == network.input(), through(*b) == network.input()) {
                    (true, false) => constant(through(*b))?,
                    (false, true) => constant(through(*a))?,
                    _ => return None,
                };
                let mut squares = vec![0.0; u.len()];
                inputs.for_each(|x| squares.iter_mut().zip(x).for_each(|(s, x)| *s += x * x / n));
                let terms = || u.iter().zip(outer).zip(&squares);
                Some(Self::DiagonalLinear {
                    trace: terms().map(|((u, v), s)| (u * u + v * v) * s).sum(),
                    rescaled_trace: terms().map(|((u, v), s)| 2.0 * (u * v).abs() * s).sum(),
                })
            }
            _ => None,
        }
    }
}
