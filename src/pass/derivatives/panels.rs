//! A matrix of gradients, one row per gradient, held in panels of columns: in memory, or in an unnamed file on disk.
//!
//! Panels are what every product reads: one stretch of memory per row and panel.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Mutex;

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef};
use rayon::prelude::*;

/// Columns of a panel.
const WIDTH: usize = 4096;

/// How a gradient is stored. All arithmetic is in `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    Single,
    Double,
}

impl Precision {
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Single => 4,
            Self::Double => 8,
        }
    }
}

enum Panel {
    Single(Vec<f32>),
    Double(Vec<f64>),
}

enum Store {
    Memory(Vec<Mutex<Panel>>),
    Disk(Mutex<File>),
}

/// An `m × d` matrix of gradients.
pub struct Panels {
    rows: usize,
    columns: usize,
    precision: Precision,
    store: Store,
}

impl Panels {
    /// A matrix of zeros; on disk (in the system's temporary folder) when it needs more than `memory` bytes.
    ///
    /// # Errors
    /// When no temporary file can be made.
    pub fn new(rows: usize, columns: usize, precision: Precision, memory: usize) -> io::Result<Self> {
        let bytes = rows.saturating_mul(columns).saturating_mul(precision.bytes());
        let store = if bytes <= memory {
            let panels = (0..columns.div_ceil(WIDTH)).map(|panel| {
                let size = rows * width(columns, panel);
                Mutex::new(match precision {
                    Precision::Single => Panel::Single(vec![0.0; size]),
                    Precision::Double => Panel::Double(vec![0.0; size]),
                })
            });
            Store::Memory(panels.collect())
        } else {
            let file = unnamed_file()?;
            file.set_len(bytes as u64)?;
            Store::Disk(Mutex::new(file))
        };
        Ok(Self { rows, columns, precision, store })
    }

    /// Number of gradients m.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Number of parameters d.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    #[must_use]
    pub const fn on_disk(&self) -> bool {
        matches!(self.store, Store::Disk(_))
    }

    fn panels(&self) -> usize {
        self.columns.div_ceil(WIDTH)
    }

    /// Writes whole rows, from `first` on.
    ///
    /// # Errors
    /// Of the file.
    pub fn write(&self, first: usize, rows: &[f64]) -> io::Result<()> {
        for panel in 0..self.panels() {
            let (start, width) = (panel * WIDTH, width(self.columns, panel));
            let pieces = rows.chunks_exact(self.columns).map(|row| &row[start..start + width]);
            match &self.store {
                Store::Memory(panels) => {
                    let mut guard = lock(&panels[panel]);
                    for (row, piece) in pieces.enumerate() {
                        let at = (first + row) * width..(first + row + 1) * width;
                        match &mut *guard {
                            Panel::Single(data) => data[at].iter_mut().zip(piece).for_each(|(to, &from)| *to = from as f32),
                            Panel::Double(data) => data[at].copy_from_slice(piece),
                        }
                    }
                }
                Store::Disk(file) => {
                    let bytes: Vec<u8> = match self.precision {
                        Precision::Single => pieces.flatten().flat_map(|&value| (value as f32).to_le_bytes()).collect(),
                        Precision::Double => pieces.flatten().flat_map(|value| value.to_le_bytes()).collect(),
                    };
                    let offset = (start * self.rows + first * width) * self.precision.bytes();
                    let mut file = lock(file);
                    file.seek(SeekFrom::Start(offset as u64))?;
                    file.write_all(&bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Calls `visit(first column, width, rows of the panel)` with a panel in `f64`.
    fn read<T>(&self, panel: usize, visit: impl FnOnce(usize, usize, &[f64]) -> T) -> io::Result<T> {
        let (start, width) = (panel * WIDTH, width(self.columns, panel));
        match &self.store {
            Store::Memory(panels) => Ok(match &*lock(&panels[panel]) {
                Panel::Double(data) => visit(start, width, data),
                Panel::Single(data) => visit(start, width, &data.iter().map(|&value| f64::from(value)).collect::<Vec<_>>()),
            }),
            Store::Disk(file) => {
                let size = self.precision.bytes();
                let mut bytes = vec![0; self.rows * width * size];
                {
                    let mut file = lock(file);
                    file.seek(SeekFrom::Start((start * self.rows * size) as u64))?;
                    file.read_exact(&mut bytes)?;
                }
                let data: Vec<f64> = match self.precision {
                    Precision::Single => bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
                    Precision::Double => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
                };
                Ok(visit(start, width, &data))
            }
        }
    }

    /// Results of `visit(first column, width, rows of the panel)` for all panels, in order; computed in parallel.
    ///
    /// # Errors
    /// Of the file.
    pub fn map<T: Send>(&self, visit: impl Fn(usize, usize, &[f64]) -> T + Sync) -> io::Result<Vec<T>> {
        (0..self.panels()).into_par_iter().map(|panel| self.read(panel, &visit)).collect()
    }

    /// Replaces every panel by what `change(panel's rows, width)` makes of it.
    ///
    /// # Errors
    /// Of the file.
    pub fn replace(&self, change: impl Fn(&mut [f64], usize) + Sync) -> io::Result<()> {
        (0..self.panels()).into_par_iter().try_for_each(|panel| {
            let (start, width, mut data) = self.read(panel, |start, width, data| (start, width, data.to_vec()))?;
            change(&mut data, width);
            match &self.store {
                Store::Memory(panels) => {
                    *lock(&panels[panel]) = match self.precision {
                        Precision::Single => Panel::Single(data.into_iter().map(|value| value as f32).collect()),
                        Precision::Double => Panel::Double(data),
                    };
                }
                Store::Disk(file) => {
                    let bytes: Vec<u8> = match self.precision {
                        Precision::Single => data.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect(),
                        Precision::Double => data.iter().flat_map(|value| value.to_le_bytes()).collect(),
                    };
                    let mut file = lock(file);
                    file.seek(SeekFrom::Start((start * self.rows * self.precision.bytes()) as u64))?;
                    file.write_all(&bytes)?;
                }
            }
            Ok(())
        })
    }

    /// `G·Gᵀ`, both triangles.
    ///
    /// # Errors
    /// Of the file.
    pub fn gram(&self) -> io::Result<Mat<f64>> {
        let mut gram = Mat::<f64>::zeros(self.rows, self.rows);
        for panel in 0..self.panels() {
            self.read(panel, |_, width, data| {
                let rows = MatRef::from_row_major_slice(data, self.rows, width);
                matmul(
                    gram.as_mut(),
                    BlockStructure::TriangularLower,
                    Accum::Add,
                    rows,
                    BlockStructure::Rectangular,
                    rows.transpose(),
                    BlockStructure::Rectangular,
                    1.0,
                    faer::get_global_parallelism(),
                );
            })?;
        }
        for row in 0..self.rows {
            for column in row + 1..self.rows {
                gram[(row, column)] = gram[(column, row)];
            }
        }
        Ok(gram)
    }

    /// `G·x`.
    ///
    /// # Errors
    /// Of the file.
    pub fn times(&self, x: &[f64]) -> io::Result<Vec<f64>> {
        let parts = self.by_panel(|start, width, panel| panel.times(self.rows, width, &x[start..start + width]))?;
        let mut total = vec![0.0; self.rows];
        parts.into_iter().for_each(|part| total.iter_mut().zip(part).for_each(|(total, value)| *total += value));
        Ok(total)
    }

    /// `Gᵀ·a`.
    ///
    /// # Errors
    /// Of the file.
    pub fn transposed_times(&self, a: &[f64]) -> io::Result<Vec<f64>> {
        Ok(self.by_panel(|_, width, panel| panel.transposed_times(width, a))?.concat())
    }

    /// As [`map`](Self::map), on the numbers as they are stored.
    fn by_panel<T: Send>(&self, visit: impl Fn(usize, usize, &Panel) -> T + Sync) -> io::Result<Vec<T>> {
        match &self.store {
            Store::Memory(panels) => Ok(panels
                .par_iter()
                .enumerate()
                .map(|(index, panel)| visit(index * WIDTH, width(self.columns, index), &lock(panel)))
                .collect()),
            Store::Disk(_) => self.map(|start, width, data| visit(start, width, &Panel::Double(data.to_vec()))),
        }
    }

    /// Columns `range` as an `m × |range|` matrix, row by row.
    ///
    /// # Errors
    /// Of the file.
    pub fn columns_at(&self, range: std::ops::Range<usize>) -> io::Result<Vec<f64>> {
        let mut found = vec![0.0; self.rows * range.len()];
        for panel in range.start / WIDTH..range.end.div_ceil(WIDTH) {
            self.read(panel, |start, width, data| {
                let (from, to) = (range.start.max(start), range.end.min(start + width));
                for row in 0..self.rows {
                    let piece = &data[row * width + from - start..row * width + to - start];
                    found[row * range.len() + from - range.start..][..piece.len()].copy_from_slice(piece);
                }
            })?;
        }
        Ok(found)
    }
}

impl Panel {
    fn times(&self, rows: usize, width: usize, x: &[f64]) -> Vec<f64> {
        let row = |row: usize| row * width..(row + 1) * width;
        match self {
            Self::Double(data) => (0..rows).map(|r| lanes(&data[row(r)], x, |value| *value)).collect(),
            Self::Single(data) => (0..rows).map(|r| lanes(&data[row(r)], x, |value| f64::from(*value))).collect(),
        }
    }

    fn transposed_times(&self, width: usize, a: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; width];
        match self {
            Self::Double(data) => combine(data, a, &mut out, |value| *value),
            Self::Single(data) => combine(data, a, &mut out, |value| f64::from(*value)),
        }
        out
    }
}

/// A dot product with independent partial sums, so that it runs at the speed of memory.
fn lanes<T>(row: &[T], x: &[f64], value: impl Fn(&T) -> f64) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0.0; LANES];
    let (rows, rest) = row.as_chunks::<LANES>();
    let (xs, x_rest) = x.as_chunks::<LANES>();
    for (row, x) in rows.iter().zip(xs) {
        for lane in 0..LANES {
            sums[lane] += value(&row[lane]) * x[lane];
        }
    }
    sums.iter().sum::<f64>() + rest.iter().zip(x_rest).map(|(r, x)| value(r) * x).sum::<f64>()
}

fn combine<T>(data: &[T], a: &[f64], out: &mut [f64], value: impl Fn(&T) -> f64) {
    for (row, &scale) in data.chunks_exact(out.len()).zip(a) {
        out.iter_mut().zip(row).for_each(|(out, entry)| *out += scale * value(entry));
    }
}

fn width(columns: usize, panel: usize) -> usize {
    WIDTH.min(columns - panel * WIDTH)
}

/// A panel is never left half written, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A file without a name: it disappears with the process.
fn unnamed_file() -> io::Result<File> {
    static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    loop {
        let serial = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nnverify-{}-{serial}", std::process::id()));
        match File::options().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory and disk, wider than one panel, agree with the definition.
    #[test]
    fn products_agree_with_the_definition_in_memory_and_on_disk() {
        let (m, d) = (3, WIDTH + 37);
        let data: Vec<f64> = (0..m * d).map(|i| ((i * i) as f64 * 0.013).sin()).collect();
        let x: Vec<f64> = (0..d).map(|i| (i as f64 * 0.7).cos()).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        for memory in [usize::MAX, 0] {
            let panels = Panels::new(m, d, Precision::Double, memory).unwrap();
            assert_eq!(panels.on_disk(), memory == 0);
            panels.write(1, &data[d..]).unwrap();
            panels.write(0, &data[..d]).unwrap();
            let (gram, product) = (panels.gram().unwrap(), panels.times(&x).unwrap());
            for i in 0..m {
                assert!((product[i] - dot(&data[i * d..(i + 1) * d], &x)).abs() < 1e-9);
                for j in 0..m {
                    assert!((gram[(i, j)] - dot(&data[i * d..(i + 1) * d], &data[j * d..(j + 1) * d])).abs() < 1e-9);
                }
            }
            let back = panels.transposed_times(&[1.0, -2.0, 0.5]).unwrap();
            for (j, value) in back.iter().enumerate() {
                assert!((value - (data[j] - 2.0 * data[d + j] + 0.5 * data[2 * d + j])).abs() < 1e-12);
            }
            let across = panels.columns_at(WIDTH - 2..WIDTH + 2).unwrap();
            assert_eq!(across[4..8], data[d + WIDTH - 2..d + WIDTH + 2]);
        }
        let single = Panels::new(m, d, Precision::Single, usize::MAX).unwrap();
        single.write(0, &data).unwrap();
        assert!((single.times(&x).unwrap()[0] - dot(&data[..d], &x)).abs() < 1e-4);
    }
}
