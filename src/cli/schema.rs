//! `verify schema KIND`.

use clap::ValueEnum;

use super::output::print;
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
    /// Implicit networks as JSON
    ImplicitModel,
    /// Policies: `verify.toml`
    Policy,
    /// Reports of `verify gate` and `verify report` as JSON
    Report,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let schema = match arguments.kind {
        Kind::Certificate => schemars::schema_for!(crate::kernel::proof::Certificate),
        Kind::ImplicitModel => schemars::schema_for!(crate::kernel::model::implicit::Description),
        Kind::Policy => schemars::schema_for!(crate::policy::Policy),
        Kind::Report => schemars::schema_for!(crate::report::audit::Audit),
    };
    print(&format!("{}\n", serde_json::to_string_pretty(&schema).map_err(Failure::error)?))?;
    Ok(ExitStatus::Established)
}
