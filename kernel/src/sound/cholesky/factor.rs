//! The blocked factorisation itself: plain additions, multiplications, divisions and square roots
//! in any order, as the error analysis of the parent module allows.

/// Rows and columns of a register tile.
const TILE: usize = 4;

/// Columns eliminated together; a multiple of [`TILE`].
const PANEL: usize = 64;

/// Four rows of a panel, one column after another.
type Column = [f64; TILE];

/// The matrix under factorisation: square, a common block and then its borders, each padded with unit rows to a multiple of
/// [`TILE`]. Only the lower triangle means anything, and of two borders nothing; tiles on the diagonal write beyond it.
pub(super) struct Workspace {
    /// Rows of the common block with its padding: where the borders start.
    common: usize,
    borders: usize,
    size: usize,
    stride: usize,
    entries: Vec<f64>,
}

impl Workspace {
    pub(super) fn new(common: usize, borders: usize) -> Self {
        let padded = common.next_multiple_of(TILE);
        let size = (padded + borders).next_multiple_of(TILE);
        // Rows a power of two apart would share cache sets.
        let stride = if size.is_multiple_of(64) { size + TILE } else { size };
        let mut work = Self { common: padded, borders, size, stride, entries: vec![0.0; size * stride] };
        for i in (common..padded).chain(padded + borders..size) {
            work.row_mut(i)[i] = 1.0;
        }
        work
    }

    /// The row of a border.
    pub(super) const fn place_of_border(&self, border: usize) -> usize {
        self.common + border
    }

    pub(super) fn row_mut(&mut self, i: usize) -> &mut [f64] {
        &mut self.entries[i * self.stride..][..self.size]
    }

    /// Right-looking blocked Cholesky of the common block with each border by itself; the factor is used panel by panel and
    /// not kept. The error is the row of the first pivot that is not a positive number.
    pub(super) fn factorise(&mut self) -> Result<(), usize> {
        let mut panel: Vec<Column> = Vec::new();
        let mut groups: Vec<usize> = Vec::new();
        let mut start = 0;
        while start < self.common {
            let width = PANEL.min(self.common - start);
            self.eliminate(start, width, &mut panel, &mut groups)?;
            self.update(start + width, width, &panel, &groups);
            start += width;
        }
        // What is left on the diagonal of a border is its last pivot.
        let mut borders = self.common..self.common + self.borders;
        let is_pivot = |value: f64| value > 0.0 && value.is_finite();
        borders.find(|&row| !is_pivot(self.entries[row * self.stride + row])).map_or(Ok(()), Err)
    }

    /// Computes the factor's columns `start..start + width`. `panel` receives `width` columns for
    /// each group of four rows from `start` on, `groups` the numbers (within the panel) of those
    /// below the diagonal block that are not zero.
    fn eliminate(&self, start: usize, width: usize, panel: &mut Vec<Column>, groups: &mut Vec<usize>) -> Result<(), usize> {
        let count = (self.size - start) / TILE;
        let blocks = width / TILE;
        panel.clear();
        panel.resize(count * width, [0.0; TILE]);
        groups.clear();
        for group in 0..count {
            let (above, rest) = panel.split_at_mut(group * width);
            let current = &mut rest[..width];
            self.gather(start, group, current);
            if group >= blocks {
                if current.iter().all(|column| *column == [0.0; TILE]) {
                    continue;
                }
                groups.push(group);
            }
            for block in 0..blocks.min(group + 1) {
                let (done, open) = current.split_at_mut(block * TILE);
                if block == group {
                    let sum = product(done, done);
                    factor_tile(&mut open[..TILE], &sum).map_err(|row| start + group * TILE + row)?;
                } else {
                    let pivot = &above[block * width..][..(block + 1) * TILE];
                    let (pivot_done, pivot_tile) = pivot.split_at(block * TILE);
                    let sum = product(done, pivot_done);
                    solve_tile(&mut open[..TILE], &sum, pivot_tile);
                }
            }
        }
        Ok(())
    }

    /// Reads the panel's columns of four rows.
    fn gather(&self, start: usize, group: usize, columns: &mut [Column]) {
        for r in 0..TILE {
            let row = start + group * TILE + r;
            let source = &self.entries[row * self.stride + start..][..columns.len()];
            for (column, &value) in columns.iter_mut().zip(source) {
                column[r] = value;
            }
        }
    }

    /// Subtracts the panel's products from the rows and columns from `start` on.
    fn update(&mut self, start: usize, width: usize, panel: &[Column], groups: &[usize]) {
        let skipped = width / TILE;
        // Chunks of row groups that stay in the cache while all rows below pass by.
        for chunk in groups.chunks(8) {
            for &i in groups {
                if chunk.first().is_none_or(|&first| first > i) {
                    continue;
                }
                let left = &panel[i * width..][..width];
                for &j in chunk.iter().take_while(|&&j| j <= i) {
                    let row = start + (i - skipped) * TILE;
                    let column = start + (j - skipped) * TILE;
                    if column >= self.common && i != j {
                        continue;
                    }
                    let sum = product(left, &panel[j * width..][..width]);
                    for (r, line) in sum.iter().enumerate() {
                        let target = &mut self.entries[(row + r) * self.stride + column..][..TILE];
                        for (entry, value) in target.iter_mut().zip(line) {
                            *entry -= value;
                        }
                    }
                }
            }
        }
    }
}

/// `sum[r][c] = Σₜ left[t][r]·right[t][c]`.
#[inline]
fn product(left: &[Column], right: &[Column]) -> [Column; TILE] {
    let mut sum = [[0.0; TILE]; TILE];
    for (a, b) in left.iter().zip(right) {
        for r in 0..TILE {
            for c in 0..TILE {
                sum[r][c] += a[r] * b[c];
            }
        }
    }
    sum
}

/// `tile[c][r]` becomes the factor's entry of row r and column c, below the pivot tile of the same
/// columns; `sum[r][c]` is what the earlier columns contribute.
fn solve_tile(tile: &mut [Column], sum: &[Column; TILE], pivot: &[Column]) {
    for c in 0..TILE {
        for r in 0..TILE {
            let mut value = tile[c][r] - sum[r][c];
            for k in 0..c {
                value -= tile[k][r] * pivot[k][c];
            }
            tile[c][r] = value / pivot[c][c];
        }
    }
}

/// Factorises a tile on the diagonal; the part above the diagonal becomes zero. The error is the
/// row of a pivot that is not a positive number.
fn factor_tile(tile: &mut [Column], sum: &[Column; TILE]) -> Result<(), usize> {
    for c in 0..TILE {
        for r in 0..TILE {
            if r < c {
                tile[c][r] = 0.0;
                continue;
            }
            let mut value = tile[c][r] - sum[r][c];
            for earlier in &tile[..c] {
                value -= earlier[r] * earlier[c];
            }
            if r > c {
                tile[c][r] = value / tile[c][c];
            } else if value > 0.0 && value.is_finite() {
                tile[c][c] = value.sqrt();
            } else {
                return Err(c);
            }
        }
    }
    Ok(())
}
