//! How a run over one problem ends.

use crate::search::branch::Proof;

/// How a run ended.
pub enum Branched<T, P = Proof> {
    Refuted(P),
    Unsafe(T),
    Open,
}
