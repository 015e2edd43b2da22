//! A part of a question as plain data: what a search waits for, a worker gets, and a file may hold.

use serde::{Deserialize, Serialize};

/// One split on the way from the whole to a part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "split", rename_all = "kebab-case")]
pub enum Split {
    /// An input is at most, or at least, the cut.
    Input { input: usize, cut: f64, above: bool },
    /// The operand of a ReLU, an element of a node, is not positive, or not negative.
    Unit { node: usize, unit: usize, active: bool },
    /// An alternative of a clause is the one that holds.
    Clause { clause: usize, alternative: usize },
}

/// How a part is divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Division {
    Input { input: usize, cut: f64 },
    Unit { node: usize, unit: usize },
    Clause { clause: usize, alternatives: usize },
}

/// A part: the splits from the whole down to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subproblem {
    pub splits: Vec<Split>,
}

impl Subproblem {
    /// Returns the part of this one on one side of a split.
    #[must_use]
    pub fn with(&self, split: Split) -> Self {
        let mut splits = Vec::with_capacity(self.splits.len() + 1);
        splits.extend_from_slice(&self.splits);
        splits.push(split);
        Self { splits }
    }
}

impl Division {
    /// Returns how many parts there are.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::Input { .. } | Self::Unit { .. } => 2,
            Self::Clause { alternatives, .. } => alternatives,
        }
    }

    /// Returns the sides of the division, in the order in which a proof has them.
    #[must_use]
    pub fn splits(self) -> Vec<Split> {
        match self {
            Self::Input { input, cut } => [false, true].map(|above| Split::Input { input, cut, above }).to_vec(),
            Self::Unit { node, unit } => [false, true].map(|active| Split::Unit { node, unit, active }).to_vec(),
            Self::Clause { clause, alternatives } => {
                (0..alternatives).map(|alternative| Split::Clause { clause, alternative }).collect()
            }
        }
    }
}
