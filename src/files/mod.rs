//! Trusted. Files: the one way in which the program reads and writes them.
//!
//! Only regular files are read, within a limit, and what counts is the file that was opened, not what a path named before.
//! Nothing is written through a link or changed in place: a file is made under a new name and takes its place by one rename.
//! A file that is not what it was taken for is not quoted in a message. The room must not know what files are about.

mod json;
mod kind;
mod read;
mod token;
mod tree;
mod write;

pub use json::json_problem;
pub use kind::Identity;
pub use read::{ReadError, open, read};
pub use token::token;
pub use tree::{Tree, TreeError};
pub use write::{create_folder, must_not_be_linked, probe, remove, write, write_and_keep};
