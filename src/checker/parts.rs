//! Bounds by parts: a chain of segments, each with a Lipschitz constant of its own.

use super::inequality::prove_inequality;
use super::refusal::ClaimRefusal;
use super::rules::Rules;
use crate::certificate::{Bundle, Part, PartProof};
use crate::form::Segment;
use crate::ir::{Network, NodeId};
use crate::sound::round::mul_up;

/// Proves the constant of every part, in order, and returns them.
///
/// # Errors
/// When a part is not a segment of the network, the parts do not end at the output, or a part is not proved.
pub fn prove_parts(network: &Network, parts: &[Part], bundle: &Bundle) -> Result<Vec<f64>, ClaimRefusal> {
    let shape = |what| ClaimRefusal::Shape { what };
    let ids: Vec<NodeId> = network.ids().collect();
    let mut from = network.input();
    let mut bounds = Vec::with_capacity(parts.len());
    for part in parts {
        let to = *ids.get(part.to as usize).ok_or_else(|| shape("a part ends at a node that does not exist"))?;
        if to <= from || !network.node(to).variable {
            return Err(shape("the parts are not in the order of the network"));
        }
        bounds.push(prove_part(network, Segment { from, to }, &part.proof, bundle)?);
        from = to;
    }
    if from == network.output() { Ok(bounds) } else { Err(shape("the parts do not end at the output")) }
}

/// Proves the constant of one part.
///
/// # Errors
/// Why it is not accepted.
pub fn prove_part(network: &Network, segment: Segment, proof: &PartProof, bundle: &Bundle) -> Result<f64, ClaimRefusal> {
    match proof {
        PartProof::Inequality(inequality) => prove_inequality(network, segment, None, inequality, bundle),
        PartProof::Rules { squared_norms } => {
            let hints: Vec<Option<f64>> = squared_norms.iter().map(|hint| hint.map(crate::certificate::Bits::value)).collect();
            Rules::prove(network, segment, &hints)
        }
    }
}

/// The product of the parts' constants, rounded up.
#[must_use]
pub fn product(bounds: &[f64]) -> f64 {
    bounds.iter().fold(1.0, |product, &bound| mul_up(product, bound))
}
