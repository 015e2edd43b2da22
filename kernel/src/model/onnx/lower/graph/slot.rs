//! What a value of the graph is while it is being lowered.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::super::comparison::Step;
use crate::model::ir::{NodeId, Source, Tensor};
use crate::model::onnx::proto::DataType;
use crate::model::onnx::value::{BoolTensor, IntTensor, Value};

/// A graph value: a constant known exactly, a node of the network, or a comparison waiting to be understood.
#[derive(Clone)]
pub enum Slot {
    Constant(Rc<Constant>),
    Node(NodeId),
    Step(Rc<Step>),
}

/// A constant that is not (or not only) a node of the network.
pub struct Constant {
    /// Floating point values are read in [`Graph::decide`](super::Graph::decide) alone.
    pub(super) value: Value,
    /// The type of its elements, which bounds integer arithmetic.
    element: DataType,
    /// Name of the tensor in the file, or of the node that made it.
    pub(super) name: String,
    /// `Initializer`, `Constant`, or the operator that made it.
    pub(super) operator: String,
    /// Whether it is read more than once. Then it stays one node, so that the tie between its uses remains visible.
    shared: Cell<bool>,
    /// Its node, once there is one.
    pub(super) node: Cell<Option<NodeId>>,
    /// For a tensor of the file: how it stands there.
    pub(super) stated: Option<Stated>,
}

impl Constant {
    pub fn share(&self) {
        self.shared.set(true);
    }

    /// Number of elements.
    pub fn size(&self) -> usize {
        self.value.size()
    }

    /// Whether it may be moved as it stands: integers always, a floating point tensor unless that would separate two uses of it.
    pub fn is_movable(&self) -> bool {
        self.value.as_float().is_none() || !self.shared.get()
    }

    /// The same elements in their order under another shape; `None` where that does not hold as many.
    pub fn reshaped(&self, shape: Vec<usize>) -> Option<Slot> {
        let value = match &self.value {
            Value::Float(tensor) => Value::Float(Tensor::new(shape, tensor.data().to_vec())?),
            Value::Int(tensor) => Value::Int(IntTensor::new(shape, tensor.data().to_vec())?),
            Value::Bool(tensor) => Value::Bool(BoolTensor::new(shape, tensor.data().to_vec())?),
        };
        Some(self.moved(value, self.stated.clone()))
    }

    /// A tensor of that shape made of elements of constants: of one, or of several that hold integers or truth values. `None`
    /// where an element does not exist, the kinds differ, or floating point tensors would be mixed.
    pub fn gathered(constants: &[&Self], shape: &[usize], sources: &[Source]) -> Option<Slot> {
        let value = gather(&constants.iter().map(|constant| &constant.value).collect::<Vec<_>>(), shape, sources)?;
        let stated = match (constants, &value) {
            ([only], Value::Float(_)) => only.stated.as_ref(),
            (_, Value::Float(_)) => return None,
            _ => None,
        };
        let stated = stated.map(|stated| stated.moved(sources.len(), |index| sources[index].element as usize));
        constants.first().map(|first| first.moved(value, stated))
    }

    /// A moved constant keeps the name of the tensor it came from.
    fn moved(&self, value: Value, stated: Option<Stated>) -> Slot {
        Slot::Constant(Rc::new(Self {
            value,
            element: self.element,
            name: self.name.clone(),
            operator: self.operator.clone(),
            shared: Cell::new(false),
            node: Cell::new(None),
            stated,
        }))
    }
}

/// The moved elements of constants of one kind.
pub fn gather(constants: &[&Value], shape: &[usize], sources: &[Source]) -> Option<Value> {
    fn pick<'v, T: Copy + 'v>(
        constants: &[&'v Value],
        sources: &[Source],
        data: impl Fn(&'v Value) -> Option<&'v [T]>,
    ) -> Option<Vec<T>> {
        let data: Vec<&[T]> = constants.iter().map(|value| data(value)).collect::<Option<_>>()?;
        sources.iter().map(|s| data.get(s.operand as usize)?.get(s.element as usize).copied()).collect()
    }
    let shape = shape.to_vec();
    match constants.first()? {
        Value::Float(_) => Tensor::new(shape, pick(constants, sources, |v| v.as_float().map(Tensor::data))?).map(Value::Float),
        Value::Int(_) => IntTensor::new(shape, pick(constants, sources, Value::as_ints)?).map(Value::Int),
        Value::Bool(_) => BoolTensor::new(shape, pick(constants, sources, Value::as_bools)?).map(Value::Bool),
    }
}

/// Where the elements of a moved constant stand in the file.
#[derive(Clone)]
pub struct Stated {
    /// Shape in the file.
    pub shape: Arc<[usize]>,
    /// Per element its flat index in the file; `None` where the order is the file's.
    pub elements: Option<Arc<[u32]>>,
}

impl Stated {
    /// After a movement that takes element `i` from `source(i)`.
    pub fn moved(&self, count: usize, source: impl Fn(usize) -> usize) -> Self {
        let from = |index: usize| match &self.elements {
            Some(elements) => elements.get(index).copied().unwrap_or(u32::MAX),
            None => u32::try_from(index).unwrap_or(u32::MAX),
        };
        Self { shape: self.shape.clone(), elements: Some((0..count).map(|index| from(source(index))).collect()) }
    }
}

/// [`Constant::operator`] of tensors that stand in the file; all others are made by the lowering.
pub const INITIALIZER: &str = "Initializer";
pub const CONSTANT: &str = "Constant";

impl Slot {
    pub fn constant(value: Value, element: DataType, name: &str, operator: &str) -> Self {
        let stated = matches!(operator, INITIALIZER | CONSTANT).then(|| Stated { shape: value.shape().into(), elements: None });
        Self::Constant(Rc::new(Constant {
            value,
            element,
            name: name.to_owned(),
            operator: operator.to_owned(),
            shared: Cell::new(false),
            node: Cell::new(None),
            stated,
        }))
    }

    pub fn scalar(value: f64, name: &str, operator: &str) -> Self {
        Self::constant(Value::Float(Tensor::scalar(value)), DataType::Float, name, operator)
    }

    /// The integers or truth values that this constant holds. They depend on no floating point tensor of the file that is not
    /// frozen, because only a decision makes them of one.
    pub fn discrete(&self) -> Option<&Value> {
        match self {
            Self::Constant(constant) if constant.value.as_float().is_none() => Some(&constant.value),
            _ => None,
        }
    }

    /// The integers that this constant holds, with their type.
    pub fn integers(&self) -> Option<(&IntTensor, DataType)> {
        match self {
            Self::Constant(constant) => match &constant.value {
                Value::Int(tensor) => Some((tensor, constant.element)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The values of an integer type, as far as they can be held here.
pub fn integer_range(element: DataType) -> Option<std::ops::RangeInclusive<i64>> {
    Some(match element {
        DataType::Int8 => i8::MIN.into()..=i8::MAX.into(),
        DataType::Int16 => i16::MIN.into()..=i16::MAX.into(),
        DataType::Int32 => i32::MIN.into()..=i32::MAX.into(),
        DataType::Int64 => i64::MIN..=i64::MAX,
        DataType::Uint8 => 0..=u8::MAX.into(),
        DataType::Uint16 => 0..=u16::MAX.into(),
        DataType::Uint32 => 0..=u32::MAX.into(),
        DataType::Uint64 => 0..=i64::MAX,
        _ => return None,
    })
}
