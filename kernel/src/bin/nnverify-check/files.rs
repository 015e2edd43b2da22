//! What was given beside the certificates: models, and data and specification files, found by their SHA-256.
//!
//! No link is followed inside a folder. A file is read for its digest once, and again where a claim is about it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nnverify_kernel::files::open;
use nnverify_kernel::model::onnx::{Model, ModelSource, load};
use nnverify_kernel::proof::{CERTIFICATE_LIMIT, Certificate, Files, digest_of, read_file};

/// A folder with more files is refused.
const MOST_FILES: usize = 10_000;
/// A folder with deeper ones is refused.
const MOST_DEPTH: usize = 16;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Everything that was given.
pub struct Given {
    /// In the order of the command line; those of a folder by name.
    pub certificates: Vec<PathBuf>,
    /// Files by the SHA-256 of their bytes.
    files: BTreeMap<String, BTreeSet<PathBuf>>,
    /// Models by the SHA-256 of their decompressed bytes.
    models: BTreeMap<String, PathBuf>,
    /// The only model that was named, which certificates about another one are refused with.
    named: Option<PathBuf>,
    /// The model that was used last.
    loaded: Option<(PathBuf, Model)>,
}

impl Given {
    /// # Errors
    /// When a file or folder cannot be read.
    pub fn new(models: &[PathBuf], files: &[PathBuf], paths: &[PathBuf]) -> Result<Self, String> {
        let named = if let [model] = models { Some(model.clone()) } else { None };
        let mut given = Self { certificates: Vec::new(), files: BTreeMap::new(), models: BTreeMap::new(), named, loaded: None };
        for path in models {
            let source = ModelSource::open(path).map_err(|error| error.to_string())?;
            given.models.entry(source.digest().to_owned()).or_insert_with(|| path.clone());
        }
        for path in files {
            given.add(path)?;
        }
        for path in paths {
            if !path.is_dir() {
                given.certificates.push(path.clone());
                continue;
            }
            let mut inside = Vec::new();
            walk(path, MOST_DEPTH, &mut inside)?;
            inside.sort();
            for path in inside {
                if is_certificate(&path) {
                    given.certificates.push(path);
                } else {
                    given.add(&path)?;
                }
            }
        }
        Ok(given)
    }

    fn add(&mut self, path: &Path) -> Result<(), String> {
        let bytes = read_file(path).map_err(|error| error.to_string())?;
        let digest = digest_of(&bytes);
        if bytes.starts_with(&GZIP) {
            // A file that does not decompress may still be data.
            if let Ok(source) = ModelSource::from_bytes(&bytes) {
                self.models.entry(source.digest().to_owned()).or_insert_with(|| path.to_owned());
            }
        } else {
            self.models.entry(digest.clone()).or_insert_with(|| path.to_owned());
        }
        self.files.entry(digest).or_default().insert(path.to_owned());
        Ok(())
    }

    /// Returns the model with a digest; where a single model was named and has another one, that model.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn model(&mut self, digest: &str) -> Result<Option<&Model>, String> {
        let Some(path) = self.models.get(digest).or(self.named.as_ref()) else {
            return Ok(None);
        };
        if self.loaded.as_ref().is_none_or(|(loaded, _)| loaded != path) {
            let model = load(path).map_err(|error| format!("{}: {error}", path.display()))?;
            self.loaded = Some((path.clone(), model));
        }
        Ok(self.loaded.as_ref().map(|(_, model)| model))
    }

    /// Returns the files that the claims of a certificate are about, and the models that they compare with, as far as they were given.
    ///
    /// # Errors
    /// When one cannot be read again.
    pub fn evidence(&self, certificate: &Certificate) -> Result<Files, String> {
        let mut evidence = Files::default();
        let about: BTreeSet<&str> =
            certificate.claims.iter().flat_map(|claim| claim.kind.files()).map(|file| file.digest.as_str()).collect();
        for path in about.iter().filter_map(|digest| self.files.get(*digest)).flatten() {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            evidence.add(&name, read_file(path).map_err(|error| error.to_string())?);
        }
        let compared: BTreeSet<&str> = certificate
            .claims
            .iter()
            .filter_map(|claim| claim.kind.second())
            .map(|second| second.model.digest.as_str())
            .collect();
        for path in compared.iter().filter_map(|digest| self.models.get(*digest)) {
            let model = load(path).map_err(|error| format!("{}: {error}", path.display()))?;
            evidence.add_model(Arc::new(model));
        }
        Ok(evidence)
    }
}

/// Whether a file says that it is a certificate. One that is damaged, or larger than any may be, still says so, and is then
/// refused; one that cannot be read is told of where its digest is taken.
fn is_certificate(path: &Path) -> bool {
    let json = path.extension().is_some_and(|extension| extension == "json");
    let beginning = || {
        let mut bytes = Vec::new();
        open(path).and_then(|file| file.take(CERTIFICATE_LIMIT).read_to_end(&mut bytes)).map(|_| bytes).unwrap_or_default()
    };
    json && beginning().windows(MARK.len()).any(|window| window == MARK)
}

const MARK: &[u8] = b"\"nnverify-certificate/";

/// Adds the regular files below a folder, without following links.
fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", folder.display());
    if depth == 0 {
        return Err(format!("`{}` lies more than {MOST_DEPTH} folders deep", folder.display()));
    }
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk(&entry.path(), depth - 1, found)?;
        } else if kind.is_file() {
            if found.len() == MOST_FILES {
                return Err(format!("there are more than {MOST_FILES} files in the folder: name the certificates"));
            }
            found.push(entry.path());
        }
    }
    Ok(())
}
