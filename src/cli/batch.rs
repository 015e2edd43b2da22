//! `verify batch INSTANCES`: every row of a competition's `instances.csv`, and a summary.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::output::{Output, write};
use super::progress::Progress;
use super::{ExitStatus, Failure, OutputArguments, OutputFormat};
use crate::kernel::check::check;
use crate::kernel::proof::Semantics;
use crate::kernel::read::data::Source;
use crate::query::figures::{Figures, SpecificationFigures};
use crate::query::{Limits, Outcome, Product, Query, SpecificationQuery, Subjects, answer, evidence, seal};
use crate::report::{BatchReport, Instance, json, visible_lines};

#[derive(clap::Args)]
pub struct Arguments {
    /// Rows of model, specification and seconds, with or without a header; paths are relative to the file. A verdict that
    /// contradicts a column `expected` ends with exit code 1
    #[arg(value_name = "INSTANCES")]
    instances: PathBuf,
    /// Seconds for each instance at most, whatever the file says
    #[arg(long, value_name = "TIME", value_parser = super::units::time, env = "VERIFY_TIMEOUT")]
    timeout: Option<Duration>,
    /// Write the competition's result file of every instance to this folder, as 1.txt, 2.txt, …
    #[arg(long, value_name = "FOLDER")]
    results: Option<PathBuf>,
    /// Only rows that contain this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Arithmetic of the networks: exact on the files' weights, or float32 as deployed, with sums in any order [default: as each
    /// specification says]
    #[arg(long, value_enum, value_name = "ARITHMETIC")]
    semantics: Option<super::analysis::Arithmetic>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: OutputArguments,
}

/// One row of the file.
struct Row {
    /// Counted from 1.
    number: usize,
    group: String,
    model: String,
    specification: String,
    timeout: Duration,
    expected: Option<String>,
}

/// What became of a row: how it ends, what is told of it, and the competition's file.
struct Decided {
    outcome: Outcome,
    figures: SpecificationFigures,
    file: String,
}

/// Rows of one file are limited as everything that is read.
const MAX_BYTES: u64 = 1 << 26;
/// Without a third column.
const DEFAULT_TIMEOUT: f64 = 300.0;

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let output = Output::new(&arguments.output);
    output.apart_from([&*arguments.instances])?;
    let mut rows = read(&arguments.instances)?;
    if rows.is_empty() {
        return Err(Failure::coded("NV201", format_args!("{}: there are no instances", arguments.instances.display())));
    }
    if let Some(text) = &arguments.only {
        rows.retain(|row| [&row.group, &row.model, &row.specification].iter().any(|field| field.contains(text)));
    }
    if rows.is_empty() {
        let message = format!("`--only` matches none of the instances of {}", arguments.instances.display());
        return Err(Failure::error(message));
    }
    if let Some(folder) = &arguments.results {
        crate::files::create_folder(folder).map_err(|error| Failure::writing(folder, &error))?;
    }
    let folder = arguments.instances.parent().unwrap_or(Path::new(""));
    let progress = Progress::new(output.is_quiet());
    super::interrupt::listen();
    let mut status = ExitStatus::Established;
    let mut instances = Vec::new();
    // The rows of one model follow each other.
    let mut last: Option<(String, Subjects)> = None;
    for (position, row) in rows.iter().enumerate() {
        progress.step(&format!("{} of {}: {} {}", position + 1, rows.len(), row.model, row.specification));
        let start = Instant::now();
        let decided = decide(row, folder, &mut last, arguments);
        let (verdict, file, message, semantics) = match decided {
            Ok(Decided { outcome, figures, file }) => {
                status = status.worse(outcome.into());
                figures.warnings.iter().for_each(|warning| output.note(&format!("row {}: {warning}", row.number)));
                let warnings = (!figures.warnings.is_empty()).then(|| figures.warnings.join("; "));
                (file.lines().next().unwrap_or_default().to_owned(), file, warnings, Some(figures.semantics))
            }
            Err(failure) => {
                status = status.worse(ExitStatus::Error);
                output.note(&format!("row {}: {failure}", row.number));
                ("error".to_owned(), "error\n".to_owned(), Some(failure.to_string()), None)
            }
        };
        if let Some(results) = &arguments.results {
            let path = results.join(format!("{}.txt", row.number));
            write(&path, file.as_bytes())?;
        }
        instances.push(Instance {
            number: row.number,
            group: row.group.clone(),
            model: row.model.clone(),
            specification: row.specification.clone(),
            verdict,
            semantics,
            expected: row.expected.clone(),
            seconds: start.elapsed().as_secs_f64(),
            message,
        });
    }
    progress.finish();
    super::interrupt::tell(&output);
    if instances.iter().any(Instance::contradicts) {
        status = status.worse(ExitStatus::Violated);
    }
    let report = BatchReport::new(instances);
    let text = match output.format {
        OutputFormat::Text => visible_lines(&report.to_string()),
        OutputFormat::Json => json(&report).map_err(Failure::error)?,
    };
    output.results(&text)?;
    Ok(status)
}

/// Decides one row; what is found counts only where the checker proves it again from the files.
fn decide(row: &Row, folder: &Path, last: &mut Option<(String, Subjects)>, arguments: &Arguments) -> Result<Decided, Failure> {
    let start = Instant::now();
    if last.as_ref().is_none_or(|(name, _)| *name != row.model) {
        let path = existing(folder, &row.model);
        *last = Some((row.model.clone(), Subjects::open(&path).map_err(|error| Failure::model(&path, &error))?));
    }
    let Some((_, subjects)) = last else { return Err(Failure::internal("no model")) };
    let limit = arguments.timeout.map_or(row.timeout, |timeout| timeout.min(row.timeout));
    let limits = Limits { time: Some(limit.saturating_sub(start.elapsed())), seed: arguments.seed, ..Limits::default() };
    let query = Query::Specification(SpecificationQuery {
        file: existing(folder, &row.specification),
        semantics: arguments.semantics.map(Semantics::from),
        // A benchmark's verdict is what the standard says of contradictory assertions.
        allow_vacuous: true,
        first: None,
    });
    let failed = |error| Failure::query(&subjects.path, &error);
    let found = answer(subjects, &query, &limits, &()).map_err(failed)?;
    let answers = [found];
    if let Some((certificate, bundle)) = seal(subjects, &answers, &limits) {
        let files = evidence(subjects, &answers).map_err(Failure::error)?;
        if let Some(refusal) = check(&certificate, &bundle, &subjects.model, &files).refusal {
            return Err(Failure::coded("NV604", format_args!("the checker refused the verdict: {refusal}")));
        }
    }
    let [found] = answers;
    let Figures::Specification(figures) = found.figures else { return Err(Failure::internal("no verdict")) };
    let file = found.products.into_iter().find_map(|product| match product {
        Product::ResultFile(text) => Some(text),
        _ => None,
    });
    Ok(Decided { outcome: found.outcome, figures, file: file.unwrap_or_default() })
}

/// The file, or the same with `.gz`, which benchmarks are often stored as.
fn existing(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name.strip_prefix("./").unwrap_or(name));
    let mut packed = path.clone().into_os_string();
    packed.push(".gz");
    if !path.exists() && Path::new(&packed).exists() { PathBuf::from(packed) } else { path }
}

/// Reads the rows. A header names the columns (`onnx` or `model`, `vnnlib` or `spec`, `timeout`, and where there are,
/// `benchmark` and `expected`); without one they are the model, the specification and the seconds.
fn read(path: &Path) -> Result<Vec<Row>, Failure> {
    let source = Source::open(path, MAX_BYTES).map_err(Failure::error)?;
    let text =
        std::str::from_utf8(&source.bytes).map_err(|_| Failure::coded("NV201", format_args!("{}: not UTF-8", path.display())))?;
    rows(text).map_err(|(line, detail)| Failure::coded("NV201", format_args!("{}: line {line}: {detail}", path.display())))
}

fn rows(text: &str) -> Result<Vec<Row>, (usize, String)> {
    let mut columns: HashMap<&str, usize> = [("model", 0), ("spec", 1), ("timeout", 2)].into();
    let mut rows = Vec::new();
    let mut first = true;
    for (line, text) in text.trim_start_matches('\u{feff}').lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let fields = fields(text).ok_or((line + 1, "a quote is not closed".to_owned()))?;
        if std::mem::take(&mut first) {
            let named: Vec<Option<&str>> = fields.iter().map(|field| column(field)).collect();
            if named.contains(&Some("model")) && named.contains(&Some("spec")) {
                columns = named.into_iter().enumerate().filter_map(|(at, name)| Some((name?, at))).collect();
                continue;
            }
        }
        let field = |name: &str| columns.get(name).and_then(|&at| fields.get(at)).filter(|field| !field.is_empty());
        let needed = |name: &str| field(name).cloned().ok_or((line + 1, format!("there is no {name}")));
        let (model, specification) = (needed("model")?, needed("spec")?);
        let seconds = match field("timeout") {
            None => DEFAULT_TIMEOUT,
            Some(text) => text.parse().map_err(|_| (line + 1, "the timeout is no number of seconds".to_owned()))?,
        };
        let timeout = Duration::try_from_secs_f64(seconds).map_err(|error| (line + 1, error.to_string()))?;
        let group = field("benchmark").cloned().unwrap_or_default();
        rows.push(Row { number: rows.len() + 1, group, model, specification, timeout, expected: field("expected").cloned() });
    }
    Ok(rows)
}

/// What a column of a header is.
fn column(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "onnx" | "model" | "network" => "model",
        "vnnlib" | "spec" | "specification" | "property" => "spec",
        "timeout" | "timeout_s" => "timeout",
        "benchmark" | "category" => "benchmark",
        "expected" => "expected",
        _ => return None,
    })
}

/// The fields of a line; quotes hold commas, and a doubled quote is one.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let last = fields.last_mut()?;
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                last.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => last.push(c),
        }
    }
    (!quoted).then(|| fields.into_iter().map(|field| field.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_and_without_a_header() {
        let found = rows("./onnx/a.onnx,\"specs/b, c.vnnlib\", 116\r\n\r\nx.onnx,y.vnnlib\r\n").unwrap();
        assert_eq!(
            (found.len(), found[0].model.as_str(), found[0].specification.as_str()),
            (2, "./onnx/a.onnx", "specs/b, c.vnnlib")
        );
        assert_eq!((found[0].timeout.as_secs(), found[1].timeout.as_secs()), (116, 300));
        let found = rows("benchmark,model,spec,expected,x,timeout_s\nb,m,s,sat,?,7.5").unwrap();
        assert_eq!(
            (found[0].group.as_str(), found[0].expected.as_deref(), found[0].timeout.as_millis()),
            ("b", Some("sat"), 7500)
        );
        for (text, line) in [("a.onnx\n", 1), ("a,b,c\n", 1), ("a,b,1\na,\"b\n", 2), ("a,b,-1\n", 1), ("a,b,1e400\n", 1)] {
            assert_eq!(rows(text).err().map(|error| error.0), Some(line), "{text}");
        }
    }
}
