//! Data files as people have them, as another library writes and reads them, and damaged.

use std::io::Write;
use std::path::PathBuf;

use ndarray::{Array1, Array2, ShapeBuilder};
use ndarray_npy::NpzWriter;
use nnverify::kernel::read::data::{Array, Dataset, Npz, Values, hexadecimal, read_npy, write_npy};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn write(directory: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// An archive as another library writes it.
fn npz(inputs: (&str, &Array2<f32>), targets: Option<(&str, &Array1<i64>)>, compressed: bool) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = if compressed { NpzWriter::new_compressed(&mut bytes) } else { NpzWriter::new(&mut bytes) };
    writer.add_array(inputs.0, inputs.1).unwrap();
    targets.into_iter().for_each(|(key, array)| writer.add_array(key, array).unwrap());
    writer.finish().unwrap();
    bytes.into_inner()
}

fn samples() -> (Array2<f32>, Array1<i64>) {
    let column_major = Array2::from_shape_fn((3, 4).f(), |(i, j)| i as f32 * 10.0 + j as f32 / 4.0);
    (column_major, Array1::from(vec![2, 0, 1]))
}

#[test]
fn archives_of_another_library_in_both_orders_and_methods() {
    let directory = TempDir::new().unwrap();
    let (inputs, labels) = samples();
    for (keys, compressed) in [(("X", "Labels"), false), (("inputs", "y"), true)] {
        let path = write(&directory, "d.npz", &npz((keys.0, &inputs), Some((keys.1, &labels)), compressed));
        let data = Dataset::open(&path, None).unwrap();
        assert_eq!((data.len(), data.sample_shape()), (3, &[4][..]));
        assert_eq!(data.input(2), [20.0, 20.25, 20.5, 20.75]);
        assert_eq!(data.labels(3).unwrap(), [2, 0, 1]);
        assert_eq!(data.digest(), hexadecimal(&Sha256::digest(std::fs::read(&path).unwrap())));
        let error = data.labels(2).unwrap_err().to_string();
        assert!(error.contains("d.npz") && error.contains("sample 0: the target 2 is not a class among 0 to 1"), "{error}");
        let error = data.check_input(&[1, 2, 3]).unwrap_err().to_string();
        assert!(error.contains("shape [4] (4 values) where the network expects [1, 2, 3] (6 values)"), "{error}");
        assert!(data.check_input(&[1, 3]).unwrap_err().to_string().contains("name it `label`"));
        assert!(data.check_input(&[1, 2, 2]).is_ok() && data.check_input(&[usize::MAX, 4]).is_err());
    }
}

#[test]
fn keys_are_named_when_none_or_two_fit() {
    let directory = TempDir::new().unwrap();
    let (inputs, labels) = samples();
    let path = write(&directory, "d.npz", &npz(("a\u{1b}[1m", &inputs), Some(("y", &labels)), false));
    let error = Dataset::open(&path, None).unwrap_err().to_string();
    assert!(error.contains("no array for the inputs") && error.contains("`a\\u{1b}[1m`, `y`"), "{error}");
    let path = write(&directory, "e.npz", &npz(("x", &inputs), Some(("data", &labels)), false));
    assert!(Dataset::open(&path, None).unwrap_err().to_string().contains("more than one array could be the inputs"));
    let archive = Npz::open(&path).unwrap();
    assert_eq!(archive.get("x").unwrap().shape(), [3, 4]);
    assert!(
        archive.get("z").unwrap_err().to_string().contains("key `z`: there is no array of this name; the keys are `x`, `data`")
    );
}

#[test]
fn pairs_of_files_and_a_separate_file_of_labels() {
    let directory = TempDir::new().unwrap();
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &[2, 1, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let x = write(&directory, "x.npy", &bytes);
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &[2, 1], &[1.0, 0.0]).unwrap();
    let y = write(&directory, "y.npy", &bytes);
    let pair = PathBuf::from(format!("{},{}", x.display(), y.display()));
    let data = Dataset::open(&pair, None).unwrap();
    assert_eq!((data.sample_shape(), data.labels(2).unwrap()), (&[1, 2][..], vec![1, 0]));
    assert_eq!(data.target_values(1).unwrap(), [1.0, 0.0]);
    let single = Dataset::open(&x, None).unwrap();
    assert!(single.digest() != data.digest() && single.labels(2).unwrap_err().to_string().contains("there are no targets"));

    // MNIST's files: IDX, compressed, and labels as a column of text.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 9, 8, 7, 255]).unwrap();
    let images = write(&directory, "images-idx3-ubyte.gz", &encoder.finish().unwrap());
    let labels = write(&directory, "labels.csv", b"label\n3\n0\n");
    let plain = write(&directory, "labels.txt", b"3\n0\n");
    for labels in [labels, plain] {
        let data = Dataset::open(&images, Some(&labels)).unwrap();
        assert_eq!((data.input(1), data.labels(10).unwrap()), (vec![7.0, 255.0], vec![3, 0]));
    }
    let three = write(&directory, "three.txt", b"3\n0\n1\n");
    let error = Dataset::open(&images, Some(&three)).unwrap_err().to_string();
    assert!(error.contains("three.txt") && error.contains("2 inputs but targets of shape [3]"), "{error}");
}

#[test]
fn values_that_cannot_be_meant_are_refused() {
    let directory = TempDir::new().unwrap();
    let (mut inputs, labels) = samples();
    inputs[[1, 3]] = f32::NAN;
    let path = write(&directory, "d.npz", &npz(("x", &inputs), Some(("y", &labels)), true));
    let error = Dataset::open(&path, None).unwrap_err().to_string();
    assert!(error.contains("sample 1, element 3: NaN is not a finite number"), "{error}");
    assert!(Dataset::open(&write(&directory, "z", b"\xff\xfe"), None).unwrap_err().to_string().contains("neither"));
    assert!(Dataset::open(directory.path(), None).unwrap_err().to_string().contains("directory"));
    assert!(Dataset::open(&directory.path().join("none"), None).unwrap_err().to_string().contains("none"));
    let scalar = Array::new(vec![], Values::F64(vec![1.0])).unwrap();
    assert!(Dataset::from_arrays(scalar, None, String::new()).is_err());
    let error = Dataset::open(&write(&directory, "c.csv", b"a,label\n1,0.5\n"), None).unwrap().labels(2).unwrap_err();
    assert!(error.to_string().contains("the target 0.5 is not a class"));
}

#[test]
fn the_digits_beside_the_models_can_be_read() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/digits_test.npz");
    let data = Dataset::open(&path, None).unwrap();
    assert_eq!((data.len(), data.sample_shape()), (200, &[64][..]));
    assert!(data.check_input(&[1, 1, 8, 8]).is_ok());
    assert_eq!(data.labels(10).unwrap().len(), 200);
    assert!(data.input(0).iter().all(|v| (0.0..=1.0).contains(v)));
}

/// Cuts, flips and splices of good files: an answer or an error, never a panic or a huge allocation.
#[test]
fn damaged_files_never_panic() {
    let directory = TempDir::new().unwrap();
    let (inputs, labels) = samples();
    let mut array = Vec::new();
    write_npy(&mut array, &[2, 3], &[0.5; 6]).unwrap();
    let good: [Vec<u8>; 5] = [
        npz(("x", &inputs), Some(("y", &labels)), false),
        npz(("x", &inputs), Some(("y", &labels)), true),
        array,
        vec![0, 0, 13, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8],
        b"a,label\n1,2\n3,4\n".to_vec(),
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound.max(1)
    };
    let (mut read, mut refused) = (0, 0);
    for round in 0..2000 {
        let mut bytes = good[round % good.len()].clone();
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            match below(5) {
                0 => bytes.truncate(at),
                1 if !bytes.is_empty() => bytes[at] = [0, 0xff, 0x7f, 0x80, b'9'][below(5)],
                2 if !bytes.is_empty() => bytes[at] ^= 1 << below(8),
                3 => bytes.splice(at..at, [0xff; 4]).for_each(drop),
                _ if bytes.len() > at + 4 => bytes[at..at + 4].copy_from_slice(&[[0xff; 4], [0; 4]][below(2)]),
                _ => {}
            }
        }
        match Dataset::open(&write(&directory, "d", &bytes), None) {
            Ok(_) => read += 1,
            Err(error) => {
                let text = error.to_string();
                assert!(text.chars().count() < 2000 && !text.contains('\n'), "{text}");
                refused += 1;
            }
        }
    }
    assert!(read > 50 && refused > 500, "{read} read, {refused} refused");
}

#[test]
fn written_arrays_are_read_by_us_and_by_another_library() {
    use ndarray_npy::ReadNpyExt;
    for shape in [vec![], vec![3], vec![2, 3], vec![0, 4], vec![1, 2, 1, 2]] {
        let values: Vec<f64> = (0..shape.iter().product::<usize>()).map(|i| (i as f64).sqrt()).collect();
        let mut bytes = Vec::new();
        write_npy(&mut bytes, &shape, &values).unwrap();
        let array = read_npy(&bytes).unwrap();
        assert_eq!((array.shape(), array.to_f64().unwrap()), (&shape[..], values.clone()));
        let other = ndarray::ArrayD::<f64>::read_npy(&bytes[..]).unwrap();
        assert_eq!(other.shape(), shape);
        assert_eq!(other.into_raw_vec_and_offset().0, values);
        assert_eq!((bytes.len() - 8 * array.values().len()) % 64, 0);
    }
    assert!(write_npy(Vec::new(), &[2], &[1.0]).is_err());
}
