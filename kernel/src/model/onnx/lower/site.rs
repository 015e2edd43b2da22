//! One node being lowered: its inputs, and the building blocks from which every operator is made.
//!
//! Movement of elements happens in one place, [`Site::rearrange`]: constants are moved exactly, except those that are read
//! more than once or would be copied; they stay one node. Arithmetic on floating point constants is never carried out here.

use super::super::error::NodeError;
use super::super::external::ExternalData;
use super::super::proto::{DataType, NodeProto, TensorProto};
use super::super::value::{BoolTensor, IntTensor, Value, decode_tensor};
use super::folding::broadcast_source;
use super::graph::{Constant, Graph, Reader, Slot, checked_count, integer_range};
use super::indices::{broadcast_shapes, flat, for_each_index, source, strides};
use crate::model::ir::{Binary, Function, Op, Reduction, Source, Tensor, element_count};

pub(super) struct Site<'a> {
    pub proto: &'a NodeProto,
    /// Name of the node, or of its first output.
    pub name: &'a str,
    /// The version of the node's domain.
    pub opset: i64,
    /// Whether each output is read.
    pub used: Vec<bool>,
    pub inputs: Vec<Option<Slot>>,
    pub graph: &'a mut Graph,
    pub external: &'a mut ExternalData,
}

/// Inputs.
impl Site<'_> {
    pub fn optional(&self, index: usize) -> Option<Slot> {
        self.inputs.get(index).cloned().flatten()
    }

    pub fn input(&self, index: usize) -> Result<Slot, NodeError> {
        self.optional(index).ok_or_else(|| NodeError::invalid(format!("input {} is missing", index + 1)))
    }

    /// The inputs of a variadic operator.
    pub fn all_inputs(&self) -> Result<Vec<Slot>, NodeError> {
        (0..self.inputs.len()).map(|index| self.input(index)).collect()
    }

    /// An optional input that holds integers known before the network runs.
    pub fn optional_ints_input(&self, index: usize) -> Result<Option<Vec<i64>>, NodeError> {
        let Some(slot) = self.optional(index) else { return Ok(None) };
        match slot.discrete().and_then(Value::as_ints) {
            Some(ints) => Ok(Some(ints.to_vec())),
            None => Err(NodeError::unsupported(format!("input {} must be a constant tensor of integers", index + 1))),
        }
    }

    pub fn ints_input(&self, index: usize) -> Result<Vec<i64>, NodeError> {
        let missing = || NodeError::invalid(format!("input {} is missing", index + 1));
        self.optional_ints_input(index)?.ok_or_else(missing)
    }

    /// An input that is an attribute in older operator sets: before version `since`.
    pub fn ints_by_version(&self, name: &str, index: usize, since: i64) -> Result<Option<Vec<i64>>, NodeError> {
        if self.opset >= since {
            if self.has_attribute(name) {
                return Err(NodeError::attribute(name, format!("is an input since operator set {since}")));
            }
            return self.optional_ints_input(index);
        }
        if self.optional(index).is_some() {
            return Err(NodeError::invalid(format!("input {} exists only since operator set {since}", index + 1)));
        }
        Ok(self.optional_ints(name)?.map(<[i64]>::to_vec))
    }

    /// A tensor attribute.
    pub fn decode(&mut self, tensor: &TensorProto) -> Result<(Value, DataType), NodeError> {
        let element = DataType::try_from(tensor.data_type).unwrap_or(DataType::Undefined);
        self.graph.record_precision(self.name, element);
        Ok((decode_tensor(tensor, self.external)?, element))
    }

    pub fn shape(&self, slot: &Slot) -> Vec<usize> {
        self.graph.shape(slot)
    }

    /// Whether an output of the node is read.
    pub fn is_used(&self, output: usize) -> bool {
        self.used.get(output).copied().unwrap_or(false)
    }

    /// Whether the input does not reach it.
    pub fn is_constant(&self, slot: &Slot) -> bool {
        match slot {
            Slot::Constant(_) => true,
            Slot::Node(id) => !self.graph.see(*id).variable,
            Slot::Step(_) => false,
        }
    }

    /// Comes to a decision that may read values of constants: see [`Graph::decide`].
    pub fn decide<T>(&mut self, decision: impl FnOnce(&Reader) -> Option<T>) -> Option<T> {
        self.graph.decide((self.name, &self.proto.op_type), decision)
    }
}

/// Building blocks.
impl Site<'_> {
    pub fn push(&mut self, op: Op, operands: &[&Slot], shape: Vec<usize>) -> Result<Slot, NodeError> {
        let ids = operands.iter().map(|slot| self.graph.node(slot)).collect::<Result<Vec<_>, _>>()?;
        self.graph.push((self.name, &self.proto.op_type), op, &ids, shape).map(Slot::Node)
    }

    /// A constant that belongs to the operator, not to the file.
    pub fn scalar(&self, value: f64) -> Slot {
        Slot::scalar(value, self.name, &self.proto.op_type)
    }

    pub fn constant(&mut self, value: Value, element: DataType) -> Result<Slot, NodeError> {
        self.graph.charge(value.shape())?;
        Ok(Slot::constant(value, element, self.name, &self.proto.op_type))
    }

    /// Integers of that type; values outside it would wrap around in a runtime.
    pub fn integers(&mut self, element: DataType, shape: Vec<usize>, data: Vec<i64>) -> Result<Slot, NodeError> {
        if !integer_range(element).is_some_and(|range| data.iter().all(|value| range.contains(value))) {
            return Err(NodeError::unsupported(format!("its integers are out of range for {element:?}")));
        }
        let tensor = IntTensor::new(shape, data).ok_or_else(|| NodeError::invalid("a shape does not fit its values"))?;
        self.constant(Value::Int(tensor), element)
    }

    pub fn bool_constant(&mut self, shape: Vec<usize>, data: Vec<bool>) -> Result<Slot, NodeError> {
        let tensor = BoolTensor::new(shape, data).ok_or_else(|| NodeError::invalid("a shape does not fit its values"))?;
        self.constant(Value::Bool(tensor), DataType::Bool)
    }

    /// The elements in their order under another shape.
    pub fn reshape(&mut self, slot: &Slot, shape: Vec<usize>) -> Result<Slot, NodeError> {
        let from = self.shape(slot);
        if from == shape {
            return Ok(slot.clone());
        }
        if element_count(&from) != element_count(&shape) {
            return Err(NodeError::invalid(format!("a tensor of shape {from:?} cannot take the shape {shape:?}")));
        }
        match slot {
            Slot::Constant(constant) if constant.is_movable() => {
                self.charge_discrete(slot, constant.size())?;
                constant.reshaped(shape).ok_or_else(|| NodeError::invalid("a shape does not fit its values"))
            }
            Slot::Node(id) => {
                let node = self.graph.see(*id);
                let origin = if node.op == Some(&Op::Reshape) { node.operands.first().copied().unwrap_or(*id) } else { *id };
                if self.graph.see(origin).shape == shape {
                    return Ok(Slot::Node(origin));
                }
                self.push(Op::Reshape, &[&Slot::Node(origin)], shape)
            }
            _ => self.push(Op::Reshape, &[slot], shape),
        }
    }

    /// A tensor of that shape whose element at an index is an element of an operand.
    pub fn rearrange(
        &mut self,
        operands: &[Slot],
        shape: Vec<usize>,
        mut element: impl FnMut(&[usize]) -> Source,
    ) -> Result<Slot, NodeError> {
        let mut sources = Vec::with_capacity(checked_count(&shape)?);
        for_each_index(&shape, |index| sources.push(element(index)));
        self.moved(operands, shape, sources)
    }

    fn moved(&mut self, operands: &[Slot], shape: Vec<usize>, mut sources: Vec<Source>) -> Result<Slot, NodeError> {
        if sources.is_empty() {
            return self.empty(operands.first(), shape);
        }
        let mut used = vec![false; operands.len()];
        for s in &sources {
            if let Some(used) = used.get_mut(s.operand as usize) {
                *used = true;
            }
        }
        let names: Vec<u32> = used
            .iter()
            .scan(0, |next, &used| {
                let name = *next;
                *next += u32::from(used);
                Some(name)
            })
            .collect();
        for s in &mut sources {
            s.operand = names.get(s.operand as usize).copied().unwrap_or(u32::MAX);
        }
        let operands: Vec<&Slot> = operands.iter().zip(&used).filter(|(_, used)| **used).map(|(slot, _)| slot).collect();
        if let [only] = operands[..]
            && element_count(&self.shape(only)) == Some(sources.len())
            && sources.iter().enumerate().all(|(index, s)| s.element as usize == index)
        {
            return self.reshape(only, shape);
        }
        if let Some(constants) = Self::movable(&operands, &sources) {
            self.charge_discrete(operands[0], sources.len())?;
            return Constant::gathered(&constants, &shape, &sources)
                .ok_or_else(|| NodeError::invalid("a constant is read outside its bounds, or mixes kinds of elements"));
        }
        self.push(Op::Rearrange(sources), &operands, shape)
    }

    /// A tensor without elements, of the kind of `like`.
    fn empty(&mut self, like: Option<&Slot>, shape: Vec<usize>) -> Result<Slot, NodeError> {
        match like.and_then(Slot::discrete) {
            Some(Value::Int(_)) => self.integers(DataType::Int64, shape, Vec::new()),
            Some(Value::Bool(_)) => self.bool_constant(shape, Vec::new()),
            _ => {
                let empty = Tensor::new(shape, Vec::new()).ok_or_else(|| NodeError::invalid("a shape is not empty"))?;
                self.constant(Value::Float(empty), DataType::Float)
            }
        }
    }

    /// The operands, if all are constants that may be moved: integers always, a floating point tensor unless that would copy
    /// an element, separate two uses of it, or mix it with another.
    fn movable<'s>(operands: &[&'s Slot], sources: &[Source]) -> Option<Vec<&'s Constant>> {
        let constants: Vec<&Constant> = operands
            .iter()
            .map(|slot| match slot {
                Slot::Constant(constant) => Some(&**constant),
                _ => None,
            })
            .collect::<Option<_>>()?;
        if constants.is_empty() {
            return None;
        }
        if operands.iter().all(|slot| slot.discrete().is_some()) {
            return Some(constants);
        }
        if constants.len() > 1 || !constants.iter().all(|constant| constant.is_movable()) {
            return None;
        }
        let mut seen: Vec<Vec<bool>> = constants.iter().map(|constant| vec![false; constant.size()]).collect();
        let fresh = |s: &Source| {
            let slot = seen.get_mut(s.operand as usize)?.get_mut(s.element as usize)?;
            (!std::mem::replace(slot, true)).then_some(())
        };
        sources.iter().map(fresh).collect::<Option<()>>().map(|()| constants)
    }

    /// Counts a copy of a discrete constant against the limits. A floating point tensor is moved only for its one reader, so it
    /// does not grow.
    fn charge_discrete(&mut self, slot: &Slot, count: usize) -> Result<(), NodeError> {
        if slot.discrete().is_some() { self.graph.charge(&[count]).map(drop) } else { Ok(()) }
    }

    /// The elements that start at `offset` and follow `steps` along each axis of `shape`.
    pub fn view(&mut self, slot: &Slot, shape: Vec<usize>, offset: i64, steps: &[i64]) -> Result<Slot, NodeError> {
        let steps = steps.to_vec();
        self.rearrange(std::slice::from_ref(slot), shape, |index| {
            let along = |(&i, &step): (&usize, &i64)| i64::try_from(i).unwrap_or(i64::MAX).saturating_mul(step);
            let element = index.iter().zip(&steps).map(along).fold(offset, i64::saturating_add);
            source(0, usize::try_from(element).unwrap_or(usize::MAX))
        })
    }

    pub fn broadcast(&mut self, slot: &Slot, shape: &[usize]) -> Result<Slot, NodeError> {
        let from = self.shape(slot);
        if from == shape {
            return Ok(slot.clone());
        }
        if broadcast_shapes(&from, shape).ok().as_deref() != Some(shape) {
            return Err(NodeError::invalid(format!("shape {from:?} does not broadcast to {shape:?}")));
        }
        let element = broadcast_source(&[&from], shape);
        self.rearrange(std::slice::from_ref(slot), shape.to_vec(), |index| element(0, index))
    }

    pub fn transpose(&mut self, slot: &Slot, permutation: &[usize]) -> Result<Slot, NodeError> {
        let from = self.shape(slot);
        let from_strides = strides(&from);
        let shape: Vec<usize> = permutation.iter().map(|&axis| from[axis]).collect();
        let steps: Vec<usize> = permutation.iter().map(|&axis| from_strides[axis]).collect();
        // Weights are large, and a permutation copies nothing: that need not be shown element by element.
        if let Slot::Constant(constant) = slot
            && slot.discrete().is_none()
            && constant.is_movable()
            && permutation.windows(2).any(|pair| pair[0] > pair[1])
        {
            let mut sources = Vec::with_capacity(constant.size());
            for_each_index(&shape, |index| sources.push(source(0, flat(index, &steps))));
            return Constant::gathered(&[constant], &shape, &sources)
                .ok_or_else(|| NodeError::invalid("its axes are not a permutation"));
        }
        self.rearrange(std::slice::from_ref(slot), shape, |index| source(0, flat(index, &steps)))
    }

    /// Elementwise, after broadcasting both operands to their common shape.
    pub fn binary(&mut self, binary: Binary, a: &Slot, b: &Slot) -> Result<Slot, NodeError> {
        let shape = broadcast_shapes(&self.shape(a), &self.shape(b))?;
        if binary == Binary::Div {
            let zero = || NodeError::invalid("divides by a constant that is zero");
            self.graph.require(b, |values| !values.contains(&0.0), zero)?;
        }
        let (a, b) = (self.broadcast(a, &shape)?, self.broadcast(b, &shape)?);
        self.push(Op::Binary(binary), &[&a, &b], shape)
    }

    pub fn function(&mut self, function: Function, x: &Slot) -> Result<Slot, NodeError> {
        let shape = self.shape(x);
        self.push(Op::Function(function), &[x], shape)
    }

    /// Reduces the last `count` axes.
    pub fn reduce_last(&mut self, reduction: Reduction, x: &Slot, count: usize) -> Result<Slot, NodeError> {
        let mut kept = self.shape(x);
        let reduced = kept.split_off(kept.len().saturating_sub(count));
        let size = element_count(&reduced).unwrap_or(usize::MAX);
        let groups = element_count(&kept).unwrap_or(usize::MAX);
        if size == 0 {
            return Err(NodeError::invalid("reduces over no elements"));
        }
        let rows = self.reshape(x, vec![groups, size])?;
        let result = if size == 1 {
            self.reshape(&rows, vec![groups])?
        } else {
            self.push(Op::Reduce(reduction), &[&rows], vec![groups])?
        };
        self.reshape(&result, kept)
    }
}
