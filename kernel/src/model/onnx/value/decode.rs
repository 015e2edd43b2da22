//! A tensor message to its values, exactly: every supported type is contained in `f64`, `i64` or `bool`.

use super::{BoolTensor, IntTensor, Value};
use crate::model::ir::{MAX_ELEMENTS, Tensor, element_count};
use crate::model::onnx::error::TensorError;
use crate::model::onnx::external::ExternalData;
use crate::model::onnx::proto::{DataType, TensorProto};

/// Largest number of dimensions of a tensor.
const MAX_RANK: usize = 64;

/// Decodes a tensor from `raw_data`, from the field of its type, or from its external file.
///
/// Floating point values (`FLOAT`, `DOUBLE`, `FLOAT16`, `BFLOAT16`) are widened exactly and may be infinite or NaN. Integers
/// become `i64`. `external` also counts elements over all tensors of the model, so decode each tensor once.
///
/// # Errors
/// [`TensorError`] for any other type, for dimensions that are negative or too large, for values that do not fit their type,
/// and unless the tensor holds exactly as many values as its dimensions say, in one place.
pub fn decode_tensor(tensor: &TensorProto, external: &mut ExternalData) -> Result<Value, TensorError> {
    let element = Element::of(tensor.data_type)?;
    if tensor.segment.is_some() {
        return Err(TensorError::Segmented);
    }
    let shape = shape(&tensor.dims)?;
    let count = count(&shape, &tensor.dims)?;
    external.take_elements(count)?;
    let held = only_field(tensor)?;
    let length = |found, unit, expected| {
        let error = || TensorError::Length { dims: tensor.dims.clone(), expected, found, unit };
        (found == expected).then_some(()).ok_or_else(error)
    };
    // No overflow: at most 2^27 elements of eight bytes.
    let size = count * element.width();
    let bytes = match tensor.data_location {
        0 if !tensor.external_data.is_empty() => {
            let second = held.unwrap_or("data_location");
            return Err(TensorError::Conflict { first: "external_data", second });
        }
        0 if held == Some("raw_data") => Some(tensor.raw_data.as_deref().unwrap_or_default()),
        0 => None,
        1 => {
            if let Some(second) = held {
                return Err(TensorError::Conflict { first: "external_data", second });
            }
            let bytes = external.read(&tensor.external_data, size)?;
            length(bytes.as_slice().len(), "bytes", size)?;
            return element.read_bytes(shape, bytes.as_slice());
        }
        other => return Err(TensorError::UnknownLocation(other)),
    };
    if let Some(bytes) = bytes {
        length(bytes.len(), "bytes", size)?;
        return element.read_bytes(shape, bytes);
    }
    let field = element.field();
    if let Some(other) = held.filter(|&held| held != field) {
        return Err(TensorError::WrongField { data_type: element.name(), field: other });
    }
    let found = match field {
        "float_data" => tensor.float_data.len(),
        "double_data" => tensor.double_data.len(),
        "int64_data" => tensor.int64_data.len(),
        "uint64_data" => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    };
    length(found, "values", count)?;
    element.read_field(shape, tensor)
}

fn shape(dims: &[i64]) -> Result<Vec<usize>, TensorError> {
    if dims.len() > MAX_RANK {
        return Err(TensorError::TooManyDimensions { rank: dims.len(), limit: MAX_RANK });
    }
    let extent = |(axis, &extent): (usize, &i64)| match usize::try_from(extent) {
        Ok(extent) => Ok(extent),
        Err(_) if extent < 0 => Err(TensorError::NegativeDimension { axis, extent }),
        Err(_) => Err(too_large(dims)),
    };
    dims.iter().enumerate().map(extent).collect()
}

fn count(shape: &[usize], dims: &[i64]) -> Result<usize, TensorError> {
    // The extents without the zeros must have a product too: it is what strides are made of.
    let nonzero: Vec<usize> = shape.iter().copied().filter(|&extent| extent > 0).collect();
    match (element_count(shape), element_count(&nonzero)) {
        (Some(count), Some(_)) if count <= MAX_ELEMENTS => Ok(count),
        _ => Err(too_large(dims)),
    }
}

fn too_large(dims: &[i64]) -> TensorError {
    TensorError::TooLarge { dims: dims.to_vec(), limit: MAX_ELEMENTS }
}

/// The one field of the message that holds values, if any does.
fn only_field(tensor: &TensorProto) -> Result<Option<&'static str>, TensorError> {
    let fields = [
        ("raw_data", tensor.raw_data.as_ref().is_some_and(|bytes| !bytes.is_empty())),
        ("float_data", !tensor.float_data.is_empty()),
        ("int32_data", !tensor.int32_data.is_empty()),
        ("string_data", !tensor.string_data.is_empty()),
        ("int64_data", !tensor.int64_data.is_empty()),
        ("double_data", !tensor.double_data.is_empty()),
        ("uint64_data", !tensor.uint64_data.is_empty()),
    ];
    let mut used = fields.iter().filter(|(_, used)| *used).map(|(name, _)| *name);
    match (used.next(), used.next()) {
        (Some(first), Some(second)) => Err(TensorError::Conflict { first, second }),
        (first, _) => Ok(first),
    }
}

/// A supported element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Float,
    Double,
    Float16,
    Bfloat16,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Bool,
}

impl Element {
    fn of(data_type: i32) -> Result<Self, TensorError> {
        let Ok(data_type) = DataType::try_from(data_type) else {
            return Err(TensorError::UnsupportedType(format!("number {data_type}")));
        };
        Ok(match data_type {
            DataType::Float => Self::Float,
            DataType::Double => Self::Double,
            DataType::Float16 => Self::Float16,
            DataType::Bfloat16 => Self::Bfloat16,
            DataType::Int8 => Self::Int8,
            DataType::Int16 => Self::Int16,
            DataType::Int32 => Self::Int32,
            DataType::Int64 => Self::Int64,
            DataType::Uint8 => Self::Uint8,
            DataType::Uint16 => Self::Uint16,
            DataType::Uint32 => Self::Uint32,
            DataType::Uint64 => Self::Uint64,
            DataType::Bool => Self::Bool,
            other => return Err(TensorError::UnsupportedType(other.name().to_owned())),
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Float => DataType::Float.name(),
            Self::Double => DataType::Double.name(),
            Self::Float16 => DataType::Float16.name(),
            Self::Bfloat16 => DataType::Bfloat16.name(),
            Self::Int8 => DataType::Int8.name(),
            Self::Int16 => DataType::Int16.name(),
            Self::Int32 => DataType::Int32.name(),
            Self::Int64 => DataType::Int64.name(),
            Self::Uint8 => DataType::Uint8.name(),
            Self::Uint16 => DataType::Uint16.name(),
            Self::Uint32 => DataType::Uint32.name(),
            Self::Uint64 => DataType::Uint64.name(),
            Self::Bool => DataType::Bool.name(),
        }
    }

    /// Bytes of an element in raw and external data.
    const fn width(self) -> usize {
        match self {
            Self::Int8 | Self::Uint8 | Self::Bool => 1,
            Self::Float16 | Self::Bfloat16 | Self::Int16 | Self::Uint16 => 2,
            Self::Float | Self::Int32 | Self::Uint32 => 4,
            Self::Double | Self::Int64 | Self::Uint64 => 8,
        }
    }

    /// The field that holds the values where they are not raw.
    const fn field(self) -> &'static str {
        match self {
            Self::Float => "float_data",
            Self::Double => "double_data",
            Self::Int64 => "int64_data",
            Self::Uint32 | Self::Uint64 => "uint64_data",
            _ => "int32_data",
        }
    }

    /// `bytes` has exactly the length that the shape needs.
    fn read_bytes(self, shape: Vec<usize>, bytes: &[u8]) -> Result<Value, TensorError> {
        match self {
            Self::Float => floats(shape, words(bytes).map(|word| f64::from(f32::from_le_bytes(word)))),
            Self::Double => floats(shape, words(bytes).map(f64::from_le_bytes)),
            Self::Float16 => floats(shape, words(bytes).map(|word| half(u16::from_le_bytes(word)))),
            Self::Bfloat16 => floats(shape, words(bytes).map(|word| bfloat(u16::from_le_bytes(word)))),
            Self::Int8 => self.ints(shape, words(bytes).map(i8::from_le_bytes)),
            Self::Int16 => self.ints(shape, words(bytes).map(i16::from_le_bytes)),
            Self::Int32 => self.ints(shape, words(bytes).map(i32::from_le_bytes)),
            Self::Int64 => self.ints(shape, words(bytes).map(i64::from_le_bytes)),
            Self::Uint8 => self.ints(shape, words(bytes).map(u8::from_le_bytes)),
            Self::Uint16 => self.ints(shape, words(bytes).map(u16::from_le_bytes)),
            Self::Uint32 => self.ints(shape, words(bytes).map(u32::from_le_bytes)),
            Self::Uint64 => self.ints(shape, words(bytes).map(u64::from_le_bytes)),
            Self::Bool => self.bools(shape, bytes.iter().map(|&byte| i32::from(byte))),
        }
    }

    /// The field of this type has exactly as many values as the shape needs.
    fn read_field(self, shape: Vec<usize>, tensor: &TensorProto) -> Result<Value, TensorError> {
        let narrow = || tensor.int32_data.iter().copied();
        match self {
            Self::Float => floats(shape, tensor.float_data.iter().map(|&value| f64::from(value))),
            Self::Double => floats(shape, tensor.double_data.iter().copied()),
            Self::Float16 => floats(shape, self.narrowed::<u16>(narrow())?.into_iter().map(half)),
            Self::Bfloat16 => floats(shape, self.narrowed::<u16>(narrow())?.into_iter().map(bfloat)),
            Self::Int8 => self.ints(shape, self.narrowed::<i8>(narrow())?.into_iter()),
            Self::Int16 => self.ints(shape, self.narrowed::<i16>(narrow())?.into_iter()),
            Self::Int32 => self.ints(shape, narrow()),
            Self::Int64 => self.ints(shape, tensor.int64_data.iter().copied()),
            Self::Uint8 => self.ints(shape, self.narrowed::<u8>(narrow())?.into_iter()),
            Self::Uint16 => self.ints(shape, self.narrowed::<u16>(narrow())?.into_iter()),
            Self::Uint32 => self.ints(shape, self.narrowed::<u32>(tensor.uint64_data.iter().copied())?.into_iter()),
            Self::Uint64 => self.ints(shape, tensor.uint64_data.iter().copied()),
            Self::Bool => self.bools(shape, narrow()),
        }
    }

    /// Values of a wider field that must fit this type.
    fn narrowed<N>(self, values: impl Iterator<Item = impl TryInto<N> + Copy + ToString>) -> Result<Vec<N>, TensorError> {
        let narrow = |(index, value): (usize, _)| narrow(value).ok_or_else(|| self.out_of_range(index, &value));
        values.enumerate().map(narrow).collect()
    }

    fn ints(
        self,
        shape: Vec<usize>,
        values: impl Iterator<Item = impl TryInto<i64> + Copy + ToString>,
    ) -> Result<Value, TensorError> {
        let data = self.narrowed::<i64>(values)?;
        Ok(Value::Int(IntTensor { shape, data }))
    }

    fn bools(self, shape: Vec<usize>, values: impl Iterator<Item = i32>) -> Result<Value, TensorError> {
        let truth = |(index, value): (usize, i32)| match value {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.out_of_range(index, &value)),
        };
        let data = values.enumerate().map(truth).collect::<Result<_, _>>()?;
        Ok(Value::Bool(BoolTensor { shape, data }))
    }

    fn out_of_range(self, index: usize, value: &impl ToString) -> TensorError {
        TensorError::OutOfRange { index, value: value.to_string(), data_type: self.name() }
    }
}

fn narrow<N>(value: impl TryInto<N>) -> Option<N> {
    value.try_into().ok()
}

/// The callers have compared the number of values with the shape.
fn floats(shape: Vec<usize>, values: impl Iterator<Item = f64>) -> Result<Value, TensorError> {
    let data: Vec<f64> = values.collect();
    let found = data.len();
    let expected = element_count(&shape).unwrap_or(0);
    let error = TensorError::Length { dims: Vec::new(), expected, found, unit: "values" };
    Tensor::new(shape, data).map(Value::Float).ok_or(error)
}

/// Consecutive words of `N` bytes.
fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// The upper half of an `f32`.
fn bfloat(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

/// IEEE 754 binary16: one sign bit, five of exponent with bias 15, ten of fraction.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match (bits >> 10) & 0x1f {
        // Subnormal: a multiple of 2^-24.
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        exponent => (1024.0 + fraction) * 2f64.powi(i32::from(exponent) - 25),
    };
    if bits >> 15 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests;
