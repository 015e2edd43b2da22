//! Data sets and arrays: NumPy's `.npy` and `.npz`, IDX, and CSV, each plain or compressed with gzip.
//!
//! Reading is total: any bytes give arrays or an error that names file, key and place; limits hold before anything is
//! allocated. It must not know a network beyond the shape of its input, nor what the data are used for.
//!
//! | file | inputs | targets |
//! |---|---|---|
//! | `.npz` | the one key among `x`, `input`, `inputs`, `data`, `images`, `x_test` (any case) | `y`, `label`, `labels`, `target`, `targets`, `y_test` |
//! | `.npy`, IDX | the array | a second file: `x.npy,y.npy` or `--labels` |
//! | CSV | every column that is not a target | columns whose header says so: `y`, `label`, `class`, `target` or `target_…` |
//!
//! The first axis counts the samples. A headerless CSV has no target column: which one it would be is never guessed.

mod archive;
mod array;
mod csv;
mod dataset;
mod error;
mod idx;
mod npy;
mod source;

pub use archive::Npz;
pub use array::{Array, Values};
pub use dataset::{Dataset, Targets, split_pair};
pub use error::{DataError, Problem};
pub use npy::{read_npy, write_npy};
pub use source::{Source, hexadecimal};
