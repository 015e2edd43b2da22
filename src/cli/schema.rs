//! `verify schema KIND`.

use clap::ValueEnum;

use super::{ExitStatus, Failure};

#[derive(clap::Args)]
pub struct Arguments {
    /// Which file format
    #[arg(value_enum, value_name = "KIND")]
    kind: Kind,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Certificates
    Certificate,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let Kind::Certificate = arguments.kind;
    let schema = schemars::schema_for!(crate::certificate::Certificate);
    println!("{}", serde_json::to_string_pretty(&schema).map_err(Failure::error)?);
    Ok(ExitStatus::Established)
}
