//! Rearrangements run by run: what is copied, and what is repeated, as broadcasting does.

use super::gemm::sum;
use super::real::Real;
use crate::kernel::model::ir::Source;

/// Consecutive elements of a result that are consecutive elements of an operand, or all the same one.
pub struct Move {
    operand: usize,
    from: usize,
    to: usize,
    length: usize,
    repeated: bool,
}

/// The moves that a rearrangement consists of.
pub fn moves(sources: &[Source]) -> Vec<Move> {
    let mut moves: Vec<Move> = Vec::new();
    for (to, source) in sources.iter().enumerate() {
        let (operand, from) = (source.operand as usize, source.element as usize);
        if let Some(last) = moves.last_mut().filter(|last| last.operand == operand) {
            let (next, same) = (from == last.from + last.length, from == last.from);
            if (next && !last.repeated) || (same && (last.repeated || last.length == 1)) {
                last.repeated = same;
                last.length += 1;
                continue;
            }
        }
        moves.push(Move { operand, from, to, length: 1, repeated: false });
    }
    moves
}

impl Move {
    /// Writes its part of the result; `operand(position)` are the operands.
    pub fn carry<'a, T: Real>(&self, operand: impl Fn(usize) -> &'a [T], out: &mut [T]) {
        let (from, to) = (operand(self.operand), &mut out[self.to..self.to + self.length]);
        if self.repeated {
            to.fill(from[self.from]);
        } else {
            to.copy_from_slice(&from[self.from..self.from + self.length]);
        }
    }

    /// Adds to an operand's adjoint what its part of the result's passes back.
    pub fn pull<T: Real>(&self, position: usize, adjoint: &[T], target: &mut [T]) {
        if self.operand != position {
            return;
        }
        let adjoint = &adjoint[self.to..self.to + self.length];
        if self.repeated {
            target[self.from] += T::of(sum(adjoint));
        } else {
            target[self.from..self.from + self.length].iter_mut().zip(adjoint).for_each(|(target, value)| *target += *value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_the_rearrangement_and_its_adjoint() {
        let elements = [(0, 3), (0, 4), (0, 4), (0, 4), (1, 0), (1, 1), (0, 1), (0, 1), (0, 2), (0, 1), (1, 1), (1, 0)];
        let sources: Vec<Source> = elements.iter().map(|&(operand, element)| Source { operand, element }).collect();
        let moves = moves(&sources);
        assert!(moves.len() < sources.len());
        let operands = [vec![1.0, 2.0, 3.0, 4.0, 5.0], vec![6.0, 7.0]];
        let mut out = vec![0.0; sources.len()];
        moves.iter().for_each(|m| m.carry(|operand| &operands[operand], &mut out));
        let expected: Vec<f64> =
            elements.iter().map(|&(operand, element)| operands[operand as usize][element as usize]).collect();
        assert_eq!(out, expected);
        let adjoint: Vec<f64> = (0..sources.len()).map(|i| f64::from(1u32 << i)).collect();
        for (position, operand) in operands.iter().enumerate() {
            let mut target = vec![0.0; operand.len()];
            moves.iter().for_each(|m| m.pull(position, &adjoint, &mut target));
            for (element, found) in target.into_iter().enumerate() {
                let reads = |&i: &usize| elements[i] == (position as u32, element as u32);
                let expected: f64 = (0..elements.len()).filter(reads).map(|i| adjoint[i]).sum();
                assert_eq!(found, expected, "operand {position}, element {element}");
            }
        }
    }
}
