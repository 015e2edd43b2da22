//! Passes: each finds claims and witnesses of one kind. A pass is untrusted: it may use the checker's rules to find out
//! what will be accepted, but it never says that anything is proved.

pub mod bounds;
pub mod derivatives;
pub mod deviation;
pub mod hessian;
pub mod ibp;
pub mod lipschitz;
pub mod mfac;
pub mod robustness;
