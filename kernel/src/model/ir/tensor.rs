//! Dense tensors of constants. A value read from an `f32` weight is kept exactly: every `f32` is an `f64`.

/// Number of elements of a shape, or `None` where it overflows.
#[must_use]
pub fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))
}

/// A row-major tensor whose values are exactly those of the model file.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Tensor {
    /// `None` when `data` does not have exactly as many values as `shape` says.
    #[must_use]
    pub fn new(shape: Vec<usize>, data: Vec<f64>) -> Option<Self> {
        (element_count(&shape)? == data.len()).then_some(Self { shape, data })
    }

    #[must_use]
    pub fn scalar(value: f64) -> Self {
        Self { shape: Vec::new(), data: vec![value] }
    }

    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    #[must_use]
    pub fn data(&self) -> &[f64] {
        &self.data
    }
}
