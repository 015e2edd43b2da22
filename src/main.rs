//! The `verify` command: parse, dispatch, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    nnverify::cli::run(std::env::args_os())
}
