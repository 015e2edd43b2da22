//! TRUSTED. Lipschitz bounds: the one exact form, and the rules that prove a constant.
//!
//! An auditor of a Lipschitz bound reads `sound`, `model`, `proof` and this room, and nothing else.
//!
//! | file | what it proves |
//! |---|---|
//! | [`mod@form`] | the network as rows over (input, bounded parts), and its matrix |
//! | `claim` | a claim: the one of its rules that its witness names |
//! | `inequality` | a constant by a matrix inequality |
//! | `columns` | constants into ℓ1, by columns |
//! | `parts` | a constant of a chain of parts, each by one of the rules |
//! | `rules`, `convolution` | constants by norms of linear layers |
//! | `growth`, `column_growth` | constants by absolute values |
//! | `pair` | a quotient that is attained |
//! | `margins` | radii within which no class changes |

mod claim;
mod column_growth;
mod columns;
mod convolution;
pub mod form;
mod growth;
mod inequality;
mod margins;
mod pair;
mod parts;
mod refusal;
mod rules;

pub(crate) use claim::{Within, check};
pub use column_growth::column_growth;
pub use columns::prove_columns;
pub use convolution::convolution_work;
pub use growth::{growth, growth_of};
pub use inequality::{MatrixRefusal, form, prove_functionals, prove_inequality, prove_matrix};
pub use margins::Margins;
pub use pair::attained_quotient;
pub use parts::{constants, product, prove_part, prove_parts};
pub use refusal::LipschitzRefusal;
pub use rules::{LinearNorm, Rules, linear_layers};
