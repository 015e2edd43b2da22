//! The command line: raw flags to meaning, one file per command, exit codes.
//!
//! stdout carries results only; progress, warnings and hints go to stderr. Nothing here proves or decides anything.

mod analysis;
mod batch;
mod check;
mod compare;
mod completions;
mod constants;
mod diff;
mod established;
mod explain;
mod failure;
mod first;
mod gate;
mod hessian;
mod init;
mod inspect;
mod interrupt;
mod inverse;
mod kept;
mod lipschitz;
mod man;
mod objective;
mod output;
mod progress;
mod report;
mod robustness;
mod schema;
mod specification;
mod stated;
mod tightness;
mod units;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::codes;
use crate::kernel::model::onnx::Model;
pub use analysis::set_threads;
pub use failure::Failure;
pub use gate::{Settings, audit};
use output::Output;

/// How a run ended. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Everything that was asked for is established.
    Established = 0,
    /// A property is refuted.
    Violated = 1,
    /// Usage, configuration, or a model that cannot be used.
    Error = 2,
    /// Nothing is wrong, but nothing is established either: time, memory, a witness that does not close.
    Inconclusive = 3,
    /// A certificate was refused.
    Refused = 4,
}

impl ExitStatus {
    /// What the code says that no message has said: also where nothing else is printed.
    const fn meaning(self) -> Option<&'static str> {
        match self {
            Self::Established | Self::Error => None,
            Self::Violated => Some("a policy is violated, or a property is refuted"),
            Self::Inconclusive => Some("inconclusive: nothing is refuted, and not everything is established"),
            Self::Refused => Some("a certificate was refused"),
        }
    }
}

impl ExitStatus {
    /// The status of two results together: what is refuted outweighs what is not established.
    const fn worse(self, other: Self) -> Self {
        const fn rank(status: ExitStatus) -> u8 {
            match status {
                ExitStatus::Established => 0,
                ExitStatus::Inconclusive => 1,
                ExitStatus::Violated => 2,
                ExitStatus::Refused => 3,
                ExitStatus::Error => 4,
            }
        }
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  everything that was asked for is established
  1  a policy is violated, or a property is refuted
  2  usage error, or a model that cannot be used
  3  inconclusive: time, memory, or a witness that does not close
  4  a certificate was refused";

const EXAMPLES: &str = "\
Examples:
  verify model.onnx
  verify model.onnx --lipschitz l2
  verify check model.certificate.json --model model.onnx
  verify model.onnx --spec property.vnnlib
  verify model.onnx --robust --data test.npz --eps 0.03 --clip 0,1
  verify compare old.onnx new.onnx --data test.npz --eps 0.01 --max-deviation 0.1
  verify inspect model.onnx
  verify init model.onnx && verify gate
  verify report model.certificate.json --model model.onnx -o audit.html";

/// Certificates for neural networks: an ONNX file goes in, claims with independently checkable proofs come out.
#[derive(Parser)]
#[command(name = "verify", version, arg_required_else_help = true, args_conflicts_with_subcommands = true)]
#[command(subcommand_negates_reqs = true, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    /// Colours in results on standard output: where it is a terminal and `NO_COLOR` is not set, or always, or never
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Colours,
    #[command(flatten)]
    analysis: analysis::Analysis,
}

#[derive(Subcommand)]
enum Command {
    /// Prove the claims of certificates again; no solver is involved
    Check(check::Arguments),
    /// Show a model's operators, shapes, activation groups, and what can be certified
    Inspect(inspect::Arguments),
    /// Prove how far the outputs of two networks are apart
    Compare(compare::Arguments),
    /// Decide every instance of a VNN-LIB benchmark
    Batch(batch::Arguments),
    /// Apply the policy of a repository to its models: the command for continuous integration
    Gate(gate::Arguments),
    /// Write a commented policy for a model
    Init(init::Arguments),
    /// Check certificates again and write the claims as a document
    Report(report::Arguments),
    /// Compare the certificates of two versions
    Diff(diff::Arguments),
    /// Explain the code that a message ends with
    Explain(explain::Arguments),
    /// Print a shell's completions
    Completions(completions::Arguments),
    /// Print the manual page
    Man(man::Arguments),
    /// Print the JSON Schema of a file format
    Schema(schema::Arguments),
}

/// Formats of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// When results are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Colours {
    #[default]
    Auto,
    Always,
    Never,
}

impl Colours {
    /// Tells reports about the terminal.
    fn apply(self) {
        use std::io::IsTerminal;
        let terminal = std::io::stdout().is_terminal();
        let colours = match self {
            Self::Auto => terminal && no_color_is_unset(),
            Self::Always => true,
            Self::Never => false,
        };
        let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        let measured = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
        crate::report::screen::set(columns.or_else(measured), colours);
    }
}

/// Whether the user has not asked every program for no colours.
fn no_color_is_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Where results go, and how.
#[derive(clap::Args, Clone, Debug)]
pub struct OutputArguments {
    /// Format of the results
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", env = "VERIFY_OUTPUT_FORMAT")]
    output_format: OutputFormat,
    /// Write the results to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// No progress, notes or warnings on standard error
    #[arg(short, long)]
    #[arg(conflicts_with = "verbose")]
    quiet: bool,
    /// More on standard error: what is being done, and why
    #[arg(short, long)]
    verbose: bool,
}

/// Runs the command line and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    ended(arguments).into()
}

/// Runs the command line and returns how it ended, for programs that are no process of their own.
pub fn ended(arguments: impl IntoIterator<Item = OsString>) -> ExitStatus {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let first = arguments.get(1).and_then(|argument| argument.to_str()).unwrap_or_default().to_owned();
    let arguments = match CommandLine::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are results; everything else is a usage error.
            if !error.use_stderr() {
                // Nothing can be done about a closed stream.
                let _ = error.print();
                return ExitStatus::Established;
            }
            return usage(&error, &first);
        }
    };
    arguments.color.apply();
    let status = match dispatch(arguments) {
        Ok(status) => status,
        Err(failure) => {
            failure.tell();
            failure.status()
        }
    };
    if let Some(meaning) = status.meaning() {
        eprintln!("exit code {}: {meaning}", status as u8);
    }
    status
}

/// The parser's own message, its first paragraph ending with the code. `first` stands where a command may.
fn usage(error: &clap::Error, first: &str) -> ExitStatus {
    use std::io::IsTerminal;
    let colours = std::io::stderr().is_terminal() && no_color_is_unset();
    let text = if colours { error.render().ansi().to_string() } else { error.render().to_string() };
    // Without arguments it is the help.
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        eprint!("{text}");
    } else {
        let (message, rest) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        eprintln!("{}", codes::tagged(message, codes::USAGE));
        if !rest.is_empty() {
            eprint!("\n{rest}");
        }
        if let Some(command) = nearest_command(first) {
            eprintln!("hint: did you mean `verify {command}`?");
        }
    }
    ExitStatus::Error
}

/// The command that a word was probably meant to be: the parser takes it for a model.
fn nearest_command(word: &str) -> Option<String> {
    use clap::CommandFactory;
    let command = CommandLine::command();
    let names = command.get_subcommands().map(|command| command.get_name().to_owned());
    let distance = |name: &String| strsim::damerau_levenshtein(word, name);
    names.filter(|name| (1..=2).contains(&distance(name))).min_by_key(distance).filter(|name| name.len() > 3)
}

fn dispatch(arguments: CommandLine) -> Result<ExitStatus, Failure> {
    match arguments.command {
        Some(Command::Check(arguments)) => check::run(&arguments),
        Some(Command::Compare(arguments)) => compare::run(&arguments),
        Some(Command::Inspect(arguments)) => inspect::run(&arguments),
        Some(Command::Batch(arguments)) => batch::run(&arguments),
        Some(Command::Schema(arguments)) => schema::run(&arguments),
        Some(Command::Gate(arguments)) => gate::run(&arguments),
        Some(Command::Init(arguments)) => init::run(&arguments),
        Some(Command::Report(arguments)) => report::run(&arguments),
        Some(Command::Diff(arguments)) => diff::run(&arguments),
        Some(Command::Explain(arguments)) => explain::run(&arguments),
        Some(Command::Completions(arguments)) => completions::run(&arguments),
        Some(Command::Man(arguments)) => man::run(&arguments),
        None => analysis::run(&arguments.analysis),
    }
}

fn load(path: &Path, output: &Output) -> Result<Model, Failure> {
    let model = crate::kernel::model::onnx::load(path).map_err(|error| Failure::model(path, &error))?;
    model.notes.iter().for_each(|note| output.note(note));
    Ok(model)
}

/// Returns the command that checks a certificate again, as a shell takes it.
pub fn recheck(certificate: &Path, model: &Path, files: impl Iterator<Item = PathBuf>) -> String {
    let quoted = |path: &Path| {
        let text = gate::shown(path);
        let plain = !text.is_empty()
            && !text.starts_with('-')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/,=+:@%".contains(&b));
        if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
    };
    let command = format!("verify check {} --model {}", quoted(certificate), quoted(model));
    files.fold(command, |command, file| command + " --file " + &quoted(&file))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_options_of_all_commands_are_consistent() {
        super::CommandLine::command().debug_assert();
    }
}
