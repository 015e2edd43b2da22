//! Questions and answers: every caller (the command line, a policy, a program) builds a [`Query`], gets an [`Answer`] and has
//! the checker prove its claims.
//!
//! A question is plain data (`question`) about a model and files (`subjects`), and is answered within limits (`limits`). What
//! was asked is compared with the model and the files before any work begins. The answer holds claims and typed figures
//! (`figures`); a claim at hand may answer a question too (`about`), and which questions a model allows is known without
//! asking (`abilities`). Nothing here prints, parses options or proves.

mod abilities;
mod about;
mod answer;
mod curvature;
mod deviation;
mod error;
pub mod figures;
mod inverse;
mod journal;
mod limits;
mod lipschitz;
mod objective;
mod patch;
mod perturbed;
mod pruning;
mod question;
mod robustness;
mod saved;
mod specification;
mod subjects;
mod tightness;

pub use abilities::{Ability, abilities};
pub use about::{Digests, Named};
pub use answer::{Answer, Outcome, Product, answer, evidence, seal, validate};
pub use error::QueryError;
pub use limits::{Limits, Watch};
pub use patch::{PatchError, patch_initializer};
pub use perturbed::copies;
pub use question::{
    DeviationQuery, FirstNetwork, HessianTraceQuery, Inputs, InverseHessianQuery, LipschitzQuery, ObjectiveQuery, Query, Region,
    RobustnessQuery, Samples, Sgd, SpecificationQuery, StabilityQuery, TightnessQuery,
};
pub use saved::{WriteError, write_certificate};
pub use subjects::Subjects;
