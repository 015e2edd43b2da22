//! The files of a policy: regular ones in its folder, reached without links, each the same throughout a run, and compared with
//! what pins them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::Failure;
use super::decision::Stop;
use super::shown;
use crate::codes::Coded;
use crate::files::{Tree, TreeError, token};
use crate::kernel::model::onnx::{Model, ModelSource, load_source};
use crate::kernel::proof::{BUNDLE_LIMIT, Bundle, CERTIFICATE_LIMIT, Certificate, FILE_LIMIT, bundle_path, digest_of};
use crate::kernel::read::data::{Dataset, Source};
use crate::policy::{Lock, ModelPolicy, PolicyFile, Status, Task, key};
use crate::report::audit::RuleOutcome;

/// A policy and the files that it names.
pub struct Repository<'a> {
    pub file: &'a PolicyFile,
    pub tree: Tree,
    lock: Option<Lock>,
    /// What was read, by [`key`].
    digests: RefCell<BTreeMap<String, String>>,
    /// What pins were compared with, by [`key`].
    compared: RefCell<BTreeSet<String>>,
}

/// A certificate of the repository, or why there is none.
pub enum Kept {
    Nothing,
    /// It cannot be read as a certificate, or its bundle is not there.
    Damaged {
        reason: String,
        code: &'static str,
    },
    Whole(Box<(Certificate, Bundle)>),
}

impl<'a> Repository<'a> {
    /// # Errors
    /// A lock file that is asked for or there, and cannot be used.
    pub fn open(file: &'a PolicyFile, allow_outside: bool) -> Result<Self, Failure> {
        let tree = Tree::new(file.folder(), allow_outside);
        let name = Lock::name(&file.path);
        let lock = Lock::open(&tree, &name).map_err(Failure::error)?;
        if file.policy.lock && lock.is_none() {
            let message = format!("`{}` is missing, and the policy asks for it", shown(&file.folder().join(name)));
            return Err(Failure::coded("NV408", message).with_hint("`verify gate --lock` writes it"));
        }
        Ok(Self { file, tree, lock, digests: RefCell::default(), compared: RefCell::default() })
    }

    /// The same without a lock file, to write one.
    pub fn unlocked(file: &'a PolicyFile, allow_outside: bool) -> Self {
        let tree = Tree::new(file.folder(), allow_outside);
        Self { file, tree, lock: None, digests: RefCell::default(), compared: RefCell::default() }
    }

    /// The folder of certificates, relative to the policy.
    pub fn store(&self) -> &Path {
        &self.file.policy.certificates
    }

    /// Reads a file of the policy and says its SHA-256; a file that changes during a run is an error.
    pub fn read(&self, path: &Path) -> Result<(Vec<u8>, String), Stop> {
        let bytes = self.tree.read(path, FILE_LIMIT).map_err(|error| stopped(&error))?;
        let digest = digest_of(&bytes);
        self.remember(key(path), &digest)?;
        Ok((bytes, digest))
    }

    /// Loads a model of the policy from the file that was looked at.
    pub fn model(&self, path: &Path) -> Result<Model, Stop> {
        let place = self.tree.find(path).map_err(|error| stopped(&error))?;
        let file = self.tree.open(path).map_err(|error| match error {
            // As a model that cannot be opened is told everywhere.
            TreeError::Io { source, .. } => stop("NV101", format!("{}: cannot be read: {source}", shown(&place))),
            error => stopped(&error),
        })?;
        let model = ModelSource::from_file(file, &place).and_then(load_source);
        let model = model.map_err(|error| stop(error.code(), format!("{}: {error}", shown(&place))))?;
        for (name, digest) in digests_of(path, &model) {
            self.remember(name, &digest)?;
        }
        Ok(model)
    }

    /// Reads a certificate and its bundle, relative to the policy.
    pub fn certificate(&self, path: &Path) -> Result<Kept, TreeError> {
        let bytes = match self.tree.read(path, CERTIFICATE_LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(Kept::Nothing),
            Err(error @ TreeError::TooLarge { .. }) => return Ok(Kept::Damaged { reason: error.to_string(), code: "NV501" }),
            Err(error) => return Err(error),
        };
        let damaged = |path: &Path, detail: String| {
            let reason = format!("`{}` is not a certificate: {detail}", shown(&self.file.folder().join(path)));
            Ok(Kept::Damaged { reason, code: "NV501" })
        };
        let certificate = match Certificate::from_json(&bytes) {
            Ok(certificate) => certificate,
            Err(detail) => return damaged(path, detail),
        };
        self.remembered(key(path), &digest_of(&bytes));
        if certificate.bundle.is_none() {
            return Ok(Kept::Whole(Box::new((certificate, Bundle::default()))));
        }
        let beside = bundle_path(path);
        match self.tree.read(&beside, BUNDLE_LIMIT) {
            Ok(bytes) => match Bundle::from_bytes(&bytes) {
                Ok(bundle) => Ok(Kept::Whole(Box::new((certificate, bundle)))),
                Err(detail) => damaged(&beside, detail),
            },
            Err(error) if error.is_missing() => {
                let reason = format!("its bundle `{}` is missing", shown(&self.file.folder().join(beside)));
                Ok(Kept::Damaged { reason, code: "NV503" })
            }
            Err(error @ TreeError::TooLarge { .. }) => Ok(Kept::Damaged { reason: error.to_string(), code: "NV501" }),
            Err(error) => Err(error),
        }
    }

    fn remember(&self, name: String, digest: &str) -> Result<(), Stop> {
        let known = self.digests.borrow().get(&name).is_some_and(|known| known != digest);
        if known {
            return Err(stop("NV407", format!("`{}` changed during the run", token(&name))));
        }
        self.remembered(name, digest);
        Ok(())
    }

    fn remembered(&self, name: String, digest: &str) {
        self.digests.borrow_mut().insert(name, digest.to_owned());
    }

    /// Every file that a model of the policy names, and its SHA-256.
    pub fn digests(&self, policy: &ModelPolicy, tasks: &[Task], model: &Model) -> Result<BTreeMap<String, String>, Stop> {
        let mut found: BTreeMap<String, String> = digests_of(&policy.path, model).collect();
        for path in tasks.iter().flat_map(Task::files).chain(policy.baseline.clone()) {
            let known = self.digests.borrow().get(&key(&path)).cloned();
            let digest = match known {
                Some(digest) => digest,
                None => self.read(&path)?.1,
            };
            found.insert(key(&path), digest);
        }
        if let Some(path) = &policy.baseline_model {
            found.extend(digests_of(path, &self.model(path)?));
        }
        Ok(found)
    }

    /// Whether all files of a model are the pinned ones: a line of the policy's table, where anything is pinned.
    pub fn pins(&self, name: &str, policy: &ModelPolicy, tasks: &[Task], model: &Model) -> Option<RuleOutcome> {
        if self.lock.is_none() && self.file.policy.sha256.is_empty() {
            return None;
        }
        let found = match self.digests(policy, tasks, model) {
            Ok(found) => found,
            Err(stop) => return Some(outcome(name, stop.status, "", Some(stop.detail), stop.code)),
        };
        self.compared.borrow_mut().extend(found.keys().cloned());
        // One path may be written in several ways: every pin counts.
        let pinned = |name: &str| -> Vec<&str> {
            let of_file = self.file.policy.sha256.iter().filter(|(path, _)| key(Path::new(path)) == name);
            of_file.map(|(_, pin)| pin.get_ref().as_str()).collect()
        };
        let mut wrong = Vec::new();
        let mut count = 0;
        for (path, digest) in &found {
            let shown = token(path);
            let own = pinned(path);
            let locked = self.lock.as_ref().map(|lock| lock.0.get(path));
            count += usize::from(!own.is_empty() || locked.is_some());
            if own.iter().any(|pin| pin != digest) || locked.flatten().is_some_and(|pin| pin != digest) {
                wrong.push(format!("`{shown}` is another file: its SHA-256 is {digest}"));
            } else if locked == Some(None) {
                wrong.push(format!("`{shown}` is not in the lock file: `verify gate --lock` writes it"));
            }
        }
        if count == 0 {
            return None;
        }
        let files = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
        let (status, code) = if wrong.is_empty() { (Status::Met, None) } else { (Status::Violated, Some("NV603")) };
        Some(outcome(name, status, &files, (!wrong.is_empty()).then(|| wrong.join("; ")), code))
    }

    /// Pins of the policy that are about no file which it names: where all models could be loaded, a slip.
    pub fn idle_pins(&self) -> Option<String> {
        let compared = self.compared.borrow();
        let idle = self.file.policy.sha256.keys().find(|path| !compared.contains(&key(Path::new(path))));
        idle.map(|path| format!("`{}` is pinned under `[sha256]`, and nothing of the policy names it", token(path)))
    }

    /// What a reader of the report should know about the files.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.tree.is_open() {
            notes.push("files outside the policy's folder and links were allowed (`--allow-outside`)".to_owned());
        }
        if self.lock.is_none() {
            notes.push(
                "there is no lock file: data, specifications and baselines may change unseen (`verify gate --lock`)".to_owned(),
            );
        }
        notes
    }
}

/// How many of the samples that a rule looks at are copies of others, in words. Data that cannot be used are told of elsewhere.
pub fn copies(task: &Task, files: &[(PathBuf, Vec<u8>)]) -> Option<String> {
    let samples = task.query.samples()?.count;
    let mut sources = files.iter().map(|(path, bytes)| Source::from_bytes(path, bytes.clone(), Source::LIMIT).ok());
    let dataset = Dataset::from_sources(sources.next()??, sources.next().flatten()).ok()?;
    crate::query::copies(&dataset, samples.map_or(dataset.len(), |samples| samples as usize))
}

/// A model and its external data, by [`key`].
fn digests_of(path: &Path, model: &Model) -> impl Iterator<Item = (String, String)> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let external = model.external.clone().into_iter();
    let external = external.map(move |file| (key(&folder.join(&file.location)), file.digest));
    std::iter::once((key(path), model.digest.clone())).chain(external)
}

fn stop(code: &'static str, detail: String) -> Stop {
    Stop { status: Status::Error, detail, code: Some(code) }
}

/// Why a file of the policy is not used.
pub fn stopped(error: &TreeError) -> Stop {
    let hint = if error.is_outside() { "; `--allow-outside` allows it" } else { "" };
    stop(error.code(), format!("{error}{hint}"))
}

/// The same for a command that cannot go on without it.
pub fn failed(error: TreeError) -> Failure {
    let outside = error.is_outside();
    let failure = Failure::error(error);
    if outside { failure.with_hint("`--allow-outside` allows links and files elsewhere") } else { failure }
}

fn outcome(model: &str, status: Status, limit: &str, detail: Option<String>, code: Option<&'static str>) -> RuleOutcome {
    RuleOutcome {
        id: format!("{model}.files"),
        model: model.to_owned(),
        what: "digests of the files that it names".to_owned(),
        statement: None,
        line: 1,
        value: None,
        limit: if limit.is_empty() { "as pinned".to_owned() } else { format!("{limit} as pinned") },
        margin: None,
        room: None,
        status,
        assurance: None,
        detail,
        code: code.map(str::to_owned),
        certificate: None,
        claim: None,
        reused: false,
    }
}
