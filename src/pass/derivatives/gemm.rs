//! Matrix products on row-major slices, on one thread: the callers are parallel over samples.

use faer::{Accum, MatMut, MatRef};

use super::real::Real;

/// A row-major matrix, read as it stands or transposed.
#[derive(Clone, Copy)]
pub struct Factor<'a, T = f64> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a, T: Real> Factor<'a, T> {
    /// `rows × columns`, stored row by row.
    pub fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        Self { data: &data[..rows * columns], rows, columns, transposed: false }
    }

    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    fn view(self) -> MatRef<'a, T> {
        if self.transposed {
            MatRef::from_row_major_slice(self.data, self.columns, self.rows).transpose()
        } else {
            MatRef::from_row_major_slice(self.data, self.rows, self.columns)
        }
    }

    fn at(self, row: usize, column: usize) -> T {
        if self.transposed { self.data[column * self.rows + row] } else { self.data[row * self.columns + column] }
    }
}

/// Multiplications below which the bookkeeping of the blocked product costs more than the product.
const SMALL: usize = 1 << 9;

/// `target += a·b`, the target row-major.
pub fn accumulate<T: Real>(target: &mut [T], a: Factor<'_, T>, b: Factor<'_, T>) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    debug_assert_eq!(k, b.rows);
    if m * k * n <= SMALL {
        for row in 0..m {
            for inner in 0..k {
                let scale = a.at(row, inner);
                for column in 0..n {
                    target[row * n + column] += scale * b.at(inner, column);
                }
            }
        }
        return;
    }
    T::multiply(MatMut::from_row_major_slice_mut(&mut target[..m * n], m, n), Accum::Add, a.view(), b.view());
}

/// `target = a·b`, the target row-major.
pub fn multiply<T: Real>(target: &mut [T], a: Factor<'_, T>, b: Factor<'_, T>) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    if m * k * n <= SMALL {
        target[..m * n].fill(T::ZERO);
        return accumulate(target, a, b);
    }
    T::multiply(MatMut::from_row_major_slice_mut(&mut target[..m * n], m, n), Accum::Replace, a.view(), b.view());
}

/// Independent parts of a sum.
const LANES: usize = 16;

/// `Σ xᵢyᵢ`, summed in `f64`, in independent parts so that it runs at the speed of memory.
pub fn dot<T: Real, U: Real>(x: &[T], y: &[U]) -> f64 {
    let mut sums = [0.0; LANES];
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..LANES {
            sums[lane] += x[lane].to_f64() * y[lane].to_f64();
        }
    }
    sums.iter().sum::<f64>() + x_rest.iter().zip(y_rest).map(|(x, y)| x.to_f64() * y.to_f64()).sum::<f64>()
}

/// `Σ xᵢ`, likewise.
pub fn sum<T: Real>(x: &[T]) -> f64 {
    let mut sums = [0.0; LANES];
    let (xs, rest) = x.as_chunks::<LANES>();
    for x in xs {
        for lane in 0..LANES {
            sums[lane] += x[lane].to_f64();
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|x| x.to_f64()).sum::<f64>()
}

/// `‖x‖²`, summed in `f64`.
pub fn squared_norm<T: Real>(x: &[T]) -> f64 {
    dot(x, x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition_in_all_four_forms() {
        for (m, k, n) in [(2, 3, 4), (9, 17, 13)] {
            let a: Vec<f64> = (0..m * k).map(|i| (i as f64 * 0.7).sin()).collect();
            let b: Vec<f64> = (0..k * n).map(|i| (i as f64 * 1.3).cos()).collect();
            let transpose = |x: &[f64], rows: usize, columns: usize| -> Vec<f64> {
                (0..columns).flat_map(|c| (0..rows).map(move |r| x[r * columns + c])).collect()
            };
            let (at, bt) = (transpose(&a, m, k), transpose(&b, k, n));
            let expected: Vec<f64> =
                (0..m * n).map(|i| 1.0 + (0..k).map(|j| a[i / n * k + j] * b[j * n + i % n]).sum::<f64>()).collect();
            for left in [Factor::new(&a, m, k), Factor::new(&at, k, m).transposed()] {
                for right in [Factor::new(&b, k, n), Factor::new(&bt, n, k).transposed()] {
                    let mut c = vec![1.0; m * n];
                    accumulate(&mut c, left, right);
                    c.iter().zip(&expected).for_each(|(c, e)| assert!((c - e).abs() < 1e-13));
                }
            }
        }
    }
}
