//! Policies: what a repository asks of its models, as rules over claims in `verify.toml`.
//!
//! A rule is read (`file`, `read`), turned into a task (`task`, `perturbed`): a question, and requirements on the figure that answers it
//! (`requirement`, `figure`), which are decided on claims that the checker established (`decide`). Nothing here proves anything or
//! runs a pass: what `verify gate` does to get claims is its own business. A claim that the checker did not establish never
//! meets a rule. What a certificate states without being checked (`stated`) is at least compared like with like (`question`), and what the
//! files of a policy must be is told by their digests (`lock`).

mod decide;
mod figure;
mod file;
mod lock;
mod perturbed;
mod question;
mod read;
mod requirement;
mod stated;
mod task;

pub use decide::{Decision, Established, Status};
pub use figure::{Better, Decisive, Reading, decisive};
pub use file::{
    AccuracyRule, BoxRule, Corners, HessianTraceRule, Input, Limits, LipschitzRule, ModelPolicy, Policy, RadiusRule,
    RobustnessRule, SizeRule, SpecificationRule, StabilityRule, TightnessRule,
};
pub use lock::{Lock, LockError, key};
pub use question::{Part, Place, differences, question};
pub use read::{FILE_NAME, PolicyError, PolicyFile, discover};
pub use requirement::{Limit, Requirement};
pub use stated::{MOST, unlikely};
pub use task::{Rule, Task};
