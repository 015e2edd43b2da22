//! `verify explain CODE`.

use super::{ExitStatus, Failure};
use crate::codes::{ALL, find};

#[derive(clap::Args)]
pub struct Arguments {
    /// A code as messages end with it, such as NV503; without one all are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let Some(code) = &arguments.code else {
        ALL.iter().for_each(|diagnostic| println!("{}  {}", diagnostic.code, diagnostic.title));
        return Ok(ExitStatus::Established);
    };
    let diagnostic = find(code).ok_or_else(|| {
        Failure::error(format!("there is no code `{}`", code.escape_debug())).with_hint("`verify explain` lists them")
    })?;
    println!("{}: {}\n\n{}\n\n{}", diagnostic.code, diagnostic.title, diagnostic.explanation, diagnostic.remedy);
    Ok(ExitStatus::Established)
}
