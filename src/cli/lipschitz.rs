//! `verify MODEL --lipschitz NORM`: options of the Lipschitz pass.

use clap::ValueEnum;

use super::analysis::{Context, Findings};
use super::{ExitStatus, Failure};
use crate::certificate::{Assurance, Claim, ClaimKind, Domain, Semantics};
use crate::pass::lipschitz::{EngineChoice, LipschitzError, LipschitzOptions, certify_l2};
use crate::report::{LipschitzSection, Section};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Lipschitz constants")]
pub struct Arguments {
    /// Certify the network's global Lipschitz constant in this norm
    #[arg(long, value_enum, value_name = "NORM", group = "pass")]
    lipschitz: Option<Norm>,
    /// What looks for multipliers
    #[arg(long, value_enum, value_name = "ENGINE", default_value_t, requires = "lipschitz")]
    engine: EngineChoice,
}

#[derive(Clone, Copy, ValueEnum)]
enum Norm {
    /// Euclidean norm of inputs and outputs
    L2,
}

impl Arguments {
    pub const fn requested(&self) -> bool {
        self.lipschitz.is_some()
    }
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<Findings, Failure> {
    let options =
        LipschitzOptions { engine: arguments.engine, timeout: context.timeout, memory: context.memory, seed: context.seed };
    let outcome = certify_l2(&context.model.network, &options, &mut |step| context.step(step));
    let outcome = outcome.map_err(|error| failure(context, &error))?;
    outcome.notes.iter().for_each(|note| context.output.note(note));
    let claim = Claim {
        id: "lipschitz-l2".to_owned(),
        assurance: Assurance::Proved,
        semantics: Semantics::Real,
        domain: Domain::Global,
        kind: ClaimKind::Lipschitz(outcome.claim.clone()),
    };
    Ok(Findings {
        claims: vec![claim],
        engine: outcome.engine.name().to_owned(),
        section: Section::Lipschitz(LipschitzSection::new(&outcome)),
        status: ExitStatus::Established,
        files: Vec::new(),
        result_file: None,
    })
}

fn failure(context: &Context, error: &LipschitzError) -> Failure {
    let status = match error {
        LipschitzError::Form(_) => ExitStatus::Error,
        LipschitzError::Refused(_) | LipschitzError::NoBound(_) => ExitStatus::Inconclusive,
    };
    let hint = Some(format!("`verify inspect {}` shows what can be certified", context.path.display()));
    Failure { status, message: format!("{}: {error}", context.path.display()), hint }
}
