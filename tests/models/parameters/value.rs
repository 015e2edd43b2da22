//! Tensors as the oracle computes with them, and the indices of their elements.

/// A result, or why the graph has none.
pub type Found<T> = Result<T, String>;

#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Floats(Vec<f64>),
    Ints(Vec<i64>),
    Truths(Vec<bool>),
}

/// A row-major tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub shape: Vec<usize>,
    pub data: Data,
}

/// Elements that a tensor may have: files with other values than their own may ask for any number.
pub const LARGEST: usize = 1 << 16;

/// The number of elements of a shape.
pub fn count(shape: &[usize]) -> usize {
    shape.iter().copied().fold(1, usize::saturating_mul)
}

/// Row-major strides.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Every index of a shape, in row-major order.
pub fn for_each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    let mut index = vec![0; shape.len()];
    for _ in 0..count(shape) {
        visit(&index);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// The position of an index under strides.
pub fn flat(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(i, stride)| i * stride).sum()
}

/// The common shape of two tensors by the rules of broadcasting.
pub fn broadcast(a: &[usize], b: &[usize]) -> Found<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |own| shape[own]);
    (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (1, other) | (other, 1) => Ok(other),
            (own, other) if own == other => Ok(own),
            _ => Err(format!("{a:?} and {b:?} do not broadcast")),
        })
        .collect()
}

/// An axis that may count from the end.
pub fn axis(axis: i64, rank: usize) -> Found<usize> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(counted).ok().filter(|&axis| axis < rank).ok_or_else(|| format!("axis {axis} of {rank}"))
}

impl Value {
    pub fn floats(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(count(shape), data.len(), "{shape:?}");
        Self { shape: shape.to_vec(), data: Data::Floats(data) }
    }

    pub fn ints(shape: &[usize], data: Vec<i64>) -> Self {
        assert_eq!(count(shape), data.len(), "{shape:?}");
        Self { shape: shape.to_vec(), data: Data::Ints(data) }
    }

    pub fn truths(shape: &[usize], data: Vec<bool>) -> Self {
        assert_eq!(count(shape), data.len(), "{shape:?}");
        Self { shape: shape.to_vec(), data: Data::Truths(data) }
    }

    pub fn size(&self) -> usize {
        count(&self.shape)
    }

    pub fn as_floats(&self) -> Found<&[f64]> {
        match &self.data {
            Data::Floats(data) => Ok(data),
            _ => Err("not floating point".to_owned()),
        }
    }

    pub fn as_ints(&self) -> Found<&[i64]> {
        match &self.data {
            Data::Ints(data) => Ok(data),
            _ => Err("not integers".to_owned()),
        }
    }

    pub fn as_truths(&self) -> Found<&[bool]> {
        match &self.data {
            Data::Truths(data) => Ok(data),
            _ => Err("not truth values".to_owned()),
        }
    }

    /// The same elements under another shape.
    pub fn reshaped(&self, shape: Vec<usize>) -> Found<Self> {
        if count(&shape) != self.size() {
            return Err(format!("{:?} cannot become {shape:?}", self.shape));
        }
        Ok(Self { shape, data: self.data.clone() })
    }

    /// A tensor whose element at an index is the element of this one at a position.
    pub fn picked(&self, shape: Vec<usize>, mut source: impl FnMut(&[usize]) -> usize) -> Found<Self> {
        assemble(&[self], shape, |index| (0, source(index)))
    }

    /// Repeats elements along axes of extent 1.
    pub fn expanded(&self, shape: &[usize]) -> Found<Self> {
        if self.shape == shape {
            return Ok(self.clone());
        }
        let steps = expansion(&self.shape, shape)?;
        self.picked(shape.to_vec(), |index| flat(index, &steps))
    }

    pub fn transposed(&self, order: &[usize]) -> Found<Self> {
        if order.len() != self.shape.len() {
            return Err(format!("{:?} in the order {order:?}", self.shape));
        }
        let own = strides(&self.shape);
        let steps: Vec<usize> = order.iter().map(|&axis| own[axis]).collect();
        self.picked(order.iter().map(|&axis| self.shape[axis]).collect(), |index| flat(index, &steps))
    }
}

/// Strides that read a tensor of shape `own` at the indices of `shape`.
pub fn expansion(own: &[usize], shape: &[usize]) -> Found<Vec<usize>> {
    if broadcast(own, shape)? != shape {
        return Err(format!("{own:?} does not expand to {shape:?}"));
    }
    let mut steps = vec![0; shape.len() - own.len()];
    steps.extend(strides(own).into_iter().zip(own).map(|(step, &extent)| if extent == 1 { 0 } else { step }));
    Ok(steps)
}

/// A tensor made of elements of several of one kind: per index which of them, and the position in it.
pub fn assemble(parts: &[&Value], shape: Vec<usize>, mut source: impl FnMut(&[usize]) -> (usize, usize)) -> Found<Value> {
    if count(&shape) > LARGEST {
        return Err(format!("a tensor of shape {shape:?}"));
    }
    let mut sources = Vec::with_capacity(count(&shape));
    for_each_index(&shape, |index| sources.push(source(index)));
    let data = match parts.first().map(|part| &part.data) {
        Some(Data::Floats(_)) => Data::Floats(pick(parts, &sources, Value::as_floats)?),
        Some(Data::Ints(_)) => Data::Ints(pick(parts, &sources, Value::as_ints)?),
        Some(Data::Truths(_)) => Data::Truths(pick(parts, &sources, Value::as_truths)?),
        None => return Err("made of nothing".to_owned()),
    };
    Ok(Value { shape, data })
}

/// The elements of parts of one kind.
fn pick<'v, T: Copy + 'v>(
    parts: &[&'v Value],
    sources: &[(usize, usize)],
    data: impl Fn(&'v Value) -> Found<&'v [T]>,
) -> Found<Vec<T>> {
    let data = parts.iter().map(|part| data(part)).collect::<Found<Vec<&[T]>>>()?;
    let element = |&(part, at): &(usize, usize)| data.get(part).and_then(|data| data.get(at)).copied();
    sources.iter().map(|source| element(source).ok_or_else(|| "an element does not exist".to_owned())).collect()
}
