//! `verify explain CODE`.

use super::output::print;
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
        let all = ALL.iter().map(|diagnostic| format!("{}  {}\n", diagnostic.code, diagnostic.title));
        print(&all.collect::<String>())?;
        return Ok(ExitStatus::Established);
    };
    let diagnostic = find(code).ok_or_else(|| {
        Failure::error(format!("there is no code `{}`", code.escape_debug())).with_hint("`verify explain` lists them")
    })?;
    print(&format!("{}: {}\n\n{}\n\n{}\n", diagnostic.code, diagnostic.title, diagnostic.explanation, diagnostic.remedy))?;
    Ok(ExitStatus::Established)
}
