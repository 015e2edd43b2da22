//! # nnverify
//!
//! A neural-network verifier and auditor: an ONNX file goes in, *certificates* come out, each a claim with a witness that
//! a small independent checker proves again in sound arithmetic.
//!
//! ```text
//!  model.onnx ──> kernel: Network
//!                   │        │
//!      untrusted    │        │        TRUSTED: the package nnverify-kernel
//!  [query] ─> [pass], [solver], [autodiff]
//!                            ├─> claim + proof ──> kernel rules ──> verdict or refusal ─> [policy], [report]
//!                            └── re-reads the files, rebuilds everything itself
//! ```
//!
//! A [`Query`](query::Query) goes in, an [`Answer`](query::Answer) comes out, and the checker proves its claims again:
//!
//! ```
//! use nnverify::kernel::proof::Norm;
//! use nnverify::kernel::check::check;
//! use nnverify::query::{Limits, LipschitzQuery, Query, Subjects, answer, evidence, seal};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let subjects = Subjects::open("models/digits_maxmin.onnx".as_ref())?;
//! let query = Query::Lipschitz(LipschitzQuery::everywhere(Norm::L2));
//! let limits = Limits::default();
//! let answers = [answer(&subjects, &query, &limits, &())?];
//! print!("{}", answers[0].figures);
//!
//! let (certificate, bundle) = seal(&subjects, &answers, &limits).ok_or("nothing is claimed")?;
//! let found = check(&certificate, &bundle, &subjects.model, &evidence(&subjects, &answers)?);
//! assert!(found.refusal.is_none());
//! # Ok(())
//! # }
//! ```
//!
//! | room | what it is |
//! |---|---|
//! | [`query`] | questions and answers: what every caller builds and reads; limits, validation, typed figures |
//! | [`pass`] | finds claims and witnesses; never says that anything is proved |
//! | [`search`] | branch and bound: one search for all passes |
//! | [`solver`] | engines: Clarabel, on BLAS symbols of our own (the only `unsafe` code) |
//! | [`autodiff`] | derivatives with respect to the input, in plain numbers |
//! | [`deadline`] | when work has to stop |
//! | [`policy`] | `verify.toml`: what a repository asks of its models, decided on claims that the kernel established |
//! | [`files`] | how files are written; which of them a policy may reach |
//! | [`codes`] | every diagnostic: code, title, explanation, remedy |
//! | [`report`], [`cli`] | what people and programs read |
//!
//! What is trusted is [`kernel`]; `kernel/README.md` is its map.
//!
//! Invariants: a pass may call the kernel to find out what will be accepted, never the reverse; a refusal is a value, never a panic; NaN
//! proves nothing.

pub mod autodiff;
pub mod cli;
pub mod codes;
pub mod deadline;
pub mod files;
pub mod pass;
pub mod policy;
pub mod query;
pub mod report;
pub mod search;
pub mod solver;

/// The trusted package, under the name that this one knows it by.
pub use nnverify_kernel as kernel;
