//! What a value of the graph is while it is being lowered.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::super::proto::DataType;
use super::super::value::{IntTensor, Value};
use super::comparison::Step;
use crate::ir::{NodeId, Tensor};

/// A graph value: a constant known exactly, a node of the network, or a comparison waiting to be understood.
#[derive(Clone)]
pub(super) enum Slot {
    Constant(Rc<Constant>),
    Node(NodeId),
    Step(Rc<Step>),
}

/// A constant that is not (or not only) a node of the network.
pub(super) struct Constant {
    pub value: Value,
    /// The type of its elements, which bounds integer arithmetic.
    pub element: DataType,
    /// Name of the tensor in the file, or of the node that made it.
    pub name: String,
    /// `Initializer`, `Constant`, or the operator that made it.
    pub operator: String,
    /// Is it read more than once? Then it stays one node, so that the tie between its uses remains visible.
    pub shared: Cell<bool>,
    /// Its node, once there is one.
    pub node: Cell<Option<NodeId>>,
    /// For a tensor of the file: how it stands there.
    pub stated: Option<Stated>,
}

/// Where the elements of a moved constant stand in the file.
#[derive(Clone)]
pub(super) struct Stated {
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
pub(super) const INITIALIZER: &str = "Initializer";
pub(super) const CONSTANT: &str = "Constant";

impl Slot {
    pub fn constant(value: Value, element: DataType, name: &str, operator: &str) -> Self {
        let stated = matches!(operator, INITIALIZER | CONSTANT).then(|| Stated { shape: value.shape().into(), elements: None });
        Self::moved(value, element, name, operator, stated)
    }

    /// A constant whose place in the file is known already.
    pub fn moved(value: Value, element: DataType, name: &str, operator: &str, stated: Option<Stated>) -> Self {
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

    /// The constant's value, unless this is a node or a step.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Constant(constant) => Some(&constant.value),
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

    /// Is this a constant of integers or truth values, on which arithmetic is exact?
    pub fn is_discrete(&self) -> bool {
        matches!(self.value(), Some(Value::Int(_) | Value::Bool(_)))
    }
}

/// The values of an integer type, as far as they can be held here.
pub(super) fn integer_range(element: DataType) -> Option<std::ops::RangeInclusive<i64>> {
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
