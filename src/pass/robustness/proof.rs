//! How a run over one problem ends.

use crate::search::branch::Proof;

/// How a run ended.
pub enum Branched<T> {
    Refuted(Proof),
    Unsafe(T),
    Open,
}
