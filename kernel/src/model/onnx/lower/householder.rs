//! The Householder activation written with comparisons.
//!
//! With `u = z₁ sin φ − z₂ cos φ` and the reflection `R₁ = z₁ cos θ + z₂ sin θ`, `R₂ = z₁ sin θ − z₂ cos θ`, exact arithmetic
//! gives `R₁ − z₁ = −2 sin φ·u` and `R₂ − z₂ = 2 cos φ·u` if and only if `θ = 2φ` (modulo full turns). So choosing `z` on one
//! side of `u = 0` and `R` on the other is continuous and equals `z₁ − 2 sin φ·relu(u)`, `z₂ + 2 cos φ·relu(u)`. It is
//! rewritten so only when every term and every angle of the graph is exactly this.

use super::super::error::NodeError;
use super::comparison::Side;
use super::graph::{MAX_MOVES, Reader, Slot};
use super::site::Site;
use crate::model::ir::{Binary, Function, NodeId, Op, Source};

/// `±factor·sin(angle)` or `±factor·cos(angle)`.
struct Term {
    factor: NodeId,
    /// The node that holds the sine or cosine, of the factor's shape.
    wave: NodeId,
    sine: bool,
    negative: bool,
    angles: Vec<f64>,
}

/// `sign·(z₁ sin φ − z₂ cos φ)`.
struct Plane {
    subject: NodeId,
    sine: Term,
    cosine: Term,
    positive: bool,
}

/// `x` on `side` and `y` elsewhere, if one of them is the reflection of the other in the plane `u = 0`.
pub(super) fn select(site: &mut Site, side: Side, x: NodeId, y: NodeId) -> Result<Option<Slot>, NodeError> {
    // The angles are all of what is read: turning one alone would make the activation discontinuous.
    let found = site.decide(|reader| {
        let plane = plane(reader, side.subject)?;
        let sides = [(side, y, x), (side.complement(), x, y)];
        let (above, kept, first) = sides
            .into_iter()
            .find_map(|(active, kept, reflected)| Some((active.positive, kept, reflects(reader, &plane, kept, reflected)?)))?;
        Some((plane, above, kept, first))
    });
    let Some((plane, above, kept, first)) = found else { return Ok(None) };
    // The reflection, and with it the rounding of its sines and cosines, does not stand in what it is rewritten to.
    site.graph.record_rewriting(site.name);
    rebuild(site, &plane, above, kept, first).map(Some)
}

/// Whether `reflected` is the reflection of `kept`: `Some(true)` for the first half, `Some(false)` for the second.
#[allow(clippy::float_cmp)] // doubling an angle is exact
fn reflects(reader: &Reader, plane: &Plane, kept: NodeId, reflected: NodeId) -> Option<bool> {
    let [a, b] = terms(reader, reflected)?;
    let (z1, z2) = (plane.sine.factor, plane.cosine.factor);
    let (on_first, on_second) = if same(reader, a.factor, z1) { (a, b) } else { (b, a) };
    let double = |term: &Term| term.angles.iter().zip(&plane.sine.angles).all(|(theta, phi)| *theta == 2.0 * phi);
    let matching = same(reader, on_first.factor, z1)
        && same(reader, on_second.factor, z2)
        && on_first.angles.len() == plane.sine.angles.len()
        && on_second.angles.len() == plane.sine.angles.len()
        && double(&on_first)
        && double(&on_second)
        && !on_first.negative;
    match (matching, on_first.sine, on_second.sine, on_second.negative) {
        (true, false, true, false) if same(reader, kept, z1) => Some(true),
        (true, true, false, true) if same(reader, kept, z2) => Some(false),
        _ => None,
    }
}

/// The activation without comparisons; `R` is taken where `u` is positive (`above`) or where it is negative.
fn rebuild(site: &mut Site, plane: &Plane, above: bool, kept: NodeId, first: bool) -> Result<Slot, NodeError> {
    let rectified = rectified(site, plane, above)?;
    let wave = if first { plane.sine.wave } else { plane.cosine.wave };
    let product = site.binary(Binary::Mul, &rectified, &Slot::Node(wave))?;
    let two = site.scalar(2.0);
    let twice = site.binary(Binary::Mul, &product, &two)?;
    // The signed distance on R's side is t·relu(±u), where t is the product of the sign of u and the side.
    let towards = plane.positive == above;
    let combine = if first == towards { Binary::Sub } else { Binary::Add };
    site.binary(combine, &Slot::Node(kept), &twice)
}

/// `relu(u)` or `relu(−u)`, one node for both halves.
fn rectified(site: &mut Site, plane: &Plane, above: bool) -> Result<Slot, NodeError> {
    let subject = plane.subject;
    if let Some(slot) = site.graph.rectified.get(&(subject, above)) {
        return Ok(slot.clone());
    }
    let u = Slot::Node(subject);
    let signed = if above { u } else { site.function(Function::Neg, &u)? };
    let slot = site.function(Function::Relu, &signed)?;
    site.graph.rectified.insert((subject, above), slot.clone());
    Ok(slot)
}

fn plane(reader: &Reader, subject: NodeId) -> Option<Plane> {
    let node = reader.see(subject);
    let (inner, negated) = match (node.op, node.operands) {
        (Some(Op::Function(Function::Neg)), &[inner]) => (inner, true),
        _ => (subject, false),
    };
    let [a, b] = terms(reader, inner)?;
    let (sine, cosine) = if a.sine { (a, b) } else { (b, a) };
    let valid = sine.sine && !cosine.sine && sine.negative != cosine.negative && sine.angles == cosine.angles;
    let positive = sine.negative == negated;
    valid.then_some(Plane { subject, sine, cosine, positive })
}

/// The two terms of a sum or difference.
fn terms(reader: &Reader, id: NodeId) -> Option<[Term; 2]> {
    let node = reader.see(id);
    let subtracted = match node.op? {
        Op::Binary(Binary::Add) => false,
        Op::Binary(Binary::Sub) => true,
        _ => return None,
    };
    let [a, b] = node.operands[..] else { return None };
    Some([term(reader, a, false)?, term(reader, b, subtracted)?])
}

fn term(reader: &Reader, id: NodeId, negative: bool) -> Option<Term> {
    let node = reader.see(id);
    match (node.op?, node.operands) {
        (Op::Function(Function::Neg), &[inner]) => product(reader, inner, !negative),
        _ => product(reader, id, negative),
    }
}

fn product(reader: &Reader, id: NodeId, negative: bool) -> Option<Term> {
    let node = reader.see(id);
    let (Some(Op::Binary(Binary::Mul)), &[a, b]) = (node.op, node.operands) else { return None };
    [(a, b), (b, a)].into_iter().find_map(|(factor, wave)| {
        let (sine, angles) = wave_angles(reader, wave)?;
        Some(Term { factor, wave, sine, negative, angles })
    })
}

/// The angle at every element of a node that holds sines or cosines of exactly known angles.
fn wave_angles(reader: &Reader, id: NodeId) -> Option<(bool, Vec<f64>)> {
    let mut maps: Vec<&[Source]> = Vec::new();
    let mut current = id;
    for _ in 0..MAX_MOVES {
        let node = reader.see(current);
        let [operand] = node.operands[..] else { return None };
        match node.op? {
            Op::Reshape => {}
            Op::Rearrange(sources) => maps.push(sources),
            Op::Function(function @ (Function::Sin | Function::Cos)) => {
                let mut angles = reader.exact(&Slot::Node(operand))?;
                for map in maps.into_iter().rev() {
                    angles = map.iter().map(|s| angles.get(s.element as usize).copied()).collect::<Option<_>>()?;
                }
                return Some((*function == Function::Sin, angles));
            }
            _ => return None,
        }
        current = operand;
    }
    None
}

/// The same node, or the same elements of the same node.
pub(super) fn same(reader: &Reader, a: NodeId, b: NodeId) -> bool {
    if a == b {
        return true;
    }
    let (a, b) = (reader.see(a), reader.see(b));
    matches!(a.op, Some(Op::Rearrange(_) | Op::Reshape)) && a.shape == b.shape && a.operands == b.operands && a.op == b.op
}
