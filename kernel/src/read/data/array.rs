//! Arrays: a shape and the values as the file has them, row-major.

use super::error::Problem;

/// Values in the narrowest type that holds the file's exactly.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// `u1` and booleans.
    U8(Vec<u8>),
    /// All other integers.
    I64(Vec<i64>),
    /// `f2` and `f4`.
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// A row-major array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: Values,
}

/// Integers up to this magnitude are `f64` numbers.
const EXACT_INTEGERS: u64 = 1 << 53;

impl Values {
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub const fn is_integral(&self) -> bool {
        matches!(self, Self::U8(_) | Self::I64(_))
    }

    /// The values as `f64`; an integer beyond 2⁵³ becomes NaN, since it has no exact one.
    fn range(&self, range: std::ops::Range<usize>) -> Vec<f64> {
        match self {
            Self::U8(values) => values[range].iter().map(|&v| f64::from(v)).collect(),
            Self::I64(values) => {
                values[range].iter().map(|&v| if v.unsigned_abs() <= EXACT_INTEGERS { v as f64 } else { f64::NAN }).collect()
            }
            Self::F32(values) => values[range].iter().map(|&v| f64::from(v)).collect(),
            Self::F64(values) => values[range].to_vec(),
        }
    }
}

impl Array {
    /// `None` when there are not exactly as many values as `shape` says.
    #[must_use]
    pub fn new(shape: Vec<usize>, values: Values) -> Option<Self> {
        crate::model::ir::element_count(shape.get(1..).unwrap_or_default())?;
        (crate::model::ir::element_count(&shape)? == values.len()).then_some(Self { shape, values })
    }

    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    #[must_use]
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// Extent of the first axis; 0 for a scalar.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Values along all axes but the first.
    #[must_use]
    pub fn row_size(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// All values, exactly.
    ///
    /// # Errors
    /// [`Problem::Inexact`] for an integer beyond 2⁵³.
    pub fn to_f64(&self) -> Result<Vec<f64>, Problem> {
        if let Values::I64(values) = &self.values
            && let Some(value) = values.iter().find(|v| v.unsigned_abs() > EXACT_INTEGERS)
        {
            return Err(Problem::Inexact(value.to_string()));
        }
        Ok(self.values.range(0..self.values.len()))
    }

    /// One index of the first axis, flat; empty when there is none such. Integers beyond 2⁵³ become NaN.
    #[must_use]
    pub fn row(&self, index: usize) -> Vec<f64> {
        let size = self.row_size();
        if index < self.rows() { self.values.range(index * size..(index + 1) * size) } else { Vec::new() }
    }
}
