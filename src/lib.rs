//! # nnverify
//!
//! A neural-network verifier and auditor: an ONNX file goes in, *certificates* come out, each a claim with a witness that
//! a small independent checker proves again in sound arithmetic.
//!
//! ```text
//!  model.onnx ──[onnx]──> [ir] Network
//!                           │        │
//!        untrusted          │        │        TRUSTED
//!  [query] ─> [pass]        │        │
//!             [solver]      ├─> [certificate] ─> [checker] ─> verdict ─> [policy], [report]
//!             [autodiff]    │   (claim+witness)      │
//!                           └────────────────── [form], [bounds], [sound]
//! ```
//!
//! A [`Query`](query::Query) goes in, an [`Answer`](query::Answer) comes out, and the checker proves its claims again:
//!
//! ```
//! # #[cfg(feature = "passes")] {
//! use nnverify::certificate::Norm;
//! use nnverify::checker::check;
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
//! # main().unwrap();
//! # }
//! ```
//!
//! | room | what it is |
//! |---|---|
//! | [`files`] | how files are read and written: regular ones alone, within limits, never through links |
//! | [`onnx`] | ONNX files: decoded with limits, lowered, errors that name the node |
//! | [`implicit`] | implicit networks as JSON |
//! | [`data`] | arrays and data sets from NumPy, IDX and CSV files |
//! | [`ir`] | `Network`: a graph of a dozen operations; evaluation over any arithmetic; functions and their slope ranges |
//! | [`sound`] | error-free transformations, enclosures, verified Cholesky factorisation |
//! | [`form`] | the one exact form: a network as rows over (input, bounded parts), and its matrix |
//! | [`bounds`] | bounds of everything a network computes on a region, in real arithmetic or float32 |
//! | [`certificate`] | claims, witnesses, digests, versions |
//! | [`checker`] | proves claims again, or refuses with a reason |
//! | [`vnnlib`] | specifications: boxes of inputs and clauses of linear atoms |
//! | `deadline` | when work has to stop |
//! | `pass` | finds claims and witnesses; never says that anything is proved |
//! | `solver` | engines: Clarabel, on BLAS symbols of our own (the only `unsafe` code) |
//! | `autodiff` | derivatives over the IR |
//! | `policy` | `verify.toml`: what a repository asks of its models, decided on claims that the checker established |
//! | `query` | questions and answers: what every caller builds and reads; limits, validation, typed figures |
//! | [`codes`] | every diagnostic: code, title, explanation, remedy |
//! | [`report`], [`cli`] | what people and programs read |
//!
//! Invariants: the trusted rooms import only each other, `ir`, `autodiff` and the readers `files`, `onnx`, `implicit`, `data`,
//! `vnnlib`; no solver status or tolerance appears in a checking rule; a refusal is a value, never a panic; NaN proves nothing. With
//! `--no-default-features --features checker` only the trusted rooms and `verify check` are built.

pub mod autodiff;
pub mod bounds;
pub mod certificate;
pub mod checker;
#[cfg(feature = "checker")]
pub mod cli;
#[cfg(feature = "checker")]
pub mod codes;
pub mod data;
#[cfg(feature = "passes")]
pub mod deadline;
pub mod files;
pub mod form;
pub mod implicit;
pub mod ir;
pub mod onnx;
#[cfg(feature = "passes")]
pub mod pass;
#[cfg(feature = "passes")]
pub mod policy;
#[cfg(feature = "passes")]
pub mod query;
#[cfg(feature = "checker")]
pub mod report;
#[cfg(feature = "passes")]
pub mod solver;
pub mod sound;
pub mod vnnlib;
