//! `verify MODEL` without a question: what the model is, the bounds that take seconds, and what can be asked next.

use std::path::Path;
use std::time::{Duration, Instant};

use super::analysis::Told;
use super::established::{DEFECT, Established, established};
use super::output::Output;
use super::progress::Progress;
use super::{ExitStatus, Failure, OutputFormat};
use crate::kernel::proof::Norm;
use crate::query::{Limits, LipschitzQuery, Query, Subjects, answer};
use crate::report::{AnalysisReport, CheckedFile, json, visible, visible_lines};

/// The search takes no longer, unless a limit is given.
const MOST: Duration = Duration::from_secs(5);

/// What is known of the data when nothing is asked.
pub struct Known<'a> {
    pub data: Option<&'a Path>,
    pub limits: Limits,
}

/// Bounds the ℓ2 Lipschitz constant within seconds and tells what can be asked. Nothing is kept.
pub fn run(subjects: &Subjects, known: &Known, output: &Output) -> Result<ExitStatus, Failure> {
    let start = Instant::now();
    let limits = Limits { time: known.limits.time.or(Some(MOST)), ..known.limits.clone() };
    let progress = Progress::new(output.is_quiet());
    let query = Query::Lipschitz(LipschitzQuery::everywhere(Norm::L2));
    let found = answer(subjects, &query, &limits, &Told { progress: &progress, output });
    progress.finish();
    let mut report = None;
    match found {
        Ok(found) => {
            found.notes.iter().for_each(|note| output.note(note));
            let answers = [found];
            if let Some(Established { certificate, bundle, checked }) = established(subjects, &answers, &limits, DEFECT)? {
                let checked = CheckedFile::new(String::new(), &certificate, &bundle, &checked);
                let [answer] = answers;
                let (path, model) = (&subjects.path, &subjects.model);
                let figures = vec![answer.figures];
                report =
                    Some(AnalysisReport::new(path, model, figures, Some(&certificate), Some(&checked), None, start.elapsed()));
            }
        }
        Err(error) => output.note(&format!("no Lipschitz bound: {}", Failure::query(&subjects.path, &error))),
    }
    let model = &subjects.model;
    let report =
        report.unwrap_or_else(|| AnalysisReport::new(&subjects.path, model, Vec::new(), None, None, None, start.elapsed()));
    if output.format == OutputFormat::Json {
        output.results(&json(&report).map_err(Failure::error)?)?;
        return Ok(ExitStatus::Established);
    }
    let operators: Vec<String> = model.operators.iter().map(|(name, count)| format!("{name} ×{count}")).collect();
    let shown = if output.is_verbose() { format!("{report:#}") } else { report.to_string() };
    let (first, rest) = shown.split_once('\n').unwrap_or((&shown, ""));
    let text = format!("{first}; {}\n{rest}{}", visible(&operators.join(", ")), next(subjects, known.data));
    output.text(&visible_lines(&text))?;
    Ok(ExitStatus::Established)
}

/// The commands that come next. What they read and nobody has named is written in capitals.
fn next(subjects: &Subjects, data: Option<&Path>) -> String {
    let model = super::gate::shown(&subjects.path);
    let given = data.map(super::gate::shown);
    let data = given.as_deref().unwrap_or("DATA");
    let mut lines = vec![(format!("verify {model} --lipschitz l2"), "proves this bound again and keeps the certificate")];
    if subjects.model.network.output_size() > 1 {
        lines.push((
            format!("verify {model} --robust --data {data} --eps 0.02"),
            "which samples keep their class; labels are in the data",
        ));
    }
    lines.push((format!("verify {model} --spec FILE.vnnlib"), "whether a specification holds"));
    let with = if given.is_some() { format!(" --data {data}") } else { String::new() };
    lines.push((format!("verify init {model}{with}"), "a policy with the limits that the model meets today"));
    lines.push((format!("verify inspect {model}"), "operators, shapes, and what cannot be certified"));
    let width = lines.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = lines.iter().map(|(command, what)| format!("  {command:width$}  # {what}\n")).collect();
    let lines = lines.concat();
    let missing =
        if given.is_some() { "" } else { " (DATA: samples as .npz, .npy, CSV or IDX; `docs/data.md` says how they look)" };
    format!("Nothing was asked and nothing is kept. What can be asked next{missing}:\n{lines}")
}
