//! Values of constants: what lowering computes shapes with, and the weights.

mod decode;

pub use decode::decode_tensor;

use crate::model::ir::{Tensor, element_count};

/// A constant of the model file: floating point values exactly as stored, integers, or truth values.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Float(Tensor),
    Int(IntTensor),
    Bool(BoolTensor),
}

/// A row-major tensor of integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntTensor {
    shape: Vec<usize>,
    data: Vec<i64>,
}

/// A row-major tensor of truth values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoolTensor {
    shape: Vec<usize>,
    data: Vec<bool>,
}

impl IntTensor {
    /// `None` when `data` does not have exactly as many values as `shape` says.
    #[must_use]
    pub fn new(shape: Vec<usize>, data: Vec<i64>) -> Option<Self> {
        (element_count(&shape)? == data.len()).then_some(Self { shape, data })
    }

    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    #[must_use]
    pub fn data(&self) -> &[i64] {
        &self.data
    }
}

impl BoolTensor {
    /// `None` when `data` does not have exactly as many values as `shape` says.
    #[must_use]
    pub fn new(shape: Vec<usize>, data: Vec<bool>) -> Option<Self> {
        (element_count(&shape)? == data.len()).then_some(Self { shape, data })
    }

    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    #[must_use]
    pub fn data(&self) -> &[bool] {
        &self.data
    }
}

impl Value {
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Float(tensor) => tensor.shape(),
            Self::Int(tensor) => tensor.shape(),
            Self::Bool(tensor) => tensor.shape(),
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Float(tensor) => tensor.data().len(),
            Self::Int(tensor) => tensor.data().len(),
            Self::Bool(tensor) => tensor.data().len(),
        }
    }

    #[must_use]
    pub const fn as_float(&self) -> Option<&Tensor> {
        match self {
            Self::Float(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// The elements of an integer tensor.
    #[must_use]
    pub fn as_ints(&self) -> Option<&[i64]> {
        match self {
            Self::Int(tensor) => Some(tensor.data()),
            _ => None,
        }
    }

    /// The elements of a tensor of truth values.
    #[must_use]
    pub fn as_bools(&self) -> Option<&[bool]> {
        match self {
            Self::Bool(tensor) => Some(tensor.data()),
            _ => None,
        }
    }

    /// The kind of elements, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Float(_) => "floating point",
            Self::Int(_) => "integer",
            Self::Bool(_) => "boolean",
        }
    }
}
