//! Perturbed samples: what robustness and tightness compare with the data before any work begins.

use std::collections::HashSet;
use std::path::Path;

use super::error::QueryError;
use super::figures::CleanAccuracy;
use super::question::Samples;
use super::subjects::Subjects;
use crate::kernel::proof::{FileIdentity, Perturbation, Semantics, digest_of};
use crate::kernel::read::data::{DataError, Dataset};
use crate::kernel::region::Neighbourhoods;

/// Labelled samples, all of which lie where perturbations may begin.
pub struct Prepared {
    pub data: Dataset,
    pub labels: Vec<u32>,
    /// What the reader should know about the data.
    pub notes: Vec<String>,
}

impl Prepared {
    /// `labels` reads those that the question needs.
    ///
    /// # Errors
    /// Samples, labels or a perturbation that do not fit the model.
    pub fn new(
        subjects: &Subjects,
        samples: &Samples,
        perturbation: &Perturbation,
        labels: impl FnOnce(&Dataset) -> Result<Vec<u32>, DataError>,
    ) -> Result<Self, QueryError> {
        let mut notes = Vec::new();
        let (data, count) = subjects.dataset(samples, &mut notes)?;
        let mut labels = labels(&data)?;
        labels.truncate(count);
        check_clip(perturbation, &data, count, &subjects.model.input.shape)?;
        Ok(Self { data, labels, notes })
    }
}

/// Refuses samples outside the range that their perturbations are to stay in: they were not meant.
fn check_clip(perturbation: &Perturbation, data: &Dataset, count: usize, shape: &[usize]) -> Result<(), QueryError> {
    let neighbourhoods = Neighbourhoods::new(perturbation, shape, Semantics::Real)?;
    let outside = (0..count).find_map(|sample| Some((sample, neighbourhoods.outside_clip(&data.input(sample))?)));
    match outside {
        None => Ok(()),
        Some((sample, element)) => {
            let value = data.input(sample)[element];
            Err(QueryError::OutsideClip { path: data.path().to_owned(), sample, element, value })
        }
    }
}

/// Counts the samples that are right as they are: whose output is above the threshold where there is one, else whose label's
/// output is the largest; what is doubtful about the data is added to `notes`.
pub fn clean_accuracy(
    subjects: &Subjects,
    data: &Dataset,
    perturbation: &Perturbation,
    (labels, threshold): (&[u32], Option<f64>),
    notes: &mut Vec<String>,
) -> Result<CleanAccuracy, QueryError> {
    let neighbourhoods = Neighbourhoods::new(perturbation, &subjects.model.input.shape, Semantics::Real)?;
    let centres = (0..labels.len()).map(|sample| neighbourhoods.of(&data.input(sample)).map(|of| of.centre).unwrap_or_default());
    let normalised = !(perturbation.mean.is_empty() && perturbation.deviation.is_empty());
    let found = CleanAccuracy::of(&subjects.model.network, centres, (labels, threshold), data, normalised);
    notes.extend(found.warnings.iter().cloned());
    Ok(found)
}

/// The files of a data set as claims name them.
pub fn identities(data: &Dataset) -> Vec<FileIdentity> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    data.files().iter().map(|(path, digest)| FileIdentity { name: name(path), digest: digest.clone() }).collect()
}

/// How many of the first samples of a data set are copies of others, in words; nothing, where all differ. A figure over copies
/// says less than it seems.
#[must_use]
pub fn copies(data: &Dataset, samples: usize) -> Option<String> {
    let count = samples.min(data.len());
    let digest = |sample: usize| {
        // Adding zero makes one number of the two zeros.
        let bytes: Vec<u8> = data.input(sample).iter().flat_map(|value| (value + 0.0).to_bits().to_le_bytes()).collect();
        digest_of(&bytes)
    };
    let different: HashSet<String> = (0..count).map(digest).collect();
    let copies = count - different.len();
    (copies > 0).then(|| format!("{copies} of {count} samples are copies of others"))
}
