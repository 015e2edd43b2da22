//! Files: how they are written, and which of them a repository's policy may reach. Nothing is written through a link or changed in place: a file
//! is made under a new name and takes its place by one rename. Reading is the kernel's.

mod identity;
mod tree;
mod write;

pub use crate::kernel::files::{ReadError, json_problem, open, read, token};
pub use identity::Identity;
pub use tree::{Tree, TreeError};
pub use write::{create_folder, must_not_be_linked, probe, remove, write, write_and_keep};
