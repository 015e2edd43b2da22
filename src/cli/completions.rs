//! `verify completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{CommandLine, ExitStatus, Failure, output::Output};

#[derive(clap::Args)]
pub struct Arguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut CommandLine::command(), "verify", &mut script);
    Output::to(None, true, false).results(&String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Established)
}
