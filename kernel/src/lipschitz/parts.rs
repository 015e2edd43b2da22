//! Bounds by parts: a chain of segments, each with a Lipschitz constant of its own.

use super::inequality::prove_inequality;
use super::refusal::LipschitzRefusal;
use super::rules::{LinearNorm, Rules};
use crate::lipschitz::form::{FormError, Segment};
use crate::model::ir::{Network, NodeId, Values};
use crate::proof::{Bits, Bundle, Content, Part, PartProof};
use crate::sound::Enclosure;
use crate::sound::round::mul_up;
use crate::threads;

/// Proves the constant of every part, in order, and returns them.
///
/// # Errors
/// When a part is not a segment of the network, the parts do not end at the output, or a part is not proved.
pub fn prove_parts(network: &Network, parts: &[Part], bundle: &Bundle) -> Result<Vec<f64>, LipschitzRefusal> {
    let shape = |what| LipschitzRefusal::Content(Content::Shape { what });
    let ids: Vec<NodeId> = network.ids().collect();
    let mut from = network.input();
    let mut segments = Vec::with_capacity(parts.len());
    for part in parts {
        let to = *ids.get(part.to as usize).ok_or_else(|| shape("a part ends at a node that does not exist"))?;
        if to <= from || !network.node(to).variable {
            return Err(shape("the parts are not in the order of the network"));
        }
        segments.push((Segment { from, to }, &part.proof));
        from = to;
    }
    if from != network.output() {
        return Err(shape("the parts do not end at the output"));
    }
    let constants = constants(network)?;
    threads::map(&segments, |(segment, proof)| prove_part(network, &constants, *segment, proof, bundle)).into_iter().collect()
}

/// Returns the constants of a network, which the parts share.
///
/// # Errors
/// When they cannot be evaluated.
pub fn constants(network: &Network) -> Result<Values<Enclosure>, LipschitzRefusal> {
    Ok(Values::constants(network).map_err(FormError::from)?)
}

/// Proves the constant of one part; `constants` are those of the network.
///
/// # Errors
/// Why it is not accepted.
pub fn prove_part(
    network: &Network,
    constants: &Values<Enclosure>,
    segment: Segment,
    proof: &PartProof,
    bundle: &Bundle,
) -> Result<f64, LipschitzRefusal> {
    match proof {
        PartProof::Inequality(inequality) => prove_inequality(network, segment, None, inequality, bundle),
        PartProof::Rules { squared_norms, sums } => {
            let by_sums = |position: usize| u32::try_from(position).is_ok_and(|position| sums.contains(&position));
            let norm = |(position, hint): (usize, &Option<Bits>)| match hint {
                Some(squared) => LinearNorm::Squared(squared.value()),
                None if by_sums(position) => LinearNorm::Sums,
                None => LinearNorm::Symbols,
            };
            let norms: Vec<LinearNorm> = squared_norms.iter().enumerate().map(norm).collect();
            Rules::prove(network, constants, segment, &norms)
        }
    }
}

/// The product of the parts' constants, rounded up.
#[must_use]
pub fn product(bounds: &[f64]) -> f64 {
    bounds.iter().fold(1.0, |product, &bound| mul_up(product, bound))
}
