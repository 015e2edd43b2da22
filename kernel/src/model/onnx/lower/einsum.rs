//! `Einsum`: as permutations, sums over axes and one matrix product for each further operand.

use super::super::error::NodeError;
use super::graph::Slot;
use super::indices::{product, source, strides};
use super::site::Site;
use crate::model::ir::{Op, Reduction};

/// An operand and the label of each of its axes.
struct Labelled {
    slot: Slot,
    labels: Vec<char>,
}

/// Most operands of one equation.
const MAX_OPERANDS: usize = 8;

pub(super) fn einsum(site: &mut Site) -> Result<Slot, NodeError> {
    let equation: String = site.string("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
    let inputs = site.all_inputs()?;
    let refuse = |reason: &str| NodeError::attribute("equation", format!("is `{equation}`: {reason}"));
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (&*equation, None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != inputs.len() || inputs.len() > MAX_OPERANDS {
        return Err(refuse("it does not fit the number of inputs"));
    }
    let mut operands = Vec::with_capacity(inputs.len());
    let mut extents: Vec<(char, usize)> = Vec::new();
    let mut broadcast = 0;
    for (slot, term) in inputs.into_iter().zip(&terms) {
        let shape = site.shape(&slot);
        let (labels, ellipsis) = labels(term, shape.len()).ok_or_else(|| refuse("its labels do not fit the inputs"))?;
        broadcast = broadcast.max(ellipsis);
        for (&label, &extent) in labels.iter().zip(&shape) {
            match extents.iter().find(|(other, _)| *other == label) {
                Some(&(_, other)) if other != extent => return Err(refuse("an axis has two extents")),
                Some(_) => {}
                None => extents.push((label, extent)),
            }
        }
        operands.push(Labelled { slot, labels });
    }
    let output = match right {
        Some(right) => spelled(right, broadcast).ok_or_else(|| refuse("its result has an unknown label"))?,
        None => implicit(&terms, broadcast),
    };
    let known = |label: &char| extents.iter().any(|(other, _)| other == label);
    let distinct = output.iter().enumerate().all(|(i, label)| !output[..i].contains(label));
    if !output.iter().all(known) || !distinct {
        return Err(refuse("its result has an unknown label, or one twice"));
    }
    let mut rest = operands.into_iter();
    let first = rest.next().ok_or_else(|| refuse("it has no operands"))?;
    let mut result = diagonal(site, first)?;
    let remaining: Vec<Labelled> = rest.collect();
    for index in 0..remaining.len() {
        let other = Labelled { slot: remaining[index].slot.clone(), labels: remaining[index].labels.clone() };
        let other = diagonal(site, other)?;
        let later = |label: &char| output.contains(label) || remaining[index + 1..].iter().any(|o| o.labels.contains(label));
        result = multiplied(site, result, other, later)?;
    }
    let result = summed(site, result, |label| output.contains(label))?;
    permuted(site, &result, &output)
}

/// The labels of a term with that many axes; an ellipsis stands for the axes that have none, named from the last.
fn labels(term: &str, rank: usize) -> Option<(Vec<char>, usize)> {
    let named = term.chars().filter(|&c| c != '.').count();
    let ellipsis = rank.checked_sub(named)?;
    let labels = spelled(term, ellipsis)?;
    (labels.len() == rank).then_some((labels, ellipsis))
}

/// A term with an ellipsis of that many axes.
fn spelled(term: &str, ellipsis: usize) -> Option<Vec<char>> {
    let (before, after) = match term.split_once("...") {
        Some((before, after)) => (before, Some(after)),
        None => (term, None),
    };
    let letters = |part: &str| part.chars().map(|c| c.is_ascii_alphabetic().then_some(c)).collect::<Option<Vec<char>>>();
    let mut labels = letters(before)?;
    if let Some(after) = after {
        labels.extend(unnamed(ellipsis)?);
        labels.extend(letters(after)?);
    }
    Some(labels)
}

/// Labels of the axes in an ellipsis, in their order; digits, which no equation may use.
fn unnamed(count: usize) -> Option<Vec<char>> {
    (0..count).rev().map(|i| char::from_digit(u32::try_from(i).ok()?, 10)).collect()
}

/// Without a result: the ellipsis, then the labels that occur once, in alphabetical order.
fn implicit(terms: &[&str], ellipsis: usize) -> Vec<char> {
    let all: Vec<char> = terms.iter().flat_map(|term| term.chars()).filter(char::is_ascii_alphabetic).collect();
    let mut once: Vec<char> = all.iter().copied().filter(|c| all.iter().filter(|other| *other == c).count() == 1).collect();
    once.sort_unstable();
    let dots = terms.iter().any(|term| term.contains("..."));
    let unnamed = if dots { unnamed(ellipsis).unwrap_or_default() } else { Vec::new() };
    unnamed.into_iter().chain(once).collect()
}

/// Labels that occur twice in one operand take the elements where their indices agree.
fn diagonal(site: &mut Site, operand: Labelled) -> Result<Labelled, NodeError> {
    let Labelled { slot, labels } = operand;
    let mut distinct: Vec<char> = Vec::new();
    labels.iter().for_each(|label| {
        if !distinct.contains(label) {
            distinct.push(*label);
        }
    });
    if distinct.len() == labels.len() {
        return Ok(Labelled { slot, labels });
    }
    let shape = site.shape(&slot);
    let (mut steps, mut kept) = (vec![0; distinct.len()], vec![0; distinct.len()]);
    for ((label, step), extent) in labels.iter().zip(strides(&shape)).zip(&shape) {
        if let Some(at) = distinct.iter().position(|other| other == label) {
            steps[at] += step;
            kept[at] = *extent;
        }
    }
    let slot = site.rearrange(&[slot], kept, |index| source(0, super::indices::flat(index, &steps)))?;
    Ok(Labelled { slot, labels: distinct })
}

/// The sum over all axes whose label is not kept.
fn summed(site: &mut Site, operand: Labelled, keep: impl Fn(&char) -> bool) -> Result<Labelled, NodeError> {
    let (kept, summed): (Vec<char>, Vec<char>) = operand.labels.iter().copied().partition(|label| keep(label));
    if summed.is_empty() {
        return Ok(operand);
    }
    let order: Vec<char> = kept.iter().chain(&summed).copied().collect();
    let moved = permuted(site, &operand, &order)?;
    Ok(Labelled { slot: site.reduce_last(Reduction::Sum, &moved, summed.len())?, labels: kept })
}

fn permuted(site: &mut Site, operand: &Labelled, order: &[char]) -> Result<Slot, NodeError> {
    let position = |label: &char| operand.labels.iter().position(|other| other == label);
    let permutation: Option<Vec<usize>> = order.iter().map(position).collect();
    let permutation = permutation.ok_or_else(|| NodeError::attribute("equation", "has a label that is in no operand"))?;
    site.transpose(&operand.slot, &permutation)
}

/// The product of two operands, summed over the labels of both that are not needed later.
fn multiplied(site: &mut Site, a: Labelled, b: Labelled, later: impl Fn(&char) -> bool) -> Result<Labelled, NodeError> {
    let own = |operand: &Labelled, other: &[char]| {
        let mine = operand.labels.iter().copied().filter(|label| !other.contains(label));
        mine.collect::<Vec<char>>()
    };
    let (left_labels, right_labels) = (a.labels.clone(), b.labels.clone());
    let a = summed(site, a, |label| later(label) || right_labels.contains(label))?;
    let b = summed(site, b, |label| later(label) || left_labels.contains(label))?;
    let (left, right) = (own(&a, &b.labels), own(&b, &a.labels));
    let shared = a.labels.iter().copied().filter(|label| b.labels.contains(label));
    let (batch, contracted): (Vec<char>, Vec<char>) = shared.partition(|label| later(label));
    let joined = |parts: [&[char]; 3]| parts.concat();
    let x = permuted(site, &a, &joined([&batch, &left, &contracted]))?;
    let y = permuted(site, &b, &joined([&batch, &contracted, &right]))?;
    let (shape, other) = (site.shape(&x), site.shape(&y));
    let batches = product(&shape[..batch.len()]);
    let m = product(&shape[batch.len()..batch.len() + left.len()]);
    let k = product(&shape[batch.len() + left.len()..]);
    let n = product(&other[batch.len() + contracted.len()..]);
    let x = site.reshape(&x, vec![batches, m, k])?;
    let y = site.reshape(&y, vec![batches, k, n])?;
    let result = site.push(Op::MatMul, &[&x, &y], vec![batches, m, n])?;
    let extents: Vec<usize> =
        shape[..batch.len() + left.len()].iter().chain(&other[batch.len() + contracted.len()..]).copied().collect();
    let slot = site.reshape(&result, extents)?;
    Ok(Labelled { slot, labels: joined([&batch, &left, &right]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(labels("bij", 3), Some((chars("bij"), 0)));
        assert_eq!(labels("...ij", 4), Some((chars("10ij"), 2)));
        assert_eq!(labels("a...", 1), Some((chars("a"), 0)));
        assert_eq!((labels("ab", 3), labels("a.b", 2), labels("a1", 2), labels("abc", 2)), (None, None, None, None));
        assert_eq!(implicit(&["ij", "jk"], 0), chars("ik"));
        assert_eq!(implicit(&["b...", "ab"], 1), chars("0a"));
    }
}
