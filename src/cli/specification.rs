//! `verify MODEL --spec FILE`: options of the question whether a specification holds.

use std::path::PathBuf;

use super::analysis::CommonArguments;
use crate::query::{Query, SpecificationQuery};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Specifications")]
pub struct Arguments {
    /// Decide a VNN-LIB specification, possibly gzipped; `-o` then writes the competition's result file
    #[arg(long, value_name = "FILE", group = "pass")]
    spec: Option<PathBuf>,
    /// Accept a specification that no input satisfies; without this it ends with exit code 3
    #[arg(long, requires = "spec")]
    allow_vacuous: bool,
}

impl Arguments {
    pub fn query(&self, common: &CommonArguments) -> Option<Query> {
        let file = self.spec.clone()?;
        let (semantics, allow_vacuous) = (common.semantics(), self.allow_vacuous);
        Some(Query::Specification(SpecificationQuery { file, semantics, allow_vacuous }))
    }
}
