//! A data set: inputs, one row a sample, and what is known of each.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::archive::Npz;
use super::array::{Array, Values};
use super::error::{DataError, Problem};
use super::source::{Source, hexadecimal};
use super::{csv, idx, npy};

const INPUT_KEYS: [&str; 6] = ["x", "input", "inputs", "data", "images", "x_test"];
const TARGET_KEYS: [&str; 6] = ["y", "label", "labels", "target", "targets", "y_test"];

/// What is known of the samples.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One integer a sample: a class.
    Labels(Vec<i64>),
    /// Numbers, the first axis counting the samples.
    Values(Array),
}

/// Samples, all of one shape and finite, with their targets.
#[derive(Clone, Debug)]
pub struct Dataset {
    inputs: Array,
    targets: Option<Targets>,
    /// Name and SHA-256 of the files, the inputs first.
    files: Vec<(PathBuf, String)>,
}

impl Dataset {
    /// Reads a data set. `data` is a file, or two joined by a comma (`x.npy,y.npy`); `targets` is a file with the
    /// targets, which goes before those that the first may hold.
    ///
    /// # Errors
    /// [`DataError`], which names the file, and the key, line or sample in it.
    pub fn open(data: &Path, targets: Option<&Path>) -> Result<Self, DataError> {
        let (data, second) = split_pair(data);
        let targets = targets.map(Path::to_owned).or(second);
        let read = |path: &PathBuf| Source::open(path, Source::LIMIT);
        Self::from_sources(read(&data)?, targets.as_ref().map(read).transpose()?)
    }

    /// The same from files that were read already.
    ///
    /// # Errors
    /// As for [`Dataset::open`].
    pub fn from_sources(data: Source, targets: Option<Source>) -> Result<Self, DataError> {
        let mut files = vec![(data.path.clone(), data.digest.clone())];
        let (inputs, own) = contents(data, "inputs")?;
        let targets = match targets {
            None => own,
            Some(source) => {
                files.push((source.path.clone(), source.digest.clone()));
                let (whole, column) = contents(source, "targets")?;
                // In a table the targets are found by name, elsewhere they are the array.
                Some(column.unwrap_or(whole))
            }
        };
        Self::new(inputs, targets, files)
    }

    /// A data set made in memory; messages call it `memory`, and its digest is the given one.
    ///
    /// # Errors
    /// As for [`Dataset::open`].
    pub fn from_arrays(inputs: Array, targets: Option<Array>, digest: String) -> Result<Self, DataError> {
        Self::new(inputs, targets, vec![(PathBuf::from("memory"), digest)])
    }

    fn new(inputs: Array, targets: Option<Array>, files: Vec<(PathBuf, String)>) -> Result<Self, DataError> {
        let at = |problem: Problem, file: usize| problem.at(files.get(file).map_or(Path::new(""), |(path, _)| path));
        if inputs.shape().is_empty() {
            return Err(at(Problem::NoSamples(Vec::new()), 0));
        }
        if inputs.rows() == 0 {
            return Err(at(Problem::Empty, 0));
        }
        finite(&inputs).map_err(|problem| at(problem, 0))?;
        let targets = targets.map(|array| Targets::new(array, inputs.rows())).transpose();
        let targets = targets.map_err(|problem| at(problem, files.len() - 1))?;
        Ok(Self { inputs, targets, files })
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inputs.rows()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one sample.
    #[must_use]
    pub fn sample_shape(&self) -> &[usize] {
        self.inputs.shape().get(1..).unwrap_or_default()
    }

    /// The inputs, `[samples, …]`.
    #[must_use]
    pub const fn inputs(&self) -> &Array {
        &self.inputs
    }

    /// One sample's input, flat and row-major; empty beyond the last.
    #[must_use]
    pub fn input(&self, sample: usize) -> Vec<f64> {
        self.inputs.row(sample)
    }

    #[must_use]
    pub const fn targets(&self) -> Option<&Targets> {
        self.targets.as_ref()
    }

    /// The file with the inputs.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.files.first().map_or(Path::new(""), |(path, _)| path)
    }

    /// Path and SHA-256 of the file with the inputs and, where there is one, of that with the targets, as they lie on disk.
    #[must_use]
    pub fn files(&self) -> &[(PathBuf, String)] {
        &self.files
    }

    /// One SHA-256 for the data set: that of its file; of two files, that of the lines of their digests, each ended by a
    /// line feed.
    #[must_use]
    pub fn digest(&self) -> String {
        match &self.files[..] {
            [(_, digest)] => digest.clone(),
            files => {
                let mut hash = Sha256::new();
                files.iter().for_each(|(_, digest)| hash.update([digest.as_bytes(), b"\n"].concat()));
                hexadecimal(&hash.finalize())
            }
        }
    }

    /// Refuses samples that do not have the shape of a network's input. A flat shape, on either side, stands for any other with
    /// as many values; axes of length one do not count. The same number of values along other axes is another layout, in which
    /// every value would go to the wrong place.
    ///
    /// # Errors
    /// [`Problem::InputShape`], [`Problem::Layout`].
    pub fn check_input(&self, shape: &[usize]) -> Result<(), DataError> {
        let (found, expected) = (self.inputs.row_size(), crate::model::ir::element_count(shape));
        let (own, wanted) = (self.sample_shape().to_vec(), shape.to_vec());
        if expected != Some(found) {
            let hint = if expected.and_then(|count| count.checked_add(1)) == Some(found) {
                ": if a column is the label, name it `label` in a header line"
            } else if expected == Some(self.inputs.values().len()) {
                ": for a single sample, add an axis in front"
            } else {
                ""
            };
            return Err(Problem::InputShape { found: own, expected: wanted, hint }.at(self.path()));
        }
        let long = |shape: &[usize]| -> Vec<usize> { shape.iter().copied().filter(|&extent| extent != 1).collect() };
        let (a, b) = (long(&own), long(shape));
        if a == b || a.len() <= 1 || b.len() <= 1 {
            return Ok(());
        }
        let remedy = transposition(&own, shape).map_or_else(
            || "give them that shape".to_owned(),
            |axes| {
                let axes: Vec<String> = axes.iter().map(ToString::to_string).collect();
                format!("transpose them, in NumPy by `x.transpose({})`", axes.join(", "))
            },
        );
        Err(Problem::Layout { found: own, expected: wanted, remedy }.at(self.path()))
    }

    /// The classes of all samples.
    ///
    /// # Errors
    /// When there are none, or one is not a class among `classes`.
    pub fn labels(&self, classes: usize) -> Result<Vec<u32>, DataError> {
        let class = |row: usize, value: f64| {
            let class = (value >= 0.0 && value < classes as f64 && value.fract() == 0.0).then_some(value as u32);
            class.ok_or_else(|| Problem::Label { row, value: value.to_string(), classes }.at(self.path()))
        };
        match &self.targets {
            Some(Targets::Labels(labels)) => labels.iter().enumerate().map(|(row, &label)| class(row, label as f64)).collect(),
            Some(Targets::Values(values)) if values.row_size() == 1 => {
                (0..values.rows()).map(|row| class(row, values.row(row)[0])).collect()
            }
            Some(Targets::Values(values)) => {
                let hint = if values.row_size() == classes {
                    ": they look one-hot or like probabilities; give numbers of classes, in NumPy `y.argmax(axis=1)`"
                } else {
                    ""
                };
                Err(Problem::TargetShape { found: values.row_size(), expected: 1, hint }.at(self.path()))
            }
            None => Err(Problem::NoTargets(": name them in the file, or give a second one").at(self.path())),
        }
    }

    /// The targets of all samples as numbers, each of `size` values, flat.
    ///
    /// # Errors
    /// When there are none, or they have another size.
    pub fn target_values(&self, size: usize) -> Result<Vec<f64>, DataError> {
        let values = match &self.targets {
            Some(Targets::Labels(labels)) if size == 1 => labels.iter().map(|&label| label as f64).collect(),
            Some(Targets::Labels(_)) => return Err(Problem::TargetShape { found: 1, expected: size, hint: "" }.at(self.path())),
            Some(Targets::Values(array)) if array.row_size() == size => {
                array.to_f64().map_err(|problem| problem.at(self.path()))?
            }
            Some(Targets::Values(array)) => {
                return Err(Problem::TargetShape { found: array.row_size(), expected: size, hint: "" }.at(self.path()));
            }
            None => return Err(Problem::NoTargets("").at(self.path())),
        };
        Ok(values)
    }
}

/// The order of axes, that of the samples first, in which samples of one shape have another, which may begin with a batch of
/// one; channels that come last are moved to the front before anything else is tried.
fn transposition(found: &[usize], expected: &[usize]) -> Option<Vec<usize>> {
    let expected = if expected.len() == found.len() + 1 { &expected[1..] } else { expected };
    let rank = found.len();
    if expected.len() != rank || rank < 2 {
        return None;
    }
    let to_front: Vec<usize> = std::iter::once(rank - 1).chain(0..rank - 1).collect();
    let to_back: Vec<usize> = (1..rank).chain([0]).collect();
    let fits = |order: &&Vec<usize>| order.iter().map(|&axis| found[axis]).eq(expected.iter().copied());
    let any = || {
        let mut left: Vec<usize> = (0..rank).collect();
        expected.iter().map(|extent| left.iter().position(|&axis| found[axis] == *extent).map(|at| left.remove(at))).collect()
    };
    let order: Option<Vec<usize>> = [&to_front, &to_back].into_iter().find(fits).cloned().or_else(any);
    order.map(|order| std::iter::once(0).chain(order.into_iter().map(|axis| axis + 1)).collect())
}

impl Targets {
    fn new(array: Array, samples: usize) -> Result<Self, Problem> {
        if array.rows() != samples || array.shape().is_empty() {
            return Err(Problem::TargetCount { inputs: samples, targets: array.shape().to_vec() });
        }
        finite(&array)?;
        Ok(match array.values() {
            Values::U8(labels) if array.row_size() == 1 => Self::Labels(labels.iter().map(|&label| i64::from(label)).collect()),
            Values::I64(labels) if array.row_size() == 1 => Self::Labels(labels.clone()),
            _ => Self::Values(array),
        })
    }
}

/// The first number that is not finite, or an integer that is no `f64`, is an error.
fn finite(array: &Array) -> Result<(), Problem> {
    let size = array.row_size().max(1);
    let place = |index: usize, value: f64| Problem::NotFinite { row: index / size, element: index % size, value };
    let found = match array.values() {
        Values::F32(values) => values.iter().position(|v| !v.is_finite()).map(|index| place(index, f64::from(values[index]))),
        Values::F64(values) => values.iter().position(|v| !v.is_finite()).map(|index| place(index, values[index])),
        Values::I64(values) => {
            values.iter().find(|v| v.unsigned_abs() > 1 << 53).map(|value| Problem::Inexact(value.to_string()))
        }
        Values::U8(_) => None,
    };
    found.map_or(Ok(()), Err)
}

/// Returns the two files of `x.npy,y.npy`, or the one, where there is no comma or a file has that very name.
#[must_use]
pub fn split_pair(data: &Path) -> (PathBuf, Option<PathBuf>) {
    let pair = data.to_str().and_then(|text| text.split_once(',')).filter(|_| !data.exists());
    pair.map_or_else(|| (data.to_owned(), None), |(first, second)| (first.into(), Some(second.into())))
}

/// The arrays of a file: the whole or its inputs, and its targets where it tells them apart.
fn contents(source: Source, what: &'static str) -> Result<(Array, Option<Array>), DataError> {
    let path = source.path.clone();
    let located = |problem: Problem| problem.at(&path);
    Ok(if source.bytes.starts_with(npy::MAGIC) {
        (npy::read_npy(&source.bytes).map_err(located)?, None)
    } else if source.bytes.starts_with(b"PK") {
        let archive = Npz::from_source(source)?;
        if what == "targets" {
            (keyed(&archive, what, &TARGET_KEYS)?.ok_or_else(|| missing(&archive, what, &TARGET_KEYS))?, None)
        } else {
            let inputs = keyed(&archive, what, &INPUT_KEYS)?.ok_or_else(|| missing(&archive, what, &INPUT_KEYS))?;
            (inputs, keyed(&archive, "targets", &TARGET_KEYS)?)
        }
    } else if idx::looks_like(&source.bytes) {
        (idx::read(&source.bytes).map_err(located)?, None)
    } else {
        let unknown = |_| located(Problem::malformed("data", "neither NumPy, IDX nor text"));
        let text = std::str::from_utf8(&source.bytes).map_err(unknown)?;
        let (inputs, targets) = csv::read(text).map_err(located)?;
        // A single column without a target's name is a column of targets when targets are asked for.
        let inputs = if what == "targets" && targets.is_none() { single_column(inputs) } else { inputs };
        (inputs, targets)
    })
}

/// `[n, 1]` as integers where all are, so that labels in a text file are labels.
fn single_column(array: Array) -> Array {
    if let Values::F64(values) = array.values()
        && array.row_size() == 1
        && values.iter().all(|value| value.fract() == 0.0 && value.abs() < 9e15)
    {
        let labels = Values::I64(values.iter().map(|&value| value as i64).collect());
        return Array::new(vec![array.rows()], labels).unwrap_or(array);
    }
    array
}

/// The array whose key is one of `expected`, in any case.
fn keyed(archive: &Npz, what: &'static str, expected: &[&str]) -> Result<Option<Array>, DataError> {
    let found: Vec<&str> = archive.keys().filter(|key| expected.iter().any(|name| key.eq_ignore_ascii_case(name))).collect();
    match found[..] {
        [] => Ok(None),
        [key] => archive.get(key).map(Some),
        _ => {
            let found = found.into_iter().map(str::to_owned).collect();
            Err(Problem::AmbiguousKey { what, found }.at(archive.path()))
        }
    }
}

fn missing(archive: &Npz, what: &'static str, expected: &[&str]) -> DataError {
    let expected = expected.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Problem::MissingKey { what, expected, found: archive.keys().map(str::to_owned).collect() }.at(archive.path())
}
