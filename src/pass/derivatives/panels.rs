//! A matrix of gradients, one row per gradient, held in panels of columns: in memory, or in an unnamed file on disk.
//!
//! Panels are what every product reads: rows one after another, as they are stored.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use faer::MatRef;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::real::{Real, convert};
use super::triangle::Triangle;
use super::vectors::{add_times, add_transposed_times, widen};

/// Most columns of a panel: one of 32 gradients in `f32` stays below 128 KiB, from which on memory comes by whole pages.
const WIDTH: usize = 960;
/// Bytes of a panel in `f64`, as far as whole columns allow.
const PANEL_BYTES: usize = 8 << 20;
/// Panels of a matrix that is wide enough: what each thread widens is little beside the matrix itself.
const LEAST_PANELS: usize = 128;
/// Columns below which panels are not made narrower for that.
const NARROW: usize = 64;
/// Groups of panels that sums go over, fixed, so that no sum depends on the threads.
const GROUPS: usize = 32;

/// How a gradient is stored. Sums over gradients are in `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "f32",
            Self::Double => "f64",
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
    /// Columns of a panel; the last may have fewer.
    width: usize,
    store: Store,
}

impl Panels {
    /// A matrix of zeros; on disk (in the system's temporary folder) when it needs more than `memory` bytes.
    ///
    /// # Errors
    /// When no temporary file can be made.
    pub fn new(rows: usize, columns: usize, precision: Precision, memory: usize) -> io::Result<Self> {
        let bytes = rows.saturating_mul(columns).saturating_mul(precision.bytes());
        let width = (PANEL_BYTES / rows.saturating_mul(8).max(1)).clamp(1, WIDTH);
        let width = width.min((columns / LEAST_PANELS / NARROW * NARROW).max(NARROW));
        let store = if bytes <= memory {
            let panels = (0..columns).step_by(width).map(|start| {
                let size = rows * width.min(columns - start);
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
        Ok(Self { rows, columns, precision, width, store })
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
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    #[must_use]
    pub const fn on_disk(&self) -> bool {
        matches!(self.store, Store::Disk(_))
    }

    fn panels(&self) -> usize {
        self.columns.div_ceil(self.width)
    }

    /// So many groups of panels that follow one another, or as many as there are panels.
    fn groups(&self, count: usize) -> Vec<Range<usize>> {
        let (panels, size) = (self.panels(), self.panels().div_ceil(count).max(1));
        (0..panels).step_by(size).map(|first| first..(first + size).min(panels)).collect()
    }

    /// First column and number of columns.
    fn place(&self, panel: usize) -> (usize, usize) {
        let start = panel * self.width;
        (start, self.width.min(self.columns - start))
    }

    /// Writes whole rows, from `first` on.
    ///
    /// # Errors
    /// Of the file.
    pub fn write<T: Real>(&self, first: usize, rows: &[T]) -> io::Result<()> {
        for panel in 0..self.panels() {
            let (start, width) = self.place(panel);
            let pieces = rows.chunks_exact(self.columns).map(|row| &row[start..start + width]);
            match &self.store {
                Store::Memory(panels) => {
                    let mut guard = lock(&panels[panel]);
                    for (row, piece) in pieces.enumerate() {
                        let at = (first + row) * width..(first + row + 1) * width;
                        match &mut *guard {
                            Panel::Single(data) => put(&mut data[at], piece),
                            Panel::Double(data) => put(&mut data[at], piece),
                        }
                    }
                }
                Store::Disk(_) => {
                    let data: Vec<T> = pieces.flatten().copied().collect();
                    self.write_file(start * self.rows + first * width, &Panel::of(self.precision, &data))?;
                }
            }
        }
        Ok(())
    }

    /// Calls `visit` with a panel, as it is stored.
    fn with<R>(&self, panel: usize, visit: impl FnOnce(&Panel) -> R) -> io::Result<R> {
        match &self.store {
            Store::Memory(panels) => Ok(visit(&lock(&panels[panel]))),
            Store::Disk(file) => {
                let (start, width) = self.place(panel);
                let size = self.precision.bytes();
                let mut bytes = vec![0; self.rows * width * size];
                {
                    let mut file = lock(file);
                    file.seek(SeekFrom::Start((start * self.rows * size) as u64))?;
                    file.read_exact(&mut bytes)?;
                }
                let panel = match self.precision {
                    Precision::Single => Panel::Single(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
                    Precision::Double => Panel::Double(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()),
                };
                drop(bytes);
                Ok(visit(&panel))
            }
        }
    }

    /// Writes entries to the file, from the entry `first` on.
    fn write_file(&self, first: usize, entries: &Panel) -> io::Result<()> {
        let Store::Disk(file) = &self.store else { return Ok(()) };
        let bytes: Vec<u8> = match entries {
            Panel::Single(data) => data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Panel::Double(data) => data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        let mut file = lock(file);
        file.seek(SeekFrom::Start((first * self.precision.bytes()) as u64))?;
        file.write_all(&bytes)
    }

    /// Results of `visit(first column, width, rows of the panel)` for all panels, in order; computed in parallel.
    ///
    /// # Errors
    /// Of the file.
    pub fn map<R: Send>(&self, visit: impl Fn(usize, usize, &mut Vec<f64>) -> R + Sync) -> io::Result<Vec<R>> {
        let one = |wide: &mut Vec<f64>, panel: usize| {
            let (start, width) = self.place(panel);
            self.with(panel, |panel| panel.widen(wide))?;
            Ok(visit(start, width, wide))
        };
        (0..self.panels()).into_par_iter().map_init(Vec::new, one).collect()
    }

    /// Replaces every panel by what `change(panel's rows, width)` makes of it.
    ///
    /// # Errors
    /// Of the file.
    pub fn replace(&self, change: impl Fn(&mut [f64], usize) + Sync) -> io::Result<()> {
        (0..self.panels()).into_par_iter().try_for_each_init(Vec::new, |wide, panel| {
            let (start, width) = self.place(panel);
            self.with(panel, |panel| panel.widen(wide))?;
            change(wide, width);
            let changed = Panel::of(self.precision, wide);
            match &self.store {
                Store::Memory(panels) => *lock(&panels[panel]) = changed,
                Store::Disk(_) => self.write_file(start * self.rows, &changed)?,
            }
            Ok(())
        })
    }

    /// `G·Gᵀ`.
    ///
    /// # Errors
    /// Of the file.
    pub fn gram(&self) -> io::Result<Triangle> {
        self.gram_of(|_| true)
    }

    /// The same over some of the columns.
    ///
    /// # Errors
    /// Of the file.
    pub fn gram_of(&self, counts: impl Fn(usize) -> bool + Sync) -> io::Result<Triangle> {
        let m = self.rows;
        // The sums of the groups stay within a thirtieth of G.
        let affordable = self.columns * self.precision.bytes() / (m.max(1) * 4 * 30);
        let group = |panels: Range<usize>| -> io::Result<Triangle> {
            let mut sum = Triangle::zeros(m);
            let mut wide = Vec::new();
            for panel in panels {
                let (start, width) = self.place(panel);
                self.with(panel, |panel| panel.widen(&mut wide))?;
                for column in (0..width).filter(|column| !counts(start + column)) {
                    (0..m).for_each(|row| wide[row * width + column] = 0.0);
                }
                sum.add_gram(MatRef::from_row_major_slice(&wide, m, width));
            }
            Ok(sum)
        };
        let sums = self.groups(affordable.clamp(1, GROUPS)).into_par_iter().map(group).collect::<io::Result<Vec<_>>>()?;
        let mut sums = sums.into_iter();
        let mut gram = sums.next().unwrap_or_else(|| Triangle::zeros(m));
        sums.for_each(|sum| gram.add(&sum));
        Ok(gram)
    }

    /// `G·x`.
    ///
    /// # Errors
    /// Of the file.
    pub fn times(&self, x: &[f64]) -> io::Result<Vec<f64>> {
        let group = |panels: Range<usize>| -> io::Result<Vec<f64>> {
            let mut sum = vec![0.0; self.rows];
            for panel in panels {
                let (start, width) = self.place(panel);
                self.with(panel, |panel| panel.add_times(&x[start..start + width], &mut sum))?;
            }
            Ok(sum)
        };
        let parts = self.groups(GROUPS).into_par_iter().map(group).collect::<io::Result<Vec<_>>>()?;
        let mut total = vec![0.0; self.rows];
        parts.into_iter().for_each(|part| total.iter_mut().zip(part).for_each(|(total, value)| *total += value));
        Ok(total)
    }

    /// `Gᵀ·a`.
    ///
    /// # Errors
    /// Of the file.
    pub fn transposed_times(&self, a: &[f64]) -> io::Result<Vec<f64>> {
        let mut out = vec![0.0; self.columns];
        self.combine_transposed(a, &mut out, |_, product| product)?;
        Ok(out)
    }

    /// Replaces `x_j` by `combine(x_j, (Gᵀ·a)_j)` for every column j, in one pass over memory.
    ///
    /// # Errors
    /// Of the file.
    pub fn combine_transposed(&self, a: &[f64], x: &mut [f64], combine: impl Fn(f64, f64) -> f64 + Sync) -> io::Result<()> {
        x.par_chunks_mut(self.width).enumerate().try_for_each_init(Vec::new, |product: &mut Vec<f64>, (panel, x)| {
            product.clear();
            product.resize(x.len(), 0.0);
            self.with(panel, |panel| panel.add_transposed_times(a, product))?;
            x.iter_mut().zip(product).for_each(|(x, product)| *x = combine(*x, *product));
            Ok(())
        })
    }

    /// Columns `range` as an `m × |range|` matrix, row by row.
    ///
    /// # Errors
    /// Of the file.
    pub fn columns_at(&self, range: Range<usize>) -> io::Result<Vec<f64>> {
        let mut found = vec![0.0; self.rows * range.len()];
        for panel in range.start / self.width..range.end.div_ceil(self.width) {
            let (start, width) = self.place(panel);
            let (from, to) = (range.start.max(start), range.end.min(start + width));
            self.with(panel, |panel| {
                for row in 0..self.rows {
                    let target = &mut found[row * range.len() + from - range.start..][..to - from];
                    panel.read(row * width + from - start, target);
                }
            })?;
        }
        Ok(found)
    }
}

impl Panel {
    fn of<T: Real>(precision: Precision, entries: &[T]) -> Self {
        match precision {
            Precision::Single => Self::Single(convert(entries)),
            Precision::Double => Self::Double(convert(entries)),
        }
    }

    fn widen(&self, out: &mut Vec<f64>) {
        match self {
            Self::Single(data) => widen(data, out),
            Self::Double(data) => widen(data, out),
        }
    }

    /// Entries from `first` on.
    fn read(&self, first: usize, out: &mut [f64]) {
        let at = first..first + out.len();
        match self {
            Self::Single(data) => put(out, &data[at]),
            Self::Double(data) => put(out, &data[at]),
        }
    }

    fn add_times(&self, x: &[f64], out: &mut [f64]) {
        match self {
            Self::Single(data) => add_times(data, x, out),
            Self::Double(data) => add_times(data, x, out),
        }
    }

    fn add_transposed_times(&self, a: &[f64], out: &mut [f64]) {
        match self {
            Self::Single(data) => add_transposed_times(data, a, out),
            Self::Double(data) => add_transposed_times(data, a, out),
        }
    }
}

/// Copies numbers, rounding where the target is narrower.
fn put<T: Real, U: Real>(to: &mut [U], from: &[T]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = U::of(from.to_f64()));
}

/// A panel is never left half written, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            let (gram, product) = (panels.gram().unwrap().symmetric(), panels.times(&x).unwrap());
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
