//! Reading the values of constants, each time on record.
//!
//! A decision that comes to a result freezes the tensors of the file that it read: what it makes is right for the file's values
//! and need not follow them when they move. Two kinds of questions freeze nothing, because no result depends on their answer
//! except a refusal ([`Graph::require`]), or because the answer is the same for all values nearby ([`Reader::is_nonzero`]).

use std::cell::RefCell;

use super::build::{Graph, Seen};
use super::exact::uniform;
use super::slot::Slot;
use crate::model::ir::{NodeId, Op};
use crate::model::onnx::error::NodeError;

/// How many movements a pattern looks through.
pub const MAX_MOVES: usize = 16;

/// Access to the values of constants, for the length of one decision.
pub struct Reader<'a> {
    graph: &'a Graph,
    read: RefCell<Vec<Slot>>,
}

impl Graph {
    /// Comes to a decision of the node `(name, operator)` that may read values of constants. Where there is a result, every
    /// tensor of the file behind a value that was read is frozen by that node.
    pub fn decide<T>(&mut self, node: (&str, &str), decision: impl FnOnce(&Reader) -> Option<T>) -> Option<T> {
        let reader = Reader { graph: self, read: RefCell::default() };
        let result = decision(&reader)?;
        let read = reader.read.into_inner();
        read.iter().for_each(|slot| self.freeze(slot, node));
        Some(result)
    }

    /// Refuses values that are known and do not satisfy a condition; values that are not known pass.
    ///
    /// # Errors
    /// What `refusal` makes.
    pub fn require(
        &self,
        slot: &Slot,
        condition: impl FnOnce(&[f64]) -> bool,
        refusal: impl FnOnce() -> NodeError,
    ) -> Result<(), NodeError> {
        match self.known(slot) {
            Some(values) if !condition(values) => Err(refusal()),
            _ => Ok(()),
        }
    }
}

impl<'a> Reader<'a> {
    /// Returns what patterns may see of a node.
    pub fn see(&self, id: NodeId) -> Seen<'a> {
        self.graph.see(id)
    }

    /// Returns the exact value of a constant, where it is known.
    pub fn exact(&self, slot: &Slot) -> Option<Vec<f64>> {
        let values = self.graph.known(slot)?.to_vec();
        self.read.borrow_mut().push(slot.clone());
        Some(values)
    }

    /// Returns the one value that all elements of a constant have, seen through movements.
    pub fn uniform(&self, slot: &Slot) -> Option<f64> {
        let slot = match slot {
            Slot::Node(id) => Slot::Node(self.origin(*id)?),
            other => other.clone(),
        };
        let value = uniform(self.graph.known(&slot)?)?;
        self.read.borrow_mut().push(slot);
        Some(value)
    }

    /// Whether every element of a node's known value differs from zero: an open condition, which holds for all values near
    /// those of the file, so that a rewriting that rests on it alone follows them and freezes nothing.
    pub fn is_nonzero(&self, id: NodeId) -> bool {
        let values = self.origin(id).and_then(|origin| self.graph.known_node(origin));
        values.is_some_and(|values| values.iter().all(|&value| value != 0.0 && value.is_finite()))
    }

    /// Returns the node of known value that a node merely moves or copies.
    fn origin(&self, mut id: NodeId) -> Option<NodeId> {
        for _ in 0..MAX_MOVES {
            if self.graph.known_node(id).is_some() {
                return Some(id);
            }
            let node = self.see(id);
            match (node.op, node.operands) {
                (Some(Op::Reshape | Op::Rearrange(_)), [only]) => id = *only,
                _ => return None,
            }
        }
        None
    }
}
