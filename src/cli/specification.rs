//! `verify MODEL --spec FILE`: options of the question whether a specification holds.

use std::path::PathBuf;

use super::analysis::CommonArguments;
use crate::query::{FirstNetwork, Query, SpecificationQuery};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Specifications")]
pub struct Arguments {
    /// Decide a VNN-LIB specification, possibly gzipped; `-o` then writes the competition's result file
    #[arg(long, value_name = "FILE", group = "pass")]
    spec: Option<PathBuf>,
    /// Where the specification is about two networks: the first that it declares, by its name there; MODEL is the second
    #[arg(long, value_name = "NAME=MODEL", value_parser = network, requires = "spec")]
    network: Option<FirstNetwork>,
    /// Accept a specification that no input satisfies; without this it ends with exit code 3
    #[arg(long, requires = "spec")]
    allow_vacuous: bool,
}

impl Arguments {
    pub fn query(&self, common: &CommonArguments) -> Option<Query> {
        let file = self.spec.clone()?;
        let (semantics, allow_vacuous, first) = (common.semantics(), self.allow_vacuous, self.network.clone());
        Some(Query::Specification(SpecificationQuery { file, semantics, allow_vacuous, first }))
    }
}

fn network(text: &str) -> Result<FirstNetwork, String> {
    let named = text.split_once('=').filter(|(name, model)| !name.is_empty() && !model.is_empty());
    let (name, model) = named.ok_or_else(|| "not a name and a file: `f=old.onnx`".to_owned())?;
    Ok(FirstNetwork { name: name.to_owned(), model: model.into() })
}
