//! # nnverify-kernel
//!
//! TRUSTED. Proves certificates for neural networks again: a certificate, the models, and the data and specification files that its claims
//! name go in; verdicts or a typed refusal come out. It lowers the ONNX file itself, builds every matrix and every bound itself, and
//! searches nothing.
//!
//! | room | what it is |
//! |---|---|
//! | [`sound`] | error-free transformations, enclosures, verified Cholesky factorisation |
//! | [`files`] | how files are read: regular ones alone, within limits |
//! | [`model`] | ONNX files and implicit networks, decoded with limits and lowered to `Network`, a graph of a dozen operations; two networks as one |
//! | [`read`] | arrays and data sets; VNN-LIB specifications |
//! | [`proof`] | claims, their proofs, digests and versions; refusals; what claims are checked against |
//! | [`lipschitz`] | the one exact form and the rules of Lipschitz bounds: what an auditor of such a bound reads ends here |
//! | [`region`] | interval and backward bounds, and the rules of specifications, robustness and tightness |
//! | [`curvature`] | derivatives in enclosures, and the rules of traces, stability and inverse products |
//! | [`check`] | a whole certificate, claim by claim |
//! | [`threads`] | independent pieces of a check on as many threads as the caller allows |
//!
//! Invariants: no solver, dense algebra, thread pool or terminal is among the dependencies; no solver's status, residual or tolerance appears
//! in a rule; a refusal is a value, never a panic; NaN proves nothing. Search may call the rules to find out what will be
//! accepted; never the reverse.

#![forbid(unsafe_code)]

pub mod check;
pub mod curvature;
pub mod files;
pub mod lipschitz;
pub mod model;
pub mod proof;
pub mod read;
pub mod region;
pub mod sound;
pub mod threads;
