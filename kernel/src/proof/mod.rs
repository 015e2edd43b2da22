//! TRUSTED. Certificates: claims with witnesses, their encoding, digests and versions.
//!
//! Nothing here proves anything or knows how a witness was found. Reading is total: any bytes give a certificate or a
//! reason. Everything but `run` is covered by the digest, which guards against accidents; what guards against lies is
//! that the checker proves every claim from the model again.

mod bundle;
mod claim;
mod content;
mod evidence;
mod number;
mod statement;

use std::path::{Path, PathBuf};

pub use bundle::{BUNDLE_LIMIT, Bundle};
pub use claim::{
    Agreement, Around, Assurance, Attained, CaseSlopes, Claim, ClaimKind, CurvatureMatrix, DeviationClaim, Disagreement, Domain,
    End, FileIdentity, Functional, FunctionalBound, HessianTraceClaim, Inequality, Interval, InverseHessianClaim,
    InverseHessianWitness, Kept, LipschitzClaim, LipschitzWitness, LossName, NodePair, NodeSlopes, Norm, Objective, Optimum,
    Pair, Part, PartProof, Perturbation, ProbeEstimate, RobustnessClaim, RobustnessWitness, Scope, Second, Semantics, Size,
    SlopesTarget, Sorts, SpecificationClaim, SpecificationWitness, Splits, StabilityClaim, StabilityVerdict, StabilityWitness,
    TightnessClaim, TightnessFigures, TightnessInterval, UnsafePoint, Vector, Verdict,
};
pub use content::Content;
pub use evidence::{Evidence, Files, identity};
pub use number::{Bits, Number, Rounding};
pub use statement::EVERYWHERE;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files::{self, json_problem};

/// The schema that this version writes, and its major version.
pub const SCHEMA: &str = "nnverify-certificate/1.5";
const MAJOR: &str = "nnverify-certificate/1.";
/// A certificate larger than this is refused unread.
pub const CERTIFICATE_LIMIT: u64 = 1 << 24;
/// A data or specification file larger than this is refused unread.
pub const FILE_LIMIT: u64 = 1 << 31;

/// A certificate: what it is about, what it claims, and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    pub schema: String,
    pub tool: Tool,
    pub model: ModelIdentity,
    pub claims: Vec<Claim>,
    /// SHA-256 of the bundle that holds the long vectors.
    pub bundle: Option<String>,
    /// SHA-256 of everything above, as canonical JSON.
    pub digest: String,
    /// Times and threads; not covered by the digest.
    pub run: Option<Run>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tool {
    pub name: String,
    pub version: String,
}

/// The model that the claims are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelIdentity {
    /// SHA-256 of the (decompressed) model file.
    pub digest: String,
    /// The external data files that its tensors use.
    pub external: Vec<ExternalFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExternalFile {
    pub location: String,
    pub digest: String,
}

/// How the certificate came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What found the witnesses, by claim.
    pub engines: std::collections::BTreeMap<String, String>,
    pub seconds: f64,
    pub threads: u32,
    pub seed: u64,
}

/// Why a certificate cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read `{}`: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("`{}` is larger than the limit of {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("`{}` is not a certificate: {detail}", path.display())]
    Malformed { path: PathBuf, detail: String },
}

impl Certificate {
    /// A certificate without its digest, which [`Certificate::seal`] adds.
    #[must_use]
    pub fn new(model: ModelIdentity, claims: Vec<Claim>, run: Option<Run>) -> Self {
        let tool = Tool { name: "nnverify".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        Self { schema: SCHEMA.to_owned(), tool, model, claims, bundle: None, digest: String::new(), run }
    }

    /// Moves long vectors to a bundle and computes the digest.
    #[must_use]
    pub fn seal(mut self) -> (Self, Bundle) {
        let bundle = Bundle::extract(&mut self);
        self.digest = self.computed_digest();
        (self, bundle)
    }

    /// Puts the vectors of the bundle back into the claims; nothing, where one is missing. The certificate is then to be sealed
    /// again.
    #[must_use]
    pub fn inlined(mut self, bundle: &Bundle) -> Option<Self> {
        for vector in self.claims.iter_mut().flat_map(Claim::vectors_mut) {
            *vector = Vector::inline(&bundle.resolve(vector)?);
        }
        self.bundle = None;
        Some(self)
    }

    /// Computes the digest of a certificate that holds all vectors itself.
    #[must_use]
    pub fn seal_alone(mut self) -> Self {
        self.digest = self.computed_digest();
        self
    }

    /// Whether the schema's major version is the one this program reads.
    #[must_use]
    pub fn is_known_version(&self) -> bool {
        self.schema.starts_with(MAJOR)
    }

    /// The digest that the contents give.
    #[must_use]
    pub fn computed_digest(&self) -> String {
        let covered = Self { digest: String::new(), run: None, ..self.clone() };
        // Serialising these types to memory cannot fail; if it did, no stored digest would match.
        digest_of(&serde_json::to_vec(&covered).unwrap_or_default())
    }

    /// # Errors
    /// What is wrong with the text.
    pub fn from_json(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| json_problem(text, &error, "nnverify-certificate/"))
    }

    /// Reads a certificate and, where it has one, the bundle beside it. Digests are the checker's business.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(path: &Path) -> Result<(Self, Bundle), ReadError> {
        let malformed = |path: &Path, detail| ReadError::Malformed { path: path.to_owned(), detail };
        let certificate = Self::from_json(&read_limited(path, CERTIFICATE_LIMIT)?).map_err(|detail| malformed(path, detail))?;
        if certificate.bundle.is_none() {
            return Ok((certificate, Bundle::default()));
        }
        let beside = bundle_path(path);
        let bundle = Bundle::from_bytes(&read_limited(&beside, BUNDLE_LIMIT)?).map_err(|detail| malformed(&beside, detail))?;
        Ok((certificate, bundle))
    }
}

/// Where the bundle of a certificate lies: beside it, with `.bundle` appended.
#[must_use]
pub fn bundle_path(certificate: &Path) -> PathBuf {
    let mut name = certificate.as_os_str().to_owned();
    name.push(".bundle");
    PathBuf::from(name)
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

/// Reads a data or specification file that claims are about, as its bytes lie on disk.
///
/// # Errors
/// [`ReadError`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, ReadError> {
    read_limited(path, FILE_LIMIT)
}

fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    files::read(path, limit).map_err(|error| match error {
        files::ReadError::Io(source) => ReadError::Io { path: path.to_owned(), source },
        files::ReadError::TooLarge { limit } => ReadError::TooLarge { path: path.to_owned(), limit },
    })
}
