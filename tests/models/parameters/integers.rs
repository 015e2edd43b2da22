//! Constant integers and truth values that are made of floating point constants, of shapes and of one another.

use super::builder::{Builder, Id, int};
use super::value::{Data, Value};

impl Builder {
    /// Integers: stored as such, computed from others, or cast from floating point constants.
    pub fn integers(&mut self, shape: &[usize], values: &[i64], depth: usize) -> Id {
        if depth == 0 || values.is_empty() || self.nesting >= 2 || self.random.chance(0.45) {
            return self.store(Value::ints(shape, values.to_vec()));
        }
        self.nesting += 1;
        let found = self.computed_integers(shape, values, depth);
        self.nesting -= 1;
        assert_eq!(*self.value(found), Value::ints(shape, values.to_vec()));
        found
    }

    fn computed_integers(&mut self, shape: &[usize], values: &[i64], depth: usize) -> Id {
        let whole: Vec<f64> = values.iter().map(|&i| i as f64).collect();
        match self.random.below(12) {
            0..=5 => {
                // Casts go towards zero.
                let rest = self.random.of(&[0.0, 0.0, 0.25, 0.5]);
                let inner: Vec<f64> = whole.iter().map(|x| if *x < 0.0 { x - rest } else { x + rest }).collect();
                let inner = self.exactly(shape, &inner, depth);
                let kind = self.random.of(&[7, 7, 6]);
                let cast = self.node("Cast", &[inner], vec![int("to", kind)]);
                if kind == 7 { cast } else { self.node("Cast", &[cast], vec![int("to", 7)]) }
            }
            6 => {
                let (operator, first): (_, Vec<i64>) = match self.random.below(4) {
                    0 => ("Add", values.iter().map(|i| i - 1).collect()),
                    1 => ("Sub", values.iter().map(|i| i + 1).collect()),
                    2 => ("Mul", values.to_vec()),
                    _ => ("Div", values.to_vec()),
                };
                let (first, one) = (self.integers(shape, &first, depth - 1), self.integers(&[], &[1], depth - 1));
                self.node(operator, &[first, one], vec![])
            }
            7 if shape.len() == 1 && values.len() >= 2 => {
                let first = self.integers(&[1], &values[..1], depth - 1);
                let rest = self.integers(&[values.len() - 1], &values[1..], depth - 1);
                self.node("Concat", &[first, rest], vec![int("axis", 0)])
            }
            8 if shape.len() == 1 && values.iter().all(|&i| i > 0) && values.iter().product::<i64>() <= 12 => {
                let extents: Vec<usize> = values.iter().map(|&i| i as usize).collect();
                let of = self.any(&extents);
                self.node("Shape", &[of], vec![])
            }
            9 if shape.is_empty() => {
                let other = self.random.below(3) as i64;
                let row = self.integers(&[2], &[other, values[0]], depth - 1);
                let at = self.integers(&[], &[1], 0);
                self.node("Gather", &[row, at], vec![int("axis", 0)])
            }
            10 if shape.is_empty() => match self.random.below(3) {
                0 if (1..=12).contains(&values[0]) => {
                    let of = self.any(&[values[0] as usize]);
                    self.node("Size", &[of], vec![])
                }
                1 => {
                    let row = self.integers(&[2], &[values[0], 1], depth - 1);
                    self.node("ReduceProd", &[row], vec![int("keepdims", 0)])
                }
                _ => {
                    let row = self.integers(&[2], &[values[0] - 1, 1], depth - 1);
                    self.node("ReduceSum", &[row], vec![int("keepdims", 0)])
                }
            },
            11 => {
                let (first, second) = (self.integers(shape, values, depth - 1), self.integers(&[], &[1000], 0));
                self.node("Mod", &[first, second], vec![int("fmod", 1)])
            }
            _ => self.store(Value::ints(shape, values.to_vec())),
        }
    }

    /// Truth values: stored as such, or made of comparisons and casts of constants.
    pub fn truths(&mut self, shape: &[usize], truths: &[bool]) -> Id {
        let found = self.computed_truths(shape, truths);
        assert_eq!(*self.value(found), Value::truths(shape, truths.to_vec()));
        found
    }

    fn computed_truths(&mut self, shape: &[usize], truths: &[bool]) -> Id {
        let number = |truth: bool| if truth { 1.0 } else { 0.0 };
        match self.random.below(8) {
            0 => {
                let values: Vec<f64> = truths.iter().map(|&truth| number(truth) * 0.5).collect();
                let inner = self.exactly(shape, &values, 1);
                self.node("Cast", &[inner], vec![int("to", 9)])
            }
            1 => {
                let inner: Vec<bool> = truths.iter().map(|truth| !truth).collect();
                let inner = self.truths(shape, &inner);
                self.node("Not", &[inner], vec![])
            }
            2 | 3 => {
                let operator = self.random.of(&["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"]);
                let sign = match operator {
                    "Greater" | "GreaterOrEqual" => 1.0,
                    _ => -1.0,
                };
                // Arithmetic behind a comparison is not understood: a tensor of the file stands there.
                let fits = |value: &Value| value.shape == shape || (value.size() == 1 && value.shape.len() <= shape.len());
                let stored: Vec<Id> = self.stored().into_iter().filter(|&id| fits(self.value(id))).collect();
                let b = if stored.is_empty() || self.random.chance(0.2) {
                    let than = self.used_number();
                    self.store(Value::floats(&[], vec![than]))
                } else {
                    self.random.of(&stored)
                };
                let than = self.value(b).expanded(shape).expect("it fits");
                // Beside the other number, or where the comparison turns.
                let turning = self.random.chance(0.5);
                let side = |(&truth, &than): (&bool, &f64)| match (operator, truth) {
                    ("Equal", true) => than,
                    ("GreaterOrEqual" | "LessOrEqual", true) | ("Greater" | "Less", false) if turning => than,
                    (_, truth) => f64::from((than + if truth { sign } else { -sign }) as f32),
                };
                let values = truths.iter().zip(than.as_floats().expect("floating point")).map(side).collect();
                let a = self.store(Value::floats(shape, values));
                let found = self.node(operator, &[a, b], vec![]);
                if self.value(found).data == Data::Truths(truths.to_vec()) { found } else { self.stored_truths(shape, truths) }
            }
            4 => {
                let ints: Vec<i64> = truths.iter().map(|&truth| i64::from(truth) * 2).collect();
                let (a, b) = (self.integers(shape, &ints, 2), self.integers(&[], &[2], 2));
                self.node("Equal", &[a, b], vec![])
            }
            5 => {
                let other: Vec<bool> = truths.iter().map(|truth| *truth || self.random.chance(0.5)).collect();
                let (a, b) = (self.stored_truths(shape, truths), self.truths(shape, &other));
                self.node("And", &[a, b], vec![])
            }
            6 => {
                let other: Vec<bool> = truths.iter().map(|truth| *truth && self.random.chance(0.5)).collect();
                let (a, b) = (self.stored_truths(shape, truths), self.truths(shape, &other));
                self.node("Or", &[a, b], vec![])
            }
            _ => self.stored_truths(shape, truths),
        }
    }

    fn stored_truths(&mut self, shape: &[usize], truths: &[bool]) -> Id {
        self.store(Value::truths(shape, truths.to_vec()))
    }
}
