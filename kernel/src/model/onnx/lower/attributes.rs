//! Typed access to the attributes of a node.
//!
//! An attribute of another type than its operator defines is an error, never a default. Where the file states the type but
//! omits the value, the value is zero: some writers drop zeros.

use super::super::error::NodeError;
use super::super::proto::{AttributeProto, AttributeType, TensorProto};
use super::site::Site;

impl<'a> Site<'a> {
    /// The attribute, if it is present, checked to be of that type.
    fn attribute(&self, name: &str, expected: AttributeType) -> Result<Option<&'a AttributeProto>, NodeError> {
        let Some(attribute) = self.proto.attribute_named(name) else { return Ok(None) };
        if !attribute.ref_attr_name.is_empty() {
            return Err(NodeError::attribute(name, "refers to an attribute of a function"));
        }
        let held = attribute.r#type;
        if held != expected as i32 && held != AttributeType::Undefined as i32 {
            return Err(NodeError::attribute(name, format!("has another type than {expected:?}")));
        }
        Ok(Some(attribute))
    }

    /// A value that is missing although its attribute is present: zero if the type is stated.
    fn omitted<T: Default>(attribute: &AttributeProto) -> Result<T, NodeError> {
        if attribute.r#type == AttributeType::Undefined as i32 {
            return Err(NodeError::attribute(&attribute.name, "holds no value of its type"));
        }
        Ok(T::default())
    }

    pub fn has_attribute(&self, name: &str) -> bool {
        self.proto.attribute_named(name).is_some()
    }

    pub fn optional_int(&self, name: &str) -> Result<Option<i64>, NodeError> {
        let Some(attribute) = self.attribute(name, AttributeType::Int)? else { return Ok(None) };
        attribute.i.map_or_else(|| Self::omitted(attribute), Ok).map(Some)
    }

    pub fn int(&self, name: &str, default: i64) -> Result<i64, NodeError> {
        Ok(self.optional_int(name)?.unwrap_or(default))
    }

    /// An attribute that is 0 or 1.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, NodeError> {
        match self.int(name, i64::from(default))? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(NodeError::attribute(name, format!("is {other}, not 0 or 1"))),
        }
    }

    pub fn optional_ints(&self, name: &str) -> Result<Option<&'a [i64]>, NodeError> {
        Ok(self.attribute(name, AttributeType::Ints)?.map(|attribute| attribute.ints.as_slice()))
    }

    /// The exact value of the `f32` attribute; infinite or NaN only where `optional_float_unchecked` is asked.
    pub fn optional_float(&self, name: &str) -> Result<Option<f64>, NodeError> {
        let value = self.optional_float_unchecked(name)?;
        match value {
            Some(value) if !value.is_finite() => Err(NodeError::attribute(name, format!("is {value}"))),
            _ => Ok(value),
        }
    }

    pub fn optional_float_unchecked(&self, name: &str) -> Result<Option<f64>, NodeError> {
        let Some(attribute) = self.attribute(name, AttributeType::Float)? else { return Ok(None) };
        attribute.f.map_or_else(|| Self::omitted(attribute), Ok).map(|value: f32| Some(f64::from(value)))
    }

    /// Defaults are `f32` too: ONNX defines them so.
    pub fn float(&self, name: &str, default: f32) -> Result<f64, NodeError> {
        Ok(self.optional_float(name)?.unwrap_or(f64::from(default)))
    }

    pub fn optional_floats(&self, name: &str) -> Result<Option<Vec<f64>>, NodeError> {
        let attribute = self.attribute(name, AttributeType::Floats)?;
        Ok(attribute.map(|attribute| attribute.floats.iter().map(|&value| f64::from(value)).collect()))
    }

    pub fn string(&self, name: &str, default: &'static str) -> Result<&'a str, NodeError> {
        let Some(attribute) = self.attribute(name, AttributeType::String)? else { return Ok(default) };
        let bytes: &[u8] = match &attribute.s {
            Some(bytes) => bytes,
            None => Self::omitted::<&[u8]>(attribute)?,
        };
        std::str::from_utf8(bytes).map_err(|_| NodeError::attribute(name, "is not UTF-8"))
    }

    /// A list of texts; an attribute that is missing is an empty one.
    pub fn strings(&self, name: &str) -> Result<Vec<&'a str>, NodeError> {
        let Some(attribute) = self.attribute(name, AttributeType::Strings)? else { return Ok(Vec::new()) };
        let text = |bytes: &'a Vec<u8>| std::str::from_utf8(bytes);
        attribute.strings.iter().map(text).collect::<Result<_, _>>().map_err(|_| NodeError::attribute(name, "is not UTF-8"))
    }

    pub fn optional_tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, NodeError> {
        let Some(attribute) = self.attribute(name, AttributeType::Tensor)? else { return Ok(None) };
        attribute.t.as_ref().map(Some).ok_or_else(|| NodeError::attribute(name, "holds no tensor"))
    }
}
