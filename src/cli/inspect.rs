//! `verify inspect MODEL`.

use std::path::PathBuf;

use super::output::Output;
use super::{ExitStatus, Failure, OutputArguments, OutputFormat};
use crate::report::{InspectReport, json, visible_lines};

#[derive(clap::Args)]
pub struct Arguments {
    /// The network: an ONNX file, or an implicit network as JSON; possibly gzipped
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let output = Output::new(&arguments.output);
    output.apart_from([&*arguments.model])?;
    let model = super::load(&arguments.model, &output)?;
    let report = InspectReport::new(&arguments.model, &model);
    let text = match output.format {
        OutputFormat::Text => visible_lines(&report.to_string()),
        OutputFormat::Json => json(&report).map_err(Failure::error)?,
    };
    output.results(&text)?;
    Ok(ExitStatus::Established)
}
