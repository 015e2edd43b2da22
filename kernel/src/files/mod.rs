//! TRUSTED. The one way in which files are read: regular ones alone, within a limit, and what counts is the file that was opened, not what a path
//! named before. A file that is not what it was taken for is not quoted in a message. This room must not know what files are about.

mod json;
mod kind;
mod read;
mod token;

pub use json::json_problem;
pub use kind::word;
pub use read::{ReadError, contents, must_be_regular, open, read};
pub use token::token;
