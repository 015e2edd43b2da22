//! Constants with given values, which come from stored tensors by random chains of movements and exact arithmetic. Whatever is
//! on the way is used again later.

use super::builder::{Builder, Id, int, ints};
use super::value::{Value, count, strides};

/// Values that rewritings look for, beside `sqrt(2)`.
const PATTERNS: [f64; 10] = [1.0, 3.0, 0.5, 6.0, 2.0, 0.0, -1.0, 0.25, 4.0, 0.75];

/// The longest chain.
pub const DEPTH: usize = 3;

impl Builder {
    /// A value that rewritings may look for, or any other.
    pub fn number(&mut self) -> f64 {
        match self.random.below(10) {
            0 | 1 => self.random.of(&PATTERNS),
            2 => f64::from(std::f32::consts::SQRT_2),
            _ => self.random.uniform(-2.0, 2.0),
        }
    }

    pub fn numbers(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.number()).collect()
    }

    /// A number that some constant holds already, or any other.
    pub fn used_number(&mut self) -> f64 {
        let constants = self.constants();
        if constants.is_empty() || self.random.chance(0.3) {
            return self.number();
        }
        let from = self.random.of(&constants);
        let at = self.random.below(self.value(from).size());
        self.floats(from).get(at).copied().unwrap_or(1.0)
    }

    /// A constant of that shape with exactly these values.
    pub fn exactly(&mut self, shape: &[usize], values: &[f64], depth: usize) -> Id {
        let equal = |own: &[f64]| own == values;
        let pool = self.constants();
        let same: Vec<Id> = pool.iter().copied().filter(|&id| self.value(id).shape == shape && equal(self.floats(id))).collect();
        if !same.is_empty() && self.random.chance(0.4) {
            return self.random.of(&same);
        }
        if self.random.chance(0.5)
            && let Some(found) = self.gathered(shape, values, &pool)
        {
            return found;
        }
        if depth == 0 || self.random.chance(0.2) {
            return self.store(Value::floats(shape, values.to_vec()));
        }
        let arithmetic = self.random.chance(0.35);
        let found = if arithmetic { self.folded(shape, values, depth - 1) } else { self.moved(shape, values, depth - 1) };
        assert!(self.value(found).shape == shape && equal(self.floats(found)), "{:?} is not {values:?}", self.value(found));
        found
    }

    /// The same from elements of a constant that there is already.
    fn gathered(&mut self, shape: &[usize], values: &[f64], pool: &[Id]) -> Option<Id> {
        let places = |id: Id| -> Option<Vec<i64>> {
            let own = self.floats(id);
            values.iter().map(|x| own.iter().position(|y| y == x).map(|at| at as i64)).collect()
        };
        let found: Vec<(Id, Vec<i64>)> = pool.iter().filter_map(|&id| places(id).map(|places| (id, places))).collect();
        if found.is_empty() || values.is_empty() {
            return None;
        }
        let (from, places) = found[self.random.below(found.len())].clone();
        let row = self.reshaped(from, &[self.value(from).size()]);
        let adjacent = places.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let part = if adjacent && self.random.chance(0.6) {
            let (start, end) = (places[0], places[places.len() - 1] + 1);
            self.sliced(row, 0, start, end)
        } else {
            let indices = self.integers(&[places.len()], &places, 0);
            self.node("Gather", &[row, indices], vec![int("axis", 0)])
        };
        Some(self.reshaped(part, shape))
    }

    /// The same elements under another shape, by one of the operators that do it.
    pub fn reshaped(&mut self, id: Id, shape: &[usize]) -> Id {
        let own = self.shape(id);
        if own == shape && self.random.chance(0.7) {
            return id;
        }
        let added = (own.len() + 1 == shape.len()).then(|| (0..shape.len()).find(|&at| removed(shape, at) == own)).flatten();
        let dropped = (shape.len() + 1 == own.len()).then(|| (0..own.len()).find(|&at| removed(&own, at) == shape)).flatten();
        if let Some(at) = added.filter(|&at| shape[at] == 1)
            && self.random.chance(0.6)
        {
            let axes = self.integers(&[1], &[at as i64], 1);
            return self.node("Unsqueeze", &[id, axes], vec![]);
        }
        if let Some(at) = dropped.filter(|&at| own[at] == 1)
            && self.random.chance(0.6)
        {
            let axes = self.integers(&[1], &[at as i64], 1);
            return self.node("Squeeze", &[id, axes], vec![]);
        }
        if shape.len() == 2 && self.random.chance(0.4) {
            let split = (0..=own.len()).find(|&at| count(&own[..at]) == shape[0] && count(&own[at..]) == shape[1]);
            if let Some(at) = split {
                return self.node("Flatten", &[id], vec![int("axis", at as i64)]);
            }
        }
        let mut wanted: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
        if !wanted.is_empty() && count(shape) > 0 && self.random.chance(0.3) {
            let open = self.random.below(wanted.len());
            wanted[open] = -1;
        }
        let wanted = self.integers(&[wanted.len()], &wanted, 1);
        self.node("Reshape", &[id, wanted], vec![])
    }

    pub fn sliced(&mut self, id: Id, axis: usize, start: i64, end: i64) -> Id {
        let bound = |builder: &mut Self, value: i64| builder.integers(&[1], &[value], 1);
        let (start, end, axis) = (bound(self, start), bound(self, end), bound(self, axis as i64));
        self.node("Slice", &[id, start, end, axis], vec![])
    }

    /// By a movement from another constant.
    fn moved(&mut self, shape: &[usize], values: &[f64], depth: usize) -> Id {
        let rank = shape.len();
        let uniform = values.windows(2).all(|pair| pair[0] == pair[1]);
        match self.random.below(14) {
            1 if uniform && !values.is_empty() && self.random.chance(0.5) => {
                let scale = self.exactly(&[], &values[..1], depth);
                let ones = self.store(Value::ints(shape, vec![1; values.len()]));
                self.node("DequantizeLinear", &[ones, scale], vec![])
            }
            1 => {
                let inner = self.exactly(shape, values, depth);
                self.node("Dropout", &[inner], vec![])
            }
            2 => {
                let inner = self.exactly(shape, values, depth);
                let kind = self.random.of(&[1, 11]);
                self.node("Cast", &[inner], vec![int("to", kind)])
            }
            3 | 4 => {
                let other = self.other_shape(shape);
                let inner = self.exactly(&other, values, depth);
                self.reshaped(inner, shape)
            }
            5 if rank >= 2 => {
                let mut order: Vec<usize> = (0..rank).collect();
                let (a, b) = (self.random.below(rank), self.random.below(rank));
                order.swap(a, b);
                let turned = Value::floats(shape, values.to_vec()).transposed(&order).expect("a permutation");
                let turned_values = turned.as_floats().expect("floating point").to_vec();
                let inner = self.exactly(&turned.shape, &turned_values, depth);
                let order: Vec<i64> = order.iter().map(|&at| at as i64).collect();
                self.node("Transpose", &[inner], vec![ints("perm", &order)])
            }
            6 | 7 if rank >= 1 && count(shape) < 8 => {
                // A part of a larger tensor.
                let axis = self.random.below(rank);
                let (before, after) = (self.random.below(3), self.random.below(2));
                let (larger, filled) = self.surrounded(shape, values, axis, before, after);
                let inner = self.exactly(&larger, &filled, depth);
                self.sliced(inner, axis, before as i64, (before + shape[axis]) as i64)
            }
            8 if rank >= 1 && count(shape) < 8 => {
                let axis = self.random.below(rank);
                let after = 1 + self.random.below(2);
                let (larger, filled) = self.surrounded(shape, values, axis, 0, after);
                let inner = self.exactly(&larger, &filled, depth);
                let parts = self.integers(&[2], &[shape[axis] as i64, after as i64], 1);
                self.nodes("Split", &[inner, parts], vec![int("axis", axis as i64)], 2)[0]
            }
            9 if rank >= 1 && shape[0] >= 2 => {
                let at = 1 + self.random.below(shape[0] - 1);
                let inner = count(&shape[1..]);
                let part = |extent: usize| [&[extent], &shape[1..]].concat();
                let first = self.exactly(&part(at), &values[..at * inner], depth);
                let second = self.exactly(&part(shape[0] - at), &values[at * inner..], depth);
                self.node("Concat", &[first, second], vec![int("axis", 0)])
            }
            10 if uniform && !values.is_empty() => {
                let inner = self.exactly(&vec![1; rank], &values[..1], depth);
                let wanted: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
                let wanted = self.integers(&[rank], &wanted, 1);
                let operator = self.random.of(&["Expand", "Tile"]);
                self.node(operator, &[inner, wanted], vec![])
            }
            11 => {
                // Where the condition is known beforehand.
                let truths: Vec<bool> = values.iter().map(|_| self.random.chance(0.5)).collect();
                let other: Vec<f64> = self.numbers(values.len());
                let mixed = |wanted: bool| -> Vec<f64> {
                    (0..values.len()).map(|at| if truths[at] == wanted { values[at] } else { other[at] }).collect()
                };
                let (a, b) = (self.exactly(shape, &mixed(true), depth), self.exactly(shape, &mixed(false), depth));
                let condition = self.truths(shape, &truths);
                self.node("Where", &[condition, a, b], vec![])
            }
            12 if rank >= 1 => {
                // One element of many, by its index.
                let filler = self.random.below(3);
                let at = self.random.below(filler + 1);
                let mut larger = vec![filler + 1];
                larger.extend(shape);
                let mut filled = self.numbers(count(&larger));
                let size = values.len();
                filled[at * size..(at + 1) * size].copy_from_slice(values);
                let inner = self.exactly(&larger, &filled, depth);
                let index = self.integers(&[], &[at as i64], 1);
                self.node("Gather", &[inner, index], vec![int("axis", 0)])
            }
            13 if uniform && !values.is_empty() => {
                let inner = self.exactly(&[], &values[..1], depth);
                let wanted: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
                let wanted = self.integers(&[rank], &wanted, 1);
                self.node("Expand", &[inner, wanted], vec![])
            }
            _ => {
                let inner = self.exactly(shape, values, depth);
                self.node("Identity", &[inner], vec![])
            }
        }
    }

    /// A shape that holds as many elements.
    fn other_shape(&mut self, shape: &[usize]) -> Vec<usize> {
        let size = count(shape);
        match self.random.below(4) {
            0 => vec![size],
            1 => vec![1, size],
            2 => vec![size, 1],
            _ => {
                let divisors: Vec<usize> = (1..=size.max(1)).filter(|d| size.is_multiple_of(*d)).collect();
                let rows = self.random.of(&divisors);
                vec![rows, size / rows]
            }
        }
    }

    /// The values inside a larger tensor.
    fn surrounded(
        &mut self,
        shape: &[usize],
        values: &[f64],
        axis: usize,
        before: usize,
        after: usize,
    ) -> (Vec<usize>, Vec<f64>) {
        let mut larger = shape.to_vec();
        larger[axis] += before + after;
        let mut filled = self.numbers(count(&larger));
        let (own, outer) = (strides(&larger), strides(shape));
        for (at, &value) in values.iter().enumerate() {
            let mut rest = at;
            let mut place = before * own[axis];
            for (step, to) in outer.iter().zip(&own) {
                place += rest / step * to;
                rest %= step;
            }
            filled[place] = value;
        }
        (larger, filled)
    }

    /// By arithmetic from other constants, exactly.
    fn folded(&mut self, shape: &[usize], values: &[f64], depth: usize) -> Id {
        let single = |value: f64| f64::from(value as f32) == value && value.is_finite();
        let map = |f: &dyn Fn(f64) -> f64| values.iter().map(|&x| f(x)).collect::<Vec<f64>>();
        let offset = self.random.of(&[1.0, 0.5, 2.0, -1.0, 0.25]);
        let factor = self.random.of(&[2.0, 0.5, 4.0, -1.0, -2.0]);
        let choice = self.random.below(12);
        // The values of the first operand, and the second operand's one value.
        let (operator, first, second) = match choice {
            0 => ("Add", map(&|x| x - offset), Some(offset)),
            1 => ("Sub", map(&|x| x + offset), Some(offset)),
            2 => ("Mul", map(&|x| x / factor), Some(factor)),
            3 => ("Div", map(&|x| x * factor), Some(factor)),
            4 => ("Max", values.to_vec(), Some(values.iter().copied().fold(f64::INFINITY, f64::min) - offset.abs())),
            5 => ("Min", values.to_vec(), Some(values.iter().copied().fold(f64::NEG_INFINITY, f64::max) + offset.abs())),
            6 => ("Neg", map(&|x| -x), None),
            7 if values.iter().all(|&x| x > 0.0) => ("Abs", map(&|x| x * factor.signum()), None),
            8 if values.iter().all(|&x| x > 0.0 && single(x * x)) => ("Sqrt", map(&|x| x * x), None),
            9 => ("Sum", map(&|x| x - offset), Some(offset)),
            10 if values.iter().all(|&x| x.fract() == 0.0) => ("Floor", map(&|x| x + 0.25), None),
            11 if values.iter().all(|&x| x.fract() == 0.0) => ("Ceil", map(&|x| x - 0.25), None),
            _ => ("Neg", map(&|x| -x), None),
        };
        if !first.iter().chain(&second).all(|&x| single(x)) {
            return self.exactly(shape, values, depth);
        }
        let first = self.exactly(shape, &first, depth);
        let Some(second) = second else { return self.node(operator, &[first], vec![]) };
        let scalar = self.random.chance(0.6);
        let second =
            if scalar { self.exactly(&[], &[second], depth) } else { self.exactly(shape, &vec![second; values.len()], depth) };
        let found = self.node(operator, &[first, second], vec![]);
        let exact = self.floats(found) == values;
        if exact { found } else { self.exactly(shape, values, 0) }
    }

    /// A constant of that shape for ordinary use, mostly made of one that there is already.
    pub fn any(&mut self, shape: &[usize]) -> Id {
        let pool: Vec<Id> = self.constants().into_iter().filter(|&id| self.value(id).size() > 0).collect();
        if pool.is_empty() || self.random.chance(0.35) {
            let values = self.numbers(count(shape));
            return self.exactly(shape, &values, 1);
        }
        let from = self.random.of(&pool);
        let (own, size) = (self.value(from).size(), count(shape));
        let fitted = if own == size {
            self.reshaped(from, shape)
        } else if own == 1 && self.random.chance(0.7) {
            let wanted: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
            let wanted = self.integers(&[shape.len()], &wanted, 0);
            let scalar = self.reshaped(from, &[]);
            self.node("Expand", &[scalar, wanted], vec![])
        } else {
            let row = self.reshaped(from, &[own]);
            let part = if own > size && self.random.chance(0.5) {
                let start = self.random.below(own - size + 1) as i64;
                self.sliced(row, 0, start, start + size as i64)
            } else {
                let picks: Vec<i64> = (0..size).map(|_| self.random.below(own) as i64).collect();
                let picks = self.integers(&[size], &picks, 0);
                self.node("Gather", &[row, picks], vec![int("axis", 0)])
            };
            self.reshaped(part, shape)
        };
        match self.random.below(12) {
            0 => self.node("Neg", &[fitted], vec![]),
            1 => {
                let other = self.exactly(&[], &[0.5], 1);
                self.node("Mul", &[fitted, other], vec![])
            }
            2 => {
                let other = self.any(shape);
                self.node("Add", &[fitted, other], vec![])
            }
            3 => self.node("Tanh", &[fitted], vec![]),
            _ => fitted,
        }
    }

    /// Positive constants between one half and four.
    pub fn positive(&mut self, shape: &[usize]) -> Id {
        let values: Vec<f64> = (0..count(shape))
            .map(|_| match self.random.below(4) {
                0 => self.random.of(&[1.0, 2.0, 0.5, 3.0, f64::from(std::f32::consts::SQRT_2)]),
                _ => self.random.uniform(0.5, 3.0),
            })
            .collect();
        self.exactly(shape, &values, 2)
    }
}

fn removed(shape: &[usize], at: usize) -> Vec<usize> {
    shape.iter().enumerate().filter(|(axis, _)| *axis != at).map(|(_, &extent)| extent).collect()
}
