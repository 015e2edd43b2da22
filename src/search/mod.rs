//! Searches for proofs. Nothing in here is trusted: what a search ends with is a witness that the checker proves again, and it
//! must never say that anything is proved.
//!
//! | room | what it holds |
//! |---|---|
//! | [`branch`] | branch and bound: what is divided, in which order, and the tree that is left as a proof |

pub mod branch;
