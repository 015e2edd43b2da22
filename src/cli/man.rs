//! `verify man [COMMAND]`.

use clap::CommandFactory;

use super::{CommandLine, ExitStatus, Failure, output::Output};

#[derive(clap::Args)]
pub struct Arguments {
    /// The page of this command
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let mut command = CommandLine::command();
    command.build();
    let page = match &arguments.command {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            found.ok_or_else(|| Failure::error(format!("there is no command `{}`", name.escape_debug())))?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(Failure::internal)?;
    Output::to(None, true, false).results(&String::from_utf8_lossy(&text))?;
    Ok(ExitStatus::Established)
}
