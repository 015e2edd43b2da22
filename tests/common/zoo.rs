//! The operator zoo: one small ONNX model per operator and attribute, with ONNX Runtime's inputs and outputs.

use std::fs::File;
use std::path::Path;

use ndarray::{IxDyn, OwnedRepr};
use ndarray_npy::{NpzReader, ReadableElement};

pub fn array<T: ReadableElement>(npz: &mut NpzReader<File>, name: &str) -> Vec<T> {
    npz.by_name::<OwnedRepr<T>, IxDyn>(name).unwrap().into_raw_vec_and_offset().0
}

pub fn npz(path: &Path) -> NpzReader<File> {
    NpzReader::new(File::open(path).unwrap()).unwrap()
}

pub struct Case {
    pub name: String,
    pub model: Vec<u8>,
    pub input: Vec<f32>,
    pub output: Vec<f32>,
}

/// Those named `refuse/…` must not load.
pub fn zoo() -> Vec<Case> {
    cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ops.npz"))
}

/// The cases of a file in the format of `ops.npz`.
pub fn cases(path: &Path) -> Vec<Case> {
    let mut npz = npz(path);
    let names = String::from_utf8(array(&mut npz, "names")).unwrap();
    let columns = |values: &str, npz: &mut NpzReader<File>| -> Vec<usize> {
        array::<i64>(npz, values).into_iter().map(|length| usize::try_from(length).unwrap()).collect()
    };
    let lengths = ["model_lengths", "input_lengths", "output_lengths"].map(|name| columns(name, &mut npz));
    let mut models = array::<u8>(&mut npz, "models").into_iter();
    let mut inputs = array::<f32>(&mut npz, "inputs").into_iter();
    let mut outputs = array::<f32>(&mut npz, "outputs").into_iter();
    let case = |(index, name): (usize, &str)| Case {
        name: name.to_owned(),
        model: models.by_ref().take(lengths[0][index]).collect(),
        input: inputs.by_ref().take(lengths[1][index]).collect(),
        output: outputs.by_ref().take(lengths[2][index]).collect(),
    };
    names.lines().enumerate().map(case).collect()
}
