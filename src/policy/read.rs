//! Finding and reading `verify.toml`. Every error names file, line and column, and what was probably meant.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::file::{ModelPolicy, Policy};
use super::lock::is_digest;
use super::task::{Rule, Task};
use crate::files::{self, token};
use crate::kernel::proof::digest_of;

pub const FILE_NAME: &str = "verify.toml";
/// A policy larger than this is refused unread.
const MAX_BYTES: u64 = 1 << 20;

/// Seconds and gigabytes beyond this are no limits.
const MOST_EFFORT: f64 = 1e9;

/// A policy and where it stands.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub digest: String,
    pub policy: Policy,
    /// For each model, in the order of [`Policy::models`], what is to be found out and decided.
    pub tasks: Vec<(String, Vec<Task>)>,
    /// Lines of the models' digests.
    pub pins: BTreeMap<String, usize>,
}

/// Why there is no policy to apply.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("there is no `{FILE_NAME}` in `{}` or in a folder above it", folder.display())]
    NotFound { folder: PathBuf },
    #[error("cannot read `{}`: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("`{}` is larger than the limit of {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("`{}`: not UTF-8", path.display())]
    Encoding { path: PathBuf },
    /// Line and column begin at 1; columns count characters.
    #[error("`{}`:{line}:{column}: {detail}", path.display())]
    Text { path: PathBuf, line: usize, column: usize, detail: String, hint: Option<String> },
}

impl PolicyError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("`verify init MODEL` writes one".to_owned()),
            Self::Text { hint, .. } => hint.clone(),
            Self::Io { .. } | Self::TooLarge { .. } | Self::Encoding { .. } => None,
        }
    }
}

/// The policy of a folder: the nearest `verify.toml` upwards from it.
///
/// # Errors
/// [`PolicyError::NotFound`].
pub fn discover(folder: &Path) -> Result<PathBuf, PolicyError> {
    let found = folder.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| std::fs::symlink_metadata(path).is_ok());
    found.ok_or_else(|| PolicyError::NotFound { folder: folder.to_owned() })
}

impl PolicyFile {
    /// # Errors
    /// [`PolicyError`].
    pub fn open(path: &Path) -> Result<Self, PolicyError> {
        let io = |source| PolicyError::Io { path: path.to_owned(), source };
        // What a repository calls its policy must not be a file from elsewhere.
        files::must_not_be_linked(path).map_err(io)?;
        let bytes = files::read(path, MAX_BYTES).map_err(|error| match error {
            files::ReadError::Io(source) => io(source),
            files::ReadError::TooLarge { limit } => PolicyError::TooLarge { path: path.to_owned(), limit },
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|_| PolicyError::Encoding { path: path.to_owned() })?;
        Self::parse(path, text)
    }

    /// # Errors
    /// [`PolicyError::Text`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, PolicyError> {
        let policy: Policy = toml::from_str(text).map_err(|error| {
            let (detail, hint) = explained(error.message());
            at(path, text, error.span().as_ref(), detail, hint)
        })?;
        let tasks = tasks(&policy, text).map_err(|wrong| at(path, text, wrong.span.as_ref(), wrong.detail, None))?;
        let pin = |(name, model): (&String, &toml::Spanned<ModelPolicy>)| {
            Some((name.clone(), place(text, model.get_ref().sha256.as_ref()?.span().start).0))
        };
        let pins = policy.models.iter().filter_map(pin).collect();
        Ok(Self { path: path.to_owned(), digest: digest_of(text.as_bytes()), policy, tasks, pins })
    }

    /// The folder that the policy's paths are relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

/// Something that the format allows and the meaning does not.
pub(super) struct Wrong {
    /// Nothing, where it is about all of a rule.
    pub span: Option<Range<usize>>,
    pub detail: String,
}

impl Wrong {
    pub fn at<T>(place: &toml::Spanned<T>, detail: String) -> Self {
        Self { span: Some(place.span()), detail }
    }
}

impl From<String> for Wrong {
    fn from(detail: String) -> Self {
        Self { span: None, detail }
    }
}

fn tasks(policy: &Policy, text: &str) -> Result<Vec<(String, Vec<Task>)>, Wrong> {
    let limits = policy.limits.get_ref();
    for (name, value) in [("timeout", limits.timeout), ("memory", limits.memory)] {
        if !(value > 0.0 && value <= MOST_EFFORT) {
            let detail = format!("`limits.{name}` is {value}, which is not positive and at most {MOST_EFFORT:e}");
            return Err(Wrong::at(&policy.limits, detail));
        }
    }
    policy.sha256.values().try_for_each(must_be_digest)?;
    if policy.models.is_empty() {
        return Err(Wrong { span: None, detail: "there are no models".to_owned() });
    }
    policy.models.iter().map(|(name, model)| Ok((name.clone(), of_model(name, model, text)?))).collect()
}

fn must_be_digest(pin: &toml::Spanned<String>) -> Result<(), Wrong> {
    if is_digest(pin.get_ref()) {
        return Ok(());
    }
    Err(Wrong::at(pin, "a digest has 64 lower-case hexadecimal digits".to_owned()))
}

fn of_model(name: &str, policy: &toml::Spanned<ModelPolicy>, text: &str) -> Result<Vec<Task>, Wrong> {
    let model = policy.get_ref();
    let line_of = |byte| place(text, byte).0;
    // Names become file names.
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !plain || name.starts_with('.') || !(1..=64).contains(&name.len()) {
        let detail = format!("`{}` is not a name of one to 64 letters, digits, dots, dashes and underscores", token(name));
        return Err(Wrong::at(policy, detail));
    }
    if let Some(pin) = &model.sha256 {
        must_be_digest(pin)?;
    }
    if let (Some(_), None) = (&model.baseline_model, &model.baseline) {
        return Err(Wrong::at(policy, format!("`baseline-model` needs a `baseline` of `models.{name}`")));
    }
    let mut tasks: Vec<Task> = Vec::new();
    for (span, rule) in rules(model) {
        let wrong = |detail| Wrong { span: Some(span.clone()), detail };
        let mut task = Task::new(name, model, &rule, span.start, &line_of)
            .map_err(|wrong| Wrong { span: wrong.span.or(Some(span.clone())), ..wrong })?;
        if let Some(other) = tasks.iter().find(|other| other.repeats(&task)) {
            return Err(wrong(format!("the rule repeats the one of line {}", other.line)));
        }
        let alike = tasks.iter().filter(|other| other.base == task.base).count();
        if alike > 0 {
            task.rename(name, format!("{}_{}", task.base, alike + 1));
        }
        tasks.push(task);
    }
    if tasks.is_empty() && model.sha256.is_none() {
        return Err(Wrong::at(policy, format!("nothing is asked of `models.{name}`: it has no rule and no `sha256`")));
    }
    Ok(tasks)
}

/// All rules of a model, and where they stand.
fn rules(model: &ModelPolicy) -> Vec<(Range<usize>, Rule)> {
    fn of<T: Clone>(rules: &[toml::Spanned<T>], make: impl Fn(T) -> Rule) -> Vec<(Range<usize>, Rule)> {
        rules.iter().map(|rule| (rule.span(), make(rule.get_ref().clone()))).collect()
    }
    let mut rules = of(&model.lipschitz, Rule::Lipschitz);
    rules.extend(of(&model.specification, Rule::Specification));
    rules.extend(of(&model.robustness, Rule::Robustness));
    rules.extend(of(&model.accuracy, Rule::Accuracy));
    rules.extend(of(&model.radius, Rule::Radius));
    rules.extend(of(&model.tightness, Rule::Tightness));
    rules.extend(of(&model.hessian_trace, Rule::HessianTrace));
    rules.extend(of(&model.stability, Rule::Stability));
    rules
}

fn at(path: &Path, text: &str, span: Option<&Range<usize>>, detail: String, hint: Option<String>) -> PolicyError {
    let (line, column) = place(text, span.map_or(0, |span| span.start));
    PolicyError::Text { path: path.to_owned(), line, column, detail, hint }
}

/// Line and column of a byte, both from 1.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// The message without the value that was found: what is no policy may be anything, and its keys tell enough.
fn without_strings(message: &str) -> String {
    let found = ["invalid type: string", "invalid value: string"].into_iter().find(|start| message.starts_with(start));
    let expected = message.rsplit_once(", expected");
    match (found, expected) {
        (Some(found), Some((_, expected))) => format!("{found}, expected{expected}"),
        (Some(found), None) => found.to_owned(),
        (None, _) => shortened(message),
    }
}

/// The message with a name in it that is no longer than a line.
fn shortened(message: &str) -> String {
    let unknown =
        ["unknown field `", "unknown variant `"].into_iter().find_map(|start| Some((start, message.strip_prefix(start)?)));
    match unknown.and_then(|(start, rest)| Some((start, rest.rsplit_once("`, expected")?))) {
        Some((start, (name, expected))) => format!("{start}{}`, expected{expected}", token(name)),
        None => message.to_owned(),
    }
}

/// The reader's message as one line, and a suggestion where a name is close to one that it expected.
fn explained(message: &str) -> (String, Option<String>) {
    let detail = without_strings(&message.split_whitespace().collect::<Vec<_>>().join(" "));
    let detail: String = detail.chars().flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] }).collect();
    let unknown = ["unknown field ", "unknown variant "].iter().find_map(|start| detail.strip_prefix(start));
    let hint = unknown.and_then(|rest| {
        let mut quoted = rest.split('`').skip(1).step_by(2);
        let found = quoted.next()?;
        let nearest = quoted.min_by_key(|expected| strsim::damerau_levenshtein(found, expected))?;
        let near = strsim::damerau_levenshtein(found, nearest) <= 1 + found.chars().count() / 3;
        near.then(|| format!("did you mean `{nearest}`?"))
    });
    let table = detail.contains("invalid type: map, expected a sequence");
    let hint =
        hint.or_else(|| table.then(|| "rules are lists: write the header in double brackets, `[[models.NAME.RULE]]`".to_owned()));
    (detail, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[models.m]\npath = \"m.onnx\"\n\n[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 2.5\n";

    fn error(text: &str) -> (usize, usize, String, Option<String>) {
        match PolicyFile::parse(Path::new("verify.toml"), text) {
            Err(PolicyError::Text { line, column, detail, hint, .. }) => (line, column, detail, hint),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rule_knows_its_line() {
        let file = PolicyFile::parse(Path::new("a/verify.toml"), GOOD).unwrap();
        assert_eq!(file.folder(), Path::new("a"));
        let (name, tasks) = &file.tasks[0];
        assert_eq!((name.as_str(), tasks.len(), tasks[0].line), ("m", 1, 4));
        assert_eq!(tasks[0].requirements[0].line, 6, "that of its limit");
        assert_eq!(tasks[0].requirements[0].id, "m.lipschitz-l2.max-bound");
    }

    #[test]
    fn a_typo_is_an_error_with_its_place_and_a_suggestion() {
        let (line, column, detail, hint) = error(&GOOD.replace("max-bound", "max-buond"));
        assert_eq!((line, column), (6, 1), "{detail}");
        assert_eq!(hint.as_deref(), Some("did you mean `max-bound`?"));
        let (line, _, _, hint) = error(&GOOD.replace("\"l2\"", "\"L2\""));
        assert_eq!((line, hint.as_deref()), (5, Some("did you mean `l2`?")));
        let (line, _, _, hint) = error(&GOOD.replace("[[models.m.lipschitz]]", "[[models.m.lipshitz]]"));
        assert_eq!((line, hint.as_deref()), (4, Some("did you mean `lipschitz`?")));
        let (_, _, _, hint) = error(&GOOD.replace("max-bound", "speed"));
        assert_eq!(hint, None, "nothing is close to it");
        let (line, _, _, hint) = error(&GOOD.replace("[[models.m.lipschitz]]", "[models.m.lipschitz]"));
        assert!(hint.is_some_and(|hint| hint.contains("double brackets")) && line >= 4);
    }

    #[test]
    fn what_makes_no_sense_is_an_error_with_its_place() {
        for (from, to, line, words) in [
            ("max-bound = 2.5", "", 4, "neither"),
            ("[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 2.5", "", 1, "nothing is asked"),
            ("2.5", "-2.5", 6, "positive"),
            ("2.5", "nan", 6, "positive"),
            ("2.5", "1e308", 6, "limits nothing"),
            ("2.5", "2.5\nmax-regression = 0.1", 7, "baseline"),
            ("path = \"m.onnx\"", "path = \"m.onnx\"\nbaseline-model = \"o.onnx\"", 1, "needs a `baseline`"),
            ("[models.m]", "[sha256]\n\"m.onnx\" = \"12\"\n[models.m]", 2, "64"),
            ("path = \"m.onnx\"", "path = \"m.onnx\"\nsha256 = \"12\"", 3, "64"),
            ("[models.m]", "[limits]\ntimeout = 0\n[models.m]", 1, "limits.timeout"),
            ("[models.m]", "\n[limits]\nmemory = -1\n[models.m]", 2, "limits.memory"),
            ("[models.m]", "\n[limits]\ntimeout = 1e308\n[models.m]", 2, "limits.timeout"),
            ("[models.m]", "\n[limits]\nmemory = inf\n[models.m]", 2, "limits.memory"),
            ("[models.m]", "[models.n]\npath = \"n.onnx\"\n\n[models.m]", 1, "nothing is asked of `models.n`"),
            ("[models.m]\n", "[models.m]\nsha256 = \"0\"\n", 2, "64"),
            ("2.5\n", "2.5\n[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 3", 7, "repeats"),
        ] {
            let (found, _, detail, _) = error(&GOOD.replace(from, to));
            assert!(found == line && detail.contains(words), "{to}: line {found}, {detail}");
        }
        for wrong in ["1e308", "-0.1", "nan", "inf", "11.0"] {
            let text = GOOD.replace("2.5", &format!("2.5\nmax-regression = {wrong}"));
            let (line, _, detail, _) = error(&text.replace("m.onnx\"", "m.onnx\"\nbaseline = \"b.json\""));
            assert!(line == 8 && detail.contains("between 0 and 10"), "{wrong}: {detail}");
        }
        assert!(error("[models]").2.contains("no models"));
        assert!(error("[models.\"../m\"]\npath = \"m.onnx\"").2.contains("not a name"));
        assert_eq!(error("[models.m\n").0, 1);
    }

    #[test]
    fn what_is_no_policy_is_not_quoted() {
        for text in
            ["models = \"hunter2\"", "models = \"hunter2, expected hunter2\"", "hunter2", "[limits]\ntimeout = \"hunter2\""]
        {
            let detail = error(text).2;
            assert!(!detail.contains("hunter2"), "{detail}");
        }
        assert!(error(&format!("{} = 1", "x".repeat(9999))).2.len() < 300);
    }

    #[test]
    fn the_nearest_policy_upwards_is_found() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(root.path().join(FILE_NAME), GOOD).unwrap();
        assert_eq!(discover(&deep).unwrap(), root.path().join(FILE_NAME));
        std::fs::write(root.path().join("a").join(FILE_NAME), GOOD).unwrap();
        assert_eq!(discover(&deep).unwrap(), root.path().join("a").join(FILE_NAME));
    }
}
